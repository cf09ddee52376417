"""Deciding for each recipient of a proven message, and writing it all down before any answer."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from letterbox.feedback.disclosure import Disclosure
from letterbox.feedback.events import event_of
from letterbox.identity.prover import Proof
from letterbox.intake.receipt import Answered, Outcome, Received, Submission
from letterbox.judge import Judge, Judgement, Question
from letterbox.model.address import Address
from letterbox.model.envelope import Envelope
from letterbox.model.message import Message
from letterbox.model.record import DecisionRecord, MessageRecord
from letterbox.model.sender import Proven, VendorRef
from letterbox.model.told import Told
from letterbox.model.verdict import Defer
from letterbox.ports.store import (
    Bodies,
    Claim,
    Commit,
    Delete,
    Done,
    DropBody,
    Result,
    Store,
    Unschedule,
)
from letterbox.reading.claim import claim_name, digest
from letterbox.reading.header import message_id
from letterbox.reading.mail import Mail
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.consumers import Consumers
from letterbox.records.ledger import Ledger, Line, message_commit
from letterbox.records.names import new_id, new_reference
from letterbox.records.vendors import Vendors

#: How often a decision is taken anew because something changed under it, before it is deferred.
_ATTEMPTS = 5
_IDEMPOTENT_FOR = timedelta(days=7)

log = structlog.get_logger("letterbox.intake")


class Arrival(NamedTuple):
    """A message on its way in. ``content`` is what was received, byte for byte."""

    id: str
    at: datetime
    envelope: Envelope
    content: bytes
    submission: Submission | None


class _Settled(NamedTuple):
    """A decision that is ready to be written."""

    recipient: Address
    line: Line
    commits: tuple[Commit, Commit]

    @property
    def told(self) -> Told:
        return self.line.record.told


class Settlement:
    """Judges, writes, and judges anew where something changed in between."""

    def __init__(
        self,
        *,
        store: Store,
        bodies: Bodies,
        consumers: Consumers,
        vendors: Vendors,
        judge: Judge,
        ledger: Ledger,
        disclosure: Disclosure,
        retention: timedelta,
    ) -> None:
        self._store = store
        self._bodies = bodies
        self._consumers = consumers
        self._vendors = vendors
        self._judge = judge
        self._ledger = ledger
        self._disclosure = disclosure
        self._retention = retention

    async def settle(
        self,
        arrival: Arrival,
        recipients: Sequence[Address],
        mail: Mail,
        facts: Message,
        proof: Proof,
        sender: Proven,
    ) -> dict[Address, Told]:
        """Decide for every recipient; what is returned is durable."""
        vendor = await self._vendors.behind(sender)
        told: dict[Address, Told] = {}
        subject = _Subject(arrival, sender, vendor, facts, message_id(mail), digest(mail, sender))
        pending = list(recipients)
        stored = used = answered = False
        for _ in range(_ATTEMPTS):
            ready = await self._judge_all(subject, pending, told)
            if not ready:
                break
            commits = [commit for settled in ready for commit in settled.commits]
            if not stored:
                commits.insert(0, await self._message(subject, ready, proof))
            expected = told | {settled.recipient: settled.told for settled in ready}
            answer = _answer(arrival, expected)
            results = await self._store.commit(*commits, *answer)
            landed = results[0 if stored else 1 :: 2][: len(ready)]
            answered = answered or (bool(answer) and isinstance(results[-1], Done))
            stored = True
            used = used or any(isinstance(result, Done) for result in landed)
            pending = self._take(told, ready, landed)
        for address in pending:
            if address not in told:
                told[address] = self._disclosure.tell_all("busy", new_reference())
        if stored and not used:
            await self._forget(arrival)
        if not answered and (answer := _answer(arrival, told)):
            await self._store.commit(*answer)
        return told

    async def _judge_all(
        self, subject: "_Subject", pending: Sequence[Address], told: dict[Address, Told]
    ) -> list[_Settled]:
        """Judge each; what cannot be judged is told so at once."""
        ready = []
        arrival = subject.arrival
        for address in pending:
            question = Question(
                recipient=address,
                sender=subject.sender,
                vendor=subject.vendor,
                message=subject.facts,
                now=arrival.at,
                relayed=arrival.envelope.client.inner,
            )
            judgement = await self._judge.judge(question)
            if isinstance(judgement.decision.verdict, Defer):
                _log_fault(arrival, judgement)
                told[address] = judgement.told
            else:
                ready.append(self._prepare(subject, address, judgement))
        return ready

    def _prepare(self, subject: "_Subject", address: Address, judgement: Judgement) -> _Settled:
        arrival, facts = subject.arrival, subject.facts
        your_reference = arrival.submission.your_reference if arrival.submission else None
        record = DecisionRecord(
            id=new_id(arrival.at),
            at=arrival.at,
            message=arrival.id,
            consumer=judgement.owner.consumer,
            recipient=str(address),
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
        )
        event = None
        if subject.vendor.registered:
            event = event_of(
                judgement.told,
                record.verdict,
                name=record.id,
                at=arrival.at,
                message=arrival.id,
                recipient=str(address),
                your_reference=your_reference,
            )
        line = Line(
            record=record,
            counted=tuple(judgement.counted),
            event=event,
            claim=claim_name(subject.sender.domain, subject.name, subject.stamp, address),
            extra=judgement.probed,
            your_reference=your_reference,
        )
        return _Settled(address, line, self._ledger.commits(line))

    def _take(
        self, told: dict[Address, Told], ready: Sequence[_Settled], results: Sequence[Result]
    ) -> list[Address]:
        """Note what landed; return those about whom something changed in between."""
        again = []
        for settled, result in zip(ready, results, strict=True):
            if isinstance(result, Done):
                told[settled.recipient] = settled.told
            elif (
                isinstance(result.operation, Claim) and result.operation.name == settled.line.claim
            ):
                # A resend: the recorded answer, and no second effect.
                told[settled.recipient] = decode(result.found, Told)
            else:
                self._consumers.forget(settled.line.record.consumer)
                again.append(settled.recipient)
        return again

    async def _message(
        self, subject: "_Subject", ready: Sequence[_Settled], proof: Proof
    ) -> Commit:
        arrival = subject.arrival
        envelope = arrival.envelope
        record = MessageRecord(
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
                (s.line.record.consumer, str(s.recipient), s.line.record.id, s.told.reference)
                for s in ready
            ),
            declared=arrival.submission.declared if arrival.submission else None,
            your_reference=arrival.submission.your_reference if arrival.submission else None,
            results=proof.results,
        )
        body = await self._bodies.prepare(arrival.id, arrival.content)
        return message_commit(record, body, arrival.at + self._retention)

    async def _forget(self, arrival: Arrival) -> None:
        """Nobody took this copy of the message: it is a resend, or could not be decided."""
        await self._store.commit(
            Commit(
                partition=places.message(arrival.id),
                operations=(
                    Delete(key=places.MESSAGE),
                    DropBody(id=arrival.id),
                    Unschedule(key=places.COLLECT),
                ),
            )
        )


class _Subject(NamedTuple):
    """What is the same for all recipients of a message."""

    arrival: Arrival
    sender: Proven
    vendor: VendorRef
    facts: Message
    name: str | None
    stamp: bytes


def _answer(arrival: Arrival, told: dict[Address, Told]) -> tuple[Commit, ...]:
    """The commit that records an idempotent call's answer; a deferred one may be tried again."""
    submission = arrival.submission
    if submission is None or submission.idempotent is None:
        return ()
    recipients = arrival.envelope.recipients
    if any(a not in told or told[a].verdict == "defer" for a in recipients):
        return ()
    received = Received(
        message=arrival.id,
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
