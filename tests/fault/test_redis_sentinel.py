"""What the Redis store promises where Sentinel says which server is the primary."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from letterbox.adapters.redis import RedisStore, leases
from letterbox.ports.store import Put, StoreUnavailable
from tests.contract.acts import ANNA, done
from tests.fault.deliveries import Clients, check
from tests.support.clock import FakeClock
from tests.support.ports import free_port
from tests.support.redis import RedisNode, RedisSentinel, until


@pytest.fixture(autouse=True)
def short_leases(monkeypatch):
    """A letterbox that is gone is waited for a second, so that a test need not wait for nine."""
    monkeypatch.setattr(leases, "LASTS", 900)
    monkeypatch.setattr(leases, "_RENEWED", 0.3)


@pytest.fixture
def primary(tmp_path):
    node = RedisNode(tmp_path / "primary")
    yield node
    node.close()


@pytest.fixture
def replica(tmp_path, primary):
    node = RedisNode(
        tmp_path / "replica",
        replicaof=f"127.0.0.1 {primary.port}",
    )
    yield node
    node.close()


@pytest.fixture
def sentinel(tmp_path, primary, replica):
    primary.start()
    replica.start()
    until(replica.has_its_copy)
    sentinel = RedisSentinel(tmp_path / "sentinel", primary)
    try:
        sentinel.start(replicas=1)
        yield sentinel
    finally:
        sentinel.close()


@asynccontextmanager
async def opened(sentinel: RedisSentinel, userinfo: str = "", **settings):
    # One of the sentinels named is gone.
    url = (
        f"redis+sentinel://{userinfo}127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/letterbox/0"
    )
    store = await RedisStore.open(url, FakeClock(), **settings)
    try:
        yield store
    finally:
        await store.close()


async def test_the_store_goes_on_with_the_replica_that_sentinel_makes_the_primary(
    tmp_path, primary, replica, sentinel
):
    spare = RedisNode(tmp_path / "spare", replicaof=f"127.0.0.1 {replica.port}")
    try:
        async with opened(sentinel, patience=2, replicas=1) as store:
            clients = Clients(store)
            await clients.deliver_more(200)
            primary.kill()
            # What the new primary has alone does not count.
            await asyncio.to_thread(spare.start)
            await clients.deliver_more(200)
            await clients.stop()
            assert clients.heard
            assert sentinel.primary() == replica.port
            await check(store, clients.acknowledged)
    finally:
        spare.close()


async def test_a_primary_that_steps_down_is_left_without_a_failure(primary, replica, sentinel):
    async with opened(sentinel) as store:
        await done(store, ANNA, Put(key="k", value=b"1"))
        until(lambda: replica.ask("ROLE")[4] == primary.ask("ROLE")[1])
        sentinel.ask("SENTINEL", "FAILOVER", "letterbox")
        until(lambda: sentinel.primary() == replica.port)
        primary.ask("REPLICAOF", "127.0.0.1", replica.port)
        await done(store, ANNA, Put(key="k", value=b"2", expect=1))
        assert replica.ask("ROLE")[0] == b"master"


async def test_the_password_is_shown_to_a_sentinel_that_asks_for_none(primary, replica, sentinel):
    for node in (replica, primary):
        node.ask("CONFIG", "SET", "masterauth", "geheim/@:")
        node.ask("CONFIG", "SET", "requirepass", "geheim/@:")
    sentinel.ask("SENTINEL", "SET", "letterbox", "auth-pass", "geheim/@:")
    async with opened(sentinel, userinfo=":geheim%2F%40%3A@") as store:
        await done(store, ANNA, Put(key="k", value=b""))
    with pytest.raises(StoreUnavailable) as failed:
        async with opened(sentinel, userinfo=":falsch@"):
            pass
    assert "falsch" not in str(failed.value)


async def test_a_name_that_no_sentinel_knows_is_told(sentinel):
    url = f"redis+sentinel://127.0.0.1:{sentinel.port}/mailbox"
    with pytest.raises(StoreUnavailable, match="no primary named mailbox"):
        await RedisStore.open(url, FakeClock())


async def test_without_any_sentinel_there_is_no_store():
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await RedisStore.open(f"redis+sentinel://127.0.0.1:{free_port()}/letterbox", FakeClock())
