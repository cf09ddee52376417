"""The process that has the file lets others of its machine write through it.

Guests read the file themselves. What they commit goes into the keeper's one writer like its own,
so that one fsync serves the messages of all of them, and is answered only when it is on disk.
Of what others append and announce each guest is told in the turn of the loop in which they are
answered.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

import structlog

from letterbox.adapters.sqlite import frames
from letterbox.adapters.sqlite.frames import (
    UNREADABLE,
    Answer,
    Ask,
    Broken,
    Frames,
    FromGuest,
    Hello,
    Leave,
    News,
    Trouble,
    frame,
)
from letterbox.adapters.sqlite.writer import Call, Waiting
from letterbox.ports.store import Announce, Append, Commit, Done, Result, StoreUnavailable
from letterbox.unix import NotASocket, SocketInUse, bind_socket, is_ours

#: Octets that a guest has not read yet, at most: one that stands still is let go, and asks anew
#: for everything when it comes back.
MOST_UNREAD: Final = 16 << 20
#: So many seconds guests have to take their leave.
_LEAVING: Final = 5.0

log = structlog.get_logger("letterbox.store")


class Keeper:
    """Takes guests in. ``submit`` gives a call of theirs to the writer."""

    def __init__(self, path: Path, submit: Callable[[Sequence[Commit], Waiting], None]) -> None:
        self._path = frames.place(path)
        self.submit = submit
        self._server: asyncio.AbstractServer | None = None
        self._visits: set[_Visit] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._ends = False

    async def start(self) -> None:
        """Let guests come. Raises StoreUnavailable where there is no place for them to."""
        try:
            # The store is locked: whatever stands there is of a keeper that is gone.
            listening = bind_socket(self._path)
        except (OSError, SocketInUse, NotASocket) as error:
            raise StoreUnavailable(f"no other process can come in: {error}") from error
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Visit(self), sock=listening)

    async def outlast(self, seconds: float) -> None:
        """Wait until every guest has gone by itself, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._empty.wait()

    async def close(self) -> None:
        """Answer all that was asked, and let everybody go. A second call does nothing."""
        server, self._server = self._server, None
        if server is None:
            return
        self._ends = True
        server.close()
        self._path.unlink(missing_ok=True)
        for visit in self._visits:
            visit.say(frame(Leave()))
        await self.outlast(_LEAVING)
        for visit in tuple(self._visits):
            visit.end()

    def overhear(self, call: Call, commit: Commit) -> None:
        """Tell all guests of a commit, now durable, but whose it is."""
        if not self._visits:
            return
        for operation in commit.operations:
            if isinstance(operation, Append):
                news = News(commit.partition, operation.log)
            elif isinstance(operation, Announce):
                news = News(commit.partition)
            else:
                continue
            told = frame(news)
            whose = call.answer.visit if isinstance(call.answer, _Answer) else None
            for visit in self._visits:
                if visit is not whose:
                    visit.say(told)

    def came(self, visit: "_Visit") -> None:
        """A guest is in."""
        self._visits.add(visit)
        self._empty.clear()
        if self._ends:  # it was at the door already
            visit.say(frame(Leave()))

    def went(self, visit: "_Visit") -> None:
        """A guest, or one who never was, is gone."""
        self._visits.discard(visit)
        if not self._visits:
            self._empty.set()


class _Visit(asyncio.Protocol):
    """One guest."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self._unsaid: list[bytes] = []
        self._in = False
        self._asks_no_more = False
        self._owed = 0

    # ---- what comes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Another loop's is none by its class.
        self._transport = cast(asyncio.Transport, transport)
        if not is_ours(transport.get_extra_info("socket")):
            self._refuse("it is another user's")

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._frames.cut(data):
                self._hear(FromGuest.decode(body))
        except (Broken, *UNREADABLE) as error:
            self._refuse(str(error))

    def eof_received(self) -> bool:
        self._asks_no_more = True
        self._end_when_answered()
        return True  # answers can still be written

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self._keeper.went(self)

    def _hear(self, said: Hello | Ask) -> None:
        if isinstance(said, Ask) and self._in:
            self._ask(said)
        elif isinstance(said, Hello):
            self.say(frame(Hello(frames.our_version())))
            if said.version == frames.our_version():
                self._in = True
                self._keeper.came(self)
            else:
                log.error("store.guest-refused", reason=f"it is of version {said.version[:40]}")
                self.eof_received()
        else:
            raise Broken("it does not say first of what version it is")

    def _refuse(self, reason: str) -> None:
        log.error("store.guest-refused", reason=reason)
        self.end()

    def _ask(self, ask: Ask) -> None:
        self._owed += 1
        answer = _Answer(self, ask.number)
        try:
            commits = frames.Commits.decode(ask.commits)
        except UNREADABLE as error:  # no store could keep it: the fault of this call alone
            answer.set_exception(TypeError(str(error)))
            return
        try:
            self._keeper.submit(commits, answer)
        except StoreUnavailable as error:
            answer.set_exception(error)

    # ---- what is said

    def say(self, told: tuple[bytes, bytes]) -> None:
        """Say it with all else that is said in this turn of the loop."""
        if self._transport is None:
            return
        if not self._unsaid:
            asyncio.get_running_loop().call_soon(self._write)
        self._unsaid += told

    def answer(self, told: tuple[bytes, bytes]) -> None:
        """Say what has become of a call."""
        self._owed -= 1
        self.say(told)
        self._end_when_answered()

    def _write(self) -> None:
        unsaid, self._unsaid = self._unsaid, []
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size() > MOST_UNREAD:
            self._refuse("it does not read what it is told")
        else:
            self._transport.writelines(unsaid)

    def _end_when_answered(self) -> None:
        if self._asks_no_more and not self._owed:
            asyncio.get_running_loop().call_soon(self._close)  # after what is written in this turn

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def end(self) -> None:
        """Let it go at once."""
        if self._transport is not None:
            self._transport.abort()


class _Answer:
    """Where the answer to a guest's call goes."""

    def __init__(self, visit: _Visit, number: int) -> None:
        self.visit = visit
        self._number = number

    def done(self) -> bool:
        """It is never given up: who has gone is told nothing."""
        return False

    def set_result(self, results: Sequence[Result]) -> None:
        """Tell what has become of each commit."""
        told = tuple(each.numbers if isinstance(each, Done) else each for each in results)
        try:
            answer = frame(Answer(self._number, told))
        except ValueError as error:  # what stood in the way is larger than what was asked
            self.set_exception(StoreUnavailable(str(error)))
        else:
            self.visit.answer(answer)

    def set_exception(self, error: Exception) -> None:
        """Tell what was raised."""
        kind = next((name for name, each in frames.RAISED.items() if isinstance(error, each)), "")
        self.visit.answer(frame(Trouble(self._number, kind, str(error))))
