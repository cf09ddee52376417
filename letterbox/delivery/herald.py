"""What vendors are told of a changed relationship, in the very commit that changes it.

A vendor is told where three things hold: it is registered, there is a relationship in force
before or after the change, and it has written to one of the consumer's addresses. The event names
that address, and so no vendor learns of one, or that there is such a consumer. What is told is
what disclosure makes of it at the level of the new relationship; of one that has ended, at its
old level, what a newcomer hears. Nothing is told where that stays as it was, and nothing at
level ``nothing``. A relationship with a single author is told by the answers to that author
alone, and one that ends or begins by its own date by the next answer.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

import msgspec

from filters.relationship import blocked_because
from letterbox.feedback.disclosure import Disclosure, Hearing
from letterbox.feedback.events import event, relationship_event_type
from letterbox.model.address import parse_address
from letterbox.model.preferences import VendorRule
from letterbox.model.sender import VendorRef
from letterbox.model.times import later
from letterbox.model.told import EventType, Told
from letterbox.model.vendor import Registered
from letterbox.model.verdict import DELIVER, Decision, Fact, Finding, Refuse
from letterbox.model.wishes import Relationship, Wishes
from letterbox.ports.store import Commit, Emit, Operation, Put, Schedule, Store
from letterbox.records import places
from letterbox.records.activity import Happened, activity
from letterbox.records.changes import By, Telling
from letterbox.records.checks import Owner, owners_of
from letterbox.records.coding import decode, encode
from letterbox.records.consumers import Consumers, Stored
from letterbox.records.feed import Owed
from letterbox.records.ledger import Ledger, Reference
from letterbox.records.names import new_reference
from letterbox.records.requests import ReconnectEntry, ended, is_waiting
from letterbox.records.vendors import Vendors
from letterbox.wishes import name_of

#: Acts that tell the vendor themselves, with the message that they were about.
_TELL_THEMSELVES: Final = frozenset({"answer", "advertising", "unwanted", "objection", "request"})
_HAPPENED: Final[Mapping[EventType, Happened]] = {
    "relationship.blocked": "relationship.blocked",
    "relationship.changed": "relationship.changed",
    "relationship.reinstated": "relationship.reinstated",
}
_PAGE: Final = 500


class Said(NamedTuple):
    """What tells one vendor: operations on the consumer's partition, and the reference's commit."""

    own: tuple[Operation, ...]
    reference: Commit


class _Change(NamedTuple):
    """A vendor's relationship before and after; None where there is none in force."""

    vendor: VendorRef
    before: VendorRule | None
    after: VendorRule | None
    wishes: Wishes


