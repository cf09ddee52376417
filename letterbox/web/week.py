"""A week of whole hours, and the windows that it is made of.

An hour is written ``sat-09``: the day it begins on, and from 09:00 until 10:00.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final, Literal

from letterbox.model.kind import RULED_KINDS, Kind
from letterbox.model.preferences import Day, Window
from letterbox.web.phrases import DAYS

_HOURS: Final = 24
_WEEK: Final = 7 * _HOURS

#: The kinds that a week is shown for; none stands for all but service mail.
LAYERS: Final[dict[str, tuple[Kind, ...]]] = {
    "": (),
    **{kind.value: (kind,) for kind in Kind if kind in RULED_KINDS},
}


def is_painted(window: Window, kinds: tuple[Kind, ...]) -> bool:
    """Whether a window is of those that a week shows: whole hours, of these kinds, of anybody."""
    return (
        not window.vendors
        and window.kinds == kinds
        and window.from_.endswith(":00")
        and window.until.endswith(":00")
    )


def cells(windows: Iterable[Window]) -> frozenset[str]:
    """The hours that are wholly or partly in some windows."""
    found: set[str] = set()
    for window in windows:
        start, end = _minutes(window.from_), _minutes(window.until)
        end = end if end > start else end + _HOURS * 60
        for day in window.days or DAYS:
            first = DAYS.index(day) * _HOURS
            hours = range(first + start // 60, first + (end + 59) // 60)
            found.update(_name(hour % _WEEK) for hour in hours)
    return frozenset(found)


def windows(
    painted: Collection[str],
    kinds: tuple[Kind, ...],
    outside: Literal["hold", "refuse"],
) -> list[Window]:
    """The fewest windows that are open in these hours, in the order of the week.

    What goes on past midnight, for less than a day, is one window of the day it begins on.
    """
    on = {hour for hour in range(_WEEK) if _name(hour) in painted}
    days: dict[tuple[str, str], list[Day]] = {}
    for start, length in _pieces(on):
        until = start % _HOURS + length
        clock = "24:00" if until == _HOURS else f"{until % _HOURS:02}:00"
        days.setdefault((f"{start % _HOURS:02}:00", clock), []).append(DAYS[start // _HOURS])
    return [
        Window(
            from_=start,
            until=end,
            days=() if len(of) == len(DAYS) else tuple(sorted(of, key=DAYS.index)),
            kinds=kinds,
            outside=outside,
        )
        for (start, end), of in days.items()
    ]


def _pieces(on: set[int]) -> Iterator[tuple[int, int]]:
    """Stretches as windows can have them: where each begins in the week, and its hours."""
    for start, length in sorted(_runs(on)):
        if length < _HOURS:
            yield start, length
            continue
        # A window has a day at most, so that longer ones end at each midnight.
        at, end = start, start + length
        while at < end:
            stop = min(end, (at // _HOURS + 1) * _HOURS)
            yield at % _WEEK, stop - at
            at = stop


def _runs(on: set[int]) -> Iterator[tuple[int, int]]:
    """Hours that follow one another, round the week; a whole week begins on Monday."""
    if len(on) == _WEEK:
        yield 0, _WEEK
        return
    for hour in on:
        if (hour - 1) % _WEEK not in on:
            length = 1
            while (hour + length) % _WEEK in on:
                length += 1
            yield hour, length


def _name(hour: int) -> str:
    return f"{DAYS[hour // _HOURS]}-{hour % _HOURS:02}"


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])
