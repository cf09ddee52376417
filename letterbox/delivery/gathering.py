"""What a digest tells: what came to a consumer since the one before, a line for each."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

from letterbox.feedback.digest import Line, Link, Section
from letterbox.feedback.explanation import Explanations
from letterbox.feedback.sentences import Sentences
from letterbox.model.preferences import DigestList
from letterbox.model.record import DecisionRecord, HeldEntry, InboxEntry
from letterbox.model.verdict import Fact, Refuse
from letterbox.model.wishes import Times
from letterbox.records.actions import Act, Signing
from letterbox.records.digests import Standing
from letterbox.records.mailboxes import Mailboxes, Page

#: Lines of one list; the others are counted.
MOST: Final = 100
#: What is decided at a moment is committed by then.
OVERLAP: Final = timedelta(minutes=1)
_PAGE: Final = 200
_MOST_COUNTED: Final = 5_000
_MOST_SEEN: Final = 1_000
_ASKED: Final = "awaiting-consumer"
_INSTANT: Final = timedelta(microseconds=1)
_PAGES: Final[dict[DigestList, str]] = {
    "delivered": "/inbox",
    "waiting": "/waiting",
    "refused": "/refused",
}

Row = TypeVar("Row", InboxEntry, HeldEntry, DecisionRecord)


class Wanted(NamedTuple):
    """Whose digest, of which lists, in which language, and what its links are made of.

    ``url`` is our own address; links serve until ``expires``.
    """

    consumer: str
    lists: Sequence[DigestList]
    language: str
    times: Times
    signing: Signing
    url: str
    expires: datetime


class Found(NamedTuple):
    """What there is to tell, and what of it belongs to the last minute."""

    sections: tuple[Section, ...]
    seen: tuple[str, ...]


class Gathering:
    """Reads it. Whoever has very much gets the first of it, and how much more there is."""

    def __init__(
        self, mailboxes: Mailboxes, explanations: Explanations, sentences: Sentences
    ) -> None:
        self._mailboxes = mailboxes
        self._explanations = explanations
        self._sentences = sentences

    async def find(self, standing: Standing, until: datetime, wanted: Wanted) -> Found:
        """What came after the last digest, up to ``until``."""
        sections: list[Section] = []
        seen: list[str] = []
        for name in _PAGES:
            if name not in wanted.lists:
                continue
            lines, total, late = await self._list(name, standing, until, wanted)
            seen += late
            if total:
                sections.append(Section(name, lines, total, wanted.url + _PAGES[name]))
        return Found(tuple(sections), tuple(seen[:_MOST_SEEN]))

    async def _list(
        self, name: DigestList, standing: Standing, until: datetime, wanted: Wanted
    ) -> tuple[tuple[Line, ...], int, list[str]]:
        consumer, mailboxes = wanted.consumer, self._mailboxes

        match name:
            case "delivered":
                came = await _since(mailboxes.inbox, consumer, standing, until, _is_news)
                lines = [self._delivered(row, wanted) for row in came[0]]
                return tuple(lines), *came[1:]
            case "waiting":
                waits = await _since(mailboxes.held, consumer, standing, until, lambda _: True)
                held = [await self._waiting(row, wanted) for row in waits[0]]
                return tuple(held), *waits[1:]
            case _:
                refused = await _since(mailboxes.decisions, consumer, standing, until, _is_refused)
                return tuple(self._refused(row, wanted) for row in refused[0]), *refused[1:]

    def _delivered(self, row: InboxEntry, wanted: Wanted) -> Line:
        facts: dict[str, Fact] = {"interests": list(row.interests)}
        because = self._sentences.line("own", "because", facts, wanted.language)
        sentence = because if row.interests else ""
        links = () if row.is_ours else _links(wanted, row.id, "archive", "lock-out")
        return Line(row.vendor.name or row.sender, row.subject, sentence, links)

    async def _waiting(self, row: HeldEntry, wanted: Wanted) -> Line:
        asks = row.why == _ASKED and not row.answered
        day = wanted.times.local_date(row.until - _INSTANT if asks else row.until)
        facts: dict[str, Fact] = {"date": day.isoformat()}
        name = "asked" if asks else "held"
        sentence = self._sentences.line("own", name, facts, wanted.language)
        links = _links(wanted, row.id, "yes", "no", "lock-out")
        return Line(row.vendor.name or row.sender, row.subject, sentence, links)

    def _refused(self, row: DecisionRecord, wanted: Wanted) -> Line:
        sentence = self._explanations.why(row, wanted.language)
        links = _links(wanted, row.id, "let-in")
        return Line(row.vendor.name or row.sender, row.subject, sentence, links)


def _links(wanted: Wanted, entry: str, *acts: Act) -> tuple[Link, ...]:
    def url(act: Act) -> str:
        token = wanted.signing.token(act, entry, wanted.expires)
        return f"{wanted.url}/a/{token}?lang={wanted.language}"

    return tuple(Link(act, url(act)) for act in acts)


async def _since(
    read: Callable[..., Awaitable[Page[Row]]],
    consumer: str,
    standing: Standing,
    until: datetime,
    wanted: Callable[[Row], bool],
) -> tuple[list[Row], int, list[str]]:
    """The first rows of a time, newest first, how many there are, and those of its last minute."""
    floor, known = standing.since - OVERLAP, {*standing.seen, *standing.kept}
    first: list[Row] = []
    seen: list[str] = []
    total, after = 0, None
    for _ in range(_MOST_COUNTED // _PAGE):
        page = await read(consumer, after=after, limit=_PAGE)
        for row in page.items:
            if row.at <= floor or row.at > until:
                continue
            if row.at > until - OVERLAP:
                seen.append(row.id)
            if row.id not in known and wanted(row):
                total += 1
                if len(first) < MOST:
                    first.append(row)
        if page.after is None or (page.items and page.items[-1].at <= floor):
            break
        after = page.after
    return first, total, seen


def _is_news(row: InboxEntry) -> bool:
    return not row.archived


def _is_refused(row: DecisionRecord) -> bool:
    """Whether a message was refused, and not by the consumer's own word."""
    own = any(finding.facts.get("answer") == "no" for finding in row.findings)
    return isinstance(row.verdict, Refuse) and row.followed_by is None and not own
