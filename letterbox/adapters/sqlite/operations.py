"""What each operation of the port does to the tables."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Any, ClassVar

import apsw

from letterbox.adapters.order import apply_in_order
from letterbox.adapters.sqlite.bodies import BodyFiles, KeepFile
from letterbox.adapters.times import stored
from letterbox.ports.store import (
    Add,
    Announce,
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
    Rewrite,
    Schedule,
    Settle,
    StoreUnavailable,
    Trim,
    Unclaim,
    Uncount,
    Unschedule,
    shard_of,
)

# What messages bring is written without RETURNING, which costs as much again as the row itself
# (1.7 us): whether anything was, tells ``changes``, and a number is looked up after it (0.6 us).
_MAKE = (
    "INSERT INTO documents (partition, key, revision, value) VALUES (?, ?, 1, ?)"
    " ON CONFLICT (partition, key) DO NOTHING"
)
_WRITE = "UPDATE documents SET revision = revision + 1, value = ? WHERE partition = ? AND key = ?"
_CHANGE = (
    "UPDATE documents SET revision = revision + 1, value = ?"
    " WHERE partition = ? AND key = ? AND revision = ?"
)
# By far the most common: it goes on as it was, and the index by expiry with it.
_COUNT = (
    "UPDATE counters SET count = count + ?1 WHERE partition = ?2 AND name = ?3"
    " AND expires = ?4 AND expires > ?5 AND (?6 IS NULL OR count + ?1 <= ?6)"
)
_REVISION = "SELECT revision FROM documents WHERE partition = ? AND key = ?"
_COUNTED = "SELECT count FROM counters WHERE partition = ? AND name = ? AND expires > ?"
_CLAIM = (
    "INSERT INTO claims (partition, name, value, expires) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (partition, name) DO NOTHING"
)
_CLAIM_ANEW = (
    "UPDATE claims SET value = ?, expires = ? WHERE partition = ? AND name = ? AND expires <= ?"
)
_FORGET_COUNTERS = (
    "DELETE FROM counters WHERE (partition, name) IN"
    " (SELECT partition, name FROM counters WHERE expires <= ? LIMIT ?)"
)
_FORGET_CLAIMS = (
    "DELETE FROM claims WHERE row IN (SELECT row FROM claims WHERE expires <= ? LIMIT ?)"
)


class _Refused(Exception):
    """A guard failed; ``found`` stood in its way."""

    def __init__(self, found: bytes | int) -> None:
        super().__init__()
        self.found = found if isinstance(found, bytes) else b"%d" % found


class TakeBack(Exception):
    """Something that was written must be taken back, and no savepoint was set before it."""


#: What an operation raises that holds what no store could keep: its call is left out, alone.
NONSENSE = (TypeError, ValueError, OverflowError, StoreUnavailable)


class Operations:
    """Applies calls inside the transaction that is open on ``db``.

    Each method of an operation writes only where its guard holds, and returns the operation's
    number (see :class:`~letterbox.ports.store.Done`). ``now`` is in microseconds since 1970.

    With ``savepoints`` a commit that is refused, or a call that is nonsense, leaves nothing
    behind. Without them, which is cheaper, one that has written something raises instead: the
    whole transaction is to be begun again then, with savepoints.
    """

    def __init__(
        self, db: apsw.Connection, files: BodyFiles, now: int, *, savepoints: bool
    ) -> None:
        self._db = db
        # One cursor for all: to make one for each statement is half of what most of them cost.
        self._execute = db.cursor().execute
        self._files = files
        self._now = now
        self._savepoints = savepoints
        self._whole: AbstractContextManager[object] = db if savepoints else nullcontext()
        #: Files whose bodies are dropped: to be removed once the transaction is committed.
        self.dropped: list[str] = []

    def call(self, commits: Sequence[Commit]) -> Sequence[Result] | Exception:
        """All commits of a call, or, where one of them is nonsense, none and the error.

        Without savepoints raises :class:`TakeBack` or one of ``NONSENSE``.
        """
        dropped = len(self.dropped)
        try:
            with self._whole:
                return apply_in_order(commits, self._apply)
        except NONSENSE as error:
            if not self._savepoints:
                raise
            del self.dropped[dropped:]
            return error

    def _apply(self, commit: Commit) -> Result:
        """One commit: whole, or not at all."""
        numbers: list[int] = []
        dropped = len(self.dropped)
        try:
            with self._whole:
                for operation in commit.operations:
                    apply = self._BY_TYPE[type(operation)]
                    numbers.append(apply(self, commit.partition, operation))
        except _Refused as refusal:
            before = commit.operations[: len(numbers)]
            if not self._savepoints and not all(isinstance(each, Expect) for each in before):
                raise TakeBack from refusal
            del self.dropped[dropped:]
            return Rejected(operation=commit.operations[len(numbers)], found=refusal.found)
        return Done(numbers=tuple(numbers))

    def forget(self, limit: int) -> None:
        """Remove counters and claims that have expired, ``limit`` of each at most."""
        for sql in (_FORGET_COUNTERS, _FORGET_CLAIMS):
            self._execute(sql, (self._now, limit))

    def _one(self, sql: str, bindings: tuple[object, ...]) -> Any:
        """The one value of the one row, or None; the statement is finished after it."""
        return self._execute(sql, bindings).get

    def _changed(self, sql: str, bindings: tuple[object, ...]) -> int:
        """How many rows a statement has changed."""
        self._execute(sql, bindings)
        return self._db.changes()

    # ---- documents ----------------------------------------------------------------------------

    def _revision(self, partition: str, key: str) -> int:
        return self._one(_REVISION, (partition, key)) or 0

    def _put(self, partition: str, operation: Put) -> int:
        key, value, expect = operation.key, operation.value, operation.expect
        if expect:
            if self._changed(_CHANGE, (value, partition, key, expect)):
                return expect + 1
        elif self._changed(_MAKE, (partition, key, value)):
            return 1
        elif expect is None:
            self._execute(_WRITE, (value, partition, key))
            return self._revision(partition, key)
        raise _Refused(self._revision(partition, key))

    def _delete(self, partition: str, operation: Delete) -> int:
        if operation.expect is not None:
            self._guard(partition, operation.key, operation.expect)
        sql = "DELETE FROM documents WHERE partition = ? AND key = ?"
        self._execute(sql, (partition, operation.key))
        return 0

    def _expect(self, partition: str, operation: Expect) -> int:
        self._guard(partition, operation.key, operation.revision)
        return 0

    def _guard(self, partition: str, key: str, expected: int) -> None:
        revision = self._revision(partition, key)
        if revision != expected:
            raise _Refused(revision)

    # ---- logs, counters, claims ---------------------------------------------------------------

    def _append(self, partition: str, operation: Append) -> int:
        sql = (
            "SELECT sequence FROM logs WHERE partition = ? AND log = ?"
            " ORDER BY sequence DESC LIMIT 1"
        )
        sequence: int = (self._one(sql, (partition, operation.log)) or 0) + 1
        row = (partition, operation.log, sequence, operation.value)
        self._execute("INSERT INTO logs (partition, log, sequence, value) VALUES (?, ?, ?, ?)", row)
        return sequence

    def _trim(self, partition: str, operation: Trim) -> int:
        self._execute(
            "DELETE FROM logs WHERE partition = ? AND log = ? AND sequence <= ? AND sequence <"
            " (SELECT max(sequence) FROM logs WHERE partition = ? AND log = ?)",
            (partition, operation.log, operation.through, partition, operation.log),
        )
        return 0

    def _rewrite(self, partition: str, operation: Rewrite) -> int:
        sql = "UPDATE logs SET value = ? WHERE partition = ? AND log = ? AND sequence = ?"
        for sequence, value in operation.entries:
            self._execute(sql, (value, partition, operation.log, sequence))
        return 0

    def _add(self, partition: str, operation: Add) -> int:
        name, amount, limit = operation.counter, operation.amount, operation.limit
        expires = stored(operation.expires)
        if self._changed(_COUNT, (amount, partition, name, expires, self._now, limit)):
            return int(self._one(_COUNTED, (partition, name, self._now)))
        before = self._one(_COUNTED, (partition, name, self._now)) or 0
        count = int(before + amount)
        if limit is not None and count > limit:
            raise _Refused(before)
        row = (partition, name, count, expires)
        self._execute("INSERT OR REPLACE INTO counters VALUES (?, ?, ?, ?)", row)
        return count

    def _uncount(self, partition: str, operation: Uncount) -> int:
        sql = "DELETE FROM counters WHERE partition = ? AND name = ?"
        self._execute(sql, (partition, operation.counter))
        return 0

    def _claim(self, partition: str, operation: Claim) -> int:
        name = operation.name
        expires = None if operation.expires is None else stored(operation.expires)
        value = operation.value
        if not (
            self._changed(_CLAIM, (partition, name, value, expires))
            or self._changed(_CLAIM_ANEW, (value, expires, partition, name, self._now))
        ):
            sql = "SELECT value FROM claims WHERE partition = ? AND name = ?"
            raise _Refused(self._one(sql, (partition, name)))
        return 0

    def _unclaim(self, partition: str, operation: Unclaim) -> int:
        sql = "DELETE FROM claims WHERE partition = ? AND name = ?"
        self._execute(sql, (partition, operation.name))
        return 0

    # ---- the due-set and the outbox -----------------------------------------------------------

    def _schedule(self, partition: str, operation: Schedule) -> int:
        row = (partition, operation.key, stored(operation.at), operation.value)
        self._execute("INSERT OR REPLACE INTO due VALUES (?, ?, ?, ?)", row)
        return 0

    def _unschedule(self, partition: str, operation: Unschedule) -> int:
        sql = "DELETE FROM due WHERE partition = ? AND key = ?"
        if not self._changed(sql, (partition, operation.key)) and operation.expect:
            raise _Refused(0)
        return 0

    def _emit(self, partition: str, operation: Emit) -> int:
        sql = "INSERT INTO outbox (shard, partition, value) VALUES (?, ?, ?)"
        self._execute(sql, (shard_of(partition), partition, operation.value))
        return self._db.last_insert_rowid()

    def _settle(self, partition: str, operation: Settle) -> int:
        sql = "DELETE FROM outbox WHERE sequence = ? AND shard = ?"
        if not self._changed(sql, (operation.sequence, shard_of(partition))):
            raise _Refused(0)
        return 0

    def _announce(self, _partition: str, _operation: Announce) -> int:
        return 0  # who listens is told when it is durable

    # ---- bodies -------------------------------------------------------------------------------

    def _keep_body(self, _partition: str, operation: KeepBody) -> int:
        sql = "INSERT INTO bodies (id, content) VALUES (?, ?) ON CONFLICT (id) DO NOTHING"
        self._execute(sql, (operation.id, operation.content))
        return 0

    def _keep_file(self, _partition: str, operation: KeepFile) -> int:
        if not self._files.has(operation.file):
            raise StoreUnavailable(
                f"the file of body {operation.id} was prepared too long ago: prepare it again"
            )
        sql = "INSERT INTO bodies (id, file) VALUES (?, ?) ON CONFLICT (id) DO NOTHING"
        self._execute(sql, (operation.id, operation.file))
        return 0

    def _drop_body(self, _partition: str, operation: DropBody) -> int:
        file = self._one("DELETE FROM bodies WHERE id = ? RETURNING file", (operation.id,))
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
            Rewrite: _rewrite,
            Add: _add,
            Uncount: _uncount,
            Claim: _claim,
            Unclaim: _unclaim,
            Schedule: _schedule,
            Unschedule: _unschedule,
            Emit: _emit,
            Settle: _settle,
            Announce: _announce,
            KeepBody: _keep_body,
            KeepFile: _keep_file,
            DropBody: _drop_body,
        }
    )
