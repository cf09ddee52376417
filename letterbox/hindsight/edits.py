"""Single changes of wishes that take away what stood in a message's way.

Each gives preferences that differ in one piece. Which of them let a message through is not
decided here: that is found out by deciding again.
"""

from calendar import monthrange
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import ROUND_CEILING, Decimal
from typing import Final, NamedTuple, TypeVar

import msgspec

from letterbox.model.case import Case
from letterbox.model.kind import RULED_KINDS, Kind, kinds_named
from letterbox.model.message import Message
from letterbox.model.money import Money
from letterbox.model.preferences import (
    BoundAddress,
    Day,
    DayException,
    Interest,
    Limit,
    Limits,
    Preferences,
    VendorRule,
    Window,
    each_limit,
)
from letterbox.model.verdict import Fact, Finding, reason_of

_DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LAST_HOUR: Final = 23


class Edit(NamedTuple):
    """One change. ``name`` says which, ``facts`` are what its sentence needs.

    ``reach`` is how far it goes: 1 touches one part of an interest or limit, 5 all of a vendor.
    """

    name: str
    facts: dict[str, Fact]
    reach: int
    preferences: Preferences


class Obstacle(NamedTuple):
    """What stood in the way of a message, and under which preferences."""

    finding: Finding
    case: Case
    message: Message
    preferences: Preferences


def edits(obstacle: Obstacle) -> Iterator[Edit]:
    """Every single change that may take an obstacle away; none where none can."""
    make = _BY_REASON.get(reason_of(obstacle.finding.verdict) or "")
    if make is not None:
        yield from make(obstacle)


# ---- who --------------------------------------------------------------------------------------


def _allow(obstacle: Obstacle) -> Iterator[Edit]:
    """A relationship for this kind alone, with whoever it is; or the one there is, made to run."""
    rule = _rule(obstacle.case)
    if rule is not None:
        running = msgspec.structs.replace(rule, **_without_bounds(rule, obstacle.case.today))
        yield _with_rule(obstacle, rule, running, "renew", 3)
        return
    rule = msgspec.structs.replace(rule_for(obstacle.case), accepts=(obstacle.message.kind,))
    yield _with_rule(obstacle, None, rule, "allow", 3)


def _without_bounds(rule: VendorRule, today: date) -> dict[str, None]:
    """The days that keep a rule from running today, taken away."""
    away: dict[str, None] = {}
    if rule.from_ is not None and today < rule.from_:
        away["from_"] = None
    if rule.until is not None and rule.until < today:
        away["until"] = None
    return away


def _unblock(obstacle: Obstacle) -> Iterator[Edit]:
    if rule := _rule(obstacle.case):
        opened = msgspec.structs.replace(rule, standing="allowed", because=None, remedy=None)
        yield _with_rule(obstacle, rule, opened, "unblock", 4)


def _any_proof(obstacle: Obstacle) -> Iterator[Edit]:
    if rule := _rule(obstacle.case):
        yield _with_rule(obstacle, rule, msgspec.structs.replace(rule, proof="any"), "proof", 3)


def _free_address(obstacle: Obstacle) -> Iterator[Edit]:
    """The address is for everybody who may write."""
    address = f"{obstacle.case.recipient}".lower()
    addresses = tuple(
        entry.address
        if isinstance(entry, BoundAddress) and entry.address.lower() == address
        else entry
        for entry in obstacle.preferences.addresses
    )
    preferences = msgspec.structs.replace(obstacle.preferences, addresses=addresses)
    yield Edit("free-address", {"address": address}, 4, preferences)


# ---- what -------------------------------------------------------------------------------------


def _accept(obstacle: Obstacle) -> Iterator[Edit]:
    kind, rule = obstacle.message.kind, _rule(obstacle.case)
    if rule is None:
        yield from _allow(obstacle)
    else:
        wider = msgspec.structs.replace(rule, accepts=(*rule.accepts, kind))
        yield _with_rule(obstacle, rule, wider, "accept", 3)


