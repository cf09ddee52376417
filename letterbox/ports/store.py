"""The store: partitions of documents, logs, counters and claims, changed by atomic commits.

A **partition** (one consumer, one vendor, one message, one reference) is a name such as
``consumer/anna``. Each lives in one of a fixed number of **shards**; per shard there is a
due-set ordered by time and an outbox ordered by commit. Everything the broker promises rests on
one sentence: when ``commit`` returns, what it reports as done is on disk.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol
from zlib import crc32

import msgspec


class StoreUnavailable(Exception):
    """The store cannot promise anything now; what was asked may or may not have happened.

    The caller answers 4xx or 503, never success.
    """


class StoreInUse(StoreUnavailable):
    """Another process has the store open."""


# ---- operations -------------------------------------------------------------------------------


class Put(msgspec.Struct, frozen=True, tag="put"):
    """Write a document. Its revision grows by one from 0 (absent).

    ``expect`` guards it: the revision it must have now (0: must be absent).
    """

    key: str
    value: bytes
    expect: int | None = None


class Delete(msgspec.Struct, frozen=True, tag="delete"):
    """Remove a document; nothing where there is none, unless ``expect`` says otherwise."""

    key: str
    expect: int | None = None


class Expect(msgspec.Struct, frozen=True, tag="expect"):
    """A guard alone: the document's revision must be ``revision`` (0: absent)."""

    key: str
    revision: int


class Append(msgspec.Struct, frozen=True, tag="append"):
    """Add an entry at the end of a log of this partition; it gets the next sequence number."""

    log: str
    value: bytes


class Trim(msgspec.Struct, frozen=True, tag="trim"):
    """Forget the entries of a log up to and including sequence ``through``.

    The newest entry stays all the same: it holds the count, so that no number is reused.
    """

    log: str
    through: int


class Rewrite(msgspec.Struct, frozen=True, tag="rewrite"):
    """Write entries of a log anew, each a sequence and its value; nothing where there is none.

    For what must be forgotten of a log that others go on reading: it may cost as much as to write
    the whole log, and stands alone with its log in a commit.
    """

    log: str
    entries: tuple[tuple[int, bytes], ...]


class Add(msgspec.Struct, frozen=True, tag="add"):
    """Count. ``limit`` guards it: count + amount <= limit.

    The counter is forgotten at ``expires``, as the last count gave it.
    """

    counter: str
    expires: datetime
    amount: int = 1
    limit: int | None = None


class Uncount(msgspec.Struct, frozen=True, tag="uncount"):
    """Forget a counter; nothing where there is none."""

    counter: str


class Claim(msgspec.Struct, frozen=True, tag="claim"):
    """Claim a name once. Guard: no unexpired claim of that name.

    It is forgotten at ``expires``; None: never.
    """

    name: str
    value: bytes
    expires: datetime | None


class Unclaim(msgspec.Struct, frozen=True, tag="unclaim"):
    """Let a claim go; nothing where there is none."""

    name: str


class Schedule(msgspec.Struct, frozen=True, tag="schedule"):
    """Put an entry into the due-set, or move it: one per partition and key."""

    key: str
    at: datetime
    value: bytes = b""


class Unschedule(msgspec.Struct, frozen=True, tag="unschedule"):
    """Take an entry out of the due-set. Guard: it must be there, unless ``expect`` is false.

    The guard is what makes work on a due entry happen once.
    """

    key: str
    expect: bool = True


class Emit(msgspec.Struct, frozen=True, tag="emit"):
    """Put something into the shard's outbox, in the order of commits."""

    value: bytes


class Settle(msgspec.Struct, frozen=True, tag="settle"):
    """Take an entry out of the outbox of this partition's shard. Guard: it must be there."""

    sequence: int


class Announce(msgspec.Struct, frozen=True, tag="announce"):
    """Tell everyone who listens that this partition is another now, in whatever process.

    It belongs beside what changes a document that is remembered in memory.
    """


class KeepBody(msgspec.Struct, frozen=True, tag="keep-body"):
    """Keep a body with this commit. Only :class:`Bodies` makes this operation.

    A body that is kept already stays as it is. Its id is its own in the whole store; it lies with
    the partition, so that a store of many servers keeps both in one place.
    """

    id: str
    content: bytes


class DropBody(msgspec.Struct, frozen=True, tag="drop-body"):
    """Forget a body of this partition; nothing where there is none."""

    id: str


Operation = (
    Put
    | Delete
    | Expect
    | Append
    | Trim
    | Rewrite
    | Add
    | Uncount
    | Claim
    | Unclaim
    | Schedule
    | Unschedule
    | Emit
    | Settle
    | Announce
    | KeepBody
    | DropBody
)


class Commit(msgspec.Struct, frozen=True):
    """Operations on one partition, all or none of them.

    ``with_all``: leave this commit out, too, when one before it in the same call was left out;
    its result is then the Rejected of that one. ``with_previous``: the same for the one just
    before it alone.
    """

    partition: str
    operations: tuple[Operation, ...]
    with_all: bool = False
    with_previous: bool = False


