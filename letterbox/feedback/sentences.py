"""Sentences from the registry's patterns and a finding's facts."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal

from letterbox.feedback.wording import Wording
from letterbox.model.flag import Flag
from letterbox.model.reason import Phrases, Registry, Texts
from letterbox.model.verdict import Fact, Finding, Hold, reason_of

# Whatever could end a line, a header or a log entry, or hide what stands there: controls,
# line and paragraph separators, bidirectional overrides, invisible characters.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
_SPACES = re.compile(r" {2,}")
#: A place in a pattern: the fact that is said there, and in which form.
PLACE = re.compile(r"\{(\w+)(?::(\w+))?\}")
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

    def __init__(
        self, registry: Registry, phrases: Phrases, wording: Mapping[str, Wording]
    ) -> None:
        self._registry = registry
        self._phrases = phrases
        self._wording = wording

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
        said = self.fill(pattern, finding.facts, language)
        return (said or self.fill(texts.person_else, finding.facts, language) or texts.title) + "."

    def line(
        self,
        group: Literal["explanation", "change", "flag", "notice", "own"],
        name: str,
        facts: Mapping[str, Fact],
        language: str,
        *,
        longest: int = _LONGEST_VALUE,
    ) -> str:
        """A line of the wording by its name; empty where a fact it needs is lacking."""
        wording = self._wording.get(language) or self._wording["en"]
        patterns: Mapping[str, str] = getattr(wording, group)
        pattern = patterns.get(name, "") if group == "flag" else patterns[name]
        return self.fill(pattern, facts, language, longest=longest)

    def flag(self, flag: Flag, language: str) -> str:
        """What the consumer reads about a flag; where a fact is lacking, without it."""
        said = self.line("flag", flag.code, flag.facts, language)
        return said or self.line("flag", f"{flag.code}-else", flag.facts, language) or flag.code

    def company(self, finding: Finding, language: str = "en") -> str:
        """What a vendor at level ``reason`` reads."""
        texts = self.texts(reason_of(finding.verdict) or "", language)
        held = texts.company_held if isinstance(finding.verdict, Hold) else ""
        return self.fill(held or texts.company, finding.facts, language) or texts.title

    def remedy(self, finding: Finding, language: str = "en") -> str:
        """What a vendor at level ``remedy`` may change; empty where nothing more can be said."""
        texts = self.texts(reason_of(finding.verdict) or "", language)
        return self.fill(texts.remedy, finding.facts, language)

    def fill(
        self,
        pattern: str,
        facts: Mapping[str, Fact],
        language: str = "en",
        *,
        longest: int = _LONGEST_VALUE,
    ) -> str:
        """A sentence from a pattern: ``{name}`` becomes the fact of that name.

        ``{name:form}`` becomes the fact in a form of :class:`letterbox.feedback.wording.Wording`.
        Empty where a fact is lacking.
        """
        wording = self._wording.get(language) or self._wording["en"]

        def said(name: str, form: str) -> str:
            fact = facts.get(name)
            formed = wording.say(fact, form, facts) if form and fact is not None else None
            return (
                self._worded(fact, language, longest) if formed is None else safe(formed, longest)
            )

        parts = {(name, form): said(name, form) for name, form in PLACE.findall(pattern)}
        if not all(parts.values()):
            return ""
        return PLACE.sub(lambda place: parts[place[1], place[2] or ""], pattern)

    def _worded(self, fact: Fact, language: str, longest: int) -> str:
        match fact:
            case None:
                return ""
            case list():
                return safe(", ".join(self._said(each, language) for each in fact), longest)
            case _:
                text = str(fact)
                return safe(self._phrases.get(language, {}).get(text, text), longest)

    def _said(self, phrase: str, language: str) -> str:
        """A phrase of several words, each said the way the language says it."""
        words = self._phrases.get(language, {})
        for known in words:
            if " " in known:
                phrase = phrase.replace(known, words[known])
        return _WORD.sub(lambda word: words.get(word[0], word[0]), phrase)