def _widen_interest(obstacle: Obstacle) -> Iterator[Edit]:
    """What the nearest interest lacks, or an interest in just this."""
    name = obstacle.finding.facts.get("interest_id")
    for interest in obstacle.preferences.interest:
        if interest.id == name and (wider := _wider(interest, obstacle)):
            yield wider
    yield from _new_interest(obstacle)
    yield from _want_all(obstacle)


def _wider(interest: Interest, obstacle: Obstacle) -> Edit | None:
    facts = obstacle.finding.facts
    misses = facts.get("misses")
    reasons = misses if isinstance(misses, list) else [reason_of(obstacle.finding.verdict) or ""]
    said: dict[str, Fact] = {"interest": interest.id}
    wider = interest
    for reason in reasons:
        change = _WIDER.get(reason)
        if change is None:
            return None
        fields = change(wider, obstacle, said)
        if not fields:
            return None
        wider = msgspec.structs.replace(wider, **fields)
    name = str(said.pop("name", reasons[0])) if len(reasons) == 1 else "interest-wider"
    changed = tuple(wider if each is interest else each for each in obstacle.preferences.interest)
    preferences = msgspec.structs.replace(obstacle.preferences, interest=changed)
    return Edit(name, said, len(reasons), preferences)


_Said = dict[str, Fact]
_Fields = dict[str, object]


def _dearer(interest: Interest, obstacle: Obstacle, said: _Said) -> _Fields:
    """The next round amount that is enough for the cheapest offer in the same currency."""
    limit = interest.max_price
    prices = [o.price for o in obstacle.message.offers if o.price is not None]
    same = [p.amount for p in prices if limit is not None and p.currency == limit.currency]
    if limit is None or not same:
        said["name"] = "no-limit"
        return {"max_price": None} if prices else {}
    above = [amount for amount in same if amount > limit.amount]
    amount = round_up(min(above, default=min(same)))
    said["limit"] = f"{amount:f} {limit.currency}"
    return {"max_price": Money(amount=amount, currency=limit.currency)}


def round_up(amount: Decimal) -> Decimal:
    """To a price as people set a limit: a whole 5 below 100, a whole 10 below 1,000, so on."""
    step = Decimal(10) ** max(amount.adjusted() - 1, 0)
    if amount.adjusted() == 1:
        step = Decimal(5)
    return (amount / step).to_integral_value(rounding=ROUND_CEILING) * step


def _one_brand_more(interest: Interest, obstacle: Obstacle, said: _Said) -> _Fields:
    brand = next((o.brand for o in obstacle.message.offers if o.brand), None)
    if brand is None:
        said["name"] = "any-brand"
        return {"brands": ()}
    said["value"] = brand
    return {"brands": (*interest.brands, brand)}


def _one_region_more(interest: Interest, obstacle: Obstacle, said: _Said) -> _Fields:
    region = next((o.region for o in obstacle.message.offers if o.region), None)
    said["value"] = region
    return {"regions": (*interest.regions, region)} if region else {}


def _drop_word(interest: Interest, obstacle: Obstacle, said: _Said) -> _Fields:
    words = obstacle.message.words
    unwanted = {
        word.text
        for word in obstacle.case.wishes.interests.by_id[interest.id].no_words
        if words.has(word)
    }
    said["value"] = ", ".join(sorted(unwanted))
    kept = tuple(text for text in interest.keywords.none if text not in unwanted)
    return {"keywords": msgspec.structs.replace(interest.keywords, none=kept)}


def _earlier(interest: Interest, obstacle: Obstacle, said: _Said) -> _Fields:
    del interest
    said["date"] = obstacle.case.today.isoformat()
    return {"from_": obstacle.case.today}


def _longer(interest: Interest, obstacle: Obstacle, said: _Said) -> _Fields:
    del interest
    end = _month_end(obstacle.case.today)
    said["date"] = end.isoformat()
    return {"until": end}


