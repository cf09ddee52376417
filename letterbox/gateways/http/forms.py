"""What goes in and out as JSON. ``/openapi.json`` is generated from these types."""

from datetime import date, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from letterbox.gateways.http.handed_on import HandedItem, OnwardItem
from letterbox.model.flag import FlagCode
from letterbox.model.kind import Kind
from letterbox.model.money import Money
from letterbox.model.preferences import Because, Preferences, Region, VendorRule, Word
from letterbox.model.record import DecisionRecord, HeldEntry, InboxEntry
from letterbox.model.told import Told, ToldReason, ToldVerdict
from letterbox.model.verdict import (
    Fact,
    Finding,
    Hold,
    Outcome,
    VerdictName,
    name_of,
    outcome_of,
    reason_of,
)
from letterbox.records.changes import PieceChange

MOST_RECIPIENTS = 100
_LONGEST_ADDRESS = 320
_MIB = 1024 * 1024

Recipient = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=_LONGEST_ADDRESS,
        description="a mail address such as anna@letterbox.example",
    ),
]
Recipients = Annotated[
    tuple[Recipient, ...],
    Meta(
        min_length=1,
        max_length=MOST_RECIPIENTS,
        description=f"a list of 1 to {MOST_RECIPIENTS} mail addresses",
    ),
]
Item = TypeVar("Item")


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Input: an unknown field is an error that names it."""


class NewOffer(Form, frozen=True):
    """What a message offers. Days are inclusive, ``region`` is of ISO 3166, price of ISO 4217."""

    categories: Annotated[tuple[Word, ...], Meta(max_length=50)] = ()
    title: Annotated[str, Meta(max_length=500)] = ""
    brand: Word | None = None
    price: Money | None = None
    region: Region | None = None
    keywords: Annotated[tuple[Word, ...], Meta(max_length=100)] = ()
    valid_from: date | None = None
    valid_until: date | None = None


class NewMessage(Form, frozen=True):
    """A message from a vendor. ``reference`` is the vendor's own and comes back with events."""

    to: Recipients
    kind: Kind
    subject: Annotated[str, Meta(max_length=998)]
    text: Annotated[str, Meta(max_length=_MIB)]
    html: Annotated[str, Meta(max_length=2 * _MIB)] | None = None
    reference: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    offer: NewOffer | None = None


class Result(msgspec.Struct, frozen=True):
    """One recipient's answer: what may be told, and no more."""

    to: str
    verdict: ToldVerdict
    reference: str
    until: date | UnsetType = UNSET
    reason: ToldReason | UnsetType = UNSET
    your_reference: str | UnsetType = UNSET


class Answer(msgspec.Struct, frozen=True):
    """The answer to a message: one result a recipient, in the order of the request."""

    id: str
    results: tuple[Result, ...]


class Items(msgspec.Struct, Generic[Item], frozen=True):
    """A page of a list. ``after`` asks for the next page; null at the end."""

    items: tuple[Item, ...]
    after: str | None


class FlagItem(msgspec.Struct, frozen=True):
    """What to know about a message beside the decision, in the consumer's language."""

    code: FlagCode
    sentence: str
    facts: dict[str, Fact]


Flags = tuple[FlagItem, ...]


class InboxItem(msgspec.Struct, frozen=True):
    """A message that was delivered. ``archived`` is there only when it is.

    ``would`` is what had become of it, had its reader not only watched (mode "observe").
    ``onward`` is there where it was to be handed on, ``handed`` once a mail server behind has
    answered to it.
    """

    id: str
    at: datetime
    vendor: str
    sender: str
    recipient: str
    subject: str
    kind: str
    interests: tuple[str, ...]
    size: int
    read: bool
    archived: bool | UnsetType = UNSET
    flags: Flags | UnsetType = UNSET
    onward: OnwardItem | UnsetType = UNSET
    would: Outcome | UnsetType = UNSET
    handed: HandedItem | UnsetType = UNSET


