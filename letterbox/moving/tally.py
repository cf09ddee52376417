"""Rows counted and hashed by kind, whatever order they come in.

Stores tell their rows in orders of their own, so the digests of the rows are summed up. That finds
what was lost, doubled or changed by a fault; it is no proof against somebody who forges rows.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime
from hashlib import sha256
from typing import Final

import msgspec

from letterbox.ports.copying import KINDS, BodyRow, ClaimRow, CounterRow, Piece, Row, Source, Tally
from letterbox.ports.store import DueEntry, OutboxEntry, shard_of
from letterbox.records.bodies import is_outside

_MODULUS: Final = 2**256
_encode: Final = msgspec.msgpack.Encoder().encode


class Tallies:
    """What has been counted so far."""

    def __init__(self) -> None:
        self._counts: Counter[type[Row]] = Counter()
        self._sums: Counter[type[Row]] = Counter()
        self._places: Counter[int] = Counter()
        self.gone = 0
        #: So many bodies are kept elsewhere: the store has references to them.
        self.outside = 0

    def add(self, rows: Iterable[Row]) -> None:
        """Count rows; those of an outbox come in the order of their shard."""
        for row in rows:
            kind = type(row)
            digest = sha256(self._content(row)).digest()
            self._counts[kind] += 1
            self.outside += isinstance(row, BodyRow) and is_outside(row.content)
            self._sums[kind] = (self._sums[kind] + int.from_bytes(digest)) % _MODULUS

    @property
    def by_kind(self) -> dict[str, Tally]:
        """Of each kind that there is."""
        return {
            name: Tally(self._counts[kind], f"{self._sums[kind]:064x}")
            for kind, name in KINDS.items()
        }

    def _content(self, row: Row) -> bytes:
        match row:
            case OutboxEntry(partition=partition, value=value):
                # Its number is its store's own; what counts is its place in its shard.
                shard = shard_of(partition)
                self._places[shard] += 1
                return _encode((shard, self._places[shard], partition, value))
            case DueEntry():
                return _encode(msgspec.structs.astuple(row))
            case _:
                return _encode(row)


def live(piece: Piece, at: datetime) -> list[Row]:
    """The rows of a piece without the counters and claims that have expired."""
    return [
        row
        for row in piece.rows
        if not isinstance(row, CounterRow | ClaimRow) or row.expires is None or row.expires > at
    ]


async def count(source: Source, at: datetime, seen: Callable[[int], None]) -> Tallies:
    """Read all of a store, and count what has not expired ``at`` a moment.

    ``seen`` hears how many rows have been read.
    """
    tallies = Tallies()
    rows = 0
    async with aclosing(source.pieces()) as pieces:
        async for piece in pieces:
            tallies.add(live(piece, at))
            tallies.gone += piece.gone
            rows += len(piece.rows)
            seen(rows)
    return tallies


def differing(one: Mapping[str, Tally], other: Mapping[str, Tally]) -> list[str]:
    """The kinds in which two stores differ, with the numbers of each."""
    return [
        f"{name}: {there.count:,} there, {other[name].count:,} here"
        + (", not all alike" if there.count == other[name].count else "")
        for name, there in one.items()
        if there != other[name]
    ]
