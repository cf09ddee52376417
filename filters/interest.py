"""Whether the message is about something the consumer declared an interest in.

An interest matches when everything it states holds. What a message leaves open is taken so:

- An offer without a price passes a ceiling; one in another currency does not.
- An offer without a region is made everywhere.
- A brand that is not declared must be named in the text.
- Of several offers one has to fit, and none that is over counts while another runs.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from letterbox.model.case import Case
from letterbox.model.fold import fold
from letterbox.model.interests import Interest
from letterbox.model.kind import FREE_OF_INTERESTS
from letterbox.model.message import Keyword, Message, Offer
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
_PLACES: Final = {reason: place for place, reason in enumerate(_REASONS)}
_NOTHING: Final = Offer(origin="read")
_UNASKED: Final = Finding(filter=NAME, verdict=DELIVER)


class _Miss(NamedTuple):
    """One way in which an interest fails, and by what: of the nearest alone facts are made."""

    reason: str
    offer: Offer = _NOTHING
    word: Keyword | None = None


def apply(case: Case) -> Finding:
    """Refuse what matches none of the interests that are open to this vendor.

    Not asked of service mail, of personal mail (it offers nothing; a relationship takes it
    only where that was said), where everything is wanted, and where the consumer judges the
    message itself or nobody is let in anyway.
    """
    if not _is_judged(case):
        return _UNASKED
    message, today = case.message, case.today
    offers = _running(message, today)
    matched: list[Interest] = []
    near: list[tuple[Interest, list[_Miss]]] = []
    for interest in case.wishes.interests.near(message):
        if _may_answer(case, interest) and _is_about(message, interest):
            if misses := _misses(message, offers, interest, today):
                near.append((interest, misses))
            else:
                matched.append(interest)
    if matched:
        return _matched(matched)
    return _refused(near)


def _is_judged(case: Case) -> bool:
    if case.message.kind in FREE_OF_INTERESTS:
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
    # Categories and words are read only where something asks for them: they are the dear part.
    if interest.declared_only or interest.categories:
        categories = message.categories
        if interest.declared_only and not (categories.ids and categories.origin == "declared"):
            return False
        if interest.categories and interest.categories.isdisjoint(categories.ids):
            return False
    if interest.any_words and not any(map(message.words.has, interest.any_words)):
        return False
    return not interest.all_words or all(map(message.words.has, interest.all_words))


def _running(message: Message, today: date) -> Sequence[Offer]:
    """The offers that count, never none: those that are not over, where there are any."""
    running = [o for o in message.offers if o.last_day is None or today <= o.last_day]
    return running or message.offers or (_NOTHING,)


def _misses(
    message: Message, offers: Sequence[Offer], interest: Interest, today: date
) -> list[_Miss]:
    """Every way in which an interest on the topic fails; none where it matches."""
    misses: list[_Miss] = []
    if interest.from_ and today < interest.from_:
        misses.append(_Miss("interest-not-yet"))
    if interest.until and interest.until < today:
        misses.append(_Miss("interest-over"))
    if interest.max_price or interest.brands or interest.regions:
        misses += _fewest(message, offers, interest)
    for word in interest.no_words:
        if message.words.has(word):
            misses.append(_Miss("keyword-excluded", word=word))
            break
    return misses


def _fewest(message: Message, offers: Sequence[Offer], interest: Interest) -> list[_Miss]:
    """The ways in which the offer fails that fails in the fewest; of equals the cheapest one."""
    fewest = _misses_of(offers[0], message, interest)
    for offer in offers[1:]:
        if not fewest:
            break
        misses = _misses_of(offer, message, interest)
        fewest = min(fewest, misses, key=lambda each: (_rank(each), _dearness(each, interest)))
    return fewest


def _dearness(misses: list[_Miss], interest: Interest) -> tuple[bool, Decimal]:
    """What is too dear is compared by its price; another currency comes last."""
    limit = interest.max_price
    for miss in misses:
        price = miss.offer.price
        if miss.reason == "price-above-limit" and price is not None and limit is not None:
            return price.currency != limit.currency, price.amount
    return False, Decimal(0)


def _misses_of(offer: Offer, message: Message, interest: Interest) -> list[_Miss]:
    """The ways in which one offer fails."""
    misses: list[_Miss] = []
    price, limit = offer.price, interest.max_price
    if (
        price is not None
        and limit is not None
        and (price.currency != limit.currency or price.amount > limit.amount)
    ):
        misses.append(_Miss("price-above-limit", offer))
    if interest.brands and not _is_of_brand(offer, message, interest):
        misses.append(_Miss("brand-not-wanted", offer))
    if interest.regions and offer.region and not _is_within(offer.region, interest.regions):
        misses.append(_Miss("region-not-wanted", offer))
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
    return len(misses), [_PLACES[miss.reason] for miss in misses]


def _gap(interest: Interest, misses: list[_Miss]) -> tuple[bool, Decimal]:
    """How far a price is from the ceiling: of several interests the nearest is the one to name."""
    foreign, amount = _dearness(misses, interest)
    limit = interest.max_price
    return foreign, amount - limit.amount if amount and limit is not None else amount


def _matched(interests: list[Interest]) -> Finding:
    """With the ceiling of the first of them, where it has one."""
    facts: dict[str, Fact] = {"matched": [interest.id for interest in interests]}
    first = interests[0]
    if first.max_price is not None:
        facts |= {"interest": first.id, "limit": str(first.max_price)}
    return Finding(filter=NAME, verdict=DELIVER, facts=facts)


def _refused(near: list[tuple[Interest, list[_Miss]]]) -> Finding:
    """The specific reason where a near miss fails in exactly one way, else the general one."""
    if not near:
        return Finding(filter=NAME, verdict=Refuse(reason="no-matching-interest"))
    # The id decides between equals, so that the order of interests does not.
    interest, misses = min(near, key=lambda each: (_rank(each[1]), _gap(*each), each[0].id))
    facts: dict[str, Fact] = {"interest": interest.id, "interest_id": interest.id}
    if len(misses) > 1:
        facts["misses"] = [miss.reason for miss in misses]
        for miss in misses:
            if miss.reason == "price-above-limit":
                facts |= _facts(miss, interest)
        return Finding(filter=NAME, verdict=Refuse(reason="no-matching-interest"), facts=facts)
    facts |= _facts(misses[0], interest)
    return Finding(filter=NAME, verdict=Refuse(reason=misses[0].reason), facts=facts)


def _facts(miss: _Miss, interest: Interest) -> dict[str, Fact]:
    """What the sentences of the reason say."""
    match miss.reason:
        case "interest-not-yet" if interest.from_:
            start = interest.from_.isoformat()
            return {"date": start, "next": start}
        case "interest-over" if interest.until:
            return {"date": interest.until.isoformat()}
        case "price-above-limit" if miss.offer.price and interest.max_price:
            price, limit = miss.offer.price, interest.max_price
            # What is in another currency is not compared, so nothing says that it is above.
            name = "price" if price.currency == limit.currency else "foreign_price"
            return {name: str(price), "limit": str(limit)}
        case "brand-not-wanted":
            return {"value": miss.offer.brand}
        case "region-not-wanted":
            return {"value": miss.offer.region}
        case _:
            return {"value": miss.word.text if miss.word else None}
