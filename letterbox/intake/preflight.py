"""What would stand against a message: its form, its proof, and what may be told. Nothing is kept.

Nothing is decided, stored or sent. What is learnt by asking counts as what is learnt by sending,
and is less: sending costs a message that the consumer sees.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final

import msgspec

from letterbox.feedback.disclosure import Disclosure
from letterbox.identity.prover import Examined, Prover
from letterbox.intake.keyed import proven_by_key
from letterbox.judge import Judge, Judgement, Question
from letterbox.model.address import Address
from letterbox.model.envelope import Client, Envelope
from letterbox.model.kind import Kind
from letterbox.model.message import Categories, Message, Offer, Origin
from letterbox.model.record import Declared
from letterbox.model.sender import Proven
from letterbox.model.told import Foretold
from letterbox.model.vendor import Registered
from letterbox.ports.clock import Clock
from letterbox.ports.store import Add, Commit, Rejected, Store
from letterbox.reading.facts import Reader
from letterbox.reading.form import Note, effects, faults, form_notes
from letterbox.reading.mail import Mail, Malformed
from letterbox.records import places
from letterbox.records.content import read_content
from letterbox.records.vendors import Vendors

_DAY: Final = timedelta(days=1)
_MOST_RECEIVED: Final = 100
_UNTOLD: Final = Foretold("untold")


class Spent(Exception):
    """As much has been asked ahead as may be in a day."""

    def __init__(self, most: int, again: int) -> None:
        super().__init__(f"{most} recipients a day may be asked about ahead")
        #: Seconds until it may be asked again.
        self.again = again


class Barred(Exception):
    """Nothing of the vendor's is taken now, whoever it is for; the text says why."""

    code: Final = "vendor-suspended"


class Plan(msgspec.Struct, frozen=True):
    """A message that a vendor thinks of sending.

    ``declared`` is what is said of it beside it, where we write the mail ourselves. ``client`` and
    ``path`` are the address and the return path it would come from over SMTP, where they are told.
    """

    vendor: Registered
    content: bytes
    recipients: tuple[Address, ...]
    declared: Declared | None = None
    client: str = ""
    path: Address | None = None


class Reading(msgspec.Struct, frozen=True):
    """What was read from a message that somebody stands behind."""

    kind: Kind
    kind_origin: Origin
    categories: Categories
    offers: tuple[Offer, ...]


class Foresight(msgspec.Struct, frozen=True):
    """What there is to know ahead. ``left`` recipients may be asked about today.

    ``proof`` is None where we write the mail ourselves, or nothing could be read. ``yours``: a key
    of the vendor's may send it. ``foretold`` has every recipient of the plan.
    """

    left: int
    fits: bool
    form: tuple[Note, ...]
    yours: bool
    proof: Examined | None
    reading: Reading | None
    effects: tuple[Note, ...]
    foretold: dict[Address, Foretold]


