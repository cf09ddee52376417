"""Suggestions for a consumer who watches, or filters: what each would do, and its adoption."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import msgspec

from letterbox.hindsight.advice import Idea, Seen, advise
from letterbox.hindsight.cases import PastCases, PastMessage, Unjudged, case_again
from letterbox.hindsight.edits import Edit
from letterbox.model.preferences import Interest, Preferences, VendorRule, Window
from letterbox.model.verdict import Decision, Deliver, name_of
from letterbox.model.wishes import Wishes
from letterbox.ports.clock import Clock
from letterbox.records.changes import PieceChange, differences, imagined, plain
from letterbox.records.consumers import Conflict, Consumers
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.pieces import Stored, Value, arrange, name_of_piece
from letterbox.wishes import quotas_for

#: The days that are looked at, and the messages of them: the newest.
DAYS: Final = 30
MOST_LOOKED_AT: Final = 300
#: What is suggested at once; the rest comes when some of it is done.
MOST_SUGGESTED: Final = 20
_TYPES: Final[Mapping[str, type]] = {
    "interest": Interest,
    "window": Window,
    "vendor": VendorRule,
}


class Effect(msgspec.Struct, frozen=True):
    """What would become of the messages that a suggestion is about: of ``about`` so many.

    ``refused`` counts those that the rules would refuse, ``wait`` those that they would hold;
    ``unjudged`` rest on texts that are gone.
    """

    about: int
    come: int
    wait: int
    refused: int
    unjudged: int = 0


class Suggestion(NamedTuple):
    """One change to adopt. ``changes`` are its pieces before and after: one, but for days apart."""

    edit: Edit
    changes: tuple[PieceChange, ...]
    effect: Effect

    @property
    def id(self) -> str:
        """The same change has the same name, as long as the wishes stay as they are."""
        return hashlib.sha256(msgspec.json.encode(self.changes)).hexdigest()[:32]

    @property
    def piece(self) -> tuple[str, str]:
        """What it is about, of which one suggestion alone can be adopted."""
        change = self.changes[0]
        return change.piece, change.id


class Observed(NamedTuple):
    """The mail that suggestions rest on: ``messages``, and how many of them came by no rule.

    ``opened``: some were read here; where none was, all of them count as wanted.
    """

    suggestions: tuple[Suggestion, ...]
    messages: int
    stopped: int
    stored: Stored
    opened: bool = True


class Adopted(NamedTuple):
    """What was changed, from which revision of the preferences to which."""

    before: int
    after: int
    changes: tuple[PieceChange, ...]


class Suggestions:
    """Finds what to suggest, and makes a suggestion what counts."""

    def __init__(
        self, *, cases: PastCases, consumers: Consumers, mailboxes: Mailboxes, clock: Clock
    ) -> None:
        self._cases = cases
        self._consumers = consumers
        self._mailboxes = mailboxes
        self._clock = clock

    async def of(self, consumer: str) -> Observed | None:
        """What to suggest, what explains most first; None where there is no such consumer.

        Rests on the mail since the consumer only watches, of the last ``DAYS`` days at most.
        """
        stored = await self._consumers.stored(consumer)
        if stored is None:
            return None
        wishes = self._compile(consumer, stored.preferences, stored)
        seen = await self._seen(consumer, stored, wishes)
        ideas = sorted(advise(seen, stored.preferences), key=lambda idea: -len(idea.about))
        found = [
            await self._suggestion(consumer, idea, seen, stored) for idea in ideas[:MOST_SUGGESTED]
        ]
        stopped = sum(each.stopped is not None for each in seen)
        opened = any(each.opened for each in seen)
        return Observed(tuple(each for each in found if each), len(seen), stopped, stored, opened)

    async def find(self, consumer: str, name: str) -> Suggestion | None:
        """The suggestion of an id, as long as the wishes are what they were."""
        observed = await self.of(consumer)
        every = observed.suggestions if observed else ()
        return next((each for each in every if each.id == name), None)

    async def adopt(
        self,
        consumer: str,
        name: str,
        *,
        value: Value | None = None,
        expect: int | None = None,
    ) -> Adopted | None:
        """Make a suggestion count; None where there is none of that id (any more).

        ``value``: its piece as the consumer wants it instead, where it is one piece. ``expect``
        is the revision of the preferences that the consumer saw. Raises :class:`Conflict`,
        :class:`letterbox.records.consumers.Refused`, and ValueError for a ``value`` that is
        another piece.
        """
        observed = await self.of(consumer)
        if observed is None:
            return None
        found = next((each for each in observed.suggestions if each.id == name), None)
        if found is None:
            return None
        if expect not in {None, observed.stored.revision}:
            raise Conflict(observed.stored.revision)
        changes = found.changes if value is None else (_instead(found, value, observed.stored),)
        return await self._adopt(consumer, observed.stored, changes)

    async def adopt_all(
        self, consumer: str, names: Collection[str], *, expect: int
    ) -> Adopted | None:
        """Make several count as one change: of two about one piece the first.

        None where none of them is there (any more). Raises what :meth:`adopt` does.
        """
        observed = await self.of(consumer)
        if observed is None:
            return None
        if expect != observed.stored.revision:
            raise Conflict(observed.stored.revision)
        chosen = first_of_each(each for each in observed.suggestions if each.id in names)
        changes = tuple(change for each in chosen for change in each.changes)
        return await self._adopt(consumer, observed.stored, changes) if changes else None

    async def _adopt(
        self, consumer: str, stored: Stored, changes: Sequence[PieceChange]
    ) -> Adopted:
        wanted = imagined(
            stored.preferences, [(each.piece, each.id, each.after) for each in changes]
        )
        revision = await self._consumers.revise(
            consumer, wanted, expect=stored.revision, now=self._clock.now(), by="suggestion"
        )
        return Adopted(stored.revision, revision, _differences(wanted, stored))

    # ---- what came ----

    async def _seen(self, consumer: str, stored: Stored, wishes: Wishes) -> list[Seen]:
        """What came of late, as the rules of now see it. What nobody can tell is left out."""
        oldest = self._clock.now() - timedelta(days=DAYS)
        since = max(oldest, stored.observing or oldest)
        page = await self._mailboxes.decisions(
            consumer,
            after=None,
            limit=MOST_LOOKED_AT,
            wanted=lambda row: row.case is not None and row.follows is None and row.at >= since,
        )
        inbox = await self._mailboxes.inbox(consumer, after=None, limit=MOST_LOOKED_AT)
        opened = {entry.message for entry in inbox.items if entry.read}
        messages = [self._cases.recall(record) for record in page.items]
        decisions = await self._decided(messages, wishes)
        found = []
        for message in messages:
            record, decision = message.record, decisions[message.record.id]
            if decision is not None:
                case = case_again(record, message, wishes)
                found.append(Seen(message, case, decision, record.message in opened))
        return found

    async def _decided(
        self, messages: Sequence[PastMessage], wishes: Wishes
    ) -> dict[str, Decision | None]:
        """What wishes say of messages, in the order in which they came; None where nobody can tell.

        What they would let in counts towards their limits from the first of these messages on.
        """
        counts: Counter[str] = Counter()
        found: dict[str, Decision | None] = {}
        for message in sorted(messages, key=lambda each: (each.record.at, each.record.id)):
            await asyncio.sleep(0)  # others are served meanwhile
            record = message.record
            related = case_again(record, message, wishes).relationship
            quotas = quotas_for(wishes, related, message.kind, record.at)
            usage = {each.counter: counts[each.counter] for each in quotas}
            try:
                decision = await self._cases.decide(message, wishes, usage=usage)
            except Unjudged:
                found[record.id] = None
                continue
            found[record.id] = decision
            if isinstance(decision.verdict, Deliver):
                counts.update(usage.keys())
        return found

    async def _suggestion(
        self, consumer: str, idea: Idea, seen: Sequence[Seen], stored: Stored
    ) -> Suggestion | None:
        """What an idea would do; None where it changes nothing."""
        preferences = idea.edit.preferences
        changes = _differences(preferences, stored)
        if not changes:
            return None
        wishes = self._compile(consumer, preferences, stored)
        about = [each.message for each in seen if each.record.id in idea.about]
        return Suggestion(idea.edit, changes, await self._effect(about, wishes))

    async def _effect(self, messages: Sequence[PastMessage], wishes: Wishes) -> Effect:
        decisions = (await self._decided(messages, wishes)).values()
        outcomes = Counter(name_of(each.verdict) if each else "unjudged" for each in decisions)
        return Effect(
            about=len(messages),
            come=outcomes["deliver"],
            wait=outcomes["hold"],
            refused=outcomes["refuse"],
            unjudged=outcomes["unjudged"] + outcomes["defer"],
        )

    def _compile(self, consumer: str, preferences: Preferences, stored: Stored) -> Wishes:
        return self._consumers.compile(consumer, preferences, stored.revision, stored.pieces)


def first_of_each(suggestions: Iterable[Suggestion]) -> list[Suggestion]:
    """Those that can be adopted together: of two about one piece the first."""
    found: dict[tuple[str, str], Suggestion] = {}
    for each in suggestions:
        found.setdefault(each.piece, each)
    return list(found.values())


def _differences(preferences: Preferences, stored: Stored) -> tuple[PieceChange, ...]:
    pieces = arrange(preferences, stored.pieces, stored.revision + 1)
    return differences(stored, Stored(preferences, stored.revision + 1, pieces))


def _instead(found: Suggestion, value: Value, stored: Stored) -> PieceChange:
    """The change with another value of the same piece. Raises ValueError where it is none."""
    change = found.changes[0]
    if len(found.changes) > 1 or change.piece == "core" or not _is(change.piece, value):
        raise ValueError(f"the suggestion is about one {change.piece}; adopt it as it is")
    name = name_of_piece(value) or change.id
    if name != change.id and (change.piece == "vendor" or change.before is not None):
        raise ValueError(f"the suggestion is about {change.id}, not about {name}")
    if change.before is None and (change.piece, name) in stored.pieces:
        raise ValueError(f"there is a {change.piece} {name} already")
    return msgspec.structs.replace(change, id=name, after=plain(value))


def _is(sort: str, value: Value) -> bool:
    return isinstance(value, _TYPES.get(sort, ()))
