"""The store on a Redis server."""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from letterbox.adapters.bell import Bells
from letterbox.adapters.redis import encoding, keys
from letterbox.adapters.redis.copying import check_whole
from letterbox.adapters.redis.lease import Lease
from letterbox.adapters.redis.server import Script, Server
from letterbox.adapters.times import from_sortable, sortable
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Commit,
    Document,
    Done,
    DueEntry,
    KeepBody,
    LogEntry,
    Operation,
    OutboxEntry,
    Result,
    StoreUnavailable,
)

_COMMIT: Final = Script("commit")
_PAGE: Final = Script("page")
_DUE: Final = Script("due")
_OUTBOX: Final = Script("outbox")

#: Sent together: so many calls, or so many octets and the one that goes beyond.
_MOST_TOGETHER: Final = 256
_LARGEST_TOGETHER: Final = 16 * 1024 * 1024
#: The greatest number of an entry that a server keeps.
_GREATEST: Final = 2**63


class _Call:
    """A call of ``commit`` that waits for its turn."""

    def __init__(self, commits: Sequence[Commit], now: datetime, patience: float) -> None:
        self.commits = commits
        self.words = encoding.encode(commits, now)
        loop = asyncio.get_running_loop()
        self.deadline = loop.time() + patience
        self.answer: asyncio.Future[Sequence[Result]] = loop.create_future()


