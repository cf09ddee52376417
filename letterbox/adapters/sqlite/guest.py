"""A process that reads the file and has another write: what it commits goes to the keeper.

It stands in the place of :class:`~letterbox.adapters.sqlite.writer.Writer`. Nothing is sent twice:
where the keeper goes before it has answered, what was sent may have happened, and its caller is
told so. What was not sent yet waits for the next keeper, a moment.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple, cast

import structlog

from letterbox.adapters.bell import Bells
from letterbox.adapters.sqlite import frames
from letterbox.adapters.sqlite.frames import (
    UNREADABLE,
    Answer,
    Broken,
    Frames,
    FromKeeper,
    Hello,
    Leave,
    News,
    Trouble,
    frame,
)
from letterbox.adapters.sqlite.writer import Call, Outcome
from letterbox.ports.store import Done, StoreUnavailable
from letterbox.unix import is_ours, reachable

#: So many seconds a call waits for a keeper: one that is started anew needs one or two.
PATIENCE: Final = 10.0
#: Seconds before a keeper is looked for anew, or one that does not take us in; and so many it has
#: to say whether it does.
_AGAIN: Final = 0.05
_REFUSED: Final = 1.0
_WELCOME: Final = 5.0
#: Seconds that what was asked may take at the end.
_ENDING: Final = 5.0

log = structlog.get_logger("letterbox.store")


class _Unsent(NamedTuple):
    """A call that no keeper has been told of, and until when that may be so."""

    number: int
    call: Call
    frame: tuple[bytes, bytes]
    until: float


class Guest:
    """Hands calls to the keeper; ``deliver`` gets the outcomes. Belongs to the event loop."""

    def __init__(
        self,
        path: Path,
        deliver: Callable[[Sequence[Outcome]], None],
        bells: Bells,
        most_waiting: int,
    ) -> None:
        self._path = frames.place(path)
        self._deliver = deliver
        self._bells = bells
        self._most_waiting = most_waiting
        self._patience = PATIENCE
        self._loop = asyncio.get_running_loop()
        self._numbers = count()
        self._unsent: deque[_Unsent] = deque()
        self._sent: dict[int, Call] = {}
        #: The way to a keeper that takes what is sent.
        self._line: _Line | None = None
        self._closing = False
        self._found = asyncio.Event()
        self._idle = asyncio.Event()
        self._running = asyncio.create_task(self._run(), name="guest")

    def submit(self, call: Call) -> None:
        """Have a call written. Raises StoreUnavailable at once where it cannot wait, or closed.

        Raises ValueError or TypeError for what no store could keep.
        """
        if self._closing:
            raise StoreUnavailable("the store is closed")
        if len(self._unsent) + len(self._sent) >= self._most_waiting:
            raise StoreUnavailable(f"{self._most_waiting} commits are waiting for the disk already")
        number = next(self._numbers)
        asking = frames.asking(number, call.commits)
        if not self._unsent:
            # What is asked in one turn of the loop goes out at once; or is given up at its time.
            if self._line is not None:
                self._loop.call_soon(self._send)
            else:
                self._loop.call_later(self._patience, self._expire)
        until = self._loop.time() + self._patience
        self._unsent.append(_Unsent(number, call, asking, until))

    async def found(self) -> None:
        """Wait for a keeper. Raises StoreUnavailable where none comes."""
        try:
            async with asyncio.timeout(self._patience):
                await self._found.wait()
        except TimeoutError as error:
            raise StoreUnavailable(f"nobody keeps the store at {self._path}") from error

    async def close(self) -> None:
        """Take nothing more, wait for the answers that are due, a moment, and end."""
        self._closing = True
        if self._line is not None and (self._unsent or self._sent):
            self._idle.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_ENDING):
                    await self._idle.wait()
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        self._fail([each.call for each in self._unsent], "the store is closed")
        self._unsent.clear()

    # ---- what is sent

    def _send(self) -> None:
        """Send all that waits."""
        if self._line is None:
            if self._unsent:  # the keeper has gone in this turn
                self._loop.call_later(self._patience, self._expire)
            return
        parts: list[bytes] = []
        while self._unsent:
            number, call, asking, _ = self._unsent.popleft()
            self._sent[number] = call
            parts += asking
        if parts:
            self._line.write(parts)

    def _expire(self) -> None:
        """Give up what has waited for too long."""
        if self._line is not None:
            return
        late: list[Call] = []
        while self._unsent and self._unsent[0].until <= self._loop.time():
            late.append(self._unsent.popleft().call)
        if self._unsent:
            self._loop.call_at(self._unsent[0].until, self._expire)
        self._fail(late, "nobody keeps the store; nothing was done")

    def _fail(self, calls: Sequence[Call], why: str) -> None:
        if calls:
            self._deliver([(call, StoreUnavailable(why)) for call in calls])

    # ---- the keeper

    async def _run(self) -> None:
        missed = False
        while True:
            try:
                await self._visit()
                missed = False
            except (OSError, Broken, TimeoutError) as error:
                if not missed:
                    log.warning("store.no-keeper", error=str(error) or "it is silent")
                missed = True
                await asyncio.sleep(_REFUSED if isinstance(error, Broken) else _AGAIN)

    async def _visit(self) -> None:
        """Be with a keeper until it is gone."""
        line = _Line(self)
        try:
            await self._connect(line)
            await line.lost
        finally:
            line.end()
            self._line = None
            self._found.clear()
            sent, self._sent = self._sent, {}
            self._fail([*sent.values()], "the keeper of the store has gone before it answered")
            self._idle.set()  # at the end nobody waits for another

    async def _connect(self, line: "_Line") -> None:
        """Return when the keeper takes us in, or says at once that it ends."""
        async with asyncio.timeout(_WELCOME):
            with reachable(self._path) as short:
                await self._loop.create_unix_connection(lambda: line, short)
            await line.welcome
        if line.leaving:
            return
        # Another may have changed everything since we last heard.
        self._bells.ring_all()
        self._line = line
        log.info("store.keeper-found")
        self._found.set()
        self._send()

    def leaves(self, line: "_Line") -> None:
        """The keeper takes no more: what waits is for the next one."""
        if self._line is line:
            self._line = None
        line.says_no_more()

    def hear(self, said: Sequence[Answer | Trouble | News]) -> None:
        """What the keeper has said at once."""
        outcomes: list[Outcome] = []
        for each in said:
            if isinstance(each, News):
                self._bells.hear(each.partition, each.log)
            elif (call := self._sent.pop(each.number, None)) is not None:
                if isinstance(each, Answer):
                    results = [Done(r) if isinstance(r, tuple) else r for r in each.results]
                    outcomes.append((call, results))
                else:
                    raised = frames.RAISED.get(each.kind, StoreUnavailable)
                    outcomes.append((call, raised(each.message)))
        if outcomes:
            self._deliver(outcomes)
        if not (self._sent or self._unsent):
            self._idle.set()


class _Line(asyncio.Protocol):
    """A connection to a keeper."""

    def __init__(self, guest: Guest) -> None:
        loop = asyncio.get_running_loop()
        self._guest = guest
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self.welcome: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        #: The keeper has said that it ends.
        self.leaving = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Another loop's is none by its class.
        self._transport = cast(asyncio.Transport, transport)
        if is_ours(transport.get_extra_info("socket")):
            self.write([*frame(Hello(frames.our_version()))])
        else:
            self.end()

    def data_received(self, data: bytes) -> None:
        heard: list[Answer | Trouble | News] = []
        try:
            for body in self._frames.cut(data):
                said = FromKeeper.decode(body)
                if isinstance(said, Hello):
                    self._greeted(said.version)
                elif isinstance(said, Leave):
                    self._guest.leaves(self)
                else:
                    heard.append(said)
        except (Broken, *UNREADABLE) as error:
            log.error("store.keeper-unreadable", error=str(error))  # noqa: TRY400
            self.end()
        self._guest.hear(heard)

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        if not self.welcome.done():
            self.welcome.set_exception(ConnectionResetError("it went before it took us in"))
        if not self.lost.done():
            self.lost.set_result(None)

    def _greeted(self, version: str) -> None:
        if self.welcome.done():
            return
        if version == frames.our_version():
            self.welcome.set_result(None)
        else:
            self.welcome.set_exception(Broken(f"it is of version {version[:40]}"))

    def write(self, parts: Sequence[bytes]) -> None:
        """Send frames."""
        if self._transport is not None:
            self._transport.writelines(parts)

    def says_no_more(self) -> None:
        """Let the keeper know that all is sent."""
        self.leaving = True
        if self._transport is not None:
            self._transport.write_eof()

    def end(self) -> None:
        """Let go."""
        if self._transport is not None:
            self._transport.abort()
