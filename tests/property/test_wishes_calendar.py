"""An opening is the least instant that will do, checked minute by minute."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from letterbox.model.kind import Kind
from letterbox.model.preferences import DayException, Pause, Window
from letterbox.model.times import later
from letterbox.wishes.calendar import HORIZON, Calendar, minutes

ZONES = [
    "UTC",
    "Europe/Amsterdam",
    "Europe/London",
    "Europe/Lisbon",
    "Europe/Athens",
    "Europe/Chisinau",
    "Europe/Dublin",  # winter time is the one that is saved
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "America/Havana",  # falls back at one o'clock, to midnight
    "America/Nuuk",  # falls back at midnight, to the day before
    "America/Scoresbysund",
    "America/Asuncion",
    "America/Santiago",
    "America/St_Johns",
    "America/Miquelon",
    "America/Sao_Paulo",
    "Africa/Cairo",  # springs forward at midnight
    "Africa/Casablanca",  # changes for Ramadan
    "Africa/El_Aaiun",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Asia/Beirut",
    "Asia/Jerusalem",
    "Antarctica/Troll",  # by two hours
    "Atlantic/Azores",
    "Australia/Lord_Howe",  # half an hour
    "Australia/Sydney",
    "Australia/Adelaide",
    "Pacific/Chatham",
    "Pacific/Easter",
    "Pacific/Apia",
    "Pacific/Norfolk",
]
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


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
SENDER = frozenset(("shop", "shop.example", "example"))
spoken_of = {
    "kinds": st.sampled_from([(), (Kind.OFFER,), (Kind.NEWSLETTER,)]),
    "vendors": st.sampled_from([(), (), ("shop.example",), ("other", "Shop"), ("other",)]),
}
windows = st.builds(
    Window,
    from_=clocks,
    until=st.one_of(clocks, st.just("24:00")),
    days=st.lists(st.sampled_from(DAYS), max_size=3, unique=True).map(tuple),
    outside=st.sampled_from(["hold", "refuse"]),
    **spoken_of,
).filter(lambda w: minutes(w.from_) != minutes(w.until))
pauses = st.builds(
    lambda start, length, **spoken: (start, length, spoken),
    st.integers(-2, 3),
    st.integers(0, 2),
    **spoken_of,
)
exceptions = st.builds(
    lambda day, times, **spoken: (day, times, spoken),
    st.integers(-2, 3),
    st.none() | st.tuples(clocks, clocks).filter(lambda both: both[0] != both[1]),
    **spoken_of,
)


class Declared(msgspec.Struct):
    """What is declared, and an instant to ask about, near a change of the zone's clock."""

    zone: ZoneInfo
    windows: list[Window]
    pauses: list[Pause]
    exceptions: list[DayException]
    at: datetime

    def calendar(self):
        return Calendar(self.zone, self.windows, self.pauses, self.exceptions)


@st.composite
def declarations(draw):
    name = draw(st.sampled_from(ZONES))
    zone = ZoneInfo(name)
    near = draw(st.sampled_from(NEAR[name] or [datetime(2027, 6, 1, tzinfo=UTC)]))
    at = near + timedelta(minutes=draw(st.integers(-1500, 3000)))
    day = at.astimezone(zone).date()
    return Declared(
        zone,
        draw(st.lists(windows, max_size=4)),
        [
            Pause(from_=day + start * DAY, until=day + (start + length) * DAY, **spoken)
            for start, length, spoken in draw(st.lists(pauses, max_size=2))
        ],
        [
            DayException(
                on=day + start * DAY,
                from_=times and times[0],
                until=times and times[1],
                **spoken,
            )
            for start, times, spoken in draw(st.lists(exceptions, max_size=3))
        ],
        at,
    )


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


def speaking(rules, kind):
    """The rules that speak of a kind from the sender, the particular ones alone if there are."""
    found = [
        rule
        for rule in rules
        if (not rule.kinds or kind in rule.kinds)
        and (not rule.vendors or any(name.lower() in SENDER for name in rule.vendors))
    ]
    return found, [rule for rule in found if rule.vendors] or found


