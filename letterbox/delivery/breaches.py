"""Advertising that came in spite of an objection: found among the decisions, and reported.

The consumer's decisions are gone through in order, each once, and beside the way of the mail: no
sender can measure whether somebody objected.
"""

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Final

import msgspec
import structlog

from letterbox.delivery.objecting import LOOKS
from letterbox.metrics import Metrics
from letterbox.model.objection import Evidence, Objection, is_breach
from letterbox.model.record import DecisionRecord
from letterbox.model.times import later
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Commit,
    Delete,
    Document,
    Operation,
    Put,
    Rejected,
    Schedule,
    Store,
    StoreUnavailable,
    Unschedule,
)
from letterbox.reading.facts import Reader
from letterbox.reading.header import message_id
from letterbox.reading.mail import Malformed
from letterbox.records import places
from letterbox.records.activity import activity
from letterbox.records.coding import decode, encode
from letterbox.records.content import read_content
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.names import first_id
from letterbox.records.notices import objected_to
from letterbox.records.objections import MOST_BREACHES, Objections

#: Decisions of one look, and looks of one turn: then others have theirs.
_ROWS: Final = 200
_LOOKS: Final = 10
#: A decision is there this long after its id was made, or was never written.
_SETTLED: Final = timedelta(minutes=2)

log = structlog.get_logger("letterbox.objections")

#: An objection as it is stored, and as it is.
_Standing = tuple[Document, Objection]


class Breaches:
    """Looks for them. ``grace`` is how long a company has to stop."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        mailboxes: Mailboxes,
        reader: Reader,
        grace: timedelta,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._clock = clock
        self._mailboxes = mailboxes
        self._reader = reader
        self._metrics = metrics
        self._objections = Objections(store)
        self.grace = grace

    async def look(self, consumer: str) -> None:
        """Go through what was decided since the last time. Killed anywhere, it counts each once.

        Raises StoreUnavailable.
        """
        partition = places.consumer(consumer)
        for _ in range(_LOOKS):
            course = await self._store.get(partition, places.OBJECTING)
            if course is None:
                gone = Unschedule(key=places.OBJECTING, expect=False)
                await self._store.commit(Commit(partition, (gone,)))
                return
            standing = [
                (document, decode(document.value, Objection))
                async for document in self._objections.all(consumer)
            ]
            if not standing:
                gone = Unschedule(key=places.OBJECTING, expect=False)
                last = Delete(key=places.OBJECTING, expect=course.revision)
                await self._store.commit(Commit(partition, (last, gone)))
                return
            if not await self._step(consumer, course, standing):
                return
        # There is more: it goes on when the others have had their turn.
        on = Schedule(key=places.OBJECTING, at=self._clock.now())
        await self._store.commit(Commit(partition, (on,)))

    async def _step(self, consumer: str, course: Document, standing: Sequence[_Standing]) -> bool:
        """One look; false where nothing is left for now."""
        partition, now = places.consumer(consumer), self._clock.now()
        rows = await self._store.documents(
            partition, places.DECISION, after=places.DECISION + course.value.decode(), limit=_ROWS
        )
        end = places.DECISION + first_id(now - _SETTLED)
        settled = [row for row in rows if row.key < end]
        after = settled[-1].key.removeprefix(places.DECISION) if settled else course.value.decode()
        operations: list[Operation] = [
            Put(places.OBJECTING, after.encode(), expect=course.revision),
            Schedule(key=places.OBJECTING, at=later(now, LOOKS)),
        ]
        found = 0
        records = [decode(row.value, DecisionRecord) for row in settled]
        for document, objection in standing:
            theirs = [row for row in records if is_breach(objection, row, self.grace)]
            if theirs:
                operations += await self._found(document, objection, theirs)
                found += len(theirs)
        (result,) = await self._store.commit(Commit(partition, tuple(operations)))
        if isinstance(result, Rejected):
            return True  # somebody looked, too, or an objection changed: see what is left
        if found:
            self._metrics.objections.labels("breach").inc(found)
            log.info("objection-breached", messages=found)
        return len(settled) == _ROWS

    async def _found(
        self, document: Document, objection: Objection, rows: Sequence[DecisionRecord]
    ) -> list[Operation]:
        """What writes breaches of one objection down, and has the consumer told."""
        last = rows[-1]
        counted = msgspec.structs.replace(
            objection, breaches=objection.breaches + len(rows), last=last.at
        )
        operations: list[Operation] = [
            Put(key=document.key, value=encode(counted), expect=document.revision),
            activity(
                self._clock.now(),
                "objection.breached",
                "notice",
                objection.vendor,
                recipient=last.recipient,
                text=tuple(row.subject for row in rows[:10]),
                decision=last.id,
            ),
            *objected_to(objection.vendor.id, last, self._clock.now()),
        ]
        room = max(0, MOST_BREACHES - objection.breaches)
        for row in rows[:room]:
            evidence = await self._evidence(row)
            key = places.breaches(objection.id) + row.id
            operations.append(Put(key=key, value=encode(evidence)))
        return operations

    async def _evidence(self, row: DecisionRecord) -> Evidence:
        """A message as it can be shown: its text goes as that of any that was refused."""
        record = await self._mailboxes.message(row.message)
        name, body = "", None
        try:
            body = await self._mailboxes.body(row.message)
        except StoreUnavailable as trouble:
            # One that is damaged must not keep the others from being found.
            log.warning("evidence-unread", decision=row.id, trouble=str(trouble))
        if record is not None and body is not None:
            try:
                name = message_id(read_content(record.edge, body, self._reader.limits)) or ""
            except Malformed:
                log.info("evidence-unread", decision=row.id)
        if row.case is None:
            raise LookupError(f"decision {row.id} does not say who was proven")
        return Evidence(
            decision=row.id,
            message=row.message,
            received=row.at,
            sender=row.sender,
            recipient=row.recipient,
            subject=row.subject,
            kind=row.kind,
            domain=row.case.sender.domain,
            how=row.case.sender.how,
            message_id=name,
            results=record.results if record else "",
            sha256=sha256(body).hexdigest() if body is not None else "",
        )
