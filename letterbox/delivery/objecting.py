"""Objecting to a company's advertising by way of one of its messages, and taking that back.

What is done goes into one commit: the relationship, the record of the objection with its evidence,
and the request to end the subscription that is owed from then on.
"""

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Final, NamedTuple

import structlog

from letterbox.delivery.relations import Advertised, Relations, locked
from letterbox.feedback.arf import one_click
from letterbox.feedback.unsubscribing import Mailto, listed_mail
from letterbox.metrics import Metrics
from letterbox.model.objection import Asked, Evidence, Objection
from letterbox.model.preferences import Because, VendorRule
from letterbox.model.record import InboxEntry, MessageRecord
from letterbox.model.report import UnsubscribingMail, Unsubscription
from letterbox.model.sender import Proven, VendorRef, domains_of
from letterbox.model.times import later
from letterbox.model.wishes import Wishes
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Claim,
    Commit,
    Operation,
    Put,
    Rejected,
    Schedule,
    Store,
    StoreUnavailable,
)
from letterbox.reading.facts import Reader
from letterbox.reading.header import message_id
from letterbox.records import places
from letterbox.records.activity import activity
from letterbox.records.coding import decode, encode
from letterbox.records.content import read_content
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.names import first_id, new_id, new_reference
from letterbox.records.objections import Objections, removing, writing
from letterbox.records.vendors import Vendors

#: How often it is looked through what has come since.
LOOKS: Final = timedelta(hours=6)
_ATTEMPTS: Final = 5
#: The claim of :class:`letterbox.delivery.complaints.Complaints`, of ending the subscription once.
_UNSUBSCRIBED: Final = "unsubscribed"

log = structlog.get_logger("letterbox.objections")


class Plan(NamedTuple):
    """What an objection by way of a message would do, said beforehand.

    ``asked`` says how the subscription would be ended, ``mail`` in which words if by mail.
    ``stands`` is the objection to the same company that there is already, which stays as it is.
    ``before`` and ``after`` are the relationship, None for none.
    """

    entry: InboxEntry
    domains: tuple[str, ...]
    asked: Asked
    mail: Mailto | None
    stands: Objection | None
    before: VendorRule | None
    after: VendorRule
    wishes: Wishes

    @property
    def may_keep(self) -> bool:
        """Whether it may send anything else, that could go on."""
        before = self.before
        return (
            before is not None
            and locked(before, before, "other", service=True).standing != "blocked"
        )


class Objected(NamedTuple):
    """What became of it. ``made``: just now; else it stood already, and nothing was done anew."""

    objection: Objection
    relation: Advertised
    made: bool


class _Case(NamedTuple):
    """A message in the inbox, with all that is recorded of it."""

    entry: InboxEntry
    evidence: Evidence
    domains: tuple[str, ...]
    asked: Asked
    mail: Mailto | None


