"""The supervisor: keeps several processes serving, and replaces them without a gap.

Their sockets are its own and are handed down: what waits to be accepted waits there, whichever
process dies, and is taken by the next one at that place.
"""

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec
import structlog

from letterbox.administration import Failed
from letterbox.doors import Sockets
from letterbox.supervised import READY, RETIRE, Given

#: A process that has lived so long, in seconds, did not die of its start.
_SETTLED: Final = 60.0
_LONGEST_PAUSE: Final = 30.0
#: Within so many seconds a process has ended that was asked to; what it drains takes less.
_ENDED_WITHIN: Final = 30.0

log = structlog.get_logger("letterbox.supervisor")


class _Child:
    """A process: whether it is ready, and how it ended."""

    def __init__(self, process: "subprocess.Popen[bytes]", channel: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._process = process
        self._channel = channel
        self.pid = process.pid
        self.began = time.monotonic()
        self.ready: asyncio.Future[None] = loop.create_future()
        #: The exit code; the negative number of the signal that killed it.
        self.ended: asyncio.Future[int] = loop.create_future()
        loop.add_reader(channel, self._hear)

    async def begins(self, *, within: float | None = None) -> bool:
        """Wait until it is ready, or has ended, or so many seconds; whether it serves."""
        either: set[asyncio.Future[Any]] = {self.ready, self.ended}
        await asyncio.wait(either, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        return self.ready.done() and not self.ended.done()

    def _hear(self) -> None:
        said = b""
        with suppress(ConnectionError):
            said = self._channel.recv(len(READY))
        if not said:
            asyncio.get_running_loop().remove_reader(self._channel)
        elif not self.ready.done():
            self.ready.set_result(None)

    def look(self) -> None:
        """See whether it has ended."""
        code = self._process.poll()
        if code is not None and not self.ended.done():
            asyncio.get_running_loop().remove_reader(self._channel)
            self._channel.close()
            self.ended.set_result(code)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if not self.ended.done():
            self._process.send_signal(number)

    def retire(self) -> None:
        """Tell it that its successor listens."""
        with suppress(OSError):
            self._channel.send(RETIRE)

    async def end(self) -> None:
        """Wait until it has ended, and kill it where that takes too long."""
        await asyncio.wait([self.ended], timeout=_ENDED_WITHIN)
        if not self.ended.done():
            log.error("process-killed", pid=self.pid, after_seconds=_ENDED_WITHIN)
            self.signal(signal.SIGKILL)
            await asyncio.wait([self.ended])


class _Post:
    """A place among the processes: its number, its sockets, and who stands there now."""

    def __init__(self, number: int, sockets: Sockets, *, ends_first: bool) -> None:
        self.number = number
        self.sockets = sockets
        #: Whoever stands there ends before its successor begins.
        self.ends_first = ends_first
        self.child: _Child | None = None
        self.was_ready = asyncio.Event()
        #: Held by whoever puts somebody there.
        self.changing = asyncio.Lock()
        #: How many have died there in a row, soon after their start.
        self.deaths = 0

    def pause(self, lived: float) -> float:
        """For so many seconds nobody is put there, after one who lived so long."""
        self.deaths = 0 if lived >= _SETTLED else self.deaths + 1
        return 0.0 if self.deaths <= 1 else min(2.0 ** (self.deaths - 2), _LONGEST_PAUSE)


class Supervisor:
    """Keeps one process for each of ``shares``, which are their sockets.

    ``command`` is the command line of one, given what it is told. ``announce`` is called when all
    are ready. With ``first_ends_first`` the first one is needed by the others, and ends before its
    successor begins: both cannot be there at once. ``unfit`` says why successors would not be what
    is there, or nothing: it is asked before they are started, and each has ``ready_within`` seconds
    to be ready.
    """

    def __init__(
        self,
        shares: Sequence[Sockets],
        command: Callable[[str], Sequence[str]],
        *,
        announce: Callable[[], None],
        unfit: Callable[[], str | None] = lambda: None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        ready_within: float = 60.0,
        first_ends_first: bool = False,
    ) -> None:
        self._posts = [
            _Post(number, sockets, ends_first=first_ends_first and number == 0)
            for number, sockets in enumerate(shares)
        ]
        self._command = command
        self._announce = announce
        self._unfit = unfit
        self._pause = pause
        self._ready_within = ready_within
        self._children: set[_Child] = set()
        self._asked_to_stop = asyncio.Event()
        self._asked_to_replace = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP replaces all processes, one after the other.

        Raises :class:`Failed` where the first process ends before it is ready: what keeps it
        from being so would keep the others.
        """
        with self._signals():
            serving = asyncio.create_task(self._serve())
            stopping = asyncio.create_task(self._asked_to_stop.wait())
            try:
                await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if serving.done():
                    serving.result()
            finally:
                for task in (serving, stopping):
                    task.cancel()
                await asyncio.gather(serving, stopping, return_exceptions=True)
                await self._end()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        handlers = {
            signal.SIGTERM: self._asked_to_stop.set,
            signal.SIGINT: self._asked_to_stop.set,
            signal.SIGHUP: self._asked_to_replace.set,
            signal.SIGCHLD: self._look,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def _look(self) -> None:
        """See who has ended."""
        for child in tuple(self._children):
            child.look()
            if child.ended.done():
                self._children.discard(child)

    # ---- serving

    async def _serve(self) -> None:
        first = self._start(self._posts[0])
        if not await first.begins():
            how = _how(first.ended.result())
            raise Failed(f"it does not start: the first process {how}; why, it has said itself")
        try:
            async with asyncio.TaskGroup() as tasks:
                for post in self._posts:
                    tasks.create_task(self._keep(post))
                tasks.create_task(self._announce_all())
                tasks.create_task(self._replace_when_asked())
        except ExceptionGroup as several:
            raise several.exceptions[0] from several

    async def _announce_all(self) -> None:
        for post in self._posts:
            await post.was_ready.wait()
        log.info("ready", processes=len(self._posts))
        self._announce()

    async def _keep(self, post: _Post) -> None:
        """Have somebody stand there, always."""
        while True:
            pause, child = 0.0, post.child
            if child is not None:
                code = await asyncio.shield(child.ended)
                if post.child is not child:
                    continue  # it was replaced, and has ended as it should
                pause = post.pause(time.monotonic() - child.began)
                log.error(
                    "process-ended",
                    process=post.number,
                    pid=child.pid,
                    how=_how(code),
                    again_in_seconds=pause,
                )
            await self._pause(pause)
            async with post.changing:
                if post.child is child:
                    try:
                        self._start(post)
                    except OSError as error:  # no memory, no descriptor: there may be, later
                        log.error("not-started", process=post.number, error=str(error))  # noqa: TRY400
                        await self._pause(_LONGEST_PAUSE)

    def _start(self, post: _Post) -> _Child:
        """Put somebody there."""
        post.child = self._make(post)
        return post.child

    def _make(self, post: _Post) -> _Child:
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        sockets = {name: tuple(s.fileno() for s in each) for name, each in post.sockets.items()}
        given = Given(number=post.number, channel=theirs.fileno(), sockets=sockets)
        try:
            process = subprocess.Popen(  # noqa: S603 - our own program
                self._command(msgspec.json.encode(given).decode()),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), *(fd for each in sockets.values() for fd in each)],
                # A group of its own: Ctrl-C is for the supervisor, who tells the others.
                process_group=0,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        child = _Child(process, ours)
        child.ready.add_done_callback(lambda _: post.was_ready.set())
        self._children.add(child)
        log.info("process-started", process=post.number, pid=child.pid)
        return child

    # ---- replacing

    async def _replace_when_asked(self) -> None:
        while True:
            await self._asked_to_replace.wait()
            self._asked_to_replace.clear()
            if (why := self._unfit()) is not None:
                log.error("not-replaced", reason=why)
                continue
            log.info("replacing", processes=len(self._posts))
            for post in self._posts:
                if not await self._replace(post):
                    break  # the next would fare no better
            else:
                log.info("replaced", processes=len(self._posts))

    async def _replace(self, post: _Post) -> bool:
        """Put a successor there, who takes over the sockets; whether it was ready in time."""
        async with post.changing:
            if post.ends_first:
                before, post.child = post.child, None
                await _retire(before)
            try:
                successor = self._make(post)
            except OSError as error:
                log.error("not-replaced", process=post.number, reason=str(error))  # noqa: TRY400
                return False
            if not await successor.begins(within=self._ready_within):
                successor.signal(signal.SIGKILL)
                ended = successor.ended.done()
                why = _how(successor.ended.result()) if ended else "is not ready in time"
                log.error("not-replaced", process=post.number, reason=f"its successor {why}")
                return False
            before, post.child = post.child, successor
            post.deaths = 0
        await _retire(before)
        return True

    # ---- the end

    async def _end(self) -> None:
        """Have all processes finish what they began, and end."""
        log.info("stopping", processes=len(self._children))
        # With these open, connections would wait at doors that nobody stands behind.
        for post in self._posts:
            for sockets in post.sockets.values():
                for each in sockets:
                    each.close()
        for child in self._children:
            child.signal(signal.SIGTERM)
        await asyncio.gather(*(child.end() for child in tuple(self._children)))
        log.info("stopped")


async def _retire(before: _Child | None) -> None:
    """Have one end that has, or will have, a successor."""
    if before is not None:
        before.retire()
        await before.end()


def _how(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
