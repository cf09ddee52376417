"""Until when a client may take its time."""

import asyncio
import math
from collections.abc import Callable
from typing import NamedTuple


class Pace(NamedTuple):
    """How fast something must come: ``least`` octets in every ``seconds``, as ``received`` says."""

    received: Callable[[], int]
    least: float
    seconds: float


class Deadline:
    """One timer, moved only to an earlier time: most deadlines are put off before they come.

    ``passed`` is called when the time is up, or the pace was not kept; it looks ahead by at most
    ``step`` seconds.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, passed: Callable[[], None], step: float
    ) -> None:
        self._loop = loop
        self._passed = passed
        self._step = step
        self._at = math.inf
        self._pace: Pace | None = None
        self._seen = 0
        self._next = math.inf  # when the pace is looked at again
        self._timer: asyncio.TimerHandle | None = None

    def allow(self, seconds: float, pace: Pace | None = None) -> None:
        """Give what comes next its time, and a pace to keep."""
        now = self._loop.time()
        self._at = now + seconds
        self._pace = pace
        self._next = math.inf
        if pace is not None:
            self._seen, self._next = pace.received(), now + pace.seconds
        when = min(self._at, self._next)
        if self._timer is None or when < self._timer.when():
            self._arm(when)

    def suspend(self) -> None:
        """Nothing is awaited of the client now."""
        self._at = self._next = math.inf
        self._pace = None

    def cancel(self) -> None:
        """No more is awaited."""
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, when: float) -> None:
        self.cancel()
        self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if now >= self._at or (now >= self._next and not self._keeps_pace(now)):
            self._passed()
        else:
            self._arm(min(self._at, self._next, now + self._step))

    def _keeps_pace(self, now: float) -> bool:
        pace = self._pace
        if pace is None:
            return True
        seen, self._seen = self._seen, pace.received()
        self._next = now + pace.seconds
        return self._seen - seen >= pace.least
