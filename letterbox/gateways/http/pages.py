"""Public pages: what a reason means, and what the sender of one message may know."""

import re
from importlib import resources
from typing import NamedTuple

import jinja2
from aiohttp import web
from markupsafe import Markup, escape

from letterbox.gateways.http.call import Call
from letterbox.model.reason import Reason, Registry, Texts
from letterbox.model.told import Told, ToldReason
from letterbox.records import places
from letterbox.records.coding import decode
from letterbox.records.ledger import Reference

_REFERENCE = re.compile(r"[0-9A-Za-z]{22,32}")
_PLACE = re.compile(r"\{(\w+)\}")
_POLICY = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_FOLDER = resources.files(__package__) / "templates"
LANGUAGES = ("en", "nl")

#: What is said where only the class of a reason is told.
_CLASS_TITLES = {
    "choice": {
        "en": "The recipient does not want this",
        "nl": "De ontvanger wil dit niet",
    },
    "timing": {
        "en": "The recipient does not want this now",
        "nl": "De ontvanger wil dit nu niet",
    },
}


def _blanks(pattern: str) -> Markup:
    """A sentence pattern with its places shown as variables."""
    return Markup(_PLACE.sub(r"<var>\1</var>", str(escape(pattern))))  # noqa: S704 - escaped above


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (_FOLDER / name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["blanks"] = _blanks
    return environment


_TEMPLATES = _environment()


def page(template: str, *, status: int = 200, **said: object) -> web.Response:
    """A page of a template."""
    return web.Response(
        status=status,
        text=_TEMPLATES.get_template(template).render(said),
        content_type="text/html",
        headers={"Content-Security-Policy": _POLICY},
    )


async def style(call: Call) -> web.Response:
    """The one stylesheet."""
    del call
    return web.Response(
        body=(_FOLDER / "style.css").read_bytes(),
        content_type="text/css",
        charset="utf-8",
        headers={"Cache-Control": "max-age=3600"},
    )


async def home(call: Call) -> web.Response:
    """What this is, and where to go on."""
    return page("home.html", hostname=call.parts.configuration.hostname)


# ---- reasons ----------------------------------------------------------------------------------


async def list_reasons(call: Call) -> web.Response:
    """Every reason, in both languages."""
    return page("reasons.html", reasons=list(call.parts.registry.values()), texts=_texts)


async def get_reason(call: Call) -> web.Response:
    """One reason: what it says, to whom, whether it is final, how it looks on the wire."""
    reason = call.parts.registry.get(call.request.match_info["code"])
    if reason is None:
        return page("missing.html", status=web.HTTPNotFound.status_code)
    return page("reason.html", reason=reason, texts=_texts, languages=LANGUAGES)


def _texts(reason: Reason, language: str) -> Texts:
    return reason.texts.get(language) or reason.texts["en"]


# ---- one message ------------------------------------------------------------------------------


class _Shown(NamedTuple):
    """What a sender may know of its message. Never the recipient."""

    told: Told
    reason: ToldReason | None
    title: dict[str, str]
    registered: bool


async def get_reference(call: Call) -> web.Response:
    """What the sender of one message may know.

    A stranger's reference is kept nowhere, so that its page is the page of one that never was.
    """
    name = call.request.match_info["reference"]
    row = None
    if _REFERENCE.fullmatch(name):
        value = await call.parts.store.claim(places.reference(name), places.REFERENCE)
        row = decode(value, Reference) if value else None
    if row is None:
        response = page("unknown.html", status=web.HTTPNotFound.status_code)
    else:
        response = page("reference.html", shown=_shown(row.told, call.parts.registry))
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _shown(told: Told, registry: Registry) -> _Shown:
    reason = told.reason
    registered = registry.get(reason.code) if reason else None
    if reason is None:
        title = {}
    elif registered is not None:
        title = {language: _texts(registered, language).title for language in LANGUAGES}
    else:
        title = _CLASS_TITLES.get(reason.code, {"en": reason.title, "nl": reason.title})
    return _Shown(told, reason, title, registered is not None)
