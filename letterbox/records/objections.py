"""Objections of consumers, and the advertising that came in spite of them, as they are stored."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Final

import msgspec

from letterbox.model.objection import Evidence, Objection, is_breach
from letterbox.model.record import DecisionRecord
from letterbox.ports.store import Delete, Document, Operation, Put, Store
from letterbox.records import places
from letterbox.records.coding import decode, encode

#: So many messages that came in spite of one objection are kept one by one; more are counted.
MOST_BREACHES: Final = 1000
_PAGE: Final = 200


class ObjectionPage(msgspec.Struct, frozen=True):
    """Newest first. ``after`` is the id to go on from; None at the end."""

    items: tuple[Objection, ...]
    after: str | None


class Objections:
    """Reading them. A consumer's name is part of every question asked."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, consumer: str, *, after: str | None, limit: int) -> ObjectionPage:
        """Those that stand."""
        documents = await self._store.documents(
            places.consumer(consumer),
            places.OBJECTION,
            after=places.OBJECTION + after if after else None,
            limit=limit + 1,
            descending=True,
        )
        items = tuple(decode(document.value, Objection) for document in documents[:limit])
        return ObjectionPage(items, items[-1].id if len(documents) > limit else None)

    async def all(self, consumer: str) -> AsyncIterator[Document]:
        """Every one as it is stored, the oldest first."""
        after: str | None = None
        while page := await self._store.documents(
            places.consumer(consumer), places.OBJECTION, after=after, limit=_PAGE
        ):
            for document in page:
                yield document
            after = page[-1].key

    async def document(self, consumer: str, name: str) -> Document | None:
        """One as it is stored."""
        return await self._store.get(places.consumer(consumer), places.OBJECTION + name)

    async def one(self, consumer: str, name: str) -> Objection | None:
        """One of them."""
        document = await self.document(consumer, name)
        return decode(document.value, Objection) if document else None

    async def with_vendor(self, consumer: str, vendor: str) -> Objection | None:
        """The one that stands against a vendor, by its id; of its other domains, see is_breach."""
        pointer = await self._store.get(places.consumer(consumer), places.objected(vendor))
        return await self.one(consumer, pointer.value.decode()) if pointer else None

    async def against(self, consumer: str, record: DecisionRecord) -> Objection | None:
        """The one that a message would be a breach of, were there no grace."""
        async for document in self.all(consumer):
            objection = decode(document.value, Objection)
            if is_breach(objection, record, timedelta(0)):
                return objection
        return None

    async def breaches(self, consumer: str, name: str) -> Sequence[Evidence]:
        """The messages that came in spite of one, the oldest first; at most MOST_BREACHES."""
        documents = await self._store.documents(
            places.consumer(consumer), places.breaches(name), limit=MOST_BREACHES
        )
        return [decode(document.value, Evidence) for document in documents]


def writing(objection: Objection) -> tuple[Operation, ...]:
    """What writes a new one down, unless one stands against its vendor already."""
    return (
        Put(
            key=places.objected(objection.vendor.id),
            value=objection.id.encode(),
            expect=0,
        ),
        Put(key=places.OBJECTION + objection.id, value=encode(objection), expect=0),
        # As long as this is there its message is not collected.
        Put(key=places.evidence(objection.message), value=objection.id.encode()),
    )


def removing(objection: Objection, revision: int, breaches: Sequence[Evidence]) -> list[Operation]:
    """What takes one back, with all that was kept for it."""
    return [
        Delete(key=places.OBJECTION + objection.id, expect=revision),
        Delete(key=places.objected(objection.vendor.id)),
        Delete(key=places.evidence(objection.message)),
        *(Delete(key=places.breaches(objection.id) + each.decision) for each in breaches),
    ]
