"""``/v1/me/digest`` and ``/v1/me/channels``: what the letterbox tells a consumer of itself.

When a digest comes and what notice is given of stand in the preferences (``digest``, ``notify``).
"""

import binascii
from base64 import urlsafe_b64decode
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from letterbox.delivery.notifier import BadChannel, TooManyTrials
from letterbox.feedback.notice import public_key
from letterbox.feedback.webhooks import shown
from letterbox.gateways.http.answers import answer, nothing
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.forms import Items, Nothing
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.gateways.http.route import JSON, Route
from letterbox.model.channel import Channel, ChannelKind, ChannelOff
from letterbox.model.webhook import SigningKey
from letterbox.records.channels import MOST, TooMany
from letterbox.wishes import Mistake

_DIGEST = "/v1/me/digest"
_CHANNELS = "/v1/me/channels"
_ONE = f"{_CHANNELS}/{{id}}"
_AGAIN = "3600"
_WRITE = ("Idempotency-Key",)


class DigestItem(msgspec.Struct, frozen=True):
    """How it stands with digests: ``next`` is null where none comes.

    ``to`` is the mailbox it goes to; null: it lies in the inbox here. ``last`` is when one was
    sent.
    """

    next: datetime | None
    to: str | None
    last: datetime | None


class DigestSent(msgspec.Struct, frozen=True):
    """``sent``: a digest is on its way; ``nothing``: there is nothing new to tell."""

    outcome: Literal["sent", "nothing"]


