"""What a message is and what it offers, as far as its proven sender stands behind it."""

import base64
import binascii
import json
from datetime import date
from decimal import Decimal

import pytest

from letterbox.model.kind import Kind
from letterbox.model.message import Message, Offer
from letterbox.model.money import Money
from letterbox.model.record import Declared
from letterbox.reading.facts import Reader
from letterbox.reading.mail import Limits, Mail
from letterbox.reading.structured import MAX_OFFERS, category_path, understand_markup
from letterbox.reading.words import keyword
from tests.support.mails import alternatives, html_mail, mail, proven
from tests.support.plain import reader, taxonomy

PRUNER = {
    "@context": "https://schema.org",
    "@type": "Product",
    "name": "Pruner",
    "brand": {"@type": "Brand", "name": "Felco"},
    "category": "Home & Garden > Garden Tools",
    "keywords": "snoeien, tuin",
    "offers": {
        "@type": "Offer",
        "price": "49.95",
        "priceCurrency": "EUR",
        "validFrom": "2026-11-01",
        "priceValidUntil": "2026-11-30T23:59:59+01:00",
        "eligibleRegion": {"@type": "Country", "name": "NL"},
    },
}
FELCO = Offer(
    origin="structured",
    title="Pruner",
    brand="Felco",
    price=Money(amount=Decimal("49.95"), currency="EUR"),
    region="NL",
    keywords=("snoeien", "tuin"),
    valid_from=date(2026, 11, 1),
    valid_until=date(2026, 11, 30),
)


def marked_up(document: object, *fields: str) -> Mail:
    return html_mail(
        f'<p>Hi</p><script type="application/ld+json">{json.dumps(document)}</script>', *fields
    )


# ---- kind -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "kind", "origin"),
    [
        ([], "personal", "read"),
        (["List-Unsubscribe: <https://x.example>"], "newsletter", "read"),
        (["List-Id: <news.x.example>"], "newsletter", "read"),
        (["Feedback-ID: 1:2:3:x"], "newsletter", "read"),
        (["Precedence: bulk"], "newsletter", "read"),
        (["Precedence: LIST"], "newsletter", "read"),
        (["Precedence: first-class"], "personal", "read"),
        (["Auto-Submitted: auto-generated"], "service", "read"),
        (["Auto-Submitted: auto-replied; owner-email=x"], "service", "read"),
        (["Auto-Submitted: no"], "personal", "read"),
        (["Auto-Submitted: NO (really)"], "service", "read"),
        (["Auto-Submitted: auto-generated", "List-Id: <x>"], "newsletter", "read"),
        (["Letterbox-Kind: offer"], "offer", "declared"),
        (["Letterbox-Kind:  Service "], "service", "declared"),
        (
            ["Letterbox-Kind: newsletter", "Auto-Submitted: auto-generated"],
            "newsletter",
            "declared",
        ),
        (["Letterbox-Kind: personal", "List-Id: <x>"], "personal", "declared"),
        (["Letterbox-Kind: service", "List-Id: <x>"], "newsletter", "read"),
        (["Letterbox-Kind: service", "Precedence: bulk"], "newsletter", "read"),
        (["Letterbox-Kind: service", "Solicitation: com.example:ADV"], "offer", "declared"),
        (["Letterbox-Kind: nonsense"], "personal", "read"),
        (["Letterbox-Kind: offer", "Letterbox-Kind: service"], "personal", "read"),
        (["Solicitation: com.example:ADV"], "offer", "declared"),
        (["Solicitation: com.example:ADV", "List-Id: <x>"], "offer", "declared"),
        (["Letterbox-Kind: newsletter", "Solicitation: com.example:ADV"], "newsletter", "declared"),
    ],
)
def test_kind_from_the_header(fields, kind, origin):
    facts = reader().read(mail(fields, "Hi"), proven())
    assert (facts.kind, facts.kind_origin) == (kind, origin)


