"""What holds of every decision, whatever the wishes and the message."""

from datetime import timedelta
from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from filters import ORDER
from letterbox.decide import combine, evaluate
from letterbox.model.kind import Kind
from letterbox.model.message import Categories, Offer
from letterbox.model.money import Money
from letterbox.model.preferences import Preferences
from letterbox.model.verdict import (
    DELIVER,
    Defer,
    Deliver,
    Finding,
    Hold,
    Refuse,
    UntilOpen,
    name_of,
)
from tests.support.plain import (
    NOW,
    PlainMessage,
    PlainSender,
    Row,
    case_of,
    scanned,
    wishes_of,
)

CATEGORIES = ["home-garden", "home-garden/garden-tools", "travel/flights"]
WORDS = ["pruner", "chainsaw", "garden tool"]
kinds = st.sampled_from(list(Kind))
days = st.integers(-2, 2).map(lambda n: (NOW + timedelta(days=n)).date())
few = {"max_size": 2, "unique": True}

moneys = st.builds(
    Money,
    amount=st.sampled_from([Decimal(10), Decimal(20)]),
    currency=st.sampled_from(["EUR", "SEK"]),
)
interests = st.fixed_dictionaries(
    {"id": st.sampled_from("abcdefgh")},
    optional={
        "categories": st.lists(st.sampled_from(CATEGORIES), **few),
        "keywords": st.fixed_dictionaries(
            {},
            optional={
                name: st.lists(st.sampled_from(WORDS), **few) for name in ("any", "all", "none")
            },
        ),
        "brands": st.lists(st.sampled_from(["Felco", "Acme"]), **few),
        "max_price": moneys,
        "regions": st.lists(st.sampled_from(["NL", "DE"]), **few),
        "from": days,
        "until": days,
        "vendors": st.lists(st.sampled_from(["greenleaf", "bluebird"]), **few),
        "open_to": st.sampled_from(["allowed", "anyone"]),
        "declared_only": st.booleans(),
    },
)
interest_lists = st.lists(interests, max_size=4, unique_by=lambda interest: interest["id"])
rules = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "standing": st.sampled_from(["allowed", "blocked", "ask"]),
            "accepts": st.lists(kinds, min_size=1, unique=True),
            "scope": st.sampled_from(["interests", "everything"]),
            "from": days,
            "until": days,
            "proof": st.sampled_from(["any", "dkim"]),
        },
    ),
    max_size=2,
)
spoken_of = {
    "kinds": st.lists(kinds, **few),
    "vendors": st.lists(st.sampled_from(["greenleaf.example", "bluebird"]), **few),
}
outside = st.sampled_from(["hold", "refuse"])
windows = st.lists(
    st.fixed_dictionaries(
        {
            "from": st.sampled_from(["00:00", "09:00", "22:00"]),
            "until": st.sampled_from(["02:00", "12:00", "24:00"]),
        },
        optional={
            "days": st.lists(st.sampled_from(["mon", "sat"]), **few),
            "outside": outside,
            **spoken_of,
        },
    ),
    max_size=3,
)
pauses = st.lists(
    st.fixed_dictionaries({"from": days, "until": days}, optional=spoken_of), max_size=2
)
exceptions = st.lists(
    st.fixed_dictionaries({"on": days}, optional={"outside": outside, **spoken_of})
    | st.fixed_dictionaries(
        {"on": days, "from": st.just("10:00"), "until": st.sampled_from(["10:30", "20:00"])},
        optional={"outside": outside, **spoken_of},
    ),
    max_size=2,
)
limits = st.lists(
    st.builds(dict, messages=st.integers(1, 3), per=st.sampled_from(["day", "week"])), max_size=1
)


