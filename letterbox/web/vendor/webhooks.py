"""``/vendor/webhooks``: where a vendor has its events sent, and how that goes."""

from datetime import timedelta
from http import HTTPStatus
from typing import Final, get_args

from aiohttp import web

from letterbox.feedback.destination import BadDestination
from letterbox.feedback.webhooks import shown
from letterbox.model.told import EventType
from letterbox.model.webhook import Signing, Webhook
from letterbox.records.webhooks import MOST_KEYS, MOST_WEBHOOKS, Full, Standing, TooManyCalls
from letterbox.web.failures import Failure, missing
from letterbox.web.texts import N_
from letterbox.web.vendor.told import TYPES
from letterbox.web.vendor.wrong import Wrong
from letterbox.web.visit import Page, Visit

_PATH = "/vendor/webhooks"
_OVERLAP: Final = timedelta(hours=24)
_AGAIN: Final = 60  # seconds
_EVENTS: Final[tuple[str, ...]] = get_args(EventType)
SIGNINGS: Final[dict[Signing, str]] = {
    "hmac": N_("a shared secret (HMAC)"),
    "ed25519": N_("a key pair (Ed25519): you keep only the public key"),
}
OUTCOMES: Final = {
    "delivered": N_("arrived"),
    "failed": N_("failed"),
    "set-aside": N_("failed, and set aside"),
    "given-up": N_("given up"),
    "disabled": N_("failed, and switched off"),
}


async def show_list(visit: Visit) -> web.Response:
    """The endpoints, the oldest first."""
    return await _list(visit)


async def _list(
    visit: Visit, *, wrong: tuple[Wrong, ...] = (), code: int = HTTPStatus.OK
) -> web.Response:
    listed = await visit.parts.webhook_records.listed(visit.vendor)
    standings = [
        standing
        for webhook in listed.webhooks
        if (standing := await visit.parts.webhook_records.standing(visit.vendor, webhook.id))
    ]
    return await visit.page(
        "vendor/webhooks.html",
        code=code,
        standings=standings,
        types=TYPES,
        signings=SIGNINGS,
        entered=visit.field("url"),
        chosen=visit.fields("event"),
        signing=visit.field("signing") or "hmac",
        wrong=wrong,
    )


async def add(visit: Visit) -> web.Response:
    """Set up an endpoint; its secret is shown this once. Nothing is sent there by it."""
    events = [each for each in visit.fields("event") if each in _EVENTS]
    signing: Signing = "ed25519" if visit.field("signing") == "ed25519" else "hmac"
    try:
        made = await visit.parts.endpoints.add(
            visit.vendor, visit.field("url"), events=events, signing=signing
        )
    except BadDestination as bad:
        wrong = Wrong("url", f"{bad.mistake}; {bad.allowed}", english=True)
        return await _list(visit, wrong=(wrong,), code=HTTPStatus.UNPROCESSABLE_ENTITY)
    except Full:
        text = visit.say("At most %(most)s webhooks; remove one first.", most=MOST_WEBHOOKS)
        return await _list(visit, wrong=(Wrong("url", text),), code=HTTPStatus.CONFLICT)
    return await _one(visit, await _standing(visit, made.webhook.id), secret=made.key)


async def show_one(visit: Visit) -> web.Response:
    """One endpoint: its state, its log, and what is next."""
    return await _one(visit, await _standing(visit, visit.item))


async def _one(
    visit: Visit,
    standing: Standing,
    *,
    secret: str = "",
    wrong: tuple[Wrong, ...] = (),
    code: int = HTTPStatus.OK,
) -> web.Response:
    webhook = standing.webhook
    old = [key.until for key in webhook.keys_at(visit.now) if key.until]
    return await visit.page(
        "vendor/webhook.html",
        code=code,
        standing=standing,
        webhook=webhook,
        secret=secret,
        public_key=_public(webhook),
        old_until=max(old) if old else None,
        deliveries=await visit.parts.webhook_records.deliveries(visit.vendor, webhook.id),
        types=TYPES,
        outcomes=OUTCOMES,
        entered=visit.field("url") if wrong else webhook.url,
        chosen=visit.fields("event") if wrong else webhook.events,
        wrong=wrong,
    )


