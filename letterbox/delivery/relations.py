"""What a consumer says of a vendor by way of one of its messages: a relationship, set there."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from filters.relationship import blocked_because
from letterbox.delivery.herald import Herald
from letterbox.delivery.release import Holds
from letterbox.feedback.disclosure import Hearing
from letterbox.feedback.events import relationship_event_type
from letterbox.model.kind import Kind
from letterbox.model.objection import ADVERTISING
from letterbox.model.preferences import Because, Preferences, VendorRule
from letterbox.model.record import DecisionRecord, HeldEntry, InboxEntry, Word
from letterbox.model.sender import Proven, VendorRef, domains_of, known_as
from letterbox.model.verdict import DELIVER, Deliver, Fact, Finding, Refuse
from letterbox.model.wishes import Relationship, Wishes
from letterbox.ports.clock import Clock
from letterbox.ports.store import Commit, Expect, Operation, Put, Rejected, Store, StoreUnavailable
from letterbox.records import places
from letterbox.records.changes import By
from letterbox.records.coding import decode, encode
from letterbox.records.consumers import Conflict, Consumers, Refused
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.pieces import Key, Stored
from letterbox.wishes import Mistake, lookup, mailbox_of, name_of, other_side

_ATTEMPTS: Final = 5
_SIDES: Final = ("vendor", "domain", "address")
#: What happens beside a change, by the relationship that is changed; None: there was none.
Also = Callable[[VendorRule | None], Awaitable[Sequence[Operation]]]


class Advertised(NamedTuple):
    """What became of the relationship that covered an advertisement; both None for a newcomer's.

    ``finding`` is what stands in the way of the vendor's service mail from now on.
    """

    finding: Finding
    before: VendorRule | None
    after: VendorRule | None


class Foreseen(NamedTuple):
    """A relationship as it is, None for none, and as it would become."""

    before: VendorRule | None
    after: VendorRule
    wishes: Wishes


class _Occasion(NamedTuple):
    """Who sent the message by way of which something is said, and what covers them now."""

    vendor: VendorRef
    sender: Proven | None
    covering: VendorRule | None
    stored: Stored
    wishes: Wishes


class Relations:
    """Changes relationships from where their messages are seen."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        consumers: Consumers,
        mailboxes: Mailboxes,
        holds: Holds,
        herald: Herald,
    ) -> None:
        self._store = store
        self._clock = clock
        self._consumers = consumers
        self._mailboxes = mailboxes
        self._holds = holds
        self._herald = herald

    async def answer(
        self, consumer: str, name: str, *, word: Word, rule: VendorRule
    ) -> VendorRule | None:
        """Set the relationship with who sent a held message, and say yes or no to the message.

        The relationship comes first, and with it, in one commit, the word about the message:
        whatever happens in between, the word is acted on. Said again, it has no second effect.
        ``rule`` may leave out whom it is with. Returns it whole; None where there is no such
        message. Raises :class:`Refused` with paths within the relationship, StoreUnavailable.
        """
        for _ in range(_ATTEMPTS):
            document = await self._store.get(places.consumer(consumer), places.HELD + name)
            if document is None:
                return await self._said_before(consumer, name, word, rule)
            entry = decode(document.value, HeldEntry)
            occasion = await self._occasion(consumer, entry.message, entry.vendor)
            if occasion is None:
                continue
            whole = _whole(rule, occasion)
            noted = encode(msgspec.structs.replace(entry, word=word))
            note = Put(key=document.key, value=noted, expect=document.revision)
            finding = _finding(whole, entry.vendor.name)
            told = await self._telling(consumer, entry, occasion, whole, finding)
            if await self._set(consumer, occasion, whole, by="answer", also=(note, *told)):
                # False where somebody was faster: they knew the word.
                await self._holds.answer(consumer, name, yes=word == "yes")
                return whole
        raise StoreUnavailable(f"what held message {name} rests on keeps changing")

    async def _said_before(
        self, consumer: str, name: str, word: Word, rule: VendorRule
    ) -> VendorRule | None:
        """The relationship as it was set, where the same was said of the message before."""
        row = await self._mailboxes.decision(consumer, name)
        while row is not None and row.followed_by is not None:
            row = await self._mailboxes.decision(consumer, row.followed_by)
        if row is None or not _is_by(word, row):
            return None
        occasion = await self._occasion(consumer, row.message, row.vendor)
        if occasion is None:
            return None
        whole = _whole(rule, occasion)
        return whole if whole == occasion.covering else None

    async def advertising(self, consumer: str, name: str) -> Advertised | None:
        """Take away a vendor's right to send service mail: what it sent was advertising.

        Where it may then send nothing at all, it is locked out. None where there is no such
        entry in the inbox. Raises StoreUnavailable.
        """
        for _ in range(_ATTEMPTS):
            entry = await self._mailboxes.entry(consumer, name)
            if entry is None:
                return None
            occasion = await self._occasion(consumer, entry.message, entry.vendor)
            if occasion is None:
                continue
            before = occasion.covering
            after = None if before is None else _without_service(before)
            finding = _finding_service(after, entry.vendor.name)
            if after is not None:
                told = await self._telling(consumer, entry, occasion, after, finding)
                if not await self._set(consumer, occasion, after, by="advertising", also=told):
                    continue
            return Advertised(finding, before, after)
        raise StoreUnavailable(f"the relationship behind {name} keeps changing")

    async def unwanted(
        self,
        consumer: str,
        name: str,
        *,
        because: Because,
        also: Also,
        by: By = "unwanted",
        service: bool = False,
    ) -> Advertised | None:
        """Lock out who sent a message of the inbox.

        ``service``: only its advertising, where it may send anything else; it is given no right by
        this that it did not have.
        ``also`` gives operations on the consumer's partition that happen with it, by the
        relationship as it is at that moment, and by themselves where nothing is left to lock out:
        as long as nothing changed in between. None where there is no such entry. Raises
        StoreUnavailable.
        """
        for _ in range(_ATTEMPTS):
            entry = await self._mailboxes.entry(consumer, name)
            if entry is None:
                return None
            occasion = await self._occasion(consumer, entry.message, entry.vendor)
            if occasion is None:
                continue
            before = occasion.covering
            beside = await also(before)
            rule = before or _whole(VendorRule(), occasion)
            after = locked(before, rule, because, service=service)
            finding = _finding(after, entry.vendor.name, entry.kind)
            if after == before:
                if beside and not await self._beside(consumer, occasion, beside):
                    continue
                return Advertised(finding, before, before)
            told = await self._telling(consumer, entry, occasion, after, finding)
            if await self._set(consumer, occasion, after, by=by, also=(*told, *beside)):
                return Advertised(finding, before, after)
        raise StoreUnavailable(f"the relationship behind {name} keeps changing")

    async def foreseen(
        self, consumer: str, name: str, *, because: Because, service: bool
    ) -> Foreseen | None:
        """What :meth:`unwanted` would make of a relationship; nothing is changed.

        None where there is no such entry. Raises StoreUnavailable.
        """
        for _ in range(_ATTEMPTS):
            entry = await self._mailboxes.entry(consumer, name)
            if entry is None:
                return None
            occasion = await self._occasion(consumer, entry.message, entry.vendor)
            if occasion is not None:
                before = occasion.covering
                rule = before or _whole(VendorRule(), occasion)
                after = locked(before, rule, because, service=service)
                return Foreseen(before, after, occasion.wishes)
        raise StoreUnavailable(f"the relationship behind {name} keeps changing")

    async def _beside(
        self, consumer: str, occasion: _Occasion, operations: Sequence[Operation]
    ) -> bool:
        """Do what changes no relationship; false where the wishes changed in between."""
        guard = Expect(key=places.PREFERENCES, revision=occasion.stored.revision)
        commit = Commit(places.consumer(consumer), (guard, *operations))
        result = (await self._store.commit(commit))[0]
        # Whatever else stands in the way was done by somebody faster.
        if isinstance(result, Rejected) and result.operation == guard:
            self._consumers.forget(consumer)
            return False
        return True

    async def _occasion(self, consumer: str, message: str, vendor: VendorRef) -> _Occasion | None:
        """Who sent a message; None where the wishes are changing just now."""
        record = await self._mailboxes.message(message)
        stored = await self._consumers.stored(consumer) or Stored(Preferences(), revision=0)
        wishes = await self._consumers.wishes(consumer)
        if stored.revision != wishes.revision:
            self._consumers.forget(consumer)
            return None
        sender = record.sender if record and isinstance(record.sender, Proven) else None
        found = sender and lookup(wishes, vendor, domains_of(sender, vendor), sender.author)
        return _Occasion(vendor, sender, found.rule if found else None, stored, wishes)

    async def _set(
        self,
        consumer: str,
        occasion: _Occasion,
        rule: VendorRule,
        *,
        by: By,
        also: Sequence[Operation],
    ) -> bool:
        """Set a relationship; false where something changed in between."""
        key: Key = ("vendor", other_side(rule))
        had = occasion.stored.pieces.get(key)
        changed = occasion.vendor.last_changed
        # A relationship that is suspended is confirmed by saying what it says already, but not by
        # saying that it was abused.
        approves = by not in {"advertising", "unwanted", "objection"}
        suspended = approves and had is not None and changed is not None and had.at < changed
        if had is not None and had.value == rule and not suspended:
            return True
        try:
            await self._consumers.revise_piece(
                consumer,
                key,
                rule,
                expect=had.revision if had else 0,
                now=self._clock.now(),
                by=by,
                also=also,
                confirms=suspended,
                anew=approves,
            )
        except Conflict:
            self._consumers.forget(consumer)
            return False
        return True

    async def _telling(
        self,
        consumer: str,
        entry: HeldEntry | InboxEntry,
        occasion: _Occasion,
        after: VendorRule,
        finding: Finding,
    ) -> tuple[Operation, ...]:
        """What tells a registered vendor of a changed relationship, as its new level lets it.

        ``finding`` is what mail like this message gets from now on, and all it is told.
        """
        times, now = occasion.wishes.times, self._clock.now()
        relationship = Relationship(rule=after, quotas=())
        unheard = not entry.vendor.registered or not relationship.in_force(times.local_date(now))
        if unheard or after == occasion.covering:
            return ()
        hearing = Hearing(
            vendor=entry.vendor,
            relationship=relationship,
            newcomers=occasion.wishes.newcomers,
            times=times,
        )
        if hearing.level == "nothing":
            return ()
        before = occasion.covering.standing if occasion.covering else None
        said = self._herald.say(
            consumer,
            hearing,
            finding,
            relationship_event_type(before, after.standing),
            recipient=entry.recipient,
            now=now,
            message=entry.message,
            decision=entry.decision,
        )
        # Before the change: a reference that nobody has heard of leads nowhere.
        await self._store.commit(said.reference)
        return said.own


