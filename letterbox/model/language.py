"""The languages of pages, and which of them somebody reads."""

import re
from collections.abc import Mapping
from typing import Final

from letterbox.model.preferences import Language

#: The languages of the pages, as they call themselves.
LANGUAGES: Final[Mapping[Language, str]] = {"en": "English", "nl": "Nederlands"}

_QUALITY = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_LONGEST_FIELD = 1000


def named(name: str | None) -> Language | None:
    """The language of a name such as "nl"; None where it is none of ours."""
    return next((each for each in LANGUAGES if each == name), None)


def accepted(field: str) -> Language:
    """The best of our languages for an Accept-Language field (RFC 9110, section 12.5.4)."""
    best: Language = "en"
    weight = 0.0
    for wanted in field[:_LONGEST_FIELD].split(","):
        tag, _, parameter = (part.strip() for part in wanted.partition(";"))
        quality = _QUALITY.fullmatch(parameter or "q=1")
        known = named(tag.partition("-")[0].lower())
        if known is not None and quality is not None and float(quality[1]) > weight:
            best, weight = known, float(quality[1])
    return best
