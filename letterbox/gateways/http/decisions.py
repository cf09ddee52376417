"""``/v1/me/decisions``: every decision about a consumer's mail, and why."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import get_args

import msgspec
from aiohttp import web

from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call, bad
from letterbox.gateways.http.flags import worded
from letterbox.gateways.http.forms import (
    ChangeItem,
    DecisionItem,
    Items,
    ReplayForm,
    StrangersItem,
    UndoAnswer,
    UndoForm,
    decision_item,
)
from letterbox.gateways.http.preferences import declared, refusals
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.gateways.http.route import JSON, PAGED, Route
from letterbox.hindsight import Gone, Replayed, UndoFailed
from letterbox.hindsight.changes import DAYS, Found
from letterbox.model.preferences import Language
from letterbox.model.record import DecisionRecord
from letterbox.model.verdict import VerdictName
from letterbox.records.changes import Unimaginable, imagined
from letterbox.records.strangers import StrangerCounts
from letterbox.wishes import Mistake


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
    word = await worded(call, language)
    items = tuple(
        decision_item(row, call.parts.explanations.why(row, language), flags=word(row.flags))
        for row in page.items
    )
    return answer(Items(items=items, after=page.after))


async def get_decision(call: Call) -> web.Response:
    """One decision, told line by line."""
    return answer(await _told(call, await decision_of(call), await asked_language(call)))


async def list_changes(call: Call) -> web.Response:
    """The smallest changes of wishes that would have let a refused message through."""
    language = await asked_language(call)
    with _outcomes():
        found = await call.parts.undo.offers(call.owner, call.item)
    if found is None:
        raise Problem("not-found")
    items = _offered(call, found, language)
    return answer(Items(items=items, after=None))


async def undo(call: Call) -> web.Response:
    """Let a refused message through, and change the wishes where that is said."""
    form = await call.form_if_any(UndoForm) or UndoForm()
    name, language = call.item, await asked_language(call)
    with _outcomes():
        # Who names a change has seen what is offered.
        found = () if form.change else await call.parts.undo.offers(call.owner, name) or ()
        record = await call.parts.undo.let_through(call.owner, name, change=form.change)
    if record is None:
        raise Problem("not-found")
    offered = _offered(call, found, language)
    told = await _told(call, record, language)
    return answer(UndoAnswer(id=name, decision=told, changes=offered))


@contextmanager
def _outcomes() -> Iterator[None]:
    """What stands in the way of an undo, as problems."""
    try:
        with refusals():
            yield
    except UndoFailed as failed:
        became = f"; see the decision {failed.became}" if failed.became else ""
        raise Problem("conflict", f"{failed}{became}") from None
    except Gone as gone:
        raise Problem("gone", str(gone)) from None


def _offered(call: Call, found: Sequence[Found], language: str) -> tuple[ChangeItem, ...]:
    say = call.parts.explanations.change
    return tuple(
        ChangeItem(
            id=each.id,
            sentence="; ".join(say(edit.name, edit.facts, language) for edit in each.edits),
            changes=each.changes,
            others=each.others,
            unjudged=each.unjudged,
            days=DAYS,
        )
        for each in found
    )


async def replay(call: Call) -> web.Response:
    """What other wishes would have done with the mail of the last days."""
    form = await call.form(ReplayForm)
    stored = await declared(call)
    preferences = form.preferences or stored.preferences
    try:
        preferences = imagined(preferences, [(c.piece, c.id, c.after) for c in form.changes])
    except Unimaginable as error:
        allowed = "a piece as GET gives it, under its own id; null takes one away"
        path = f"changes[{error.nth}]"
        raise mistaken(Mistake(path=path, mistake=str(error), allowed=allowed)) from None
    except msgspec.ValidationError as error:
        allowed = "fields of the core document as GET gives them"
        raise mistaken(Mistake(path="changes", mistake=str(error), allowed=allowed)) from None
    if mistakes := await call.parts.consumers.own_mistakes(call.owner, preferences):
        raise mistaken(*mistakes)
    found = await call.parts.replay.run(call.owner, preferences, stored, days=form.days)
    return answer(found)


async def decision_of(call: Call) -> DecisionRecord:
    """The decision that the path names."""
    row = await call.parts.mailboxes.decision(call.owner, call.item)
    if row is None:
        raise Problem("not-found")
    return row


async def asked_language(call: Call) -> str:
    """The language asked for, else the consumer's."""
    asked = call.request.query.get("language")
    if asked is None:
        return (await call.parts.consumers.wishes(call.owner)).language
    if asked not in get_args(Language):
        raise mistaken(bad("language", asked, ", ".join(get_args(Language))))
    return asked


async def _told(call: Call, row: DecisionRecord, language: str) -> DecisionItem:
    lines = call.parts.explanations.lines(row, language)
    word = await worded(call, language)
    return decision_item(row, call.parts.explanations.why(row, language), lines, word(row.flags))


async def list_strangers(call: Call) -> web.Response:
    """How many messages of unproven senders were refused, by day and reason, newest first."""
    days = call.parts.configuration.retention.strangers
    counts = StrangerCounts(call.parts.store, call.parts.registry, days=days)
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
        "One decision with its findings, told line by line",
        gives={JSON: DecisionItem},
        query=("language",),
        problems=(404, 422),
    ),
    Route(
        "GET",
        "/v1/me/decisions/{id}/changes",
        "consumer",
        list_changes,
        "The smallest changes of wishes that would have let a refused message through",
        gives={JSON: Items[ChangeItem]},
        query=("language",),
        problems=(404, 409, 422),
    ),
    Route(
        "POST",
        "/v1/me/decisions/{id}/undo",
        "consumer",
        undo,
        "Let a refused message through, once; with a change of wishes, if one is named",
        takes={JSON: UndoForm},
        gives={JSON: UndoAnswer},
        query=("language",),
        fields=("Idempotency-Key",),
        problems=(404, 408, 409, 410, 412, 413, 415, 422),
    ),
    Route(
        "POST",
        "/v1/me/replay",
        "consumer",
        replay,
        "What other wishes would have done with the mail of the last days; changes nothing",
        takes={JSON: ReplayForm},
        gives={JSON: Replayed},
        problems=(404, 408, 413, 415, 422),
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