_WIDER: Final[dict[str, Callable[[Interest, Obstacle, _Said], _Fields]]] = {
    "price-above-limit": _dearer,
    "brand-not-wanted": _one_brand_more,
    "region-not-wanted": _one_region_more,
    "keyword-excluded": _drop_word,
    "interest-not-yet": _earlier,
    "interest-over": _longer,
}


def _new_interest(obstacle: Obstacle) -> Iterator[Edit]:
    """An interest in just this category, for whoever sent it."""
    categories = obstacle.message.categories.ids[:1]
    if not categories:
        return
    name = free_name(categories[0].rpartition("/")[2], obstacle.preferences)
    newcomer = obstacle.case.footing == "newcomer"
    interest = Interest(
        id=name,
        categories=categories,
        vendors=(obstacle.case.vendor.id,),
        open_to="anyone" if newcomer else "allowed",
    )
    interests = (*obstacle.preferences.interest, interest)
    preferences = msgspec.structs.replace(obstacle.preferences, interest=interests)
    facts: _Said = {"category": categories[0], "vendor": obstacle.case.vendor.name}
    yield Edit("new-interest", facts, 3, preferences)


def free_name(base: str, preferences: Preferences) -> str:
    """A name for a new interest, made of one that may be taken."""
    taken = {interest.id for interest in preferences.interest}
    base = base[:50]
    return next(n for n in (base, *(f"{base}-{nth}" for nth in range(2, 600))) if n not in taken)


def _want_all(obstacle: Obstacle) -> Iterator[Edit]:
    """Everything of the kinds that are accepted, whatever it is about."""
    rule = _rule(obstacle.case)
    if obstacle.case.footing == "newcomer":
        if rule is not None:
            yield from _allow(obstacle)  # one that has ended, or not begun
            return
        kind = obstacle.message.kind
        new = msgspec.structs.replace(rule_for(obstacle.case), accepts=(kind,), scope="everything")
        yield _with_rule(obstacle, None, new, "everything", 5)
    elif rule is not None:
        wider = msgspec.structs.replace(rule, scope="everything")
        yield _with_rule(obstacle, rule, wider, "everything", 5)


# ---- when -------------------------------------------------------------------------------------


def _one_more(obstacle: Obstacle) -> Iterator[Edit]:
    """One message more in the period, for the limit that stood in the way."""
    facts, kind = obstacle.finding.facts, obstacle.message.kind
    counter = str(facts.get("counter", ""))
    need = obstacle.case.usage.get(counter, 0) + 1
    most = facts.get("n")
    said: _Said = {
        "n": max(need, most + 1) if isinstance(most, int) else need,
        "period": facts.get("period"),
        "kinds": facts.get("kinds"),
    }
    scope = counter.removeprefix("usage/")
    if scope.startswith("all/"):
        limits = _raised(obstacle.preferences.limit, scope, need)
        preferences = msgspec.structs.replace(obstacle.preferences, limit=limits)
        yield Edit("limit-all", said, 2, preferences)
        return
    if rule := _rule(obstacle.case):
        if kind == "service":
            raised = _raised(rule.service_limit, scope, need, kinds="service")
            wider = msgspec.structs.replace(rule, service_limit=raised)
        else:
            wider = msgspec.structs.replace(rule, limit=_raised(rule.limit, scope, need))
        edit = _with_rule(obstacle, rule, wider, "limit", 1)
        yield edit._replace(facts={**edit.facts, **said})


def _raised(
    limits: Limits | None, counter: str, need: int, kinds: str = kinds_named(RULED_KINDS)
) -> Limits | None:
    """The limits with the one that a counter counts for raised to what is needed.

    ``kinds`` are those of a limit that names none.
    """

    def raised(limit: Limit) -> Limit:
        named = kinds_named(limit.kinds) if limit.kinds else kinds
        if f"/{limit.per}/{named}/" not in f"{counter}/":
            return limit
        return msgspec.structs.replace(limit, messages=max(need, limit.messages + 1))

    if isinstance(limits, Limit):
        return raised(limits)
    return None if limits is None else tuple(map(raised, each_limit(limits)))


