"""A whole store, row by row: what is moved to another, backed up and restored.

Only what no letterbox serves is written this way: rows go in exactly as they came out, with their
revisions, numbers and times, past every guard of ``commit``.
"""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Final, Protocol, TypeAlias

import msgspec

from letterbox.ports.store import DueEntry, OutboxEntry, StoreUnavailable


class Incomplete(StoreUnavailable):
    """The store is a copy that was begun and not finished; nobody may serve it."""

    def __init__(self, store: str, source: str) -> None:
        super().__init__(
            f"{store} is a copy of {source} that was not finished: repeat the command that was "
            "copying, which goes on where it was; or empty it and begin again"
        )


class BeingCopied(StoreUnavailable):
    """The store is being copied; nobody else may have it meanwhile."""


class BodyRow(msgspec.Struct, frozen=True, tag="body", array_like=True):
    """A body."""

    id: str
    content: bytes


class DocumentRow(msgspec.Struct, frozen=True, tag="document", array_like=True):
    """A document with its revision."""

    partition: str
    key: str
    revision: int
    value: bytes


class EntryRow(msgspec.Struct, frozen=True, tag="entry", array_like=True):
    """An entry of a log. A log's newest never goes, so that its number is the log's, too."""

    partition: str
    log: str
    sequence: int
    value: bytes


class CounterRow(msgspec.Struct, frozen=True, tag="counter", array_like=True):
    """A counter, and when it is forgotten."""

    partition: str
    name: str
    count: int
    expires: datetime


class ClaimRow(msgspec.Struct, frozen=True, tag="claim", array_like=True):
    """A claim, and when it is forgotten; None: never."""

    partition: str
    name: str
    value: bytes
    expires: datetime | None


Row: TypeAlias = BodyRow | DocumentRow | EntryRow | CounterRow | ClaimRow | DueEntry | OutboxEntry

#: Every kind, in the order in which they are read, with the name that people are told. Bodies
#: are first: while a store is backed up that goes on being served, some may be dropped.
KINDS: Final[dict[type[Row], str]] = {
    BodyRow: "bodies",
    DocumentRow: "documents",
    EntryRow: "log entries",
    CounterRow: "counters",
    ClaimRow: "claims",
    DueEntry: "due entries",
    OutboxEntry: "outbox entries",
}


class Piece(msgspec.Struct, frozen=True):
    """Some rows of one kind after another. What follows them is read with ``position``.

    ``gone``: so many bodies are left out of it because their files are no longer there.
    """

    rows: Sequence[Row]
    position: bytes
    gone: int = 0


class Unfinished(msgspec.Struct, frozen=True):
    """How far a copy has come; it stands in the target until the copy is finished.

    ``source`` names where it comes from, ``newest`` is the source's newest number of an outbox
    entry, ``position`` what has been copied.
    """

    source: str
    newest: int
    position: bytes = b""


class Tally(msgspec.Struct, frozen=True):
    """How many rows there are of a kind, and one number (in hexadecimal) made of all of them."""

    count: int
    digest: str


class Seal(msgspec.Struct, frozen=True):
    """What a backup says of itself: what must be found in it, by the names of ``KINDS``.

    ``gone`` bodies were dropped while it was made. Of ``outside`` bodies it holds references alone.
    ``newest`` as in :class:`Unfinished`.
    """

    id: str
    version: str
    source: str
    begun: datetime
    tallies: dict[str, Tally]
    newest: int
    gone: int
    outside: int


class Source(Protocol):
    """A store that is read. Every method raises :class:`StoreUnavailable` in trouble."""

    #: Where it is, without secrets; the same whenever it is opened.
    name: str

    def pieces(self, after: bytes = b"") -> AsyncGenerator[Piece, None]:
        """All rows behind a position, each once, in pieces that fit into memory.

        The order is the same each time: kind by kind; the entries of a log and of a shard's
        outbox by their numbers, shard after shard.
        """
        ...

    async def newest(self) -> int:
        """The greatest number that an outbox entry of any shard ever had; 0 where none was."""
        ...

    async def close(self) -> None:
        """Let it go."""
        ...


class Target(Source, Protocol):
    """A store that is written; nobody else has it."""

    async def empty(self) -> bool:
        """Whether it holds no row."""
        ...

    async def unfinished(self) -> Unfinished | None:
        """How far a copy into it has come; None where none is under way."""
        ...

    async def write(self, rows: Sequence[Row], unfinished: Unfinished) -> None:
        """Write rows, and how far the copy has come with them; durable at return.

        Rows that were written before, by a call of which the end was not seen, may be among them.
        An outbox entry whose number is taken, by one of another shard, gets one above
        ``unfinished.newest``.
        """
        ...

    async def finish(self, unfinished: Unfinished) -> None:
        """The copy is whole: from now on it is a store like any other."""
        ...


class Draft(Target, Protocol):
    """A backup in the making."""

    async def publish(self, seal: Seal) -> None:
        """Seal it, and give it its name, whole and durable."""
        ...


class Backup(Source, Protocol):
    """A backup that is read."""

    seal: Seal
