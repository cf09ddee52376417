"""What comes between two mail servers: handed to the one behind before anything is written down.

For each recipient it is decided, handed on where it is delivered, written down with what the server
behind has said, and only then answered. So whatever is acknowledged is behind us or in our custody.
Where we are killed after the server behind has taken it, the sender, who has heard nothing, sends
again, and the message is there twice: nothing is lost. What has been handed on is a fact: where
something changes before it is written down it is decided anew, and not handed on again.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from msgspec import structs

from letterbox.feedback.disclosure import Disclosure
from letterbox.intake.rounds import Rounds
from letterbox.intake.settle import (
    Course,
    Ready,
    Settlement,
    Slot,
    Subject,
    question_of,
    record_of,
)
from letterbox.judge import Judge, Judgement
from letterbox.model.address import Address
from letterbox.model.record import HandedOn, MessageRecord
from letterbox.model.verdict import DELIVER, Deliver, Finding, Hold, Refuse
from letterbox.ports.clock import Clock
from letterbox.ports.courier import Handed, Handover, Never, Passed
from letterbox.ports.store import Bodies, Store
from letterbox.records.consumers import Consumers
from letterbox.records.ledger import Ledger

#: What the server behind has decided stands among the findings under this name.
_BEHIND = "next-hop"


class PassesOn(Protocol):
    """Knows the mail server behind (:class:`letterbox.delivery.behind.Behind`)."""

    async def pass_on(
        self, record: MessageRecord, recipients: Sequence[Address], body: bytes
    ) -> Passed:
        """Hand a message on in one transaction. Never raises."""
        ...


class Through(Settlement):
    """Settles as ever, and hands on what is delivered before it writes."""

    def __init__(
        self,
        behind: PassesOn,
        clock: Clock,
        *,
        store: Store,
        bodies: Bodies,
        consumers: Consumers,
        judge: Judge,
        ledger: Ledger,
        disclosure: Disclosure,
        rounds: Rounds,
        retention: timedelta,
    ) -> None:
        super().__init__(
            store=store,
            bodies=bodies,
            consumers=consumers,
            judge=judge,
            ledger=ledger,
            disclosure=disclosure,
            rounds=rounds,
            retention=retention,
        )
        self._behind = behind
        self._clock = clock

    async def _judged(self, subject: Subject, slot: Slot) -> Judgement:
        judgement = await super()._judged(subject, slot)
        if slot.decision in subject.handed and not _delivers(judgement):
            # It is there, whatever was decided meanwhile.
            done = Finding(filter=_BEHIND, verdict=DELIVER)
            return self._judge.overrule(judgement, question_of(subject, slot), done)
        return judgement

    async def _judge_all(
        self, course: Course, subject: Subject, pending: Sequence[Slot]
    ) -> list[Ready]:
        """Judge each, and hand on what is delivered; what is not taken now is told so at once."""
        ready = await super()._judge_all(course, subject, pending)
        course.quiet |= {spelling for slot in pending for spelling in slot.spellings}
        fresh = []
        for each in ready:
            if isinstance(each.judgement.decision.verdict, Hold):
                course.quiet -= set(each.slot.spellings)
            elif (
                _delivers(each.judgement)
                and each.slot.decision not in subject.handed
                # A resend gets its answer, and is not handed on again.
                and not await self._is_resend(course, each.slot)
            ):
                fresh.append(each)
        again = [each for each in ready if each.slot.decision in subject.handed]
        refused = await self._hand_on(course, subject, fresh) if fresh else []
        others = [each for each in ready if not _delivers(each.judgement)]
        taken = [each for each in fresh if each.slot.decision in subject.handed]
        return [*others, *refused, *(self._as_handed(subject, each) for each in (*taken, *again))]

    async def _hand_on(
        self, course: Course, subject: Subject, fresh: Sequence[Ready]
    ) -> list[Ready]:
        """Hand on for all of them at once; return those who are refused by it."""
        record, content = record_of(subject), subject.arrival.content
        passed = await self._behind.pass_on(record, [each.slot.address for each in fresh], content)
        refused = []
        for each, said in zip(fresh, passed.outcomes, strict=True):
            match said:
                case Handed(detail=detail):
                    subject.handed[each.slot.decision] = HandedOn(self._clock.now(), detail)
                    if not passed.reports:
                        course.quiet -= set(each.slot.spellings)
                case Never():
                    refused.append(self._refused(subject, each, said))
                case _:
                    told = self._disclosure.tell_all(
                        "next-hop-unavailable", each.slot.reference, said.detail
                    )
                    course.note(each.slot, told)
        return refused

    def _refused(self, subject: Subject, ready: Ready, said: Handover) -> Ready:
        """The server behind refuses it: so do we, and everybody hears why."""
        finding = Finding(
            filter=_BEHIND,
            verdict=Refuse(reason="next-hop-refused"),
            facts={"detail": said.detail},
        )
        question = question_of(subject, ready.slot)
        judgement = self._judge.overrule(ready.judgement, question, finding)
        reference = ready.slot.reference
        feed = self._disclosure.tell_all("next-hop-refused", reference, said.detail)
        hearing, told = judgement.hearing, feed
        if hearing.relayed:
            # Whoever is hidden may be a forger: what the server behind says is not for them.
            told = self._disclosure.tell_stranger(hearing.why, reference)
        return self._ready(subject, ready.slot, judgement._replace(told=told, feed=feed))

    def _as_handed(self, subject: Subject, ready: Ready) -> Ready:
        """What is written down of what the server behind has taken: it counts in any case."""
        line = ready.line
        record = structs.replace(line.record, handed=subject.handed[ready.slot.decision])
        forced = any(each.filter == _BEHIND for each in record.findings)
        line = line._replace(record=record, forced=forced)
        return ready._replace(line=line, commits=self._ledger.commits(line))


def _delivers(judgement: Judgement) -> bool:
    return isinstance(judgement.decision.verdict, Deliver)
