"""A consumer's calendar: when which mail may arrive, and what a day, week or month is.

What is declared is local wall time, what is compared are instants
(:mod:`letterbox.wishes.walltime` stands between the two). For one kind of mail from one sender:

- Windows that name the sender count alone; only where none does, those that name nobody.
- A day exception stands in for the windows that would begin that day. Several on one day are
  united, and those that name the sender count alone.
- Where no window speaks of the kind, it may arrive at any time of a day without exceptions.
- On the days of a pause nothing arrives, whatever windows and exceptions say.

What is declared for longer than the calendar has days lasts to its end.
"""

from bisect import bisect_right
from calendar import monthrange
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Final, Literal, NamedTuple, TypeVar

from letterbox.model.kind import RULED_KINDS, Kind
from letterbox.model.preferences import Day, DayException, Pause, Per, Window
from letterbox.model.times import FIRST_DAY, LAST_DAY, days_after, later
from letterbox.model.wishes import Opening, Period
from letterbox.wishes.names import name_of
from letterbox.wishes.walltime import Span, Stretch, WallTime

#: How far ahead an opening is looked for: a year and some, so that a long pause is seen through.
HORIZON: Final = timedelta(days=400)

_DAY: Final = timedelta(days=1)
_WHOLE_DAY: Final[Span] = (timedelta(), _DAY)
_DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Days worked out at once, and kept until an instant outside them is asked about.
_KEPT_DAYS: Final = 7
#: Kinds and senders whose rules are kept; a consumer rarely has windows for that many vendors.
_MOST_KEPT: Final = 256

_Rule = TypeVar("_Rule", Window, Pause, DayException)
_Timed = TypeVar("_Timed", Window, DayException)


class _DayRange(NamedTuple):
    """Local days, both inclusive."""

    from_: date
    until: date


class Calendar:
    """Zone, windows, pauses and day exceptions; what was worked out last is kept."""

    __slots__ = ("_exceptions", "_named", "_pauses", "_periods", "_rules", "_today", "_wall",
                 "_windows")  # fmt: skip

    def __init__(
        self,
        zone: tzinfo,
        windows: Sequence[Window] = (),
        pauses: Sequence[Pause] = (),
        exceptions: Sequence[DayException] = (),
    ) -> None:
        self._wall = WallTime(zone)
        self._windows = windows
        self._pauses = pauses
        self._exceptions = exceptions
        rules: Iterable[Window | Pause | DayException] = (*windows, *pauses, *exceptions)
        self._named = frozenset(name_of(vendor) for rule in rules for vendor in rule.vendors)
        self._rules: dict[tuple[Kind, frozenset[str]], _Rules] = {}
        self._today: tuple[datetime, datetime, date] | None = None
        self._periods: dict[Per, tuple[date, Period]] = {}

    def local(self, at: datetime) -> datetime:
        """An instant in the consumer's zone."""
        return self._wall.local(at)

    def local_date(self, at: datetime) -> date:
        """The consumer's calendar day at an instant."""
        kept = self._today
        if kept is not None and kept[0] <= at < kept[1]:
            return kept[2]
        day = self._wall.local(at).date()
        if FIRST_DAY < day < LAST_DAY:
            start, end = self._wall.midnight(day), self._wall.midnight(day + _DAY)
            if self._wall.is_even(start, end):
                self._today = start, end, day
        return day

    def period(self, per: Per, at: datetime) -> Period:
        """The calendar day, week (from Monday, ISO 8601) or month an instant lies in."""
        day = self.local_date(at)
        kept = self._periods.get(per)
        if kept is not None and kept[0] == day:
            return kept[1]
        match per:
            case "day":
                key, after = day.isoformat(), days_after(day, 1)
            case "week":
                year, week, weekday = day.isocalendar()
                key, after = f"{year}-W{week:02}", days_after(day, 8 - weekday)
            case "month":
                key = f"{day:%Y-%m}"
                after = days_after(day.replace(day=1), monthrange(day.year, day.month)[1])
        period = Period(key=key, ends=self._wall.midnight(after))
        self._periods[per] = day, period
        return period

    def opening(self, kind: Kind, at: datetime, known_as: frozenset[str] = frozenset()) -> Opening:
        """The least instant at or after ``at`` when ``kind`` may arrive, within ``HORIZON``.

        Where there is none, ``again`` is the last first of a month that was looked at.
        ``known_as`` are the folded names of the sender. Service mail may arrive at any time.
        """
        if kind is Kind.SERVICE:
            return Opening(at=at)
        key = kind, self._named & known_as
        rules = self._rules.get(key)
        if rules is None:
            if len(self._rules) >= _MOST_KEPT:
                self._rules.clear()
            rules = self._rules[key] = _Rules(
                self._wall,
                windows=_particular(_speaking(self._windows, *key)),
                pauses=tuple(_merged(_speaking(self._pauses, *key))),
                exceptions=_by_day(_speaking(self._exceptions, *key)),
            )
        return rules.opening(at, self.local_date)