@st.composite
def declarations(draw):
    named = zip(("vendor", "domain"), ("greenleaf", "greenleaf.example"), strict=True)
    return {
        "addresses": ["anna@letterbox.example"],
        "timezone": "Europe/Amsterdam",
        "newcomers": draw(st.sampled_from(["refuse", "ask", "interests"])),
        "interest": draw(interest_lists),
        "window": draw(windows),
        "pauses": draw(pauses),
        "exceptions": draw(exceptions),
        **({"limit": limit} if (limit := next(iter(draw(limits)), None)) else {}),
        "vendor": [
            {**rule, field: name} for rule, (field, name) in zip(draw(rules), named, strict=False)
        ],
    }


offers = st.builds(
    Offer,
    origin=st.sampled_from(["declared", "structured", "read"]),
    brand=st.sampled_from([None, "Felco", "Acme"]),
    price=st.none() | moneys,
    region=st.sampled_from([None, "NL", "DE"]),
    valid_until=st.none() | days,
)
cases = st.builds(
    Row,
    name=st.just(""),
    expect=st.none(),
    message=st.builds(
        PlainMessage,
        kind=kinds,
        text=st.lists(st.sampled_from(WORDS), max_size=3).map(" and ".join),
        categories=st.builds(
            Categories,
            ids=st.lists(st.sampled_from(CATEGORIES), **few).map(tuple),
            origin=st.sampled_from(["declared", "structured"]),
        ),
        offers=st.lists(offers, max_size=2).map(tuple),
    ),
    sender=st.builds(PlainSender, how=st.sampled_from(["dkim", "spf", "key", "peer"])),
    answered=st.booleans(),
)


def compiled(declared):
    return wishes_of(msgspec.convert(declared, Preferences))


def decided(row, declared):
    return evaluate(ORDER, case_of(row, compiled(declared)))


TAKEN = {"deliver", "hold"}


@given(declarations(), cases, interests)
def test_adding_an_interest_never_refuses_what_was_accepted(declared, row, more):
    before = decided(row, declared)
    more = {**more, "id": "one-more"}
    after = decided(row, {**declared, "interest": [*declared["interest"], more]})
    if name_of(before.verdict) in TAKEN:
        assert after.verdict == before.verdict
    assert set(before.interests) <= set(after.interests)


@given(declarations(), cases, st.randoms())
def test_the_order_of_wishes_does_not_matter(declared, row, shuffler):
    shuffled = {
        name: shuffler.sample(value, len(value)) if isinstance(value, list) else value
        for name, value in declared.items()
    }
    one, other = decided(row, declared), decided(row, shuffled)
    assert one.verdict == other.verdict
    assert set(one.interests) == set(other.interests)
    assert one.deciding is None or one.deciding.facts == other.deciding.facts


@given(declarations(), cases)
def test_decisions_are_whole_and_repeat_themselves(declared, row):
    decision = decided(row, declared)
    assert [finding.filter for finding in decision.findings] == [rule.name for rule in ORDER]
    assert not isinstance(decision.verdict, Defer)
    assert decision == decided(row, declared)
    assert (decision.deciding is None) == isinstance(decision.verdict, Deliver)
    encoded = msgspec.json.encode(decision)
    assert msgspec.json.decode(encoded, type=type(decision)) == decision


many = st.lists(interests, min_size=5, max_size=12)
texts = st.lists(st.sampled_from([*WORDS, "pruners", "tools", "the garden"]), max_size=4)


@given(declarations(), cases, many, texts)
def test_the_index_finds_what_a_plain_scan_finds(declared, row, more, text):
    named = [{**interest, "id": f"more-{nth}"} for nth, interest in enumerate(more)]
    wishes = compiled({**declared, "interest": [*declared["interest"], *named]})
    message = msgspec.structs.replace(row.message, text=", ".join(text))
    row = msgspec.structs.replace(row, message=message)
    indexed = evaluate(ORDER, case_of(row, wishes))
    assert indexed == evaluate(ORDER, case_of(row, scanned(wishes)))


def fewer(one, name):
    """One of several, where to keep none would ask for less."""
    return {name: one[name][:1]} if len(one.get(name, ())) > 1 else {}


