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

#: Words of a text that are looked at; a newsletter of 60 KB has some 10,000.
MAX_WORDS: Final = 20_000
#: Places of one word at which phrases are looked for: repeating it further says nothing new.
_MAX_PLACES: Final = 200

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


class Phrases:
    """A table of phrases, compiled once, for any number of texts."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        # A phrase is looked for at its longest word, which is nearly always its rarest.
        table: defaultdict[str, list[tuple[int, Phrase]]] = defaultdict(list)
        for meaning, language, text in entries:
            words = tuple(split(text))
            stems = tuple(_stem(word, language) for word in words)
            at = max(range(len(words)), key=lambda nth: len(words[nth]))
            table[stems[at]].append((at, Phrase(meaning, language, words, stems)))
        self._table = {stem: tuple(entries) for stem, entries in table.items()}
        # Only what is short is kept: mail of endless words must not fill the memory.
        self._near = lru_cache(maxsize=32_768)(self._look_up)

    def find(self, words: Sequence[str], languages: Sequence[Language]) -> list[Found]:
        """Every phrase of these languages in a text of folded words; of none, as written."""
        words = words[:MAX_WORDS]
        distinct = [word for word in frozenset(words) if len(word) <= MAX_STEMMED]
        known = {word: near for word in distinct if (near := self._near(word))}
        places: defaultdict[str, list[int]] = defaultdict(list)
        for place, word in [each for each in enumerate(words) if each[1] in known]:
            if len(places[word]) < _MAX_PLACES:
                places[word].append(place)
        found: dict[Phrase, int] = {}
        for word, where in places.items():
            for at, phrase in known[word]:
                if not languages or phrase.language in languages:
                    if languages and len(phrase.words) == 1:
                        times = len(where)
                    else:
                        times = sum(_stands(phrase, words, p - at, languages) for p in where)
                    if times:
                        found[phrase] = found.get(phrase, 0) + times
        return [Found(phrase, times) for phrase, times in found.items()]

    def _look_up(self, word: str) -> tuple[tuple[int, Phrase], ...]:
        return tuple(entry for form in sorted(forms(word)) for entry in self._table.get(form, ()))


def _stands(
    phrase: Phrase, words: Sequence[str], start: int, languages: Sequence[Language]
) -> bool:
    """Whether the words of a text from ``start`` on are those of the phrase, in any form."""
    if start < 0 or start + len(phrase.words) > len(words):
        return False
    for nth, written in enumerate(phrase.words):
        word = words[start + nth]
        # Zipping stems in would cost more than looking up the few that are needed.
        if word != written and not (languages and phrase.stems[nth] in forms(word)):
            return False
    return True


def _stem(word: str, language: Language) -> str:
    """The one form of a word that is of this language; the word itself where it has no stem."""
    return next((form for form in forms(word) if form.startswith(f"{language}:")), word)
