"""``/vendors/~bulk``: several companies changed at once: what each would be, then all of it.

It is one change of what is declared, so that one way back undoes it.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec
from aiohttp import web

from letterbox.model.kind import Kind
from letterbox.model.preferences import Limit, VendorRule, each_limit
from letterbox.records.pieces import Piece
from letterbox.web.companies import PATH, Company, company_of, differing, names_of, stored_of
from letterbox.web.failures import Failure
from letterbox.web.rules import facts_of_change
from letterbox.web.vendors import ACTIONS, Filters, rows_of
from letterbox.web.visit import Page, Visit

#: Names that a status says; of more, how many.
_NAMED: Final = 3


class Planned(NamedTuple):
    """A company, and what would become of it: name, before and after of what differs."""

    company: Company
    differences: list[tuple[str, str, str]]


async def plan(visit: Visit) -> web.Response:
    """What an action would make of each company that was chosen."""
    action = visit.field("action")
    if action not in ACTIONS:
        raise Failure(HTTPStatus.BAD_REQUEST)
    planned = [
        Planned(each, differing(visit, each, each.rule, _made(each.rule, action)))
        for each in await _chosen(visit)
    ]
    return await visit.page(
        "bulk.html",
        action=action,
        doing=visit.say(ACTIONS[action]),
        actions=names_of(ACTIONS, visit),
        planned=[each for each in planned if each.differences],
        unchanged=[each.company for each in planned if not each.differences],
    )


async def do(visit: Visit) -> web.Response:
    """Change all that stand as they were seen; name those that do not."""
    action = visit.field("action")
    if action not in ACTIONS:
        raise Failure(HTTPStatus.BAD_REQUEST)
    stored = await stored_of(visit)
    pieces: dict[str, Piece] = {}
    left: list[str] = []
    for each in visit.fields("of"):
        revision, _, name = each.partition(":")
        piece = stored.pieces.get(("vendor", name))
        if piece is not None and str(piece.revision) == revision:
            pieces[name] = piece
        else:
            left.append((await company_of(visit, piece)).name if piece else name)
    changed = {piece.value: _rule(piece, action) for piece in pieces.values()}
    # Whoever is not named stays the very same.
    vendor = tuple(changed.get(rule, rule) for rule in stored.preferences.vendor)
    await visit.parts.consumers.revise(
        visit.consumer,
        msgspec.structs.replace(stored.preferences, vendor=vendor),
        expect=stored.revision,
        now=visit.now,
    )
    if not pieces:
        return visit.see(PATH, "companies-none")
    facts = await facts_of_change(visit, stored.revision)
    count = str(len(pieces))
    if left:
        return visit.see(PATH, "companies-some", count=count, left=_listed(left), **facts)
    return visit.see(PATH, "companies-changed", count=count, **facts)


async def _chosen(visit: Visit) -> Iterable[Company]:
    """The companies whose boxes are ticked, or all that the filters ask for."""
    if visit.field("every") == "yes":
        rows, _ = await rows_of(visit, Filters.of(visit, form=True))
        return [row.company for row in rows]
    pieces = (await stored_of(visit)).pieces
    found = (pieces.get(("vendor", name)) for name in dict.fromkeys(visit.fields("id")))
    return [await company_of(visit, piece) for piece in found if piece is not None]


def _rule(piece: Piece, action: str) -> VendorRule:
    if not isinstance(piece.value, VendorRule):
        raise TypeError(piece.sort)
    return _made(piece.value, action)


def _made(rule: VendorRule, action: str) -> VendorRule:
    """A relationship after an action."""
    name, _, level = action.partition("-")
    open_ = {"standing": "allowed", "because": None, "remedy": None}
    fields: dict[str, Any] = {}
    match name:
        case "out" if rule.standing != "blocked":
            fields = {"standing": "blocked"}
        case "back" if rule.standing == "blocked":
            fields = open_
        case "tell":
            fields = {"tells": level}
        case "service" if rule.standing != "blocked":
            fields = {"accepts": (Kind.SERVICE,)}
        case "fits":
            fields = {"scope": "interests"}
        case "week" | "month":
            fields = {"limit": _limited(rule, Limit(messages=1, per=name))}
        case _:
            pass
    return msgspec.structs.replace(rule, **fields)


def _limited(rule: VendorRule, limit: Limit) -> Limit | tuple[Limit, ...]:
    """The limits with one that holds for all kinds; those of some kinds stay."""
    others = tuple(each for each in each_limit(rule.limit) if each.kinds)
    return (limit, *others) if others else limit


def _listed(names: list[str]) -> str:
    more = f" (+{len(names) - _NAMED})" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


PAGES = (
    Page("POST", f"{PATH}/~bulk", "consumer", plan),
    Page("POST", f"{PATH}/~bulk/do", "consumer", do),
)