class Preflight:
    """Looks ahead: at ``per_day`` recipients a day, and messages of at most ``most`` octets."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        prover: Prover,
        vendors: Vendors,
        judge: Judge,
        disclosure: Disclosure,
        reader: Reader,
        hostname: str,
        per_day: int,
        most: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._prover = prover
        self._vendors = vendors
        self._judge = judge
        self._disclosure = disclosure
        self._reader = reader
        self._hostname = hostname
        self._per_day = per_day
        self._most = most

    async def left(self, vendor: str) -> int:
        """How many recipients a vendor may ask about yet today (UTC)."""
        counter = places.preflights(self._clock.now())
        asked = await self._store.counters(places.vendor(vendor), [counter])
        return max(self._per_day - asked[counter], 0)

    async def look(self, plan: Plan) -> Foresight:
        """Look at a message. Raises :class:`Barred`, :class:`Spent`, StoreUnavailable."""
        if (suspended := plan.vendor.suspended) is not None:
            told = self._disclosure.tell_all(Barred.code, "", suspended.why)
            raise Barred(told.reason.detail if told.reason else "")
        now = self._clock.now()
        left = await self._count(plan, now)
        try:
            mail = read_content("http", plan.content, self._reader.limits)
        except Malformed as fault:
            return self._unread(plan, left, Note("malformed", fault.detail))
        if len(plan.content) > self._most:
            says = f"it has {len(plan.content):,} octets; at most {self._most:,} are taken"
            return self._unread(plan, left, Note("too-large", says))
        wrong = (*faults(mail), *_looped(mail))
        proof, sender = await self._sender(plan, mail, now)
        yours = sender is not None
        facts = reading = None
        if sender is not None:
            facts = self._reader.read(mail, sender, declared=plan.declared)
            reading = Reading(facts.kind, facts.kind_origin, facts.categories, facts.offers)
        foretold = dict.fromkeys(plan.recipients, _UNTOLD)
        if sender is not None and facts is not None and not wrong:
            foretold |= await self._foretell(plan, sender, facts, now)
        ours = plan.declared is not None
        return Foresight(
            left=left,
            fits=not wrong,
            form=wrong if ours else (*wrong, *form_notes(plan.content, mail)),
            yours=yours,
            proof=proof,
            reading=reading,
            effects=tuple(_effects(plan, mail, facts, proof)),
            foretold=foretold,
        )

    async def _count(self, plan: Plan, now: datetime) -> int:
        """Count before anything is looked at; how much is left of the day."""
        amount = max(len(plan.recipients), 1)
        midnight = datetime.combine(now.date() + _DAY, time(), tzinfo=UTC)
        add = Add(
            counter=places.preflights(now),
            expires=midnight + _DAY,
            amount=amount,
            limit=self._per_day,
        )
        (result,) = await self._store.commit(Commit(places.vendor(plan.vendor.id), (add,)))
        if isinstance(result, Rejected):
            raise Spent(self._per_day, int((midnight - now).total_seconds()) + 1)
        return self._per_day - result.numbers[0]

    @staticmethod
    def _unread(plan: Plan, left: int, note: Note) -> Foresight:
        return Foresight(
            left=left,
            fits=False,
            form=(note,),
            yours=False,
            proof=None,
            reading=None,
            effects=(),
            foretold=dict.fromkeys(plan.recipients, _UNTOLD),
        )

    async def _sender(
        self, plan: Plan, mail: Mail, now: datetime
    ) -> tuple[Examined | None, Proven | None]:
        """The proof as over SMTP, and the sender as whom it is looked at.

        That is who the proof over SMTP shows, else whose key it is; and nobody where the author is
        not the vendor's own: what others are told of their mail is theirs.
        """
        keyed = (await proven_by_key(mail, plan.vendor, self._hostname, self._vendors)).sender
        own = keyed if isinstance(keyed, Proven) else None
        if plan.declared is not None:
            return None, own
        envelope = Envelope(
            session="preflight",
            edge="http",
            client=Client(address=plan.client),
            reverse_path=plan.path,
            recipients=(),
        )
        examined = await self._prover.examine(mail, envelope, now)
        shown = examined.proof.sender
        if own is None or not isinstance(shown, Proven):
            return examined, own
        theirs = (await self._vendors.behind(shown)).id == plan.vendor.id
        return examined, shown if theirs else own

    async def _foretell(
        self, plan: Plan, sender: Proven, facts: Message, now: datetime
    ) -> dict[Address, Foretold]:
        vendor = await self._vendors.behind(sender)
        digest = hashlib.sha256(plan.content).digest()
        found = {}
        for recipient in plan.recipients:
            question = Question(
                recipient=recipient,
                sender=sender,
                vendor=vendor,
                message=facts,
                now=now,
                ahead=digest,
            )
            judgement = await self._judge.judge(question)
            found[recipient] = await self._told(judgement)
        return found

    async def _told(self, judgement: Judgement) -> Foretold:
        """What may be told, once it is written down that it was learnt."""
        if judgement.probed:
            partition = places.consumer(judgement.owner.consumer)
            (result,) = await self._store.commit(Commit(partition, judgement.probed))
            if isinstance(result, Rejected) and isinstance(result.operation, Add):
                return _UNTOLD  # others were asking at the same moment, and the day is full
        return self._disclosure.foretell(judgement.decision, judgement.hearing)


def _looped(mail: Mail) -> Sequence[Note]:
    if len(mail.all("received")) <= _MOST_RECEIVED:
        return ()
    return (Note("mail-loop", f"it has been relayed more than {_MOST_RECEIVED} times"),)


def _effects(
    plan: Plan, mail: Mail, facts: Message | None, proof: Examined | None
) -> Iterator[Note]:
    """What the way it is sent does to it."""
    declared = plan.declared.kind if plan.declared else None
    if facts is not None and declared and declared != facts.kind:
        says = f"it calls itself {declared} and reads as {facts.kind}, which counts"
        yield Note("kind-doubted", says)
    if proof is None:
        return
    for each in proof.signatures:
        if each.verified.status == "pass" and not each.aligned:
            says = (
                f"{each.verified.domain} signs for you, which proves nothing about the author: "
                "have your platform sign with your own domain"
            )
            yield Note("platform-signature", says)
    if facts is not None:
        sender = proof.proof.sender
        yield from effects(
            mail, facts.kind, lambda name: isinstance(sender, Proven) and sender.vouches_for(name)
        )
