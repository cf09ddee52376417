"""Decisions taken again, from what was written down with them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from letterbox.decide import evaluate
from letterbox.model.address import parse_address
from letterbox.model.case import Case, Filter
from letterbox.model.kind import Kind
from letterbox.model.message import Addressees, Categories, Message, Offer, Origin, Words
from letterbox.model.record import DecisionRecord, RecordedCase
from letterbox.model.sender import Proven, domains_of
from letterbox.model.verdict import Decision
from letterbox.model.wishes import Wishes
from letterbox.reading.facts import Reader
from letterbox.records.content import read_content
from letterbox.records.mailboxes import Mailboxes
from letterbox.wishes import expected, lookup


class Unjudged(Exception):
    """What a decision would rest on is not kept any more."""


class _Unread(Exception):
    """A rule asks for what only the message itself says."""


class PastMessage:
    """A message as far as it was written down; the rest is read when a rule asks for it."""

    def __init__(self, record: DecisionRecord, case: RecordedCase) -> None:
        self.record = record
        self._case = case
        self._facts: Message | None = None
        #: Whether a rule has asked for what is not written down.
        self.lacking = False

    def complete(self, facts: Message) -> None:
        """Give it what the message itself says."""
        self._facts = facts
        self.lacking = False

    @property
    def subject(self) -> str:
        """As it was written down."""
        return self.record.subject

    @property
    def author_name(self) -> str:
        """The display name in From of the message itself."""
        return self._read().author_name

    @property
    def addressees(self) -> Addressees:
        """Whom the message itself is addressed to."""
        return self._read().addressees

    @property
    def kind(self) -> Kind:
        """As it was decided about."""
        return self._case.kind

    @property
    def kind_origin(self) -> Origin:
        """Where the kind came from."""
        return self._case.kind_origin

    @property
    def categories(self) -> Categories:
        """As they were decided about."""
        known = self._case.categories
        return known if known is not None else self._read().categories

    @property
    def offers(self) -> tuple[Offer, ...]:
        """As they were decided about."""
        known = self._case.offers
        return known if known is not None else self._read().offers

    @property
    def words(self) -> Words:
        """The words of the message itself."""
        return self._read().words

    def _read(self) -> Message:
        if self._facts is None:
            self.lacking = True
            raise _Unread
        return self._facts


def case_again(
    record: DecisionRecord,
    message: Message,
    wishes: Wishes,
    *,
    now: datetime | None = None,
    usage: Mapping[str, int] | None = None,
    answered: bool | None = None,
) -> Case:
    """The case of a recorded decision under ``wishes``; raises Unjudged where none was kept."""
    recorded, recipient = record.case, parse_address(record.recipient)
    if recorded is None or recipient is None:
        raise Unjudged
    sender: Proven = recorded.sender
    domains = domains_of(sender, record.vendor)
    return Case(
        recipient=recipient,
        sender=sender,
        vendor=record.vendor,
        message=message,
        wishes=wishes,
        relationship=expected(
            wishes,
            record.vendor,
            domains,
            recipient=recipient,
            binding=recorded.binding,
            at=now or record.at,
        )
        or lookup(wishes, record.vendor, domains, sender.author),
        now=now or record.at,
        binding=wishes.binding(recipient),
        usage=recorded.usage if usage is None else usage,
        answered=recorded.answered if answered is None else answered,
        asked_by=recorded.asked_by,
        flags=recorded.flags,
    )


class PastCases:
    """Takes recorded decisions again. It reads, and changes nothing."""

    def __init__(self, *, mailboxes: Mailboxes, reader: Reader, filters: Sequence[Filter]) -> None:
        self._mailboxes = mailboxes
        self._reader = reader
        self._filters = tuple(filters)

    @staticmethod
    def recall(record: DecisionRecord) -> PastMessage:
        """The message of a decision; one may be decided about many times, and is read once.

        Raises :class:`Unjudged` where the decision is one of old, without its case.
        """
        if record.case is None:
            raise Unjudged
        return PastMessage(record, record.case)

    async def decide(
        self,
        message: PastMessage,
        wishes: Wishes,
        *,
        now: datetime | None = None,
        usage: Mapping[str, int] | None = None,
        answered: bool | None = None,
    ) -> Decision:
        """What the rules find under ``wishes``; by default with all else as it was.

        Raises :class:`Unjudged` where that rests on a text that is gone.
        """
        record = message.record
        case = case_again(record, message, wishes, now=now, usage=usage, answered=answered)
        decision = evaluate(self._filters, case)
        if message.lacking:
            message.complete(await self._facts(record))
            decision = evaluate(self._filters, case)
        return decision

    async def _facts(self, record: DecisionRecord) -> Message:
        message = await self._mailboxes.message(record.message)
        body = await self._mailboxes.body(record.message)
        if message is None or body is None or not isinstance(message.sender, Proven):
            raise Unjudged
        mail = read_content(message.edge, body, self._reader.limits)
        facts: Message = self._reader.read(mail, message.sender, declared=message.declared)
        return facts
