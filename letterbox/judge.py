"""One recipient's judgement: everything a decision rests on, the decision, what may be told."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from letterbox.decide import evaluate, watched
from letterbox.feedback.disclosure import AS_NEWCOMER, UNPROBED, Disclosure, Hearing
from letterbox.model.address import Address
from letterbox.model.case import Case, Filter
from letterbox.model.flag import Flag
from letterbox.model.message import Message
from letterbox.model.preferences import Tells
from letterbox.model.record import RecordedCase, RecordedHearing
from letterbox.model.sender import Proven, Stranger, VendorRef, domains_of
from letterbox.model.told import Told
from letterbox.model.verdict import Decision, Defer, Deliver, Finding, Hold, Refuse, reason_of
from letterbox.model.wishes import Relationship, Wishes
from letterbox.ports.store import Add, Claim, Operation, Store
from letterbox.reading.words import TextWords
from letterbox.records import places
from letterbox.records.bindings import binding_of, binds
from letterbox.records.coding import encode
from letterbox.records.consumers import Consumers, Owner
from letterbox.records.custody import Custody
from letterbox.records.names import new_reference
from letterbox.records.resemblances import Resemblances
from letterbox.records.vendors import Vendors
from letterbox.wishes import Counted, Taxonomy, expected, lookup, quotas_for
from letterbox.wishes.provenance import flags_of, hands_of

_DAY = timedelta(days=1)


class Question(msgspec.Struct, frozen=True):
    """What is asked about one recipient.

    ``relayed``: the peer hides the client behind it. ``why`` is what a stranger is told of the
    message, where it came by way of a platform.
    """

    recipient: Address
    sender: Proven
    vendor: VendorRef
    message: Message
    now: datetime
    relayed: bool = False
    why: str | None = None
    #: The consumer has said yes to this very message.
    answered: bool = False
    #: By when the consumer may answer, where that was set before.
    asked_by: datetime | None = None
    #: The message was taken before, and waits in the consumer's custody.
    taken: bool = False
    #: The reference told before, when a held message is decided again.
    reference: str | None = None
    #: In whose custody it waits, where it does: they decide, whoever has the address by now.
    holder: str | None = None
    #: Asked before anything is sent: a digest of the message. Nothing is decided by it.
    ahead: bytes | None = None


class Judgement(NamedTuple):
    """The decision about one recipient, and what belongs to it."""

    owner: Owner
    wishes: Wishes
    relationship: Relationship | None
    decision: Decision
    hearing: Hearing
    #: What is answered to the peer.
    told: Told
    #: What the vendor's own feed says: a relay that hides its client does not stand between.
    feed: Told
    counted: Sequence[Counted]
    #: What is written down because a vendor learnt something by asking.
    probed: tuple[Operation, ...]
    #: What the decision rests on, to be written down with it.
    case: RecordedCase
    #: What gives the recipient address to its first user, and to nobody else.
    binds: tuple[Operation, ...] = ()

    @property
    def shares_delivered(self) -> bool:
        """Whether the vendor's feed says of each delivery that it was one."""
        return self.relationship is not None and self.relationship.rule.share_delivered


