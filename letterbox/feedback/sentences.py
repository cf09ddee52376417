"""Sentences from the registry's patterns and a finding's facts."""

import re
import unicodedata
from collections.abc import Mapping

from letterbox.model.reason import Phrases, Registry, Texts
from letterbox.model.verdict import Fact, Finding, Hold, reason_of

# Whatever could end a line, a header or a log entry, or hide what stands there: controls,
# line and paragraph separators, bidirectional overrides, invisible characters.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
_SPACES = re.compile(r" {2,}")
_PLACE = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"[A-Za-z-]+")
_LONGEST_VALUE = 120


def safe(text: str, longest: int = _LONGEST_VALUE) -> str:
    """Text on one line without control characters, at most ``longest`` characters."""
    line = _SPACES.sub(" ", _UNSAFE.sub(" ", text)).strip()
    return line if len(line) <= longest else line[: longest - 1] + "…"


def to_ascii(text: str) -> str | None:
    """Text as SMTP can carry it without SMTPUTF8 (RFC 5321, section 2.4): accents go.

    None where more than accents would go.
    """
    plain = unicodedata.normalize("NFKD", text.replace("…", "...").replace("€", "EUR"))
    bare = "".join(c for c in plain if not unicodedata.combining(c))
    return bare if bare.isascii() else None


class Sentences:
    """What is said about a reason, to whom, in which language.

    A sentence whose facts are lacking is not said: the title stands in its place.
    """

    def __init__(self, registry: Registry, phrases: Phrases) -> None:
        self._registry = registry
        self._phrases = phrases

    def texts(self, code: str, language: str = "en") -> Texts:
        """The texts of a registered code; in English where the language is missing."""
        texts = self._registry[code].texts
        return texts.get(language) or texts["en"]

    def person(self, finding: Finding, language: str) -> str:
        """What the consumer reads about what stood in the way: always the whole truth."""
        code = reason_of(finding.verdict)
        if code is None:
            return ""
        texts = self.texts(code, language)
        pattern = texts.person
        if "answer" in finding.facts:
            pattern = texts.person_said or pattern
        elif isinstance(finding.verdict, Hold):
            pattern = texts.person_held or pattern
        return (self.fill(pattern, finding.facts, language) or texts.title) + "."

    def company(self, finding: Finding, language: str = "en") -> str:
        """What a vendor at level ``reason`` reads."""
        texts = self.texts(reason_of(finding.verdict) or "", language)
        held = texts.company_held if isinstance(finding.verdict, Hold) else ""
        return self.fill(held or texts.company, finding.facts, language) or texts.title

    def remedy(self, finding: Finding, language: str = "en") -> str:
        """What a vendor at level ``remedy`` may change; empty where nothing more can be said."""
        texts = self.texts(reason_of(finding.verdict) or "", language)
        return self.fill(texts.remedy, finding.facts, language)

    def fill(self, pattern: str, facts: Mapping[str, Fact], language: str = "en") -> str:
        """A sentence from a pattern: ``{name}`` becomes the fact of that name.

        Empty where a fact is lacking.
        """
        said = {name: self._worded(facts.get(name), language) for name in _PLACE.findall(pattern)}
        if not all(said.values()):
            return ""
        return _PLACE.sub(lambda place: said[place[1]], pattern)

    def _worded(self, fact: Fact, language: str) -> str:
        match fact:
            case None:
                return ""
            case list():
                return safe(", ".join(self._said(each, language) for each in fact))
            case _:
                text = str(fact)
                return safe(self._phrases.get(language, {}).get(text, text))

    def _said(self, phrase: str, language: str) -> str:
        """A phrase of several words, each said the way the language says it."""
        words = self._phrases.get(language, {})
        for known in words:
            if " " in known:
                phrase = phrase.replace(known, words[known])
        return _WORD.sub(lambda word: words.get(word[0], word[0]), phrase)
