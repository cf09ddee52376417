"""``/objections``: objecting to a company's advertising, what came in spite of it, the letter."""

from http import HTTPStatus
from typing import Final, NamedTuple, get_args

import msgspec
from aiohttp import web

from letterbox.delivery.herald import foretold
from letterbox.delivery.objecting import Plan
from letterbox.feedback.objecting import Letter
from letterbox.model.objection import Asked, Evidence, Objection
from letterbox.model.preferences import Because, Language
from letterbox.model.record import InboxEntry
from letterbox.model.told import Told
from letterbox.web.companies import BECAUSE, names_of, one_of
from letterbox.web.failures import Failure, missing
from letterbox.web.kinds import KINDS
from letterbox.web.listing import listing
from letterbox.web.rules import facts_of_change, revision_of
from letterbox.web.texts import N_
from letterbox.web.visit import ROWS, Page, Visit

_PATH: Final = "/objections"
#: What stands for a reference that is made when something is told.
_REFERENCE: Final = "0" * 32
_WAYS: Final = {
    "one-click": N_("one-click unsubscription"),
    "mail": N_("a mail to the address they list"),
    "none": N_("nothing was sent: they signed for no way of unsubscribing"),
}
_OUTCOMES: Final = {
    "owed": N_("on its way"),
    "taken": N_("they took it"),
    "refused": N_("they refused it"),
    "unanswered": N_("no answer in time"),
    "before": N_("you had asked before"),
    "none": "",
}


class Row(NamedTuple):
    """One objection in words."""

    objection: Objection
    company: str
    way: str
    outcome: str


async def show_form(visit: Visit) -> web.Response:
    """What exactly will happen, before it does."""
    return await _form(visit, service=True)


async def object_to(visit: Visit) -> web.Response:
    """Unsubscribe and object; or show what they would hear of it."""
    service = visit.field("service") != "no"
    if visit.field("act") != "do":
        return await _form(visit, service=service)
    entry = await _entry(visit)
    before = await revision_of(visit)
    done = await visit.parts.objecting.object_to(
        visit.consumer, entry.id, because=_because(visit), service=service
    )
    if done is None:
        raise Failure(HTTPStatus.GONE)
    facts = await facts_of_change(visit, before)
    vendor = entry.vendor.name or entry.sender
    path = f"{_PATH}/{done.objection.id}"
    if not done.made:
        return visit.see(path, "objected-before", vendor=vendor)
    return visit.see(path, "objected", vendor=vendor, **facts)


async def by_company(visit: Visit) -> web.Response:
    """The form of the newest message of a company's; or its objection, where one stands."""
    company = await one_of(visit)
    stands = await visit.parts.objections.with_vendor(visit.consumer, company.vendor.id)
    if stands is not None:
        return visit.see(f"{_PATH}/{stands.id}")
    page = await visit.parts.mailboxes.inbox(
        visit.consumer,
        after=None,
        limit=1,
        wanted=lambda entry: entry.vendor.id == company.vendor.id and not entry.is_ours,
    )
    if not page.items:
        return visit.see(company.path, "objected-by-none", vendor=company.name)
    return visit.see(f"/inbox/{page.items[0].id}/object")


async def show_list(visit: Visit) -> web.Response:
    """Those that stand, newest first."""
    await visit.parts.breaches.look(visit.consumer)
    page = await visit.parts.objections.page(visit.consumer, after=visit.after, limit=ROWS)
    rows = [_row(visit, objection) for objection in page.items]
    return await visit.page(
        "objections.html", list=listing(rows, _PATH, {}, after=visit.after, to=page.after)
    )


async def show_one(visit: Visit) -> web.Response:
    """One of them, its evidence, and what came since."""
    objection, came = await _one(visit)
    return await visit.page(
        "objection.html",
        row=_row(visit, objection),
        came=came,
        kinds=KINDS,
        days=visit.parts.breaches.grace.days,
    )


