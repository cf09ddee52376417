"""From local wall time to instants, exactly, also on the days on which a clock is changed.

- A wall time that a clock skips (a gap) stands for the instant the gap ends. What begins in a
  gap begins there; what lies within one is not at all that day.
- Of a wall time that comes twice (an overlap) the first begins, and an end is reached when the
  moment before it has come for the last time: what lies across is one stretch.
- A day begins at the first instant of its date.

Every instant taken or given is aware; those given are in UTC.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from letterbox.model.times import counted

#: From one instant up to, and without, another.
Stretch = tuple[datetime, datetime]
#: Wall times counted from a midnight; the second is later, and beyond a day past the next one.
Span = tuple[timedelta, timedelta]

_DAY: Final = timedelta(days=1)


class WallTime:
    """The wall clock of one time zone."""

    __slots__ = ("zone",)

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone

    def local(self, at: datetime) -> datetime:
        """An instant as the wall clock shows it."""
        return counted(at).astimezone(self.zone)

    def midnight(self, day: date) -> datetime:
        """The first instant of a local day."""
        return self._instant(datetime.combine(day, time()))

    def instant(self, day: date, clock: timedelta) -> datetime:
        """The first instant of a time of a local day; the end of a gap that it lies in."""
        return self._instant(datetime.combine(day, time()) + clock)

    def is_even(self, start: datetime, end: datetime) -> bool:
        """Whether the clock is not changed between two instants less than two days apart."""
        return self.local(start).utcoffset() == self.local(end).utcoffset()

    def stretches(self, day: date, spans: Iterable[Span]) -> Iterator[Stretch]:
        """When the spans of a local day are. Empty where a gap swallows one."""
        midnight = datetime.combine(day, time())
        offset = self._offset(midnight)
        # No span reaches past the second midnight. Where both have one offset no clock is
        # changed in between (none is changed twice within two days), and adding will do.
        if offset == self._offset((midnight + 2 * _DAY).replace(fold=1)):
            start = (midnight - offset).replace(tzinfo=UTC)
            for opens, closes in spans:
                yield start + opens, start + closes
            return
        for opens, closes in spans:
            first = self._instant(midnight + opens)
            last = self._instant(midnight + closes, last=True)
            if first < last:
                yield first, last

    def _instant(self, wall: datetime, *, last: bool = False) -> datetime:
        """The instant of a wall time: the first of two, or the ``last`` as an end; a gap's end."""
        before = self._offset(wall)
        after = self._offset(wall.replace(fold=1))
        if after <= before:  # one instant, or the two of an overlap
            if last and after < before:
                # Where the overlap only begins here, the moment before this one comes once.
                before = self._offset((wall - timedelta.resolution).replace(fold=1))
            return (wall - before).replace(tzinfo=UTC)
        # In a gap (PEP 495) the offset before it leads past its end, the one after it leads
        # before its end; in between lies the second at which the offset changes.
        low = (wall - after).replace(tzinfo=UTC)
        high = (wall - before).replace(tzinfo=UTC)
        while high - low > timedelta(seconds=1):
            middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
            if middle.astimezone(self.zone).utcoffset() == before:
                low = middle
            else:
                high = middle
        return high

    def _offset(self, wall: datetime) -> timedelta:
        return self.zone.utcoffset(wall.replace(tzinfo=self.zone)) or timedelta()
