"""What a consumer has: inbox, what is held, decisions."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from letterbox.model.record import DecisionRecord, HeldEntry, InboxEntry, MessageRecord
from letterbox.model.verdict import name_of
from letterbox.ports.store import (
    Bodies,
    Commit,
    Delete,
    Document,
    Done,
    Put,
    Store,
    Unclaim,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.coding import decode, encode

Row = TypeVar("Row", InboxEntry, HeldEntry, DecisionRecord)

#: Rows read at once, and in all for one page where only some of them are wanted.
_STEP = 200
_MOST = 5_000
#: Entries among which one that has just come is found.
_NEWEST = 20


class Page(msgspec.Struct, Generic[Row], frozen=True):
    """Newest first. ``after`` is the id to go on from; None at the end."""

    items: tuple[Row, ...]
    after: str | None


class Mailboxes:
    """Reading what a consumer has. A consumer's name is part of every question asked."""

    def __init__(self, store: Store, bodies: Bodies) -> None:
        self._store = store
        self._bodies = bodies

    async def inbox(
        self,
        consumer: str,
        *,
        after: str | None,
        limit: int,
        wanted: Callable[[InboxEntry], bool] = lambda _: True,
    ) -> Page[InboxEntry]:
        """What was delivered, or what is ``wanted`` of it."""
        return await self._page(consumer, places.INBOX, InboxEntry, after, limit, wanted)

    async def newest(self, consumer: str) -> str:
        """A word that is another whenever something has come.

        Not the newest id alone: what another process decides at the same time may sort before it.
        """
        newest = await self._documents(consumer, places.INBOX, None, _NEWEST)
        keys = " ".join(document.key for document in newest)
        return hashlib.sha256(keys.encode()).hexdigest()[:16]

    async def held(self, consumer: str, *, after: str | None, limit: int) -> Page[HeldEntry]:
        """What waits."""
        return await self._page(consumer, places.HELD, HeldEntry, after, limit)

    async def decisions(
        self,
        consumer: str,
        *,
        after: str | None,
        limit: int,
        verdict: str | None = None,
        wanted: Callable[[DecisionRecord], bool] = lambda _: True,
    ) -> Page[DecisionRecord]:
        """Every decision, or those of one verdict, or what is ``wanted`` of them."""

        def fits(row: DecisionRecord) -> bool:
            return (verdict is None or name_of(row.verdict) == verdict) and wanted(row)

        return await self._page(consumer, places.DECISION, DecisionRecord, after, limit, fits)

    async def _page(
        self,
        consumer: str,
        prefix: str,
        kind: type[Row],
        after: str | None,
        limit: int,
        wanted: Callable[[Row], bool] = lambda _: True,
    ) -> Page[Row]:
        found: list[Row] = []
        key = prefix + after if after else None
        step = max(limit + 1, _STEP)
        for _ in range(_MOST // step + 1):
            documents = await self._documents(consumer, prefix, key, step)
            rows = [decode(document.value, kind) for document in documents]
            found += [row for row in rows if wanted(row)]
            if len(found) > limit:
                return Page(items=tuple(found[:limit]), after=found[limit - 1].id)
            if len(documents) < step:
                return Page(items=tuple(found), after=None)
            key = documents[-1].key
        # Few of very many: a page may end before it is full, and goes on from where it ended.
        return Page(items=tuple(found), after=rows[-1].id)

    async def _documents(
        self, consumer: str, prefix: str, after: str | None, limit: int
    ) -> Sequence[Document]:
        return await self._store.documents(
            places.consumer(consumer), prefix, after=after, limit=limit, descending=True
        )

    async def entry(self, consumer: str, name: str) -> InboxEntry | None:
        """One inbox entry."""
        return await self._one(consumer, places.INBOX, name, InboxEntry)

    async def held_entry(self, consumer: str, name: str) -> HeldEntry | None:
        """One held entry."""
        return await self._one(consumer, places.HELD, name, HeldEntry)

    async def decision(self, consumer: str, name: str) -> DecisionRecord | None:
        """One decision."""
        return await self._one(consumer, places.DECISION, name, DecisionRecord)

    async def _one(self, consumer: str, prefix: str, name: str, kind: type[Row]) -> Row | None:
        document = await self._store.get(places.consumer(consumer), prefix + name)
        return decode(document.value, kind) if document else None

    async def mark(
        self, consumer: str, name: str, *, read: bool | None, archived: bool | None
    ) -> InboxEntry | None:
        """Change an entry's marks; None leaves one as it is. None where there is no entry."""
        while True:
            document = await self._store.get(places.consumer(consumer), places.INBOX + name)
            if document is None:
                return None
            entry = decode(document.value, InboxEntry)
            entry = msgspec.structs.replace(
                entry,
                read=entry.read if read is None else read,
                archived=entry.archived if archived is None else archived,
            )
            put = Put(key=document.key, value=encode(entry), expect=document.revision)
            (result,) = await self._store.commit(
                Commit(partition=places.consumer(consumer), operations=(put,))
            )
            if isinstance(result, Done):
                return entry

    async def remove(self, consumer: str, name: str) -> bool:
        """Take an entry out of the inbox; its decision stays in the log."""
        entry = await self.entry(consumer, name)
        if entry is None:
            return False
        gone = (
            Delete(key=places.INBOX + name),
            Delete(key=places.STUCK + name),
            Unschedule(key=places.ONWARD + name, expect=False),
        )
        commits = [Commit(partition=places.consumer(consumer), operations=gone)]
        if entry.onward is not None and entry.onward.name:
            # What comes back of it is nobody's any more.
            handed = (Unclaim(places.HANDED),)
            commits.append(Commit(places.handed(entry.onward.name), handed))
        await self._store.commit(*commits)
        return True

    async def message(self, name: str) -> MessageRecord | None:
        """The record of a message. For those who hold an entry or a decision about it."""
        document = await self._store.get(places.message(name), places.MESSAGE)
        return decode(document.value, MessageRecord) if document else None

    async def body(self, name: str) -> bytes | None:
        """The bytes of a message as received."""
        return await self._bodies.read(places.message(name), name)