class _Rules:
    """What counts for one kind of mail from one sender."""

    __slots__ = ("_ends", "_exceptions", "_kept", "_later", "_pauses", "_starts", "_wall", "_week",
                 "_windows")  # fmt: skip

    def __init__(
        self,
        wall: WallTime,
        *,
        windows: Sequence[Window],
        pauses: Sequence[_DayRange],
        exceptions: dict[date, Sequence[DayException]],
    ) -> None:
        self._wall = wall
        self._windows = windows
        self._pauses = pauses
        self._exceptions = exceptions
        self._week = [_spans(windows, day) if windows else (_WHOLE_DAY,) for day in _DAYS]
        self._kept: Stretch | None = None  # the days that are worked out, as instants
        self._starts: list[datetime] = []  # when it is open in them: in order, apart
        self._ends: list[datetime] = []
        self._later: datetime | None = None  # the first opening after them

    def opening(self, at: datetime, local_date: Callable[[datetime], date]) -> Opening:
        if not (self._windows or self._pauses or self._exceptions):
            return Opening(at=at)
        kept = self._kept
        if kept is None or not kept[0] <= at < kept[1]:
            self._keep(local_date(at))
        nth = bisect_right(self._ends, at)
        found = self._starts[nth] if nth < len(self._starts) else self._later
        if found is not None and found <= at:
            return Opening(at=at, ruled=True)
        outside = self._outside(local_date(at))
        if found is None or found > later(at, HORIZON):
            return Opening(at=None, outside=outside, ruled=True, again=self._again(at))
        return Opening(at=found, outside=outside, ruled=True)

    def _again(self, at: datetime) -> datetime | None:
        """When to look for an opening again, where there is none as far as was looked.

        The first of that month, so that it stays the same for a while: what waits is decided
        again after each change of wishes, and need not be written anew.
        """
        day = self._wall.local(later(at, HORIZON)).date().replace(day=1)
        again = self._wall.midnight(day)
        return again if again > at else None

    def _outside(self, day: date) -> Literal["hold", "refuse"]:
        """What is wanted with mail that comes on a day while it is closed."""
        if any(pause.from_ <= day <= pause.until for pause in self._pauses):
            return "hold"
        said = self._exceptions.get(day) or self._windows
        return "refuse" if said and all(rule.outside == "refuse" for rule in said) else "hold"

    def _keep(self, day: date) -> None:
        """Work out the days from ``day`` on, and the first opening after them."""
        start = self._wall.midnight(day)
        stop = self._wall.midnight(days_after(day, _KEPT_DAYS))
        self._kept = start, stop
        starts: list[datetime] = []
        ends: list[datetime] = []
        self._starts, self._ends = starts, ends
        self._later = None
        for opens, closes in self._open_from(day):
            if opens >= stop:
                self._later = opens
                return
            if ends and opens <= ends[-1]:
                ends[-1] = max(ends[-1], closes)
            elif closes > start:
                starts.append(opens)
                ends.append(closes)
            if ends and ends[-1] >= stop:
                return

    def _open_from(self, day: date) -> Iterator[Stretch]:
        """When it is open, from a local day on, by where each stretch starts."""
        # The day before may have left a window open past midnight.
        first = day - _DAY if day > FIRST_DAY else day
        last = days_after(day, _KEPT_DAYS + HORIZON.days)
        while first <= last:
            said = self._exceptions.get(first)
            spans = self._week[first.weekday()] if said is None else _spans(said)
            yield from sorted(
                left
                for stretch in self._wall.stretches(first, spans)
                for left in self._unpaused(stretch)
            )
            first += _DAY

    def _unpaused(self, stretch: Stretch) -> Iterator[Stretch]:
        """What pauses leave of a stretch."""
        opens, closes = stretch
        for pause in self._pauses:
            # Two days' room: these are local days, and no zone is further from UTC than one.
            if pause.until + 2 * _DAY < opens.date() or pause.from_ - 2 * _DAY > closes.date():
                continue
            start, end = self._wall.midnight(pause.from_), self._wall.midnight(pause.until + _DAY)
            if opens < start:
                yield opens, min(closes, start)
            opens = max(opens, end)
            if opens >= closes:
                return
        yield opens, closes


def minutes(clock: str) -> int:
    """Minutes from midnight of ``HH:MM``; 24:00 is 1440."""
    hour, _, minute = clock.partition(":")
    return int(hour) * 60 + int(minute)


def _speaking(rules: Iterable[_Rule], kind: Kind, names: frozenset[str]) -> list[_Rule]:
    """The rules that speak of a kind of mail, and of a sender that has some of these names."""
    return [
        rule
        for rule in rules
        if kind in (rule.kinds or RULED_KINDS)
        and (not rule.vendors or not names.isdisjoint(map(name_of, rule.vendors)))
    ]


def _particular(rules: Sequence[_Timed]) -> Sequence[_Timed]:
    """Those that name the sender, where there are any."""
    return [rule for rule in rules if rule.vendors] or rules


def _by_day(exceptions: Iterable[DayException]) -> dict[date, Sequence[DayException]]:
    days: defaultdict[date, list[DayException]] = defaultdict(list)
    for exception in exceptions:
        days[exception.on].append(exception)
    return {day: _particular(of_day) for day, of_day in days.items()}


def _spans(rules: Iterable[Window | DayException], day: Day | None = None) -> tuple[Span, ...]:
    """The times that rules give a day, counted from its midnight."""
    found = []
    for rule in rules:
        if rule.from_ is None or rule.until is None:
            continue
        if isinstance(rule, Window) and rule.days and day not in rule.days:
            continue
        start, end = minutes(rule.from_), minutes(rule.until)
        end = end if end > start else end + 24 * 60
        found.append((timedelta(minutes=start), timedelta(minutes=end)))
    return tuple(found)


def _merged(pauses: Iterable[Pause]) -> Iterator[_DayRange]:
    """Pauses in order, those that touch or overlap made one."""
    pending: _DayRange | None = None
    for pause in sorted(pauses, key=lambda pause: pause.from_):
        from_, until = max(pause.from_, FIRST_DAY), min(pause.until, LAST_DAY)
        if pending is None:
            pending = _DayRange(from_, until)
        elif from_ <= pending.until + _DAY:
            pending = _DayRange(pending.from_, max(pending.until, until))
        else:
            yield pending
            pending = _DayRange(from_, until)
    if pending is not None:
        yield pending
