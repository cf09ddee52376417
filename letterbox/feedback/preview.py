"""What a vendor would be told of a recorded decision at another level: the same disclosure."""

from datetime import UTC, datetime, time
from typing import Final, NamedTuple

import msgspec

from letterbox.feedback.disclosure import Disclosure, Hearing
from letterbox.feedback.events import after_hold, event, event_of
from letterbox.model.preferences import Tells, VendorRule
from letterbox.model.record import DecisionRecord, RecordedHearing
from letterbox.model.told import Event, EventType, Told
from letterbox.model.verdict import Decision, Deliver, reason_of
from letterbox.model.wishes import Relationship, Times

#: The id of an event that says when a message was released is random: here it is none.
_RANDOM: Final = "0" * 32
_SETTLES: Final = frozenset({"consumer", "release"})


class Previewed(NamedTuple):
    """What would be told. ``tells`` is the level, None for a newcomer, who has none.

    ``told`` is what is answered, None where nothing is: the message was taken before. ``events``
    are what the feed says.
    """

    tells: Tells | None
    told: Told | None
    events: tuple[Event, ...]


def preview(
    disclosure: Disclosure,
    record: DecisionRecord,
    tells: Tells | None,
    *,
    times: Times,
    your_reference: str | None,
    before: DecisionRecord | None = None,
) -> Previewed:
    """What would be told of ``record`` at a level; None for the one that it was told at.

    ``before`` is the hold that it follows. Nothing is stored, and nobody is told.
    """
    known = record.hearing or _of_old(record)
    level = None if known.tells is None else tells or known.tells
    hearing = _hearing(record, known, level, times)
    decision = Decision(verdict=record.verdict, findings=record.findings)
    reference = record.told.reference
    told = disclosure.tell(decision, hearing, reference)
    direct = msgspec.structs.replace(hearing, relayed=False)
    heard = disclosure.tell(decision, direct, reference)
    if record.follows is not None:
        later = _later(record, known, heard, before, times, your_reference)
        return Previewed(level, None, later)
    owed = None
    if record.vendor.registered:
        owed = event_of(
            heard,
            record.verdict,
            name=record.id,
            at=record.at,
            message=record.message,
            recipient=record.recipient,
            your_reference=your_reference,
            shared=known.shares_delivered,
        )
    return Previewed(level, told, (owed,) if owed else ())


def told_as(disclosure: Disclosure, record: DecisionRecord, times: Times) -> Told:
    """What was told of a recorded decision, in the language of ``disclosure``."""
    known = record.hearing or _of_old(record)
    decision = Decision(verdict=record.verdict, findings=record.findings)
    hearing = _hearing(record, known, known.tells, times)
    return disclosure.tell(decision, hearing, record.told.reference)


def _later(
    record: DecisionRecord,
    known: RecordedHearing,
    heard: Told,
    before: DecisionRecord | None,
    times: Times,
    your_reference: str | None,
) -> tuple[Event, ...]:
    """What the feed says of a message that was held: its day, and no hour."""
    if record.channel == "reply" or not record.vendor.registered or heard.verdict == "accepted":
        return ()  # what the consumer takes back is told to nobody
    final = bool(record.findings) and record.findings[0].filter in _SETTLES
    why = (reason_of(before.verdict) if before else None) or ""
    kind = after_hold(record.verdict, why, final=final)
    if kind is None:
        return ()
    shared = known.shares_delivered and isinstance(record.verdict, Deliver)
    kinds: tuple[EventType, ...] = (kind, "message.delivered") if shared else (kind,)
    return tuple(
        event(
            each,
            heard,
            name=_RANDOM,
            at=datetime.combine(times.local_date(record.at), time(), tzinfo=UTC),
            message=record.message,
            recipient=record.recipient,
            your_reference=your_reference,
        )
        for each in kinds
    )


def _hearing(
    record: DecisionRecord, known: RecordedHearing, level: Tells | None, times: Times
) -> Hearing:
    related = None
    if level is not None:
        rule = VendorRule(
            vendor=record.vendor.id,
            tells=level,
            standing=known.standing,
            when_unwanted=known.when_unwanted,
        )
        related = Relationship(rule=rule, quotas=())
    return Hearing(
        vendor=record.vendor,
        relationship=related,
        newcomers=known.newcomers,
        times=times,
        reply=known.reply,
        relayed=known.relayed,
        why=known.why,
        sensitive=known.sensitive,
        probed=known.probed,
        taken=known.taken,
    )


def _of_old(record: DecisionRecord) -> RecordedHearing:
    """What can be told from a decision of old, which did not keep it."""
    reason = record.told.reason
    newcomer = reason is not None and reason.code in {"no-relationship", "not-accepted"}
    usual: Tells = "remedy" if record.vendor.registered else "reason"
    return RecordedHearing(tells=None if newcomer else usual, taken=record.follows is not None)
