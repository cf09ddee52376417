"""What a sender is told about one recipient, whatever the channel."""

from datetime import date, datetime
from typing import Literal

import msgspec

from letterbox.model.reason import ReasonClass

ToldVerdict = Literal["deliver", "hold", "refuse", "defer", "accepted"]


class ToldReason(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reason as far as it may be told. ``code`` is the class word at level ``class``."""

    code: str
    reason_class: ReasonClass = msgspec.field(name="class")
    title: str
    final: bool
    url: str
    detail: str | None = None
    remedies: tuple[str, ...] = ()
    #: A day, never an hour.
    retry_after: date | None = None


class Told(msgspec.Struct, frozen=True):
    """One recipient's answer, passed through disclosure. Every channel renders this alone.

    ``reply`` and ``enhanced`` are the SMTP digits; ``text`` the rest of that line, ASCII or
    UTF-8 without control characters, its last word a URL or the reference.
    """

    verdict: ToldVerdict
    reference: str
    reply: int
    enhanced: str
    text: str
    reason: ToldReason | None = None
    until: date | None = None

    @property
    def line(self) -> str:
        """The SMTP or LMTP reply (RFC 5321, section 4.2; RFC 2034)."""
        return f"{self.reply} {self.enhanced} {self.text}"


#: What stands against a message, before it is sent: ``open`` nothing that may be told; ``untold``
#: what this recipient lets be known is told when a message is sent.
Foreseen = Literal["open", "hold", "refuse", "defer", "untold"]


class Foretold(msgspec.Struct, frozen=True):
    """What a vendor may know about one recipient before it sends. No promise is in it."""

    verdict: Foreseen
    reason: ToldReason | None = None
    until: date | None = None


EventType = Literal[
    "message.refused",
    "message.held",
    "message.awaiting",
    "message.released",
    "message.delivered",
    "message.expired",
    "message.approved",
    "message.declined",
    "relationship.blocked",
    "relationship.changed",
    "relationship.reinstated",
    "domain.proven",
    "domain.failing",
    "domain.lost",
    "domain.contested",
    "vendor.suspended",
    "vendor.resumed",
]


class Event(msgspec.Struct, frozen=True):
    """One entry of a vendor's feed: what was disclosed, nothing more. ``at`` in UTC.

    It is about a message for one recipient, about a ``domain`` of the vendor's, or about the
    vendor itself: then the fields that speak of a message are empty.
    """

    id: str
    type: EventType
    at: datetime
    message: str = ""
    recipient: str = ""
    verdict: ToldVerdict | None = None
    reason: ToldReason | None = None
    reference: str = ""
    until: date | None = None
    your_reference: str | None = None
    domain: str | None = None
