"""Counts that were read, remembered until a commit changes them.

After a commit of another connection a reader has to fetch its pages anew, so that a look-up then
takes ten times as long; and every message has the same few counts looked up, which few change.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from letterbox.ports.store import Add, Commit, Uncount

#: Partitions that are remembered, and names that are asked for at once: more is a report.
_MOST: Final = 4096
_AT_ONCE: Final = 8
#: Names of one partition that are remembered, about.
_MOST_OF_ONE: Final = 64
_COUNTING: Final = frozenset({Add, Uncount})


class Count(NamedTuple):
    """A counter as it stands in its row. ``expires`` in microseconds since 1970."""

    value: int
    expires: int


#: That there is no row, as long as nobody makes one.
ABSENT: Final = Count(0, sys.maxsize)


class Counts:
    """What is known of counters. It belongs to the event loop, and so does every change."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Count]] = {}

    def find(self, partition: str, names: Sequence[str], now: int) -> dict[str, int] | None:
        """The counts of these names, 0 for what is absent or expired; None unless all are known."""
        known = self._known.get(partition)
        if known is None:
            return None
        try:
            return {
                name: each.value if (each := known[name]).expires > now else 0 for name in names
            }
        except KeyError:
            return None

    def learn(self, partition: str, rows: Mapping[str, Count]) -> None:
        """Remember what has just been read."""
        if len(rows) > _AT_ONCE:
            return
        known = self._known.get(partition)
        if known is None:
            if len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            known = self._known[partition] = {}
        elif len(known) > _MOST_OF_ONE:
            known.clear()  # each day has names of its own
        known.update(rows)

    def change(self, commit: Commit) -> None:
        """Forget what a commit, now durable, has changed."""
        known = self._known.get(commit.partition)
        # Most commits of a partition that has counts change none of them.
        if not known or _COUNTING.isdisjoint(map(type, commit.operations)):
            return
        for operation in commit.operations:
            if isinstance(operation, Add | Uncount):
                known.pop(operation.counter, None)

    def clear(self) -> None:
        """Forget everything: nobody knows what has been written."""
        self._known.clear()
