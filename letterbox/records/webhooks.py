"""Webhooks over the store: a vendor's endpoints, how far each has come, and its last calls.

All of a vendor's endpoints are one document, whose revision grows with every change. Whatever
comes into the vendor's feed is guarded by it (:meth:`Listed.waking`): an endpoint that nobody
knew of when an event was carried cannot miss it, whoever remembers an older list.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

import msgspec

from letterbox.model.webhook import Delivery, Progress, SigningKey, Webhook
from letterbox.ports.store import (
    Add,
    Announce,
    Commit,
    Delete,
    Done,
    Expect,
    Operation,
    Put,
    Rejected,
    Result,
    Schedule,
    Store,
    StoreUnavailable,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.cache import Recent
from letterbox.records.coding import decode, encode

#: Endpoints of one vendor.
MOST_WEBHOOKS: Final = 20
#: Calls of one endpoint that are remembered: rows that are written over and over.
MOST_DELIVERIES: Final = 100
#: Keys of one endpoint that sign at once: receivers look at each signature.
MOST_KEYS: Final = 4
_MINUTE = timedelta(minutes=1)
_CACHED = 20_000
_TRIES = 8

Given = TypeVar("Given")


class _Document(msgspec.Struct, frozen=True):
    webhooks: tuple[Webhook, ...] = ()


class Listed(NamedTuple):
    """A vendor's endpoints, the oldest first, and the revision of the document that says so."""

    revision: int
    webhooks: tuple[Webhook, ...]

    def find(self, name: str) -> Webhook | None:
        """One of them."""
        return next((webhook for webhook in self.webhooks if webhook.id == name), None)

    def waking(self, kinds: Iterable[str], now: datetime) -> tuple[Operation, ...]:
        """What stands beside events of these types in the commit that puts them into the feed.

        Its guard fails where these are the endpoints no longer. That an endpoint is woken is
        counted, so that whoever finds its queue empty in between does not put it to sleep.
        """
        if self.revision < 0:
            return ()
        wanted = tuple(kinds)
        operations: list[Operation] = [Expect(key=places.WEBHOOKS, revision=self.revision)]
        for webhook in self.webhooks:
            if webhook.disabled is None and any(map(webhook.wants, wanted)):
                operations.append(Put(key=places.woken(webhook.id), value=b""))
                operations.append(Schedule(key=places.webhook(webhook.id), at=now))
        return tuple(operations)


#: What cannot be read: nobody is woken, and the feed goes on.
UNREADABLE: Final = Listed(-1, ())


class Standing(NamedTuple):
    """An endpoint as it is now, with the revisions that guard what is concluded from it."""

    webhook: Webhook
    progress: Progress
    revision: int
    woken: int


class Full(Exception):
    """There are as many as there may be."""


class TooManyCalls(Exception):
    """As many calls were asked for as a vendor may in a minute."""


