"""Passkeys: made, named and removed in the settings, and to sign in with."""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from letterbox.records.passkeys import Site
from letterbox.web.failures import missing
from letterbox.web.passwords import not_guessing, once_more
from letterbox.web.settings import PATHS, Mistaken, path_of
from letterbox.web.settings import page as settings
from letterbox.web.signin import family, place, welcome
from letterbox.web.texts import N_
from letterbox.web.visit import LOOPBACK, Page, Visit, host_of

_LONGEST_NAME: Final = 60


async def invite(visit: Visit) -> web.Response:
    """What the browser makes a passkey with."""
    return _json(await visit.parts.passkeys.invite(visit.owner, _site(visit)))


async def register(visit: Visit) -> web.Response:
    """Take the passkey that was made."""
    name = visit.field("name")[:_LONGEST_NAME] or family(visit)
    answer = visit.field("answer")
    if not await visit.parts.passkeys.register(visit.owner, _site(visit), answer, name):
        text = visit.say(N_("The passkey was not taken. Try it once more."))
        return await settings(visit, mistakes=[Mistaken("passkey-name", text)])
    return visit.see(f"{path_of(visit)}#passkeys", "passkey-added", name=name)


async def rename(visit: Visit) -> web.Response:
    """Call a passkey something else."""
    name = visit.field("name")[:_LONGEST_NAME]
    if not await visit.parts.passkeys.rename(visit.owner, visit.item, name):
        raise missing()
    return visit.see(f"{path_of(visit)}#passkeys", "passkey-renamed", name=name)


async def remove(visit: Visit) -> web.Response:
    """Forget a passkey."""
    if not await visit.parts.passkeys.remove(visit.owner, visit.item):
        raise missing()
    return visit.see(f"{path_of(visit)}#passkeys", "passkey-removed")


async def ask(visit: Visit) -> web.Response:
    """What the browser shows a passkey with."""
    not_guessing(visit, "")
    return _json(await visit.parts.passkeys.ask(_site(visit)))


async def sign_in(visit: Visit) -> web.Response:
    """Sign in whoever's passkey was shown."""
    not_guessing(visit, "")
    owner = await visit.parts.passkeys.shown(_site(visit), visit.field("answer"))
    if owner is None:
        visit.inside.tries.failed(place(visit), "")
        return await once_more(visit, passkey=True)
    return await welcome(visit, owner)


def _site(visit: Visit) -> Site:
    """Whom passkeys are for: our public address; what this machine calls itself, from here."""
    ours = visit.parts.public_url()
    here = host_of(visit.request) in LOOPBACK
    origin = f"{visit.request.scheme}://{visit.request.host}" if here else ours
    parts = urlsplit(origin)
    return Site(parts.hostname or "", f"{parts.scheme}://{parts.netloc}")


def _json(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")


PAGES = (
    Page("POST", "/signin/passkey/options", "anyone", ask),
    Page("POST", "/signin/passkey", "anyone", sign_in),
    *(
        page
        for side, path in PATHS.items()
        for page in (
            Page("POST", f"{path}/passkeys/options", side, invite),
            Page("POST", f"{path}/passkeys", side, register),
            Page("POST", f"{path}/passkeys/{{id}}/name", side, rename),
            Page("POST", f"{path}/passkeys/{{id}}/remove", side, remove),
        )
    ),
)
