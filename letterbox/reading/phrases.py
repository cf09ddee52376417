"""Finding many phrases in one text at once, whatever the size of the table.

A phrase is found where its words follow one another, each in any form that has the same stem in
the phrase's language. What is neither Dutch nor English is met as it stands in the table alone:
the stems of one language mean nothing in another.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, islice, product
from typing import Final, NamedTuple

from propcache.api import cached_property

from letterbox.reading.words import (
    LANGUAGES,
    MAX_STEMMED,
    Kept,
    Language,
    Words,
    shapes,
    split,
    stems,
    word_set,
)

# The commonest words that one of the two languages has and the other has not.
_MARKS: Final[dict[Language, frozenset[str]]] = {
    "en": word_set(
        "and the this that with your you for from our are have has will not it its by to be if"
        " they were which who there their my can all more about as any do what when"
    ),
    "nl": word_set(
        "het een van voor niet zijn naar ook aan bij deze wordt je jouw uw onze meer nog dan maar"
        " dit dat te zo heeft hebben kun kunt onder als tot er om en wij jij geen worden"
    ),
}
_ANY_MARK: Final = frozenset().union(*_MARKS.values())
_ENOUGH: Final = 3  # so many different ones tell a language
_CLEARLY: Final = 3  # so many times as many as of the other tell that it is the only one
_SHORT: Final = 40  # words; a text without marks is in another language only if it is longer
_LOOKED_AT: Final = 500
#: What stands for a word whose stem no phrase has.
_OTHER: Final = "\0"


def languages_of(*texts: Words) -> tuple[Language, ...]:
    """The languages a text may be in: one, both where that is unsure, none for any other.

    Its parts follow one another; its first 500 words are looked at.
    """
    opening = chain.from_iterable(text.ordered[:_LOOKED_AT] for text in texts)
    looked = _ANY_MARK.intersection(islice(opening, _LOOKED_AT))
    en, nl = (len(looked & _MARKS[language]) for language in LANGUAGES)
    if max(en, nl) < _ENOUGH:
        return LANGUAGES if sum(map(len, texts)) < _SHORT else ()
    if en >= _CLEARLY * nl:
        return ("en",)
    return ("nl",) if nl >= _CLEARLY * en else LANGUAGES


class Entry(NamedTuple):
    """A phrase as a table has it: what it means there, its language, and as written."""

    meaning: str
    language: Language
    text: str


class Phrase(NamedTuple):
    """A phrase of a table: what it means there, its words folded, and their stems."""

    meaning: str
    language: Language
    words: tuple[str, ...]
    stems: tuple[str, ...]


class Found(NamedTuple):
    """A phrase that stands in a text, and how many times."""

    phrase: Phrase
    times: int


class Phrases:
    """A table of phrases, compiled once, for any number of texts."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        phrases = [
            Phrase(meaning, language, tuple(words), tuple(stems(words, language)))
            for meaning, language, text in entries
            for words in [split(text)]
        ]
        self._stemmed = {
            language: _Table(
                (
                    (phrase, shaped)
                    for phrase in phrases
                    if phrase.language == language
                    for shaped in product(*(shapes(word, language) for word in phrase.words))
                ),
                language,
            )
            for language in LANGUAGES
        }
        self._written = _Table(((p, p.words) for p in phrases), None)

    def find(self, words: Words, languages: Sequence[Language]) -> list[Found]:
        """Every phrase of these languages in a text; of none, as written."""
        return [found for table in self._tables(languages) for found in table.find(words)]

    def present(self, words: Words, languages: Sequence[Language]) -> list[Phrase]:
        """The same, where nobody asks how many times they stand there."""
        return [phrase for table in self._tables(languages) for phrase in table.present(words)]

    def _tables(self, languages: Sequence[Language]) -> "list[_Table]":
        return [self._stemmed[each] for each in languages] or [self._written]


class _Shape(NamedTuple):
    """Stems in a row, each as one sign, and the phrases that read so.

    These are several where categories lie below one another.
    """

    signs: str
    phrases: tuple[Phrase, ...]


class _Table:
    """Phrases in one form, looked for in a text of which each word has become one character.

    That character stands for the word's stem, however it is spelled, if a phrase has it, and for
    nothing else where none has: then a phrase of any words is found as a short string in a string
    is, in a twentieth of the time that its letters take.
    """

    def __init__(
        self, phrases: Iterable[tuple[Phrase, Sequence[str]]], language: Language | None
    ) -> None:
        alike: defaultdict[tuple[str, ...], list[Phrase]] = defaultdict(list)
        for phrase, words in phrases:
            alike[tuple(words)].append(phrase)
        self._language = language
        stems_ = dict.fromkeys(stem for each in alike for stem in each)
        self._signs = {stem: chr(nth) for nth, stem in enumerate(stems_, ord(_OTHER) + 1)}
        self._shapes = [
            _Shape("".join(self._signs[stem] for stem in each), tuple(found))
            for each, found in alike.items()
        ]
        # A phrase is looked for by its longest word, which is the rarest, mostly.
        by_longest: defaultdict[str, list[int]] = defaultdict(list)
        for nth, each in enumerate(alike):
            if each:
                by_longest[self._signs[max(each, key=len)]].append(nth)
        self._by_longest = {sign: tuple(found) for sign, found in by_longest.items()}
        #: Most words of a text stand in many others: each is stemmed once.
        self._kept = Kept(self._sign_of)

    def present(self, words: Words) -> list[Phrase]:
        """The phrases that stand in a text."""
        row = _Row(words, self._kept)
        return list(dict.fromkeys(p for shape in self._standing(row) for p in shape.phrases))

    def find(self, words: Words) -> list[Found]:
        """The phrases that stand in a text, and how many times."""
        row = _Row(words, self._kept)
        found: Counter[Phrase] = Counter()
        for shape in self._standing(row):
            times = row.times(shape.signs)
            for phrase in shape.phrases:
                found[phrase] += times
        return [Found(phrase, times) for phrase, times in found.items()]

    def _standing(self, row: "_Row") -> list[_Shape]:
        there = row.distinct
        candidates = {nth for sign in there for nth in self._by_longest.get(sign, ())}
        # In the order of the table: sets of words have another in every process, and what is
        # weighed after this must come out the same in all of them.
        shapes_there = (self._shapes[nth] for nth in sorted(candidates))
        return [
            shape
            for shape in shapes_there
            if len(shape.signs) == 1 or (there.issuperset(shape.signs) and shape.signs in row.whole)
        ]

    def _sign_of(self, word: str) -> str:
        if len(word) > MAX_STEMMED:
            return _OTHER
        stem = word if self._language is None else stems((word,), self._language)[0]
        return self._signs.get(stem, _OTHER)


class _Row:
    """A text of which each word has become a sign."""

    def __init__(self, words: Words, signs: Kept[str]) -> None:
        self._words = words
        self._sign_of = signs.__getitem__
        self.distinct: Final = frozenset(map(self._sign_of, words.distinct))

    @cached_property
    def whole(self) -> str:
        """All of them in a row; made only where several words are to follow one another."""
        return "".join(map(self._sign_of, self._words.ordered))

    def times(self, signs: str) -> int:
        """How many times signs stand in a row, overlaps included."""
        if len(signs) == 1:
            return self.whole.count(signs)
        times, at = 0, self.whole.find(signs)
        while at >= 0:
            times += 1
            at = self.whole.find(signs, at + 1)
        return times
