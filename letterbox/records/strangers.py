"""Unproven messages: how many came for a consumer, and why they were refused."""

from datetime import date, datetime, timedelta

import msgspec

from letterbox.model.reason import Registry
from letterbox.ports.store import Store
from letterbox.records import places


class StrangerCount(msgspec.Struct, frozen=True):
    """How many messages were refused for one reason on one day (UTC)."""

    day: date
    reason: str
    count: int


class StrangerCounts:
    """Reading the daily sums that strangers leave: of so many ``days``, today included."""

    def __init__(self, store: Store, registry: Registry, *, days: int) -> None:
        self._store = store
        self._days = days
        self._codes = [code for code, reason in registry.items() if reason.about == "message"]

    async def of(self, consumer: str, now: datetime) -> tuple[StrangerCount, ...]:
        """Every sum there is, newest first."""
        names = {
            places.strangers(day, code): (day.date(), code)
            for day in (now - timedelta(days=back) for back in range(self._days))
            for code in self._codes
        }
        counts = await self._store.counters(places.consumer(consumer), list(names))
        return tuple(
            StrangerCount(day=day, reason=code, count=counts[name])
            for name, (day, code) in names.items()
            if counts[name]
        )
