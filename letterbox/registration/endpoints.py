"""A vendor's endpoints: set up, changed, given new keys, taken away. Nothing is sent here."""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from letterbox.feedback.destination import look_at
from letterbox.feedback.retries import enabled
from letterbox.feedback.webhooks import shown
from letterbox.model.webhook import Signing, SigningKey, Webhook
from letterbox.ports.clock import Clock
from letterbox.ports.resolver import Resolver
from letterbox.ports.store import Schedule, StoreUnavailable
from letterbox.records import places
from letterbox.records.feed import Feed
from letterbox.records.names import new_id
from letterbox.records.webhooks import Standing, WebhookRecords, noting, renewed

_KEY_OCTETS = 32  # of an HMAC's key (24 to 64 are allowed), and exactly what Ed25519 takes
_TRIES = 8
_PAGE = 500
_BUSY = "an endpoint is being called just now, again and again"

log = structlog.get_logger("letterbox.registration")


class Made(NamedTuple):
    """An endpoint with a new key. ``key`` is what a receiver verifies with."""

    webhook: Webhook
    key: str


class Endpoints:
    """The endpoints of all vendors, as their vendors see to them.

    ``private`` admits addresses that are not public, and plain http.
    """

    def __init__(
        self,
        *,
        records: WebhookRecords,
        feed: Feed,
        resolver: Resolver,
        clock: Clock,
        private: bool,
    ) -> None:
        self._records = records
        self._feed = feed
        self._resolver = resolver
        self._clock = clock
        self._private = private

    async def add(
        self, vendor: str, url: str, *, events: Sequence[str] = (), signing: Signing = "hmac"
    ) -> Made:
        """Set up an endpoint, which hears of what comes from now on.

        Raises BadDestination, and :class:`letterbox.records.webhooks.Full`.
        """
        destination = await look_at(url, self._resolver, private=self._private)
        now = self._clock.now()
        key = _new_key()
        webhook = Webhook(
            id=new_id(now),
            url=destination.url,
            created=now,
            signing=signing,
            keys=(key,),
            events=tuple(dict.fromkeys(events)),
        )
        cursor = await self._feed.end(vendor)
        await self._records.add(vendor, webhook, cursor=cursor, now=now)
        log.info("webhook-added", vendor=vendor, webhook=webhook.id, host=destination.host)
        return Made(webhook, shown(signing, key))

    async def change(
        self, vendor: str, name: str, *, url: str | None, events: Sequence[str] | None
    ) -> Webhook | None:
        """Change where an endpoint is, or which events it hears of; None where there is none.

        What is None stays; no ``events`` are all, from now on. Raises BadDestination.
        """
        destination = (
            await look_at(url, self._resolver, private=self._private) if url is not None else None
        )

        def changed(webhook: Webhook) -> Webhook:
            if destination is not None:
                webhook = replace(webhook, url=destination.url)
            if events is not None:
                webhook = replace(webhook, events=tuple(dict.fromkeys(events)))
            return webhook

        if events is None:
            return await self._records.change(vendor, name, changed)
        for _ in range(_TRIES):
            standing = await self._records.standing(vendor, name)
            if standing is None:
                return None
            past = replace(standing.progress, cursor=await self._past(vendor, standing))
            # Looked at once in any case: one may come while nobody is woken for it yet.
            awake = Schedule(key=places.webhook(name), at=self._clock.now())
            also = (noting(standing, past), awake)
            webhook = await self._records.change(vendor, name, changed, *also)
            if webhook is not None:
                return webhook
        raise StoreUnavailable(_BUSY)

    async def _past(self, vendor: str, standing: Standing) -> int:
        """The cursor before what an endpoint is owed: past all that it did not ask for so far."""
        cursor = standing.progress.cursor
        while entries := await self._feed.entries(vendor, after=cursor, limit=_PAGE):
            for sequence, event in entries:
                if standing.webhook.wants(event.type):
                    return cursor
                cursor = sequence
        return cursor

    async def remove(self, vendor: str, name: str) -> bool:
        """Forget an endpoint, its keys and its log; false where there is none."""
        return await self._records.remove(vendor, name)

    async def rotate(self, vendor: str, name: str, overlap: timedelta) -> Made | None:
        """Give an endpoint a new key; those it has sign beside it for ``overlap`` more.

        None where there is no such endpoint. Raises :class:`letterbox.records.webhooks.Full`.
        """
        now = self._clock.now()
        key = _new_key()
        webhook = await self._records.change(
            vendor, name, lambda before: renewed(before, key, now + overlap, now)
        )
        return Made(webhook, shown(webhook.signing, key)) if webhook else None

    async def enable(self, vendor: str, name: str) -> Webhook | None:
        """Call an endpoint again that was disabled or is failing, now, from where it stopped.

        None where there is none. Raises :class:`letterbox.records.webhooks.TooManyCalls`.
        """
        counted = False
        for _ in range(_TRIES):
            standing = await self._records.standing(vendor, name)
            if standing is None:
                return None
            now = self._clock.now()
            begun = enabled(standing.progress, now)
            if standing.webhook.disabled is None and begun == standing.progress:
                return standing.webhook
            if not counted:
                await self._records.count(vendor, now)
                counted = True
            webhook = await self._records.change(
                vendor,
                name,
                lambda before: replace(before, disabled=None),
                noting(standing, begun),
                Schedule(key=places.webhook(name), at=now),
            )
            if webhook is not None:
                return webhook
        raise StoreUnavailable(_BUSY)


def _new_key() -> SigningKey:
    return SigningKey(secret=os.urandom(_KEY_OCTETS))
