"""Vendors: the registered ones, and who stands behind a proven domain."""

import asyncio
from collections.abc import Callable

import msgspec

from letterbox.model.preferences import Vendor
from letterbox.model.sender import Proven, VendorRef
from letterbox.ports.store import Commit, Delete, Operation, Put, Store
from letterbox.records import places
from letterbox.records.cache import Recent
from letterbox.records.coding import decode, encode
from letterbox.wishes import name_of

_CACHED = 20_000
_PAGE = 500
_MAX_LABELS = 8  # a deeper name is looked up by its last labels only


class Claimant(msgspec.Struct, frozen=True):
    """The registered vendor a domain belongs to; empty for none."""

    vendor: str = ""


_NONE = Claimant()


class DomainTaken(Exception):
    """A domain is another vendor's already."""

    def __init__(self, domain: str, vendor: str) -> None:
        super().__init__(f"{domain} belongs to vendor {vendor} already")
        self.domain = domain


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
        organization: Callable[[str], str],
        is_mailbox_provider: Callable[[str], bool],
    ) -> None:
        self._store = store
        self._organization = organization
        self._is_mailbox_provider = is_mailbox_provider
        self._changing = asyncio.Lock()
        self._vendors: Recent[str, Vendor] = Recent(_CACHED)
        self._claimants: Recent[str, Claimant] = Recent(_CACHED)

    async def get(self, name: str) -> Vendor | None:
        """A registered vendor."""
        known = self._vendors.get(name)
        if known is not None:
            return known
        document = await self._store.get(places.vendor(name), places.VENDOR)
        if document is None:
            return None
        vendor = msgspec.json.decode(document.value, type=Vendor)
        self._vendors.put(name, vendor)
        return vendor

    async def known(self, name: str) -> bool:
        """Whether a vendor is registered under a name, in whatever case it is written."""
        for spelling in dict.fromkeys((name_of(name), name)):
            if await self.get(spelling) is not None:
                return True
        return False

    async def name(self, name: str) -> str:
        """What a registered vendor is called; empty for none. Costs the same either way."""
        document = await self._store.get(places.vendor(name), places.VENDOR)
        return msgspec.json.decode(document.value, type=Vendor).name if document else ""

    async def behind(self, sender: Proven) -> VendorRef:
        """The vendor a proven sender is: registered, or known by domain, or one person."""
        registered = sender.vendor or await self.having(sender.domain)
        if registered and (vendor := await self.get(registered)):
            # A key stands for the vendor whole, under whatever domain its mail is written.
            domains = vendor.own_domains if sender.how == "key" else ()
            return VendorRef(id=vendor.id, name=vendor.name, registered=True, domains=domains)
        if self._is_mailbox_provider(sender.domain):
            person = str(sender.author)
            return VendorRef(id=person, name=person, registered=False)
        organization = self._organization(sender.domain)
        return VendorRef(id=organization, name=organization, registered=False)

    async def having(self, domain: str) -> str:
        """The id of the vendor who has this domain or the nearest one above it; empty for none."""
        labels = domain.split(".")[-_MAX_LABELS:]
        for start in range(len(labels) - 1):
            claimant = await self._claimant(".".join(labels[start:]))
            if claimant.vendor:
                return claimant.vendor
        return ""

    async def _claimant(self, domain: str) -> Claimant:
        known = self._claimants.get(domain)
        if known is not None:
            return known
        document = await self._store.get(places.domain(domain), places.OWNER)
        claimant = decode(document.value, Claimant) if document else _NONE
        self._claimants.put(domain, claimant)
        return claimant

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

    async def taken(self, vendor: Vendor) -> str | None:
        """The first of a vendor's domains that is another's."""
        for domain in vendor.own_domains:
            claimant = await self._claimant(domain)
            if claimant.vendor not in {"", vendor.id}:
                return domain
        return None

    async def replace(self, vendor: Vendor) -> None:
        """Register a vendor, or change it. Raises :class:`DomainTaken`."""
        async with self._changing:
            if domain := await self.taken(vendor):
                raise DomainTaken(domain, (await self._claimant(domain)).vendor)
            before = await self.get(vendor.id)
            await self._store.commit(*_commits(vendor, before))
            self._vendors.drop(vendor.id)
            for domain in (*vendor.own_domains, *(before.own_domains if before else ())):
                self._claimants.drop(domain)


def _commits(vendor: Vendor, before: Vendor | None) -> list[Commit]:
    def one(partition: str, operation: Operation) -> Commit:
        return Commit(partition=partition, operations=(operation,))

    value = msgspec.json.encode(vendor)
    commits = [
        one(places.vendor(vendor.id), Put(key=places.VENDOR, value=value)),
        one(places.DIRECTORY, Put(key=f"vendor/{vendor.id}", value=b"")),
    ]
    new = set(vendor.own_domains)
    old = set(before.own_domains) if before else set()
    gone = Delete(key=places.OWNER)
    commits += [one(places.domain(domain), gone) for domain in sorted(old - new)]
    claim = Put(key=places.OWNER, value=encode(Claimant(vendor=vendor.id)))
    commits += [one(places.domain(domain), claim) for domain in sorted(new)]
    return commits
