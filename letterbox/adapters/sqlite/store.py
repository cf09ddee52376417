"""The embedded store: one file, owned by one process, which may let others in."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import apsw

from letterbox.adapters.bell import Bells
from letterbox.adapters.sqlite import queries
from letterbox.adapters.sqlite.bodies import GRACE, LARGEST_INSIDE, KeepFile
from letterbox.adapters.sqlite.counts import Counts
from letterbox.adapters.sqlite.guest import Guest
from letterbox.adapters.sqlite.keeper import Keeper
from letterbox.adapters.sqlite.opening import Opened, Readable, open_beside, open_file
from letterbox.adapters.sqlite.schema import PAGE_SIZE
from letterbox.adapters.sqlite.wal import Checkpoints
from letterbox.adapters.sqlite.writer import Call, Outcome, Waiting, Writer
from letterbox.adapters.times import stored
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Commit,
    Document,
    Done,
    DueEntry,
    KeepBody,
    LogEntry,
    Names,
    Operation,
    OutboxEntry,
    Result,
    StoreUnavailable,
)

P = ParamSpec("P")
T = TypeVar("T")


class SqliteStore:
    """Store and Bodies at once, over one SQLite file. Made by :meth:`open`.

    Commits go to one writer, which puts all that wait into one transaction. Reads see every
    commit that has returned. What reads many rows goes to a reader thread; what looks up a single
    row by its key is read at once, on the loop: that takes 5 us, the way to a thread and back 35
    to 70, and neither a writer nor a checkpoint ever makes a reader of a write-ahead log wait.
    An instance belongs to the event loop it was opened on. One made by :meth:`join` has another
    process write, which has the file and lets it in by a :meth:`keeper`.
    """

    def __init__(self, clock: Clock, opened: Readable, most_waiting: int) -> None:
        self._clock = clock
        self._opened = opened
        self._files = opened.files
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="store-reader")
        self._loop = asyncio.get_running_loop()
        self._bells = Bells(clock.now)
        #: None where commits are made that are not seen here.
        self._counts: Counts | None = None
        self._keeper: Keeper | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._closed = False
        self._writer: Writer | Guest
        if isinstance(opened, Opened):
            checkpoints = Checkpoints(opened.connect, opened.page_size)
            self._writer = Writer(
                opened.connect, opened.files, self._deliver, checkpoints, most_waiting
            )
            self._counts = Counts()
            self._sweeping = asyncio.create_task(self._sweep(opened))
        else:
            self._writer = Guest(opened.path, self._deliver, self._bells, most_waiting)

    @classmethod
    async def open(
        cls,
        path: Path,
        clock: Clock,
        *,
        synchronous: str = "FULL",
        page_size: int = PAGE_SIZE,
        most_waiting: int = 4096,
        owner: int | None = None,
    ) -> "SqliteStore":
        """Open the store at ``path``; the file and its folder are made where they are missing.

        ``synchronous`` other than FULL breaks the promise of ``commit``: for tests alone.
        ``page_size`` (octets, a power of two from 512 to 65536) counts when the file is made.
        ``most_waiting`` calls may wait for the disk; beyond, :class:`StoreUnavailable` at once.
        ``owner`` is the process that others are told to stop to have it; this one, unless told.

        Raises :class:`StoreInUse` when another process has it open, :class:`SchemaTooNew` when a
        later version wrote it, :class:`NotAStore` when it is something else's, and their base
        :class:`StoreUnavailable` for anything else in the way.
        """
        opened = await asyncio.to_thread(open_file, path, synchronous, page_size, owner=owner)
        return cls(clock, opened, most_waiting)

    @classmethod
    async def join(cls, path: Path, clock: Clock, *, most_waiting: int = 4096) -> "SqliteStore":
        """Open the store at ``path`` beside the process that keeps it.

        Raises StoreUnavailable where no keeper comes within some seconds.
        """
        store = cls(clock, await asyncio.to_thread(open_beside, path), most_waiting)
        assert isinstance(store._writer, Guest)  # noqa: S101 - it is made of what only reads
        try:
            await store._writer.found()
        except BaseException:
            await store.close()
            raise
        return store

    def keeper(self) -> Keeper:
        """What lets other processes in, once it is started. To be closed before the store."""
        self._keeper = Keeper(self._opened.path, self._submit)
        return self._keeper

    async def close(self) -> None:
        """Write what waits, write the log back, and let the file go. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._bells.silence()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        # The writer's is the last connection to close: SQLite then removes the log.
        await asyncio.to_thread(self._stop_reading)
        await self._writer.close()
        if isinstance(self._opened, Opened):
            self._opened.lock.release()

    def _stop_reading(self) -> None:
        self._reading.shutdown()
        self._opened.reader.close()
        self._opened.quick.close()

    # ---- commits ------------------------------------------------------------------------------

    async def commit(self, *commits: Commit) -> Sequence[Result]:
        """Apply commits in order, each atomically; what is Done is on disk.

        All of one call are in one transaction. Raises ValueError or TypeError, and does nothing,
        where an operation holds what cannot be stored (a lone surrogate, a naive time).
        """
        answer: asyncio.Future[Sequence[Result]] = self._loop.create_future()
        self._submit(commits, answer)
        return await answer

    def _submit(self, commits: Sequence[Commit], answer: Waiting) -> None:
        now = stored(self._clock.now())
        self._writer.submit(Call(commits=commits, now=now, answer=answer))

    def _deliver(self, outcomes: Sequence[Outcome]) -> None:
        # In a turn of its own: whatever is raised there must not stop the writer.
        self._loop.call_soon(self._resolve, outcomes)

    def _resolve(self, outcomes: Sequence[Outcome]) -> None:
        for call, outcome in outcomes:
            if isinstance(outcome, Exception):
                if self._counts is not None:
                    self._counts.clear()
                if not call.answer.done():
                    call.answer.set_exception(outcome)
                continue
            # Whoever remembers what it changed hears of it before whoever waits for it.
            for commit, result in zip(call.commits, outcome, strict=True):
                if isinstance(result, Done):
                    if self._counts is not None:
                        self._counts.change(commit)
                    self._bells.ring(commit)
                    if self._keeper is not None:
                        self._keeper.overhear(call, commit)
            if not call.answer.done():
                call.answer.set_result(outcome)

    # ---- reads --------------------------------------------------------------------------------

    def _look_up(
        self, ask: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Ask now, on the loop: for single rows by their key alone."""
        self._check_open()
        try:
            return ask(self._opened.quick, *args, **kwargs)
        except apsw.Error as error:
            raise StoreUnavailable(f"the store could not read: {error}") from error

    async def _read(
        self, ask: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Ask on the reader's thread."""
        self._check_open()
        question = partial(ask, self._opened.reader, *args, **kwargs)
        try:
            return await self._loop.run_in_executor(self._reading, question)
        except apsw.Error as error:
            raise StoreUnavailable(f"the store could not read: {error}") from error

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    async def get(self, partition: str, key: str) -> Document | None:
        """One document."""
        return self._look_up(queries.get, partition, key)

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
        between = queries.page(prefix, after, descending=descending)
        order = "DESC" if descending else "ASC"
        return await self._read(queries.documents, partition, between, order, limit)

    async def log(
        self, partition: str, log: str, *, after: int = 0, limit: int = 100
    ) -> Sequence[LogEntry]:
        """Entries of a log with a sequence above ``after``, oldest first."""
        return await self._read(queries.log, partition, log, after, limit)

    async def follow(self, partition: str, log: str, *, after: int, seconds: float) -> bool:
        """Wait until the log has an entry above ``after``; false when ``seconds`` went by."""

        async def there() -> bool:
            return bool(await self.log(partition, log, after=after, limit=1))

        return await self._bells.follow(partition, log, there, seconds)

    async def counters(self, partition: str, names: Sequence[str]) -> dict[str, int]:
        """The counts of these names; 0 for what is absent or expired."""
        now = stored(self._clock.now())
        self._check_open()
        if self._counts is not None:
            known = self._counts.find(partition, names, now)
            if known is not None:
                return known
        rows = self._look_up(queries.counters, partition, names)
        if self._counts is not None:
            self._counts.learn(partition, rows)
        return {name: each.value if each.expires > now else 0 for name, each in rows.items()}

    async def claim(self, partition: str, name: str) -> bytes | None:
        """The value of an unexpired claim."""
        return self._look_up(queries.claim, partition, name, self._clock.now())

    async def names(self, partition: str) -> Names:
        """The names of a partition's counters, claims and due entries."""
        return await self._read(queries.names, partition)

    async def due(self, until: datetime, *, limit: int = 100) -> Sequence[DueEntry]:
        """Entries due at or before ``until``, the earliest first."""
        return await self._read(queries.due, until, limit)

    async def outbox(self, *, limit: int = 100) -> Sequence[OutboxEntry]:
        """Entries of all shards' outboxes, oldest first."""
        return await self._read(queries.outbox, limit)

    def at_work(self, partition: str) -> AbstractContextManager[None]:  # noqa: ARG002 - nobody else works
        """Nothing is kept from anybody: of the processes that have the store one works."""
        return nullcontext()

    async def wait(self, seconds: float) -> bool:
        """Return true as soon as something is emitted or scheduled; false after ``seconds``."""
        return await self._bells.work(seconds)

    def listen(self, heard: Callable[[str | None], None]) -> None:
        """Have ``heard`` called with each partition that a commit announces."""
        self._bells.listen(heard)

    # ---- bodies -------------------------------------------------------------------------------

    async def prepare(self, body: str, content: bytes) -> tuple[Operation, ...]:
        """The operation that keeps a body; a large one is in a file, and on disk, at return."""
        self._check_open()
        if len(content) <= LARGEST_INSIDE:
            return (KeepBody(id=body, content=content),)
        try:
            file = await asyncio.to_thread(self._files.write, content)
        except OSError as error:
            raise StoreUnavailable(f"a body could not be written: {error}") from error
        return (KeepFile(id=body, content=b"", file=file),)

    async def read(self, _partition: str, body: str, /) -> bytes | None:
        """The bytes as received; None where they are gone or never were."""
        content, file = await self._read(queries.body, body)
        if file is None:
            return content
        try:
            return await asyncio.to_thread(self._files.read, file)
        except OSError as error:
            raise StoreUnavailable(f"body {body} could not be read: {error}") from error

    async def _sweep(self, opened: Opened) -> None:
        while True:
            with suppress(OSError, apsw.Error):  # nothing waits for it: another time, then
                await asyncio.to_thread(opened.sweep, self._clock.now().timestamp())
            await asyncio.sleep(GRACE)
