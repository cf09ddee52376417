"""Carrying feedback from consumers' commits to vendors' feeds: in order, once."""

from datetime import timedelta

from letterbox.metrics import Metrics
from letterbox.ports.clock import Clock
from letterbox.ports.store import Append, Claim, Commit, OutboxEntry, Settle, Store
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.feed import Owed

_BATCH = 200
#: Longer than any outbox entry can live: an event that was carried is not carried again.
_REMEMBERED = timedelta(days=30)


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

    def _commits(self, entry: OutboxEntry) -> tuple[Commit, Commit]:
        owed = decode(entry.value, Owed)
        name = f"event/{owed.event.id}"
        feed = Commit(
            partition=places.vendor(owed.vendor),
            operations=(
                Claim(name=name, value=b"", expires=self._clock.now() + _REMEMBERED),
                Append(log=places.FEED, value=encode(owed.event)),
            ),
        )
        settle = Commit(partition=entry.partition, operations=(Settle(sequence=entry.sequence),))
        return feed, settle
