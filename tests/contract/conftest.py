"""Every store, one after another, empty, under a clock that moves when told to."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from letterbox.adapters.memory import MemoryStore
from letterbox.adapters.sqlite import SqliteStore
from tests.support.clock import FakeClock


async def _memory(clock: FakeClock, _folder: Path) -> MemoryStore:
    return MemoryStore(clock)


async def _sqlite(clock: FakeClock, folder: Path) -> SqliteStore:
    return await SqliteStore.open(folder / "store.db", clock)


AnyStore = MemoryStore | SqliteStore
STORES: dict[str, Callable[[FakeClock, Path], Awaitable[AnyStore]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=STORES)
async def store(
    request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path
) -> AsyncIterator[AnyStore]:
    opened = await STORES[request.param](clock, tmp_path)
    yield opened
    await opened.close()
