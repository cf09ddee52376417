"""The keys of a whole store, each once and in one order.

A server tells its keys in an order of its own, some of them twice while its tables grow or shrink.
They are sorted outside of memory, in a temporary database of SQLite's.
"""

from collections.abc import AsyncGenerator, Hashable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Final

import apsw

from letterbox.adapters.redis import keys
from letterbox.adapters.redis.topology import Topology
from letterbox.ports.store import SHARDS, Names, StoreUnavailable, shard_of

_AT_ONCE: Final = 1000
_KINDS: Final = tuple(keys.FOUND)


class Listing:
    """What was found; a temporary file holds it until ``close``."""

    def __init__(self) -> None:
        self._db = apsw.Connection("")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute(
            "CREATE TABLE keys (kind INTEGER, key BLOB, PRIMARY KEY (kind, key)) WITHOUT ROWID"
        )

    @classmethod
    async def of(cls, topology: Topology) -> "Listing":
        """All keys that there are. Raises StoreUnavailable."""
        listing = cls()
        async with aclosing(scan(topology)) as found:
            async for page in found:
                listing.add(page)
        return listing

    def add(self, page: Sequence[tuple[str, bytes]]) -> None:
        """Take in keys with their kinds."""
        with self._db:
            self._db.executemany(
                "INSERT OR IGNORE INTO keys VALUES (?, ?)",
                [(_KINDS.index(kind), key) for kind, key in page],
            )

    def keys(self, kind: str, begin: bytes = b"") -> Iterator[bytes]:
        """The keys of a kind in the order of their octets, from ``begin`` on."""
        rows = self._db.execute(
            "SELECT key FROM keys WHERE kind = ? AND key >= ? ORDER BY key",
            (_KINDS.index(kind), begin),
        )
        return (key for (key,) in rows)

    def close(self) -> None:
        """Let the file go."""
        self._db.close()


async def names(topology: Topology, partition: str) -> Names:
    """The names of a partition's counters, claims and due entries. Raises StoreUnavailable."""
    found: dict[str, set[str]] = {"counter": set(), "claim": set()}
    async with aclosing(scan(topology, keys.cells(partition))) as pages:
        async for page in pages:
            for kind, key in page:
                known = keys.read(key)
                if known is not None and known.partition == partition:
                    found[kind].add(known.name)
    entries = await topology.command("HKEYS", keys.due(shard_of(partition)))
    due = (name for of, name in map(keys.unpair, entries) if of == partition)
    return Names(tuple(found["counter"]), tuple(found["claim"]), tuple(due))


async def scan(
    topology: Topology, match: bytes = keys.ALL
) -> AsyncGenerator[Sequence[tuple[str, bytes]], None]:
    """Keys with their kinds, as the servers tell them; some of them more than once.

    Raises StoreUnavailable, also where a key may have gone from one that had yet to tell it to one
    that had told all.
    """
    nodes, places = await topology.nodes(), _places(topology)
    for node in nodes:
        cursor: Any = b"0"
        while True:
            cursor, found = await node.command("SCAN", cursor, "MATCH", match, "COUNT", _AT_ONCE)
            read = [(known[0], key) for key in found if (known := keys.read(key))]
            if read:
                yield read
            if int(cursor) == 0:
                break
    await topology.nodes()
    if _places(topology) != places:
        raise StoreUnavailable("slots of the cluster have moved meanwhile: repeat the command")


def _places(topology: Topology) -> list[Hashable]:
    """Where each shard lies."""
    return [topology.place(keys.outbox(shard)) for shard in range(SHARDS)]
