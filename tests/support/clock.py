"""A clock that moves when told to."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Starts on a Monday in November 2026, at noon UTC."""

    def __init__(self, at: datetime = datetime(2026, 11, 23, 12, tzinfo=UTC)) -> None:
        self.at = at
        self.ticks = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.ticks

    def advance(self, **by: float) -> None:
        step = timedelta(**by)
        self.at += step
        self.ticks += step.total_seconds()
