"""What went wrong in a consumer's name: seen in a decision, and left for the worker to tell."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal

from letterbox.model.flag import resembled
from letterbox.model.record import DecisionRecord
from letterbox.model.verdict import reason_of, reasons_in
from letterbox.ports.store import Delete, Operation, Put, Schedule, Unschedule
from letterbox.records import places

#: ``address``: given to one vendor, used by another. ``locked-out``: it goes on sending.
#: ``lookalike``: it looks like a vendor of the consumer's, and is another. ``objection``: it goes
#: on advertising though the consumer objected to that; no decision shows it by itself.
Cause = Literal["address", "locked-out", "lookalike", "objection"]

#: What is written where there is nothing to tell of: as much as where there is.
_NOTHING: Final = (
    Delete(key=places.noticed("")),
    Unschedule(key=places.NOTICE, expect=False),
)


def causes(record: DecisionRecord) -> Iterator[Cause]:
    """Why a consumer should be told of a decision; of one message once."""
    if record.consumer == places.NOBODY or record.follows is not None:
        return
    if "address-of-another" in reasons_in(record.findings):
        yield "address"
    if is_locked_out(record):
        yield "locked-out"
    if resembled(record.flags) is not None:
        yield "lookalike"


def causes_left(about: str, record: DecisionRecord) -> Iterator[Cause]:
    """Why a consumer should be told of a decision that was left to be looked at, as ``about``."""
    if about.startswith("objection/"):
        yield "objection"
    else:
        yield from causes(record)


def objected_to(vendor: str, record: DecisionRecord, now: datetime) -> tuple[Operation, Operation]:
    """The operations that have the worker tell of a message that came in spite of an objection."""
    about = f"objection/{vendor}"
    return (
        Put(key=places.noticed(about), value=record.id.encode()),
        Schedule(key=places.NOTICE + about, at=now),
    )


def is_locked_out(record: DecisionRecord) -> bool:
    """Whether a message was refused because its vendor is locked out."""
    return record.follows is None and reason_of(record.verdict) == "vendor-blocked"


def noticing(record: DecisionRecord) -> tuple[Operation, Operation]:
    """The operations of a decision's commit that have the worker look at it afterwards.

    The consumer is told by the worker, and where there is nothing to tell as much is written:
    nobody who sends can measure it. Of many at once, of one vendor and alike, the last is looked
    at.
    """
    found = "+".join(causes(record))
    if not found:
        return _NOTHING
    about = f"{found}/{record.vendor.id}"
    return (
        Put(key=places.noticed(about), value=record.id.encode()),
        Schedule(key=places.NOTICE + about, at=record.at),
    )
