"""How much waits at one consumer: counted in the very commits that hold and that let go."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from letterbox.model.times import later
from letterbox.ports.store import Add, Operation
from letterbox.records import places

#: A server may stand still so long, and the counts of what waits are still there afterwards.
_SPARE: Final = timedelta(days=365)


class Custody:
    """At most ``per_vendor`` messages of one vendor, and ``per_consumer`` in all.

    ``longest`` is how long a message waits at most.
    """

    def __init__(self, *, per_vendor: int, per_consumer: int, longest: timedelta) -> None:
        self._per_vendor = per_vendor
        self._per_consumer = per_consumer
        self._kept = longest + _SPARE

    def counters(self, vendor: str) -> tuple[str, ...]:
        """The names of what is counted for a message of this vendor."""
        return places.waiting(vendor), places.WAITING

    def full(self, vendor: str, counts: Mapping[str, int]) -> int | None:
        """How many may wait, where one more would be one too many."""
        return next(
            (most for name, most in self._limits(vendor).items() if counts[name] >= most), None
        )

    def take(self, vendor: str, now: datetime) -> tuple[Operation, ...]:
        """Count one more, guarded: of many at once only as many are taken as there is room for."""
        return tuple(
            Add(counter=name, expires=later(now, self._kept), limit=most)
            for name, most in self._limits(vendor).items()
        )

    def give_back(self, vendor: str, now: datetime) -> tuple[Operation, ...]:
        """Count one less."""
        return tuple(
            Add(counter=name, expires=later(now, self._kept), amount=-1)
            for name in self._limits(vendor)
        )

    def _limits(self, vendor: str) -> dict[str, int]:
        return {places.waiting(vendor): self._per_vendor, places.WAITING: self._per_consumer}
