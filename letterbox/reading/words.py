"""Words as they are compared: folded for case and accents, and stemmed in English and Dutch.

A word is a run of letters and digits. Apostrophes fall out (``foto's`` is ``fotos``), everything
else that is neither letter nor digit stands between words. Scripts written without spaces are
not cut into words: there a run of letters counts as one.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from itertools import chain
from typing import Final, Generic, Literal, TypeVar, get_args

import Stemmer
from ahocorasick_rs import BytesAhoCorasick, Implementation

from letterbox.model.fold import fold
from letterbox.model.message import Keyword
from letterbox.reading.cut import (
    MAX_STEMMED,
    MAX_TEXT,
    Cut,
    cut_up,
    distinct_of,
    flat_of,
    line_of,
    split,
    words_of,
)

__all__ = [
    "LANGUAGES",
    "MAX_TEXT",
    "Language",
    "TextWords",
    "Vocabulary",
    "Words",
    "fold",
    "forms",
    "keyword",
    "shapes",
    "split",
    "stems",
    "word_set",
]

#: The languages whose words are known by their stems.
Language = Literal["en", "nl"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
_STEMMERS: Final[dict[Language, Stemmer.Stemmer]] = {
    language: Stemmer.Stemmer(language, 0) for language in LANGUAGES
}
#: Characters that are looked through one phrase at a time.
_LITTLE: Final = 80_000
_SHORT: Final = 3  # letters; "jas" is no plural of "ja"
_VOWEL_S: Final = ("as", "os", "us", "ys")
# Plurals that no rule of a stemmer leads back.
_IRREGULAR: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "knives": "knife", "shelves": "shelf", "loaves": "loaf", "leaves": "leaf",
        "scarves": "scarf", "wolves": "wolf", "calves": "calf", "children": "child",
        "women": "woman", "feet": "foot", "teeth": "tooth", "mice": "mouse", "geese": "goose",
    },
    "nl": {
        "glazen": "glas", "dagen": "dag", "wegen": "weg", "daken": "dak", "steden": "stad",
        "schepen": "schip", "baden": "bad", "paden": "pad", "vaten": "vat", "gaten": "gat",
        "sloten": "slot", "spelen": "spel", "kinderen": "kind", "eieren": "ei",
        "bladeren": "blad", "lammeren": "lam",
    },
}  # fmt: skip


def word_set(text: str) -> frozenset[str]:
    """The words of a table, written with spaces between them."""
    return frozenset(text.split())


def forms(word: str) -> frozenset[str]:
    """What a word is met by: its stem in each language, marked with it.

    The marks keep a stem of one language from meeting a stem of another by chance. A word too
    long to have a stem is met as it is, folded.
    """
    return _KEPT_FORMS[word]


def stems(words: Iterable[str], language: Language) -> list[str]:
    """The stem of each folded word in one language; a word too long for one stands for itself."""
    return list(map(_KEPT_STEMS[language].__getitem__, words))


def shapes(word: str, language: Language) -> tuple[str, ...]:
    """The stems by which a folded word of a language may be met, its own first.

    Where a Dutch word ends in s, nothing tells whether that makes it a plural: ``tafels`` is met
    as ``tafel``, and ``fiets`` as ``fiets`` too, for that is what ``fietsen`` comes from.
    """
    stemmer = _STEMMERS[language]
    word = _IRREGULAR[language].get(word, word)
    stem: str = stemmer.stemWord(word)
    if language == "nl" and word.endswith("s") and len(word) > _SHORT:
        if word.endswith(_VOWEL_S):  # foto's, camera's; and bonus, which bonussen comes from
            return tuple(dict.fromkeys((stemmer.stemWord(word[:-1]), stem)))
        if stem == word[:-1]:
            return (stem, word)
    return (stem,)


def _stem(word: str, language: Language) -> str:
    return shapes(word, language)[0] if len(word) <= MAX_STEMMED else word


def _forms(word: str) -> frozenset[str]:
    folded = fold(word)
    if len(folded) > MAX_STEMMED:
        return frozenset((folded,))
    return frozenset(
        f"{language}:{shape}" for language in LANGUAGES for shape in shapes(folded, language)
    )


_Made = TypeVar("_Made")


class _Kept(dict[str, _Made], Generic[_Made]):
    """What was made of short words, all forgotten when there are too many.

    Looking up in a dict itself takes a third of the time of a call: it is done for each word.
    """

    def __init__(self, make: Callable[[str], _Made], most: int = 32_768) -> None:
        self._make = make
        self._most = most

    def __missing__(self, word: str) -> _Made:
        made = self._make(word)
        # Only what is short is kept: mail of endless words must not fill the memory.
        if len(word) <= MAX_STEMMED:
            if len(self) >= self._most:
                self.clear()
            self[word] = made
        return made


_KEPT_FORMS: Final = _Kept(_forms)
_KEPT_STEMS: Final = {language: _Kept(partial(_stem, language=language)) for language in LANGUAGES}


def keyword(text: str) -> Keyword:
    """A word or phrase to look for. Without any letter or digit it is met by nothing."""
    return Keyword(text=text, forms=tuple(forms(word) for word in split(text)))


class Words:
    """The folded words of one stretch of text, cut when first asked for, and then once only."""

    __slots__ = ("_cut", "_distinct", "_flat", "_stemmed", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._flat: str | None = None
        self._cut: Cut | None = None
        self._distinct: frozenset[str] | None = None
        self._stemmed: dict[Language, str] = {}

    def __len__(self) -> int:
        return self._whole.length

    @property
    def flat(self) -> str:
        """Runs of characters, with a space before and behind each."""
        if self._flat is None:
            self._flat = flat_of(self._text)
        return self._flat

    @property
    def ordered(self) -> list[str]:
        """All of them, one after another; made anew at each call."""
        return words_of(self.flat)

    @property
    def opening(self) -> list[str]:
        """The first of them, some 500."""
        return self._whole.opening

    @property
    def distinct(self) -> frozenset[str]:
        """Each of them once."""
        if self._distinct is None:
            whole = self._cut
            self._distinct = whole.distinct if whole else distinct_of(self.flat)
        return self._distinct

    @property
    def _whole(self) -> Cut:
        whole = self._cut
        if whole is None:
            whole = self._cut = cut_up(self.flat)
        return whole

    def times(self, phrases: Sequence[Sequence[str]]) -> Mapping[int, int]:
        """How many times the words of each phrase follow one another, by the phrase's place."""
        line = self._whole.line
        sought = [line_of(phrase) for phrase in phrases]
        if len(sought) * len(line) <= _LITTLE:
            return {nth: _count(line, each) for nth, each in enumerate(sought)}
        # All at once: of thirty, each in 12,000 characters, that takes a third of the time.
        automaton = BytesAhoCorasick(
            [each.encode() for each in sought], implementation=Implementation.ContiguousNFA
        )
        found = automaton.find_matches_as_indexes(line.encode(), overlapping=True)
        return Counter(nth for nth, _, _ in found)

    def times_stemmed(self, phrase: Sequence[str], language: Language) -> int:
        """The same by the stems of every word: dear, but whatever the number of spellings."""
        line = self._stemmed.get(language)
        if line is None:
            line = self._stemmed[language] = line_of(stems(self.ordered, language))
        return _count(line, line_of(phrase))


