"""The one table of routes: what is served, and what ``/openapi.json`` and ``/docs`` describe."""

from importlib.metadata import version

from aiohttp import web

from letterbox.gateways.http import feedback, mine, operations, pages
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.forms import (
    Answer,
    DecisionItem,
    FeedItem,
    HeldAnswer,
    HeldItem,
    InboxItem,
    Items,
    Marks,
    NewMessage,
    Nothing,
    StrangersItem,
)
from letterbox.gateways.http.openapi import describe
from letterbox.gateways.http.problems import KINDS
from letterbox.gateways.http.route import Route
from letterbox.gateways.http.submit import submit
from letterbox.model.preferences import Preferences

_JSON = "application/json"
_HTML = "text/html"
_PAGED = ("after", "limit")


async def openapi(call: Call) -> web.Response:
    """This table as OpenAPI 3.1."""
    del call
    return web.Response(body=_DESCRIPTION, content_type="application/json")


async def docs(call: Call) -> web.Response:
    """This table and the problems as a page; the whole is in ``/openapi.json``."""
    del call
    return pages.page("docs.html", routes=ROUTES, kinds=KINDS)


_VENDOR = (
    Route(
        "POST",
        "/v1/messages",
        "vendor",
        submit,
        "Send a message to 1 to 100 recipients; one result for each, in order",
        takes={_JSON: NewMessage, "message/rfc822": None},
        gives={_JSON: Answer},
        query=("to",),
        fields=("Idempotency-Key",),
        problems=(408, 413, 415, 422, 429),
    ),
    Route(
        "GET",
        "/v1/feedback",
        "vendor",
        feedback.list_feedback,
        "What became of messages: events after a cursor, oldest first",
        gives={_JSON: Items[FeedItem]},
        query=(*_PAGED, "wait"),
        problems=(422,),
    ),
)

_CONSUMER = (
    Route(
        "GET",
        "/v1/me/preferences",
        "consumer",
        mine.get_preferences,
        "Everything declared, as one document with its ETag",
        gives={_JSON: Preferences},
        fields=("If-None-Match",),
        problems=(404,),
    ),
    Route(
        "PUT",
        "/v1/me/preferences",
        "consumer",
        mine.put_preferences,
        "Replace everything declared; If-Match guards it",
        takes={_JSON: Preferences},
        gives={_JSON: Preferences},
        fields=("If-Match", "Idempotency-Key"),
        problems=(404, 408, 412, 413, 415, 422, 428),
    ),
    Route(
        "GET",
        "/v1/me/inbox",
        "consumer",
        mine.list_inbox,
        "What was delivered, newest first",
        gives={_JSON: Items[InboxItem]},
        query=_PAGED,
        problems=(422,),
    ),
    Route(
        "GET",
        "/v1/me/inbox/{id}",
        "consumer",
        mine.get_entry,
        "One message of the inbox",
        gives={_JSON: InboxItem},
        problems=(404,),
    ),
    Route(
        "PATCH",
        "/v1/me/inbox/{id}",
        "consumer",
        mine.mark_entry,
        "Mark a message as read or archived",
        takes={_JSON: Marks},
        gives={_JSON: InboxItem},
        fields=("Idempotency-Key",),
        problems=(404, 408, 413, 415, 422),
    ),
    Route(
        "DELETE",
        "/v1/me/inbox/{id}",
        "consumer",
        mine.remove_entry,
        "Delete a message from the inbox",
        gives={},
        fields=("Idempotency-Key",),
        problems=(404,),
        status=204,
    ),
    Route(
        "GET",
        "/v1/me/inbox/{id}/raw",
        "consumer",
        mine.get_raw,
        "The message itself, with our trace fields or as received",
        gives={"message/rfc822": None},
        query=("original",),
        problems=(404, 422),
    ),
    Route(
        "GET",
        "/v1/me/held",
        "consumer",
        mine.list_held,
        "What waits for its time or for a yes, newest first",
        gives={_JSON: Items[HeldItem]},
        query=_PAGED,
        problems=(422,),
    ),
    Route(
        "POST",
        "/v1/me/held/{id}/release",
        "consumer",
        mine.release,
        "Let a held message through",
        takes={_JSON: Nothing},
        gives={_JSON: HeldAnswer},
        fields=("Idempotency-Key",),
        problems=(404, 408, 413, 415, 422),
    ),
    Route(
        "POST",
        "/v1/me/held/{id}/refuse",
        "consumer",
        mine.refuse,
        "Refuse a held message",
        takes={_JSON: Nothing},
        gives={_JSON: HeldAnswer},
        fields=("Idempotency-Key",),
        problems=(404, 408, 413, 415, 422),
    ),
    Route(
        "GET",
        "/v1/me/decisions",
        "consumer",
        mine.list_decisions,
        "Every decision with its findings, newest first",
        gives={_JSON: Items[DecisionItem]},
        query=(*_PAGED, "verdict"),
        problems=(422,),
    ),
    Route(
        "GET",
        "/v1/me/decisions/{id}",
        "consumer",
        mine.get_decision,
        "One decision with its findings",
        gives={_JSON: DecisionItem},
        problems=(404,),
    ),
    Route(
        "GET",
        "/v1/me/strangers",
        "consumer",
        mine.list_strangers,
        "How many messages of unproven senders were refused, by day and reason",
        gives={_JSON: Items[StrangersItem]},
    ),
)

_PUBLIC = (
    Route("GET", "/", "anyone", pages.home, "What this is", gives={_HTML: None}),
    Route("GET", "/style.css", "anyone", pages.style, "The stylesheet", gives={"text/css": None}),
    Route("GET", "/docs", "anyone", docs, "This API in short", gives={_HTML: None}),
    Route("GET", "/openapi.json", "anyone", openapi, "This description", gives={_JSON: None}),
    Route("GET", "/reasons", "anyone", pages.list_reasons, "Every reason", gives={_HTML: None}),
    Route(
        "GET",
        "/reasons/{code}",
        "anyone",
        pages.get_reason,
        "What one reason means",
        gives={_HTML: None},
        problems=(404,),
    ),
    Route(
        "GET",
        "/r/{reference}",
        "anyone",
        pages.get_reference,
        "What the sender of one message may know",
        gives={_HTML: None},
        problems=(404,),
    ),
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

ROUTES: tuple[Route, ...] = _VENDOR + _CONSUMER + _PUBLIC + OPERATIONS
_DESCRIPTION = describe(ROUTES, version("letterbox"))
