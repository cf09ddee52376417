"""What the Redis store promises on a cluster: one server gone, standing still, or a slot moving."""

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from redis.crc import key_slot

from letterbox.adapters.redis import RedisStore, Unsafe, keys, leases
from letterbox.adapters.redis.connect import connect
from letterbox.ports.store import (
    Announce,
    Append,
    Claim,
    Commit,
    Done,
    Emit,
    Put,
    Schedule,
    StoreUnavailable,
    shard_of,
)
from tests.contract.acts import ANNA, done, on
from tests.fault.deliveries import Clients, check
from tests.support.clock import FakeClock
from tests.support.ports import free_port
from tests.support.redis import RedisCluster, RedisNode, until


@pytest.fixture(autouse=True)
def short_leases(monkeypatch):
    """A letterbox that is gone is waited for a second, so that a test need not wait for nine."""
    monkeypatch.setattr(leases, "LASTS", 900)
    monkeypatch.setattr(leases, "_RENEWED", 0.3)


@pytest.fixture
def cluster(redis_cluster):
    redis_cluster.empty()
    return redis_cluster


@asynccontextmanager
async def opened(url: str, **settings):
    store = await RedisStore.open(url, FakeClock(), **settings)
    try:
        yield store
    finally:
        await store.close()


def slot_of(partition: str) -> int:
    return key_slot(keys.documents(partition))


def node_of(cluster: RedisCluster, partition: str) -> RedisNode:
    return cluster.primary_of(slot_of(partition))


def elsewhere(cluster: RedisCluster, partition: str) -> str:
    """A partition that another server has."""
    here = node_of(cluster, partition)
    names = (f"message/{number}" for number in range(1000))
    return next(name for name in names if node_of(cluster, name) is not here)


def another(cluster: RedisCluster, node: RedisNode) -> RedisNode:
    return next(each for each in cluster.primaries if each is not node)


@pytest.mark.parametrize(
    ("stop", "start", "times"),
    [
        (RedisNode.kill, RedisNode.start, 1),
        pytest.param(RedisNode.kill, RedisNode.start, 6, marks=pytest.mark.long),
        pytest.param(RedisNode.pause, RedisNode.resume, 3, marks=pytest.mark.long),
    ],
)
async def test_replicas_that_take_over_have_all_that_was_acknowledged(tmp_path, stop, start, times):
    cluster = RedisCluster(tmp_path, replicas=1, timeout=1000)
    try:
        cluster.start()
        async with opened(cluster.url, patience=2, replicas=1) as store:
            clients = Clients(store)
            for _ in range(times):
                await clients.deliver_more(200)
                gone = node_of(cluster, ANNA)
                stop(gone)
                await asyncio.to_thread(until, lambda gone=gone: node_of(cluster, ANNA) is not gone)
                # What the new primary has alone does not count: the other becomes its replica.
                await asyncio.to_thread(start, gone)
            await clients.deliver_more(200)
            await clients.stop()
            assert clients.heard
            await check(store, clients.acknowledged)
            await done(store, ANNA, Put(key="after", value=b""))
    finally:
        cluster.close()


async def test_a_slot_that_moves_under_load_loses_nothing_and_does_nothing_twice(cluster):
    source, slot = node_of(cluster, ANNA), slot_of(ANNA)
    target = another(cluster, source)
    async with opened(cluster.url) as store:
        clients = Clients(store)
        await clients.deliver_more(100)
        await asyncio.to_thread(cluster.begin_move, slot, target)
        await asyncio.to_thread(cluster.end_move, slot, target)
        await clients.deliver_more(100)
        await asyncio.to_thread(cluster.begin_move, slot, source)
        await asyncio.to_thread(cluster.end_move, slot, source)
        await clients.deliver_more(100)
        await clients.stop()
        assert clients.heard == []
        await check(store, clients.acknowledged)