def spans_of(declared, kind, day):
    """The wall times a local day is open, as pairs of minutes from its midnight."""
    _, said = speaking([e for e in declared.exceptions if e.on == day], kind)
    if not said:
        _, said = speaking(declared.windows, kind)
        if not said:
            return [(0, 24 * 60)]
        said = [w for w in said if not w.days or DAYS[day.weekday()] in w.days]
    times = [(minutes(e.from_), minutes(e.until)) for e in said if e.from_ is not None]
    return [(start, end if end > start else end + 24 * 60) for start, end in times]


def open_minutes(declared, kind):
    """Whether a kind may arrive at a minute, worked out by looking at every minute."""
    around = declared.at.astimezone(declared.zone).date()
    open_ = []
    for offset in range(-3, 4):
        midnight = datetime.combine(around + offset * DAY, time())
        for start, end in spans_of(declared, kind, midnight.date()):
            opens = first_of(declared.zone, midnight + start * MINUTE)
            closes = last_of(declared.zone, midnight + end * MINUTE)
            open_.append((opens, closes))
    paused, _ = speaking(declared.pauses, kind)

    def allowed(at):
        day = at.astimezone(declared.zone).date()
        if any(pause.from_ <= day <= pause.until for pause in paused):
            return False
        return any(opens <= at < closes for opens, closes in open_)

    return allowed


HOURS_SEARCHED = 30


def check_opening(declared, kind, calendar):
    opening = calendar.opening(kind, declared.at, SENDER).at
    allowed = open_minutes(declared, kind)
    minutes_ahead = (declared.at + MINUTE * n for n in range(HOURS_SEARCHED * 60))
    found = next((at for at in minutes_ahead if allowed(at)), None)
    if found is not None:
        assert opening == found
    else:
        assert opening is None or opening >= declared.at + timedelta(hours=HOURS_SEARCHED)


RULED = st.sampled_from([Kind.OFFER, Kind.NEWSLETTER])


@pytest.mark.timeout(900)  # under the fuzz profile it looks at very many minutes
@given(declarations(), RULED)
def test_opening_is_the_least_open_minute(declared, kind):
    check_opening(declared, kind, declared.calendar())


#: A window that begins in every gap of an hour, one across midnight, and two that overlap.
ROUND_THE_CLOCK = [
    [Window(from_="02:30", until="03:30")],
    [Window(from_="00:00", until="00:45"), Window(from_="00:15", until="01:30")],
    [Window(from_="23:30", until="01:30")],
    [Window(from_="01:15", until="01:45", days=("sat", "sun", "mon"))],
]


@pytest.mark.parametrize("name", ZONES)
def test_around_every_change_of_every_clock_the_opening_is_the_least(name):
    zone = ZoneInfo(name)
    for declared in ROUND_THE_CLOCK:
        calendar = Calendar(zone, declared)
        for near in NEAR[name]:
            for hours in (-26, -3, 0, 1, 2, 5, 20):
                at = near + timedelta(hours=hours, minutes=7)
                check_opening(Declared(zone, declared, [], [], at), Kind.OFFER, calendar)


def test_the_zones_have_changes_of_all_sorts():
    assert len(ZONES) >= 30
    assert sum(map(len, NEAR.values())) > 100


@given(declarations(), st.sampled_from(list(Kind)))
def test_an_opening_is_open(declared, kind):
    calendar = declared.calendar()
    opening = calendar.opening(kind, declared.at, SENDER).at
    if opening is not None:
        assert opening >= declared.at
        assert opening.tzinfo is UTC
        assert calendar.opening(kind, opening, SENDER).at == opening
    if kind is Kind.SERVICE:
        assert opening == declared.at


@given(declarations(), RULED, st.lists(st.integers(-20_000, 20_000), min_size=2, max_size=8))
def test_what_was_asked_before_does_not_matter(declared, kind, asked):
    used = declared.calendar()
    for minute in asked:
        at = declared.at + MINUTE * minute
        fresh = declared.calendar()
        assert used.opening(kind, at, SENDER) == fresh.opening(kind, at, SENDER)
        assert used.local_date(at) == at.astimezone(declared.zone).date()
        assert used.period("week", at) == fresh.period("week", at)


