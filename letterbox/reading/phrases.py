"""Finding many phrases in one text at once, in one pass whatever the size of the table.

A phrase is found where its words follow one another, each in any form that has the same stem in
the phrase's language. What is neither Dutch nor English is met as it stands in the table alone:
the stems of one language mean nothing in another.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Final, NamedTuple

from ahocorasick_rs import AhoCorasick

from letterbox.reading.words import LANGUAGES, Language, shapes, split, stems, word_set

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
_LOOKED_AT: Final = 500


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
                (phrase, shaped)
                for phrase in phrases
                if phrase.language == language
                for shaped in product(*(shapes(word, language) for word in phrase.words))
            )
            for language in LANGUAGES
        }
        self._written = _Table((p, p.words) for p in phrases)

    def find(self, words: Sequence[str], languages: Sequence[Language]) -> list[Found]:
        """Every phrase of these languages in a text of folded words; of none, as written."""
        if not languages:
            return self._written.find(words)
        return [
            found
            for language in languages
            for found in self._stemmed[language].find(stems(words, language))
        ]


class _Table:
    """Phrases in one form, all looked for at once."""

    def __init__(self, phrases: Iterable[tuple[Phrase, Sequence[str]]]) -> None:
        # Several may read the same, at categories that lie below one another.
        alike: defaultdict[str, list[Phrase]] = defaultdict(list)
        for phrase, words in phrases:
            alike[_line(words)].append(phrase)
        self._phrases = tuple(alike.values())
        self._search = AhoCorasick(list(alike))

    def find(self, words: Sequence[str]) -> list[Found]:
        matches = self._search.find_matches_as_indexes(_line(words), overlapping=True)
        counts = Counter(nth for nth, _, _ in matches)
        found: Counter[Phrase] = Counter()
        for nth, times in counts.items():
            for phrase in self._phrases[nth]:
                found[phrase] += times
        return [Found(phrase, times) for phrase, times in found.items()]


def _line(words: Iterable[str]) -> str:
    """Words as they are searched: a space before and behind each."""
    return f" {' '.join(words)} "
