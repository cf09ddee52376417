"""What other wishes would have done with the mail of the last days. Nothing is changed by it."""

import asyncio
import heapq
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from letterbox.hindsight.cases import PastCases, Unjudged
from letterbox.model.preferences import Preferences
from letterbox.model.record import DecisionRecord
from letterbox.model.sender import domains_of
from letterbox.model.verdict import (
    Decision,
    Deliver,
    Hold,
    VerdictName,
    name_of,
    reason_of,
)
from letterbox.model.wishes import Counted, Wishes
from letterbox.ports.clock import Clock
from letterbox.records.consumers import Consumers
from letterbox.records.mailboxes import Mailboxes
from letterbox.wishes import lookup, quotas_for

#: Decisions that are looked at, and differences that are listed.
MOST_CASES: Final = 5_000
MOST_LISTED: Final = 500
#: Decisions after which others are served.
_AT_A_TIME: Final = 20
_PAGE: Final = 500


class Outcome(msgspec.Struct, frozen=True):
    """What became of a message, or would have."""

    verdict: VerdictName
    reason: str | None


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


class _Message(NamedTuple):
    """One message from first to last: the first decision about it, and the last."""

    first: DecisionRecord
    last: DecisionRecord


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
        self, consumer: str, preferences: Preferences, revision: int, *, days: int
    ) -> Replayed:
        """Replay the last ``days`` days of a consumer's mail under sound ``preferences``."""
        messages, truncated = await self._messages(consumer, days)
        wishes = self._consumers.compile(consumer, preferences, revision)
        course = _Course(self._cases, wishes)
        outcomes: dict[str, Decision | None] = {}
        for nth, message in enumerate(messages):
            if nth % _AT_A_TIME == 0:
                await asyncio.sleep(0)
            await course.release(message.first.at, outcomes)
            outcomes[message.first.id] = await course.arrive(message)
        await course.release(self._clock.now(), outcomes)
        return _summed(days, messages, outcomes, truncated=truncated)

    async def _messages(self, consumer: str, days: int) -> tuple[list[_Message], bool]:
        """The messages that came, the oldest first; and whether there were too many."""
        oldest = self._clock.now() - timedelta(days=days)
        rows: dict[str, DecisionRecord] = {}
        after: str | None = None
        while len(rows) < MOST_CASES:
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
        return [_Message(first, _last(first, rows)) for first in firsts], too_many


def _last(row: DecisionRecord, rows: dict[str, DecisionRecord]) -> DecisionRecord:
    while row.followed_by is not None and row.followed_by in rows:
        row = rows[row.followed_by]
    return row


class _Course:
    """Time as it goes by under other wishes: what counts, and what waits."""

    def __init__(self, cases: PastCases, wishes: Wishes) -> None:
        self._cases = cases
        self._wishes = wishes
        self._counts: Counter[str] = Counter()
        self._known: defaultdict[str, int] = defaultdict(int)
        self._waiting: list[tuple[datetime, str, DecisionRecord]] = []

    async def arrive(self, message: _Message) -> Decision | None:
        """What becomes of a message when it comes; None where nobody can tell."""
        if _by_hand(message):
            return None
        return await self._decide(message.first, message.first.at)

    async def release(self, until: datetime, outcomes: dict[str, Decision | None]) -> None:
        """Decide again about what waits for a time that has come by then."""
        while self._waiting and self._waiting[0][0] <= until:
            at, name, record = heapq.heappop(self._waiting)
            outcomes[name] = await self._decide(record, at)

    async def _decide(self, record: DecisionRecord, at: datetime) -> Decision | None:
        counted = self._counted(record, at)
        usage = {each.counter: self._used(record, each.counter) for each in counted}
        try:
            decision = await self._cases.decide(record, self._wishes, now=at, usage=usage)
        except Unjudged:
            return None
        match decision.verdict:
            case Deliver():
                self._counts.update(each.counter for each in counted)
            case Hold() as hold if hold.reason == "window-closed" and hold.until > at:
                heapq.heappush(self._waiting, (hold.until, record.id, record))
        return decision

    def _used(self, record: DecisionRecord, counter: str) -> int:
        """What was counted before the first of these messages, and since under other wishes."""
        if counter not in self._known:
            recorded = record.case.usage if record.case else {}
            self._known[counter] = recorded.get(counter, 0)
        return self._known[counter] + self._counts[counter]

    def _counted(self, record: DecisionRecord, at: datetime) -> tuple[Counted, ...]:
        case = record.case
        if case is None:
            return ()
        domains = domains_of(case.sender, record.vendor)
        relationship = lookup(self._wishes, record.vendor, domains, case.sender.author)
        return tuple(quotas_for(self._wishes, relationship, case.kind, at))


def _by_hand(message: _Message) -> bool:
    """Whether the consumer said yes or no to this very message: no wishes did that."""
    return any(finding.filter == "consumer" for finding in message.last.findings)


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
    for first, last in messages:
        decision = outcomes.get(first.id)
        if decision is None:
            unjudged += 1
            continue
        was = Outcome(name_of(last.verdict), reason_of(last.verdict))
        would = Outcome(name_of(decision.verdict), reason_of(decision.verdict))
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
    )


def _is_in(outcome: Outcome) -> bool:
    return outcome.verdict in {"deliver", "hold"}