class Herald:
    """Says what vendors are told of changed relationships. It writes nothing itself."""

    def __init__(
        self,
        *,
        store: Store,
        consumers: Consumers,
        vendors: Vendors,
        ledger: Ledger,
        disclosure: Disclosure,
        requests_kept: timedelta,
    ) -> None:
        self._requests_kept = requests_kept
        self._store = store
        self._consumers = consumers
        self._vendors = vendors
        self._ledger = ledger
        self._disclosure = disclosure

    async def tells(
        self, consumer: str, before: Stored | None, after: Stored, *, by: By, now: datetime
    ) -> Telling:
        """What a change of preferences owes the vendors whose relationships it changes."""
        if before is None:
            return Telling()
        touched = await self._touched(before, after)
        if not touched:
            return Telling()
        core = msgspec.structs.replace(after.preferences, interest=(), window=(), vendor=())
        wishes = self._consumers.compile(consumer, core, after.revision)
        day = wishes.times.local_date(now)
        knows = await self._addresses(consumer, after)
        waiting = await self._waiting(consumer)
        own: list[Operation] = []
        others: list[Commit] = []
        for vendor in touched:
            ref = ref_of(vendor)
            was, is_ = covering(before, vendor, day), covering(after, vendor, day)
            if by not in _TELL_THEMSELVES and (recipient := knows.get(vendor.id)):
                change = _Change(ref, was, is_, wishes)
                said = self._told(consumer, change, recipient, now)
                if said is not None:
                    own += said.own
                    others.append(msgspec.structs.replace(said.reference, with_all=True))
            if by != "request" and not (is_ and is_.standing == "blocked"):
                own += _settling(waiting, ref, now, self._requests_kept)
        return Telling(tuple(own), tuple(others))

    def say(
        self,
        consumer: str,
        hearing: Hearing,
        finding: Finding,
        kind: EventType,
        *,
        recipient: str,
        now: datetime,
        message: str = "",
        decision: str = "",
    ) -> Said:
        """An event about a relationship, an entry of the consumer's log, and their reference."""
        told_as = Decision(verdict=finding.verdict, findings=(finding,))
        told = self._disclosure.tell(told_as, hearing, new_reference())
        dutch = self._disclosure.speaking("nl").tell(told_as, hearing, told.reference)
        day = hearing.times.local_date(now)
        said = event(
            kind,
            told,
            name=new_reference(),  # an id that sorts by time would tell the hour
            at=datetime.combine(day, time(), tzinfo=UTC),
            message=message,
            recipient=recipient,
        )
        rule = hearing.relationship.rule if hearing.relationship else None
        if rule is not None and rule.standing == "ask":
            # What comes next waits for a yes: neither taken nor refused is the truth.
            said = msgspec.structs.replace(said, verdict=None)
        owed = Owed(vendor=hearing.vendor.id, event=said, at=now)
        log = activity(
            now,
            _HAPPENED[kind],
            "feed",
            hearing.vendor,
            recipient=recipient,
            told=told,
            decision=decision,
        )
        row = Reference(
            consumer=consumer,
            decision=decision,
            told=told,
            vendor=hearing.vendor.id,
            heard=told.reason,
            recipient=recipient,
            dutch=dutch.reason,
            about="relationship",
            locked_out=kind == "relationship.blocked",
        )
        return Said((Emit(value=encode(owed)), log), self._ledger.reference(row, now))

    def _told(self, consumer: str, change: _Change, recipient: str, now: datetime) -> Said | None:
        """What one vendor is told; None where it may hear nothing, or nothing new."""
        before, after = change.before, change.after
        hearing = _hearing(change, after)
        if hearing.level == "nothing" or (before is None and after is None):
            return None
        if after is None and (
            _hearing(change, before).level == "nothing"
            or change.wishes.newcomers != "refuse"
            or change.wishes.observes
        ):
            # What was never told has no end; and where newcomers are asked about or let in, their
            # next answer says what it comes to.
            return None
        finding = _finding(after, change.vendor.name)
        if self._heard(change, before) == self._heard(change, after):
            kinds = _kinds(before, after, change.vendor.name)
            if kinds is None or hearing.level == "class":
                return None
            finding = kinds
        kind: EventType = "relationship.changed"
        if after is not None:
            kind = relationship_event_type(before.standing if before else None, after.standing)
        return self.say(consumer, hearing, finding, kind, recipient=recipient, now=now)

    def _heard(self, change: _Change, rule: VendorRule | None) -> tuple[object, ...]:
        """What a vendor hears of a standing, comparable with what it heard before."""
        finding = _finding(rule, change.vendor.name)
        decision = Decision(verdict=finding.verdict, findings=(finding,))
        told = self._disclosure.tell(decision, _hearing(change, rule), "")
        asks = rule is not None and rule.standing == "ask"
        return (told.verdict == "refuse", told.reason, asks)

    async def _touched(self, before: Stored, after: Stored) -> list[Registered]:
        """The registered vendors whose relationship may be another than it was."""
        names, domains = set[str](), set[str]()
        for key in {*before.pieces, *after.pieces}:
            was, is_ = before.pieces.get(key), after.pieces.get(key)
            if key[0] != "vendor" or (was and is_ and was.value == is_.value):
                continue
            for piece in (was, is_):
                if piece is not None and isinstance(piece.value, VendorRule):
                    (names if piece.value.vendor else domains).add(key[1])
        if not names and not domains:
            return []
        # A rule for a domain may be about any vendor that has one below it.
        known = await self._vendors.directory() if domains else names
        found = [await self._vendors.get(name) for name in {*known, *names}]
        return [
            vendor
            for vendor in found
            if vendor is not None
            and (name_of(vendor.id) in names or any(map(domains.__contains__, _upwards(vendor))))
        ]

    async def _addresses(self, consumer: str, after: Stored) -> dict[str, str]:
        """The address that each vendor has written to, where it is still the consumer's own.

        Not one that was given to another vendor.
        """
        own = owners_of(consumer, after.preferences)
        found = {}
        for key, value in await self._documents(consumer, places.WROTE):
            vendor, address = key.removeprefix(places.WROTE), parse_address(value.decode())
            if address is None:
                continue
            exact = msgspec.structs.replace(address, local=address.local.lower())
            owner = own.get(places.address(exact)) or own.get(places.address(exact.mailbox))
            registered = await self._vendors.get(vendor)
            if owner is not None and registered is not None and _may_use(registered, owner):
                found[vendor] = value.decode()
        return found

    async def _waiting(self, consumer: str) -> list[ReconnectEntry]:
        rows = await self._documents(consumer, places.REQUEST)
        return [
            row for row in (decode(value, ReconnectEntry) for _, value in rows) if is_waiting(row)
        ]

    async def _documents(self, consumer: str, prefix: str) -> list[tuple[str, bytes]]:
        found: list[tuple[str, bytes]] = []
        while True:
            after = found[-1][0] if found else None
            page = await self._store.documents(
                places.consumer(consumer), prefix, after=after, limit=_PAGE
            )
            found += [(document.key, document.value) for document in page]
            if len(page) < _PAGE:
                return found


