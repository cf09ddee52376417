"""``/v1/webhooks``: where a vendor has its events sent. Each secret is shown once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, get_args

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from letterbox.administration.shape import nearest
from letterbox.feedback.destination import LONGEST, BadDestination
from letterbox.feedback.webhooks import shown
from letterbox.gateways.http.answers import answer, nothing
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.forms import Form, Items, Nothing
from letterbox.gateways.http.keys import Rotation
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.gateways.http.route import JSON, Route
from letterbox.model.told import EventType
from letterbox.model.webhook import (
    Delivery,
    DeliveryOutcome,
    DisabledBecause,
    Signing,
    Webhook,
)
from letterbox.records.webhooks import (
    MOST_KEYS,
    MOST_WEBHOOKS,
    Full,
    TooManyCalls,
)
from letterbox.registration.endpoints import Made
from letterbox.wishes import Mistake

_HOUR = timedelta(hours=1)
Url = Annotated[str, Meta(min_length=1, max_length=LONGEST)]
_TYPES: tuple[str, ...] = get_args(EventType)
_ALLOWED = ", ".join(_TYPES)
#: Read as text, so that the nearest type can be named; described by what there is.
EventName = Annotated[str, Meta(max_length=100, extra_json_schema={"enum": list(_TYPES)})]
Events = Annotated[tuple[EventName, ...], Meta(min_length=1, max_length=100)]


class NewWebhook(Form, frozen=True):
    """An endpoint to be set up. No ``events``: all types. ``signing`` is how calls are signed."""

    url: Url
    events: Events | None = None
    signing: Signing = "hmac"


class WebhookChange(Form, frozen=True):
    """What is to be another; what is left out stays. ``events`` null: all types."""

    url: Url | UnsetType = UNSET
    events: Events | UnsetType | None = UNSET


class WebhookRotation(Rotation, frozen=True):
    """A key to be replaced, which signs on for ``overlap_hours`` beside the new one."""


class DisabledItem(msgspec.Struct, frozen=True):
    """Since when an endpoint is not called, and why: it is ``gone`` (410), or was ``failing``."""

    at: datetime
    because: DisabledBecause


class FailingItem(msgspec.Struct, frozen=True):
    """Since when the event that is next has failed, how often, and when it is tried again."""

    since: datetime
    attempts: int
    next: datetime


class WebhookItem(msgspec.Struct, frozen=True):
    """An endpoint. ``events`` null: all types. ``disabled`` and ``failing`` are there when it is.

    ``secret`` (``whsec_…``) is in the answer that makes it and never again; ``public_key``
    (``whpk_…``) verifies Ed25519, and is always there with that. ``old_key_until`` is how long
    calls are signed with a key that was replaced as well.
    """

    id: str
    url: str
    created: datetime
    signing: Signing
    events: tuple[str, ...] | None
    secret: str | UnsetType = UNSET
    public_key: str | UnsetType = UNSET
    old_key_until: datetime | UnsetType = UNSET
    disabled: DisabledItem | UnsetType = UNSET
    failing: FailingItem | UnsetType = UNSET


class DeliveryItem(msgspec.Struct, frozen=True):
    """One call: ``event`` is the ``webhook-id``, ``status`` null where nothing was answered."""

    at: datetime
    event: str
    type: str
    attempt: int
    outcome: DeliveryOutcome
    status: int | None
    milliseconds: int
    detail: str | UnsetType = UNSET


class Tried(msgspec.Struct, frozen=True):
    """What came of a test call."""

    delivered: bool
    status: int | None
    milliseconds: int
    detail: str | UnsetType = UNSET


def _item(call: Call, webhook: Webhook, secret: str | UnsetType = UNSET) -> WebhookItem:
    old = [key.until for key in webhook.keys_at(call.parts.clock.now()) if key.until]
    disabled = webhook.disabled
    ed25519 = webhook.signing == "ed25519"
    return WebhookItem(
        id=webhook.id,
        url=webhook.url,
        created=webhook.created,
        signing=webhook.signing,
        events=webhook.events or None,
        secret=UNSET if ed25519 else secret,
        public_key=shown(webhook.signing, webhook.keys[0]) if ed25519 else UNSET,
        old_key_until=max(old) if old else UNSET,
        disabled=DisabledItem(disabled.at, disabled.because) if disabled else UNSET,
    )


def _made(call: Call, made: Made) -> web.Response:
    return answer(_item(call, made.webhook, made.key), status=201)


async def list_webhooks(call: Call) -> web.Response:
    """The vendor's endpoints, the oldest first."""
    listed = await call.parts.webhook_records.of(call.owner)
    items = tuple(_item(call, webhook) for webhook in listed.webhooks)
    return answer(Items(items=items, after=None))


