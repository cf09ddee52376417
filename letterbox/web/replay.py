"""``/replay``: what other rules would have done with the mail of the last days."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec
from aiohttp import web

from letterbox.hindsight.replay import Difference
from letterbox.model.kind import Kind
from letterbox.model.money import Money
from letterbox.model.preferences import Interest, Preferences, VendorRule
from letterbox.model.verdict import Outcome
from letterbox.records.consumers import Conflict, Refused, Stored
from letterbox.records.pieces import name_of_piece
from letterbox.web import phrases
from letterbox.web.declared import declared, revision_sent
from letterbox.web.failures import Failure
from letterbox.web.rules import facts_of_change
from letterbox.web.texts import N_
from letterbox.web.visit import ROWS, Page, Visit

_PATH: Final = "/replay"
_PERIODS: Final = (7, 30, 90)
_DAYS: Final = 30
#: Companies that are named in the form.
_MOST_NAMED: Final = 500
#: What can be tried, and which field of the form it asks for beside.
CHANGES: Final[Mapping[str, tuple[str, str]]] = {
    "price": (N_("another highest price for an interest"), "interest"),
    "interest-off": (N_("without an interest"), "interest"),
    "everything": (N_("everything from a company"), "company"),
    "service": (N_("only service mail from a company"), "company"),
    "out": (N_("a company locked out"), "company"),
    "times-off": (N_("without windows, pauses and days apart"), ""),
    "refuse": (N_("newcomers refused"), ""),
    "ask": (N_("newcomers asked about"), ""),
    "interests": (N_("newcomers let in by interests"), ""),
}
VERDICTS: Final = {
    "deliver": N_("delivered"),
    "hold": N_("waiting"),
    "refuse": N_("refused"),
    "defer": N_("put off"),
}
MISTAKES: Final = {
    "change": N_("Choose what to try."),
    "interest": N_("Choose the interest that it is about."),
    "company": N_("Choose the company that it is about."),
    "price": N_("Write the highest price as a number, such as 170."),
}
_FIELDS: Final = ("change", "interest", "company", "price", "days")


class Tried(NamedTuple):
    """Other rules, and how they are called."""

    preferences: Preferences
    said: str


class Row(NamedTuple):
    """One message with which the other rules would have done something else."""

    difference: Difference
    then: str
    now: str


class _Mistaken(Exception):
    """A field of the form that says nothing that can be tried."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


async def show(visit: Visit) -> web.Response:
    """Choose a change and how far to look back."""
    form = {name: visit.asked(name) for name in _FIELDS}
    return await _page(visit, await declared(visit), form)


async def run(visit: Visit) -> web.Response:
    """Show what would have come of it. Nothing is changed, and nobody is told."""
    stored = await declared(visit)
    form = {name: visit.field(name) for name in _FIELDS}
    try:
        tried = _tried(visit, stored, form)
    except _Mistaken as mistaken:
        return await _page(visit, stored, form, mistaken=mistaken.field)
    if visit.field("do") == "use":
        return await _use(visit, stored, form, tried)
    if await visit.parts.consumers.own_mistakes(visit.consumer, tried.preferences):
        return await _page(visit, stored, form, mistaken="change")
    replayed = await visit.parts.replay.run(
        visit.consumer, tried.preferences, stored, days=_days(form)
    )
    begin = _begin(visit, len(replayed.differences))
    rows = [_row(visit, each) for each in replayed.differences[begin : begin + ROWS]]
    return await _page(
        visit,
        stored,
        form,
        tried=tried,
        replayed=replayed,
        rows=rows,
        begin=begin,
        then=_sums(visit, replayed.then),
        now=_sums(visit, replayed.now),
    )


async def _use(visit: Visit, stored: Stored, form: Mapping[str, str], tried: Tried) -> web.Response:
    """Make the change, in the rules as they were when it was tried."""
    before = revision_sent(visit)
    try:
        await visit.parts.consumers.revise(
            visit.consumer, tried.preferences, expect=before, now=visit.now
        )
    except Conflict:
        versions = [
            (visit.say("The change"), tried.said, visit.say("other rules than those tried"))
        ]
        raise Failure(HTTPStatus.PRECONDITION_FAILED, versions=versions) from None
    except Refused:
        return await _page(visit, stored, form, mistaken="change")
    facts = await facts_of_change(visit, before)
    if facts["now"] == facts["revision"]:
        return visit.see(_PATH, "nothing-changed")
    return visit.see(_PATH, "replay-used", change=f"{tried.said}.", **facts)


# ---- what is tried ----


