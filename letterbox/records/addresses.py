"""Whose an address is: it stands at the address, so that it is one consumer's alone."""

from collections.abc import Mapping

from letterbox.model.address import Address
from letterbox.ports.store import Store
from letterbox.records import places
from letterbox.records.cache import Recent
from letterbox.records.checks import FREED, UNKNOWN, Owner
from letterbox.records.coding import decode, encode
from letterbox.records.passing import Overtaken, Passing

_CACHED = 20_000


class Addresses:
    """Addresses over the store. What is remembered is told of by whoever changes it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owners: Recent[str, Owner] = Recent(_CACHED)
        store.listen(self.hear)

    def hear(self, partition: str | None) -> None:
        """Forget what has changed; None: everything."""
        if partition is None:
            self._owners.clear()
        elif places.room(partition)[0] == "address":
            self._owners.drop(partition)

    def forget(self, address: Address) -> None:
        """Read it anew the next time: somebody saw that something has changed."""
        for each in (address, address.mailbox):
            self._owners.drop(places.address(each))

    async def owned(self, address: Address) -> tuple[Owner, Address]:
        """Whose an address is, and the one address that all its spellings come down to.

        A subaddress that is nobody's own belongs to its mailbox.
        """
        exact = Address(local=address.local.lower(), domain=address.domain)
        owner = await self.owner(exact)
        if owner.consumer == places.NOBODY and "+" in exact.local:
            return await self.owner(exact.mailbox), exact.mailbox
        return owner, exact

    async def owner(self, address: Address) -> Owner:
        """Whose exactly this address is."""
        place = places.address(address)
        known = self._owners.get(place)
        if known is not None:
            return known
        drops = self._owners.drops
        owner, _ = await self._read(place)
        self._owners.put(place, owner, read_at=drops)
        return owner

    async def taker(self, address: Address) -> Owner:
        """Whose it is for whoever would take it: nobody may where it was freed by an erasure."""
        owner = await self.owner(address)
        if owner.consumer == places.NOBODY:
            partition = places.freed(places.address(address))
            if await self._store.claim(partition, places.FREED) is not None:
                return FREED
        return owner

    async def _read(self, place: str) -> tuple[Owner, int]:
        document = await self._store.get(place, places.OWNER)
        if document is None:
            return UNKNOWN, 0
        return decode(document.value, Owner), document.revision

    async def passing(
        self, consumer: str, old: Mapping[str, Owner], new: Mapping[str, Owner]
    ) -> list[Passing]:
        """What passes when a consumer's addresses change: by their places, as they are now.

        Raises :class:`letterbox.records.passing.Overtaken` where one is somebody else's by now.
        """
        found = []
        for place in dict.fromkeys((*old, *new)):
            wanted = new.get(place)
            if old.get(place) == wanted:
                continue
            owner, revision = await self._read(place)
            taken = wanted is not None
            if owner.consumer == consumer or (taken and owner.consumer == places.NOBODY):
                found.append(Passing(place, revision, encode(wanted or UNKNOWN), taken=taken))
            elif taken:
                self._owners.drop(place)
                raise Overtaken(place)
        return found