class Objecting:
    """Takes the word. ``kept`` is for how long a subscription is not ended twice by one message.

    ``ours`` are our own domains, which are never written to.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        relations: Relations,
        mailboxes: Mailboxes,
        vendors: Vendors,
        reader: Reader,
        ours: frozenset[str],
        kept: timedelta,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._clock = clock
        self._relations = relations
        self._mailboxes = mailboxes
        self._vendors = vendors
        self._reader = reader
        self._ours = ours
        self._kept = kept
        self._metrics = metrics
        self._objections = Objections(store)

    async def plan(
        self, consumer: str, name: str, *, because: Because = "other", service: bool = True
    ) -> Plan | None:
        """What would be done; nothing is. None where there is no such message of a company's.

        Raises StoreUnavailable.
        """
        case = await self._case(consumer, name)
        foreseen = await self._relations.foreseen(consumer, name, because=because, service=service)
        if case is None or foreseen is None:
            return None
        stands = await self._objections.with_vendor(consumer, case.entry.vendor.id)
        return Plan(case.entry, case.domains, case.asked, case.mail, stands, *foreseen)

    async def object_to(
        self, consumer: str, name: str, *, because: Because = "other", service: bool = True
    ) -> Objected | None:
        """Object to the advertising of who sent a message of the inbox.

        Its relationship takes none from then on; ``service``: what else it may send goes on. Where
        an objection to the same company stands, that is the one: said again, it has no second
        effect. None where there is no such message of a company's. Raises StoreUnavailable.
        """
        case = await self._case(consumer, name)
        if case is None:
            return None
        objection = self._objection(case, service=service)

        async def also(_: VendorRule | None) -> Sequence[Operation]:
            # Asked anew with each attempt: somebody may have been faster.
            if await self._objections.with_vendor(consumer, case.entry.vendor.id) is not None:
                return ()
            return await self._operations(consumer, case, objection)

        for _ in range(_ATTEMPTS):
            relation = await self._relations.unwanted(
                consumer, name, because=because, also=also, by="objection", service=service
            )
            if relation is None:
                return None
            stands = await self._objections.with_vendor(consumer, case.entry.vendor.id)
            # None where an objection to somebody else came in between, or this one was withdrawn.
            if stands is not None:
                return self._objected(objection, stands, relation)
        raise StoreUnavailable(f"what consumer {consumer} objects to keeps changing")

    def _objected(self, objection: Objection, stands: Objection, relation: Advertised) -> Objected:
        made = stands.id == objection.id
        if made:
            self._metrics.objections.labels("made").inc()
            log.info("objected", objection=objection.id, way=objection.asked.way)
        return Objected(stands, relation, made)

    async def withdraw(self, consumer: str, name: str) -> Objection | None:
        """Take an objection back: what was kept for it is let go, and nothing counts as a breach.

        What the company may send stays as it is. None where there is none of that id. Raises
        StoreUnavailable.
        """
        for _ in range(_ATTEMPTS):
            document = await self._objections.document(consumer, name)
            if document is None:
                return None
            objection = decode(document.value, Objection)
            breaches = await self._objections.breaches(consumer, name)
            said = activity(
                self._clock.now(),
                "objection.withdrawn",
                "request",
                objection.vendor,
                recipient=objection.recipient,
            )
            operations = (*removing(objection, document.revision, breaches), said)
            (result,) = await self._store.commit(Commit(places.consumer(consumer), operations))
            if not isinstance(result, Rejected):
                self._metrics.objections.labels("withdrawn").inc()
                return objection
        raise StoreUnavailable(f"objection {name} keeps changing")

    # ---- what is known of the message ----------------------------------------------------------

    async def _case(self, consumer: str, name: str) -> _Case | None:
        entry = await self._mailboxes.entry(consumer, name)
        record = await self._mailboxes.message(entry.message) if entry else None
        body = await self._mailboxes.body(record.id) if record else None
        if entry is None or record is None or body is None:
            return None
        sender = record.sender
        if not isinstance(sender, Proven):
            return None  # the operator's mailbox takes strangers' mail, too
        mail = read_content(record.edge, body, self._reader.limits)
        url, listed = one_click(mail, sender), listed_mail(mail, sender, self._ours)
        asked = Asked("none")
        if url is not None:
            asked, listed = Asked("one-click", url, "owed"), None
        elif listed is not None:
            asked = Asked("mail", str(listed.to), "owed")
        if asked.way != "none" and await self._was_asked(consumer, entry.message):
            asked = Asked(asked.way, asked.to, "before")
        evidence = _evidence(entry, record, sender, message_id(mail) or "", body)
        return _Case(entry, evidence, await self._domains(entry, sender), asked, listed)

    async def _was_asked(self, consumer: str, message: str) -> bool:
        name = places.said_once(_UNSUBSCRIBED, message)
        return await self._store.claim(places.consumer(consumer), name) is not None

    async def _domains(self, entry: InboxEntry, sender: Proven) -> tuple[str, ...]:
        """Every domain that a company is known by; none of one person's at a mailbox provider."""
        vendor: VendorRef = entry.vendor
        if vendor.registered:
            known = await self._vendors.get(vendor.id)
            own = known.own_domains if known is not None else ()
            return tuple(dict.fromkeys((*own, *vendor.domains)))
        if "@" in vendor.id:
            return ()
        return tuple(dict.fromkeys((vendor.id, *domains_of(sender, vendor))))

    # ---- what is written -----------------------------------------------------------------------

    def _objection(self, case: _Case, *, service: bool) -> Objection:
        now = self._clock.now()
        return Objection(
            id=new_id(now),
            at=now,
            vendor=case.entry.vendor,
            domains=case.domains,
            evidence=case.evidence,
            asked=case.asked,
            service=service,
        )

    async def _operations(
        self, consumer: str, case: _Case, objection: Objection
    ) -> tuple[Operation, ...]:
        said = activity(
            objection.at,
            "objection.made",
            "request",
            objection.vendor,
            recipient=objection.recipient,
            text=objection.domains,
            decision=case.entry.decision,
        )
        partition = places.consumer(consumer)
        begins: tuple[Operation, ...] = ()
        if await self._store.get(partition, places.OBJECTING) is None:
            # What came before is not looked through; a decision's id is of the moment it was made.
            begins = (
                Put(places.OBJECTING, first_id(objection.at).encode(), expect=0),
                Schedule(key=places.OBJECTING, at=later(objection.at, LOOKS)),
            )
        return (*writing(objection), said, *begins, *self._unsubscription(case, objection))

    def _unsubscription(self, case: _Case, objection: Objection) -> tuple[Operation, ...]:
        if case.asked.outcome != "owed":
            return ()
        words = case.mail and UnsubscribingMail(case.mail.subject, case.mail.body)
        owed = Unsubscription(
            id=new_reference(),
            url=case.asked.to,
            vendor=objection.vendor,
            recipient=objection.recipient,
            owed=objection.at,
            mail=words,
            objection=objection.id,
        )
        key = places.UNSUBSCRIPTION + owed.id
        name = places.said_once(_UNSUBSCRIBED, objection.message)
        return (
            Claim(name=name, value=b"", expires=later(objection.at, self._kept)),
            Put(key=key, value=encode(owed)),
            Schedule(key=key, at=objection.at),
        )


def _evidence(
    entry: InboxEntry, record: MessageRecord, sender: Proven, name: str, body: bytes
) -> Evidence:
    return Evidence(
        decision=entry.decision,
        message=record.id,
        received=record.at,
        sender=entry.sender,
        recipient=entry.recipient,
        subject=entry.subject,
        kind=entry.kind,
        domain=sender.domain,
        how=sender.how,
        message_id=name,
        results=record.results,
        sha256=sha256(body).hexdigest(),
    )
