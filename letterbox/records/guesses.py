"""Wrong credentials counted, so that guessing is slowed and locked out. In memory, bounded."""

from datetime import timedelta
from typing import NamedTuple

from letterbox.ports.clock import Clock
from letterbox.records.cache import Recent

_REMEMBERED = 50_000
_FIRST_DELAY = 1.0  # seconds a wrong answer is put off; doubled with each one more
_LONGEST_DELAY = 8.0
_KNOWN_FOR = timedelta(days=30).total_seconds()


class _Count(NamedTuple):
    """Failures since ``began`` (monotonic seconds)."""

    failures: int
    began: float


class Guesses:
    """Counts by the place that guesses (an address), and by the name that is guessed at.

    ``per_place`` and ``per_name`` failures within ``period`` seconds lock the rest of it. A place
    that has shown the right key for a name of late is not locked out by what others guess: else
    anybody could lock out anyone.
    """

    def __init__(self, clock: Clock, *, per_place: int, per_name: int, period: float) -> None:
        self._clock = clock
        self._per_place = per_place
        self._per_name = per_name
        self._period = period
        self._places: Recent[str, _Count] = Recent(_REMEMBERED)
        self._names: Recent[str, _Count] = Recent(_REMEMBERED)
        self._known: Recent[tuple[str, str], float] = Recent(_REMEMBERED)

    def locked(self, place: str, name: str) -> bool:
        """Whether nothing is looked at now, right or wrong."""
        if self._count(self._places, place).failures >= self._per_place:
            return True
        crowded = self._count(self._names, name).failures >= self._per_name
        return crowded and not self._is_known(place, name)

    def failed(self, place: str, name: str) -> float:
        """Count a failure; the seconds by which its answer is to be put off."""
        count = self._add(self._places, place)
        self._add(self._names, name)
        delay: float = _FIRST_DELAY * 2 ** min(count.failures - 1, 10)
        return min(delay, _LONGEST_DELAY)

    def took_back(self, place: str, name: str) -> None:
        """What was counted as a failure, because it was not known yet, was none."""
        for counts, key in (self._places, place), (self._names, name):
            count = self._count(counts, key)
            counts.put(key, count._replace(failures=max(count.failures - 1, 0)))

    def succeeded(self, place: str, name: str) -> None:
        """The right key was shown."""
        self._known.put((place, name), self._clock.monotonic())

    def _is_known(self, place: str, name: str) -> bool:
        then = self._known.get((place, name))
        return then is not None and self._clock.monotonic() - then < _KNOWN_FOR

    def _count(self, counts: Recent[str, _Count], key: str) -> _Count:
        now = self._clock.monotonic()
        count = counts.get(key)
        return count if count and now - count.began < self._period else _Count(0, now)

    def _add(self, counts: Recent[str, _Count], key: str) -> _Count:
        before = self._count(counts, key)
        count = before._replace(failures=before.failures + 1)
        counts.put(key, count)
        return count
