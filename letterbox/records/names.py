"""New names: opaque, random, never reused."""

import os
import secrets
import string
from datetime import datetime
from typing import Final

_ALPHANUMERIC = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH = 33  # 62 ** 33 > 2 ** 192


#: Random numbers drawn and not used yet, and how many are drawn at once: each message has three,
#: and to ask the system for one costs as much as for sixty-four.
_waiting: Final[list[str]] = []
_AT_ONCE: Final = 64
# Whoever splits off must not name things as its parent does.
os.register_at_fork(after_in_child=_waiting.clear)


def _drawn() -> str:
    """128 random bits in hexadecimal, of the system's generator, handed out once."""
    try:
        return _waiting.pop()
    except IndexError:
        drawn = os.urandom(16 * _AT_ONCE).hex()
        first, *others = (drawn[at : at + 32] for at in range(0, len(drawn), 32))
        _waiting.extend(others)
        return first


def new_id(now: datetime) -> str:
    """An id that sorts by time: 48 bits of milliseconds and 80 random ones, in hexadecimal."""
    return f"{_moment(now)}{_drawn()[:20]}"


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
    return _drawn()


def new_secret() -> str:
    """A secret of more than 192 random bits as letters and digits."""
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(_SECRET_LENGTH))
