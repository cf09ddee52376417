"""Counters and claims: what is limited, what happens once, what is forgotten."""

import asyncio
from datetime import timedelta

import pytest

from letterbox.ports.store import (
    Add,
    Append,
    Claim,
    Done,
    Emit,
    Put,
    Rejected,
    Schedule,
    Unclaim,
    Uncount,
)
from tests.contract.acts import ANNA, BEN, done, on, rejected


@pytest.fixture
def tomorrow(clock):
    return clock.now() + timedelta(days=1)


async def test_a_counter_counts(store, tomorrow):
    assert await done(store, ANNA, Add(counter="day", expires=tomorrow)) == (1,)
    assert await done(store, ANNA, Add(counter="day", expires=tomorrow, amount=5)) == (6,)
    assert await done(store, ANNA, Add(counter="day", expires=tomorrow, amount=-2)) == (4,)
    assert await store.counters(ANNA, ["day", "week"]) == {"day": 4, "week": 0}
    assert await store.counters(BEN, ["day"]) == {"day": 0}
    assert await store.counters(ANNA, []) == {}


@pytest.mark.parametrize(
    ("amount", "limit", "passes"),
    [(1, 4, True), (1, 3, False), (2, 4, False), (2, 5, True), (0, 3, True), (-1, 2, True)],
)
async def test_a_limit_may_be_reached_and_not_passed(store, tomorrow, amount, limit, passes):
    await done(store, ANNA, Add(counter="day", expires=tomorrow, amount=3))
    add = Add(counter="day", expires=tomorrow, amount=amount, limit=limit)
    if passes:
        assert await done(store, ANNA, add) == (3 + amount,)
    else:
        assert await rejected(store, ANNA, add) == (add, b"3")
        assert await store.counters(ANNA, ["day"]) == {"day": 3}


async def test_a_counter_is_forgotten_when_its_time_has_come(store, clock, tomorrow):
    await done(store, ANNA, Add(counter="day", expires=tomorrow, amount=3, limit=3))
    clock.advance(days=1, microseconds=-1)
    assert await store.counters(ANNA, ["day"]) == {"day": 3}
    clock.advance(microseconds=1)
    assert await store.counters(ANNA, ["day"]) == {"day": 0}
    later = tomorrow + timedelta(days=1)
    assert await done(store, ANNA, Add(counter="day", expires=later, limit=3)) == (1,)


async def test_the_last_count_says_when_it_is_forgotten(store, clock, tomorrow):
    await done(store, ANNA, Add(counter="day", expires=tomorrow))
    await done(store, ANNA, Add(counter="day", expires=tomorrow + timedelta(days=1)))
    clock.advance(days=1)
    assert await store.counters(ANNA, ["day"]) == {"day": 2}
    clock.advance(days=1)
    assert await store.counters(ANNA, ["day"]) == {"day": 0}


async def test_a_count_that_was_looked_up_is_seen_to_change(store, clock, tomorrow):
    async def seen():
        return await store.counters(ANNA, ["day", "week"])

    assert await seen() == {"day": 0, "week": 0}
    await done(store, ANNA, Add(counter="day", expires=tomorrow))
    assert await seen() == {"day": 1, "week": 0}
    full = Add(counter="week", expires=tomorrow, limit=0)
    assert await rejected(store, ANNA, Add(counter="day", expires=tomorrow), full) == (full, b"0")
    assert await seen() == {"day": 1, "week": 0}
    await done(store, BEN, Add(counter="week", expires=tomorrow))
    await done(store, ANNA, Add(counter="week", expires=tomorrow, amount=2))
    assert await seen() == {"day": 1, "week": 2}
    await done(store, ANNA, Uncount(counter="day"))
    assert await seen() == {"day": 0, "week": 2}
    clock.advance(days=1)
    assert await seen() == {"day": 0, "week": 0}


async def test_twenty_at_once_pass_a_limit_of_seven_seven_times(store, tomorrow):
    async def deliver(number):
        add = Add(counter="week", expires=tomorrow, limit=7)
        (result,) = await store.commit(
            on(ANNA, add, Put(key=f"inbox/{number}", value=b""), Append(log="seen", value=b""))
        )
        return result

    results = await asyncio.gather(*(deliver(number) for number in range(20)))
    assert sorted(r.numbers[0] for r in results if isinstance(r, Done)) == [1, 2, 3, 4, 5, 6, 7]
    assert {r.found for r in results if isinstance(r, Rejected)} == {b"7"}
    assert await store.counters(ANNA, ["week"]) == {"week": 7}
    assert len(await store.documents(ANNA, "inbox/")) == 7
    assert len(await store.log(ANNA, "seen")) == 7


