"""What a message is about, read from its words by the search words of the taxonomy.

Every category's words are looked for at once. What is found counts for the category and for all
above it: more in the subject, in headings and beside prices than in running text, little in the
last lines, and each further distinct word more than the same one again. A category is named only
where it stands clear of all that is unrelated to it: better none than a wrong one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import log2
from typing import Final

import msgspec

from letterbox.model.message import Categories
from letterbox.model.taxonomy import Taxonomy, upwards
from letterbox.reading.phrases import Entry, Found, Phrase
from letterbox.reading.words import LANGUAGES

#: Ids that are named at most, the main one first.
MAX_IDS: Final = 4

_SUBJECT: Final = 3.0
_PROMINENT: Final = 2.0
_BODY: Final = 1.0
_FOOTER: Final = 0.15
_PHRASE: Final = 1.3  # several words meet by chance more seldom than one
_SHORT: Final = 0.6  # short words have more senses and stand in names
_SHORT_WORD: Final = 4  # letters
_AGAIN: Final = 0.3  # for each doubling of how often a word stands there
_MOST_AGAIN: Final = 1.2

_ENOUGH: Final = 3.0  # evidence that names a category
_FEWEST: Final = 2  # distinct words, or one of them in the subject and elsewhere
_MARGIN: Final = 1.7  # so many times what the next unrelated category has
_DEEPER: Final = 0.6  # the share of a category's evidence that one below it must have to be meant
_ALSO: Final = 0.35  # the share of the main category's evidence that names another beside it
_SURE: Final = 9.0
_SURE_WORDS: Final = 4
_SURE_MARGIN: Final = 3.0
#: Long texts touch on much: what names a category grows by one for so many words.
_WORDS_EACH: Final = 1_500


class _Evidence(msgspec.Struct):
    weight: float = 0.0
    words: int = 0
    in_subject: bool = False


class Met(msgspec.Struct, frozen=True):
    """Search words that stand in each part of a message.

    ``prominent``: in headings, links and the surroundings of prices, which are in the body as well.
    """

    subject: Sequence[Found]
    prominent: Sequence[Found]
    body: Sequence[Found]
    footer: Sequence[Found]


def topic_entries(taxonomy: Taxonomy) -> Iterator[Entry]:
    """Every search word of a taxonomy, with the category it means."""
    for node in taxonomy.nodes.values():
        for language in LANGUAGES:
            for text in getattr(node.words, language):
                yield Entry(node.id, language, text)


class Topics:
    """What words say about categories of one taxonomy."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy

    def read(self, met: Met, length: int) -> Categories:
        """The categories a text of ``length`` words speaks of; none without clear evidence."""
        evidence = _evidence(met)
        roots = sorted(
            (each for each in evidence if "/" not in each), key=lambda each: -evidence[each].weight
        )
        if not roots:
            return Categories(origin="read")
        root = evidence[roots[0]]
        enough = _ENOUGH + length / _WORDS_EACH
        next_best = evidence[roots[1]].weight if len(roots) > 1 else 0.0
        clear = root.weight >= enough and root.weight >= _MARGIN * next_best
        if not clear or (root.words < _FEWEST and not root.in_subject):
            return Categories(origin="read")
        main = self._deepest(roots[0], evidence)
        also = self._beside(main, evidence, enough)
        sure = (
            evidence[main].weight >= max(_SURE, 2 * enough)
            and evidence[main].words >= _SURE_WORDS
            and root.weight >= _SURE_MARGIN * next_best
        )
        return Categories(ids=(main, *also)[:MAX_IDS], origin="read", sure=sure)

    def _deepest(self, category: str, evidence: dict[str, _Evidence]) -> str:
        """The category below that has most of the evidence, as far down as one has."""
        while True:
            below = [each for each in evidence if each.rpartition("/")[0] == category]
            best = max(below, key=lambda each: evidence[each].weight, default=None)
            if best is None or evidence[best].weight < _DEEPER * evidence[category].weight:
                return category
            category = best

    def _beside(self, main: str, evidence: dict[str, _Evidence], enough: float) -> list[str]:
        """Other categories with much evidence: below the main one, or sensitive."""
        least = max(enough, _ALSO * evidence[main].weight)
        related = frozenset(upwards(main))
        also = [
            each
            for each, about in evidence.items()
            if about.weight >= least
            and each not in related
            and (each.startswith(f"{main}/") or self._taxonomy.is_sensitive((each,)))
        ]
        return sorted(also, key=lambda each: (-evidence[each].weight, each))


def _evidence(met: Met) -> dict[str, _Evidence]:
    weights: defaultdict[Phrase, float] = defaultdict(float)
    for weight, part in (
        (_SUBJECT, met.subject),
        (_PROMINENT - _BODY, met.prominent),
        (_BODY, met.body),
        (_FOOTER, met.footer),
    ):
        for found in part:
            weights[found.phrase] += weight * (1 + min(_MOST_AGAIN, _AGAIN * log2(found.times)))
    in_subject = {found.phrase for found in met.subject}
    evidence: defaultdict[str, _Evidence] = defaultdict(_Evidence)
    for phrase, weight in _distinct(weights).items():
        for category in upwards(phrase.meaning):
            about = evidence[category]
            about.weight += weight
            about.words += 1
            about.in_subject |= phrase in in_subject
    return evidence


def _distinct(weights: dict[Phrase, float]) -> dict[Phrase, float]:
    """What each phrase counts; one of two words counts, and not the one word within it again."""
    within = {stem for phrase in weights if len(phrase.stems) > 1 for stem in phrase.stems}
    counted: dict[Phrase, float] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for phrase, weight in weights.items():
        # The same word of both languages ("laptop") is one.
        key = (phrase.meaning, phrase.words)
        if key in seen:
            continue
        seen.add(key)
        counted[phrase] = weight * _worth(phrase, within)
    return counted


def _worth(phrase: Phrase, within: Iterable[str]) -> float:
    if len(phrase.words) > 1:
        return _PHRASE
    if phrase.stems[0] in within:
        return 1 / 2
    return _SHORT if len(phrase.words[0]) <= _SHORT_WORD else 1.0
