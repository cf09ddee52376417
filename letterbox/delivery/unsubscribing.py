"""Ending subscriptions, as a consumer asked for: by the one call or the one mail that was signed.

What was answered goes into the consumer's log, and to the objection that it goes with.
"""

from datetime import timedelta
from typing import Final, NamedTuple

import msgspec
import structlog

from letterbox.delivery.again import pause
from letterbox.feedback.letters import Signs
from letterbox.feedback.sentences import safe
from letterbox.feedback.unsubscribing import Mailto, compose_unsubscription
from letterbox.metrics import Metrics
from letterbox.model.address import Address, parse_address
from letterbox.model.objection import Objection, Outcome
from letterbox.model.report import Unsubscription
from letterbox.model.times import later
from letterbox.ports.clock import Clock
from letterbox.ports.courier import (
    Handed,
    Letter,
    MailCourier,
    Never,
    NotNow,
    WebCourier,
    WebTrouble,
)
from letterbox.ports.store import (
    Add,
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
from letterbox.records import places
from letterbox.records.activity import Happened, activity
from letterbox.records.coding import decode, encode

#: RFC 8058, section 3.1: what is posted, and as what.
_BODY: Final = b"List-Unsubscribe=One-Click"
_FIELDS: Final = {"Content-Type": "application/x-www-form-urlencoded"}
#: Answers that say "not now": another time it may do.
_PASSING: Final = frozenset({408, 425, 429})
_SUCCESS, _FAULT = range(200, 300), 500
_LONGEST_PLACE: Final = 300
_ATTEMPTS: Final = 5
#: Mails to end subscriptions that go out for one consumer in a day (UTC), and to one address:
#: who lists somebody else's must not have us write to them without end.
PER_CONSUMER: Final = 20
PER_ADDRESS: Final = 50
_DAY: Final = timedelta(days=1)

log = structlog.get_logger("letterbox.unsubscribing")


class _Answered(NamedTuple):
    """How an attempt ended; ``again``: another may end otherwise."""

    taken: bool
    again: bool
    answer: str


class Unsubscribing:
    """Sends what is owed. ``lasts`` is for how long that is tried."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        mail: MailCourier,
        web: WebCourier,
        signer: Signs | None,
        hostname: str,
        lasts: timedelta,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._clock = clock
        self._mail = mail
        self._web = web
        self._signer = signer
        self._hostname = hostname
        self._lasts = lasts
        self._metrics = metrics

    async def send(self, consumer: str, name: str) -> None:
        """An unsubscription is due: make it."""
        key = places.UNSUBSCRIPTION + name
        document = await self._store.get(places.consumer(consumer), key)
        if document is None:
            gone = (Unschedule(key=key, expect=False),)
            await self._store.commit(Commit(places.consumer(consumer), gone))
            return
        owed = decode(document.value, Unsubscription)
        answered = await (self._call(owed) if owed.mail is None else self._write(consumer, owed))
        late = self._clock.now() - owed.owed >= self._lasts
        waits = not answered.taken and answered.again and not late
        # What is no number was said by us, of nobody who answered.
        outcome: Outcome = "refused" if answered.answer[:1].isdigit() else "unanswered"
        if answered.taken:
            outcome = "taken"
        elif answered.again:
            outcome = "owed" if waits else "unanswered"
        way = "one-click" if owed.mail is None else "mail"
        self._metrics.unsubscriptions.labels(way, "waits" if waits else outcome).inc()
        log.info("unsubscription", unsubscription=owed.id, way=way, answer=answered.answer)
        await self._note(consumer, document, owed, outcome, answered.answer)

    async def _call(self, owed: Unsubscription) -> _Answered:
        try:
            status = (await self._web.post(owed.url, _FIELDS, _BODY)).status
        except WebTrouble as trouble:
            said = f"no connection ({trouble.kind})"
            return _Answered(taken=False, again=trouble.kind != "address", answer=said)
        again = status >= _FAULT or status in _PASSING
        return _Answered(taken=status in _SUCCESS, again=again, answer=str(status))

    async def _write(self, consumer: str, owed: Unsubscription) -> _Answered:
        to = parse_address(owed.url)
        if to is None or owed.mail is None:
            return _Answered(taken=False, again=False, answer="no address")
        if not await self._has_room(consumer, to):
            return _Answered(taken=False, again=True, answer="too many mails of this kind today")
        content = compose_unsubscription(
            Mailto(to, owed.mail.subject, owed.mail.body),
            name=owed.id,
            recipient=owed.recipient,
            hostname=self._hostname,
            at=owed.owed,
        )
        if self._signer is not None:
            content = self._signer.sign(content, self._clock.now())
        match await self._mail.hand_on(Letter(to=to, content=content)):
            case Handed(detail=detail):
                return _Answered(taken=True, again=False, answer=detail)
            case NotNow(detail=detail):
                return _Answered(taken=False, again=True, answer=detail)
            case Never(detail=detail):
                return _Answered(taken=False, again=False, answer=detail)

    async def _has_room(self, consumer: str, to: Address) -> bool:
        """Count one mail more, where neither who sends it nor who gets it has had enough."""
        now = self._clock.now()
        counter, ends = places.mailed(now), later(now, _DAY)
        for partition, limit in (
            (places.consumer(consumer), PER_CONSUMER),
            (places.unsubscribing(str(to.mailbox)), PER_ADDRESS),
        ):
            one = Add(counter=counter, limit=limit, expires=ends)
            (result,) = await self._store.commit(Commit(partition, (one,)))
            if isinstance(result, Rejected):
                return False
        return True

    async def _note(
        self,
        consumer: str,
        document: Document,
        owed: Unsubscription,
        outcome: Outcome,
        answer: str,
    ) -> None:
        """Write down how it ended, or that it is tried again later, in one commit.

        Nothing where its consumer has been erased meanwhile.
        """
        now, key, revision = self._clock.now(), document.key, document.revision
        first: Operation = Delete(key=key, expect=revision)
        operations: list[Operation] = [first, Unschedule(key=key, expect=False)]
        if outcome == "owed":
            tried = msgspec.structs.replace(owed, attempts=owed.attempts + 1)
            first = Put(key=key, value=encode(tried), expect=revision)
            operations = [first, Schedule(key=key, at=now + pause(tried.attempts))]
        else:
            where = (safe(owed.url, _LONGEST_PLACE),)
            happened = _happened(owed, outcome)
            said = activity(
                now, happened, "request", owed.vendor, recipient=owed.recipient, text=where
            )
            operations.append(said)
        for _ in range(_ATTEMPTS):
            noted = await self._noted(consumer, owed, outcome, answer)
            commit = Commit(places.consumer(consumer), (*operations, *noted))
            (result,) = await self._store.commit(commit)
            if not isinstance(result, Rejected) or result.operation == first:
                return
        raise StoreUnavailable(f"objection {owed.objection} keeps changing")

    async def _noted(
        self, consumer: str, owed: Unsubscription, outcome: Outcome, answer: str
    ) -> tuple[Operation, ...]:
        """What writes an answer to the objection that it goes with, where that stands still."""
        document: Document | None = None
        if owed.objection:
            key = places.OBJECTION + owed.objection
            document = await self._store.get(places.consumer(consumer), key)
        if document is None:
            return ()
        objection = decode(document.value, Objection)
        asked = msgspec.structs.replace(
            objection.asked, outcome=outcome, answer=answer, at=self._clock.now()
        )
        value = encode(msgspec.structs.replace(objection, asked=asked))
        return (Put(key=document.key, value=value, expect=document.revision),)


def _happened(owed: Unsubscription, outcome: Outcome) -> Happened:
    if outcome != "taken":
        return "unwanted.not-unsubscribed"
    return "unwanted.unsubscribed" if owed.mail is None else "unwanted.mailed"
