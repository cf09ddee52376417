"""``/v1/me/decisions``: every decision about a consumer's mail, and why."""

from typing import get_args

from aiohttp import web

from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call, bad
from letterbox.gateways.http.forms import DecisionItem, Items, StrangersItem, decision_item
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.gateways.http.route import JSON, PAGED, Route
from letterbox.model.record import DecisionRecord
from letterbox.model.verdict import Decision, VerdictName
from letterbox.records.strangers import StrangerCounts


async def list_decisions(call: Call) -> web.Response:
    """Every decision with its findings, newest first."""
    verdict = call.request.query.get("verdict") or None
    known = get_args(VerdictName)
    if verdict is not None and verdict not in known:
        raise mistaken(bad("verdict", verdict, ", ".join(known)))
    page = await call.parts.mailboxes.decisions(
        call.owner, after=call.after(), limit=call.limit, verdict=verdict
    )
    language = (await call.parts.consumers.wishes(call.owner)).language
    items = tuple(decision_item(row, _sentence(call, row, language)) for row in page.items)
    return answer(Items(items=items, after=page.after))


async def get_decision(call: Call) -> web.Response:
    """One decision."""
    row = await call.parts.mailboxes.decision(call.owner, call.item)
    if row is None:
        raise Problem("not-found")
    language = (await call.parts.consumers.wishes(call.owner)).language
    return answer(decision_item(row, _sentence(call, row, language)))


def _sentence(call: Call, row: DecisionRecord, language: str) -> str:
    """Why, in the consumer's language; empty where nothing stood in the way."""
    deciding = Decision(verdict=row.verdict, findings=row.findings).deciding
    return call.parts.sentences.person(deciding, language) if deciding else ""


async def list_strangers(call: Call) -> web.Response:
    """How many messages of unproven senders were refused, by day and reason, newest first."""
    counts = StrangerCounts(call.parts.store, call.parts.registry)
    items = tuple(
        StrangersItem(day=row.day, reason=row.reason, count=row.count)
        for row in await counts.of(call.owner, call.parts.clock.now())
    )
    return answer(Items(items=items, after=None))


ROUTES = (
    Route(
        "GET",
        "/v1/me/decisions",
        "consumer",
        list_decisions,
        "Every decision with its findings, newest first",
        gives={JSON: Items[DecisionItem]},
        query=(*PAGED, "verdict"),
        problems=(422,),
    ),
    Route(
        "GET",
        "/v1/me/decisions/{id}",
        "consumer",
        get_decision,
        "One decision with its findings",
        gives={JSON: DecisionItem},
        problems=(404,),
    ),
    Route(
        "GET",
        "/v1/me/strangers",
        "consumer",
        list_strangers,
        "How many messages of unproven senders were refused, by day and reason",
        gives={JSON: Items[StrangersItem]},
    ),
)
