"""``/v1/me/activity``: who was told what about a consumer, in the very words."""

from datetime import date, datetime
from typing import Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.forms import Items
from letterbox.gateways.http.route import JSON, PAGED, Route
from letterbox.model.record import DecisionRecord
from letterbox.model.told import ToldReason, ToldVerdict
from letterbox.records.activity import Activity, Channel, Happened, Telling, tellings


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
        told=tuple(map(_words, tellings(row))),
        text=(),
        decision=row.id,
    )


def _noted(row: Activity) -> ActivityItem:
    return ActivityItem(
        id=row.id,
        at=row.at,
        type=row.type,
        vendor=row.vendor.id,
        name=row.vendor.name,
        recipient=row.recipient,
        told=tuple(map(_words, tellings(row))),
        text=row.text,
        decision=row.decision or UNSET,
    )


def _words(telling: Telling) -> Words:
    told = telling.told
    if telling.spoken:
        return Words(telling.channel, told.verdict, told.reference, line=told.line)
    return Words(
        telling.channel,
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
