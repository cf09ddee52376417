"""``/v1/me/activity``: who was told what about a consumer, in the very words."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.forms import Items
from letterbox.gateways.http.route import JSON, PAGED, Route
from letterbox.model.record import DecisionRecord
from letterbox.model.told import Told, ToldReason, ToldVerdict
from letterbox.records.activity import Activity, Channel, Happened

_IN_FEED: Final = frozenset({"refuse", "hold"})


class Words(msgspec.Struct, frozen=True):
    """What was told by one channel, word for word: the reply's ``line``, or the fields of JSON."""

    channel: Channel
    verdict: ToldVerdict
    reference: str
    line: str | UnsetType = UNSET
    reason: ToldReason | UnsetType = UNSET
    until: date | UnsetType = UNSET


class ActivityItem(msgspec.Struct, frozen=True):
    """Something that was told about the consumer, or that happened in their name.

    ``told`` is what the vendor was told, by each channel; empty where it was told nothing.
    ``text`` is what the vendor wrote or accepted, or where a complaint or an unsubscription went.
    ``decision`` leads to the decision, if any.
    """

    id: str
    at: datetime
    type: Literal["decision"] | Happened
    vendor: str
    name: str
    recipient: str
    told: tuple[Words, ...]
    text: tuple[str, ...]
    decision: str | UnsetType = UNSET


async def list_activity(call: Call) -> web.Response:
    """What was told, newest first."""
    page = await call.parts.activity.page(call.owner, after=call.after(), limit=call.limit)
    items = tuple(
        _decided(row) if isinstance(row, DecisionRecord) else _noted(row) for row in page.items
    )
    return answer(Items(items=items, after=page.after))


def _decided(row: DecisionRecord) -> ActivityItem:
    return ActivityItem(
        id=row.id,
        at=row.at,
        type="decision",
        vendor=row.vendor.id,
        name=row.vendor.name,
        recipient=row.recipient,
        told=tuple(_told(row)),
        text=(),
        decision=row.id,
    )


def _told(row: DecisionRecord) -> Iterator[Words]:
    yield _words(row.channel, row.told, in_session=row.edge != "http")
    heard = row.heard or row.told
    shared = row.hearing is not None and row.hearing.shares_delivered
    fed = heard.verdict in _IN_FEED or (shared and heard.verdict == "deliver")
    if row.channel == "reply" and row.vendor.registered and fed:
        yield _words("feed", heard)


def _noted(row: Activity) -> ActivityItem:
    return ActivityItem(
        id=row.id,
        at=row.at,
        type=row.type,
        vendor=row.vendor.id,
        name=row.vendor.name,
        recipient=row.recipient,
        told=(_words(row.channel, row.told),) if row.told else (),
        text=row.text,
        decision=row.decision or UNSET,
    )


def _words(channel: Channel, told: Told, *, in_session: bool = False) -> Words:
    if channel == "reply" and in_session:
        return Words(channel, told.verdict, told.reference, line=told.line)
    return Words(
        channel,
        told.verdict,
        told.reference,
        reason=told.reason or UNSET,
        until=told.until or UNSET,
    )


ROUTES = (
    Route(
        "GET",
        "/v1/me/activity",
        "consumer",
        list_activity,
        "Who was told what about you, word for word, newest first",
        gives={JSON: Items[ActivityItem]},
        query=PAGED,
        problems=(422,),
    ),
)
