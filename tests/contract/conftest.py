"""Every store, one after another, empty, under a clock that moves when told to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from letterbox.adapters.memory import MemoryStore
from letterbox.adapters.redis import RedisStore
from letterbox.adapters.sqlite import SqliteStore
from tests.support.clock import FakeClock
from tests.support.redis import RedisCluster, RedisServer

AnyStore = MemoryStore | SqliteStore | RedisStore


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "sqlite", "redis", "cluster"])
async def store(
    request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path
) -> AsyncIterator[AnyStore]:
    opened: AnyStore
    match request.param:
        case "memory":
            opened = MemoryStore(clock)
        case "sqlite":
            opened = await SqliteStore.open(tmp_path / "store.db", clock)
        case "cluster":
            cluster: RedisCluster = request.getfixturevalue("redis_cluster")
            cluster.empty()
            opened = await RedisStore.open(cluster.url, clock)
        case _:
            server: RedisServer = request.getfixturevalue("redis_server")
            server.empty()
            opened = await RedisStore.open(server.url, clock)
    yield opened
    await opened.close()
