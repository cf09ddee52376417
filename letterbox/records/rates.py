"""How much may come in a second: token buckets, in memory."""

import asyncio
from collections.abc import Awaitable, Callable

from letterbox.ports.clock import Clock
from letterbox.records.cache import Recent

_KEPT = 10_000


class Rates:
    """A bucket for each name: ``per_second`` a second, as many at once.

    ``pause`` waits so many seconds.
    """

    def __init__(
        self,
        clock: Clock,
        per_second: int,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._pause = pause
        self.per_second = per_second
        self._buckets: Recent[str, tuple[float, float]] = Recent(_KEPT)

    def take(self, name: str, most: int | None = None, *, cost: int = 1) -> bool:
        """Take one; false where there is none left for now. ``most`` stands for the usual rate.

        ``cost``: what it uses up, even where it is more than there is.
        """
        level, now, _ = self._level(name, most)
        if level < 1:
            return False
        self._buckets.put(name, (max(level - cost, 0), now))
        return True

    async def turn(self, name: str, most: int | None = None) -> None:
        """Take one, and wait until it is there. Those who wait are served in their order."""
        level, now, rate = self._level(name, most)
        self._buckets.put(name, (level - 1, now))
        if level >= 1:
            return
        try:
            await self._pause((1 - level) / rate)
        except BaseException:
            # It was not used: those behind, and those who come, need not wait for it.
            level, now, _ = self._level(name, most)
            self._buckets.put(name, (level + 1, now))
            raise

    def _level(self, name: str, most: int | None) -> tuple[float, float, int]:
        """What is left now, below nothing where some wait; the time, and the rate."""
        now, rate = self._clock.monotonic(), most or self.per_second
        level, then = self._buckets.get(name) or (rate, now)
        return min(rate, level + (now - then) * rate), now, rate
