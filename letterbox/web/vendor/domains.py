"""``/vendor/domains``: which domains are a vendor's, and how to prove one."""

from datetime import datetime
from http import HTTPStatus
from typing import Final, NamedTuple

from aiohttp import web

from letterbox.feedback.sentences import safe
from letterbox.model.address import fold_domain
from letterbox.model.vendor import DomainClaim
from letterbox.records.claims import MOST_CLAIMS, TooMany
from letterbox.registration.domains import (
    HolderSuspended,
    Outcome,
    fit,
    record_name,
    record_value,
)
from letterbox.web.failures import Failure, missing
from letterbox.web.texts import N_
from letterbox.web.vendor.wrong import Wrong
from letterbox.web.visit import Page, Visit

_PATH = "/vendor/domains"
_MOST_SHOWN: Final = 10
_LONGEST: Final = 255
_FIELD = "domain"
STATES: Final = {
    "pending": N_("not proven yet"),
    "proven": N_("proven"),
    "failing": N_("proven, but its record is missing"),
}


class Row(NamedTuple):
    """One domain. ``name`` and ``value`` are its record's; empty where the operator gave it."""

    domain: str
    state: str
    given: bool
    name: str = ""
    value: str = ""
    checked: datetime | None = None
    proven: datetime | None = None


class Checked(NamedTuple):
    """What came of a check that has not proven a domain."""

    domain: str
    outcome: Outcome
    detail: str
    found: tuple[str, ...]
    more: int
    expected: str


async def show(visit: Visit) -> web.Response:
    """The vendor's domains, and those it has yet to prove."""
    return await _page(visit)


async def _page(
    visit: Visit,
    *,
    checked: Checked | None = None,
    wrong: tuple[Wrong, ...] = (),
    code: int = HTTPStatus.OK,
) -> web.Response:
    vendor = await visit.parts.vendors.get(visit.vendor)
    if vendor is None:
        raise missing()
    rows = {each: Row(each, "proven", given=True) for each in vendor.given_domains}
    for claim in await visit.parts.claims.of(visit.vendor):
        rows.setdefault(claim.domain, _row(claim))
    return await visit.page(
        "vendor/domains.html",
        code=code,
        rows=[rows[domain] for domain in sorted(rows)],
        states=STATES,
        checked=checked,
        wrong=wrong,
        entered=visit.field(_FIELD) if wrong else "",
    )


def _row(claim: DomainClaim) -> Row:
    return Row(
        claim.domain,
        claim.state,
        given=False,
        name=record_name(claim.domain),
        value=record_value(claim),
        checked=claim.checked,
        proven=claim.proven,
    )


async def claim(visit: Visit) -> web.Response:
    """Say that a domain is the vendor's."""
    vendor = await visit.parts.vendors.get(visit.vendor)
    if vendor is None:
        raise missing()
    found = fit(visit.field(_FIELD)[:_LONGEST], visit.parts.domains, visit.parts.configuration)
    if found.mistake:
        wrong = Wrong(_FIELD, f"{found.mistake}; {found.allowed}", english=True)
        return await _page(visit, wrong=(wrong,), code=HTTPStatus.UNPROCESSABLE_ENTITY)
    if found.domain in vendor.given_domains:
        text = visit.say("It is yours already, by the operator's word.")
        return await _page(visit, wrong=(Wrong(_FIELD, text),), code=HTTPStatus.CONFLICT)
    try:
        await visit.parts.claims.ask(visit.vendor, found.domain, visit.now)
    except TooMany:
        text = visit.say("At most %(most)s domains; give one up first.", most=MOST_CLAIMS)
        return await _page(visit, wrong=(Wrong(_FIELD, text),), code=HTTPStatus.CONFLICT)
    return visit.see(f"{_PATH}#d-{found.domain}", "domain-claimed", domain=found.domain)


async def check(visit: Visit) -> web.Response:
    """Look for the record now."""
    row = await _claim(visit)
    found = await visit.parts.domain_proofs.verify(visit.vendor, row)
    if found.outcome == "proven":
        return visit.see(f"{_PATH}#d-{row.domain}", "domain-proven", domain=row.domain)
    checked = Checked(
        row.domain,
        found.outcome,
        found.detail,
        tuple(safe(text, _LONGEST) for text in found.found[:_MOST_SHOWN]),
        max(len(found.found) - _MOST_SHOWN, 0),
        record_value(row),
    )
    return await _page(visit, checked=checked)


async def give_up(visit: Visit) -> web.Response:
    """Give a domain up: mail from it is the vendor's no more."""
    row = await _claim(visit)
    try:
        await visit.parts.domain_proofs.give_up(visit.vendor, row.domain)
    except HolderSuspended:
        text = visit.say("A suspended company keeps its domains; ask the operator.")
        raise Failure(HTTPStatus.CONFLICT, mistakes=[text]) from None
    return visit.see(_PATH, "domain-given-up", domain=row.domain)


async def _claim(visit: Visit) -> DomainClaim:
    domain = fold_domain(visit.request.match_info["domain"])
    found = await visit.parts.claims.find(visit.vendor, domain) if domain else None
    if found is None:
        raise missing()
    return found


PAGES = (
    Page("GET", _PATH, "vendor", show),
    Page("POST", _PATH, "vendor", claim),
    Page("POST", _PATH + "/{domain}/check", "vendor", check),
    Page("POST", _PATH + "/{domain}/give-up", "vendor", give_up),
)
