"""The commits that write decisions down: one per consumer, atomic, guarded."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from zlib import crc32

import msgspec

from letterbox.model.preferences import About
from letterbox.model.record import DecisionRecord, HeldEntry, InboxEntry, MessageRecord
from letterbox.model.told import Event, Told, ToldReason
from letterbox.model.verdict import Defer, Deliver, Hold, Refuse, reasons_in
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Add,
    Claim,
    Commit,
    Delete,
    DropBody,
    Emit,
    Expect,
    Operation,
    Put,
    Schedule,
    Unclaim,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.coding import encode
from letterbox.records.custody import Custody
from letterbox.records.feed import Owed
from letterbox.records.news import news
from letterbox.records.notices import noticing
from letterbox.records.onward import owing, with_onward
from letterbox.records.tallies import Tallies, Tally
from letterbox.wishes import Counted

_REFUSED = 500  # SMTP replies from here on are permanent refusals
_SINK = 1024


class Reference(msgspec.Struct, frozen=True):
    """What a reference leads to. ``unlisted``: for us; its page is that of one that never was.

    ``vendor`` is the registered vendor that it was told to, ``heard`` the reason that this vendor
    read, in the answer or in its feed; ``recipient`` is the address it is about. ``dutch`` is that
    reason in Dutch where there is no decision that it could be read from.
    """

    consumer: str
    decision: str
    told: Told
    unlisted: bool = False
    vendor: str = ""
    heard: ToldReason | None = None
    recipient: str = ""
    dutch: ToldReason | None = None
    about: Literal["message", "relationship"] = "message"
    #: The vendor was told there that it is locked out: it may ask to come back by it.
    locked_out: bool = False


class Recorded(msgspec.Struct, frozen=True):
    """What a claim keeps: the answer that a resend gets, and the message it speaks of."""

    told: Told
    message: str


class Owing(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be handed to the mail server behind: since when, and how often it was tried."""

    since: datetime
    attempts: int = 0


class Line(NamedTuple):
    """One decision to be written down, with everything that goes with it."""

    record: DecisionRecord
    counted: tuple[Counted, ...]
    event: Event | None
    #: The name of the once-only claim; None for a decision that follows another.
    claim: str | None
    #: More operations of the same commit.
    extra: tuple[Operation, ...] = ()
    your_reference: str | None = None
    answered: bool = False
    #: The entry that waited, where this is decided about it again.
    before: HeldEntry | None = None
    #: The consumer let it in by hand: it counts, and no limit stops it.
    forced: bool = False
    #: The sender is told what a stranger is told, whose references lead nowhere.
    unlisted: bool = False
    #: What the vendor is told by it, to be counted.
    tally: Tally | None = None
    #: The event of a delivery, beside that of the release it came by.
    delivered: Event | None = None
    #: What the consumer is given notice of; nothing where the decision is their own word.
    notified: frozenset[About] = frozenset()
    #: Where mail of each kind is handed on to.
    onward: Mapping[str, str] = {}


