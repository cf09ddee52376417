"""A decision told to the person whose letterbox it is, first line first."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from letterbox.feedback.sentences import Sentences
from letterbox.model.message import Offer
from letterbox.model.money import Money
from letterbox.model.record import DecisionRecord, RecordedCase
from letterbox.model.taxonomy import Taxonomy, upwards
from letterbox.model.verdict import (
    Decision,
    Deliver,
    Fact,
    Finding,
    Hold,
    Refuse,
    name_of,
    reason_of,
)

_TOLD: Final = {"reply": "told", "feed": "told_feed", "page": "told_page"}
#: The longest line that is told; what a sender was told is no longer than that.
_LONGEST: Final = 600


class Explanations:
    """Decisions in plain English or Dutch."""

    def __init__(self, sentences: Sentences, taxonomy: Taxonomy) -> None:
        self._sentences = sentences
        self._taxonomy = taxonomy

    def headline(self, record: DecisionRecord, language: str) -> str:
        """The verdict, and in one sentence why."""
        label = self._sentences.line("explanation", name_of(record.verdict), {}, language)
        said = self.why(record, language)
        return f"{label}: {said}" if said else f"{label}."

    def lines(
        self, record: DecisionRecord, language: str, *, supposed: bool = False
    ) -> tuple[str, ...]:
        """Everything that a decision rested on, the headline first.

        ``supposed``: the message was never sent, and nobody was told anything.
        """
        return tuple(line for line in self._lines(record, language, supposed=supposed) if line)

    def change(self, name: str, facts: Mapping[str, Fact], language: str) -> str:
        """A change of wishes that is offered, in a few words."""
        said = dict(facts)
        if isinstance(category := said.get("category"), str):
            said["category"] = self._named(category, language)
        return self._sentences.line("change", name, said, language)

    def _lines(self, record: DecisionRecord, language: str, *, supposed: bool) -> Iterator[str]:
        yield self.headline(record, language)
        facts = self._facts(record, language)
        case = record.case
        how: str = case.sender.how if case else "unknown"
        how = "supposed" if supposed and how == "peer" else how
        yield self._line(f"from_{how}", facts, language)
        for flag in record.flags:
            yield self._sentences.flag(flag, language)
        if case is not None:
            yield self._line(f"kind_{case.kind_origin}", facts, language)
            if case.categories is not None:
                origin = case.categories.origin if case.categories.sure else "guessed"
                yield self._line(f"about_{origin}", facts, language)
            if (offer := _cheapest(case)) is not None:
                name = "lowest" if len(_prices(case)) > 1 else "price"
                yield self._line(f"{name}_{offer.origin}", facts, language)
            if (offer := _longest(case)) is not None:
                origin = offer.until_origin or offer.origin
                yield self._line(f"until_{origin}", facts, language)
        decision = record.decision
        for finding in record.findings:
            yield from self._found(finding, decision, case, language)
        how_told = "told_supposed" if supposed else _TOLD[record.channel]
        yield self._line(how_told, facts, language)

    def _found(
        self, finding: Finding, decision: Decision, case: RecordedCase | None, language: str
    ) -> Iterator[str]:
        """What one rule had to say beyond the headline."""
        facts = finding.facts
        if isinstance(matched := facts.get("matched"), list):
            name = "matched" if len(matched) == 1 else "matched_several"
            yield self._line(name, facts, language)
            if case is not None and (price := _within(case, str(facts.get("limit")))):
                yield self._line("within", {**facts, "price": price}, language)
        for name in ("ended", "begins", "changed"):
            if name in facts:
                yield self._line(name, facts, language)
        if "misses" in facts:
            yield self._line("nearest", facts, language)
        found = isinstance(finding.verdict, Deliver)
        match finding.filter, decision.verdict:
            case "window", Deliver() if found:
                yield self._line("in_time", facts, language)
            case "limit", Deliver() if found:
                name = "counted" if facts.get("vendor") else "counted_all"
                yield self._line(name, facts, language)
            case (("window" | "limit"), Refuse()) if finding is decision.deciding:
                yield self._line(f"next_{finding.filter}", facts, language)
        if reason_of(finding.verdict) is not None and finding is not decision.deciding:
            sentence = self._sentences.person(finding, language)
            name = _beside(finding, decision)
            yield self._line(name, {"sentence": sentence}, language)

    def why(self, record: DecisionRecord, language: str) -> str:
        """What decided, in one sentence; empty where nothing stood in the way."""
        deciding = record.decision.deciding
        if deciding is not None and record.would is not None:
            return self.would(deciding, language)
        if deciding is not None:
            return self._sentences.person(deciding, language)
        if any(f.filter == "consumer" and f.facts.get("answer") == "yes" for f in record.findings):
            return self._line("let_through", {}, language) + "."
        return ""

    def would(self, deciding: Finding, language: str) -> str:
        """What would have become of a message that came in because its reader only watches."""
        facts = {"sentence": self._sentences.person(deciding, language)}
        return self._line(f"would_{name_of(deciding.verdict)}", facts, language)

    def _facts(self, record: DecisionRecord, language: str) -> dict[str, Fact]:
        facts: dict[str, Fact] = {
            "vendor": record.vendor.name,
            "sender": record.sender,
            "kind": record.kind,
            "told": _told(record),
        }
        case = record.case
        if case is not None:
            facts["domain"] = case.sender.domain
            facts["by"] = case.sender.by
            if case.categories is not None and case.categories.ids:
                facts["categories"] = [
                    self._named(category, language) for category in _deepest(case.categories.ids)
                ]
            if (offer := _cheapest(case)) is not None:
                facts["price"] = str(offer.price)
            if (offer := _longest(case)) is not None:
                facts["until"] = str(offer.valid_until)
        return facts

    def _named(self, category: str, language: str) -> str:
        node = self._taxonomy.nodes.get(category)
        return node.name(language) if node else category

    def _line(self, name: str, facts: Mapping[str, Fact], language: str) -> str:
        return self._sentences.line("explanation", name, facts, language, longest=_LONGEST)


def _beside(finding: Finding, decision: Decision) -> str:
    """How a finding is introduced that did not decide: by what came of it."""
    if isinstance(decision.verdict, Deliver) and decision.would is None:
        # Nothing else lets through what a rule stands against.
        behind = any(each.filter == "next-hop" for each in decision.findings)
        return "but_for_next_hop" if behind else "but_for_yes"
    if isinstance(finding.verdict, Hold):
        ruled = decision.would or decision.verdict
        return "also_waits" if isinstance(ruled, Hold) else "also_held"
    return "also"


def _told(record: DecisionRecord) -> str:
    """What the sender was told, in the form in which it came to the sender."""
    told = record.told
    if record.edge != "http" and record.channel == "reply":
        return told.line
    if told.reason is None:
        return told.verdict
    detail = told.reason.detail or told.reason.title
    return f"{told.verdict}, {told.reason.code}: {'; '.join((detail, *told.reason.remedies))}"


def _deepest(categories: Sequence[str]) -> list[str]:
    """Categories without those that lie above another of them."""
    above = {path for each in categories for path in upwards(each) if path != each}
    return [each for each in categories if each not in above]


def _prices(case: RecordedCase) -> list[Money]:
    """The prices of its offers, in their order."""
    return [offer.price for offer in case.offers or () if offer.price is not None]


def _cheapest(case: RecordedCase) -> Offer | None:
    """The cheapest of the offers that name a price."""
    priced = [(offer.price.amount, offer) for offer in case.offers or () if offer.price is not None]
    return min(priced, key=lambda each: each[0])[1] if priced else None


def _longest(case: RecordedCase) -> Offer | None:
    """The offer that is to be had for longest, where none goes on without an end."""
    dated = [(offer.valid_until, offer) for offer in case.offers or () if offer.valid_until]
    if not dated or len(dated) < len(case.offers or ()):
        return None
    return max(dated, key=lambda each: each[0])[1]


def _within(case: RecordedCase, limit: str) -> str | None:
    """The lowest price that a ceiling, such as "150.00 EUR", admits; None where there is none."""
    amount, _, currency = limit.partition(" ")
    fit = [p for p in _prices(case) if p.currency == currency and p.amount <= Decimal(amount)]
    return str(min(fit, key=lambda price: price.amount)) if fit else None
