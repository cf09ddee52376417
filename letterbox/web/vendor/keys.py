"""``/vendor/keys``: a vendor's API keys, each shown once, and how to begin with one."""

import re
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Final, get_args

from aiohttp import web

from letterbox.model.vendor import Scope
from letterbox.records.credentials import PREFIX
from letterbox.registration import MOST_KEYS, TooManyKeys
from letterbox.web.failures import Failure, missing
from letterbox.web.texts import N_
from letterbox.web.vendor.wrong import Wrong
from letterbox.web.visit import Page, Visit

_PATH = "/vendor/keys"
_PREFIX = re.compile(r"lbk_[0-9A-Za-z]{8}")
_LONGEST_LABEL: Final = 100
_MOST_DAYS: Final = 3650
_MOST_HOURS: Final = 24 * 30
_USUAL_HOURS: Final = 24
SCOPES: Final[Mapping[Scope, str]] = {
    "send": N_("send messages and ask ahead"),
    "feedback": N_("read the feedback"),
    "manage": N_("manage domains, keys and webhooks"),
}


async def show(visit: Visit) -> web.Response:
    """The keys that are good now."""
    return await _page(visit)


async def _page(
    visit: Visit, *, made: str = "", wrong: tuple[Wrong, ...] = (), code: int = HTTPStatus.OK
) -> web.Response:
    keys = await visit.parts.keys.of(visit.vendor)
    first = next((each.credential.prefix for each in keys if each.credential.serves("send")), "")
    vendor = await visit.parts.vendors.get(visit.vendor)
    domains = vendor.own_domains if vendor else ()
    return await visit.page(
        "vendor/keys.html",
        code=code,
        keys=keys,
        scopes=SCOPES,
        made=made,
        prefix=made[:PREFIX] or first,
        wrong=wrong,
        entered={name: visit.field(name) for name in ("label", "days", "hours")},
        chosen=visit.fields("scope") if wrong else list(SCOPES),
        longest=_LONGEST_LABEL,
        url=visit.parts.public_url(),
        domain=domains[0] if domains else "",
    )


async def make(visit: Visit) -> web.Response:
    """Make a key; it is shown this once, in the answer itself, so that nothing keeps it."""
    label, days = visit.field("label"), visit.field("days")
    scopes = tuple(each for each in get_args(Scope) if each in visit.fields("scope"))
    wrong = []
    if len(label) > _LONGEST_LABEL or not label.isprintable():
        text = visit.say("At most %(most)s characters, on one line.", most=_LONGEST_LABEL)
        wrong.append(Wrong("label", text))
    if not scopes:
        wrong.append(Wrong("scope-send", visit.say("Choose at least one thing it may do.")))
    if days and _number(days, 1, _MOST_DAYS) is None:
        text = visit.say("A number of days from 1 to %(most)s, or nothing.", most=_MOST_DAYS)
        wrong.append(Wrong("days", text))
    if wrong:
        return await _page(visit, wrong=tuple(wrong), code=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        key = await visit.parts.keys.issue(
            visit.vendor,
            label=label,
            scopes=scopes if len(scopes) < len(SCOPES) else (),
            lasts=timedelta(days=int(days)) if days else None,
        )
    except TooManyKeys:
        text = visit.say("At most %(most)s keys at once; revoke one first.", most=MOST_KEYS)
        return await _page(visit, wrong=(Wrong("label", text),), code=HTTPStatus.CONFLICT)
    return await _page(visit, made=key)


async def rotate(visit: Visit) -> web.Response:
    """Make a key like another, which serves on for a while."""
    hours = _number(visit.field("hours") or str(_USUAL_HOURS), 0, _MOST_HOURS)
    if hours is None:
        text = visit.say("A number of hours from 0 to %(most)s.", most=_MOST_HOURS)
        raise Failure(HTTPStatus.UNPROCESSABLE_ENTITY, mistakes=[text])
    try:
        key = await visit.parts.keys.rotate(visit.vendor, _prefix(visit), timedelta(hours=hours))
    except TooManyKeys:
        text = visit.say("At most %(most)s keys at once; revoke one first.", most=MOST_KEYS)
        return await _page(visit, wrong=(Wrong("label", text),), code=HTTPStatus.CONFLICT)
    if key is None:
        raise missing()
    return await _page(visit, made=key)


async def revoke(visit: Visit) -> web.Response:
    """Revoke a key, at once."""
    prefix = _prefix(visit)
    if not await visit.parts.keys.revoke(visit.vendor, prefix):
        raise missing()
    return visit.see(_PATH, "key-revoked", prefix=prefix)


def _prefix(visit: Visit) -> str:
    prefix = visit.request.match_info["prefix"]
    if not _PREFIX.fullmatch(prefix):
        raise missing()
    return prefix


def _number(text: str, least: int, most: int) -> int | None:
    """A number within bounds; None where it is none."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < len("10000") else -1
    return number if least <= number <= most else None


PAGES = (
    Page("GET", _PATH, "vendor", show),
    Page("POST", _PATH, "vendor", make),
    Page("POST", _PATH + "/{prefix}/rotate", "vendor", rotate),
    Page("POST", _PATH + "/{prefix}/revoke", "vendor", revoke),
)
