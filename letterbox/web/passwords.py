"""A password of one's own: set, changed, removed, and to sign in with."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from letterbox.model.address import parse_address
from letterbox.records import places
from letterbox.records.passwords import LONGEST, SHORTEST
from letterbox.records.sessions import Owner
from letterbox.web.failures import Failure
from letterbox.web.settings import PATHS, Mistaken, path_of
from letterbox.web.settings import page as settings
from letterbox.web.signin import place, welcome
from letterbox.web.texts import N_
from letterbox.web.visit import Page, Visit

_LONGEST_NAME: Final = 320


async def sign_in(visit: Visit) -> web.Response:
    """Sign in with a name and a password: one answer for whatever is wrong."""
    name, side = visit.field("name")[:_LONGEST_NAME].lower(), visit.field("side")
    if side not in {"consumer", "vendor"}:
        raise Failure(HTTPStatus.BAD_REQUEST)
    not_guessing(visit, f"{side}/{name}")
    owner = await _named(visit, name, side)
    if await _verified(visit, owner, visit.raw("password"), f"{side}/{name}"):
        visit.inside.tries.succeeded(place(visit), f"{side}/{name}")
        return await welcome(visit, owner)
    return await once_more(visit, name=name, side=side)


async def _verified(visit: Visit, owner: Owner, password: str, about: str) -> bool:
    """Whether it is right. It counts as wrong until then: many at once are no more guesses."""
    visit.inside.tries.failed(place(visit), about)
    if not await visit.parts.passwords.verify(owner, password):
        return False
    visit.inside.tries.took_back(place(visit), about)
    return True


async def change(visit: Visit) -> web.Response:
    """Set a password, or change it by showing the one there is; other browsers are signed out."""
    passwords, owner, new = visit.parts.passwords, visit.owner, visit.raw("new")
    mistakes: list[Mistaken] = []
    if await passwords.since(owner) is not None:
        not_guessing(visit, owner.partition)
        if not await _verified(visit, owner, visit.raw("current"), owner.partition):
            mistakes.append(Mistaken("current", visit.say(N_("This is not your password now."))))
    if not SHORTEST <= len(new) <= LONGEST:
        text = N_("A new password has %(shortest)s to %(longest)s characters.")
        mistakes.append(Mistaken("new", visit.say(text, shortest=SHORTEST, longest=LONGEST)))
    if mistakes:
        return await settings(visit, mistakes=mistakes)
    await passwords.set(owner, new)
    for session in await visit.parts.sessions.listed(owner):
        if visit.who is None or session.id != visit.who.session.id:
            await visit.parts.sessions.revoke(owner, session.id)
    return visit.see(path_of(visit), "password-set")


async def remove(visit: Visit) -> web.Response:
    """Have no password any more."""
    await visit.parts.passwords.remove(visit.owner)
    return visit.see(path_of(visit), "password-removed")


async def _named(visit: Visit, name: str, side: str) -> Owner:
    """Whom a name or an address means; it need not be anybody."""
    if side == "vendor":
        return Owner("vendor", name)
    address = parse_address(name)
    owner = await visit.parts.consumers.owner(address) if address is not None else None
    named = owner.consumer if owner is not None and owner.consumer != places.NOBODY else name
    return Owner("consumer", named)


def not_guessing(visit: Visit, name: str) -> None:
    """See that nobody has failed too often from there, or for that name."""
    if visit.inside.tries.locked(place(visit), name):
        seconds = int(visit.parts.configuration.web.failure_period)
        raise Failure(HTTPStatus.TOO_MANY_REQUESTS, retry_after=seconds)


async def once_more(
    visit: Visit, *, name: str = "", side: str = "consumer", passkey: bool = False
) -> web.Response:
    """Say that it was wrong, and show the way to sign in."""
    return await visit.page(
        "signin.html",
        code=HTTPStatus.UNPROCESSABLE_ENTITY,
        wrong="passkey" if passkey else "name",
        name=name,
        side=side,
    )


PAGES = (
    Page("POST", "/signin/password", "anyone", sign_in),
    *(
        page
        for side, path in PATHS.items()
        for page in (
            Page("POST", f"{path}/password", side, change),
            Page("POST", f"{path}/password/remove", side, remove),
        )
    ),
)
