"""A consumer's calendar: when which kind of mail may arrive, and what a day, week or month is.

Everything declared is local wall time; everything compared is an instant. Between the two stands
one rule for the days on which a clock is changed:

- A wall time that a clock skips (a gap) stands for the instant the gap ends. A window that
  begins in a gap opens there; a window that lies within one does not open that day.
- Of a wall time that comes twice (an overlap) the first begins a window, and a window ends
  when the moment before its end has come for the last time: it opens once and stays open in
  between.
- A day, and with it a pause or a period, begins at the first instant of its date.

What is declared for longer than the calendar has days lasts to its end.

Every instant taken or given is aware; those given are in UTC.
"""

from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, Literal

import msgspec

from letterbox.model.kind import RULED_KINDS, Kind
from letterbox.model.preferences import Day, Pause, Per, Window
from letterbox.model.times import LAST_DAY, counted, days_after, later
from letterbox.model.wishes import Opening, Period

#: How far ahead an opening is looked for: a year and some, so that a long pause is seen through.
HORIZON: Final = timedelta(days=400)

_DAY: Final = timedelta(days=1)
_DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class WeekWindow(msgspec.Struct, frozen=True):
    """A window as compiled: weekdays (Monday is 0) it starts on, wall time from their midnight.

    ``until`` is greater than ``from_``, and beyond a day where it passes midnight.
    """

    days: frozenset[int]
    from_: timedelta
    until: timedelta
    outside: Literal["hold", "refuse"]


class DayRange(msgspec.Struct, frozen=True):
    """Local days, both inclusive, on which nothing is released."""

    from_: date
    until: date


class Calendar(msgspec.Struct, frozen=True):
    """Zone, windows by kind, and pauses in order, apart from one another."""

    zone: tzinfo
    windows: Mapping[Kind, tuple[WeekWindow, ...]]
    pauses: tuple[DayRange, ...]

    def local(self, at: datetime) -> datetime:
        """An instant in the consumer's zone."""
        return counted(at).astimezone(self.zone)

    def local_date(self, at: datetime) -> date:
        """The consumer's calendar day at an instant."""
        return self.local(at).date()

    def period(self, per: Per, at: datetime) -> Period:
        """The calendar day, week (from Monday, ISO 8601) or month an instant lies in."""
        day = self.local_date(at)
        match per:
            case "day":
                key, after = day.isoformat(), days_after(day, 1)
            case "week":
                year, week, weekday = day.isocalendar()
                key, after = f"{year}-W{week:02}", days_after(day, 8 - weekday)
            case "month":
                key = f"{day:%Y-%m}"
                after = days_after(day.replace(day=1), monthrange(day.year, day.month)[1])
        return Period(key=key, ends=self._midnight(after))

    def opening(self, kind: Kind, at: datetime, known_as: frozenset[str] = frozenset()) -> Opening:
        """The least instant at or after ``at`` when ``kind`` may arrive, within ``HORIZON``.

        Service mail always may. For the others an instant will do when no pause covers its
        local day and either no window speaks of the kind or one that does is open.
        """
        del known_as
        if kind is Kind.SERVICE:
            return Opening(at=at)
        windows = self.windows.get(kind, ())
        first = self._unpaused(at)
        holds = first != at or not windows or any(w.outside == "hold" for w in windows)
        end = later(at, HORIZON)
        if windows:
            found = self._first_open(windows, first, end)
        else:
            found = first if first <= end else None
        return Opening(at=found, outside="hold" if holds else "refuse")

    def _first_open(
        self, windows: Sequence[WeekWindow], at: datetime, end: datetime
    ) -> datetime | None:
        # The day before may have left a window open past midnight.
        day, last = self.local_date(at) - _DAY, self.local_date(end)
        while day <= last:
            # A candidate of one day is never later than one of a later day: both are unpaused,
            # and the stretches of a day begin at or after its first instant.
            found = [
                start
                for opens, closes in self._stretches(windows, day)
                if at < closes and (start := self._unpaused(max(opens, at))) < closes
            ]
            if found and (least := min(found)) <= end:
                return least
            day = self._skip_pause(day)
        return None

    def _stretches(
        self, windows: Iterable[WeekWindow], day: date
    ) -> Iterator[tuple[datetime, datetime]]:
        """When the windows that start on a local day are open."""
        midnight, weekday = datetime.combine(day, time()), day.weekday()
        offset = self._offset(midnight)
        # No window reaches past the second midnight. Where both have one offset no clock is
        # changed in between (none is changed twice within two days), and adding will do.
        if offset == self._offset((midnight + 2 * _DAY).replace(fold=1)):
            start = (midnight - offset).replace(tzinfo=UTC)
            for window in windows:
                if weekday in window.days:
                    yield start + window.from_, start + window.until
            return
        for window in windows:
            if weekday in window.days:
                yield (
                    self._instant(midnight + window.from_),
                    self._instant(midnight + window.until, last=True),
                )

    def _skip_pause(self, day: date) -> date:
        """The next day to look at: a window of a pause's last day may reach past its end."""
        for pause in self.pauses:
            if pause.from_ <= day < pause.until:
                return pause.until
        return day + _DAY

    def _unpaused(self, at: datetime) -> datetime:
        """The least instant at or after ``at`` whose local day is not paused."""
        if self.pauses:
            day = self.local_date(at)
            for pause in self.pauses:
                if pause.from_ <= day <= pause.until:
                    return max(at, self._midnight(pause.until + _DAY))
        return at

    def _midnight(self, day: date) -> datetime:
        """The first instant of a local day."""
        return self._instant(datetime.combine(day, time()))

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


def compile_calendar(zone: tzinfo, windows: Iterable[Window], pauses: Iterable[Pause]) -> Calendar:
    """Put windows and pauses, checked before, into their fast form."""
    by_kind: dict[Kind, list[WeekWindow]] = {}
    for window in windows:
        compiled = _compile_window(window)
        for kind in RULED_KINDS.intersection(window.kinds or RULED_KINDS):
            by_kind.setdefault(kind, []).append(compiled)
    return Calendar(
        zone=zone,
        windows={kind: tuple(of_kind) for kind, of_kind in by_kind.items()},
        pauses=tuple(_merged(pauses)),
    )


def minutes(clock: str) -> int:
    """Minutes from midnight of ``HH:MM``; 24:00 is 1440."""
    hour, _, minute = clock.partition(":")
    return int(hour) * 60 + int(minute)


def _compile_window(window: Window) -> WeekWindow:
    start, end = minutes(window.from_), minutes(window.until)
    return WeekWindow(
        days=frozenset(map(_DAYS.index, window.days or _DAYS)),
        from_=timedelta(minutes=start),
        until=timedelta(minutes=end if end > start else end + 24 * 60),
        outside=window.outside,
    )


def _merged(pauses: Iterable[Pause]) -> Iterator[DayRange]:
    """Pauses in order, those that touch or overlap made one."""
    pending: DayRange | None = None
    for pause in sorted(pauses, key=lambda pause: pause.from_):
        until = min(pause.until, LAST_DAY)
        if pending is None:
            pending = DayRange(from_=pause.from_, until=until)
        elif pause.from_ <= pending.until + _DAY:
            pending = DayRange(from_=pending.from_, until=max(pending.until, until))
        else:
            yield pending
            pending = DayRange(from_=pause.from_, until=until)
    if pending is not None:
        yield pending
