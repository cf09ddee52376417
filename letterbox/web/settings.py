"""``/settings``: what is somebody's own here, and who is signed in as them.

A vendor's page is the same at ``/vendor/settings``, without what only a consumer has.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec
from aiohttp import web

from letterbox.model.language import LANGUAGES
from letterbox.model.preferences import Preferences
from letterbox.records.consumers import Conflict, Refused, Stored
from letterbox.records.sessions import Session, Side
from letterbox.web.failures import Failure, missing
from letterbox.web.rules import facts_of_change
from letterbox.web.texts import N_
from letterbox.web.tracking import GRADES
from letterbox.web.visit import Page, Visit

#: Where each side's page is.
PATHS: Final[Mapping[Side, str]] = {"consumer": "/settings", "vendor": "/vendor/settings"}
#: What languages call themselves.
NAMES: Final = {"en": "English", "nl": "Nederlands"}


class Choice(NamedTuple):
    """One way to meet companies that are not on the list, and what it reveals."""

    name: str
    reveals: str


#: By what the preferences call it.
NEWCOMERS: Final[Mapping[str, Choice]] = {
    "refuse": Choice(
        N_("They are refused."),
        N_("It reveals nothing: they hear what they would hear if your address did not exist."),
    ),
    "ask": Choice(
        N_("Their first message waits for your yes."),
        N_("It reveals that your address exists, to every company that writes to it."),
    ),
    "interests": Choice(
        N_("What fits an interest that is open to anyone comes in, the rest is refused."),
        N_("It reveals that your address exists, to whoever sends what fits."),
    ),
}
_MOST_DAYS: Final = 365


class Mistaken(NamedTuple):
    """One field that cannot be so."""

    field: str
    text: str


class Browser(NamedTuple):
    """One session in the list. ``here``: it is the one that asks."""

    session: Session
    here: bool


def path_of(visit: Visit) -> str:
    """Where the settings of who asks are."""
    return PATHS[visit.owner.side]


async def show(visit: Visit) -> web.Response:
    """Everything there is to set."""
    return await page(visit)


async def page(
    visit: Visit,
    *,
    mistakes: Sequence[Mistaken] = (),
    given: Mapping[str, str] | None = None,
) -> web.Response:
    """The page; with what was ``given`` where there are mistakes in it."""
    stored = await _stored(visit)
    return await visit.page(
        "settings.html",
        code=HTTPStatus.UNPROCESSABLE_ENTITY if mistakes else HTTPStatus.OK,
        base=path_of(visit),
        stored=stored,
        values=(_values(stored) if stored else {}) | dict(given or {}),
        mistakes=mistakes,
        wrong={mistake.field for mistake in mistakes},
        names=NAMES,
        zones=visit.parts.consumers.zones() if stored else (),
        newcomers=NEWCOMERS,
        grades=GRADES,
        browsers=await _browsers(visit),
        passkeys=await visit.parts.passkeys.listed(visit.owner),
        password=await visit.parts.passwords.since(visit.owner),
    )


async def change_language(visit: Visit) -> web.Response:
    """Set the language and the time zone."""
    language, zone = visit.field("language"), visit.field("timezone")[:100]
    if language not in LANGUAGES:
        raise Failure(HTTPStatus.BAD_REQUEST)

    def changed(before: Preferences) -> Preferences:
        return msgspec.structs.replace(before, language=language, timezone=zone)

    return await _change(
        visit, changed, {"language": language, "timezone": zone}, "language-changed"
    )


async def change_newcomers(visit: Visit) -> web.Response:
    """Set what companies may do that are not on the list."""
    newcomers, days = visit.field("newcomers"), visit.field("days")[:10]
    if newcomers not in NEWCOMERS:
        raise Failure(HTTPStatus.BAD_REQUEST)
    given = {"newcomers": newcomers, "days": days}
    if not (days.isascii() and days.isdecimal() and 1 <= int(days) <= _MOST_DAYS):
        text = visit.say(N_("Days to answer: a number from 1 to %(most)s"), most=_MOST_DAYS)
        return await page(visit, mistakes=[Mistaken("days", text)], given=given)

    def changed(before: Preferences) -> Preferences:
        return msgspec.structs.replace(before, newcomers=newcomers, ask_for_days=int(days))

    return await _change(visit, changed, given, "newcomers-changed")


async def end_session(visit: Visit) -> web.Response:
    """Sign another browser out; one's own, too."""
    if not await visit.parts.sessions.revoke(visit.owner, visit.item):
        raise missing()
    if visit.who is not None and visit.item == visit.who.session.id:
        response = visit.see("/signin", "signed-out")
        visit.set_session(response, None)
        return response
    return visit.see(f"{path_of(visit)}#sessions", "session-ended")


