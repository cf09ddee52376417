"""Vendors: the registered ones, whose a domain is, and who stands behind a proven one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from letterbox.model.preferences import Vendor, VendorRule
from letterbox.model.sender import Proven, VendorRef
from letterbox.model.told import Event, EventType, ToldReason
from letterbox.model.vendor import Basis, Chosen, Registered, Suspension
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Commit,
    Delete,
    Emit,
    Operation,
    Put,
    Schedule,
    Store,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.cache import Recent
from letterbox.records.coding import decode, encode
from letterbox.records.feed import Owed
from letterbox.records.names import new_id
from letterbox.wishes import name_of

_CACHED = 20_000
_PAGE = 500
#: A deeper name is looked up by its last labels only.
MOST_LABELS = 8


class Claimant(msgspec.Struct, frozen=True):
    """Whose a domain is; an empty ``vendor`` for nobody's.

    ``changed`` is when it last passed from one vendor to another or to nobody, ``before`` who
    had it until then, ``back`` what ``changed`` is again when that one has it back.
    """

    vendor: str = ""
    basis: Basis = "operator"
    changed: datetime | None = None
    before: str = ""
    back: datetime | None = None


_NONE = Claimant()


class Holder(NamedTuple):
    """The vendor who has a domain or the nearest one above it, if any.

    ``domain`` is the one it has, ``changed`` the latest change of hands on the way there.
    """

    vendor: str
    domain: str
    basis: Basis
    changed: datetime | None


class DomainTaken(Exception):
    """A domain is another vendor's already."""

    def __init__(self, domain: str, vendor: str) -> None:
        super().__init__(f"{domain} belongs to vendor {vendor} already")
        self.domain = domain
        self.vendor = vendor


class IdTaken(Exception):
    """An id is that of a vendor that registered by itself, and has not proven these domains."""

    def __init__(self, vendor: str) -> None:
        super().__init__(f"a vendor has registered as {vendor} by itself already")