async def test_what_has_gone_ahead_in_a_moving_slot_is_found_and_nothing_is_done_by_halves(cluster):
    source, slot = node_of(cluster, ANNA), slot_of(ANNA)
    target = another(cluster, source)
    async with opened(cluster.url, patience=0.5) as store:
        await done(store, ANNA, Put(key="k", value=b"1"), Append(log="feed", value=b"1"))
        cluster.begin_move(slot, target)
        cluster.move(slot, target, keys.index(ANNA))
        with pytest.raises(StoreUnavailable, match="does not take it now"):
            await store.commit(on(ANNA, Append(log="feed", value=b"2"), Put(key="l", value=b"2")))
        cluster.move(slot, target, keys.documents(ANNA))
        document = await store.get(ANNA, "k")
        assert document is not None
        assert document.value == b"1"
        assert [each.key for each in await store.documents(ANNA, "")] == ["k"]
        assert len(await store.log(ANNA, "feed")) == 1
        cluster.end_move(slot, target)
        assert await store.get(ANNA, "l") is None
        assert len(await store.log(ANNA, "feed")) == 1
        await done(store, ANNA, Put(key="k", value=b"2", expect=1), Append(log="feed", value=b"2"))
        cluster.begin_move(slot, source)
        cluster.end_move(slot, source)
        assert len(await store.log(ANNA, "feed")) == 2


async def test_one_server_that_stands_still_stops_its_own_partitions_alone(cluster):
    node, there = node_of(cluster, ANNA), elsewhere(cluster, ANNA)
    async with opened(cluster.url, patience=0.5) as store:
        await done(store, ANNA, Put(key="before", value=b""))
        node.pause()
        try:
            stuck = asyncio.create_task(store.commit(on(ANNA, Append(log="feed", value=b""))))
            for _ in range(9):
                await done(store, there, Append(log="feed", value=b""))
            with pytest.raises(StoreUnavailable, match="does not answer"):
                await stuck
            with pytest.raises(StoreUnavailable, match="does not answer"):
                await store.due(FakeClock().now())
        finally:
            node.resume()
        await done(store, ANNA, Put(key="after", value=b""))
        assert len(await store.log(ANNA, "feed")) <= 1
        assert len(await store.log(there, "feed")) == 9


async def test_what_is_due_elsewhere_is_worked_on_while_one_server_stands_still(cluster):
    now = FakeClock().now()
    names = {shard_of(name): name for name in (f"consumer/{nth}" for nth in range(2000))}
    async with opened(cluster.url, patience=3.0) as store:
        await store.commit(*(on(name, Schedule(key="job", at=now)) for name in names.values()))
        stopped = node_of(cluster, ANNA)
        others = {name for name in names.values() if node_of(cluster, name) is not stopped}
        stopped.pause()
        try:
            async with asyncio.timeout(20):
                shown = set(names.values())
                while shown != others:
                    assert shown >= others
                    with suppress(TimeoutError, StoreUnavailable):
                        async with asyncio.timeout(0.1):
                            shown = {each.partition for each in await store.due(now, limit=999)}
        finally:
            stopped.resume()


async def test_who_listens_at_a_server_that_is_taken_out_hears_all_the_same(tmp_path):
    cluster = RedisCluster(tmp_path)
    try:
        cluster.start()
        async with opened(cluster.url, patience=1.0) as one, opened(cluster.url) as other:
            heard = []
            one.listen(heard.append)
            # Both have begun with the same.
            listened = next(n for n in cluster.nodes if n.ask("CLIENT", "LIST", "TYPE", "pubsub"))
            cluster.take_out(listened)
            async with asyncio.timeout(20):
                while ANNA not in heard:
                    with suppress(StoreUnavailable):
                        await other.commit(on(ANNA, Announce()))
                    await asyncio.sleep(0.05)
            assert None in heard
    finally:
        cluster.close()


async def test_a_call_that_is_cut_in_the_middle_has_done_what_came_first(cluster):
    node, there = node_of(cluster, ANNA), elsewhere(cluster, ANNA)
    async with opened(cluster.url, patience=0.5) as store:
        await done(store, ANNA, Put(key="before", value=b""))
        node.pause()
        try:
            with pytest.raises(StoreUnavailable):
                await store.commit(
                    Commit(there, (Put(key="record", value=b""),)),
                    Commit(ANNA, (Put(key="inbox", value=b""),)),
                    Commit(there, (Put(key="never", value=b""),)),
                )
        finally:
            node.resume()
        assert await store.get(there, "record") is not None
        assert await store.get(there, "never") is None


