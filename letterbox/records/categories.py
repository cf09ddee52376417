"""What the categories of other taxonomies are called here: kept in the store, asked from memory.

Shops label their offers with Google's product categories or with Shopify's. An operator imports
one of their files (``letterbox taxonomy import``), and each of its lines is kept with the id of
ours that it means.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, get_args

import msgspec

from letterbox.model.fold import fold
from letterbox.ports.store import Commit, Delete, Operation, Put, Store
from letterbox.records import places
from letterbox.records.coding import decode, encode

Source = Literal["google", "shopify"]
SOURCES: Final[tuple[Source, ...]] = get_args(Source)

#: How Shopify writes an id where it stands alone.
SHOPIFY_ID: Final = "gid://shopify/TaxonomyCategory/"
_MAX_LABEL = 1000  # characters; the longest path published has about 200
_CHUNK = 500  # lines in one document, which is about 50 KB
_GOOGLE = re.compile(r"google:\s*([0-9]{1,10})", re.IGNORECASE)
_SHOPIFY = re.compile(rf"(?:shopify:\s*|{SHOPIFY_ID})([a-z]{{2}}(?:-[0-9]{{1,6}})*)", re.IGNORECASE)


class Foreign(msgspec.Struct, frozen=True, array_like=True):
    """A line of a foreign taxonomy: its id (empty where the file has none), its path as written.

    ``ours`` is the id of ours it means; empty for none.
    """

    id: str
    path: str
    ours: str


class Imported(msgspec.Struct, frozen=True):
    """What was imported last from one source."""

    source: Source
    version: str
    lines: int
    chunks: int


class _Chunk(msgspec.Struct, frozen=True):
    lines: tuple[Foreign, ...]


class Categories:
    """The foreign categories over the store. Every change goes through here, so memory holds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changing = asyncio.Lock()
        self._ids: dict[Source, dict[str, str]] = {}
        self._paths: dict[Source, dict[str, str]] = {}

    async def load(self) -> None:
        """Read what is kept into memory. Raises StoreUnavailable."""
        for source in SOURCES:
            lines: list[Foreign] = []
            nth: int | None = 0
            while nth is not None:
                page, nth = await self.page(source, nth)
                lines += page
            self._remember(source, lines)

    def ours(self, label: str) -> str | None:
        """The id of ours that a label of a vendor's means; None where none is known.

        A label is ``google:1604``, ``shopify:ap-1``, ``gid://shopify/TaxonomyCategory/ap-1``, or
        a path of names as either of them publishes it, ``Apparel & Accessories > Clothing``. What
        is newer than the file imported means what stands above it. A number alone is nobody's:
        shops number categories of their own in the same way.
        """
        label = label.strip()
        if not label or len(label) > _MAX_LABEL:
            return None
        if found := _GOOGLE.fullmatch(label):
            return self._ids.get("google", {}).get(found[1])
        if found := _SHOPIFY.fullmatch(label):
            known = self._ids.get("shopify", {})
            return _first(known, _upwards(found[1].lower(), "-"))
        path = path_key(label)
        for source in SOURCES:
            if meant := _first(self._paths.get(source, {}), _upwards(path, ">")):
                return meant
        return None

    async def replace(self, source: Source, lines: Sequence[Foreign], *, version: str = "") -> None:
        """Keep these lines in place of all that were imported from the source. All or nothing."""
        chunks = [lines[start : start + _CHUNK] for start in range(0, len(lines), _CHUNK)]
        made = Imported(source=source, version=version, lines=len(lines), chunks=len(chunks))
        async with self._changing:
            before = await self.imported(source)
            kept: list[Operation] = [Put(key=places.foreign(source), value=encode(made))]
            kept += [
                Put(
                    key=places.foreign_chunk(source, nth),
                    value=encode(_Chunk(lines=tuple(chunk))),
                )
                for nth, chunk in enumerate(chunks)
            ]
            kept += [
                Delete(key=places.foreign_chunk(source, nth))
                for nth in range(len(chunks), before.chunks if before else 0)
            ]
            await self._store.commit(Commit(partition=places.TAXONOMY, operations=tuple(kept)))
            self._remember(source, lines)

    async def imported(self, source: Source) -> Imported | None:
        """What was imported from a source, and how much."""
        document = await self._store.get(places.TAXONOMY, places.foreign(source))
        return decode(document.value, Imported) if document else None

    async def page(self, source: Source, nth: int) -> tuple[tuple[Foreign, ...], int | None]:
        """A page of the lines kept, from 0 on, and the number of the next one; None at the end."""
        document = await self._store.get(places.TAXONOMY, places.foreign_chunk(source, nth))
        if document is None:
            return (), None
        return decode(document.value, _Chunk).lines, nth + 1

    def _remember(self, source: Source, lines: Iterable[Foreign]) -> None:
        meant = [line for line in lines if line.ours]
        self._ids[source] = {line.id: line.ours for line in meant if line.id}
        # Of two lines that read the same, the first counts.
        self._paths[source] = {path_key(line.path): line.ours for line in reversed(meant)}


def path_key(path: str) -> str:
    """A path as it is compared: folded, its steps joined by ``>`` without spaces around it."""
    steps = (" ".join(fold(step).split()) for step in path.split(">"))
    return ">".join(steps)


def _upwards(path: str, between: str) -> Iterator[str]:
    """The path itself, then each path above it."""
    while path:
        yield path
        path = path.rpartition(between)[0]


def _first(known: dict[str, str], paths: Iterable[str]) -> str | None:
    return next((known[path] for path in paths if path in known), None)
