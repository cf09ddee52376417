"""Coming back: a vendor that is locked out asks the consumer once in a while.

What the vendor is answered rests on what it was told before, and on its own asking alone. What
has become of the relationship since, it hears in its feed, as far as its level then lets it.
"""

from datetime import date, timedelta
from typing import Final

import msgspec

from letterbox.delivery.herald import Said, ref_of
from letterbox.delivery.standings import Standing, Standings
from letterbox.feedback.sentences import safe
from letterbox.model.address import parse_address
from letterbox.model.sender import VendorRef
from letterbox.model.times import days_after, later
from letterbox.model.told import EventType
from letterbox.model.vendor import Registered
from letterbox.model.verdict import DELIVER, Finding
from letterbox.ports.store import (
    Claim,
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
from letterbox.records.activity import activity
from letterbox.records.coding import decode, encode
from letterbox.records.consumers import Consumers
from letterbox.records.ledger import Reference
from letterbox.records.names import new_id
from letterbox.records.requests import Beside, ReconnectEntry, is_waiting
from letterbox.records.vendors import Vendors

_ATTEMPTS: Final = 5
_LOOKED_AT: Final = 200
#: So many addresses beside the first hear of the outcome of one request.
MOST_BESIDE: Final = 20
#: The longest note, in characters.
LONGEST_NOTE: Final = 280
_INSTANT: Final = timedelta(microseconds=1)
#: As much as a request writes: whether there is anybody left to ask must not be measured.
_NOTHING: Final[tuple[Operation, ...]] = (
    Delete(key=places.REQUEST),
    Unschedule(key=places.REQUEST, expect=False),
    Delete(key=places.ACTIVITY),
)


class Asked(msgspec.Struct, frozen=True):
    """The consumer is asked. ``until`` is the last day (theirs) on which an answer may come.

    ``again`` is the day (UTC) from which it may be asked anew. ``key`` is the call's
    Idempotency-Key: who repeats the call after a crash hears what it would have heard.
    """

    until: date
    again: date
    key: str | None = None


class AskedBefore(Exception):
    """It was asked within the period already; ``again`` is the day (UTC) it may be asked anew."""

    def __init__(self, again: date) -> None:
        super().__init__(f"you have asked already; you may ask again from {again}")
        self.again = again


class Reconnecting:
    """Takes vendors' requests. ``period`` is how often a vendor may ask one consumer."""

    def __init__(
        self,
        *,
        store: Store,
        consumers: Consumers,
        vendors: Vendors,
        standings: Standings,
        period: timedelta,
    ) -> None:
        self._store = store
        self._consumers = consumers
        self._vendors = vendors
        self._standings = standings
        self._period = period

    async def ask(
        self, vendor: str, reference: str, note: str, *, key: str | None = None
    ) -> Asked | None:
        """Ask the consumer behind a reference to let the vendor back in.

        None where the reference was not told to this vendor as that of a lock-out, or never was.
        Raises :class:`AskedBefore`, StoreUnavailable.
        """
        registered = await self._vendors.get(vendor)
        value = await self._store.claim(places.reference(reference), places.REFERENCE)
        row = decode(value, Reference) if value else None
        # Whatever is amiss, it is found out without a question more.
        if registered is None or row is None or row.vendor != vendor or row.heard is None:
            return None
        if not row.locked_out and row.heard.code != "vendor-blocked":
            return None
        for _ in range(_ATTEMPTS):
            asked = await self._asked(registered, reference, row, note, key)
            if asked is not None:
                return asked
        raise StoreUnavailable(f"what reference {reference} rests on keeps changing")

    async def _asked(
        self, vendor: Registered, reference: str, row: Reference, note: str, key: str | None
    ) -> Asked | None:
        """One try; None where something changed in between."""
        consumer, ref = row.consumer, ref_of(vendor)
        partition = places.consumer(consumer)
        standing = await self._standings.of(consumer, vendor)
        now, times = standing.now, standing.wishes.times
        last = later(now, timedelta(days=standing.wishes.ask_for_days))
        until = times.period("day", last).ends
        expires = later(now, self._period)
        asked = Asked(times.local_date(until - _INSTANT), days_after(expires.date(), 1), key)
        entry = ReconnectEntry(
            id=new_id(now),
            at=now,
            vendor=ref,
            recipient=row.recipient,
            reference=reference,
            until=until,
            accepted=row.heard.remedies if row.heard else (),
            note=safe(note, LONGEST_NOTE),
        )
        # By another of the consumer's addresses it must not be told that the two are one person's:
        # each has its own claim, and the consumer is asked once for all of them. Of subaddresses
        # that are nobody's own everybody knows whose they are: without end as they are, they count
        # as their mailbox.
        value = encode(asked)
        address = parse_address(row.recipient)
        own = (await self._consumers.owned(address))[1] if address else row.recipient.lower()
        by_address = Claim(places.asked(vendor.id, str(own)), value, expires)
        by_vendor = Claim(places.asked(vendor.id), value, expires)
        guard = Expect(key=places.PREFERENCES, revision=standing.stored.revision)
        said = self._stands(consumer, ref, standing, row.recipient)
        news = self._put(entry) if standing.is_blocked else said.own if said else _NOTHING
        commits = [Commit(partition, (guard, by_address, by_vendor, *news))]
        if said is not None and not standing.is_blocked:
            commits.append(msgspec.structs.replace(said.reference, with_all=True))
        result = (await self._store.commit(*commits))[0]
        if isinstance(result, Done):
            return asked
        if result.operation == by_vendor:
            also = await self._beside(consumer, entry)
            result = (await self._store.commit(Commit(partition, (by_address, *also))))[0]
            if isinstance(result, Done):
                return asked
        if result.operation == by_address:
            before = decode(result.found, Asked)
            if key is not None and before.key == key:
                return before
            raise AskedBefore(before.again)
        return None

    async def _beside(self, consumer: str, entry: ReconnectEntry) -> tuple[Operation, ...]:
        """What has the outcome of a request that waits already told to this address as well."""
        partition = places.consumer(consumer)
        for document in await self._store.documents(
            partition, places.REQUEST, limit=_LOOKED_AT, descending=True
        ):
            waits = decode(document.value, ReconnectEntry)
            if is_waiting(waits) and waits.vendor.id == entry.vendor.id:
                if len(waits.beside) >= MOST_BESIDE:
                    return ()  # it is answered all the same
                beside = (*waits.beside, Beside(entry.recipient, entry.until))
                both = msgspec.structs.replace(waits, beside=beside)
                return (Put(document.key, encode(both), expect=document.revision),)
        return ()

    def _put(self, entry: ReconnectEntry) -> tuple[Operation, ...]:
        text = (*entry.accepted, *([entry.note] if entry.note else []))
        key = places.REQUEST + entry.id
        return (
            Put(key=key, value=encode(entry)),
            Schedule(key=key, at=entry.until),
            activity(
                entry.at,
                "reconnect.asked",
                "request",
                entry.vendor,
                recipient=entry.recipient,
                text=text,
            ),
        )

    def _stands(
        self, consumer: str, vendor: VendorRef, standing: Standing, recipient: str
    ) -> Said | None:
        """What a vendor that is locked out no longer hears of that, once more."""
        if standing.rule is None or standing.is_blocked:
            return None
        finding = Finding(filter="relationship", verdict=DELIVER)
        kind: EventType = "relationship.reinstated"
        return self._standings.said(
            consumer, vendor, standing, standing.rule, finding, kind, recipient
        )
