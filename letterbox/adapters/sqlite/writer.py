"""The one thread that writes.

It takes all commits that wait as one transaction, so that one fsync serves them all, and answers
them only after COMMIT has returned. Where that fails, for whatever cause, nobody is told of a
success: the connection is thrown away, and the next batch opens a new one.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

import apsw
import msgspec
import structlog

from letterbox.adapters.sqlite.bodies import BodyFiles
from letterbox.adapters.sqlite.operations import NONSENSE, Operations, TakeBack
from letterbox.adapters.sqlite.wal import Checkpoints
from letterbox.ports.store import Commit, Result, StoreUnavailable

#: Calls in one transaction at most: bounds how long the first of them waits.
LARGEST_BATCH = 256

#: Expired entries of a kind that are removed with each call: more than a call adds, so that they
#: dwindle, and few enough that nobody waits for it.
FORGET = 8

#: After this many seconds without a commit the log is written back into the file.
IDLE = 0.5


class Call(msgspec.Struct, frozen=True):
    """One call of ``commit``: what is asked, since when (microseconds), and who waits."""

    commits: Sequence[Commit]
    now: int
    answer: asyncio.Future[Sequence[Result]]


Outcome: TypeAlias = tuple[Call, Sequence[Result] | Exception]


class Writer:
    """Owns the writing connection; ``deliver`` gets the outcomes, called on the writer's thread.

    ``submit`` and ``close`` may be called from any thread.
    """

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
        self._changed = threading.Condition()
        self._closing = False
        self._db: apsw.Connection | None = None
        # A daemon: a process that ends without close() must not hang; what waits was not answered.
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, call: Call) -> None:
        """Put a call in the queue. Raises StoreUnavailable at once when it is full or closed."""
        with self._changed:
            if self._closing:
                raise StoreUnavailable("the store is closed")
            if len(self._waiting) >= self._most_waiting:
                raise StoreUnavailable(
                    f"{self._most_waiting} commits are waiting for the disk already"
                )
            self._waiting.append(call)
            self._changed.notify()

    def close(self) -> None:
        """Take nothing more, write what waits, and end. Blocks until done."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while not (self._closing and not self._waiting):
            batch = self._take()
            if batch:
                self._deliver(self._write(batch))
            if self._db is None:
                continue
            if batch:
                self._checkpoints.after_commit(self._db)
            elif not self._closing:
                self._checkpoints.when_idle(self._db)
        self._end()

    def _take(self) -> list[Call]:
        """The calls that wait, once there are any; empty after a pause, or when all is over."""
        with self._changed:
            if not self._waiting and not self._closing:
                self._changed.wait(None if self._checkpoints.idle else IDLE)
            count = min(len(self._waiting), LARGEST_BATCH)
            return [self._waiting.popleft() for _ in range(count)]

    def _write(self, batch: Sequence[Call]) -> Sequence[Outcome]:
        try:
            db = self._db = self._db or self._open()
            try:
                outcomes, dropped = self._transact(db, batch, savepoints=False)
            except (TakeBack, *NONSENSE):
                db.execute("ROLLBACK")
                outcomes, dropped = self._transact(db, batch, savepoints=True)
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing here may be called done
            self._give_up(error)
            return [(call, _unavailable(error)) for call in batch]
        for file in dropped:
            self._files.remove(file)
        return outcomes

    def _transact(
        self, db: apsw.Connection, batch: Sequence[Call], *, savepoints: bool
    ) -> tuple[Sequence[Outcome], Sequence[str]]:
        """One transaction for all calls: their outcomes, and the files of bodies dropped."""
        db.execute("BEGIN IMMEDIATE")
        now = max(call.now for call in batch)
        operations = Operations(db, self._files, now, savepoints=savepoints)
        outcomes = [(call, operations.call(call.commits)) for call in batch]
        operations.forget(limit=len(batch) * FORGET)
        db.execute("COMMIT")
        return outcomes, operations.dropped

    def _open(self) -> apsw.Connection:
        db = self._connect()
        self._checkpoints.watch(db)
        return db

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


def _unavailable(error: Exception) -> StoreUnavailable:
    refusal = StoreUnavailable(f"the store could not write: {error}")
    refusal.__cause__ = error
    return refusal
