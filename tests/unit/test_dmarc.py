"""DMARC: the tree walk, alignment, policies, and domains by the public suffix list."""

import re
from pathlib import Path

import pytest

from letterbox.identity.dmarc import Dmarc, Policy, read_policy, walk_names
from letterbox.identity.domains import Domains
from letterbox.model.address import fold_domain
from tests.support.shared import SHARED, shared
from tests.support.signing import Zone

PROVIDERS = (Path(__file__).parents[2] / "config" / "mailbox_providers.toml").read_bytes()


@pytest.fixture(scope="module")
def domains() -> Domains:
    return Domains(PROVIDERS)


RECORDS = [
    (b"v=DMARC1; p=reject", Policy(p="reject", sp="reject", np="reject")),
    (b" v = DMARC1 ;p=NONE ; sp=quarantine;", Policy(p="none", sp="quarantine", np="quarantine")),
    (
        b"v=DMARC1;p=reject;sp=none;np=reject;adkim=s;aspf=s;psd=n;t=y",
        Policy(p="reject", sp="none", np="reject", adkim="s", aspf="s", psd="n", testing=True),
    ),
    (b"v=DMARC1", Policy()),
    (b"v=DMARC1; p=maybe; rua=mailto:a@b.example", Policy()),
    (b"v=DMARC1; p=reject; p=none; pct=0; nonsense", Policy(p="reject", sp="reject", np="reject")),
    (b"v=DMARC1; p=reject; psd=y", Policy(p="reject", sp="reject", np="reject", psd="y")),
    (b"p=reject; v=DMARC1", None),
    (b"v=dmarc1; p=reject", None),
    (b"v=DMARC10; p=reject", None),
    (b"v=spf1 -all", None),
    (b"", None),
    (b"\xff\xfe", None),
]


@pytest.mark.parametrize(("text", "policy"), RECORDS)
def test_records(text, policy) -> None:
    assert read_policy(text) == policy


WALKS = [
    ("example", ["example"]),
    ("a.example", ["a.example", "example"]),
    (
        "a.b.c.d.e.f.g.example",
        [
            "a.b.c.d.e.f.g.example",
            "b.c.d.e.f.g.example",
            "c.d.e.f.g.example",
            "d.e.f.g.example",
            "e.f.g.example",
            "f.g.example",
            "g.example",
            "example",
        ],
    ),
    (
        "1.2.3.4.a.b.c.d.e.f.g.example",
        [
            "1.2.3.4.a.b.c.d.e.f.g.example",
            "b.c.d.e.f.g.example",
            "c.d.e.f.g.example",
            "d.e.f.g.example",
            "e.f.g.example",
            "f.g.example",
            "g.example",
            "example",
        ],
    ),
]


@pytest.mark.parametrize(("domain", "names"), WALKS)
def test_the_walk_takes_eight_steps_at_most(domain, names) -> None:
    assert list(walk_names(domain)) == names


def zone(records: dict[str, str]) -> Zone:
    return Zone({f"_dmarc.{name}": {"TXT": [text]} for name, text in records.items()})


P, N, Y, S = (
    "v=DMARC1; p=reject",
    "v=DMARC1; psd=n",
    "v=DMARC1; psd=y; p=reject",
    "v=DMARC1; adkim=s",
)

# published records, domain, its organizational domain
HOMES = [
    ({}, "news.shop.example", "shop.example"),
    ({}, "a.b.shop.co.uk", "shop.co.uk"),
    ({}, "shop.github.io", "shop.github.io"),
    ({"shop.example": P}, "news.shop.example", "shop.example"),
    ({"news.shop.example": P}, "news.shop.example", "news.shop.example"),
    ({"news.shop.example": P, "shop.example": P}, "a.news.shop.example", "shop.example"),
    ({"news.shop.example": N, "shop.example": P}, "a.news.shop.example", "news.shop.example"),
    ({"news.shop.example": N}, "news.shop.example", "news.shop.example"),
    ({"bank": Y}, "a.b.shop.bank", "shop.bank"),
    ({"shop.bank": P, "bank": Y}, "a.b.shop.bank", "shop.bank"),
    ({"hotels.example": Y}, "hotels.example", "hotels.example"),
    ({"hotels.example": Y}, "a.ritz.hotels.example", "ritz.hotels.example"),
    # what stands on a public suffix does not join its neighbours, unless it says psd=n
    ({"co.uk": P}, "news.shop.co.uk", "shop.co.uk"),
    ({"github.io": P}, "one.github.io", "one.github.io"),
    ({"github.io": N}, "one.github.io", "github.io"),
    ({"com": P}, "news.shop.com", "shop.com"),
]


@pytest.mark.parametrize(("records", "domain", "home"), HOMES)
async def test_organizational_domains(domains, records, domain, home) -> None:
    assert await Dmarc(zone(records), domains, domain).organizational(domain) == home