async def add_webhook(call: Call) -> web.Response:
    """Set up an endpoint. Nothing is sent there by it."""
    form = await call.form(NewWebhook)
    _look_at(form.events)
    try:
        made = await call.parts.endpoints.add(
            call.owner, form.url, events=form.events or (), signing=form.signing
        )
    except BadDestination as bad:
        raise _bad(bad) from None
    except Full:
        detail = f"at most {MOST_WEBHOOKS} endpoints; delete one first"
        raise Problem("conflict", detail) from None
    return _made(call, made)


def _look_at(events: Sequence[str] | None) -> None:
    """See that there are such types of events. Raises a Problem that names every mistake."""
    mistakes = [
        Mistake(f"events[{nth}]", "there is no such type" + nearest(event, _TYPES), _ALLOWED)
        for nth, event in enumerate(events or ())
        if event not in _TYPES
    ]
    if mistakes:
        raise mistaken(*mistakes)


def _bad(bad: BadDestination) -> Problem:
    return mistaken(Mistake(path="url", mistake=bad.mistake, allowed=bad.allowed))


async def get_webhook(call: Call) -> web.Response:
    """One endpoint, and how it stands."""
    standing = await call.parts.webhook_records.standing(call.owner, call.item)
    if standing is None:
        raise Problem("not-found")
    item, progress = _item(call, standing.webhook), standing.progress
    if progress.failing and progress.again and item.disabled is UNSET:
        failing = FailingItem(progress.failing, progress.failures, progress.again)
        item = msgspec.structs.replace(item, failing=failing)
    return answer(item)


async def _webhook(call: Call) -> Webhook:
    """The endpoint of the path. Another vendor's looks like none."""
    return _there(await call.parts.webhook_records.find(call.owner, call.item))


def _there(webhook: Webhook | None) -> Webhook:
    if webhook is None:
        raise Problem("not-found")
    return webhook


async def change_webhook(call: Call) -> web.Response:
    """Change where an endpoint is, or which events it hears of."""
    name = (await _webhook(call)).id
    form = await call.form(WebhookChange)
    events = None if isinstance(form.events, UnsetType) else form.events or ()
    _look_at(events)
    url = None if isinstance(form.url, UnsetType) else form.url
    try:
        webhook = await call.parts.endpoints.change(call.owner, name, url=url, events=events)
    except BadDestination as bad:
        raise _bad(bad) from None
    return answer(_item(call, _there(webhook)))


async def delete_webhook(call: Call) -> web.Response:
    """Forget an endpoint, its keys and its log."""
    name = call.item
    await call.bare()
    if not await call.parts.endpoints.remove(call.owner, name):
        raise Problem("not-found")
    return nothing()


async def rotate_webhook(call: Call) -> web.Response:
    """Give an endpoint a new key; the old one signs beside it for a while."""
    name = call.item
    form = await call.form_if_any(WebhookRotation) or WebhookRotation()
    try:
        made = await call.parts.endpoints.rotate(call.owner, name, form.overlap_hours * _HOUR)
    except Full:
        detail = f"{MOST_KEYS} keys sign already; wait until one of them has ended"
        raise Problem("conflict", detail) from None
    if made is None:
        raise Problem("not-found")
    return _made(call, made)


async def enable_webhook(call: Call) -> web.Response:
    """Call an endpoint again that was disabled, from where it stopped."""
    name = call.item
    await call.bare()
    try:
        webhook = await call.parts.endpoints.enable(call.owner, name)
    except TooManyCalls:
        raise _too_many(call) from None
    return answer(_item(call, _there(webhook)))