def _public(webhook: Webhook) -> str:
    return shown(webhook.signing, webhook.keys[0]) if webhook.signing == "ed25519" else ""


async def change(visit: Visit) -> web.Response:
    """Change where an endpoint is, or which events it hears of."""
    standing = await _standing(visit, visit.item)
    events = [each for each in visit.fields("event") if each in _EVENTS]
    url = visit.field("url")
    try:
        webhook = await visit.parts.endpoints.change(
            visit.vendor, visit.item, url=url, events=events
        )
    except BadDestination as bad:
        wrong = Wrong("url", f"{bad.mistake}; {bad.allowed}", english=True)
        code = HTTPStatus.UNPROCESSABLE_ENTITY
        return await _one(visit, standing, wrong=(wrong,), code=code)
    if webhook is None:
        raise missing()
    return visit.see(f"{_PATH}/{webhook.id}", "webhook-changed")


async def test(visit: Visit) -> web.Response:
    """Make one signed call that tells no event, and say what came of it."""
    try:
        called = await visit.parts.webhooks.test(visit.vendor, visit.item)
    except TooManyCalls:
        raise Failure(HTTPStatus.TOO_MANY_REQUESTS, retry_after=_AGAIN) from None
    if called is None:
        raise missing()
    path = f"{_PATH}/{visit.item}"
    if not called.delivered:
        return visit.see(path, "webhook-untested", detail=called.detail)
    return visit.see(
        path,
        "webhook-tested",
        status=str(called.status),
        milliseconds=str(called.milliseconds),
    )


async def enable(visit: Visit) -> web.Response:
    """Call an endpoint again that was disabled."""
    try:
        webhook = await visit.parts.endpoints.enable(visit.vendor, visit.item)
    except TooManyCalls:
        raise Failure(HTTPStatus.TOO_MANY_REQUESTS, retry_after=_AGAIN) from None
    if webhook is None:
        raise missing()
    return visit.see(f"{_PATH}/{webhook.id}", "webhook-enabled")


async def rotate(visit: Visit) -> web.Response:
    """Give an endpoint a new key, shown this once; the old one signs beside it for a day."""
    standing = await _standing(visit, visit.item)
    try:
        made = await visit.parts.endpoints.rotate(visit.vendor, visit.item, _OVERLAP)
    except Full:
        text = visit.say(
            "%(most)s keys sign already; wait until one of them has ended.", most=MOST_KEYS
        )
        wrong = (Wrong("rotate", text),)
        return await _one(visit, standing, wrong=wrong, code=HTTPStatus.CONFLICT)
    if made is None:
        raise missing()
    return await _one(visit, await _standing(visit, visit.item), secret=made.key)


async def remove(visit: Visit) -> web.Response:
    """Forget an endpoint, its keys and its log."""
    standing = await _standing(visit, visit.item)
    if not await visit.parts.endpoints.remove(visit.vendor, visit.item):
        raise missing()
    return visit.see(_PATH, "webhook-removed", url=standing.webhook.url)


async def _standing(visit: Visit, name: str) -> Standing:
    """An endpoint as it is. Another vendor's looks like none."""
    standing = await visit.parts.webhook_records.standing(visit.vendor, name)
    if standing is None:
        raise missing()
    return standing


PAGES = (
    Page("GET", _PATH, "vendor", show_list),
    Page("POST", _PATH, "vendor", add),
    Page("GET", _PATH + "/{id}", "vendor", show_one),
    Page("POST", _PATH + "/{id}", "vendor", change),
    Page("POST", _PATH + "/{id}/test", "vendor", test),
    Page("POST", _PATH + "/{id}/enable", "vendor", enable),
    Page("POST", _PATH + "/{id}/rotate", "vendor", rotate),
    Page("POST", _PATH + "/{id}/remove", "vendor", remove),
)
