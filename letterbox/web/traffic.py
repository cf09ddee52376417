"""What each company sent, and to which address: counted from the decisions."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from letterbox.model.verdict import Deliver, Hold, Refuse, Verdict
from letterbox.ports.store import Store
from letterbox.records import places
from letterbox.records.cache import Recent
from letterbox.records.coding import decode
from letterbox.records.names import first_id
from letterbox.web.counts import DAYS

#: Days after which a company is silent.
SILENT: Final = 183
_REMEMBERED: Final = 200
_PAGE: Final = 500
#: A decision may be written down so long after its id was made.
_LATE: Final = timedelta(minutes=2)


class Behaviour(NamedTuple):
    """What a company did: counts of :data:`DAYS` days, but for what waits, and the last message.

    ``refusal`` is the decision of its last refusal in these days, if any.
    """

    delivered: int = 0
    waiting: int = 0
    refused: int = 0
    last: datetime | None = None
    refusal: str = ""

    @property
    def messages(self) -> int:
        """All of them."""
        return self.delivered + self.waiting + self.refused


class Use(NamedTuple):
    """A company that wrote to an address within :data:`SILENT` days, and when last."""

    vendor: str
    name: str
    last: datetime


class Traffic(NamedTuple):
    """Behaviour by the vendor's id; who used an address, by the address."""

    behaviour: Mapping[str, Behaviour]
    uses: Mapping[str, list[Use]]

    def of(self, vendor: str) -> Behaviour:
        """The behaviour of one, who may never have written."""
        return self.behaviour.get(vendor, Behaviour())


class _Who(msgspec.Struct, frozen=True):
    id: str
    name: str


class _Brief(msgspec.Struct, frozen=True):
    """What is read of a decision."""

    id: str
    at: datetime
    vendor: _Who
    recipient: str
    verdict: Verdict
    follows: str | None = None
    followed_by: str | None = None


class _Seen(NamedTuple):
    """All that was read before ``start``. What is open has not been followed by a delivery."""

    start: str
    delivered: dict[tuple[str, int], int]
    open: dict[str, tuple[str, bool]]
    last: dict[str, datetime]
    uses: dict[tuple[str, str], Use]

    def copy(self, start: str) -> "_Seen":
        """The same, to be gone on with."""
        return _Seen(start, *(dict(each) for each in self[1:]))  # type: ignore[arg-type]

    def take(self, row: _Brief) -> None:
        """One decision more, later than those before it."""
        vendor = row.vendor.id
        if row.follows is not None:
            self.open.pop(row.follows, None)
        self.last[vendor] = row.at
        address = row.recipient.lower()
        self.uses[address, vendor] = Use(vendor, row.vendor.name or vendor, row.at)
        match row.verdict:
            case Deliver():
                key = vendor, row.at.toordinal()
                self.delivered[key] = self.delivered.get(key, 0) + 1
            case (Refuse() | Hold()) as verdict if row.followed_by is None:
                self.open[row.id] = vendor, isinstance(verdict, Refuse)
            case _:
                pass


class Watching:
    """Traffic, reading no decision again and again: what was counted is remembered."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: Recent[str, _Seen] = Recent(_REMEMBERED)

    async def of(self, consumer: str, now: datetime) -> Traffic:
        """The traffic of one consumer."""
        settled = first_id(now - _LATE)
        before = self._seen.get(consumer)
        seen = (before or _Seen(first_id(now - timedelta(days=SILENT)), {}, {}, {}, {})).copy("")
        kept: _Seen | None = None
        async for row in self._rows(consumer, before.start if before else _oldest(now)):
            if kept is None and row.id >= settled:
                kept = seen.copy(settled)
            seen.take(row)
        current = _pruned(seen, now)
        kept = current._replace(start=settled) if kept is None else _pruned(kept, now)
        self._seen.put(consumer, kept)
        return _summed(current)

    async def _rows(self, consumer: str, start: str) -> AsyncIterator[_Brief]:
        after = places.DECISION + start
        while True:
            page = await self._store.documents(
                places.consumer(consumer), places.DECISION, after=after, limit=_PAGE
            )
            for document in page:
                yield decode(document.value, _Brief)
            if len(page) < _PAGE:
                return
            after = page[-1].key


def _oldest(now: datetime) -> str:
    return first_id(now - timedelta(days=SILENT))


def _pruned(seen: _Seen, now: datetime) -> _Seen:
    """Without what counts no more."""
    month = first_id(now - timedelta(days=DAYS))
    day, since = now.toordinal() - DAYS, now - timedelta(days=SILENT)
    return _Seen(
        seen.start,
        {key: count for key, count in seen.delivered.items() if key[1] >= day},
        {name: each for name, each in seen.open.items() if not each[1] or name >= month},
        {vendor: at for vendor, at in seen.last.items() if at >= since},
        {key: use for key, use in seen.uses.items() if use.last >= since},
    )


def _summed(seen: _Seen) -> Traffic:
    delivered: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    refusals: dict[str, str] = {}
    for (vendor, _), count in seen.delivered.items():
        delivered[vendor] += count
    for name, (vendor, is_refusal) in seen.open.items():
        if is_refusal:
            refused[vendor] += 1
            refusals[vendor] = max(refusals.get(vendor, ""), name)
        else:
            waiting[vendor] += 1
    behaviour = {
        vendor: Behaviour(
            delivered[vendor], waiting[vendor], refused[vendor], at, refusals.get(vendor, "")
        )
        for vendor, at in seen.last.items()
    }
    uses: dict[str, list[Use]] = {}
    for (address, _), use in seen.uses.items():
        uses.setdefault(address, []).append(use)
    return Traffic(behaviour, uses)
