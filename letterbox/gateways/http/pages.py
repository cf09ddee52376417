"""Public pages: what a reason means, and what the sender of one message may know."""

import re
from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple

import jinja2
from aiohttp import web
from markupsafe import Markup, escape

from letterbox.feedback.sentences import PLACE
from letterbox.gateways.http.call import Call
from letterbox.model.reason import Reason, Registry, Texts
from letterbox.model.told import Told, ToldReason
from letterbox.model.verdict import Fact
from letterbox.records import places
from letterbox.records.coding import decode
from letterbox.records.ledger import Reference

_REFERENCE = re.compile(r"[0-9A-Za-z]{22,32}")
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


#: What may stand in the places of a sentence, to show how it reads.
_FACTS: Mapping[str, Fact] = {
    "address": "anna@letterbox.example",
    "because": "too-often",
    "date": "2026-12-24",
    "domain": "greenleaf.example",
    "file": "offer.exe",
    "interest": "garden-tools",
    "kind": "newsletter",
    "kinds": ["service", "offer"],
    "limit": "150.00 EUR",
    "max": "25 MB",
    "n": 2,
    "nth": 3,
    "other": "Voltshop",
    "period": "week",
    "price": "169.95 EUR",
    "remedy": "at most 1 per month",
    "resembles": "Voltshop",
    "own": "2",
    "size": "31 MB",
    "time": "60 seconds",
    "vendor": "Greenleaf Garden",
}
_FACTS_OF: Mapping[str, Mapping[str, Fact]] = {
    "author-ambiguous": {"detail": "it names two authors"},
    "brand-not-wanted": {"value": "Felix"},
    "keyword-excluded": {"value": "chainsaw"},
    "message-malformed": {"detail": "the header has more than 1000 fields"},
    "rate-limited": {"detail": "at most 100 messages a second"},
    "region-not-wanted": {"value": "BE"},
    "too-often": {"kinds": ["offer"]},
    "vendor-suspended": {"detail": "ask its operator why"},
}


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (_FOLDER / name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


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
    facts = {**_FACTS, **_FACTS_OF.get(reason.code, {})}

    def example(pattern: str, language: str) -> Markup:
        """A sentence pattern with an example in each of its places, marked."""

        def value(place: re.Match[str]) -> str:
            return f"<var>{escape(call.parts.sentences.fill(place[0], facts, language))}</var>"

        return Markup(PLACE.sub(value, str(escape(pattern))))  # noqa: S704 - escaped, all of it

    return page("reason.html", reason=reason, texts=_texts, languages=LANGUAGES, example=example)


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

    A stranger's reference is kept nowhere, so that its page is the page of one that never was;
    so is that of whoever was told the stranger's text in its place.
    """
    name = call.request.match_info["reference"]
    row = None
    if _REFERENCE.fullmatch(name):
        value = await call.parts.store.claim(places.reference(name), places.REFERENCE)
        row = decode(value, Reference) if value else None
    if row is None or row.unlisted:
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
