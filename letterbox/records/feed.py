"""A vendor's feed: what it was told, in order."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from letterbox.model.told import Event
from letterbox.ports.store import Store
from letterbox.records import places

#: Entries of one look at the log for all who wait there: the largest page, and one to see if more.
_LOOK: Final = 1001
#: After so many seconds whoever looks sits down anew; how long each waits is its own affair.
_PATIENCE: Final = 3600.0
_events: Final = msgspec.msgpack.Decoder(Event)


class FeedPage(msgspec.Struct, frozen=True):
    """Oldest first. ``after`` is the cursor to go on from, also at the end of the feed.

    ``cursors`` has that of each item.
    """

    items: tuple[Event, ...]
    after: int
    more: bool
    cursors: tuple[int, ...] = ()


class Owed(msgspec.Struct, frozen=True):
    """What lies in the outbox: an event, and the vendor whose feed it goes to.

    ``at`` is when it was put there, for our own measurements: no vendor is told.
    """

    vendor: str
    event: Event
    at: datetime | None = None


class _Entry(NamedTuple):
    sequence: int
    event: Event


class _Look:
    """One look at the log, for all who wait for what comes after one cursor."""

    def __init__(self, task: asyncio.Task[Sequence[_Entry]]) -> None:
        self.task = task
        self.waiting = 0


class Feed:
    """Reading vendors' feeds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: Who waits, by vendor and cursor: those at the end of a feed all have the same.
        self._looks: dict[tuple[str, int], _Look] = {}

    async def page(self, vendor: str, *, after: int, limit: int, wait: float = 0) -> FeedPage:
        """Events after a cursor; waits up to ``wait`` seconds for the first one."""
        if wait > 0:
            entries = await self._wait(vendor, after, wait)
        else:
            entries = await self._read(vendor, after, limit + 1)
        shown = entries[:limit]
        return FeedPage(
            items=tuple(entry.event for entry in shown),
            after=shown[-1].sequence if shown else after,
            more=len(entries) > limit,
            cursors=tuple(entry.sequence for entry in shown),
        )

    async def _read(self, vendor: str, after: int, limit: int) -> Sequence[_Entry]:
        entries = await self._store.log(
            places.vendor(vendor), places.FEED, after=after, limit=limit
        )
        return [_Entry(entry.sequence, _events.decode(entry.value)) for entry in entries]

    async def _wait(self, vendor: str, after: int, seconds: float) -> Sequence[_Entry]:
        """What comes after a cursor, as soon as there is something; nothing after ``seconds``.

        However many wait there, the log is looked at once when it grows.
        """
        name = (vendor, after)
        look = self._looks.get(name)
        if look is None or look.task.done():
            task = asyncio.create_task(self._look(vendor, after), name=f"feed {vendor}")
            look = self._looks[name] = _Look(task)
        look.waiting += 1
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(look.task)
        except TimeoutError:
            return ()
        finally:
            look.waiting -= 1
            if not look.waiting:
                look.task.cancel()
                if self._looks.get(name) is look:
                    del self._looks[name]

    async def _look(self, vendor: str, after: int) -> Sequence[_Entry]:
        partition = places.vendor(vendor)
        while not await self._store.follow(partition, places.FEED, after=after, seconds=_PATIENCE):
            pass
        return await self._read(vendor, after, _LOOK)
