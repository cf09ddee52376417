"""Public pages: what a reason means, and what the sender of one message may know."""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal, NamedTuple

import jinja2
import msgspec
from aiohttp import web
from markupsafe import Markup, escape

from letterbox.configuration import shipped
from letterbox.feedback.disclosure import CLASSES, class_title, reasons_of
from letterbox.feedback.sentences import PLACE
from letterbox.gateways.http.call import Call
from letterbox.model.language import LANGUAGES, accepted, named
from letterbox.model.preferences import Language
from letterbox.model.reason import Reason, Texts
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
    "remedy": ["at most 1 per month"],
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
    "next-hop-refused": {"detail": "550 5.2.1 mailbox closed"},
    "next-hop-unavailable": {"detail": "452 4.2.2 mailbox full"},
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
_WORDS: Mapping[str, Mapping[str, Any]] = msgspec.toml.decode(shipped("pages.toml"))


def page(template: str, call: Call, *, status: int = 200, **said: object) -> web.Response:
    """A page of a template, in the language of who asks."""
    return _page(template, call, _language(call), status, LANGUAGES, said)


def page_in_english(template: str, call: Call, **said: object) -> web.Response:
    """A page for programmers, which there is in English alone."""
    return _page(template, call, "en", web.HTTPOk.status_code, {}, said)


def _page(
    template: str,
    call: Call,
    language: Language,
    status: int,
    languages: Mapping[Language, str],
    said: Mapping[str, object],
) -> web.Response:
    configuration = call.parts.configuration
    words = {
        "language": language,
        "languages": languages,
        "say": _WORDS[language],
        # Whoever has chosen a language goes on in it.
        "keep": f"?lang={language}" if call.request.query.get("lang") in LANGUAGES else "",
        "hostname": configuration.hostname,
        "registers": configuration.vendors.self_registration,
    }
    return web.Response(
        status=status,
        text=_TEMPLATES.get_template(template).render({**words, **said}),
        content_type="text/html",
        headers={
            "Content-Security-Policy": _POLICY,
            "Content-Language": language,
            **({"Vary": "Accept-Language"} if languages else {}),
        },
    )


def _language(call: Call) -> Language:
    """The language asked for by name, else the first of those that the browser accepts.

    What is none of ours counts as not asked: a page is for people, who get one.
    """
    asked = call.request.query.get("lang")
    return named(asked) or accepted(call.request.headers.get("Accept-Language", ""))


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
    return page("home.html", call)


# ---- reasons ----------------------------------------------------------------------------------


async def list_reasons(call: Call) -> web.Response:
    """Every reason, and the classes that may stand in place of some."""
    reasons = list(call.parts.registry.values())
    return page(
        "reasons.html",
        call,
        reasons=reasons,
        texts=_texts,
        classes=CLASSES,
        class_title=class_title,
    )


async def get_reason(call: Call) -> web.Response:
    """One reason: what it says, to whom, whether it is final, how it looks on the wire."""
    code = call.request.match_info["code"]
    if code in CLASSES:
        return _class_page(call, code)
    reason = call.parts.registry.get(code)
    if reason is None:
        return page("missing.html", call, status=web.HTTPNotFound.status_code)
    facts = {**_FACTS, **_FACTS_OF.get(reason.code, {})}
    language = _language(call)

    def example(pattern: str) -> Markup:
        """A sentence pattern with an example in each of its places, marked."""

        def value(place: re.Match[str]) -> str:
            return f"<var>{escape(call.parts.sentences.fill(place[0], facts, language))}</var>"

        return Markup(PLACE.sub(value, str(escape(pattern))))  # noqa: S704 - escaped, all of it

    return page(
        "reason.html", call, reason=reason, texts=_texts, example=example, class_title=class_title
    )


def _class_page(call: Call, name: str) -> web.Response:
    """What a class means, and in place of which reasons it may stand."""
    reasons = reasons_of(name, call.parts.registry)
    return page(
        "class.html", call, name=name, reasons=reasons, texts=_texts, class_title=class_title
    )


def _texts(reason: Reason, language: str) -> Texts:
    return reason.texts.get(language) or reason.texts["en"]


# ---- one message ------------------------------------------------------------------------------


class _Shown(NamedTuple):
    """What a sender may know of its message. Never the recipient.

    ``language`` is that of the reason's detail and remedies.
    """

    told: Told
    reason: ToldReason | None
    title: str
    registered: bool
    language: Language
    about: Literal["message", "relationship"]


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
        response = page("unknown.html", call, status=web.HTTPNotFound.status_code)
    else:
        response = page("reference.html", call, shown=await _shown(call, row))
    response.headers["X-Robots-Tag"] = "noindex"
    return response


async def _shown(call: Call, row: Reference) -> _Shown:
    told, language = row.told, _language(call)
    if told.reason is None:
        return _Shown(told, None, "", False, language, row.about)  # noqa: FBT003 - by their order
    code = told.reason.code
    registered = call.parts.registry.get(code)
    spoken = await call.parts.spoken.as_told(row, told.reason, language)
    if registered is not None:
        title = _texts(registered, language).title
    else:
        title = class_title(code, language, held=told.verdict == "hold")
    reason = spoken or told.reason
    tongue: Language = language if spoken else "en"
    has_page = registered is not None or code in CLASSES
    return _Shown(told, reason, title, has_page, tongue, row.about)
