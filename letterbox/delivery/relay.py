"""Carrying feedback from consumers' commits to vendors' feeds: in order, once."""

from datetime import timedelta
from typing import NamedTuple

import msgspec
import structlog

from letterbox.metrics import Metrics
from letterbox.ports.clock import Clock
from letterbox.ports.store import Append, Claim, Commit, Done, OutboxEntry, Put, Settle, Store
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.feed import Owed
from letterbox.records.webhooks import Listed, WebhookRecords

_BATCH = 200
#: Longer than any outbox entry can live: an event that was carried is not carried again.
_REMEMBERED = timedelta(days=30)

log = structlog.get_logger("letterbox.delivery")


class _Carried(NamedTuple):
    """An entry of the outbox, and the commits that carry it; ``vendor`` is empty for none."""

    entry: OutboxEntry
    commits: tuple[Commit, ...]
    vendor: str = ""


class Relay:
    """Empties the outbox. Killed at any step, it goes on with the same event ids.

    It is the one way into a feed: whoever is to be told of an event is woken in its commit.
    """

    def __init__(
        self, *, store: Store, clock: Clock, metrics: Metrics, webhooks: WebhookRecords
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._webhooks = webhooks

    async def run(self) -> int:
        """Carry what lies in the outbox now; return how much that was."""
        entries = await self._store.outbox(limit=_BATCH)
        if not entries:
            return 0
        listed: dict[str, Listed] = {}
        carried = [await self._carried(entry, listed) for entry in entries]
        # The feed before the outbox, entry by entry: what is settled has arrived.
        commits = [commit for each in carried for commit in each.commits]
        results = iter(await self._store.commit(*commits))
        there = []
        for each in carried:
            result, *_ = [next(results) for _ in each.commits]
            if isinstance(result, Done):
                self._metrics.relayed.inc()
            elif isinstance(result.operation, Claim):
                there.append(Commit(each.entry.partition, (Settle(sequence=each.entry.sequence),)))
            else:
                # An endpoint has come or gone: all of this vendor's stay, in order, and come again.
                self._webhooks.forget(each.vendor)
        if there:
            await self._store.commit(*there)
        return len(entries)

    async def _carried(self, entry: OutboxEntry, listed: dict[str, Listed]) -> _Carried:
        settle = Settle(sequence=entry.sequence)
        try:
            owed = decode(entry.value, Owed)
        except msgspec.DecodeError as error:
            # What cannot be read must not keep the others waiting, nor be lost.
            log.error(  # noqa: TRY400 - a trace would show what we wrote, not who wrote it so
                "outbox-entry-broken",
                partition=entry.partition,
                key=places.broken(entry.sequence),
                error=str(error),
            )
            aside = Put(key=places.broken(entry.sequence), value=entry.value)
            return _Carried(entry, (Commit(partition=entry.partition, operations=(settle, aside)),))
        # Once a vendor: what is left out for an old list is left out together.
        if owed.vendor not in listed:
            listed[owed.vendor] = await self._webhooks.listed(owed.vendor)
        now = self._clock.now()
        feed = Commit(
            partition=places.vendor(owed.vendor),
            operations=(
                Claim(name=f"event/{owed.event.id}", value=b"", expires=now + _REMEMBERED),
                *listed[owed.vendor].waking((owed.event.type,), now),
                Append(log=places.FEED, value=encode(owed.event)),
            ),
        )
        settled = Commit(partition=entry.partition, operations=(settle,), with_previous=True)
        return _Carried(entry, (feed, settled), owed.vendor)
