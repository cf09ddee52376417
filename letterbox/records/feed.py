"""A vendor's feed: what it was told, in order."""

import msgspec

from letterbox.model.told import Event
from letterbox.ports.store import Store
from letterbox.records import places
from letterbox.records.coding import decode


class FeedPage(msgspec.Struct, frozen=True):
    """Oldest first. ``after`` is the cursor to go on from, also at the end of the feed."""

    items: tuple[Event, ...]
    after: int
    more: bool


class Owed(msgspec.Struct, frozen=True):
    """What lies in the outbox: an event, and the vendor whose feed it goes to."""

    vendor: str
    event: Event


class Feed:
    """Reading vendors' feeds."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, vendor: str, *, after: int, limit: int, wait: float = 0) -> FeedPage:
        """Events after a cursor; waits up to ``wait`` seconds for the first one."""
        partition = places.vendor(vendor)
        if wait > 0:
            await self._store.follow(partition, places.FEED, after=after, seconds=wait)
        entries = await self._store.log(partition, places.FEED, after=after, limit=limit + 1)
        shown = entries[:limit]
        return FeedPage(
            items=tuple(decode(entry.value, Event) for entry in shown),
            after=shown[-1].sequence if shown else after,
            more=len(entries) > limit,
        )

    async def entries(self, vendor: str, *, after: int, limit: int) -> list[tuple[int, Event]]:
        """Events after a cursor, each with the cursor that it is."""
        partition = places.vendor(vendor)
        entries = await self._store.log(partition, places.FEED, after=after, limit=limit)
        return [(entry.sequence, decode(entry.value, Event)) for entry in entries]

    async def end(self, vendor: str) -> int:
        """The cursor of the newest event, 0 for none: some forty looks at a long feed."""
        low = await self._first_after(vendor, 0)
        step = 1
        while low and (further := await self._first_after(vendor, low + step)):
            low, step = further, step * 2
        high = low + step
        while low and low < high:
            middle = (low + high) // 2
            further = await self._first_after(vendor, middle)
            low, high = (further, high) if further else (low, middle)
        return low

    async def _first_after(self, vendor: str, cursor: int) -> int:
        entries = await self._store.log(places.vendor(vendor), places.FEED, after=cursor, limit=1)
        return entries[0].sequence if entries else 0