class Vendors:
    """Vendors over the store. Every change goes through here, so what is cached holds.

    ``organization`` gives the organizational domain of a folded domain,
    ``is_mailbox_provider`` whether a domain's authors are people of all kinds, so that it is
    nobody's vendor; both are pure.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        organization: Callable[[str], str],
        is_mailbox_provider: Callable[[str], bool],
    ) -> None:
        self._store = store
        self._clock = clock
        self._organization = organization
        self._is_mailbox_provider = is_mailbox_provider
        self._changing = asyncio.Lock()
        self._vendors: Recent[str, Registered] = Recent(_CACHED)
        self._claimants: Recent[str, Claimant] = Recent(_CACHED)
        self._directory: dict[str, Vendor] | None = None
        #: Grows with every change, so that what was worked out from vendors is known to be old.
        self.changes = 0

    # ---- who there is

    async def get(self, name: str) -> Registered | None:
        """A registered vendor."""
        known = self._vendors.get(name)
        if known is not None:
            return known
        drops = self._vendors.drops
        document = await self._store.get(places.vendor(name), places.VENDOR)
        if document is None:
            return None
        vendor = msgspec.json.decode(document.value, type=Registered)
        self._vendors.put(name, vendor, read_at=drops)
        return vendor

    async def known(self, name: str) -> bool:
        """Whether wishes may speak of a vendor by that name, in whatever case it is written.

        Not of one that has proven nothing yet: its name may be another's tomorrow.
        """
        for spelling in dict.fromkeys((name_of(name), name)):
            vendor = await self.get(spelling)
            if vendor is not None:
                return not vendor.is_nobody_yet
        return False

    async def name(self, name: str) -> str:
        """What a registered vendor is called; empty for none. Costs the same either way."""
        document = await self._store.get(places.vendor(name), places.VENDOR)
        return msgspec.json.decode(document.value, type=Registered).name if document else ""

    async def all(self) -> list[str]:
        """The ids of all registered vendors, in order."""
        names: list[str] = []
        after: str | None = None
        while page := await self._store.documents(
            places.DIRECTORY, "vendor/", after=after, limit=_PAGE
        ):
            names += [document.key.removeprefix("vendor/") for document in page]
            after = page[-1].key
        return names

    async def directory(self) -> Mapping[str, Vendor]:
        """Every registered vendor by its id: read once, and then kept in memory.

        What a consumer's mail costs must not tell which vendors that consumer has.
        """
        if self._directory is not None:
            return self._directory
        async with self._changing:
            if self._directory is None:
                found = [await self.get(name) for name in await self.all()]
                self._directory = {vendor.id: vendor for vendor in found if vendor is not None}
            return self._directory

    # ---- who stands behind a domain

    async def behind(self, sender: Proven) -> VendorRef:
        """The vendor a proven sender is: registered, or known by domain, or one person."""
        holder = await self.holder(sender.domain)
        registered = sender.vendor or holder.vendor
        if registered and (vendor := await self.get(registered)):
            # A key stands for the vendor whole, under whatever domain its mail is written.
            domains = vendor.own_domains if sender.how == "key" else ()
            holders = [(domain, await self.holder(domain)) for domain in domains]
            return VendorRef(
                id=vendor.id,
                name=vendor.name,
                registered=True,
                domains=domains,
                changed=holder.changed,
                changes=tuple((name, each.changed) for name, each in holders if each.changed),
                chose_id=vendor.registered == "self",
            )
        if self._is_mailbox_provider(sender.domain):
            person = str(sender.author)
            return VendorRef(id=person, name=person, registered=False)
        organization = self._organization(sender.domain)
        return VendorRef(
            id=organization, name=organization, registered=False, changed=holder.changed
        )

    async def holder(self, domain: str) -> Holder:
        """Whose a domain is, by its own claim or the nearest one above it."""
        labels = domain.split(".")[-MOST_LABELS:]
        changed: datetime | None = None
        for start in range(len(labels) - 1):
            name = ".".join(labels[start:])
            claimant = await self._claimant(name)
            if claimant.changed and (changed is None or claimant.changed > changed):
                changed = claimant.changed
            if claimant.vendor:
                return Holder(claimant.vendor, name, claimant.basis, changed)
        return Holder("", "", "operator", changed)

    async def changed(self, rule: VendorRule) -> datetime | None:
        """When a domain that a relationship speaks of last changed hands."""
        domain = rule.domain or (rule.address or "").rpartition("@")[2]
        domains: tuple[str, ...] = (name_of(domain),) if domain else ()
        if rule.vendor and (vendor := await self.get(name_of(rule.vendor))):
            domains = vendor.own_domains
        changes = [(await self.holder(each)).changed for each in domains]
        return max(filter(None, changes), default=None)

    async def _claimant(self, domain: str) -> Claimant:
        known = self._claimants.get(domain)
        if known is not None:
            return known
        drops = self._claimants.drops
        document = await self._store.get(places.domain(domain), places.OWNER)
        claimant = decode(document.value, Claimant) if document else _NONE
        self._claimants.put(domain, claimant, read_at=drops)
        return claimant

    async def taken(self, vendor: Vendor) -> str | None:
        """The first of a vendor's domains that is another's."""
        for domain in vendor.own_domains:
            claimant = await self._claimant(domain)
            if claimant.vendor not in {"", vendor.id}:
                return domain
        return None

    async def is_squatted(self, vendor: Vendor) -> bool:
        """Whether the id is that of one who registered by itself, and is not proven to be this.

        Whoever it is holds keys: domains that it has not proven must not become its own.
        """
        known = await self.get(vendor.id)
        if known is None or known.registered == "operator":
            return False
        return known.is_nobody_yet or not set(vendor.own_domains) <= set(known.own_domains)

    # ---- changing

    async def replace(self, vendor: Vendor) -> None:
        """Register a vendor by the operator's word, or change it.

        What it has proven by itself stays its own. Raises :class:`DomainTaken`, and
        :class:`IdTaken` where somebody else may have come first.
        """
        async with self._changing:
            if await self.is_squatted(vendor):
                raise IdTaken(vendor.id)
            if domain := await self.taken(vendor):
                raise DomainTaken(domain, (await self._claimant(domain)).vendor)
            before = await self.get(vendor.id)
            fields = {name: getattr(vendor, name) for name in Vendor.__struct_fields__}
            if before is None:
                after = Registered(**fields, at=self._clock.now())
            else:
                # Whom the operator names, the operator vouches for. What it chose itself stays
                # until the operator says something new: a file that is applied again says nothing.
                chosen = before.chosen if vendor.reply == before.reply else None
                after = msgspec.structs.replace(
                    before, **fields, registered="operator", chosen=chosen
                )
            await self._set(before, after)

    async def add(self, vendor: Registered, *also: Operation) -> bool:
        """Register a vendor that asks for it itself; false where the id is taken.

        ``also`` are operations on its partition.
        """
        async with self._changing:
            if await self.get(vendor.id) is not None:
                return False
            await self._set(None, vendor, also=also)
            return True

    async def forget_nobody(
        self, name: str, also: Sequence[Operation], revoke: Callable[[str], Awaitable[None]]
    ) -> bool:
        """Forget a vendor that registered by itself and never proved anything; false for others.

        ``also`` are operations on its partition. Its keys go first, by ``revoke``: whoever
        registers under the same id must not find them good, whenever we are killed.
        """
        async with self._changing:
            vendor = await self.get(name)
            if vendor is None or not vendor.is_nobody_yet or vendor.had_domain:
                return False
            await revoke(name)
            await self._commit(
                Commit(places.vendor(name), (Delete(key=places.VENDOR), *also)),
                _one(places.DIRECTORY, Delete(key=f"vendor/{name}")),
            )
            self._changed(name, None)
            await revoke(name)  # one that was just being made
            return True

    async def suspend(
        self, name: str, suspension: Suspension | None, *, reason: ToldReason | None = None
    ) -> bool:
        """Suspend a vendor, or with None let it go on, and tell it; false where there is none."""
        async with self._changing:
            before = await self.get(name)
            if before is None:
                return False
            now = self._clock.now()
            kind: EventType = "vendor.suspended" if suspension else "vendor.resumed"
            event = Event(id=new_id(now), type=kind, at=now, reason=reason)
            owed = Owed(vendor=name, event=event, at=now)
            after = msgspec.structs.replace(before, suspended=suspension)
            await self._set(before, after, also=(Emit(encode(owed)),))
            return True

    async def choose(self, name: str, chosen: Chosen) -> Registered | None:
        """Set what a vendor has chosen itself; None where there is no such vendor."""
        async with self._changing:
            before = await self.get(name)
            if before is None:
                return None
            after = msgspec.structs.replace(before, chosen=chosen)
            await self._set(before, after)
            return after

    async def prove(
        self,
        name: str,
        domain: str,
        again: datetime,
        *,
        also: Sequence[Operation] = (),
        taken_from: str = "",
        lost: Sequence[Operation] = (),
    ) -> None:
        """Give a vendor a domain that it has proven.

        ``again`` is when the proof is looked up again; ``taken_from`` whose it may be until now;
        ``also`` are operations on the vendor's partition, ``lost`` on that of the one who loses
        the domain. Raises :class:`DomainTaken` where it is somebody else's by now, or by the
        operator's word, LookupError where there is no such vendor.
        """
        async with self._changing:
            before = await self.get(name)
            if before is None:
                raise LookupError(name)
            claimant = await self._claimant(domain)
            free = claimant.vendor in {"", name}
            if not free and (claimant.vendor != taken_from or claimant.basis == "operator"):
                raise DomainTaken(domain, claimant.vendor)
            loser = None if free else await self.get(claimant.vendor)
            proven = tuple(dict.fromkeys((*before.proven, domain)))
            after = msgspec.structs.replace(before, proven=proven, had_domain=True)
            more = [_one(places.domain(domain), Schedule(key=places.RECHECK, at=again))]
            if loser is None:
                await self._set(before, after, also=also, more=more)
                return
            left = _without(loser, domain)
            put = Put(key=places.VENDOR, value=msgspec.json.encode(left))
            more.append(Commit(places.vendor(loser.id), (put, *lost)))
            await self._set(before, after, also=also, more=more)
            self._changed(loser.id, left)

    async def disprove(self, name: str, domain: str, *also: Operation) -> bool:
        """Take a domain from a vendor that has proven it before, and does so no more.

        False where it has not, and nothing was done.
        """
        async with self._changing:
            before = await self.get(name)
            if before is None or domain not in before.proven:
                return False
            after = _without(before, domain)
            stop = Unschedule(key=places.RECHECK, expect=False)
            await self._set(before, after, also=also, more=[_one(places.domain(domain), stop)])
            return True

    async def _set(
        self,
        before: Registered | None,
        after: Registered,
        *,
        also: Iterable[Operation] = (),
        more: Iterable[Commit] = (),
    ) -> None:
        """Write a vendor, and whose its domains are, in one call."""
        put = Put(key=places.VENDOR, value=msgspec.json.encode(after))
        commits = [Commit(places.vendor(after.id), (put, *also))]
        if before is None:
            commits.append(_one(places.DIRECTORY, Put(key=f"vendor/{after.id}", value=b"")))
        old = set(before.own_domains) if before else set()
        touched = sorted(old.symmetric_difference(after.own_domains))
        for domain in touched:
            has = domain in after.own_domains
            basis: Basis = "dns" if has and domain in after.proven else "operator"
            claimant = await self._passed(domain, after.id if has else "", basis)
            commits.append(_one(places.domain(domain), Put(places.OWNER, encode(claimant))))
        await self._commit(*commits, *more)
        self._changed(after.id, after)
        for domain in touched:
            self._claimants.drop(domain)

    async def _commit(self, *commits: Commit) -> None:
        """Commit. What fails may be written all the same, so all that was read is read anew."""
        try:
            await self._store.commit(*commits)
        except BaseException:
            self.changes += 1
            self._vendors.clear()
            self._claimants.clear()
            self._directory = None
            raise

    def _changed(self, name: str, vendor: Registered | None) -> None:
        """A vendor is another than it was, or is none any more: once that is durable."""
        self.changes += 1
        self._vendors.drop(name)
        if self._directory is None:
            return
        self._directory.pop(name, None)
        if vendor is not None:
            self._directory[name] = vendor

    async def _passed(self, domain: str, vendor: str, basis: Basis) -> Claimant:
        """A domain's claimant when it passes to ``vendor``, or to nobody.

        That is a change of hands where somebody else had it before, itself or from above.
        """
        was = await self._claimant(domain)
        last = (await self.holder(domain)).vendor or was.before
        if not last:
            return Claimant(vendor, basis)
        if last == vendor:
            # To have back what nobody else had in between is none.
            changed = was.changed if was.vendor else was.back
            return Claimant(vendor, basis, changed=changed, before=was.before)
        now = self._clock.now()
        return Claimant(vendor, basis, changed=now, before=last, back=was.changed)


def _without(vendor: Registered, domain: str) -> Registered:
    """A vendor that has a domain no more which it had proven."""
    proven = tuple(each for each in vendor.proven if each != domain)
    return msgspec.structs.replace(vendor, proven=proven, had_domain=True)


def _one(partition: str, operation: Operation) -> Commit:
    return Commit(partition=partition, operations=(operation,))
