"""A store in memory, for tests: the plainest thing that keeps the port's contract.

Nothing in it lasts. It is also the model that the property tests hold the other stores against.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import partial
from typing import TypeVar

import msgspec

from letterbox.adapters.bell import Bells
from letterbox.adapters.order import apply_in_order
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Add,
    Append,
    Claim,
    Commit,
    Delete,
    Document,
    Done,
    DropBody,
    DueEntry,
    Emit,
    Expect,
    KeepBody,
    LogEntry,
    Names,
    Operation,
    OutboxEntry,
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

K = TypeVar("K")
V = TypeVar("V")
Named = tuple[str, str]


class _Count(msgspec.Struct, frozen=True):
    count: int
    expires: datetime


class _Claimed(msgspec.Struct, frozen=True):
    value: bytes
    expires: datetime | None


class _Refused(Exception):
    def __init__(self, found: bytes | int) -> None:
        super().__init__()
        self.found = found if isinstance(found, bytes) else b"%d" % found


class MemoryStore:
    """Store and Bodies at once. ``clock`` says what has expired."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._documents: dict[Named, Document] = {}
        self._logs: dict[Named, tuple[LogEntry, ...]] = {}
        self._counters: dict[Named, _Count] = {}
        self._claims: dict[Named, _Claimed] = {}
        self._due: dict[Named, DueEntry] = {}
        self._outbox: dict[int, OutboxEntry] = {}
        self._bodies: dict[str, bytes] = {}
        self._emitted = 0
        self._journal: list[Callable[[], object]] = []
        self._bells = Bells(clock.now)
        self._closed = False

    # ---- commits ------------------------------------------------------------------------------

    async def commit(self, *commits: Commit) -> Sequence[Result]:
        """Apply commits in order, each atomically; all or none when one of them is nonsense."""
        self._check_open()
        self._journal = []
        try:
            results = apply_in_order(commits, self._apply)
        except BaseException:
            self._undo(back_to=0)
            raise
        for commit, result in zip(commits, results, strict=True):
            if isinstance(result, Done):
                self._bells.ring(commit)
        return results

    def _apply(self, commit: Commit) -> Result:
        begun = len(self._journal)
        numbers: list[int] = []
        for operation in commit.operations:
            try:
                numbers.append(self._do(commit.partition, operation))
            except _Refused as refusal:
                self._undo(back_to=begun)
                return Rejected(operation=operation, found=refusal.found)
        return Done(numbers=tuple(numbers))

    def _undo(self, *, back_to: int) -> None:
        while len(self._journal) > back_to:
            self._journal.pop()()

    def _write(self, table: dict[K, V], key: K, value: V | None) -> None:
        """Set or (None) remove an entry, and note how to take that back."""
        if key in table:
            self._journal.append(partial(table.__setitem__, key, table[key]))
        else:
            self._journal.append(partial(table.pop, key, None))
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value

    def _do(self, partition: str, operation: Operation) -> int:
        _check(partition, operation)
        match operation:
            case Put() | Delete() | Expect():
                return self._do_document((partition, operation.key), operation)
            case Append() | Trim() | Rewrite():
                return self._do_log((partition, operation.log), operation)
            case Add() | Uncount():
                return self._count((partition, operation.counter), operation)
            case Claim(name=name, value=value, expires=expires):
                if (claimed := self._live_claim(partition, name)) is not None:
                    raise _Refused(claimed)
                self._write(self._claims, (partition, name), _Claimed(value=value, expires=expires))
            case Unclaim(name=name):
                self._write(self._claims, (partition, name), None)
            case Schedule() | Unschedule():
                self._do_due((partition, operation.key), operation)
            case Emit() | Settle():
                return self._do_outbox(partition, operation)
            case KeepBody(id=body, content=content):
                if body not in self._bodies:
                    self._write(self._bodies, body, content)
            case DropBody(id=body):
                self._write(self._bodies, body, None)
        return 0

    def _do_document(self, name: Named, operation: Put | Delete | Expect) -> int:
        document = self._documents.get(name)
        revision = document.revision if document else 0
        expected = operation.revision if isinstance(operation, Expect) else operation.expect
        if expected not in (None, revision):
            raise _Refused(revision)
        match operation:
            case Put(key=key, value=value):
                written = Document(key=key, revision=revision + 1, value=value)
                self._write(self._documents, name, written)
                return written.revision
            case Delete():
                self._write(self._documents, name, None)
        return 0

    def _do_log(self, name: Named, operation: Append | Trim | Rewrite) -> int:
        entries = self._logs.get(name, ())
        match operation:
            case Append(value=value):
                last = entries[-1].sequence if entries else 0
                entry = LogEntry(sequence=last + 1, value=value)
                self._write(self._logs, name, (*entries, entry))
                return entry.sequence
            case Trim(through=through):
                left = tuple(e for e in entries[:-1] if e.sequence > through)
                self._write(self._logs, name, left + entries[-1:])
            case Rewrite(entries=anew) if entries:
                values = dict(anew)
                written = (LogEntry(e.sequence, values.get(e.sequence, e.value)) for e in entries)
                self._write(self._logs, name, tuple(written))
        return 0

    def _count(self, name: Named, operation: Add | Uncount) -> int:
        if isinstance(operation, Uncount):
            self._write(self._counters, name, None)
            return 0
        count = self._live_count(name)
        if operation.limit is not None and count + operation.amount > operation.limit:
            raise _Refused(count)
        added = _Count(count=count + operation.amount, expires=operation.expires)
        self._write(self._counters, name, added)
        return added.count

    def _do_due(self, name: Named, operation: Schedule | Unschedule) -> None:
        match operation:
            case Schedule(key=key, at=at, value=value):
                entry = DueEntry(partition=name[0], key=key, at=at, value=value)
                self._write(self._due, name, entry)
            case Unschedule(expect=expect):
                if expect and name not in self._due:
                    raise _Refused(0)
                self._write(self._due, name, None)

    def _do_outbox(self, partition: str, operation: Emit | Settle) -> int:
        if isinstance(operation, Emit):
            self._journal.append(partial(setattr, self, "_emitted", self._emitted))
            self._emitted += 1
            entry = OutboxEntry(sequence=self._emitted, partition=partition, value=operation.value)
            self._write(self._outbox, entry.sequence, entry)
            return entry.sequence
        there = self._outbox.get(operation.sequence)
        if there is None or shard_of(there.partition) != shard_of(partition):
            raise _Refused(0)
        self._write(self._outbox, operation.sequence, None)
        return 0

    # ---- reads --------------------------------------------------------------------------------

    async def get(self, partition: str, key: str) -> Document | None:
        """One document."""
        self._check_open()
        return self._documents.get((partition, key))

    async def documents(
        self,
        partition: str,
        prefix: str,
        *,
        after: str | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> Sequence[Document]:
        """Documents whose key begins with ``prefix``, in the byte order of their keys."""
        self._check_open()
        keys = sorted(
            (k for p, k in self._documents if p == partition and k.startswith(prefix)),
            key=str.encode,
            reverse=descending,
        )
        if after is not None:
            mark = after.encode()
            keys = [k for k in keys if (k.encode() < mark if descending else k.encode() > mark)]
        return [self._documents[partition, key] for key in keys[: max(limit, 0)]]

    async def log(
        self, partition: str, log: str, *, after: int = 0, limit: int = 100
    ) -> Sequence[LogEntry]:
        """Entries of a log with a sequence above ``after``, oldest first."""
        self._check_open()
        entries = self._logs.get((partition, log), ())
        trimmed = entries[0].sequence - 1 if entries else 0
        return entries[max(after - trimmed, 0) :][: max(limit, 0)]

    async def follow(self, partition: str, log: str, *, after: int, seconds: float) -> bool:
        """Wait until the log has an entry above ``after``; false when ``seconds`` went by."""

        async def there() -> bool:
            return bool(await self.log(partition, log, after=after, limit=1))

        return await self._bells.follow(partition, log, there, seconds)

    async def counters(self, partition: str, names: Sequence[str]) -> dict[str, int]:
        """The counts of these names; 0 for what is absent or expired."""
        self._check_open()
        return {name: self._live_count((partition, name)) for name in names}

    async def claim(self, partition: str, name: str) -> bytes | None:
        """The value of an unexpired claim."""
        self._check_open()
        return self._live_claim(partition, name)

    async def names(self, partition: str) -> Names:
        """The names of a partition's counters, claims and due entries."""
        self._check_open()
        tables = (self._counters, self._claims, self._due)
        return Names(*(tuple(n for p, n in table if p == partition) for table in tables))

    async def due(self, until: datetime, *, limit: int = 100) -> Sequence[DueEntry]:
        """Entries due at or before ``until``, the earliest first."""
        self._check_open()
        ready = (entry for entry in self._due.values() if entry.at <= until)
        ordered = sorted(ready, key=lambda e: (e.at, e.partition.encode(), e.key.encode()))
        return ordered[: max(limit, 0)]

    async def outbox(self, *, limit: int = 100) -> Sequence[OutboxEntry]:
        """Entries of all shards' outboxes, oldest first."""
        self._check_open()
        return [self._outbox[sequence] for sequence in sorted(self._outbox)][: max(limit, 0)]

    def at_work(self, partition: str) -> AbstractContextManager[None]:  # noqa: ARG002 - nobody else has it
        """Nothing is kept from anybody: no other process has the store."""
        return nullcontext()

    async def wait(self, seconds: float) -> bool:
        """Return true as soon as something is emitted or scheduled; false after ``seconds``."""
        self._check_open()
        return await self._bells.work(seconds)

    def listen(self, heard: Callable[[str | None], None]) -> None:
        """Have ``heard`` called with each partition that a commit announces."""
        self._bells.listen(heard)

    async def close(self) -> None:
        """Answer nothing any more."""
        self._closed = True
        self._bells.silence()

    # ---- bodies -------------------------------------------------------------------------------

    async def prepare(self, body: str, content: bytes) -> tuple[Operation, ...]:
        """The operation that keeps a body, to go into the message's commit."""
        self._check_open()
        return (KeepBody(id=body, content=content),)

    async def read(self, _partition: str, body: str, /) -> bytes | None:
        """The bytes as received; None where they are gone or never were."""
        self._check_open()
        return self._bodies.get(body)

    # ---- what has expired ---------------------------------------------------------------------

    def _live_count(self, name: Named) -> int:
        counted = self._counters.get(name)
        return counted.count if counted and counted.expires > self._clock.now() else 0

    def _live_claim(self, partition: str, name: str) -> bytes | None:
        claimed = self._claims.get((partition, name))
        if claimed is None or (claimed.expires and claimed.expires <= self._clock.now()):
            return None
        return claimed.value

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")


def _check(partition: str, operation: Operation) -> None:
    """Turn away what no store could keep: a name that is no Unicode text, a naive time."""
    for value in (partition, *msgspec.structs.astuple(operation)):
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, datetime) and value.utcoffset() is None:
            raise TypeError(f"a time without a zone cannot be kept: {value}")