def _tried(visit: Visit, stored: Stored, form: Mapping[str, str]) -> Tried:
    """The rules that a form asks for. Raises :class:`_Mistaken`."""
    preferences, change = stored.preferences, form["change"]
    text, asks = CHANGES.get(change, ("", ""))
    said = visit.say(text) if text else ""
    if asks == "interest":
        return _of_interest(visit, preferences, form, said)
    if asks == "company":
        return _of_company(preferences, form, said)
    match change:
        case "times-off":
            none: dict[str, Any] = {"window": (), "pauses": (), "exceptions": ()}
            return Tried(msgspec.structs.replace(preferences, **none), said)
        case "refuse" | "ask" | "interests":
            return Tried(msgspec.structs.replace(preferences, newcomers=change), said)
    raise _Mistaken("change")


def _of_interest(
    visit: Visit, preferences: Preferences, form: Mapping[str, str], said: str
) -> Tried:
    name = form["interest"]
    interest = next((each for each in preferences.interest if each.id == name), None)
    if interest is None:
        raise _Mistaken("interest")
    said = f"{said}: {name}"
    if form["change"] == "interest-off":
        others = tuple(each for each in preferences.interest if each is not interest)
        return Tried(msgspec.structs.replace(preferences, interest=others), said)
    price = _price(form["price"], interest)
    after = msgspec.structs.replace(interest, max_price=price)
    every = tuple(after if each is interest else each for each in preferences.interest)
    said = f"{said}, {phrases.money(visit, price)}"
    return Tried(msgspec.structs.replace(preferences, interest=every), said)


def _price(text: str, interest: Interest) -> Money:
    currency = interest.max_price.currency if interest.max_price else "EUR"
    amount = text.replace(",", ".")
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", amount, re.ASCII):
        raise _Mistaken("price")
    return msgspec.convert({"amount": amount, "currency": currency}, Money)


def _of_company(preferences: Preferences, form: Mapping[str, str], said: str) -> Tried:
    name = form["company"]
    rule = next((each for each in preferences.vendor if name_of_piece(each) == name), None)
    if rule is None:
        raise _Mistaken("company")
    kinds: dict[str, Any] = {"standing": "allowed", "because": None, "remedy": None}
    match form["change"]:
        case "everything":
            kinds |= {"accepts": tuple(Kind), "scope": "everything"}
        case "service":
            kinds |= {"accepts": (Kind.SERVICE,)}
        case _:
            kinds = {"standing": "blocked"}
    after = msgspec.structs.replace(rule, **kinds)
    every = tuple(after if each is rule else each for each in preferences.vendor)
    return Tried(msgspec.structs.replace(preferences, vendor=every), f"{said}: {name}")


# ---- shown ----


async def _page(
    visit: Visit, stored: Stored, form: Mapping[str, str], *, mistaken: str = "", **found: Any
) -> web.Response:
    nothing: dict[str, Any] = {
        "tried": None,
        "replayed": None,
        "rows": (),
        "begin": 0,
        "then": "",
        "now": "",
    }
    return await visit.page(
        "replay.html",
        code=HTTPStatus.UNPROCESSABLE_ENTITY if mistaken else HTTPStatus.OK,
        form=form,
        days=_days(form),
        periods=_PERIODS,
        changes={name: text for name, (text, _) in CHANGES.items()},
        interests=[each.id for each in stored.preferences.interest],
        companies=[await _company(visit, rule) for rule in stored.preferences.vendor[:_MOST_NAMED]],
        revision=stored.revision,
        mistakes={mistaken: MISTAKES[mistaken]} if mistaken else {},
        size=ROWS,
        **(nothing | found),
    )


async def _company(visit: Visit, rule: VendorRule) -> tuple[str, str]:
    """A relationship by its id, and by what people call the other side."""
    vendor = await visit.parts.vendors.get(rule.vendor) if rule.vendor else None
    return name_of_piece(rule), vendor.name if vendor else rule.key


def _row(visit: Visit, difference: Difference) -> Row:
    return Row(difference, _became(visit, difference.then), _became(visit, difference.now))


def _became(visit: Visit, outcome: Outcome) -> str:
    """A verdict, and its reason, in the visitor's words."""
    said = visit.say(VERDICTS[outcome.verdict])
    if outcome.reason is None or outcome.reason not in visit.parts.registry:
        return said
    return f"{said}: {visit.parts.sentences.texts(outcome.reason, visit.language).title}"


def _sums(visit: Visit, counts: Mapping[str, int]) -> str:
    return ", ".join(
        f"{visit.say(text)} {counts[name]}" for name, text in VERDICTS.items() if counts.get(name)
    )


def _days(form: Mapping[str, str]) -> int:
    return next((days for days in _PERIODS if str(days) == form["days"]), _DAYS)


def _begin(visit: Visit, most: int) -> int:
    """The first of the differences that are shown."""
    said = visit.field("begin")
    begin = int(said) if said.isdecimal() and len(said) < len(str(most)) + 1 else 0
    return begin if begin < most else 0


PAGES = (
    Page("GET", _PATH, "consumer", show),
    Page("POST", _PATH, "consumer", run),
)