@pytest.mark.parametrize(
    ("how", "signed", "fields", "kind"),
    [
        ("dkim", ["letterbox-kind"], ["Letterbox-Kind: offer"], "offer"),
        ("dkim", ["from"], ["Letterbox-Kind: offer"], "personal"),
        ("spf", [], ["Letterbox-Kind: offer"], "personal"),
        ("spf", [], ["Solicitation: com.example:ADV"], "personal"),
        ("key", [], ["Letterbox-Kind: offer"], "offer"),
        ("dkim", ["list-id"], ["List-Id: <x>"], "newsletter"),
        ("dkim", ["from"], ["List-Id: <x>"], "personal"),
        ("spf", [], ["List-Id: <x>"], "newsletter"),
        ("dkim", ["letterbox-kind"], ["Letterbox-Kind: service", "List-Id: <x>"], "service"),
        ("dkim", ["letterbox-kind", "list-id"], ["Letterbox-Kind: service", "List-Id: <x>"],
         "newsletter"),
        ("dkim", ["letterbox-kind"], ["Letterbox-Kind: offer"] * 2, "personal"),
    ],
)  # fmt: skip
def test_a_field_counts_only_where_the_sender_stands_behind_it(how, signed, fields, kind):
    assert reader().read(mail(fields), proven(how, *signed)).kind == kind


@pytest.mark.parametrize(
    ("document", "fields", "kind"),
    [
        (PRUNER, [], "offer"),
        (PRUNER, ["List-Id: <x>"], "offer"),
        (PRUNER, ["Letterbox-Kind: service"], "offer"),
        ({"@type": "DiscountOffer", "description": "10% off"}, [], "offer"),
        ({"@type": "Product", "name": "Pruner"}, [], "personal"),
        ({"@type": "Product", "price": 5, "priceCurrency": "EUR"}, [], "offer"),
        ({"@type": "Order", "acceptedOffer": PRUNER["offers"]}, [], "personal"),
        ({"@type": "Order", "offers": PRUNER["offers"]}, ["Auto-Submitted: yes"], "service"),
        ({"@type": "Organization", "name": "Shop"}, ["List-Id: <x>"], "newsletter"),
    ],
)
def test_kind_from_markup(document, fields, kind):
    assert reader().read(marked_up(document, *fields), proven()).kind == kind


def test_what_is_declared_beside_the_message_comes_first():
    offer = Offer(origin="declared", title="Mower")
    facts: Message = reader().read(
        marked_up(PRUNER, "Letterbox-Kind: offer", "Letterbox-Category: a/b"),
        proven(),
        declared=Declared(kind="newsletter", categories=("c/d",), offer=offer),
    )
    assert (facts.kind, facts.kind_origin) == (Kind.NEWSLETTER, "declared")
    assert facts.categories.ids == ("c/d",)
    assert facts.offers == (offer,)


def test_a_declaration_that_states_nothing_changes_nothing():
    facts = reader().read(marked_up(PRUNER), proven(), declared=Declared(kind="nonsense"))
    assert (facts.kind, facts.offers) == (Kind.OFFER, (FELCO,))


# ---- categories -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "ids", "origin"),
    [
        (mail(["Letterbox-Category: home-garden/plants"]), ("home-garden/plants",), "declared"),
        (mail(["Letterbox-Category: Pets/Dogs ,health,, "]), ("pets/dogs", "health"), "declared"),
        (mail(["Letterbox-Category: pets/dogs, Pets/Dogs"]), ("pets/dogs",), "declared"),
        (mail(["Letterbox-Category: pets/dogs/leads"]), ("pets/dogs",), "declared"),
        (mail(["Letterbox-Category: nonsense"]), (), "read"),
        (mail(["Letterbox-Category: pets", "Letterbox-Category: travel"]), (), "read"),
        (mail(), (), "read"),
        (marked_up(PRUNER), ("home-garden/garden-tools",), "structured"),
        (marked_up({**PRUNER, "category": "Nonsense > Pets"}), (), "read"),
        (marked_up(PRUNER, "Letterbox-Category: pets"), ("pets",), "declared"),
        (marked_up(PRUNER, "Letterbox-Category: a"), ("home-garden/garden-tools",), "structured"),
    ],
)
def test_categories(message, ids, origin):
    categories = reader().read(message, proven()).categories
    assert (categories.ids, categories.origin) == (ids, origin)


