"""A copy of a store says whatever the store says, from whichever kind to whichever."""

import asyncio
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letterbox.adapters.redis import RedisStore
from letterbox.adapters.redis.copying import RedisRows, RedisTarget
from letterbox.adapters.sqlite import SqliteStore
from letterbox.adapters.sqlite.backup import SqliteBackup, SqliteDraft
from letterbox.adapters.sqlite.copying import SqliteRows, SqliteTarget
from letterbox.moving import back_up, check, copy
from letterbox.ports.store import Commit, DropBody, Emit, KeepBody, OutboxEntry, shard_of
from tests.property.test_store_model import PARTITIONS, everything, plans
from tests.support.clock import FakeClock

#: Each example is several servers and files.
FEWER = settings.default.max_examples // 6
WAYS = [
    *(("sqlite", "redis"), ("redis", "sqlite"), ("sqlite", "sqlite"), ("redis", "redis")),
    *(("sqlite", "cluster"), ("cluster", "sqlite"), ("redis", "cluster")),
]


def home(body: str) -> str:
    """Where all bodies lie here."""
    return PARTITIONS[0]


def at_home(step):
    """A step of a plan in which no body lies elsewhere."""
    if not isinstance(step, list):
        return step
    return [
        msgspec.structs.replace(
            commit,
            operations=tuple(
                each
                for each in commit.operations
                if commit.partition == home("") or not isinstance(each, KeepBody | DropBody)
            ),
        )
        for commit in step
    ]


#: Plans in which every body is where its id says.
PLANS = plans(PARTITIONS).map(lambda plan: [at_home(step) for step in plan])


def silent(what: str, rows: int) -> None:
    """Nobody wants to hear how far it is."""


class Stopped(Exception):
    """The copy ends here."""


def stopping_after(pieces: int):
    left = iter(range(pieces - 1))

    def report(what: str, rows: int) -> None:
        if what == "copied" and next(left, None) is None:
            raise Stopped

    return report


@pytest.fixture(scope="module")
def small_pieces():
    """So small that these small stores have many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("letterbox.adapters.pieces.MOST_ROWS", 2)
        for name in ("_TOGETHER", "_PAGE", "_MANY"):
            patch.setattr(f"letterbox.adapters.redis.copying.{name}", 2)
        yield


class Places:
    """Two places of each kind, empty; a cluster is one."""

    def __init__(self, folder: Path, redis_server, redis_cluster=None) -> None:
        self.folder = folder
        self.redis_server = redis_server
        self.redis_cluster = redis_cluster
        for servers in (redis_server, redis_cluster):
            if servers is not None:
                servers.empty()

    def _where(self, kind: str, side: int):
        if kind == "sqlite":
            return self.folder / f"{side}.db"
        if kind == "cluster":
            return self.redis_cluster.url
        return f"{self.redis_server.url}?db={side}"

    async def store(self, kind: str, side: int, clock: FakeClock):
        if kind == "sqlite":
            return await SqliteStore.open(self._where(kind, side), clock, synchronous="OFF")
        return await RedisStore.open(self._where(kind, side), clock)

    async def source(self, kind: str, side: int):
        if kind == "sqlite":
            return SqliteRows.open(self._where(kind, side))
        source = await RedisRows.open(self._where(kind, side), home=home, patience=5)
        source.name += str(side)  # a database in the query is the tests' alone
        return source

    async def target(self, kind: str, side: int, clock: FakeClock):
        if kind == "sqlite":
            return SqliteTarget.make(self._where(kind, side))
        url = self._where(kind, side)
        return await RedisTarget.make(url, clock, home=home, replicas=0, patience=5, unsafe=False)


async def said(store) -> dict:
    """All that can be read; of the outbox not the numbers, which are each store's own."""
    seen = await everything(store, PARTITIONS)
    outbox: list[OutboxEntry] = seen.pop("outbox")
    seen["outbox"] = sorted(
        ((shard_of(each.partition), each.partition, each.value) for each in outbox),
        key=lambda entry: entry[0],
    )
    return seen


async def emitted(store) -> int:
    """The number that the next outbox entry gets."""
    (result,) = await store.commit(Commit("consumer/anna", (Emit(value=b""),)))
    return result.numbers[0]


async def fill(store, plan, clock: FakeClock) -> None:
    for step in plan:
        match step:
            case "restart":
                continue
            case int(hours):
                clock.advance(hours=hours)
            case _:
                await store.commit(*step)


async def copied(places: Places, plan, there: str, here: str, pieces: int) -> None:
    clock = FakeClock()
    store = await places.store(there, 0, clock)
    await fill(store, plan, clock)
    before = await said(store)
    await store.close()
    source, target = await places.source(there, 0), await places.target(here, 1, clock)
    newest = await source.newest()
    try:
        await copy(source, target, clock, stopping_after(pieces))
    except Stopped:
        await target.close()
        target = await places.target(here, 1, clock)
        assert (await copy(source, target, clock, silent)).resumed
    await source.close()
    await target.close()
    for kind, side in ((there, 0), (here, 1)):
        store = await places.store(kind, side, clock)
        assert await said(store) == before
        if side:
            assert await emitted(store) > newest
        await store.close()


@pytest.mark.parametrize(("there", "here"), WAYS)
@settings(max_examples=FEWER)
@given(plan=PLANS, pieces=st.integers(1, 20))
def test_a_copy_says_what_the_store_says(small_pieces, request, there, here, plan, pieces):
    servers = [request.getfixturevalue("redis_server")]
    if "cluster" in (there, here):
        servers.append(request.getfixturevalue("redis_cluster"))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(copied(Places(Path(folder), *servers), plan, there, here, pieces))


async def backed_up(places: Places, plan, kind: str) -> None:
    clock = FakeClock()
    store = await places.store(kind, 0, clock)
    await fill(store, plan, clock)
    before = await said(store)
    if kind == "redis":
        await store.close()
        source = await places.source(kind, 0)
    else:
        source = SqliteRows.open(places.folder / "0.db", served=True)
    draft = SqliteDraft.make(places.folder / "backup")
    seal = await back_up(source, draft, clock, "1", silent)
    for each in (source, draft, store):
        await each.close()
    backup = SqliteBackup.open_file(places.folder / "backup")
    assert backup.seal == seal
    await check(backup, silent)
    target = await places.target(kind, 1, clock)
    await copy(backup, target, clock, silent)
    await backup.close()
    await target.close()
    store = await places.store(kind, 1, clock)
    assert await said(store) == before
    await store.close()


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
@settings(max_examples=FEWER)
@given(plan=PLANS)
def test_a_backup_says_what_the_store_says(redis_server, kind, plan):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(backed_up(Places(Path(folder), redis_server), plan, kind))