def _count(line: str, sought: str) -> int:
    """How many times something stands in a line, overlaps included."""
    times, at = 0, line.find(sought)
    while at >= 0:
        times += 1
        at = line.find(sought, at + 1)
    return times


class Vocabulary:
    """The words of all texts of late, by their forms: as many as were asked for, of ``wanted``.

    What is asked of a text are a few forms, which most of its words do not have. Those words are
    looked at once here, not once in every text. At most ``most`` are known, and one text more.
    """

    def __init__(
        self,
        forms_of: Callable[[str], Iterable[str]],
        wanted: Container[str] | None = None,
        most: int = 32_768,
    ) -> None:
        #: Grows when all is forgotten.
        self.generation = 0
        self._forms_of = forms_of
        self._wanted = wanted
        self._most = most
        #: By word; of most words none is wanted.
        self._forms: dict[str, tuple[str, ...]] = {}
        self._by_form: defaultdict[str, set[str]] = defaultdict(set)

    def learn(self, words: frozenset[str]) -> None:
        """Know these words: others may be forgotten."""
        new = words.difference(self._forms)
        if len(self._forms) + len(new) > self._most:
            self.generation += 1
            self._forms.clear()
            self._by_form.clear()
            new = words
        for word in new:
            # Only what is short is kept: mail of endless words must not fill the memory.
            if len(word) <= MAX_STEMMED:
                self._know(word)

    def _know(self, word: str) -> None:
        wanted = self._wanted
        found = tuple(form for form in self._forms_of(word) if wanted is None or form in wanted)
        self._forms[word] = found
        for form in found:
            self._by_form[form].add(word)

    def spelled(self, form: str, words: frozenset[str]) -> AbstractSet[str]:
        """Those of some words, which must be known, that have a form."""
        found = self._by_form.get(form)
        return _NONE if found is None else found & words

    def forms_in(self, words: frozenset[str]) -> set[str]:
        """Every form that is wanted and that one of some words has; they are known then."""
        # Each word is looked up once, mostly: where there are many, that is what costs.
        found = [*map(self._forms.get, words)]
        if None in found:
            self.learn(words)
            found = [*map(self._forms.get, words)]
        return set(chain.from_iterable(filter(None, found)))


