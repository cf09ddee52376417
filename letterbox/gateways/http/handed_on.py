"""What became of handing a message on, as JSON."""

from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from letterbox.model.onward import HandingOn, OnwardState


class OnwardItem(msgspec.Struct, frozen=True):
    """How the handing on of a message stands. ``sentence`` is in the consumer's language.

    ``to`` is a mailbox of theirs, or "mailbox" for the operator's server. ``why`` is there where it
    stays here, ``next`` where it is tried again, ``detail`` is what the next server said.
    """

    to: str
    state: OnwardState
    sentence: str
    since: datetime
    attempts: int
    at: datetime | UnsetType = UNSET
    next: datetime | UnsetType = UNSET
    why: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET


class HandedItem(msgspec.Struct, frozen=True):
    """What the mail server behind said; where ``taken`` is false it lies here alone."""

    at: datetime
    said: str
    taken: bool


def onward_item(onward: HandingOn, sentence: str) -> OnwardItem:
    """A handing on as its owner sees it."""
    return OnwardItem(
        to=onward.to,
        state=onward.state,
        sentence=sentence,
        since=onward.since,
        attempts=onward.attempts,
        at=onward.at or UNSET,
        next=onward.next or UNSET,
        why=onward.why or UNSET,
        detail=onward.detail or UNSET,
    )
