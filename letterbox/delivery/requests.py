"""Coming back: a vendor that is locked out asks once in a while, and the consumer answers.

What the vendor is answered rests on what it was told before, and on its own asking alone. What
has become of the relationship since, it hears in its feed, as far as its level then lets it.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

import msgspec
import structlog

from letterbox.delivery.herald import Herald, Said, covering
from letterbox.feedback.disclosure import Hearing
from letterbox.feedback.sentences import safe
from letterbox.model.preferences import Preferences, VendorRule
from letterbox.model.sender import VendorRef
from letterbox.model.times import days_after, later
from letterbox.model.told import EventType
from letterbox.model.vendor import Registered
from letterbox.model.verdict import DELIVER, Finding, Refuse
from letterbox.model.wishes import Relationship, Wishes
from letterbox.ports.clock import Clock
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
from letterbox.records.activity import Happened, activity
from letterbox.records.coding import decode, encode
from letterbox.records.consumers import Conflict, Consumers, Stored
from letterbox.records.ledger import Reference
from letterbox.records.names import new_id
from letterbox.records.requests import (
    KEPT,
    ReconnectEntry,
    RequestList,
    RequestState,
    ended,
    is_waiting,
)
from letterbox.records.vendors import Vendors
from letterbox.wishes import other_side

_ATTEMPTS: Final = 5
#: The longest note, in characters.
LONGEST_NOTE: Final = 280
_INSTANT: Final = timedelta(microseconds=1)
_HAPPENED: Final[dict[RequestState, Happened]] = {
    "declined": "reconnect.declined",
    "unanswered": "reconnect.unanswered",
    "settled": "reconnect.settled",
}

_NOTHING: Final = Preferences()

log = structlog.get_logger("letterbox.delivery")


class Asked(NamedTuple):
    """The consumer is asked; the last day (theirs) on which an answer may come."""

    until: date


class AskedBefore(Exception):
    """It was asked within the period already; ``again`` is the day (UTC) it may be asked anew."""

    def __init__(self, again: date) -> None:
        super().__init__(f"you have asked already; you may ask again from {again}")
        self.again = again


class Over(Exception):
    """A request waits no longer; ``became`` is what it came to."""

    def __init__(self, became: RequestState) -> None:
        super().__init__(f"the request waits no longer: it is {became}")
        self.became = became


class Waiting(NamedTuple):
    """A request at its consumer. ``becomes`` is the relationship that a yes makes of it."""

    entry: ReconnectEntry
    becomes: VendorRule | None


class _Standing(NamedTuple):
    """How a vendor stands with a consumer at one moment; no rule where none is in force."""

    stored: Stored
    wishes: Wishes
    rule: VendorRule | None
    now: datetime

    @property
    def day(self) -> date:
        return self.wishes.times.local_date(self.now)

    @property
    def is_blocked(self) -> bool:
        return self.rule is not None and self.rule.standing == "blocked"


class Requests:
    """Vendors' requests to be let back in. ``period`` is how often one may ask a consumer."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        consumers: Consumers,
        vendors: Vendors,
        herald: Herald,
        period: timedelta,
    ) -> None:
        self._store = store
        self._clock = clock
        self._consumers = consumers
        self._vendors = vendors
        self._herald = herald
        self._period = period
        self._list = RequestList(store)

    # ---- the vendor ----

    async def ask(self, vendor: str, reference: str, note: str) -> Asked | None:
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
        if row.heard.code != "vendor-blocked":
            return None
        for _ in range(_ATTEMPTS):
            asked = await self._asked(registered, reference, row, safe(note, LONGEST_NOTE))
            if asked is not None:
                return asked
        raise StoreUnavailable(f"what reference {reference} rests on keeps changing")

    async def _asked(
        self, vendor: Registered, reference: str, row: Reference, note: str
    ) -> Asked | None:
        """One try; None where something changed in between."""
        consumer, ref = row.consumer, _ref(vendor)
        partition = places.consumer(consumer)
        standing = await self._standing(consumer, vendor)
        now, times = standing.now, standing.wishes.times
        last = later(now, timedelta(days=standing.wishes.ask_for_days))
        until = times.period("day", last).ends
        asked = Asked(times.local_date(until - _INSTANT))
        entry = ReconnectEntry(
            id=new_id(now),
            at=now,
            vendor=ref,
            recipient=row.recipient,
            reference=reference,
            until=until,
            accepted=row.heard.remedies if row.heard else (),
            note=note,
        )
        expires = later(now, self._period)
        # By another of the consumer's addresses it must not be told that the two are one person's:
        # each has its own claim, and the consumer is asked once for all of them.
        again = days_after(expires.date(), 1).isoformat().encode()
        by_address = Claim(places.asked(vendor.id, row.recipient.lower()), again, expires)
        by_vendor = Claim(places.asked(vendor.id), again, expires)
        guard = Expect(key=places.PREFERENCES, revision=standing.stored.revision)
        said = self._stands(consumer, ref, standing, row.recipient)
        if standing.is_blocked:
            own: tuple[Operation, ...] = self._put(entry)
        else:
            own = said.own if said else ()
        commits = [Commit(partition, (guard, by_address, by_vendor, *own))]
        if said is not None and not standing.is_blocked:
            commits.append(msgspec.structs.replace(said.reference, with_all=True))
        result = (await self._store.commit(*commits))[0]
        if isinstance(result, Done):
            return asked
        if result.operation == by_vendor:
            result = (await self._store.commit(Commit(partition, (by_address,))))[0]
            if isinstance(result, Done):
                return asked
        if result.operation == by_address:
            raise AskedBefore(date.fromisoformat(result.found.decode()))
        self._consumers.forget(consumer)
        return None

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
        self, consumer: str, vendor: VendorRef, standing: _Standing, recipient: str
    ) -> Said | None:
        """What a vendor that is locked out no longer hears of that, once more."""
        if standing.rule is None or standing.is_blocked:
            return None
        finding = Finding(filter="relationship", verdict=DELIVER)
        kind: EventType = "relationship.reinstated"
        return self._said(consumer, vendor, standing, standing.rule, finding, kind, recipient)

    # ---- the consumer ----

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
        standing = await self._standing(consumer, vendor)
        if standing.rule is None or not standing.is_blocked:
            return Waiting(entry, None)
        return Waiting(entry, remedied(standing.rule, standing.day))

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
                return Waiting(entry, None)
            vendor = await self._vendors.get(entry.vendor.id)
            if not is_waiting(entry):
                raise Over(entry.state)
            standing = await self._standing(consumer, vendor)
            if vendor is None or standing.rule is None or not standing.is_blocked:
                if await self._end(consumer, entry, document.revision, "settled", standing):
                    raise Over("settled")
                continue
            becomes = remedied(standing.rule, standing.day)
            done = ended(entry, "accepted", standing.now)
            if await self._let_in(consumer, done, document.revision, standing, becomes):
                return Waiting(done, becomes)
            self._consumers.forget(consumer)
        raise StoreUnavailable(f"what request {name} rests on keeps changing")

    async def _let_in(
        self,
        consumer: str,
        done: ReconnectEntry,
        revision: int,
        standing: _Standing,
        becomes: VendorRule,
    ) -> bool:
        """Set the relationship, with the outcome for both sides; false where something changed."""
        key = ("vendor", other_side(becomes))
        had = standing.stored.pieces.get(("vendor", key[1]))
        if had is None:
            return False
        finding = Finding(filter="relationship", verdict=DELIVER)
        said = self._said(
            consumer,
            done.vendor,
            standing,
            becomes,
            finding,
            "relationship.reinstated",
            done.recipient,
        )
        if said is not None:
            # Before the change: a reference that nobody has heard of leads nowhere.
            await self._store.commit(said.reference)
        also = (
            *_ending(done, revision, standing.now),
            activity(
                standing.now,
                "reconnect.accepted",
                "request",
                done.vendor,
                recipient=done.recipient,
            ),
            *(said.own if said else ()),
        )
        try:
            await self._consumers.revise_piece(
                consumer,
                ("vendor", key[1]),
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
            standing = await self._standing(consumer, vendor)
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
        standing: _Standing,
    ) -> bool:
        """Write down what became of a request, and tell the vendor of a no."""
        now = standing.now
        said = None
        if state != "settled" and standing.rule is not None:
            finding = Finding(
                filter="request",
                verdict=Refuse(reason="declined"),
                facts={"vendor": entry.vendor.name},
            )
            said = self._said(
                consumer,
                entry.vendor,
                standing,
                standing.rule,
                finding,
                "relationship.blocked",
                entry.recipient,
            )
        operations = (
            Expect(key=places.PREFERENCES, revision=standing.stored.revision),
            *_ending(ended(entry, state, now), revision, now),
            activity(now, _HAPPENED[state], "request", entry.vendor, recipient=entry.recipient),
            *(said.own if said else ()),
        )
        commits = [Commit(places.consumer(consumer), operations)]
        if said is not None:
            commits.append(msgspec.structs.replace(said.reference, with_all=True))
        results = await self._store.commit(*commits)
        return isinstance(results[0], Done)

    # ---- both ----

    async def _standing(self, consumer: str, vendor: Registered | None) -> _Standing:
        """How a vendor stands with a consumer now."""
        stored = await self._consumers.stored(consumer) or Stored(_NOTHING, revision=0)
        core = msgspec.structs.replace(stored.preferences, interest=(), window=(), vendor=())
        wishes = self._consumers.compile(consumer, core, stored.revision)
        now = self._clock.now()
        rule = covering(stored, vendor, wishes.times.local_date(now)) if vendor else None
        return _Standing(stored, wishes, rule, now)

    def _said(
        self,
        consumer: str,
        vendor: VendorRef,
        standing: _Standing,
        rule: VendorRule,
        finding: Finding,
        kind: EventType,
        recipient: str,
    ) -> Said | None:
        """An event for the vendor, as far as its level lets it; None where it may hear nothing."""
        hearing = Hearing(
            vendor=vendor,
            relationship=Relationship(rule=rule, quotas=()),
            newcomers=standing.wishes.newcomers,
            times=standing.wishes.times,
        )
        if hearing.level == "nothing":
            return None
        return self._herald.say(
            consumer, hearing, finding, kind, recipient=recipient, now=standing.now
        )


def remedied(rule: VendorRule, today: date) -> VendorRule:
    """A relationship that is blocked as it is once its remedy is accepted: its limits and kinds."""
    remedy = rule.remedy
    changes: dict[str, object] = {"standing": "allowed", "because": None, "remedy": None}
    if remedy is not None:
        if remedy.limit is not None:
            changes["limit"] = remedy.limit
        if remedy.accepts:
            changes["accepts"] = remedy.accepts
        if remedy.from_ is not None and remedy.from_ > today:
            changes["from_"] = remedy.from_
    return msgspec.structs.replace(rule, **changes)


def _ending(done: ReconnectEntry, revision: int, now: datetime) -> tuple[Operation, ...]:
    """A request that is over stays in the list for a while. Of two at once one is left out."""
    key = places.REQUEST + done.id
    return (
        Put(key=key, value=encode(done), expect=revision),
        Schedule(key=key, at=later(now, KEPT)),
    )


def _ref(vendor: Registered) -> VendorRef:
    return VendorRef(id=vendor.id, name=vendor.name, registered=True, domains=vendor.own_domains)