class RedisStore:
    """Store and Bodies at once, over one server. Made by :meth:`open`.

    Commits that wait are sent together, and each call is one script there: it happens whole or
    not at all. The server answers when they are on its disk (``appendfsync always``) and, with
    ``replicas``, when so many replicas have them. Where no answer comes, a commit may have
    happened; nothing is repeated.
    """

    def __init__(
        self,
        server: Server,
        lease: Lease,
        clock: Clock,
        *,
        replicas: int = 0,
        patience: float = 5.0,
        most_waiting: int = 4096,
    ) -> None:
        self._server = server
        self._lease = lease
        self._clock = clock
        self._replicas = replicas
        self._patience = patience
        # The answer of WAIT must come before the connection is given up.
        self._within = int(patience * 500)
        self._most_waiting = most_waiting
        self._bells = Bells(clock.now)
        self._waiting: deque[_Call] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._closed = False

    @classmethod
    async def open(
        cls,
        url: str,
        clock: Clock,
        *,
        replicas: int = 0,
        patience: float = 5.0,
        unsafe: bool = False,
    ) -> "RedisStore":
        """Reach the server at ``url`` (redis://, rediss:// or unix://) and see what it is.

        ``patience``: so many seconds a command may take. ``replicas``: so many must have a
        commit before it counts. Raises StoreUnavailable, and its kinds ``StoreInUse`` where
        another letterbox has it, ``Unsafe`` where the server is one that would lose what was
        acknowledged and ``unsafe`` is false, and ``Incomplete`` where a copy into it is not whole.
        """
        server = Server(url, patience)
        try:
            await server.check(unsafe=unsafe)
            lease = await Lease.take(server)
            try:
                await check_whole(server, url)
            except BaseException:
                await lease.release()
                raise
        except BaseException:
            await server.close()
            raise
        return cls(server, lease, clock, replicas=replicas, patience=patience)

    async def close(self) -> None:
        """Send what waits, and let the server go. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._bells.silence()
        if self._sending is not None:
            await self._sending
        await self._lease.release()
        await self._server.close()

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
        if len(self._waiting) >= self._most_waiting:
            raise StoreUnavailable(f"{self._most_waiting} commits wait already")
        call = _Call(commits, self._clock.now(), self._patience)
        self._waiting.append(call)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        return await call.answer

    async def _send(self) -> None:
        """Send until nothing waits. Its own task: who leaves stops nobody's commit."""
        calls: list[_Call] = []
        try:
            while self._waiting:
                calls = self._together()
                try:
                    answers = await self._server.run_all(
                        _COMMIT,
                        [((keys.OWNER,), (self._lease.name, *call.words)) for call in calls],
                        replicas=self._replicas,
                        within=self._within,
                    )
                except StoreUnavailable as error:
                    answers = [error] * len(calls)
                for call, answer in zip(calls, answers, strict=True):
                    self._resolve(call, answer)
        finally:
            # Whatever ends this, nobody is left waiting for an answer.
            for call in (*calls, *self._waiting):
                if not call.answer.done():
                    call.answer.set_exception(StoreUnavailable("the store stopped answering"))
            self._waiting.clear()
            self._sending = None

    def _together(self) -> list[_Call]:
        calls: list[_Call] = []
        size, now = 0, asyncio.get_running_loop().time()
        while self._waiting and len(calls) < _MOST_TOGETHER and size < _LARGEST_TOGETHER:
            call = self._waiting.popleft()
            if call.deadline <= now:  # those before it took so long
                self._resolve(call, StoreUnavailable("the store does not answer: nothing was sent"))
                continue
            calls.append(call)
            size += encoding.size(call.words)
        return calls

    def _resolve(self, call: _Call, answer: Any) -> None:
        if isinstance(answer, StoreUnavailable):
            if not call.answer.done():
                call.answer.set_exception(StoreUnavailable(*answer.args))
            return
        results = encoding.results(call.commits, answer)
        if not call.answer.done():
            call.answer.set_result(results)
        for commit, result in zip(call.commits, results, strict=True):
            if isinstance(result, Done):
                self._bells.ring(commit)

    # ---- reads --------------------------------------------------------------------------------

    async def get(self, partition: str, key: str) -> Document | None:
        """One document."""
        self._check_open()
        found = await self._server.command("HGET", keys.documents(partition), key.encode())
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
        found = await self._server.run(
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
        found = await self._server.command(
            "XRANGE", keys.log(partition, log), b"0-%d" % (max(after, 0) + 1), "+", "COUNT", limit
        )
        return [LogEntry(sequence=_number(id_), value=fields[b"v"]) for id_, fields in found]

    async def follow(self, partition: str, log: str, *, after: int, seconds: float) -> bool:
        """Wait until the log has an entry above ``after``; false when ``seconds`` went by."""

        async def there() -> bool:
            return bool(await self.log(partition, log, after=after, limit=1))

        return await self._bells.follow(partition, log, there, seconds)

    async def counters(self, partition: str, names: Sequence[str]) -> dict[str, int]:
        """The counts of these names; 0 for what is absent or expired."""
        self._check_open()
        if not names:
            return {}
        found = await self._server.command("MGET", *(keys.counter(partition, n) for n in names))
        live = (self._live(cell) for cell in found)
        return {name: int(value or 0) for name, value in zip(names, live, strict=True)}

    async def claim(self, partition: str, name: str) -> bytes | None:
        """The value of an unexpired claim."""
        self._check_open()
        # Who finds a claim answers as if its commit had been acknowledged.
        found = await self._server.get(
            keys.claim(partition, name), replicas=self._replicas, within=self._within
        )
        return self._live(found)

    def _live(self, cell: bytes | None) -> bytes | None:
        if cell is None or cell[:20] <= sortable(self._clock.now()):
            return None
        return cell[20:]

    async def due(self, until: datetime, *, limit: int = 100) -> Sequence[DueEntry]:
        """Entries of all shards due at or before ``until``, the earliest first."""
        self._check_open()
        if limit <= 0:
            return []
        found = await self._server.run(_DUE, keys.ALL_DUE, sortable(until), limit)
        pairs = zip(found[::2], found[1::2], strict=True)
        entries = [_due(member, value) for member, value in pairs]
        return sorted(entries, key=lambda e: (e.at, e.partition.encode(), e.key.encode()))

    async def outbox(self, *, limit: int = 100) -> Sequence[OutboxEntry]:
        """Entries of all shards' outboxes, oldest first within each shard."""
        self._check_open()
        if limit <= 0:
            return []
        found = await self._server.run(_OUTBOX, keys.ALL_OUTBOXES, limit)
        rows = zip(found[::3], found[1::3], found[2::3], strict=True)
        return [
            OutboxEntry(sequence=_number(id_), partition=partition.decode(), value=value)
            for id_, partition, value in rows
        ]

    async def wait(self, seconds: float) -> bool:
        """Return true as soon as something is emitted or scheduled; false after ``seconds``."""
        self._check_open()
        return await self._bells.work(seconds)

    # ---- bodies -------------------------------------------------------------------------------

    async def prepare(self, body: str, content: bytes) -> tuple[Operation, ...]:
        """The operation that keeps a body, to go into the message's commit."""
        self._check_open()
        return (KeepBody(id=body, content=content),)

    async def read(self, body: str) -> bytes | None:
        """The bytes as received; None where they are gone or never were."""
        self._check_open()
        content: bytes | None = await self._server.command("GET", keys.body(body))
        return content


def _document(key: str, stored: bytes) -> Document:
    revision, _, value = stored.partition(b":")
    return Document(key=key, revision=int(revision), value=value)


def _due(member: bytes, entry: bytes) -> DueEntry:
    partition, key = keys.unpair(member[20:])
    return DueEntry(partition=partition, key=key, at=from_sortable(member[:20]), value=entry[20:])


def _number(id_: bytes) -> int:
    return int(id_.partition(b"-")[2])
