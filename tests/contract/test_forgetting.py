"""Forgetting all that is somebody's: what a partition has by name, and entries of others' logs."""

from datetime import timedelta

from letterbox.ports.store import (
    Add,
    Append,
    Claim,
    LogEntry,
    Names,
    Rewrite,
    Schedule,
    Uncount,
)
from tests.contract.acts import ANNA, done

HOSTILE = "consumer/[a*?]\\\0"


async def test_counters_claims_and_due_entries_are_found_by_name(store, clock):
    later = clock.now() + timedelta(hours=1)
    for partition in (ANNA, "consumer/anna2", "consumer/ann", HOSTILE, "consumer/aa"):
        await done(
            store,
            partition,
            Add(counter=f"n {partition}", expires=later),
            Claim(name="c/*", value=b"", expires=None),
            Schedule(key="d\0", at=later),
        )
    for partition in (ANNA, HOSTILE):
        assert await store.names(partition) == Names((f"n {partition}",), ("c/*",), ("d\0",))
    assert await store.names("consumer/nobody") == Names()


async def test_a_counter_is_forgotten(store, clock):
    later = clock.now() + timedelta(hours=1)
    await done(store, ANNA, Add(counter="n", expires=later, amount=3))
    await done(store, ANNA, Uncount(counter="n"), Uncount(counter="none"))
    assert await store.names(ANNA) == Names()
    assert await done(store, ANNA, Add(counter="n", expires=later, limit=1)) == (1,)


async def test_entries_of_a_log_are_written_anew_in_their_places(store):
    await done(store, ANNA, *(Append(log="feed", value=b"%d" % n) for n in range(1, 6)))
    await done(store, ANNA, Rewrite(log="feed", entries=((2, b"x"), (5, b"y"), (9, b"z"))))
    assert list(await store.log(ANNA, "feed")) == [
        LogEntry(sequence=n, value=value)
        for n, value in enumerate((b"1", b"x", b"3", b"4", b"y"), start=1)
    ]
    assert await done(store, ANNA, Append(log="feed", value=b"6")) == (6,)
    await done(store, ANNA, Rewrite(log="none", entries=((1, b"x"),)))
    assert list(await store.log(ANNA, "none")) == []
