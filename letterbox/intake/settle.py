"""Deciding for each recipient of a proven message, and writing it all down before any answer."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from letterbox.feedback.disclosure import Disclosure
from letterbox.feedback.events import event_of
from letterbox.identity.prover import Proof
from letterbox.intake.receipt import Answered, Outcome, Received, Submission
from letterbox.intake.rounds import Rounds
from letterbox.judge import Judge, Judgement, Question, recorded_hearing
from letterbox.model.address import Address
from letterbox.model.envelope import Envelope
from letterbox.model.message import Message
from letterbox.model.record import DecisionRecord, HandedOn, MessageRecord
from letterbox.model.sender import Proven, Stranger, VendorRef
from letterbox.model.told import Told
from letterbox.model.verdict import Defer
from letterbox.ports.store import (
    Bodies,
    Claim,
    Commit,
    Done,
    Result,
    Store,
)
from letterbox.reading.claim import claim_name, digest
from letterbox.reading.header import message_id
from letterbox.reading.mail import Mail
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.consumers import Consumers, Owner
from letterbox.records.ledger import Ledger, Line, Recorded, forget_commit, message_commit
from letterbox.records.names import new_reference, nth_id
from letterbox.records.tallies import Tally

#: How often a decision is taken anew because something changed under it, before it is deferred.
_ATTEMPTS = 5
_REFUSED = 400  # SMTP replies from here on take nothing (RFC 5321, section 4.2.1)
_IDEMPOTENT_FOR = timedelta(days=7)
#: How long the body of a message is kept that went to nobody's address.
_NOBODYS = timedelta(days=1)

log = structlog.get_logger("letterbox.intake")


class Arrival(NamedTuple):
    """A message on its way in. ``content`` is what was received, byte for byte."""

    id: str
    at: datetime
    envelope: Envelope
    content: bytes
    submission: Submission | None


class Settled(NamedTuple):
    """The answers. ``message`` is the id they speak of: of the first copy where all are resends.

    ``recorded``: the answer to an idempotent call is on disk already.
    """

    told: dict[Address, Told]
    message: str
    recorded: bool
    #: Of whom it is not ours to report that their message was taken.
    quiet: frozenset[Address] = frozenset()


class Slot(NamedTuple):
    """One mailbox that the message goes to, by whatever spellings of its address.

    The names are chosen once: a decision that is taken anew keeps them.
    """

    address: Address
    spellings: tuple[Address, ...]
    owner: Owner
    decision: str
    reference: str
    claim: str


class Ready(NamedTuple):
    """A decision that is ready to be written."""

    slot: Slot
    judgement: Judgement
    line: Line
    commits: tuple[Commit, ...]


class Subject(NamedTuple):
    """What is the same for all recipients of a message."""

    arrival: Arrival
    sender: Proven
    vendor: VendorRef
    facts: Message
    slots: tuple[Slot, ...]
    proof: Proof
    #: What a mail server behind has taken so far, by decision.
    handed: dict[str, HandedOn]


class Course:
    """How far the settlement of one message has come."""

    def __init__(self, arrival: Arrival, told: Mapping[Address, Told]) -> None:
        self.arrival = arrival
        self.told = dict(told)
        self.messages: set[str] = set()
        self.stored = False
        self.recorded = False
        #: Whose delivery another server reports, where it was asked to.
        self.quiet: set[Address] = set()

    def note(self, slot: Slot, told: Told, message: str | None = None) -> None:
        """Answer every spelling of a mailbox's address."""
        self.told |= dict.fromkeys(slot.spellings, told)
        if message is not None:
            self.messages.add(message)

    def note_recorded(self, slot: Slot, value: bytes) -> None:
        """Answer a resend as its claim has it: no second effect."""
        recorded = decode(value, Recorded)
        self.note(slot, recorded.told, recorded.message)

    @property
    def used(self) -> bool:
        """Whether anybody's decision rests on this copy of the message."""
        return self.arrival.id in self.messages

    @property
    def message(self) -> str:
        """The message the answers speak of."""
        return self.arrival.id if len(self.messages) != 1 else next(iter(self.messages))


