"""What tells a sender about its reader, found in a message and taken out of it.

The bytes as received stay as they are; what is read or handed on is a cleaned copy, and says
what was taken out of it and what was left, and why.
"""

from letterbox.reading.trackers.cleaned import (
    CLEANED_TYPES,
    Cleaned,
    CleanedText,
    Finding,
    Found,
    Untouched,
    Why,
)
from letterbox.reading.trackers.message import clean_message, clean_part, told_in
from letterbox.reading.trackers.rules import Rules, read_rules

__all__ = [
    "CLEANED_TYPES",
    "Cleaned",
    "CleanedText",
    "Finding",
    "Found",
    "Rules",
    "Untouched",
    "Why",
    "clean_message",
    "clean_part",
    "read_rules",
    "told_in",
]
