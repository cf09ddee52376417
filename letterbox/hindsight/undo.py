"""A refused message let through after all."""

from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from letterbox.hindsight.cases import Unjudged
from letterbox.hindsight.changes import Changes, Found
from letterbox.judge import Judge, Judgement, Question
from letterbox.model.address import parse_address
from letterbox.model.flag import together
from letterbox.model.record import DecisionRecord, MessageRecord
from letterbox.model.sender import Proven
from letterbox.model.verdict import DELIVER, Finding, Refuse
from letterbox.ports.clock import Clock
from letterbox.ports.store import Commit, Done, Expect, Operation, Put, Store, StoreUnavailable
from letterbox.reading.facts import Reader
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.consumers import Conflict, Consumers
from letterbox.records.content import read_content
from letterbox.records.ledger import Ledger, Line
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.names import new_id

_ATTEMPTS: Final = 5

log = structlog.get_logger("letterbox.hindsight")


class UndoFailed(Exception):
    """It was not refused, or was let through already; ``became`` is the decision that followed."""

    def __init__(self, why: str, became: str | None = None) -> None:
        super().__init__(why)
        self.became = became


class Gone(Exception):
    """The message itself is not kept any more: only the rule can be changed."""


class Undo:
    """Lets refused messages through, each once.

    The vendor hears nothing new: its message was refused, and that stands as it was told. To
    tell would say what the consumer reads in the log, and regrets.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        consumers: Consumers,
        mailboxes: Mailboxes,
        judge: Judge,
        ledger: Ledger,
        reader: Reader,
        changes: Changes,
    ) -> None:
        self._store = store
        self._clock = clock
        self._consumers = consumers
        self._mailboxes = mailboxes
        self._judge = judge
        self._ledger = ledger
        self._reader = reader
        self._changes = changes

    async def offers(self, consumer: str, name: str) -> Sequence[Found] | None:
        """Changes of wishes that would have let a refused message through, the smallest first.

        None where there is no such decision. Raises :class:`UndoFailed` for one that was no
        refusal.
        """
        record = await self._mailboxes.decision(consumer, name)
        stored = await self._consumers.stored(consumer)
        if record is None or stored is None:
            return None
        if not isinstance(record.verdict, Refuse):
            raise UndoFailed("the message was not refused")
        try:
            return await self._changes.of(record, stored)
        except Unjudged:
            return ()

    async def let_through(
        self, consumer: str, name: str, *, change: str | None = None
    ) -> DecisionRecord | None:
        """Put a refused message into the inbox, and change the wishes by an offered ``change``.

        The change comes first: where it cannot be made, nothing is let through. Returns the
        second decision; None where there is no such decision. Raises :class:`UndoFailed`,
        :class:`Gone`, :class:`letterbox.records.consumers.Conflict` where the change is not
        offered (any more), StoreUnavailable.
        """
        if (await self._refused(consumer, name)) is None:
            return None
        if change is not None:
            await self._change(consumer, name, change)
        for _ in range(_ATTEMPTS):
            document = await self._refused(consumer, name)
            if document is None:
                return None
            before, revision = document
            found = await self._write(consumer, before, revision)
            if found is not None:
                return found
            self._consumers.forget(consumer)
        raise StoreUnavailable(f"what the decision {name} rests on keeps changing")

    async def _refused(self, consumer: str, name: str) -> tuple[DecisionRecord, int] | None:
        """The refusal, and the revision of its document, where it can still be undone."""
        key = places.DECISION + name
        document = await self._store.get(places.consumer(consumer), key)
        if document is None:
            return None
        record = decode(document.value, DecisionRecord)
        if record.followed_by is not None:
            raise UndoFailed("the message was let through already", record.followed_by)
        if not isinstance(record.verdict, Refuse):
            raise UndoFailed("the message was not refused")
        if await self._mailboxes.body(record.message) is None:
            raise Gone("the message is not kept any more; only the rule can be changed")
        return record, document.revision

    async def _change(self, consumer: str, name: str, change: str) -> None:
        stored = await self._consumers.stored(consumer)
        offered = await self.offers(consumer, name) or ()
        chosen = next((each for each in offered if each.id == change), None)
        if stored is None or chosen is None:
            raise Conflict(stored.revision if stored else 0)
        await self._consumers.revise(
            consumer,
            chosen.preferences,
            expect=stored.revision,
            now=self._clock.now(),
            by="undo",
        )

    async def _write(
        self, consumer: str, before: DecisionRecord, revision: int
    ) -> DecisionRecord | None:
        """Write the second decision down; None when something changed in between."""
        document = await self._store.get(places.message(before.message), places.MESSAGE)
        body = await self._mailboxes.body(before.message)
        if document is None or body is None:
            raise Gone("the message is not kept any more; only the rule can be changed")
        message = decode(document.value, MessageRecord)
        judgement = await self._judged(before, message, body)
        now = self._clock.now()
        record = DecisionRecord(
            id=new_id(now),
            at=now,
            message=before.message,
            consumer=consumer,
            recipient=before.recipient,
            vendor=before.vendor,
            sender=before.sender,
            subject=before.subject,
            kind=before.kind,
            verdict=judgement.decision.verdict,
            findings=judgement.decision.findings,
            interests=judgement.decision.interests,
            preferences_version=judgement.wishes.revision,
            told=before.told,
            size=before.size,
            edge=before.edge,
            follows=before.id,
            case=judgement.case,
            flags=together(before.flags, judgement.case.flags),
        )
        followed = msgspec.structs.replace(before, followed_by=record.id)
        kept = places.kept(before.follows or before.id)
        extra: tuple[Operation, ...] = (
            # Of two at once one finds another revision here.
            Put(key=places.DECISION + before.id, value=encode(followed), expect=revision),
            Put(key=kept, value=record.id.encode()),
        )
        line = Line(
            record=record,
            counted=tuple(judgement.counted),
            event=None,
            claim=None,
            extra=extra,
            your_reference=message.your_reference,
            forced=True,
            onward=judgement.wishes.onward,
        )
        # Only while the message is there: what is collected meanwhile is not let in empty.
        there = Expect(key=places.MESSAGE, revision=document.revision)
        first = Commit(partition=places.message(before.message), operations=(there,))
        second, reference = self._ledger.commits(line)
        second = msgspec.structs.replace(second, with_all=True)
        results = await self._store.commit(first, second, reference)
        if not isinstance(results[1], Done):
            return None
        log.info("undone", message=before.message, decision=record.id, recipient=before.recipient)
        return record

    async def _judged(
        self, before: DecisionRecord, message: MessageRecord, body: bytes
    ) -> Judgement:
        recipient = parse_address(before.recipient)
        if recipient is None or not isinstance(message.sender, Proven):
            raise Gone("the message is not whole any more; only the rule can be changed")
        mail = read_content(message.edge, body, self._reader.limits)
        question = Question(
            recipient=recipient,
            sender=message.sender,
            vendor=before.vendor,
            message=self._reader.read(mail, message.sender, declared=message.declared),
            now=self._clock.now(),
            answered=True,
            taken=True,
            reference=before.told.reference,
        )
        judgement = await self._judge.judge(question)
        finding = Finding(filter="consumer", verdict=DELIVER, facts={"answer": "yes"})
        return self._judge.overrule(judgement, question, finding)
