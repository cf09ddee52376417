"""Whoever copies a store on Redis has it alone: who serves it, who comes, and who comes back."""

import asyncio
import signal
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from letterbox.adapters.clock import SystemClock
from letterbox.adapters.redis import RedisStore, alone, keys, leases
from letterbox.adapters.redis.alone import Alone
from letterbox.adapters.redis.connect import connect
from letterbox.adapters.redis.copying import RedisTarget
from letterbox.adapters.sqlite import SqliteStore
from letterbox.model.configuration import StoreSection
from letterbox.ports.copying import BeingCopied, Unfinished
from letterbox.ports.store import Put, StoreInUse, StoreUnavailable
from letterbox.records import places
from letterbox.transfer import migrate, read_backup, write_backup
from tests.contract.acts import ANNA, done, on
from tests.fault import deliveries
from tests.fault.test_many_processes import another_process, answer, say, until
from tests.support.processes import FREE_PORTS, Letterbox
from tests.support.redis import RedisNode, RedisSentinel

CLOCK = SystemClock()


def silent(what: str, rows: int) -> None:
    """Nobody wants to hear how far it is."""


@pytest.fixture(params=["redis_server", "redis_cluster"])
def servers(request):
    servers = request.getfixturevalue(request.param)
    servers.empty()
    return servers


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """A tenth of the time that processes and copies are thought there without a word."""
    for module in (leases, alone):
        monkeypatch.setattr(module, "LASTS", 900)
        monkeypatch.setattr(module, "_RENEWED", 0.1)


async def filled(path: Path, count: int = 5) -> set[str]:
    store = await SqliteStore.open(path, CLOCK, synchronous="OFF")
    names = {str(number) for number in range(count)}
    for name in names:
        await deliveries.deliver(store, name)
    await store.close()
    return names


@asynccontextmanager
async def opened(url: str, **settings):
    store = await RedisStore.open(url, CLOCK, **settings)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def had_alone(url: str):
    topology = connect(url, 5)
    taken = await Alone.take(topology)
    try:
        yield taken
    finally:
        await taken.release()
        await topology.close()


async def away(store: RedisStore) -> None:
    """Have nobody hear of it any more, as if it stood still."""
    store._leases._closed.set()
    await store._leases._beating


async def test_what_processes_serve_is_neither_source_nor_target(tmp_path, servers):
    await filled(tmp_path / "store.db")
    file, empty = f"sqlite:{tmp_path}/store.db", f"sqlite:{tmp_path}/empty.db"
    await write_backup(StoreSection(url=file), tmp_path / "backup", silent)
    async with opened(servers.url), opened(servers.url, works=False):
        for source, target in ((servers.url, empty), (file, servers.url)):
            with pytest.raises(StoreInUse, match="2 processes have the store open; stop"):
                await migrate(StoreSection(), source, target, silent)
        with pytest.raises(StoreInUse):
            await read_backup(StoreSection(url=servers.url), tmp_path / "backup", silent)
    await read_backup(StoreSection(url=servers.url), tmp_path / "backup", silent)


async def test_who_comes_while_a_store_is_copied_is_told_so(tmp_path, servers):
    async with had_alone(servers.url):
        with pytest.raises(BeingCopied):
            await RedisStore.open(servers.url, CLOCK)
        with pytest.raises(BeingCopied):
            await migrate(StoreSection(), servers.url, f"sqlite:{tmp_path}/copy.db", silent)
        letterbox = Letterbox(tmp_path, f"{FREE_PORTS}\n[store]\nurl = '{servers.url}'\n")
        for command in ("serve", "export anna"):
            refused = await asyncio.to_thread(letterbox.run, *command.split())
            assert refused.returncode == 1
            assert "the store is being copied; wait until" in refused.stderr
            assert "Traceback" not in refused.stderr
    async with opened(servers.url) as store:
        await done(store, ANNA, Put(key="k", value=b""))


