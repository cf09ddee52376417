"""Finding many phrases in one text at once, whatever the size of the table.

A phrase is found where its words follow one another, each in any form that has the same stem in
the phrase's language. What is neither Dutch nor English is met as it stands in the table alone:
the stems of one language mean nothing in another.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain, islice, product
from math import prod
from typing import Final, NamedTuple

from letterbox.reading.words import (
    LANGUAGES,
    Language,
    Vocabulary,
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
#: To look for each spelling is cheaper than to stem the whole text, while they are few.
_FEW_SPELLINGS: Final = 8


def languages_of(*texts: Words) -> tuple[Language, ...]:
    """The languages a text may be in: one, both where that is unsure, none for any other.

    Its parts follow one another; its first 500 words are looked at.
    """
    opening = chain.from_iterable(text.opening for text in texts)
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
    """Stems in a row, and the phrases that read so: at categories below one another, perhaps."""

    stems: tuple[str, ...]
    phrases: tuple[Phrase, ...]


class _Table:
    """Phrases in one form, looked for by what each word of a text may be part of.

    Most words of a text are part of none, and each is looked at once however often it stands
    there: that takes a fraction of going through the text.
    """

    def __init__(
        self, phrases: Iterable[tuple[Phrase, Sequence[str]]], language: Language | None
    ) -> None:
        alike: defaultdict[tuple[str, ...], list[Phrase]] = defaultdict(list)
        for phrase, words in phrases:
            alike[tuple(words)].append(phrase)
        self._language = language
        self._shapes = [_Shape(each, tuple(found)) for each, found in alike.items()]
        # A phrase is looked for by its longest word, which is the rarest, mostly.
        by_longest: defaultdict[str, list[int]] = defaultdict(list)
        for nth, shape in enumerate(self._shapes):
            by_longest[max(shape.stems, key=len, default="")].append(nth)
        self._by_longest = {stem: tuple(found) for stem, found in by_longest.items()}
        self._vocabulary = Vocabulary(self._stem_of, frozenset(stem for e in alike for stem in e))

    def present(self, words: Words) -> list[Phrase]:
        """The phrases that stand in a text."""
        candidates = self._candidates(words)
        if several := [shape for shape in candidates if len(shape.stems) > 1]:
            times = zip(several, self._times(several, words), strict=True)
            missing = {shape.stems for shape, found in times if not found}
            candidates = [shape for shape in candidates if shape.stems not in missing]
        return list(dict.fromkeys(phrase for shape in candidates for phrase in shape.phrases))

    def find(self, words: Words) -> list[Found]:
        """The phrases that stand in a text, and how many times."""
        candidates = self._candidates(words)
        found: Counter[Phrase] = Counter()
        for shape, times in zip(candidates, self._times(candidates, words), strict=True):
            for phrase in shape.phrases if times else ():
                found[phrase] += times
        return [Found(phrase, times) for phrase, times in found.items()]

    def _candidates(self, words: Words) -> list[_Shape]:
        """Those whose stems all stand in a text, whose words are known then."""
        stems_there = self._vocabulary.forms_in(words.distinct)
        candidates = {nth for stem in stems_there for nth in self._by_longest.get(stem, ())}
        # In the order of the table: sets of words have another in every process, and what is
        # weighed after this must come out the same in all of them.
        shapes_there = (self._shapes[nth] for nth in sorted(candidates))
        return [shape for shape in shapes_there if stems_there.issuperset(shape.stems)]

    def _times(self, shapes: Sequence[_Shape], words: Words) -> list[int]:
        """How many times each stands in a text whose words are known."""
        times = [0] * len(shapes)
        of: list[int] = []
        phrases: list[tuple[str, ...]] = []
        for nth, shape in enumerate(shapes):
            spelled = self._spelled(shape, words)
            if self._language and prod(map(len, spelled)) > _FEW_SPELLINGS:
                times[nth] = words.times_stemmed(shape.stems, self._language)
                continue
            for phrase in product(*spelled):
                of.append(nth)
                phrases.append(phrase)
        for place, found in words.times(phrases).items():
            times[of[place]] += found
        return times

    def _spelled(self, shape: _Shape, words: Words) -> list[AbstractSet[str]]:
        """For each stem the words of a text that have it; they are known."""
        return [self._vocabulary.spelled(stem, words.distinct) for stem in shape.stems]

    def _stem_of(self, word: str) -> Sequence[str]:
        return (word,) if self._language is None else stems((word,), self._language)
