"""``/vendors``: every company of one's own, and how it behaves; and one more of them."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from aiohttp import web

from letterbox.model.address import fold_domain, parse_address
from letterbox.model.fold import fold
from letterbox.model.kind import Kind
from letterbox.model.preferences import VendorRule
from letterbox.records.consumers import Refused
from letterbox.web.companies import (
    PATH,
    SCOPES,
    STANDINGS,
    TELLS,
    Company,
    all_of,
    company_of,
    level_of,
    names_of,
    stored_of,
    takes,
    unfit,
)
from letterbox.web.kinds import KINDS
from letterbox.web.listing import address
from letterbox.web.rules import facts_of_change, revision_of
from letterbox.web.texts import N_
from letterbox.web.traffic import SILENT, Behaviour
from letterbox.web.visit import ROWS, Page, Visit
from letterbox.wishes import name_of, other_side

#: So many rows are one page, where somebody asks for all: it stays small enough.
_ALL: Final = 250
SORTS: Final = {
    "name": N_("name"),
    "messages": N_("most messages"),
    "last": N_("last message"),
    "refused": N_("most refused"),
}
#: What may be done to several at once; see :mod:`letterbox.web.bulk`.
ACTIONS: Final = {
    "service": N_("take only service mail"),
    "fits": N_("take only what fits my interests"),
    "week": N_("take at most 1 a week"),
    "month": N_("take at most 1 a month"),
    "tell-nothing": N_("tell them nothing"),
    "tell-class": N_("tell them the kind of reason"),
    "tell-reason": N_("tell them the reason"),
    "tell-remedy": N_("tell them the reason and what helps"),
    "out": N_("lock them out"),
    "back": N_("let them back in"),
}
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class Row(NamedTuple):
    """One company in the list."""

    company: Company
    behaviour: Behaviour


class Filters(NamedTuple):
    """What is asked of the list."""

    q: str
    standing: str
    kind: str
    silent: str
    sort: str

    @classmethod
    def of(cls, visit: Visit, *, form: bool = False) -> "Filters":
        """The filters in the query, or those that a form carries on."""
        asked = visit.field if form else visit.asked
        sort = asked("sort")
        return cls(
            q=asked("q")[:200],
            standing=asked("standing"),
            kind=asked("kind"),
            silent="yes" if asked("silent") == "yes" else "",
            sort=sort if sort in SORTS else "",
        )

    def fits(self, row: Row, now: datetime) -> bool:
        """Whether a company is asked for."""
        rule = row.company.rule
        if self.standing and rule.standing != self.standing:
            return False
        if self.kind and self.kind not in rule.accepts:
            return False
        last = row.behaviour.last
        if self.silent and last is not None and last >= now - timedelta(days=SILENT):
            return False
        text = fold(f"{row.company.name} {rule.key} {' '.join(row.company.vendor.domains)}")
        return all(word in text for word in fold(self.q).split())

    def in_order(self, rows: list[Row]) -> list[Row]:
        """The rows as they are asked for; those that are alike by name."""
        rows = sorted(rows, key=lambda row: (fold(row.company.name), row.company.piece.id))
        match self.sort:
            case "messages":
                rows.sort(key=lambda row: -row.behaviour.messages)
            case "last":
                rows.sort(key=lambda row: row.behaviour.last or _NEVER, reverse=True)
            case "refused":
                rows.sort(key=lambda row: -row.behaviour.refused)
        return rows


async def rows_of(visit: Visit, filters: Filters) -> tuple[list[Row], int]:
    """The companies that are asked for, and how many there are in all."""
    companies = await all_of(visit, await stored_of(visit))
    traffic = await visit.inside.watching.of(visit.consumer, visit.now)
    rows = [Row(company, traffic.of(company.vendor.id)) for company in companies]
    return filters.in_order([row for row in rows if filters.fits(row, visit.now)]), len(rows)


async def show_list(visit: Visit) -> web.Response:
    """Who may write, and how they behave."""
    filters = Filters.of(visit)
    rows, total = await rows_of(visit, filters)
    asked = filters._asdict()
    begin, size = _begin(visit, len(rows)), ROWS
    if visit.asked("all") == "yes" and len(rows) <= _ALL:
        begin, size = 0, _ALL
    end = begin + size
    expecting = await visit.parts.expectations.of(visit.consumer)
    return await visit.page(
        "companies.html",
        ended=sum(each.until <= visit.now for each in expecting),
        rows=rows[begin:end],
        found=len(rows),
        total=total,
        filters=filters,
        filtered=any(asked[name] for name in ("q", "standing", "kind", "silent")),
        sorted_by=filters.sort or "name",
        sorting={sort: address(PATH, asked | {"sort": sort}) for sort in SORTS},
        pages=_pages(asked, begin, end, len(rows)),
        takes=lambda rule: takes(visit, rule),
        told=lambda company: visit.say(TELLS[level_of(company)]),
        standings=names_of(STANDINGS, visit),
        kinds=names_of(KINDS, visit),
        sorts=names_of(SORTS, visit),
        actions=names_of(ACTIONS, visit),
    )


def _begin(visit: Visit, rows: int) -> int:
    asked = visit.asked("from")
    begin = int(asked) if asked.isdecimal() and len(asked) < len("100000") else 0
    return begin - begin % ROWS if begin < rows else 0


def _pages(asked: dict[str, str], begin: int, end: int, rows: int) -> dict[str, str]:
    """The addresses of the pages beside this one; empty where there is none."""
    before = str(begin - ROWS) if begin > ROWS else ""
    return {
        "before": address(PATH, asked | {"from": before}) if begin else "",
        "next": address(PATH, asked | {"from": str(end)}) if end < rows else "",
        "all": address(PATH, asked | {"all": "yes"})
        if ROWS < rows <= _ALL and end - begin == ROWS
        else "",
    }


# ---- one more ----


async def show_new(visit: Visit) -> web.Response:
    """The form that adds a company."""
    return await _new(visit, kinds=tuple(VendorRule().accepts), name=visit.asked("name"))


async def add(visit: Visit) -> web.Response:
    """Add a company, by a domain of its or its address."""
    name, kinds = visit.field("name"), visit.fields("kind")
    accepts = tuple(kind for kind in Kind if kind in kinds)
    scope = visit.field("scope")
    mistakes: dict[str, str] = {}
    side = await _side(visit, name)
    if side is None:
        mistakes["name"] = visit.say("Write a domain, such as greenleaf.example, or an address.")
    if not accepts:
        mistakes["kind"] = visit.say("Choose at least one kind.")
    if side is not None and not mistakes:
        fields: dict[str, Any] = side
        rule = VendorRule(
            accepts=accepts,
            scope="everything" if scope == "everything" else "interests",
            **fields,
        )
        key = other_side(rule)
        if ("vendor", key) in (await stored_of(visit)).pieces:
            mistakes["name"] = visit.say("This company is on your list already.")
        else:
            try:
                return await _added(visit, rule)
            except Refused as refused:
                mistakes["name"] = unfit(visit, name, refused.mistakes)
    return await _new(visit, kinds=accepts, name=name, scope=scope, mistakes=mistakes)


async def _added(visit: Visit, rule: VendorRule) -> web.Response:
    before = await revision_of(visit)
    piece = await visit.parts.consumers.revise_piece(
        visit.consumer, ("vendor", other_side(rule)), rule, expect=0, now=visit.now
    )
    if piece is None:
        raise LookupError(rule.key)
    company = await company_of(visit, piece)
    facts = await facts_of_change(visit, before)
    return visit.see(company.path, "company-added", vendor=company.name, **facts)


async def _side(visit: Visit, name: str) -> dict[str, str] | None:
    """Whom a text speaks of: a registered vendor where it is one, else as it is written."""
    name = name.removeprefix("https://").removeprefix("http://").strip("/")
    if "@" in name:
        return {"address": name} if parse_address(name) else None
    vendors = visit.parts.vendors
    if await vendors.known(name_of(name)) and await vendors.get(name_of(name)):
        return {"vendor": name_of(name)}
    domain = fold_domain(name)
    if not domain or "." not in domain:
        return None
    holder = (await vendors.holder(domain)).vendor
    if holder and await vendors.known(holder):
        return {"vendor": holder}
    return {"domain": domain}


async def _new(
    visit: Visit,
    *,
    kinds: tuple[Kind, ...],
    name: str,
    scope: str = "interests",
    mistakes: dict[str, str] | None = None,
) -> web.Response:
    return await visit.page(
        "company_new.html",
        code=HTTPStatus.UNPROCESSABLE_ENTITY if mistakes else HTTPStatus.OK,
        name=name,
        chosen=kinds,
        scope=scope or "interests",
        kinds=names_of(KINDS, visit),
        scopes=names_of(SCOPES, visit),
        mistakes=mistakes or {},
    )


PAGES = (
    Page("GET", PATH, "consumer", show_list),
    # No id begins so.
    Page("GET", f"{PATH}/~new", "consumer", show_new),
    Page("POST", f"{PATH}/~new", "consumer", add),
)
