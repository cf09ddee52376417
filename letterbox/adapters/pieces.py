"""Rows put together into pieces that fit into memory."""

from typing import Any, Final, TypeAlias

import msgspec

from letterbox.ports.copying import BodyRow, CounterRow, Piece, Row

#: A piece has so many rows at most, or so many octets and the row that goes beyond.
MOST_ROWS: Final = 500
MOST_OCTETS: Final = 4 * 1024 * 1024

#: Where a row stands: the number of its kind, and what its kind is ordered by.
Place: TypeAlias = tuple[Any, ...]


class Pieces:
    """Takes rows with their places, and gives a piece whenever one is full."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._octets = 0
        self._gone = 0
        self._place: Place | None = None

    def add(self, row: Row | None, place: Place) -> Piece | None:
        """One more; None for a row is a body that is gone. The piece, where it is full now."""
        if row is None:
            self._gone += 1
        else:
            self._rows.append(row)
            self._octets += size(row)
        self._place = place
        if len(self._rows) >= MOST_ROWS or self._octets >= MOST_OCTETS:
            return self.rest()
        return None

    def rest(self) -> Piece | None:
        """What has come since the last piece; None for nothing."""
        if self._place is None:
            return None
        piece = Piece(self._rows, msgspec.msgpack.encode(self._place), self._gone)
        self._rows, self._octets, self._gone, self._place = [], 0, 0, None
        return piece


def size(row: Row) -> int:
    """The octets of a row that may be many."""
    match row:
        case BodyRow():
            return len(row.content)
        case CounterRow():
            return 0
        case _:
            return len(row.value)


def place_of(position: bytes) -> Place | None:
    """The place that a position says; None for the beginning."""
    return msgspec.msgpack.decode(position, type=Place) if position else None
