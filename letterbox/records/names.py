"""New names: opaque, random, never reused."""

import secrets
import string
from datetime import datetime

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_ALPHANUMERIC = string.digits + string.ascii_uppercase + string.ascii_lowercase
_REFERENCE_LENGTH = 22  # 62 ** 22 > 2 ** 128


def _in_base(number: int, digits: str, length: int) -> str:
    out = []
    for _ in range(length):
        number, rest = divmod(number, len(digits))
        out.append(digits[rest])
    return "".join(reversed(out))


def new_id(now: datetime) -> str:
    """An id that sorts by time: 48 bits of milliseconds, 80 random bits, 26 characters."""
    moment = int(now.timestamp() * 1000) & (1 << 48) - 1
    return _in_base(moment << 80 | secrets.randbits(80), _CROCKFORD, 26)


def first_id(at: datetime) -> str:
    """The least id of a moment: those of earlier moments sort before it."""
    return _in_base((int(at.timestamp() * 1000) & (1 << 48) - 1) << 80, _CROCKFORD, 26)


def new_reference() -> str:
    """A reference told to senders: 128 random bits as 22 letters and digits; tells nothing."""
    return _in_base(secrets.randbits(128), _ALPHANUMERIC, _REFERENCE_LENGTH)


def new_secret() -> str:
    """A secret of 192 random bits as letters and digits."""
    return _in_base(secrets.randbits(192), _ALPHANUMERIC, 33)
