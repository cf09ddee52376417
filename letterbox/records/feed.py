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
