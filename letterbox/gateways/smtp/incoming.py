"""What comes over a connection, and the one who reads it."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Incoming:
    """The octets that have come and were not read yet.

    Whoever reads says what to make of them, and is woken once that can be made: asyncio's
    StreamReader wakes its task for every packet, and to wake one costs more than to answer a
    command. More than twice the ``limit`` may not wait for somebody who reads later: the client
    is stopped then.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        #: What has come; to be looked at, and read by taking it out.
        self.waiting = bytearray()
        self.link: asyncio.Transport
        self._loop = loop
        self._limit = limit
        self._stopped = False
        self._ended = False
        self._trouble: Exception | None = None
        self._make: Callable[[bytearray], Any] | None = None  # of whoever waits
        self._awaited: asyncio.Future[Any] | None = None

    # ---- from the connection

    def feed(self, octets: bytes) -> None:
        """They have come."""
        self.waiting += octets
        if self._make is None or self._awaited is None or self._awaited.done():
            if len(self.waiting) > 2 * self._limit and not self._stopped:
                self._stopped = True
                self.link.pause_reading()
            return
        try:
            made = self._make(self.waiting)
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            self._awaited.set_exception(error)
        else:
            if made is not None:
                self._awaited.set_result(made)

    def end(self, trouble: Exception | None = None) -> None:
        """Nothing more will come: what has come may still be read, unless there was trouble."""
        self._ended = True
        self._trouble = trouble
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_exception(trouble or self._incomplete())

    @property
    def is_over(self) -> bool:
        """Whether all has come and was read."""
        return self._ended and not self.waiting

    # ---- to whoever reads

    async def take(self, make: Callable[[bytearray], T | None]) -> T:
        """What ``make`` makes of the octets, taking some of them out; None where it needs more.

        It is called whenever more have come, past the task that waits here. Raises
        IncompleteReadError where nothing more will, and whatever ``make`` raises.
        """
        if self._trouble is not None:
            raise self._trouble
        if (made := make(self.waiting)) is not None:
            if self._stopped and len(self.waiting) <= self._limit:
                self._go_on()
            return made
        if self._ended:
            raise self._incomplete()
        if self._stopped:
            self._go_on()
        awaited: asyncio.Future[T] = self._loop.create_future()
        self._make, self._awaited = make, awaited
        try:
            return await awaited
        finally:
            self._make = self._awaited = None

    async def readexactly(self, n: int, /) -> bytes:
        """So many octets. Raises IncompleteReadError."""
        return await self.take(lambda waiting: cut(waiting, n) if len(waiting) >= n else None)

    def _go_on(self) -> None:
        self._stopped = False
        if not self.link.is_closing():
            self.link.resume_reading()

    def _incomplete(self) -> asyncio.IncompleteReadError:
        partial = bytes(self.waiting)
        self.waiting.clear()
        return asyncio.IncompleteReadError(partial, None)


def cut(waiting: bytearray, n: int) -> bytes:
    """Take out the first ``n`` octets: copied once."""
    if n == len(waiting):
        octets = bytes(waiting)
        waiting.clear()
        return octets
    with memoryview(waiting) as view:
        octets = bytes(view[:n])
    del waiting[:n]
    return octets


def take_line(waiting: bytearray, longest: int) -> bytes | None:
    """The next line with its LF, of ``longest`` octets at most.

    None where it has not come; nothing (``b""``), and it is left there, where it is longer.
    """
    end = waiting.find(b"\n", 0, longest) + 1
    if end:
        return cut(waiting, end)
    return b"" if len(waiting) >= longest else None


class Skipped:
    """Takes a line out up to its LF, of ``most`` octets at most; says whether it has ended so."""

    def __init__(self, most: int) -> None:
        self._most = most

    def __call__(self, waiting: bytearray) -> bool | None:
        """Whether it has ended; None where more must come."""
        end = waiting.find(b"\n", 0, self._most) + 1
        if end:
            del waiting[:end]
            return True
        self._most -= len(waiting)
        waiting.clear()
        return False if self._most <= 0 else None
