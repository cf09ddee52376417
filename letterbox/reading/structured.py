"""Offers that senders put into HTML as JSON-LD (schema.org Offer, DiscountOffer, Product)."""

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import Any

import msgspec

from letterbox.model.fold import fold
from letterbox.model.message import Offer
from letterbox.model.money import Money
from letterbox.reading.encoded import one_line

MAX_OFFERS = 50  # a mail that shows more is a catalogue; the first ones stand for it
_MAX_SCRIPT = 128 * 1024  # bytes; a mail with fifty offers has some 30,000
_MAX_SCRIPTS = 10
_MAX_NODES = 5_000
_MAX_WORDS = 20
_MAX_TEXT = 200

_OFFERS = frozenset(("offer", "discountoffer", "aggregateoffer"))
_PRODUCTS = frozenset(("product", "productgroup", "individualproduct", "productmodel"))
# Only by these ways is an offer the sender's own. What an Order or an Invoice holds has been
# bought already: a receipt is no offer.
_WAYS = (
    *("@graph", "itemListElement", "item", "mainEntity"),
    *("offers", "makesOffer", "hasOfferCatalog"),
)
_RECEIPTS = frozenset(("order", "invoice", "parceldelivery"))
_PRICE = re.compile(r"[0-9]{1,9}(?:[.,][0-9]{1,2})?|[0-9]{1,9}\.[0-9]{1,6}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_REGION = re.compile(r"[A-Za-z]{2}")
_NO_SLUG = re.compile(r"[^a-z0-9]+")

_DECODER = msgspec.json.Decoder(float_hook=Decimal)


class Structured(msgspec.Struct, frozen=True):
    """What a message's structured markup says; ``categories`` as they are written there."""

    offers: tuple[Offer, ...] = ()
    categories: tuple[str, ...] = ()


class _Seen(msgspec.Struct, frozen=True):
    """What stands around an offer: the product, event or service it is nested in."""

    title: str = ""
    brand: str | None = None
    region: str | None = None
    keywords: tuple[str, ...] = ()
    inside: bool = False


def understand_markup(scripts: Iterable[bytes]) -> Structured:
    """Read JSON-LD documents. Whatever is malformed or beyond the bounds is left out."""
    offers: list[Offer] = []
    categories: dict[str, None] = {}
    documents = [_decoded(script) for script in islice(scripts, _MAX_SCRIPTS)]
    waiting: list[tuple[Any, _Seen]] = [(each, _Seen()) for each in reversed(documents)]
    left = _MAX_NODES
    while waiting and left and len(offers) < MAX_OFFERS:
        left -= 1
        node, around = waiting.pop()
        if isinstance(node, list):
            waiting.extend((child, around) for child in reversed(node[:left]))
        elif isinstance(node, dict):
            kinds = _kinds(node)
            if around.inside and not kinds:
                kinds = frozenset(("offer",))
            inner = _within(node, kinds, around)
            if kinds & (_OFFERS | _PRODUCTS):
                categories.update(dict.fromkeys(_categories(node)))
            if kinds & _OFFERS or (kinds & _PRODUCTS and "offers" not in node and _price(node)):
                offers.append(_offer(node, inner))
            elif not kinds & _RECEIPTS:
                waiting.extend((node[way], inner) for way in reversed(_WAYS) if way in node)
    return Structured(offers=tuple(offers), categories=tuple(categories))


def _decoded(script: bytes) -> Any:
    if len(script) > _MAX_SCRIPT:
        return None
    try:
        return _DECODER.decode(script)
    except (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError):
        return None


def _kinds(node: dict[str, Any]) -> frozenset[str]:
    """The types of a node without their vocabulary: ``https://schema.org/Offer`` is an offer."""
    return frozenset(text.rpartition("/")[2].lower() for text in _texts(node.get("@type")))


def _within(node: dict[str, Any], kinds: frozenset[str], around: _Seen) -> _Seen:
    """What holds for the offers in a node: its own facts, and those around it."""
    inside = "offers" in node
    if not inside and not kinds & (_OFFERS | _PRODUCTS):
        return around
    item = node.get("itemOffered")
    own = item if isinstance(item, dict) else {}
    names = _texts(node.get("name")) or _texts(own.get("name")) or _texts(node.get("description"))
    brands = _names(node.get("brand")) or _names(own.get("brand"))
    return _Seen(
        title=names[0] if names else around.title,
        brand=brands[0] if brands else around.brand,
        region=_region(node) or around.region,
        keywords=_keywords(node) or _keywords(own) or around.keywords,
        inside=inside,
    )


def _offer(node: dict[str, Any], seen: _Seen) -> Offer:
    return Offer(
        origin="structured",
        title=seen.title,
        brand=seen.brand,
        price=_price(node),
        region=seen.region,
        keywords=seen.keywords,
        valid_from=_day(node, "validFrom", "availabilityStarts"),
        valid_until=_day(node, "validThrough", "priceValidUntil", "availabilityEnds"),
    )


def _price(node: dict[str, Any]) -> Money | None:
    specified = node.get("priceSpecification")
    specified = specified[:_MAX_WORDS] if isinstance(specified, list) else [specified]
    for place in (node, *specified):
        if not isinstance(place, dict):
            continue
        amount = place.get("price", place.get("lowPrice"))
        currency = place.get("priceCurrency")
        if isinstance(currency, str) and _CURRENCY.fullmatch(currency):
            written = str(amount) if isinstance(amount, str | int | Decimal) else ""
            if _PRICE.fullmatch(written.strip()):
                return Money(amount=Decimal(written.strip().replace(",", ".")), currency=currency)
    return None


def _day(node: dict[str, Any], *names: str) -> date | None:
    """The first of these dates; its day as written, whatever time and zone follow."""
    for text in (text for name in names for text in _texts(node.get(name))):
        day = day_of(text)
        if day:
            return day
    return None


def day_of(text: str) -> date | None:
    """The day a date or time begins with (ISO 8601, ``YYYY-MM-DD``); None where it is none."""
    try:
        return date.fromisoformat(text.strip()[:10])
    except ValueError:
        return None


def _region(node: dict[str, Any]) -> str | None:
    """The one country it is for (ISO 3166-1); None for several, or for none that is plain."""
    places = _names(node.get("eligibleRegion")) or _names(node.get("areaServed"))
    regions = {place.upper() for place in places if _REGION.fullmatch(place)}
    return regions.pop() if len(regions) == 1 and len(places) == 1 else None


def _keywords(node: dict[str, Any]) -> tuple[str, ...]:
    words = [word.strip() for text in _texts(node.get("keywords")) for word in text.split(",")]
    return tuple(word for word in words if word)[:_MAX_WORDS]


def _categories(node: dict[str, Any]) -> list[str]:
    """Categories as they are written: paths of names, or the ids of some taxonomy."""
    item = node.get("itemOffered")
    return _names(node.get("category")) or (
        _names(item.get("category")) if isinstance(item, dict) else []
    )


def category_path(text: str) -> str:
    """A category as taxonomy ids are written: ``Home & Garden > Tools`` is home-garden/tools.

    Empty where nothing is left, or for a URL.
    """
    if "://" in text:
        return ""
    steps = (_NO_SLUG.sub("-", fold(step)).strip("-") for step in re.split(r"[>/]", text))
    return "/".join(step for step in steps if step)


def _texts(value: object) -> list[str]:
    """The texts in a value that may be one or a list of them, safe to show."""
    values = value[:_MAX_WORDS] if isinstance(value, list) else [value]
    texts = (one_line(each, _MAX_TEXT) for each in values if isinstance(each, str))
    return [text for text in texts if text]


def _names(value: object) -> list[str]:
    """The names of things that may be given by text, or as nodes with a name."""
    values = value[:_MAX_WORDS] if isinstance(value, list) else [value]
    return [
        text
        for each in values
        for text in _texts(
            each.get("name", each.get("identifier")) if isinstance(each, dict) else each
        )
    ]
