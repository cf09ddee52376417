"""How much may come in a second: token buckets, in memory."""

from letterbox.ports.clock import Clock
from letterbox.records.cache import Recent

_KEPT = 10_000


class Rates:
    """A bucket for each name: ``per_second`` a second, as many at once."""

    def __init__(self, clock: Clock, per_second: int) -> None:
        self._clock = clock
        self.per_second = per_second
        self._buckets: Recent[str, tuple[float, float]] = Recent(_KEPT)

    def take(self, name: str, most: int | None = None) -> bool:
        """Take one; false where there is none left for now. ``most`` stands for the usual rate."""
        now, rate = self._clock.monotonic(), most or self.per_second
        level, then = self._buckets.get(name) or (rate, now)
        level = min(rate, level + (now - then) * rate)
        if level < 1:
            return False
        self._buckets.put(name, (level - 1, now))
        return True
