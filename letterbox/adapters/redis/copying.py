"""A whole store on a Redis server, read and written row by row.

A server keeps no moment for a reader, so the store is had alone while it is read. How far a copy
has come is written after its rows: the last of them may be put in their places again.
"""

from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from datetime import datetime
from itertools import groupby, islice
from typing import Final
from urllib.parse import urlsplit

import msgspec

from letterbox.adapters.pieces import MOST_OCTETS, Pieces, Place, place_of
from letterbox.adapters.redis import encoding, keys
from letterbox.adapters.redis.alone import Alone
from letterbox.adapters.redis.listing import Listing, scan
from letterbox.adapters.redis.server import Script, Server
from letterbox.adapters.times import from_sortable, sortable
from letterbox.ports.clock import Clock
from letterbox.ports.copying import (
    KINDS,
    BodyRow,
    ClaimRow,
    CounterRow,
    DocumentRow,
    EntryRow,
    Incomplete,
    Piece,
    Row,
    Unfinished,
)
from letterbox.ports.store import SHARDS, DueEntry, OutboxEntry, StoreUnavailable, shard_of

_DOCUMENTS: Final = Script("page")
_PLACE: Final = Script("place")
_NEWEST: Final = Script("newest")
_ORDER: Final = tuple(KINDS)

#: Keys that are asked about together, and entries of one that are read together.
_TOGETHER: Final = 64
_PAGE: Final = 32
#: Small things that are asked for in one command.
_MANY: Final = 256

#: A row and where it stands among those of its kind.
_Placed = tuple[Row, Place]
_Rows = AsyncGenerator[_Placed, None]
#: The keys of a row, and what its script is told.
_Call = tuple[Sequence[bytes], Sequence[encoding.Word]]


