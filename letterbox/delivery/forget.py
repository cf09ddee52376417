"""Forgetting: bodies nobody holds on to, decisions and feedback past their time."""

from datetime import datetime, timedelta

from letterbox.model.told import Event
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Commit,
    Delete,
    Schedule,
    Store,
    Trim,
)
from letterbox.records import places
from letterbox.records.coding import decode
from letterbox.records.consumers import Consumers
from letterbox.records.ledger import forget_commit
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.names import first_id
from letterbox.records.vendors import Vendors
from letterbox.records.webhooks import WebhookRecords

SWEEP = "sweep"
_DAILY = timedelta(days=1)
_BATCH = 500


class Forgetting:
    """Keeps to the retention of the configuration."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        consumers: Consumers,
        vendors: Vendors,
        mailboxes: Mailboxes,
        webhooks: WebhookRecords,
        refused: timedelta,
        decisions: timedelta,
        feedback: timedelta,
    ) -> None:
        self._store = store
        self._clock = clock
        self._consumers = consumers
        self._vendors = vendors
        self._mailboxes = mailboxes
        self._webhooks = webhooks
        self._refused = refused
        self._decisions = decisions
        self._feedback = feedback

    async def collect(self, message: str) -> None:
        """Forget a message and its body, unless somebody has it in an inbox or held."""
        record = await self._mailboxes.message(message)
        commit = forget_commit(message)
        if record is not None and any(
            [await self._has(consumer, decision) for consumer, _, decision, _ in record.recipients]
        ):
            again = Schedule(key=places.COLLECT, at=self._clock.now() + self._refused)
            commit = Commit(partition=places.message(message), operations=(again,))
        await self._store.commit(commit)

    async def _has(self, consumer: str, decision: str) -> bool:
        if await self._mailboxes.held_entry(consumer, decision):
            return True
        if await self._mailboxes.entry(consumer, decision):
            return True
        kept = await self._store.get(places.consumer(consumer), places.kept(decision))
        return kept is not None and (
            await self._mailboxes.entry(consumer, kept.value.decode()) is not None
        )

    async def sweep(self) -> None:
        """Once a day: decisions, activity and feed entries past their time."""
        now = self._clock.now()
        for consumer in await self._consumers.all():
            for prefix in (places.DECISION, places.ACTIVITY):
                await self._sweep_by_time(consumer, prefix, now - self._decisions)
        for vendor in await self._vendors.all():
            await self._sweep_feed(vendor, now - self._feedback)
            await self._webhooks.sweep(vendor, now - self._feedback)
        again = Schedule(key=SWEEP, at=now + _DAILY)
        await self._store.commit(Commit(partition=places.DIRECTORY, operations=(again,)))

    async def _sweep_by_time(self, consumer: str, prefix: str, before: datetime) -> None:
        """Forget documents whose ids sort by time."""
        partition = places.consumer(consumer)
        end = prefix + first_id(before)
        while True:
            page = await self._store.documents(partition, prefix, limit=_BATCH)
            old = [Delete(key=document.key) for document in page if document.key < end]
            if not old:
                return
            await self._store.commit(Commit(partition=partition, operations=tuple(old)))

    async def _sweep_feed(self, vendor: str, before: datetime) -> None:
        partition = places.vendor(vendor)
        after = 0
        while True:
            page = await self._store.log(partition, places.FEED, after=after, limit=_BATCH)
            old = [entry.sequence for entry in page if decode(entry.value, Event).at < before]
            if not old:
                return
            after = old[-1]
            # Page by page: however long a feed is, nobody waits for more than one of them.
            trim = Trim(log=places.FEED, through=after)
            await self._store.commit(Commit(partition=partition, operations=(trim,)))
            if len(old) < _BATCH:
                return
