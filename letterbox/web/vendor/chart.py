"""Days as stacked bars: drawn from the numbers of the table behind it, and from nothing else."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from letterbox.model.told import ToldVerdict
from letterbox.records.tallies import TallyCount

#: From the bottom up.
SERIES: Final[tuple[ToldVerdict, ...]] = ("deliver", "hold", "refuse", "accepted")
WIDTH: Final = 720
HEIGHT: Final = 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 8, 24, 40
_MOST_BARS: Final = 31
_WEEK: Final = 7
_GAP: Final = 0.2  # of a bar's place
_LABELS: Final = 6
_STEPS: Final = (1, 2, 5)


class Bar(NamedTuple):
    """One day, or one week from its first day on, and how many of each."""

    first: date
    last: date
    counts: Mapping[ToldVerdict, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


class Piece(NamedTuple):
    """One colour of one bar."""

    series: ToldVerdict
    x: float
    y: float
    width: float
    height: float


class Tick(NamedTuple):
    """A line of the scale."""

    y: float
    value: int


class Label(NamedTuple):
    """A day under a bar."""

    x: float
    day: date


class Chart(NamedTuple):
    """Everything that is drawn, in the units of a picture of :data:`WIDTH` by :data:`HEIGHT`."""

    bars: Sequence[Bar]
    pieces: Sequence[Piece]
    ticks: Sequence[Tick]
    labels: Sequence[Label]
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    base: int = HEIGHT - _BOTTOM


def bars(counts: Sequence[TallyCount], first: date, last: date) -> list[Bar]:
    """The answers of every day from one to another; of weeks, where the days are too many."""
    days = (last - first).days + 1
    step = 1 if days <= _MOST_BARS else _WEEK
    sums: list[dict[ToldVerdict, int]] = [dict.fromkeys(SERIES, 0) for _ in range(-(-days // step))]
    for each in counts:
        if each.of == "answer" and each.verdict in SERIES:
            sums[(each.day - first).days // step][each.verdict] += each.count
    return [
        Bar(
            first + timedelta(days=nth * step),
            min(first + timedelta(days=nth * step + step - 1), last),
            each,
        )
        for nth, each in enumerate(sums)
    ]


def draw(rows: Sequence[Bar]) -> Chart:
    """A chart of bars."""
    scale = _scale(max((row.total for row in rows), default=0))
    high = scale[-1]
    room = HEIGHT - _TOP - _BOTTOM
    place = (WIDTH - _LEFT - _RIGHT) / max(len(rows), 1)
    pieces = []
    for nth, row in enumerate(rows):
        below = 0
        for series in SERIES:
            count = row.counts[series]
            if count:
                top = HEIGHT - _BOTTOM - (below + count) * room / high
                x = _LEFT + (nth + _GAP / 2) * place
                wide, tall = place * (1 - _GAP), count * room / high
                pieces.append(Piece(series, *(round(n, 1) for n in (x, top, wide, tall))))
            below += count
    every = -(-len(rows) // _LABELS)
    labels = [
        Label(round(_LEFT + (nth + 0.5) * place, 1), row.first)
        for nth, row in enumerate(rows)
        if nth % every == 0
    ]
    ticks = [Tick(round(HEIGHT - _BOTTOM - each * room / high, 1), each) for each in scale]
    return Chart(rows, pieces, ticks, labels)


def _scale(most: int) -> list[int]:
    """Round numbers from 0 to where the highest bar ends, or a little above."""
    unit = 1
    while True:
        for step in _STEPS:
            if step * unit * 4 >= most:
                return [step * unit * nth for nth in range(5)]
        unit *= 10
