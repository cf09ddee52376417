"""Times as iCalendar (RFC 5545): windows as availability (RFC 7953), pauses as whole days.

========================================  ==================================================
in the file                               here
========================================  ==================================================
AVAILABLE, or VEVENT with times, with an  a window; FREQ=WEEKLY with BYDAY, or FREQ=DAILY
RRULE
AVAILABLE without an RRULE                other times on that one day
VEVENT of whole days                      a pause
========================================  ==================================================

What the format has no words for (kinds, vendors, what becomes of mail outside) stands in
``X-LETTERBOX-…`` properties. Whatever else a file asks for is refused and named: nothing is
taken in by half.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final
from urllib.parse import quote, unquote

import icalendar
import msgspec

from letterbox.model.kind import Kind
from letterbox.model.preferences import Day, DayException, Pause, Preferences, Window
from letterbox.wishes.calendar import minutes
from letterbox.wishes.check import MOST, Mistake

#: Octets of a file that is read; a thousand windows, pauses and days apart take less.
MOST_OCTETS: Final = 256 * 1024
_MOST_COMPONENTS: Final = MOST["window"] + MOST["pauses"] + MOST["exceptions"] + 20
_MOST_MISTAKES: Final = 50

_DAYS: Final[Mapping[str, Day]] = {
    "MO": "mon", "TU": "tue", "WE": "wed", "TH": "thu", "FR": "fri", "SA": "sat", "SU": "sun",
}  # fmt: skip
_CODES: Final = {day: code for code, day in _DAYS.items()}
#: A Monday, long ago, in whose week the windows that are written begin.
_MONDAY: Final = date(2024, 1, 1)
_DAY: Final = timedelta(days=1)
_STAMP: Final = datetime(2024, 1, 1, tzinfo=UTC)
_ID, _KINDS, _VENDOR = "X-LETTERBOX-ID", "X-LETTERBOX-KINDS", "X-LETTERBOX-VENDOR"
_OUTSIDE, _APART = "X-LETTERBOX-OUTSIDE", "X-LETTERBOX-APART"
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


# ---- writing ----------------------------------------------------------------------------------


def write_times(preferences: Preferences, zone: tzinfo) -> bytes:
    """The times of preferences as a file. ``zone`` is their time zone."""
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//letterbox//times//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-timezone", preferences.timezone)
    available = icalendar.Availability()
    available.add("uid", "windows@letterbox")
    available.add("dtstamp", _STAMP)
    available.add("summary", "When mail may arrive")
    for nth, window in enumerate(preferences.window):
        available.add_component(_written_window(window, nth, zone))
    for nth, exception in enumerate(preferences.exceptions):
        if exception.from_ is None or exception.until is None:
            calendar.add_component(_written_day(exception, nth))
        else:
            available.add_component(_written_times(exception, nth, zone))
    if available.subcomponents:
        calendar.add_component(available)
    for nth, pause in enumerate(preferences.pauses):
        calendar.add_component(_written_pause(pause, nth))
    calendar.add_missing_timezones()
    return bytes(calendar.to_ical())


def _written_window(window: Window, nth: int, zone: tzinfo) -> icalendar.Available:
    component = icalendar.Available()
    component.add("uid", f"window-{nth}@letterbox")
    component.add("summary", window.id or "Window")
    days = [_CODES[day] for day in window.days]
    first = _MONDAY
    while days and list(_DAYS)[first.weekday()] not in days:
        first += _DAY
    _add_times(component, first, window.from_, window.until, zone)
    component.add("rrule", {"FREQ": "WEEKLY", "BYDAY": days} if days else {"FREQ": "DAILY"})
    if window.id:
        component.add(_ID, icalendar.vText(window.id))
    _add_spoken_of(component, window)
    return component


def _written_times(exception: DayException, nth: int, zone: tzinfo) -> icalendar.Available:
    component = icalendar.Available()
    component.add("uid", f"day-{nth}@letterbox")
    component.add("summary", "Other times")
    _add_times(component, exception.on, exception.from_ or "", exception.until or "", zone)
    _add_spoken_of(component, exception)
    return component


def _written_day(exception: DayException, nth: int) -> icalendar.Event:
    component = _written_days(exception.on, exception.on, f"day-{nth}", "Nothing on this day")
    component.add(_APART, icalendar.vText("day"))
    _add_spoken_of(component, exception)
    return component


def _written_pause(pause: Pause, nth: int) -> icalendar.Event:
    component = _written_days(pause.from_, pause.until, f"pause-{nth}", "Pause")
    _add_spoken_of(component, pause)
    return component


def _written_days(first: date, last: date, uid: str, summary: str) -> icalendar.Event:
    component = icalendar.Event()
    component.add("uid", f"{uid}@letterbox")
    component.add("dtstamp", _STAMP)
    component.add("summary", summary)
    component.add("dtstart", first)
    # The end is the day after; people write the last day there is for "for ever".
    component.add("dtend", last + _DAY if last < date.max else last)
    component.add("transp", "OPAQUE")
    return component


def _add_times(
    component: icalendar.Component, day: date, start: str, end: str, zone: tzinfo
) -> None:
    opens, closes = minutes(start), minutes(end)
    until = day + _DAY if closes <= opens or closes == 24 * 60 else day
    component.add("dtstart", datetime.combine(day, _time(opens), tzinfo=zone))
    component.add("dtend", datetime.combine(until, _time(closes), tzinfo=zone))


def _add_spoken_of(component: icalendar.Component, rule: Window | Pause | DayException) -> None:
    if rule.kinds:
        component.add(_KINDS, icalendar.vText(" ".join(rule.kinds)))
    for vendor in rule.vendors:
        # Percent-encoded, so that programs between cannot differ about what is to be escaped.
        component.add(_VENDOR, icalendar.vText(quote(vendor, safe="@:")))
    if not isinstance(rule, Pause) and rule.outside != "hold":
        component.add(_OUTSIDE, icalendar.vText(rule.outside))


def _time(minute: int) -> time:
    return time(minute // 60 % 24, minute % 60)


# ---- reading ----------------------------------------------------------------------------------


def read_times(content: bytes, zone_of: Callable[[str], tzinfo | None]) -> Times:
    """What a file says. Raises :class:`Unsupported` for what cannot be kept as it is meant."""
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
    return _Reading(zone_of).read(calendar)


class _Wrong(Exception):
    """Why one component cannot be taken in."""

    def __init__(self, mistake: str, allowed: str) -> None:
        super().__init__(mistake)
        self.mistake = mistake
        self.allowed = allowed


class _Reading:
    """One file while it is read."""

    def __init__(self, zone_of: Callable[[str], tzinfo | None]) -> None:
        self._zone_of = zone_of
        self._zones: set[str] = set()
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
        if len(self._zones) > 1:
            named = ", ".join(sorted(self._zones))
            mistake = f"it speaks of several time zones: {named}"
            self._mistakes.append(Mistake(path="VCALENDAR", mistake=mistake, allowed="one"))
        if self._mistakes:
            raise Unsupported(self._mistakes[:_MOST_MISTAKES])
        return Times(
            timezone=next(iter(self._zones), None),
            windows=tuple(self._windows),
            pauses=tuple(self._pauses),
            exceptions=tuple(self._exceptions),
        )

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
        if _text(component, "TRANSP").upper() == "TRANSPARENT":
            raise _Wrong("it is marked as free time (TRANSP:TRANSPARENT)", "busy days: a pause")
        end = _end(component, start)
        last = end if end == date.max else end - _DAY
        if last < start:
            raise _Wrong(f"it ends at {end}, before it begins", "DTEND after DTSTART")
        spoken = _spoken_of(component)
        if _APART in component:
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
            id_ = {"id": _text(component, _ID)} if _ID in component else {}
            self._windows.append(_made({**times, "days": days, **id_}, Window))
        elif component.name == "AVAILABLE":
            self._exceptions.append(_made({**times, "on": from_.date()}, DayException))
        else:
            raise _Wrong("it is a single event with times", "RRULE:FREQ=WEEKLY, or whole days")

    def _note_zone(self, component: icalendar.Component, name: str, at: datetime) -> None:
        """Remember the zone of a time. One without a zone is in the consumer's own."""
        if name not in component:
            return
        given = component[name].params.get("TZID") or ("UTC" if at.tzinfo else None)
        if given is None:
            return
        zone = next(
            (each for each in (given, str(getattr(at.tzinfo, "key", ""))) if self._zone_of(each)),
            None,
        )
        if zone is None:
            raise _Wrong(f"there is no time zone {given!r}", "a name such as Europe/Amsterdam")
        self._zones.add(zone)


