"""Sentences from the registry's patterns and a finding's facts."""

import re
import unicodedata
from collections.abc import Mapping

from letterbox.model.reason import Registry, Texts
from letterbox.model.verdict import Fact, Finding, reason_of

# Whatever could end a line, a header or a log entry, or hide what stands there: controls,
# line and paragraph separators, bidirectional overrides, invisible characters.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
_SPACES = re.compile(r" {2,}")
_PLACE = re.compile(r"\{(\w+)\}")
_LONGEST_VALUE = 120


def safe(text: str, longest: int = _LONGEST_VALUE) -> str:
    """Text on one line without control characters, at most ``longest`` characters."""
    line = _SPACES.sub(" ", _UNSAFE.sub(" ", text)).strip()
    return line if len(line) <= longest else line[: longest - 1] + "…"


def to_ascii(text: str) -> str:
    """Text as SMTP can carry it without SMTPUTF8 (RFC 5321, section 2.4): accents go."""
    plain = unicodedata.normalize("NFKD", text.replace("…", "...").replace("€", "EUR"))
    return (
        "".join(c for c in plain if not unicodedata.combining(c))
        .encode("ascii", "replace")
        .decode()
    )


def _worded(fact: Fact) -> str:
    match fact:
        case None:
            return "?"
        case list():
            return safe(", ".join(fact))
        case _:
            return safe(str(fact))


def fill(pattern: str, facts: Mapping[str, Fact]) -> str:
    """A sentence from a pattern of the registry: ``{name}`` becomes the fact of that name."""
    return _PLACE.sub(lambda place: _worded(facts.get(place[1])), pattern)


def texts_of(registry: Registry, code: str, language: str) -> Texts:
    """The texts of a registered code, in English where the language is missing."""
    texts = registry[code].texts
    return texts.get(language) or texts["en"]


def sentence_for_person(registry: Registry, finding: Finding, language: str) -> str:
    """What the consumer reads about a finding that stood in the way: always the whole truth."""
    code = reason_of(finding.verdict)
    if code is None:
        return ""
    return fill(texts_of(registry, code, language).person, finding.facts) + "."