class WebhookRecords:
    """The endpoints of all vendors, each vendor's in its own partition."""

    def __init__(self, store: Store, *, trials_per_minute: int) -> None:
        self._store = store
        self._trials = trials_per_minute
        self._listed: Recent[str, Listed] = Recent(_CACHED)
        store.listen(self._hear)

    def _hear(self, partition: str | None) -> None:
        if partition is None:
            self._listed.clear()
            return
        room, name = places.room(partition)
        if room == "vendor":
            self._listed.drop(name)

    # ---- reading

    async def listed(self, vendor: str) -> Listed:
        """A vendor's endpoints as they are, or were of late: for :meth:`Listed.waking`."""
        known = self._listed.get(vendor)
        if known is None:
            drops = self._listed.drops
            known = await self.of(vendor)
            self._listed.put(vendor, known, read_at=drops)
        return known

    def forget(self, vendor: str) -> None:
        """Read a vendor's endpoints anew next time: what was remembered is old."""
        self._listed.drop(vendor)

    async def of(self, vendor: str) -> Listed:
        """A vendor's endpoints, as they are."""
        document = await self._store.get(places.vendor(vendor), places.WEBHOOKS)
        if document is None:
            return Listed(0, ())
        return Listed(document.revision, decode(document.value, _Document).webhooks)

    async def find(self, vendor: str, name: str) -> Webhook | None:
        """One endpoint of a vendor's."""
        return (await self.of(vendor)).find(name)

    async def standing(self, vendor: str, name: str) -> Standing | None:
        """How an endpoint stands; None where there is none."""
        partition = places.vendor(vendor)
        # Whether it was woken before its queue is looked at: what comes meanwhile is seen so.
        woken = await self._store.get(partition, places.woken(name))
        webhook = await self.find(vendor, name)
        document = await self._store.get(partition, places.webhook(name))
        if webhook is None or document is None:
            return None
        progress = decode(document.value, Progress)
        return Standing(webhook, progress, document.revision, woken.revision if woken else 0)

    async def deliveries(self, vendor: str, name: str) -> list[Delivery]:
        """The last calls of an endpoint, newest first."""
        rows = await self._store.documents(
            places.vendor(vendor), places.deliveries(name), limit=MOST_DELIVERIES
        )
        found = [decode(row.value, Delivery) for row in rows]
        return sorted(found, key=lambda each: each.number, reverse=True)

    # ---- what a vendor changes

    async def add(self, vendor: str, webhook: Webhook, *, cursor: int, now: datetime) -> None:
        """Set up an endpoint, which hears of what comes after ``cursor``. Raises Full."""

        def adding(listed: Listed) -> tuple[Webhook, ...]:
            if len(listed.webhooks) >= MOST_WEBHOOKS:
                raise Full
            return (*listed.webhooks, webhook)

        progress = encode(Progress(cursor=cursor))
        # Looked at once in any case: an event may have come since the cursor was.
        await self._change(
            vendor,
            adding,
            Put(key=places.webhook(webhook.id), value=progress, expect=0),
            Schedule(key=places.webhook(webhook.id), at=now),
        )

    async def change(
        self,
        vendor: str,
        name: str,
        changed: Callable[[Webhook], Webhook],
        *also: Operation,
    ) -> Webhook | None:
        """Change an endpoint, with ``also`` in the same commit.

        None where there is none, or a guard of ``also`` failed.
        """
        found: list[Webhook] = []

        def changing(listed: Listed) -> tuple[Webhook, ...] | None:
            found[:] = [changed(each) for each in listed.webhooks if each.id == name]
            if not found:
                return None
            return tuple(found[0] if each.id == name else each for each in listed.webhooks)

        return found[0] if await self._change(vendor, changing, *also) else None

    async def remove(self, vendor: str, name: str) -> bool:
        """Forget an endpoint and all that was written down about it; false where there is none."""

        def removing(listed: Listed) -> tuple[Webhook, ...] | None:
            rest = tuple(each for each in listed.webhooks if each.id != name)
            return rest if len(rest) < len(listed.webhooks) else None

        return await self._change(vendor, removing, *_forgotten(name))

    async def _change(
        self,
        vendor: str,
        changed: Callable[[Listed], tuple[Webhook, ...] | None],
        *also: Operation,
    ) -> bool:
        """Write a vendor's endpoints anew; false where there is nothing to change (None).

        False as well where a guard of ``also`` failed.
        """
        for _ in range(_TRIES):
            listed = await self.of(vendor)
            webhooks = changed(listed)
            if webhooks is None:
                return False
            put = Put(places.WEBHOOKS, encode(_Document(webhooks)), expect=listed.revision)
            result = await self._committed(vendor, put, *also)
            if isinstance(result, Done):
                return True
            if result.operation != put:
                return False
        raise StoreUnavailable("a vendor's endpoints are changed by too many at once")

    async def _committed(self, vendor: str, *operations: Operation) -> Result:
        try:
            (result,) = await self._store.commit(
                Commit(places.vendor(vendor), (*operations, Announce()))
            )
        except BaseException:
            self.forget(vendor)  # what failed may be written
            raise
        return result

    async def count(self, vendor: str, now: datetime) -> None:
        """Count a call that the vendor asks for, and no event. Raises TooManyCalls."""
        expires = now + 2 * _MINUTE
        add = Add(counter=places.webhook_calls(now), expires=expires, limit=self._trials)
        (result,) = await self._store.commit(Commit(places.vendor(vendor), (add,)))
        if isinstance(result, Rejected):
            raise TooManyCalls

    # ---- what is concluded from a call

    async def note(
        self, vendor: str, standing: Standing, progress: Progress, *operations: Operation
    ) -> bool:
        """Write down how far an endpoint has come; false where it is another than it stood."""
        put = noting(standing, progress)
        (result,) = await self._store.commit(Commit(places.vendor(vendor), (put, *operations)))
        return isinstance(result, Done)

    # ---- forgetting

    async def forgetting(self, vendor: str) -> tuple[Operation, ...]:
        """What takes all endpoints of a vendor away, within a commit that announces its partition.

        Its guard fails where they have changed since.
        """
        listed = await self.of(vendor)
        if not listed.webhooks:
            return ()
        # The document stays, empty: its revision must never be one that somebody remembers.
        put = Put(places.WEBHOOKS, encode(_Document()), expect=listed.revision)
        operations: list[Operation] = [put]
        for webhook in listed.webhooks:
            operations += _forgotten(webhook.id)
        return tuple(operations)

    async def sweep(self, vendor: str, before: datetime) -> None:
        """Forget calls that were made before then."""
        partition = places.vendor(vendor)
        for webhook in (await self.of(vendor)).webhooks:
            rows: Sequence[Delivery] = await self.deliveries(vendor, webhook.id)
            old = [Delete(slot(webhook.id, row.number)) for row in rows if row.at < before]
            if old:
                await self._store.commit(Commit(partition, tuple(old)))


def noting(standing: Standing, progress: Progress) -> Put:
    """The operation that writes progress down, where the endpoint stands as it stood."""
    key = places.webhook(standing.webhook.id)
    return Put(key=key, value=encode(progress), expect=standing.revision)


def line(name: str, delivery: Delivery) -> Put:
    """The operation that writes a call down, over the one that is oldest."""
    return Put(key=slot(name, delivery.number), value=encode(delivery))


def slot(name: str, number: int) -> str:
    """Where the call of that number, counted from 0, is written down."""
    return f"{places.deliveries(name)}{number % MOST_DELIVERIES:02}"


def renewed(webhook: Webhook, key: SigningKey, until: datetime, now: datetime) -> Webhook:
    """An endpoint with a new key; those it had sign beside it ``until`` then. Raises Full."""
    kept = [
        msgspec.structs.replace(each, until=min(each.until or until, until))
        for each in webhook.keys_at(now)
    ]
    if len(kept) >= MOST_KEYS:
        raise Full
    return msgspec.structs.replace(webhook, keys=(key, *kept))


def _forgotten(name: str) -> list[Operation]:
    return [
        Delete(key=places.webhook(name)),
        Delete(key=places.woken(name)),
        *(Delete(key=slot(name, number)) for number in range(MOST_DELIVERIES)),
        Unschedule(key=places.webhook(name), expect=False),
    ]
