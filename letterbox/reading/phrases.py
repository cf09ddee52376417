"""Finding many phrases in one text at once: one look at each word of it, whatever the table.

A phrase is found where its words follow one another, each in any form that has the same stem in
the phrase's language. What is neither Dutch nor English is met as it stands in the table alone:
the stems of one language mean nothing in another.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from letterbox.reading.words import MAX_STEMMED, forms, split, word_set

Language = Literal["en", "nl"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "nl")

#: Places of one word at which phrases are looked for: repeating it further says nothing new.
_MAX_PLACES: Final = 50

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
#: No phrase is looked for at one of these: they stand in every text.
_COMMON: Final = frozenset().union(*_MARKS.values()) | word_set(
    "a an i in is of on or de je u dit new was here out up me off no one so than"
)
_ENOUGH: Final = 3  # so many different ones tell a language
_CLEARLY: Final = 3  # so many times as many as of the other tell that it is the only one
_SHORT: Final = 40  # words; a text without marks is in another language only if it is longer
_LOOKED_AT: Final = 2_000


def languages_of(words: Sequence[str]) -> tuple[Language, ...]:
    """The languages a text may be in: one, both where that is unsure, none for any other."""
    looked = frozenset(words[:_LOOKED_AT])
    en, nl = (len(looked & _MARKS[language]) for language in LANGUAGES)
    if max(en, nl) < _ENOUGH:
        return LANGUAGES if len(words) < _SHORT else ()
    if en >= _CLEARLY * nl:
        return ("en",)
    return ("nl",) if nl >= _CLEARLY * en else LANGUAGES


class Entry(NamedTuple):
    """A phrase as a table has it: what it means there, its language, and as written."""

    meaning: str
    language: Language
    text: str


class Phrase(NamedTuple):
    """A phrase of a table: what it means there, its words as written and as stems."""

    meaning: str
    language: Language
    words: tuple[str, ...]
    stems: tuple[str, ...]


class Found(NamedTuple):
    """A phrase that stands in a text, and how many times (up to a bound)."""

    phrase: Phrase
    times: int


class _Anchored(NamedTuple):
    """A phrase, to be looked for where one of its words stands.

    ``word`` is that one as written; ``others`` are the rest, each with how far off it stands.
    """

    phrase: Phrase
    word: str
    others: tuple[tuple[int, str, str], ...]


class Phrases:
    """A table of phrases, compiled once, for any number of texts."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        table: defaultdict[str, list[_Anchored]] = defaultdict(list)
        for meaning, language, text in entries:
            words = tuple(split(text))
            stems = tuple(_stem(word, language) for word in words)
            # The word that is the rarest in most texts: a long one, and none that is in all.
            at = max(
                range(len(words)), key=lambda nth: (words[nth] not in _COMMON, len(words[nth]))
            )
            others = tuple(
                (nth - at, word, stems[nth]) for nth, word in enumerate(words) if nth != at
            )
            phrase = Phrase(meaning, language, words, stems)
            table[stems[at]].append(_Anchored(phrase, words[at], others))
        self._table = {stem: tuple(entries) for stem, entries in table.items()}
        self._stems = frozenset(
            stem for entries in table.values() for each in entries for _, _, stem in each.others
        )
        # Only what is short is kept: mail of endless words must not fill the memory.
        self._near = lru_cache(maxsize=32_768)(self._look_up)

    def find(self, words: Sequence[str], languages: Sequence[Language]) -> list[Found]:
        """Every phrase of these languages in a text of folded words; of none, as written."""
        distinct = frozenset(words)
        near = [(word, self._near(word)) for word in distinct if len(word) <= MAX_STEMMED]
        known = {word: each.anchored for word, each in near if each.anchored}
        present = frozenset().union(*(each.stems for _, each in near if each.stems))
        places: defaultdict[str, list[int]] = defaultdict(list)
        for place, word in [each for each in enumerate(words) if each[1] in known]:
            if len(places[word]) < _MAX_PLACES:
                places[word].append(place)
        found: dict[Phrase, int] = {}
        for word, where in places.items():
            for phrase, written, others in known[word]:
                if phrase.language not in languages and (languages or word != written):
                    continue
                times = len(where)
                if others:
                    # Most phrases are ruled out by a word that stands nowhere.
                    if not all(stem in present for _, _, stem in others):
                        continue
                    stemmed = bool(languages)
                    times = sum(_stand(others, words, place, stemmed=stemmed) for place in where)
                if times:
                    found[phrase] = found.get(phrase, 0) + times
        return [Found(phrase, times) for phrase, times in found.items()]

    def _look_up(self, word: str) -> "_Near":
        shapes = forms(word)
        anchored = (entry for form in sorted(shapes) for entry in self._table.get(form, ()))
        return _Near(tuple(anchored), shapes & self._stems)


class _Near(NamedTuple):
    """What a word may be part of: phrases looked for at it, and stems of others it has."""

    anchored: tuple[_Anchored, ...]
    stems: frozenset[str]


def _stand(
    others: Sequence[tuple[int, str, str]], words: Sequence[str], place: int, *, stemmed: bool
) -> bool:
    """Whether the other words of a phrase stand around a place, in any form if ``stemmed``."""
    for off, written, stem in others:
        at = place + off
        if not 0 <= at < len(words):
            return False
        word = words[at]
        if word != written and not (stemmed and stem in forms(word)):
            return False
    return True


def _stem(word: str, language: Language) -> str:
    """The one form of a word that is of this language; the word itself where it has no stem."""
    return next((form for form in forms(word) if form.startswith(f"{language}:")), word)
