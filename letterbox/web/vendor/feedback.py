"""``/vendor/feedback``: what happened to which message, and coming back where one is locked out."""

import re
from datetime import timedelta
from http import HTTPStatus
from typing import Final, NamedTuple

from aiohttp import web

from letterbox.delivery.reconnect import LONGEST_NOTE, AskedBefore
from letterbox.feedback.disclosure import CLASSES
from letterbox.model.fold import fold
from letterbox.model.told import Event, ToldReason
from letterbox.records.ledger import Reference
from letterbox.web.failures import Failure, missing
from letterbox.web.listing import Listing, address
from letterbox.web.live import stream
from letterbox.web.vendor.told import TYPES, brief, moment, reference, spoken, title
from letterbox.web.vendor.wrong import Wrong
from letterbox.web.visit import ROWS, Page, Visit

_PATH = "/vendor/feedback"
_CURSOR = re.compile(r"[1-9][0-9]{0,17}")
_STRETCH: Final = 250
#: Events that are looked at for one page: where filters leave few, the next page goes on.
_LOOKED_AT: Final = 2000
#: Where others of the same message are looked for, on each side.
_NEARBY: Final = 500
_MOST_OTHERS: Final = 20
_VERDICTS: Final = frozenset({"refuse", "hold", "deliver"})
_MOST_DAYS: Final = 400
_EARLIER: Final = frozenset({"message.held", "message.awaiting", "message.approved"})
#: What was answered when the message came, and not later.
_ANSWERS: Final = frozenset({"message.refused", "message.held", "message.awaiting"})


class Row(NamedTuple):
    """One event of the list."""

    cursor: int
    event: Event
    type: str
    sentence: str
    when: str


class Told(NamedTuple):
    """The reason of an event in words. ``language`` is that of its detail and remedies."""

    reason: ToldReason
    title: str
    language: str


# ---- the list


async def show_list(visit: Visit) -> web.Response:
    """The feed, newest first."""
    filters = {name: visit.asked(name) for name in ("type", "reason", "ref", "verdict", "days")}
    end = await visit.parts.feed.end(visit.vendor)
    before = visit.asked("before")
    start = int(before) if _CURSOR.fullmatch(before) else end + 1
    rows, to = await _rows(visit, filters, start)
    return await visit.page(
        "vendor/feedback.html",
        list=Listing(
            rows,
            address(_PATH, filters) if start <= end else "",
            address(_PATH, {**filters, "before": str(to)}) if to else "",
        ),
        filters=filters,
        filtered=any(filters.values()),
        types=TYPES,
        reasons=_reasons(visit),
        newest=end,
        here=address(_PATH, filters),
    )


async def events(visit: Visit) -> web.StreamResponse:
    """Tells a page that is open that something has come."""
    after = visit.asked("after")
    known = int(after) if _CURSOR.fullmatch(after) else 0

    async def newest() -> str:
        nonlocal known
        page = await visit.parts.feed.page(visit.vendor, after=known, limit=_NEARBY)
        known = page.after
        return str(known)

    return await stream(visit, newest)


async def _rows(visit: Visit, filters: dict[str, str], before: int) -> tuple[list[Row], int]:
    """A page of rows, and the cursor before which there may be more; 0 for none."""
    rows: list[Row] = []
    looked = 0
    while looked < _LOOKED_AT and before > 1:
        found, more = await visit.parts.feed.back(visit.vendor, before=before, limit=_STRETCH)
        for cursor, event in found:
            if len(rows) == ROWS:
                return rows, rows[-1].cursor
            if _is_wanted(visit, event, filters):
                rows.append(_row(visit, cursor, event))
        before = max(before - _STRETCH, 0)
        looked += _STRETCH
        if not more:
            return rows, 0
    return rows, before if before > 1 else 0


def _is_wanted(visit: Visit, event: Event, filters: dict[str, str]) -> bool:
    code = event.reason.code if event.reason else ""
    ref = fold(filters["ref"])
    days = int(filters["days"]) if filters["days"].isdecimal() else 0
    oldest = visit.now.date() - timedelta(days=min(days, _MOST_DAYS) - 1)
    return (
        (not filters["type"] or event.type == filters["type"])
        and (not filters["reason"] or code == filters["reason"])
        and (filters["verdict"] not in _VERDICTS or event.verdict == filters["verdict"])
        and (not days or event.at.date() >= oldest)
        and (not ref or ref in fold(event.your_reference or ""))
    )


def _row(visit: Visit, cursor: int, event: Event) -> Row:
    return Row(
        cursor,
        event,
        visit.say(TYPES[event.type]),
        brief(visit, event),
        moment(visit, event.at),
    )


def _reasons(visit: Visit) -> dict[str, str]:
    """Reasons and classes by code, in the visitor's words."""
    codes = dict.fromkeys([*visit.parts.registry, *CLASSES])
    titles = {code: title(visit, code) for code in codes}
    return dict(sorted(titles.items(), key=lambda each: each[1].casefold()))


