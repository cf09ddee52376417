"""Carrying feedback from consumers' commits to vendors' feeds: in order, once."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
import structlog

from letterbox.metrics import Metrics
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Append,
    Claim,
    Commit,
    Operation,
    OutboxEntry,
    Put,
    Rejected,
    Schedule,
    Settle,
    Store,
    shard_of,
)
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.feed import Owed
from letterbox.records.webhooks import UNREADABLE, Listed, WebhookRecords

#: Entries that are carried in one transaction, the oldest first: some 400 operations, so that those
#: who have commits of their own do not wait long, however much one vendor is owed.
_BATCH = 128
#: Longer than any outbox entry can live: an event that was carried is not carried again.
_REMEMBERED = timedelta(days=30)

log = structlog.get_logger("letterbox.delivery")


class _Load(NamedTuple):
    """An entry of the outbox, and what it owes."""

    entry: OutboxEntry
    owed: Owed


class Relay:
    """Empties the outbox. Killed at any step, it goes on with the same event ids.

    It is the one way into a feed: whoever is to be told of an event is woken in its commit.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        webhooks: WebhookRecords,
        broken: timedelta,
    ) -> None:
        #: How long what could not be read lies aside.
        self._broken = broken
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._webhooks = webhooks
        #: Since when the first of the outbox has lain there, as it was last seen.
        self._oldest: datetime | None = None
        metrics.outbox_age.set_function(self._age)

    async def run(self) -> int:
        """Carry what lies in the outbox now; return how much that was."""
        entries = await self._store.outbox(limit=_BATCH)
        loads: list[_Load] = []
        broken: list[Commit] = []
        for entry in entries:
            try:
                loads.append(_Load(entry, decode(entry.value, Owed)))
            except msgspec.DecodeError as error:
                broken.append(self._aside(entry, error))
        self._oldest = loads[0].owed.at if loads else None
        if entries:
            await self._carry(loads, broken)
        return len(entries)

    async def _carry(self, loads: Sequence[_Load], broken: Sequence[Commit]) -> None:
        """Each vendor's in one commit; only where one of them was there already, one by one."""
        theirs: dict[str, list[_Load]] = {}
        for load in loads:
            theirs.setdefault(load.owed.vendor, []).append(load)
        listed = await self._listed(theirs)
        some_there = await self._try(theirs.values(), listed, broken)
        there = await self._try([[load] for group in some_there for load in group], listed)
        if there:
            await self._store.commit(*(_settle([group[0].entry]) for group in there))

    async def _listed(self, vendors: Iterable[str]) -> dict[str, Listed]:
        """The endpoints of vendors; those that cannot be read are woken for nothing."""
        listed = {}
        for vendor in vendors:
            try:
                listed[vendor] = await self._webhooks.listed(vendor)
            except msgspec.DecodeError as error:
                log.error("webhooks-broken", vendor=vendor, error=str(error))  # noqa: TRY400
                listed[vendor] = UNREADABLE
        return listed

    async def _try(
        self,
        groups: Iterable[list[_Load]],
        listed: dict[str, Listed],
        broken: Sequence[Commit] = (),
    ) -> list[list[_Load]]:
        """Carry groups, each of one vendor; return those of which one is in the feed already."""
        commits: list[Commit] = [*broken]
        begins: dict[int, list[_Load]] = {}
        for group in groups:
            begins[len(commits)] = group
            # The feed before the outbox: what is settled has arrived.
            commits += [self._to_feed(group, listed), *_settled(group)]
        results = await self._store.commit(*commits) if commits else ()
        there = []
        for nth, group in begins.items():
            result = results[nth]
            if not isinstance(result, Rejected):
                self._note(group)
            elif isinstance(result.operation, Claim):
                there.append(group)
            else:
                # An endpoint has come or gone: all of this vendor's stay, in order, and come again.
                self._webhooks.forget(group[0].owed.vendor)
        return there

    def _to_feed(self, loads: Sequence[_Load], listed: dict[str, Listed]) -> Commit:
        """The commit of one vendor's feed: every event with the claim that makes it one.

        Whoever is to be told of them is woken with it.
        """
        now, vendor = self._clock.now(), loads[0].owed.vendor
        operations: list[Operation] = []
        for _, owed in loads:
            operations += [
                Claim(name=f"event/{owed.event.id}", value=b"", expires=now + _REMEMBERED),
                Append(log=places.FEED, value=encode(owed.event)),
            ]
        operations += listed[vendor].waking({load.owed.event.type for load in loads}, now)
        return Commit(places.vendor(vendor), tuple(operations))

    def _note(self, loads: Sequence[_Load]) -> None:
        now = self._clock.now()
        self._metrics.relayed.inc(len(loads))
        for _, owed in loads:
            if owed.at is not None:
                self._metrics.feedback_lag.observe(max((now - owed.at).total_seconds(), 0.0))

    def _aside(self, entry: OutboxEntry, error: Exception) -> Commit:
        """Lay aside what cannot be read: it must not keep the others waiting, nor be lost."""
        key = places.broken(entry.sequence)
        log.error("outbox-entry-broken", partition=entry.partition, key=key, error=str(error))
        aside = (
            Settle(sequence=entry.sequence),
            Put(key=key, value=entry.value),
            Schedule(key=key, at=self._clock.now() + self._broken),
        )
        return Commit(entry.partition, aside)

    def _age(self) -> float:
        """How long the first of the outbox has lain there, in seconds; it grows while we stand."""
        if self._oldest is None:
            return 0.0
        return max((self._clock.now() - self._oldest).total_seconds(), 0.0)


def _settled(loads: Sequence[_Load]) -> Iterator[Commit]:
    """What takes entries out of the outbox, where the commit before it has carried them."""
    by_shard: dict[int, list[OutboxEntry]] = {}
    for entry, _ in loads:
        by_shard.setdefault(shard_of(entry.partition), []).append(entry)
    for entries in by_shard.values():
        yield msgspec.structs.replace(_settle(entries), with_previous=True)


def _settle(entries: Sequence[OutboxEntry]) -> Commit:
    """Take entries of one shard out of its outbox."""
    operations = tuple(Settle(sequence=entry.sequence) for entry in entries)
    return Commit(entries[0].partition, operations)
