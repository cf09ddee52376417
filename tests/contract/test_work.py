"""The due-set and the outbox: order, taking once, waking."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from letterbox.ports.store import (
    Announce,
    Append,
    Done,
    DueEntry,
    Emit,
    Put,
    Schedule,
    Settle,
    Unschedule,
    shard_of,
)
from tests.contract.acts import ANNA, BEN, done, on, rejected

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


async def test_what_is_due_comes_earliest_first(store):
    await store.commit(
        on(ANNA, Schedule(key="late", at=NOON + timedelta(hours=2), value=b"3")),
        on(BEN, Schedule(key="early", at=NOON, value=b"1")),
        on(ANNA, Schedule(key="middle", at=NOON + timedelta(microseconds=1), value=b"2")),
    )
    assert list(await store.due(NOON - timedelta(microseconds=1))) == []
    assert list(await store.due(NOON)) == [
        DueEntry(partition=BEN, key="early", at=NOON, value=b"1")
    ]
    everything = await store.due(NOON + timedelta(days=1))
    assert [entry.value for entry in everything] == [b"1", b"2", b"3"]
    assert [entry.value for entry in await store.due(NOON + timedelta(days=1), limit=2)] == [
        b"1",
        b"2",
    ]
    assert list(await store.due(NOON, limit=0)) == []


async def test_an_entry_is_moved_by_scheduling_it_again(store):
    await done(store, ANNA, Schedule(key="job", at=NOON, value=b"1"))
    later = NOON + timedelta(hours=1)
    await done(store, ANNA, Schedule(key="job", at=later, value=b"2"))
    assert list(await store.due(later)) == [
        DueEntry(partition=ANNA, key="job", at=later, value=b"2")
    ]


async def test_times_are_moments_whatever_their_zone(store):
    there = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    await done(store, ANNA, Schedule(key="job", at=there))
    assert [entry.at for entry in await store.due(there)] == [NOON]


@pytest.mark.parametrize(
    "at", [datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC)]
)
async def test_any_moment_is_kept_exactly(store, at):
    await done(store, ANNA, Schedule(key="job", at=at))
    assert [entry.at for entry in await store.due(at)] == [at]


async def test_due_work_is_taken_once(store):
    await done(store, ANNA, Schedule(key="job", at=NOON))

    async def take(number):
        (result,) = await store.commit(
            on(ANNA, Put(key=f"{number}", value=b""), Unschedule(key="job"))
        )
        return isinstance(result, Done)

    assert sum(await asyncio.gather(*(take(number) for number in range(10)))) == 1
    assert len(await store.documents(ANNA, "")) == 1
    assert list(await store.due(NOON)) == []
    assert await rejected(store, ANNA, Unschedule(key="job")) == (Unschedule(key="job"), b"0")
    await done(store, ANNA, Unschedule(key="job", expect=False))


async def test_the_outbox_keeps_the_order_of_commits_in_each_shard(store):
    emitted = [(f"consumer/{number % 7}", b"%d" % number) for number in range(40)]
    for partition, value in emitted:
        await done(store, partition, Emit(value=value))
    entries = await store.outbox()
    for shard in {shard_of(partition) for partition, _ in emitted}:
        there = [entry for entry in entries if shard_of(entry.partition) == shard]
        assert [(entry.partition, entry.value) for entry in there] == [
            one for one in emitted if shard_of(one[0]) == shard
        ]
        numbers = [entry.sequence for entry in there]
        assert numbers == sorted(set(numbers))
    assert len(await store.outbox(limit=3)) == 3


async def test_an_entry_is_seen_however_few_are_asked_for(store):
    for name in ("consumer/0", "consumer/1", "consumer/2", "consumer/3"):
        await done(store, name, Emit(value=b""))
        (entry,) = await store.outbox(limit=1)
        assert entry.partition == name
        await done(store, name, Settle(sequence=entry.sequence))


async def test_an_entry_is_settled_once_and_its_number_never_comes_back(store):
    (first,) = await done(store, ANNA, Emit(value=b"1"))
    settle = Settle(sequence=first)
    await done(store, ANNA, settle)
    assert list(await store.outbox()) == []
    assert await rejected(store, ANNA, settle) == (settle, b"0")
    (second,) = await done(store, ANNA, Emit(value=b"2"))
    assert second > first


async def test_an_entry_is_settled_in_its_own_shard_alone(store):
    (sequence,) = await done(store, ANNA, Emit(value=b"1"))
    assert shard_of(ANNA) != shard_of(BEN)
    settle = Settle(sequence=sequence)
    assert await rejected(store, BEN, settle) == (settle, b"0")
    same = next(name for n in range(9999) if shard_of(name := f"vendor/{n}") == shard_of(ANNA))
    await done(store, same, settle)


async def test_a_relay_step_is_one_commit(store):
    (sequence,) = await done(store, ANNA, Emit(value=b"event"))
    settled = await store.commit(
        on(BEN, Append(log="feed", value=b"event")), on(ANNA, Settle(sequence=sequence))
    )
    assert [type(result) for result in settled] == [Done, Done]
    assert list(await store.outbox()) == []


@pytest.mark.parametrize("operation", [Emit(value=b""), Schedule(key="job", at=NOON)], ids=repr)
async def test_waiting_ends_when_work_comes(store, operation):
    assert not await store.wait(0)
    waiting = asyncio.create_task(store.wait(30))
    await done(store, ANNA, Put(key="k", value=b""), Append(log="feed", value=b""))
    assert not waiting.done()
    await done(store, ANNA, operation)
    assert await asyncio.wait_for(waiting, 10)
    assert not await store.wait(0)


async def test_what_is_due_later_than_the_wait_wakes_nobody(store):
    waiting = asyncio.create_task(store.wait(3600))
    await done(store, ANNA, Schedule(key="far", at=NOON + timedelta(days=30)))
    assert not waiting.done()
    await done(store, ANNA, Schedule(key="near", at=NOON + timedelta(minutes=59)))
    assert await asyncio.wait_for(waiting, 10)
    await done(store, ANNA, Schedule(key="near", at=NOON + timedelta(minutes=59)))
    assert not await store.wait(0)
    await done(store, ANNA, Schedule(key="near", at=NOON + timedelta(minutes=59)))
    assert await store.wait(3600)


async def test_work_that_came_before_the_wait_is_not_slept_through(store):
    await done(store, ANNA, Emit(value=b"1"), Emit(value=b"2"))
    assert await store.wait(0)
    assert not await store.wait(0.001)


async def test_rejected_work_wakes_nobody(store):
    await rejected(store, ANNA, Emit(value=b"1"), Unschedule(key="absent"))
    assert not await store.wait(0)


# ---- news -------------------------------------------------------------------------------------


async def test_who_listens_hears_what_is_announced_before_the_commit_returns(store):
    heard, too = [], []
    store.listen(heard.append)
    store.listen(too.append)
    await store.commit(
        on(ANNA, Put(key="k", value=b""), Announce()),
        on(BEN, Put(key="k", value=b"")),
        on(BEN, Announce(), Put(key="k", value=b"", expect=9)),
    )
    assert heard == too == [ANNA]
