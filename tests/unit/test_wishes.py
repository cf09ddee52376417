"""Wishes compiled: what is counted, periods, the taxonomy and words."""

import tracemalloc
from datetime import UTC, date, datetime

import pytest

from letterbox.model.kind import Kind
from letterbox.model.sender import VendorRef
from letterbox.reading.words import MAX_TEXT, TextWords, fold, forms, keyword, split
from letterbox.wishes import lookup, quotas_for, read_taxonomy
from tests.support.plain import NOW, ROOT, address, taxonomy, wishes_from

GREENLEAF = VendorRef(id="greenleaf", name="Greenleaf", registered=True)

# ---- limits -------------------------------------------------------------------------------

LIMITED = wishes_from(
    timezone="Europe/Amsterdam",
    limit={"messages": 20, "per": "month"},
    vendor=[
        {
            "vendor": "greenleaf",
            "limit": {"messages": 2, "per": "week", "kinds": ["offer"]},
            "service_limit": {"messages": 9, "per": "day"},
            "until": "2026-11-30",
        }
    ],
)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            Kind.OFFER,
            [
                ("usage/with/greenleaf/week/offer/2026-W48", 2, "2026-11-29T23:00"),
                ("usage/all/month/newsletter+offer+personal/2026-11", 20, "2026-11-30T23:00"),
            ],
        ),
        (
            Kind.NEWSLETTER,
            [("usage/all/month/newsletter+offer+personal/2026-11", 20, "2026-11-30T23:00")],
        ),
        (
            Kind.SERVICE,
            [("usage/with/greenleaf/day/service/2026-11-23", 9, "2026-11-23T23:00")],
        ),
    ],
)
def test_what_a_delivery_counts_towards(kind, expected):
    counted = quotas_for(LIMITED, LIMITED.vendors["greenleaf"], kind, NOW)
    assert [(c.counter, c.quota.messages, f"{c.ends:%Y-%m-%dT%H:%M}") for c in counted] == expected


def test_a_relationship_that_is_over_limits_nothing():
    after = datetime(2026, 12, 1, 12, tzinfo=UTC)
    counted = quotas_for(LIMITED, LIMITED.vendors["greenleaf"], Kind.OFFER, after)
    assert [entry.quota.scope for entry in counted] == ["all"]


def test_a_vendor_called_all_is_not_all_vendors():
    wishes = wishes_from(
        limit={"messages": 1, "per": "day"},
        vendor=[{"vendor": "all", "limit": {"messages": 1, "per": "day"}}],
    )
    counted = quotas_for(wishes, wishes.vendors["all"], Kind.OFFER, NOW)
    assert len({entry.counter for entry in counted}) == 2


@pytest.mark.parametrize(
    ("zone", "per", "at", "key", "ends"),
    [
        ("Europe/Amsterdam", "day", "2026-11-23T22:59", "2026-11-23", "2026-11-23T23:00"),
        ("Europe/Amsterdam", "day", "2026-11-23T23:00", "2026-11-24", "2026-11-24T23:00"),
        # 25 hours long, and 23.
        ("Europe/Amsterdam", "day", "2026-10-24T22:00", "2026-10-25", "2026-10-25T23:00"),
        ("Europe/Amsterdam", "day", "2026-03-28T23:00", "2026-03-29", "2026-03-29T22:00"),
        ("Europe/Amsterdam", "week", "2026-12-31T12:00", "2026-W53", "2027-01-03T23:00"),
        ("Europe/Amsterdam", "week", "2027-01-03T23:00", "2027-W01", "2027-01-10T23:00"),
        ("Europe/Amsterdam", "month", "2026-12-31T22:59", "2026-12", "2026-12-31T23:00"),
        ("Europe/Amsterdam", "month", "2028-02-29T22:59", "2028-02", "2028-02-29T23:00"),
        # Midnight itself is skipped: the day begins at one o'clock.
        ("Africa/Cairo", "day", "2026-04-23T12:00", "2026-04-23", "2026-04-23T22:00"),
        # Midnight comes twice: the day begins the first time.
        ("America/Havana", "day", "2026-10-31T12:00", "2026-10-31", "2026-11-01T04:00"),
        ("America/Havana", "day", "2026-11-01T04:30", "2026-11-01", "2026-11-02T05:00"),
        # A date that never was: Samoa went from the 29th to the 31st.
        ("Pacific/Apia", "day", "2011-12-30T09:59", "2011-12-29", "2011-12-30T10:00"),
        ("Pacific/Apia", "day", "2011-12-30T10:00", "2011-12-31", "2011-12-31T10:00"),
    ],
)
def test_periods(zone, per, at, key, ends):
    instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    period = wishes_from(timezone=zone).times.period(per, instant)
    assert (period.key, f"{period.ends:%Y-%m-%dT%H:%M}") == (key, ends)
    assert period.ends.tzinfo is UTC


# ---- relationships ------------------------------------------------------------------------


def test_the_most_particular_relationship_counts():
    wishes = wishes_from(
        vendor=[
            {"domain": "greenleaf.example"},
            {"domain": "a.greenleaf.example"},
            {"vendor": "greenleaf"},
            {"address": "tom@greenleaf.example"},
        ]
    )

    def key(vendor, domain, author):
        ref = VendorRef(id=vendor, name=vendor, registered=False)
        found = lookup(wishes, ref, (domain,), address(author))
        return found.key if found else None

    assert key("greenleaf", "a.greenleaf.example", "Tom+x@greenleaf.example") == (
        "tom@greenleaf.example"
    )
    assert key("greenleaf", "a.greenleaf.example", "x@greenleaf.example") == "greenleaf"
    assert key("?", "b.a.greenleaf.example", "x@y.example") == "a.greenleaf.example"
    assert key("?", "b.greenleaf.example", "x@y.example") == "greenleaf.example"
    assert key("?", "nogreenleaf.example", "x@y.example") is None
    assert key("?", "example", "x@y.example") is None


