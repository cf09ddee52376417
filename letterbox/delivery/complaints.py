"""A consumer's word that mail was unwanted: its sender locked out, told, and asked to stop.

It is a person who says so. Nothing that is refused by a rule ever gives a complaint.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final, NamedTuple

import msgspec
import structlog

from letterbox.delivery.again import pause
from letterbox.delivery.relations import Advertised, Relations
from letterbox.feedback.arf import (
    complaint_address,
    compose_complaint,
    day_of,
    naming_fields,
    one_click,
)
from letterbox.feedback.letters import Signs
from letterbox.feedback.sentences import safe
from letterbox.metrics import Metrics
from letterbox.model.address import parse_address
from letterbox.model.preferences import Because, VendorRule
from letterbox.model.record import InboxEntry, MessageRecord
from letterbox.model.report import Complaint, Unsubscription
from letterbox.model.sender import Proven
from letterbox.ports.clock import Clock
from letterbox.ports.courier import (
    Handed,
    Letter,
    MailCourier,
    Never,
    NotNow,
)
from letterbox.ports.store import (
    Claim,
    Commit,
    Delete,
    Operation,
    Put,
    Schedule,
    Store,
    Unschedule,
)
from letterbox.reading.facts import Reader
from letterbox.reading.mail import Mail
from letterbox.records import places
from letterbox.records.activity import Happened, activity
from letterbox.records.coding import decode, encode
from letterbox.records.content import read_content
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.names import new_reference

_LONGEST_PLACE: Final = 300

log = structlog.get_logger("letterbox.complaints")


class Unwanted(NamedTuple):
    """What became of the word: the relationship, and what is said to its other side."""

    relation: Advertised
    reported: bool
    unsubscribing: bool


class _Case(NamedTuple):
    """A message in the inbox, with what says whose it is."""

    entry: InboxEntry
    record: MessageRecord
    sender: Proven
    mail: Mail


class Complaints:
    """Takes the word, and sees to it that it is heard.

    ``product`` names this program; ``kept`` is for how long a word is not taken twice, ``lasts``
    for how long telling it is tried.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        relations: Relations,
        mailboxes: Mailboxes,
        reader: Reader,
        organizational: Callable[[str], str],
        mail: MailCourier,
        signer: Signs | None,
        hostname: str,
        product: str,
        kept: timedelta,
        lasts: timedelta,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._clock = clock
        self._relations = relations
        self._mailboxes = mailboxes
        self._reader = reader
        self._organizational = organizational
        self._mail = mail
        self._signer = signer
        self._hostname = hostname
        self._product = product
        self._kept = kept
        self._lasts = lasts
        self._metrics = metrics

    async def unwanted(
        self,
        consumer: str,
        name: str,
        *,
        because: Because,
        report: bool | None,
        unsubscribe: bool,
    ) -> Unwanted | None:
        """Lock out the sender of a message in the inbox, and tell it as far as it may be told.

        ``report``: a complaint goes to the address that the sender signed for it; None: unless the
        relationship tells nothing. ``unsubscribe``: the one-click address that was signed is
        called. Both once for a message, whatever is said again. None where there is no such
        message. Raises StoreUnavailable.
        """
        case = await self._case(consumer, name)
        if case is None:
            return None
        told = await self._complaint(consumer, case) if report is not False else ()
        asked = await self._unsubscription(consumer, case) if unsubscribe else ()

        async def also(covering: VendorRule | None) -> tuple[Operation, ...]:
            return (*(told if _reports(covering, report=report) else ()), *asked)

        relation = await self._relations.unwanted(consumer, name, because=because, also=also)
        if relation is None:
            return None
        reported = bool(told) and _reports(relation.before, report=report)
        return Unwanted(relation, reported=reported, unsubscribing=bool(asked))

    async def _case(self, consumer: str, name: str) -> _Case | None:
        entry = await self._mailboxes.entry(consumer, name)
        record = await self._mailboxes.message(entry.message) if entry else None
        body = await self._mailboxes.body(record.id) if record else None
        if entry is None or record is None or body is None:
            return None
        if not isinstance(record.sender, Proven):
            return None  # the operator's mailbox takes strangers' mail, too
        mail = read_content(record.edge, body, self._reader.limits)
        return _Case(entry, record, record.sender, mail)

    async def _complaint(self, consumer: str, case: _Case) -> tuple[Operation, ...]:
        to = complaint_address(case.mail, case.sender, self._organizational)
        if to is None or await self._is_claimed(consumer, "complained", case):
            return ()
        now = self._clock.now()
        complaint = Complaint(
            id=new_reference(),
            to=str(to),
            vendor=case.entry.vendor,
            recipient=case.entry.recipient,
            received=day_of(case.record.at),
            owed=now,
            client=case.record.client,
            domain=case.sender.domain,
            header=naming_fields(case.mail, case.sender),
        )
        key = places.COMPLAINT + complaint.id
        return (
            self._claim("complained", case),
            Put(key=key, value=encode(complaint)),
            Schedule(key=key, at=now),
        )

    async def _unsubscription(self, consumer: str, case: _Case) -> tuple[Operation, ...]:
        url = one_click(case.mail, case.sender)
        if url is None or await self._is_claimed(consumer, "unsubscribed", case):
            return ()
        now = self._clock.now()
        asked = Unsubscription(
            id=new_reference(),
            url=url,
            vendor=case.entry.vendor,
            recipient=case.entry.recipient,
            owed=now,
        )
        key = places.UNSUBSCRIPTION + asked.id
        return (
            self._claim("unsubscribed", case),
            Put(key=key, value=encode(asked)),
            Schedule(key=key, at=now),
        )

    def _claim(self, what: str, case: _Case) -> Claim:
        name = places.said_once(what, case.record.id)
        return Claim(name=name, value=b"", expires=self._clock.now() + self._kept)

    async def _is_claimed(self, consumer: str, what: str, case: _Case) -> bool:
        name = places.said_once(what, case.record.id)
        return await self._store.claim(places.consumer(consumer), name) is not None

    # ---- on the way

    async def report(self, consumer: str, name: str) -> None:
        """A complaint is due: hand it on."""
        key = places.COMPLAINT + name
        document = await self._store.get(places.consumer(consumer), key)
        owed = decode(document.value, Complaint) if document else None
        to = parse_address(owed.to) if owed else None
        if owed is None or to is None:
            await self._done(consumer, key)
            return
        content = compose_complaint(owed, hostname=self._hostname, product=self._product)
        if self._signer is not None:
            content = self._signer.sign(content, self._clock.now())
        handover = await self._mail.hand_on(Letter(to=to, content=content))
        outcome = {Handed: "sent", NotNow: "waits", Never: "refused"}[type(handover)]
        self._metrics.reports.labels("complaint", outcome).inc()
        log.info("complaint", complaint=owed.id, domain=to.domain, outcome=outcome)
        if isinstance(handover, NotNow) and await self._later(consumer, key, owed):
            return
        sent = isinstance(handover, Handed)
        await self._done(consumer, key, "unwanted.told" if sent else "unwanted.not-told", owed)

    async def _later(self, consumer: str, key: str, owed: Complaint) -> bool:
        """Put it off; false where it has been tried for long enough."""
        now = self._clock.now()
        if now - owed.owed >= self._lasts:
            return False
        tried = msgspec.structs.replace(owed, attempts=owed.attempts + 1)
        operations = (
            Put(key=key, value=encode(tried)),
            Schedule(key=key, at=now + pause(tried.attempts)),
        )
        await self._store.commit(Commit(places.consumer(consumer), operations))
        return True

    async def _done(
        self,
        consumer: str,
        key: str,
        happened: Happened | None = None,
        owed: Complaint | None = None,
    ) -> None:
        """It is over, and the consumer reads how it ended."""
        operations: list[Operation] = [Delete(key=key), Unschedule(key=key, expect=False)]
        if happened is not None and owed is not None:
            where = (safe(owed.to, _LONGEST_PLACE),)
            now, who = self._clock.now(), owed.recipient
            said = activity(now, happened, "request", owed.vendor, recipient=who, text=where)
            operations.append(said)
        await self._store.commit(Commit(places.consumer(consumer), tuple(operations)))


def _reports(covering: VendorRule | None, *, report: bool | None) -> bool:
    """Whether a complaint goes out; where nothing was said of that, by what is told at all."""
    if report is None:
        return covering is None or covering.tells != "nothing"
    return report
