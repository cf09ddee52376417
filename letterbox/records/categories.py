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
import structlog

from letterbox.model.fold import fold
from letterbox.ports.store import (
    Announce,
    Commit,
    Delete,
    Operation,
    Put,
    Store,
    StoreUnavailable,
)
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.passing import Overtaken, decided, first_rejected

Source = Literal["google", "shopify"]
SOURCES: Final[tuple[Source, ...]] = get_args(Source)

#: How Shopify writes an id where it stands alone.
SHOPIFY_ID: Final = "gid://shopify/TaxonomyCategory/"
_MAX_LABEL = 1000  # characters; the longest path published has about 200
#: Seconds before they are read anew that could not be, and how often.
_AFTER_TROUBLE = 1.0
_ATTEMPTS = 60
_CHUNK = 500  # lines in one document, which is about 50 KB
_GOOGLE = re.compile(r"google:\s*([0-9]{1,10})", re.IGNORECASE)
_SHOPIFY = re.compile(rf"(?:shopify:\s*|{SHOPIFY_ID})([a-z]{{2}}(?:-[0-9]{{1,6}})*)", re.IGNORECASE)

log = structlog.get_logger("letterbox.categories")


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
    """The foreign categories over the store, all of them in memory.

    When they change, in whatever process, they are read anew; until then the old ones count.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ids: dict[Source, dict[str, str]] = {}
        self._paths: dict[Source, dict[str, str]] = {}
        #: How often something was heard, so that what changes while it is read is read again.
        self._heard = 0
        self._reading: asyncio.Task[None] | None = None
        store.listen(self._hear)

    def _hear(self, partition: str | None) -> None:
        if partition not in {None, places.TAXONOMY}:
            return
        self._heard += 1
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_again(), name="categories")

    async def _read_again(self) -> None:
        for _ in range(_ATTEMPTS):
            try:
                await self.load()
            except StoreUnavailable as trouble:
                log.warning("categories-not-read", error=str(trouble))
                await asyncio.sleep(_AFTER_TROUBLE)
            else:
                return

    async def load(self) -> None:
        """Read what is kept into memory. Raises StoreUnavailable."""
        heard = None
        while heard != self._heard:
            heard = self._heard
            read = {source: await self._lines(source) for source in SOURCES}
        for source, lines in read.items():
            self._remember(source, lines)

    async def _lines(self, source: Source) -> list[Foreign]:
        lines: list[Foreign] = []
        nth: int | None = 0
        while nth is not None:
            page, nth = await self.page(source, nth)
            lines += page
        return lines

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

        async def deciding() -> None:
            before = await self._store.get(places.TAXONOMY, places.foreign(source))
            kept: list[Operation] = [
                Put(places.foreign(source), encode(made), expect=before.revision if before else 0)
            ]
            kept += [
                Put(
                    key=places.foreign_chunk(source, nth),
                    value=encode(_Chunk(lines=tuple(chunk))),
                )
                for nth, chunk in enumerate(chunks)
            ]
            had = decode(before.value, Imported).chunks if before else 0
            kept += [
                Delete(key=places.foreign_chunk(source, nth)) for nth in range(len(chunks), had)
            ]
            results = await self._store.commit(Commit(places.TAXONOMY, (*kept, Announce())))
            if first_rejected(results):
                raise Overtaken

        try:
            await decided(deciding)
        except BaseException:
            self._hear(None)  # what failed may be written
            raise
        if self._reading is not None:
            await asyncio.wait({self._reading})

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