# ---- whom a relationship is with ---------------------------------------------------------------


def _whole(rule: VendorRule, occasion: _Occasion) -> VendorRule:
    """The relationship with its other side: as it names it, or as the sender is known.

    Raises :class:`Refused` where it names somebody else.
    """
    sender, vendor, covering = occasion.sender, occasion.vendor, occasion.covering
    if sender is None:
        raise LookupError(f"a message of {vendor.id} that nobody has proven")
    if sender.how == "via" and covering is not None and not rule.via:
        # How the message came is not what the word was about: such mail goes on coming so.
        rule = msgspec.structs.replace(rule, via=covering.via)
    named = [side for side in _SIDES if getattr(rule, side)]
    if not named:
        known = covering or _usual(sender, vendor)
        sides = {side: getattr(known, side) for side in _SIDES}
        return msgspec.structs.replace(rule, **sides)
    if len(named) == 1:
        _look(rule, named[0], occasion)
    return rule


def _usual(sender: Proven, vendor: VendorRef) -> VendorRule:
    """A vendor by its id where it is registered, else by what was proven, or as one person."""
    if vendor.registered:
        return VendorRule(vendor=vendor.id)
    if "@" in vendor.id:
        return VendorRule(address=str(sender.author.mailbox))
    return VendorRule(domain=sender.domain)


