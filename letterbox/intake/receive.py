"""Taking one message in: read once, proven once, decided for each recipient, written, answered.

Nothing is answered with a 250 before the decision, the message and the feedback owed are
durable. A resend meets its claim and gets the recorded answer again.
"""

import asyncio
from weakref import WeakValueDictionary

import msgspec
import structlog

from letterbox.feedback.disclosure import Disclosure
from letterbox.feedback.reporting import after_reply, owe
from letterbox.identity.prover import Proof, Prover
from letterbox.intake.bounces import Bounces
from letterbox.intake.keyed import proven_by_key
from letterbox.intake.operator import OperatorMailbox
from letterbox.intake.receipt import Answered, KeyReused, Outcome, Received, Submission
from letterbox.intake.settle import Arrival, Settled, Settlement, answer_commit
from letterbox.intake.strangers import Strangers
from letterbox.metrics import Metrics
from letterbox.model.address import Address
from letterbox.model.envelope import Envelope
from letterbox.model.sender import Proven, Stranger, Undetermined, VendorRef
from letterbox.model.told import Told
from letterbox.ports.clock import Clock
from letterbox.ports.store import Commit, Rejected, Store, StoreUnavailable
from letterbox.reading.facts import Reader
from letterbox.reading.mail import Mail, Malformed
from letterbox.records import places
from letterbox.records.coding import decode
from letterbox.records.content import read_content
from letterbox.records.names import new_id, new_reference
from letterbox.records.rates import Rates
from letterbox.records.vendors import Vendors

#: A message that has been relayed more often goes in circles (RFC 5321, section 6.3).
_MAX_RECEIVED = 100

log = structlog.get_logger("letterbox.intake")


