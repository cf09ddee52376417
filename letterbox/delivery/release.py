"""Releasing what is held: decided again under the wishes and limits of that moment."""

from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

import msgspec
import structlog

from letterbox.feedback.events import after_hold, event
from letterbox.feedback.reporting import after_all, owe
from letterbox.judge import Judge, Judgement, Question, recorded_hearing
from letterbox.metrics import Metrics
from letterbox.model.address import parse_address
from letterbox.model.flag import together
from letterbox.model.message import Message
from letterbox.model.record import DecisionRecord, HeldEntry, MessageRecord, Word
from letterbox.model.sender import Proven
from letterbox.model.told import Event, EventType
from letterbox.model.verdict import (
    DELIVER,
    Defer,
    Deliver,
    Finding,
    Hold,
    Refuse,
    Verdict,
    name_of,
    reason_of,
)
from letterbox.model.wishes import Times
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Commit,
    Delete,
    Done,
    Expect,
    Operation,
    Put,
    Schedule,
    Store,
    StoreUnavailable,
    Unschedule,
)
from letterbox.reading.facts import Reader
from letterbox.reading.mail import Mail
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.consumers import Consumers
from letterbox.records.content import read_content
from letterbox.records.custody import Custody
from letterbox.records.ledger import Ledger, Line
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.names import new_id, new_reference
from letterbox.records.tallies import Tally

_ATTEMPTS = 5
_TRY_AGAIN = timedelta(minutes=5)
_INSTANT = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_ASKED = "awaiting-consumer"

log = structlog.get_logger("letterbox.delivery")


class _Waiting(NamedTuple):
    """A held message with all that a decision about it needs.

    ``revision`` is that of its entry: a word that is noted there meanwhile is not overlooked.
    """

    consumer: str
    entry: HeldEntry
    revision: int
    record: MessageRecord
    sender: Proven
    mail: Mail
    facts: Message
    now: datetime


class _Meant(NamedTuple):
    """What a consumer's word amounts to: an answer that was awaited, or a verdict."""

    answered: bool
    finding: Finding | None


