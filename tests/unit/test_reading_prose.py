"""What undeclared mail says of itself in words: its kind, what it is about, what it asks."""

from datetime import date
from decimal import Decimal

import pytest

from letterbox.model.kind import Kind
from letterbox.model.message import Offer
from letterbox.model.money import Money
from letterbox.model.record import Declared
from tests.support.mails import html_mail, mail, proven
from tests.support.plain import reader

LIST = "List-Unsubscribe: <https://x.example/stop>"
REPLY = "In-Reply-To: <a@b.example>"
SALE = """Hello Anna,

Our spring sale has begun: 20% off all secateurs and loppers, while stocks last.
Bypass pruner: was £45, now £29.95. Hedge trimmer: was £99, now only £79.
Shop now at https://x.example/sale
"""
ORDER = """Hello Anna,

Thank you for your order. Order number: BB-30417.
1 x Bypass pruner £29.95, delivery £4.95, total £34.90. Paid by card ending 0066.
"""
FRIEND = "Hi Anna, are we still on for Saturday? Bring the kids, and the dog. Love, Jo"
ARTICLES = """In this issue: why moss grows, and what to do about it. Read more.

Our editor went to see the gardens of the north, a story in three parts. Continue reading.
Upcoming events, letters from our readers, and the column.
"""
UITVERKOOP = """Beste Anna,

Alleen deze week: 20% korting op alle snoeischaren, zolang de voorraad strekt.
Snoeischaar Felco, van € 49,95 voor € 39,95. Bestel nu en profiteer.
"""
BESTELLING = """Beste Anna,

Bedankt voor je bestelling. Bestelnummer: 4471-0928. Je pakket is onderweg en wordt morgen bezorgd.
"""


def read(body: str, *fields: str, declared: Declared | None = None):
    return reader().read(mail([*fields], body), proven(), declared=declared)


@pytest.mark.parametrize(
    ("body", "fields", "kind"),
    [
        (SALE, [], "offer"),
        (SALE, [LIST], "offer"),
        (SALE, ["Subject: Spring sale", LIST], "offer"),
        (UITVERKOOP, [], "offer"),
        (UITVERKOOP, [LIST], "offer"),
        # To seem an answer helps no advertising.
        (SALE, ["Subject: Re: your question", REPLY], "offer"),
        (ORDER, [], "service"),
        (ORDER, ["Subject: Your order BB-30417"], "service"),
        (ORDER, ["Auto-Submitted: auto-generated"], "service"),
        (BESTELLING, [], "service"),
        # A shop window below leaves it service mail, an order number below a sale does not.
        (ORDER + "Forgot the roller? Take 15% off brushes with code STEADY.", [], "service"),
        (SALE + "Quote order number: 12345.", ["Subject: Spring sale ends today"], "offer"),
        (ARTICLES, [LIST], "newsletter"),
        (ARTICLES, [], "newsletter"),
        (ARTICLES + "Advertisement: Payroll from £12 a month.", [LIST], "newsletter"),
        (FRIEND, [], "personal"),
        (FRIEND, [REPLY], "personal"),
        (FRIEND + " I sell my old pruner, £15.", [], "personal"),
        # Whoever writes to a list of others writes as a person.
        (FRIEND, ["Subject: [gardeners] Saturday", LIST], "personal"),
        (FRIEND, ["Subject: [greenleaf] Saturday", LIST], "newsletter"),
        (FRIEND + " To unsubscribe, write to stop@x.example.", [], "newsletter"),
        (FRIEND, ["Auto-Submitted: auto-generated"], "service"),
        ("", [], "personal"),
    ],
)
def test_kind(body, fields, kind):
    facts = read(body, *fields)
    assert (facts.kind, facts.kind_origin) == (kind, "read")


@pytest.mark.parametrize("label", ["service", "personal"])
@pytest.mark.parametrize("body", [SALE, UITVERKOOP])
def test_a_label_that_frees_from_wishes_counts_for_nothing_on_plain_advertising(label, body):
    assert read(body, f"Letterbox-Kind: {label}").kind is Kind.OFFER
    assert read(body, declared=Declared(kind=label)).kind is Kind.OFFER


