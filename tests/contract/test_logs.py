"""Logs: sequence numbers, pages, and being woken."""

import asyncio

import pytest

from letterbox.ports.store import Append, LogEntry, Put, StoreUnavailable, Trim
from tests.contract.acts import ANNA, BEN, done, rejected


async def test_entries_are_numbered_from_one_in_each_log(store):
    assert await done(
        store,
        ANNA,
        Append(log="feed", value=b"a"),
        Append(log="feed", value=b"b"),
        Append(log="other", value=b"c"),
    ) == (1, 2, 1)
    assert await done(store, BEN, Append(log="feed", value=b"d")) == (1,)
    assert await done(store, ANNA, Append(log="feed", value=b"e")) == (3,)
    assert list(await store.log(ANNA, "feed")) == [
        LogEntry(sequence=1, value=b"a"),
        LogEntry(sequence=2, value=b"b"),
        LogEntry(sequence=3, value=b"e"),
    ]
    assert list(await store.log(ANNA, "none")) == []


@pytest.mark.parametrize(
    ("after", "limit", "expected"),
    [
        (0, 100, [1, 2, 3, 4, 5]),
        (2, 100, [3, 4, 5]),
        (2, 2, [3, 4]),
        (5, 100, []),
        (99, 100, []),
        (-3, 1, [1]),
        (0, 0, []),
        (0, -1, []),
    ],
)
async def test_a_cursor_goes_on_from_where_it_stood(store, after, limit, expected):
    await done(store, ANNA, *(Append(log="feed", value=b"%d" % n) for n in range(5)))
    page = await store.log(ANNA, "feed", after=after, limit=limit)
    assert [entry.sequence for entry in page] == expected


async def test_a_rejected_commit_leaves_no_gap(store):
    await done(store, ANNA, Append(log="feed", value=b"a"))
    await rejected(store, ANNA, Append(log="feed", value=b"b"), Put(key="k", value=b"", expect=1))
    assert await done(store, ANNA, Append(log="feed", value=b"c")) == (2,)


async def test_following_returns_at_once_when_there_is_something(store):
    await done(store, ANNA, Append(log="feed", value=b"a"))
    assert await store.follow(ANNA, "feed", after=0, seconds=0)
    assert not await store.follow(ANNA, "feed", after=1, seconds=0)


async def test_followers_are_woken_by_their_own_log_alone(store):
    followers = [
        asyncio.create_task(store.follow(ANNA, "feed", after=1, seconds=30)) for _ in range(3)
    ]
    others = [
        asyncio.create_task(store.follow(partition, log, after=0, seconds=30))
        for partition, log in [(BEN, "feed"), (ANNA, "other")]
    ]
    assert await done(store, ANNA, Append(log="feed", value=b"a")) == (1,)
    assert await done(store, ANNA, Append(log="feed", value=b"b")) == (2,)
    assert await asyncio.wait_for(asyncio.gather(*followers), 10) == [True] * 3
    assert not any(task.done() for task in others)
    for task in others:
        task.cancel()
    assert all(
        isinstance(end, asyncio.CancelledError)
        for end in await asyncio.gather(*others, return_exceptions=True)
    )


async def test_following_ends_when_its_time_is_over(store):
    assert not await store.follow(ANNA, "feed", after=0, seconds=0.01)


async def test_closing_lets_followers_go(store):
    follower = asyncio.create_task(store.follow(ANNA, "feed", after=0, seconds=30))
    waiter = asyncio.create_task(store.wait(30))
    await done(store, ANNA, Append(log="other", value=b"so that both have begun"))
    await store.close()
    for task in (follower, waiter):
        with pytest.raises(StoreUnavailable, match="closed"):
            await asyncio.wait_for(task, 10)


async def test_trimming_forgets_the_old_and_keeps_the_count(store):
    entries = tuple(Append(log="feed", value=b"%d" % n) for n in range(5))
    await done(store, ANNA, *entries)
    await done(store, ANNA, Trim(log="feed", through=2))
    assert [e.sequence for e in await store.log(ANNA, "feed")] == [3, 4, 5]
    assert [e.sequence for e in await store.log(ANNA, "feed", after=3)] == [4, 5]
    await done(store, ANNA, Trim(log="feed", through=99))
    assert [e.sequence for e in await store.log(ANNA, "feed")] == [5]
    assert await done(store, ANNA, Append(log="feed", value=b"next")) == (6,)


async def test_trimming_an_empty_log_changes_nothing(store):
    await done(store, ANNA, Trim(log="feed", through=3))
    assert list(await store.log(ANNA, "feed")) == []
