"""Sending events to vendors' endpoints: in the order of the feed, again and again, signed.

Every call is one step of an errand: what is to be done is read from the store, the call made, and
what came of it written down in one commit. Killed anywhere, the next errand begins with the same
event under the same id.
"""

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import structlog
from msgspec.structs import replace

from letterbox.feedback.events import feed_item
from letterbox.feedback.retries import Failed, after_failure, after_success
from letterbox.feedback.webhooks import body_of, headers_of, trial_body, wait_asked
from letterbox.metrics import Metrics
from letterbox.model.told import Event
from letterbox.model.webhook import (
    Aside,
    Delivery,
    DeliveryOutcome,
    Disabled,
    DisabledBecause,
    Progress,
    Webhook,
)
from letterbox.ports.clock import Clock
from letterbox.ports.courier import WebCourier, WebTrouble, WebTroubleKind
from letterbox.ports.store import (
    Commit,
    Expect,
    Operation,
    Rejected,
    Schedule,
    Store,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.feed import Feed
from letterbox.records.names import new_id
from letterbox.records.webhooks import Standing, WebhookRecords, line, noting

#: An errand makes room for others after so many calls, or so many seconds.
_MOST_CALLS: Final = 200
_LONGEST: Final = 30.0
#: Endpoints of one vendor that one process calls at once; the others wait so long for their turn.
_PER_VENDOR: Final = 4
_STEP_BACK: Final = timedelta(seconds=2)
_PAGE: Final = 50

_GONE: Final = 410
_REDIRECTS: Final = range(300, 400)
_SUCCESSES: Final = range(200, 300)
_TROUBLES: dict[WebTroubleKind, str] = {
    "address": "its host has no address on the public Internet",
    "name": "the name of its host was not found, or the DNS gave no answer",
    "connection": "no connection came about",
    "tls": "TLS failed: see that the certificate is valid for the host",
    "timeout": "it did not answer in time",
    "answer": "what it answered is not HTTP/1.1",
}
#: What stands in the log.
_SAID: dict[DeliveryOutcome, str] = {
    "set-aside": "webhook-event-set-aside",
    "given-up": "webhook-event-given-up",
    "disabled": "webhook-disabled",
}

log = structlog.get_logger("letterbox.delivery")


class Called(NamedTuple):
    """What came of one call. ``detail`` says why it failed; ``later`` is the Retry-After."""

    delivered: bool
    status: int
    milliseconds: int
    detail: str = ""
    later: str = ""


class _Try(NamedTuple):
    """What is to be tried now: the head of the queue, or an event that was set aside."""

    sequence: int
    event: Event
    aside: Aside | None


class Webhooks:
    """Calls endpoints. ``jitter`` gives numbers from 0 up to 1."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        records: WebhookRecords,
        feed: Feed,
        courier: WebCourier,
        metrics: Metrics,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._clock = clock
        self._records = records
        self._feed = feed
        self._courier = courier
        self._metrics = metrics
        self._jitter = jitter
        self._busy: Counter[str] = Counter()

    # ---- errands

    async def deliver(self, vendor: str, name: str) -> None:
        """Send what an endpoint is owed now, as is due, or as much as leaves others their turn."""
        if self._busy[vendor] >= _PER_VENDOR:
            await self._again(vendor, name, _STEP_BACK)
            return
        self._busy[vendor] += 1
        try:
            await self._errand(vendor, name)
        finally:
            self._busy[vendor] -= 1
            if not self._busy[vendor]:
                del self._busy[vendor]

    async def _errand(self, vendor: str, name: str) -> None:
        until = self._clock.monotonic() + _LONGEST
        for _ in range(_MOST_CALLS):
            if not await self._step(vendor, name):
                return
            if self._clock.monotonic() >= until:
                break
        await self._again(vendor, name, timedelta(0))

    async def _again(self, vendor: str, name: str, later: timedelta) -> None:
        again = Schedule(key=places.webhook(name), at=self._clock.now() + later)
        await self._store.commit(Commit(places.vendor(vendor), (again,)))

    async def _step(self, vendor: str, name: str) -> bool:
        """Make one call, or find that there is none to be made; whether to look again at once."""
        standing = await self._records.standing(vendor, name)
        if standing is None:
            gone = Unschedule(key=places.webhook(name), expect=False)
            await self._store.commit(Commit(places.vendor(vendor), (gone,)))
            return False
        if standing.webhook.disabled is not None:
            return await self._sleep(vendor, standing, None)
        now = self._clock.now()
        progress = standing.progress
        if progress.not_before is not None and progress.not_before > now:
            return await self._sleep(vendor, standing, progress.not_before)
        for aside in progress.asides:
            if aside.next <= now:
                return await self._retry(vendor, standing, aside)
        if progress.next is not None and progress.next > now:
            return await self._rest(vendor, standing, progress.next)
        entries = await self._page(vendor, standing)
        for sequence, event in entries:
            if standing.webhook.wants(event.type):
                return await self._try(vendor, standing, _Try(sequence, event, None))
        if entries:
            past = replace(progress, cursor=entries[-1][0])
            await self._records.note(vendor, standing, past)
            return True
        return await self._rest(vendor, standing, None)

    async def _page(self, vendor: str, standing: Standing) -> list[tuple[int, Event]]:
        # Without a filter the next one is the one.
        limit = _PAGE if standing.webhook.events else 1
        return await self._feed.entries(vendor, after=standing.progress.cursor, limit=limit)

    async def _rest(self, vendor: str, standing: Standing, at: datetime | None) -> bool:
        """Sleep until ``at`` or the next event that was set aside; with neither, until woken."""
        times = [aside.next for aside in standing.progress.asides] + ([at] if at else [])
        # What has come since the queue was found empty is seen by this; else it is looked at then.
        awake = Expect(key=places.woken(standing.webhook.id), revision=standing.woken)
        guards = (awake,) if at is None else ()
        return await self._sleep(vendor, standing, min(times, default=None), *guards)

    async def _sleep(
        self, vendor: str, standing: Standing, at: datetime | None, *guards: Operation
    ) -> bool:
        """Sleep until then, with None until woken; true where it stands no more as it stood."""
        key = places.webhook(standing.webhook.id)
        same = Expect(key=key, revision=standing.revision)
        until = Schedule(key, at=at) if at else Unschedule(key, expect=False)
        commit = Commit(places.vendor(vendor), (same, *guards, until))
        (result,) = await self._store.commit(commit)
        return isinstance(result, Rejected)

    async def _retry(self, vendor: str, standing: Standing, aside: Aside) -> bool:
        found = await self._feed.entries(vendor, after=aside.sequence - 1, limit=1)
        if found and found[0][0] == aside.sequence:
            return await self._try(vendor, standing, _Try(aside.sequence, found[0][1], aside))
        # It is not kept any more.
        progress = standing.progress
        rest = tuple(each for each in progress.asides if each != aside)
        await self._records.note(vendor, standing, replace(progress, asides=rest))
        return True

    # ---- one call

    async def _try(self, vendor: str, standing: Standing, tried: _Try) -> bool:
        """Send an event, and write down what came of it."""
        webhook, before = standing.webhook, standing.progress
        event = tried.event
        called = await self._call(webhook, event.id, body_of(feed_item(event)))
        now = self._clock.now()
        failures = tried.aside.failures if tried.aside else before.failures
        outcome: DeliveryOutcome = "delivered"
        operations: list[Operation] = []
        if called.delivered:
            progress = after_success(before, tried.sequence, tried.aside, now)
        else:
            failed = Failed(
                sequence=tried.sequence,
                aside=tried.aside,
                at=now,
                later=wait_asked(called.later, now),
                gone=called.status == _GONE,
                jitter=self._jitter(),
            )
            progress, outcome = after_failure(before, failed)
        delivery = Delivery(
            at=now,
            number=before.lines,
            event=event.id,
            type=event.type,
            attempt=failures + 1,
            outcome=outcome,
            status=called.status,
            milliseconds=called.milliseconds,
            detail=called.detail,
        )
        operations.append(line(webhook.id, delivery))
        progress = replace(progress, lines=before.lines + 1)
        if outcome == "disabled":
            because: DisabledBecause = "gone" if called.status == _GONE else "failing"
            await self._disable(vendor, standing, progress, because, *operations)
        else:
            await self._records.note(vendor, standing, progress, *operations)
        self._tell(vendor, webhook, delivery)
        return True

    async def _disable(
        self,
        vendor: str,
        standing: Standing,
        progress: Progress,
        because: DisabledBecause,
        *operations: Operation,
    ) -> None:
        """Call an endpoint no more, which keeps its place in the feed."""
        disabled = Disabled(at=self._clock.now(), because=because)
        await self._records.change(
            vendor,
            standing.webhook.id,
            lambda webhook: replace(webhook, disabled=disabled),
            noting(standing, progress),
            *operations,
            Unschedule(key=places.webhook(standing.webhook.id), expect=False),
        )

    async def _call(self, webhook: Webhook, name: str, body: bytes) -> Called:
        began = self._clock.monotonic()
        headers = headers_of(webhook, name, self._clock.now(), body)
        status, later = 0, ""
        try:
            answer = await self._courier.post(webhook.url, headers, body)
        except WebTrouble as trouble:
            detail = _TROUBLES[trouble.kind]
        else:
            status, later = answer.status, answer.retry_after
            detail = _detail(status)
        taken = round((self._clock.monotonic() - began) * 1000)
        return Called(status in _SUCCESSES, status, taken, detail, later)

    def _tell(self, vendor: str, webhook: Webhook, delivery: Delivery) -> None:
        self._metrics.webhooks.labels(delivery.outcome).inc()
        if delivery.outcome not in _SAID:
            return
        # Never its URL: what stands there may be a secret.
        log.warning(
            _SAID[delivery.outcome],
            vendor=vendor,
            webhook=webhook.id,
            event_id=delivery.event,
            attempt=delivery.attempt,
            status=delivery.status,
            detail=delivery.detail,
        )

    # ---- what a vendor asks for

    async def test(self, vendor: str, name: str) -> Called | None:
        """Make a call that tells no event; None where there is no such endpoint.

        Raises :class:`letterbox.records.webhooks.TooManyCalls`.
        """
        webhook = await self._records.find(vendor, name)
        if webhook is None:
            return None
        now = self._clock.now()
        await self._records.count(vendor, now)
        made = new_id(now)
        return await self._call(webhook, made, trial_body(made, now))


def _detail(status: int) -> str:
    """Why an answer is a failure; nothing where it is none."""
    if status in _SUCCESSES:
        return ""
    if status in _REDIRECTS:
        return f"it answered {status}; redirects are not followed: change the URL"
    return f"it answered {status}"