class Intake:
    """Takes messages in. One instance serves every gateway."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        prover: Prover,
        vendors: Vendors,
        settlement: Settlement,
        through: Settlement,
        strangers: Strangers,
        operator: OperatorMailbox,
        bounces: Bounces,
        disclosure: Disclosure,
        metrics: Metrics,
        rates: Rates,
        hostname: str,
        reader: Reader,
    ) -> None:
        self._store = store
        self._clock = clock
        self._prover = prover
        self._vendors = vendors
        self._settlement = settlement
        self._through = through
        self._strangers = strangers
        self._operator = operator
        self._bounces = bounces
        self._disclosure = disclosure
        self._metrics = metrics
        self._rates = rates
        self._hostname = hostname
        self._reader = reader
        self._calls: WeakValueDictionary[tuple[str, ...], asyncio.Lock] = WeakValueDictionary()

    async def receive(
        self, envelope: Envelope, content: bytes, submission: Submission | None = None
    ) -> Received:
        """Take a message: ``content`` is what was received, byte for byte.

        Whatever goes wrong is an answer; the one exception is :class:`KeyReused`.
        """
        began, now = self._clock.monotonic(), self._clock.now()
        arrival = Arrival(
            id=new_id(now),
            at=now,
            envelope=envelope,
            content=content,
            submission=submission,
        )
        try:
            if submission is None or submission.idempotent is None:
                received = await self._receive(arrival)
            else:
                async with self._one_at_a_time(submission.vendor.id, submission.idempotent.key):
                    received = await self._recorded(submission) or await self._receive(arrival)
        except StoreUnavailable as trouble:
            # No trace: the store has told its own trouble.
            log.error("store-unavailable", message=arrival.id, error=str(trouble))  # noqa: TRY400
            received = self._to_all(arrival, "store-unavailable")
        except KeyReused:
            raise
        except Exception:
            # Our fault, never the mail's: it stays with the sender, who tries again.
            log.exception("intake-failed", message=arrival.id)
            received = self._to_all(arrival, "our-fault")
        self._account(arrival, received, self._clock.monotonic() - began)
        return received

    async def _receive(self, arrival: Arrival) -> Received:
        envelope = arrival.envelope
        try:
            mail = self._read(arrival)
        except Malformed as fault:
            return self._to_all(arrival, fault.reason, fault.detail)
        if len(mail.all("received")) > _MAX_RECEIVED:
            return self._to_all(arrival, "mail-loop")
        proof = await self._prove(arrival, mail)
        how = getattr(proof.sender, "how", type(proof.sender).__name__.lower())
        self._metrics.message(envelope.edge, how).inc()
        operator = tuple(filter(self._operator.has, envelope.recipients))
        back = await self._bounces.names(arrival, envelope.recipients, mail)
        told = await self._bounces.take(back, mail)
        others = envelope.recipients
        if operator or back:
            others = tuple(a for a in others if a not in operator and a not in back)
        if operator:
            told |= await self._operator.take(arrival, operator, mail, proof)
        settled = Settled(told=told, message=arrival.id, recorded=False)
        if others:
            settled = await self._by_proof(arrival, others, mail, proof, told)
        answer = answer_commit(arrival, settled.told, settled.message)
        if answer and not settled.recorded:
            (result,) = await self._store.commit(*answer)
            if isinstance(result, Rejected) and (known := await self._recorded(arrival.submission)):
                return known  # another process was asked the same, and has answered
        author = proof.sender.domain if isinstance(proof.sender, Proven) else ""
        reports = after_reply(
            _to_be_reported(envelope, settled),
            mail,
            settled.told,
            new_reference(),
            arrival.at,
            author=author,
        )
        if reports:
            # What the reply is silent about is owed from here on, and is on disk before it.
            partition = places.message(arrival.id)
            await self._store.commit(*(Commit(partition, owe(each)) for each in reports))
        reported = any(each.action == "failed" for each in reports)
        return _received(arrival, settled.told, settled.message, reported=reported)

    def _read(self, arrival: Arrival) -> Mail:
        """The content as mail, within limits of form. Raises Malformed."""
        limits = self._reader.limits
        composed = arrival.submission.composed if arrival.submission else None
        # Its parts are known; there are two at most, and the limits of each are those of them all.
        parts = composed.parts if composed else None
        if composed and parts and composed.header.fits(limits) and len(parts) <= limits.mime_parts:
            return composed
        return read_content(arrival.envelope.edge, arrival.content, limits)

    async def _prove(self, arrival: Arrival, mail: Mail) -> Proof:
        if arrival.submission is not None:
            return await proven_by_key(
                mail, arrival.submission.vendor, self._hostname, self._vendors
            )
        return await self._prover.prove(mail, arrival.envelope, arrival.at)

    async def _by_proof(
        self,
        arrival: Arrival,
        recipients: tuple[Address, ...],
        mail: Mail,
        proof: Proof,
        told: dict[Address, Told],
    ) -> Settled:
        """Answer those recipients who are not the operator; ``told`` is told already."""

        def alike(answer: Told) -> Settled:
            answers = told | dict.fromkeys(recipients, answer)
            return Settled(told=answers, message=arrival.id, recorded=False)

        match proof.sender:
            case Undetermined(detail=detail):
                log.info("undetermined", message=arrival.id, detail=detail)
                return alike(self._disclosure.tell_all("lookup-failed", new_reference()))
            case Stranger() as author if arrival.submission is not None:
                return alike(self._tell_author(author))
            case Stranger() as stranger:
                log.info(
                    "stranger", message=arrival.id, reason=stranger.why, detail=stranger.detail
                )
                return await self._by_way_of(arrival, recipients, mail, proof, stranger, told)
            case sender:
                vendor = await self._vendors.behind(sender)
                submission = arrival.submission
                waits = submission is not None and submission.waits
                if barred := await self._barred(sender, vendor, proof, waits=waits):
                    return alike(barred)
                declared = submission.declared if submission else None
                facts = self._reader.read(mail, sender, declared=declared)
                through = arrival.envelope.edge == "filter"
                settlement = self._through if through else self._settlement
                return await settlement.settle(
                    arrival, recipients, mail, facts, proof, vendor, told
                )

    async def _barred(
        self, sender: Proven, vendor: VendorRef, proof: Proof, *, waits: bool
    ) -> Told | None:
        """Why nothing of a vendor's is taken now, whoever it is for; None where it is.

        ``waits``: what comes too fast is taken in its turn.
        """
        registered = await self._vendors.get(vendor.id) if vendor.registered else None
        if registered is not None and (suspended := registered.suspended) is not None:
            if sender.how == "via":
                # Whoever the platform signs for hears no more than any stranger.
                return self._disclosure.tell_stranger(proof.why, new_reference())
            return self._disclosure.tell_all("vendor-suspended", new_reference(), suspended.why)
        most = registered.messages_per_second if registered else None
        # A relay of ours brings what many sent: it is not one vendor in a hurry.
        # What a platform signs for others must not use up the vendor's own share.
        share = f"{vendor.id} via {sender.by}" if sender.how == "via" else vendor.id
        if waits:
            await self._rates.turn(share, most)
            return None
        if sender.how == "peer" or self._rates.take(share, most):
            return None
        limit = f"at most {most or self._rates.per_second} messages a second"
        return self._disclosure.tell_all("rate-limited", new_reference(), limit)

    async def _by_way_of(
        self,
        arrival: Arrival,
        recipients: tuple[Address, ...],
        mail: Mail,
        proof: Proof,
        stranger: Stranger,
        told: dict[Address, Told],
    ) -> Settled:
        """Refuse a stranger, but where a consumer lets a platform speak for the author.

        Each signing domain makes a copy of the message of its own: what it signed is what counts.
        """
        ways = await self._settlement.ways(stranger, recipients)
        if others := tuple(address for address in recipients if address not in ways):
            refused = await self._strangers.refuse(arrival, others, stranger)
            told = told | dict.fromkeys(others, refused)
        settled = Settled(told=told, message=arrival.id, recorded=False)
        why = None if arrival.envelope.client.inner else stranger.why
        for nth, sender in enumerate(dict.fromkeys(ways.values())):
            copy = arrival if nth == 0 else arrival._replace(id=new_id(arrival.at))
            theirs = tuple(address for address, way in ways.items() if way == sender)
            allowed = msgspec.structs.replace(proof, sender=sender, why=why)
            settled = await self._by_proof(copy, theirs, mail, allowed, settled.told)
        return settled

    def _tell_author(self, stranger: Stranger) -> Told:
        """What is wrong with the author, for a vendor whose key was shown: it wrote it itself."""
        return self._disclosure.tell_all(
            stranger.why, new_reference(), stranger.detail, domain=stranger.domain or ""
        )

    def _to_all(self, arrival: Arrival, code: str, detail: str = "") -> Received:
        told = self._disclosure.tell_all(code, new_reference(), detail)
        return _received(arrival, dict.fromkeys(arrival.envelope.recipients, told), arrival.id)

    # ---- idempotent calls ----

    def _one_at_a_time(self, *name: str) -> asyncio.Lock:
        """Calls with one key wait for one another, so that the first one's answer is recorded.

        That saves work. What holds between processes is that a key's messages have one id each,
        and so one claim.
        """
        return self._calls.setdefault(name, asyncio.Lock())

    async def _recorded(self, submission: Submission | None) -> Received | None:
        if submission is None or submission.idempotent is None:
            return None
        partition, key = places.vendor(submission.vendor.id), submission.idempotent.key
        value = await self._store.claim(partition, places.idempotency(key))
        if value is None:
            if await self._store.claim(partition, places.call(key)):
                raise KeyReused  # for a call of another kind
            return None
        answered = decode(value, Answered)
        if answered.fingerprint != submission.idempotent.fingerprint:
            raise KeyReused
        return answered.received

    # ---- what is logged and counted ----

    def _account(self, arrival: Arrival, received: Received, seconds: float) -> None:
        """One canonical line for each recipient: no content, no secret."""
        edge = arrival.envelope.edge
        self._metrics.second(edge).observe(seconds)
        self._metrics.octet(edge).inc(len(arrival.content))
        for outcome in received.outcomes:
            told = outcome.told
            reason = told.reason.code if told.reason else ""
            self._metrics.recipient(edge, told.verdict, reason).inc()
            log.info(
                "message",
                message=received.message,
                session=arrival.envelope.session,
                edge=edge,
                client=arrival.envelope.client.address,
                recipient=str(outcome.recipient),
                told=told.verdict,
                reply=told.reply,
                reason=reason,
                reference=told.reference,
                octets=len(arrival.content),
                milliseconds=round(seconds * 1000, 2),
            )


def _to_be_reported(envelope: Envelope, settled: Settled) -> Envelope:
    """The transaction without what others report, who were asked to."""
    if not settled.quiet:
        return envelope
    requests = {who: asked for who, asked in envelope.requests.items() if who not in settled.quiet}
    return msgspec.structs.replace(envelope, requests=requests)


def _received(
    arrival: Arrival, told: dict[Address, Told], message: str, *, reported: bool = False
) -> Received:
    return Received(
        message=message,
        reported=reported,
        outcomes=tuple(
            Outcome(recipient=address, told=told[address])
            for address in arrival.envelope.recipients
        ),
    )
