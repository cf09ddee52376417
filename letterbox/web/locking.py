"""``/vendors/{id}/lock-out``: to stop a company, with why and what helps; and the way back."""

from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from letterbox.delivery.herald import foretold
from letterbox.model.kind import Kind
from letterbox.model.preferences import Because, Remedy, VendorRule
from letterbox.model.told import Told
from letterbox.web.changing import Mistaken, day_of, kinds_of, limit_of
from letterbox.web.companies import BECAUSE, PATH, PERIODS, Company, names_of, one_of, remedy
from letterbox.web.company import set_rule
from letterbox.web.failures import Failure
from letterbox.web.kinds import KINDS
from letterbox.web.visit import Page, Visit

#: What stands for a reference that is made when something is told.
_REFERENCE: Final = "0" * 32


async def show(visit: Visit) -> web.Response:
    """The form that locks a company out."""
    company = await one_of(visit)
    return await _page(visit, company, _locked(visit, company.rule, everything=False))


async def lock_out(visit: Visit) -> web.Response:
    """Lock it out, or stop its advertising; or show what it would hear."""
    company = await one_of(visit)
    try:
        after = _locked(visit, company.rule, everything=visit.field("what") == "everything")
    except Mistaken as mistaken:
        return await _page(visit, company, company.rule, mistaken=mistaken)
    if visit.field("act") != "do":
        return await _page(visit, company, after)
    done = "company-locked-out" if after.standing == "blocked" else "company-changed"
    return await set_rule(visit, company, after, done)


async def unlock(visit: Visit) -> web.Response:
    """Let it back in: as it was, or with what helps as its limits."""
    company = await one_of(visit)
    rule = company.rule
    if rule.standing != "blocked":
        raise Failure(HTTPStatus.CONFLICT)
    if visit.field("how") == "repaired":
        after = rule.repaired(visit.local(visit.now).date())
    else:
        after = msgspec.structs.replace(rule, standing="allowed", because=None, remedy=None)
    return await set_rule(visit, company, after, "company-unlocked")


async def _page(
    visit: Visit, company: Company, after: VendorRule, *, mistaken: Mistaken | None = None
) -> web.Response:
    traffic = await visit.inside.watching.of(visit.consumer, visit.now)
    wishes = await visit.parts.consumers.wishes(visit.consumer)
    told: Told | None = None
    if mistaken is None and after != company.rule:
        told = foretold(
            visit.parts.disclosure, company.vendor, company.rule, after, wishes, _REFERENCE
        )
    return await visit.page(
        "lock_out.html",
        code=HTTPStatus.UNPROCESSABLE_ENTITY if mistaken else HTTPStatus.OK,
        company=company,
        waiting=traffic.of(company.vendor.id).waiting,
        told=told,
        helps=remedy(visit, after.remedy),
        everything=visit.field("what") == "everything",
        typed=visit.field,
        chosen=visit.fields("remedy-kind"),
        mistaken=mistaken,
        because=names_of(BECAUSE, visit),
        kinds=names_of(KINDS, visit),
        periods=names_of(PERIODS, visit),
    )


def _locked(visit: Visit, rule: VendorRule, *, everything: bool) -> VendorRule:
    """What the form makes of a relationship. Raises :class:`Mistaken`."""
    if not everything:
        return msgspec.structs.replace(
            rule, standing="allowed", because=None, remedy=None, accepts=(Kind.SERVICE,)
        )
    because = visit.field("because")
    wanted = Remedy(
        limit=limit_of(
            visit, "remedy-messages", visit.field("remedy-messages"), visit.field("remedy-per")
        ),
        accepts=kinds_of(visit, "remedy-kind"),
        from_=day_of(visit, "remedy-from"),
    )
    return msgspec.structs.replace(
        rule,
        standing="blocked",
        because=msgspec.convert(because, Because) if because in BECAUSE else None,
        remedy=wanted if wanted != Remedy() else None,
    )


PAGES = (
    Page("GET", f"{PATH}/{{id}}/lock-out", "consumer", show),
    Page("POST", f"{PATH}/{{id}}/lock-out", "consumer", lock_out),
    Page("POST", f"{PATH}/{{id}}/unlock", "consumer", unlock),
)
