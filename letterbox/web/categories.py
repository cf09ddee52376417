"""The tree of categories, as people find their way in it: by words, by paths, branch by branch."""

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from letterbox.model.fold import fold
from letterbox.model.preferences import Language
from letterbox.model.taxonomy import Node, Taxonomy, upwards

#: What is found at most by one search.
_MOST: Final = 30
_STEP: Final = " \u203a "


class Choice(NamedTuple):
    """A category that can be chosen. ``below`` is how many it covers beside itself.

    ``names`` are its names in both languages: it is found by either.
    """

    id: str
    name: str
    path: str
    names: str
    below: int
    sensitive: bool


class Branch(NamedTuple):
    """A category with those directly below it."""

    choice: Choice
    branches: tuple["Branch", ...]


def choice(taxonomy: Taxonomy, category: str, language: Language) -> Choice:
    """A category as it is shown; one that there is not is shown by its id."""
    node = taxonomy.nodes.get(category)
    above = [taxonomy.nodes[each] for each in upwards(category) if each in taxonomy.nodes]
    return Choice(
        id=category,
        name=node.name(language) if node else category,
        path=_STEP.join(each.name(language) for each in reversed(above)) or category,
        names=f"{node.en} {node.nl}" if node else category,
        below=len(taxonomy.covers(category)) - 1,
        sensitive=taxonomy.is_sensitive((category,)),
    )


def search(taxonomy: Taxonomy, words: str, language: Language) -> list[Choice]:
    """The categories that have every one of some words, or its beginning, in either language.

    Those whose names have them come first.
    """
    wanted = fold(words).split()
    if not wanted:
        return []
    by_name, by_word = [], []
    for node in taxonomy.nodes.values():
        if _has(f"{node.en} {node.nl}", wanted):
            by_name.append(node.id)
        elif _has(" ".join((node.en, node.nl, *node.words.en, *node.words.nl)), wanted):
            by_word.append(node.id)
    return [choice(taxonomy, each, language) for each in (by_name + by_word)[:_MOST]]


def _has(text: str, wanted: Collection[str]) -> bool:
    folded = fold(text)
    return all(word in folded for word in wanted)


def tree(taxonomy: Taxonomy, language: Language) -> tuple[Branch, ...]:
    """The whole tree, in the order of its file."""
    below: dict[str, list[Node]] = {}
    for node in taxonomy.nodes.values():
        below.setdefault(node.id.rpartition("/")[0], []).append(node)

    def branches(above: str) -> Iterator[Branch]:
        for node in below.get(above, ()):
            yield Branch(choice(taxonomy, node.id, language), tuple(branches(node.id)))

    return tuple(branches(""))
