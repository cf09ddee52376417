"""Times as iCalendar (RFC 5545): windows as availability (RFC 7953), pauses as whole days.

========================================  ==================================================
in the file                               here
========================================  ==================================================
AVAILABLE, or busy VEVENT with times,     a window; FREQ=WEEKLY with BYDAY, or FREQ=DAILY
with an RRULE
AVAILABLE without an RRULE                other times on that one day
busy VEVENT of whole days                 a pause
========================================  ==================================================

What the format has no words for (kinds, vendors, what becomes of mail outside) stands in
``X-LETTERBOX-…`` properties. What is called off (STATUS:CANCELLED) is left out. Whatever else a
file asks for is refused and named: nothing is taken in by half.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, Final
from urllib.parse import unquote

import icalendar
import msgspec

from letterbox.model.kind import Kind
from letterbox.model.preferences import Day, DayException, Pause, Window
from letterbox.model.times import days_after
from letterbox.wishes.check import MOST
from letterbox.wishes.mistakes import Mistake

#: Octets of a file that is read; a thousand windows, pauses and days apart take less.
MOST_OCTETS: Final = 256 * 1024
_MOST_COMPONENTS: Final = MOST["window"] + MOST["pauses"] + MOST["exceptions"] + 20
_MOST_MISTAKES: Final = 50

WEEKDAYS: Final[Mapping[str, Day]] = {
    "MO": "mon", "TU": "tue", "WE": "wed", "TH": "thu", "FR": "fri", "SA": "sat", "SU": "sun",
}  # fmt: skip
_DAY: Final = timedelta(days=1)
#: How many days ahead a window may begin. Calendars begin what is repeated on its next day.
_DAYS_AHEAD: Final = 14
#: By no standard, but what most calendars call their zone by, ours among them.
ZONE: Final = "X-WR-TIMEZONE"
ID, KINDS, VENDOR = "X-LETTERBOX-ID", "X-LETTERBOX-KINDS", "X-LETTERBOX-VENDOR"
OUTSIDE, APART = "X-LETTERBOX-OUTSIDE", "X-LETTERBOX-APART"
#: Properties that change when something is, and that nothing here stands for.
_UNSUPPORTED: Final = ("EXDATE", "EXRULE", "RDATE", "RECURRENCE-ID")
_RULE_PARTS: Final = {"FREQ", "BYDAY", "INTERVAL", "WKST"}


class Times(msgspec.Struct, frozen=True):
    """What a file says. ``timezone`` is None where it names none."""

    timezone: str | None
    windows: tuple[Window, ...]
    pauses: tuple[Pause, ...]
    exceptions: tuple[DayException, ...]


class Unsupported(Exception):
    """A file that cannot be taken in; ``mistakes`` name each component and what is wrong."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(map(str, self.mistakes)))


def read_times(content: bytes, zone_of: Callable[[str], tzinfo | None], now: datetime) -> Times:
    """What a file says. Raises :class:`Unsupported` for what cannot be kept as it is meant.

    ``now`` is aware: what begins only later is not taken for what begins now.
    """
    if len(content) > MOST_OCTETS:
        raise _no_calendar(f"it has {len(content):,} octets", f"at most {MOST_OCTETS:,}")
    try:
        # What the library raises for whatever was sent is no fault of ours.
        calendar = icalendar.Calendar.from_ical(content.decode())
    except UnicodeDecodeError:
        raise _no_calendar("it is not UTF-8", "text in UTF-8") from None
    except Exception as error:  # noqa: BLE001
        raise _no_calendar(str(error)[:200], "iCalendar as RFC 5545 has it") from None
    if calendar.name != "VCALENDAR":
        raise _no_calendar(f"it is a {calendar.name}", "one VCALENDAR")
    return _Reading(zone_of, now.date()).read(calendar)


