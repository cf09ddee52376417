"""When a consumer wants to hear from us: at which times a digest comes, and when no notice does.

- A digest's time that a clock skips stands for the moment the gap ends, and of one that comes
  twice the first counts: it is one digest either way.
- A pause that names neither kinds nor vendors silences everything on its days. One that names
  some silences what it speaks of.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from letterbox.model.kind import RULED_KINDS, Kind
from letterbox.model.preferences import Day, Pause, Preferences, Quiet
from letterbox.model.times import FIRST_DAY, LAST_DAY, days_after
from letterbox.wishes.calendar import HORIZON, minutes
from letterbox.wishes.names import name_of
from letterbox.wishes.walltime import Stretch, WallTime

_DAY: Final = timedelta(days=1)
_DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Rhythm:
    """The times of one consumer's own mail. Instants are aware, those given in UTC."""

    def __init__(self, preferences: Preferences, zone: tzinfo) -> None:
        self._wall = WallTime(zone)
        self._digest = preferences.digest
        self._quiet = preferences.notify.quiet if preferences.notify else ()
        self._pauses = preferences.pauses

    def next_digest(self, after: datetime) -> datetime | None:
        """The first time for a digest after an instant; None where there is none for a year."""
        digest = self._digest
        if digest is None:
            return None
        day = self._wall.local(after).date()
        last = days_after(day, HORIZON.days)
        clocks = sorted(timedelta(minutes=minutes(clock)) for clock in digest.at)
        while day < last:
            wanted = not digest.days or _DAYS[day.weekday()] in digest.days
            if wanted and not self._is_paused(day):
                for clock in clocks:
                    at = self._wall.instant(day, clock)
                    if at > after:
                        return at
            day += _DAY
        return None

    def is_paused(self, at: datetime) -> bool:
        """Whether an instant lies on a day of a pause that silences everything."""
        return self._is_paused(self._wall.local(at).date())

    def silent_until(self, at: datetime) -> datetime | None:
        """The end of the quiet time or pause that an instant lies in; None where it lies in none.

        What follows on without a gap counts as one silence, which is seen through for a year.
        """
        end, most = at, at + HORIZON
        while end < most:
            ends = [stop for start, stop in self._silences(end) if start <= end < stop]
            if not ends:
                break
            end = max(ends)
        return end if end > at else None

    def is_paused_for(self, at: datetime, kind: Kind, names: frozenset[str]) -> bool:
        """Whether a pause that is on at an instant speaks of such mail from such a sender.

        ``names`` are the folded names of the sender.
        """
        day = self._wall.local(at).date()
        return any(
            kind in (pause.kinds or RULED_KINDS)
            and (not pause.vendors or not names.isdisjoint(map(name_of, pause.vendors)))
            for pause in self._pauses
            if pause.from_ <= day <= pause.until
        )

    def _is_paused(self, day: date) -> bool:
        return any(p.from_ <= day <= p.until for p in self._pauses if _is_general(p))

    def _silences(self, at: datetime) -> Iterator[Stretch]:
        """The quiet times and pauses near an instant."""
        day = self._wall.local(at).date()
        for near in (day - _DAY, day, day + _DAY):
            spans = [_span(q) for q in self._quiet if not q.days or _DAYS[near.weekday()] in q.days]
            yield from self._wall.stretches(near, spans)
        for pause in self._pauses:
            if _is_general(pause) and pause.from_ <= day <= pause.until:
                start = self._wall.midnight(max(pause.from_, FIRST_DAY))
                yield start, self._wall.midnight(days_after(min(pause.until, LAST_DAY), 1))


def _is_general(pause: Pause) -> bool:
    """Whether a pause is of the consumer's, and not of some mail."""
    return not pause.kinds and not pause.vendors


def _span(quiet: Quiet) -> tuple[timedelta, timedelta]:
    start, end = minutes(quiet.from_), minutes(quiet.until)
    return timedelta(minutes=start), timedelta(minutes=end if end > start else end + 24 * 60)