async def end_others(visit: Visit) -> web.Response:
    """Sign every browser out but this one."""
    for browser in await _browsers(visit):
        if not browser.here:
            await visit.parts.sessions.revoke(visit.owner, browser.session.id)
    return visit.see(f"{path_of(visit)}#sessions", "others-ended")


# ---- read and changed ----


async def _stored(visit: Visit) -> Stored | None:
    """What a consumer declared; None for a vendor, and for the operator's own mailbox."""
    if visit.owner.side != "consumer":
        return None
    return await visit.parts.consumers.stored(visit.owner.id)


def _values(stored: Stored) -> dict[str, str]:
    preferences = stored.preferences
    return {
        "language": preferences.language,
        "timezone": preferences.timezone,
        "newcomers": preferences.newcomers,
        "days": str(preferences.ask_for_days),
        "tracking": preferences.tracking,
    }


async def _browsers(visit: Visit) -> list[Browser]:
    """Who is signed in, who was here last first."""
    here = visit.who.session.id if visit.who else ""
    rows = await visit.parts.sessions.listed(visit.owner)
    newest = sorted(rows, key=lambda row: (row.id == here, row.seen), reverse=True)
    return [Browser(row, here=row.id == here) for row in newest]


async def _change(
    visit: Visit,
    changed: Callable[[Preferences], Preferences],
    given: Mapping[str, str],
    done: str,
) -> web.Response:
    stored = await _stored(visit)
    if stored is None:
        raise missing()
    if visit.field("revision") not in {"", str(stored.revision)}:
        raise _changed_meanwhile(visit, stored, given)
    try:
        await visit.parts.consumers.revise(
            visit.consumer,
            changed(stored.preferences),
            expect=stored.revision,
            now=visit.now,
        )
    except Conflict:
        now = await _stored(visit) or stored
        raise _changed_meanwhile(visit, now, given) from None
    except Refused as refused:
        mistakes = [Mistaken(each.path, _sentence(visit, each.path)) for each in refused.mistakes]
        return await page(visit, mistakes=mistakes, given=given)
    return visit.see(path_of(visit), done, **await facts_of_change(visit, stored.revision))


_SENTENCES: Final = {
    "timezone": N_("Time zone: there is none of that name. Choose one of the list."),
}
_FIELDS: Final = {
    "language": N_("Language"),
    "timezone": N_("Time zone"),
    "newcomers": N_("New companies"),
    "days": N_("Days to answer"),
}


def _sentence(visit: Visit, path: str) -> str:
    return visit.say(_SENTENCES.get(path, N_("This cannot be.")))


def _changed_meanwhile(visit: Visit, now: Stored, given: Mapping[str, str]) -> Failure:
    there = _values(now)
    versions = [(visit.say(_FIELDS[name]), said, there[name]) for name, said in given.items()]
    return Failure(HTTPStatus.PRECONDITION_FAILED, versions=versions)


PAGES = (
    Page("POST", "/settings/language", "consumer", change_language),
    Page("POST", "/settings/newcomers", "consumer", change_newcomers),
    *(
        page
        for side, path in PATHS.items()
        for page in (
            Page("GET", path, side, show),
            Page("POST", f"{path}/sessions/end-others", side, end_others),
            Page("POST", f"{path}/sessions/{{id}}/end", side, end_session),
        )
    ),
)
