"""``/vendors/{id}``: the rules with one company, what it hears, and what was changed."""

from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Final, NamedTuple, get_args

import msgspec
from aiohttp import web

from letterbox.feedback.preview import preview
from letterbox.model.preferences import Limit, Tells, VendorRule, each_limit
from letterbox.records.changes import By, Change
from letterbox.web.changing import Mistaken, changed
from letterbox.web.companies import (
    PATH,
    PERIODS,
    PROOFS,
    SCOPES,
    STANDINGS,
    TELLS,
    UNWANTED,
    Company,
    differing,
    level_of,
    names_of,
    one_of,
    rules,
)
from letterbox.web.failures import Failure
from letterbox.web.kinds import KINDS
from letterbox.web.rules import facts_of_change, revision_of
from letterbox.web.texts import N_
from letterbox.web.tracking import SEES
from letterbox.web.traffic import Behaviour
from letterbox.web.visit import Page, Visit

_PAST: Final = 20
_BY: Final[dict[By, str]] = {
    "consumer": N_("you"),
    "operator": N_("the operator"),
    "answer": N_("your answer to a message"),
    "advertising": N_("you: this was advertising"),
    "unwanted": N_("you: this was unwanted"),
    "objection": N_("you: you objected"),
    "undo": N_("you, letting a message in"),
    "restore": N_("you, putting something back"),
    "confirm": N_("you, confirming it"),
    "request": N_("you, letting it back in"),
    "expecting": N_("you, expecting mail"),
    "import": N_("you, by what your old mail suggested"),
    "suggestion": N_("you, by a suggestion"),
}


class Level(NamedTuple):
    """What may be told, and the exact words of the last refusal told so."""

    name: str
    text: str
    line: str
    fed: tuple[str, ...]


class Past(NamedTuple):
    """One change of the relationship: what differs, as name, before and after."""

    at: datetime
    by: str
    differences: list[tuple[str, str, str]]
    was: str


async def show(visit: Visit) -> web.Response:
    """The rules with one company."""
    return await _page(visit, await one_of(visit))


async def _page(
    visit: Visit, company: Company, *, what: str = "", mistaken: Mistaken | None = None
) -> web.Response:
    traffic = await visit.inside.watching.of(visit.consumer, visit.now)
    behaviour = traffic.of(company.vendor.id)
    return await visit.page(
        "company.html",
        code=HTTPStatus.UNPROCESSABLE_ENTITY if mistaken else HTTPStatus.OK,
        company=company,
        rule=company.rule,
        rules=[each for each in rules(visit, company) if each.what != "tells"],
        behaviour=behaviour,
        level=level_of(company),
        levels=await _levels(visit, behaviour),
        past=await _history(visit, company),
        objection=await visit.parts.objections.with_vendor(visit.consumer, company.vendor.id),
        limits=_limits(visit, company.rule, what if mistaken else ""),
        what=what,
        mistaken=mistaken,
        typed=visit.field,
        kinds=names_of(KINDS, visit),
        scopes=names_of(SCOPES, visit),
        standings={name: visit.say(STANDINGS[name]) for name in ("allowed", "ask")},
        periods=names_of(PERIODS, visit),
        unwanted=names_of(UNWANTED, visit),
        proofs=names_of(PROOFS, visit),
        sees=names_of(SEES, visit),
    )


async def change(visit: Visit) -> web.Response:
    """Change one rule."""
    company, what = await one_of(visit), visit.field("what")
    try:
        after = changed(visit, company.rule, what)
    except KeyError:
        raise Failure(HTTPStatus.BAD_REQUEST) from None
    except Mistaken as mistaken:
        return await _page(visit, company, what=what, mistaken=mistaken)
    return await set_rule(visit, company, after, "company-changed")


async def set_rule(visit: Visit, company: Company, after: VendorRule, done: str) -> web.Response:
    """Make a relationship another, where it is as the form's sender saw it."""
    if visit.field("revision") != str(company.piece.revision):
        versions = differing(visit, company, after, company.rule)
        raise Failure(HTTPStatus.PRECONDITION_FAILED, versions=versions)
    before = await revision_of(visit)
    await visit.parts.consumers.revise_piece(
        visit.consumer,
        company.piece.key,
        after,
        expect=company.piece.revision,
        now=visit.now,
    )
    facts = await facts_of_change(visit, before)
    return visit.see(company.path, done, vendor=company.name, **facts)


