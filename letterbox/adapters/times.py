"""Times as the stores keep them: whole microseconds in UTC, exact both ways."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: From the first moment that Python knows to 1970: no moment's number is below zero then.
_BEFORE = (_EPOCH - datetime.min.replace(tzinfo=UTC)) // _MICROSECOND


def stored(at: datetime) -> int:
    """The number for a moment, since 1970. Raises TypeError for a naive one."""
    return (at - _EPOCH) // _MICROSECOND


def restored(number: int) -> datetime:
    """The moment for a number, in UTC."""
    return _EPOCH + number * _MICROSECOND


def sortable(at: datetime) -> bytes:
    """Twenty digits for a moment, in whose order as octets moments follow each other."""
    return b"%020d" % (stored(at) + _BEFORE)


def from_sortable(digits: bytes) -> datetime:
    """The moment for twenty digits, in UTC."""
    return restored(int(digits) - _BEFORE)
