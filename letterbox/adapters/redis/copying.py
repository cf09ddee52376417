"""A whole store on a Redis server, read and written row by row.

A server keeps no moment for a reader, so the store is had alone while it is read. How far a copy
has come is written after its rows: the last of them may be put in their places again.

A body lies with the partition of its message, which other stores do not know: ``home`` tells it of
a body's id.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from datetime import datetime
from itertools import groupby, islice
from typing import Final

import msgspec

from letterbox.adapters.pieces import MOST_OCTETS, Pieces, Place, place_of
from letterbox.adapters.redis import encoding, keys
from letterbox.adapters.redis.alone import Alone
from letterbox.adapters.redis.connect import connect
from letterbox.adapters.redis.listing import Listing, scan
from letterbox.adapters.redis.server import Request, Script
from letterbox.adapters.redis.topology import Topology
from letterbox.adapters.redis.whole import check_there, check_whole, name_of, unfinished_copy
from letterbox.adapters.times import from_sortable, sortable
from letterbox.ports.clock import Clock
from letterbox.ports.copying import (
    BodyRow,
    ClaimRow,
    CounterRow,
    DocumentRow,
    EntryRow,
    Piece,
    Row,
    Unfinished,
)
from letterbox.ports.store import SHARDS, DueEntry, OutboxEntry, StoreUnavailable, shard_of

_DOCUMENTS: Final = Script("page")
_PLACE: Final = Script("place")
_NEWEST: Final = Script("newest")
#: News by which everybody who hears it drops what it remembers: from nobody, of no partition.
_ALL_NEW: Final = b"copy "

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

    def __init__(
        self, name: str, topology: Topology, alone: Alone, home: Callable[[str], str]
    ) -> None:
        self.name = name
        self._topology = topology
        self._alone = alone
        self._home = home

    @classmethod
    async def open(cls, url: str, *, home: Callable[[str], str], patience: float) -> "RedisRows":
        """Read the store at ``url``. Raises :class:`StoreUnavailable` and its kinds."""
        topology = connect(url, patience)
        try:
            await check_there(topology, url)
            alone = await Alone.take(topology)
        except BaseException:
            await topology.close()
            raise
        store = cls(name_of(url), topology, alone, home)
        try:
            await check_whole(topology, url)
        except BaseException:
            await store.close()
            raise
        return store

    async def pieces(self, after: bytes = b"") -> AsyncGenerator[Piece, None]:
        """All rows behind a position."""
        pieces = Pieces()
        listing = await Listing.of(self._topology)
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
        outboxes = [keys.outbox(shard) for shard in range(SHARDS)]
        newest = await self._topology.ask_all([_NEWEST.call((key,), ()) for key in outboxes])
        return max(int(number) for number in newest)

    async def close(self) -> None:
        """Let the store and the server go."""
        await self._alone.release()
        await self._topology.close()

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
            sizes = await self._topology.ask_all([Request(key, ("STRLEN", key)) for key in some])
            for group in _by_size(some, sizes):
                asked = [Request(key, ("GET", key)) for key in group]
                contents = await self._topology.ask_all(asked)
                for key, content in zip(group, contents, strict=True):
                    found = _known(key)
                    if found.shard != shard_of(self._home(found.name)):
                        raise StoreUnavailable(f"{key!r} lies with another message's partition")
                    yield BodyRow(found.name, _there(content, key)), (key,)

    async def _documents(self, listing: Listing, after: Place) -> _Rows:
        begin, last = after or (b"", None)
        for some in _some(listing.keys("document", begin), _TOGETHER):
            places = [(key, last if key == begin else None) for key in some]
            for key, first in zip(some, await self._pages(places), strict=True):
                page, partition = first, _known(key).partition
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
                page, (_, _, partition, name) = first, _known(key)
                while page:
                    for number, fields in page:
                        yield EntryRow(partition, name, number, fields[b"v"]), (key, number)
                    is_last = len(page) < _PAGE
                    (page,) = [[]] if is_last else await self._streams([(key, page[-1][0])])

    async def _counters(self, listing: Listing, after: Place) -> _Rows:
        async with aclosing(self._cells(listing.keys("counter", *after), after)) as cells:
            async for key, until, value in cells:
                _, _, partition, name = _known(key)
                yield CounterRow(partition, name, int(value), from_sortable(until)), (key,)

    async def _claims(self, listing: Listing, after: Place) -> _Rows:
        async with aclosing(self._cells(listing.keys("claim", *after), after)) as cells:
            async for key, until, value in cells:
                _, _, partition, name = _known(key)
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
                cells = await self._topology.command("MGET", *together)
                for key, cell in zip(together, cells, strict=True):
                    if cell is not None:
                        yield key, cell[:20], cell[20:]

    async def _due(self, _: Listing, after: Place) -> _Rows:
        begin, last = after or (0, None)
        for shard in range(begin, SHARDS):
            start = b"(" + last if last and shard == begin else b"-"
            while members := await self._topology.command(
                "ZRANGE", keys.due_times(shard), start, "+", "BYLEX", "LIMIT", 0, _MANY
            ):
                names = [member[20:] for member in members]
                entries = await self._topology.command("HMGET", keys.due(shard), *names)
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
            named = key, keys.index(_known(key).partition)
            begin = b"-" if after is None else b"(" + after
            calls.append(_DOCUMENTS.call(named, (begin, "+", 0, _PAGE)))
        answers = await self._topology.ask_all(calls)
        return [
            [(name, _there(value, key)) for name, value in zip(got[::2], got[1::2], strict=True)]
            for got, (key, _) in zip(answers, places, strict=True)
        ]

    async def _streams(
        self, places: Sequence[tuple[bytes, int]]
    ) -> list[list[tuple[int, dict[bytes, bytes]]]]:
        """Of each stream the next entries above a number."""
        asked = [
            Request(key, ("XRANGE", key, b"0-%d" % (after + 1), "+", "COUNT", _PAGE))
            for key, after in places
        ]
        answers = await self._topology.ask_all(asked)
        return [[(keys.number(id_), fields) for id_, fields in found] for found in answers]


class RedisTarget(RedisRows):
    """A store that is written. Made by :meth:`make`."""

    def __init__(
        self,
        name: str,
        topology: Topology,
        alone: Alone,
        home: Callable[[str], str],
        clock: Clock,
        *,
        replicas: int,
    ) -> None:
        super().__init__(name, topology, alone, home)
        self._clock = clock
        self._replicas = replicas

    @classmethod
    async def make(
        cls,
        url: str,
        clock: Clock,
        *,
        home: Callable[[str], str],
        replicas: int,
        patience: float,
        unsafe: bool,
    ) -> "RedisTarget":
        """Take the store at ``url``; the settings are those of ``RedisStore.open``."""
        topology = connect(url, patience)
        try:
            await topology.check(unsafe=unsafe, replicas=replicas)
            alone = await Alone.take(topology)
        except BaseException:
            await topology.close()
            raise
        return cls(name_of(url), topology, alone, home, clock, replicas=replicas)

    async def empty(self) -> bool:
        """Whether it holds no row, and never held an outbox entry."""
        async with aclosing(scan(self._topology)) as found:
            async for _ in found:
                return False
        asked = [
            Request(key, ("EXISTS", key))
            for shard in range(SHARDS)
            for key in (keys.due_times(shard), keys.due(shard), keys.outbox(shard))
        ]
        return not any(await self._topology.ask_all(asked))

    async def unfinished(self) -> Unfinished | None:
        """How far a copy into it has come."""
        return await unfinished_copy(self._topology)

    async def write(self, rows: Sequence[Row], unfinished: Unfinished) -> None:
        """Write rows, and then how far the copy has come."""
        await self._alone.check()
        if rows:
            await self._place([self._call(row) for row in rows])
        state = msgspec.json.encode(unfinished)
        await self._place([((keys.COPYING,), ("cell", state, 0))])

    async def finish(self, unfinished: Unfinished) -> None:
        """The copy is whole."""
        if unfinished.newest:
            newest = ("newest", unfinished.newest)
            await self._place([((keys.outbox(shard),), newest) for shard in range(SHARDS)])
        await self._alone.check()
        # One that was away, and comes back, knows nothing of all this.
        await self._topology.command("PUBLISH", keys.NEWS, _ALL_NEW)
        end = Request(keys.COPYING, ("DEL", keys.COPYING))
        await self._topology.ask_all([end], replicas=self._replicas)

    async def _place(self, rows: Sequence[_Call]) -> None:
        """Rows in one call for each slot that they lie in."""
        calls: dict[bytes, tuple[list[bytes], list[encoding.Word]]] = {}
        for named, (word, *words) in rows:
            together, arguments = calls.setdefault(keys.slot(named[0]), ([], []))
            together += named
            arguments += (word, len(named), len(words), *words)
        scripts = [_PLACE.call(named, arguments) for named, arguments in calls.values()]
        await self._topology.ask_all(scripts, replicas=self._replicas)

    def _call(self, row: Row) -> _Call:
        match row:
            case BodyRow(id=name, content=content):
                return (keys.body(self._home(name), name),), ("cell", content, 0)
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


def _known(key: bytes) -> keys.Found:
    known = keys.read(key)
    if known is None:
        raise StoreUnavailable(f"{key!r} is no key of this version")
    return known


def _there(value: bytes | None, key: bytes) -> bytes:
    if value is None:
        raise StoreUnavailable(f"{key!r} has not what its index says: the store is damaged")
    return value
