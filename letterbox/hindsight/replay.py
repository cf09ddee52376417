"""What other wishes would have done with the mail of the last days. Nothing is changed by it."""

import asyncio
import heapq
from collections import Counter
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

from letterbox.hindsight.cases import PastCases, Unjudged
from letterbox.model.address import parse_address
from letterbox.model.preferences import Preferences
from letterbox.model.record import DecisionRecord
from letterbox.model.sender import domains_of
from letterbox.model.verdict import (
    Decision,
    Deliver,
    Hold,
    Outcome,
    Refuse,
    outcome_of,
    reason_of,
)
from letterbox.model.wishes import Counted, Wishes
from letterbox.ports.clock import Clock
from letterbox.records.consumers import Consumers, Stored
from letterbox.records.mailboxes import Mailboxes
from letterbox.wishes import expected, lookup, quotas_for

#: Decisions that are looked at, and differences that are listed.
MOST_CASES: Final = 5_000
MOST_LISTED: Final = 500
_PAGE: Final = 100
_ASKED: Final = "awaiting-consumer"
_DECLINED: Final = Decision(verdict=Refuse(reason="declined"), findings=())


class Difference(msgspec.Struct, frozen=True):
    """One message with which other wishes would have done something else."""

    decision: str
    at: datetime
    vendor: str
    subject: str
    then: Outcome
    now: Outcome


class Replayed(msgspec.Struct, frozen=True):
    """What other wishes would have done. ``then`` and ``now`` count by verdict.

    Both are what the rules say: of ``observed`` messages ``then`` is what would have become, had
    the consumer not only watched.

    ``unjudged`` messages rest on texts that are gone, or were let in or refused by hand;
    ``truncated`` where there was more than is looked at or listed.
    """

    days: int
    messages: int
    then: dict[str, int]
    now: dict[str, int]
    more_in: int
    fewer_in: int
    unjudged: int
    differences: tuple[Difference, ...]
    truncated: bool
    observed: int = 0


class _Message(NamedTuple):
    """One message from first to last: the first decision about it, and the last.

    ``yes`` is when the consumer, asked about it, let it in.
    """

    first: DecisionRecord
    last: DecisionRecord
    yes: datetime | None


class _Event(NamedTuple):
    """Something that happens to a message at an instant.

    ``decide``: it is decided about again; ``decline``: no yes has come in time; ``count``: it
    came into the inbox, as it did.
    """

    at: datetime
    name: str
    what: Literal["decide", "decline", "count"]
    message: _Message


class Replay:
    """Takes recorded cases again under other wishes, in the order in which they came."""

    def __init__(
        self, *, cases: PastCases, consumers: Consumers, mailboxes: Mailboxes, clock: Clock
    ) -> None:
        self._cases = cases
        self._consumers = consumers
        self._mailboxes = mailboxes
        self._clock = clock

    async def run(
        self, consumer: str, preferences: Preferences, stored: Stored, *, days: int
    ) -> Replayed:
        """Replay the last ``days`` days of a consumer's mail under sound ``preferences``.

        What of them stands already is ``stored``.
        """
        messages, truncated = await self._messages(consumer, days)
        wishes = self._consumers.compile(consumer, preferences, stored.revision, stored.pieces)
        course = _Course(self._cases, wishes)
        for message in messages:
            await asyncio.sleep(0)  # others are served meanwhile
            await course.arrive(message)
        await course.pass_until(self._clock.now())
        return _summed(days, messages, course.outcomes, truncated=truncated)

    async def _messages(self, consumer: str, days: int) -> tuple[list[_Message], bool]:
        """The messages that came, the oldest first; and whether there were too many."""
        oldest = self._clock.now() - timedelta(days=days)
        rows: dict[str, DecisionRecord] = {}
        after: str | None = None
        while len(rows) < MOST_CASES:
            await asyncio.sleep(0)
            page = await self._mailboxes.decisions(consumer, after=after, limit=_PAGE)
            rows |= {row.id: row for row in page.items}
            after = page.after
            if after is None or page.items[-1].at < oldest:
                break
        else:
            after = "more"
        firsts = [row for row in rows.values() if row.follows is None and row.at >= oldest]
        firsts.sort(key=lambda row: (row.at, row.id))
        too_many = after == "more"
        return [_course_of(first, rows) for first in firsts], too_many


def _course_of(first: DecisionRecord, rows: dict[str, DecisionRecord]) -> _Message:
    last, yes = first, None
    while last.followed_by is not None and last.followed_by in rows:
        last = rows[last.followed_by]
        if yes is None and last.case is not None and last.case.answered:
            yes = last.at
    return _Message(first, last, yes)