#: Ways to ask for more: each gives what is to be changed in an interest.
NARROWER = {
    "fewer categories": lambda one: fewer(one, "categories"),
    "what is below": lambda one: (
        {"categories": [f"{_TOOLS}/pruning" if c == _TOOLS else c for c in one["categories"]]}
        if "categories" in one
        else {}
    ),
    "one more word": lambda one: {
        "keywords": {
            **one.get("keywords", {}),
            "all": [*one.get("keywords", {}).get("all", ()), "garden tool"],
        }
    },
    "one word less": lambda one: {
        "keywords": {
            **one.get("keywords", {}),
            "none": [*one.get("keywords", {}).get("none", ()), "chainsaw"],
        }
    },
    "a lower price": lambda one: {
        "max_price": {"amount": "5", "currency": getattr(one.get("max_price"), "currency", "EUR")}
    },
    "fewer regions": lambda one: fewer(one, "regions") or {"regions": one.get("regions") or ["NL"]},
    "fewer brands": lambda one: fewer(one, "brands") or {"brands": one.get("brands") or ["Felco"]},
    "a later start": lambda one: {"from": max(one.get("from", _TODAY), _TODAY + timedelta(days=1))},
    "an earlier end": lambda one: {"until": min(one.get("until", _TODAY), _TODAY)},
    "fewer vendors": lambda one: (
        fewer(one, "vendors") or {"vendors": one.get("vendors") or ["greenleaf"]}
    ),
    "for the allowed": lambda _: {"open_to": "allowed"},
    "declared alone": lambda _: {"declared_only": True},
}
_TOOLS, _TODAY = "home-garden/garden-tools", NOW.date()


@given(declarations(), cases, st.sampled_from(sorted(NARROWER)), st.randoms())
def test_narrowing_an_interest_never_delivers_more(declared, row, way, chance):
    chosen = {interest["id"] for interest in declared["interest"] if chance.random() < 0.7}
    narrowed = [
        {**interest, **NARROWER[way](interest)} if interest["id"] in chosen else interest
        for interest in declared["interest"]
    ]
    before, after = decided(row, declared), decided(row, {**declared, "interest": narrowed})
    if name_of(after.verdict) in TAKEN:
        assert name_of(before.verdict) in TAKEN
    assert set(after.interests) <= set(before.interests)


@given(declarations(), cases, st.sampled_from(["shorter", "fewer days", "one more pause"]))
def test_narrowing_a_window_never_delivers_more(declared, row, way):
    narrowed = {
        "shorter": {"window": [{**w, "until": "00:30" if w["from"] == "00:00" else "23:00"}
                               if w["until"] == "24:00" else w for w in declared["window"]]},
        "fewer days": {"window": [{**w, "days": (w.get("days") or ["sat", "sun"])[:1]}
                                  for w in declared["window"]]},
        "one more pause": {"pauses": [*declared["pauses"], {"from": _TODAY, "until": _TODAY}]},
    }[way]  # fmt: skip
    before, after = decided(row, declared), decided(row, {**declared, **narrowed})
    if isinstance(after.verdict, Deliver):
        assert isinstance(before.verdict, Deliver)


verdicts = st.sampled_from(
    [
        DELIVER,
        Refuse(reason="kind-not-wanted"),
        Refuse(reason="too-often"),
        Hold(conditions=(UntilOpen(reason="window-closed", at=NOW),)),
        Defer(reason="our-fault"),
    ]
)


@given(st.lists(verdicts))
def test_combining(each):
    verdict = combine([Finding(filter="x", verdict=verdict) for verdict in each])
    rank = [Defer, Refuse, Hold, Deliver]
    worst = min((rank.index(type(v)) for v in each), default=3)
    assert type(verdict) is rank[worst]
    if isinstance(verdict, Refuse):
        assert verdict == next(v for v in each if isinstance(v, Refuse))
    if isinstance(verdict, Hold):
        assert len(verdict.conditions) == sum(isinstance(v, Hold) for v in each)