@given(declarations(), RULED, st.randoms())
def test_the_order_of_windows_pauses_and_exceptions_does_not_matter(declared, kind, shuffler):
    one = declared.calendar().opening(kind, declared.at, SENDER)
    for rules in (declared.windows, declared.pauses, declared.exceptions):
        shuffler.shuffle(rules)
    assert declared.calendar().opening(kind, declared.at, SENDER) == one


def narrower(window):
    """A window that closes in the middle, or None of one minute."""
    length = (minutes(window.until) - minutes(window.from_)) % 1440 or 1440
    end = (minutes(window.from_) + length // 2) % 1440
    return msgspec.structs.replace(window, until=f"{end // 60:02}:{end % 60:02}")


@given(declarations(), windows)
def test_a_narrower_window_never_opens_earlier(declared, window):
    assume((minutes(window.until) - minutes(window.from_)) % 1440 != 1)
    others = declared.windows
    declared.windows = [*others, window]
    wide = declared.calendar().opening(Kind.OFFER, declared.at, SENDER).at
    declared.windows = [*others, narrower(window)]
    narrow = declared.calendar().opening(Kind.OFFER, declared.at, SENDER).at
    if narrow is not None:
        assert wide is not None
        assert wide <= narrow


@given(st.sampled_from(ZONES), st.integers(0, 1095), st.sampled_from(["day", "week", "month"]))
def test_periods_follow_one_another_without_a_gap(name, days, per):
    at = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=days)
    calendar = Calendar(ZoneInfo(name), (), ())
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
    calendar = Calendar(ZoneInfo(name), declared, pauses)
    opening = calendar.opening(Kind.OFFER, at)
    assert opening.at is None or opening.at >= at
    assert opening.again is None or opening.at is None
    assert opening.again is None or at < opening.again <= later(at, HORIZON)
    assert calendar.period(per, at).key
    assert calendar.local_date(at) == calendar.local(at).date()


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("declared", [(), (Window(from_="09:00", until="17:00"),)])
def test_a_pause_for_ever_never_opens(name, declared):
    pauses = [Pause(from_=date(2026, 1, 1), until=date.max), Pause(from_=date.max, until=date.max)]
    calendar = Calendar(ZoneInfo(name), declared, pauses)
    at = datetime(2026, 3, 4, 12, tzinfo=UTC)
    assert calendar.opening(Kind.OFFER, at).at is None
    assert calendar.opening(Kind.SERVICE, at).at == at


@given(declarations(), RULED, st.integers(1, 3000))
def test_where_nothing_opens_it_is_looked_at_again_before_anything_can(declared, kind, days):
    day = declared.at.astimezone(declared.zone).date()
    declared.pauses = [*declared.pauses, Pause(from_=day, until=day + days * DAY)]
    calendar = declared.calendar()
    opening = calendar.opening(kind, declared.at, SENDER)
    assert opening.outside == "hold"
    assert opening.waits_until is not None
    assert opening.waits_until > declared.at
    if opening.at is None:
        assert opening.waits_until == opening.again
        assert HORIZON - 32 * DAY <= opening.again - declared.at <= HORIZON
        assert calendar.local(opening.again).day == 1
        # Asked in a while, in the same month: the same.
        soon = declared.at + 40 * MINUTE
        if calendar.period("month", soon + HORIZON) == calendar.period(
            "month", declared.at + HORIZON
        ):
            assert calendar.opening(kind, soon, SENDER).waits_until == opening.again
        after = calendar.opening(kind, opening.again, SENDER)
        assert after.at is None or after.at > declared.at + HORIZON


@given(instants, st.integers(0, 365))
def test_what_is_asked_late_is_effective_reply_the_end_of_time(at, days):
    by = later(at, timedelta(days=days))
    assert at <= by
    assert Calendar(ZoneInfo("Asia/Tokyo"), (), ()).period("day", by).ends