def _too_many(call: Call) -> Problem:
    most = call.parts.configuration.webhooks.trials_per_minute
    detail = f"at most {most} calls a minute that no event is the cause of"
    return Problem("too-many", detail, headers={"Retry-After": "60"})


async def test_webhook(call: Call) -> web.Response:
    """Make one signed call that tells no event, and say what came of it."""
    name = call.item
    await call.bare()
    try:
        called = await call.parts.webhooks.test(call.owner, name)
    except TooManyCalls:
        raise _too_many(call) from None
    if called is None:
        raise Problem("not-found")
    return answer(
        Tried(
            delivered=called.delivered,
            status=called.status or None,
            milliseconds=called.milliseconds,
            detail=called.detail or UNSET,
        )
    )


async def list_deliveries(call: Call) -> web.Response:
    """The last calls of an endpoint, newest first."""
    webhook = await _webhook(call)
    rows = await call.parts.webhook_records.deliveries(call.owner, webhook.id)
    return answer(Items(items=tuple(map(_delivery, rows)), after=None))


def _delivery(row: Delivery) -> DeliveryItem:
    return DeliveryItem(
        at=row.at,
        event=row.event,
        type=row.type,
        attempt=row.attempt,
        outcome=row.outcome,
        status=row.status or None,
        milliseconds=row.milliseconds,
        detail=row.detail or UNSET,
    )


_WRITE = ("Idempotency-Key",)
_ONE = "/v1/webhooks/{id}"

ROUTES = (
    Route(
        "GET",
        "/v1/webhooks",
        "vendor",
        list_webhooks,
        "The vendor's endpoints, without their secrets",
        gives={JSON: Items[WebhookItem]},
        problems=(403,),
        scope="manage",
    ),
    Route(
        "POST",
        "/v1/webhooks",
        "vendor",
        add_webhook,
        "Have events sent to a URL, signed; the secret is shown this once",
        takes={JSON: NewWebhook},
        gives={JSON: WebhookItem},
        fields=_WRITE,
        problems=(403, 408, 409, 413, 415, 422),
        status=201,
        scope="manage",
        once="secret",
    ),
    Route(
        "GET",
        _ONE,
        "vendor",
        get_webhook,
        "One endpoint",
        gives={JSON: WebhookItem},
        problems=(403, 404),
        scope="manage",
    ),
    Route(
        "PATCH",
        _ONE,
        "vendor",
        change_webhook,
        "Change its URL, or which events it hears of",
        takes={JSON: WebhookChange},
        gives={JSON: WebhookItem},
        fields=_WRITE,
        problems=(403, 404, 408, 413, 415, 422),
        scope="manage",
    ),
    Route(
        "DELETE",
        _ONE,
        "vendor",
        delete_webhook,
        "Forget an endpoint",
        gives={},
        fields=_WRITE,
        problems=(403, 404, 422),
        status=204,
        scope="manage",
    ),
    Route(
        "POST",
        f"{_ONE}/test",
        "vendor",
        test_webhook,
        "Make one signed call that tells no event",
        takes={JSON: Nothing},
        gives={JSON: Tried},
        fields=_WRITE,
        problems=(403, 404, 408, 413, 415, 422),
        scope="manage",
    ),
    Route(
        "POST",
        f"{_ONE}/rotate",
        "vendor",
        rotate_webhook,
        "Give it a new key, beside which the old one signs for overlap_hours",
        takes={JSON: WebhookRotation},
        gives={JSON: WebhookItem},
        fields=_WRITE,
        problems=(403, 404, 408, 409, 413, 415, 422),
        status=201,
        scope="manage",
        once="secret",
    ),
    Route(
        "POST",
        f"{_ONE}/enable",
        "vendor",
        enable_webhook,
        "Call it again, from where it stopped",
        takes={JSON: Nothing},
        gives={JSON: WebhookItem},
        fields=_WRITE,
        problems=(403, 404, 408, 413, 415, 422),
        scope="manage",
    ),
    Route(
        "GET",
        f"{_ONE}/deliveries",
        "vendor",
        list_deliveries,
        "Its last 100 calls, newest first",
        gives={JSON: Items[DeliveryItem]},
        problems=(403, 404),
        scope="manage",
    ),
)
