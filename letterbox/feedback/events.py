"""Events of a vendor's feed, from what was disclosed to it."""

from datetime import date, datetime

import msgspec
from msgspec import UNSET, UnsetType

from letterbox.model.preferences import Standing
from letterbox.model.told import Event, EventType, Told, ToldReason, ToldVerdict
from letterbox.model.verdict import Deliver, Hold, Refuse, UntilAnswered, Verdict

_ASKED = "awaiting-consumer"
#: Reasons that say a held message came too late to be of use.
_TOO_LATE = frozenset({"offer-expired", "offer-ends-before-window", "interest-over"})


class FeedItem(msgspec.Struct, frozen=True):
    """One event of a vendor's feed: about a message, or about a ``domain`` of the vendor's."""

    id: str
    type: EventType
    at: datetime
    message: str | None
    recipient: str | None
    verdict: ToldVerdict | None
    reason: ToldReason | None
    reference: str | None
    until: date | UnsetType = UNSET
    your_reference: str | UnsetType = UNSET
    domain: str | UnsetType = UNSET


def event_of(
    told: Told,
    verdict: Verdict,
    *,
    name: str,
    at: datetime,
    message: str,
    recipient: str,
    your_reference: str | None = None,
    shared: bool = False,
) -> Event | None:
    """The event owed for a decision; None where nothing beyond the answer may be told.

    What was rendered as ``accepted`` stays so: a later event would tell what the answer hid.
    ``shared``: the consumer shares what is delivered.
    """
    kind: EventType
    match told.verdict:
        case "refuse":
            kind = "message.refused"
        case "hold":
            asked = isinstance(verdict, Hold) and any(
                isinstance(c, UntilAnswered) for c in verdict.conditions
            )
            kind = "message.awaiting" if asked else "message.held"
        case "deliver" if shared:
            kind = "message.delivered"
        case _:
            return None
    return event(
        kind,
        told,
        name=name,
        at=at,
        message=message,
        recipient=recipient,
        your_reference=your_reference,
    )


def after_hold(verdict: Verdict, why: str, *, final: bool) -> EventType | None:
    """What a decision about a message that was held for ``why`` is called; None for no event.

    ``final``: no rule decided it, but a word or the time.
    """
    match verdict:
        case Deliver():
            return "message.approved" if why == _ASKED else "message.released"
        case Hold() if why == _ASKED and verdict.reason != _ASKED:
            return "message.approved"  # and waits on, for its time
        case Refuse(reason="declined"):
            return "message.declined"
        case Refuse(reason=reason):
            return "message.expired" if final or reason in _TOO_LATE else "message.refused"
        case _:
            return None


def relationship_event_type(before: Standing | None, after: Standing) -> EventType:
    """What a changed relationship is called; ``before`` is None where there was none."""
    if after == "blocked":
        return "relationship.blocked"
    return "relationship.reinstated" if before == "blocked" else "relationship.changed"


def event(
    kind: EventType,
    told: Told,
    *,
    name: str,
    at: datetime,
    message: str,
    recipient: str,
    your_reference: str | None = None,
) -> Event:
    """An event of a given type, saying what was told."""
    return Event(
        id=name,
        type=kind,
        at=at,
        message=message,
        recipient=recipient,
        verdict=told.verdict,
        reason=told.reason,
        reference=told.reference,
        until=told.until,
        your_reference=your_reference,
    )


def feed_item(event: Event) -> FeedItem:
    """An event as its vendor sees it."""
    return FeedItem(
        id=event.id,
        type=event.type,
        at=event.at,
        message=event.message or None,
        recipient=event.recipient or None,
        verdict=event.verdict,
        reason=event.reason,
        reference=event.reference or None,
        until=event.until or UNSET,
        your_reference=event.your_reference or UNSET,
        domain=event.domain or UNSET,
    )