FOREIGN = {"google:1604": "clothing", "Apparel & Accessories > Shoes": "clothing/shoes"}


@pytest.mark.parametrize(
    ("message", "ids"),
    [
        (mail(["Letterbox-Category: google:1604"]), ("clothing",)),
        (mail(["Letterbox-Category: google:5, google:1604, pets"]), ("clothing", "pets")),
        (marked_up({**PRUNER, "category": "Apparel & Accessories > Shoes"}), ("clothing/shoes",)),
        (marked_up({**PRUNER, "category": ["google:1604", "Pets"]}), ("clothing", "pets")),
        # What is an id of ours is meant so, whatever others call so.
        (marked_up({**PRUNER, "category": "Pets > Dogs > Leads"}), ("pets/dogs",)),
    ],
)
def test_labels_of_other_taxonomies_mean_categories_of_ours(message, ids):
    knowing = Reader(taxonomy=taxonomy(), ours=FOREIGN.get)
    assert knowing.read(message, proven()).categories.ids == ids


def test_an_unsigned_category_is_ignored():
    facts = reader().read(mail(["Letterbox-Category: a"]), proven("dkim", "from"))
    assert facts.categories.ids == ()


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("Home & Garden > Garden Tools", "home-garden/garden-tools"),
        ("home-garden/plants", "home-garden/plants"),
        ("Café > Crème", "cafe/creme"),
        (" > ", ""),
        ("https://x.example/category", ""),
    ],
)
def test_categories_are_written_as_paths(text, path):
    assert category_path(text) == path


# ---- offers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        PRUNER,
        [PRUNER],
        {"@graph": [{"@type": "Organization"}, PRUNER]},
        {"@type": "ItemList", "itemListElement": [{"@type": "ListItem", "item": PRUNER}]},
        {"@type": "WebPage", "mainEntity": PRUNER},
        {**PRUNER, "offers": [PRUNER["offers"]]},
        {**PRUNER, "@type": ["Product", "Thing"]},
        {**PRUNER, "@type": "https://schema.org/Product"},
        {**PRUNER, "offers": {k: v for k, v in PRUNER["offers"].items() if k != "@type"}},
        {**PRUNER["offers"], "itemOffered": {k: v for k, v in PRUNER.items() if k != "offers"}},
    ],
)
def test_an_offer_is_found_however_it_is_nested(document):
    assert reader().read(marked_up(document), proven()).offers == (FELCO,)


EURO_10 = Money(amount=Decimal(10), currency="EUR")


@pytest.mark.parametrize(
    ("markup", "price"),
    [
        ({"price": 10, "priceCurrency": "EUR"}, EURO_10),
        ({"price": "10.00", "priceCurrency": "EUR"}, EURO_10),
        ({"price": "10,00", "priceCurrency": "EUR"}, EURO_10),
        ({"price": 10.0, "priceCurrency": "EUR"}, EURO_10),
        ({"lowPrice": 10, "highPrice": 20, "priceCurrency": "EUR"}, EURO_10),
        ({"priceSpecification": {"price": 10, "priceCurrency": "EUR"}}, EURO_10),
        ({"priceSpecification": [{}, {"price": 10, "priceCurrency": "EUR"}]}, EURO_10),
        ({"price": 10}, None),
        ({"price": 10, "priceCurrency": "euro"}, None),
        ({"price": "free", "priceCurrency": "EUR"}, None),
        ({"price": "1,000.00", "priceCurrency": "EUR"}, None),
        ({"price": "1.000,00", "priceCurrency": "EUR"}, None),
        ({"price": -1, "priceCurrency": "EUR"}, None),
        ({"price": 10**12, "priceCurrency": "EUR"}, None),
        ({"price": "1e5", "priceCurrency": "EUR"}, None),
        ({"price": True, "priceCurrency": "EUR"}, None),
        ({"price": [10], "priceCurrency": "EUR"}, None),
        ({"price": None, "priceCurrency": None}, None),
    ],
)
def test_prices(markup, price):
    (offer,) = reader().read(marked_up({"@type": "Offer", **markup}), proven()).offers
    assert offer.price == price