class Done(msgspec.Struct, frozen=True):
    """It is durable.

    ``numbers`` has, per operation in order, the new revision (Put), the sequence number (Append,
    Emit), the new count (Add), and 0 for the others.
    """

    numbers: tuple[int, ...]


class Rejected(msgspec.Struct, frozen=True):
    """A guard failed and nothing of this commit happened.

    ``operation`` is the one that failed; ``found`` what stood in its way: the claim's value, or
    the revision or count as a decimal number (0 where an entry was to be taken and is not there).
    """

    operation: Operation
    found: bytes


Result = Done | Rejected

# ---- what is read -----------------------------------------------------------------------------


class Document(msgspec.Struct, frozen=True):
    """A document as stored."""

    key: str
    revision: int
    value: bytes


class LogEntry(msgspec.Struct, frozen=True):
    """An entry of a log. Sequence numbers grow from 1, without reuse."""

    sequence: int
    value: bytes


class DueEntry(msgspec.Struct, frozen=True):
    """Something to be done at a time."""

    partition: str
    key: str
    at: datetime
    value: bytes


class OutboxEntry(msgspec.Struct, frozen=True):
    """Something to be carried to another partition."""

    sequence: int
    partition: str
    value: bytes


class Names(msgspec.Struct, frozen=True):
    """What a partition has beside documents and logs, by name; also what has expired."""

    counters: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    due: tuple[str, ...] = ()


#: Fixed for the life of an installation: a partition's shard never changes.
SHARDS = 64


def shard_of(partition: str) -> int:
    """The shard a partition lives in."""
    return crc32(partition.encode()) % SHARDS


class Store(Protocol):
    """The port. Every method raises :class:`StoreUnavailable` when it cannot do its work."""

    async def commit(self, *commits: Commit) -> Sequence[Result]:
        """Apply commits in order, each atomically; return when all that is Done is durable.

        A failed guard leaves out its own commit whole, and no other. An engine that can puts
        them all into one transaction: a crash leaves either all or none. What no store could
        keep raises ValueError (a name that is no Unicode text) or TypeError (a time without a
        zone), and nothing of the call happens.
        """
        ...

    async def get(self, partition: str, key: str) -> Document | None:
        """One document."""
        ...

    async def documents(
        self,
        partition: str,
        prefix: str,
        *,
        after: str | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> Sequence[Document]:
        """Documents whose key begins with ``prefix``, in the byte order of their keys.

        ``after`` is the last key of the page before; pages descend when ``descending``.
        """
        ...

    async def log(
        self, partition: str, log: str, *, after: int = 0, limit: int = 100
    ) -> Sequence[LogEntry]:
        """Entries of a log with a sequence above ``after``, oldest first."""
        ...

    async def follow(self, partition: str, log: str, *, after: int, seconds: float) -> bool:
        """Wait until the log has an entry above ``after``; false when ``seconds`` went by."""
        ...

    async def counters(self, partition: str, names: Sequence[str]) -> dict[str, int]:
        """The counts of these names; 0 for what is absent or expired."""
        ...

    async def claim(self, partition: str, name: str) -> bytes | None:
        """The value of an unexpired claim."""
        ...

    async def names(self, partition: str) -> Names:
        """The names of a partition's counters, claims and due entries.

        For whoever forgets all of it: a store may have to look through everything it has.
        """
        ...

    async def due(self, until: datetime, *, limit: int = 100) -> Sequence[DueEntry]:
        """Entries due at or before ``until``, the earliest first.

        Where several processes have the store, each sees those of the shards that it works.
        """
        ...

    async def outbox(self, *, limit: int = 100) -> Sequence[OutboxEntry]:
        """Entries of the outboxes, oldest first within each shard; of shards as :meth:`due`."""
        ...

    def at_work(self, partition: str) -> AbstractContextManager[None]:
        """Let no other process be shown what is due in a partition's shard until it is left.

        For what goes on outside, such as mail that is handed on: begun by another as well, it would
        be done twice. It is kept for a quarter of a minute at most once another is to have it.
        """
        ...

    async def wait(self, seconds: float) -> bool:
        """Return true as soon as something is emitted, or scheduled for within ``seconds``.

        False after ``seconds`` or sooner. What came since the last call returned counts, so that
        nothing is slept through.
        """
        ...

    def listen(self, heard: Callable[[str | None], None]) -> None:
        """Have ``heard`` called with each partition that a commit announces, by any process.

        It is called once the commit is durable, and before ``commit`` returns where it was made
        here. With None, anything may be another: word of it may have been lost. It must not raise.
        """
        ...

    async def close(self) -> None:
        """Finish what was begun, and let go of everything."""
        ...


class Bodies(Protocol):
    """Where the received bytes are kept, by message id, with the partition of the message."""

    async def prepare(self, body: str, content: bytes) -> tuple[Operation, ...]:
        """Make a body ready to be kept: durable already, or by the operations returned.

        The operations go into the commit of the message that the body belongs to. An id is any
        text of at most 200 octets, percent-encoded.
        """
        ...

    async def read(self, partition: str, body: str, /) -> bytes | None:
        """The bytes as received; None where they are gone or never were.

        ``partition`` is the one whose commit kept them.
        """
        ...