def _look(rule: VendorRule, side: str, occasion: _Occasion) -> None:
    """Refuse a name that is not the sender's, or that another relationship goes before."""
    sender, vendor, covering = occasion.sender, occasion.vendor, occasion.covering
    if sender is None:
        return
    theirs = {
        "vendor": {name_of(vendor.id)},
        "domain": known_as(sender, vendor),
        "address": {mailbox_of(str(sender.author))},
    }
    wrong = ""
    if other_side(rule) not in theirs[side]:
        wrong = f"{rule.key[:200]!r} did not send this message"
    elif covering and other_side(covering) != other_side(rule) and _rank(covering) < _rank(rule):
        wrong = f"your relationship with {covering.key} goes before it"
    if wrong:
        usual = (covering or _usual(sender, vendor)).key
        allowed = f"no vendor, domain or address; it is with {usual} then"
        raise Refused([Mistake(path=side, mistake=wrong, allowed=allowed)])


def _rank(rule: VendorRule) -> tuple[int, int]:
    """Of two relationships that cover a sender, the one of the lower rank counts."""
    kind = next(
        nth for nth, side in enumerate(("address", "vendor", "domain")) if getattr(rule, side)
    )
    return kind, -other_side(rule).count(".")


# ---- what it means -----------------------------------------------------------------------------


