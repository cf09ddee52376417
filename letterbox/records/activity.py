"""Who was told what about a consumer: the decisions, and a log of what is none."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal, NamedTuple

import msgspec

from letterbox.model.record import DecisionRecord
from letterbox.model.sender import VendorRef
from letterbox.model.told import Told
from letterbox.ports.store import Operation, Put, Store
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.names import new_id

_IN_FEED: Final = frozenset({"refuse", "hold"})
#: What happened beside decisions. ``relationship.*``: the vendor was told so. ``reconnect.*``: a
#: vendor that is locked out asked to come back, and what became of that; ``settled``: by a change
#: of the relationship. ``unwanted.*``: whether the sender of unwanted mail was told, and the
#: subscription ended, or (``mailed``) a mail taken that asks for it. ``objection.*``: the consumer
#: objected to advertising, took that back, or got some all the same. ``notice.*``: the consumer
#: was told of something that went wrong.
Happened = Literal[
    "relationship.blocked",
    "relationship.changed",
    "relationship.reinstated",
    "reconnect.asked",
    "reconnect.accepted",
    "reconnect.declined",
    "reconnect.unanswered",
    "reconnect.settled",
    "unwanted.told",
    "unwanted.not-told",
    "unwanted.unsubscribed",
    "unwanted.not-unsubscribed",
    "unwanted.mailed",
    "objection.made",
    "objection.breached",
    "objection.withdrawn",
    "notice.address",
    "notice.locked-out",
    "notice.lookalike",
    "notice.objection",
]
Channel = Literal["reply", "feed", "page", "request", "notice"]


class Activity(msgspec.Struct, frozen=True):
    """One entry of the log. ``told`` is what the vendor was told, None where it was not.

    ``recipient`` is the address it was about, ``text`` what the vendor wrote or accepted, line by
    line; ``decision`` the one it was about, if any.
    """

    id: str
    at: datetime
    type: Happened
    channel: Channel
    vendor: VendorRef
    recipient: str = ""
    told: Told | None = None
    text: tuple[str, ...] = ()
    decision: str = ""


Row = DecisionRecord | Activity


class ActivityPage(msgspec.Struct, frozen=True):
    """Newest first. ``after`` is the id to go on from; None at the end."""

    items: tuple[Row, ...]
    after: str | None


def activity(
    at: datetime,
    happened: Happened,
    channel: Channel,
    vendor: VendorRef,
    *,
    recipient: str = "",
    told: Told | None = None,
    text: tuple[str, ...] = (),
    decision: str = "",
) -> Operation:
    """What writes an entry down, on the consumer's partition."""
    entry = Activity(
        id=new_id(at),
        at=at,
        type=happened,
        channel=channel,
        vendor=vendor,
        recipient=recipient,
        told=told,
        text=text,
        decision=decision,
    )
    return Put(key=places.ACTIVITY + entry.id, value=encode(entry))


def was_told(record: DecisionRecord) -> bool:
    """Whether a decision was told to anybody: not one that the consumer took back alone."""
    return record.follows is None or record.channel != "reply"


class Telling(NamedTuple):
    """What was told by one channel; ``spoken``: as the reply of a session, word for word."""

    channel: Channel
    told: Told
    spoken: bool = False


def tellings(row: Row) -> Iterator[Telling]:
    """What a vendor was told, by each channel; nothing where it was told nothing."""
    if isinstance(row, Activity):
        if row.told:
            yield Telling(row.channel, row.told)
        return
    yield Telling(row.channel, row.told, row.channel == "reply" and row.edge != "http")
    heard = row.heard or row.told
    shared = row.hearing is not None and row.hearing.shares_delivered
    fed = heard.verdict in _IN_FEED or (shared and heard.verdict == "deliver")
    if row.channel == "reply" and row.vendor.registered and fed:
        yield Telling("feed", heard)


class ActivityLog:
    """Reading the two as one, by time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, consumer: str, *, after: str | None, limit: int) -> ActivityPage:
        """What happened before ``after``, newest first. Ids of both kinds sort by time."""
        rows: list[Row] = []
        while True:
            step = limit + 1 - len(rows)
            found, last = await self._step(consumer, after, step)
            rows += [row for row in found if isinstance(row, Activity) or was_told(row)]
            if len(rows) > limit:
                return ActivityPage(tuple(rows[:limit]), rows[limit - 1].id)
            if last is None:
                return ActivityPage(tuple(rows), None)
            after = last

    async def entries(self, consumer: str, *, after: str | None, limit: int) -> ActivityPage:
        """What is no decision, newest first."""
        documents = await self._store.documents(
            places.consumer(consumer),
            places.ACTIVITY,
            after=places.ACTIVITY + after if after else None,
            limit=limit + 1,
            descending=True,
        )
        rows = tuple(decode(document.value, Activity) for document in documents[:limit])
        return ActivityPage(rows, rows[-1].id if len(documents) > limit else None)

    async def _step(
        self, consumer: str, after: str | None, limit: int
    ) -> tuple[list[Row], str | None]:
        """The next so many entries of both kinds; the id of the last, None at the end."""
        rows: list[Row] = []
        full = False
        kinds: tuple[tuple[str, type[Row]], ...] = (
            (places.DECISION, DecisionRecord),
            (places.ACTIVITY, Activity),
        )
        for prefix, kind in kinds:
            documents = await self._store.documents(
                places.consumer(consumer),
                prefix,
                after=prefix + after if after else None,
                limit=limit,
                descending=True,
            )
            full = full or len(documents) == limit
            rows += [decode(document.value, kind) for document in documents]
        rows.sort(key=lambda row: row.id, reverse=True)
        cut = rows[:limit]
        ends = not full and len(rows) <= limit
        return cut, None if ends or not cut else cut[-1].id