def test_names_are_compared_without_case_and_in_their_wire_form():
    wishes = wishes_from(vendor=[{"domain": "Bücher.example"}, {"vendor": "GreenLeaf"}])
    book = VendorRef(id="xn--bcher-kva.example", name="", registered=False)
    assert lookup(wishes, book, ("xn--bcher-kva.example",), address("a@b.example")) is not None
    assert lookup(wishes, GREENLEAF, ("x.example",), address("a@b.example")) is not None


# ---- the taxonomy -------------------------------------------------------------------------


def test_the_taxonomy_that_is_shipped():
    tree = taxonomy()
    assert len(tree.nodes) >= 80
    assert all(node.en and node.nl for node in tree.nodes.values())
    assert tree.nodes["travel"].name("nl") == "Reizen"
    assert tree.nodes["travel"].name("fr") == "Travel"
    branches = {node.id for node in tree.nodes.values() if node.sensitive}
    assert branches == {
        "health",
        "religion",
        "politics",
        "sexuality",
        "union-membership",
        "ethnicity",
    }


@pytest.mark.parametrize(
    ("ids", "sensitive"),
    [
        (["health"], True),
        (["health/medicines"], True),
        (["travel", "health/not-known-yet"], True),
        (["healthy"], False),
        (["travel/flights"], False),
        ([], False),
    ],
)
def test_sensitive_branches(ids, sensitive):
    assert taxonomy().is_sensitive(ids) is sensitive


def test_covering_and_guessing():
    tree = taxonomy()
    assert "home-garden/garden-tools/pruning" in tree.covers("home-garden")
    assert "home-garden" not in tree.covers("home-garden/garden-tools")
    assert tree.covers("unheard-of") == {"unheard-of"}
    assert tree.nearest("home-garden/garden-tool") == "home-garden/garden-tools"
    assert tree.nearest("Garden tools") == "home-garden/garden-tools"
    assert tree.nearest("zzzzzz") is None


@pytest.mark.parametrize(
    ("nodes", "mistake"),
    [
        ('{ id = "a/b", en = "", nl = "" }', "a/b needs a before it"),
        ('{ id = "a", en = "", nl = "" }, { id = "a", en = "", nl = "" }', "a stands there twice"),
        ('{ id = "A b", en = "", nl = "" }', "nodes"),
        ('{ id = "a", en = "" }', "nl"),
        ('{ id = "a", en = "", nl = "", de = "" }', "de"),
    ],
)
def test_a_mistake_in_the_taxonomy_is_named(nodes, mistake):
    with pytest.raises(ValueError, match=mistake):
        read_taxonomy(f"nodes = [{nodes}]".encode())


# ---- words --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("Hello, World!", ["hello", "world"]),
        ("snake_case and kebab-case", ["snake", "case", "and", "kebab", "case"]),
        ("foto's, Foto’s", ["fotos", "fotos"]),  # noqa: RUF001 - a typographic apostrophe is the case
        ("Crème\u00adbrûlée\u200b €12,50", ["cremebrulee", "12", "50"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("e\u0301te\u0301", ["ete"]),
        ("A\u2014B\u00a0C", ["a", "b", "c"]),
        ("ﬁne Ｗｉｄｅ", ["fine", "wide"]),  # noqa: RUF001 - letters in disguise are the case
        ("lone \ud800 surrogate", ["lone", "surrogate"]),
        ("日本語 ok", ["日本語", "ok"]),
    ],
)
def test_words_of_a_text(text, words):
    assert split(text) == words


@pytest.mark.parametrize(
    ("wanted", "text", "has"),
    [
        ("pruner", "two PRUNERS", True),
        ("pruners", "a pruner", True),
        ("snoeischaar", "scherpe snoeischaren", True),
        ("aanbieding", "Aanbiedingen!", True),
        ("running shoes", "a running shoe", True),
        ("running shoe", "shoe running", False),
        ("a a b", "a b a a b", True),
        ("a a b", "a b a b", False),
        ("to be or not to be", "whether to be or not to be", True),
        ("be", "bee", False),
        ("!!", "!!", False),
        ("cafe", "Café", True),
        ("Café", "cafe", True),
        ("50", "€ 12,50", True),
    ],
)
def test_keywords(wanted, text, has):
    words = TextWords(text)
    assert words.has(keyword(wanted)) is has
    assert words.has(keyword(wanted)) is has  # what was kept gives the same


def test_stems_of_two_languages_do_not_meet():
    assert all(form.startswith(("en:", "nl:")) for form in forms("Running") - {"running"})
    assert forms("x" * 300) == {"x" * 300}


def test_text_beyond_the_bound_is_left():
    assert not TextWords("a " * (MAX_TEXT // 2) + "pruner").has(keyword("pruner"))


def test_endless_words_are_not_kept():
    wanted = keyword("pruner")
    tracemalloc.start()
    try:
        for nth in range(20):
            plain, accented = f"{nth}" + "x" * 100_000, f"é{nth}" + "x" * 100_000
            assert not TextWords(f"{plain} {accented}").has(wanted)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


def test_folding_keeps_spaces_and_signs():
    assert fold("Black & Décker") == "black & decker"


def test_wishes_of_the_example_compile():
    wishes = wishes_from(
        interest=[{"id": "a", "categories": ["travel"], "from": "2026-03-01", "regions": ["NL"]}]
    )
    (interest,) = wishes.interests.each
    assert "travel/flights" in interest.categories
    assert interest.from_ == date(2026, 3, 1)
    assert (ROOT / "config" / "taxonomy.toml").exists()
