"""Requests of vendors that are locked out to be let back in, as they wait at the consumer."""

from datetime import datetime
from typing import Literal

import msgspec

from letterbox.model.preferences import VendorRule
from letterbox.model.sender import VendorRef
from letterbox.ports.store import Document, Store
from letterbox.records import places
from letterbox.records.coding import decode

#: ``unanswered``: declined by itself. ``settled``: the relationship was changed in between.
RequestState = Literal["waiting", "accepted", "declined", "unanswered", "settled"]


class Beside(msgspec.Struct, frozen=True):
    """An address beside the first by which the same was asked, and until when it was to wait."""

    recipient: str
    until: datetime


class Outcome(msgspec.Struct, frozen=True):
    """An address beside the first is to be told of the outcome."""

    vendor: VendorRef
    recipient: str


class ReconnectEntry(msgspec.Struct, frozen=True):
    """One request. ``until`` is exact (UTC): without an answer it is declined then.

    ``accepted`` is what the vendor was told would have to change, as it was told; ``note`` what it
    says beside, on one line, at most 280 characters.
    """

    id: str
    at: datetime
    vendor: VendorRef
    recipient: str
    reference: str
    until: datetime
    accepted: tuple[str, ...] = ()
    note: str = ""
    #: More addresses of the consumer's by which the same was asked: each hears of the outcome.
    beside: tuple[Beside, ...] = ()
    state: RequestState = "waiting"
    ended: datetime | None = None
    #: The relationship that a yes made of it.
    becomes: VendorRule | None = None


class RequestPage(msgspec.Struct, frozen=True):
    """Newest first. ``after`` is the id to go on from; None at the end."""

    items: tuple[ReconnectEntry, ...]
    after: str | None


def is_waiting(entry: ReconnectEntry) -> bool:
    """Whether it has had no answer yet."""
    return entry.state == "waiting"


def ended(
    entry: ReconnectEntry,
    state: RequestState,
    now: datetime,
    becomes: VendorRule | None = None,
) -> ReconnectEntry:
    """A request with what became of it, and with a yes the relationship that it became."""
    return msgspec.structs.replace(entry, state=state, ended=now, becomes=becomes)


class RequestList:
    """Reading the requests at a consumer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, consumer: str, *, after: str | None, limit: int) -> RequestPage:
        """Those that wait, and what became of the last ones."""
        documents = await self._store.documents(
            places.consumer(consumer),
            places.REQUEST,
            after=places.REQUEST + after if after else None,
            limit=limit + 1,
            descending=True,
        )
        items = tuple(decode(document.value, ReconnectEntry) for document in documents[:limit])
        more = len(documents) > limit
        return RequestPage(items, items[-1].id if more else None)

    async def document(self, consumer: str, name: str) -> Document | None:
        """One as it is stored."""
        return await self._store.get(places.consumer(consumer), places.REQUEST + name)