def _is_by(word: Word, row: DecisionRecord) -> bool:
    """Whether a decision is what a consumer's word makes of a message."""
    if word == "yes":
        return isinstance(row.verdict, Deliver)
    return row.verdict == Refuse(reason="declined") and row.findings[0].facts.get("answer") == "no"


def locked(
    before: VendorRule | None, rule: VendorRule, because: Because, *, service: bool
) -> VendorRule:
    """A relationship whose other side is locked out; ``before`` is what there was, None for none.

    ``service``: it goes on sending what is no advertising, as far as it may already.
    """
    if rule.standing == "blocked":
        return rule
    kept = tuple(kind for kind in rule.accepts if kind not in ADVERTISING)
    if service and before is not None and kept:
        return msgspec.structs.replace(rule, accepts=kept)
    return msgspec.structs.replace(rule, standing="blocked", because=because)


def _without_service(rule: VendorRule) -> VendorRule:
    """A relationship that takes no service mail; blocked, where it would then take nothing."""
    if rule.standing == "blocked" or Kind.SERVICE not in rule.accepts:
        return rule
    accepts = tuple(kind for kind in rule.accepts if kind is not Kind.SERVICE)
    if accepts:
        return msgspec.structs.replace(rule, accepts=accepts)
    return msgspec.structs.replace(rule, standing="blocked", because="not-relevant")


def _finding(rule: VendorRule, vendor: str, kind: str = "") -> Finding:
    """What mail of a vendor gets by the standing of its relationship, and advertising by kind.

    ``kind`` is that of the message at which its advertising was ended, if it was.
    """
    if rule.standing != "blocked":
        if not kind or not ADVERTISING.isdisjoint(rule.accepts):
            return Finding(filter="relationship", verdict=DELIVER)
        kinds = [str(each) for each in rule.accepts]
        unwanted = kind if kind in ADVERTISING else str(Kind.OFFER)
        said: dict[str, Fact] = {"vendor": vendor, "kind": unwanted, "kinds": kinds}
        return Finding(filter="kind", verdict=Refuse(reason="kind-not-wanted"), facts=said)
    verdict = Refuse(reason="vendor-blocked")
    facts = {"vendor": vendor, **blocked_because(rule)}
    return Finding(filter="relationship", verdict=verdict, facts=facts)


def _finding_service(rule: VendorRule | None, vendor: str) -> Finding:
    """What service mail of a vendor gets that has no right to send any."""
    if rule is None:
        verdict = Refuse(reason="vendor-not-allowed")
        return Finding(filter="relationship", verdict=verdict, facts={"vendor": vendor})
    if rule.standing == "blocked":
        return _finding(rule, vendor)
    kinds = [str(kind) for kind in rule.accepts]
    facts: dict[str, Fact] = {"vendor": vendor, "kind": str(Kind.SERVICE), "kinds": kinds}
    return Finding(filter="kind", verdict=Refuse(reason="kind-not-wanted"), facts=facts)