class RedisRows:
    """A store that is read, and that nobody else has meanwhile. Made by :meth:`open`."""

    def __init__(self, name: str, server: Server, alone: Alone) -> None:
        self.name = name
        self._server = server
        self._alone = alone
        self._nodes = (server.command,)

    @classmethod
    async def open(cls, url: str, *, patience: float) -> "RedisRows":
        """Read the store at ``url``. Raises :class:`StoreUnavailable` and its kinds."""
        server, name = Server(url, patience), name_of(url)
        try:
            await _check_layout(server, name)
            alone = await Alone.take(server)
        except BaseException:
            await server.close()
            raise
        store = cls(name, server, alone)
        try:
            await check_whole(server, url)
        except BaseException:
            await store.close()
            raise
        return store

    async def pieces(self, after: bytes = b"") -> AsyncGenerator[Piece, None]:
        """All rows behind a position."""
        pieces = Pieces()
        listing = await Listing.of(self._nodes)
        try:
            async with aclosing(self._all(listing, place_of(after))) as rows:
                async for row, place in rows:
                    if piece := pieces.add(row, place):
                        yield piece
        finally:
            listing.close()
        await self._alone.check()
        if piece := pieces.rest():
            yield piece

    async def newest(self) -> int:
        """The greatest number that an outbox entry of any shard ever had."""
        newest: list[int] = [await self._server.run(_NEWEST, (key,)) for key in keys.ALL_OUTBOXES]
        return max(newest)

    async def close(self) -> None:
        """Let the store and the server go."""
        await self._alone.release()
        await self._server.close()

    # ---- reading ------------------------------------------------------------------------------

    async def _all(self, listing: Listing, after: Place | None) -> _Rows:
        read = (
            self._bodies,
            self._documents,
            self._entries,
            self._counters,
            self._claims,
            self._due,
            self._outboxes,
        )
        first = after[0] if after else 0
        for nth, rows_of in enumerate(read[first:], first):
            begin = after[1:] if after and nth == first else ()
            async with aclosing(rows_of(listing, begin)) as rows:
                async for row, place in rows:
                    yield row, (nth, *place)

    async def _bodies(self, listing: Listing, after: Place) -> _Rows:
        for some in _some(listing.keys("body", *after), _MANY, after):
            sizes = await self._server.commands([("STRLEN", key) for key in some])
            for group in _by_size(some, sizes):
                contents = await self._server.commands([("GET", key) for key in group])
                for key, content in zip(group, contents, strict=True):
                    _, _, name = _known(key)
                    yield BodyRow(name, _there(content, key)), (key,)

    async def _documents(self, listing: Listing, after: Place) -> _Rows:
        begin, last = after or (b"", None)
        for some in _some(listing.keys("document", begin), _TOGETHER):
            places = [(key, last if key == begin else None) for key in some]
            for key, first in zip(some, await self._pages(places), strict=True):
                page, partition = first, _known(key)[1]
                while page:
                    for name, stored in page:
                        revision, _, value = stored.partition(b":")
                        row = DocumentRow(partition, name.decode(), int(revision), value)
                        yield row, (key, name)
                    is_last = len(page) < _PAGE
                    (page,) = [[]] if is_last else await self._pages([(key, page[-1][0])])

    async def _entries(self, listing: Listing, after: Place) -> _Rows:
        begin, last = after or (b"", 0)
        for some in _some(listing.keys("log", begin), _TOGETHER):
            places = [(key, last if key == begin else 0) for key in some]
            for key, first in zip(some, await self._streams(places), strict=True):
                page, (_, partition, name) = first, _known(key)
                while page:
                    for number, fields in page:
                        yield EntryRow(partition, name, number, fields[b"v"]), (key, number)
                    is_last = len(page) < _PAGE
                    (page,) = [[]] if is_last else await self._streams([(key, page[-1][0])])

    async def _counters(self, listing: Listing, after: Place) -> _Rows:
        async with aclosing(self._cells(listing.keys("counter", *after), after)) as cells:
            async for key, until, value in cells:
                _, partition, name = _known(key)
                yield CounterRow(partition, name, int(value), from_sortable(until)), (key,)

    async def _claims(self, listing: Listing, after: Place) -> _Rows:
        async with aclosing(self._cells(listing.keys("claim", *after), after)) as cells:
            async for key, until, value in cells:
                _, partition, name = _known(key)
                expires = None if until == encoding.NEVER else from_sortable(until)
                yield ClaimRow(partition, name, value, expires), (key,)

    async def _cells(
        self, found: Iterator[bytes], after: Place
    ) -> AsyncGenerator[tuple[bytes, bytes, bytes], None]:
        """Keys with the times and values there; what expired meanwhile is left out."""
        for some in _some(found, _MANY, after):
            # One shard's at a time: the shard is in braces, and keys come in its order.
            for _, shard in groupby(some, key=lambda key: key.partition(b"}")[0]):
                together = list(shard)
                cells = await self._server.command("MGET", *together)
                for key, cell in zip(together, cells, strict=True):
                    if cell is not None:
                        yield key, cell[:20], cell[20:]

    async def _due(self, _: Listing, after: Place) -> _Rows:
        begin, last = after or (0, None)
        for shard in range(begin, SHARDS):
            start = b"(" + last if last and shard == begin else b"-"
            while members := await self._server.command(
                "ZRANGE", keys.due_times(shard), start, "+", "BYLEX", "LIMIT", 0, _MANY
            ):
                names = [member[20:] for member in members]
                entries = await self._server.command("HMGET", keys.due(shard), *names)
                for member, entry in zip(members, entries, strict=True):
                    partition, key = keys.unpair(member[20:])
                    value = _there(entry, keys.due(shard))[20:]
                    row = DueEntry(partition, key, from_sortable(member[:20]), value)
                    yield row, (shard, member)
                start = b"(" + members[-1]

    async def _outboxes(self, _: Listing, after: Place) -> _Rows:
        begin, last = after or (0, 0)
        for shard in range(begin, SHARDS):
            start = last if shard == begin else 0
            while (pages := await self._streams([(keys.outbox(shard), start)]))[0]:
                for number, fields in pages[0]:
                    row = OutboxEntry(number, fields[b"p"].decode(), fields[b"v"])
                    yield row, (shard, number)
                start = pages[0][-1][0]

    async def _pages(
        self, places: Sequence[tuple[bytes, bytes | None]]
    ) -> list[list[tuple[bytes, bytes]]]:
        """Of each partition's documents the next after a key: the keys, and what stands there."""
        calls = []
        for key, after in places:
            named = key, keys.index(_known(key)[1])
            calls.append((named, (b"-" if after is None else b"(" + after, "+", 0, _PAGE)))
        answers = await self._server.run_all(_DOCUMENTS, calls)
        for answer in answers:
            if isinstance(answer, StoreUnavailable):
                raise answer
        return [
            [(name, _there(value, key)) for name, value in zip(got[::2], got[1::2], strict=True)]
            for got, (key, _) in zip(answers, places, strict=True)
        ]

    async def _streams(
        self, places: Sequence[tuple[bytes, int]]
    ) -> list[list[tuple[int, dict[bytes, bytes]]]]:
        """Of each stream the next entries above a number."""
        answers = await self._server.commands(
            [("XRANGE", key, b"0-%d" % (after + 1), "+", "COUNT", _PAGE) for key, after in places]
        )
        return [[(_number(id_), fields) for id_, fields in found] for found in answers]