class HeldItem(msgspec.Struct, frozen=True):
    """A message that waits: ``until`` an exact instant, for the reason ``why``."""

    id: str
    at: datetime
    vendor: str
    sender: str
    recipient: str
    subject: str
    kind: str
    interests: tuple[str, ...]
    size: int
    read: bool
    until: datetime
    why: str
    flags: Flags | UnsetType = UNSET


class FindingItem(msgspec.Struct, frozen=True):
    """What one rule found, and the facts it rests on."""

    filter: str
    verdict: VerdictName
    reason: str | None
    facts: dict[str, Fact]


class DecisionItem(msgspec.Struct, frozen=True):
    """One decision with every finding. ``sentence`` is in the consumer's language.

    ``explanation`` tells it line by line, where one decision is asked for. ``follows`` and
    ``followed_by`` lead to the decisions about the same message before and after. ``would`` is
    what had become of it, had the consumer not only watched (mode "observe").
    """

    id: str
    at: datetime
    message: str
    vendor: str
    sender: str
    recipient: str
    subject: str
    kind: str
    verdict: VerdictName
    reason: str | None
    until: datetime | None
    sentence: str
    findings: tuple[FindingItem, ...]
    preferences_version: int
    explanation: tuple[str, ...] | UnsetType = UNSET
    follows: str | UnsetType = UNSET
    followed_by: str | UnsetType = UNSET
    flags: Flags | UnsetType = UNSET
    would: Outcome | UnsetType = UNSET


class ChangeItem(msgspec.Struct, frozen=True):
    """A change of wishes that would have let a message through, and its pieces.

    Of the messages refused in the last ``days`` days it would let in ``others`` more;
    ``unjudged`` of them cannot be told any more.
    """

    id: str
    sentence: str
    changes: tuple[PieceChange, ...]
    others: int
    unjudged: int
    days: int


class UndoForm(Form, frozen=True):
    """A refused message is let through; with ``change`` the wishes are changed, too."""

    change: str | None = None


class UndoAnswer(msgspec.Struct, frozen=True):
    """The decision that let the message through, and changes that are offered for the future."""

    id: str
    decision: DecisionItem
    changes: tuple[ChangeItem, ...]


class PieceWish(Form, frozen=True):
    """One piece as it might be; ``after`` null takes it away.

    ``piece`` is ``core`` for a field of the document by its name.
    """

    piece: Literal["core", "address", "interest", "window", "vendor"]
    id: str
    after: Any


class ReplayForm(Form, frozen=True):
    """Other wishes to try on the last days: a whole document, or single pieces of it."""

    days: Annotated[int, Meta(ge=1, le=90)] = 30
    preferences: Preferences | None = None
    changes: Annotated[tuple[PieceWish, ...], Meta(max_length=100)] = ()


class StrangersItem(msgspec.Struct, frozen=True):
    """How many messages of unproven senders were refused on a day (UTC), by reason."""

    day: date
    reason: str
    count: int


class Marks(Form, frozen=True):
    """Marks of an inbox entry; those left out stay as they are."""

    read: bool | None = None
    archived: bool | None = None


class HeldWord(Form, frozen=True):
    """What is said with a yes or a no: the relationship from now on.

    Whom it is with may be left out: who sent the message.
    """

    relationship: VendorRule | None = None


class HeldAnswer(msgspec.Struct, frozen=True):
    """What became of a held message by the consumer's word, and the relationship it set."""

    id: str
    answer: Literal["release", "refuse"]
    relationship: VendorRule | UnsetType = UNSET


class AdvertisingAnswer(msgspec.Struct, frozen=True):
    """What "this was advertising" changed: the relationship before and after.

    ``sentence`` says in the consumer's language what stands in the way of the vendor's service
    mail from now on. Both null: there is no relationship that could be changed.
    """

    id: str
    sentence: str
    before: VendorRule | None
    after: VendorRule | None


