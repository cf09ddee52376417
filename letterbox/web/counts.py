"""How many wait and how many were refused: the numbers beside the navigation."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from letterbox.model.verdict import Refuse, Verdict
from letterbox.ports.store import Store
from letterbox.records import places
from letterbox.records.cache import Recent
from letterbox.records.coding import decode
from letterbox.records.names import first_id

#: Days within which refusals are counted, and shown unless told otherwise.
DAYS: Final = 30
_REMEMBERED: Final = 1000
_PAGE: Final = 500
#: A decision may be written down so long after its id was made.
_LATE: Final = timedelta(minutes=2)


class Counts(msgspec.Struct, frozen=True):
    """``waiting`` for an answer or a time; ``refused`` of late and not let in since.

    ``came`` since the consumer only watches, of late, and ``would`` of them have been stopped.
    """

    waiting: int = 0
    refused: int = 0
    came: int = 0
    would: int = 0


class _Known(NamedTuple):
    """The ids of decisions: refusals; what came, and what of it would have been stopped."""

    refused: frozenset[str] = frozenset()
    came: frozenset[str] = frozenset()
    would: frozenset[str] = frozenset()

    def since(self, oldest: str, watching: str) -> "_Known":
        """Without what is too old to count."""
        return _Known(
            frozenset(name for name in self.refused if name >= oldest),
            frozenset(name for name in self.came if name >= watching),
            frozenset(name for name in self.would if name >= watching),
        )


class _Brief(msgspec.Struct, frozen=True):
    """What is read of a decision to count it."""

    id: str
    at: datetime
    verdict: Verdict
    follows: str | None = None
    followed_by: str | None = None
    would: Verdict | None = None


class Counting:
    """Counts, reading no decision again and again: those that were seen are remembered.

    Another process may let a message in: that is a decision, too, and is read as such.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: Recent[str, tuple[str, _Known]] = Recent(_REMEMBERED)

    async def of(self, consumer: str, now: datetime, watching: datetime | None = None) -> Counts:
        """The counts of one consumer; ``watching``: since when they only watch, if they do."""
        partition = places.consumer(consumer)
        waiting = await self._store.counters(partition, [places.WAITING])
        known = await self._known(consumer, now, watching)
        return Counts(
            waiting[places.WAITING], len(known.refused), len(known.came), len(known.would)
        )

    async def _known(self, consumer: str, now: datetime, watching: datetime | None) -> _Known:
        oldest = first_id(now - timedelta(days=DAYS))
        # Whoever filters has nobody count what came.
        since = max(oldest, first_id(watching)) if watching else first_id(now + timedelta(days=1))
        start, before = self._seen.get(consumer) or (oldest, _Known())
        known = before.since(oldest, since)
        refused, came, would = set(known.refused), set(known.came), set(known.would)
        after = places.DECISION + max(start, oldest)
        while True:
            page = await self._store.documents(
                places.consumer(consumer), places.DECISION, after=after, limit=_PAGE
            )
            for document in page:
                row = decode(document.value, _Brief)
                if row.follows is not None:
                    refused.discard(row.follows)
                if isinstance(row.verdict, Refuse) and row.followed_by is None:
                    refused.add(row.id)
                if row.id >= since:
                    came.add(row.id)
                    if row.would is not None:
                        would.add(row.id)
            if len(page) < _PAGE:
                break
            after = page[-1].key
        known = _Known(frozenset(refused), frozenset(came), frozenset(would))
        self._seen.put(consumer, (first_id(now - _LATE), known))
        return known
