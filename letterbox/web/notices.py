"""``/notices``: when a digest comes, what notice is given of, and by which channels."""

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from http import HTTPStatus
from importlib import resources
from typing import Any, Final, NamedTuple

import msgspec
from aiohttp import web

from letterbox.delivery.notifier import BadChannel, TooManyTrials
from letterbox.feedback.notice import public_key
from letterbox.feedback.webhooks import shown
from letterbox.model.channel import Channel, ChannelKind
from letterbox.model.preferences import Digest, Notify, Preferences
from letterbox.model.webhook import SigningKey
from letterbox.records.channels import MOST, TooMany
from letterbox.records.consumers import Conflict, Refused, Stored
from letterbox.web import phrases
from letterbox.web.failures import Failure, missing
from letterbox.web.kinds import KINDS
from letterbox.web.rules import facts_of_change
from letterbox.web.texts import N_
from letterbox.web.visit import Page, Visit

_PATH: Final = "/notices"
#: Times of quiet that the form has room for, beyond those there are.
_ROOM: Final = 1
_AGAIN: Final = 3600
LISTS: Final[Mapping[str, str]] = {
    "delivered": N_("what came"),
    "waiting": N_("what waits"),
    "refused": N_("what was refused"),
}
WAITING: Final = N_("mail that waits for your answer")
SHOWS: Final[Mapping[str, str]] = {
    "count": N_("only how many messages there are"),
    "company": N_("also which companies they are from"),
    "subject": N_("also what they are about"),
}
CHANNELS: Final[Mapping[ChannelKind, str]] = {
    "webhook": N_("Webhook"),
    "ntfy": N_("ntfy"),
    "push": N_("Browser"),
}
#: Why a call did not arrive, as far as there are words for it; else what was answered.
TROUBLES: Final[Mapping[str, str]] = {
    "address": N_("the address leads to no server on the Internet"),
    "name": N_("the name of the server was not found"),
    "connection": N_("the server could not be reached"),
    "tls": N_("the server has no valid certificate"),
    "timeout": N_("the server did not answer in time"),
    "answer": N_("what the server answered could not be read"),
    "key": N_("the browser's keys are not valid"),
}


class Row(NamedTuple):
    """A channel in the list. ``host`` is where it is."""

    channel: Channel
    host: str
    trouble: str


async def show(visit: Visit) -> web.Response:
    """Everything about notices."""
    return await _page(visit)


async def _page(
    visit: Visit,
    mistakes: Mapping[str, str] | None = None,
    code: int = HTTPStatus.OK,
    secret: str = "",
) -> web.Response:
    stored = await _stored(visit)
    preferences = stored.preferences
    digests = await visit.parts.digests.shown(visit.consumer)
    standing = digests.standing
    notify = preferences.notify or Notify()
    key = public_key(await visit.parts.channels.push_key())
    return await visit.page(
        "notices.html",
        code=code,
        mistakes=dict(mistakes or {}),
        stored=stored,
        digest=preferences.digest or Digest(at=("18:00",)),
        days={day: phrases.weekday(visit, day) for day in phrases.DAYS},
        lists={name: visit.say(text) for name, text in LISTS.items()},
        to=digests.to,
        planned=standing.planned if standing and preferences.digest else None,
        last=standing.last if standing else None,
        notify=notify,
        about={**{n: visit.say(t) for n, t in KINDS.items()}, "waiting": visit.say(WAITING)},
        shows={name: visit.say(text) for name, text in SHOWS.items()},
        quiet=[(each.from_, each.until) for each in notify.quiet] + [("", "")] * _ROOM,
        rows=[_row(visit, each) for each in await visit.parts.channels.listed(visit.consumer)],
        kinds=CHANNELS,
        push_key=key,
        secret=secret,
    )


