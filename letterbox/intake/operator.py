"""The operator's mailbox: postmaster and abuse are always reached (RFC 5321, section 4.5.1)."""

from datetime import timedelta

import msgspec

from letterbox.feedback.disclosure import Disclosure
from letterbox.identity.prover import Proof
from letterbox.intake.settle import Arrival
from letterbox.model.address import Address
from letterbox.model.record import InboxEntry, MessageRecord
from letterbox.model.sender import Proven, Stranger, VendorRef
from letterbox.model.told import Told
from letterbox.ports.store import Add, Bodies, Commit, Put, Rejected, Store
from letterbox.reading.header import subject
from letterbox.reading.mail import Mail
from letterbox.records import places
from letterbox.records.coding import encode
from letterbox.records.ledger import message_commit
from letterbox.records.names import new_reference

_LOCALS = frozenset({"postmaster", "abuse"})
_HOUR = timedelta(hours=1)


def is_operator(address: Address) -> bool:
    """Whether an address of ours is the operator's, by RFC 5321 or RFC 2142."""
    return address.mailbox.local in _LOCALS


class OperatorMailbox:
    """Takes what is written to the operator: unproven too, but only so much an hour."""

    def __init__(
        self,
        *,
        store: Store,
        bodies: Bodies,
        disclosure: Disclosure,
        per_hour: int,
        retention: timedelta,
    ) -> None:
        self._store = store
        self._bodies = bodies
        self._disclosure = disclosure
        self._per_hour = per_hour
        self._retention = retention

    async def take(
        self, arrival: Arrival, recipients: tuple[Address, ...], mail: Mail, proof: Proof
    ) -> dict[Address, Told]:
        """Deliver one copy, or defer where the hour is full."""
        reference = new_reference()
        envelope = arrival.envelope
        sender = proof.sender
        if not isinstance(sender, Proven | Stranger):
            sender = Stranger(why="sender-unproven")
        name = str(envelope.reverse_path or "<>")
        vendor = VendorRef(id="", name=name, registered=False)
        record = MessageRecord(
            id=arrival.id,
            at=arrival.at,
            edge=envelope.edge,
            client=envelope.client.address,
            helo=envelope.client.helo,
            reverse_path=str(envelope.reverse_path) if envelope.reverse_path else None,
            sender=sender,
            vendor=vendor,
            size=len(arrival.content),
            recipients=tuple((places.OPERATOR, str(a), arrival.id, reference) for a in recipients),
            results=proof.results,
        )
        entry = InboxEntry(
            id=arrival.id,
            at=arrival.at,
            message=arrival.id,
            decision=arrival.id,
            vendor=vendor,
            sender=name,
            recipient=str(recipients[0]),
            subject=subject(mail),
            kind="personal",
            interests=(),
            size=len(arrival.content),
        )
        counter = places.operator_rate(arrival.at)
        mailbox = Commit(
            partition=places.consumer(places.OPERATOR),
            operations=(
                Add(counter=counter, limit=self._per_hour, expires=arrival.at + _HOUR),
                Put(key=places.INBOX + entry.id, value=encode(entry)),
            ),
        )
        body = await self._bodies.prepare(arrival.id, arrival.content)
        message = message_commit(record, body, arrival.at + self._retention)
        # The mailbox first: where it is full, the message is not kept either.
        results = await self._store.commit(mailbox, msgspec.structs.replace(message, with_all=True))
        if isinstance(results[0], Rejected):
            told = self._disclosure.tell_all("rate-limited", reference)
        else:
            told = Told(
                verdict="deliver",
                reference=reference,
                reply=250,
                enhanced="2.0.0",
                text=f"delivered {reference}",
            )
        return dict.fromkeys(recipients, told)