# ---- one event


async def show_event(visit: Visit) -> web.Response:
    """One event: its sentence, whether it is final, what helps, and the way back."""
    return await _event_page(visit, *await _event(visit))


async def _event_page(
    visit: Visit,
    cursor: int,
    event: Event,
    *,
    wrong: tuple[Wrong, ...] = (),
    code: int = HTTPStatus.OK,
) -> web.Response:
    row = await reference(visit, event)
    told = None
    if event.reason is not None:
        said, language = await spoken(visit, event, row)
        words = title(visit, said.code, held=event.verdict == "hold")
        told = Told(said, words, language)
    others = await _others(visit, cursor, event)
    return await visit.page(
        "vendor/event.html",
        code=code,
        row=_row(visit, cursor, event),
        told=told,
        line=_line(cursor, event, row, others),
        page=row is not None,
        others=others,
        may_ask=_may_ask(row),
        longest=LONGEST_NOTE,
        note=visit.field("note"),
        wrong=wrong,
        about_message=event.type.startswith("message."),
        has_page=told is not None
        and (told.reason.code in visit.parts.registry or told.reason.code in CLASSES),
        until=_until(visit, event, told),
        again=visit.texts.day(told.reason.retry_after, visit.now.date())
        if told and told.reason.retry_after
        else "",
    )


async def ask_back(visit: Visit) -> web.Response:
    """Accept what would have to change, and ask the one who locked the vendor out."""
    cursor, event = await _event(visit)
    vendor = await visit.parts.vendors.get(visit.vendor)
    if vendor is None or not event.reference:
        raise missing()
    if vendor.suspended is not None:
        raise Failure(
            HTTPStatus.CONFLICT,
            mistakes=[visit.say("Nothing of yours is taken now; ask the operator why.")],
        )
    note = visit.field("note")
    if len(note) > LONGEST_NOTE:
        text = visit.say("At most %(most)s characters.", most=LONGEST_NOTE)
        wrong = (Wrong("note", text),)
        code = HTTPStatus.UNPROCESSABLE_ENTITY
        return await _event_page(visit, cursor, event, wrong=wrong, code=code)
    try:
        asked = await visit.parts.reconnecting.ask(visit.vendor, event.reference, note)
    except AskedBefore as before:
        day = visit.texts.day(before.again, visit.now.date())
        text = visit.say("You have asked already. You may ask again from %(day)s.", day=day)
        wrong = (Wrong("note", text),)
        return await _event_page(visit, cursor, event, wrong=wrong, code=HTTPStatus.CONFLICT)
    if asked is None:
        raise missing()
    day = visit.texts.day(asked.until, visit.now.date())
    return visit.see(f"{_PATH}/{cursor}", "asked-back", day=day)


async def _event(visit: Visit) -> tuple[int, Event]:
    """The event of the path: of the vendor's own feed, so that it is never another's."""
    name = visit.request.match_info["cursor"]
    if not _CURSOR.fullmatch(name):
        raise missing()
    cursor = int(name)
    found = await visit.parts.feed.entries(visit.vendor, after=cursor - 1, limit=1)
    if not found or found[0][0] != cursor:
        raise missing()
    return cursor, found[0][1]


async def _others(visit: Visit, cursor: int, event: Event) -> list[Row]:
    """What else is told of the same message for the same recipient, oldest first."""
    if not event.message:
        return []
    after = max(cursor - _NEARBY, 0)
    near = await visit.parts.feed.entries(visit.vendor, after=after, limit=2 * _NEARBY)
    same = [
        (at, each)
        for at, each in near
        if at != cursor and (each.message, each.recipient) == (event.message, event.recipient)
    ]
    return [_row(visit, at, each) for at, each in same[:_MOST_OTHERS]]


def _line(cursor: int, event: Event, row: Reference | None, others: list[Row]) -> str:
    """The line that answered the message; empty where it is of a later decision."""
    before = any(each.event.type in _EARLIER and each.cursor < cursor for each in others)
    if row is None or row.about != "message" or event.type not in _ANSWERS or before:
        return ""
    return row.told.line


def _until(visit: Visit, event: Event, told: Told | None) -> str:
    """The day until which it is held, where its sentence does not name it already."""
    if event.until is None or (told and str(event.until) in (told.reason.detail or "")):
        return ""
    return visit.texts.day(event.until, visit.now.date())


def _may_ask(row: Reference | None) -> bool:
    """Whether the vendor was told there that it is locked out."""
    if row is None or row.heard is None:
        return False
    return row.locked_out or row.heard.code == "vendor-blocked"


PAGES = (
    Page("GET", _PATH, "vendor", show_list),
    Page("GET", f"{_PATH}/events", "vendor", events),
    Page("GET", _PATH + "/{cursor}", "vendor", show_event),
    Page("POST", _PATH + "/{cursor}/reconnect", "vendor", ask_back),
)
