"""What each read of the port asks of the tables; one statement each, on a reading connection."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import apsw

from letterbox.adapters.sqlite.counts import ABSENT, Count
from letterbox.adapters.times import restored, stored
from letterbox.ports.store import Document, DueEntry, LogEntry, Names, OutboxEntry

_LAST_CHARACTER = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


def _first(db: apsw.Connection, sql: str, *bindings: object) -> Any:
    """The first row, or None; the statement is finished, so that it holds no snapshot."""
    rows = db.execute(sql, bindings).fetchall()
    return rows[0] if rows else None


def get(db: apsw.Connection, partition: str, key: str) -> Document | None:
    """One document."""
    sql = "SELECT revision, value FROM documents WHERE partition = ? AND key = ?"
    row = _first(db, sql, partition, key)
    return Document(key=key, revision=row[0], value=row[1]) if row else None


def documents(
    db: apsw.Connection, partition: str, between: tuple[str, str | bytes], order: str, limit: int
) -> list[Document]:
    """Documents with ``between[0] <= key < between[1]``; ``order`` is ASC or DESC."""
    rows = db.execute(
        "SELECT key, revision, value FROM documents"  # noqa: S608 - ASC or DESC, never from outside
        f" WHERE partition = ? AND key >= ? AND key < ? ORDER BY key {order} LIMIT ?",
        (partition, *between, max(limit, 0)),
    )
    return [Document(key=key, revision=revision, value=value) for key, revision, value in rows]


def page(prefix: str, after: str | None, *, descending: bool) -> tuple[str, str | bytes]:
    """The range of keys of a page: from the first, up to and without the second.

    Code points sort as their UTF-8 octets do, which is how SQLite compares text.
    """
    low, high = prefix, _beyond(prefix)
    if after is not None and descending:
        high = after if isinstance(high, bytes) else min(after, high)
    elif after is not None:
        low = max(low, after + "\0")  # the least key above it
    return low, high


def _beyond(prefix: str) -> str | bytes:
    """The least text above all that begins with ``prefix``; a blob, above all text, if none is."""
    while prefix:
        prefix, last = prefix[:-1], ord(prefix[-1])
        if last < _LAST_CHARACTER:
            following = last + 1
            return prefix + chr(_SURROGATES.stop if following in _SURROGATES else following)
    return b""


def log(db: apsw.Connection, partition: str, name: str, after: int, limit: int) -> list[LogEntry]:
    """Entries above ``after``, oldest first."""
    rows = db.execute(
        "SELECT sequence, value FROM logs WHERE partition = ? AND log = ? AND sequence > ?"
        " ORDER BY sequence LIMIT ?",
        (partition, name, after, max(limit, 0)),
    )
    return [LogEntry(sequence=sequence, value=value) for sequence, value in rows]


def counters(db: apsw.Connection, partition: str, names: Sequence[str]) -> dict[str, Count]:
    """The rows of these names, expired or not."""
    rows = db.execute(_counting(len(names)), (partition, *names)).fetchall()
    found: dict[Any, Count] = {name: Count(*row) for name, *row in rows}  # type: ignore[arg-type]
    return {name: found.get(name, ABSENT) for name in names}


@cache
def _counting(names: int) -> str:
    marks = ", ".join("?" * names)
    return (
        "SELECT name, count, expires FROM counters WHERE partition = ?"  # noqa: S608 - marks
        f" AND name IN ({marks})"
    )


def claim(db: apsw.Connection, partition: str, name: str, now: datetime) -> bytes | None:
    """The value of an unexpired claim."""
    sql = (
        "SELECT value FROM claims WHERE partition = ? AND name = ?"
        " AND (expires IS NULL OR expires > ?)"
    )
    row = _first(db, sql, partition, name, stored(now))
    return row[0] if row else None


def names(db: apsw.Connection, partition: str) -> Names:
    """The names of a partition's counters, claims and due entries."""
    tables = (("counters", "name"), ("claims", "name"), ("due", "key"))
    found: list[tuple[str, ...]] = []
    for table, name in tables:
        sql = f"SELECT {name} FROM {table} WHERE partition = ?"  # noqa: S608 - our own names
        found.append(tuple(str(row[0]) for row in db.execute(sql, (partition,)).fetchall()))
    return Names(*found)


def due(db: apsw.Connection, until: datetime, limit: int) -> list[DueEntry]:
    """Entries due at or before ``until``, the earliest first."""
    rows = db.execute(
        "SELECT partition, key, at, value FROM due WHERE at <= ?"
        " ORDER BY at, partition, key LIMIT ?",
        (stored(until), max(limit, 0)),
    )
    return [
        DueEntry(partition=partition, key=key, at=restored(at), value=value)
        for partition, key, at, value in rows
    ]


def outbox(db: apsw.Connection, limit: int) -> list[OutboxEntry]:
    """Entries of all shards, oldest first."""
    rows = db.execute(
        "SELECT sequence, partition, value FROM outbox ORDER BY sequence LIMIT ?",
        (max(limit, 0),),
    )
    return [
        OutboxEntry(sequence=sequence, partition=partition, value=value)
        for sequence, partition, value in rows
    ]


def body(db: apsw.Connection, name: str) -> tuple[bytes | None, str | None]:
    """Content, or the name of the file that has it; both None where there is no such body."""
    return _first(db, "SELECT content, file FROM bodies WHERE id = ?", name) or (None, None)


def has_file(db: apsw.Connection, file: str) -> bool:
    """Whether some body is in that file."""
    return _first(db, "SELECT 1 FROM bodies WHERE file = ?", file) is not None
