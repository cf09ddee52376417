"""Carrying feedback from consumers' commits to vendors' feeds: in order, once."""

from datetime import timedelta

import msgspec
import structlog

from letterbox.metrics import Metrics
from letterbox.ports.clock import Clock
from letterbox.ports.store import Append, Claim, Commit, OutboxEntry, Put, Settle, Store
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.feed import Owed

_BATCH = 200
#: Longer than any outbox entry can live: an event that was carried is not carried again.
_REMEMBERED = timedelta(days=30)

log = structlog.get_logger("letterbox.delivery")


class Relay:
    """Empties the outbox. Killed at any step, it goes on with the same event ids."""

    def __init__(self, *, store: Store, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics

    async def run(self) -> int:
        """Carry what lies in the outbox now; return how much that was."""
        entries = await self._store.outbox(limit=_BATCH)
        if entries:
            # The feed before the outbox, entry by entry: what is settled has arrived.
            commits = [commit for entry in entries for commit in self._commits(entry)]
            await self._store.commit(*commits)
            self._metrics.relayed.inc(len(entries))
        return len(entries)

    def _commits(self, entry: OutboxEntry) -> tuple[Commit, ...]:
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
            return (Commit(partition=entry.partition, operations=(settle, aside)),)
        name = f"event/{owed.event.id}"
        feed = Commit(
            partition=places.vendor(owed.vendor),
            operations=(
                Claim(name=name, value=b"", expires=self._clock.now() + _REMEMBERED),
                Append(log=places.FEED, value=encode(owed.event)),
            ),
        )
        return feed, Commit(partition=entry.partition, operations=(settle,))