class Settlement:
    """Judges, writes, and judges anew where something changed in between."""

    def __init__(
        self,
        *,
        store: Store,
        bodies: Bodies,
        consumers: Consumers,
        judge: Judge,
        ledger: Ledger,
        disclosure: Disclosure,
        rounds: Rounds,
        retention: timedelta,
    ) -> None:
        self._store = store
        self._bodies = bodies
        self._consumers = consumers
        self._judge = judge
        self._ledger = ledger
        self._disclosure = disclosure
        self._rounds = rounds
        self._retention = retention

    async def ways(
        self, stranger: Stranger, recipients: Sequence[Address]
    ) -> dict[Address, Proven]:
        """To whom a stranger is proven by way of a platform, and how."""
        return await self._judge.ways(stranger, recipients)

    async def settle(
        self,
        arrival: Arrival,
        recipients: Sequence[Address],
        mail: Mail,
        facts: Message,
        proof: Proof,
        vendor: VendorRef,
        told: Mapping[Address, Told],
    ) -> Settled:
        """Decide for every recipient; what is returned is durable. ``told`` is told already."""
        sender = proof.sender
        if not isinstance(sender, Proven):
            raise TypeError("only a proven message is settled")
        course = Course(arrival, told)
        slots = await self._slots(arrival, recipients, mail, sender)
        subject = Subject(arrival, sender, vendor, facts, slots, proof, {})
        round_again = await self._rounds.of(mail, [slot.owner.consumer for slot in slots])
        pending = []
        for slot in slots:
            if slot.owner.consumer in round_again:
                course.note(slot, self._disclosure.tell_all("mail-loop", slot.reference))
            else:
                pending.append(slot)
        for _ in range(_ATTEMPTS):
            ready = await self._judge_all(course, subject, pending)
            if not ready:
                break
            pending = await self._write(course, subject, ready)
        for slot in pending:
            if slot.address not in course.told:
                course.note(slot, self._disclosure.tell_all("busy", slot.reference))
        if course.stored and not course.used:
            await self._forget(arrival)
        return Settled(course.told, course.message, course.recorded, frozenset(course.quiet))

    async def _slots(
        self, arrival: Arrival, recipients: Sequence[Address], mail: Mail, sender: Proven
    ) -> tuple[Slot, ...]:
        """One for each mailbox, in the order of the recipients."""
        stamp, name = digest(mail, sender.signed), message_id(mail)
        found: dict[tuple[str, Address], tuple[Owner, list[Address]]] = {}
        for spelling in recipients:
            owner, address = await self._consumers.owned(spelling)
            found.setdefault((owner.consumer, address), (owner, []))[1].append(spelling)
        return tuple(
            Slot(
                address=spellings[0],
                spellings=tuple(spellings),
                owner=owner,
                decision=nth_id(arrival.id, number),
                reference=new_reference(),
                claim=claim_name(sender.domain, name, stamp, address),
            )
            for number, ((_, address), (owner, spellings)) in enumerate(found.items(), 1)
        )

    async def _is_resend(self, course: Course, slot: Slot) -> bool:
        """Whether a mailbox has taken this message before: then it gets the recorded answer."""
        value = await self._store.claim(places.consumer(slot.owner.consumer), slot.claim)
        if value is not None:
            course.note_recorded(slot, value)
        return value is not None

    async def _judge_all(
        self, course: Course, subject: Subject, pending: Sequence[Slot]
    ) -> list[Ready]:
        """Judge each; what cannot be judged is told so at once."""
        ready = []
        for slot in pending:
            judgement = await self._judged(subject, slot)
            if judgement.owner.consumer != slot.owner.consumer:
                # The address has passed to another at this moment: the next attempt finds it so.
                course.note(slot, self._disclosure.tell_all("busy", slot.reference))
                continue
            accepted = judgement.told.reply < _REFUSED
            # What would be taken meets its claim in the commit. What would not is looked up now:
            # the first copy may have used up the limit, or the vendor been locked out since.
            if not accepted and await self._is_resend(course, slot):
                continue
            if isinstance(judgement.decision.verdict, Defer):
                _log_fault(subject.arrival, judgement)
                course.note(slot, judgement.told)
            else:
                ready.append(self._ready(subject, slot, judgement))
        return ready

    async def _judged(self, subject: Subject, slot: Slot) -> Judgement:
        return await self._judge.judge(question_of(subject, slot))

    def _ready(self, subject: Subject, slot: Slot, judgement: Judgement) -> Ready:
        line = line_of(subject, slot, judgement)
        return Ready(slot, judgement, line, self._ledger.commits(line))

    async def _write(self, course: Course, subject: Subject, ready: Sequence[Ready]) -> list[Slot]:
        """Write everything in one call; return those about whom something changed meanwhile."""
        commits = [] if course.stored else [await self._message(subject)]
        begins = []
        for each in ready:
            begins.append(len(commits))
            commits += each.commits
        answer = self._expected(course, ready)
        results = await self._store.commit(*commits, *answer)
        course.stored = True
        course.recorded = bool(answer) and isinstance(results[-1], Done)
        return self._take(course, ready, [results[begin] for begin in begins])

    def _expected(self, course: Course, ready: Sequence[Ready]) -> tuple[Commit, ...]:
        """What records the answer to an idempotent call, as it is where all of this is written."""
        arrival = course.arrival
        if arrival.submission is None or arrival.submission.idempotent is None:
            return ()
        expected = dict(course.told)
        for each in ready:
            expected |= dict.fromkeys(each.slot.spellings, each.line.record.told)
        return answer_commit(arrival, expected, arrival.id)

    def _take(
        self, course: Course, ready: Sequence[Ready], results: Sequence[Result]
    ) -> list[Slot]:
        again = []
        for each, result in zip(ready, results, strict=True):
            if isinstance(result, Done):
                course.note(each.slot, each.line.record.told, course.arrival.id)
            elif isinstance(result.operation, Claim) and result.operation.name == each.slot.claim:
                course.note_recorded(each.slot, result.found)
            else:
                self._consumers.forget(each.slot.owner.consumer, each.slot.address)
                again.append(each.slot)
        return again

    async def _message(self, subject: Subject) -> Commit:
        arrival = subject.arrival
        body = await self._bodies.prepare(arrival.id, arrival.content)
        nobodys = all(slot.owner.consumer == places.NOBODY for slot in subject.slots)
        kept = _NOBODYS if nobodys else self._retention
        return message_commit(record_of(subject), body, arrival.at + kept)

    async def _forget(self, arrival: Arrival) -> None:
        """Nobody took this copy of the message: it is a resend, or could not be decided."""
        await self._store.commit(forget_commit(arrival.id))


