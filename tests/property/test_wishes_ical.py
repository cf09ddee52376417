"""Times go out as iCalendar and come back as they were; nothing a file says breaks anything."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, available_timezones

import icalendar
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterbox.model.kind import Kind
from letterbox.model.preferences import DayException, Pause, Preferences, Window
from letterbox.wishes import Unsupported, read_times, write_times
from letterbox.wishes.calendar import minutes
from tests.support.plain import zone_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KINDS = st.lists(
    st.sampled_from([Kind.OFFER, Kind.NEWSLETTER, Kind.PERSONAL]), max_size=2, unique=True
).map(tuple)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
VENDORS = st.lists(WORDS | st.sampled_from(["a,b", "a\\nb", 'x;"y"', "é\\"]), max_size=2).map(tuple)
CLOCKS = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
DATES = st.dates(date(1990, 1, 1), date(2100, 1, 1))
OUTSIDE = st.sampled_from(["hold", "refuse"])
SPOKEN = {"kinds": KINDS, "vendors": VENDORS}


def is_open(rule):
    return rule.from_ is None or minutes(rule.from_) != minutes(rule.until) % 1440


windows = st.builds(
    Window,
    from_=CLOCKS,
    until=CLOCKS.map(lambda clock: "24:00" if clock == "00:00" else clock),
    days=st.lists(st.sampled_from(["mon", "tue", "sat", "sun"]), max_size=3, unique=True).map(
        tuple
    ),
    outside=OUTSIDE,
    id=st.none() | st.sampled_from(["evening", "a.b-c"]),
    **SPOKEN,
).filter(lambda w: minutes(w.from_) != minutes(w.until))
pauses = st.tuples(DATES, DATES | st.just(date.max)).flatmap(
    lambda days: st.builds(Pause, from_=st.just(min(days)), until=st.just(max(days)), **SPOKEN)
)
exceptions = st.builds(DayException, on=DATES, outside=OUTSIDE, **SPOKEN) | st.builds(
    DayException,
    on=DATES,
    from_=CLOCKS,
    until=CLOCKS.map(lambda clock: "24:00" if clock == "00:00" else clock),
    outside=OUTSIDE,
    **SPOKEN,
).filter(lambda e: minutes(e.from_) != minutes(e.until))
declared = st.builds(
    Preferences,
    timezone=st.sampled_from(
        ["UTC", "Etc/UTC", "Africa/Abidjan", "Europe/Amsterdam", "America/Havana", "Asia/Kathmandu"]
    ),
    window=st.lists(windows, max_size=3).map(tuple),
    pauses=st.lists(pauses, max_size=2).map(tuple),
    exceptions=st.lists(exceptions, max_size=3).map(tuple),
)


def ordered(rules):
    return sorted(map(msgspec.json.encode, rules))


@given(declared)
def test_what_goes_out_comes_back(preferences):
    content = write_times(preferences, ZoneInfo(preferences.timezone))
    times = read_times(content, zone_of, NOW)
    assert times.windows == preferences.window
    assert times.pauses == preferences.pauses
    assert ordered(times.exceptions) == ordered(preferences.exceptions)
    assert times.timezone == preferences.timezone


@pytest.mark.parametrize("zone", sorted(available_timezones()))
def test_every_zone_comes_back(zone):
    preferences = Preferences(timezone=zone, window=(Window(from_="09:00", until="17:00"),))
    assert read_times(write_times(preferences, ZoneInfo(zone)), zone_of, NOW).timezone == zone


LINES = [
    "BEGIN:VEVENT", "END:VEVENT", "BEGIN:VAVAILABILITY", "END:VAVAILABILITY", "BEGIN:AVAILABLE",
    "END:AVAILABLE", "BEGIN:VTIMEZONE", "END:VTIMEZONE", "TZID:Odd", "SUMMARY:x", "SUMMARY:y",
    "DTSTART:20260105T090000", "DTSTART;VALUE=DATE:20260105", "DTSTART;TZID=Odd:20260105T090000",
    "DTEND:20260105T100000", "DTEND:20260105T100000Z", "DTEND;VALUE=DATE:99991231", "DTSTART:never",
    "DURATION:PT1H", "DURATION:-P3000W", "RRULE:FREQ=WEEKLY", "RRULE:FREQ=WEEKLY;BYDAY=XX",
    "RRULE:", "RRULE:FREQ=", "TRANSP:OPAQUE", "X-LETTERBOX-KINDS:offer,none",
    "X-LETTERBOX-OUTSIDE:x", "X-LETTERBOX-VENDOR:", "X-LETTERBOX-ID:A b", "X-LETTERBOX-APART:day",
    "STATUS:CANCELLED", "TRANSP:TRANSPARENT", "X-WR-TIMEZONE:Europe/Paris", "X-WR-TIMEZONE:Odd",
    "DTSTART:99991230T090000", ";:", "BEGIN", "END:VCALENDAR", "BEGIN:VCALENDAR", "\x00",
]  # fmt: skip


@given(st.lists(st.sampled_from(LINES), max_size=14).map("\r\n".join) | st.text(), st.booleans())
def test_whatever_a_file_says_it_is_read_or_refused(text, whole):
    if whole:
        text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{text}\r\nEND:VCALENDAR\r\n"
    windows, mistakes = read(text.encode("utf-8", "replace"))
    assert all(map(is_open, windows))
    assert all(mistake.path and mistake.mistake and mistake.allowed for mistake in mistakes)


def read(content):
    try:
        return read_times(content, zone_of, NOW).windows, ()
    except Unsupported as unsupported:
        return (), unsupported.mistakes


@given(declared)
def test_what_goes_out_is_read_by_others(preferences):
    content = write_times(preferences, ZoneInfo(preferences.timezone))
    assert max(len(line) for line in content.splitlines()) <= 75
    calendar = icalendar.Calendar.from_ical(content)
    assert not [component.errors for component in calendar.walk() if component.errors]
    assert calendar["VERSION"] == "2.0"
