"""What a vendor would be told of a decision: the very bytes, at any level."""

from typing import get_args

import msgspec
from aiohttp import web

from letterbox.feedback.events import FeedItem, feed_item
from letterbox.feedback.preview import preview
from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call, bad
from letterbox.gateways.http.decisions import decision_of
from letterbox.gateways.http.forms import Result, result_item
from letterbox.gateways.http.problems import mistaken
from letterbox.gateways.http.route import JSON, Route
from letterbox.model.preferences import Tells
from letterbox.model.record import DecisionRecord


class PreviewItem(msgspec.Struct, frozen=True):
    """What a vendor would be told of a decision at a level. ``tells`` is null for a newcomer.

    ``line`` is the reply over SMTP, ``result`` that of the API, null where nothing is answered any
    more: the message was held before. ``events`` are what the feed and webhooks say; of such a
    message their ids are random, here all zeros.
    """

    decision: str
    tells: Tells | None
    line: str | None
    result: Result | None
    events: tuple[FeedItem, ...]


async def preview_told(call: Call) -> web.Response:
    """What its vendor would be told of a decision at a level: nothing is stored or sent."""
    tells = call.request.query.get("tells")
    if tells is not None and tells not in get_args(Tells):
        raise mistaken(bad("tells", tells, ", ".join(get_args(Tells))))
    parts, row = call.parts, await decision_of(call)
    message = await parts.mailboxes.message(row.message)
    reference = message.your_reference if message else None
    found = preview(
        parts.disclosure,
        row,
        msgspec.convert(tells, Tells | None),
        times=(await parts.consumers.wishes(call.owner)).times,
        your_reference=reference,
        before=await _before(call, row),
    )
    told = found.told
    item = PreviewItem(
        decision=row.id,
        tells=found.tells,
        line=told.line if told else None,
        result=result_item(row.recipient, told, reference) if told else None,
        events=tuple(map(feed_item, found.events)),
    )
    return answer(item)


async def _before(call: Call, row: DecisionRecord) -> DecisionRecord | None:
    """The decision that one follows, of those about the same message."""
    name = row.follows
    while name is not None:
        before = await call.parts.mailboxes.decision(call.owner, name)
        if before is None or before.followed_by == row.id:
            return before
        name = before.followed_by
    return None


ROUTES = (
    Route(
        "GET",
        "/v1/me/decisions/{id}/told",
        "consumer",
        preview_told,
        "What the vendor would be told of it at another level, byte for byte; changes nothing",
        gives={JSON: PreviewItem},
        query=("tells",),
        problems=(404, 422),
    ),
)
