"""The operator's mailbox: postmaster and abuse are always reached (RFC 5321, section 4.5.1)."""

from datetime import timedelta

from letterbox.feedback.disclosure import Disclosure
from letterbox.identity.prover import Proof
from letterbox.intake.settle import Arrival
from letterbox.model.address import Address
from letterbox.model.record import InboxEntry, MessageRecord
from letterbox.model.sender import Proven, Stranger, VendorRef
from letterbox.model.told import Told
from letterbox.ports.store import Add, Bodies, Claim, Commit, Put, Rejected, Store
from letterbox.reading.claim import claim_name, digest
from letterbox.reading.header import message_id, subject
from letterbox.reading.mail import Mail
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.ledger import Recorded, forget_commit, message_commit
from letterbox.records.names import new_id, new_reference

_LOCALS = frozenset({"postmaster", "abuse"})
_BEGINNINGS = tuple(_LOCALS)
_HOUR = timedelta(hours=1)
#: All of the operator's addresses are one mailbox.
_OPERATOR = Address(local="postmaster", domain="")
_MAILBOX = places.consumer(places.OPERATOR)


class OperatorMailbox:
    """Takes what is written to the operator: unproven too, but only so much an hour."""

    def __init__(
        self,
        *,
        store: Store,
        bodies: Bodies,
        disclosure: Disclosure,
        domains: frozenset[str],
        per_hour: int,
        retention: timedelta,
        claims: timedelta,
    ) -> None:
        self._store = store
        self._bodies = bodies
        self._disclosure = disclosure
        self._domains = domains
        self._per_hour = per_hour
        self._retention = retention
        self._claims = claims

    def has(self, address: Address) -> bool:
        """Whether an address is the operator's, by RFC 5321 or RFC 2142."""
        if not address.local.lower().startswith(_BEGINNINGS):
            return False  # nearly everybody's
        return address.domain in self._domains and address.mailbox.local in _LOCALS

    async def take(
        self, arrival: Arrival, recipients: tuple[Address, ...], mail: Mail, proof: Proof
    ) -> dict[Address, Told]:
        """Deliver one copy, once, or defer where the hour is full.

        The copy is a message of its own: what becomes of the others does not touch it.
        """
        name, reference = new_id(arrival.at), new_reference()
        record = _record(arrival, recipients, name, reference, proof)
        entry = _entry(record, subject(mail))
        told = Told(
            verdict="deliver",
            reference=reference,
            reply=250,
            enhanced="2.0.0",
            text=f"delivered {reference}",
        )
        stamp = digest(mail, frozenset())
        claim = Claim(
            name=claim_name("", message_id(mail), stamp, _OPERATOR),
            value=encode(Recorded(told=told, message=name)),
            expires=arrival.at + self._claims,
        )
        counter = places.operator_rate(arrival.at)
        # Looked at before anything is written: a large body would go to a file of its own.
        before = await self._store.claim(_MAILBOX, claim.name)
        if before is not None:
            return dict.fromkeys(recipients, decode(before, Recorded).told)
        count = (await self._store.counters(_MAILBOX, [counter]))[counter]
        if count >= self._per_hour:
            return dict.fromkeys(recipients, self._full(reference))
        mailbox = Commit(
            partition=_MAILBOX,
            operations=(
                claim,
                Add(counter=counter, limit=self._per_hour, expires=arrival.at + _HOUR),
                Put(key=places.INBOX + entry.id, value=encode(entry)),
            ),
        )
        body = await self._bodies.prepare(name, arrival.content)
        message = message_commit(record, body, arrival.at + self._retention)
        # The message first: a store that is cut off in between must leave no claim without it.
        _, result = await self._store.commit(message, mailbox)
        if isinstance(result, Rejected):
            await self._store.commit(forget_commit(name))
            if result.operation == claim:
                told = decode(result.found, Recorded).told
            else:
                told = self._full(reference)
        return dict.fromkeys(recipients, told)

    def _full(self, reference: str) -> Told:
        limit = f"at most {self._per_hour} messages an hour"
        return self._disclosure.tell_all("rate-limited", reference, limit)


def _record(
    arrival: Arrival, recipients: tuple[Address, ...], name: str, reference: str, proof: Proof
) -> MessageRecord:
    envelope, sender = arrival.envelope, proof.sender
    if not isinstance(sender, Proven | Stranger):
        sender = Stranger(why="sender-unproven")
    path = str(envelope.reverse_path) if envelope.reverse_path else None
    author = str(sender.author) if isinstance(sender, Proven) else path or "<>"
    return MessageRecord(
        id=name,
        at=arrival.at,
        edge=envelope.edge,
        client=envelope.client.address,
        helo=envelope.client.helo,
        reverse_path=path,
        sender=sender,
        vendor=VendorRef(id=author, name=author, registered=False),
        size=len(arrival.content),
        recipients=tuple((places.OPERATOR, str(a), name, reference) for a in recipients),
        results=proof.results,
    )


def _entry(record: MessageRecord, subject_text: str) -> InboxEntry:
    _, recipient, decision, _ = record.recipients[0]
    return InboxEntry(
        id=decision,
        at=record.at,
        message=record.id,
        decision=decision,
        vendor=record.vendor,
        sender=record.vendor.id,
        recipient=recipient,
        subject=subject_text,
        kind="personal",
        interests=(),
        size=record.size,
    )
