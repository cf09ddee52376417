"""Deliveries as they are committed, and what must be there of them after any fault."""

from datetime import timedelta

from letterbox.adapters.clock import SystemClock
from letterbox.adapters.redis import RedisStore
from letterbox.adapters.sqlite import SqliteStore
from letterbox.ports.store import Add, Append, Claim, Commit, Done, Put

ANNA = "consumer/anna"
AnyStore = SqliteStore | RedisStore


def content_of(ident: str) -> bytes:
    """A body that shows whether it is whole; those that end in 3 are large enough for a file."""
    size = 300_000 if ident.endswith("3") else 9_000
    return (ident.encode() + b"\n") * (size // (len(ident) + 1))


async def deliver(store: AnyStore, ident: str) -> None:
    """As a message and its delivery are committed."""
    message = Commit(
        partition=f"message/{ident}",
        operations=(
            Put(key="record", value=ident.encode(), expect=0),
            *await store.prepare(ident, content_of(ident)),
        ),
    )
    consumer = Commit(
        partition=ANNA,
        operations=(
            Claim(name=ident, value=b"", expires=None),
            Put(key=f"inbox/{ident}", value=ident.encode(), expect=0),
            Append(log="decisions", value=ident.encode()),
            Add(counter="all", expires=SystemClock().now() + timedelta(days=9)),
        ),
    )
    results = await store.commit(message, consumer)
    assert all(isinstance(result, Done) for result in results), results


async def check(store: AnyStore, acknowledged: set[str]) -> None:
    """Everything acknowledged is there once, and nothing is there in part."""
    entries = await store.documents(ANNA, "inbox/", limit=100_000)
    there = {entry.value.decode() for entry in entries}
    assert acknowledged <= there
    assert [e.value.decode() for e in entries] == [e.key[len("inbox/") :] for e in entries]
    logged = [e.value.decode() for e in await store.log(ANNA, "decisions", limit=100_000)]
    assert sorted(logged) == sorted(there)
    assert await store.counters(ANNA, ["all"]) == {"all": len(there)}
    for ident in there:
        assert await store.get(f"message/{ident}", "record") is not None
        assert await store.claim(ANNA, ident) == b""
        assert await store.read(f"message/{ident}", ident) == content_of(ident)