async def test_a_call_is_one_command_for_each_run_of_one_shard(cluster):
    there = elsewhere(cluster, ANNA)

    def evaluated() -> int:
        counts = []
        for node in cluster.primaries:
            with node.client() as client:
                counts.append(client.info("commandstats").get("cmdstat_evalsha", {"calls": 0}))
        return sum(count["calls"] for count in counts)

    async with opened(cluster.url) as store:
        here = Commit(ANNA, (Append(log="feed", value=b""),))
        else_ = Commit(there, (Append(log="feed", value=b""),))
        await store.commit(here, else_)  # to have the script there
        for commits, count in (((here, here), 1), ((here, else_, else_, here), 3)):
            before = evaluated()
            await store.commit(*commits)
            assert evaluated() - before == count


async def test_whoever_leaves_in_the_middle_leaves_all_of_it_to_be_done(cluster):
    there = elsewhere(cluster, ANNA)
    async with opened(cluster.url) as store:
        commits = [Commit(where, (Append(log="feed", value=b""),)) for where in (there, ANNA)]
        leaver = asyncio.create_task(store.commit(*commits))
        await asyncio.sleep(0)
        leaver.cancel()
        assert await store.follow(ANNA, "feed", after=0, seconds=30)
        assert len(await store.log(there, "feed")) == 1


async def test_what_is_due_comes_in_order_wherever_it_lies(cluster):
    now = FakeClock().now()
    names = [ANNA] * 40 + [f"consumer/{number}" for number in range(60)]
    assert len({shard_of(name) for name in names}) > 20
    async with opened(cluster.url) as store:
        for nth, name in enumerate(names):
            at = now + timedelta(seconds=nth)
            await store.commit(
                Commit(name, (Schedule(key=f"{nth}", at=at), Emit(value=b"%d" % nth)))
            )
        later = now + timedelta(hours=1)
        for limit in (1, 30, 45, 100, 200):
            due = await store.due(later, limit=limit)
            assert [entry.key for entry in due] == [str(nth) for nth in range(100)][:limit]
            outbox = await store.outbox(limit=limit)
            assert len(outbox) == min(limit, 100)
            numbers: dict[int, list[int]] = {}
            for entry in outbox:
                numbers.setdefault(shard_of(entry.partition), []).append(entry.sequence)
            assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())


async def test_without_a_replica_nothing_is_acknowledged_or_found(cluster):
    claim = Claim(name="message-1", value=b"first", expires=None)
    async with opened(cluster.url, patience=0.5, replicas=1) as store:
        assert await store.claim(ANNA, "message-1") is None
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            await store.commit(on(ANNA, claim))
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            await store.claim(ANNA, "message-1")


async def test_any_server_of_a_cluster_tells_of_all_others(cluster):
    gone, there = free_port(), cluster.nodes[2].port
    url = f"redis+cluster://127.0.0.1:{gone},127.0.0.1:{there}"
    async with opened(url) as store:
        results = await store.commit(
            *(Commit(f"message/{n}", (Put(key="record", value=b""),)) for n in range(9))
        )
        assert all(isinstance(result, Done) for result in results)
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await RedisStore.open(f"redis+cluster://127.0.0.1:{gone}", FakeClock())


async def test_every_server_of_a_cluster_is_looked_at(cluster):
    node = cluster.nodes[1]
    node.ask("CONFIG", "SET", "appendfsync", "everysec")
    try:
        with pytest.raises(Unsafe, match="appendfsync always"):
            await RedisStore.open(cluster.url, FakeClock())
    finally:
        node.ask("CONFIG", "SET", "appendfsync", "always")


async def test_a_url_of_another_kind_of_server_is_told(cluster, tmp_path):
    with pytest.raises(Unsafe, match=r"begins redis\+cluster://"):
        await RedisStore.open(cluster.nodes[0].url, FakeClock())
    single = RedisNode(tmp_path / "single")
    try:
        single.start()
        with pytest.raises(Unsafe, match="begins redis://"):
            await RedisStore.open(f"redis+cluster://127.0.0.1:{single.port}", FakeClock())
    finally:
        single.close()


async def test_what_is_published_at_one_server_is_heard_at_all(cluster):
    servers = connect(cluster.url, 5)
    try:
        for _ in cluster.primaries:
            async with await servers.pubsub() as pubsub:
                await pubsub.subscribe("news")
                assert (await pubsub.get_message(timeout=30))["type"] == "subscribe"
                cluster.nodes[0].ask("PUBLISH", "news", "new")
                message = await pubsub.get_message(timeout=30)
                assert message is not None
                assert message["data"] == b"new"
    finally:
        await servers.close()
