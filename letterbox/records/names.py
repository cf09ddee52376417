"""New names: opaque, random, never reused."""

import os
import secrets
import string
from datetime import datetime

_ALPHANUMERIC = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH = 33  # 62 ** 33 > 2 ** 192


def new_id(now: datetime) -> str:
    """An id that sorts by time: 48 bits of milliseconds and 80 random ones, in hexadecimal."""
    return f"{_moment(now)}{os.urandom(10).hex()}"


def nth_id(base: str, number: int) -> str:
    """An id beside ``base`` of the same moment, the same each time; numbers from 1 to 65535."""
    return f"{int(base, 16) ^ number:032x}"


def first_id(at: datetime) -> str:
    """The least id of a moment: those of earlier moments sort before it."""
    return f"{_moment(at)}{0:020x}"


def _moment(at: datetime) -> str:
    return f"{int(at.timestamp() * 1000):012x}"


def new_reference() -> str:
    """A reference told to senders: 128 random bits in hexadecimal; tells nothing."""
    return os.urandom(16).hex()


def new_secret() -> str:
    """A secret of more than 192 random bits as letters and digits."""
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(_SECRET_LENGTH))