class NewChannel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A channel. ``token`` is for ntfy alone; ``p256dh`` and ``auth`` (base64url) for a browser."""

    kind: ChannelKind
    url: Annotated[str, msgspec.Meta(max_length=2000)]
    label: Annotated[str, msgspec.Meta(max_length=60)] = ""
    token: Annotated[str, msgspec.Meta(max_length=200)] = ""
    p256dh: Annotated[str, msgspec.Meta(max_length=200)] = ""
    auth: Annotated[str, msgspec.Meta(max_length=200)] = ""


class ChannelItem(msgspec.Struct, frozen=True):
    """A channel. ``failing`` is since when nothing arrived, ``detail`` why, ``off`` that it is off.

    ``secret`` (``whsec_…``) is what a webhook verifies with; it is in the answer that makes it,
    and never again.
    """

    id: str
    kind: ChannelKind
    url: str
    created: datetime
    label: str
    last: datetime | None
    failing: datetime | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    off: ChannelOff | UnsetType = UNSET
    secret: str | UnsetType = UNSET


class ChannelTried(msgspec.Struct, frozen=True):
    """What came of a test."""

    arrived: bool
    status: int | None
    detail: str | UnsetType = UNSET


class PushKey(msgspec.Struct, frozen=True):
    """The key that a browser subscribes with (RFC 8292), as base64url."""

    key: str


async def get_digest(call: Call) -> web.Response:
    """How it stands with digests."""
    how = await call.parts.digests.shown(call.owner)
    stored = await call.parts.consumers.stored(call.owner)
    if stored is None:
        raise Problem("not-found")
    standing = how.standing
    planned = standing.planned if standing and stored.preferences.digest else None
    last = standing.last if standing else None
    return answer(DigestItem(next=planned, to=how.to or None, last=last))


async def send_digest(call: Call) -> web.Response:
    """Send one now."""
    await call.bare()
    outcome = await call.parts.digests.send_now(call.owner)
    if outcome is None:
        raise Problem("not-found")
    return answer(DigestSent(outcome), status=202)


async def list_channels(call: Call) -> web.Response:
    """All of them."""
    rows = await call.parts.channels.listed(call.owner)
    return answer(Items(items=tuple(_item(row) for row in rows), after=None))


async def add_channel(call: Call) -> web.Response:
    """Add one."""
    form = await call.form(NewChannel)
    try:
        channel = await call.parts.notifier.add(
            call.owner,
            form.kind,
            form.url,
            label=form.label,
            token=form.token,
            key=_octets("p256dh", form.p256dh),
            auth=_octets("auth", form.auth),
        )
    except BadChannel as bad:
        path = "p256dh" if bad.field == "key" else bad.field
        raise mistaken(Mistake(path=path, mistake=bad.mistake, allowed=bad.allowed)) from None
    except TooMany:
        raise Problem("conflict", f"there are {MOST} channels already; remove one first") from None
    secret = shown("hmac", SigningKey(channel.secret)) if channel.kind == "webhook" else UNSET
    return answer(_item(channel, secret), status=201)


async def remove_channel(call: Call) -> web.Response:
    """Forget one."""
    await call.bare()
    if not await call.parts.channels.remove(call.owner, call.item):
        raise Problem("not-found")
    return nothing()


async def enable_channel(call: Call) -> web.Response:
    """Use one again that was turned off."""
    await call.bare()
    channel = await call.parts.notifier.turn_on(call.owner, call.item)
    if channel is None:
        raise Problem("not-found")
    return answer(_item(await call.parts.channels.get(call.owner, call.item) or channel))


async def test_channel(call: Call) -> web.Response:
    """Try one."""
    await call.bare()
    try:
        tried = await call.parts.notifier.test(call.owner, call.item)
    except TooManyTrials:
        headers = {"Retry-After": _AGAIN}
        raise Problem("too-many", "20 tests an hour", headers=headers) from None
    if tried is None:
        raise Problem("not-found")
    return answer(ChannelTried(tried.arrived, tried.status or None, tried.detail or UNSET))


async def get_push_key(call: Call) -> web.Response:
    """The key that a browser subscribes with."""
    return answer(PushKey(public_key(await call.parts.channels.push_key())))


def _item(channel: Channel, secret: str | UnsetType = UNSET) -> ChannelItem:
    return ChannelItem(
        id=channel.id,
        kind=channel.kind,
        url=channel.url,
        created=channel.at,
        label=channel.label,
        last=channel.last,
        failing=channel.failing or UNSET,
        detail=channel.detail or UNSET,
        off=channel.off or UNSET,
        secret=secret,
    )


def _octets(path: str, text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        mistake = Mistake(path=path, mistake="it is no base64url", allowed="as a browser says it")
        raise mistaken(mistake) from None


ROUTES = (
    Route(
        "GET",
        _DIGEST,
        "consumer",
        get_digest,
        "When the next digest comes, and where it goes",
        gives={JSON: DigestItem},
        problems=(404,),
    ),
    Route(
        "POST",
        f"{_DIGEST}/send",
        "consumer",
        send_digest,
        "Send a digest now of what came since the last one; since a day ago, where none comes",
        takes={JSON: Nothing},
        gives={JSON: DigestSent},
        fields=_WRITE,
        problems=(404, 408, 413, 415, 422),
        status=202,
    ),
    Route(
        "GET",
        _CHANNELS,
        "consumer",
        list_channels,
        "The channels that notices go by",
        gives={JSON: Items[ChannelItem]},
    ),
    Route(
        "POST",
        _CHANNELS,
        "consumer",
        add_channel,
        "Add a channel; one of the same kind and URL stands in its place",
        takes={JSON: NewChannel},
        gives={JSON: ChannelItem},
        fields=_WRITE,
        problems=(408, 409, 413, 415, 422),
        status=201,
        once="secret",
    ),
    Route(
        "DELETE",
        _ONE,
        "consumer",
        remove_channel,
        "Forget a channel, and what is on its way there",
        gives={},
        fields=_WRITE,
        problems=(404, 422),
        status=204,
    ),
    Route(
        "POST",
        f"{_ONE}/enable",
        "consumer",
        enable_channel,
        "Use a channel again that was turned off",
        takes={JSON: Nothing},
        gives={JSON: ChannelItem},
        fields=_WRITE,
        problems=(404, 408, 413, 415, 422),
    ),
    Route(
        "POST",
        f"{_ONE}/test",
        "consumer",
        test_channel,
        "Send a notice that tells of nothing, at any time; 20 an hour at most",
        takes={JSON: Nothing},
        gives={JSON: ChannelTried},
        fields=_WRITE,
        problems=(404, 408, 413, 415, 422, 429),
    ),
    Route(
        "GET",
        "/v1/me/push-key",
        "consumer",
        get_push_key,
        "The key that a browser subscribes with to be a channel",
        gives={JSON: PushKey},
    ),
)
