"""The keys of a whole store, each once and in one order.

A server tells its keys in an order of its own, some of them twice while its tables grow or shrink.
They are sorted outside of memory, in a temporary database of SQLite's.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Final

import apsw

from letterbox.adapters.redis import keys

#: One node's answer to a command.
Node = Callable[..., Awaitable[Any]]

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
    async def of(cls, nodes: Sequence[Node]) -> "Listing":
        """All keys that all nodes (every primary of a cluster) have. Raises StoreUnavailable."""
        listing = cls()
        async with aclosing(scan(nodes)) as found:
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


async def scan(nodes: Sequence[Node]) -> AsyncGenerator[Sequence[tuple[str, bytes]], None]:
    """Keys with their kinds, as the nodes tell them; some of them more than once."""
    for node in nodes:
        cursor: Any = b"0"
        while True:
            cursor, found = await node("SCAN", cursor, "MATCH", keys.ALL, "COUNT", _AT_ONCE)
            read = [(known[0], key) for key in found if (known := keys.read(key))]
            if read:
                yield read
            if int(cursor) == 0:
                break