class Ledger:
    """How decisions become commits. Lengths of time are those of the configuration."""

    def __init__(
        self,
        *,
        clock: Clock,
        claims: timedelta,
        decisions: timedelta,
        held: timedelta,
        custody: Custody,
        tallies: Tallies,
    ) -> None:
        self._tallies = tallies
        self._clock = clock
        self._claims = claims
        self._held = held
        self._custody = custody
        self._decisions = decisions

    def commits(self, line: Line) -> tuple[Commit, ...]:
        """The consumer's commit, the one that makes the reference known, and what is counted.

        The others stand and fall with the first.
        """
        record = line.record
        partition = places.consumer(record.consumer)
        consumer = Commit(partition=partition, operations=self._operations(line))
        row = Reference(
            consumer=record.consumer,
            decision=record.id,
            told=record.told,
            unlisted=line.unlisted,
            vendor=record.vendor.id if record.vendor.registered else "",
            heard=line.event.reason if line.event else record.told.reason,
            recipient=record.recipient,
        )
        reference = self.reference(row, record.at, new=record.follows is None, with_previous=True)
        counted = (self._tallies.commit(line.tally),) if line.tally else ()
        return consumer, reference, *counted

    def reference(
        self, row: Reference, at: datetime, *, new: bool = False, with_previous: bool = False
    ) -> Commit:
        """The commit that makes a reference known: what was told last is what it leads to.

        ``new``: nothing was told by it before.
        """
        claim = Claim(name=places.REFERENCE, value=encode(row), expires=at + self._decisions)
        return Commit(
            partition=places.reference(row.told.reference),
            operations=(claim,) if new else (Unclaim(name=places.REFERENCE), claim),
            with_previous=with_previous,
        )

    def _operations(self, line: Line) -> tuple[Operation, ...]:
        record = line.record
        # The decision holds for the preferences it was taken under, and for no others.
        operations: list[Operation] = [
            Expect(key=places.PREFERENCES, revision=record.preferences_version)
        ]
        if line.claim and record.told.reply < _REFUSED and record.told.verdict != "defer":
            value = encode(Recorded(told=record.told, message=record.message))
            operations.append(Claim(name=line.claim, value=value, expires=record.at + self._claims))
        operations += line.extra
        operations.append(Put(key=_decision_key(record), value=encode(record)))
        if record.vendor.registered and record.follows is None:
            # What is told of a changed relationship names an address that its vendor knows.
            # An address that is another's is told of nothing, and must not stand for theirs.
            elsewhere = "address-of-another" in reasons_in(record.findings)
            wrote = places.wrote(record.vendor.id, elsewhere=elsewhere)
            operations.append(Put(key=wrote, value=record.recipient.encode()))
        operations += noticing(record)
        if not isinstance(record.verdict, Refuse | Defer):
            operations.append(news(record, line.notified))
        match record.verdict:
            case Deliver():
                # What the rules would have refused came, and is nothing that they let come.
                counted = () if isinstance(record.would, Refuse) else line.counted
                free = line.forced or record.would is not None
                operations += [
                    Add(
                        counter=c.counter,
                        limit=None if free else c.quota.messages,
                        expires=c.ends,
                    )
                    for c in counted
                ]
                # Where a mail server stands behind, that is where its consumer has it.
                onward = {} if record.edge == "filter" else line.onward
                entry = with_onward(_inbox_entry(record), onward)
                operations.append(Put(key=places.INBOX + entry.id, value=encode(entry)))
                operations.append(owing(entry))
                if record.edge == "filter" and record.handed is None:
                    operations += owe_behind(record.id, self._clock.now())
            case Hold() as verdict:
                held = self._held_entry(line, verdict)
                if line.before is None:
                    operations += self._custody.take(record.vendor.id, record.at)
                key = places.HELD + held.id
                operations.append(Put(key=key, value=encode(held)))
                # Nothing is held for ever, however long the window stays shut.
                operations.append(Schedule(key=key, at=min(held.until, held.at + self._held)))
        for event in filter(None, (line.event, line.delivered)):
            owed = Owed(vendor=record.vendor.id, event=event, at=self._clock.now())
            operations.append(Emit(value=encode(owed)))
        return tuple(operations)

    def _held_entry(self, line: Line, verdict: Hold) -> HeldEntry:
        record, before = line.record, line.before
        return HeldEntry(
            id=before.id if before else record.id,
            at=before.at if before else record.at,
            message=record.message,
            decision=record.id,
            vendor=record.vendor,
            sender=record.sender,
            recipient=record.recipient,
            subject=record.subject,
            kind=record.kind,
            interests=record.interests,
            size=record.size,
            until=verdict.until,
            why=verdict.reason,
            reference=record.told.reference,
            your_reference=line.your_reference,
            answered=line.answered,
            counted=before.counted if before else True,
            flags=record.flags,
        )


def _decision_key(record: DecisionRecord) -> str:
    if record.consumer == places.NOBODY:
        # Mail to nobody fills no disk: a fixed number of rows, written over and over.
        return f"{places.DECISION}{crc32(record.id.encode()) % _SINK:04}"
    return places.DECISION + record.id


def _inbox_entry(record: DecisionRecord) -> InboxEntry:
    return InboxEntry(
        id=record.id,
        at=record.at,
        message=record.message,
        decision=record.id,
        vendor=record.vendor,
        sender=record.sender,
        recipient=record.recipient,
        subject=record.subject,
        kind=record.kind,
        interests=record.interests,
        size=record.size,
        flags=record.flags,
        would=record.decision.deciding if record.would else None,
        handed=record.handed,
    )


def owe_behind(entry: str, now: datetime) -> tuple[Operation, ...]:
    """What has an entry of the inbox handed to the mail server behind."""
    key = places.BEHIND + entry
    return Put(key=key, value=encode(Owing(since=now))), Schedule(key=key, at=now)


def message_commit(
    record: MessageRecord, body: tuple[Operation, ...], collect_at: datetime
) -> Commit:
    """The commit of a message: its record, its body, and when to see whether anybody needs it."""
    return Commit(
        partition=places.message(record.id),
        operations=(
            Put(key=places.MESSAGE, value=encode(record)),
            *body,
            Schedule(key=places.COLLECT, at=collect_at),
        ),
    )


def forget_commit(message: str) -> Commit:
    """The commit that takes a message back: nobody has it."""
    return Commit(
        partition=places.message(message),
        operations=(
            Delete(key=places.MESSAGE),
            DropBody(id=message),
            Unschedule(key=places.COLLECT, expect=False),
        ),
    )
