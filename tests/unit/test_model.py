"""What the model's types take and what they do not."""

import re
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterbox.model.address import fold_domain
from letterbox.model.money import Money
from letterbox.model.preferences import Interest, Window

AMOUNTS = {
    "0": "0 EUR",
    "0.000001": "0.000001 EUR",
    "10.50": "10.50 EUR",
    "999999999.999999": "999999999.999999 EUR",
}
NO_AMOUNTS = (
    "-0.01",
    "1000000000",
    "0.0000001",
    "1E-900000000",
    "0E-900000000",
    "0E+900000000",
    "1E+400",
    "NaN",
    "Infinity",
)


@pytest.mark.parametrize(("written", "shown"), AMOUNTS.items())
def test_an_amount_is_shown_as_it_was_written(written, shown):
    document = f'{{"amount": "{written}", "currency": "EUR"}}'.encode()
    assert str(msgspec.json.decode(document, type=Money)) == shown


@pytest.mark.parametrize("written", NO_AMOUNTS)
def test_an_amount_beyond_bounds_is_refused_however_short_it_is(written):
    document = f'{{"amount": "{written}", "currency": "EUR"}}'.encode()
    with pytest.raises(msgspec.ValidationError, match="below a billion, with six decimals"):
        msgspec.json.decode(document, type=Money)
    with pytest.raises(ValueError, match="below a billion"):
        Money(amount=Decimal(written), currency="EUR")


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        (Interest, {"id": "garden"}),
        (Interest, {"id": "x", "regions": ["NL"]}),
        (Interest, {"id": "x", "regions": ["NL-NH"]}),
        (Interest, {"id": "x", "max_price": {"amount": "1", "currency": "EUR"}}),
        (Window, {"from": "09:00", "until": "24:00"}),
        (Window, {"from": "23:59", "until": "00:00"}),
    ],
)
def test_a_word_with_a_line_end_behind_it_is_another(kind, document):
    written = msgspec.json.encode(document)
    assert msgspec.json.decode(written, type=kind)
    for end in (b"\\n", b"\\r", b"\\u2028", b" "):
        for spoilt in _spoilt(written, end):
            with pytest.raises(msgspec.ValidationError):
                msgspec.json.decode(spoilt, type=kind)


def _spoilt(written: bytes, end: bytes) -> list[bytes]:
    """The document with ``end`` behind each text that a pattern speaks of."""
    texts = re.finditer(rb'(?<=[:\[])"(?!1")[^"]+(?=")', written)
    return [written[: text.end()] + end + written[text.end() :] for text in texts]


def test_digits_of_a_time_are_those_a_clock_shows():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"from": "0\u0669:00", "until": "24:00"}, Window)


NAMES = {
    "Letterbox.Example.": "letterbox.example",
    "straße.example": "xn--strae-oqa.example",
    "STRASSE.example": "strasse.example",
    "Bücher.example": "xn--bcher-kva.example",
    "Bu\u0308cher.example": "xn--bcher-kva.example",
    "βόλος.example": "xn--nxasmm1c.example",
    "例え.テスト": "xn--r8jz45g.xn--zckzah",
    "\u2603.example": None,  # a snowman was a letter in 2003
    "a_b.b\u00fc.example": None,
    "b\u00fc..example": None,
    "b\u00fc-.example": None,
    "א1a.example": None,  # two directions in one label (RFC 5893)
    "b\u00fc" * 40 + ".example": None,
    "\u00ad" * 3000 + "b\u00fc.example": None,
    "\ud800.example": None,
    "": None,
}


@pytest.mark.parametrize(("written", "folded"), NAMES.items())
def test_domains_are_folded_as_their_owners_registered_them(written, folded):
    assert fold_domain(written) == folded


@given(st.text(max_size=80))
def test_a_folded_domain_stays_as_it_is(text):
    folded = fold_domain(text)
    if folded is not None:
        assert fold_domain(folded) == folded
        assert folded.isascii()
        assert len(folded) <= 253