async def show_letter(visit: Visit) -> web.Response:
    """The letter, to be read and printed."""
    objection, came = await _one(visit)
    letter = _letter(visit, objection, came)
    return await visit.page("objection_letter.html", objection=objection, letter=letter)


async def get_letter(visit: Visit) -> web.Response:
    """The letter as a file of text."""
    letter = _letter(visit, *await _one(visit))
    return web.Response(
        text=letter.text,
        content_type="text/plain",
        headers={
            "Content-Disposition": f'attachment; filename="{letter.file}.txt"',
            "Content-Language": letter.language,
            "Cache-Control": "no-store",
        },
    )


async def withdraw(visit: Visit) -> web.Response:
    """Take an objection back."""
    objection = await visit.parts.objecting.withdraw(visit.consumer, visit.item)
    if objection is None:
        raise missing()
    return visit.see(_PATH, "objection-withdrawn", vendor=_company(objection))


# ---- read ----


async def _form(visit: Visit, *, service: bool) -> web.Response:
    entry = await _entry(visit)
    because = _because(visit)
    plan = await visit.parts.objecting.plan(
        visit.consumer, entry.id, because=because, service=service
    )
    if plan is None:
        raise Failure(HTTPStatus.GONE)
    return await visit.page(
        "object.html",
        entry=entry,
        company=entry.vendor.name or entry.sender,
        plan=plan,
        may_keep=plan.may_keep,
        service=service,
        told=_foretold(visit, plan),
        because=names_of(BECAUSE, visit),
        chosen=because,
        days=visit.parts.breaches.grace.days,
    )


def _foretold(visit: Visit, plan: Plan) -> Told | None:
    if plan.after == plan.before:
        return None
    return foretold(
        visit.parts.disclosure,
        plan.entry.vendor,
        plan.before,
        plan.after,
        plan.wishes,
        _REFERENCE,
    )


def _because(visit: Visit) -> Because:
    said = visit.field("because")
    known: Because = msgspec.convert(said, Because) if said in BECAUSE else "other"
    return known


async def _entry(visit: Visit) -> InboxEntry:
    entry = await visit.parts.mailboxes.entry(visit.consumer, visit.item)
    if entry is None:
        raise missing()
    if entry.is_ours:
        raise Failure(HTTPStatus.CONFLICT)
    return entry


async def _one(visit: Visit) -> tuple[Objection, list[Evidence]]:
    await visit.parts.breaches.look(visit.consumer)
    objection = await visit.parts.objections.one(visit.consumer, visit.item)
    if objection is None:
        raise missing()
    return objection, [*await visit.parts.objections.breaches(visit.consumer, objection.id)]


def _letter(visit: Visit, objection: Objection, came: list[Evidence]) -> Letter:
    asked = visit.asked("language")
    language = asked if asked in get_args(Language) else visit.language
    letters = visit.parts.letters
    return letters.letter(objection, came, language, now=visit.now, local=visit.local)


def _row(visit: Visit, objection: Objection) -> Row:
    asked: Asked = objection.asked
    outcome = _OUTCOMES[asked.outcome]
    return Row(
        objection,
        _company(objection),
        visit.say(_WAYS[asked.way]),
        visit.say(outcome) if outcome else "",
    )


def _company(objection: Objection) -> str:
    return objection.vendor.name or objection.evidence.sender


_ONE: Final = f"{_PATH}/{{id}}"
PAGES = (
    Page("GET", "/inbox/{id}/object", "consumer", show_form),
    Page("POST", "/inbox/{id}/object", "consumer", object_to),
    Page("GET", "/vendors/{id}/object", "consumer", by_company),
    Page("GET", _PATH, "consumer", show_list),
    Page("GET", _ONE, "consumer", show_one),
    Page("GET", f"{_ONE}/letter", "consumer", show_letter),
    Page("GET", f"{_ONE}/letter.txt", "consumer", get_letter),
    Page("POST", f"{_ONE}/withdraw", "consumer", withdraw),
)
