"""Everything one decision rests on."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from letterbox.model.address import Address
from letterbox.model.message import Message
from letterbox.model.sender import Proven, VendorRef
from letterbox.model.verdict import Decision, Finding
from letterbox.model.wishes import Relationship, Wishes

__all__ = ["Case", "Decision", "Finding"]


class Case(msgspec.Struct, frozen=True):
    """One message for one recipient. ``now`` is aware, in UTC.

    ``relationship`` is the one that covers this sender, or None for a newcomer. ``binding`` is
    the vendor (id or domain) this recipient address was given to, if any. ``usage`` holds what
    has been counted so far, by counter name. ``answered`` is true when the consumer has said
    yes to this very message.
    """

    recipient: Address
    sender: Proven
    vendor: VendorRef
    message: Message
    wishes: Wishes
    relationship: Relationship | None
    now: datetime
    binding: str | None = None
    usage: Mapping[str, int] = {}
    answered: bool = False
