"""``/times``: when what may come."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from http import HTTPStatus
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
from aiohttp import web

from letterbox.model.kind import RULED_KINDS, Kind
from letterbox.model.preferences import DayException, Pause, Preferences, Window
from letterbox.model.wishes import Times
from letterbox.records.consumers import Conflict, Refused, Stored
from letterbox.web import phrases, week
from letterbox.web.declared import declared, number_sent, revision_sent
from letterbox.web.failures import Failure, missing
from letterbox.web.kinds import KINDS
from letterbox.web.rules import facts_of_change
from letterbox.web.texts import N_
from letterbox.web.visit import Page, Visit

_PATH = "/times"
#: Days ahead in which a change of the clock is told.
_AHEAD = 31
_Rule = TypeVar("_Rule", Pause, DayException)
MISTAKES = {
    "from": N_("Write the first day as a date, such as 2027-07-10."),
    "until": N_("Write the last day as a date that is not before the first."),
    "on": N_("Write the day as a date, such as 2026-12-24."),
    "start": N_("Write both times, such as 09:00 and 12:00, or neither."),
}


class Opening(NamedTuple):
    """When a kind of mail may come next, in words."""

    kind: str
    said: str


class Row(NamedTuple):
    """A window in the list; ``painted``: the week shows it."""

    id: str
    sentence: str
    outside: str
    painted: bool
    revision: int


class Cell(NamedTuple):
    """One hour of the week."""

    name: str
    label: str
    on: bool
    partly: bool


async def show(visit: Visit) -> web.Response:
    """The times as they are."""
    return await _page(visit, await declared(visit))


async def save(visit: Visit) -> web.Response:
    """Make the windows of whole hours what was painted; the others stay."""
    stored = await declared(visit)
    kinds = week.LAYERS.get(visit.field("kind"))
    if kinds is None:
        raise Failure(HTTPStatus.BAD_REQUEST)
    outside: Literal["hold", "refuse"] = "refuse" if visit.field("outside") == "refuse" else "hold"
    before = stored.preferences.window
    mine = [each for each in before if week.is_painted(each, kinds)]
    painted = frozenset(visit.fields("cell"))
    if week.cells(mine) == painted:
        # As it was; but what is to become of mail at other times may be new.
        after = [msgspec.structs.replace(each, outside=outside) for each in mine]
    else:
        after = week.windows(painted, kinds, outside)
    others = [each for each in before if each not in mine]
    wanted = msgspec.structs.replace(stored.preferences, window=(*others, *after))
    if after == mine:
        wanted = stored.preferences
    layer = visit.field("kind")
    return await revised(visit, wanted, f"{_PATH}?kind={layer}" if layer else _PATH)


async def add_pause(visit: Visit) -> web.Response:
    """Days on which nothing comes."""
    stored = await declared(visit)
    start, end = _date(visit.field("from")), _date(visit.field("until"))
    wrong = [name for name, value in (("from", start), ("until", end)) if value is None]
    if start is None or end is None or end < start:
        return await _page(visit, stored, mistaken=wrong or ["until"])
    pauses = (*stored.preferences.pauses, Pause(from_=start, until=end))
    return await revised(visit, msgspec.structs.replace(stored.preferences, pauses=pauses))


async def remove_pause(visit: Visit) -> web.Response:
    """Take a pause away."""
    preferences = (await declared(visit)).preferences
    pauses = _without(visit, preferences.pauses)
    return await revised(visit, msgspec.structs.replace(preferences, pauses=pauses))


async def add_day(visit: Visit) -> web.Response:
    """Other times on one day."""
    stored = await declared(visit)
    on, start, end = _date(visit.field("on")), visit.field("start"), visit.field("end")
    if on is None:
        return await _page(visit, stored, mistaken=["on"])
    try:
        said = {"on": on, "from": start or None, "until": end or None}
        day = msgspec.convert(said, DayException)
    except msgspec.ValidationError:
        return await _page(visit, stored, mistaken=["start"])
    exceptions = (*stored.preferences.exceptions, day)
    wanted = msgspec.structs.replace(stored.preferences, exceptions=exceptions)
    try:
        return await revised(visit, wanted)
    except Refused:
        return await _page(visit, stored, mistaken=["start"])


async def remove_day(visit: Visit) -> web.Response:
    """Have a day be like the others again."""
    preferences = (await declared(visit)).preferences
    exceptions = _without(visit, preferences.exceptions)
    return await revised(visit, msgspec.structs.replace(preferences, exceptions=exceptions))


async def download(visit: Visit) -> web.Response:
    """The times as an iCalendar file."""
    stored = await declared(visit)
    content = await asyncio.to_thread(visit.parts.consumers.write_times, stored.preferences)
    return web.Response(
        body=content,
        content_type="text/calendar",
        charset="utf-8",
        headers={
            "Content-Disposition": 'attachment; filename="letterbox.ics"',
            "Cache-Control": "no-store",
        },
    )


async def revised(visit: Visit, wanted: Preferences, path: str = _PATH) -> web.Response:
    """Save times that were changed in the revision which the form names.

    Raises :class:`Refused`, and a failure with both versions where they have changed since.
    """
    before = revision_sent(visit)
    try:
        revision = await visit.parts.consumers.revise(
            visit.consumer, wanted, expect=before, now=visit.now
        )
    except Conflict:
        now = (await declared(visit)).preferences
        name = visit.say("Times")
        versions = [(name, _in_words(visit, wanted), _in_words(visit, now))]
        raise Failure(HTTPStatus.PRECONDITION_FAILED, versions=versions) from None
    if revision == before:
        return visit.see(path, "nothing-changed")
    facts = await facts_of_change(visit, before)
    times = (await visit.parts.consumers.wishes(visit.consumer)).times
    return visit.see(path, "times-saved", effect=_next(visit, times), **facts)


# ---- read ----


async def _page(visit: Visit, stored: Stored, *, mistaken: Iterable[str] = ()) -> web.Response:
    preferences = stored.preferences
    times = (await visit.parts.consumers.wishes(visit.consumer)).times
    layer = _layer(visit, preferences)
    kinds = week.LAYERS[layer]
    mine = [each for each in preferences.window if week.is_painted(each, kinds)]
    mistakes = {field: MISTAKES[field] for field in mistaken}
    shown: dict[str, Any] = {
        "mistakes": mistakes,
        "sent": visit.field if mistakes else _nothing_sent,
        "revision": visit.field("revision") or stored.revision,
        "zone": preferences.timezone,
        "there": times.local(visit.now).strftime("%H:%M"),
        "openings": [_opening(visit, times, kind) for kind in Kind if kind in RULED_KINDS],
        "clocks": list(_clock_changes(visit, times)),
        "windows": _rows(visit, stored, kinds),
        "layer": layer,
        "layers": {name: phrases.kinds(visit, of) for name, of in week.LAYERS.items()},
        "hours": list(_hours(visit, preferences, kinds, mine)),
        "days": [
            (phrases.weekday(visit, day), phrases.weekday(visit, day, "abbreviated"))
            for day in phrases.DAYS
        ],
        "empty": not mine,
        "outside": "refuse" if mine and all(w.outside == "refuse" for w in mine) else "hold",
        "outsides": phrases.OUTSIDE,
        "pauses": [phrases.pause(visit, each) for each in preferences.pauses],
        "exceptions": [phrases.exception(visit, each) for each in preferences.exceptions],
    }
    code = HTTPStatus.UNPROCESSABLE_ENTITY if mistakes else HTTPStatus.OK
    return await visit.page("times.html", code=code, **shown)


def _layer(visit: Visit, preferences: Preferences) -> str:
    """The kinds the week is shown for: those asked for, else the first that have windows."""
    asked = visit.asked("kind")
    if asked in week.LAYERS and "kind" in visit.request.query:
        return asked
    for name, kinds in week.LAYERS.items():
        if any(week.is_painted(each, kinds) for each in preferences.window):
            return name
    return ""


def _rows(visit: Visit, stored: Stored, kinds: tuple[Kind, ...]) -> list[Row]:
    found = [
        (piece, piece.value) for piece in stored.pieces.values() if isinstance(piece.value, Window)
    ]
    found.sort(key=lambda each: (each[0].place, each[0].id))
    return [
        Row(
            piece.id,
            phrases.window(visit, window),
            visit.say(phrases.OUTSIDE[window.outside]),
            week.is_painted(window, kinds),
            piece.revision,
        )
        for piece, window in found
    ]


def _hours(
    visit: Visit, preferences: Preferences, kinds: tuple[Kind, ...], mine: list[Window]
) -> Iterator[tuple[str, list[Cell]]]:
    """The rows of the week: an hour, and its cell on each day."""
    on = week.cells(mine)
    partly = week.cells(
        each for each in preferences.window if each.kinds == kinds and each not in mine
    )
    names = {day: phrases.weekday(visit, day) for day in phrases.DAYS}
    for hour in range(24):
        span = f"{hour:02}{phrases.DASH}{hour + 1:02}"
        row = []
        for day in phrases.DAYS:
            name = f"{day}-{hour:02}"
            row.append(Cell(name, f"{names[day]} {span}", name in on, name in partly))
        yield span, row


def _opening(visit: Visit, times: Times, kind: Kind) -> Opening:
    opening = times.opening(kind, visit.now)
    if opening.at is None:
        said = visit.say("not for more than a year")
    elif opening.at <= visit.now:
        said = visit.say("now") if opening.ruled else visit.say("at any time")
    else:
        said = visit.moment(opening.at)
    return Opening(visit.say(KINDS[kind]), said)


def _next(visit: Visit, times: Times) -> str:
    """What the times come to: when each kind may come next."""
    openings = (_opening(visit, times, kind) for kind in Kind if kind in RULED_KINDS)
    return visit.say(
        "Next: %(openings)s.", openings="; ".join(f"{each.kind}: {each.said}" for each in openings)
    )


def _in_words(visit: Visit, preferences: Preferences) -> str:
    said = [phrases.window(visit, each) for each in preferences.window]
    said += [phrases.pause(visit, each) for each in preferences.pauses]
    said += [phrases.exception(visit, each) for each in preferences.exceptions]
    return ". ".join(said) or visit.say("at any time")


def _clock_changes(visit: Visit, times: Times) -> Iterator[str]:
    """The days soon on which the clock is changed, and what that does."""
    at, before = visit.now, times.local(visit.now)
    for _ in range(_AHEAD * 24):
        # By the instant: on the wall the hour that is looked for cannot be seen.
        at += timedelta(hours=1)
        after = times.local(at)
        if after.utcoffset() != before.utcoffset():
            day = phrases.day(visit, after.date())
            if (after.utcoffset() or timedelta()) > (before.utcoffset() or timedelta()):
                yield visit.say("%(day)s: that day is an hour shorter.", day=day)
            else:
                yield visit.say("%(day)s: an hour comes twice, and opens once.", day=day)
        before = after


def _without(visit: Visit, rules: tuple[_Rule, ...]) -> tuple[_Rule, ...]:
    """Rules without the one that the form names by its number."""
    nth = number_sent(visit, "nth")
    if nth >= len(rules):
        raise missing()
    return rules[:nth] + rules[nth + 1 :]


def _nothing_sent(field: str) -> str:
    """What stands in the fields of a form that was not sent."""
    del field
    return ""


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


PAGES = (
    Page("GET", _PATH, "consumer", show),
    Page("POST", _PATH, "consumer", save),
    Page("GET", "/times/letterbox.ics", "consumer", download),
    Page("POST", "/times/pauses", "consumer", add_pause),
    Page("POST", "/times/pauses/remove", "consumer", remove_pause),
    Page("POST", "/times/days", "consumer", add_day),
    Page("POST", "/times/days/remove", "consumer", remove_day),
)
