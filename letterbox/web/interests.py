"""``/interests``: what is wanted, and what of late fits it."""

from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from letterbox.hindsight.fits import DAYS
from letterbox.hindsight.fits import MOST_LOOKED_AT as MOST
from letterbox.model.preferences import Interest
from letterbox.model.record import DecisionRecord
from letterbox.records.consumers import Conflict, Refused, Stored
from letterbox.records.pieces import Piece
from letterbox.web import categories, interest_form, phrases
from letterbox.web.declared import declared, revision_sent
from letterbox.web.failures import Failure, missing
from letterbox.web.interest_form import Filled
from letterbox.web.rules import facts_of_change
from letterbox.web.visit import ROWS, Page, Visit

_PATH = "/interests"
_NEW = "/interests/~new"


class Card(NamedTuple):
    """One interest. ``fits`` is how many messages of late fit it; None where not counted."""

    id: str
    wish: str
    period: str
    revision: int
    fits: int | None


class Effect(NamedTuple):
    """What an interest would do: in words, and in the messages of late that fit it."""

    wish: str
    period: str
    fits: int
    rows: tuple[DecisionRecord, ...]


async def show_list(visit: Visit) -> web.Response:
    """Every interest, as a sentence."""
    stored = await declared(visit)
    every = _interests(stored)
    after = visit.asked("after")
    begin = next((nth for nth, (piece, _) in enumerate(every, 1) if piece.id == after), 0)
    counted = None
    if visit.asked("count") == "yes":
        counted = await visit.parts.fits.of(visit.consumer, stored.preferences, stored)
    cards = [
        Card(
            piece.id,
            phrases.wish(visit, interest),
            phrases.period(visit, interest.from_, interest.until),
            piece.revision,
            len(counted.by_interest.get(piece.id, ())) if counted else None,
        )
        for piece, interest in every[begin : begin + ROWS]
    ]
    more = begin + ROWS < len(every)
    return await visit.page(
        "interests.html",
        cards=cards,
        after=after if begin else "",
        next=cards[-1].id if more else "",
        counted=counted,
        days=DAYS,
        most=MOST,
    )


async def show_fits(visit: Visit) -> web.Response:
    """The messages of late that fit one interest."""
    stored = await declared(visit)
    piece = _piece(visit, stored)
    counted = await visit.parts.fits.of(visit.consumer, stored.preferences, stored)
    return await visit.page(
        "interest_fits.html",
        name=piece.id,
        wish=phrases.wish(visit, _value(piece)),
        rows=counted.by_interest.get(piece.id, ()),
        counted=counted,
        days=DAYS,
        most=MOST,
    )


async def show_new(visit: Visit) -> web.Response:
    """The form of a new interest. An example, or a suggestion, may fill it."""
    form = interest_form.filled(None)
    example = {name: visit.asked(name) for name in form.texts if visit.asked(name)}
    category = visit.asked("category")
    chosen = (category,) if category in visit.parts.taxonomy.nodes else ()
    return await _form(visit, Filled({**form.texts, **example}, chosen), None)


async def show_one(visit: Visit) -> web.Response:
    """The form of an interest that there is."""
    piece = _piece(visit, await declared(visit))
    return await _form(visit, interest_form.filled(_value(piece)), piece)


async def add(visit: Visit) -> web.Response:
    """Add an interest; or look for categories, or see what it would do."""
    return await _sent(visit, await declared(visit), None)


async def change(visit: Visit) -> web.Response:
    """Change an interest; or look for categories, or see what it would do."""
    stored = await declared(visit)
    return await _sent(visit, stored, _piece(visit, stored))


async def remove(visit: Visit) -> web.Response:
    """Take an interest away."""
    stored = await declared(visit)
    piece = _piece(visit, stored)
    await visit.parts.consumers.revise_piece(
        visit.consumer, piece.key, None, expect=revision_sent(visit), now=visit.now
    )
    facts = await facts_of_change(visit, stored.revision)
    return visit.see(_PATH, "interest-removed", name=piece.id, **facts)


# ---- the form ----


