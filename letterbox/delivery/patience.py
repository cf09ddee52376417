"""Servers of others that keep us waiting: left alone for a while, and never so that others wait."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from letterbox.delivery.again import pause
from letterbox.model.report import Silence
from letterbox.ports.clock import Clock
from letterbox.ports.store import Claim, Commit, Store, Unclaim
from letterbox.records import places
from letterbox.records.coding import decode, encode

_STEP_BACK: Final = timedelta(seconds=10)
_LONGEST_STEP_BACK: Final = timedelta(minutes=15)
#: Of a place that took nothing, the next one tries again only after a while; the others spread.
_SPREAD: Final = timedelta(seconds=60)


class Turns:
    """How many are on the way to whom at once, from one process."""

    def __init__(self) -> None:
        self._busy: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, most: Mapping[str, int]) -> AsyncIterator[bool]:
        """Whether there is room for one more with each of these names; it has it until the end."""
        if any(self._busy[name] >= limit for name, limit in most.items()):
            yield False
            return
        self._busy.update(most.keys())
        try:
            yield True
        finally:
            self._busy.subtract(most.keys())
            self._busy = +self._busy  # without those at zero


class Silences:
    """Places (partitions) that took nothing of late. ``lasts`` is how long that is remembered."""

    def __init__(self, store: Store, clock: Clock, lasts: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._lasts = lasts

    async def left(self, place: str) -> timedelta | None:
        """How long a place is to be left alone; None where it is not."""
        value = await self._store.claim(place, places.SILENCE)
        if value is None:
            return None
        left = decode(value, Silence).until - self._clock.now()
        # Not all of them at the same moment.
        return left + _SPREAD * random.random() if left > timedelta(0) else None  # noqa: S311

    async def heard(self, place: str) -> None:
        """A place listens: it is left alone no longer."""
        if await self._store.claim(place, places.SILENCE) is not None:
            await self._store.commit(Commit(place, (Unclaim(places.SILENCE),)))

    async def begin(self, place: str) -> timedelta:
        """A place took nothing: leave it alone for a while, the longer the oftener.

        Those that were on the way there together make it one time more, not one each.
        """
        value, now = await self._store.claim(place, places.SILENCE), self._clock.now()
        before = decode(value, Silence) if value else None
        if before is not None and before.until > now:
            return before.until - now
        attempts = before.attempts + 1 if before else 1
        until = now + pause(attempts)
        silence = encode(Silence(until=until, attempts=attempts))
        operations = (
            Unclaim(places.SILENCE),
            Claim(places.SILENCE, silence, until + self._lasts),
        )
        await self._store.commit(Commit(place, operations))
        return pause(attempts)


def step_back(waited: timedelta) -> timedelta:
    """How soon to come again where there was no room: the later the longer it has waited."""
    later = min(max(waited / 8, _STEP_BACK), _LONGEST_STEP_BACK)
    return later * (0.5 + random.random())  # noqa: S311
