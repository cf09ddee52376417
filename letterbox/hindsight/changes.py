"""The smallest changes of wishes that would have let a refused message through."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import msgspec

from letterbox.hindsight.cases import PastCases, PastMessage, Unjudged, case_again
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
#: Combinations that are tried, rules that one changes at most, what is offered, and of how many
#: it is counted whom else they let in.
_MOST_TRIED: Final = 60
_MOST_RULES: Final = 4
_MOST_OFFERED: Final = 5
_MOST_COUNTED: Final = 10


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
        found.sort(key=_size)
        judged = await self._let_in(found[:_MOST_COUNTED], record, stored)
        judged.sort(key=lambda each: (*_size(each), each.others, each.id))
        return judged[:_MOST_OFFERED]

    async def _search(self, record: DecisionRecord, stored: Stored) -> list[Found]:
        """Breadth first: one rule, then two, as far as something still stands in the way."""
        found: list[Found] = []
        tried = 0
        message = self._cases.recall(record)
        pending: list[tuple[tuple[Edit, ...], Preferences]] = [((), stored.preferences)]
        while pending and tried < _MOST_TRIED:
            path, preferences = pending.pop(0)
            if any(_is_part(each.edits, path) for each in found):
                continue  # fewer changes do the same
            tried += 1
            await asyncio.sleep(0)  # others are served meanwhile
            try:
                obstacle = await self._obstacle(message, preferences, stored)
            except Unjudged:
                if path:
                    continue  # this change alone asks for what is gone
                raise
            if obstacle is None:
                if path and not await self._is_mistaken(record, preferences, stored):
                    found.append(self._found(path, preferences, stored))
                continue
            if len(path) < _MOST_RULES:
                pending += [((*path, edit), edit.preferences) for edit in edits(obstacle)]
        return found

    async def _obstacle(
        self, message: PastMessage, preferences: Preferences, stored: Stored
    ) -> Obstacle | None:
        """The first rule that refuses it; None where it would be taken."""
        record = message.record
        wishes = self._compile(record, preferences, stored)
        finding = _refusing(await self._cases.decide(message, wishes))
        if finding is None:
            return None
        return Obstacle(finding, case_again(record, message, wishes), message, preferences)

    async def _is_mistaken(
        self, record: DecisionRecord, preferences: Preferences, stored: Stored
    ) -> bool:
        """Whether a change makes a mistake that is not there now: it could not be declared."""
        after = await self._consumers.own_mistakes(record.consumer, preferences)
        if not after:
            return False
        before = await self._consumers.own_mistakes(record.consumer, stored.preferences)
        return not set(after) <= set(before)

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
        self, found: Sequence[Found], record: DecisionRecord, stored: Stored
    ) -> list[Found]:
        """What is found, with how many other messages each would let in."""
        before = self._compile(record, stored.preferences, stored)
        after = [self._compile(record, each.preferences, stored) for each in found]
        more, gone = [0] * len(found), [0] * len(found)
        for other in await self._others(record) if found else ():
            await asyncio.sleep(0)  # others are served meanwhile
            message = self._cases.recall(other) if other.case else None
            for nth, wishes in enumerate(after):
                taken = await self._is_let_in(message, before, wishes)
                more[nth] += taken is True
                gone[nth] += taken is None
        return [
            each._replace(others=others, unjudged=unjudged)
            for each, others, unjudged in zip(found, more, gone, strict=True)
        ]

    async def _is_let_in(
        self, message: PastMessage | None, before: Wishes, after: Wishes
    ) -> bool | None:
        """Whether the change alone lets a message in; None where nobody can tell."""
        if message is None:
            return None
        try:
            now = await self._cases.decide(message, after)
            return _is_taken(now) and not _is_taken(await self._cases.decide(message, before))
        except Unjudged:
            return None

    def _compile(self, record: DecisionRecord, preferences: Preferences, stored: Stored) -> Wishes:
        return self._consumers.compile(record.consumer, preferences, stored.revision, stored.pieces)


def _size(found: Found) -> tuple[int, int]:
    """How many rules it changes, and how far they reach."""
    return len(found.edits), sum(edit.reach for edit in found.edits)


def _is_part(edits: Sequence[Edit], path: Sequence[Edit]) -> bool:
    """Whether all of some edits are among those of a path."""
    said = [(edit.name, edit.facts) for edit in path]
    return all((edit.name, edit.facts) in said for edit in edits)


def _refusing(decision: Decision) -> Finding | None:
    for finding in decision.findings:
        if isinstance(finding.verdict, Refuse):
            return finding
    if name_of(decision.verdict) == "defer":
        raise Unjudged
    return None


def _is_taken(decision: Decision) -> bool:
    return isinstance(decision.verdict, (Deliver, Hold))