class _Wrong(Exception):
    """Why one component cannot be taken in."""

    def __init__(self, mistake: str, allowed: str) -> None:
        super().__init__(mistake)
        self.mistake = mistake
        self.allowed = allowed


class _Reading:
    """One file while it is read."""

    def __init__(self, zone_of: Callable[[str], tzinfo | None], today: date) -> None:
        self._zone_of = zone_of
        self._today = today
        self._zones: set[str] = set()
        self._is_floating = False  # whether there is a time that names no zone
        self._mistakes: list[Mistake] = []
        self._windows: list[Window] = []
        self._pauses: list[Pause] = []
        self._exceptions: list[DayException] = []

    def read(self, calendar: icalendar.Component) -> Times:
        for nth, component in enumerate(_components(calendar)):
            if nth >= _MOST_COMPONENTS:
                raise _no_calendar("it has too many components", f"at most {_MOST_COMPONENTS}")
            try:
                self._take(component)
            except _Wrong as wrong:
                path = _path(component)
                self._mistakes.append(
                    Mistake(path=path, mistake=wrong.mistake, allowed=wrong.allowed)
                )
            except Exception as error:  # noqa: BLE001 - a value the library cannot make sense of
                mistake = f"a value cannot be read: {str(error)[:200]}"
                self._mistakes.append(
                    Mistake(path=_path(component), mistake=mistake, allowed="as RFC 5545 has it")
                )
        try:
            zone = self._zone(calendar)
        except _Wrong as wrong:
            self._mistakes.append(
                Mistake(path="VCALENDAR", mistake=wrong.mistake, allowed=wrong.allowed)
            )
        if self._mistakes:
            raise Unsupported(self._mistakes[:_MOST_MISTAKES])
        return Times(
            timezone=zone,
            windows=tuple(self._windows),
            pauses=tuple(self._pauses),
            exceptions=tuple(self._exceptions),
        )

    def _zone(self, calendar: icalendar.Component) -> str | None:
        """The one zone of all times. What names none is in that of the calendar, if it has one."""
        zones = set(self._zones)
        named = _text(calendar, ZONE).strip()
        zone = self._zone_of(named) if named else None
        if zone is not None:
            if zones == {"UTC"} and _keeps_utc(zone, self._today.year):
                zones = {named}  # times in such a zone are written as UTC
            if self._is_floating or not zones:
                zones.add(named)
        elif named and self._is_floating:
            raise _no_zone(named)
        if len(zones) > 1:
            several = ", ".join(sorted(zones))
            raise _Wrong(f"it speaks of several time zones: {several}", "one")
        return next(iter(zones), None)

    def _take(self, component: icalendar.Component) -> None:
        if component.errors:
            name, error = component.errors[0]
            raise _Wrong(f"{name} cannot be read: {str(error)[:200]}", "as RFC 5545 has it")
        if component.name == "VAVAILABILITY":
            bounded = next((n for n in ("DTSTART", "DTEND", "DURATION") if n in component), None)
            if bounded:
                raise _Wrong(f"it has a {bounded}", "availability without a beginning or an end")
            return
        if component.name not in {"AVAILABLE", "VEVENT"}:
            raise _Wrong("nothing here stands for it", "VAVAILABILITY with AVAILABLE, and VEVENT")
        for name in _UNSUPPORTED:
            if name in component:
                raise _Wrong(f"{name} is not supported", "weekly times without dates apart")
        start = _only(component, "DTSTART")
        if isinstance(start, datetime):
            self._take_times(component, start)
        else:
            self._take_days(component, start)

    def _take_days(self, component: icalendar.Component, start: date) -> None:
        if component.name != "VEVENT" or "RRULE" in component:
            raise _Wrong("it repeats whole days", "times from and until, or days without RRULE")
        _refuse_free_time(component, "busy days: a pause")
        end = _end(component, start)
        last = end if end == date.max else end - _DAY
        if last < start:
            raise _Wrong(f"it ends at {end}, before it begins", "DTEND after DTSTART")
        spoken = _spoken_of(component)
        if APART in component:
            if last != start:
                raise _Wrong("it is a day apart of several days", "one day")
            exception = {"on": start, **spoken, **_outside(component)}
            self._exceptions.append(_made(exception, DayException))
        else:
            self._pauses.append(_made({"from": start, "until": last, **spoken}, Pause))

    def _take_times(self, component: icalendar.Component, start: datetime) -> None:
        end = _end(component, start)
        if not isinstance(end, datetime):
            raise _Wrong("it begins at a time and ends on a day", "times for both")
        self._note_zone(component, "DTSTART", start)
        self._note_zone(component, "DTEND", end)
        from_, until = start.replace(tzinfo=None), end.replace(tzinfo=None)
        if from_.second or until.second or not timedelta() < until - from_ <= _DAY:
            raise _Wrong(
                "it lasts over a day, no time, or counts seconds", "whole minutes, to 24 h"
            )
        times = {"from": f"{from_:%H:%M}", "until": _clock(until), **_spoken_of(component),
                 **_outside(component)}  # fmt: skip
        if "RRULE" in component:
            days = _days(component["RRULE"], from_)
            self._refuse_not_yet(from_.date())
            if component.name == "VEVENT":
                _refuse_free_time(component, "busy time: a window")
            id_ = {"id": _text(component, ID)} if ID in component else {}
            self._windows.append(_made({**times, "days": days, **id_}, Window))
        elif component.name == "AVAILABLE":
            self._exceptions.append(_made({**times, "on": from_.date()}, DayException))
        else:
            raise _Wrong("it is a single event with times", "RRULE:FREQ=WEEKLY, or whole days")

    def _refuse_not_yet(self, begins: date) -> None:
        """A window has no first day: taken in, it would open at once."""
        if begins > days_after(self._today, _DAYS_AHEAD):
            raise _Wrong(
                f"it begins on {begins}; a window here holds from now on",
                f"a beginning at most {_DAYS_AHEAD} days ahead",
            )

    def _note_zone(self, component: icalendar.Component, name: str, at: datetime) -> None:
        """Remember the zone of a time. One without is in the calendar's, or the consumer's own."""
        if name not in component:
            return
        given = component[name].params.get("TZID") or ("UTC" if at.tzinfo else None)
        if given is None:
            self._is_floating = True
            return
        zone = next(
            (each for each in (given, str(getattr(at.tzinfo, "key", ""))) if self._zone_of(each)),
            None,
        )
        if zone is None:
            raise _no_zone(given)
        self._zones.add(zone)


