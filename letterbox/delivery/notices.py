"""Telling consumers what went wrong in their name: a message of ours in the inbox."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

import structlog

from letterbox.delivery.inbox_letters import InboxLetter, InboxLetters
from letterbox.feedback.sentences import Sentences
from letterbox.model.flag import resembled
from letterbox.model.record import DecisionRecord
from letterbox.model.times import later
from letterbox.model.verdict import Fact, reason_of
from letterbox.model.wishes import Wishes
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Claim,
    Commit,
    Delete,
    Store,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.activity import Happened, activity
from letterbox.records.consumers import Consumers
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.notices import Cause, causes_left, is_locked_out
from letterbox.records.objections import Objections

#: A vendor that is locked out goes on sending: one may have crossed, two may be a queue.
_ENOUGH: Final = 3
_COUNTED: Final = timedelta(days=30)
_LOOKED_THROUGH: Final = 500
#: Of one cause and vendor a consumer is told once in so long.
_ONCE_IN: Final = timedelta(days=7)
_HAPPENED: Final[dict[Cause, Happened]] = {
    "address": "notice.address",
    "locked-out": "notice.locked-out",
    "lookalike": "notice.lookalike",
    "objection": "notice.objection",
}

log = structlog.get_logger("letterbox.delivery")


class _Notice(NamedTuple):
    """What is to be told, and of which decision."""

    consumer: str
    cause: Cause
    record: DecisionRecord
    subject: str
    text: str
    onward: Mapping[str, str]


class Notices:
    """Looks at what decisions have left for it. Killed at any step, it tells once."""

    def __init__(
        self,
        *,
        store: Store,
        letters: InboxLetters,
        clock: Clock,
        consumers: Consumers,
        mailboxes: Mailboxes,
        sentences: Sentences,
    ) -> None:
        self._store = store
        self._letters = letters
        self._clock = clock
        self._consumers = consumers
        self._mailboxes = mailboxes
        self._sentences = sentences
        self._objections = Objections(store)

    async def look(self, consumer: str, about: str) -> None:
        """See whether the consumer is to be told of a decision that was left to be looked at."""
        partition, key = places.consumer(consumer), places.noticed(about)
        document = await self._store.get(partition, key)
        record = None
        if document is not None:
            record = await self._mailboxes.decision(consumer, document.value.decode())
        for cause in causes_left(about, record) if record is not None else ():
            claim = places.told_of(cause, record.vendor.id) if record is not None else ""
            if record is not None and await self._store.claim(partition, claim) is None:
                notice = await self._notice(consumer, cause, record)
                if notice is not None:
                    await self._tell(notice)
        # What came meanwhile is looked at again: then this finds another revision.
        gone = Delete(key=key, expect=document.revision if document else 0)
        stop = Unschedule(key=places.NOTICE + about, expect=False)
        await self._store.commit(Commit(partition, (gone, stop)))

    async def _notice(self, consumer: str, cause: Cause, record: DecisionRecord) -> _Notice | None:
        """What is said of a decision; None where it is too early to say anything."""
        wishes = await self._consumers.wishes(consumer)
        facts = _facts(record, cause, wishes)
        if cause in {"locked-out", "objection"}:
            objection = await self._objections.against(consumer, record)
            if (objection is None) is (cause == "objection"):
                return None  # whom one has objected to is told of as that, and when it is time
            if objection is not None:
                facts["n"] = objection.breaches
                facts["day"] = wishes.times.local_date(objection.at).isoformat()
        if cause == "locked-out":
            count = await self._refusals(consumer, record)
            if count < _ENOUGH:
                return None
            facts["n"] = count
        language = wishes.language
        subject = self._said(cause, facts, language) or self._said(f"{cause}-else", facts, language)
        came = record.would is not None and cause == "address"
        names = (f"{cause}-watched" if came else f"{cause}-text", f"{cause}-helps", "since", "from")
        lines = [self._said(name, facts, language) for name in names]
        text = "\n\n".join(line for line in (f"{subject}.", *lines) if line)
        return _Notice(consumer, cause, record, subject, f"{text}\n", wishes.onward)

    async def _refusals(self, consumer: str, last: DecisionRecord) -> int:
        """How often the vendor of a decision was refused of late because it is locked out.

        Counted among the newest decisions, of which a bounded number is read.
        """
        page = await self._mailboxes.decisions(
            consumer, after=None, limit=_LOOKED_THROUGH, verdict="refuse"
        )
        return sum(
            row.vendor.id == last.vendor.id and is_locked_out(row) and last.at - row.at < _COUNTED
            for row in page.items
        )

    def _said(self, name: str, facts: dict[str, Fact], language: str) -> str:
        said = self._sentences.line("notice", name, facts, language)
        return said.encode(errors="replace").decode()  # half a surrogate pair is no text

    async def _tell(self, notice: _Notice) -> None:
        now, record = self._clock.now(), notice.record
        claim = places.told_of(notice.cause, record.vendor.id)
        noted = (
            Claim(name=claim, value=b"", expires=later(now, _ONCE_IN)),
            activity(
                now,
                _HAPPENED[notice.cause],
                "notice",
                record.vendor,
                recipient=record.recipient,
                text=(notice.subject,),
                decision=record.id,
            ),
        )
        letter = InboxLetter(
            notice.consumer, record.recipient, notice.subject, notice.text, noted, notice.onward
        )
        if await self._letters.put(letter):
            log.info("noticed", consumer=notice.consumer, cause=notice.cause, decision=record.id)


def _facts(record: DecisionRecord, cause: Cause, wishes: Wishes) -> dict[str, Fact]:
    facts: dict[str, Fact] = {
        "vendor": record.vendor.name,
        "decision": record.id,
        "date": wishes.times.local_date(record.at).isoformat(),
    }
    if cause == "address":
        for finding in record.findings:
            if reason_of(finding.verdict) == "address-of-another":
                facts |= {name: finding.facts.get(name) for name in ("address", "other")}
    if cause == "lookalike":
        facts["resembles"] = resembled(record.flags)
    return facts
