"""How many wait and how many were refused: the numbers beside the navigation."""

from datetime import datetime, timedelta
from typing import Final

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
    """``waiting`` for an answer or a time; ``refused`` of late and not let in since."""

    waiting: int = 0
    refused: int = 0


class _Brief(msgspec.Struct, frozen=True):
    """What is read of a decision to count it."""

    id: str
    at: datetime
    verdict: Verdict
    follows: str | None = None
    followed_by: str | None = None


class Counting:
    """Counts, reading no decision again and again: those that were seen are remembered.

    Another process may let a message in: that is a decision, too, and is read as such.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: Recent[str, tuple[str, frozenset[str]]] = Recent(_REMEMBERED)

    async def of(self, consumer: str, now: datetime) -> Counts:
        """The counts of one consumer."""
        partition = places.consumer(consumer)
        waiting = await self._store.counters(partition, [places.WAITING])
        return Counts(waiting[places.WAITING], len(await self._refused(consumer, now)))

    async def _refused(self, consumer: str, now: datetime) -> frozenset[str]:
        oldest = first_id(now - timedelta(days=DAYS))
        start, before = self._seen.get(consumer) or (oldest, frozenset[str]())
        refused = {name for name in before if name >= oldest}
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
            if len(page) < _PAGE:
                break
            after = page[-1].key
        self._seen.put(consumer, (first_id(now - _LATE), frozenset(refused)))
        return frozenset(refused)
