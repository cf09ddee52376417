"""Coming back: a vendor that is locked out asks, and the consumer answers."""

import re
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from letterbox.delivery.reconnect import LONGEST_NOTE, AskedBefore
from letterbox.delivery.requests import Over, Waiting
from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.forms import Form, Items, Nothing
from letterbox.gateways.http.preferences import refusals
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.gateways.http.route import JSON, PAGED, Route
from letterbox.model.language import named
from letterbox.model.preferences import Language, VendorRule
from letterbox.records import places
from letterbox.records.coding import decode
from letterbox.records.ledger import Reference
from letterbox.records.requests import ReconnectEntry, RequestState
from letterbox.wishes import Mistake

_REFERENCE: Final = re.compile(r"[0-9A-Za-z]{22,32}")
_INSTANT: Final = timedelta(microseconds=1)


class Reconnect(Form, frozen=True):
    """A vendor accepts what would have to change; ``note`` says something beside it."""

    accept: bool
    note: Annotated[str, Meta(max_length=LONGEST_NOTE)] = ""


class ReconnectAnswer(msgspec.Struct, frozen=True):
    """The consumer is asked. ``until`` is the last day on which an answer may come."""

    reference: str
    state: Literal["asked"]
    until: date


class RequestItem(msgspec.Struct, frozen=True):
    """A vendor that is locked out and asks to come back.

    ``accepts`` is what it was told would have to change, in the consumer's language, ``note``
    what it says beside. ``becomes`` is the relationship that a yes makes of it, there while it
    waits and in the answer to a yes; ``until`` the exact instant at which it is declined by
    itself: ``sentence`` names the last day before, the one that the vendor was told.
    """

    id: str
    at: datetime
    vendor: str
    name: str
    recipient: str
    accepts: tuple[str, ...]
    note: str
    state: RequestState
    until: datetime
    sentence: str
    becomes: VendorRule | UnsetType = UNSET
    ended: datetime | UnsetType = UNSET


async def reconnect(call: Call) -> web.Response:
    """Accept the remedy of a lock-out, and ask the consumer once more."""
    name = call.request.match_info["reference"]
    if not _REFERENCE.fullmatch(name):
        raise Problem("not-found")
    form = await call.form(Reconnect)
    if not form.accept:
        mistake = "only what would have to change can be accepted here"
        raise mistaken(Mistake(path="accept", mistake=mistake, allowed="true"))
    vendor = await call.parts.vendors.get(call.owner)
    if vendor is None or vendor.suspended is not None:
        raise Problem("forbidden", "nothing of a suspended vendor's is taken; ask the operator")
    try:
        asked = await call.parts.reconnecting.ask(
            call.owner, name, form.note, key=call.idempotency_key
        )
    except AskedBefore as before:
        raise Problem("conflict", str(before)) from None
    if asked is None:
        raise Problem("not-found")
    return answer(ReconnectAnswer(reference=name, state="asked", until=asked.until))


async def list_requests(call: Call) -> web.Response:
    """Who asks to come back, and what became of the last ones."""
    found, after = await call.parts.requests.page(call.owner, after=call.after(), limit=call.limit)
    items = tuple([await _item(call, each) for each in found])
    return answer(Items(items=items, after=after))


async def accept(call: Call) -> web.Response:
    """Let a vendor back in, on the terms of the remedy."""
    return await _answered(call, call.parts.requests.accept)


async def decline(call: Call) -> web.Response:
    """Leave a vendor locked out."""
    return await _answered(call, call.parts.requests.decline)


async def _answered(
    call: Call, say: Callable[[str, str], Awaitable[Waiting | None]]
) -> web.Response:
    name = call.item
    await call.bare()
    try:
        with refusals():
            said = await say(call.owner, name)
    except Over as over:
        raise Problem("conflict", str(over)) from None
    if said is None:
        raise Problem("not-found")
    return answer(await _item(call, said))


async def _item(call: Call, waiting: Waiting) -> RequestItem:
    entry = waiting.entry
    wishes = await call.parts.consumers.wishes(call.owner)
    last = wishes.times.local_date(entry.until - _INSTANT).isoformat()
    facts = {"vendor": entry.vendor.name, "date": last}
    name = "asks" if entry.state == "waiting" else f"asks-{entry.state}"
    return RequestItem(
        id=entry.id,
        at=entry.at,
        vendor=entry.vendor.id,
        name=entry.vendor.name,
        recipient=entry.recipient,
        accepts=await _accepts(call, entry, wishes.language),
        note=entry.note,
        state=entry.state,
        until=entry.until,
        sentence=call.parts.sentences.line("notice", name, facts, wishes.language),
        becomes=waiting.becomes or UNSET,
        ended=entry.ended or UNSET,
    )


async def _accepts(call: Call, entry: ReconnectEntry, reads: str) -> tuple[str, ...]:
    """What a vendor accepts, as the page of its reference says it in a language.

    As the vendor was told it, where that page says it so, too, or is there no longer.
    """
    language: Language = named(reads) or "en"
    if language == "en" or not entry.accepted:
        return entry.accepted
    value = await call.parts.store.claim(places.reference(entry.reference), places.REFERENCE)
    row = decode(value, Reference) if value else None
    if row is None or row.heard is None:
        return entry.accepted
    spoken = await call.parts.spoken.as_told(row, row.heard, language)
    return spoken.remedies if spoken else entry.accepted


_WRITE: Final = ("Idempotency-Key",)

VENDOR_ROUTES = (
    Route(
        "POST",
        "/v1/relations/{reference}/reconnect",
        "vendor",
        reconnect,
        "Accept what would have to change for one who locked you out, and ask to be let back in",
        takes={JSON: Reconnect},
        gives={JSON: ReconnectAnswer},
        fields=_WRITE,
        problems=(403, 404, 408, 409, 413, 415, 422),
        # It is an agreement in the vendor's name, and no message.
        scope="manage",
    ),
)

ROUTES = (
    Route(
        "GET",
        "/v1/me/requests",
        "consumer",
        list_requests,
        "Vendors that are locked out and ask to come back, newest first",
        gives={JSON: Items[RequestItem]},
        query=PAGED,
        problems=(422,),
    ),
    Route(
        "POST",
        "/v1/me/requests/{id}/accept",
        "consumer",
        accept,
        "Let a vendor back in; what it accepted becomes the relationship's limits",
        takes={JSON: Nothing},
        gives={JSON: RequestItem},
        fields=_WRITE,
        problems=(404, 408, 409, 412, 413, 415, 422),
    ),
    Route(
        "POST",
        "/v1/me/requests/{id}/decline",
        "consumer",
        decline,
        "Leave a vendor locked out; it is told, and may ask again after a while",
        takes={JSON: Nothing},
        gives={JSON: RequestItem},
        fields=_WRITE,
        problems=(404, 408, 409, 413, 415, 422),
    ),
)
