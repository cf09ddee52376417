"""Which of our categories a foreign one means: by the names along its path, the last one first."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from letterbox.model.taxonomy import Taxonomy
from letterbox.reading.words import forms, split
from letterbox.records.categories import path_key

Stems = tuple[str, ...]

_LANGUAGES = ("en", "nl")
_MOST_WORDS = 5  # no search word has more
_JOINED = re.compile(r"[&,/+()]| (?:and|en) ")
#: Behind it stands what a thing is for, and no more what it is: ``Jars for Honey``.
_PREPOSITION = re.compile(r" (?:for|with|of|voor|met|van) ", re.IGNORECASE)
#: What joins parts, in either language: one word to compare, so that "vehicle parts" are not
#: "vehicles & parts".
_CONNECTIVES = frozenset({"and", "en"})
_AND = "&"
#: Parts of our names that other categories' names have as well, in other senses.
_SAYS_LITTLE = frozenset(
    {"accessories", "accessoires", "care", "parts", "onderdelen", "body", "lichaam", "stays"}
)


class Match(NamedTuple):
    """Our category for a foreign one, if any; ``exact`` where its own name says so."""

    ours: str | None
    exact: bool


class _Found(NamedTuple):
    """A category that a name speaks of, and by how many words."""

    node: str
    words: int


_NOTHING = Match(None, exact=False)


class Matching:
    """Finds our category for each path. ``corrections`` by :func:`path_key` stand over all.

    A name is looked for whole, then by its parts (``Coats & Jackets``), then by what it ends with
    (``Leather Boots``), then by what it holds. What nothing is found for means what stands above
    it. Below a category that has one of ours, names are read within that branch of ours: dog
    treadmills are no fitness equipment.
    """

    def __init__(self, taxonomy: Taxonomy, corrections: Mapping[str, str | None]) -> None:
        self._known: dict[str, Match] = {
            path: Match(ours, exact=True) for path, ours in corrections.items()
        }
        self._terms: defaultdict[Stems, set[str]] = defaultdict(set)
        self._name_parts: defaultdict[Stems, set[str]] = defaultdict(set)
        for node in taxonomy.nodes.values():
            for language in _LANGUAGES:
                for term in (node.name(language), *getattr(node.words, language)):
                    self._terms[_stems(term, language)].add(node.id)
                for part in _parts(node.name(language)):
                    if part.lower() not in _SAYS_LITTLE:
                        self._name_parts[_stems(part, language)].add(node.id)

    def of(self, path: str) -> Match:
        """What a path means; its steps are joined by ``>``."""
        key = path_key(path)
        known = self._known.get(key)
        if known is None:
            above, _, name = path.rpartition(">")
            parent = self.of(above).ours if above else None
            known = self._known[key] = self._named(name.strip(), parent)
        return known

    def _named(self, name: str, parent: str | None) -> Match:
        """What a name means below a category of ours, or below none."""
        for nth, found in enumerate(self._ways(name, parent)):
            fitting = {each.node for each in found if _fits(each, parent, whole=nth == 0)}
            if not fitting:
                continue
            common = _common(fitting)
            if common is None:
                break  # it speaks of two branches, and so of neither
            exact = nth <= 1 and common in fitting
            # What only repeats a broader name leaves it at what stands above.
            return Match(parent if _is_below(parent, common) else common, exact=exact)
        return _NOTHING if parent is None else Match(parent, exact=False)

    def _ways(self, name: str, parent: str | None) -> Iterator[list[_Found]]:
        """What the name speaks of: whole, in parts, at its end, anywhere. The best way first."""
        whole = _in_each_language(name)
        parts = [stems for part in _parts(name) for stems in _in_each_language(part)]
        yield [found for stems in whole for found in self._equal(stems)]
        yield [found for stems in parts for found in self._equal(stems)]
        ends = [
            stems
            for part in _parts(name)
            for stems in _in_each_language(_PREPOSITION.split(part)[0])
        ]
        yield [found for stems in ends for found in self._at_the_end(stems)]
        if parent is not None:
            within = _longest(found for stems in whole for found in self._within(stems))
            yield [found for found in within if _is_below(found.node, parent)]

    def _equal(self, stems: Stems) -> Iterator[_Found]:
        for node in self._terms.get(stems) or self._name_parts.get(stems) or ():
            yield _Found(node, len(stems))

    def _at_the_end(self, stems: Stems) -> list[_Found]:
        """By the longest end that is known."""
        return _longest(
            _Found(node, len(stems) - start)
            for start in range(len(stems))
            for node in self._terms.get(stems[start:], ())
        )

    def _within(self, stems: Stems) -> Iterator[_Found]:
        """By every run of words that is known."""
        for start in range(len(stems)):
            for end in range(start + 1, min(len(stems), start + _MOST_WORDS) + 1):
                yield from self._equal(stems[start:end])


def _fits(found: _Found, parent: str | None, *, whole: bool) -> bool:
    """Whether a category may be meant there. A whole name of several words leaves no doubt."""
    if parent is None or (whole and found.words > 1):
        return True
    return found.node.partition("/")[0] == parent.partition("/")[0]


def _common(nodes: Iterable[str]) -> str | None:
    """The lowest category that all of them lie in."""
    shared: list[str] = []
    for steps in zip(*(node.split("/") for node in nodes), strict=False):
        if len(set(steps)) > 1:
            break
        shared.append(steps[0])
    return "/".join(shared) or None


def _is_below(node: str | None, above: str) -> bool:
    """Whether a category is the other one or lies below it."""
    return node is not None and (node == above or node.startswith(f"{above}/"))


def _longest(each_found: Iterable[_Found]) -> list[_Found]:
    found = list(each_found)
    most = max((each.words for each in found), default=0)
    return [each for each in found if each.words == most]


def _parts(name: str) -> list[str]:
    return [part for each in _JOINED.split(name) if (part := each.strip())]


def _in_each_language(name: str) -> list[Stems]:
    return [_stems(name, language) for language in _LANGUAGES]


def _stems(name: str, language: str) -> Stems:
    mark = f"{language}:"
    return tuple(
        _AND
        if word in _CONNECTIVES
        else next((form for form in forms(word) if form.startswith(mark)), word)
        for word in split(name.replace("&", " and "))
    )
