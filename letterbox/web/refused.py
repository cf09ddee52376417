"""``/refused``: what did not come, by which rule, and how to let it in after all."""

from datetime import timedelta
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web

from letterbox.hindsight import Gone, UndoFailed
from letterbox.hindsight.changes import DAYS as COUNTED_DAYS
from letterbox.hindsight.changes import Found
from letterbox.model.record import DecisionRecord
from letterbox.model.verdict import Refuse, reason_of
from letterbox.records.strangers import StrangerCounts
from letterbox.web.counts import DAYS
from letterbox.web.failures import Failure, missing
from letterbox.web.inbox import would
from letterbox.web.kinds import KINDS
from letterbox.web.listing import address, listing
from letterbox.web.rules import facts_of_change, revision_of
from letterbox.web.visit import ROWS, Page, Visit

_PATH = "/refused"
_MOST_OBJECTIONS = 500
_PERIODS = (7, DAYS, 90, 400)


class Row(NamedTuple):
    """One refusal in the list, or what would have been one."""

    decision: DecisionRecord
    company: str
    sentence: str
    kind: str


class Change(NamedTuple):
    """A change of rules that is offered, in words."""

    id: str
    sentence: str
    others: int
    unjudged: int


class Unproven(NamedTuple):
    """How many messages of unproven senders were refused on one day, and why."""

    day: str
    reason: str
    messages: int


async def show_watched(visit: Visit) -> web.Response:
    """What would have been refused or held, newest first."""
    oldest = visit.now - timedelta(days=DAYS)
    page = await visit.parts.mailboxes.decisions(
        visit.consumer,
        after=visit.after,
        limit=ROWS,
        wanted=lambda row: row.would is not None and row.at >= oldest,
    )
    rows = [
        Row(
            decision,
            company=decision.vendor.name or decision.sender,
            sentence=would(visit, deciding),
            kind=visit.say(KINDS.get(decision.kind, decision.kind)),
        )
        for decision in page.items
        if (deciding := decision.decision.deciding) is not None
    ]
    to = page.after if rows and page.items[-1].at >= oldest else None
    return await visit.page(
        "watched.html",
        list=listing(rows, _PATH, {"watched": "yes"}, after=visit.after, to=to),
        days=DAYS,
    )


async def show_list(visit: Visit) -> web.Response:
    """What was refused and not let in since, newest first; or what would have been."""
    if visit.asked("watched") == "yes":
        return await show_watched(visit)
    vendor, reason, days = visit.asked("vendor"), visit.asked("reason"), _days(visit)
    oldest = visit.now - timedelta(days=days)

    def wanted(row: DecisionRecord) -> bool:
        return (
            row.followed_by is None
            and row.at >= oldest
            and (not vendor or row.vendor.id == vendor)
            and (not reason or reason_of(row.verdict) == reason)
        )

    page = await visit.parts.mailboxes.decisions(
        visit.consumer, after=visit.after, limit=ROWS, verdict="refuse", wanted=wanted
    )
    filters = {
        "vendor": vendor,
        "reason": reason,
        "days": str(days) if days != DAYS else "",
    }
    rows = [_row(visit, decision) for decision in page.items]
    # What is older than that is not looked at.
    to = page.after if rows and page.items[-1].at >= oldest else None
    return await visit.page(
        "refused.html",
        list=listing(rows, _PATH, filters, after=visit.after, to=to),
        filters=filters,
        filtered=bool(vendor or reason),
        days=days,
        periods=_PERIODS,
        reasons=_reasons(visit),
        unproven=await _unproven(visit, days) if not vendor and not visit.after else (),
        here=address(_PATH, filters),
        objections=await _objections(visit),
    )


async def show_decision(visit: Visit) -> web.Response:
    """One refusal: every check, the very words that were told, and what would let it in."""
    decision = await _decision(visit)
    changes: tuple[Change, ...] = ()
    if decision.followed_by is None:
        try:
            found = await visit.parts.undo.offers(visit.consumer, decision.id) or ()
        except UndoFailed:
            raise missing() from None
        changes = tuple(_change(visit, each) for each in found)
    return await visit.page(
        "refusal.html",
        row=_row(visit, decision),
        lines=visit.parts.explanations.lines(decision, visit.language),
        changes=changes,
        days=COUNTED_DAYS,
        kept=await visit.parts.mailboxes.body(decision.message) is not None,
        objections=await _objections(visit),
    )


async def let_in(visit: Visit) -> web.Response:
    """Let it in after all; with a change of the rules where one was chosen."""
    decision = await _decision(visit)
    before = await revision_of(visit)
    change = visit.field("change")
    try:
        record = await visit.parts.undo.let_through(
            visit.consumer, decision.id, change=change or None
        )
    except UndoFailed:
        raise Failure(HTTPStatus.CONFLICT) from None
    except Gone:
        raise Failure(HTTPStatus.GONE) from None
    if record is None:
        raise missing()
    done = {"id": record.id, "subject": decision.subject}
    if change:
        return visit.see(_PATH, "let-in-changed", **done, **await facts_of_change(visit, before))
    return visit.see(_PATH, "let-in", **done)


# ---- read ----


def _days(visit: Visit) -> int:
    asked = visit.asked("days")
    return next((days for days in _PERIODS if str(days) == asked), DAYS)


async def _objections(visit: Visit) -> dict[str, str]:
    """The objection that stands against a company, by the company's id."""
    page = await visit.parts.objections.page(visit.consumer, after=None, limit=_MOST_OBJECTIONS)
    return {each.vendor.id: each.id for each in page.items}


async def _decision(visit: Visit) -> DecisionRecord:
    decision = await visit.parts.mailboxes.decision(visit.consumer, visit.item)
    if decision is None or not isinstance(decision.verdict, Refuse):
        raise missing()
    return decision


def _row(visit: Visit, decision: DecisionRecord) -> Row:
    return Row(
        decision,
        company=decision.vendor.name or decision.sender,
        sentence=visit.parts.explanations.why(decision, visit.language),
        kind=visit.say(KINDS.get(decision.kind, decision.kind)),
    )


def _change(visit: Visit, found: Found) -> Change:
    say = visit.parts.explanations.change
    sentence = "; ".join(say(edit.name, edit.facts, visit.language) for edit in found.edits)
    return Change(found.id, sentence, found.others, found.unjudged)


def _reasons(visit: Visit) -> dict[str, str]:
    """What a refusal can rest on, by code, in the visitor's words."""
    return {
        code: visit.parts.sentences.texts(code, visit.language).title
        for code, reason in visit.parts.registry.items()
        if reason.about != "message"
    }


async def _unproven(visit: Visit, days: int) -> tuple[Unproven, ...]:
    kept = visit.parts.configuration.retention.strangers
    counts = StrangerCounts(visit.parts.store, visit.parts.registry, days=min(days, kept))
    today = visit.local(visit.now).date()
    return tuple(
        Unproven(
            visit.texts.day(row.day, today),
            visit.parts.sentences.texts(row.reason, visit.language).title,
            row.count,
        )
        for row in await counts.of(visit.consumer, visit.now)
    )


PAGES = (
    Page("GET", "/refused", "consumer", show_list),
    Page("GET", "/refused/{id}", "consumer", show_decision),
    Page("POST", "/refused/{id}/let-in", "consumer", let_in),
)
