"""Sending the reports that are owed by mail: to proven return paths, bounded, tried again."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, Protocol

import msgspec
import structlog

from letterbox.delivery.again import pause
from letterbox.feedback.dsn import compose_folded, compose_report
from letterbox.feedback.letters import Signs
from letterbox.metrics import Metrics
from letterbox.model.address import Address, parse_address
from letterbox.model.envelope import Client
from letterbox.model.report import Folded, Report, Reported
from letterbox.ports.clock import Clock
from letterbox.ports.courier import Handed, Letter, MailCourier, Never, NotNow
from letterbox.ports.store import (
    Add,
    Claim,
    Commit,
    Delete,
    Operation,
    Put,
    Rejected,
    Schedule,
    Store,
    Unschedule,
)
from letterbox.reading.header import message_id
from letterbox.reading.mail import split
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.names import new_reference

_HOUR: Final = timedelta(hours=1)
#: The same message is not reported on again within this time: as long as resends are known.
_REMEMBERED: Final = timedelta(days=7)
_ATTEMPTS: Final = 5
#: What stands for all reasons beyond these, so that one row cannot grow for ever.
_MOST_CODES: Final = 50

log = structlog.get_logger("letterbox.reports")


class Paths(Protocol):
    """Says whose a return path is (:class:`letterbox.identity.prover.Prover`)."""

    async def path_passes(self, client: Client, reverse_path: Address) -> bool | None:
        """Whether SPF passes; None where that could not be found out now."""
        ...


class Domains(Protocol):
    """Which domains belong together (:class:`letterbox.identity.domains.Domains`)."""

    def organizational(self, domain: str) -> str:
        """The domain under which a domain's owner registered it."""
        ...

    def is_mailbox_provider(self, domain: str) -> bool:
        """Whether strangers to one another have their mailboxes there."""
        ...


