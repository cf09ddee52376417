"""The categories that are shipped: their tree, their names and their search words."""

from collections import defaultdict
from itertools import pairwise

import pytest

from letterbox.reading.words import forms, split, stems
from letterbox.wishes import read_taxonomy
from tests.support.plain import taxonomy

SENSITIVE = {"health", "religion", "politics", "sexuality", "union-membership", "ethnicity"}


def is_leaf(node):
    return taxonomy().covers(node.id) == {node.id}


def stem(language, word):
    """A search word as a mail's words meet it."""
    return tuple(stems(split(word), language))


def related(ids):
    """Whether they lie on one way down the tree."""
    ordered = sorted(ids, key=len)
    return all(below.startswith(f"{above}/") for above, below in pairwise(ordered))


def test_there_are_about_two_hundred_with_both_names():
    nodes = taxonomy().nodes.values()
    assert 180 <= len(nodes) <= 230
    assert all(node.en.strip() and node.nl.strip() for node in nodes)


def test_a_category_stands_after_the_one_above_it():
    seen = set()
    for name in taxonomy().nodes:
        parent = name.rpartition("/")[0]
        assert not parent or parent in seen
        seen.add(name)


def test_the_first_ids_are_still_there():
    first = {
        "home-garden/garden-tools/pruning", "electronics/gaming", "clothing/sportswear",
        "food-drink/meal-boxes", "travel/car-hire", "sports-outdoors/fitness",
        "books-media/magazines", "children-toys/baby", "beauty/hair", "pets/food",
        "hobby/collecting", "events/days-out", "vehicles/parts", "finance/insurance",
        "services/property", "charity", "health/mental", "ethnicity",
    }  # fmt: skip
    assert first <= taxonomy().nodes.keys()


def test_sensitive_branches_are_marked_at_their_top():
    tree = taxonomy()
    assert {node.id for node in tree.nodes.values() if node.sensitive} == SENSITIVE
    assert tree.is_sensitive(["sexuality/dating"])
    assert not tree.is_sensitive(["beauty/wellness"])


@pytest.mark.parametrize("language", ["en", "nl"])
def test_every_category_has_search_words(language):
    for node in taxonomy().nodes.values():
        words = getattr(node.words, language)
        assert (4 if is_leaf(node) else 2) <= len(words) <= 36, node.id
        stems = [stem(language, word) for word in words]
        assert len(set(stems)) == len(stems), f"{node.id} says a word twice"
        assert all(stems), node.id


@pytest.mark.parametrize("language", ["en", "nl"])
def test_no_search_word_stands_in_two_branches(language):
    standing = defaultdict(set)
    for node in taxonomy().nodes.values():
        for word in getattr(node.words, language):
            standing[stem(language, word)].add(node.id)
    assert {word: ids for word, ids in standing.items() if not related(ids)} == {}


@pytest.mark.parametrize(
    ("language", "word", "category"),
    [
        ("en", "pruners", "home-garden/garden-tools/pruning"),
        ("nl", "snoeischaren", "home-garden/garden-tools/pruning"),
        ("nl", "tuinstoelen", "home-garden/garden-furniture"),
        ("nl", "grasmaaiers", "home-garden/garden-tools/mowers"),
        ("en", "red wines", "food-drink/wine-beer/wine"),
        ("en", "dentists", "health/dental"),
        ("nl", "vakbonden", "union-membership"),
    ],
)
def test_inflected_words_are_met(language, word, category):
    words = getattr(taxonomy().nodes[category].words, language)
    assert stem(language, word) in {stem(language, known) for known in words}


# What any mail may say, in one language or the other.
EVERYDAY = """
account active again book bank card choice click conditions cookie customer cycle date deal deck
different easy elect email enjoy file fit floor free friend govern help hospitality human invoice
kit leg light link more news now offer online open order out pay petite please polite price
privacy product protest pump quick sale save set ship shop short sign size smoke spirit start sweet
terms thanks tight time today train update visit watch Wed week welcome well win year
aan aanbieding actief afval bericht bestelling bezorgen dag deel druk echt factuur gaar gezond
graag huur kans klant klik korting kosten kopen levering link meer mooi nieuw nu onze over prijs
product retour schoon taal thuis toeslag tot trouw uit vandaag verhuur voorstel vrucht week
welkom winkel zon zomer
"""


@pytest.mark.parametrize("word", EVERYDAY.split())
def test_what_any_mail_may_say_is_no_search_word(word):
    said = forms(word)
    met = [
        (node.id, known)
        for node in taxonomy().nodes.values()
        for known in (*node.words.en, *node.words.nl)
        if len(parts := split(known)) == 1 and not said.isdisjoint(forms(parts[0]))
    ]
    assert met == []


def test_unknown_fields_are_refused():
    with pytest.raises(ValueError, match="de"):
        read_taxonomy(b'nodes = [{ id = "a", en = "", nl = "", words = { de = ["x"] } }]')
