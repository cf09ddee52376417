"""Signing in and out. A link serves once, and only its button signs in: scanners follow links.

Whatever proves who somebody is ends in :func:`welcome`; a password or a passkey does, too.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from letterbox.model.network import place_of, plain_ip
from letterbox.records.sessions import Owner
from letterbox.web.failures import Failure
from letterbox.web.visit import Page, Visit, session_cookie

#: The families that are told apart, each by what only it says of itself, in this order.
_BROWSERS: Final[Mapping[str, str]] = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "Firefox/": "Firefox",
    "Chrom": "Chrome",
    "Safari/": "Safari",
}
_SYSTEMS: Final[Mapping[str, str]] = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS": "macOS",
    "Linux": "Linux",
}
_ANY_LINK = re.compile(r"[0-9A-Za-z]{1,100}")


async def show(visit: Visit) -> web.Response:
    """How to sign in."""
    if visit.who is not None:
        return visit.see(visit.inside.home(visit.owner.side))
    return await visit.page("signin.html", wrong="", name="", side="consumer")


async def show_link(visit: Visit) -> web.Response:
    """Is this me? Nothing is used up by looking."""
    not_guessing(visit)
    owner = await visit.parts.sessions.linked(_link(visit))
    if owner is None:
        return await _over(visit)
    return await visit.page("signin_link.html", owner=owner, name=await _name(visit, owner))


async def use_link(visit: Visit) -> web.Response:
    """Sign in."""
    not_guessing(visit)
    owner = await visit.parts.sessions.use_link(_link(visit))
    if owner is None:
        return await _over(visit)
    return await welcome(visit, owner)


async def welcome(visit: Visit, owner: Owner) -> web.Response:
    """Sign in whoever has proven to be an owner: a new session, whatever there was before."""
    before = visit.request.cookies.get(session_cookie(visit.request, visit.parts.public_url()))
    who = await visit.parts.sessions.start(owner, agent=family(visit), instead_of=before)
    response = visit.see(visit.inside.home(owner.side))
    visit.set_session(response, who)
    return response


async def sign_out(visit: Visit) -> web.Response:
    """Sign out."""
    if visit.who is not None:
        await visit.parts.sessions.end(visit.who.cookie)
    response = visit.see("/signin", "signed-out")
    visit.set_session(response, None)
    return response


def _link(visit: Visit) -> str:
    token = visit.request.match_info["token"]
    return token if _ANY_LINK.fullmatch(token) else ""


def not_guessing(visit: Visit) -> None:
    """See that an address has not failed too often."""
    if visit.inside.guesses.locked(place(visit), ""):
        seconds = int(visit.parts.configuration.web.failure_period)
        raise Failure(HTTPStatus.TOO_MANY_REQUESTS, retry_after=seconds)


async def _over(visit: Visit) -> web.Response:
    """One answer for every link that signs nobody in."""
    visit.inside.guesses.failed(place(visit), "")
    return await visit.page("signin_over.html", code=HTTPStatus.NOT_FOUND)


def place(visit: Visit) -> str:
    """Where somebody comes from, as failures are counted."""
    return str(place_of(plain_ip(visit.client))) if visit.client else ""


async def _name(visit: Visit, owner: Owner) -> str:
    """What an owner is called."""
    if owner.side == "consumer":
        return owner.id
    vendor = await visit.parts.vendors.get(owner.id)
    return vendor.name if vendor else owner.id


def family(visit: Visit) -> str:
    """The browser's family and system, as far as it says; no more of it is kept."""
    agent = visit.request.headers.get("User-Agent", "")[:500]
    browser = next((name for sign, name in _BROWSERS.items() if sign in agent), "")
    system = next((name for sign, name in _SYSTEMS.items() if sign in agent), "")
    return " · ".join(filter(None, (browser, system)))


PAGES = (
    Page("GET", "/signin", "anyone", show),
    Page("GET", "/signin/{token}", "anyone", show_link),
    Page("POST", "/signin/{token}", "anyone", use_link),
    Page("POST", "/signout", "anyone", sign_out),
)