def covering(stored: Stored, vendor: Registered, day: date) -> VendorRule | None:
    """The relationship with a vendor as a whole that is in force on a local day.

    As :func:`letterbox.wishes.lookup` finds it for a message with the vendor's key.
    """
    found = _named(stored, name_of(vendor.id), "vendor")
    if found is None:
        nearest = [
            rule
            for domain in vendor.own_domains
            if (rule := next(filter(None, _above(stored, domain)), None))
        ]
        blocked = (rule for rule in nearest if rule.standing == "blocked")
        found = next(blocked, nearest[0] if nearest else None)
    if found is None or not Relationship(rule=found, quotas=()).in_force(day):
        return None
    return found


def _named(stored: Stored, name: str, side: str) -> VendorRule | None:
    piece = stored.pieces.get(("vendor", name))
    rule = piece.value if piece else None
    return rule if isinstance(rule, VendorRule) and getattr(rule, side) else None


def _above(stored: Stored, domain: str) -> Iterator[VendorRule | None]:
    while domain:
        yield _named(stored, domain, "domain")
        domain = domain.partition(".")[2]


def _upwards(vendor: Registered) -> Iterator[str]:
    """A vendor's domains and all above them."""
    for domain in vendor.own_domains:
        name = domain
        while name:
            yield name
            name = name.partition(".")[2]


def _may_use(vendor: Registered, owner: Owner) -> bool:
    """Whether an address is a vendor's to write to, as far as it was given to one."""
    names = {name_of(vendor.id), *_upwards(vendor)}
    return owner.binding is None or name_of(owner.binding) in names


def foretold(
    disclosure: Disclosure,
    vendor: VendorRef,
    before: VendorRule | None,
    after: VendorRule,
    wishes: Wishes,
    reference: str,
) -> Told:
    """What a vendor would read of a change of its relationship; nothing is written or sent."""
    change = _Change(vendor, before, after, wishes)
    finding = _kinds(before, after, vendor.name) or _finding(after, vendor.name)
    decision = Decision(verdict=finding.verdict, findings=(finding,))
    return disclosure.tell(decision, _hearing(change, after), reference)


def ref_of(vendor: Registered) -> VendorRef:
    """A registered vendor as it is known by all of its domains."""
    return VendorRef(id=vendor.id, name=vendor.name, registered=True, domains=vendor.own_domains)


def _hearing(change: _Change, rule: VendorRule | None) -> Hearing:
    return Hearing(
        vendor=change.vendor,
        relationship=Relationship(rule=rule, quotas=()) if rule else None,
        newcomers=change.wishes.newcomers,
        times=change.wishes.times,
    )


def _finding(rule: VendorRule | None, vendor: str) -> Finding:
    """What mail of a vendor gets by the standing of its relationship alone."""
    facts: dict[str, Fact] = {"vendor": vendor}
    if rule is None:
        verdict = Refuse(reason="vendor-not-allowed")
        return Finding(filter="relationship", verdict=verdict, facts=facts)
    if rule.standing == "blocked":
        verdict = Refuse(reason="vendor-blocked")
        facts |= blocked_because(rule)
        return Finding(filter="relationship", verdict=verdict, facts=facts)
    return Finding(filter="relationship", verdict=DELIVER)


def _kinds(before: VendorRule | None, after: VendorRule | None, vendor: str) -> Finding | None:
    """What a change of the kinds that are accepted comes to; None where they stay."""
    if before is None or after is None or "blocked" in {before.standing, after.standing}:
        return None
    dropped = [str(kind) for kind in before.accepts if kind not in after.accepts]
    if not dropped and set(before.accepts) == set(after.accepts):
        return None
    if not dropped:
        return Finding(filter="kind", verdict=DELIVER)
    facts: dict[str, Fact] = {
        "vendor": vendor,
        "kind": dropped,
        "kinds": [str(kind) for kind in after.accepts],
    }
    return Finding(filter="kind", verdict=Refuse(reason="kind-not-wanted"), facts=facts)


def _settling(
    waiting: list[ReconnectEntry], vendor: VendorRef, now: datetime, kept: timedelta
) -> Iterator[Operation]:
    """Requests to come back of a vendor that is not locked out any more wait no longer."""
    for entry in waiting:
        if entry.vendor.id == vendor.id:
            key = places.REQUEST + entry.id
            yield Put(key=key, value=encode(ended(entry, "settled", now)))
            yield Schedule(key=key, at=later(now, kept))
            yield activity(
                now, "reconnect.settled", "request", entry.vendor, recipient=entry.recipient
            )
