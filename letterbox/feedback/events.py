"""Events of a vendor's feed, from what was disclosed to it."""

from datetime import datetime

from letterbox.model.preferences import Standing
from letterbox.model.told import Event, EventType, Told
from letterbox.model.verdict import Hold, UntilAnswered, Verdict


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