async def confirm(visit: Visit) -> web.Response:
    """Let a relationship go on though its domain has changed hands."""
    company = await one_of(visit)
    await visit.parts.consumers.revise_piece(
        visit.consumer,
        company.piece.key,
        company.rule,
        expect=company.piece.revision,
        now=visit.now,
        by="confirm",
        confirms=True,
    )
    return visit.see(company.path, "company-confirmed", vendor=company.name)


async def remove(visit: Visit) -> web.Response:
    """End a relationship: its company is as any other from then on."""
    company = await one_of(visit)
    if visit.field("revision") != str(company.piece.revision):
        raise Failure(HTTPStatus.PRECONDITION_FAILED)
    before = await revision_of(visit)
    await visit.parts.consumers.revise_piece(
        visit.consumer, company.piece.key, None, expect=company.piece.revision, now=visit.now
    )
    facts = await facts_of_change(visit, before)
    return visit.see(PATH, "company-removed", vendor=company.name, **facts)


# ---- read ----


def _limits(visit: Visit, rule: VendorRule, mistaken: str) -> list[tuple[str, str, str, str]]:
    """Each limit as number, period, and its kinds, by name and in words; one empty row more."""
    if mistaken == "limit":
        rows = list(
            zip(visit.fields("messages"), visit.fields("per"), visit.fields("kinds"), strict=False)
        )[:11]
    else:
        rows = [_typed(each) for each in each_limit(rule.limit)] + [("", "week", "")]
    return [(messages, per, kinds, ", ".join(_said(visit, kinds))) for messages, per, kinds in rows]


def _typed(limit: Limit) -> tuple[str, str, str]:
    return str(limit.messages), limit.per, "+".join(limit.kinds)


def _said(visit: Visit, kinds: str) -> Iterator[str]:
    return (visit.say(KINDS[kind]) for kind in kinds.split("+") if kind in KINDS)


async def _levels(visit: Visit, behaviour: Behaviour) -> list[Level]:
    """Each level, with the very reply that their last refusal would have got."""
    parts, last = visit.parts, None
    if behaviour.refusal:
        last = await parts.mailboxes.decision(visit.consumer, behaviour.refusal)
    found = []
    names: tuple[Tells, ...] = get_args(Tells)
    for name in names:
        line, fed = "", tuple[str, ...]()
        if last is not None:
            message = await parts.mailboxes.message(last.message)
            seen = preview(
                parts.disclosure,
                last,
                name,
                times=(await parts.consumers.wishes(visit.consumer)).times,
                your_reference=message.your_reference if message else None,
            )
            line = seen.told.line if seen.told else ""
            reasons = [each.reason for each in seen.events if each.reason]
            fed = tuple(
                " · ".join(filter(None, (each.title, each.detail, *each.remedies)))
                for each in reasons
            )
        found.append(Level(name, visit.say(TELLS[name]), line, fed))
    return found


async def _history(visit: Visit, company: Company) -> list[Past]:
    found: list[Past] = []
    for each in await visit.parts.consumers.history(visit.consumer):
        past = _past(visit, company, each)
        if past is not None:
            found.append(past)
        if len(found) == _PAST:
            break
    return found


def _past(visit: Visit, company: Company, change: Change) -> Past | None:
    """What one change did to the relationship; None where nothing."""
    for piece in change.pieces:
        if piece.piece == "vendor" and piece.id == company.piece.id:
            before, after = (
                msgspec.convert(value, VendorRule) if value is not None else None
                for value in (piece.before, piece.after)
            )
            was, lines = "", []
            if before is None:
                was = "added"
            elif after is None:
                was = "removed"
            else:
                lines = differing(visit, company, before, after)
            return Past(change.at, visit.say(_BY[change.by]), lines, was)
    return None


_ONE = f"{PATH}/{{id}}"
PAGES = (
    Page("GET", _ONE, "consumer", show),
    Page("POST", f"{_ONE}/rule", "consumer", change),
    Page("POST", f"{_ONE}/confirm", "consumer", confirm),
    Page("POST", f"{_ONE}/remove", "consumer", remove),
)