async def _sent(visit: Visit, stored: Stored, piece: Piece | None) -> web.Response:
    """A form that was sent, for what its button says."""
    form = interest_form.sent(visit)
    if visit.field("do") == "search":
        return await _form(visit, form, piece)
    known = [each.id for each, _ in _interests(stored)]
    interest, mistaken = interest_form.read(form, piece.id if piece else None, known)
    if interest is None:
        return await _form(visit, form, piece, mistaken=mistaken)
    if visit.field("do") == "try":
        try:
            effect = await _effect(visit, stored, interest)
        except Refused as refused:
            # The interest is the last of those that are thought of.
            at = f"interest[{sum(name != interest.id for name in known)}]"
            wrong = interest_form.mistaken(refused.mistakes, at)
            return await _form(visit, form, piece, mistaken=wrong)
        return await _form(visit, form, piece, effect=effect)
    key = ("interest", interest.id)
    try:
        await visit.parts.consumers.revise_piece(
            visit.consumer,
            key,  # type: ignore[arg-type]
            interest,
            expect=revision_sent(visit) if piece else 0,
            now=visit.now,
        )
    except Refused as refused:
        wrong = interest_form.mistaken(refused.mistakes)
        return await _form(visit, form, piece, mistaken=wrong)
    except Conflict:
        raise await _overtaken(visit, interest) from None
    facts = await facts_of_change(visit, stored.revision)
    if facts["now"] == facts["revision"]:
        return visit.see(_PATH, "nothing-changed")
    effect_said = phrases.wish(visit, interest)
    return visit.see(
        f"{_PATH}#i-{interest.id}", "interest-saved", name=interest.id, effect=effect_said, **facts
    )


async def _effect(visit: Visit, stored: Stored, interest: Interest) -> Effect:
    """What an interest would do. Raises :class:`Refused`."""
    others = tuple(each for each in stored.preferences.interest if each.id != interest.id)
    imagined = msgspec.structs.replace(stored.preferences, interest=(*others, interest))
    if mistakes := await visit.parts.consumers.own_mistakes(visit.consumer, imagined):
        before = await visit.parts.consumers.own_mistakes(visit.consumer, stored.preferences)
        said = {(each.mistake, each.allowed) for each in before}
        if new := [each for each in mistakes if (each.mistake, each.allowed) not in said]:
            raise Refused(new)
    counted = await visit.parts.fits.of(visit.consumer, imagined, stored)
    rows = counted.by_interest.get(interest.id, ())
    return Effect(
        phrases.wish(visit, interest),
        phrases.period(visit, interest.from_, interest.until),
        len(rows),
        rows[:5],
    )


async def _form(
    visit: Visit,
    form: Filled,
    piece: Piece | None,
    *,
    mistaken: tuple[str, ...] = (),
    effect: Effect | None = None,
) -> web.Response:
    taxonomy, language = visit.parts.taxonomy, visit.language
    chosen = [categories.choice(taxonomy, each, language) for each in form.categories]
    found = categories.search(taxonomy, form.texts["q"], language)
    shown: dict[str, Any] = {
        "name": piece.id if piece else "",
        # What was sent was made in the interest as it was then.
        "revision": visit.field("revision") or (piece.revision if piece else 0),
        "action": f"{_PATH}/{piece.id}" if piece else _NEW,
        "form": form.texts,
        "chosen": chosen,
        "found": [each for each in found if each.id not in form.categories],
        "tree": categories.tree(taxonomy, language),
        "mistakes": {field: interest_form.MISTAKES[field] for field in mistaken},
        "effect": effect,
        "days": DAYS,
    }
    code = HTTPStatus.UNPROCESSABLE_ENTITY if mistaken else HTTPStatus.OK
    return await visit.page("interest.html", code=code, **shown)


# ---- read ----


def _interests(stored: Stored) -> list[tuple[Piece, Interest]]:
    found = [
        (piece, piece.value)
        for piece in stored.pieces.values()
        if isinstance(piece.value, Interest)
    ]
    return sorted(found, key=lambda each: (each[0].place, each[0].id))


def _piece(visit: Visit, stored: Stored) -> Piece:
    piece = stored.pieces.get(("interest", visit.request.match_info["id"]))
    if piece is None:
        raise missing()
    return piece


def _value(piece: Piece) -> Interest:
    if not isinstance(piece.value, Interest):
        raise missing()
    return piece.value


async def _overtaken(visit: Visit, wanted: Interest) -> Failure:
    """It has changed in between: both versions."""
    stored = await declared(visit)
    piece = stored.pieces.get(("interest", wanted.id))
    now = phrases.wish(visit, _value(piece)) if piece else visit.say("it is not there any more")
    return Failure(
        HTTPStatus.PRECONDITION_FAILED,
        versions=[(wanted.id, phrases.wish(visit, wanted), now)],
    )


PAGES = (
    Page("GET", _PATH, "consumer", show_list),
    Page("GET", _NEW, "consumer", show_new),
    Page("POST", _NEW, "consumer", add),
    Page("GET", "/interests/{id}", "consumer", show_one),
    Page("POST", "/interests/{id}", "consumer", change),
    Page("GET", "/interests/{id}/fits", "consumer", show_fits),
    Page("POST", "/interests/{id}/remove", "consumer", remove),
)
