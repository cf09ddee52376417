"""What would happen to a message and why, filter by filter; or what did."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from letterbox.administration.failed import Failed
from letterbox.administration.people import OPERATORS
from letterbox.feedback.disclosure import Disclosure
from letterbox.feedback.explanation import Explanations
from letterbox.feedback.sentences import Sentences
from letterbox.hindsight import PastCases, Unjudged
from letterbox.identity import Prover
from letterbox.judge import Judge, Question
from letterbox.model.address import Address, fold_domain, is_below
from letterbox.model.envelope import Client, Envelope
from letterbox.model.preferences import Preferences
from letterbox.model.record import DecisionRecord
from letterbox.model.sender import Proven, Sender, Stranger, Undetermined, VendorRef
from letterbox.model.told import Told
from letterbox.model.verdict import (
    Decision,
    Fact,
    Finding,
    Hold,
    Outcome,
    name_of,
    outcome_of,
    reason_of,
)
from letterbox.ports.clock import Clock
from letterbox.ports.store import Store
from letterbox.reading.facts import Reader
from letterbox.reading.mail import Mail, Malformed
from letterbox.records import places
from letterbox.records.coding import decode
from letterbox.records.consumers import Consumers
from letterbox.records.content import read_content
from letterbox.records.ledger import Reference
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.names import new_reference
from letterbox.records.pieces import Stored
from letterbox.records.vendors import Vendors

_CHOSEN = frozenset({"consumer", "release"})  # findings that no rule gave


class Found(msgspec.Struct, frozen=True):
    """One finding, with its sentence in the consumer's language."""

    filter: str
    verdict: str
    reason: str | None
    facts: Mapping[str, Fact]
    sentence: str


class Replay(msgspec.Struct, frozen=True):
    """A recorded decision taken again now. ``differs`` names the filters that find otherwise."""

    same: bool
    verdict: str
    reason: str | None
    differs: tuple[str, ...]


class Explanation(msgspec.Struct, frozen=True):
    """A decision and everything it rests on. ``told`` is the reply line the sender gets."""

    at: datetime
    recipient: str
    consumer: str | None
    sender: str
    vendor: VendorRef | None
    verdict: str
    reason: str | None
    sentence: str
    #: The decision told line by line, the headline first.
    lines: tuple[str, ...]
    findings: tuple[Found, ...]
    told: str
    notes: tuple[str, ...]
    subject: str = ""
    kind: str = ""
    until: datetime | None = None
    interests: tuple[str, ...] = ()
    decision: str | None = None
    replay: Replay | None = None
    #: What the rules say, where it came because its reader only watched.
    would: Outcome | None = None


