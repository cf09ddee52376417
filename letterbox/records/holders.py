"""Whose a domain is: it stands at the domain, so that it is one vendor's alone."""

from datetime import datetime
from typing import NamedTuple

import msgspec

from letterbox.model.vendor import Basis
from letterbox.ports.clock import Clock
from letterbox.ports.store import Store
from letterbox.records import places
from letterbox.records.cache import Recent
from letterbox.records.coding import decode, encode
from letterbox.records.passing import Passing

_CACHED = 20_000
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


class Holders:
    """Holders of domains over the store. What is remembered is told of by whoever changes it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._claimants: Recent[str, Claimant] = Recent(_CACHED)
        store.listen(self.hear)

    def hear(self, partition: str | None) -> None:
        """Forget what has changed; None: everything."""
        if partition is None:
            self._claimants.clear()
            return
        room, name = places.room(partition)
        if room == "domain":
            self._claimants.drop(name)

    async def holder(self, domain: str) -> Holder:
        """Whose a domain is, by its own claim or the nearest one above it."""
        labels = domain.split(".")[-MOST_LABELS:]
        changed: datetime | None = None
        for start in range(len(labels) - 1):
            name = ".".join(labels[start:])
            claimant = await self.claimant(name)
            if claimant.changed and (changed is None or claimant.changed > changed):
                changed = claimant.changed
            if claimant.vendor:
                return Holder(claimant.vendor, name, claimant.basis, changed)
        return Holder("", "", "operator", changed)

    async def claimant(self, domain: str) -> Claimant:
        """Whose exactly this domain is."""
        known = self._claimants.get(domain)
        return known if known is not None else (await self._read(domain))[0]

    async def now(self, domain: str) -> Claimant:
        """Whose exactly this domain is, whatever is remembered of it."""
        return (await self._read(domain))[0]

    async def _read(self, domain: str) -> tuple[Claimant, int]:
        """Whose it is now, and the revision of what says so."""
        drops = self._claimants.drops
        document = await self._store.get(places.domain(domain), places.OWNER)
        claimant = decode(document.value, Claimant) if document else _NONE
        self._claimants.put(domain, claimant, read_at=drops)
        return claimant, document.revision if document else 0

    async def taking(
        self, domain: str, vendor: str, basis: Basis, *, taken_from: str = ""
    ) -> Passing:
        """A domain passes to a vendor. ``taken_from``: whose it may be, if by a proof alone.

        Raises :class:`DomainTaken` where it is somebody else's.
        """
        was, revision = await self._read(domain)
        if was.vendor not in {"", vendor} and (was.vendor != taken_from or was.basis == "operator"):
            raise DomainTaken(domain, was.vendor)
        after = await self._passed(domain, was, vendor, basis)
        return Passing(places.domain(domain), revision, encode(after), taken=True)

    async def giving_up(self, domain: str, vendor: str) -> Passing | None:
        """A domain passes from a vendor to nobody; None where it is not that vendor's."""
        was, revision = await self._read(domain)
        if was.vendor != vendor:
            return None
        after = await self._passed(domain, was, "", "operator")
        return Passing(places.domain(domain), revision, encode(after), taken=False)

    async def nobodys(self, domain: str, was: bytes) -> bytes:
        """What says of a domain that it is nobody's, where ``was`` said whose it is."""
        return encode(await self._passed(domain, decode(was, Claimant), "", "operator"))

    async def _passed(self, domain: str, was: Claimant, vendor: str, basis: Basis) -> Claimant:
        """A domain's claimant when it passes to ``vendor``, or to nobody.

        That is a change of hands where somebody else had it before, itself or from above.
        """
        last = was.vendor or (await self.holder(domain)).vendor or was.before
        if not last:
            return Claimant(vendor, basis)
        if last == vendor:
            # To have back what nobody else had in between is none.
            changed = was.changed if was.vendor else was.back
            return Claimant(vendor, basis, changed=changed, before=was.before)
        return Claimant(vendor, basis, changed=self._clock.now(), before=last, back=was.changed)