@pytest.mark.parametrize(
    ("markup", "facts"),
    [
        ({"validThrough": "2026-12-01"}, {"valid_until": date(2026, 12, 1)}),
        ({"availabilityEnds": "2026-12-01T00:00:00Z"}, {"valid_until": date(2026, 12, 1)}),
        ({"availabilityStarts": "2026-12-01"}, {"valid_from": date(2026, 12, 1)}),
        ({"validThrough": "soon"}, {}),
        ({"validThrough": "2026-02-30"}, {}),
        ({"validThrough": 20261201}, {}),
        ({"areaServed": "nl"}, {"region": "NL"}),
        ({"areaServed": ["NL"]}, {"region": "NL"}),
        ({"areaServed": ["NL", "BE"]}, {}),
        ({"areaServed": "Europe"}, {}),
        ({"brand": "Felco"}, {"brand": "Felco"}),
        ({"brand": {"name": ["Felco"]}}, {"brand": "Felco"}),
        ({"brand": {"name": {"name": 1}}}, {}),
        ({"name": "a\r\nb\u202e"}, {"title": "a b"}),
        ({"keywords": ["a", "b, c"]}, {"keywords": ("a", "b", "c")}),
        ({"keywords": ","}, {}),
    ],
)
def test_other_facts_of_an_offer(markup, facts):
    (offer,) = reader().read(marked_up({"@type": "Offer", **markup}), proven()).offers
    assert offer == Offer(origin="structured", **facts)


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        ("utf-8", "7bit"),
        ("utf-8", "quoted-printable"),
        ("utf-8", "base64"),
        ("utf-7", "7bit"),
        ("utf-7", "quoted-printable"),
        ("utf-16-le", "base64"),
        ("utf-16-le", "quoted-printable"),
    ],
)
def test_markup_is_read_however_it_is_written(charset, encoding):
    page = f'<script type="application/ld+json">{json.dumps(PRUNER)}</script>'.encode(charset)
    if encoding == "base64":
        page = base64.encodebytes(page)
    elif encoding == "quoted-printable":
        page = binascii.b2a_qp(page).replace(b"+", b"=2B")
        assert b"+" not in page
    written = mail(
        [f"Content-Type: text/html; charset={charset}", f"Content-Transfer-Encoding: {encoding}"],
        page,
    )
    (offer,) = reader().read(written, proven()).offers
    assert offer == FELCO


def test_a_declared_end_beats_the_one_in_markup():
    until = "Letterbox-Offer-Until: 2026-12-05"
    (offer,) = reader().read(marked_up(PRUNER, until), proven()).offers
    assert (offer.brand, offer.valid_until) == ("Felco", date(2026, 12, 5))
    assert reader().read(mail([until]), proven()).offers == (
        Offer(origin="declared", valid_until=date(2026, 12, 5)),
    )
    assert reader().read(mail([until]), proven("spf")).offers == ()
    assert reader().read(mail(["Letterbox-Offer-Until: soon"]), proven()).offers == ()


@pytest.mark.parametrize(
    "script",
    [
        b"",
        b"{",
        b"null",
        b'"Offer"',
        b"[" * 100_000,
        b'{"offers":' * 100_000,
        b"[" * 900 + b"]" * 900,
        b'{"@type": "Offer", "price": ' + b"9" * 5000 + b"}",
        b'{"@type": "Thing", "price": 1e999999999}',
        b'{"@type": {"@type": "Offer"}, "offers": 5}',
        b'{"@type": "Offer", "name": "' + b"x" * 200_000 + b'"}',
        b"\xff\xfe",
    ],
)
def test_hostile_markup_offers_nothing_and_harms_nothing(script):
    offers = understand_markup([script]).offers
    assert [offer.price for offer in offers] in ([], [None])


