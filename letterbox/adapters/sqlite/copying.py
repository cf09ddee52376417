"""A whole embedded store, read and written row by row.

How far a copy has come stands in a table that is there only until the copy is finished, and is
written in the transaction of the rows: nothing is ever copied twice.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from letterbox.adapters.pieces import Pieces, Place, place_of
from letterbox.adapters.sqlite.bodies import LARGEST_INSIDE, BodyFiles
from letterbox.adapters.sqlite.lock import Lock
from letterbox.adapters.sqlite.opening import open_file
from letterbox.adapters.sqlite.schema import (
    MIGRATIONS,
    PAGE_SIZE,
    NotAStore,
    connect,
    unfinished_copy,
    version_of,
)
from letterbox.adapters.times import restored, stored
from letterbox.ports.copying import (
    KINDS,
    BodyRow,
    ClaimRow,
    CounterRow,
    DocumentRow,
    EntryRow,
    Incomplete,
    Piece,
    Row,
    Unfinished,
)
from letterbox.ports.store import DueEntry, OutboxEntry, StoreUnavailable, shard_of

# For each kind what is read, in the columns' order of the row, and what it is ordered by.
_READ: Final[dict[type[Row], tuple[str, str]]] = {
    BodyRow: ("id, content, file FROM bodies", "id"),
    DocumentRow: ("partition, key, revision, value FROM documents", "partition, key"),
    EntryRow: ("partition, log, sequence, value FROM logs", "partition, log, sequence"),
    CounterRow: ("partition, name, count, expires FROM counters", "partition, name"),
    ClaimRow: ("partition, name, value, expires FROM claims", "partition, name"),
    DueEntry: ("partition, key, at, value FROM due", "partition, key"),
    OutboxEntry: ("sequence, partition, value FROM outbox", "shard, sequence"),
}
_WRITE: Final[dict[type[Row], str]] = {
    BodyRow: "INSERT INTO bodies (id, content, file) VALUES (?, ?, ?)",
    DocumentRow: "INSERT INTO documents (partition, key, revision, value) VALUES (?, ?, ?, ?)",
    EntryRow: "INSERT INTO logs (partition, log, sequence, value) VALUES (?, ?, ?, ?)",
    CounterRow: "INSERT INTO counters (partition, name, count, expires) VALUES (?, ?, ?, ?)",
    ClaimRow: "INSERT INTO claims (partition, name, value, expires) VALUES (?, ?, ?, ?)",
    DueEntry: "INSERT INTO due (partition, key, at, value) VALUES (?, ?, ?, ?)",
    OutboxEntry: "INSERT INTO outbox (sequence, shard, partition, value) VALUES (?, ?, ?, ?)",
}
_ORDER: Final = tuple(KINDS)


class SqliteRows:
    """A store that is read, all of it as it was when it was opened. Made by :meth:`open`."""

    def __init__(
        self, name: str, db: apsw.Connection, files: BodyFiles, release: Callable[[], None]
    ) -> None:
        self.name = name
        self._db = db
        self._files = files
        self._release = release

    @classmethod
    def open(cls, path: Path, *, served: bool = False) -> "SqliteRows":
        """Read the store at ``path``, which is not changed.

        It is locked meanwhile, so that no letterbox serves it; with ``served`` one may. Blocks.
        Raises :class:`StoreInUse`, :class:`Incomplete`, :class:`NotAStore`, :class:`SchemaTooNew`
        and their base :class:`StoreUnavailable`.
        """
        path = path.absolute()
        if not path.is_file():
            raise StoreUnavailable(f"there is no store at {path}")
        with _failing(path):
            lock = None if served else Lock(path)
            try:
                db = connect(path)
                begin_reading(db, path)
            except BaseException:
                if lock:
                    lock.release()
                raise
        release = lock.release if lock else lambda: None
        return cls(f"sqlite:{path}", db, BodyFiles(path), release)

    async def pieces(self, after: bytes = b"") -> AsyncGenerator[Piece, None]:
        """All rows behind a position."""
        pieces = Pieces()
        with _failing(self.name):
            for row, place in self._rows(place_of(after)):
                if piece := pieces.add(row, place):
                    yield piece
            if piece := pieces.rest():
                yield piece

    def _rows(self, after: Place | None) -> Iterator[tuple[Row | None, Place]]:
        first = after[0] if after else 0
        for nth, kind in enumerate(_ORDER[first:], first):
            what, order = _READ[kind]
            where, bindings = "", ()
            if after and nth == first:
                where = f" WHERE ({order}) > ({', '.join('?' * len(after[1:]))})"
                bindings = after[1:]
            for columns in self._db.execute(f"SELECT {what}{where} ORDER BY {order}", bindings):
                yield self._row(kind, columns, nth)

    def _row(self, kind: type[Row], columns: tuple[Any, ...], nth: int) -> tuple[Row | None, Place]:
        first, second, third, *_ = columns
        if kind is BodyRow:
            content = second if third is None else self._files.read(third)
            return (None if content is None else BodyRow(first, content)), (nth, first)
        if kind is DocumentRow:
            return DocumentRow(*columns), (nth, first, second)
        if kind is EntryRow:
            return EntryRow(*columns), (nth, first, second, third)
        if kind is CounterRow:
            return CounterRow(first, second, third, restored(columns[3])), (nth, first, second)
        if kind is ClaimRow:
            expires = None if columns[3] is None else restored(columns[3])
            return ClaimRow(first, second, third, expires), (nth, first, second)
        if kind is DueEntry:
            return DueEntry(first, second, restored(third), columns[3]), (nth, first, second)
        return OutboxEntry(*columns), (nth, shard_of(second), first)

    async def newest(self) -> int:
        """The greatest number that an outbox entry ever had."""
        return _newest(self._db)

    async def close(self) -> None:
        """Let the file go."""
        self._db.close()
        self._release()


class SqliteTarget(SqliteRows):
    """A store that is written; a large body goes into a file of its own, unless ``inside``."""

    def __init__(
        self,
        name: str,
        db: apsw.Connection,
        files: BodyFiles,
        release: Callable[[], None],
        *,
        inside: bool = False,
    ) -> None:
        super().__init__(name, db, files, release)
        self._inside = inside
        self._lasts: dict[int, int] = {}

    @classmethod
    def make(cls, path: Path) -> "SqliteTarget":
        """Lock the store at ``path``, making it where it is missing. Blocks.

        Raises :class:`StoreUnavailable` and its kinds.
        """
        path = path.absolute()
        opened = open_file(path, "FULL", PAGE_SIZE, unfinished=True)
        db = opened.connect()
        db.wal_autocheckpoint(4096)
        for reader in (opened.reader, opened.quick):
            reader.close()
        return cls(f"sqlite:{path}", db, opened.files, opened.lock.release)

    async def empty(self) -> bool:
        """Whether it holds no row, and never held an outbox entry."""
        async with aclosing(self.pieces()) as pieces:
            async for _ in pieces:
                return False
        return not _newest(self._db)

    async def unfinished(self) -> Unfinished | None:
        """How far a copy into it has come."""
        return unfinished_copy(self._db)

    async def write(self, rows: Sequence[Row], unfinished: Unfinished) -> None:
        """Write rows, and how far the copy has come, in one transaction."""
        with _failing(self.name):
            # Before the transaction: a file is on disk when something names it.
            prepared = [
                (kind, [self._columns(row) for row in some]) for kind, some in groupby(rows, type)
            ]
            with self._db:
                self._db.execute("CREATE TABLE IF NOT EXISTS copying (state BLOB NOT NULL)")
                self._count_from(unfinished.newest)
                for kind, columns in prepared:
                    numbered = self._numbered(columns) if kind is OutboxEntry else columns
                    self._db.executemany(_WRITE[kind], numbered)
                self._db.execute("DELETE FROM copying")
                state = msgspec.json.encode(unfinished)
                self._db.execute("INSERT INTO copying VALUES (?)", (state,))

    async def finish(self, unfinished: Unfinished) -> None:  # noqa: ARG002 - others need it
        """The copy is whole."""
        with _failing(self.name):
            self._db.execute("DROP TABLE copying")
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _columns(self, row: Row) -> tuple[Any, ...]:
        match row:
            case BodyRow(id=name, content=content):
                if self._inside or len(content) <= LARGEST_INSIDE:
                    return name, content, None
                return name, None, self._files.write(content)
            case CounterRow():
                return row.partition, row.name, row.count, stored(row.expires)
            case ClaimRow():
                expires = None if row.expires is None else stored(row.expires)
                return row.partition, row.name, row.value, expires
            case DueEntry():
                return row.partition, row.key, stored(row.at), row.value
            case OutboxEntry():
                return row.sequence, shard_of(row.partition), row.partition, row.value
            case _:
                return msgspec.structs.astuple(row)

    def _numbered(self, entries: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """Entries of the outbox with numbers that are free, in the order of their shards."""
        for number, shard, *rest in entries:
            if shard not in self._lasts:
                sql = "SELECT ifnull(max(sequence), 0) FROM outbox WHERE shard = ?"
                self._lasts[shard] = _number(self._db, sql, shard)
            taken = "SELECT 1 FROM outbox WHERE sequence = ?"
            free = number
            if number <= self._lasts[shard] or self._db.execute(taken, (number,)).fetchall():
                free = _newest(self._db) + 1
            self._lasts[shard] = free
            yield free, shard, *rest

    def _count_from(self, newest: int) -> None:
        if newest > _newest(self._db):
            self._db.execute("DELETE FROM sqlite_sequence WHERE name = 'outbox'")
            self._db.execute("INSERT INTO sqlite_sequence VALUES ('outbox', ?)", (newest,))


def begin_reading(db: apsw.Connection, path: Path) -> None:
    """See that it is a whole store of this version, and read it as it is now, to the end.

    Raises :class:`StoreUnavailable` and its kinds.
    """
    db.execute("BEGIN")
    newest = len(MIGRATIONS)
    version = version_of(db, path, newest=newest)
    if not version:
        raise NotAStore(f"{path} is not a letterbox store")
    if version < newest:
        raise StoreUnavailable(
            f"{path} is of an earlier version: letterbox serve brings a store up to date; "
            "a backup is restored by the version that made it"
        )
    if (copy := unfinished_copy(db)) is not None:
        raise Incomplete(str(path), copy.source)


def _newest(db: apsw.Connection) -> int:
    return _number(db, "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'")


def _number(db: apsw.Connection, sql: str, *bindings: int) -> int:
    """The number that a query has; 0 for no row."""
    rows: list[Any] = db.execute(sql, bindings).fetchall()
    return rows[0][0] if rows else 0


@contextmanager
def _failing(where: object) -> Iterator[None]:
    try:
        yield
    except apsw.NotADBError as error:
        raise NotAStore(f"{where} is not a letterbox store: {error}") from error
    except (apsw.Error, OSError) as error:
        raise StoreUnavailable(f"{where}: {error}") from error