def _components(calendar: icalendar.Component) -> Iterator[icalendar.Component]:
    """What may say something; zones and alarms say nothing here, nor does what is called off."""
    for component in calendar.subcomponents:
        if component.name == "VTIMEZONE" or _is_cancelled(component):
            continue
        yield component
        if component.name == "VAVAILABILITY":
            yield from (each for each in component.subcomponents if not _is_cancelled(each))


def _is_cancelled(component: icalendar.Component) -> bool:
    """Whether it is called off altogether: one time of several is as much apart as an EXDATE."""
    status = str(component.get("STATUS", "")).strip().upper()
    return status == "CANCELLED" and "RECURRENCE-ID" not in component


def _refuse_free_time(component: icalendar.Component, allowed: str) -> None:
    """What takes none of the day's time (a birthday, a reminder) says nothing of mail."""
    if _text(component, "TRANSP").strip().upper() == "TRANSPARENT":
        raise _Wrong("it is marked as free time (TRANSP:TRANSPARENT)", allowed)


def _keeps_utc(zone: tzinfo, year: int) -> bool:
    """Whether the clocks of a zone show UTC all year."""
    months = (datetime(year, month, 1, tzinfo=zone) for month in range(1, 13))
    return not any(month.utcoffset() for month in months)


def _only(component: icalendar.Component, name: str) -> Any:
    """The value of a property that stands there once."""
    value = component.get(name)
    if value is None or isinstance(value, list):
        raise _Wrong(f"{name} is missing, or stands there twice", f"one {name}")
    return value.dt