ALIGNED = [
    ({}, "shop.example", "shop.example", True),
    ({}, "shop.example", "news.shop.example", True),
    ({}, "news.shop.example", "shop.example", True),
    ({}, "a.shop.example", "b.shop.example", True),
    ({}, "shop.example", "notshop.example", False),
    ({}, "shop.example", "evil.example", False),
    ({}, "shop.example", "example", False),
    ({}, "a.co.uk", "b.co.uk", False),
    ({}, "a.co.uk", "co.uk", False),
    ({}, "one.github.io", "two.github.io", False),
    ({"shop.example": S}, "shop.example", "shop.example", True),
    ({"shop.example": S}, "shop.example", "news.shop.example", False),
    ({"shop.example": S}, "news.shop.example", "shop.example", False),
    ({"news.shop.example": S, "shop.example": P}, "shop.example", "news.shop.example", True),
    ({"news.shop.example": N}, "shop.example", "news.shop.example", False),
    ({"news.shop.example": N}, "news.shop.example", "shop.example", False),
    ({"hotels.example": Y}, "ritz.hotels.example", "savoy.hotels.example", False),
    ({"hotels.example": Y}, "ritz.hotels.example", "a.ritz.hotels.example", True),
]


@pytest.mark.parametrize(("records", "author", "other", "yes"), ALIGNED)
async def test_alignment(domains, records, author, other, yes) -> None:
    assert await Dmarc(zone(records), domains, author).aligned(other, "dkim") is yes


async def test_spf_has_its_own_mode(domains) -> None:
    dmarc = Dmarc(zone({"shop.example": "v=DMARC1; aspf=s"}), domains, "shop.example")
    assert await dmarc.aligned("news.shop.example", "dkim")
    assert not await dmarc.aligned("news.shop.example", "spf")


WISHES = [
    ({}, "shop.example", None),
    ({"shop.example": P}, "shop.example", "reject"),
    ({"shop.example": P}, "news.shop.example", "reject"),
    ({"shop.example": "v=DMARC1; p=reject; sp=none; np=none"}, "news.shop.example", "none"),
    ({"shop.example": "v=DMARC1; p=none; np=reject"}, "gone.shop.example", "reject"),
    ({"shop.example": "v=DMARC1; p=none; np=reject"}, "there.shop.example", "none"),
    ({"shop.example": P + "; t=y"}, "shop.example", "quarantine"),
    ({"shop.example": "v=DMARC1; p=quarantine; t=y"}, "shop.example", "none"),
    ({"bank": Y}, "shop.bank", "reject"),
    ({"bank": P}, "shop.bank", None),
    ({"news.shop.example": P}, "shop.example", None),
]


@pytest.mark.parametrize(("records", "author", "wish"), WISHES)
async def test_wishes(domains, records, author, wish) -> None:
    published = zone(records)
    published.records["there.shop.example"] = {"A": ["192.0.2.1"]}
    assert await Dmarc(published, domains, author).wish() == wish


async def test_several_records_are_none(domains) -> None:
    published = Zone({"_dmarc.shop.example": {"TXT": [P, P, "other"]}})
    assert await Dmarc(published, domains, "shop.example").wish() is None


async def test_work_is_bounded(domains) -> None:
    author = ".".join(["x"] * 100) + ".shop.example"
    published = zone({})
    dmarc = Dmarc(published, domains, author)
    await dmarc.aligned("y." * 100 + "shop.example", "dkim")
    await dmarc.wish()
    assert len(published.asked) == len(set(published.asked)) <= 16  # two walks of eight


@pytest.mark.parametrize("labels", [1, 2, 7, 8, 9, 30])
async def test_one_walk_asks_eight_questions_at_most(domains, labels) -> None:
    """RFC 9989, section 4.10: the name itself, and then from its last seven labels upwards."""
    name = ".".join([f"n{n}" for n in range(labels - 1)] + ["example"])
    published = zone({})
    await Dmarc(published, domains, name).organizational(name)
    assert published.asked == [(f"_dmarc.{each}", "TXT") for each in walk_names(name)]
    assert len(published.asked) == min(labels, 8)


async def test_a_walk_ends_where_a_record_says_so(domains) -> None:
    published = zone({"shop.example": N, "example": P})
    home = await Dmarc(published, domains, "a.shop.example").organizational("a.shop.example")
    assert home == "shop.example"
    assert [name for name, _ in published.asked] == ["_dmarc.a.shop.example", "_dmarc.shop.example"]


PSL = SHARED / "vectors" / "psl-tests.txt"


def test_the_public_suffix_vectors(domains) -> None:
    text = shared("vectors/psl-tests.txt").read_text(encoding="utf-8")
    cases = re.findall(r"^checkPublicSuffix\('([^']+)', (?:'([^']+)'|null)\);", text, re.MULTILINE)
    checked = 0
    for name, wanted in cases:
        folded = fold_domain(name)
        if folded is None:  # a leading dot makes no domain
            continue
        wanted_folded = fold_domain(wanted) if wanted else folded
        assert domains.organizational(folded) == wanted_folded, name
        assert domains.is_public_suffix(folded) is not bool(wanted), name
        checked += 1
    assert checked > 70


@pytest.mark.parametrize(
    ("domain", "yes"),
    [
        ("gmail.com", True),
        ("mail.gmail.com", True),
        ("ziggo.nl", True),
        ("notgmail.com", False),
        ("greenleaf.example", False),
        ("com", False),
    ],
)
def test_mailbox_providers(domains, domain, yes) -> None:
    assert domains.is_mailbox_provider(domain) is yes
