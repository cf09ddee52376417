"""The memory store is the model: whatever is done to both, every other store says the same."""

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterbox.adapters.memory import MemoryStore
from letterbox.adapters.redis import RedisStore
from letterbox.adapters.sqlite import SqliteStore
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
    Schedule,
    Settle,
    Trim,
    Unclaim,
    Unschedule,
    shard_of,
)
from tests.support.clock import FakeClock

START = FakeClock().now()
PARTITIONS = ["consumer/anna", "consumer/ben", "vendor/é"]
#: In one shard: only there does an outbox of its own count as the model's does.
TOGETHER = [
    "vendor/é",
    *(name for n in range(200) if shard_of(name := f"consumer/{n}") == shard_of("vendor/é")),
][:3]
names = st.sampled_from(["a", "a\0", "a/1", "b", "\ue000", "📮"])
values = st.binary(max_size=3)
times = st.integers(0, 6).map(lambda hours: START + timedelta(hours=hours))
expected = st.none() | st.integers(0, 3)

operations = st.one_of(
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
    st.builds(Claim, name=names, value=values, expires=st.none() | times),
    st.builds(Unclaim, name=names),
    st.builds(Schedule, key=names, at=times, value=values),
    st.builds(Unschedule, key=names, expect=st.booleans()),
    st.builds(Emit, value=values),
    st.builds(Settle, sequence=st.integers(-1, 5)),
    st.builds(KeepBody, id=names, content=values),
    st.builds(DropBody, id=names),
)


def plans(partitions):
    """Steps: a call of one to three commits, or that many hours that pass, or a restart."""
    commits = st.builds(
        Commit,
        partition=st.sampled_from(partitions),
        operations=st.lists(operations, min_size=1, max_size=4).map(tuple),
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


@pytest.mark.timeout(1200)  # seconds, for `make fuzz`: each restart is a new connection
@given(plan=plans(TOGETHER))
def test_the_redis_store_says_what_the_model_says(redis_server, plan):
    with redis_server.client() as client:
        client.flushall()
    reopen = partial(RedisStore.open, redis_server.url)
    asyncio.run(compare(plan, TOGETHER, reopen))
