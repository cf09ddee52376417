"""``/times/windows``: one window, with what the week of whole hours cannot say."""

import re
from http import HTTPStatus
from typing import Any, Final, get_args

import msgspec
from aiohttp import web

from letterbox.model.kind import RULED_KINDS, Kind
from letterbox.model.preferences import Day, Window
from letterbox.records.consumers import Conflict, Refused, Stored
from letterbox.records.pieces import Piece
from letterbox.web import phrases
from letterbox.web.declared import declared, revision_sent
from letterbox.web.failures import Failure, missing
from letterbox.web.kinds import KINDS
from letterbox.web.rules import facts_of_change
from letterbox.web.texts import N_
from letterbox.web.visit import Page, Visit

_TIMES: Final = "/times"
_NEW: Final = "/times/windows/~new"
_DAY_NAMES: Final = get_args(Day)
MISTAKES = {
    "from": N_("Write when it begins as a time, such as 09:00."),
    "until": N_("Write when it ends as a time other than when it begins, such as 12:00."),
    "vendors": N_("No company is known by one of these. Write its id or its domain."),
}


async def show_new(visit: Visit) -> web.Response:
    """The form of a new window. A suggestion may fill it."""
    form = _filled(None)
    times = {name: visit.asked(name) for name in ("from", "until") if visit.asked(name)}
    days = [day for day in _DAY_NAMES if day in visit.request.query.getall("day", ())]
    kinds = [kind for kind in RULED_KINDS if kind in visit.request.query.getall("kind", ())]
    return await _form(visit, None, {**form, **times, "days": days, "kinds": kinds})


async def show_one(visit: Visit) -> web.Response:
    """The form of a window that there is."""
    piece, window = _window(visit, await declared(visit))
    return await _form(visit, piece, _filled(window))


async def add(visit: Visit) -> web.Response:
    """Add a window."""
    return await _saved(visit, await declared(visit), None)


async def change(visit: Visit) -> web.Response:
    """Change a window."""
    stored = await declared(visit)
    piece, _ = _window(visit, stored)
    return await _saved(visit, stored, piece)


async def remove(visit: Visit) -> web.Response:
    """Take a window away."""
    stored = await declared(visit)
    piece, window = _window(visit, stored)
    await visit.parts.consumers.revise_piece(
        visit.consumer, piece.key, None, expect=revision_sent(visit), now=visit.now
    )
    said = visit.say("Removed: %(window)s.", window=phrases.window(visit, window))
    facts = await facts_of_change(visit, stored.revision)
    return visit.see(_TIMES, "times-saved", effect=said, **facts)


async def _saved(visit: Visit, stored: Stored, piece: Piece | None) -> web.Response:
    form = {
        "from": visit.field("from"),
        "until": visit.field("until"),
        "days": visit.fields("day"),
        "kinds": visit.fields("kind"),
        "vendors": visit.field("vendors"),
        "outside": visit.field("outside"),
    }
    own = piece.value.id if piece and isinstance(piece.value, Window) else None
    window, mistaken = _read(form, own)
    if window is None:
        return await _form(visit, piece, form, mistaken)
    try:
        await visit.parts.consumers.revise_piece(
            visit.consumer,
            piece.key if piece else "window",
            window,
            expect=revision_sent(visit) if piece else 0,
            now=visit.now,
        )
    except Refused as refused:
        paths = [re.sub(r"\[\d+\]$", "", each.path) for each in refused.mistakes]
        wrong = tuple(dict.fromkeys(path if path in MISTAKES else "until" for path in paths))
        return await _form(visit, piece, form, wrong)
    except Conflict:
        raise await _overtaken(visit, window, piece) from None
    facts = await facts_of_change(visit, stored.revision)
    if facts["now"] == facts["revision"]:
        return visit.see(_TIMES, "nothing-changed")
    effect = f"{phrases.window(visit, window)}."
    return visit.see(_TIMES, "times-saved", effect=effect, **facts)


async def _form(
    visit: Visit, piece: Piece | None, form: dict[str, Any], mistaken: tuple[str, ...] = ()
) -> web.Response:
    return await visit.page(
        "window.html",
        code=HTTPStatus.UNPROCESSABLE_ENTITY if mistaken else HTTPStatus.OK,
        name=piece.id if piece else "",
        action=f"/times/windows/{piece.id}" if piece else _NEW,
        revision=visit.field("revision") or (piece.revision if piece else 0),
        form=form,
        days={day: phrases.weekday(visit, day) for day in phrases.DAYS},
        kinds={kind.value: KINDS[kind] for kind in Kind if kind in RULED_KINDS},
        outsides=phrases.OUTSIDE,
        mistakes={field: MISTAKES[field] for field in mistaken},
    )


def _filled(window: Window | None) -> dict[str, Any]:
    if window is None:
        return {
            "from": "09:00",
            "until": "12:00",
            "days": [],
            "kinds": [],
            "vendors": "",
            "outside": "hold",
        }
    return {
        "from": window.from_,
        "until": window.until,
        "days": list(window.days),
        "kinds": list(window.kinds),
        "vendors": ", ".join(window.vendors),
        "outside": window.outside,
    }


def _read(form: dict[str, Any], own: str | None) -> tuple[Window | None, tuple[str, ...]]:
    """The window that a form says; None where fields of it are mistaken."""
    kinds = [kind for kind in form["kinds"] if kind in RULED_KINDS]
    days = [day for day in _DAY_NAMES if day in form["days"]]
    said = {
        "id": own,
        "from": form["from"],
        "until": form["until"],
        # All of them are what none stands for.
        "days": days if len(days) < len(_DAY_NAMES) else [],
        "kinds": kinds if len(kinds) < len(RULED_KINDS) else [],
        "vendors": [each.strip() for each in form["vendors"].split(",") if each.strip()],
        "outside": "refuse" if form["outside"] == "refuse" else "hold",
    }
    try:
        return msgspec.convert(said, Window), ()
    except msgspec.ValidationError as error:
        found = re.search(r"\$\.(\w+)", str(error))
        return None, (found[1] if found and found[1] in MISTAKES else "until",)


def _window(visit: Visit, stored: Stored) -> tuple[Piece, Window]:
    piece = stored.pieces.get(("window", visit.request.match_info["id"]))
    if piece is None or not isinstance(piece.value, Window):
        raise missing()
    return piece, piece.value


async def _overtaken(visit: Visit, wanted: Window, piece: Piece | None) -> Failure:
    now = (await declared(visit)).pieces.get(piece.key) if piece else None
    there = now.value if now else None
    return Failure(
        HTTPStatus.PRECONDITION_FAILED,
        versions=[
            (
                visit.say("Window"),
                phrases.window(visit, wanted),
                phrases.window(visit, there)
                if isinstance(there, Window)
                else visit.say("it is not there any more"),
            )
        ],
    )


PAGES = (
    Page("GET", _NEW, "consumer", show_new),
    Page("POST", _NEW, "consumer", add),
    Page("GET", "/times/windows/{id}", "consumer", show_one),
    Page("POST", "/times/windows/{id}", "consumer", change),
    Page("POST", "/times/windows/{id}/remove", "consumer", remove),
)
