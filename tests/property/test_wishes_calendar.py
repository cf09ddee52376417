"""An opening is the least instant that will do, checked minute by minute."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from letterbox.model.kind import Kind
from letterbox.model.preferences import Pause, Window
from letterbox.model.times import later
from letterbox.wishes.calendar import compile_calendar, minutes

ZONES = [
    "UTC",
    "Europe/Amsterdam",
    "Europe/London",
    "America/New_York",
    "America/Havana",  # falls back at one o'clock, to midnight
    "America/Nuuk",  # falls back at midnight, to the day before
    "America/Asuncion",
    "America/St_Johns",
    "Africa/Cairo",  # springs forward at midnight
    "Africa/Casablanca",  # changes for Ramadan
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Australia/Lord_Howe",  # half an hour
    "Australia/Sydney",
    "Pacific/Chatham",
    "Pacific/Apia",
]
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
MINUTE = timedelta(minutes=1)


def transitions(zone):
    """Instants near which the offset changes, 2026 to 2028."""
    found, at = [], datetime(2026, 1, 1, tzinfo=UTC)
    while at < datetime(2029, 1, 1, tzinfo=UTC):
        after = at + timedelta(days=1)
        if at.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            found.append(at)
        at = after
    return found


NEAR = {name: transitions(ZoneInfo(name)) for name in ZONES}
clocks = st.one_of(
    st.sampled_from(["00:00", "00:30", "01:00", "02:00", "02:30", "03:00", "23:30"]),
    st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59)),
)
windows = st.builds(
    Window,
    from_=clocks,
    until=st.one_of(clocks, st.just("24:00")),
    days=st.lists(st.sampled_from(DAYS), max_size=3, unique=True).map(tuple),
    kinds=st.sampled_from([(), (Kind.OFFER,), (Kind.NEWSLETTER,)]),
    outside=st.sampled_from(["hold", "refuse"]),
).filter(lambda w: minutes(w.from_) != minutes(w.until))


@st.composite
def calendars(draw):
    name = draw(st.sampled_from(ZONES))
    zone = ZoneInfo(name)
    near = draw(st.sampled_from(NEAR[name] or [datetime(2027, 6, 1, tzinfo=UTC)]))
    at = near + timedelta(minutes=draw(st.integers(-1500, 3000)))
    day = at.astimezone(zone).date()
    pauses = tuple(
        Pause(from_=day + timedelta(days=start), until=day + timedelta(days=start + length))
        for start, length in draw(
            st.lists(st.tuples(st.integers(-2, 3), st.integers(0, 2)), max_size=2)
        )
    )
    return zone, tuple(draw(st.lists(windows, max_size=3))), pauses, at


@cache
def first_of(zone, wall):
    """The first minute whose wall time is ``wall`` or, where it is skipped, later: by search."""
    at = wall.replace(tzinfo=UTC) - timedelta(hours=16)
    reached = [at + MINUTE * n for n in range(32 * 60) if local_wall(zone, at + MINUTE * n) >= wall]
    return reached[0]


@cache
def last_of(zone, wall):
    """The end of the last stretch of minutes before ``wall``: by search."""
    at = wall.replace(tzinfo=UTC) - timedelta(hours=16)
    before = [at + MINUTE * n for n in range(32 * 60) if local_wall(zone, at + MINUTE * n) < wall]
    return before[-1] + MINUTE


def local_wall(zone, at):
    return at.astimezone(zone).replace(tzinfo=None)


def stretches(zone, window, around):
    """When a window is open, worked out by looking at every minute."""
    for offset in range(-2, 3):
        day = around + timedelta(days=offset)
        if window.days and DAYS[day.weekday()] not in window.days:
            continue
        start, end = minutes(window.from_), minutes(window.until)
        midnight = datetime.combine(day, time())
        opens = first_of(zone, midnight + timedelta(minutes=start))
        closes = last_of(zone, midnight + timedelta(minutes=end if end > start else end + 24 * 60))
        yield opens, closes


def allowed(zone, spoken, pauses, at):
    day = at.astimezone(zone).date()
    if any(pause.from_ <= day <= pause.until for pause in pauses):
        return False
    return not spoken or any(opens <= at < closes for opens, closes in spoken)


@pytest.mark.timeout(900)  # under the fuzz profile it looks at very many minutes
@given(calendars(), st.sampled_from([Kind.OFFER, Kind.NEWSLETTER]))
def test_opening_is_the_least_open_minute(drawn, kind):
    zone, declared, pauses, at = drawn
    calendar = compile_calendar(zone, declared, pauses)
    opening = calendar.opening(kind, at).at
    speaking = [w for w in declared if not w.kinds or kind in w.kinds]
    spoken = [
        stretch for w in speaking for stretch in stretches(zone, w, at.astimezone(zone).date())
    ]
    if speaking and not spoken:  # none of its weekdays comes within the days searched
        assume(False)
    horizon = timedelta(hours=30)
    found = next(
        (
            at + MINUTE * n
            for n in range(int(horizon / MINUTE))
            if allowed(zone, spoken, pauses, at + MINUTE * n)
        ),
        None,
    )
    if found is not None:
        assert opening == found
    else:
        assert opening is None or opening >= at + horizon


@given(calendars(), st.sampled_from(list(Kind)))
def test_an_opening_is_open(drawn, kind):
    zone, declared, pauses, at = drawn
    calendar = compile_calendar(zone, declared, pauses)
    opening = calendar.opening(kind, at).at
    if opening is not None:
        assert opening >= at
        assert opening.tzinfo is UTC
        assert calendar.opening(kind, opening).at == opening
    if kind is Kind.SERVICE:
        assert opening == at


@given(calendars(), st.randoms())
def test_the_order_of_windows_and_pauses_does_not_matter(drawn, shuffler):
    zone, declared, pauses, at = drawn
    shuffled, mixed = list(declared), list(pauses)
    shuffler.shuffle(shuffled)
    shuffler.shuffle(mixed)
    one = compile_calendar(zone, declared, pauses).opening(Kind.OFFER, at)
    other = compile_calendar(zone, shuffled, mixed).opening(Kind.OFFER, at)
    assert one == other


@given(calendars(), windows)
def test_a_narrower_window_never_opens_earlier(drawn, window):
    zone, declared, pauses, at = drawn
    length = (minutes(window.until) - minutes(window.from_)) % 1440 or 1440
    assume(length > 1)
    end = (minutes(window.from_) + length // 2) % 1440
    narrow = msgspec.structs.replace(window, until=f"{end // 60:02}:{end % 60:02}")
    wide_at = compile_calendar(zone, (*declared, window), pauses).opening(Kind.OFFER, at).at
    narrow_at = compile_calendar(zone, (*declared, narrow), pauses).opening(Kind.OFFER, at).at
    if narrow_at is not None:
        assert wide_at is not None
        assert wide_at <= narrow_at


@given(st.sampled_from(ZONES), st.integers(0, 1095), st.sampled_from(["day", "week", "month"]))
def test_periods_follow_one_another_without_a_gap(name, days, per):
    at = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=days)
    calendar = compile_calendar(ZoneInfo(name), (), ())
    period = calendar.period(per, at)
    after = calendar.period(per, period.ends)
    assert at < period.ends < after.ends
    assert period.key < after.key
    assert calendar.period(per, period.ends - timedelta(seconds=1)).key == period.key
    assert isinstance(calendar.local_date(period.ends), date)


ENDS = [date.min, date.max, date(9999, 12, 27), date(9999, 11, 30), date(2026, 7, 10)]
far = st.dates(date(1, 1, 1)) | st.sampled_from(ENDS)
instants = st.datetimes(timezones=st.just(UTC)) | st.sampled_from(
    [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)
any_pauses = st.lists(
    st.tuples(far, far).map(lambda days: Pause(from_=min(days), until=max(days))), max_size=4
)


@given(
    st.sampled_from([*ZONES, "Etc/GMT+12", "Pacific/Kiritimati"]),
    st.lists(windows, max_size=2),
    any_pauses,
    instants,
    st.sampled_from(["day", "week", "month"]),
)
def test_the_calendar_has_no_end_to_fall_off(name, declared, pauses, at, per):
    calendar = compile_calendar(ZoneInfo(name), declared, pauses)
    opening = calendar.opening(Kind.OFFER, at)
    assert opening.at is None or opening.at >= at
    assert calendar.period(per, at).key
    assert calendar.local_date(at) == calendar.local(at).date()


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("declared", [(), (Window(from_="09:00", until="17:00"),)])
def test_a_pause_for_ever_never_opens(name, declared):
    pauses = [Pause(from_=date(2026, 1, 1), until=date.max), Pause(from_=date.max, until=date.max)]
    calendar = compile_calendar(ZoneInfo(name), declared, pauses)
    at = datetime(2026, 3, 4, 12, tzinfo=UTC)
    assert calendar.opening(Kind.OFFER, at).at is None
    assert calendar.opening(Kind.SERVICE, at).at == at


@given(instants, st.integers(0, 365))
def test_what_is_asked_late_is_answered_by_the_end_of_time(at, days):
    by = later(at, timedelta(days=days))
    assert at <= by
    assert compile_calendar(ZoneInfo("Asia/Tokyo"), (), ()).period("day", by).ends