class Explaining:
    """The use case behind ``letterbox explain``. It changes nothing and tells no vendor."""

    def __init__(
        self,
        *,
        store: Store,
        consumers: Consumers,
        vendors: Vendors,
        mailboxes: Mailboxes,
        judge: Judge,
        prover: Prover,
        disclosure: Disclosure,
        sentences: Sentences,
        explanations: Explanations,
        cases: PastCases,
        clock: Clock,
        reader: Reader,
        our_domains: frozenset[str],
    ) -> None:
        self._store = store
        self._consumers = consumers
        self._vendors = vendors
        self._mailboxes = mailboxes
        self._judge = judge
        self._prover = prover
        self.disclosure = disclosure
        self._sentences = sentences
        self._explanations = explanations
        self._cases = cases
        self._clock = clock
        self._reader = reader
        self.our_domains = our_domains

    # ---- what would happen ----

    async def message(
        self,
        content: bytes,
        to: Address,
        *,
        from_domain: str | None,
        at: datetime | None,
        language: str | None = None,
    ) -> Explanation:
        """What would become of this message for ``to``, at ``at`` (now where it is None).

        ``from_domain`` is taken as proven; without it DKIM alone is asked, since nobody is
        connected whose address SPF could judge. Raises :class:`Failed`.
        """
        if to.domain not in self.our_domains:
            raise Failed(
                f"{to.domain} is not a domain of this letterbox; "
                f"it takes mail for {', '.join(sorted(self.our_domains))}"
            )
        at = at or self._clock.now()
        if to.mailbox.local in OPERATORS:
            return _operators(at, str(to), "whoever it is", new_reference())
        try:
            mail = read_content("http", content, self._reader.limits)
        except Malformed as fault:
            told = self.disclosure.tell_all(fault.reason, new_reference(), fault.detail)
            return _unjudged(to, at, "nobody: the message is not read", fault.reason, told)
        sender, notes = await self._sender(mail, to, from_domain, at)
        match sender:
            case Undetermined(detail=detail):
                told = self.disclosure.tell_all("lookup-failed", new_reference())
                return _unjudged(to, at, f"undetermined: {detail}", "lookup-failed", told, notes)
            case Stranger(why=why, detail=detail):
                way = (await self._judge.ways(sender, (to,))).get(to)
                if way is not None:
                    judged = await self._judged(mail, way, to, at, language, why=why)
                    return msgspec.structs.replace(judged, notes=notes)
                told = self.disclosure.tell_stranger(why, new_reference())
                return _unjudged(to, at, f"a stranger: {detail}", why, told, notes)
            case Proven():
                judged = await self._judged(mail, sender, to, at, language)
                return msgspec.structs.replace(judged, notes=notes)

    async def _sender(
        self, mail: Mail, to: Address, from_domain: str | None, at: datetime
    ) -> tuple[Sender, tuple[str, ...]]:
        envelope = Envelope(
            session="explain",
            edge="smtp",
            client=Client(address="127.0.0.1", asserts_from=from_domain is not None),
            reverse_path=None,
            recipients=(to,),
        )
        sender = (await self._prover.prove(mail, envelope, at)).sender
        if from_domain is None:
            note = "the sender is proven by DKIM alone: no client is connected, so SPF says nothing"
            return sender, (note,)
        domain = fold_domain(from_domain)
        if domain is None:
            raise Failed(f"--from-domain {from_domain!r} is no domain; write shop.example")
        if isinstance(sender, Proven) and not is_below(sender.domain, domain):
            raise Failed(
                f"the mail's author is {sender.author}, whom {domain} cannot prove; "
                f"write --from-domain {sender.domain}, or change the From field"
            )
        return sender, ()

    async def _judged(
        self,
        mail: Mail,
        sender: Proven,
        to: Address,
        at: datetime,
        language: str | None,
        *,
        why: str | None = None,
    ) -> Explanation:
        facts = self._reader.read(mail, sender)
        vendor = await self._vendors.behind(sender)
        judgement = await self._judge.judge(
            Question(recipient=to, sender=sender, vendor=vendor, message=facts, now=at, why=why)
        )
        decision, wishes = judgement.decision, judgement.wishes
        language = language or wishes.language
        record = DecisionRecord(
            id="",
            at=at,
            message="",
            consumer=judgement.owner.consumer,
            recipient=str(to),
            vendor=vendor,
            sender=str(sender.author),
            subject=facts.subject,
            kind=facts.kind,
            verdict=decision.verdict,
            findings=decision.findings,
            interests=decision.interests,
            preferences_version=wishes.revision,
            told=judgement.told,
            size=0,
            case=judgement.case,
            flags=judgement.case.flags,
            would=decision.would,
        )
        return Explanation(
            at=at,
            recipient=str(to),
            consumer=judgement.owner.consumer or None,
            sender=_proof(sender),
            vendor=vendor,
            subject=facts.subject,
            kind=facts.kind,
            verdict=name_of(decision.verdict),
            reason=reason_of(decision.verdict),
            sentence=self._sentence(decision.deciding, language),
            lines=self._explanations.lines(record, language, supposed=True),
            until=decision.verdict.until if isinstance(decision.verdict, Hold) else None,
            interests=decision.interests,
            findings=self._found(decision, language),
            told=judgement.told.line,
            notes=(),
            would=outcome_of(decision.would) if decision.would else None,
        )

    # ---- what did happen ----

    async def decision(self, name: str, language: str | None = None) -> Explanation:
        """A recorded decision, by its id or by the reference the sender was given.

        It is taken again through the same function, from the recorded case and the preferences
        of now. ``language`` is the consumer's, unless told. Raises :class:`Failed`.
        """
        record = await self._record(name)
        if record is None:
            return await self._operators_mail(name)
        stored = await self._consumers.stored(record.consumer)
        language = language or (stored.preferences.language if stored else "en")
        decision = record.decision
        replay, notes = await self._replay(record, stored)
        return Explanation(
            at=record.at,
            recipient=record.recipient,
            consumer=record.consumer or None,
            sender=record.sender,
            vendor=record.vendor,
            subject=record.subject,
            kind=record.kind,
            verdict=name_of(record.verdict),
            reason=reason_of(record.verdict),
            sentence=self._sentence(decision.deciding, language),
            lines=self._explanations.lines(record, language),
            until=record.verdict.until if isinstance(record.verdict, Hold) else None,
            interests=record.interests,
            findings=self._found(decision, language),
            told=record.told.line,
            notes=notes + _before_and_after(record),
            decision=record.id,
            replay=replay,
            would=outcome_of(record.would) if record.would else None,
        )

    async def _record(self, name: str) -> DecisionRecord | None:
        claim = await self._store.claim(places.reference(name), places.REFERENCE)
        if claim is not None:
            reference = decode(claim, Reference)
            found = await self._mailboxes.decision(reference.consumer, reference.decision)
            if found is not None:
                return found
        for consumer in [*await self._consumers.all(), places.NOBODY]:
            found = await self._mailboxes.decision(consumer, name)
            if found is not None:
                return found
        return None

    async def _operators_mail(self, name: str) -> Explanation:
        """About what came to the operator, which nobody decided about."""
        entry = await self._mailboxes.entry(places.OPERATOR, name)
        message = await self._mailboxes.message(entry.message) if entry else None
        if entry is None or message is None:
            raise Failed(
                f"there is no decision and no reference {name[:80]!r}; "
                "ids are in the consumer's log, references in what the sender was told, "
                "and strangers' mail leaves neither"
            )
        sender = message.sender
        who = _proof(sender) if isinstance(sender, Proven) else f"a stranger: {sender.detail}"
        found = _operators(entry.at, entry.recipient, who, message.recipients[0][3])
        return msgspec.structs.replace(found, subject=entry.subject, kind=entry.kind)

    async def _replay(
        self, record: DecisionRecord, stored: Stored | None
    ) -> tuple[Replay | None, tuple[str, ...]]:
        """The recorded case taken again under the preferences of now."""
        preferences = stored.preferences if stored else Preferences()
        revision = stored.revision if stored else 0
        pieces = stored.pieces if stored else {}
        wishes = self._consumers.compile(record.consumer, preferences, revision, pieces)
        try:
            decision = await self._cases.decide(self._cases.recall(record), wishes)
        except Unjudged:
            return None, ("the message is no longer kept, so that it cannot be decided again",)
        others = {f.filter for f in record.findings} - {f.filter for f in decision.findings}
        if others & _CHOSEN:
            return None, ("it was not a rule that decided, but the consumer or the time",)
        if "next-hop" in others:
            return None, ("it was not a rule that decided, but the mail server behind",)
        if others:
            return None, (f"it was not a rule that decided, but a bound: {', '.join(others)}",)
        replay = _compare(record, decision)
        return replay, (_replay_note(record, replay, revision),)

    # ---- in words ----

    def _found(self, decision: Decision, language: str) -> tuple[Found, ...]:
        return tuple(
            Found(
                filter=finding.filter,
                verdict=name_of(finding.verdict),
                reason=reason_of(finding.verdict),
                facts=finding.facts,
                sentence=self._sentence(finding, language),
            )
            for finding in decision.findings
        )

    def _sentence(self, finding: Finding | None, language: str) -> str:
        return self._sentences.person(finding, language) if finding else ""


