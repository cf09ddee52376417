"""The letter to a company that a person has objected to: from the record alone, in either language.

Its words are those of ``config/objection.toml``; whatever stands in a mail is made safe to show.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from letterbox.feedback.sentences import safe
from letterbox.feedback.wording import Wording
from letterbox.model.objection import Evidence, Objection

_LONGEST: Final = 300
#: Messages that a letter lists; it says how many more there are.
_MOST_LISTED: Final = 50
_PROOFS: Final = frozenset({"dkim", "spf", "key"})
_REACHED: Final = frozenset({"taken", "before"})
_WIDE: Final = 72

#: The words of each language.
Words = Mapping[str, Mapping[str, str]]


class Letter(NamedTuple):
    """A letter in its parts. ``evidence`` and ``breaches`` are rows of a name and what it is."""

    language: str
    title: str
    head: tuple[str, ...]
    paragraphs: tuple[str, ...]
    requests: tuple[str, ...]
    after: tuple[str, ...]
    evidence_title: str
    evidence: tuple[tuple[str, str], ...]
    breaches_title: str
    breaches: tuple[tuple[tuple[str, str], ...], ...]
    more: str
    disclaimer: str
    file: str

    @property
    def text(self) -> str:
        """All of it as plain text, ready to be pasted."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        for each in (*self.head, *self.paragraphs):
            yield from (each, "")
        yield from (f"- {each}" for each in self.requests)
        yield ""
        for each in self.after:
            yield from (each, "")
        yield from ("-" * _WIDE, self.evidence_title, *map(_row, self.evidence), "")
        if self.breaches:
            yield f"{self.breaches_title}"
            for nth, rows in enumerate(self.breaches, 1):
                yield from ("", f"{nth}.", *map(_row, rows))
            if self.more:
                yield from ("", self.more)


class Letters:
    """Writes them. ``wording`` says how a day is written."""

    def __init__(self, words: Words, wording: Mapping[str, Wording]) -> None:
        self._words = words
        self._wording = wording

    def letter(
        self,
        objection: Objection,
        breaches: Sequence[Evidence],
        language: str,
        *,
        now: datetime,
        local: Callable[[datetime], datetime],
    ) -> Letter:
        """The letter as of ``now``; ``local`` gives a moment by the person's clock."""
        known = language if language in self._words else "en"
        return _Writing(self._words[known], self._wording[known], known, local).letter(
            objection, breaches, now
        )


class _Writing:
    """One letter on its way: the words of one language, one person's clock."""

    def __init__(
        self,
        words: Mapping[str, str],
        wording: Wording,
        language: str,
        local: Callable[[datetime], datetime],
    ) -> None:
        self._words = words
        self._wording = wording
        self._language = language
        self._local = local

    def letter(self, objection: Objection, breaches: Sequence[Evidence], now: datetime) -> Letter:
        say, company = self._say, _shown(objection.vendor.name or objection.vendor.id)
        # Nobody is reminded of what did not reach them: then it is this letter that says it.
        reached = objection.asked.outcome in _REACHED
        title = say("title" if objection.breaches and reached else "title-first")
        paragraphs = [
            say("greeting"),
            say(
                "objected" if reached else "objecting",
                objected=self._day(objection.at),
                company=company,
                address=_shown(objection.recipient),
            ),
            self._asked(objection),
            say("right"),
        ]
        if objection.breaches:
            name = "breached-one" if objection.breaches == 1 else "breached-many"
            paragraphs.append(say(name, n=objection.breaches))
        paragraphs.append(say("requests"))
        listed = breaches[:_MOST_LISTED]
        more = objection.breaches - len(listed)
        domains = ", ".join(map(_shown, objection.domains))
        return Letter(
            language=self._language,
            title=title,
            head=(
                say("sender"),
                say("to", company=company),
                say("dated", today=self._day(now)),
                say("subject", title=title),
            ),
            paragraphs=tuple(paragraphs),
            requests=tuple(map(say, ("request-stop", "request-process", "request-answer"))),
            after=(say("authority"), say("closing"), say("signature")),
            evidence_title=say("evidence"),
            evidence=_without_empty([*self._rows(objection.evidence), (say("domains"), domains)]),
            breaches_title=say("breaches"),
            breaches=tuple(_without_empty(self._rows(each)) for each in listed),
            more=say("breaches-more", n=more) if listed and more > 0 else "",
            disclaimer=say("disclaimer"),
            file=say("file"),
        )

    def _asked(self, objection: Objection) -> str:
        asked = objection.asked
        if asked.way == "none":
            return self._say("asked-none")
        if asked.outcome == "before":
            return self._say("asked-before", to=_shown(asked.to))
        answered = self._say(
            f"answered-{asked.outcome}",
            answered=self._moment(asked.at) if asked.at else "",
            answer=_shown(asked.answer),
        )
        return self._say(f"asked-{asked.way}", to=_shown(asked.to), answered=answered)

    def _rows(self, evidence: Evidence) -> list[tuple[str, str]]:
        how = evidence.how if evidence.how in _PROOFS else "other"
        found = {
            "received": self._moment(evidence.received),
            "from": _shown(evidence.sender),
            "about": _shown(evidence.subject),
            "message-id": f"<{_shown(evidence.message_id)}>" if evidence.message_id else "",
            "proof": self._say(f"proof-{how}", domain=_shown(evidence.domain)),
            "results": _shown(evidence.results),
            "sha256": evidence.sha256,
        }
        return [(self._say(name), value) for name, value in found.items()]

    def _say(self, name: str, **facts: object) -> str:
        return self._words[name].format_map(facts)

    def _day(self, at: datetime) -> str:
        day = self._local(at)
        return f"{day.day} {self._wording.months[day.month - 1]} {day.year}"

    def _moment(self, at: datetime) -> str:
        local = self._local(at)
        return f"{self._day(at)}, {local:%H:%M:%S} (UTC{_offset(local)})"


def read_words(content: bytes) -> Words:
    """The words of each language. Raises ValueError with the mistake."""
    return msgspec.toml.decode(content, type=dict[str, dict[str, str]])


def _offset(local: datetime) -> str:
    said = f"{local:%z}"
    return f"{said[:3]}:{said[3:5]}"


def _shown(text: str) -> str:
    return safe(text, _LONGEST)


def _row(row: tuple[str, str]) -> str:
    return f"{row[0]}: {row[1]}"


def _without_empty(rows: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(row for row in rows if row[1])
