"""What vendors say of domains, and how far it is proven: records alone, nobody is asked here."""

from datetime import datetime

import msgspec

from letterbox.model.vendor import DomainClaim
from letterbox.ports.store import Commit, Delete, Put, Rejected, Store
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.names import new_reference

#: Domains of one vendor, proven or not.
MOST_CLAIMS = 100


class TooMany(Exception):
    """A vendor claims more domains than are taken."""


class Claims:
    """The claims of vendors over the store, each in its vendor's partition."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, vendor: str) -> list[DomainClaim]:
        """Every claim of a vendor, by name."""
        rows = await self._store.documents(places.vendor(vendor), places.CLAIM, limit=MOST_CLAIMS)
        return [decode(row.value, DomainClaim) for row in rows]

    async def find(self, vendor: str, domain: str) -> DomainClaim | None:
        """One claim."""
        row = await self._store.get(places.vendor(vendor), places.claim(domain))
        return decode(row.value, DomainClaim) if row else None

    async def ask(self, vendor: str, domain: str, now: datetime) -> DomainClaim:
        """Claim a domain; the same claim again where it is made already. Raises TooMany."""
        known = await self.find(vendor, domain)
        if known is not None:
            return known
        if len(await self.of(vendor)) >= MOST_CLAIMS:
            raise TooMany
        claim = new_claim(domain, now)
        made = msgspec.structs.replace(put(claim), expect=0)
        (result,) = await self._store.commit(Commit(places.vendor(vendor), (made,)))
        if isinstance(result, Rejected):  # another process has just made it
            return await self.find(vendor, domain) or claim
        return claim

    async def change(self, vendor: str, claim: DomainClaim) -> None:
        """Write a claim down as it stands now; nothing where it has been given up."""
        partition = places.vendor(vendor)
        row = await self._store.get(partition, places.claim(claim.domain))
        if row is not None:
            changed = msgspec.structs.replace(put(claim), expect=row.revision)
            await self._store.commit(Commit(partition, (changed,)))


def new_claim(domain: str, now: datetime) -> DomainClaim:
    """A claim with a token of its own: 128 random bits, which nobody can publish by guessing."""
    return DomainClaim(domain=domain, token=new_reference(), asked=now)


def put(claim: DomainClaim) -> Put:
    """The operation that writes a claim down."""
    return Put(key=places.claim(claim.domain), value=encode(claim))


def drop(domain: str) -> Delete:
    """The operation that forgets a claim."""
    return Delete(key=places.claim(domain))


def failing(claim: DomainClaim, now: datetime) -> DomainClaim:
    """A proven claim whose record is not found any more; since when is kept."""
    since = claim.failing or now
    return msgspec.structs.replace(claim, state="failing", checked=now, failing=since)


def found(claim: DomainClaim, now: datetime) -> DomainClaim:
    """A claim whose record was just found."""
    proven = claim.proven if claim.state != "pending" and claim.proven else now
    return msgspec.structs.replace(claim, state="proven", proven=proven, checked=now, failing=None)
