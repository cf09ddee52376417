"""Companies as a consumer rules them: relationships in words."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Final, NamedTuple
from urllib.parse import quote

from letterbox.model.preferences import Limit, Remedy, VendorRule, each_limit
from letterbox.model.sender import VendorRef
from letterbox.records.consumers import Stored
from letterbox.records.pieces import Piece, key_in_path
from letterbox.web.failures import missing
from letterbox.web.kinds import KINDS
from letterbox.web.texts import N_
from letterbox.web.tracking import SEES
from letterbox.web.visit import Visit
from letterbox.wishes import Mistake

PATH: Final = "/vendors"
STANDINGS: Final = {
    "allowed": N_("may write"),
    "ask": N_("waits for your yes"),
    "blocked": N_("locked out"),
}
SCOPES: Final = {
    "interests": N_("only what fits my interests"),
    "everything": N_("everything of these kinds"),
}
TELLS: Final = {
    "nothing": N_("nothing"),
    "class": N_("the kind of reason"),
    "reason": N_("the reason"),
    "remedy": N_("the reason and what helps"),
}
BECAUSE: Final = {
    "too-often": N_("too often"),
    "not-relevant": N_("not relevant"),
    "never-asked": N_("never asked for"),
    "bad-experience": N_("bad experience"),
    "other": N_("other"),
}
PERIODS: Final = {"day": N_("a day"), "week": N_("a week"), "month": N_("a month")}
UNWANTED: Final = {
    "refuse": N_("send it back"),
    "file": N_("keep it, don't bounce"),
}
PROOFS: Final = {
    "any": N_("a signature, or its server"),
    "dkim": N_("a signature (DKIM)"),
}


class Company(NamedTuple):
    """A relationship: its piece of the preferences, and who is on the other side.

    ``unconfirmed`` is since when its domain is in other hands, and nobody said yes to that.
    """

    piece: Piece
    rule: VendorRule
    vendor: VendorRef
    unconfirmed: datetime | None

    @property
    def name(self) -> str:
        """What people call it."""
        return self.vendor.name or self.rule.key

    @property
    def path(self) -> str:
        """Its page."""
        return f"{PATH}/{quote(self.piece.id, safe='')}"


class Rule(NamedTuple):
    """One rule of a relationship in words. ``what`` names the form that changes it."""

    what: str
    name: str
    said: str


async def stored_of(visit: Visit) -> Stored:
    """What the consumer declares."""
    stored = await visit.parts.consumers.stored(visit.consumer)
    if stored is None:
        raise missing()
    return stored


async def all_of(visit: Visit, stored: Stored) -> list[Company]:
    """Every relationship, in the order they were declared in."""
    pieces = [piece for piece in stored.pieces.values() if piece.sort == "vendor"]
    pieces.sort(key=lambda piece: (piece.place, piece.id))
    return [await company_of(visit, piece) for piece in pieces]


async def one_of(visit: Visit) -> Company:
    """The relationship that the path names."""
    name = key_in_path("vendor", visit.request.match_info["id"])
    piece = (await stored_of(visit)).pieces.get(("vendor", name))
    if piece is None:
        raise missing()
    return await company_of(visit, piece)


async def company_of(visit: Visit, piece: Piece) -> Company:
    """A relationship with who is on its other side."""
    rule = piece.value
    if not isinstance(rule, VendorRule):
        raise missing()
    vendors = visit.parts.vendors
    changed = await vendors.changed(rule)
    rests = changed is not None and piece.at < changed
    return Company(piece, rule, await vendors.across(rule), changed if rests else None)


# ---- words ----


def kinds(visit: Visit, names: tuple[str, ...]) -> str:
    """Kinds of mail, as a list in words."""
    return ", ".join(visit.say(KINDS.get(name, name)) for name in names)


def takes(visit: Visit, rule: VendorRule) -> str:
    """What may come, in a few words; of one who is locked out, why."""
    if rule.standing == "blocked":
        return visit.say(BECAUSE[rule.because]) if rule.because else ""
    said = [kinds(visit, rule.accepts)]
    if rule.scope == "interests":
        said.append(visit.say(SCOPES["interests"]))
    said += [limit(visit, each) for each in each_limit(rule.limit)]
    return "; ".join(each for each in said if each)


def limit(visit: Visit, each: Limit) -> str:
    """A limit in words."""
    said = visit.say(
        "at most %(messages)s %(period)s",
        messages=each.messages,
        period=visit.say(PERIODS[each.per]),
    )
    return f"{said} ({kinds(visit, each.kinds)})" if each.kinds else said


def remedy(visit: Visit, wanted: Remedy | None) -> str:
    """What helps, in words; empty where nothing was said to."""
    if wanted is None:
        return ""
    said = []
    if wanted.limit:
        said.append(limit(visit, wanted.limit))
    if wanted.accepts:
        said.append(visit.say("only %(kinds)s", kinds=kinds(visit, wanted.accepts)))
    if wanted.from_:
        said.append(visit.say("from %(day)s", day=day(visit, wanted.from_)))
    return "; ".join(said)


def day(visit: Visit, on: date) -> str:
    """A day in words."""
    return visit.texts.day(on, visit.local(visit.now).date())


def level_of(company: Company) -> str:
    """What a company hears, also where nothing was set."""
    return company.rule.tells or ("remedy" if company.vendor.registered else "reason")


def rules(visit: Visit, company: Company, rule: VendorRule | None = None) -> Iterator[Rule]:
    """Every rule of a relationship in words; of ``rule``, where it is thought of otherwise."""
    rule = rule or company.rule
    say, none = visit.say, visit.say("no limit")
    limits = "; ".join(limit(visit, each) for each in each_limit(rule.limit))
    service = limit(visit, rule.service_limit) if rule.service_limit else ""
    yield Rule("standing", say("Standing"), say(STANDINGS[rule.standing]))
    yield Rule("kinds", say("Kinds"), kinds(visit, rule.accepts) or say("nothing"))
    yield Rule("scope", say("Which of them"), say(SCOPES[rule.scope]))
    yield Rule("limit", say("Limit"), limits or none)
    yield Rule("service", say("Limit of service mail"), service or none)
    yield Rule("unwanted", say("What is unwanted"), say(UNWANTED[rule.when_unwanted]))
    yield Rule("days", say("Days"), _span(visit, rule))
    yield Rule("proof", say("Proof"), say(PROOFS[rule.proof]))
    yield Rule("tracking", say("What they see of my reading"), say(SEES[rule.tracking or ""]))
    level = rule.tells or ("remedy" if company.vendor.registered else "reason")
    yield Rule("tells", say("What they hear"), say(TELLS[level]))
    if rule.standing == "blocked":
        why = say(BECAUSE[rule.because]) if rule.because else say("not said")
        yield Rule("", say("Why locked out"), why)
        yield Rule("", say("What helps"), remedy(visit, rule.remedy) or say("nothing"))
    if rule.via:
        yield Rule("", say("By way of"), ", ".join(rule.via))


def differing(
    visit: Visit, company: Company, before: VendorRule, after: VendorRule
) -> list[tuple[str, str, str]]:
    """What differs between two relationships with a company: name, before, after."""
    was = {each.name: each.said for each in rules(visit, company, before)}
    is_ = {each.name: each.said for each in rules(visit, company, after)}
    return [
        (name, was.get(name, ""), is_.get(name, ""))
        for name in dict.fromkeys((*was, *is_))
        if was.get(name) != is_.get(name)
    ]


def _span(visit: Visit, rule: VendorRule) -> str:
    said = []
    if rule.from_:
        said.append(visit.say("from %(day)s", day=day(visit, rule.from_)))
    if rule.until:
        said.append(visit.say("until %(day)s", day=day(visit, rule.until)))
    return " ".join(said) or visit.say("always")


def names_of(table: Mapping[str, str], visit: Visit) -> dict[str, str]:
    """A table of words in the visitor's language."""
    return {name: visit.say(text) for name, text in table.items()}


def unfit(visit: Visit, name: str, mistakes: Iterable[Mistake]) -> str:
    """Why a company cannot be called so: most often anybody may write from there."""
    if any(each.path.endswith((".domain", ".vendor")) for each in mistakes):
        if "." not in name:
            return visit.say("Write a domain, such as shop.example.")
        return visit.say(
            "Anybody may write from %(name)s. Write the domain that is the company's alone.",
            name=name,
        )
    return "; ".join(each.mistake for each in mistakes)
