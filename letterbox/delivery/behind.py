"""Handing on to the mail server behind: while a client waits, and later what was released."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec
import structlog

from letterbox.delivery.again import pause
from letterbox.delivery.render import handed_on
from letterbox.metrics import Metrics
from letterbox.model.address import Address, parse_address
from letterbox.model.envelope import Request
from letterbox.model.record import HandedOn, InboxEntry, MessageRecord
from letterbox.ports.clock import Clock
from letterbox.ports.courier import Handed, Handover, Never, NextHop, NotNow, Passed
from letterbox.ports.store import (
    Commit,
    Delete,
    Operation,
    Put,
    Rejected,
    Schedule,
    Store,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.ledger import Owing
from letterbox.records.mailboxes import Mailboxes

_OUTCOMES: Final = {Handed: "taken", NotNow: "waits", Never: "refused"}

log = structlog.get_logger("letterbox.behind")


class Behind:
    """The mail server behind. What it does not take stays in the letterbox.

    ``lasts`` is how long released mail is tried. Without a ``next_hop`` nothing is handed on: what
    is owed from when there was one stays here.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        mailboxes: Mailboxes,
        next_hop: NextHop | None,
        hostname: str,
        lasts: timedelta,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._clock = clock
        self._mailboxes = mailboxes
        self._next_hop = next_hop
        self._hostname = hostname
        self._lasts = lasts
        self._metrics = metrics

    async def pass_on(
        self, record: MessageRecord, recipients: Sequence[Address], body: bytes
    ) -> Passed:
        """Hand a message on for all of them, in one transaction. Never raises."""
        if self._next_hop is None:
            return Passed((NotNow("filter.next_hop is not set"),) * len(recipients))
        content = handed_on(record, [str(each) for each in recipients], body, self._hostname)
        passed = await self._next_hop.pass_on(record, recipients, content)
        for each in passed.outcomes:
            self._metrics.handed_on.labels(_OUTCOMES[type(each)]).inc()
        return passed

    async def release(self, consumer: str, name: str) -> None:
        """An entry of an inbox is to be handed on; killed in between, it may be twice."""
        partition, key = places.consumer(consumer), places.BEHIND + name
        document = await self._store.get(partition, key)
        entry = await self._mailboxes.entry(consumer, name)
        record = await self._mailboxes.message(entry.message) if entry else None
        body = await self._mailboxes.body(entry.message) if entry else None
        to = parse_address(entry.recipient) if entry else None
        if document is None or self._next_hop is None or not (entry and record and body and to):
            # Removed by its owner meanwhile, or nothing is behind us any more.
            await self._settle(consumer, name, None)
            return
        owing = decode(document.value, Owing)
        passed = await self.pass_on(_as_released(record), (to,), body)
        (said,) = passed.outcomes
        self._log(entry, said, owing)
        now = self._clock.now()
        match said:
            case Handed(detail=detail):
                await self._settle(consumer, name, HandedOn(now, detail))
            case Never(detail=detail):
                await self._settle(consumer, name, HandedOn(now, detail, taken=False))
            case NotNow(detail=detail) if now - owing.since >= self._lasts:
                await self._settle(consumer, name, HandedOn(now, detail, taken=False))
            case NotNow():
                owing = msgspec.structs.replace(owing, attempts=owing.attempts + 1)
                again = Schedule(key=key, at=now + pause(owing.attempts))
                await self._store.commit(Commit(partition, (Put(key, encode(owing)), again)))

    async def _settle(self, consumer: str, name: str, handed: HandedOn | None) -> None:
        """Nothing is owed any more; the entry says what became of it, if it is there still."""
        partition, key = places.consumer(consumer), places.BEHIND + name
        over: tuple[Operation, ...] = (Delete(key), Unschedule(key, expect=False))
        while True:
            noted: tuple[Operation, ...] = ()
            document = await self._store.get(partition, places.INBOX + name)
            if document is not None and handed is not None:
                entry = decode(document.value, InboxEntry)
                value = encode(msgspec.structs.replace(entry, handed=handed))
                noted = (Put(document.key, value, expect=document.revision),)
            (result,) = await self._store.commit(Commit(partition, (*noted, *over)))
            if not isinstance(result, Rejected):
                return  # else its owner has just read it, or removed it

    def _log(self, entry: InboxEntry, said: Handover, owing: Owing) -> None:
        log.info(
            "handed-on",
            message=entry.message,
            recipient=entry.recipient,
            outcome=_OUTCOMES[type(said)],
            attempts=owing.attempts + 1,
            detail=said.detail,
        )


def _as_released(record: MessageRecord) -> MessageRecord:
    """The sender has heard that it was taken: of a delivery it is told no second time."""
    return msgspec.structs.replace(
        record,
        requests={
            address: Request(
                original=asked.original,
                notify=None
                if asked.notify is None
                else tuple(each for each in asked.notify if each != "success"),
            )
            for address, asked in record.requests.items()
        },
    )