class Reports:
    """What is owed by mail, until it is sent or given up.

    ``per_hour`` bounds the reports to one organization's domains; what is beyond it is told in
    one notice. ``lasts`` is how long sending is tried.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        paths: Paths,
        domains: Domains,
        courier: MailCourier,
        signer: Signs | None,
        hostname: str,
        per_hour: int,
        lasts: timedelta,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._clock = clock
        self._paths = paths
        self._domains = domains
        self._courier = courier
        self._signer = signer
        self._hostname = hostname
        self._per_hour = per_hour
        self._lasts = lasts
        self._metrics = metrics

    def of(self, room: Callable[[str], str]) -> Callable[[str, str], Awaitable[None]]:
        """The duty to send what is owed in the partitions of a room."""

        async def send(name: str, report: str) -> None:
            await self._send(room(name), places.REPORT + report)

        return send

    async def _send(self, partition: str, key: str) -> None:
        """A report is due: find out whether it may go, and hand it on."""
        document = await self._store.get(partition, key)
        if document is None:
            await self._done(partition, key)
            return
        report = decode(document.value, Report)
        to = parse_address(report.to)
        if to is None:
            await self._end(partition, key, report, "unsendable")
            return
        if not report.admitted:
            ready = await self._admitted(partition, key, report, to)
            if ready is None:
                return
            report = ready
        mail = split(report.header + b"\r\n")
        content = compose_report(report, hostname=self._hostname, message_id=message_id(mail))
        await self._hand_on(partition, key, report, Letter(to=to, content=self._signed(content)))

    # ---- whether it may go

    async def _admitted(
        self, partition: str, key: str, report: Report, to: Address
    ) -> Report | None:
        """The report as it will be sent; None where that is not now, or never."""
        passes = await self._paths.path_passes(Client(report.client, report.helo), to)
        if passes is None:
            await self._later(partition, key, report, "its path could not be looked up")
            return None
        if not passes:
            await self._end(partition, key, report, "unproven")
            return None
        new = await self._not_told_before(report, to)
        if not new:
            await self._end(partition, key, report, "repeated")
            return None
        report = msgspec.structs.replace(report, recipients=new)
        if not await self._within_rate(report, to):
            if not self._domains.is_mailbox_provider(to.domain):
                await self._fold(report, to)
            await self._end(partition, key, report, "folded")
            return None
        admitted = msgspec.structs.replace(report, admitted=True)
        put = Put(key=key, value=encode(admitted))
        await self._store.commit(Commit(partition, (put,)))
        return admitted

    async def _not_told_before(self, report: Report, to: Address) -> tuple[Reported, ...]:
        """The recipients on whom this message was not reported before, to whichever attempt."""
        expires = self._clock.now() + _REMEMBERED
        new = []
        for each in report.recipients:
            name = f"told/{report.action}/{report.digest}/{each.recipient}"
            claim = Claim(name=name, value=report.id.encode(), expires=expires)
            (result,) = await self._store.commit(Commit(self._place(to), (claim,)))
            # What this very report has claimed before a crash is its own still.
            if not isinstance(result, Rejected) or result.found == report.id.encode():
                new.append(each)
        return tuple(new)

    async def _within_rate(self, report: Report, to: Address) -> bool:
        now = self._clock.now()
        counter = f"sent/{now:%Y-%m-%dT%H}"
        mine = Claim(name=f"counted/{report.id}", value=b"", expires=now + _REMEMBERED)
        add = Add(counter=counter, expires=now + _HOUR, limit=self._per_hour)
        (result,) = await self._store.commit(Commit(self._place(to), (mine, add)))
        return not isinstance(result, Rejected) or result.operation == mine

    def _place(self, to: Address) -> str:
        return places.reports(self._domains.organizational(to.domain))

    # ---- too many at once

    async def _fold(self, report: Report, to: Address) -> None:
        """Count it for the one notice that stands for all that were too many in this hour."""
        place, now = self._place(to), self._clock.now()
        for _ in range(_ATTEMPTS):
            document = await self._store.get(place, places.FOLDED)
            known = decode(document.value, Folded) if document else Folded(to=report.to, since=now)
            codes = dict(known.codes)
            for each in report.recipients:
                code = each.told.reason.code if each.told.reason else report.action
                code = code if code in codes or len(codes) < _MOST_CODES else "other"
                codes[code] = codes.get(code, 0) + 1
            folded = msgspec.structs.replace(known, to=report.to, codes=codes)
            revision = document.revision if document else 0
            operations: list[Operation] = [
                # Counted once, though this step may be taken twice.
                Claim(f"folded/{report.id}", b"", now + _REMEMBERED),
                Put(key=places.FOLDED, value=encode(folded), expect=revision),
            ]
            if document is None:
                next_hour = now.replace(minute=0, second=0, microsecond=0) + _HOUR
                operations.append(Schedule(key=places.FOLDED, at=next_hour))
            (result,) = await self._store.commit(Commit(place, tuple(operations)))
            if not isinstance(result, Rejected) or isinstance(result.operation, Claim):
                return
        log.warning("report-not-counted", domain=to.domain)

    async def send_folded(self, domain: str, _: str) -> None:
        """The hour is over: one notice of how many there were."""
        place = places.reports(domain)
        document = await self._store.get(place, places.FOLDED)
        folded = decode(document.value, Folded) if document else None
        to = parse_address(folded.to) if folded else None
        if folded is None or to is None:
            await self._done(place, places.FOLDED)
            return
        now = self._clock.now()
        content = compose_folded(folded, new_reference(), now, hostname=self._hostname)
        handover = await self._courier.hand_on(Letter(to=to, content=self._signed(content)))
        if isinstance(handover, NotNow) and now - folded.since < self._lasts:
            again = msgspec.structs.replace(folded, attempts=folded.attempts + 1)
            await self._store.commit(
                Commit(
                    place,
                    (
                        Put(key=places.FOLDED, value=encode(again)),
                        Schedule(key=places.FOLDED, at=now + pause(again.attempts)),
                    ),
                )
            )
            return
        self._count("folded", handover)
        await self._done(place, places.FOLDED)

    # ---- on the way

    def _signed(self, content: bytes) -> bytes:
        return self._signer.sign(content, self._clock.now()) if self._signer else content

    async def _hand_on(self, partition: str, key: str, report: Report, letter: Letter) -> None:
        handover = await self._courier.hand_on(letter)
        self._count(report.action, handover)
        match handover:
            case Handed():
                await self._end(partition, key, report, "sent")
            case Never(detail=detail):
                # Nobody reports on a report (RFC 5321, section 6.1).
                await self._end(partition, key, report, "refused", detail)
            case NotNow(detail=detail):
                await self._later(partition, key, report, detail)

    async def _later(self, partition: str, key: str, report: Report, detail: str) -> None:
        now = self._clock.now()
        if now - report.owed >= self._lasts:
            await self._end(partition, key, report, "expired", detail)
            return
        tried = msgspec.structs.replace(report, attempts=report.attempts + 1)
        at = now + pause(tried.attempts)
        operations = (Put(key=key, value=encode(tried)), Schedule(key=key, at=at))
        await self._store.commit(Commit(partition, operations))
        log.info("report-waits", report=report.id, attempts=tried.attempts, detail=detail)

    async def _end(
        self, partition: str, key: str, report: Report, outcome: str, detail: str = ""
    ) -> None:
        await self._done(partition, key)
        log.info(
            "report",
            report=report.id,
            domain=report.to.rpartition("@")[2],
            action=report.action,
            recipients=len(report.recipients),
            outcome=outcome,
            detail=detail,
        )

    async def _done(self, partition: str, key: str) -> None:
        operations = (Delete(key=key), Unschedule(key=key, expect=False))
        await self._store.commit(Commit(partition, operations))

    def _count(self, kind: str, handover: Handed | NotNow | Never) -> None:
        outcome = {Handed: "sent", NotNow: "waits", Never: "refused"}[type(handover)]
        self._metrics.reports.labels(kind, outcome).inc()
