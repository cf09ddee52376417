"""Prices in running text: those that something costs, and no other amounts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterbox.reading.amounts import is_american
from letterbox.reading.prices import MAX_PRICES, discounts_in, prices_in


def prices(text: str) -> list[str]:
    return [str(asked.price) for asked in prices_in(text).asked]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        # how amounts are written
        ("Snoeischaar € 49,95", ["49.95 EUR"]),
        ("Snoeischaar €49.95", ["49.95 EUR"]),
        ("Pruner EUR 49.95", ["49.95 EUR"]),
        ("Pruner 49.95 EUR", ["49.95 EUR"]),
        ("voor 12 euro", ["12.00 EUR"]),
        ("Nu € 12,-", ["12.00 EUR"]),
        ("Nu 12,- per stuk", ["12.00 EUR"]),
        ("Nu € 12,\u2013 per stuk", ["12.00 EUR"]),
        ("Bank € 1.299,00", ["1299.00 EUR"]),
        ("Bank € 1.299", ["1299.00 EUR"]),
        ("Sofa £1,299.00", ["1299.00 GBP"]),
        ("Sofa £1,299", ["1299.00 GBP"]),
        ("Jacket $149.99, ships from Bend, OR 97702", ["149.99 USD"]),
        ("Jacket US$ 149.99", ["149.99 USD"]),
        # what may be read in two ways is left out
        ("Sofa €1,299", []),
        ("Jacket $149.99", []),
        ("Jacket $149.99 or CA$ 199, USA only", []),
        ("49,95", []),
        ("€ 49,9", []),
        ("€ 49,955", []),
        ("¥ 5000", []),
        ("neuro 5", []),
        # the price and what it was
        ("van € 89,95 voor € 59,95", ["59.95 EUR"]),
        ("van 89,95 voor 59,95", ["59.95 EUR"]),
        ("was £499, now only £199", ["199.00 GBP"]),
        ("£199 instead of £499", ["199.00 GBP"]),
        ("RRP £80. Our price £60", ["60.00 GBP"]),
        ("Enkellaars € 99,- € 39,-", ["39.00 EUR"]),
        ("Kussen € 39,- Dekbed € 99,-", ["39.00 EUR", "99.00 EUR"]),
        ("Small £3 £5 large", ["3.00 GBP", "5.00 GBP"]),
        # what is no price of a thing
        ("Gratis verzending vanaf 50 euro", []),
        ("Free delivery over £25", []),
        ("Verzendkosten € 4,95", []),
        ("Bespaar € 20 op alles", []),
        ("Save £10 today", []),
        ("€ 10 korting", []),
        ("£10 off your next order", []),
        ("Totaal: € 120,50", []),
        ("Total paid £20.00", []),
        ("Maak kans op € 500 shoptegoed", []),
        ("Win £1000!", []),
        ("Een cadeaubon van € 25", []),
        ("omzet van € 3 miljoen", []),
        ("Engineer, £41,000 to £48,000 a year", []),
        ("Salaris € 55.000 per jaar", []),
        ("We schrijven € 46,80 af", []),
        ("Schaar € 15 + € 3 statiegeld", ["15.00 EUR"]),
        ("Schaar € 15 incl. btw", ["15.00 EUR"]),
        ("Membership £60 a year", ["60.00 GBP"]),
        ("€ 0", []),
        ("Kussens £10 - £20", []),
        ("Kussens van € 10 tot € 20, plaid € 30", ["30.00 EUR"]),
        ("At prices under $3. US$", []),
        ("Rebate $100, USA", []),
        ("was £172.00 from £129.00", ["129.00 GBP"]),
        ("Win £500 or £1000", []),
        ("Huis te koop, vraagprijs € 325.000", ["325000.00 EUR"]),
        ("It would cost the state £400,000", []),
        ("Bruto maandsalaris: 4.650 euro", []),
        ("The average payment will be £61", []),
    ],
)
def test_what_is_asked(text, asked):
    assert prices(text) == asked


@pytest.mark.parametrize(
    ("text", "named", "reduced"),
    [
        ("Jacket $149.99", 1, 0),
        ("van € 89,95 voor € 59,95", 1, 1),
        ("was £172.00 from £129.00, was £52 from £39.50", 2, 2),
        ("€ 99,- € 39,-", 1, 1),
        ("Save £10", 0, 0),
    ],
)
def test_what_speaks_of_selling(text, named, reduced):
    found = prices_in(text)
    assert (found.named, found.reduced) == (named, reduced)


_ZIP_CODE = re.compile(r"[A-Z]{2},? {1,2}[0-9]{5}(?:-[0-9]{4})?\b")
_OTHERS = re.compile(r"\b(?:CA|A|AU|NZ|C|HK|S|SG|R|MX)\$|\b(?:CAD|AUD|NZD|HKD|SGD)\b")
PLACES = ("USA", "NY", "A", "C", "$", "CAD", "AUD", " ", "  ", ",", "1", "23456", "-7890", "\u00e9")


@given(st.lists(st.sampled_from(PLACES), max_size=12).map("".join))
def test_whose_dollar_it_is_reads_as_plainly_said(text):
    """The plain expressions are several times as slow."""
    named = "USA" in text or _ZIP_CODE.search(text)
    assert is_american(text) == (bool(named) and not _OTHERS.search(text))


def test_a_price_is_named_once_and_its_place_is_known():
    text = "Spade £42. Again: spade £42!"
    (asked,) = prices_in(text).asked
    assert text[asked.start : asked.end] == "£42"


def test_a_catalogue_is_read_up_to_its_bound():
    assert len(prices(" ".join(f"ding € {n},00;" for n in range(1, 200)))) == MAX_PRICES


@pytest.mark.parametrize("text", ["€" * 100_000, "€ 1 " * 50_000, ",-" * 100_000, "9" * 200_000])
def test_many_amounts_cost_little(text):
    assert len(prices(text)) <= 1


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("20% off", 1),
        ("20 % korting op alles", 1),
        ("Bespaar tot 30%", 1),
        ("save up to 50%", 1),
        ("10% off, then 20% off", 2),
        ("100% katoen", 0),
        ("4% inflation", 0),
        ("%", 0),
    ],
)
def test_discounts(text, times):
    assert discounts_in(text) == times