class Holds:
    """What waits in consumers' custody."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        consumers: Consumers,
        mailboxes: Mailboxes,
        judge: Judge,
        ledger: Ledger,
        custody: Custody,
        metrics: Metrics,
        reader: Reader,
        longest: timedelta,
    ) -> None:
        self._store = store
        self._clock = clock
        self._consumers = consumers
        self._mailboxes = mailboxes
        self._judge = judge
        self._ledger = ledger
        self._custody = custody
        self._metrics = metrics
        self._reader = reader
        self._longest = longest

    async def answer(self, consumer: str, name: str, *, yes: bool) -> bool:
        """The consumer's own word about a held message; false where there is no such message.

        A yes to a message that waits for it clears that condition, and a window may still hold
        it. A yes to one that waits for a window lets it through now. Raises StoreUnavailable
        where it could not be done.
        """
        return await self._decide(consumer, name, word="yes" if yes else "no")

    async def open(self, consumer: str, name: str) -> None:
        """The time of a held message has come."""
        if not await self._decide(consumer, name):
            # It went while this was being scheduled: an entry without its message goes, too.
            key = places.HELD + name
            gone = (Expect(key=key, revision=0), Unschedule(key=key, expect=False))
            await self._store.commit(Commit(partition=places.consumer(consumer), operations=gone))

    async def _decide(self, consumer: str, name: str, *, word: Word | None = None) -> bool:
        for _ in range(_ATTEMPTS):
            waiting = await self._waiting(consumer, name)
            if waiting is None:
                return False
            # A word that was written down with a change of wishes is acted on whoever comes first.
            meant = _meant(waiting.entry, word or waiting.entry.word)
            question = _question(waiting, answered=meant.answered)
            judgement = await self._judge.judge(question)
            times = judgement.wishes.times
            said = meant.finding or (None if meant.answered else self._overdue(waiting, times))
            if meant.answered and isinstance(judgement.decision.verdict, Refuse):
                # Asked about this very message, the consumer said yes: no rule knows better.
                said = Finding(filter="consumer", verdict=DELIVER, facts={"answer": "yes"})
            if said is not None:
                judgement = self._judge.overrule(judgement, question, said)
            elif isinstance(judgement.decision.verdict, Defer):
                await self._put_off(waiting)
                if word is not None:
                    raise StoreUnavailable(f"held message {name} cannot be decided now")
                return True
            final = said is not None
            if await self._write(waiting, judgement, answered=meant.answered, final=final):
                return True
            self._consumers.forget(consumer)
        raise StoreUnavailable(f"what held message {name} rests on keeps changing")

    async def _waiting(self, consumer: str, name: str) -> _Waiting | None:
        document = await self._store.get(places.consumer(consumer), places.HELD + name)
        if document is None:
            return None
        entry = decode(document.value, HeldEntry)
        record = await self._mailboxes.message(entry.message)
        body = await self._mailboxes.body(entry.message)
        if record is None or body is None or not isinstance(record.sender, Proven):
            raise LookupError(f"held message {entry.message} is incomplete in the store")
        mail = read_content(record.edge, body, self._reader.limits)
        facts = self._reader.read(mail, record.sender, declared=record.declared)
        now = self._clock.now()
        return _Waiting(consumer, entry, document.revision, record, record.sender, mail, facts, now)

    def _overdue(self, waiting: _Waiting, times: Times) -> Finding | None:
        """No yes in time is a no; nothing is held for ever."""
        entry, now = waiting.entry, waiting.now
        if entry.why == _ASKED and not entry.answered and now >= entry.until:
            last = times.local_date(entry.until - _INSTANT)
            facts = {"vendor": entry.vendor.name, "date": last.isoformat()}
            return Finding(filter="release", verdict=Refuse(reason="declined"), facts=facts)
        if now - entry.at >= self._longest:
            facts = {"kind": entry.kind}
            return Finding(filter="release", verdict=Refuse(reason="window-closed"), facts=facts)
        return None

    async def _write(
        self, waiting: _Waiting, judgement: Judgement, *, answered: bool, final: bool
    ) -> bool:
        """Write the second decision down; false when something changed in between."""
        consumer, entry = waiting.consumer, waiting.entry
        verdict = judgement.decision.verdict
        key = places.HELD + entry.id
        answered = answered or entry.answered
        if isinstance(verdict, Hold) and _is_as_before(entry, verdict, answered=answered):
            return await self._wait_on(waiting, judgement.wishes.revision)
        record = _record(waiting, judgement)
        # Out of the due-set exactly once: of two who try, one is left out.
        extra: list[Operation] = [
            Expect(key=key, revision=waiting.revision),
            Unschedule(key=key),
        ]
        before = await self._mailboxes.decision(consumer, entry.decision)
        if before is not None:
            after = msgspec.structs.replace(before, followed_by=record.id)
            extra.append(Put(key=places.DECISION + before.id, value=encode(after)))
        if not isinstance(verdict, Hold):
            extra.append(Delete(key=key))
            if entry.counted:
                extra += self._custody.give_back(entry.vendor.id, waiting.now)
        if isinstance(verdict, Deliver):
            extra.append(Put(key=places.kept(entry.id), value=record.id.encode()))
        extra += _report(waiting, record)
        event = _event(waiting, record, judgement, final=final)
        if event is not None:
            record = msgspec.structs.replace(record, channel="feed")
        line = Line(
            record=record,
            counted=tuple(judgement.counted),
            forced=final,
            notified=frozenset() if final else judgement.wishes.notified,
            event=event,
            claim=None,
            extra=(*extra, *judgement.probed),
            your_reference=entry.your_reference,
            answered=answered,
            before=entry,
            delivered=_delivered(waiting, record, judgement) if event else None,
            onward=judgement.wishes.onward,
            tally=_tally(record, judgement, event) if event else None,
        )
        results = await self._store.commit(*self._ledger.commits(line))
        if not isinstance(results[0], Done):
            return False
        self._metrics.released.labels(name_of(verdict)).inc()
        log.info(
            "released",
            message=entry.message,
            decision=record.id,
            recipient=entry.recipient,
            verdict=name_of(verdict),
            reason=reason_of(verdict),
            reference=entry.reference,
        )
        return True

    async def _put_off(self, waiting: _Waiting) -> None:
        """It cannot be decided now: look at it again soon."""
        again = Schedule(key=places.HELD + waiting.entry.id, at=waiting.now + _TRY_AGAIN)
        partition = places.consumer(waiting.consumer)
        await self._store.commit(Commit(partition=partition, operations=(again,)))

    async def _wait_on(self, waiting: _Waiting, revision: int) -> bool:
        """Nothing about it has changed: put it back, to be looked at when its time comes."""
        entry = waiting.entry
        key = places.HELD + entry.id
        operations = (
            Expect(key=places.PREFERENCES, revision=revision),
            Expect(key=key, revision=waiting.revision),
            Unschedule(key=key),
            Schedule(key=key, at=min(entry.until, entry.at + self._longest)),
        )
        (result,) = await self._store.commit(
            Commit(partition=places.consumer(waiting.consumer), operations=operations)
        )
        return isinstance(result, Done)


def _meant(entry: HeldEntry, word: Word | None) -> _Meant:
    """What a word means for a message: asked about it, a yes is an answer and not a verdict."""
    if word is None:
        return _Meant(answered=False, finding=None)
    if word == "yes" and entry.why == _ASKED and not entry.answered:
        return _Meant(answered=True, finding=None)
    verdict: Verdict = DELIVER if word == "yes" else Refuse(reason="declined")
    finding = Finding(filter="consumer", verdict=verdict, facts={"answer": word})
    return _Meant(answered=False, finding=finding)


def _is_as_before(entry: HeldEntry, verdict: Hold, *, answered: bool) -> bool:
    now = (verdict.reason, verdict.until, answered)
    return now == (entry.why, entry.until, entry.answered)


def _question(waiting: _Waiting, *, answered: bool) -> Question:
    recipient = parse_address(waiting.entry.recipient)
    if recipient is None:
        raise LookupError(f"held message {waiting.entry.message} has no recipient")
    return Question(
        recipient=recipient,
        sender=waiting.sender,
        vendor=waiting.entry.vendor,
        message=waiting.facts,
        now=waiting.now,
        answered=answered or waiting.entry.answered,
        taken=True,
        holder=waiting.consumer,
        asked_by=waiting.entry.until if waiting.entry.why == _ASKED else None,
        reference=waiting.entry.reference,
    )


def _record(waiting: _Waiting, judgement: Judgement) -> DecisionRecord:
    entry = waiting.entry
    return DecisionRecord(
        id=new_id(waiting.now),
        at=waiting.now,
        message=entry.message,
        consumer=waiting.consumer,
        recipient=entry.recipient,
        vendor=entry.vendor,
        sender=entry.sender,
        subject=entry.subject,
        kind=entry.kind,
        verdict=judgement.decision.verdict,
        findings=judgement.decision.findings,
        interests=judgement.decision.interests,
        preferences_version=judgement.wishes.revision,
        told=judgement.told,
        size=entry.size,
        edge=waiting.record.edge,
        channel="page",
        follows=entry.id,
        case=judgement.case,
        flags=together(entry.flags, judgement.case.flags),
        hearing=recorded_hearing(judgement.hearing),
        would=judgement.decision.would,
    )


def _report(waiting: _Waiting, record: DecisionRecord) -> tuple[Operation, ...]:
    """What is owed by mail to a sender who has no feed, from some hour of the next day on.

    Sent now, it would tell when the consumer's window opens, or when the answer was given.
    """
    midnight = datetime.combine(waiting.now.date() + timedelta(days=1), time(), tzinfo=UTC)
    name = new_reference()
    owed = midnight + _DAY * (int(name, 16) / 16 ** len(name))
    report = after_all(waiting.record, record.recipient, record.told, waiting.mail, name, owed)
    return owe(report) if report else ()


def _event(
    waiting: _Waiting, record: DecisionRecord, judgement: Judgement, *, final: bool
) -> Event | None:
    """What the vendor hears of a release, if it may know that the message was held at all."""
    told, entry = judgement.feed, waiting.entry
    if not record.vendor.registered or told.verdict == "accepted":
        return None
    kind = after_hold(record.verdict, entry.why, final=final)
    if kind is None:
        return None
    return _said(kind, waiting, record, judgement)


def _delivered(waiting: _Waiting, record: DecisionRecord, judgement: Judgement) -> Event | None:
    """What the vendor hears of the delivery itself, where the consumer shares that."""
    if not (isinstance(record.verdict, Deliver) and judgement.shares_delivered):
        return None
    return _said("message.delivered", waiting, record, judgement)


def _tally(record: DecisionRecord, judgement: Judgement, said: Event) -> Tally | None:
    """What became of it counts once it has ended, on the day that was told."""
    if isinstance(record.verdict, Hold):
        return None
    return Tally(record.vendor.id, "held", judgement.feed, said.at.date())


def _said(
    kind: EventType, waiting: _Waiting, record: DecisionRecord, judgement: Judgement
) -> Event:
    # The day and no more: an hour would tell the consumer's windows.
    day = judgement.wishes.times.local_date(waiting.now)
    return event(
        kind,
        judgement.feed,
        name=new_reference(),  # an id that sorts by time would tell the hour after all
        at=datetime.combine(day, time(), tzinfo=UTC),
        message=record.message,
        recipient=record.recipient,
        your_reference=waiting.entry.your_reference,
    )