class Judge:
    """Gathers what a decision rests on, has it decided, and has disclosure say what is told."""

    def __init__(
        self,
        *,
        store: Store,
        consumers: Consumers,
        vendors: Vendors,
        disclosure: Disclosure,
        filters: Sequence[Filter],
        taxonomy: Taxonomy,
        custody: Custody,
        probes_per_day: int,
        resemblances: Resemblances,
    ) -> None:
        self._store = store
        self._consumers = consumers
        self._vendors = vendors
        self._disclosure = disclosure
        self._filters = tuple(filters)
        self._taxonomy = taxonomy
        # A keyword may say what a category would: "islam" is as telling as religion/islam.
        self._sensitive = TextWords(_sensitive_words(taxonomy))
        self._custody = custody
        self._probes_per_day = probes_per_day
        self._resemblances = resemblances

    async def ways(
        self, stranger: Stranger, recipients: Sequence[Address]
    ) -> dict[Address, Proven]:
        """The sender as proven to each recipient who lets a signer speak for the author.

        Of several signers the first counts. Every recipient is looked up whatever they wish, and
        an unknown address like any other: equal answers cost equal work.
        """
        author = stranger.author
        if author is None or not stranger.signers:
            return {}
        ways = [
            Proven(domain=author.domain, how="via", author=author, signed=by.signed, by=by.domain)
            for by in stranger.signers
        ]
        vendor = await self._vendors.behind(ways[0])
        domains = domains_of(ways[0], vendor)
        found: dict[Address, Proven] = {}
        for address in recipients:
            _, wishes = await self._consumers.addressed(address)
            relationship = lookup(wishes, vendor, domains, author)
            allowed = [w for w in ways if relationship and relationship.rule.lets_speak(w.by)]
            if allowed:
                found[address] = allowed[0]
        return found

    async def judge(self, question: Question) -> Judgement:
        """Judge. Raises StoreUnavailable; whatever a filter raises is a Defer."""
        owner, wishes = await self._consumers.addressed(question.recipient)
        if question.holder not in {None, owner.consumer}:
            # The address was given up since, and what it was given out for went with it.
            owner = Owner(question.holder)
            wishes = await self._consumers.wishes(question.holder)
        sender, message = question.sender, question.message
        binding = await binding_of(self._store, owner, wishes, question.recipient)
        domains = domains_of(sender, question.vendor)
        relationship = expected(
            wishes,
            question.vendor,
            domains,
            recipient=question.recipient,
            binding=binding,
            at=question.now,
        ) or lookup(wishes, question.vendor, domains, sender.author)
        counted = quotas_for(wishes, relationship, message.kind, question.now)
        usage, waiting = await self._usage(owner, counted, question.vendor)
        # Whom the consumer knows looks like nobody else, whatever was agreed with them.
        alike = await self._resemblances.of(wishes)
        lookalikes: tuple[Flag, ...] = ()
        if not relationship:
            names = (message.author_name, question.vendor.name)
            domain = domains[0] if domains else sender.domain
            lookalikes = alike.flags(names, domain, question.vendor.id)
        case = Case(
            recipient=question.recipient,
            sender=sender,
            vendor=question.vendor,
            message=message,
            wishes=wishes,
            relationship=relationship,
            now=question.now,
            binding=binding,
            usage=usage,
            answered=question.answered,
            asked_by=question.asked_by,
            flags=(*lookalikes, *flags_of(sender, message, question.recipient, wishes)),
        )
        if hands := hands_of(case):  # hardly ever: what the case has worked out is kept
            case = msgspec.structs.replace(case, flags=(*case.flags, *hands))
        decision = evaluate(self._filters, case)
        if wishes.observes:
            decision = watched(decision)
        if owner.consumer == places.NOBODY:
            decision = _unknown(decision, question.recipient)
        if isinstance(decision.verdict, Hold) and not question.taken:
            decision = self._with_room(decision, question.vendor, waiting)
        if case.footing == "newcomer":
            relationship = None  # one that has ended, or not begun, is none
        hearing = await self._hearing(question, wishes, relationship, decision)
        probed: tuple[Operation, ...] = ()
        ahead = question.ahead is not None
        learns = _is_foretold if ahead else _is_probe
        if learns(decision, hearing):
            past, probed = await self._probe(owner, question)
            hearing = msgspec.structs.replace(hearing, probed=past)
        elif _is_tried(case) and not ahead:
            past, probed = await self._probe(owner, question)
            decision = _shut(decision, question.vendor) if past else decision
            probed = probed if isinstance(decision.verdict, Refuse) else ()
        told, feed = self._tell(decision, hearing, question.reference or new_reference())
        if feed.reason and feed.reason.code == "no-relationship" and not ahead:
            decision = await self._name_other(decision, owner)
        return Judgement(
            owner,
            wishes,
            relationship,
            decision,
            hearing,
            told,
            feed,
            counted,
            probed,
            recorded_case(case, decision),
            binds(case, decision) if not ahead else (),
        )

    def overrule(self, judgement: Judgement, question: Question, finding: Finding) -> Judgement:
        """A judgement in which one finding settles the matter, whatever the filters say."""
        decision = Decision(
            verdict=finding.verdict, findings=(finding, *judgement.decision.findings)
        )
        sensitive = self._is_sensitive(question.message, judgement.wishes, decision)
        hearing = msgspec.structs.replace(judgement.hearing, sensitive=sensitive)
        told, feed = self._tell(decision, hearing, question.reference or new_reference())
        return judgement._replace(
            decision=decision, hearing=hearing, told=told, feed=feed, probed=()
        )

    def _tell(self, decision: Decision, hearing: Hearing, reference: str) -> tuple[Told, Told]:
        """What the peer is told, and what the vendor's feed says."""
        told = self._disclosure.tell(decision, hearing, reference)
        if not hearing.relayed:
            return told, told
        direct = msgspec.structs.replace(hearing, relayed=False)
        return told, self._disclosure.tell(decision, direct, reference)

    async def _name_other(self, decision: Decision, owner: Owner) -> Decision:
        """Name the vendor an address was given to, for the consumer's eyes.

        Asked whatever the cause is: equal answers cost equal work.
        """
        name = await self._vendors.name(owner.binding or places.NOBODY)
        return msgspec.structs.replace(
            decision,
            findings=tuple(
                msgspec.structs.replace(finding, facts={**finding.facts, "other": name})
                if name and "other" in finding.facts
                else finding
                for finding in decision.findings
            ),
        )

    async def _usage(
        self, owner: Owner, counted: Sequence[Counted], vendor: VendorRef
    ) -> tuple[dict[str, int], dict[str, int]]:
        """What was counted so far: towards limits, and of what waits."""
        # Asked also where nothing is counted: limits must not show in the work done.
        usage = dict.fromkeys([entry.counter for entry in counted], 0)
        waiting = self._custody.counters(vendor.id)
        partition = places.consumer(owner.consumer)
        counts = await self._store.counters(partition, [*usage, *waiting])
        return {name: counts[name] for name in usage}, counts

    def _with_room(
        self, decision: Decision, vendor: VendorRef, waiting: Mapping[str, int]
    ) -> Decision:
        """Refuse what would wait where too much waits already: nobody fills another's custody."""
        most = self._custody.full(vendor.id, waiting)
        if most is None:
            return decision
        finding = Finding(
            filter="custody",
            verdict=Refuse(reason="too-many-waiting"),
            facts={"n": most, "vendor": vendor.name},
        )
        return Decision(verdict=finding.verdict, findings=(finding, *decision.findings))

    async def _hearing(
        self,
        question: Question,
        wishes: Wishes,
        relationship: Relationship | None,
        decision: Decision,
    ) -> Hearing:
        vendor = question.vendor
        registered = await self._vendors.get(vendor.id) if vendor.registered else None
        return Hearing(
            vendor=vendor,
            relationship=relationship,
            newcomers=wishes.newcomers,
            times=wishes.times,
            reply=registered.effective_reply if registered else "refuse",
            # Whoever has an account at a platform may have written what it signs.
            relayed=question.relayed or question.sender.how == "via",
            why=question.why,
            taken=question.taken,
            sensitive=self._is_sensitive(question.message, wishes, decision),
        )

    def _is_sensitive(self, message: Message, wishes: Wishes, decision: Decision) -> bool:
        """Whether the message is about such a subject, or an interest the decision rests on."""
        if isinstance(decision.verdict, Deliver):
            return False  # nothing is told that could tell the subject
        named = {*decision.interests}
        if decision.deciding:
            named.add(str(decision.deciding.facts.get("interest_id")))
        by_id = wishes.interests.by_id
        interests = [by_id[each] for each in named if each in by_id]
        ids = set(message.categories.ids).union(*(each.categories for each in interests))
        words = (
            word
            for each in interests
            for word in (*each.any_words, *each.all_words, *each.no_words)
        )
        return self._taxonomy.is_sensitive(ids) or any(map(self._sensitive.has, words))

    async def _probe(self, owner: Owner, question: Question) -> tuple[bool, tuple[Operation, ...]]:
        """Whether a distinct question is past the day's bound, and what counts it."""
        message, now = question.message, question.now
        asked = encode((message.kind, message.categories.ids, message.offers))
        # Keywords are asked by other words. Whoever asks ahead may do so by anything, at no cost.
        said = question.ahead or " ".join(sorted(message.words.distinct)).encode()
        digest = hashlib.sha256(asked + said).hexdigest()[:32]
        counter = places.probes(question.vendor.id, now)
        name = f"{counter}/{digest}"
        partition = places.consumer(owner.consumer)
        if await self._store.claim(partition, name) is not None:
            return False, ()  # the same question gets the same answer
        count = (await self._store.counters(partition, [counter]))[counter]
        if count >= self._probes_per_day:
            return True, ()
        tomorrow = now + _DAY
        return False, (
            Claim(name=name, value=b"", expires=tomorrow),
            # Of many at once only as many learn something as may.
            Add(counter=counter, expires=tomorrow, limit=self._probes_per_day),
        )


