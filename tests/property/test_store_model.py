"""The memory store is the model: whatever is done to both, every other store says the same."""

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letterbox.adapters.memory import MemoryStore
from letterbox.adapters.redis import RedisStore
from letterbox.adapters.sqlite import SqliteStore
from letterbox.adapters.sqlite.frames import Frames, FromKeeper, Trouble, frame
from letterbox.ports.store import (
    Add,
    Append,
    Claim,
    Commit,
    Delete,
    DropBody,
    Emit,
    Expect,
    KeepBody,
    Put,
    Rewrite,
    Schedule,
    Settle,
    Trim,
    Unclaim,
    Uncount,
    Unschedule,
    shard_of,
)
from tests.support.beside import InTurn
from tests.support.clock import FakeClock

START = FakeClock().now()
PARTITIONS = ["consumer/anna", "consumer/ben", "vendor/é"]
#: In one shard: only there does an outbox of its own count as the model's does.
TOGETHER = [
    "vendor/é",
    *(name for n in range(200) if shard_of(name := f"consumer/{n}") == shard_of("vendor/é")),
][:3]
#: A cluster runs the same scripts as one server does.
FEWER = settings(max_examples=settings().max_examples // 3)
names = st.sampled_from(["a", "a\0", "a/1", "b", "\ue000", "📮"])
values = st.binary(max_size=3)
times = st.integers(0, 6).map(lambda hours: START + timedelta(hours=hours))
expected = st.none() | st.integers(0, 3)

of_a_partition = st.one_of(
    st.builds(Put, key=names, value=values, expect=expected),
    st.builds(Delete, key=names, expect=expected),
    st.builds(Expect, key=names, revision=st.integers(0, 3)),
    st.builds(Append, log=names, value=values),
    st.builds(Trim, log=names, through=st.integers(-1, 6)),
    st.builds(
        Add,
        counter=names,
        expires=times,
        amount=st.integers(-2, 3),
        limit=st.none() | st.integers(0, 5),
    ),
    st.builds(Uncount, counter=names),
    st.builds(Claim, name=names, value=values, expires=st.none() | times),
    st.builds(Unclaim, name=names),
    st.builds(Schedule, key=names, at=times, value=values),
    st.builds(Unschedule, key=names, expect=st.booleans()),
)
operations = st.one_of(
    of_a_partition,
    st.builds(Emit, value=values),
    st.builds(Settle, sequence=st.integers(-1, 5)),
    st.builds(KeepBody, id=names, content=values),
    st.builds(DropBody, id=names),
)

#: It stands alone with its log in a commit; of an entry that stands there twice the last counts.
rewrites = st.builds(
    Rewrite,
    log=names,
    entries=st.lists(st.tuples(st.integers(0, 5), values), max_size=4).map(tuple),
)


def plans(partitions, operations=operations):
    """Steps: a call of one to three commits, or that many hours that pass, or a restart."""
    commits = st.builds(
        Commit,
        partition=st.sampled_from(partitions),
        operations=st.one_of(
            st.lists(operations, min_size=1, max_size=4).map(tuple), st.tuples(rewrites)
        ),
        with_all=st.booleans(),
        with_previous=st.booleans(),
    )
    calls = st.lists(commits, min_size=1, max_size=3)
    return st.lists(st.one_of(calls, st.integers(1, 3), st.just("restart")), max_size=12)


async def everything(store, partitions):
    """All that can be read."""
    seen = {
        "due": list(await store.due(datetime(9999, 1, 1, tzinfo=UTC))),
        "due soon": list(await store.due(START + timedelta(hours=3), limit=3)),
        "outbox": list(await store.outbox()),
    }
    alphabet = ["a", "a\0", "a/1", "b", "\ue000", "📮"]
    for name in alphabet:
        seen["body", name] = await store.read(partitions[0], name)
    for partition in partitions:
        seen["counters", partition] = await store.counters(partition, alphabet)
        for descending in (False, True):
            seen["documents", partition, descending] = list(
                await store.documents(partition, "a", descending=descending)
            )
        seen["after", partition] = list(await store.documents(partition, "", after="a", limit=3))
        for name in alphabet:
            seen["document", partition, name] = await store.get(partition, name)
            seen["log", partition, name] = list(await store.log(partition, name))
            seen["claim", partition, name] = await store.claim(partition, name)
        named = await store.names(partition)
        seen["due names", partition] = sorted(named.due)
        # What has expired may be named or not: whoever forgets it loses nothing.
        seen["names", partition] = (
            sorted(name for name, count in seen["counters", partition].items() if count),
            [name for name in alphabet if seen["claim", partition, name] is not None],
        )
        assert set(seen["names", partition][0]) <= set(named.counters)
        assert set(seen["names", partition][1]) <= set(named.claims)
        assert {*named.counters, *named.claims} <= set(alphabet)
    return seen


async def compare(plan, partitions, reopen):
    clock = FakeClock()
    model = MemoryStore(clock)
    store = await reopen(clock)
    try:
        for step in plan:
            match step:
                case "restart":
                    await store.close()
                    store = await reopen(clock)
                case int(hours):
                    clock.advance(hours=hours)
                case _:
                    assert list(await store.commit(*step)) == list(await model.commit(*step))
            assert await everything(store, partitions) == await everything(model, partitions)
    finally:
        await store.close()


@given(plan=plans(PARTITIONS))
def test_the_embedded_store_says_what_the_model_says(plan):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        reopen = partial(SqliteStore.open, path, synchronous="OFF")
        asyncio.run(compare(plan, PARTITIONS, reopen))


@pytest.mark.timeout(1200)
@FEWER
@given(plan=plans(PARTITIONS))
def test_the_embedded_store_and_a_guest_of_it_in_turn_say_what_the_model_says(plan):
    with tempfile.TemporaryDirectory() as folder:
        reopen = partial(InTurn.open, Path(folder) / "store.db", synchronous="OFF")
        asyncio.run(compare(plan, PARTITIONS, reopen))


@given(bodies=st.lists(st.binary(max_size=9)), cuts=st.lists(st.integers(0, 200)))
def test_frames_are_the_same_however_they_come(bodies, cuts):
    said = [Trouble(0, "", body.hex()) for body in bodies]
    stream = b"".join(part for each in said for part in frame(each))
    cuts = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    heard = Frames()
    came = [body for begin, end in pairwise(cuts) for body in heard.cut(stream[begin:end])]
    assert [FromKeeper.decode(body) for body in came] == said


@pytest.mark.timeout(1200)  # seconds, for `make fuzz`: each restart is a new connection
@given(plan=plans(TOGETHER))
def test_the_redis_store_says_what_the_model_says(redis_server, plan):
    redis_server.empty()
    reopen = partial(RedisStore.open, redis_server.url)
    asyncio.run(compare(plan, TOGETHER, reopen))


@pytest.mark.timeout(1200)
@FEWER
@given(plan=plans(TOGETHER))
def test_the_store_on_a_cluster_says_what_the_model_says(redis_cluster, plan):
    redis_cluster.empty()
    reopen = partial(RedisStore.open, redis_cluster.url)
    asyncio.run(compare(plan, TOGETHER, reopen))


@pytest.mark.timeout(1200)
@FEWER
@given(plan=plans(PARTITIONS, of_a_partition))
def test_commits_to_several_shards_of_a_cluster_are_one_call_all_the_same(redis_cluster, plan):
    redis_cluster.empty()
    reopen = partial(RedisStore.open, redis_cluster.url)
    asyncio.run(compare(plan, PARTITIONS, reopen))