def question_of(subject: Subject, slot: Slot) -> Question:
    """What is asked about one mailbox."""
    return Question(
        recipient=slot.address,
        sender=subject.sender,
        vendor=subject.vendor,
        message=subject.facts,
        now=subject.arrival.at,
        relayed=subject.arrival.envelope.client.inner,
        why=subject.proof.why,
        reference=slot.reference,
    )


def record_of(subject: Subject) -> MessageRecord:
    """What is written down of the message itself."""
    arrival = subject.arrival
    envelope, submission = arrival.envelope, arrival.submission
    return MessageRecord(
        id=arrival.id,
        at=arrival.at,
        edge=envelope.edge,
        client=envelope.client.address,
        helo=envelope.client.helo,
        reverse_path=str(envelope.reverse_path) if envelope.reverse_path else None,
        sender=subject.sender,
        vendor=subject.vendor,
        size=len(arrival.content),
        recipients=tuple(
            (slot.owner.consumer, str(slot.address), slot.decision, slot.reference)
            for slot in subject.slots
        ),
        declared=submission.declared if submission else None,
        your_reference=submission.your_reference if submission else None,
        results=subject.proof.results,
        envelope_id=envelope.envelope_id,
        requests={str(address): asked for address, asked in envelope.requests.items()},
        hidden=envelope.client.inner,
        utf8=envelope.utf8,
        returns=envelope.returns,
    )


def line_of(subject: Subject, slot: Slot, judgement: Judgement) -> Line:
    """What is to be written down of one decision."""
    arrival, facts = subject.arrival, subject.facts
    your_reference = arrival.submission.your_reference if arrival.submission else None
    record = DecisionRecord(
        id=slot.decision,
        at=arrival.at,
        message=arrival.id,
        consumer=slot.owner.consumer,
        recipient=str(slot.address),
        vendor=subject.vendor,
        sender=str(subject.sender.author),
        subject=facts.subject,
        kind=facts.kind,
        verdict=judgement.decision.verdict,
        findings=judgement.decision.findings,
        interests=judgement.decision.interests,
        preferences_version=judgement.wishes.revision,
        told=judgement.told,
        size=len(arrival.content),
        edge=arrival.envelope.edge,
        case=judgement.case,
        flags=judgement.case.flags,
        heard=judgement.feed if judgement.feed != judgement.told else None,
        hearing=recorded_hearing(judgement.hearing),
        would=judgement.decision.would,
    )
    event, tally = None, None
    if subject.vendor.registered:
        tally = Tally(subject.vendor.id, "answer", judgement.feed, arrival.at.date())
        event = event_of(
            judgement.feed,
            record.verdict,
            name=record.id,
            at=arrival.at,
            message=arrival.id,
            recipient=str(slot.address),
            your_reference=your_reference,
            shared=judgement.shares_delivered,
        )
    return Line(
        record=record,
        counted=tuple(judgement.counted),
        event=event,
        claim=slot.claim,
        extra=judgement.probed + judgement.binds,
        your_reference=your_reference,
        tally=tally,
        notified=judgement.wishes.notified,
        onward=judgement.wishes.onward,
        unlisted=subject.sender.how == "via" and judgement.told.reply >= _REFUSED,
    )


def answer_commit(
    arrival: Arrival, told: Mapping[Address, Told], message: str
) -> tuple[Commit, ...]:
    """The commit that records an idempotent call's answer; a deferred one may be tried again."""
    submission = arrival.submission
    if submission is None or submission.idempotent is None:
        return ()
    recipients = arrival.envelope.recipients
    if any(a not in told or told[a].verdict == "defer" for a in recipients):
        return ()
    received = Received(
        message=message,
        outcomes=tuple(Outcome(recipient=a, told=told[a]) for a in recipients),
    )
    claim = Claim(
        name=places.idempotency(submission.idempotent.key),
        value=encode(Answered(fingerprint=submission.idempotent.fingerprint, received=received)),
        expires=arrival.at + _IDEMPOTENT_FOR,
    )
    partition = places.vendor(submission.vendor.id)
    return (Commit(partition=partition, operations=(claim,), with_all=True),)


def _log_fault(arrival: Arrival, judgement: Judgement) -> None:
    for finding in judgement.decision.findings:
        if isinstance(finding.verdict, Defer):
            log.error(
                "filter-failed",
                message=arrival.id,
                filter=finding.filter,
                error=finding.facts.get("error"),
            )