class RedisTarget(RedisRows):
    """A store that is written. Made by :meth:`make`."""

    def __init__(
        self,
        name: str,
        server: Server,
        alone: Alone,
        clock: Clock,
        *,
        replicas: int,
        within: int,
    ) -> None:
        super().__init__(name, server, alone)
        self._clock = clock
        self._replicas = replicas
        self._within = within

    @classmethod
    async def make(
        cls, url: str, clock: Clock, *, replicas: int, patience: float, unsafe: bool
    ) -> "RedisTarget":
        """Take the store at ``url``; the settings are those of ``RedisStore.open``."""
        server = Server(url, patience)
        try:
            await server.check(unsafe=unsafe)
            alone = await Alone.take(server)
        except BaseException:
            await server.close()
            raise
        within = int(patience * 500)
        return cls(name_of(url), server, alone, clock, replicas=replicas, within=within)

    async def empty(self) -> bool:
        """Whether it holds no row, and never held an outbox entry."""
        async with aclosing(scan(self._nodes)) as found:
            async for _ in found:
                return False
        for key in (*keys.ALL_DUE, *keys.ALL_OUTBOXES):
            if await self._server.command("EXISTS", key):
                return False
        return True

    async def unfinished(self) -> Unfinished | None:
        """How far a copy into it has come."""
        return await unfinished_copy(self._server)

    async def write(self, rows: Sequence[Row], unfinished: Unfinished) -> None:
        """Write rows, and then how far the copy has come."""
        if rows:
            await self._place([self._call(row) for row in rows])
        state = msgspec.json.encode(unfinished)
        await self._place([((keys.COPYING,), ("cell", state, 0))])

    async def finish(self, unfinished: Unfinished) -> None:
        """The copy is whole."""
        if unfinished.newest:
            newest = ("newest", unfinished.newest)
            await self._place([((key,), newest) for key in keys.ALL_OUTBOXES])
        await self._alone.check()
        await self._server.command("DEL", keys.COPYING)

    async def _place(self, rows: Sequence[_Call]) -> None:
        """Rows in one call for each slot that they lie in."""
        calls: dict[bytes, tuple[list[bytes], list[encoding.Word]]] = {}
        for named, (word, *words) in rows:
            together, arguments = calls.setdefault(keys.slot(named[0]), ([], []))
            together += named
            arguments += (word, len(named), len(words), *words)
        answers = await self._server.run_all(
            _PLACE, list(calls.values()), replicas=self._replicas, within=self._within
        )
        for answer in answers:
            if isinstance(answer, StoreUnavailable):
                raise answer

    def _call(self, row: Row) -> _Call:
        match row:
            case BodyRow(id=name, content=content):
                return (keys.body(name),), ("cell", content, 0)
            case DocumentRow(partition=partition, key=key, revision=revision, value=value):
                stored = b"%d:%s" % (revision, value)
                places = keys.documents(partition), keys.index(partition)
                return places, ("document", key.encode(), stored)
            case EntryRow(partition=partition, log=log, sequence=sequence, value=value):
                return (keys.log(partition, log),), ("entry", sequence, b"v", value)
            case CounterRow(partition=partition, name=name, count=count, expires=expires):
                return self._cell(keys.counter(partition, name), expires, b"%d" % count)
            case ClaimRow(partition=partition, name=name, value=value, expires=expires):
                return self._cell(keys.claim(partition, name), expires, value)
            case DueEntry(partition=partition, key=key, at=at, value=value):
                shard = shard_of(partition)
                places = keys.due(shard), keys.due_times(shard)
                return places, ("due", keys.pair(partition, key), sortable(at), value)
            case OutboxEntry(sequence=sequence, partition=partition, value=value):
                words = ("entry", sequence, b"p", partition.encode(), b"v", value)
                return (keys.outbox(shard_of(partition)),), words

    def _cell(self, key: bytes, expires: datetime | None, value: bytes) -> _Call:
        moment, milliseconds = encoding.until(expires, self._clock.now())
        return (key,), ("cell", moment + value, milliseconds)


async def unfinished_copy(server: Server) -> Unfinished | None:
    """How far a copy into this store has come; None where it is a whole one."""
    state = await server.command("GET", keys.COPYING)
    return None if state is None else msgspec.json.decode(state, type=Unfinished)


async def check_whole(server: Server, url: str) -> None:
    """Raises :class:`Incomplete` where a copy into the store was not finished."""
    if (copy := await unfinished_copy(server)) is not None:
        raise Incomplete(name_of(url), copy.source)


async def _check_layout(server: Server, name: str) -> None:
    layout = await server.command("GET", keys.LAYOUT_KEY)
    if layout is None:
        raise StoreUnavailable(f"there is no store at {name}")
    if int(layout) != keys.LAYOUT:
        raise StoreUnavailable(
            f"the store at {name} is of layout {int(layout)}, this version knows {keys.LAYOUT}"
        )


def name_of(url: str) -> str:
    """A store's URL without its secrets."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or 6379}/{parts.path.strip('/') or 0}"


def _some(found: Iterable[bytes], many: int, after: Place = ()) -> Iterator[list[bytes]]:
    """So many at a time, without the one that was the last before."""
    fresh = (key for key in found if (key,) != tuple(after))
    while some := list(islice(fresh, many)):
        yield some


def _by_size(some: Sequence[bytes], sizes: Sequence[int]) -> Iterator[list[bytes]]:
    """Keys in groups whose values fit into memory together; a large one is alone."""
    group: list[bytes] = []
    octets = 0
    for key, size in zip(some, sizes, strict=True):
        if group and octets + size > MOST_OCTETS:
            yield group
            group, octets = [], 0
        group.append(key)
        octets += size
    if group:
        yield group


def _known(key: bytes) -> tuple[str, str, str]:
    known = keys.read(key)
    if known is None:
        raise StoreUnavailable(f"{key!r} is no key of this version")
    return known


def _there(value: bytes | None, key: bytes) -> bytes:
    if value is None:
        raise StoreUnavailable(f"{key!r} has not what its index says: the store is damaged")
    return value


def _number(id_: bytes) -> int:
    return int(id_.partition(b"-")[2])