def recorded_case(case: Case, decision: Decision) -> RecordedCase:
    """A case as it is written down with its decision."""
    message = case.message
    readable = not isinstance(decision.verdict, Defer)
    # What was let in whatever it is about is not read for the record alone; offers always are.
    matched = bool(decision.interests and case.wishes.interests.by_topic)
    asked = matched or decision.would or not isinstance(decision.verdict, Deliver)
    return RecordedCase(
        sender=case.sender,
        kind=message.kind,
        kind_origin=message.kind_origin,
        categories=message.categories if asked and readable else None,
        offers=message.offers if readable else None,
        binding=case.binding,
        usage=dict(case.usage),
        answered=case.answered,
        asked_by=case.asked_by,
        flags=case.flags,
    )


def recorded_hearing(hearing: Hearing) -> RecordedHearing:
    """What limits how much is told, as it is written down with its decision."""
    rule = hearing.relationship.rule if hearing.relationship else None
    usual: Tells = "remedy" if hearing.vendor.registered else "reason"
    return RecordedHearing(
        tells=(rule.tells or usual) if rule else None,
        standing=rule.standing if rule else "allowed",
        when_unwanted=rule.when_unwanted if rule else "refuse",
        newcomers=hearing.newcomers,
        reply=hearing.reply,
        relayed=hearing.relayed,
        why=hearing.why,
        sensitive=hearing.sensitive,
        probed=hearing.probed,
        taken=hearing.taken,
        shares_delivered=rule is not None and rule.share_delivered,
    )


