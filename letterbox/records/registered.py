"""The registered vendors, and who stands behind a proven sender: read, and remembered."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from letterbox.model.preferences import Vendor, VendorRule
from letterbox.model.sender import Proven, VendorRef
from letterbox.model.vendor import Registered
from letterbox.ports.clock import Clock
from letterbox.ports.store import Store
from letterbox.records import places
from letterbox.records.cache import Recent
from letterbox.records.holders import Holder, Holders
from letterbox.wishes import mailbox_of, name_of

_CACHED = 20_000
_PAGE = 500
#: Vendors that are asked for at once, where all are read.
_TOGETHER = 64


class RegisteredVendors:
    """Vendors over the store. What is known of them is remembered until somebody changes it.

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
        self._holders = Holders(store, clock)
        # One reading of the directory at a time, to save work.
        self._reading = asyncio.Lock()
        self._vendors: Recent[str, Registered] = Recent(_CACHED)
        #: Who stands behind a domain, or behind that and a vendor's key: made anew after any
        #: change, of whichever vendor or domain.
        self._behind: Recent[tuple[str, str | None, str], VendorRef] = Recent(_CACHED)
        #: Every vendor, as of the change of that number; and those that have changed since, all
        #: of them at first.
        self._directory: dict[str, Vendor] = {}
        self._directory_at = -1
        self._unread: set[str] | None = None
        #: Grows with every change, so that what was worked out from vendors is known to be old.
        self.changes = 0
        store.listen(self._hear)

    def _hear(self, partition: str | None) -> None:
        if partition is None:
            self.changes += 1
            self._behind.clear()
            self._vendors.clear()
            self._unread = None
            return
        room, name = places.room(partition)
        if room in {"vendor", "domain"}:
            self._behind.clear()
        if room == "vendor":
            self.changes += 1
            self._vendors.drop(name)
            if self._unread is not None:
                self._unread.add(name)

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
        if self._directory_at != self.changes:
            async with self._reading:
                while self._directory_at != self.changes:
                    await self._read_directory()
        return self._directory

    async def _read_directory(self) -> None:
        """Read those that have changed. What changes meanwhile comes next."""
        at, unread = self.changes, self._unread
        self._unread = set()
        try:
            names = await self.all() if unread is None else [*unread]
            found: dict[str, Registered | None] = {}
            for start in range(0, len(names), _TOGETHER):
                some = names[start : start + _TOGETHER]
                found |= zip(some, await asyncio.gather(*map(self.get, some)), strict=True)
        except BaseException:
            self._unread = None
            raise
        if unread is None:
            self._directory = {}
        for name, vendor in found.items():
            self._directory.pop(name, None)
            if vendor is not None:
                self._directory[name] = vendor
        self._directory_at = at

    # ---- who stands behind a domain

    async def behind(self, sender: Proven) -> VendorRef:
        """The vendor a proven sender is: registered, or known by domain, or one person."""
        asked = (sender.domain, sender.vendor, sender.how)
        known = self._behind.get(asked)
        if known is not None:
            return known
        drops = self._behind.drops
        holder = await self.holder(sender.domain)
        registered = sender.vendor or holder.vendor
        if registered and (vendor := await self.get(registered)):
            # A key stands for the vendor whole, under whatever domain its mail is written.
            domains = vendor.own_domains if sender.how == "key" else ()
            holders = [(domain, await self.holder(domain)) for domain in domains]
            found = VendorRef(
                id=vendor.id,
                name=vendor.name,
                registered=True,
                domains=domains,
                changed=holder.changed,
                changes=tuple((name, each.changed) for name, each in holders if each.changed),
                chose_id=vendor.registered == "self",
            )
            self._behind.put(asked, found, read_at=drops)
            return found
        if self._is_mailbox_provider(sender.domain):
            person = str(sender.author)
            return VendorRef(id=person, name=person, registered=False)
        organization = self._organization(sender.domain)
        return VendorRef(
            id=organization, name=organization, registered=False, changed=holder.changed
        )

    async def across(self, rule: VendorRule) -> VendorRef:
        """The vendor on the other side of a relationship, as its messages name it."""
        if rule.vendor:
            registered = name_of(rule.vendor)
        else:
            domain = name_of(rule.domain or (rule.address or "").rpartition("@")[2])
            registered = (await self.holder(domain)).vendor
        if registered and (vendor := await self.get(registered)):
            return VendorRef(
                id=vendor.id, name=vendor.name, registered=True, domains=vendor.own_domains
            )
        if rule.address and self._is_mailbox_provider(domain):
            name = mailbox_of(rule.address)
        else:
            name = registered if rule.vendor else self._organization(domain)
        return VendorRef(id=name, name=rule.key, registered=False)

    async def holder(self, domain: str, *, anew: bool = False) -> Holder:
        """Whose a domain is, by its own claim or the nearest one above it.

        ``anew``: news of its own may still be on the way.
        """
        if anew:
            await self._holders.now(domain)
            self._behind.clear()
        return await self._holders.holder(domain)

    async def changed(self, rule: VendorRule) -> datetime | None:
        """When a domain that a relationship speaks of last changed hands."""
        domain = rule.domain or (rule.address or "").rpartition("@")[2]
        domains: tuple[str, ...] = (name_of(domain),) if domain else ()
        if rule.vendor and (vendor := await self.get(name_of(rule.vendor))):
            domains = vendor.own_domains
        changes = [(await self.holder(each)).changed for each in domains]
        return max(filter(None, changes), default=None)

    async def taken(self, vendor: Vendor) -> str | None:
        """The first of a vendor's domains that is another's."""
        for domain in vendor.own_domains:
            claimant = await self._holders.claimant(domain)
            if claimant.vendor not in {"", vendor.id}:
                return domain
        return None

    async def is_squatted(self, vendor: Vendor) -> bool:
        """Whether the id is that of one who registered by itself, and is not proven to be this.

        Whoever it is holds keys: domains that it has not proven must not become its own.
        """
        return is_squatted(await self.get(vendor.id), vendor)


def is_squatted(known: Registered | None, vendor: Vendor) -> bool:
    """Whether ``known`` holds the id of ``vendor`` without being proven to be it."""
    if known is None or known.registered == "operator":
        return False
    return known.is_nobody_yet or not set(vendor.own_domains) <= set(known.own_domains)
