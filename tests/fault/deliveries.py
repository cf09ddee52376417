"""Deliveries as they are committed, and what must be there of them after any fault."""

import asyncio
from datetime import timedelta

from letterbox.adapters.clock import SystemClock
from letterbox.adapters.redis import RedisStore
from letterbox.adapters.sqlite import SqliteStore
from letterbox.ports.store import Add, Append, Claim, Commit, Done, Put, StoreUnavailable

ANNA = "consumer/anna"
CLIENTS = 20
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


class Clients:
    """They deliver until told to stop: what was acknowledged, and what they heard instead."""

    def __init__(self, store: AnyStore) -> None:
        self.store = store
        self.acknowledged: set[str] = set()
        self.heard: list[StoreUnavailable] = []
        self._stopped = False
        self._wanted, self._enough = 0, asyncio.Event()
        self._clients = [asyncio.create_task(self._deliver(name)) for name in range(CLIENTS)]

    async def _deliver(self, name: int) -> None:
        number = 0
        while not self._stopped:
            number += 1
            ident = f"{name}-{number}"
            try:
                await deliver(self.store, ident)
            except StoreUnavailable as error:
                self.heard.append(error)
                await asyncio.sleep(0.05)  # as senders come back later
            else:
                self.acknowledged.add(ident)
                if len(self.acknowledged) >= self._wanted:
                    self._enough.set()

    async def deliver_more(self, count: int) -> None:
        """Return when so many more were acknowledged."""
        self._wanted = len(self.acknowledged) + count
        self._enough.clear()
        async with asyncio.timeout(60):
            await self._enough.wait()

    async def stop(self) -> None:
        """Let them end what they have begun."""
        self._stopped = True
        await asyncio.gather(*self._clients)


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