@pytest.mark.parametrize("label", ["service", "personal"])
@pytest.mark.parametrize("body", [ORDER, BESTELLING, FRIEND, ARTICLES])
def test_a_label_counts_where_nothing_belies_it(label, body):
    for facts in (
        read(body, f"Letterbox-Kind: {label}"),
        read(body, declared=Declared(kind=label)),
    ):
        assert (facts.kind, facts.kind_origin) == (label, "declared")


@pytest.mark.parametrize("body", [SALE, ORDER])
@pytest.mark.parametrize("label", ["service", "personal"])
def test_what_a_vendor_offers_beside_such_a_label_is_an_offer(body, label):
    offer = Offer(origin="declared", title="Pruner")
    facts = read(body, declared=Declared(kind=label, offer=offer))
    assert (facts.kind, facts.offers) == (Kind.OFFER, (offer,))


@pytest.mark.parametrize("small", ["Your order number: 12345.", "Invoice 2312-77.", ""])
def test_small_print_makes_a_sale_no_service_mail(small):
    sale = SALE + "Use code SAVE50. Treat yourself, hurry, last chance! " + small
    fields = ("Subject: SALE! 50% off everything", "Letterbox-Kind: service")
    assert read(sale, *fields).kind is Kind.OFFER


# ---- what it is about -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "body", "main"),
    [
        ("Secateurs", SALE, "home-garden/garden-tools/pruning"),
        ("Snoeischaren", UITVERKOOP, "home-garden/garden-tools/pruning"),
        ("Jassen", "Winterjassen, regenjassen en parka's", "clothing/outerwear"),
        ("Hello", FRIEND, None),
        ("News", ARTICLES, None),
        # Clear evidence for two things far apart is none for one.
        ("Laptops and sofas", "A laptop, a notebook computer, a sofa and an armchair", None),
        # One word once is little.
        ("Hello", "We met at the laptop store.", None),
        # A language that is neither English nor Dutch is met as written alone.
        ("", "Der Wein und die Weine aus dem Keller sind rot, und das ist gut. " * 20, None),
    ],
)
def test_categories(subject, body, main):
    categories = read(body, f"Subject: {subject}").categories
    assert (categories.origin, next(iter(categories.ids), None)) == ("read", main)


def test_only_plenty_of_evidence_is_sure():
    some = read("Two pruners, a lopper and a hedge trimmer.")
    much = read(SALE + "Pruning saws, hedge shears, pruners, chainsaws.", "Subject: Secateurs")
    assert (some.categories.ids, some.categories.sure) == (
        ("home-garden/garden-tools/pruning",),
        False,
    )
    assert much.categories.sure


def test_a_sensitive_subject_is_named_beside_the_main_one():
    body = "Garden furniture, garden chairs and parasols. " + "For your mental health, " * 3
    body += "psychologists and therapists tell of depression and burnout."
    assert "health/mental" in read(body, "Subject: Garden chair, parasol").categories.ids


def test_headings_and_pictures_are_read():
    page = '<h1>Snoeischaren</h1><img src="x" alt="Heggenschaar en snoeizaag"><p>Hallo</p>'
    facts = reader().read(html_mail(page), proven())
    assert facts.categories.ids == ("home-garden/garden-tools/pruning",)


# ---- what it asks -----------------------------------------------------------------------------


def eur(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="EUR")


def test_each_price_is_an_offer_that_says_it_was_read():
    text = UITVERKOOP + "Heggenschaar € 79,-. Geldig t/m 14 juni."
    facts = read(text, "Date: Wed, 10 Jun 2026 09:00:00 +0200", LIST)
    until = date(2026, 6, 14)
    assert facts.offers == (
        Offer(origin="read", price=eur("39.95"), valid_until=until),
        Offer(origin="read", price=eur("79.00"), valid_until=until),
    )
    # A date that was read never ends an offer.
    assert [offer.last_day for offer in facts.offers] == [None, None]


def test_an_end_that_is_declared_counts_for_prices_that_are_read():
    (offer,) = read(UITVERKOOP, "Letterbox-Offer-Until: 2026-06-20").offers
    assert (offer.origin, offer.price) == ("read", eur("39.95"))
    assert offer.last_day == date(2026, 6, 20)


@pytest.mark.parametrize("body", [ORDER, FRIEND + " I sell my old pruner, £15."])
def test_what_was_bought_or_is_talked_about_is_not_on_offer(body):
    assert read(body).offers == ()
