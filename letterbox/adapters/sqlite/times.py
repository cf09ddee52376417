"""Times as the store keeps them: whole microseconds since 1970 in UTC, exact both ways."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def stored(at: datetime) -> int:
    """The number for a moment. Raises TypeError for a naive one."""
    return (at - _EPOCH) // _MICROSECOND


def restored(number: int) -> datetime:
    """The moment for a number, in UTC."""
    return _EPOCH + number * _MICROSECOND
