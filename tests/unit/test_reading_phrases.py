"""Phrases looked for all at once, and the tables they come from."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterbox.configuration import shipped
from letterbox.reading.kinds import MEANINGS, sign_entries
from letterbox.reading.phrases import Entry, Phrases, languages_of
from letterbox.reading.signs import read_signs
from letterbox.reading.topics import topic_entries
from letterbox.reading.words import (
    LANGUAGES,
    TextWords,
    Vocabulary,
    Words,
    forms,
    keyword,
    split,
    stems,
)
from tests.support.plain import taxonomy

ENTRIES = [
    Entry("tools", "en", "garden tool"),
    Entry("tools", "nl", "snoeischaar"),
    Entry("phones", "en", "phone"),
    Entry("phones", "nl", "telefoon"),
    Entry("bikes", "nl", "fiets"),
    Entry("cases", "en", "phone case"),
    Entry("order", "en", "order order"),
]
PHRASES = Phrases(ENTRIES)


def found(text: str, *languages: str) -> dict[str, int]:
    return {
        f"{f.phrase.language}:{' '.join(f.phrase.words)}": f.times
        for f in PHRASES.find(Words(text), languages)
    }


@pytest.mark.parametrize(
    ("text", "languages", "expected"),
    [
        ("Garden tools, a garden-tool", ["en"], {"en:garden tool": 2}),
        ("garden and tool", ["en"], {}),
        ("gardening tools", ["en"], {"en:garden tool": 1}),
        ("snoeischaren", ["nl"], {"nl:snoeischaar": 1}),
        ("snoeischaren", ["en"], {}),
        ("phone telefoon", ["en", "nl"], {"en:phone": 1, "nl:telefoon": 1}),
        ("fietsen fiets", ["nl"], {"nl:fiets": 2}),
        # One within another, and one that begins where another ends.
        ("Phone cases and phones", ["en"], {"en:phone": 2, "en:phone case": 1}),
        ("order order order", ["en"], {"en:order order": 2}),
        # In another language words are met as they are written in the table.
        ("garden tool garden tools snoeischaar", [], {"en:garden tool": 1, "nl:snoeischaar": 1}),
        ("x" * 1000 + " phone", ["en"], {"en:phone": 1}),
        ("", ["en"], {}),
    ],
)
def test_what_is_found(text, languages, expected):
    assert found(text, *languages) == expected


def test_phrases_are_found_in_the_order_of_the_table():
    text = Words("bikes phone case orders order order garden tools phone")
    found_ = [each.phrase for each in PHRASES.find(text, ["en"])]
    assert len(found_) > 3
    ordered = [(entry.meaning, entry.language) for entry in ENTRIES]
    places = [ordered.index((phrase.meaning, phrase.language)) for phrase in found_]
    assert places == sorted(places)
    assert PHRASES.present(text, ["en"]) == found_


@given(
    st.lists(
        st.sampled_from(
            ["garden", "gardens", "tool", "tools", "phone", "phones", "case", "order", "x"]
        )
    )
)
def test_it_finds_what_a_plain_search_finds(words):
    for language in LANGUAGES:
        stemmed = stems(words, language)
        plain = Counter(
            entry.text
            for entry in ENTRIES
            if entry.language == language
            for start in range(len(words))
            if stemmed[start:][: len(entry.text.split())] == stems(entry.text.split(), language)
        )
        assert (
            Counter(
                {
                    " ".join(f.phrase.words): f.times
                    for f in PHRASES.find(Words(" ".join(words)), [language])
                }
            )
            == plain
        )


@pytest.mark.parametrize(
    ("text", "languages"),
    [
        ("This is for you and your family, with all that you have.", ("en",)),
        ("Dit is voor jou en je gezin, met alles wat je nog niet hebt.", ("nl",)),
        ("Hallo!", ("en", "nl")),
        ("for you and your all, voor jou en je niet", ("en", "nl")),
        ("Wir haben heute etwas ganz Besonderes. " * 20, ()),
    ],
)
def test_the_language_of_a_text(text, languages):
    assert languages_of(Words(text)) == languages


@given(st.lists(st.frozensets(st.sampled_from(["tool", "tools", "men", "mens", "x" * 50, "1"]))))
def test_a_vocabulary_that_forgets_is_right_about_what_it_has_just_learnt(texts):
    vocabulary = Vocabulary(forms, most=3)
    chosen = Vocabulary(forms, frozenset({"en:tool"}), most=3)
    for words in texts:
        vocabulary.learn(words)
        chosen.learn(words)
        short = {word for word in words if len(word) < 50}
        for form in ("en:tool", "nl:men", "en:1", "en:nothing"):
            expected = {word for word in short if form in forms(word)}
            assert vocabulary.spelled(form, words) == expected
        assert vocabulary.forms_in(words) == frozenset().union(*map(forms, short))
        assert chosen.forms_in(words) == ({"en:tool"} & vocabulary.forms_in(words))


def test_the_shipped_signs_are_phrases_that_can_be_met():
    signs = read_signs(shipped("signs.toml"))
    entries = list(sign_entries(signs))
    assert {entry.meaning for entry in entries} == MEANINGS
    assert [entry for entry in entries if not split(entry.text)] == []
    assert [entry for entry in entries if " ".join(split(entry.text)) != entry.text] == []
    marks = (*signs.leaving, *signs.footer, *signs.roles)
    assert [mark for mark in marks if mark != mark.strip().lower() or not mark] == []
    assert len(set(marks)) == len(marks)
    # What a sign means and what a category is called never collide.
    assert MEANINGS.isdisjoint(entry.meaning for entry in topic_entries(taxonomy()))


def test_one_sign_says_one_thing():
    entries = [
        (entry.language, tuple(stems(split(entry.text), entry.language)))
        for entry in sign_entries(read_signs(shipped("signs.toml")))
    ]
    assert [sign for sign, times in Counter(entries).items() if times > 1] == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fiets", "fietsen"), ("laars", "laarzen"), ("kaars", "kaarsen"), ("muts", "mutsen"),
        ("rits", "ritsen"), ("gans", "ganzen"), ("lens", "lenzen"), ("glas", "glazen"),
        ("foto", "foto's"), ("camera", "camera's"), ("bonus", "bonussen"), ("tafel", "tafels"),
        ("huis", "huizen"), ("stad", "steden"), ("brief", "brieven"), ("jas", "jassen"),
        ("pruner", "pruners"), ("knife", "knives"), ("woman", "women"), ("shelf", "shelves"),
        ("crème", "Creme"),
    ],
)  # fmt: skip
def test_a_keyword_is_met_in_its_other_form(one, other):
    assert TextWords(f"een {other} nu").has(keyword(one))
    assert TextWords(f"een {one} nu").has(keyword(other))


@pytest.mark.parametrize(
    ("word", "text"),
    [("jas", "ja"), ("mensen", "men"), ("kop", "kopen"), ("fiets", "fietser"), ("foto", "fout")],
)
def test_a_keyword_is_not_met_in_another_word(word, text):
    assert not TextWords(f"een {text} nu").has(keyword(word))


@given(
    st.lists(st.sampled_from(["garden", "tools", "foto\u2019s", "\u2014", "a" * 50]), max_size=20),
    st.integers(0, 200),
)
def test_a_long_text_is_cut_as_a_short_one(run, times):
    """It is cut in pieces: no word is lost, made or torn apart where one begins."""
    text = " ".join(run * times)
    words, whole = Words(text), split(text)
    assert (len(words), words.distinct) == (len(whole), frozenset(whole))
    assert words.opening == whole[: len(words.opening)]
    assert words.times([["garden", "tools"]])[0] == sum(
        pair == ("garden", "tools") for pair in pairwise(whole)
    )


@given(
    st.lists(st.sampled_from(["a", "b", "caf\u00e9", "\u03b1"])),
    st.lists(
        st.lists(st.sampled_from(["a", "b", "cafe", "\u03b1"]), min_size=1, max_size=3), max_size=40
    ),
)
def test_many_phrases_are_counted_as_one_by_one(run, phrases):
    words = Words(" ".join(run) + " x" * 3_000)  # long enough to look for all at once
    times, ordered = words.times(phrases), words.ordered
    for nth, phrase in enumerate(phrases):
        plain = sum(ordered[at : at + len(phrase)] == phrase for at in range(len(run)))
        assert times.get(nth, 0) == words.times([phrase]).get(0, 0) == plain
