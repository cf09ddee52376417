"""Prices in a text, where they are unmistakably what something costs.

Only an amount with a currency beside it is looked at, and only where the words around it do not
make it something else: what sending costs, what is saved, what must be spent, a total, a prize.
Whatever is unsure is left out: a price that is not there lets an offer pass, a wrong one shuts it
out.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import islice, pairwise
from typing import Final, Literal, NamedTuple

import msgspec

from letterbox.model.fold import fold
from letterbox.model.money import Money
from letterbox.reading.amounts import Amount, amounts_in, is_american, places
from letterbox.reading.words import word_set

#: Distinct prices that are kept: a mail that names more is a catalogue.
MAX_PRICES: Final = 20
_AROUND: Final = 60  # characters before and after an amount whose words count

_SENTENCE_END: Final = re.compile(r"[.!?;](?=\s)|\n\s*\n")
_CLAUSE_END: Final = re.compile(r"[,:|()\u2022]|\s[-\u2013\u2014]\s")
_WORD: Final = re.compile(r"[a-z0-9%]+")


# Words before an amount, in its clause, that make it something else than a price: sending, ...
_NO_PRICE: Final = word_set(
    "verzendkosten verzending bezorgkosten bezorging verzonden bezorgd portokosten"
    " thuisbezorgd shipping delivery postage delivered administratiekosten servicekosten"
    # ... what must be spent, ...
    " besteding besteed besteden bestedingen bestelling bestellingen aankoop aankopen orders"
    " spend spending purchase purchases minimum minimaal over boven above limiet limit under"
    " onder below less"
    # ... what was or will be paid, ...
    " totaal totaalbedrag subtotaal total subtotal bedrag betalen saldo amount balance due"
    " paid betaald btw vat tax factuurbedrag incasso afgeschreven schrijven incasseren rekenen"
    " daaronder charged borg deposit statiegeld refund terugbetaald terugbetaling boete fine"
    " budget"
    # ... what is given, won or earned, ...
    " waarde twv worth value waardebon cadeaubon cadeaukaart tegoedbon tegoed voucher vouchers"
    " coupon giftcard card credit prijzenpot win winnen wint prize jackpot cashback salaris"
    " salary loon verdien verdienen verdient earn omzet revenue opbrengst opgehaald raised"
    " donate doneer donatie donation rebate rebates bill bills payment payments betaling"
    " betalingen termijn premie saldo kas opleverde"
)
# ... what is saved, ...
_SAVED: Final = word_set(
    "korting kortingen spaar spaart bespaar bespaart bespaard besparing voordeel save saves"
    " saving savings discount discounts extra"
)
# ... and what it did cost.
_OLD: Final = word_set(
    "van was adviesprijs normaal normaliter oude oud ipv rrp normally originally usually"
    " regular regularly list msrp waren voorheen eerst winkelwaarde winkelprijs"
)
#: What an amount follows that is none by itself: what it did cost, or a part of a sum.
_NOT_ALONE: Final = (
    "instead of ", "rather than ", "in plaats van ", "i.p.v. ", "down from ", "reduced from ",
    "afgeprijsd van ", "compare at ", "worth of ", "t.w.v. ", "t.o.v. ", "+ ",
)  # fmt: skip
#: After these it is the new price again.
_NEW: Final = word_set("voor nu now for only slechts maar just actieprijs sale today our onze")
# Words straight after an amount that make it something else.
_NO_PRICE_AFTER: Final = word_set(
    "deposit aanbetaling korting off discount voordeel cashback tegoed credit voucher"
    " vouchers waardebon cadeaubon cadeaukaart card giftcard verzendkosten bezorgkosten"
    " shipping delivery postage besteding shoptegoed winkeltegoed goedkoper cheaper saving"
    " savings besparing bespaard saved rebate rebates miljoen million mln miljard billion bn m"
    " k duizend thousand minimum btw vat"
)
_WITH_OR_WITHOUT: Final = word_set("excl exclusief incl inclusief excluding including ex plus inc")
_PERCENT_OFF: Final = re.compile(
    r"(?i)[0-9]{1,2} ?% ?(?:off\b|(?:extra )?korting|(?:extra )?discount|voordeel|goedkoper|sale)"
    r"|(?:save|bespaar|korting)(?: up to| tot)? [0-9]{1,2} ?%"
)
_MORE: Final = word_set("more meer above over")
_NEAR_BEFORE: Final = 7  # words
_NEAR_AFTER: Final = 2


_A_YEAR: Final = re.compile(r"(?i)\b(?:a|per) (?:year|annum|jaar)\b")
_TO: Final = re.compile(r"(?i)\s{0,3}(?:[-\u2013\u2014]|to|tot|t/m)\s{0,3}")
_LARGE: Final = Decimal(10_000)  # from here on a price must be said to be one
_JOINED: Final = re.compile(r"(?i)[\s,]{0,3}(?:or|of|and|en|&)?\s{0,3}")
#: A large amount is a price only after one of these, or after words for a new price.
_SAID: Final = word_set(
    "price prices prijs prijzen vraagprijs koopprijs vanaf from asking kost costs"
)
_NO_PRICE_ENDS: Final = ("salaris", "loon", "kosten", "belasting", "bedrag", "korting")
_CLOSE: Final = 8  # characters between an old price and the new one


class Asked(NamedTuple):
    """A price a text asks, and where it stands."""

    price: Money
    start: int
    end: int


class Prices(msgspec.Struct, frozen=True):
    """What a text says of prices.

    ``asked`` are the distinct prices it unmistakably asks, in their order, at most
    ``MAX_PRICES``; ``named`` counts those of unsure dollars, too, and ``reduced`` the old prices
    beside new ones.
    """

    asked: tuple[Asked, ...] = ()
    named: int = 0
    reduced: int = 0


def prices_in(text: str) -> Prices:
    """Look at every amount of a text."""
    amounts = amounts_in(text)
    american = any(each.currency == "$" for each in amounts) and is_american(text)
    asked: dict[Money, Asked] = {}
    named: set[tuple[str, Decimal]] = set()
    reduced = 0
    for nth, amount in enumerate(amounts):
        sense = _sense(text, amounts[max(0, nth - 1) : nth], amount, amounts[nth + 1 : nth + 2])
        reduced += sense == "old"
        if sense == "price":
            named.add((amount.currency, amount.value))
            if amount.currency != "$" or american:
                price = Money(amount=amount.value, currency=amount.currency.replace("$", "USD"))
                asked.setdefault(price, Asked(price, amount.start, amount.end))
        if len(named) == MAX_PRICES:
            break
    return Prices(asked=tuple(asked.values()), named=len(named), reduced=reduced)


def discounts_in(text: str) -> int:
    """How often a part of the price is taken off, up to ``MAX_PRICES``: ``20 % korting``."""
    return sum(
        bool(_PERCENT_OFF.search(text, max(0, at - _AROUND // 3), at + _AROUND // 3))
        for at in islice(places(text, "%"), MAX_PRICES)
    )


def _sense(
    text: str, before: Sequence[Amount], amount: Amount, after: Sequence[Amount]
) -> Literal["price", "old", "other"]:
    """What an amount is, by the words and the amounts around it."""
    if not amount.value or _is_range(text, [*before, amount, *after]) or _is_pay(text, amount):
        return "other"
    if any(_is_struck(text, amount, lower) for lower in after):
        return "old"
    left = text[max(0, amount.start - _AROUND) : amount.start]
    for other in before:
        # What stands before another amount speaks of that, unless both are said in one breath.
        between = text[other.end : amount.start]
        if other.end > amount.start - _AROUND and not _JOINED.fullmatch(between):
            left = between
    return _sense_of(fold(left), fold(text[amount.end : amount.end + _AROUND]), amount.value)


def _sense_of(left: str, right: str, value: Decimal) -> Literal["price", "old", "other"]:
    if left.endswith(_NOT_ALONE):
        return "old"
    words = _clause_before(left)
    new = max((nth for nth, word in enumerate(words) if word in _NEW), default=-1)
    if not _OLD.isdisjoint(words[new + 1 :]):
        return "old"
    # "Save now £10" is no price, "save £10 now £45" is one.
    saved = max((nth for nth, word in enumerate(words) if word in _SAVED), default=-1)
    if not _NO_PRICE.isdisjoint(words) or (saved >= 0 and new - saved < _NEAR_AFTER):
        return "other"
    if any(word.endswith(_NO_PRICE_ENDS) for word in words):
        return "other"
    if value >= _LARGE and _NEW.isdisjoint(words) and _SAID.isdisjoint(words):
        return "other"
    return "price" if _is_price_before(right) else "other"


def _is_price_before(right: str) -> bool:
    """Whether what follows an amount leaves it a price."""
    following = _WORD.findall(_SENTENCE_END.split(right)[0])[:_NEAR_AFTER]
    if following and following[0] in _WITH_OR_WITHOUT:
        return True
    if len(following) > 1 and following[0] in {"or", "of", "en", "and"}:
        return following[1] not in _MORE
    return _NO_PRICE_AFTER.isdisjoint(following)


def _is_struck(text: str, amount: Amount, after: Amount) -> bool:
    """Whether an amount is the old price: a lower one stands straight after it."""
    between = text[amount.end : after.start]
    is_lower = after.currency == amount.currency and 0 < after.value < amount.value
    return is_lower and between.isspace() and len(between) < _CLOSE


def _is_range(text: str, neighbours: Sequence[Amount]) -> bool:
    """Whether one amount leads to the next: of ``£10 to £20`` neither need be the price."""
    gaps = (text[one.end : other.start] for one, other in pairwise(neighbours))
    return any(_TO.fullmatch(gap) for gap in gaps)


def _is_pay(text: str, amount: Amount) -> bool:
    """Whether an amount is what somebody earns: so much a year."""
    return amount.value >= _LARGE and bool(_A_YEAR.search(text, amount.end, amount.end + _AROUND))


def _clause_before(left: str) -> list[str]:
    """The words before an amount that speak of it: those of its clause, or of the one before."""
    sentence = _SENTENCE_END.split(left)[-1]
    for clause in reversed(_CLAUSE_END.split(sentence)):
        if words := _WORD.findall(clause):
            return words[-_NEAR_BEFORE:]
    return []