async def change_digest(visit: Visit) -> web.Response:
    """Set when a digest comes, and what it lists."""
    said: dict[str, Any] = {
        "at": visit.field("at").replace(",", " ").split(),
        "days": [day for day in phrases.DAYS if day in visit.fields("day")],
        "lists": [name for name in LISTS if name in visit.fields("list")],
    }
    digest = None
    if visit.field("on") == "yes":
        try:
            digest = msgspec.convert(said, Digest)
        except msgspec.ValidationError:
            text = N_("Times, such as 09:00 18:00, and at least one list")
            return await _page(visit, {"at": visit.say(text)}, HTTPStatus.UNPROCESSABLE_ENTITY)
    return await _change(visit, {"digest": digest}, "digest-changed", "at")


async def send_now(visit: Visit) -> web.Response:
    """Send a digest now of what there is to tell."""
    done = await visit.parts.digests.send_now(visit.consumer)
    if done is None:
        raise missing()
    return visit.see(_PATH, "digest-sent" if done == "sent" else "digest-none")


async def change_notify(visit: Visit) -> web.Response:
    """Set what notice is given of, and when not."""
    times = zip(visit.fields("from"), visit.fields("until"), strict=False)
    before = (await _stored(visit)).preferences.notify or Notify()
    named = {(quiet.from_, quiet.until): quiet.days for quiet in before.quiet}
    minutes = visit.field("every")[:5]
    said: dict[str, Any] = {
        "about": visit.fields("about"),
        "shows": visit.field("shows"),
        # Days are set over the API or in the people file; a form that knows none keeps them.
        "quiet": [
            {"from": start.strip(), "until": end.strip(), "days": named.get((start, end), ())}
            for start, end in times
            if start.strip() or end.strip()
        ],
        "every_minutes": int(minutes) if minutes.isascii() and minutes.isdecimal() else 0,
    }
    notify = None
    if visit.field("on") == "yes":
        try:
            notify = msgspec.convert(said, Notify)
        except msgspec.ValidationError:
            text = N_("Times such as 22:00, and minutes from 1 to 1440")
            return await _page(visit, {"quiet": visit.say(text)}, HTTPStatus.UNPROCESSABLE_ENTITY)
    return await _change(visit, {"notify": notify}, "notify-changed", "quiet")


async def add_channel(visit: Visit) -> web.Response:
    """Add a channel: a webhook, whose secret is shown this once, a topic of ntfy, this browser."""
    kind = visit.field("kind")
    known: ChannelKind | None = next((each for each in CHANNELS if each == kind), None)
    if known is None:
        raise Failure(HTTPStatus.BAD_REQUEST)
    url, key, auth = visit.field("url"), b"", b""
    if known == "push":
        url, key, auth = _subscription(visit.field("subscription"))
    try:
        made = await visit.parts.notifier.add(
            visit.consumer,
            known,
            url,
            label=visit.field("label"),
            token=visit.field("token"),
            key=key,
            auth=auth,
        )
    except BadChannel as bad:
        field = "token" if bad.field == "token" else f"{known}-url"
        text = visit.say(N_("This cannot be called: %(mistake)s"), mistake=bad.mistake)
        return await _page(visit, {field: text}, HTTPStatus.UNPROCESSABLE_ENTITY)
    except TooMany:
        text = visit.say(N_("At most %(most)s; remove one first."), most=MOST)
        return await _page(visit, {f"{known}-url": text}, HTTPStatus.CONFLICT)
    if made.secret:
        return await _page(visit, secret=shown("hmac", SigningKey(made.secret)))
    return visit.see(f"{_PATH}#channels", "channel-added")


async def test_channel(visit: Visit) -> web.Response:
    """Send a notice by a channel that tells of nothing."""
    try:
        tried = await visit.parts.notifier.test(visit.consumer, visit.item)
    except TooManyTrials:
        raise Failure(HTTPStatus.TOO_MANY_REQUESTS, retry_after=_AGAIN) from None
    if tried is None:
        raise missing()
    if tried.arrived:
        return visit.see(f"{_PATH}#channels", "channel-tested")
    trouble = _trouble(visit, tried.detail)
    return visit.see(f"{_PATH}#channels", "channel-untested", detail=trouble)


