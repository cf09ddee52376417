"""What is written down: the stored forms of messages, decisions and inbox entries.

Stored forms must evolve: decoding ignores fields it does not know, and every field added later
has a default.
"""

from datetime import datetime
from typing import Literal

import msgspec

from letterbox.model.envelope import Edge, Request, Returns
from letterbox.model.flag import Flag
from letterbox.model.kind import Kind
from letterbox.model.message import Categories, Offer, Origin
from letterbox.model.onward import HandingOn
from letterbox.model.preferences import Newcomers, Standing, Tells
from letterbox.model.sender import Proven, Stranger, VendorRef
from letterbox.model.told import Told
from letterbox.model.verdict import Decision, Finding, Verdict


class Declared(msgspec.Struct, frozen=True):
    """What a vendor said of a message beside it (the JSON API); None and empty state nothing."""

    kind: str | None = None
    categories: tuple[str, ...] = ()
    offer: Offer | None = None


class MessageRecord(msgspec.Struct, frozen=True):
    """One message as received, once for all its recipients."""

    id: str
    at: datetime
    edge: Edge
    client: str
    helo: str
    reverse_path: str | None
    sender: Proven | Stranger
    vendor: VendorRef
    size: int
    #: (consumer id or "", recipient address, decision id, reference) of each recipient.
    recipients: tuple[tuple[str, str, str, str], ...]
    declared: Declared | None = None
    #: The vendor's own reference.
    your_reference: str | None = None
    #: The value of the Authentication-Results field we write (RFC 8601).
    results: str = ""
    #: The sender's name for the transaction, and what it asked of reports, by recipient (RFC 3461).
    envelope_id: str | None = None
    requests: dict[str, Request] = {}
    #: The peer hides the client behind it: nothing of the path can be proven.
    hidden: bool = False
    #: For the mail server behind, where it is handed on: what was said at MAIL.
    utf8: bool = False
    returns: Returns | None = None


class HandedOn(msgspec.Struct, frozen=True):
    """What the mail server behind said to a message for one recipient; ``said`` is safe to show.

    ``taken``: it has it. Else it will not take it, and the message lies here alone.
    """

    at: datetime
    said: str = ""
    taken: bool = True


class RecordedCase(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a decision rested on beside the wishes: enough to take it again.

    The words of the text are not copied: they are read from the message while that is kept.
    ``categories`` and ``offers`` are None where nothing rested on them.
    """

    sender: Proven
    kind: Kind
    kind_origin: Origin = "declared"
    categories: Categories | None = None
    offers: tuple[Offer, ...] | None = None
    binding: str | None = None
    usage: dict[str, int] = {}
    answered: bool = False
    asked_by: datetime | None = None
    flags: tuple[Flag, ...] = ()


class RecordedHearing(msgspec.Struct, frozen=True, omit_defaults=True):
    """What limited how much was told: enough to say what would be told at another level.

    ``tells`` is the level that was set, None for a newcomer; the others are as in
    :class:`letterbox.feedback.disclosure.Hearing`.
    """

    tells: Tells | None = None
    standing: Standing = "allowed"
    when_unwanted: Literal["refuse", "file"] = "refuse"
    newcomers: Newcomers = "refuse"
    reply: Literal["refuse", "report"] = "refuse"
    relayed: bool = False
    why: str | None = None
    sensitive: bool = False
    probed: bool = False
    taken: bool = False
    shares_delivered: bool = False


class DecisionRecord(msgspec.Struct, frozen=True):
    """One decision for one recipient: the consumer's view, complete, and what the vendor heard."""

    id: str
    at: datetime
    message: str
    consumer: str
    recipient: str
    vendor: VendorRef
    sender: str
    subject: str
    kind: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    interests: tuple[str, ...]
    preferences_version: int
    told: Told
    size: int
    #: How it came in, and so in which form the sender was told; of old all are as over SMTP.
    edge: Edge = "smtp"
    #: Where the sender reads it: in the reply, in its feed, or on the page it may look up.
    channel: Literal["reply", "feed", "page"] = "reply"
    #: The decision this one follows: the hold that was released, or asked about.
    follows: str | None = None
    #: The decision that followed this one: what became of a hold. Also its inbox entry's id,
    #: where it was a delivery.
    followed_by: str | None = None
    #: None for decisions of old, and where nobody has the address.
    case: RecordedCase | None = None
    #: What the consumer should know beside it; no sender is told.
    flags: tuple[Flag, ...] = ()
    #: What the vendor's feed says, where that is another: a relay stands between, and hides it.
    heard: Told | None = None
    #: What was told rests on this beside the findings; None for decisions of old.
    hearing: RecordedHearing | None = None
    #: The mail server behind had taken it before this was written down.
    handed: HandedOn | None = None
    #: What the rules said, where it came in because the consumer only watched.
    would: Verdict | None = None

    @property
    def decision(self) -> Decision:
        """The decision alone."""
        return Decision(verdict=self.verdict, findings=self.findings, would=self.would)

    @property
    def ruled(self) -> Verdict:
        """What the rules said, whether or not the consumer only watched."""
        return self.would or self.verdict


class InboxEntry(msgspec.Struct, frozen=True):
    """One message in a consumer's inbox."""

    id: str
    at: datetime
    message: str
    decision: str
    vendor: VendorRef
    sender: str
    recipient: str
    subject: str
    kind: str
    interests: tuple[str, ...]
    size: int
    read: bool = False
    archived: bool = False
    flags: tuple[Flag, ...] = ()
    #: Its handing on, where it was to be handed on.
    onward: HandingOn | None = None
    #: What the mail server behind said to it, where there is one; None until it has.
    handed: HandedOn | None = None
    #: What would have stopped it, where the consumer only watched.
    would: Finding | None = None

    @property
    def is_ours(self) -> bool:
        """Whether letterbox wrote it itself: there is no sender to do anything about."""
        return self.decision == self.message


#: A consumer's word about a message that waits.
Word = Literal["yes", "no"]


class HeldEntry(msgspec.Struct, frozen=True):
    """One message in a consumer's custody that waits. ``until`` is exact (UTC)."""

    id: str
    at: datetime
    message: str
    decision: str
    vendor: VendorRef
    sender: str
    recipient: str
    subject: str
    kind: str
    size: int
    until: datetime
    why: str
    reference: str
    your_reference: str | None = None
    #: The consumer has said yes to this very message.
    answered: bool = False
    interests: tuple[str, ...] = ()
    #: It counts towards how much may wait. False for those of old, which never did.
    counted: bool = False
    #: The consumer's own word, where it was said together with something that is done already.
    word: Word | None = None
    flags: tuple[Flag, ...] = ()
