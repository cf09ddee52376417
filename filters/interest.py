"""Whether the message is about something the consumer declared an interest in.

An interest matches when everything it states holds. What a message leaves open is taken so:

- An offer without a price passes a ceiling; one in another currency does not.
- An offer without a region is made everywhere.
- A brand that is not declared must be named in the text.
- Of several offers one has to fit, and none that is over counts while another runs.
"""

from collections.abc import Iterable
from datetime import date
from typing import Final

import msgspec

from letterbox.model.case import Case
from letterbox.model.fold import fold
from letterbox.model.interests import Interest
from letterbox.model.kind import Kind
from letterbox.model.message import Message, Offer
from letterbox.model.verdict import DELIVER, Fact, Finding, Refuse

NAME = "interest"

#: In the order in which one is named where several near misses fail in one way each (SURFACE).
_REASONS: Final = (
    "interest-not-yet",
    "interest-over",
    "price-above-limit",
    "brand-not-wanted",
    "region-not-wanted",
    "keyword-excluded",
)
_NOTHING: Final = Offer(origin="read")


class _Miss(msgspec.Struct, frozen=True):
    """One way in which an interest fails, and the facts of it."""

    reason: str
    facts: dict[str, Fact]


def apply(case: Case) -> Finding:
    """Refuse what matches none of the interests that are open to this vendor.

    Not asked of service mail, of personal mail (it offers nothing; a relationship takes it
    only where that was said), where everything is wanted, and where the consumer judges the
    message itself or nobody is let in anyway.
    """
    if not _is_judged(case):
        return Finding(filter=NAME, verdict=DELIVER)
    today = case.today
    matched: list[str] = []
    near: list[tuple[Interest, list[_Miss]]] = []
    for interest in case.wishes.interests.near(case.message):
        if _may_answer(case, interest) and _is_about(case.message, interest):
            if misses := _misses(case.message, interest, today):
                near.append((interest, misses))
            else:
                matched.append(interest.id)
    if matched:
        return Finding(filter=NAME, verdict=DELIVER, facts={"matched": matched})
    return _refused(near)


def _is_judged(case: Case) -> bool:
    if case.message.kind in {Kind.SERVICE, Kind.PERSONAL}:
        return False
    match case.footing:
        case "allowed":
            return case.relationship is not None and case.relationship.rule.scope == "interests"
        case "newcomer":
            return case.wishes.newcomers == "interests" and not case.answered
        case _:
            return False


def _may_answer(case: Case, interest: Interest) -> bool:
    if interest.open_to != "anyone" and case.footing == "newcomer":
        return False
    return not interest.vendors or not interest.vendors.isdisjoint(case.known_as)


def _is_about(message: Message, interest: Interest) -> bool:
    """Whether the topic matches: categories, and the keywords that must be there."""
    categories = message.categories
    if interest.declared_only and not (categories.ids and categories.origin == "declared"):
        return False
    if interest.categories and interest.categories.isdisjoint(categories.ids):
        return False
    # Words are read only where something asks for them: that is the dear part of a message.
    if interest.any_words and not any(map(message.words.has, interest.any_words)):
        return False
    return not interest.all_words or all(map(message.words.has, interest.all_words))


def _misses(message: Message, interest: Interest, today: date) -> list[_Miss]:
    """Every way in which an interest on the topic fails; none where it matches."""
    misses: list[_Miss] = []
    if interest.from_ and today < interest.from_:
        start = interest.from_.isoformat()
        misses.append(_Miss(reason="interest-not-yet", facts={"date": start, "next": start}))
    if interest.until and interest.until < today:
        end = interest.until.isoformat()
        misses.append(_Miss(reason="interest-over", facts={"date": end}))
    if interest.max_price or interest.brands or interest.regions:
        running = [o for o in message.offers if o.last_day is None or today <= o.last_day]
        offers = running or message.offers or (_NOTHING,)
        fewest = min((_misses_of(offer, message, interest) for offer in offers), key=_rank)
        misses += fewest
    for word in interest.no_words:
        if message.words.has(word):
            misses.append(_Miss(reason="keyword-excluded", facts={"value": word.text}))
            break
    return misses


def _misses_of(offer: Offer, message: Message, interest: Interest) -> list[_Miss]:
    """The ways in which one offer fails."""
    misses: list[_Miss] = []
    price, limit = offer.price, interest.max_price
    if (
        price is not None
        and limit is not None
        and (price.currency != limit.currency or price.amount > limit.amount)
    ):
        facts: dict[str, Fact] = {"price": str(price), "limit": str(limit)}
        misses.append(_Miss(reason="price-above-limit", facts=facts))
    if interest.brands and not _is_of_brand(offer, message, interest):
        misses.append(_Miss(reason="brand-not-wanted", facts={"value": offer.brand}))
    if interest.regions and offer.region and not _is_within(offer.region, interest.regions):
        misses.append(_Miss(reason="region-not-wanted", facts={"value": offer.region}))
    return misses


def _is_of_brand(offer: Offer, message: Message, interest: Interest) -> bool:
    if offer.brand is not None:
        return fold(offer.brand.strip()) in interest.brands
    return any(map(message.words.has, interest.brand_words))


def _is_within(region: str, wanted: Iterable[str]) -> bool:
    """Whether a region is one of those wanted, a part of one, or has one as its part."""
    return any(
        region == each or region.startswith(f"{each}-") or each.startswith(f"{region}-")
        for each in wanted
    )


def _rank(misses: list[_Miss]) -> tuple[int, list[int]]:
    """The fewest ways first, then by the order of the reasons."""
    return len(misses), [_REASONS.index(miss.reason) for miss in misses]


def _refused(near: list[tuple[Interest, list[_Miss]]]) -> Finding:
    """The specific reason where a near miss fails in exactly one way, else the general one."""
    if not near:
        return Finding(filter=NAME, verdict=Refuse(reason="no-matching-interest"))
    # The id decides between equals, so that the order of interests does not.
    interest, misses = min(near, key=lambda each: (_rank(each[1]), each[0].id))
    facts: dict[str, Fact] = {"interest": interest.id, "interest_id": interest.id}
    if len(misses) > 1:
        facts["misses"] = [miss.reason for miss in misses]
        return Finding(filter=NAME, verdict=Refuse(reason="no-matching-interest"), facts=facts)
    return Finding(
        filter=NAME, verdict=Refuse(reason=misses[0].reason), facts=facts | misses[0].facts
    )
