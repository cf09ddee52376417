"""How often a vendor was told what, by day: counted when it is told, from nothing but what is told.

The counts stand in the vendor's own partition, one for each day, verdict and reason, and are
forgotten with its feed. They can tell no more than the answers and events they count.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal

import msgspec

from letterbox.model.reason import Registry
from letterbox.model.times import later
from letterbox.model.told import Told, ToldVerdict
from letterbox.ports.store import Add, Commit, Store
from letterbox.records import places
from letterbox.records.cache import Recent

#: What is counted: the answer about one recipient, or what became of what was held.
Of = Literal["answer", "held"]
_DAY: Final = timedelta(days=1)
_REMEMBERED: Final = 20_000
_TOLD_OF_LATE: Final = 1_000
#: Verdicts that carry a reason, and those that carry none.
_REASONED: Final[tuple[ToldVerdict, ...]] = ("hold", "refuse")
_PLAIN: Final[tuple[ToldVerdict, ...]] = ("deliver", "accepted")


class Tally(msgspec.Struct, frozen=True):
    """One thing that a vendor was told on a day, as it was told it (UTC)."""

    vendor: str
    of: Of
    told: Told
    day: date


class TallyCount(msgspec.Struct, frozen=True):
    """How often on a day. ``reason`` is the code as it was told: at level ``class`` its class."""

    day: date
    of: Of
    verdict: ToldVerdict
    reason_class: str | None
    reason: str | None
    count: int


class Tallies:
    """Counting what vendors were told. ``kept`` is how long."""

    def __init__(self, store: Store, registry: Registry, *, kept: timedelta) -> None:
        self._store = store
        self._kept = kept
        self._classes = {code: reason.reason_class for code, reason in registry.items()}
        self._classes |= {each: each for each in self._classes.values()}
        #: Days that are over, by vendor and ordinal: they change no more.
        self._past: Recent[tuple[str, int], tuple[TallyCount, ...]] = Recent(_REMEMBERED)
        #: A vendor is told few things, over and over: made once, and counted with each message.
        self._commits: Recent[tuple[str, date, Of, ToldVerdict, str], Commit] = Recent(
            _TOLD_OF_LATE
        )

    def commit(self, tally: Tally) -> Commit:
        """Count, where the commit just before this one is done."""
        told = tally.told
        code = told.reason.code if told.reason else ""
        said = (tally.vendor, tally.day, tally.of, told.verdict, code)
        commit = self._commits.get(said)
        if commit is None:
            commit = self._commit(*said)
            self._commits.put(said, commit)
        return commit

    def _commit(self, vendor: str, day: date, of: Of, verdict: ToldVerdict, code: str) -> Commit:
        begun = datetime.combine(day, time(), tzinfo=UTC)
        add = Add(
            counter=places.told(day, of, verdict, code),
            expires=later(begun, self._kept + _DAY),
        )
        return Commit(places.vendor(vendor), (add,), with_previous=True)

    async def of(
        self, vendor: str, first: date, last: date, now: datetime
    ) -> tuple[TallyCount, ...]:
        """Every count from one day to another, both inclusive, by day."""
        today = now.date().toordinal()
        # What is older is forgotten; nothing is told on the day after tomorrow.
        oldest = max(first.toordinal(), today - self._kept.days - 1)
        found: list[TallyCount] = []
        for ordinal in range(oldest, min(last.toordinal(), today + 1) + 1):
            known = self._past.get((vendor, ordinal))
            if known is None:
                known = await self._day(vendor, date.fromordinal(ordinal))
                # Somebody's yesterday may be today elsewhere, and nobody's the day before.
                if ordinal < today - 1:
                    self._past.put((vendor, ordinal), known)
            found += known
        return tuple(found)

    async def _day(self, vendor: str, day: date) -> tuple[TallyCount, ...]:
        rows = {places.told(day, *row): row for row in self._rows()}
        counts = await self._store.counters(places.vendor(vendor), list(rows))
        await asyncio.sleep(0)  # nobody waits for more than one day of it
        return tuple(
            TallyCount(day, of, verdict, self._classes.get(code), code or None, counts[name])
            for name, (of, verdict, code) in rows.items()
            if counts[name]
        )

    def _rows(self) -> Iterator[tuple[Of, ToldVerdict, str]]:
        """Everything that may have been told."""
        for of in ("answer", "held"):
            for verdict in _PLAIN:
                yield of, verdict, ""
            for verdict in _REASONED:
                for code in self._classes:
                    yield of, verdict, code
