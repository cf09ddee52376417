"""An mbox that a person uploads, read as it comes: it is written down nowhere.

The reading is done in a process of its own, so that mail and pages go on meanwhile, and whatever
hostile mail does to it, it does there. Cut short, it is gone on with when the same file comes
again: what was counted is passed over.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256
from typing import Final

from letterbox.model.proposal import Sighting
from letterbox.ports.clock import Clock
from letterbox.reading.facts import Reader
from letterbox.reading.mbox import Cut, Mbox, NotAnMbox
from letterbox.reading.sightings import MOST_OCTETS
from letterbox.records.imports import Batch, Imports, Source
from letterbox.starting.readers import read_all, readers

#: An mbox is known by so many of its first octets: it is the same when mail was added to it.
BEGINNING: Final = 4096
#: Mails of one turn, and octets of them that wait for it.
_BATCH: Final = 200
_WAITING: Final = 4 << 20

#: Reads some mails in order; None for each that cannot be read.
Reading = Callable[[list[bytes], datetime], Awaitable[list[Sighting | None]]]


class Busy(Exception):
    """As many are read already as may be at once."""


class TooLarge(Exception):
    """The file is larger than may be uploaded."""


class ReaderLost(Exception):
    """The process that reads was killed."""


def name_of_mbox(beginning: bytes) -> str:
    """What an mbox is called that begins so."""
    return sha256(b"mbox\0" + beginning[:BEGINNING]).hexdigest()


class Uploads:
    """Reads what people upload. ``make_reader`` is called in the process that reads."""

    def __init__(
        self,
        imports: Imports,
        clock: Clock,
        *,
        make_reader: Callable[[], Reader],
        most: int,
        at_once: int,
    ) -> None:
        """``most`` is how large a file may be, in octets; ``at_once`` how many are read."""
        self._imports = imports
        self._clock = clock
        self._make_reader = make_reader
        self.most = most
        self._room = asyncio.Semaphore(at_once)
        #: Who has a file read: each one at a time.
        self._whose: set[str] = set()

    async def read(self, consumer: str, chunks: AsyncIterator[bytes], total: int) -> Source:
        """Read an mbox as it comes; ``total`` is how large it says it is, 0 for unknown.

        Raises :class:`Busy`, :class:`TooLarge`, :class:`ReaderLost`,
        :class:`letterbox.reading.mbox.NotAnMbox`, and what :class:`Imports` raises. What was
        counted until then stays.
        """
        if total > self.most:
            raise TooLarge
        if self._room.locked() or consumer in self._whose:
            raise Busy
        self._whose.add(consumer)
        try:
            return await self._read(consumer, chunks, total)
        finally:
            self._whose.discard(consumer)

    async def _read(self, consumer: str, chunks: AsyncIterator[bytes], total: int) -> Source:
        async with self._room:
            beginning = b""
            async for chunk in chunks:
                beginning += chunk
                if len(beginning) >= BEGINNING:
                    break
            if not beginning.lstrip().startswith(b"From "):
                raise NotAnMbox
            name = name_of_mbox(beginning)
            source = await self._imports.begin(consumer, name, "mbox", total)
            async with _reading(self._make_reader) as reading:
                course = _Course(self._imports, consumer, name, source, reading, self._clock)
                size = len(beginning)
                await course.feed(beginning, total)
                async for chunk in chunks:
                    size += len(chunk)
                    if size > self.most:
                        raise TooLarge
                    await course.feed(chunk, max(total, size))
                return await course.end(size)


class _Course:
    """One upload: what was counted of it before is passed over."""

    def __init__(
        self,
        imports: Imports,
        consumer: str,
        name: str,
        source: Source,
        reading: Reading,
        clock: Clock,
    ) -> None:
        self._imports = imports
        self._consumer = consumer
        self._name = name
        self._source = source
        self._reading = reading
        self._clock = clock
        self._ends = int(source.position or 0)
        self._passed_over = self._ends
        self._mbox = Mbox(at=self._ends, most=MOST_OCTETS)
        self._cuts: list[Cut] = []
        self._waiting = 0

    async def feed(self, chunk: bytes, total: int) -> None:
        """Take in what has come."""
        counted = min(len(chunk), self._passed_over)
        self._passed_over -= counted
        if counted == len(chunk):
            return
        for cut in self._mbox.feed(chunk[counted:]):
            self._cuts.append(cut)
            self._waiting += len(cut.raw)
            if len(self._cuts) >= _BATCH or self._waiting >= _WAITING:
                await self._count(total)

    async def end(self, size: int) -> Source:
        """There is no more."""
        self._cuts += self._mbox.feed(b"", last=True)
        await self._count(size, last=True)
        return self._source

    async def _count(self, total: int, *, last: bool = False) -> None:
        cuts, self._cuts, self._waiting = self._cuts, [], 0
        seen = await self._reading([cut.raw for cut in cuts], self._clock.now()) if cuts else []
        self._ends = cuts[-1].ends if cuts else self._ends
        batch = Batch(
            after=self._source.position,
            position=str(self._ends) if cuts else self._source.position,
            done=self._ends,
            total=total,
            sightings=tuple(each for each in seen if each is not None),
            unread=sum(each is None for each in seen),
            last=last,
        )
        self._source = await self._imports.take(self._consumer, self._name, batch)


@asynccontextmanager
async def _reading(make_reader: Callable[[], Reader]) -> AsyncIterator[Reading]:
    """A process that reads, as long as it is needed."""
    pool = readers(make_reader, 1)
    loop = asyncio.get_running_loop()

    async def read(mails: list[bytes], now: datetime) -> list[Sighting | None]:
        try:
            return await loop.run_in_executor(pool, read_all, mails, now)
        except BrokenProcessPool:
            raise ReaderLost from None

    try:
        yield read
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
