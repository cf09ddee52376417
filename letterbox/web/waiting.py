"""``/waiting``: what waits for an answer or for its time, and who asks to come back."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web

from letterbox.delivery.requests import Over, Waiting
from letterbox.model.kind import Kind
from letterbox.model.preferences import VendorRule
from letterbox.model.record import HeldEntry
from letterbox.records.requests import is_waiting
from letterbox.web.failures import Failure, missing
from letterbox.web.kinds import KINDS
from letterbox.web.listing import listing
from letterbox.web.texts import N_
from letterbox.web.visit import ROWS, Page, Visit

_PATH = "/waiting"
_ASKED = "awaiting-consumer"
_INSTANT = timedelta(microseconds=1)
#: What a yes may mean beyond this message, as a relationship with its sender; "" is no more.
YES = {
    "": N_("only this message"),
    "kind": N_("all %(kind)s from them"),
    "fits": N_("what fits my interests"),
    "everything": N_("everything they send"),
}
#: What a no may mean beyond this message.
NO = {"": N_("refuse only this message"), "out": N_("lock the company out")}


class Row(NamedTuple):
    """One message that waits. ``until`` is when it comes, or the last day for an answer."""

    entry: HeldEntry
    company: str
    kind: str
    until: str
    flags: tuple[str, ...]


async def show_list(visit: Visit) -> web.Response:
    """What waits, newest first, by what it waits for."""
    page = await visit.parts.mailboxes.held(visit.consumer, after=visit.after, limit=ROWS)
    asks = [entry for entry in page.items if _asks(entry)]
    timed = [entry for entry in page.items if not _asks(entry)]
    requests, _ = await visit.parts.requests.page(visit.consumer, after=None, limit=ROWS)
    return await visit.page(
        "waiting.html",
        asks=[_row(visit, entry) for entry in asks],
        timed=[_row(visit, entry) for entry in timed],
        requests=[each for each in requests if is_waiting(each.entry)],
        becomes=lambda waiting: _becomes(visit, waiting),
        last_day=lambda waiting: _last_day(visit, waiting.entry.until),
        list=listing(page.items, _PATH, {}, after=visit.after, to=page.after),
        yes=YES,
        no=NO,
    )


async def answer(visit: Visit) -> web.Response:
    """Yes or no to a message that waits, and how it is to be from now on, where that is said."""
    entry = await visit.parts.mailboxes.held_entry(visit.consumer, visit.item)
    if entry is None:
        raise missing()
    word = visit.field("answer")
    meant = visit.field("yes" if word == "yes" else "no")
    if word == "yes" and meant in YES:
        rule = _allowed(meant, Kind(entry.kind)) if meant else None
    elif word == "no" and meant in NO:
        rule = VendorRule(standing="blocked", because="other") if meant else None
    else:
        raise Failure(HTTPStatus.BAD_REQUEST)
    if rule is None:
        done = await visit.parts.holds.answer(visit.consumer, entry.id, yes=word == "yes")
    else:
        given = await visit.parts.relations.answer(
            visit.consumer, entry.id, word="yes" if word == "yes" else "no", rule=rule
        )
        done = given is not None
    if not done:
        raise missing()
    if word == "no":
        return visit.see(_PATH, "answered-no", subject=entry.subject)
    said = "answered-yes" if _asks(entry) else "released"
    return visit.see(_PATH, said, subject=entry.subject)


async def answer_request(visit: Visit) -> web.Response:
    """Let a company that is locked out back in, or not."""
    word = visit.field("answer")
    if word not in {"yes", "no"}:
        raise Failure(HTTPStatus.BAD_REQUEST)
    requests = visit.parts.requests
    try:
        if word == "yes":
            waiting = await requests.accept(visit.consumer, visit.item)
        else:
            waiting = await requests.decline(visit.consumer, visit.item)
    except Over:
        raise Failure(HTTPStatus.CONFLICT) from None
    if waiting is None:
        raise missing()
    done = "let-back-in" if word == "yes" else "stays-out"
    return visit.see(_PATH, done, vendor=waiting.entry.vendor.name)


# ---- read ----


def _asks(entry: HeldEntry) -> bool:
    """Whether it waits for an answer, and not only for its time."""
    return entry.why == _ASKED and not entry.answered


def _allowed(meant: str, kind: Kind) -> VendorRule:
    """The relationship that a yes makes."""
    match meant:
        case "kind":
            return VendorRule(accepts=(kind,), scope="everything")
        case "fits":
            return VendorRule()
        case _:
            return VendorRule(accepts=tuple(Kind), scope="everything")


def _row(visit: Visit, entry: HeldEntry) -> Row:
    asks = _asks(entry)
    return Row(
        entry,
        company=entry.vendor.name or entry.sender,
        kind=visit.say(KINDS.get(entry.kind, entry.kind)),
        until=_last_day(visit, entry.until) if asks else visit.moment(entry.until),
        flags=tuple(visit.parts.sentences.flag(flag, visit.language) for flag in entry.flags),
    )


def _last_day(visit: Visit, until: datetime) -> str:
    """The last day on which an answer may come."""
    return visit.texts.day(visit.local(until - _INSTANT).date(), visit.local(visit.now).date())


def _becomes(visit: Visit, waiting: Waiting) -> str:
    """What a company that is let back in may send then."""
    if waiting.becomes is None:
        return ""
    return ", ".join(visit.say(KINDS[kind]) for kind in waiting.becomes.accepts)


PAGES = (
    Page("GET", "/waiting", "consumer", show_list),
    Page("POST", "/waiting/{id}", "consumer", answer),
    Page("POST", "/waiting/requests/{id}", "consumer", answer_request),
)
