"""How long one decision takes, and what it grows with.

    python -m bench.decide

One consumer with 200 relationships, 20 windows and two limits, whose interests are of all sorts;
5 of them match, however many there are; then more and more of 50. The message is read and its
words are known: they serve all its recipients, and are counted beside, once for a message.
Compiling and loading the wishes happen once for each change; they are counted beside, too.
"""

import gc
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import islice
from statistics import median
from time import perf_counter_ns
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from filters import ORDER
from letterbox.configuration import shipped
from letterbox.decide import evaluate
from letterbox.model.address import Address
from letterbox.model.case import Case
from letterbox.model.kind import Kind
from letterbox.model.message import Categories, Offer, Origin
from letterbox.model.money import Money
from letterbox.model.preferences import Preferences
from letterbox.model.sender import Proven, VendorRef, domains_of
from letterbox.model.verdict import Deliver
from letterbox.model.wishes import Wishes
from letterbox.reading.words import TextWords, keyword
from letterbox.wishes import compile_wishes, lookup, quotas_for, read_taxonomy

INTERESTS = (10, 50, 1000)
MATCHING = 5
OF_FIFTY = (0, 5, 25, 50)  # how many of 50 match
TEXTS = (2, 60)  # KB
ROUNDS = 3000  # decisions, of which the median is taken

_NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
_ZONE = "Europe/Amsterdam"
_TAXONOMY = read_taxonomy(shipped("taxonomy.toml"))
_TOPIC = "home-garden/garden-tools"
_ELSEWHERE = [id_ for id_ in _TAXONOMY.nodes if not id_.startswith("home-garden")]


