"""Sending the reports that are owed by mail: to proven return paths, bounded, tried again."""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

import msgspec
import structlog

from letterbox.delivery.again import pause
from letterbox.delivery.patience import Silences, Turns, step_back
from letterbox.feedback.dsn import compose_folded, compose_report
from letterbox.feedback.letters import Signs
from letterbox.metrics import Metrics
from letterbox.model.address import Address, parse_address
from letterbox.model.envelope import Client
from letterbox.model.report import Folded, Report
from letterbox.ports.clock import Clock
from letterbox.ports.courier import Handed, Letter, MailCourier, Never, NotNow
from letterbox.ports.store import (
    Add,
    Claim,
    Commit,
    Delete,
    Document,
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
#: How many are on the way to one place at once, from one process: who keeps us waiting must not
#: keep others waiting.
_PER_PLACE: Final = 2
#: And to one organization, whosever the mail was: many authors' reports may lead to one server.
_PER_RECEIVER: Final = 4
_PAGE: Final = 500

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


class _Owed(NamedTuple):
    """Where something lies that is owed by mail: its row, and its entry in the due-set."""

    partition: str
    key: str


class _Row(NamedTuple):
    key: str
    folded: Folded


class Reports:
    """What is owed by mail, until it is sent or given up.

    A **place** is what counts as one receiver: an organization's domains and one author's mail, or
    at a mailbox provider one mailbox. ``per_hour`` bounds the reports to a place; what is beyond it
    is told in one notice. ``lasts`` is how long sending is tried.
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
        self._turns = Turns()
        self._silences = Silences(store, clock, lasts)

    def of(self, room: Callable[[str], str]) -> Callable[[str, str], Awaitable[None]]:
        """The duty to send what is owed in the partitions of a room."""

        async def send(name: str, report: str) -> None:
            await self._send(_Owed(room(name), places.REPORT + report))

        return send

    async def _send(self, owed: _Owed) -> None:
        """A report is due: find out whether it may go, and hand it on."""
        document = await self._store.get(owed.partition, owed.key)
        if document is None:
            await self._done(owed)
            return
        try:
            report = decode(document.value, Report)
        except msgspec.DecodeError:
            log.exception("report-unreadable", partition=owed.partition, key=owed.key)
            await self._done(owed)
            self._count("failed", "unsendable")
            return
        to = parse_address(report.to)
        if to is None:
            await self._end(owed, report, "unsendable")
            return
        if self._clock.now() - report.owed >= self._lasts:
            await self._end(owed, report, "expired")
            return
        place = self._place(report, to)
        # Before it has a turn: however slow a place is, those beyond its bound do not queue for it.
        ready = await self._admitted(owed, report, to, place)
        if ready is None:
            return
        if (silence := await self._silences.left(place)) is not None:
            await self._put_off(owed, silence)
            return
        async with self._turn(place, to) as free:
            if free:
                await self._hand_on(owed, ready, to, place)
            else:
                await self._step_back(owed, report.owed)

    def _turn(self, place: str, to: Address, kind: str = "") -> AbstractAsyncContextManager[bool]:
        """Whether there is room for one more on the way to a place."""
        receiver = self._domains.organizational(to.domain)
        # The two never have one name: a place is a partition.
        return self._turns.turn({kind + place: _PER_PLACE, kind + receiver: _PER_RECEIVER})

    def _place(self, report: Report, to: Address) -> str:
        if self._domains.is_mailbox_provider(to.domain):
            return places.reports(str(to.mailbox))
        # Not the author's domain as it stands: whoever owns one has any number of names below it.
        author = self._domains.organizational(report.author)
        return places.reports(f"{self._domains.organizational(to.domain)}/{author}")

    # ---- whether it may go

    async def _admitted(
        self, owed: _Owed, report: Report, to: Address, place: str
    ) -> Report | None:
        """The report if it may be sent; None where that is not now, or never."""
        if report.admitted:
            return report
        async with self._turn(place, to, "path of ") as free:
            if not free:  # its name server may be slow, too
                await self._step_back(owed, report.owed)
                return None
            passes = await self._paths.path_passes(Client(report.client, report.helo), to)
        if passes is None:
            await self._later(owed, report, "its path could not be looked up")
            return None
        if not passes:
            await self._end(owed, report, "unproven")
            return None
        outcome = await self._counted(report, place)
        if outcome is not None:
            await self._end(owed, report, outcome)
            return None
        admitted = msgspec.structs.replace(report, admitted=True)
        put = Put(key=owed.key, value=encode(admitted))
        await self._store.commit(Commit(owed.partition, (put,)))
        return admitted

    async def _counted(self, report: Report, place: str) -> str | None:
        """Count a report for its place; None if it may go, else what has become of it.

        What this very report has claimed before a crash is its own still.
        """
        now, mine = self._clock.now(), report.id.encode()
        expires = now + _REMEMBERED
        once = Claim(f"told/{report.action}/{report.digest}/{_whom(report)}", mine, expires)
        counted = Claim(f"counted/{report.id}", b"", expires)
        add = Add(f"sent/{now:%Y-%m-%dT%H}", now + _HOUR, limit=self._per_hour)
        folded = Claim(counted.name, b"folded", expires)
        (result,) = await self._store.commit(Commit(place, (counted, once, add)))
        if not isinstance(result, Rejected):
            return None
        if result.operation == counted:
            return "folded" if result.found else None
        if result.operation == once:
            return "repeated"
        await self._store.commit(Commit(place, (folded, once, *self._fold(report, now))))
        return "folded"

    # ---- too many at once

    def _fold(self, report: Report, now: datetime) -> tuple[Operation, ...]:
        """What writes down that it was one too many: the notice of this hour tells how many."""
        codes = tuple(
            each.told.reason.code if each.told.reason else report.action
            for each in report.recipients
        )
        hour = now.replace(minute=0, second=0, microsecond=0)
        key = f"{places.FOLDED}{hour:%Y-%m-%dT%H}"
        return (
            Put(f"{key}/{report.id}", encode(Folded(to=report.to, codes=codes))),
            Schedule(key=key, at=hour + _HOUR),
        )

    async def send_folded(self, name: str, hour: str) -> None:
        """The hour is over: one notice of how many there were."""
        owed = _Owed(places.reports(name), places.FOLDED + hour)
        rows = await self._rows(owed)
        paths = (parse_address(row.folded.to) for row in reversed(rows))
        to = next((path for path in paths if path is not None), None)
        since = datetime.fromisoformat(f"{hour}:00+00:00")
        waited = self._clock.now() - since - _HOUR
        if to is None:
            await self._told(owed, rows)
        elif waited >= self._lasts:
            self._count("folded", "expired")
            await self._told(owed, rows)
        elif (silence := await self._silences.left(owed.partition)) is not None:
            await self._put_off(owed, silence)
        else:
            async with self._turn(owed.partition, to) as free:
                if not free:
                    await self._step_back(owed, since + _HOUR)
                elif await self._hand_on_folded(owed, rows, to, since, waited):
                    await self._told(owed, rows)

    async def _hand_on_folded(
        self, owed: _Owed, rows: list[_Row], to: Address, since: datetime, waited: timedelta
    ) -> bool:
        """Whether the notice has come to its end; else it is put off."""
        codes = Counter(code for row in rows for code in row.folded.codes)
        content = compose_folded(
            str(to), since, codes, new_reference(), self._clock.now(), hostname=self._hostname
        )
        handover = await self._courier.hand_on(Letter(to=to, content=self._signed(content)))
        outcome = {Handed: "sent", NotNow: "waits", Never: "refused"}[type(handover)]
        self._count("folded", outcome)
        match handover:
            case NotNow(alone=False):
                await self._put_off(owed, await self._silences.begin(owed.partition))
                return False
            case NotNow():
                await self._silences.heard(owed.partition)
                await self._put_off(owed, max(pause(1), waited / 4))
                return False
            case Handed():
                await self._silences.heard(owed.partition)
        return True

    async def _told(self, owed: _Owed, rows: list[_Row]) -> None:
        """It is over. What has come meanwhile stays, with an entry of its own in the due-set."""
        told = tuple(Delete(key=row.key) for row in rows)
        for at in range(0, len(told), _PAGE):
            await self._store.commit(Commit(owed.partition, told[at : at + _PAGE]))
        if not await self._store.documents(owed.partition, f"{owed.key}/", limit=1):
            await self._done(owed)

    async def forget_folded(self, name: str, rest: str) -> None:
        """What an earlier version wrote of a place's reports as one document is told no more."""
        owed = _Owed(places.reports(name), places.FOLDED_BEFORE + rest)
        await self._done(owed)
        log.warning("folded-forgotten", partition=owed.partition)

    async def _rows(self, owed: _Owed) -> list[_Row]:
        rows: list[_Row] = []
        while True:
            page = await self._store.documents(
                owed.partition,
                f"{owed.key}/",
                after=rows[-1].key if rows else None,
                limit=_PAGE,
            )
            rows += [_Row(each.key, _folded(each)) for each in page]
            if len(page) < _PAGE:
                return rows

    # ---- on the way

    async def _hand_on(self, owed: _Owed, report: Report, to: Address, place: str) -> None:
        mail = split(report.header + b"\r\n")
        content = compose_report(report, hostname=self._hostname, message_id=message_id(mail))
        handover = await self._courier.hand_on(Letter(to=to, content=self._signed(content)))
        match handover:
            case Handed():
                await self._silences.heard(place)
                await self._end(owed, report, "sent")
            case Never(detail=detail):
                # Nobody reports on a report (RFC 5321, section 6.1).
                await self._end(owed, report, "refused", detail)
            case NotNow(detail=detail, alone=alone):
                self._count(report.action, "waits")
                # A full mailbox, or one that wants to be asked twice, says nothing of the others.
                await (self._silences.heard(place) if alone else self._silences.begin(place))
                await self._later(owed, report, detail)

    def _signed(self, content: bytes) -> bytes:
        return self._signer.sign(content, self._clock.now()) if self._signer else content

    async def _step_back(self, owed: _Owed, since: datetime) -> None:
        """There was no room for it."""
        await self._put_off(owed, step_back(self._clock.now() - since))

    async def _put_off(self, owed: _Owed, later: timedelta) -> None:
        again = Schedule(key=owed.key, at=self._clock.now() + later)
        await self._store.commit(Commit(owed.partition, (again,)))

    async def _later(self, owed: _Owed, report: Report, detail: str) -> None:
        now = self._clock.now()
        if now - report.owed >= self._lasts:
            await self._end(owed, report, "expired", detail)
            return
        tried = msgspec.structs.replace(report, attempts=report.attempts + 1)
        at = now + pause(tried.attempts)
        operations = (Put(key=owed.key, value=encode(tried)), Schedule(key=owed.key, at=at))
        await self._store.commit(Commit(owed.partition, operations))
        log.info(
            "report-waits",
            report=report.id,
            attempts=tried.attempts,
            next=at.isoformat(),
            detail=detail,
        )

    async def _end(self, owed: _Owed, report: Report, outcome: str, detail: str = "") -> None:
        await self._done(owed)
        self._count(report.action, outcome)
        log.info(
            "report",
            report=report.id,
            domain=report.to.rpartition("@")[2],
            action=report.action,
            recipients=len(report.recipients),
            outcome=outcome,
            detail=detail,
        )

    async def _done(self, owed: _Owed) -> None:
        operations = (Delete(key=owed.key), Unschedule(key=owed.key, expect=False))
        await self._store.commit(Commit(owed.partition, operations))

    def _count(self, kind: str, outcome: str) -> None:
        self._metrics.reports.labels(kind, outcome).inc()


def _whom(report: Report) -> str:
    """Whom a report is about, in whatever order, as one short name."""
    whom = "\0".join(sorted(each.recipient for each in report.recipients))
    return sha256(whom.encode()).hexdigest()[:32]


def _folded(document: Document) -> Folded:
    """What a row says; of one that cannot be read, nothing but that it is there to be removed."""
    try:
        return decode(document.value, Folded)
    except msgspec.DecodeError:
        log.exception("folded-unreadable", key=document.key)
        return Folded(to="", codes=())
