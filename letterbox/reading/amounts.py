"""Amounts of money in a text: numbers with a currency beside them, however they are written."""

import re
from collections.abc import Iterator
from decimal import Decimal
from string import digits
from typing import Final, NamedTuple

_MAX_MARKS: Final = 300  # currency signs that are looked at

_SIGNS: Final = {"€": "EUR", "£": "GBP", "$": "$", "EUR": "EUR", "GBP": "GBP", "USD": "USD"}
_WORDS: Final = {"euro": "EUR", "Euro": "EUR", "EURO": "EUR", "euros": "EUR", "eur": "EUR"}
_DASHES: Final = "-\u2013\u2014"
# 12 · 12,95 · 12.95 · 1.299 · 1,299.00 · 1.299,00 · 12,- · 12,--
_AMOUNT: Final = rf"""
    (?P<whole>[0-9]{{1,3}}(?:\.[0-9]{{3}}){{1,2}}(?![0-9])
        | [0-9]{{1,3}}(?:,[0-9]{{3}}){{1,2}}(?![0-9])
        | [0-9]{{1,6}})
    (?:[.,](?P<cents>[0-9]{{2}})(?![0-9]) | [.,][ ]?[{_DASHES}]{{1,2}})?"""
_AFTER: Final = re.compile(rf"[ \t\u00a0]{{0,2}}{_AMOUNT}(?![0-9]|[.,][0-9])", re.VERBOSE)
_BEFORE: Final = re.compile(rf"(?<![0-9.,]){_AMOUNT}[ \t\u00a0]?\Z", re.VERBOSE)
_BARE: Final = re.compile(
    rf"(?<![0-9.,])(?P<whole>[0-9]{{1,5}}),[ ]?[{_DASHES}]{{1,2}}(?![0-9{_DASHES}])"
)
#: "van 89,95 voor 59,95": of two numbers said so, the second is the price.
_WAS_NOW: Final = re.compile(
    r"\bvan\s{1,3}([0-9]{1,5},[0-9]{2})\s{1,3}(?:nu\s{1,3})?voor\s{1,3}([0-9]{1,5},[0-9]{2})\b"
)
_BEHIND: Final = 14  # characters that an amount before its sign may take

# A bare dollar sign is that of twenty countries: it is the American one only where the mail says
# so, by a currency, the country's name, or a postal address with a state and its code.
_AMERICAN: Final = ("USD", "US$", "U.S.", "USA", "United States")
# Both begin with what is rare, and look back from there: in running text they are found several
# times as fast as from their first letters.
_ZIP_CODE: Final = re.compile(
    "[0-9][0-9]{4}(?:"
    + "|".join(f"(?<=[A-Z]{{2}}{between}[0-9]{{5}})" for between in (" ", "  ", ", ", ",  "))
    + r")(?:-[0-9]{4})?\b"
)
_OTHER: Final = ("CA", "A", "AU", "NZ", "C", "HK", "S", "SG", "R", "MX")
_OTHER_SIGN: Final = re.compile(
    r"\$(?:" + "|".join(rf"(?<=\b{country}\$)" for country in _OTHER) + ")"
)
_CODES: Final = ("CAD", "AUD", "NZD", "HKD", "SGD")
_OTHER_CODE: Final = re.compile(rf"\b(?:{'|'.join(_CODES)})\b")


class Amount(NamedTuple):
    """An amount, and where it stands. ``value`` is nothing where it may be read in two ways.

    ``currency`` is ``$`` for a bare dollar sign: which dollar that is, the text may say.
    """

    start: int
    end: int
    value: Decimal
    currency: str


def amounts_in(text: str) -> list[Amount]:
    """All amounts that have a currency, in their order."""
    # A digit at a time is found ten times as fast as any of them.
    return sorted(_amounts(text)) if any(digit in text for digit in digits) else []


def is_american(text: str) -> bool:
    """Whether a bare dollar sign means the dollar of the United States in this text."""
    named = any(name in text for name in _AMERICAN) or _ZIP_CODE.search(text)
    return bool(named) and not _is_of_another(text)


def _is_of_another(text: str) -> bool:
    """Whether the dollar of another country is named."""
    if _OTHER_SIGN.search(text):
        return True
    return any(code in text for code in _CODES) and _OTHER_CODE.search(text) is not None


def _amounts(text: str) -> Iterator[Amount]:
    taken: set[int] = set()
    for sign, currency in (_SIGNS | _WORDS).items():
        for at in places(text, sign):
            if sign.isalpha() and not _is_apart(text, at, at + len(sign)):
                continue
            named = "USD" if text[max(0, at - 2) : at] == "US" else currency
            if sign == "$" and named == "$" and text[at - 1 : at].isalpha():
                continue
            after = _AFTER.match(text, at + len(sign))
            if after and after.start("whole") not in taken:
                taken.add(after.start("whole"))
                yield Amount(at, after.end(), _decimal(after, currency), named)
                continue
            before = None if after else _BEFORE.search(text, max(0, at - _BEHIND), at)
            if before and before.start("whole") not in taken:
                taken.add(before.start("whole"))
                value = _decimal(before, currency)
                yield Amount(before.start(), at + len(sign), value, named)
    yield from _bare(text, taken)


def _bare(text: str, taken: set[int]) -> Iterator[Amount]:
    """Amounts in euros that Dutch shops write without a sign: ``12,-`` and ``van … voor …``."""
    for dash in _DASHES:
        for at in places(text, f",{dash}"):
            found = _BARE.search(text, max(0, at - 5), at + 3)
            if found and found.start("whole") not in taken:
                taken.add(found.start("whole"))
                value = Decimal(f"{found['whole']}.00")
                yield Amount(found.start(), found.end(), value, "EUR")
    for at in places(text, " voor "):
        found = _WAS_NOW.search(text, max(0, at - _BEHIND), at + 6 + _BEHIND)
        if found and found.start(2) not in taken:
            value = Decimal(found[2].replace(",", "."))
            yield Amount(found.start(2), found.end(2), value, "EUR")


def places(text: str, sign: str) -> Iterator[int]:
    """Where a sign stands in a text, up to a bound."""
    at = text.find(sign)
    for _ in range(_MAX_MARKS):
        if at < 0:
            return
        yield at
        at = text.find(sign, at + len(sign))


def _is_apart(text: str, start: int, end: int) -> bool:
    """Whether letters stand for themselves: no letter stands beside them."""
    return not text[start - 1 : start].isalpha() and not text[end : end + 1].isalpha()


def _decimal(found: re.Match[str], currency: str) -> Decimal:
    """The amount; nothing where its one sign may part thousands or cents (``€ 1,899``)."""
    whole = found["whole"]
    if found["cents"] is None and ("," if currency == "EUR" else ".") in whole:
        return Decimal(0)
    digits = whole.replace(".", "").replace(",", "")
    return Decimal(f"{digits}.{found['cents'] or '00'}")