def _open_now(obstacle: Obstacle) -> Iterator[Edit]:
    """No day apart for this kind, where there is one; a window for the hour in which it came."""
    case, kind, preferences = obstacle.case, obstacle.message.kind, obstacle.preferences
    local = case.wishes.times.local(case.now)
    said: _Said = {"date": local.date().isoformat(), "kind": str(kind)}
    apart = [e for e in preferences.exceptions if e.on == local.date()]
    standing = _speaking(apart, kind, case.known_as)
    if standing:
        narrowed = (_without_kind(e, kind) if e in standing else e for e in preferences.exceptions)
        exceptions = tuple(e for e in narrowed if e is not None)
        changed = msgspec.structs.replace(preferences, exceptions=exceptions)
        yield Edit("exception", said, len(standing), changed)
    ruling = _speaking(preferences.window, kind, case.known_as)
    if ruling and not standing:
        window = Window(
            from_=f"{local.hour:02}:00",
            until=f"{local.hour + 1:02}:00" if local.hour < _LAST_HOUR else "24:00",
            days=(_DAYS[local.weekday()],),
            kinds=(kind,),
            # Where windows name the vendor, no other would be looked at.
            vendors=ruling[0].vendors,
        )
        changed = msgspec.structs.replace(preferences, window=(*preferences.window, window))
        yield Edit("window", {**said, "from": window.from_, "until": window.until}, 2, changed)


_Timed = TypeVar("_Timed", Window, DayException)


def _speaking(rules: Sequence[_Timed], kind: Kind, known_as: frozenset[str]) -> list[_Timed]:
    """Those that speak of a kind of mail from a sender: if some name the sender, those alone."""
    about = [rule for rule in rules if not rule.kinds or kind in rule.kinds]
    named = [rule for rule in about if not known_as.isdisjoint(rule.vendors)]
    return named or [rule for rule in about if not rule.vendors]


def _without_kind(rule: DayException, kind: Kind) -> DayException | None:
    """The same for the other kinds it speaks of; None where there are none."""
    kinds = tuple(k for k in rule.kinds or sorted(RULED_KINDS) if k != kind)
    return msgspec.structs.replace(rule, kinds=kinds) if kinds else None


# ---- what several need ------------------------------------------------------------------------


def _rule(case: Case) -> VendorRule | None:
    return None if case.relationship is None else case.relationship.rule


def rule_for(case: Case) -> VendorRule:
    """A new relationship with who sent it, named as the most particular rule would name them."""
    if case.vendor.registered:
        return VendorRule(vendor=case.vendor.id)
    if "@" in case.vendor.id:
        return VendorRule(address=case.vendor.id)
    return VendorRule(domain=case.vendor.id)


def _with_rule(
    obstacle: Obstacle, before: VendorRule | None, after: VendorRule, name: str, reach: int
) -> Edit:
    rules: Sequence[VendorRule] = obstacle.preferences.vendor
    if before is None:
        changed = (*rules, after)
    else:
        changed = tuple(after if each == before else each for each in rules)
    preferences = msgspec.structs.replace(obstacle.preferences, vendor=changed)
    facts: _Said = {"vendor": obstacle.case.vendor.name, "kind": str(obstacle.message.kind)}
    return Edit(name, facts, reach, preferences)


def _month_end(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])


_BY_REASON: Final[dict[str, Callable[[Obstacle], Iterator[Edit]]]] = {
    "vendor-not-allowed": _allow,
    "vendor-blocked": _unblock,
    "dkim-missing": _any_proof,
    "address-of-another": _free_address,
    "kind-not-wanted": _accept,
    "no-matching-interest": _widen_interest,
    "price-above-limit": _widen_interest,
    "brand-not-wanted": _widen_interest,
    "region-not-wanted": _widen_interest,
    "keyword-excluded": _widen_interest,
    "interest-not-yet": _widen_interest,
    "interest-over": _widen_interest,
    "offer-expired": _want_all,
    "offer-ends-before-window": _want_all,
    "too-often": _one_more,
    "window-closed": _open_now,
}
