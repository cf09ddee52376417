"""A vendor's feed: what it was told, in order."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from letterbox.model.told import Event
from letterbox.ports.store import Store
from letterbox.records import places

#: Entries of one look at the log for all who wait there: the largest page, and one to see if more.
_LOOK: Final = 1001
#: After so many seconds the one who looks sits down anew; how long each waits is its own affair.
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


#: What comes after a cursor, as soon as there is something.
Coming = asyncio.Future[Sequence[_Entry]]


class _Look:
    """One look at the log, for all who wait for what comes after one cursor."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self.waiting: set[Coming] = set()


class Feed:
    """Reading vendors' feeds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: Who waits, by vendor and cursor: those at the end of a feed all have the same.
        self._looks: dict[tuple[str, int], _Look] = {}

    async def page(self, vendor: str, *, after: int, limit: int) -> FeedPage:
        """Events after a cursor."""
        return _page(await self._read(vendor, after, limit + 1), after, limit)

    async def _read(self, vendor: str, after: int, limit: int) -> Sequence[_Entry]:
        entries = await self._store.log(
            places.vendor(vendor), places.FEED, after=after, limit=limit
        )
        return [_Entry(entry.sequence, _events.decode(entry.value)) for entry in entries]

    async def entries(self, vendor: str, *, after: int, limit: int) -> list[tuple[int, Event]]:
        """Events after a cursor, each with the cursor that it is."""
        return [*await self._read(vendor, after, limit)]

    async def back(
        self, vendor: str, *, before: int, limit: int
    ) -> tuple[list[tuple[int, Event]], bool]:
        """Events of ``limit`` cursors before one, newest first, and whether there are older ones.

        It may be none of them: where a stretch of the feed is forgotten.
        """
        after = max(before - 1 - limit, 0)
        entries = await self._read(vendor, after, limit)
        found = [(at, event) for at, event in reversed(entries) if at < before]
        first = await self._first_after(vendor, 0)
        return found, 0 < first <= after

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

    async def is_ahead(self, vendor: str, cursor: int) -> bool:
        """Whether a cursor is beyond the newest event, which stays however much is trimmed."""
        return cursor > 0 and not await self._first_after(vendor, cursor - 1)

    async def _first_after(self, vendor: str, cursor: int) -> int:
        entries = await self._store.log(places.vendor(vendor), places.FEED, after=cursor, limit=1)
        return entries[0].sequence if entries else 0

    @contextmanager
    def coming(self, vendor: str, after: int) -> Iterator[Coming]:
        """A future that is done as soon as there is something after a cursor; see :meth:`came`.

        However many wait there, the log is looked at once when it grows. It raises
        StoreUnavailable.
        """
        name = (vendor, after)
        look = self._looks.get(name)
        if look is None:
            task = asyncio.create_task(self._look(vendor, after), name=f"feed {vendor}")
            look = self._looks[name] = _Look(task)
        coming: Coming = asyncio.get_running_loop().create_future()
        look.waiting.add(coming)
        try:
            yield coming
        finally:
            coming.cancel()
            look.waiting.discard(coming)
            if not look.waiting and self._looks.get(name) is look:
                del self._looks[name]
                look.task.cancel()

    @staticmethod
    def came(coming: Coming, after: int, limit: int) -> FeedPage:
        """What has come, as a page; the rest of it is there for the asking."""
        return _page(coming.result(), after, limit)

    async def _look(self, vendor: str, after: int) -> None:
        partition = places.vendor(vendor)
        found: Sequence[_Entry] = ()
        trouble: Exception | None = None
        try:
            while not await self._store.follow(
                partition, places.FEED, after=after, seconds=_PATIENCE
            ):
                pass
            found = await self._read(vendor, after, _LOOK)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are to hear of it
            trouble = error
        # Whoever comes from now on looks anew: more may have come since.
        look = self._looks.pop((vendor, after))
        for coming in look.waiting:
            if coming.done():
                continue
            if trouble is None:
                coming.set_result(found)
            else:
                coming.set_exception(trouble)


def _page(entries: Sequence[_Entry], after: int, limit: int) -> FeedPage:
    shown = entries[:limit]
    return FeedPage(
        items=tuple(entry.event for entry in shown),
        after=shown[-1].sequence if shown else after,
        more=len(entries) > limit,
        cursors=tuple(entry.sequence for entry in shown),
    )
