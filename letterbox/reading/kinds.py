"""What sort of mail a message reads as, by the signs in its words and in its header."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from letterbox.model.kind import Kind
from letterbox.reading.phrases import Entry, Phrase
from letterbox.reading.signs import Signs
from letterbox.reading.words import LANGUAGES

_SORTS: Final = ("service", "advert", "editorial")
_STRENGTHS: Final = ("strong", "weak")
SERVICE_STRONG: Final = "service.strong"
#: What a sign may be of.
MEANINGS: Final = frozenset(f"{sort}.{strength}" for sort in _SORTS for strength in _STRENGTHS)
_STRONG: Final = 2.0
_WEAK: Final = 0.7
_MOST_STRONG: Final = 5  # distinct strong signs that count in a passage, and weak ones
_MOST_WEAK: Final = 4
_IN_SUBJECT: Final = 1.5  # times what it counts in the body
_FEW: Final = 3  # prices, discounts and numbers that count in full
_ROW: Final = 15  # prices in a row that count at all, each beyond the first few so much
_PRICE: Final = 0.4

_SERVICE: Final = 3.0  # what makes service mail
_BELOW: Final = 1.4  # so many times as much may speak of advertising as of service
_BESIDE: Final = 2.0  # where the subject says service alone
# What makes advertising grows with the text: whoever writes at length says "free" or "offer", too.
_ADVERT: Final = 2.0
_ADVERT_EACH: Final = 100  # words that ask for one more
_ADVERT_MOST: Final = 12.0
_LONG: Final = 1_500  # words; nobody writes that many to one person
_OUTWEIGHS: Final = 1.6  # times what speaks for something to read
_UNMISTAKABLE: Final = 6.0


class Marks(msgspec.Struct, frozen=True):
    """What stands around the text.

    ``to_many``: the header or the text says it goes to many. ``role``: no person has the author's
    address. ``answers``: it answers another message; ``discussed``: it is one person's word on a
    list of others. ``named`` counts the prices it names, ``reduced`` old ones beside them,
    ``percents`` its discounts, ``numbers`` those of orders, bookings and the like.
    """

    to_many: bool = False
    automatic: bool = False
    role: bool = False
    answers: bool = False
    discussed: bool = False
    named: int = 0
    named_in_subject: bool = False
    reduced: int = 0
    percents: int = 0
    numbers: int = 0


class Weight(msgspec.Struct, frozen=True):
    """How much speaks for one sort of mail; ``strong`` counts its strong signs."""

    subject: float = 0.0
    body: float = 0.0
    strong: int = 0

    @property
    def all(self) -> float:
        """Subject and body together."""
        return _IN_SUBJECT * self.subject + self.body


class Weights(msgspec.Struct, frozen=True):
    """How much speaks for each sort of mail, and in how long a text of ``words``."""

    service: Weight
    advert: Weight
    editorial: Weight
    words: int


def sign_entries(signs: Signs) -> Iterator[Entry]:
    """Every phrase of the tables, with what it is a sign of."""
    for sort in _SORTS:
        for strength in _STRENGTHS:
            words = getattr(getattr(signs, sort), strength)
            for language in LANGUAGES:
                for phrase in getattr(words, language):
                    yield Entry(f"{sort}.{strength}", language, phrase)


def weigh(subject: Iterable[Phrase], body: Iterable[Phrase], marks: Marks, words: int) -> Weights:
    """How much the signs found speak for each sort of mail, in a text of so many words."""
    in_subject, in_body = _distinct(subject), _distinct(body)
    met = _Met(_meant(in_subject), _meant(in_body), _meant(in_subject | in_body))
    return Weights(
        service=_weighed("service", met, _STRONG * min(marks.numbers, _FEW)),
        advert=_weighed("advert", met, _selling(marks)),
        editorial=_weighed("editorial", met),
        words=words,
    )


class _Met(NamedTuple):
    """What the distinct signs mean that stand in the subject, in the body, and in either."""

    subject: list[str]
    body: list[str]
    either: list[str]


_Sign = tuple[str, tuple[str, ...]]


def _distinct(found: Iterable[Phrase]) -> frozenset[_Sign]:
    """Each sign once: what it means, and by what stems."""
    return frozenset((each.meaning, each.stems) for each in found)


def _selling(marks: Marks) -> float:
    """What prices and discounts speak for advertising: the first plainly, a long row more."""
    row = _PRICE * max(0, min(marks.named, _ROW) - _FEW)
    few = sum(min(each, _FEW) for each in (marks.named, marks.reduced, marks.percents))
    return few + row + _STRONG * marks.named_in_subject


def kind_of(weights: Weights, marks: Marks) -> Kind:
    """The kind a message reads as. In doubt it is no service mail: that passes every wish."""
    if _is_service(weights, marks):
        return Kind.SERVICE
    if _is_advert(weights, marks):
        return Kind.OFFER
    if marks.answers:
        return Kind.PERSONAL
    if weights.words > _LONG or _is_editorial(weights.editorial):
        return Kind.NEWSLETTER
    if marks.discussed:
        return Kind.PERSONAL
    if marks.to_many or marks.role:
        return Kind.NEWSLETTER
    return Kind.SERVICE if marks.automatic else Kind.PERSONAL


def is_unlikely(weights: Weights) -> bool:
    """Whether what calls itself service or personal shows unmistakably that it is neither.

    An order number in its small print makes a sale no service mail.
    """
    advert, service = weights.advert, weights.service
    if advert.all < _UNMISTAKABLE:
        return False
    sells_first = advert.subject > service.subject and advert.all > _BESIDE * service.all
    return service.all == 0 or sells_first


def _is_advert(weights: Weights, marks: Marks) -> bool:
    least = min(_ADVERT_MOST, _ADVERT + weights.words / _ADVERT_EACH)
    if marks.answers or marks.discussed:
        # Friends write of offers and prices, too.
        least = max(least, _UNMISTAKABLE)
    elif not (marks.to_many or marks.role):
        if weights.advert.strong <= 1 and not _selling(marks):
            return False  # one word may be used in another sense
        least = max(least, 2 * _ADVERT)
    return weights.advert.all >= max(least, _OUTWEIGHS * weights.editorial.all)


def _is_service(weights: Weights, marks: Marks) -> bool:
    """Whether a thing that has happened is what it is about, more than what stands beside it."""
    service, advert = weights.service, weights.advert
    if service.strong == 0 or advert.subject >= service.subject > 0:
        return False
    if marks.to_many and not (service.subject or marks.automatic or marks.numbers):
        return False
    if marks.to_many:
        share = 1.0
    else:
        # A parcel on its way stays service mail with a shop window below.
        share = _BESIDE if service.subject >= _STRONG and advert.subject == 0 else _BELOW
    return service.all >= _SERVICE and share * service.all > advert.all


def _is_editorial(editorial: Weight) -> bool:
    return editorial.subject >= _STRONG or editorial.body >= 2 * _STRONG


def _weighed(sort: str, met: _Met, more: float = 0.0) -> Weight:
    strong = met.either.count(f"{sort}.strong")
    return Weight(_sum(sort, met.subject), _sum(sort, met.body) + more, strong)


def _meant(signs: frozenset[_Sign]) -> list[str]:
    return [meaning for meaning, _ in signs]


def _sum(sort: str, met: list[str]) -> float:
    """What distinct signs of one sort count, up to a bound."""
    if not met:
        return 0.0
    strong, weak = met.count(f"{sort}.strong"), met.count(f"{sort}.weak")
    return _STRONG * min(strong, _MOST_STRONG) + _WEAK * min(weak, _MOST_WEAK)
