"""``/v1/me/inbox/{id}/cleaned``: a message as it is read, without what tells of its reader."""

import msgspec
from aiohttp import web

from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.problems import Problem
from letterbox.gateways.http.route import JSON, Route
from letterbox.model.preferences import Tracking
from letterbox.reading.trackers import Finding, Untouched


class CleanedItem(msgspec.Struct, frozen=True):
    """What there is to read in a message, and what was taken out of it.

    ``html`` is not made safe: it may run what its sender wrote, and fetches what is left.
    ``images``, ``links`` and ``parameters`` are all that were looked at; ``more`` are findings
    beyond those told. ``untouched`` says of each part that was left alone why that is.
    """

    id: str
    grade: Tracking
    text: str | None
    html: str | None
    images: int
    links: int
    parameters: int
    findings: tuple[Finding, ...]
    more: int
    untouched: tuple[Untouched, ...]


async def get_cleaned(call: Call) -> web.Response:
    """The text and HTML of a message, cleaned as its consumer wishes, or as it was sent."""
    entry = await call.parts.mailboxes.entry(call.owner, call.item)
    if entry is None:
        raise Problem("not-found")
    original = call.number("original", 1)
    body = await call.parts.mailboxes.body(entry.message)
    if body is None:
        raise Problem("not-found")
    trackers = call.parts.trackers
    grade = "off" if original else (await trackers.sight(call.owner, entry)).grade
    cleaned = await trackers.cleaned(body, grade, recipient=entry.recipient, shown=True)
    shown = trackers.readable(cleaned.content)
    found = cleaned.found
    return answer(
        CleanedItem(
            id=entry.id,
            grade=grade,
            text=shown.text,
            html=shown.html,
            images=found.images,
            links=found.links,
            parameters=found.parameters,
            findings=found.findings,
            more=found.more,
            untouched=cleaned.untouched,
        )
    )


ROUTES = (
    Route(
        "GET",
        "/v1/me/inbox/{id}/cleaned",
        "consumer",
        get_cleaned,
        "What a message says, without what tells its sender of its reader, and what that was",
        gives={JSON: CleanedItem},
        query=("original",),
        problems=(404, 422),
    ),
)
