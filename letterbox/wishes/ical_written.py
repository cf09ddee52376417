"""Times of preferences as iCalendar, for :mod:`letterbox.wishes.ical` to read again."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final
from urllib.parse import quote

import icalendar

from letterbox.model.preferences import DayException, Pause, Preferences, Window
from letterbox.wishes.calendar import minutes
from letterbox.wishes.ical import APART, ID, KINDS, OUTSIDE, VENDOR, WEEKDAYS, ZONE

_CODES: Final = {day: code for code, day in WEEKDAYS.items()}
#: A Monday, long ago, in whose week the windows that are written begin.
_MONDAY: Final = date(2024, 1, 1)
_DAY: Final = timedelta(days=1)
_STAMP: Final = datetime(2024, 1, 1, tzinfo=UTC)


def write_times(preferences: Preferences, zone: tzinfo) -> bytes:
    """The times of preferences as a file. ``zone`` is their time zone."""
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//letterbox//times//EN")
    calendar.add("version", "2.0")
    calendar.add(ZONE, icalendar.vText(preferences.timezone))
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
    while days and list(WEEKDAYS)[first.weekday()] not in days:
        first += _DAY
    _add_times(component, first, window.from_, window.until, zone)
    component.add("rrule", {"FREQ": "WEEKLY", "BYDAY": days} if days else {"FREQ": "DAILY"})
    if window.id:
        component.add(ID, icalendar.vText(window.id))
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
    component.add(APART, icalendar.vText("day"))
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
        component.add(KINDS, icalendar.vText(" ".join(rule.kinds)))
    for vendor in rule.vendors:
        # Percent-encoded, so that programs between cannot differ about what is to be escaped.
        component.add(VENDOR, icalendar.vText(quote(vendor, safe="@:")))
    if not isinstance(rule, Pause) and rule.outside != "hold":
        component.add(OUTSIDE, icalendar.vText(rule.outside))


def _time(minute: int) -> time:
    return time(minute // 60 % 24, minute % 60)
