"""``/suggestions``: rules to adopt, by what came and what of it was opened; and watching itself."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from letterbox.hindsight import Observed, Suggestion
from letterbox.hindsight.suggestions import DAYS, first_of_each
from letterbox.model.kind import Kind
from letterbox.model.money import Money
from letterbox.model.preferences import Because, Day, Interest, Limit, VendorRule, Window
from letterbox.records.changes import value_of
from letterbox.records.pieces import Value
from letterbox.web import companies, interest_form, phrases
from letterbox.web.declared import declared, revision_sent
from letterbox.web.failures import Failure, missing
from letterbox.web.rules import facts_of_change
from letterbox.web.texts import N_
from letterbox.web.visit import Page, Visit

PATH: Final = "/suggestions"
_ALL: Final = f"{PATH}/~all"
_MOST: Final = 100_000
#: What may come of a company that is allowed.
TAKES: Final = {
    "interests": N_("what fits your interests"),
    "everything": N_("everything"),
    "service": N_("only service mail"),
}
_WRONG: Final = N_("This cannot be: %(value)s")


class Card(NamedTuple):
    """One suggestion: in words, what it would do, and what may be chosen with it."""

    id: str
    sentence: str
    about: int
    effect: str
    #: Which field the form has, and what stands in it.
    choice: str
    value: Any
    #: The form in which all of it can be changed first.
    form: str


class Pair(NamedTuple):
    """A change of one piece, in words."""

    id: str
    sentence: str
    before: str
    after: str


async def show_list(visit: Visit) -> web.Response:
    """Every suggestion, what explains most first."""
    observed = await _observed(visit)
    return await visit.page(
        "suggestions.html",
        observed=observed,
        cards=[_card(visit, each) for each in observed.suggestions],
        days=DAYS,
        takes=companies.names_of(TAKES, visit),
        because=companies.names_of(companies.BECAUSE, visit),
        weekdays={day: phrases.weekday(visit, day) for day in phrases.DAYS},
    )


async def adopt(visit: Visit) -> web.Response:
    """Adopt one, as it is or with what was chosen with it."""
    found = await visit.parts.suggestions.find(visit.consumer, visit.item)
    if found is None:
        raise missing()
    value = _chosen(visit, found)
    try:
        done = await visit.parts.suggestions.adopt(visit.consumer, found.id, value=value)
    except ValueError:
        raise Failure(HTTPStatus.CONFLICT) from None
    if done is None:
        raise missing()
    facts = await facts_of_change(visit, done.before)
    return visit.see(PATH, "suggestion-adopted", change=f"{_sentence(visit, found)}.", **facts)


async def show_all(visit: Visit) -> web.Response:
    """All that can be adopted together: each piece before and after."""
    observed = await _observed(visit)
    chosen = first_of_each(observed.suggestions)
    return await visit.page(
        "suggestions_all.html",
        pairs=[_pair(visit, each) for each in chosen],
        revision=observed.stored.revision,
    )


async def adopt_all(visit: Visit) -> web.Response:
    """Adopt those that were listed and left chosen, as one change."""
    done = await visit.parts.suggestions.adopt_all(
        visit.consumer, visit.fields("id"), expect=revision_sent(visit)
    )
    if done is None:
        return visit.see(PATH, "nothing-changed")
    facts = await facts_of_change(visit, done.before)
    return visit.see(PATH, "suggestions-adopted", count=str(len(done.changes)), **facts)


async def change_mode(visit: Visit) -> web.Response:
    """Only watch, or filter."""
    mode = visit.field("mode")
    if mode not in {"observe", "filter"}:
        raise Failure(HTTPStatus.BAD_REQUEST)
    stored = await declared(visit)
    after = msgspec.structs.replace(stored.preferences, mode=mode)
    await visit.parts.consumers.revise(visit.consumer, after, expect=stored.revision, now=visit.now)
    facts = await facts_of_change(visit, stored.revision)
    done = "nothing-changed" if facts["now"] == facts["revision"] else f"mode-{mode}"
    return visit.see("/settings", done, **facts)


# ---- in words ----


async def _observed(visit: Visit) -> Observed:
    observed = await visit.parts.suggestions.of(visit.consumer)
    if observed is None:
        raise missing()
    return observed


def _sentence(visit: Visit, each: Suggestion) -> str:
    return visit.parts.explanations.change(each.edit.name, each.edit.facts, visit.language)


def _card(visit: Visit, each: Suggestion) -> Card:
    choice, value = _choice(each)
    return Card(
        id=each.id,
        sentence=_sentence(visit, each),
        about=each.effect.about,
        effect=_effect(visit, each),
        choice=choice,
        value=value,
        form=_form(_value(each)),
    )


def _effect(visit: Visit, each: Suggestion) -> str:
    """What would become of the messages that it is about."""
    effect = each.effect
    count = visit.texts.count
    said = (
        (n := effect.come) and count("%(n)s would come", "%(n)s would come", n),
        (n := effect.wait) and count("%(n)s would wait", "%(n)s would wait", n),
        (n := effect.refused) and count("%(n)s would be refused", "%(n)s would be refused", n),
        effect.unjudged and visit.say("%(n)s not known", n=effect.unjudged),
    )
    return ", ".join(each for each in said if each)


def _choice(each: Suggestion) -> tuple[str, Any]:
    """The one thing that may be chosen with a suggestion, and what is chosen unless told."""
    value = _value(each)
    match each.edit.name, value:
        case (("company" | "company-all"), VendorRule()):
            return "takes", value.scope
        case "lock-out", VendorRule():
            return "because", value.because
        case "limit", VendorRule(limit=Limit(messages=most)) if each.changes[0].piece == "vendor":
            return "messages", most
        case "wanted", Interest():
            return "price", f"{value.max_price.amount:f}" if value.max_price else ""
        case "wanted-words", Interest():
            return "words", ", ".join(value.keywords.any)
        case "hours", Window():
            return "hours", value
        case _:
            return "", None


def _value(each: Suggestion) -> Value | None:
    change = each.changes[0]
    if change.piece == "core" or change.after is None:
        return None
    return value_of(change.piece, change.after)


def _form(value: Value | None) -> str:
    """Where a new piece can be written otherwise than it is suggested; empty where nowhere."""
    match value:
        case Interest():
            texts, categories = interest_form.filled(value)
            said = [(name, text) for name, text in texts.items() if text and name != "q"]
            return f"/interests/~new?{urlencode([*said, *(('category', c) for c in categories)])}"
        case Window():
            said = [("from", value.from_), ("until", value.until)]
            said += (("day", str(day)) for day in value.days)
            said += (("kind", str(kind)) for kind in value.kinds)
            return f"/times/windows/~new?{urlencode(said)}"
        case _:
            return ""


def _pair(visit: Visit, each: Suggestion) -> Pair:
    change = each.changes[0]
    before, after = (
        _said(visit, None if plain is None or change.piece == "core"
              else value_of(change.piece, plain))
        for plain in (change.before, change.after)
    )  # fmt: skip
    return Pair(each.id, _sentence(visit, each), before, after)


def _said(visit: Visit, value: Value | None) -> str:
    match value:
        case VendorRule(standing="blocked"):
            why = companies.takes(visit, value)
            locked = visit.say(companies.STANDINGS["blocked"])
            return f"{locked}: {why}" if why else locked
        case VendorRule():
            return companies.takes(visit, value)
        case Interest():
            return phrases.wish(visit, value)
        case Window():
            return phrases.window(visit, value)
        case None:
            return visit.say("nothing")
        case _:
            return value if isinstance(value, str) else value.address


# ---- what was chosen ----


def _chosen(visit: Visit, each: Suggestion) -> Value | None:
    """The piece with what a form chose; None where it has chosen nothing else.

    Raises :class:`Failure` for what cannot be.
    """
    choice, preset = _choice(each)
    value = _value(each)
    given = visit.field(choice) if choice else ""
    if not choice or (choice != "hours" and (given == str(preset) or not _sent(visit, choice))):
        return None
    fields: Mapping[str, Any] | None = None
    match choice, value:
        case "takes", VendorRule():
            fields = _takes(given)
        case "because", VendorRule() if given in companies.BECAUSE:
            fields = {"because": msgspec.convert(given, Because)}
        case "messages", VendorRule(limit=Limit() as limit) if _is_count(given):
            fields = {"limit": msgspec.structs.replace(limit, messages=int(given))}
        case "price", Interest():
            fields = _price(value, given)
        case "words", Interest():
            fields = _words(value, given)
        case "hours", Window():
            return _hours(visit, value)
    if not fields or value is None or isinstance(value, str):
        raise _wrong(visit, given)
    return msgspec.structs.replace(value, **fields)


def _sent(visit: Visit, choice: str) -> bool:
    """Whether the form had the field at all: to empty it is a choice, too."""
    return bool(visit.fields(choice))


def _takes(given: str) -> Mapping[str, Any] | None:
    if given == "service":
        return {"accepts": (Kind.SERVICE,), "scope": "everything"}
    return {"scope": given} if given in TAKES else None


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < len(str(_MOST)) and int(text) > 0


def _price(interest: Interest, given: str) -> Mapping[str, Any] | None:
    if not given:
        return {"max_price": None}
    amount = given.replace(",", ".")
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", amount, re.ASCII):
        return None
    currency = interest.max_price.currency if interest.max_price else "EUR"
    return {"max_price": Money(amount=Decimal(amount), currency=currency)}


def _words(interest: Interest, given: str) -> Mapping[str, Any] | None:
    words = dict.fromkeys(each.strip()[:200] for each in given.split(",") if each.strip())
    if not words:
        return None
    return {"keywords": msgspec.structs.replace(interest.keywords, any=tuple(words))}


def _hours(visit: Visit, window: Window) -> Window:
    if not _sent(visit, "from"):
        return window
    said = {"from": visit.field("from"), "until": visit.field("until"), "days": _days(visit)}
    try:
        given = msgspec.convert(said, Window)
    except msgspec.ValidationError:
        raise _wrong(visit, f"{said['from']}, {said['until']}") from None
    return msgspec.structs.replace(window, from_=given.from_, until=given.until, days=given.days)


def _days(visit: Visit) -> list[Day]:
    return [day for day in phrases.DAYS if day == visit.field("day")]


def _wrong(visit: Visit, value: str) -> Failure:
    mistakes: Iterable[str] = [visit.say(_WRONG, value=value[:100])]
    return Failure(HTTPStatus.UNPROCESSABLE_ENTITY, mistakes=list(mistakes))


PAGES = (
    Page("GET", PATH, "consumer", show_list),
    Page("GET", _ALL, "consumer", show_all),
    Page("POST", _ALL, "consumer", adopt_all),
    Page("POST", f"{PATH}/{{id}}", "consumer", adopt),
    Page("POST", "/settings/mode", "consumer", change_mode),
)