def _proof(sender: Proven) -> str:
    if sender.how == "peer":
        return f"{sender.author}, taken as proven for {sender.domain}"
    if sender.how == "via":
        return f"{sender.author} by way of {sender.by}, which signed it"
    by = f" ({sender.by})" if sender.by else ""
    return f"{sender.author} proven for {sender.domain} by {sender.how}{by}"


def _before_and_after(record: DecisionRecord) -> tuple[str, ...]:
    notes = []
    if record.follows is not None:
        notes.append(f"it followed the decision {record.follows}")
    if record.followed_by is not None:
        notes.append(f"what became of it: the decision {record.followed_by}")
    return tuple(notes)


def _operators(at: datetime, recipient: str, sender: str, reference: str) -> Explanation:
    """Mail to the operator (RFC 5321, section 4.5.1)."""
    return Explanation(
        at=at,
        recipient=recipient,
        consumer=places.OPERATOR,
        sender=sender,
        vendor=None,
        verdict="deliver",
        reason=None,
        sentence="",
        lines=(),
        findings=(),
        told=f"250 2.0.0 delivered {reference}",
        notes=(
            "the operator's mail always arrives, at a limited rate: no filter is asked about it",
        ),
    )


def _unjudged(
    to: Address, at: datetime, sender: str, reason: str, told: Told, notes: tuple[str, ...] = ()
) -> Explanation:
    """A message that no consumer's wishes are asked about."""
    return Explanation(
        at=at,
        recipient=str(to),
        consumer=None,
        sender=sender,
        vendor=None,
        verdict=told.verdict,
        reason=reason,
        sentence="",
        lines=(),
        findings=(),
        told=told.line,
        notes=(*notes, "no filter is asked about it, whoever the recipient is"),
    )


def _compare(record: DecisionRecord, decision: Decision) -> Replay:
    both = (record.findings, decision.findings)
    then, now = ({f.filter: outcome_of(f.verdict) for f in findings} for findings in both)
    outcome = outcome_of(decision.verdict)
    return Replay(
        same=outcome == outcome_of(record.ruled),
        verdict=outcome.verdict,
        reason=outcome.reason,
        differs=tuple(name for name in {**then, **now} if then.get(name) != now.get(name)),
    )


def _replay_note(record: DecisionRecord, replay: Replay, revision: int) -> str:
    outcome = replay.verdict + (f" ({replay.reason})" if replay.reason else "")
    changed = revision != record.preferences_version
    if replay.same and not changed:
        return "decided again under the same preferences: the same"
    if replay.same:
        return (
            f"the preferences have changed since (revision {record.preferences_version} then, "
            f"{revision} now): decided again, still the same"
        )
    if changed:
        return (
            f"the rules have changed since (preferences revision {record.preferences_version} "
            f"then, {revision} now): decided again, it would be {outcome}"
        )
    return (
        f"decided again under the same preferences it would be {outcome}: "
        f"{', '.join(replay.differs)} finds otherwise now"
    )