def _sensitive_words(taxonomy: Taxonomy) -> str:
    """The search words of sensitive categories, a line each."""
    return "\n".join(
        text
        for node in taxonomy.nodes.values()
        if taxonomy.is_sensitive((node.id,))
        for text in (node.en, node.nl, *node.words.en, *node.words.nl)
    )


def _unknown(decision: Decision, address: Address) -> Decision:
    """Nobody has this address: judged like any other, so that it costs the same."""
    finding = Finding(
        filter="address",
        verdict=Refuse(reason="recipient-unknown"),
        facts={"address": str(address)},
    )
    return Decision(verdict=finding.verdict, findings=(finding, *decision.findings))


def _is_tried(case: Case) -> bool:
    """Whether a newcomer learns of the interests by what is taken and what is not."""
    admitted = case.wishes.newcomers == "interests" and not case.answered
    # Where all comes in nothing is learnt by it.
    return case.footing == "newcomer" and admitted and not case.wishes.observes


def _shut(decision: Decision, vendor: VendorRef) -> Decision:
    """Past the bound a newcomer is one to a consumer who takes none, until tomorrow."""
    finding = Finding(
        filter="probes",
        verdict=Refuse(reason="vendor-not-allowed"),
        facts={"vendor": vendor.name},
    )
    return Decision(verdict=finding.verdict, findings=(finding, *decision.findings))


def _is_foretold(decision: Decision, hearing: Hearing) -> bool:
    """Whether who asks ahead learns anything, be it that nothing stands against it."""
    if hearing.level in {None, "nothing"}:
        return False
    return reason_of(decision.verdict) not in AS_NEWCOMER


def _is_probe(decision: Decision, hearing: Hearing) -> bool:
    heard = hearing.vendor.registered or not hearing.relayed
    tells_wishes = hearing.level in {"reason", "remedy"} and heard
    refused = isinstance(decision.verdict, Refuse)
    # What is told as to a newcomer tells no wishes, and must cost what an unknown address costs.
    untold = UNPROBED | AS_NEWCOMER
    return tells_wishes and refused and reason_of(decision.verdict) not in untold