async def remove_channel(visit: Visit) -> web.Response:
    """Forget a channel."""
    if not await visit.parts.channels.remove(visit.consumer, visit.item):
        raise missing()
    return visit.see(f"{_PATH}#channels", "channel-removed")


async def turn_on(visit: Visit) -> web.Response:
    """Use a channel again that was turned off."""
    if await visit.parts.notifier.turn_on(visit.consumer, visit.item) is None:
        raise missing()
    return visit.see(f"{_PATH}#channels", "channel-on")


async def worker(visit: Visit) -> web.Response:
    """The script that shows a notice in a browser whose page is not open."""
    del visit
    script = (resources.files(__package__) / "static" / "notices-worker.js").read_bytes()
    headers = {"Cache-Control": "no-cache"}
    return web.Response(body=script, content_type="text/javascript", headers=headers)


# ---- read and changed ----


async def _stored(visit: Visit) -> Stored:
    stored = await visit.parts.consumers.stored(visit.consumer)
    if stored is None:
        raise missing()  # the operator's own mailbox has no wishes
    return stored


async def _change(visit: Visit, fields: Mapping[str, Any], done: str, field: str) -> web.Response:
    stored = await _stored(visit)
    if visit.field("revision") not in {"", str(stored.revision)}:
        raise Failure(HTTPStatus.PRECONDITION_FAILED)
    changed: Preferences = msgspec.structs.replace(stored.preferences, **fields)
    try:
        await visit.parts.consumers.revise(
            visit.consumer, changed, expect=stored.revision, now=visit.now
        )
    except Conflict:
        raise Failure(HTTPStatus.PRECONDITION_FAILED) from None
    except Refused:
        text = visit.say(N_("Each time once, and none that is over when it begins"))
        return await _page(visit, {field: text}, HTTPStatus.UNPROCESSABLE_ENTITY)
    return visit.see(_PATH, done, **await facts_of_change(visit, stored.revision))


def _row(visit: Visit, channel: Channel) -> Row:
    host = channel.url.partition("//")[2].partition("/")[0]
    return Row(channel, host, _trouble(visit, channel.detail))


def _trouble(visit: Visit, detail: str) -> str:
    if not detail or detail in TROUBLES:
        return visit.say(TROUBLES[detail]) if detail else ""
    return visit.say(N_("the server answered %(status)s"), status=detail)


def _subscription(text: str) -> tuple[str, bytes, bytes]:
    """What a browser says of its subscription (Push API): where it is, and its keys."""
    try:
        said = msgspec.json.decode(text, type=_Subscription)
        keys = said.keys
        return said.endpoint, _octets(keys.p256dh), _octets(keys.auth)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        raise Failure(HTTPStatus.BAD_REQUEST) from None


def _octets(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class _Keys(msgspec.Struct):
    p256dh: str
    auth: str


class _Subscription(msgspec.Struct):
    endpoint: str
    keys: _Keys


PAGES = (
    Page("GET", _PATH, "consumer", show),
    Page("POST", f"{_PATH}/digest", "consumer", change_digest),
    Page("POST", f"{_PATH}/digest/now", "consumer", send_now),
    Page("POST", f"{_PATH}/notify", "consumer", change_notify),
    Page("POST", f"{_PATH}/channels", "consumer", add_channel),
    Page("POST", f"{_PATH}/channels/{{id}}/test", "consumer", test_channel),
    Page("POST", f"{_PATH}/channels/{{id}}/remove", "consumer", remove_channel),
    Page("POST", f"{_PATH}/channels/{{id}}/on", "consumer", turn_on),
    Page("GET", "/notices-worker.js", "anyone", worker),
)