async def test_a_claim_is_made_once(store, tomorrow):
    assert await store.claim(ANNA, "message-1") is None
    await done(store, ANNA, Claim(name="message-1", value=b"first", expires=tomorrow))
    again = Claim(name="message-1", value=b"second", expires=None)
    assert await rejected(store, ANNA, again) == (again, b"first")
    assert await store.claim(ANNA, "message-1") == b"first"
    assert await store.claim(BEN, "message-1") is None
    await done(store, BEN, again)


async def test_a_claim_let_go_can_be_made_again(store):
    claim = Claim(name="n", value=b"", expires=None)
    await done(store, ANNA, Unclaim(name="n"))
    await done(store, ANNA, claim, Unclaim(name="n"), claim)
    assert await store.claim(ANNA, "n") == b""
    assert await rejected(store, ANNA, claim) == (claim, b"")


async def test_a_claim_is_forgotten_when_its_time_has_come(store, clock, tomorrow):
    await done(
        store,
        ANNA,
        Claim(name="passing", value=b"1", expires=tomorrow),
        Claim(name="lasting", value=b"2", expires=None),
    )
    clock.advance(days=1, microseconds=-1)
    assert await store.claim(ANNA, "passing") == b"1"
    clock.advance(microseconds=1)
    assert await store.claim(ANNA, "passing") is None
    await done(store, ANNA, Claim(name="passing", value=b"3", expires=None))
    clock.advance(days=36_500)
    assert await store.claim(ANNA, "passing") == b"3"
    assert await store.claim(ANNA, "lasting") == b"2"


async def test_of_many_who_claim_at_once_one_has_it(store, tomorrow):
    async def claim(number):
        (result,) = await store.commit(
            on(
                ANNA,
                Put(key=f"copy/{number}", value=b""),
                Claim(name="message-1", value=b"%d" % number, expires=tomorrow),
            )
        )
        return result

    results = await asyncio.gather(*(claim(number) for number in range(20)))
    (winner,) = [n for n, result in enumerate(results) if isinstance(result, Done)]
    assert {r.found for r in results if isinstance(r, Rejected)} == {b"%d" % winner}
    assert [d.key for d in await store.documents(ANNA, "copy/")] == [f"copy/{winner}"]


async def test_a_guard_at_the_end_undoes_all_before_it(store, clock, tomorrow):
    taken = Claim(name="taken", value=b"other", expires=None)
    await done(
        store,
        ANNA,
        Put(key="old", value=b"1"),
        Add(counter="day", expires=tomorrow),
        Schedule(key="job", at=tomorrow, value=b"1"),
        taken,
    )
    before = clock.now()
    failed, _ = await rejected(
        store,
        ANNA,
        Put(key="old", value=b"2"),
        Put(key="new", value=b"2"),
        Append(log="feed", value=b"2"),
        Add(counter="day", expires=tomorrow),
        Claim(name="free", value=b"", expires=None),
        Unclaim(name="taken"),
        Schedule(key="job", at=before, value=b"2"),
        Schedule(key="another", at=before),
        Emit(value=b"2"),
        *await store.prepare("body", b"content"),
        Put(key="old", value=b"3", expect=7),
    )
    assert failed == Put(key="old", value=b"3", expect=7)
    assert [d.value for d in await store.documents(ANNA, "")] == [b"1"]
    assert list(await store.log(ANNA, "feed")) == []
    assert await store.counters(ANNA, ["day"]) == {"day": 1}
    assert await store.claim(ANNA, "free") is None
    assert await store.claim(ANNA, "taken") == b"other"
    assert [entry.at for entry in await store.due(tomorrow)] == [tomorrow]
    assert list(await store.due(before)) == []
    assert list(await store.outbox()) == []
    assert await store.read(ANNA, "body") is None


async def test_a_naive_time_is_turned_away(store, tomorrow):
    naive = tomorrow.replace(tzinfo=None)
    for operation in (
        Add(counter="day", expires=naive),
        Claim(name="n", value=b"", expires=naive),
        Schedule(key="k", at=naive),
    ):
        with pytest.raises(TypeError):
            await store.commit(on(ANNA, Put(key="fine", value=b""), operation))
    assert await store.get(ANNA, "fine") is None
