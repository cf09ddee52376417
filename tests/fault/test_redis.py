"""What the Redis store promises when the server is killed, stands still, forgets or fails over."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from letterbox.adapters.redis import RedisStore, Unsafe, leases
from letterbox.ports.store import (
    Append,
    Claim,
    Done,
    Put,
    StoreUnavailable,
)
from tests.contract.acts import ANNA, done, on
from tests.fault.deliveries import Clients, check, deliver
from tests.support.clock import FakeClock
from tests.support.ports import free_port
from tests.support.proxy import proxy
from tests.support.redis import RedisNode, RedisServer, until

CLIENTS = 50


@pytest.fixture
def server(tmp_path):
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.close()


@asynccontextmanager
async def opened(url: str, **settings):
    store = await RedisStore.open(url, FakeClock(), **settings)
    try:
        yield store
    finally:
        await store.close()


async def deliver_for_ever(store: RedisStore) -> set[str]:
    """Fifty clients, until the store is in trouble: what was acknowledged."""
    acknowledged: set[str] = set()

    async def client(name: int) -> None:
        for number in range(1_000_000):
            ident = f"{name}-{number}"
            try:
                await deliver(store, ident)
            except StoreUnavailable:
                return
            acknowledged.add(ident)

    await asyncio.gather(*(client(name) for name in range(CLIENTS)))
    return acknowledged


async def killed_under_load(store: RedisStore, server: RedisServer) -> set[str]:
    delivering = asyncio.create_task(deliver_for_ever(store))
    assert await store.follow(ANNA, "decisions", after=499, seconds=60)
    server.kill()
    return await delivering


async def test_a_killed_server_has_all_it_acknowledged_and_the_store_goes_on(server):
    async with opened(server.url, patience=2) as store:
        acknowledged = await killed_under_load(store, server)
        assert len(acknowledged) >= 500 - CLIENTS
        with pytest.raises(StoreUnavailable):
            await store.get(ANNA, "k")
        server.start()
        await check(store, acknowledged)
        await done(store, ANNA, Put(key="after", value=b""))


async def test_a_replica_that_takes_over_has_all_that_was_acknowledged(server, tmp_path):
    port = str(free_port())
    folders = [tmp_path / "primary", tmp_path / "replica"]
    for folder in folders:
        folder.mkdir()
    primary = RedisServer(folders[0], port=port, bind="127.0.0.1")
    replica = RedisServer(folders[1], replicaof=f"127.0.0.1 {port}")
    try:
        primary.start()
        replica.start()
        async with opened(primary.url, patience=2, replicas=1) as store:
            while True:  # until the replica has caught up, what is written does not count
                try:
                    await store.commit(on(ANNA, Put(key="first", value=b"")))
                    break
                except StoreUnavailable as error:
                    assert "0 of 1 replicas" in str(error)  # noqa: PT017 - anything else is wrong
            acknowledged = await killed_under_load(store, primary)
        with replica.client() as client:
            client.replicaof("NO", "ONE")
        async with opened(replica.url) as store:
            await check(store, acknowledged)
            await done(store, ANNA, Put(key="after", value=b""))
    finally:
        primary.close()
        replica.close()


async def test_without_the_replica_nothing_is_acknowledged(server):
    async with opened(server.url, patience=1, replicas=1) as store:
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            await store.commit(on(ANNA, Put(key="k", value=b"")))


async def test_what_was_not_acknowledged_is_not_found_to_have_been(server):
    claim = Claim(name="message-1", value=b"first", expires=None)
    async with opened(server.url, patience=1, replicas=1) as store:
        assert await store.claim(ANNA, "message-1") is None
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            await store.commit(on(ANNA, claim))
        # Who sends it again would be answered as the first time: with a promise.
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            await store.claim(ANNA, "message-1")


async def test_what_a_replica_has_not_received_yet_is_not_found_to_have_been_acknowledged(tmp_path):
    primary = RedisNode(tmp_path / "primary")
    replica = RedisNode(tmp_path / "replica", replicaof=f"127.0.0.1 {primary.port}")
    claim = Claim(name="message-1", value=b"first", expires=None)
    try:
        primary.start()
        replica.start()
        until(replica.has_its_copy)
        async with opened(primary.url, patience=0.5, replicas=1) as store:
            replica.pause()
            with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
                await store.commit(on(ANNA, claim))
            primary.ask("CLIENT", "KILL", "TYPE", "NORMAL")
            with pytest.raises(StoreUnavailable, match="closed"):
                await store.claim(ANNA, "message-1")
            # A new connection has written nothing, and so nothing of its own to wait for.
            with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
                await store.claim(ANNA, "message-1")
            replica.resume()
            until(lambda: replica.ask("ROLE")[4] == primary.ask("ROLE")[1])
            assert await store.claim(ANNA, "message-1") == b"first"
    finally:
        primary.close()
        replica.close()


async def test_who_is_no_primary_any_more_is_looked_for_anew(server, tmp_path):
    folder = tmp_path / "next"
    folder.mkdir()
    successor = RedisServer(folder)
    address = tmp_path / "address"
    try:
        successor.start()
        address.symlink_to(server.socket)
        async with opened(f"unix://{address}") as store:
            await done(store, ANNA, Put(key="k", value=b""))
            with server.client() as here:
                here.replicaof("127.0.0.1", "1")
            address.unlink()
            address.symlink_to(successor.socket)
            with pytest.raises(StoreUnavailable, match="read only"):
                await store.commit(on(ANNA, Put(key="k", value=b"")))
            await done(store, ANNA, Put(key="k", value=b""))
    finally:
        successor.close()


async def test_who_may_run_no_scripts_has_no_store(server):
    with server.client() as client:
        client.acl_setuser("default", categories=["-@scripting"], nopass=True, enabled=True)
    with pytest.raises(StoreUnavailable, match="no permissions"):
        await RedisStore.open(server.url, FakeClock())


async def test_what_waited_too_long_is_not_sent(server):
    async with opened(server.url, patience=0.3) as store:
        await done(store, ANNA, Put(key="k", value=b""))
        server.pause()
        commits = [store.commit(on(ANNA, Append(log="feed", value=b""))) for _ in range(600)]
        ends = await asyncio.gather(*commits, return_exceptions=True)
        server.resume()
        assert {type(end) for end in ends} == {StoreUnavailable}
        unsent = sum("nothing was sent" in str(end) for end in ends)
        assert unsent >= 1
        assert len(await store.log(ANNA, "feed")) <= 600 - unsent


async def test_a_server_that_stands_still_is_given_up_and_comes_back(server):
    async with opened(server.url, patience=0.3) as store:
        await done(store, ANNA, Put(key="before", value=b""))
        server.pause()
        with pytest.raises(StoreUnavailable, match="does not answer"):
            await store.commit(on(ANNA, Append(log="feed", value=b"")))
        with pytest.raises(StoreUnavailable, match="does not answer"):
            await store.get(ANNA, "before")
        server.resume()
        await done(store, ANNA, Put(key="after", value=b""))
        # It may have happened, and nothing was repeated.
        assert len(await store.log(ANNA, "feed")) <= 1


async def test_a_server_that_forgot_the_scripts_is_told_again(server):
    async with opened(server.url) as store:
        await done(store, ANNA, Append(log="feed", value=b""))
        with server.client() as client:
            client.script_flush()
        await asyncio.gather(*(done(store, ANNA, Append(log="feed", value=b"")) for _ in range(9)))
        assert len(await store.log(ANNA, "feed")) == 10
        with server.client() as client:
            client.script_flush()
        assert list(await store.outbox()) == []


async def test_a_caller_who_leaves_takes_nobodys_commit_along(server):
    async with opened(server.url) as store:
        leaver = asyncio.create_task(store.commit(on(ANNA, Append(log="feed", value=b"1"))))
        stayer = asyncio.create_task(store.commit(on(ANNA, Append(log="feed", value=b"2"))))
        await asyncio.sleep(0)
        leaver.cancel()
        assert isinstance((await stayer)[0], Done)
        assert [entry.value for entry in await store.log(ANNA, "feed")] == [b"1", b"2"]


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("appendonly", "no", "appendonly yes"),
        ("appendfsync", "everysec", "appendfsync always"),
        ("no_appendfsync_on_rewrite", "yes", "no-appendfsync-on-rewrite no"),
        ("maxmemory_policy", "allkeys-lru", "maxmemory-policy noeviction"),
    ],
)
async def test_a_server_that_would_lose_mail_is_refused(tmp_path, setting, value, says):
    server = RedisServer(tmp_path, **{setting: value})
    try:
        server.start()
        with pytest.raises(Unsafe, match=f"would lose mail.*: {says} "):
            await RedisStore.open(server.url, FakeClock())
        async with opened(server.url, unsafe=True) as store:
            await done(store, ANNA, Put(key="k", value=b""))
    finally:
        server.close()


async def test_a_replica_that_is_not_set_alike_is_warned_of(tmp_path):
    """From a socket as well, which is no way to the replica."""
    primary = RedisNode(tmp_path / "primary")
    replica = RedisNode(
        tmp_path / "replica", replicaof=f"127.0.0.1 {primary.port}", appendfsync="everysec"
    )
    try:
        primary.start()
        replica.start()
        until(replica.has_its_copy)
        for url in (primary.url, f"unix://{primary.socket}"):
            with capture_logs() as said:
                async with opened(url, replicas=1):
                    pass
            (warned,) = [each for each in said if each["event"] == "store.replica-unsafe"]
            assert warned["replica"] == f"127.0.0.1:{replica.port}"
            assert warned["missing"] == "appendfsync always"
            with capture_logs() as said:
                async with opened(url):
                    pass
            assert "store.replica-unsafe" not in {each["event"] for each in said}
    finally:
        primary.close()
        replica.close()


async def test_a_full_server_takes_nothing_and_loses_nothing(server):
    async with opened(server.url) as store:
        await done(store, ANNA, Put(key="k", value=b"1"))
        with server.client() as client:
            client.config_set("maxmemory", "1mb")
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            await store.commit(on(ANNA, Put(key="k", value=b"2")))
        document = await store.get(ANNA, "k")
        assert document is not None
        assert document.value == b"1"
        with server.client() as client:
            client.config_set("maxmemory", "0")
        await done(store, ANNA, Put(key="k", value=b"3"))


async def test_a_layout_of_another_version_is_left_alone(server):
    with server.client() as client:
        client.set("letterbox:layout", 99)
    with pytest.raises(Unsafe, match="layout 99"):
        await RedisStore.open(server.url, FakeClock())


async def test_a_server_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await RedisStore.open(f"unix://{tmp_path}/none.sock", FakeClock())


async def test_a_server_whose_clock_is_another_is_refused(server, monkeypatch):
    ours = time.time
    monkeypatch.setattr(time, "time", lambda: ours() + 30)
    with pytest.raises(Unsafe, match=r"29\.\d s apart|30\.0 s apart"):
        await RedisStore.open(server.url, FakeClock())
    async with opened(server.url, unsafe=True) as store:
        await done(store, ANNA, Put(key="k", value=b""))


async def test_a_call_of_several_commits_is_one_command(server, monkeypatch):
    monkeypatch.setattr(leases, "_RENEWED", 3600)
    async with opened(server.url) as store:
        await deliver(store, "to have the script there")
        with server.client() as client:
            client.config_resetstat()
            await deliver(store, "1")
            told = client.info("commandstats")
        assert told["cmdstat_evalsha"]["calls"] == 1


async def test_who_is_cut_off_from_the_server_gives_up_and_comes_back(tmp_path):
    """Nothing is refused and nothing answers: only patience ends it."""
    node = RedisNode(tmp_path / "node")
    try:
        node.start()
        async with (
            proxy(node.port) as cable,
            opened(f"redis://127.0.0.1:{cable.port}", patience=1) as store,
        ):
            clients = Clients(store)
            await clients.deliver_more(200)
            cable.cut()
            async with asyncio.timeout(30):
                while not clients.heard:  # noqa: ASYNC110 - they come to hear of it
                    await asyncio.sleep(0.05)
            cable.mend()
            await clients.deliver_more(200)
            await clients.stop()
            await check(store, clients.acknowledged)
    finally:
        node.close()