def _end(component: icalendar.Component, start: Any) -> Any:
    if "DTEND" in component:
        return _only(component, "DTEND")
    if "DURATION" in component:
        return start + _only(component, "DURATION")
    if isinstance(start, datetime):
        raise _Wrong("it has no end", "DTEND or DURATION")
    return start + _DAY


def _days(rule: Any, start: datetime) -> list[str]:
    """The weekdays of a rule that repeats every week; none where it is every day."""
    if isinstance(rule, list):
        raise _Wrong("it has several RRULEs", "one")
    text = rule.to_ical().decode()
    parts = {name.upper(): values for name, values in rule.items()}
    if odd := sorted(parts.keys() - _RULE_PARTS):
        raise _Wrong(f"RRULE:{text}: {', '.join(odd)} is not supported", "FREQ=WEEKLY with BYDAY")
    if parts.get("INTERVAL", [1]) != [1]:
        raise _Wrong(f"RRULE:{text}: only every week is supported", "no INTERVAL")
    frequency = parts.get("FREQ", [""])[0].upper()
    if frequency not in {"WEEKLY", "DAILY"}:
        raise _Wrong(f"RRULE:{text}: FREQ={frequency} is not supported", "FREQ=WEEKLY or DAILY")
    codes = [str(code).upper() for code in parts.get("BYDAY", ())]
    if any(code not in WEEKDAYS for code in codes):
        raise _Wrong(f"RRULE:{text}: only plain weekdays are supported", "BYDAY=MO,TU,…")
    if not codes and frequency == "WEEKLY":
        codes = [list(WEEKDAYS)[start.weekday()]]
    return [WEEKDAYS[code] for code in dict.fromkeys(codes)]


def _spoken_of(component: icalendar.Component) -> dict[str, Any]:
    kinds = _text(component, KINDS).lower().split()
    if odd := [kind for kind in kinds if kind not in set(Kind)]:
        raise _Wrong(f"{KINDS}: there is no kind {odd[0]!r}", ", ".join(Kind))
    found: dict[str, Any] = {"kinds": kinds} if kinds else {}
    vendors = component.get(VENDOR, [])
    vendors = vendors if isinstance(vendors, list) else [vendors]
    if vendors:
        found["vendors"] = [unquote(str(vendor)) for vendor in vendors]
    return found


def _outside(component: icalendar.Component) -> dict[str, str]:
    return {"outside": _text(component, OUTSIDE)} if OUTSIDE in component else {}


def _text(component: icalendar.Component, name: str) -> str:
    value = component.get(name, "")
    if isinstance(value, list):
        raise _Wrong(f"{name} stands there twice", f"one {name}")
    return str(value)


def _clock(until: datetime) -> str:
    """An end as it is declared: midnight is that of the day that ends."""
    text = f"{until:%H:%M}"
    return "24:00" if text == "00:00" else text


def _made(fields: Mapping[str, Any], kind: Any) -> Any:
    """A rule from its fields, checked as if it had been declared so."""
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise _Wrong(str(error), "what may be declared") from None


def _no_zone(name: str) -> _Wrong:
    return _Wrong(f"there is no time zone {name[:80]!r}", "a name such as Europe/Amsterdam")


def _path(component: icalendar.Component) -> str:
    """A component by its name, and what people call it."""
    title = str(component.get("SUMMARY") or component.get("UID") or "")[:80]
    return f"{component.name} {title!r}" if title else str(component.name)


def _no_calendar(mistake: str, allowed: str) -> Unsupported:
    return Unsupported([Mistake(path="the file", mistake=mistake, allowed=allowed)])
