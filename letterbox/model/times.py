"""The ends of the calendar: how far days and instants are counted.

People write 9999-12-31 for "for ever". Two days and some before the last one that Python has,
what is added to a day, and the offset of any zone, still leads to a day.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

FIRST_DAY: Final = date.min + timedelta(days=3)
LAST_DAY: Final = date.max - timedelta(days=3)

_FIRST: Final = datetime.combine(FIRST_DAY, time(), tzinfo=UTC)
_LAST: Final = datetime.combine(LAST_DAY, time(), tzinfo=UTC)


def counted(at: datetime) -> datetime:
    """An aware instant, or where it lies beyond what is counted, the nearest within."""
    return min(max(at, _FIRST), _LAST)


def days_after(day: date, days: int) -> date:
    """The day so many (0 or more) after another; the last one, where it would lie beyond."""
    return day + timedelta(days=days) if (LAST_DAY - day).days >= days else LAST_DAY


def later(at: datetime, by: timedelta) -> datetime:
    """An instant ``by`` (0 or more) after another, both aware; the last, where that is beyond."""
    return at + by if _LAST - at >= by else max(at, _LAST)
