"""Preferences: checked, compiled into their fast form, and looked up in. Pure."""

from letterbox.model.taxonomy import Node, Taxonomy
from letterbox.model.wishes import Counted
from letterbox.wishes.calendar import Calendar
from letterbox.wishes.check import MOST, Domains, check
from letterbox.wishes.compile import compile_wishes, lookup, quotas_for
from letterbox.wishes.expecting import awaits, expected
from letterbox.wishes.ical import Times, Unsupported, read_times
from letterbox.wishes.ical_written import write_times
from letterbox.wishes.mistakes import Mistake
from letterbox.wishes.names import mailbox_of, name_of, other_side
from letterbox.wishes.rhythm import Rhythm
from letterbox.wishes.taxonomy import read_taxonomy
from letterbox.wishes.vendors import NamedVendor, named_vendors

__all__ = [
    "MOST",
    "Calendar",
    "Counted",
    "Domains",
    "Mistake",
    "NamedVendor",
    "Node",
    "Rhythm",
    "Taxonomy",
    "Times",
    "Unsupported",
    "awaits",
    "check",
    "compile_wishes",
    "expected",
    "lookup",
    "mailbox_of",
    "name_of",
    "named_vendors",
    "other_side",
    "quotas_for",
    "read_taxonomy",
    "read_times",
    "write_times",
]
