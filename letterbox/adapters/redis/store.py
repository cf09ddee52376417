"""The store on a Redis server."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Final

from letterbox.adapters.bell import Bells
from letterbox.adapters.order import apply_in_runs
from letterbox.adapters.redis import encoding, keys, listing, work
from letterbox.adapters.redis.connect import connect
from letterbox.adapters.redis.hearing import Hearing
from letterbox.adapters.redis.leases import Leases
from letterbox.adapters.redis.sending import Call, Sender
from letterbox.adapters.redis.server import Fenced, Script
from letterbox.adapters.redis.topology import Topology, patiently
from letterbox.adapters.redis.whole import check_whole
from letterbox.adapters.times import sortable
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Commit,
    Document,
    Done,
    DueEntry,
    KeepBody,
    LogEntry,
    Names,
    Operation,
    OutboxEntry,
    Result,
    StoreUnavailable,
    shard_of,
)

_COMMIT: Final = Script("commit")
_PAGE: Final = Script("page")
#: The greatest number of an entry that a server keeps.
_GREATEST: Final = 2**63


class RedisStore:
    """Store and Bodies at once, over one server or a cluster. Made by :meth:`open`.

    Any number of processes may have it open. What is due and what is emitted is shown to one of
    them at a time: to the one that holds the lease of its shard.

    Commits that wait for one server are sent together, and each call is one script there: it
    happens whole or not at all. The server answers when they are on its disk (``appendfsync
    always``) and, with ``replicas``, when so many replicas have them. Where no answer comes, a
    commit may have happened; nothing is repeated.

    In a cluster a script can touch one shard: a call is then cut into runs of commits to one
    shard, sent one after another, and a failure may come after some of them.
    """

    def __init__(
        self,
        topology: Topology,
        clock: Clock,
        *,
        works: bool = True,
        replicas: int = 0,
        patience: float = 5.0,
        most_waiting: int = 4096,
    ) -> None:
        self._topology = topology
        self._clock = clock
        self._replicas = replicas
        self._patience = patience
        self._bells = Bells(clock.now)
        self._leases = Leases(topology, works=works, changed=self._bells.ring_work)
        self._hearing = Hearing(topology, self._bells, self._leases.works_on)
        self._sender = Sender(topology, self._done, replicas=replicas, most_waiting=most_waiting)
        self._courses: set[asyncio.Task[list[Result]]] = set()
        self._closed = False

    @classmethod
    async def open(
        cls,
        url: str,
        clock: Clock,
        *,
        works: bool = True,
        replicas: int = 0,
        patience: float = 5.0,
        unsafe: bool = False,
    ) -> "RedisStore":
        """Reach what is at ``url`` and see what it is.

        A server is redis://, rediss:// (TLS) or unix://, a cluster redis+cluster:// and a primary
        that Sentinel names redis+sentinel://, both with rediss as well.
        ``works``: whether this process takes a share of what is due and emitted; without it there
        is never any. ``patience``: so many seconds a command may take. ``replicas``: so many
        must have a commit before it counts. Raises StoreUnavailable, and its kinds ``Unsafe``
        where the server is one that would lose what was acknowledged and ``unsafe`` is false,
        ``BeingCopied``, and ``Incomplete`` where a copy into it is not whole.
        """
        topology = connect(url, patience)
        try:
            await topology.check(unsafe=unsafe, replicas=replicas)
        except BaseException:
            await topology.close()
            raise
        store = cls(topology, clock, works=works, replicas=replicas, patience=patience)
        try:
            await store._hearing.start()
            await store._leases.start()
            await check_whole(topology, url)
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Send what waits, and let the server go. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._bells.silence()
        await asyncio.gather(*self._courses, return_exceptions=True)
        await self._sender.finish()
        await self._leases.close()
        await self._hearing.close()
        await self._topology.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    # ---- commits ------------------------------------------------------------------------------

    async def commit(self, *commits: Commit) -> Sequence[Result]:
        """Apply commits in order, each atomically; what is Done is durable.

        Raises ValueError or TypeError, and does nothing, where an operation holds what cannot be
        stored (a lone surrogate, a naive time).
        """
        self._check_open()
        if not commits:
            return []
        if self._hearing.deaf and not await self._hearing.hears():
            raise StoreUnavailable("the store is out of reach: nothing was sent")
        now, deadline = self._clock.now(), asyncio.get_running_loop().time() + self._patience

        def apply(run: Sequence[Commit]) -> Awaitable[Sequence[Result]]:
            return self._apply(run, now, deadline)

        if not self._topology.sharded or len({shard_of(each.partition) for each in commits}) == 1:
            return await apply(commits)
        encoding.encode(
            commits, now, b""
        )  # nothing of a call happens where a part could not be kept
        # Whoever leaves in the middle leaves all of it to be done.
        course = asyncio.create_task(apply_in_runs(commits, apply))
        self._courses.add(course)
        course.add_done_callback(self._course_over)
        return await asyncio.shield(course)

    def _course_over(self, course: "asyncio.Task[list[Result]]") -> None:
        self._courses.discard(course)
        if not course.cancelled():
            course.exception()  # the caller may have left

    async def _apply(
        self, commits: Sequence[Commit], now: datetime, deadline: float
    ) -> Sequence[Result]:
        """Commits that one script may touch."""
        name = await self._leases.name()
        touched, words = encoding.encode(commits, now, self._hearing.origin)
        request = _COMMIT.call(touched, (name, *words))
        try:
            return await patiently(
                lambda: self._sender.send(Call(commits, request, deadline)), deadline
            )
        except Fenced:
            self._leases.shut_out(name)
            raise

    def _done(self, commits: Sequence[Commit], results: Sequence[Result]) -> None:
        for commit, result in zip(commits, results, strict=True):
            if isinstance(result, Done):
                works = self._leases.works_on(shard_of(commit.partition))
                self._bells.ring(commit, works=works)

    # ---- reads --------------------------------------------------------------------------------

    async def get(self, partition: str, key: str) -> Document | None:
        """One document."""
        self._check_open()
        found = await self._topology.command("HGET", keys.documents(partition), key.encode())
        return None if found is None else _document(key, found)

    async def documents(
        self,
        partition: str,
        prefix: str,
        *,
        after: str | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> Sequence[Document]:
        """Documents whose key begins with ``prefix``, in the byte order of their keys."""
        self._check_open()
        if limit <= 0:
            return []
        # No text has the octet 255: it ends whatever begins with the prefix.
        low, high = b"[" + prefix.encode(), b"(" + prefix.encode() + b"\xff"
        if after is not None:
            mark = b"(" + after.encode()
            if descending:
                high = min(high, mark)
            elif mark[1:] >= low[1:]:
                low = mark
        ends = (high, low) if descending else (low, high)
        found = await self._topology.run(
            _PAGE,
            (keys.documents(partition), keys.index(partition)),
            *ends,
            int(descending),
            limit,
        )
        pairs = zip(found[::2], found[1::2], strict=True)
        return [_document(key.decode(), value) for key, value in pairs]

    async def log(
        self, partition: str, log: str, *, after: int = 0, limit: int = 100
    ) -> Sequence[LogEntry]:
        """Entries of a log with a sequence above ``after``, oldest first."""
        self._check_open()
        if limit <= 0 or after >= _GREATEST:
            return []
        found = await self._topology.command(
            "XRANGE", keys.log(partition, log), b"0-%d" % (max(after, 0) + 1), "+", "COUNT", limit
        )
        return [LogEntry(sequence=keys.number(id_), value=fields[b"v"]) for id_, fields in found]

    async def follow(self, partition: str, log: str, *, after: int, seconds: float) -> bool:
        """Wait until the log has an entry above ``after``; false when ``seconds`` went by."""

        async def there() -> bool:
            return bool(await self.log(partition, log, after=after, limit=1))

        async with self._hearing.log(partition, log):
            return await self._bells.follow(partition, log, there, seconds)

    async def counters(self, partition: str, names: Sequence[str]) -> dict[str, int]:
        """The counts of these names; 0 for what is absent or expired."""
        self._check_open()
        if not names:
            return {}
        found = await self._topology.command("MGET", *(keys.counter(partition, n) for n in names))
        live = (self._live(cell) for cell in found)
        return {name: int(value or 0) for name, value in zip(names, live, strict=True)}

    async def claim(self, partition: str, name: str) -> bytes | None:
        """The value of an unexpired claim."""
        self._check_open()
        # Who finds a claim answers as if its commit had been acknowledged.
        found = await self._topology.get(
            keys.claim(partition, name), keys.mark(partition), replicas=self._replicas
        )
        return self._live(found)

    def _live(self, cell: bytes | None) -> bytes | None:
        if cell is None or cell[:20] <= sortable(self._clock.now()):
            return None
        return cell[20:]

    async def names(self, partition: str) -> Names:
        """The names of a partition's counters, claims and due entries: all keys are looked at."""
        self._check_open()
        return await listing.names(self._topology, partition)

    async def due(self, until: datetime, *, limit: int = 100) -> Sequence[DueEntry]:
        """Entries due at or before ``until`` in the shards worked here, the earliest first."""
        self._check_open()
        return await work.due(self._topology, self._leases.show(), until, limit)

    async def outbox(self, *, limit: int = 100) -> Sequence[OutboxEntry]:
        """Entries of the outboxes of the shards worked here, oldest first within each shard."""
        self._check_open()
        return await work.outbox(self._topology, self._leases.show(), limit)

    def at_work(self, partition: str) -> AbstractContextManager[None]:
        """Keep a partition's shard until it is left, for a quarter of a minute at most."""
        return self._leases.at_work(shard_of(partition))

    async def wait(self, seconds: float) -> bool:
        """Return true as soon as something is emitted or scheduled; false after ``seconds``.

        Or sooner: what others schedule far ahead is told to nobody.
        """
        self._check_open()
        return await self._bells.work(seconds, longest=encoding.HORIZON.total_seconds())

    def listen(self, heard: Callable[[str | None], None]) -> None:
        """Have ``heard`` called with each partition that a commit announces."""
        self._bells.listen(heard)

    # ---- bodies -------------------------------------------------------------------------------

    async def prepare(self, body: str, content: bytes) -> tuple[Operation, ...]:
        """The operation that keeps a body, to go into the message's commit."""
        self._check_open()
        return (KeepBody(id=body, content=content),)

    async def read(self, partition: str, body: str, /) -> bytes | None:
        """The bytes as received; None where they are gone or never were."""
        self._check_open()
        content: bytes | None = await self._topology.command("GET", keys.body(partition, body))
        return content


def _document(key: str, stored: bytes) -> Document:
    revision, _, value = stored.partition(b":")
    return Document(key=key, revision=int(revision), value=value)
