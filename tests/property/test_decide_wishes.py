"""What holds of every decision, whatever the wishes and the message."""

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import ORDER
from letterbox.decide import STANDS, combine, evaluate, watched
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
    reason_of,
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
VENDORS = ["greenleaf", "greenleaf.example", "bluebird", "robin.example"]
kinds = st.sampled_from(list(Kind))
days = st.integers(-2, 2).map(lambda n: (NOW + timedelta(days=n)).date())
few = {"max_size": 2, "unique": True}

moneys = st.builds(
    Money,
    amount=st.sampled_from([Decimal(10), Decimal(20)]),
    currency=st.sampled_from(["EUR", "EUR", "SEK"]),
)
#: What an interest may state: its topic, and what a message on the topic may fail.
TOPIC = {
    "categories": st.lists(st.sampled_from(CATEGORIES), **few),
    "keywords": st.fixed_dictionaries(
        {},
        optional={name: st.lists(st.sampled_from(WORDS), **few) for name in ("any", "all", "none")},
    ),
    "vendors": st.lists(st.sampled_from(VENDORS), **few),
    "declared_only": st.booleans(),
}
REST = {
    "brands": st.lists(st.sampled_from(["Felco", "Acme"]), **few),
    "max_price": moneys,
    "regions": st.lists(st.sampled_from(["NL", "DE", "BE"]), **few),
    "from": days,
    "until": days,
}
PARTS = {**TOPIC, **REST}


@st.composite
def interests(draw, *always):
    """One that states a few things, some of them always: what states much is met by nothing."""
    parts = draw(st.sampled_from([TOPIC, REST, PARTS]))
    some = draw(st.lists(st.sampled_from(sorted(parts)), max_size=2, unique=True))
    return {
        "id": draw(st.sampled_from("abcdefgh")),
        "open_to": draw(st.sampled_from(["anyone", "allowed"])),
        **{name: draw(PARTS[name]) for name in dict.fromkeys((*always, *some))},
    }


