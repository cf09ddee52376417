"""The smallest changes of wishes that would have let a refused message through."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import msgspec

from letterbox.hindsight.cases import PastCases, Unjudged, case_again
from letterbox.hindsight.edits import Edit, Obstacle, edits
from letterbox.model.preferences import Preferences
from letterbox.model.record import DecisionRecord
from letterbox.model.verdict import Decision, Deliver, Finding, Hold, Refuse, name_of
from letterbox.model.wishes import Wishes
from letterbox.ports.clock import Clock
from letterbox.records.changes import PieceChange, differences
from letterbox.records.consumers import Consumers
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.pieces import Stored, arrange

#: Within these days it is counted which other refused messages a change would let in.
DAYS: Final = 30
#: Other refused messages that are looked at for that.
_MOST_OTHERS: Final = 300
#: Combinations that are tried, rules that one changes at most, and what is offered.
_MOST_TRIED: Final = 60
_MOST_RULES: Final = 4
_MOST_OFFERED: Final = 5
_AT_A_TIME: Final = 20


class Found(NamedTuple):
    """A combination of edits that lets the message through.

    ``others`` of the refused messages of the last ``DAYS`` days it would let in beside;
    ``unjudged`` of them cannot be told, because their text is gone.
    """

    edits: tuple[Edit, ...]
    preferences: Preferences
    changes: tuple[PieceChange, ...]
    others: int
    unjudged: int

    @property
    def id(self) -> str:
        """The same change has the same name, as long as the wishes stay as they are."""
        return hashlib.sha256(msgspec.json.encode(self.changes)).hexdigest()[:12]


class Changes:
    """Finds changes, and tries every one of them before it is offered."""

    def __init__(
        self, *, cases: PastCases, consumers: Consumers, mailboxes: Mailboxes, clock: Clock
    ) -> None:
        self._cases = cases
        self._consumers = consumers
        self._mailboxes = mailboxes
        self._clock = clock

    async def of(self, record: DecisionRecord, stored: Stored) -> Sequence[Found]:
        """Changes of what is ``stored`` now, the best first.

        That is: fewest rules, then the narrowest reach, then the fewest others let in.
        Raises :class:`Unjudged` where nothing is known any more.
        """
        found = await self._search(record, stored)
        others = await self._others(record)
        wishes = self._compile(record, stored.preferences, stored.revision)
        judged = [(each, *await self._let_in(each, others, wishes, stored)) for each in found]
        offered = [each._replace(others=more, unjudged=gone) for each, more, gone in judged]
        offered.sort(key=lambda each: (
            len(each.edits), sum(edit.reach for edit in each.edits), each.others, each.id,
        ))  # fmt: skip
        return offered[:_MOST_OFFERED]

    async def _search(self, record: DecisionRecord, stored: Stored) -> list[Found]:
        """Breadth first: one rule, then two, as far as something still stands in the way."""
        found: list[Found] = []
        tried = 0
        pending: list[tuple[tuple[Edit, ...], Preferences]] = [((), stored.preferences)]
        while pending and tried < _MOST_TRIED:
            path, preferences = pending.pop(0)
            tried += 1
            obstacle = await self._obstacle(record, preferences, stored.revision)
            if obstacle is None:
                if path:
                    found.append(self._found(path, preferences, stored))
                continue
            if len(path) < _MOST_RULES:
                pending += [((*path, edit), edit.preferences) for edit in edits(obstacle)]
        return found

    async def _obstacle(
        self, record: DecisionRecord, preferences: Preferences, revision: int
    ) -> Obstacle | None:
        """The first rule that refuses it; None where it would be taken."""
        wishes = self._compile(record, preferences, revision)
        decision, message = await self._cases.look(record, wishes)
        finding = _refusing(decision)
        if finding is None:
            return None
        case = case_again(record, message, wishes)
        return Obstacle(finding, case, message, preferences)

    def _found(self, path: tuple[Edit, ...], preferences: Preferences, stored: Stored) -> Found:
        pieces = arrange(preferences, stored.pieces, stored.revision + 1)
        after = Stored(preferences, stored.revision + 1, pieces)
        return Found(path, preferences, differences(stored, after), 0, 0)

    async def _others(self, record: DecisionRecord) -> list[DecisionRecord]:
        """Other messages that were refused of late and have not been let in since."""
        page = await self._mailboxes.decisions(
            record.consumer, after=None, limit=_MOST_OTHERS, verdict="refuse"
        )
        oldest = self._clock.now() - timedelta(days=DAYS)
        return [
            each
            for each in page.items
            if each.id != record.id and each.at >= oldest and each.followed_by is None
        ]

    async def _let_in(
        self, found: Found, others: Sequence[DecisionRecord], before: Wishes, stored: Stored
    ) -> tuple[int, int]:
        wishes = self._compile(others[0], found.preferences, stored.revision) if others else before
        more = gone = 0
        for nth, record in enumerate(others):
            if nth % _AT_A_TIME == 0:
                await asyncio.sleep(0)  # others are served meanwhile
            try:
                then = await self._cases.decide(record, before)
                now = await self._cases.decide(record, wishes)
            except Unjudged:
                gone += 1
            else:
                more += not _is_taken(then) and _is_taken(now)
        return more, gone

    def _compile(self, record: DecisionRecord, preferences: Preferences, revision: int) -> Wishes:
        return self._consumers.compile(record.consumer, preferences, revision)


def _refusing(decision: Decision) -> Finding | None:
    for finding in decision.findings:
        if isinstance(finding.verdict, Refuse):
            return finding
    if name_of(decision.verdict) == "defer":
        raise Unjudged
    return None


def _is_taken(decision: Decision) -> bool:
    return isinstance(decision.verdict, (Deliver, Hold))
