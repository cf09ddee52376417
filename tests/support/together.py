"""Two brokers over one store, as two processes have it; and a store that is cut short."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from letterbox.adapters.memory import MemoryStore
from letterbox.adapters.redis import RedisStore
from letterbox.app import App
from letterbox.model.configuration import Configuration
from letterbox.ports.store import Rejected, StoreUnavailable
from tests.support.beside import Beside
from tests.support.clock import FakeClock
from tests.support.house import SPF_HERE, House
from tests.support.plain import shipment
from tests.support.signing import Zone

CONFIGURATION = Configuration(public_url="https://letterbox.example")


class Desk:
    """One process's way to the store. What it commits waits until the other commits, too."""

    def __init__(self, store, barrier: asyncio.Barrier) -> None:
        self._store = store
        self._barrier = barrier
        self.waits = False

    async def commit(self, *commits):
        if self.waits:
            self.waits = False
            await self._barrier.wait()
        return await self._store.commit(*commits)

    def __getattr__(self, name):
        return getattr(self._store, name)


class Apart(MemoryStore):
    """Each commit of a call happens by itself, as on a cluster; others come in between.

    With ``left``, so many commits more are made, and then nothing.
    """

    left: int | None = None

    async def commit(self, *commits):
        results, first, previous = [], None, None
        for commit in commits:
            if self.left == 0:
                raise StoreUnavailable("cut short")
            if self.left is not None:
                self.left -= 1
            await asyncio.sleep(0)
            if commit.with_all and first is not None:
                result = first
            elif commit.with_previous and isinstance(previous, Rejected):
                result = previous
            else:
                alone = msgspec.structs.replace(commit, with_all=False, with_previous=False)
                (result,) = await super().commit(alone)
            if isinstance(result, Rejected):
                first = first or result
            previous = result
            results.append(result)
        return results


def house_over(store, clock: FakeClock) -> House:
    """A broker that has just started on a store."""
    names = ("greenleaf", "voltshop", "other")
    zone = Zone({f"{name}.example": SPF_HERE for name in names})
    app = App(
        CONFIGURATION, store=store, bodies=store, clock=clock, resolver=zone, shipment=shipment()
    )
    return House(app, clock, zone)


@asynccontextmanager
async def two_houses(people: str, kind: type[MemoryStore] = MemoryStore):
    """Two brokers over one store in memory."""
    clock, barrier = FakeClock(), asyncio.Barrier(2)
    store = kind(clock)
    houses = [house_over(Desk(store, barrier), clock) for _ in range(2)]
    await houses[0].people(people)
    try:
        yield houses
    finally:
        await store.close()


@asynccontextmanager
async def two_redis_houses(people: str, server):
    """Two brokers with connections of their own to one Redis server."""
    with server.client() as client:
        client.flushall()
    clock, barrier = FakeClock(), asyncio.Barrier(2)
    stores = [await RedisStore.open(server.url, clock) for _ in range(2)]
    try:
        houses = [house_over(Desk(store, barrier), clock) for store in stores]
        await houses[0].people(people)
        yield houses
    finally:
        await asyncio.gather(*(store.close() for store in stores))


@asynccontextmanager
async def two_houses_of_a_file(people: str, path: Path):
    """The broker that has the file of a store, and one that is its guest."""
    clock, barrier = FakeClock(), asyncio.Barrier(2)
    beside = await Beside.open(path, clock)
    try:
        houses = [house_over(Desk(store, barrier), clock) for store in (beside.owner, beside.guest)]
        await houses[0].people(people)
        yield houses
    finally:
        await beside.close()


async def at_once(houses, *acts):
    """What each act comes to where all have read before any of them writes."""
    for house in houses:
        house.app.store.waits = True
    return await asyncio.gather(*acts, return_exceptions=True)