class _Course:
    """Time as it goes by under other wishes: what counts, and what waits."""

    def __init__(self, cases: PastCases, wishes: Wishes) -> None:
        self._cases = cases
        self._wishes = wishes
        self._counts: Counter[str] = Counter()
        self._known: dict[str, int] = {}
        self._coming: list[_Event] = []
        #: What became of each message so far, by its first decision; None where nobody can tell.
        self.outcomes: dict[str, Decision | None] = {}

    async def arrive(self, message: _Message) -> None:
        """A message comes: it is decided about."""
        await self.pass_until(message.first.at)
        if _by_hand(message):
            self._as_it_was(message)
        else:
            await self._decide(message, message.first.at)

    async def pass_until(self, until: datetime) -> None:
        """Let happen what happens to what waits."""
        while self._coming and self._coming[0].at <= until:
            event = heapq.heappop(self._coming)
            match event.what:
                case "decide":
                    await self._decide(event.message, event.at)
                case "decline":
                    self.outcomes[event.name] = _DECLINED
                case "count":
                    counted = self._counted(event.message.first, event.at)
                    self._counts.update(each.counter for each in counted)

    async def _decide(self, message: _Message, at: datetime) -> None:
        record = message.first
        counted = self._counted(record, at)
        usage = {each.counter: self._used(record, each.counter) for each in counted}
        answered = message.yes is not None and message.yes <= at
        try:
            past = self._cases.recall(record)
            decision = await self._cases.decide(
                past, self._wishes, now=at, usage=usage, answered=answered
            )
        except Unjudged:
            self._as_it_was(message)
            return
        self.outcomes[record.id] = decision
        match decision.verdict:
            case Deliver():
                self._counts.update(each.counter for each in counted)
            case Hold() as hold:
                self._wait(message, hold, at)

    def _wait(self, message: _Message, hold: Hold, at: datetime) -> None:
        """Whose yes was never asked for gets none, and no no either."""
        if hold.reason != _ASKED:
            if hold.until > at:
                self._expect("decide", message, hold.until)
        elif message.yes is not None:
            self._expect("decide", message, message.yes)
        elif reason_of(message.last.verdict) == "declined":
            self._expect("decline", message, hold.until)

    def _as_it_was(self, message: _Message) -> None:
        """Nobody can tell what would have become of it: what it counted, it counts."""
        self.outcomes[message.first.id] = None
        for each in self._counted(message.first, message.first.at):
            self._used(message.first, each.counter)
        if isinstance(message.last.verdict, Deliver):
            self._expect("count", message, message.last.at)

    def _expect(
        self, what: Literal["decide", "decline", "count"], message: _Message, at: datetime
    ) -> None:
        heapq.heappush(self._coming, _Event(at, message.first.id, what, message))

    def _used(self, record: DecisionRecord, counter: str) -> int:
        """What was counted before the first of these messages, and since under other wishes."""
        recorded = record.case.usage if record.case else {}
        return self._known.setdefault(counter, recorded.get(counter, 0)) + self._counts[counter]

    def _counted(self, record: DecisionRecord, at: datetime) -> tuple[Counted, ...]:
        case = record.case
        if case is None:
            return ()
        domains = domains_of(case.sender, record.vendor)
        recipient = parse_address(record.recipient) or case.sender.author
        relationship = expected(
            self._wishes,
            record.vendor,
            domains,
            recipient=recipient,
            binding=case.binding,
            at=at,
        ) or lookup(self._wishes, record.vendor, domains, case.sender.author)
        return tuple(quotas_for(self._wishes, relationship, case.kind, at))


def _by_hand(message: _Message) -> bool:
    """Whether somebody said yes or no to this very message: no wishes did that.

    The consumer, or the mail server behind.
    """
    return any(finding.filter in {"consumer", "next-hop"} for finding in message.last.findings)


def _summed(
    days: int,
    messages: list[_Message],
    outcomes: dict[str, Decision | None],
    *,
    truncated: bool,
) -> Replayed:
    then: Counter[str] = Counter()
    now: Counter[str] = Counter()
    more = fewer = unjudged = 0
    differences: list[Difference] = []
    for first, last, _ in messages:
        decision = outcomes.get(first.id)
        if decision is None:
            unjudged += 1
            continue
        was, would = outcome_of(last.ruled), outcome_of(decision.verdict)
        then[was.verdict] += 1
        now[would.verdict] += 1
        more += _is_in(would) and not _is_in(was)
        fewer += _is_in(was) and not _is_in(would)
        if was != would:
            differences.append(
                Difference(
                    decision=first.id,
                    at=first.at,
                    vendor=first.vendor.name,
                    subject=first.subject,
                    then=was,
                    now=would,
                )
            )
    differences.reverse()
    return Replayed(
        days=days,
        messages=len(messages),
        then=dict(then),
        now=dict(now),
        more_in=more,
        fewer_in=fewer,
        unjudged=unjudged,
        differences=tuple(differences[:MOST_LISTED]),
        truncated=truncated or len(differences) > MOST_LISTED,
        observed=sum(last.would is not None for _, last, _ in messages),
    )


def _is_in(outcome: Outcome) -> bool:
    return outcome.verdict in {"deliver", "hold"}
