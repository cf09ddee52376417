"""When digests come and notices do not, whatever the zone does to its clock."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterbox.model.kind import Kind
from letterbox.model.preferences import Digest, Notify, Pause, Preferences, Quiet
from letterbox.wishes import Rhythm

ZONES = ("UTC", "Europe/Amsterdam", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
AMSTERDAM = ZoneInfo("Europe/Amsterdam")

clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59]))
days = st.lists(st.sampled_from(DAYS), unique=True, max_size=7).map(tuple)
# Around the changes of clocks in spring and autumn, and on days that are like any other.
NEAR = (
    datetime(2027, 3, 28, tzinfo=UTC),
    datetime(2026, 10, 25, tzinfo=UTC),
    datetime(2027, 4, 3, 15, tzinfo=UTC),
    datetime(2026, 11, 1, tzinfo=UTC),
)
moments = st.builds(
    lambda at, by: at + timedelta(minutes=by), st.sampled_from(NEAR), st.integers(-4000, 4000)
)
quiets = st.builds(Quiet, from_=clocks, until=clocks, days=days).filter(
    lambda each: each.from_ != each.until
)
pauses = st.builds(
    lambda start, length, kinds: Pause(from_=start, until=start + timedelta(length), kinds=kinds),
    st.dates(date(2026, 10, 20), date(2027, 4, 10)),
    st.integers(0, 9),
    st.sampled_from([(), (Kind.OFFER,)]),
)


def is_silent(preferences: Preferences, zone: ZoneInfo, at: datetime) -> bool:
    """The same, said as a wall clock shows it: far from where a clock changes it cannot differ."""
    local = at.astimezone(zone)
    for pause in preferences.pauses:
        if not pause.kinds and pause.from_ <= local.date() <= pause.until:
            return True
    clock, today = f"{local:%H:%M}", local.date()
    for quiet in preferences.notify.quiet:
        started = [today] if quiet.from_ <= clock else []
        if quiet.until <= quiet.from_:
            on = started or ([today - timedelta(days=1)] if clock < quiet.until else [])
        else:
            on = started if clock < quiet.until else []
        if any(not quiet.days or DAYS[day.weekday()] in quiet.days for day in on):
            return True
    return False


def is_even(zone: ZoneInfo, at: datetime) -> bool:
    offsets = {
        (at + timedelta(hours=hours)).astimezone(zone).utcoffset() for hours in range(-50, 51)
    }
    return len(offsets) == 1


@given(
    st.sampled_from(ZONES).map(ZoneInfo),
    st.lists(quiets, max_size=3).map(tuple),
    st.lists(pauses, max_size=2).map(tuple),
    moments,
)
def test_silence_is_what_the_wall_clock_says(zone, quiet, paused, at):
    preferences = Preferences(notify=Notify(quiet=quiet), pauses=paused)
    until = Rhythm(preferences, zone).silent_until(at)
    if is_even(zone, at):
        assert (until is not None) == is_silent(preferences, zone, at)
    if until is not None and until < at + timedelta(days=300):
        # Where it ends nothing is silent, and there is no gap in it before.
        assert until > at
        assert Rhythm(preferences, zone).silent_until(until) is None
        middle = at + (until - at) / 2
        assert Rhythm(preferences, zone).silent_until(middle) == until


@given(
    st.sampled_from(ZONES).map(ZoneInfo),
    st.lists(clocks, min_size=1, max_size=4, unique=True).map(tuple),
    days,
    st.lists(pauses, max_size=2).map(tuple),
    moments,
)
def test_each_day_has_its_digests_once(zone, at, on, paused, start):
    preferences = Preferences(digest=Digest(at=at, days=on), pauses=paused)
    rhythm = Rhythm(preferences, zone)
    found, moment = [], start
    while (moment := rhythm.next_digest(moment)) is not None and len(found) < 30:
        found.append(moment)
    assert found == sorted(set(found))
    shown = [each.astimezone(zone) for each in found]
    for local in shown:
        assert not on or DAYS[local.weekday()] in on
        assert not any(p.from_ <= local.date() <= p.until for p in paused if not p.kinds)
    # Never twice by one clock; what a clock skips comes when the gap ends.
    assert len({(each.date(), f"{each:%H:%M}") for each in shown}) == len(shown)
    assert all(f"{each:%H:%M}" in at for each in shown if is_even(zone, each))


@pytest.mark.parametrize(
    ("clock", "after", "comes"),
    [
        # 02:30 is skipped on 28 March 2027: it comes when the gap ends, and once.
        (("02:30",), datetime(2027, 3, 28, tzinfo=UTC), [(28, 1, 0), (29, 0, 30)]),
        (("02:15", "02:45"), datetime(2027, 3, 28, tzinfo=UTC), [(28, 1, 0), (29, 0, 15)]),
    ],
)
def test_a_clock_that_is_put_forward(clock, after, comes):
    rhythm = Rhythm(Preferences(digest=Digest(at=clock)), AMSTERDAM)
    at = after
    for day, hour, minute in comes:
        at = rhythm.next_digest(at)
        assert at == datetime(2027, 3, day, hour, minute, tzinfo=UTC)


def test_a_clock_that_is_put_back():
    rhythm = Rhythm(Preferences(digest=Digest(at=("02:30",))), AMSTERDAM)
    first = rhythm.next_digest(datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert rhythm.next_digest(first) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_a_digest_that_would_never_come_is_none():
    for_ever = Pause(from_=date(2020, 1, 1), until=date(9999, 12, 31))
    rhythm = Rhythm(Preferences(digest=Digest(at=("09:00",)), pauses=(for_ever,)), AMSTERDAM)
    at = datetime(2026, 11, 23, tzinfo=UTC)
    assert rhythm.next_digest(at) is None
    assert rhythm.silent_until(at) is not None
    assert rhythm.is_paused_for(at, Kind.OFFER, frozenset())
    assert not rhythm.is_paused_for(at, Kind.SERVICE, frozenset())
