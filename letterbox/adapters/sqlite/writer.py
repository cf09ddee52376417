"""Whoever writes: one transaction at a time, on one connection.

All commits that wait make up one transaction, so that one fsync serves them all; they are answered
only after COMMIT has returned. Where that fails, for whatever cause, nobody is told of a success:
the connection is thrown away, and the next batch opens a new one.

Statements are executed on the event loop: they change pages in memory, mostly, a few microseconds
each, and in a thread each would wait for the interpreter's lock longer than it takes. What waits
for the disk or for somebody else's lock, and what takes very many rows, is done in a thread;
commits that come meanwhile wait for the next transaction.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol, TypeAlias

import apsw
import msgspec
import structlog

from letterbox.adapters.sqlite.bodies import BodyFiles
from letterbox.adapters.sqlite.disk import Disk
from letterbox.adapters.sqlite.operations import NONSENSE, Operations, TakeBack
from letterbox.adapters.sqlite.schema import LOCK_WAIT
from letterbox.adapters.sqlite.wal import Checkpoints
from letterbox.ports.store import Commit, Result, Rewrite, StoreUnavailable, Trim

#: Calls in one transaction at most: bounds how long the loop is busy with them.
LARGEST_BATCH = 32

#: What a transaction waits for: so many calls, or seconds, at most, and only while more of them
#: come with each turn of the loop. Ten sessions then make two transactions in turn, one of which is
#: on its way to the disk while the messages of the other are decided.
GATHERED = 6
GATHER_SECONDS = 0.004

#: Operations of one transaction that are executed on the loop at most: 32 messages have some 300.
MOST_ON_LOOP = 512

#: Expired entries of a kind that are removed for each call: more than a call adds, so that they
#: dwindle. They are looked for after so many calls or microseconds, whichever comes first: often
#: enough that nobody waits for their removal, and not so often that the search is felt.
FORGET = 8
FORGET_CALLS = 16
FORGET_AFTER = 1_000_000

#: After this many seconds without a commit the log is written back into the file.
IDLE = 0.5


_MANY_ROWS = frozenset({Trim, Rewrite})


class Waiting(Protocol):
    """Whoever waits for the answer to a call: a Future, or a guest."""

    def done(self) -> bool:
        """Whether nobody waits any more."""
        ...

    def set_result(self, results: Sequence[Result], /) -> None:
        """Say what has become of each commit."""
        ...

    def set_exception(self, error: Exception, /) -> None:
        """Say that nothing is done, or nobody knows."""
        ...


class Call(msgspec.Struct, frozen=True):
    """One call of ``commit``: what is asked, since when (microseconds), and who waits."""

    commits: Sequence[Commit]
    now: int
    answer: Waiting


Outcome: TypeAlias = tuple[Call, Sequence[Result] | Exception]


class Writer:
    """Owns the writing connection; ``deliver`` gets the outcomes. Belongs to the event loop."""

    def __init__(
        self,
        connect: Callable[[], apsw.Connection],
        files: BodyFiles,
        deliver: Callable[[Sequence[Outcome]], None],
        checkpoints: Checkpoints,
        most_waiting: int,
    ) -> None:
        self._connect = connect
        self._files = files
        self._deliver = deliver
        self._checkpoints = checkpoints
        self._most_waiting = most_waiting
        self._waiting: deque[Call] = deque()
        self._closing = False
        self._since_forgetting = 0  # calls
        self._forgotten = 0  # when it was done last, in microseconds since 1970
        self._changed = asyncio.Event()
        self._db: apsw.Connection | None = None
        self._disk = Disk("store-writer")
        self._running = asyncio.create_task(self._run())

    def submit(self, call: Call) -> None:
        """Put a call in the queue. Raises StoreUnavailable at once when it is full or closed."""
        if self._closing:
            raise StoreUnavailable("the store is closed")
        if len(self._waiting) >= self._most_waiting:
            raise StoreUnavailable(f"{self._most_waiting} commits are waiting for the disk already")
        self._waiting.append(call)
        self._changed.set()

    async def close(self) -> None:
        """Take nothing more, write what waits, and end."""
        self._closing = True
        self._changed.set()
        await self._running
        await self._disk.do(self._end)
        self._disk.close()

    async def _run(self) -> None:
        while not (self._closing and not self._waiting):
            if self._waiting:
                await self._gather()
                count = min(len(self._waiting), LARGEST_BATCH)
                batch = [self._waiting.popleft() for _ in range(count)]
                await self._write(batch)
            elif await self._is_quiet() and self._db is not None:
                await self._disk.do(self._checkpoints.when_idle, self._db)

    async def _gather(self) -> None:
        """Let those come along who are about to ask: a transaction costs one as much as ten.

        As long as each turn of the loop brings another call, the loop has work to do anyway.
        """
        loop = asyncio.get_running_loop()
        latest = loop.time() + GATHER_SECONDS
        before = 0
        while before < len(self._waiting) < GATHERED and loop.time() < latest:
            before = len(self._waiting)
            await asyncio.sleep(0)

    async def _is_quiet(self) -> bool:
        """Wait for a call, or for the time to write the log back; whether that has come."""
        self._changed.clear()
        try:
            async with asyncio.timeout(None if self._checkpoints.idle else IDLE):
                await self._changed.wait()
        except TimeoutError:
            return True
        return False

    async def _write(self, batch: Sequence[Call]) -> None:
        """Write a batch and answer it."""
        try:
            db = self._db
            if db is None:
                db = self._db = await self._disk.do(self._open)
            try:
                outcomes, dropped = await self._transact(db, batch, savepoints=False)
            except (TakeBack, *NONSENSE):
                db.execute("ROLLBACK")
                outcomes, dropped = await self._transact(db, batch, savepoints=True)
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing here may be called done
            await self._disk.do(self._give_up, error)
            self._deliver([(call, _unavailable(error)) for call in batch])
            return
        self._deliver(outcomes)
        if dropped or self._checkpoints.due:
            await self._disk.do(self._tidy, db, dropped)

    async def _transact(
        self, db: apsw.Connection, batch: Sequence[Call], *, savepoints: bool
    ) -> tuple[Sequence[Outcome], Sequence[str]]:
        """One transaction for all calls: their outcomes, and the files of bodies dropped."""
        try:
            db.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:  # somebody else writes, a shell perhaps
            await self._disk.do(self._begin, db)
        now = max(call.now for call in batch)
        operations = Operations(db, self._files, now, savepoints=savepoints)

        def write() -> list[Outcome]:
            outcomes = [(call, operations.call(call.commits)) for call in batch]
            self._forget(operations, len(batch), now)
            return outcomes

        outcomes = await self._disk.do(write) if _is_long(batch) else write()
        await self._disk.do(db.execute, "COMMIT")
        return outcomes, operations.dropped

    def _forget(self, operations: Operations, calls: int, now: int) -> None:
        self._since_forgetting += calls
        waited = abs(now - self._forgotten)  # a clock may be set back
        if self._since_forgetting >= FORGET_CALLS or waited >= FORGET_AFTER:
            operations.forget(limit=self._since_forgetting * FORGET)
            self._since_forgetting, self._forgotten = 0, now

    # ---- in the thread ------------------------------------------------------------------------

    def _open(self) -> apsw.Connection:
        db = self._connect()
        db.set_busy_timeout(0)  # nothing on the loop waits
        self._checkpoints.watch(db)
        return db

    def _begin(self, db: apsw.Connection) -> None:
        db.set_busy_timeout(LOCK_WAIT)
        try:
            db.execute("BEGIN IMMEDIATE")
        finally:
            db.set_busy_timeout(0)

    def _tidy(self, db: apsw.Connection, dropped: Sequence[str]) -> None:
        for file in dropped:
            self._files.remove(file)
        self._checkpoints.after_commit(db)

    def _give_up(self, error: Exception) -> None:
        # The connection may be in any state now. Closing it rolls back what was not committed.
        structlog.get_logger().error("store.write-failed", error=f"{type(error).__name__}: {error}")
        if self._db is not None:
            with suppress(apsw.Error):
                self._db.close(force=True)
        self._db = None

    def _end(self) -> None:
        self._checkpoints.close()
        if self._db is not None:
            with suppress(apsw.Error):
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            with suppress(apsw.Error):
                self._db.close()


def _is_long(batch: Sequence[Call]) -> bool:
    """Whether it would keep the loop from all else: by many operations, or by many rows."""
    operations = [each for call in batch for commit in call.commits for each in commit.operations]
    return len(operations) > MOST_ON_LOOP or not _MANY_ROWS.isdisjoint(map(type, operations))


def _unavailable(error: Exception) -> StoreUnavailable:
    refusal = StoreUnavailable(f"the store could not write: {error}")
    refusal.__cause__ = error
    return refusal