_NONE: Final[frozenset[str]] = frozenset()
_VOCABULARY: Final = Vocabulary(forms)


class TextWords:
    """The words of one text, whether a keyword stands there."""

    __slots__ = ("_distinct", "_learnt", "_parts", "_phrases")

    def __init__(self, *parts: str | Words) -> None:
        """The text may come in parts, some of them as words already."""
        self._parts = tuple(Words(part) if isinstance(part, str) else part for part in parts)
        self._distinct: frozenset[str] | None = None
        self._learnt = -1
        self._phrases: _Phrases | None = None

    def has(self, keyword: Keyword) -> bool:
        """Whether the keyword's words stand in the text, whole and one after another."""
        words = self._distinct
        if words is None:
            # What stands there as it was written is found in a tenth of the time.
            written = keyword.text
            if written.isascii() and keyword.forms:
                sought = f" {written.lower()} "
                if any(sought in part.flat for part in self._parts):
                    return True
            words = self.distinct
        if self._learnt != _VOCABULARY.generation:
            _VOCABULARY.learn(words)
            self._learnt = _VOCABULARY.generation
        for wanted in keyword.forms:
            # What is too long to have a stem is met as it is.
            if not any(_VOCABULARY.spelled(form, words) or form in words for form in wanted):
                return False
        if len(keyword.forms) <= 1:
            return bool(keyword.forms)
        if self._phrases is None:
            self._phrases = _Phrases([word for part in self._parts for word in part.ordered])
        return self._phrases.have(keyword.forms)

    def shared(self, forms: frozenset[str]) -> frozenset[str]:
        """Those of some forms that a word of the text has."""
        return forms & frozenset().union(*map(_KEPT_FORMS.__getitem__, self.distinct))

    @property
    def distinct(self) -> frozenset[str]:
        """Each word once."""
        if self._distinct is None:
            self._distinct = frozenset().union(*(part.distinct for part in self._parts))
        return self._distinct


class _Phrases:
    """Where words stand: needed for phrases alone, and dear."""

    __slots__ = ("_by_form", "_counts", "_words")

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._counts = Counter(words)
        self._by_form: defaultdict[str, list[str]] = defaultdict(list)
        for word in self._counts:
            for form in forms(word):
                self._by_form[form].append(word)

    def have(self, phrase: tuple[frozenset[str], ...]) -> bool:
        """Whether the words of the phrase follow one another somewhere."""
        wanted = [
            {word for form in each for word in self._by_form.get(form, ())} for each in phrase
        ]
        # Begin at the rarest word: the work is its number of places.
        rarest = min(range(len(wanted)), key=lambda nth: self._count(wanted[nth]))
        last = len(self._words) - len(wanted)
        return any(
            all(self._words[start + nth] in each for nth, each in enumerate(wanted))
            for word in wanted[rarest]
            for start in (place - rarest for place in self._places(word))
            if 0 <= start <= last
        )

    def _count(self, words: set[str]) -> int:
        return sum(self._counts[word] for word in words)

    def _places(self, word: str) -> Iterator[int]:
        place = -1
        for _ in range(self._counts[word]):
            place = self._words.index(word, place + 1)
            yield place
