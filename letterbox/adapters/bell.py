"""Waking who waits for what a commit brings, and telling who remembers what it changed."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from letterbox.ports.store import Announce, Append, Commit, Emit, Schedule, StoreUnavailable

_EVER = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)
_HEARD = frozenset({Emit, Schedule, Append, Announce})


class Bells:
    """One bell for work (something emitted, or due soon), and one for each follower of a log.

    All of it belongs to one event loop. ``now`` is the store's clock.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._work = asyncio.Event()
        #: The earliest that was scheduled since the last call, and how far ahead that call looks.
        self._earliest = _NEVER
        self._horizon = _EVER
        self._followers: dict[tuple[str, str], set[asyncio.Event]] = {}
        self._listeners: list[Callable[[str | None], None]] = []
        self._silenced = False

    def ring(self, commit: Commit, *, works: bool = True) -> None:
        """Wake whoever waits for something that this commit, now durable, brought.

        ``works``: whether what it brought to be done is done in this process.
        """
        if _HEARD.isdisjoint(map(type, commit.operations)):
            return  # most of them: what is only kept wakes nobody
        for operation in commit.operations:
            if isinstance(operation, Emit) and works:
                self.ring_work()
            elif isinstance(operation, Schedule) and works:
                # What is due in a month wakes nobody: nearly every message brings such an entry.
                self._earliest = min(self._earliest, operation.at)
                if self._earliest <= self._horizon:
                    self.ring_work()
            elif isinstance(operation, Append) and self._followers:
                self.ring_log(commit.partition, operation.log)
            elif isinstance(operation, Announce):
                self.tell(commit.partition)

    def ring_work(self) -> None:
        """Wake whoever works."""
        self._work.set()

    def ring_log(self, partition: str, log: str) -> None:
        """Wake those who follow a log."""
        for bell in self._followers.get((partition, log), ()):
            bell.set()

    def listen(self, heard: Callable[[str | None], None]) -> None:
        """Have ``heard`` told of every partition that is announced."""
        self._listeners.append(heard)

    def tell(self, partition: str | None) -> None:
        """Tell the listeners of a partition; None: of all that there may be."""
        for heard in self._listeners:
            heard(partition)

    def hear(self, partition: str, log: str | None) -> None:
        """Another process has appended to this log or, without one, announced the partition."""
        if log is None:
            self.tell(partition)
        else:
            self.ring_log(partition, log)

    def ring_all(self) -> None:
        """What others did may have gone unheard: all is to be looked at anew."""
        self.tell(None)
        self._work.set()
        for partition, log in self._followers:
            self.ring_log(partition, log)

    def silence(self) -> None:
        """The store closes: wake everybody, for nothing will come any more."""
        self._silenced = True
        self._work.set()
        for bells in self._followers.values():
            for bell in bells:
                bell.set()

    async def work(self, seconds: float, *, longest: float = math.inf) -> bool:
        """Whether work came since the last call returned, or comes within ``seconds``.

        False after ``longest`` seconds all the same.
        """
        self._horizon = self._now() + timedelta(seconds=seconds)
        if self._earliest <= self._horizon:
            self._work.set()
        try:
            async with asyncio.timeout(min(seconds, longest)):
                await self._work.wait()
        except TimeoutError:
            return False
        finally:
            self._earliest, self._horizon = _NEVER, _EVER
        if self._silenced:
            raise StoreUnavailable("the store is closed")
        self._work.clear()
        return True

    async def follow(
        self, partition: str, log: str, there: Callable[[], Awaitable[bool]], seconds: float
    ) -> bool:
        """Ask ``there`` now and after each entry of the log; false when ``seconds`` went by."""
        deadline = asyncio.get_running_loop().time() + seconds
        with self._listening(partition, log) as bell:
            while not await there():
                try:
                    async with asyncio.timeout_at(deadline):
                        await bell.wait()
                except TimeoutError:
                    return False
                bell.clear()
        return True

    @contextmanager
    def _listening(self, partition: str, log: str) -> Iterator[asyncio.Event]:
        # The bell hangs before the first look, so that nothing comes unheard in between.
        bell = asyncio.Event()
        followers = self._followers.setdefault((partition, log), set())
        followers.add(bell)
        try:
            yield bell
        finally:
            followers.discard(bell)
            if not followers:
                self._followers.pop((partition, log), None)
