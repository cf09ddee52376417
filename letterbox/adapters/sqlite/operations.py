"""What each operation of the port does to the tables."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import apsw

from letterbox.adapters.sqlite.bodies import BodyFiles, KeepFile
from letterbox.adapters.sqlite.times import stored
from letterbox.ports.store import (
    Add,
    Append,
    Claim,
    Commit,
    Delete,
    Done,
    DropBody,
    Emit,
    Expect,
    KeepBody,
    Put,
    Rejected,
    Result,
    Schedule,
    Settle,
    StoreUnavailable,
    Trim,
    Unclaim,
    Unschedule,
    shard_of,
)


class _Refused(Exception):
    """A guard failed; ``found`` stood in its way."""

    def __init__(self, found: bytes | int) -> None:
        super().__init__()
        self.found = found if isinstance(found, bytes) else b"%d" % found


class Operations:
    """Applies commits inside the transaction that is open on ``db``.

    Each method of an operation looks at the guard first, then writes, and returns the operation's
    number (see :class:`~letterbox.ports.store.Done`). ``now`` is in microseconds since 1970.
    """

    def __init__(self, db: apsw.Connection, files: BodyFiles, now: int) -> None:
        self._db = db
        self._files = files
        self._now = now
        #: Files whose bodies are dropped: to be removed once the transaction is committed.
        self.dropped: list[str] = []

    def apply(self, commit: Commit) -> Result:
        """Apply one commit in a savepoint of its own: whole, or not at all."""
        numbers: list[int] = []
        dropped = len(self.dropped)
        try:
            with self._db:
                for operation in commit.operations:
                    apply = self._BY_TYPE[type(operation)]
                    numbers.append(apply(self, commit.partition, operation))
        except _Refused as refusal:
            del self.dropped[dropped:]
            return Rejected(operation=commit.operations[len(numbers)], found=refusal.found)
        return Done(numbers=tuple(numbers))

    def forget(self, limit: int) -> None:
        """Remove counters and claims that have expired, ``limit`` of each at most."""
        for table in ("counters", "claims"):
            self._db.execute(
                f"DELETE FROM {table} WHERE (partition, name) IN"  # noqa: S608 - our own two names
                f" (SELECT partition, name FROM {table} WHERE expires <= ? LIMIT ?)",
                (self._now, limit),
            )

    def _row(self, sql: str, *bindings: object) -> Any:
        """The first row, or None; the statement is finished after it."""
        rows = self._db.execute(sql, bindings).fetchall()
        return rows[0] if rows else None

    def _one(self, sql: str, *bindings: object) -> Any:
        """The first value of the first row, or None."""
        row = self._row(sql, *bindings)
        return row[0] if row else None

    # ---- documents ----------------------------------------------------------------------------

    def _guard(self, partition: str, key: str, expected: int | None) -> None:
        if expected is None:
            return
        sql = "SELECT revision FROM documents WHERE partition = ? AND key = ?"
        revision = self._one(sql, partition, key) or 0
        if revision != expected:
            raise _Refused(revision)

    def _put(self, partition: str, operation: Put) -> int:
        self._guard(partition, operation.key, operation.expect)
        revision: int = self._one(
            "INSERT INTO documents (partition, key, revision, value) VALUES (?, ?, 1, ?)"
            " ON CONFLICT (partition, key) DO UPDATE"
            " SET revision = revision + 1, value = excluded.value RETURNING revision",
            partition,
            operation.key,
            operation.value,
        )
        return revision

    def _delete(self, partition: str, operation: Delete) -> int:
        self._guard(partition, operation.key, operation.expect)
        sql = "DELETE FROM documents WHERE partition = ? AND key = ?"
        self._db.execute(sql, (partition, operation.key))
        return 0

    def _expect(self, partition: str, operation: Expect) -> int:
        self._guard(partition, operation.key, operation.revision)
        return 0

    # ---- logs, counters, claims ---------------------------------------------------------------

    def _append(self, partition: str, operation: Append) -> int:
        sql = (
            "SELECT sequence FROM logs WHERE partition = ? AND log = ?"
            " ORDER BY sequence DESC LIMIT 1"
        )
        sequence: int = (self._one(sql, partition, operation.log) or 0) + 1
        row = (partition, operation.log, sequence, operation.value)
        self._db.execute(
            "INSERT INTO logs (partition, log, sequence, value) VALUES (?, ?, ?, ?)", row
        )
        return sequence

    def _trim(self, partition: str, operation: Trim) -> int:
        self._db.execute(
            "DELETE FROM logs WHERE partition = ? AND log = ? AND sequence <= ? AND sequence <"
            " (SELECT max(sequence) FROM logs WHERE partition = ? AND log = ?)",
            (partition, operation.log, operation.through, partition, operation.log),
        )
        return 0

    def _add(self, partition: str, operation: Add) -> int:
        sql = "SELECT count, expires FROM counters WHERE partition = ? AND name = ?"
        before, until = self._row(sql, partition, operation.counter) or (0, 0)
        if until <= self._now:
            before = 0
        count: int = before + operation.amount
        if operation.limit is not None and count > operation.limit:
            raise _Refused(before)
        expires = stored(operation.expires)
        if expires == until:
            # By far the most common, and it spares the index by expiry a change.
            sql = "UPDATE counters SET count = ? WHERE partition = ? AND name = ?"
            self._db.execute(sql, (count, partition, operation.counter))
        else:
            row = (partition, operation.counter, count, expires)
            self._db.execute("INSERT OR REPLACE INTO counters VALUES (?, ?, ?, ?)", row)
        return count

    def _claim(self, partition: str, operation: Claim) -> int:
        held = self._one(
            "SELECT value FROM claims WHERE partition = ? AND name = ?"
            " AND (expires IS NULL OR expires > ?)",
            partition,
            operation.name,
            self._now,
        )
        if held is not None:
            raise _Refused(held)
        expires = None if operation.expires is None else stored(operation.expires)
        row = (partition, operation.name, operation.value, expires)
        self._db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)", row)
        return 0

    def _unclaim(self, partition: str, operation: Unclaim) -> int:
        sql = "DELETE FROM claims WHERE partition = ? AND name = ?"
        self._db.execute(sql, (partition, operation.name))
        return 0

    # ---- the due-set and the outbox -----------------------------------------------------------

    def _schedule(self, partition: str, operation: Schedule) -> int:
        row = (partition, operation.key, stored(operation.at), operation.value)
        self._db.execute("INSERT OR REPLACE INTO due VALUES (?, ?, ?, ?)", row)
        return 0

    def _unschedule(self, partition: str, operation: Unschedule) -> int:
        sql = "DELETE FROM due WHERE partition = ? AND key = ? RETURNING 1"
        if not self._one(sql, partition, operation.key) and operation.expect:
            raise _Refused(0)
        return 0

    def _emit(self, partition: str, operation: Emit) -> int:
        sql = "INSERT INTO outbox (shard, partition, value) VALUES (?, ?, ?)"
        self._db.execute(sql, (shard_of(partition), partition, operation.value))
        return self._db.last_insert_rowid()

    def _settle(self, partition: str, operation: Settle) -> int:
        sql = "DELETE FROM outbox WHERE sequence = ? AND shard = ? RETURNING 1"
        if not self._one(sql, operation.sequence, shard_of(partition)):
            raise _Refused(0)
        return 0

    # ---- bodies -------------------------------------------------------------------------------

    def _keep_body(self, _partition: str, operation: KeepBody) -> int:
        sql = "INSERT INTO bodies (id, content) VALUES (?, ?) ON CONFLICT (id) DO NOTHING"
        self._db.execute(sql, (operation.id, operation.content))
        return 0

    def _keep_file(self, _partition: str, operation: KeepFile) -> int:
        if not self._files.has(operation.file):
            raise StoreUnavailable(
                f"the file of body {operation.id} was prepared too long ago: prepare it again"
            )
        sql = "INSERT INTO bodies (id, file) VALUES (?, ?) ON CONFLICT (id) DO NOTHING"
        self._db.execute(sql, (operation.id, operation.file))
        return 0

    def _drop_body(self, _partition: str, operation: DropBody) -> int:
        file = self._one("DELETE FROM bodies WHERE id = ? RETURNING file", operation.id)
        if file is not None:
            self.dropped.append(file)
        return 0

    _BY_TYPE: ClassVar[Mapping[type, Callable[..., int]]] = MappingProxyType(
        {
            Put: _put,
            Delete: _delete,
            Expect: _expect,
            Append: _append,
            Trim: _trim,
            Add: _add,
            Claim: _claim,
            Unclaim: _unclaim,
            Schedule: _schedule,
            Unschedule: _unschedule,
            Emit: _emit,
            Settle: _settle,
            KeepBody: _keep_body,
            KeepFile: _keep_file,
            DropBody: _drop_body,
        }
    )
