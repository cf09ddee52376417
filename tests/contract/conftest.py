"""Every store, one after another, empty, under a clock that moves when told to."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from letterbox.adapters.memory import MemoryStore
from letterbox.adapters.objects import DirectoryObjects
from letterbox.adapters.redis import RedisStore
from letterbox.adapters.sqlite import SqliteStore
from letterbox.ports.objects import Objects
from letterbox.records.bodies import OutsideBodies
from tests.support.beside import Beside, InTurn
from tests.support.clock import FakeClock
from tests.support.objects import KEYS, object_server
from tests.support.redis import RedisCluster, RedisServer

AnyStore = MemoryStore | SqliteStore | RedisStore | Beside


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


#: Stores that are whole, and such as have their bodies outside.
STORES = ["memory", "sqlite", "guest", "in turn", "redis", "cluster"]
WITH_BODIES = [*STORES, "sqlite and dir", "memory and s3", "redis and dir"]


class Apart:
    """A store and the bodies it has outside, as if they were one."""

    def __init__(self, store: AnyStore, objects: Objects) -> None:
        self._store = store
        self._objects = objects
        bodies = OutsideBodies(store, objects)
        self.prepare, self.read = bodies.prepare, bodies.read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture(params=STORES)
async def store(
    request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path
) -> AsyncIterator[AnyStore | Apart]:
    opened: AnyStore
    kind, _, outside = request.param.partition(" and ")
    match kind:
        case "memory":
            opened = MemoryStore(clock)
        case "sqlite":
            opened = await SqliteStore.open(tmp_path / "store.db", clock)
        case "guest":
            opened = await Beside.open(tmp_path / "store.db", clock)
        case "in turn":
            opened = await InTurn.open(tmp_path / "store.db", clock)
        case "cluster":
            cluster: RedisCluster = request.getfixturevalue("redis_cluster")
            cluster.empty()
            opened = await RedisStore.open(cluster.url, clock)
        case _:
            server: RedisServer = request.getfixturevalue("redis_server")
            server.empty()
            opened = await RedisStore.open(server.url, clock)
    async with AsyncExitStack() as stack:
        if outside == "dir":
            (tmp_path / "bodies").mkdir()
            objects: Objects = DirectoryObjects(tmp_path / "bodies", patience=30.0)
            stack.push_async_callback(objects.close)
            yield Apart(opened, objects)
        elif outside == "s3":
            for name, value in KEYS.items():
                request.getfixturevalue("monkeypatch").setenv(name, value)
            server = await stack.enter_async_context(object_server())
            yield Apart(opened, server.objects())
        else:
            yield opened
        await opened.close()
