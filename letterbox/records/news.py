"""What a consumer is given notice of: named by decisions, gathered by the worker."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec

from letterbox.model.preferences import About, Preferences
from letterbox.model.record import DecisionRecord
from letterbox.model.verdict import Deliver, reason_of
from letterbox.ports.store import Operation, Put, Schedule, Unschedule
from letterbox.records import places
from letterbox.records.coding import encode

_ASKED: Final = "awaiting-consumer"


class News(msgspec.Struct, frozen=True):
    """One thing that came. ``names`` are those of who sent it, for pauses that speak of some."""

    at: datetime
    kind: str
    company: str
    subject: str
    names: tuple[str, ...] = ()
    waits: bool = False


class Notified(msgspec.Struct, frozen=True):
    """When the last notice was given."""

    at: datetime


def news(record: DecisionRecord, notified: frozenset[About]) -> Operation:
    """What goes with a decision into its commit, so that it is given notice of if it is to be.

    One operation either way: nobody who sends can measure whether it is.
    """
    key = places.NEW + record.id
    waits = not isinstance(record.verdict, Deliver)
    wanted = "waiting" if waits else record.kind
    if wanted not in notified or (waits and reason_of(record.verdict) != _ASKED):
        return Unschedule(key=key, expect=False)
    return Schedule(key=key, at=record.at)


def gathered(record: DecisionRecord, now: datetime) -> tuple[Operation, ...]:
    """What puts a decision that is to be given notice of among the others that are: once."""
    row = News(
        at=record.at,
        kind=record.kind,
        company=record.vendor.name or record.sender,
        subject=record.subject,
        names=(record.vendor.id, record.sender.rpartition("@")[2]),
        waits=not isinstance(record.verdict, Deliver),
    )
    return (
        Unschedule(key=places.NEW + record.id),
        Put(key=places.NEW + record.id, value=encode(row)),
        # Its revision grows, so that whoever finds nothing new does not overlook this.
        Put(key=places.NEWS, value=b""),
        Schedule(key=places.NEWS, at=now),
    )


def waking(before: Preferences | None, after: Preferences, now: datetime) -> Iterator[Operation]:
    """What has it looked at anew when the next digest and notice are, where that may change."""
    was = before or Preferences()
    rhythms = [(each.timezone, each.pauses) for each in (was, after)]
    moved = rhythms[0] != rhythms[1]
    if was.digest != after.digest or (moved and after.digest is not None):
        yield Schedule(key=places.DIGEST, at=now)
    if was.notify != after.notify or (moved and after.notify is not None):
        yield Schedule(key=places.NEWS, at=now)