def test_markup_is_read_up_to_its_bounds():
    offer = {"@type": "Offer", "name": "x"}
    many = json.dumps([offer] * 1000).encode()
    assert len(understand_markup([many]).offers) == MAX_OFFERS
    assert understand_markup([json.dumps([{}] * 6000 + [offer]).encode()]).offers == ()
    assert len(understand_markup([json.dumps(offer).encode()] * 100).offers) == 10


# ---- text -------------------------------------------------------------------------------------

LONG = "A long text alternative says everything that the HTML says. " * 5


@pytest.mark.parametrize(
    ("message", "present", "absent"),
    [
        (mail(body="tuin"), ["tuin"], []),
        (html_mail("<style>geheim</style><p>tuin&shy;schaar</p>"), ["tuinschaar"], ["geheim"]),
        (alternatives(LONG, "<p>tuin</p>"), ["everything"], ["tuin"]),
        (alternatives("Read this in HTML.", "<p>tuin</p>"), ["read", "tuin"], []),
        (mail(["Subject: =?utf-8?q?tuin?="], "leeg"), ["tuin", "leeg"], []),
        (
            mail(["Content-Type: text/plain", "Content-Disposition: attachment"], "tuin"),
            [],
            ["tuin"],
        ),
        (mail(["Content-Type: application/pdf"], "tuin"), [], ["tuin"]),
        (mail(["Content-Type: message/rfc822"], "Subject: x\n\ntuin"), [], ["tuin"]),
        (
            mail(["Content-Type: text/html; charset=utf-16-le"], "<p>tuin</p>".encode("utf-16-le")),
            ["tuin"],
            [],
        ),
    ],
)
def test_words_are_those_that_a_reader_sees(message, present, absent):
    words = reader().read(message, proven()).words
    assert [word for word in present if not words.has(keyword(word))] == []
    assert [word for word in absent if words.has(keyword(word))] == []


def test_a_list_footer_does_not_stand_for_the_html_before_it():
    message = mail(
        ["Content-Type: multipart/mixed; boundary=b"],
        "--b\nContent-Type: text/html\n\n<p>tuin</p>\n--b\n\n" + LONG + "\n--b--",
    )
    assert reader().read(message, proven()).words.has(keyword("tuin"))


def test_text_is_read_up_to_its_limit():
    small = Limits(text_chars=10, html_bytes=30)
    assert reader(small).read(mail(body="x" * 100), proven()).text == "x" * 10
    html = html_mail("<p>" + "y" * 100)
    assert reader(small).read(html, proven()).text.strip() == "y" * 9
    both = alternatives("short", "<p>" + "z" * 100)
    assert len(reader(small).read(both, proven()).text) <= 10


def test_pages_without_text_share_one_limit():
    page = "--b\nContent-Type: text/html\n\n" + "<!-- -->" * 10 + "\n"
    body = page * 3 + "--b\nContent-Type: text/html\n\n<p>tuin</p>\n--b--"
    message = mail(["Content-Type: multipart/mixed; boundary=b"], body)
    assert reader().read(message, proven()).text.split() == ["tuin"]
    assert reader(Limits(html_bytes=200)).read(message, proven()).text.split() == []


@pytest.mark.parametrize(
    ("signed", "counts"), [(("from", "subject"), True), (("from",), False)], ids=["signed", "not"]
)
def test_a_subject_that_nobody_signed_is_shown_and_counts_for_nothing(signed, counts):
    letter = mail(["From: a@b.example", "Subject: Pruners with 20 % discount"], "See you\n")
    facts = reader().read(letter, proven("dkim", *signed))
    assert facts.subject == "Pruners with 20 % discount"
    assert facts.words.has(keyword("pruner")) is counts
