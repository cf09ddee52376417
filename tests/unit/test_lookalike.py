"""Who looks like a vendor of the consumer's: names and domains, alike and merely similar."""

import pytest

from letterbox.model.address import fold_domain
from letterbox.wishes.lookalike import Known, Lookalikes
from tests.support.plain import domains

VENDORS = (
    Known("greenleaf", "Greenleaf Garden", ("Greenleaf Garden", "greenleaf"),
          ("greenleaf.example", "greenleaf-mail.example")),
    Known("voltshop", "Voltshop", ("Voltshop", "voltshop"), ("voltshop.example",)),
    Known("bol", "Bol", ("Bol", "bol"), ("bol.example",)),
    Known("creme", "Crème & Café", ("Crème & Café", "creme-cafe"), ("crème-café.example",)),
    Known("fiets", "De Fietsenwinkel", ("De Fietsenwinkel", "fiets-01"), ("fietsenwinkel.nl",)),
    Known("mail.bakker.nl", "mail.bakker.nl", (), ("mail.bakker.nl",)),
    Known("abc", "A B C", (), ("a-b-c.example",)),
    Known("kern", "Kernmarkt", ("Kernmarkt", "kern-01"), ("kernmarkt.nl",)),
    Known("pottery", "pottery.shops.example", (), ("pottery.shops.example",)),
)  # fmt: skip


def folded(domain: str) -> str:
    return fold_domain(domain) or domain


KNOWN = Lookalikes(
    [each._replace(domains=tuple(map(folded, each.domains))) for each in VENDORS],
    domains().organizational,
)

#: A display name, the vendor it shows; empty for none. The sender is strange.example.
NAMES = [
    ("Greenleaf Garden", "Greenleaf Garden"),
    ("greenleaf garden", "Greenleaf Garden"),
    ("GREENLEAF GARDEN", "Greenleaf Garden"),
    ("GreenleafGarden", "Greenleaf Garden"),
    ("Green leaf Garden", "Greenleaf Garden"),
    ("Green-Leaf, Garden!", "Greenleaf Garden"),
    ("The Greenleaf Garden team", "Greenleaf Garden"),
    ("Greenleaf klantenservice", "Greenleaf Garden"),
    ("Nieuws van Greenleaf", "Greenleaf Garden"),
    ("Gr\u0435\u0435nleaf Garden", "Greenleaf Garden"),  # Cyrillic
    ("Gre\u0435nleaf Support", "Greenleaf Garden"),
    ("\U0001d406reenleaf Garden", "Greenleaf Garden"),  # mathematical
    ("\uff27reenleaf Garden", "Greenleaf Garden"),  # full width
    ("Gréénleaf Gärden", "Greenleaf Garden"),
    ("Gr33nleaf Garden", "Greenleaf Garden"),
    ("Green\u3164leaf Garden", "Greenleaf Garden"),  # a letter that nobody sees
    ("Green\uffa0leaf\u115fGarden", "Greenleaf Garden"),
    ("VoItshop", "Voltshop"),  # a capital i
    ("V0ltshop", "Voltshop"),
    ("V\u03bfltshop", "Voltshop"),  # Greek
    ("Vo1tshop", "Voltshop"),
    ("VVebshop Voltshop", "Voltshop"),
    ("Voltshop | uw bestelling", "Voltshop"),
    ("Creme & Cafe", "Crème & Café"),
    ("CRÈME CAFÉ", "Crème & Café"),
    ("De Fietsenwinkel", "De Fietsenwinkel"),
    ("De Fietsen Winkel", "De Fietsenwinkel"),
    ("Kemmarkt", "Kernmarkt"),  # rn and m
    ("Bol", "Bol"),
    ("B0L", "Bol"),
    ("voltshop.example", "Voltshop"),
    ("service via www.voltshop.example", "Voltshop"),
    ("bol.example", "Bol"),
    ("De bakker (mail.bakker.nl)", "mail.bakker.nl"),
    ("Bol Bakkerij", ""),  # too short within others
    ("Symbol", ""),
    ("Garden", ""),
    ("Garden Greenhouse", ""),
    ("Green Garden", ""),
    ("Greenleafs Gardening", ""),
    ("Volt Energie", ""),
    ("Fietsenwinkels Nederland", ""),
    ("Café Central", ""),
    ("Jan de Vries", ""),
    ("", ""),
    ("...", ""),
    ("Вода", ""),
]

