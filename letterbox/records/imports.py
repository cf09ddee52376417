"""What was found of a consumer's old mail, and how far the reading of it has come.

It is one document, so that what was counted and up to where agree always: whoever is killed goes
on where it was, and nothing is counted twice. Of the mail itself nothing is written down.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
from msgspec import structs

from letterbox.model.proposal import Found, Sighting
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Commit,
    Delete,
    Expect,
    Put,
    Rejected,
    Schedule,
    Store,
    StoreUnavailable,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.wishes.proposals import Whose, tally

#: Mailboxes of one consumer that are told apart.
MOST_SOURCES: Final = 50
_ATTEMPTS: Final = 5

Sort = Literal["mbox", "maildir", "imap"]
SourceName = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Position = Annotated[str, msgspec.Meta(max_length=255)]
Amount = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """One mailbox, and how far it was read.

    ``position`` is where to go on, as whoever reads it understands it; ``done`` of ``total`` are
    octets of an mbox, else mails; ``read`` the mails that were counted, and ``unread`` those that
    could not be. ``ended``: it was read to its end.
    """

    sort: Sort
    at: datetime
    position: str = ""
    done: int = 0
    total: int = 0
    read: int = 0
    unread: int = 0
    ended: bool = False


class Imported(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of it. ``at`` is when it was last gone on with.

    ``over`` counts the mails of senders for whom there was no more room.
    """

    begun: datetime
    at: datetime
    sources: dict[str, Source] = {}
    found: dict[str, Found] = {}
    over: int = 0

    @property
    def read(self) -> int:
        """How many mails were counted."""
        return sum(each.read for each in self.sources.values())

    @property
    def unread(self) -> int:
        """How many could not be read, or named no one author."""
        return sum(each.unread for each in self.sources.values())

    @property
    def newest(self) -> Source | None:
        """The mailbox that was gone on with last."""
        return max(self.sources.values(), key=lambda each: each.at, default=None)


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some mails that were read one after the other.

    ``after`` is the position they begin at, ``position`` the one behind them. ``last``: there are
    no more.
    """

    after: Position
    position: Position
    done: Amount
    total: Amount
    sightings: Annotated[tuple[Sighting, ...], msgspec.Meta(max_length=5_000)] = ()
    unread: Amount = 0
    last: bool = False


class Elsewhere(Exception):
    """Somebody else has read the mailbox on from that position, or the import was forgotten."""


class TooManySources(Exception):
    """There are as many mailboxes as are told apart."""


async def imported_of(store: Store, consumer: str) -> Imported | None:
    """What was found of a consumer's old mail; None where none was read."""
    return (await _read(store, consumer))[0]


async def _read(store: Store, consumer: str) -> tuple[Imported | None, int]:
    document = await store.get(places.consumer(consumer), places.IMPORT)
    if document is None:
        return None, 0
    return decode(document.value, Imported), document.revision


class Imports:
    """Imports over the store. ``kept`` is how long one stays after it was last gone on with."""

    def __init__(self, store: Store, clock: Clock, whose: Whose, *, kept: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._whose = whose
        self._kept = kept

    async def of(self, consumer: str) -> Imported | None:
        """What was found of a consumer's old mail; None where none was read."""
        return (await _read(self._store, consumer))[0]

    async def begin(self, consumer: str, name: str, sort: Sort, total: int) -> Source:
        """Begin to read a mailbox, or go on with it: how far it is.

        ``name`` is the same for the same mailbox. Raises :class:`TooManySources`.
        """
        for _ in range(_ATTEMPTS):
            before, revision = await _read(self._store, consumer)
            now = self._clock.now()
            imported = before or Imported(begun=now, at=now)
            known = imported.sources.get(name)
            if known is None and len(imported.sources) >= MOST_SOURCES:
                raise TooManySources
            source = structs.replace(known or Source(sort, now), at=now, total=total)
            sources = {**imported.sources, name: source}
            if await self._write(consumer, structs.replace(imported, sources=sources), revision):
                return source
        raise StoreUnavailable(f"the import of {consumer} changes faster than it is read")

    async def take(self, consumer: str, name: str, batch: Batch) -> Source:
        """Count some mails of a mailbox, all or none of them. Raises :class:`Elsewhere`."""
        for _ in range(_ATTEMPTS):
            before, revision = await _read(self._store, consumer)
            source = before.sources.get(name) if before else None
            if before is None or source is None or source.position != batch.after:
                raise Elsewhere
            after, source = self._counted(before, name, source, batch)
            if await self._write(consumer, after, revision):
                return source
        raise StoreUnavailable(f"the import of {consumer} changes faster than it is read")

    def _counted(
        self, before: Imported, name: str, source: Source, batch: Batch
    ) -> tuple[Imported, Source]:
        found, over = tally(before.found, batch.sightings, self._whose)
        source = Source(
            sort=source.sort,
            at=self._clock.now(),
            position=batch.position,
            done=batch.done,
            total=batch.total,
            read=source.read + len(batch.sightings),
            unread=source.unread + batch.unread,
            ended=batch.last,
        )
        sources: Mapping[str, Source] = {**before.sources, name: source}
        return structs.replace(
            before, sources=sources, found=found, over=before.over + over
        ), source

    async def forget(self, consumer: str) -> bool:
        """Forget what was found; false where there is nothing."""
        before, _ = await _read(self._store, consumer)
        gone = (Delete(places.IMPORT), Unschedule(places.IMPORT, expect=False))
        await self._store.commit(Commit(places.consumer(consumer), gone))
        return before is not None

    async def expire(self, consumer: str) -> None:
        """Forget it where its time has come, else have it looked at again then."""
        before, revision = await _read(self._store, consumer)
        at = before.at + self._kept if before else None
        if at is None or at <= self._clock.now():
            guard = (Expect(places.IMPORT, revision), Delete(places.IMPORT))
            gone = (*guard, Unschedule(places.IMPORT, expect=False))
            await self._store.commit(Commit(places.consumer(consumer), gone))
        else:
            again = Schedule(places.IMPORT, at=at)
            await self._store.commit(Commit(places.consumer(consumer), (again,)))

    async def _write(self, consumer: str, imported: Imported, revision: int) -> bool:
        now = self._clock.now()
        value = encode(structs.replace(imported, at=now))
        written = (
            Put(places.IMPORT, value, expect=revision),
            Schedule(places.IMPORT, at=now + self._kept),
        )
        results: Sequence[object] = await self._store.commit(
            Commit(places.consumer(consumer), written)
        )
        return not isinstance(results[0], Rejected)
