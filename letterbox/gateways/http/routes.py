"""The one table of routes: what is served, and what ``/openapi.json`` and ``/docs`` describe."""

from collections.abc import Awaitable, Callable
from importlib.metadata import version

from aiohttp import web

from letterbox.feedback.events import FeedItem
from letterbox.gateways.http import (
    activity,
    cleaned,
    decisions,
    destinations,
    feedback,
    held,
    inbox,
    keys,
    me,
    notices,
    objections,
    operations,
    pages,
    pieces,
    preferences,
    preflight,
    requests,
    starting,
    stats,
    suggestions,
    times,
    told,
    vendor,
    webhooks,
)
from letterbox.gateways.http.batch import MOST_LINES, NDJSON, batch
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.forms import Answer, Items, NewMessage
from letterbox.gateways.http.openapi import describe
from letterbox.gateways.http.problems import KINDS
from letterbox.gateways.http.route import JSON, PAGED, Route
from letterbox.gateways.http.stream import EVENT_STREAM
from letterbox.gateways.http.submit import submit

_HTML = "text/html"


async def openapi(call: Call) -> web.Response:
    """This table as OpenAPI 3.1."""
    del call
    return web.Response(body=_DESCRIPTION, content_type="application/json")


async def docs(call: Call) -> web.Response:
    """This table and the problems as a page; the whole is in ``/openapi.json``."""
    return pages.page_in_english("docs.html", call, routes=ROUTES, kinds=KINDS)


def _page(
    path: str,
    run: Callable[[Call], Awaitable[web.StreamResponse]],
    summary: str,
    *problems: int,
) -> Route:
    """A page for people, in the language of ``lang`` or Accept-Language."""
    return Route(
        "GET",
        path,
        "anyone",
        run,
        summary,
        gives={_HTML: None},
        query=("lang",),
        fields=("Accept-Language",),
        problems=problems,
    )


_VENDOR = (
    Route(
        "POST",
        "/v1/messages",
        "vendor",
        submit,
        "Send a message to 1 to 100 recipients; one result for each, in order",
        takes={JSON: NewMessage, "message/rfc822": None},
        gives={JSON: Answer},
        query=("to",),
        fields=("Idempotency-Key",),
        problems=(403, 408, 413, 415, 422, 429),
        scope="send",
        once="message",
    ),
    Route(
        "POST",
        "/v1/messages/batch",
        "vendor",
        batch,
        f"Send up to {MOST_LINES:,} messages, one a line; each is answered by a line in its place",
        takes={NDJSON: NewMessage},
        gives={NDJSON: Answer},
        fields=("Idempotency-Key",),
        problems=(403, 415, 422),
        scope="send",
        once="message",
    ),
    Route(
        "GET",
        "/v1/feedback",
        "vendor",
        feedback.list_feedback,
        "What became of messages: events after a cursor, oldest first; as a stream where asked for",
        gives={JSON: Items[FeedItem], EVENT_STREAM: None},
        query=(*PAGED, "wait"),
        fields=("Last-Event-ID",),
        cursor=feedback.CURSOR.pattern,
        problems=(403, 422),
        scope="feedback",
    ),
    *preflight.ROUTES,
    *stats.ROUTES,
    *vendor.ROUTES,
    *keys.ROUTES,
    *webhooks.ROUTES,
    *requests.VENDOR_ROUTES,
)

_PUBLIC = (
    _page("/", pages.home, "What this is"),
    Route("GET", "/style.css", "anyone", pages.style, "The stylesheet", gives={"text/css": None}),
    Route("GET", "/docs", "anyone", docs, "This API in short", gives={_HTML: None}),
    Route("GET", "/openapi.json", "anyone", openapi, "This description", gives={JSON: None}),
    _page("/reasons", pages.list_reasons, "Every reason"),
    _page("/reasons/{code}", pages.get_reason, "What one reason means", 404),
    _page("/r/{reference}", pages.get_reference, "What the sender of one message may know", 404),
)

OPERATIONS = (
    Route(
        "GET",
        "/healthz",
        "operator",
        operations.health,
        "Whether the process answers",
        gives={"text/plain": None},
    ),
    Route(
        "GET",
        "/readyz",
        "operator",
        operations.ready,
        "Whether messages are taken now",
        gives={"text/plain": None},
    ),
    Route(
        "GET",
        "/metrics",
        "operator",
        operations.metrics,
        "What is counted, for Prometheus",
        gives={"text/plain": None},
    ),
)

_CONSUMER = (
    preferences.ROUTES
    + pieces.ROUTES
    + times.ROUTES
    + inbox.ROUTES
    + destinations.ROUTES
    + cleaned.ROUTES
    + objections.ROUTES
    + held.ROUTES
    + decisions.ROUTES
    + suggestions.ROUTES
    + told.ROUTES
    + requests.ROUTES
    + activity.ROUTES
    + starting.ROUTES
    + notices.ROUTES
    + me.ROUTES
)

ROUTES: tuple[Route, ...] = _VENDOR + _CONSUMER + _PUBLIC + OPERATIONS
_DESCRIPTION = describe(ROUTES, version("letterbox"))