class UnwantedWord(Form, frozen=True):
    """Why mail was unwanted, and whom else to tell.

    ``report``: the sender, where it has asked for complaints and signed so (RFC 9477); unless
    told, so it is but where the relationship tells nothing. ``unsubscribe``: the address for it,
    where the sender signed one (RFC 8058), is called once.
    """

    because: Because = "other"
    report: bool | None = None
    unsubscribe: bool = False


class UnwantedAnswer(msgspec.Struct, frozen=True):
    """The relationship before and after, and what else was set going.

    ``sentence`` says in the consumer's language what the vendor's mail meets from now on; how the
    rest ended stands in ``/v1/me/activity``.
    """

    id: str
    sentence: str
    before: VendorRule | None
    after: VendorRule | None
    reported: bool
    unsubscribing: bool


class Nothing(Form, frozen=True):
    """An empty object."""


class Erasing(msgspec.Struct, frozen=True):
    """What was begun goes on by itself: within minutes, or once what is owed to others is told."""

    state: Literal["erasing"] = "erasing"


def result_item(to: str, told: Told, your_reference: str | None) -> Result:
    """What was told about one recipient, as its result."""
    return Result(
        to=to,
        verdict=told.verdict,
        reference=told.reference,
        until=told.until or UNSET,
        reason=told.reason or UNSET,
        your_reference=your_reference or UNSET,
    )


def inbox_item(
    entry: InboxEntry, flags: Flags = (), onward: OnwardItem | UnsetType = UNSET
) -> InboxItem:
    """An inbox entry as its owner sees it."""
    return InboxItem(
        id=entry.id,
        at=entry.at,
        vendor=entry.vendor.id,
        sender=entry.sender,
        recipient=entry.recipient,
        subject=entry.subject,
        kind=entry.kind,
        interests=entry.interests,
        size=entry.size,
        read=entry.read,
        archived=entry.archived or UNSET,
        flags=flags or UNSET,
        onward=onward,
        would=outcome_of(entry.would.verdict) if entry.would else UNSET,
        handed=HandedItem(entry.handed.at, entry.handed.said, entry.handed.taken)
        if entry.handed
        else UNSET,
    )


def held_item(entry: HeldEntry, flags: Flags = ()) -> HeldItem:
    """A held entry as its owner sees it."""
    return HeldItem(
        id=entry.id,
        at=entry.at,
        vendor=entry.vendor.id,
        sender=entry.sender,
        recipient=entry.recipient,
        subject=entry.subject,
        kind=entry.kind,
        interests=entry.interests,
        size=entry.size,
        read=False,
        until=entry.until,
        why=entry.why,
        flags=flags or UNSET,
    )


def finding_item(finding: Finding) -> FindingItem:
    """A finding as the consumer sees it: whole."""
    return FindingItem(
        filter=finding.filter,
        verdict=name_of(finding.verdict),
        reason=reason_of(finding.verdict),
        facts=dict(finding.facts),
    )


def decision_item(
    record: DecisionRecord,
    sentence: str,
    explanation: tuple[str, ...] | UnsetType = UNSET,
    flags: Flags = (),
) -> DecisionItem:
    """A decision as the consumer sees it."""
    return DecisionItem(
        id=record.id,
        at=record.at,
        message=record.message,
        vendor=record.vendor.name,
        sender=record.sender,
        recipient=record.recipient,
        subject=record.subject,
        kind=record.kind,
        verdict=name_of(record.verdict),
        reason=reason_of(record.verdict),
        until=record.verdict.until if isinstance(record.verdict, Hold) else None,
        sentence=sentence,
        findings=tuple(map(finding_item, record.findings)),
        preferences_version=record.preferences_version,
        explanation=explanation,
        follows=record.follows or UNSET,
        followed_by=record.followed_by or UNSET,
        flags=flags or UNSET,
        would=outcome_of(record.would) if record.would else UNSET,
    )