def interest_lists(*always):
    return st.lists(
        interests(*always), min_size=1, max_size=4, unique_by=lambda interest: interest["id"]
    )


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
    "vendors": st.lists(st.sampled_from(VENDORS), **few),
}
outside = st.sampled_from(["hold", "refuse"])
windows = st.lists(
    st.fixed_dictionaries(
        {
            "from": st.sampled_from(["00:00", "09:00", "22:00"]),
            "until": st.sampled_from(["02:00", "12:00", "24:00"]),
        },
        optional={
            "days": st.lists(st.sampled_from(["mon", "sat", "sun"]), **few),
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
def declarations(draw, subjects=("subject", "subject", "time", "anything"), states=()):
    """Anything, or what lets a message come as far as its subject or its time is judged.

    ``states`` is what every interest says something of.
    """
    named = zip(("vendor", "domain"), ("greenleaf", "greenleaf.example"), strict=True)
    about = draw(st.sampled_from(subjects))
    declared = {
        "addresses": ["anna@letterbox.example"],
        "timezone": "Europe/Amsterdam",
        "newcomers": "interests",
        "interest": [],
        "window": [],
        "pauses": [],
        "exceptions": [],
        "vendor": [],
    }
    if about != "time":
        declared["interest"] = draw(interest_lists(*states))
    if about != "subject":
        declared |= {"window": draw(windows), "pauses": draw(pauses)}
        declared["exceptions"] = draw(exceptions)
        if limit := next(iter(draw(limits)), None):
            declared["limit"] = limit
    if about == "anything":
        declared["newcomers"] = draw(st.sampled_from(["refuse", "ask", "interests"]))
        declared["vendor"] = [
            {**rule, field: name} for rule, (field, name) in zip(draw(rules), named, strict=False)
        ]
    elif about == "time" or draw(st.booleans()):
        scope = "everything" if about == "time" else "interests"
        declared["vendor"] = [{"vendor": "greenleaf", "scope": scope, "accepts": list(Kind)}]
    return declared


SPENT = [
    "day/newsletter+offer+personal/2026-11-23",
    "week/newsletter+offer+personal/2026-W48",
]
offers = st.builds(
    Offer,
    origin=st.sampled_from(["declared", "structured", "read"]),
    brand=st.sampled_from([None, "Felco", "Acme"]),
    price=st.none() | moneys,
    region=st.sampled_from([None, "NL", "DE", "BE"]),
    valid_until=st.none() | days,
)
cases = st.builds(
    Row,
    name=st.just(""),
    expect=st.none(),
    message=st.builds(
        PlainMessage,
        kind=st.sampled_from([Kind.OFFER, Kind.OFFER, Kind.NEWSLETTER, *Kind]),
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
    # From five in the morning to eleven at night of one local day, whose counters are these.
    now=st.integers(-6, 12).map(lambda hours: NOW + timedelta(hours=hours)),
    usage=st.sampled_from([{}, {f"usage/all/{spent}": 2 for spent in SPENT}]),
)


def compiled(declared):
    return wishes_of(msgspec.convert(declared, Preferences))


def decided(row, declared):
    return evaluate(ORDER, case_of(row, compiled(declared)))


TAKEN = {"deliver", "hold"}
#: What is to be tried for a property that speaks of few cases among many.
SOME = settings(max_examples=3 * settings().max_examples)
MANY = settings(max_examples=5 * settings().max_examples)


@MANY
@given(declarations(), cases, interests())
def test_adding_an_interest_never_refuses_what_was_accepted(declared, row, more):
    before = decided(row, declared)
    more = {**more, "id": "one-more"}
    after = decided(row, {**declared, "interest": [*declared["interest"], more]})
    if name_of(before.verdict) in TAKEN:
        assert after.verdict == before.verdict
    assert set(before.interests) <= set(after.interests)


@MANY
@given(declarations() | declarations(("subject",), ("regions",)), cases, st.randoms())
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


@given(declarations(), cases)
def test_whoever_only_watches_gets_all_but_what_stands_and_what_the_rules_say_is_kept(
    declared, row
):
    ruled = decided(row, declared)
    seen = watched(decided(row, {**declared, "mode": "observe"}))
    assert seen.findings == ruled.findings
    assert (seen.would or seen.verdict) == ruled.verdict
    assert seen.deciding == ruled.deciding
    stands = any(reason_of(finding.verdict) in STANDS for finding in seen.findings)
    assert name_of(seen.verdict) == ("refuse" if stands else "deliver")


#: Enough of those that are found by their words, and by nothing else.
worded = st.builds(
    lambda any_, all_: {"id": "", "keywords": {"any": any_, "all": all_}},
    st.lists(st.sampled_from([*WORDS, "rake", "steel"]), max_size=3, unique=True),
    st.lists(st.sampled_from([*WORDS, "rake", "steel"]), **few),
)
many = st.lists(worded | interests(), min_size=8, max_size=12)
texts = st.lists(st.sampled_from([*WORDS, "pruners", "tools", "the garden", "rakes"]), max_size=4)


@MANY
@given(declarations(("subject",)), cases, many, texts)
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


#: What the interests must state for a way to be one.
STATED = {
    "fewer categories": "categories",
    "one more word": "keywords",
    "one word less": "keywords",
    "what is below": "categories",
    "a lower price": "max_price",
    "fewer regions": "regions",
    "fewer brands": "brands",
    "a later start": "from",
    "an earlier end": "until",
    "fewer vendors": "vendors",
}


@pytest.mark.parametrize("way", NARROWER)
@SOME
@given(st.data(), cases, st.randoms())
def test_narrowing_an_interest_never_delivers_more(way, data, row, chance):
    states = [STATED[way]] if way in STATED else []
    declared = data.draw(declarations(("subject", "subject", "anything"), states))
    narrowed = [
        {**interest, **NARROWER[way](interest)} if chance.random() < 0.7 else interest
        for interest in declared["interest"]
    ]
    before, after = decided(row, declared), decided(row, {**declared, "interest": narrowed})
    if name_of(after.verdict) in TAKEN:
        assert name_of(before.verdict) in TAKEN
    assert set(after.interests) <= set(before.interests)


ENDS = {"02:00": "01:00", "12:00": "11:00", "24:00": "23:00", "20:00": "10:30"}
STARTS = {"00:00": "00:30", "09:00": "10:30", "22:00": "22:30"}
#: The same for the rules about times: which of them, and what is to be changed in one.
CLOSER = {
    "an earlier end": ("window", lambda one: {"until": ENDS[one["until"]]}),
    "a later start": ("window", lambda one: {"from": STARTS[one["from"]]}),
    "fewer days": ("window", lambda one: {"days": (one.get("days") or ["sat", "sun"])[:1]}),
    "a shorter day apart": (
        "exceptions",
        lambda one: {"until": ENDS.get(one["until"], "10:10")} if "until" in one else {},
    ),
    "a closed day apart": ("exceptions", lambda _: {"from": None, "until": None}),
    "a longer pause": (
        "pauses",
        lambda one: {"from": one["from"] - timedelta(days=1), "until": max(one["until"], _TODAY)},
    ),
    "a pause of all kinds": ("pauses", lambda _: {"kinds": []}),
    "a pause of all vendors": ("pauses", lambda _: {"vendors": []}),
}


@pytest.mark.parametrize("way", CLOSER)
@SOME
@given(declarations(("time", "time", "anything")), cases, st.randoms())
def test_narrowing_times_never_delivers_more(way, declared, row, chance):
    name, change = CLOSER[way]
    narrowed = [
        {**rule, **change(rule)} if chance.random() < 0.7 else rule for rule in declared[name]
    ]
    before, after = decided(row, declared), decided(row, {**declared, name: narrowed})
    if isinstance(after.verdict, Deliver):
        assert isinstance(before.verdict, Deliver)


@MANY
@given(declarations(), cases, pauses)
def test_another_pause_never_delivers_more(declared, row, more):
    paused = {**declared, "pauses": [*declared["pauses"], *more]}
    before, after = decided(row, declared), decided(row, paused)
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
