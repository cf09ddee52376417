"""The time of day."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Two clocks: the wall's, which may jump, and one that never goes back."""

    def now(self) -> datetime:
        """The wall clock: aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from some fixed point; never goes back."""
        ...