async def test_a_process_that_stood_still_writes_nothing_into_a_copy(servers):
    async with another_process(servers) as process:
        assert await say(process, b"call before") == b"done"
        process.send_signal(signal.SIGSTOP)
        async with had_alone(servers.url) as taken:  # once it is thought gone
            # It wakes in the midst of a commit that it was about to send.
            process.stdin.write(b"call meanwhile\n")
            process.send_signal(signal.SIGCONT)
            assert await answer(process) != b"done"
            for word in (b"call again", b"call anew"):
                assert b"is being copied" in await say(process, word)
            await taken.check()
        async with opened(servers.url, works=False) as store:
            assert (await store.get(ANNA, "k")).value == b"before"
        assert await say(process, b"call after") == b"done"


async def test_one_without_leases_that_was_away_writes_nothing_either(servers):
    async with opened(servers.url, works=False) as gateway:
        await done(gateway, ANNA, Put(key="k", value=b"before"))
        await away(gateway)
        async with had_alone(servers.url):
            for error in ("another process works here now", "is being copied", "is being copied"):
                with pytest.raises(StoreUnavailable, match=error):
                    await gateway.commit(on(ANNA, Put(key="k", value=b"meanwhile")))
        assert (await gateway.get(ANNA, "k")).value == b"before"
        await done(gateway, ANNA, Put(key="k", value=b"after"))


async def test_one_that_was_away_forgets_what_it_remembered(servers):
    heard = []
    async with opened(servers.url, works=False) as gateway:
        gateway.listen(heard.append)
        await away(gateway)
        target = await RedisTarget.make(
            servers.url, CLOCK, home=places.message, replicas=0, patience=5, unsafe=False
        )
        state = Unfinished("elsewhere", 0)
        await target.write((), state)
        await target.finish(state)
        await target.close()

        async def told():
            return heard == [None]

        await until(told)


async def test_what_was_not_had_all_the_time_is_not_taken_up_again(redis_server):
    redis_server.empty()
    async with had_alone(redis_server.url) as taken:
        await taken.check()
        with redis_server.client() as client:
            client.delete(keys.ALONE)
        async with opened(redis_server.url) as store:
            await done(store, ANNA, Put(key="k", value=b""))
        await taken._keeping
        with pytest.raises(StoreUnavailable, match="repeat the command"):
            await taken.check()


async def test_a_cluster_whose_slots_move_is_not_read(tmp_path, redis_cluster):
    redis_cluster.empty()
    async with opened(redis_cluster.url) as store:
        await deliveries.deliver(store, "1")
    slot, copied = 7, f"sqlite:{tmp_path}/copy.db"
    there = redis_cluster.primary_of(slot)
    target = next(node for node in redis_cluster.primaries if node is not there)
    redis_cluster.begin_move(slot, target)
    try:
        with pytest.raises(StoreUnavailable, match="a slot of the cluster is moving"):
            await migrate(StoreSection(), redis_cluster.url, copied, silent)
    finally:
        for node in (there, target):
            node.ask("CLUSTER", "SETSLOT", slot, "STABLE")
    moved = await migrate(StoreSection(), redis_cluster.url, copied, silent)
    assert moved.rows["bodies"].count == 1


async def test_a_store_goes_to_what_sentinel_names_and_back(tmp_path):
    names = await filled(tmp_path / "first.db")
    first, last = (f"sqlite:{tmp_path}/{name}.db" for name in ("first", "last"))
    primary = RedisNode(tmp_path / "primary")
    sentinel = RedisSentinel(tmp_path / "sentinel", primary)
    try:
        primary.start()
        sentinel.start(replicas=0)
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/letterbox/0"
        there = await migrate(StoreSection(), first, url, silent)
        back = await migrate(StoreSection(), url, last, silent)
    finally:
        sentinel.close()
        primary.close()
    assert there.rows == back.rows
    store = await SqliteStore.open(tmp_path / "last.db", CLOCK)
    await deliveries.check(store, names)
    await store.close()
