"""When something that others did not take is offered again (RFC 5321, section 4.5.4.1)."""

from datetime import timedelta
from typing import Final

_PAUSES: Final = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60, 120, 240))


def pause(attempts: int) -> timedelta:
    """How long to wait after so many attempts (from 1): soon again at first, then ever longer."""
    return _PAUSES[min(attempts, len(_PAUSES)) - 1]