def _components(calendar: icalendar.Component) -> Iterator[icalendar.Component]:
    """What may say something; zones and alarms say nothing here."""
    for component in calendar.subcomponents:
        if component.name == "VTIMEZONE":
            continue
        yield component
        if component.name == "VAVAILABILITY":
            yield from component.subcomponents


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
    if any(code not in _DAYS for code in codes):
        raise _Wrong(f"RRULE:{text}: only plain weekdays are supported", "BYDAY=MO,TU,…")
    if not codes and frequency == "WEEKLY":
        codes = [list(_DAYS)[start.weekday()]]
    return [_DAYS[code] for code in dict.fromkeys(codes)]


def _spoken_of(component: icalendar.Component) -> dict[str, Any]:
    kinds = _text(component, _KINDS).lower().split()
    if odd := [kind for kind in kinds if kind not in set(Kind)]:
        raise _Wrong(f"{_KINDS}: there is no kind {odd[0]!r}", ", ".join(Kind))
    found: dict[str, Any] = {"kinds": kinds} if kinds else {}
    vendors = component.get(_VENDOR, [])
    vendors = vendors if isinstance(vendors, list) else [vendors]
    if vendors:
        found["vendors"] = [unquote(str(vendor)) for vendor in vendors]
    return found


def _outside(component: icalendar.Component) -> dict[str, str]:
    return {"outside": _text(component, _OUTSIDE)} if _OUTSIDE in component else {}


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


def _path(component: icalendar.Component) -> str:
    """A component by its name, and what people call it."""
    title = str(component.get("SUMMARY") or component.get("UID") or "")[:80]
    return f"{component.name} {title!r}" if title else str(component.name)


def _no_calendar(mistake: str, allowed: str) -> Unsupported:
    return Unsupported([Mistake(path="the file", mistake=mistake, allowed=allowed)])