class Text(msgspec.Struct, frozen=True, dict=True):
    """An offer that was read, of some size in characters."""

    size: int
    subject: str = "Pruners, ten percent off"
    kind: Kind = Kind.OFFER
    kind_origin: Origin = "declared"
    categories: Categories = Categories(ids=(_TOPIC,))
    offers: tuple[Offer, ...] = (
        Offer(
            origin="declared",
            brand="Felco",
            price=Money(amount=msgspec.convert("45.50", type=Money.__annotations__["amount"]),
                        currency="EUR"),
        ),
    )  # fmt: skip

    @property
    def text(self) -> str:
        """A text in which few words come often and many seldom."""
        words = (f"word{n % 37}x {'abcdefghij'[n % 10]}garden{n % 1999}" for n in range(self.size))
        return " ".join((self.subject, *islice(words, self.size // 17)))[: self.size]

    @cached_property
    def words(self) -> TextWords:
        """The words of the text."""
        return TextWords(self.text)


def preferences(interests: int, matching: int = MATCHING) -> Preferences:
    """Wishes of a person who keeps many."""
    return msgspec.convert(
        {
            "addresses": ["anna@letterbox.example"],
            "timezone": _ZONE,
            "limit": {"messages": 20, "per": "week"},
            "interest": list(_interests(interests, matching)),
            "window": [
                {"from": f"{hour:02}:00", "until": f"{hour:02}:40", "days": [day]}
                for hour in range(8, 12)
                for day in ("tue", "wed", "thu", "fri")
            ]
            + [{"from": "10:30", "until": "12:00", "days": ["mon", "sat"]}] * 4,
            "vendor": [
                {"vendor": f"vendor-{nth}", "limit": {"messages": 2, "per": "week"}}
                for nth in range(100)
            ]
            + [{"domain": f"vendor-{nth}.example"} for nth in range(100)],
        },
        Preferences,
    )


def _interests(interests: int, matching: int) -> Iterator[dict[str, object]]:
    for nth in range(interests):
        interest: dict[str, object] = {"id": f"interest-{nth}"}
        if nth < matching:
            interest |= {"categories": [_TOPIC], "max_price": {"amount": "150", "currency": "EUR"}}
        elif nth % 3 == 0:
            interest |= {"categories": [_ELSEWHERE[nth % len(_ELSEWHERE)]]}
        elif nth % 3 == 1:
            interest |= {"keywords": {"any": [f"novelty {nth}", f"rarity{nth}"]}}
        else:
            interest |= {
                "categories": [_ELSEWHERE[nth % len(_ELSEWHERE)]],
                "keywords": {"all": ["sale"], "none": ["used"]},
                "brands": [f"Brand {nth}"],
            }
        yield interest


def compiled(declared: Preferences) -> Wishes:
    """The wishes, as the broker compiles them."""
    return compile_wishes("anna", 1, declared, zone=ZoneInfo(_ZONE), taxonomy=_TAXONOMY)


def case(wishes: Wishes, message: Text) -> Case:
    """The case as the broker puts it together."""
    author = Address(local="shop", domain="vendor-7.example")
    sender = Proven(domain=author.domain, how="dkim", author=author)
    vendor = VendorRef(id="vendor-7", name="Vendor 7", registered=True)
    relationship = lookup(wishes, vendor, domains_of(sender, vendor), author)
    counted = quotas_for(wishes, relationship, message.kind, _NOW)
    return Case(
        recipient=Address(local="anna", domain="letterbox.example"),
        sender=sender,
        vendor=vendor,
        message=message,
        wishes=wishes,
        relationship=relationship,
        now=_NOW,
        usage={each.counter: 1 for each in counted},
    )


def microseconds(work: Callable[[Any], object], made: Callable[[], Any], rounds: int) -> float:
    """The median time of ``work`` on something fresh."""
    taken = []
    gc.disable()
    try:
        for _ in range(rounds):
            fresh = made()
            begun = perf_counter_ns()
            work(fresh)
            taken.append(perf_counter_ns() - begun)
    finally:
        gc.enable()
    return median(taken) / 1000


def table() -> str:
    """One row for each number of interests, with the ratio to the fewest."""
    head = ["interests", "matching", *(f"decision, {size} KB text, us" for size in TEXTS),
            "of the first", "compiling, us", "loading, us"]  # fmt: skip
    rows = [head, ["---:"] * len(head)]
    first: float | None = None
    for interests in INTERESTS:
        declared = preferences(interests)
        wishes = compiled(declared)
        decisions = [_decision(wishes, Text(size=size * 1024)) for size in TEXTS]
        first = first or decisions[0]
        stored = msgspec.json.encode(declared)
        rows.append([
            str(interests), str(MATCHING), *(f"{each:.1f}" for each in decisions),
            f"{decisions[0] / first:.2f}",
            f"{_repeated(compiled, declared):,.0f}",
            f"{_repeated(_loaded, stored):,.0f}",
        ])  # fmt: skip
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def more() -> str:
    """What grows with the interests that match, and what is done once for a message."""
    lines = [
        f"- {matching} of 50 interests match: "
        f"{_decision(compiled(preferences(50, matching)), Text(size=2048), matching):.1f} us"
        for matching in OF_FIFTY
    ]
    sought, phrase = frozenset(("en:rariti",)), keyword("word3x word5x")
    for size in TEXTS:
        text = Text(size=size * 1024).text
        words = microseconds(lambda new: new.shared(sought), partial(TextWords, text), 50)
        first = microseconds(lambda new: new.has(phrase), partial(_known, text), 50)
        lines.append(
            f"- the words of {size} KB text: {words:,.0f} us; its first phrase: {first:,.0f} us"
        )
    return "\n".join(lines)


def _known(text: str) -> TextWords:
    words = TextWords(text)
    words.shared(frozenset())
    return words


def _decision(wishes: Wishes, message: Text, matching: int = MATCHING) -> float:
    decision = evaluate(ORDER, case(wishes, message))
    delivered = isinstance(decision.verdict, Deliver)
    if delivered != bool(matching) or len(decision.interests) != matching:
        raise RuntimeError(f"the bench decides something else: {decision}")
    return microseconds(lambda fresh: evaluate(ORDER, fresh), lambda: case(wishes, message), ROUNDS)


def _repeated(work: Callable[[Any], object], argument: object) -> float:
    return microseconds(work, lambda: argument, 20)


def _loaded(stored: bytes) -> Wishes:
    return compiled(msgspec.json.decode(stored, type=Preferences))


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n\n{more()}\n")
