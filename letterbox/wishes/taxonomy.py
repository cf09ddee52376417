"""The tree of categories that interests and offers speak in (``config/taxonomy.toml``).

An id is a path, so that the tree can be read from it: ``home-garden/garden-tools`` lies below
``home-garden``. Ids are public: never renamed, never reused.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated

import msgspec

NodeId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*)*$")]


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One category. ``sensitive`` holds for everything below it too."""

    id: NodeId
    en: str
    nl: str
    sensitive: bool = False

    def name(self, language: str) -> str:
        """Its name in Dutch for ``nl``, else in English."""
        return self.nl if language == "nl" else self.en


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    nodes: tuple[Node, ...]


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
            for path in _upwards(category)
            if (node := self.nodes.get(path)) is not None
        )

    def nearest(self, category: str) -> str | None:
        """The known id most like an unknown one, by its path or by its last part."""
        wanted = category.strip().lower().replace(" ", "-")
        if near := get_close_matches(wanted, self.nodes, n=1, cutoff=0.6):
            return near[0]
        last_parts = {path.rpartition("/")[2]: path for path in self.nodes}
        near = get_close_matches(wanted.rpartition("/")[2], last_parts, n=1, cutoff=0.6)
        return last_parts[near[0]] if near else None


def read_taxonomy(content: bytes) -> Taxonomy:
    """Read the file. Raises ValueError with the mistake: a bad id, one twice, no node above."""
    nodes: dict[str, Node] = {}
    below: dict[str, set[str]] = {}
    for node in msgspec.toml.decode(content, type=_File).nodes:
        if node.id in nodes:
            raise ValueError(f"the category {node.id} stands there twice")
        parent = node.id.rpartition("/")[0]
        if parent and parent not in nodes:
            raise ValueError(f"the category {node.id} needs {parent} before it")
        nodes[node.id] = node
        for path in _upwards(node.id):
            below.setdefault(path, set()).add(node.id)
    return Taxonomy(nodes=nodes, below={path: frozenset(ids) for path, ids in below.items()})


def _upwards(category: str) -> Iterable[str]:
    """The path itself, then each path above it."""
    while category:
        yield category
        category = category.rpartition("/")[0]
