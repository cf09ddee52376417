"""Coming back: the consumer's answer to a vendor that is locked out and has asked."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec
import structlog

from letterbox.delivery.herald import Said
from letterbox.delivery.standings import Standing, Standings
from letterbox.model.preferences import VendorRule
from letterbox.model.sender import VendorRef
from letterbox.model.times import later
from letterbox.model.told import EventType
from letterbox.model.verdict import DELIVER, Finding, Refuse
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Commit,
    Delete,
    Done,
    Expect,
    Operation,
    Put,
    Schedule,
    Store,
    StoreUnavailable,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.activity import Happened, activity
from letterbox.records.coding import decode, encode
from letterbox.records.consumers import Conflict, Consumers
from letterbox.records.names import new_id
from letterbox.records.pieces import Key
from letterbox.records.requests import (
    Outcome,
    ReconnectEntry,
    RequestList,
    RequestState,
    ended,
    is_waiting,
)
from letterbox.records.vendors import Vendors
from letterbox.wishes import other_side

_ATTEMPTS: Final = 5
#: Within so long after the consumer's answer the other addresses hear of it.
_SPREAD: Final = timedelta(days=1)
_HAPPENED: Final[dict[RequestState, Happened]] = {
    "declined": "reconnect.declined",
    "unanswered": "reconnect.unanswered",
    "settled": "reconnect.settled",
}

log = structlog.get_logger("letterbox.delivery")


class Over(Exception):
    """A request waits no longer; ``became`` is what it came to."""

    def __init__(self, became: RequestState) -> None:
        super().__init__(f"the request waits no longer: it is {became}")
        self.became = became


class Waiting(NamedTuple):
    """A request at its consumer. ``becomes`` is the relationship that a yes makes of it."""

    entry: ReconnectEntry
    becomes: VendorRule | None


class Requests:
    """What waits for the consumer's answer, and what comes of it."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        consumers: Consumers,
        vendors: Vendors,
        standings: Standings,
        kept: timedelta,
    ) -> None:
        self._kept = kept
        self._store = store
        self._clock = clock
        self._consumers = consumers
        self._vendors = vendors
        self._standings = standings
        self._list = RequestList(store)

    async def page(
        self, consumer: str, *, after: str | None, limit: int
    ) -> tuple[Sequence[Waiting], str | None]:
        """The requests, newest first, and the id to go on from; None at the end."""
        page = await self._list.page(consumer, after=after, limit=limit)
        return [await self._shown(consumer, entry) for entry in page.items], page.after

    async def _shown(self, consumer: str, entry: ReconnectEntry) -> Waiting:
        vendor = await self._vendors.get(entry.vendor.id) if is_waiting(entry) else None
        if vendor is None:
            return Waiting(entry, None)
        standing = await self._standings.of(consumer, vendor)
        if standing.rule is None or not standing.is_blocked:
            return Waiting(entry, None)
        return Waiting(entry, standing.rule.repaired(standing.day))

    async def accept(self, consumer: str, name: str) -> Waiting | None:
        """Let the vendor back in, on the terms of the remedy; None where there is no request.

        Said again it has no second effect. Raises :class:`Over`,
        :class:`letterbox.records.consumers.Refused`, StoreUnavailable.
        """
        for _ in range(_ATTEMPTS):
            document = await self._list.document(consumer, name)
            if document is None:
                return None
            entry = decode(document.value, ReconnectEntry)
            if entry.state == "accepted":
                return Waiting(entry, entry.becomes)
            vendor = await self._vendors.get(entry.vendor.id)
            if not is_waiting(entry):
                raise Over(entry.state)
            standing = await self._standings.of(consumer, vendor)
            if vendor is None or standing.rule is None or not standing.is_blocked:
                if await self._end(consumer, entry, document.revision, "settled", standing):
                    raise Over("settled")
                continue
            becomes = standing.rule.repaired(standing.day)
            done = ended(entry, "accepted", standing.now, becomes)
            if await self._let_in(consumer, done, document.revision, standing, becomes):
                return Waiting(done, becomes)
            self._consumers.forget(consumer)
        raise StoreUnavailable(f"what request {name} rests on keeps changing")

    async def _let_in(
        self,
        consumer: str,
        done: ReconnectEntry,
        revision: int,
        standing: Standing,
        becomes: VendorRule,
    ) -> bool:
        """Set the relationship, with the outcome for both sides; false where something changed."""
        key: Key = ("vendor", other_side(becomes))
        had = standing.stored.pieces.get(key)
        if had is None:
            return False
        let_in = standing._replace(rule=becomes)
        said = self._outcome(consumer, done.vendor, let_in, done.recipient)
        if said is not None:
            # Before the change: a reference that nobody has heard of leads nowhere.
            await self._store.commit(said.reference)
        also = (
            *_ending(done, revision, standing.now, self._kept),
            activity(
                standing.now,
                "reconnect.accepted",
                "request",
                done.vendor,
                recipient=done.recipient,
            ),
            *(said.own if said else ()),
            *_owing(done, standing.now),
        )
        try:
            await self._consumers.revise_piece(
                consumer,
                key,
                becomes,
                expect=had.revision,
                now=standing.now,
                by="request",
                also=also,
            )
        except Conflict:
            return False
        log.info("reconnected", vendor=done.vendor.id, request=done.id)
        return True

    async def decline(self, consumer: str, name: str) -> Waiting | None:
        """Leave the vendor locked out, for good; None where there is no request.

        Said again it has no second effect. Raises :class:`Over`, StoreUnavailable.
        """
        return await self._close(consumer, name, "declined")

    async def expire(self, consumer: str, name: str) -> None:
        """The time of a request has come: no answer is a no, and what is over is forgotten."""
        document = await self._list.document(consumer, name)
        key = places.REQUEST + name
        partition = places.consumer(consumer)
        if document is None:
            gone = (Expect(key=key, revision=0), Unschedule(key=key, expect=False))
            await self._store.commit(Commit(partition, gone))
            return
        entry, now = decode(document.value, ReconnectEntry), self._clock.now()
        if not is_waiting(entry):
            forget = (Delete(key=key, expect=document.revision), Unschedule(key=key))
            await self._store.commit(Commit(partition, forget))
        elif now >= entry.until:
            await self._close(consumer, name, "unanswered")
        else:
            await self._store.commit(Commit(partition, (Schedule(key=key, at=entry.until),)))

    async def _close(self, consumer: str, name: str, state: RequestState) -> Waiting | None:
        """End a request without a yes."""
        for _ in range(_ATTEMPTS):
            document = await self._list.document(consumer, name)
            if document is None:
                return None
            entry = decode(document.value, ReconnectEntry)
            if entry.state == state:
                return Waiting(entry, None)
            if not is_waiting(entry):
                raise Over(entry.state)
            vendor = await self._vendors.get(entry.vendor.id)
            standing = await self._standings.of(consumer, vendor)
            became = state if standing.is_blocked else "settled"
            if await self._end(consumer, entry, document.revision, became, standing):
                return Waiting(ended(entry, became, standing.now), None)
            self._consumers.forget(consumer)
        raise StoreUnavailable(f"what request {name} rests on keeps changing")

    async def _end(
        self,
        consumer: str,
        entry: ReconnectEntry,
        revision: int,
        state: RequestState,
        standing: Standing,
    ) -> bool:
        """Write down what became of a request, and tell the vendor of a no."""
        now = standing.now
        done = ended(entry, state, now)
        said: Said | None = None
        if state != "settled":
            said = self._outcome(consumer, entry.vendor, standing, entry.recipient)
        operations = (
            Expect(key=places.PREFERENCES, revision=standing.stored.revision),
            *_ending(done, revision, now, self._kept),
            activity(now, _HAPPENED[state], "request", entry.vendor, recipient=entry.recipient),
            *(said.own if said else ()),
            *_owing(done, now),
        )
        return await self._commit(consumer, operations, said)

    async def tell(self, consumer: str, name: str) -> None:
        """An address beside the first is to be told of the outcome: as it is by now."""
        key = places.OUTCOME + name
        for _ in range(_ATTEMPTS):
            document = await self._store.get(places.consumer(consumer), key)
            if document is None:
                gone = (Expect(key=key, revision=0), Unschedule(key=key, expect=False))
                await self._commit(consumer, gone, None)
                return
            owed = decode(document.value, Outcome)
            vendor = await self._vendors.get(owed.vendor.id)
            standing = await self._standings.of(consumer, vendor)
            said = self._outcome(consumer, owed.vendor, standing, owed.recipient)
            operations = (
                Expect(key=places.PREFERENCES, revision=standing.stored.revision),
                Delete(key=key, expect=document.revision),
                Unschedule(key=key),
                *(said.own if said else ()),
            )
            if await self._commit(consumer, operations, said):
                return
            self._consumers.forget(consumer)
        raise StoreUnavailable(f"what outcome {name} rests on keeps changing")

    async def _commit(
        self, consumer: str, operations: tuple[Operation, ...], said: Said | None
    ) -> bool:
        """Write down what happened, and where the reference leads that was told of it."""
        commits = [Commit(places.consumer(consumer), operations)]
        if said is not None:
            commits.append(msgspec.structs.replace(said.reference, with_all=True))
        results = await self._store.commit(*commits)
        return isinstance(results[0], Done)

    def _outcome(
        self, consumer: str, vendor: VendorRef, standing: Standing, recipient: str
    ) -> Said | None:
        """What is told of a standing to who has asked; None where it may hear nothing."""
        if standing.rule is None:
            return None
        finding = Finding(filter="relationship", verdict=DELIVER)
        kind: EventType = "relationship.reinstated"
        if standing.is_blocked:
            verdict = Refuse(reason="declined")
            finding = Finding(filter="request", verdict=verdict, facts={"vendor": vendor.name})
            kind = "relationship.blocked"
        return self._standings.said(
            consumer, vendor, standing, standing.rule, finding, kind, recipient
        )


def _owing(done: ReconnectEntry, now: datetime) -> Iterator[Operation]:
    """The outcome is owed to each other address: apart, so that none is told to be another's.

    Where nobody answered it comes when each was told it would; an answer comes at any moment of
    the next day, as if each were somebody who takes their time, but never after that.
    """
    if done.state == "settled":
        return
    for each in done.beside:
        left = max(each.until - now, timedelta(0))
        if done.state != "unanswered":
            left = min(left, _SPREAD) * random.random()  # noqa: S311
        key = places.OUTCOME + new_id(now)
        yield Put(key=key, value=encode(Outcome(done.vendor, each.recipient)))
        yield Schedule(key=key, at=later(now, left))


def _ending(
    done: ReconnectEntry, revision: int, now: datetime, kept: timedelta
) -> tuple[Operation, ...]:
    """A request that is over stays in the list for a while. Of two at once one is left out."""
    key = places.REQUEST + done.id
    return (
        Put(key=key, value=encode(done), expect=revision),
        Schedule(key=key, at=later(now, kept)),
    )
