"""Reports owed by mail: what is written down until they are sent."""

from datetime import datetime
from typing import Literal

import msgspec

from letterbox.model.sender import VendorRef
from letterbox.model.told import Told


class Reported(msgspec.Struct, frozen=True, omit_defaults=True):
    """One recipient of a report (RFC 3464, section 2.3).

    ``original`` is the recipient as the sender first wrote it, ``type;address`` (RFC 3461).
    """

    recipient: str
    told: Told
    original: str | None = None


class Report(msgspec.Struct, frozen=True, tag="delivery", omit_defaults=True):
    """A delivery status notification that is owed to a return path (RFC 3464).

    ``to`` is that path; it is sent only where SPF passes for it from ``client``, who said
    ``helo``. ``author`` is the domain that wrote the message, empty where that is not proven.
    ``received`` is when the message came, ``owed`` from when on it may be sent, ``header`` the
    message's as received, or the beginning of it. ``action``: ``failed``, or ``relayed`` for those
    who asked to hear of a success. ``digest`` is of the content: the same message is reported on
    once.
    """

    id: str
    to: str
    client: str
    helo: str
    received: datetime
    owed: datetime
    header: bytes
    digest: str
    recipients: tuple[Reported, ...]
    #: Rows that were written before it was have none.
    author: str = ""
    action: Literal["failed", "relayed"] = "failed"
    envelope_id: str | None = None
    #: It may go: the path is proven, and there was room for it.
    admitted: bool = False
    attempts: int = 0


class Folded(msgspec.Struct, frozen=True):
    """A report that was one too many for its hour: what it would have said, and to whom."""

    to: str
    codes: tuple[str, ...]


class Silence(msgspec.Struct, frozen=True):
    """A place that took nothing: it is left alone until then, after so many attempts in a row."""

    until: datetime
    attempts: int


class Complaint(msgspec.Struct, frozen=True, omit_defaults=True):
    """A consumer's word that a message was unwanted, owed to who asked to hear of it (RFC 9477).

    ``to`` is the address of the field that was signed; ``received`` a day (UTC), since an hour
    would tell when the consumer's windows open. ``client`` is the IP address it came from,
    ``domain`` its author's. ``header`` holds the fields that name the message to its sender, as
    they were received, and none that names the consumer. ``vendor`` and ``recipient`` are for the
    consumer's own log.
    """

    id: str
    to: str
    vendor: VendorRef
    recipient: str
    received: datetime
    owed: datetime
    client: str
    domain: str
    header: bytes
    attempts: int = 0


class Unsubscription(msgspec.Struct, frozen=True, omit_defaults=True):
    """A subscription is to be ended, as a consumer asked for.

    ``url`` is the address that was signed for it: one to be called (RFC 8058), or where ``mail``
    is set one to be written to, in these words (RFC 2369). ``objection`` is whose record says what
    was answered, if it goes with one.
    """

    id: str
    url: str
    vendor: VendorRef
    recipient: str
    owed: datetime
    attempts: int = 0
    mail: "UnsubscribingMail | None" = None
    objection: str = ""


class UnsubscribingMail(msgspec.Struct, frozen=True):
    """The words of a mail that ends a subscription, as its sender listed them."""

    subject: str
    body: str
