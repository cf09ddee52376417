"""The tree of categories that interests and offers speak in (``config/taxonomy.toml``).

An id is a path, so that the tree can be read from it: ``home-garden/garden-tools`` lies below
``home-garden``. Ids are public: never renamed, never reused.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated

import msgspec

NodeId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*)*$")]


class SearchWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words and phrases of each language that mean a category where they stand in a mail.

    They are met folded and stemmed, so that one form of a word is enough.
    """

    en: tuple[str, ...] = ()
    nl: tuple[str, ...] = ()


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One category. ``sensitive`` holds for everything below it too."""

    id: NodeId
    en: str
    nl: str
    sensitive: bool = False
    words: SearchWords = SearchWords()

    def name(self, language: str) -> str:
        """Its name in Dutch for ``nl``, else in English."""
        return self.nl if language == "nl" else self.en


class Taxonomy(msgspec.Struct, frozen=True):
    """The tree: every node by its id, and every id with all that it covers."""

    nodes: Mapping[str, Node]
    below: Mapping[str, frozenset[str]]

    def covers(self, category: str) -> frozenset[str]:
        """The category and all below it; an unknown one covers itself."""
        return self.below.get(category, frozenset((category,)))

    def is_sensitive(self, categories: Iterable[str]) -> bool:
        """Whether one of them lies in a sensitive branch, known to us or not."""
        return any(
            node.sensitive
            for category in categories
            for path in upwards(category)
            if (node := self.nodes.get(path)) is not None
        )

    def nearest(self, category: str) -> str | None:
        """The known id most like an unknown one, by its path or by its last part."""
        wanted = category.strip().lower().replace(" ", "-")
        # Of two with the same last part, the one that stands first is meant.
        known = {path.rpartition("/")[2]: path for path in reversed(tuple(self.nodes))}
        known |= {path: path for path in self.nodes}
        for name in (wanted, wanted.rpartition("/")[2]):
            if near := get_close_matches(name, known, n=1, cutoff=0.6):
                return known[near[0]]
        return None


def upwards(category: str) -> Iterable[str]:
    """The path itself, then each path above it."""
    while category:
        yield category
        category = category.rpartition("/")[0]