#: A domain, and the vendor it is confused with; empty for none.
DOMAINS = [
    ("greenleaf.test", "Greenleaf Garden"),
    ("greenleaf.nl", "Greenleaf Garden"),
    ("greenleaf.co.uk", "Greenleaf Garden"),
    ("news.greenleaf.test", "Greenleaf Garden"),
    ("greenleafs.example", "Greenleaf Garden"),
    ("greenlef.example", "Greenleaf Garden"),
    ("greenlaef.example", "Greenleaf Garden"),
    ("greenleaf1.example", "Greenleaf Garden"),
    ("gr3enleaf.example", "Greenleaf Garden"),
    ("green-leaf.example", "Greenleaf Garden"),
    ("gr\u0435enleaf.example", "Greenleaf Garden"),
    ("gr\u0435\u0435nl\u0435af.example", "Greenleaf Garden"),
    ("gréénleaf.example", "Greenleaf Garden"),
    ("greenleaf-sale.example", "Greenleaf Garden"),
    ("secure-greenleaf.test", "Greenleaf Garden"),
    ("my-greenleaf-account.test", "Greenleaf Garden"),
    ("greenleaf.example.evil.test", "Greenleaf Garden"),
    ("login.greenleaf.example.evil.test", "Greenleaf Garden"),
    ("xn--greenlea-vg39b.example", "Greenleaf Garden"),  # a full-width f, which IDNA forbids
    ("xn--greenlaf-h8g.example", "Greenleaf Garden"),
    ("xn--99999999.example", ""),
    ("a-b-c.test", "A B C"),
    ("a-b-d.test", ""),  # three letters are too few
    ("v0ltshop.example", "Voltshop"),
    ("v\u03bfltsh\u03bfp.example", "Voltshop"),
    ("vo1tshop.nl", "Voltshop"),
    ("voltshopp.nl", "Voltshop"),
    ("bol.test", "Bol"),
    ("b0l.test", "Bol"),
    ("creme-cafe.example", "Crème & Café"),
    ("fietsenvvinkel.nl", "De Fietsenwinkel"),
    ("fietsenwinkel.be", "De Fietsenwinkel"),
    ("kemmarkt.nl", "Kernmarkt"),
    ("bakker.be", "mail.bakker.nl"),
    ("strange.example", ""),
    ("greenhouse.example", ""),
    ("leafgreen.example", ""),
    ("greenfield.example", ""),
    ("greenleafgarden.example", ""),
    ("bolo.test", ""),
    ("bol-shop.test", ""),
    ("winkel.nl", ""),
    ("volt.example", ""),
    ("voltshops-and-more.example", ""),
    ("bakkerij.nl", ""),
    ("other.bakker.nl", ""),
    ("weaving.shops.example", ""),  # a platform's other tenant
    ("mail.greenleaf.example", ""),
    ("bol.example", ""),
]


@pytest.mark.parametrize(("name", "vendor"), NAMES)
def test_a_display_name(name: str, vendor: str) -> None:
    flags = KNOWN.flags((name,), "strange.example", "strange.example")
    assert [flag.code for flag in flags] == ["lookalike-name"] * bool(vendor)
    assert [flag.facts["resembles"] for flag in flags] == [vendor] * bool(vendor)


@pytest.mark.parametrize(("domain", "vendor"), DOMAINS)
def test_a_domain(domain: str, vendor: str) -> None:
    flags = KNOWN.flags(("",), folded(domain), "somebody")
    assert [flag.code for flag in flags] == ["lookalike-domain"] * bool(vendor)
    assert [flag.facts["resembles"] for flag in flags] == [vendor] * bool(vendor)


def test_an_internationalised_domain_is_shown_in_both_forms() -> None:
    (flag,) = KNOWN.flags(("",), folded("gr\u0435enleaf.example"), "somebody")
    assert flag.facts["domain"] == "gr\u0435enleaf.example (xn--grenleaf-d8g.example)"
    assert flag.facts["theirs"] == "greenleaf.example"


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda each: each.id)
def test_a_vendor_never_looks_like_itself(vendor: Known) -> None:
    for domain in map(folded, vendor.domains):
        for name in (vendor.name, *vendor.names, domain):
            assert KNOWN.flags((name,), domain, vendor.id) == ()
            assert KNOWN.flags((name,), f"news.{domain}", domain) == ()
    for name in vendor.names:  # under a domain that the consumer does not know it by
        assert KNOWN.flags((name,), "elsewhere.test", vendor.id) == ()


def test_who_knows_nobody_takes_nobody_for_another() -> None:
    nobody = Lookalikes((), domains().organizational)
    assert nobody.flags(("Greenleaf Garden",), "greenleaf.test", "x") == ()


def test_a_mailbox_at_a_provider_is_no_lookalike_by_its_domain() -> None:
    """Else everybody with a mailbox at gmail.com would look like a shop called ``email``."""
    known = domains()
    vendors = [Known("email", "E-Mail Post", ("E-Mail Post", "email"), ("email.example",))]
    shop = Lookalikes(vendors, known.organizational, known.is_mailbox_provider)
    assert shop.flags(["Jan de Vries"], "gmail.com", "jan@gmail.com") == ()
    (flag,) = shop.flags(["E-Mail Post"], "gmail.com", "jan@gmail.com")
    assert flag.code == "lookalike-name"
    assert shop.flags(["Jan de Vries"], "gmai1.example", "gmai1.example") != ()
