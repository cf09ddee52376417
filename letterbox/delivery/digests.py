"""Digests: written at the consumer's times, and sent to their mailbox, or put into their letterbox.

A digest gets its name, and with it the one Message-ID that it will have, before anything is sent;
that it was sent is written down with when the next one is due. Killed in between it is sent again,
under the same Message-ID. One that nobody takes lies in the letterbox in the end.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, Protocol

import structlog
from msgspec.structs import replace

from letterbox.delivery.again import pause
from letterbox.delivery.gathering import Found, Gathering, Wanted
from letterbox.delivery.inbox_letters import written_here
from letterbox.feedback.digest import Digest, Digester
from letterbox.feedback.letters import Signs
from letterbox.metrics import Metrics
from letterbox.model.address import Address, parse_address
from letterbox.model.destination import Destination
from letterbox.model.preferences import Digest as Declared
from letterbox.model.preferences import Preferences
from letterbox.model.record import InboxEntry
from letterbox.model.sender import VendorRef
from letterbox.model.times import later
from letterbox.ports.clock import Clock
from letterbox.ports.courier import Handed, Letter, MailCourier, Never, NotNow
from letterbox.ports.store import (
    Bodies,
    Commit,
    Delete,
    Done,
    Expect,
    Put,
    Schedule,
    Store,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.actions import Actions
from letterbox.records.coding import decode, encode
from letterbox.records.consumers import Consumers
from letterbox.records.digests import Standing
from letterbox.records.ledger import forget_commit, message_commit
from letterbox.records.names import new_id
from letterbox.records.onward import owing, with_onward

#: How long the links of a digest serve, and the one that ends digests.
LINKS_LAST: Final = timedelta(days=14)
_OFF_LASTS: Final = timedelta(days=365)
#: What there is to tell to one who asks for a digest and has none.
_A_DAY: Final = timedelta(days=1)
#: When it is looked again where no time for a digest is near.
_LOOK_AGAIN: Final = timedelta(days=300)
_MOST_KEPT: Final = 20

#: What came of asking for a digest now: it goes out, or there is nothing to tell.
Asked = Literal["sent", "nothing"]

log = structlog.get_logger("letterbox.delivery")


class Elsewhere(Protocol):
    """Knows consumers' mailboxes (:class:`letterbox.records.destinations.Destinations`)."""

    async def confirmed(self, consumer: str) -> list[Destination]:
        """Those that somebody who reads them has confirmed, the oldest first."""
        ...


class Post(NamedTuple):
    """What carries a digest, and what signs it; None where no key is configured."""

    courier: MailCourier
    signer: Signs | None


class Shown(NamedTuple):
    """How it stands with a consumer's digests: ``to`` is where the next one goes, empty: here."""

    standing: Standing | None
    to: str


class _Due(NamedTuple):
    """A digest that is on its way. ``revision`` is that of how it stands."""

    consumer: str
    standing: Standing
    revision: int
    preferences: Preferences
    until: datetime


class Digests:
    """Sends digests. ``lasts`` is how long sending one is tried, ``kept`` as for any message."""

    def __init__(
        self,
        *,
        store: Store,
        bodies: Bodies,
        clock: Clock,
        consumers: Consumers,
        elsewhere: Elsewhere,
        actions: Actions,
        gathering: Gathering,
        digester: Digester,
        post: Post,
        metrics: Metrics,
        hostname: str,
        url: Callable[[], str],
        lasts: timedelta,
        kept: timedelta,
    ) -> None:
        self._store = store
        self._bodies = bodies
        self._clock = clock
        self._consumers = consumers
        self._elsewhere = elsewhere
        self._actions = actions
        self._gathering = gathering
        self._digester = digester
        self._post = post
        self._metrics = metrics
        self._hostname = hostname
        self._url = url
        self._lasts = lasts
        self._kept = kept

    # ---- what is due

    async def look(self, consumer: str) -> None:
        """A digest is due, is on its way still, or its times have changed."""
        stored = await self._consumers.stored(consumer)
        preferences = stored.preferences if stored else Preferences()
        revision, standing = await self._read(consumer)
        now = self._clock.now()
        if standing is None or not standing.name:
            if preferences.digest is None:
                await self._stop(consumer, revision)
                return
            standing = standing or Standing(since=now)
            late = standing.planned is not None and standing.planned <= now
            # One that is late, too, waits for the end of a pause.
            if not late or self._consumers.rhythm(preferences).is_paused(now):
                await self._plan(consumer, standing, revision, preferences)
                return
            begun = replace(standing, name=new_id(now), until=now, attempts=0)
            if not await self._begin(consumer, begun, revision):
                return  # somebody else has, and goes on
            revision, standing = revision + 1, begun
        due = _Due(consumer, standing, revision, preferences, standing.until or now)
        found = await self._find(due)
        if found.sections:
            await self._send(due, found)
        else:
            await self._done(due, found, to=None)

    async def _find(self, due: _Due) -> Found:
        return await self._gathering.find(due.standing, due.until, await self._wanted(due))

    async def _wanted(self, due: _Due) -> Wanted:
        declared = due.preferences.digest or Declared(at=("00:00",))
        wishes = await self._consumers.wishes(due.consumer)
        return Wanted(
            due.consumer,
            declared.lists,
            due.preferences.language,
            wishes.times,
            await self._actions.signing(due.consumer),
            self._url(),
            due.until + LINKS_LAST,
        )

    async def _send(self, due: _Due, found: Found) -> None:
        """Hand it on, or put it into the letterbox where there is no mailbox that takes it."""
        to = await self._to(due.consumer)
        own = due.preferences.bound_addresses
        if to is None:
            if own:
                await self._keep(due, found, own[0].address)
            else:
                await self._done(due, found, to=None)
            return
        content = await self._compose(due, found, str(to))
        if self._post.signer is not None:
            content = self._post.signer.sign(content, self._clock.now())
        handover = await self._post.courier.hand_on(Letter(to=to, content=content))
        outcome = {Handed: "sent", NotNow: "waits", Never: "refused"}[type(handover)]
        self._metrics.reports.labels("digest", outcome).inc()
        log.info("digest", consumer=due.consumer, domain=to.domain, outcome=outcome)
        now = self._clock.now()
        match handover:
            case Handed():
                await self._done(due, found, to=str(to))
            case NotNow() if now - due.until < self._lasts:
                tried = replace(due.standing, attempts=due.standing.attempts + 1)
                again = Schedule(places.DIGEST, at=now + pause(tried.attempts))
                put = Put(places.DIGEST, encode(tried), expect=due.revision)
                await self._store.commit(Commit(places.consumer(due.consumer), (put, again)))
            case _ if own:
                await self._keep(due, found, own[0].address)
            case _:
                await self._done(due, found, to=None)

    async def _to(self, consumer: str) -> Address | None:
        rows = await self._elsewhere.confirmed(consumer)
        return parse_address(rows[0].address) if rows else None

    async def _compose(self, due: _Due, found: Found, to: str) -> bytes:
        return self._digester.compose(
            await self._digest(due, found), name=due.standing.name, at=due.until, to=to
        )

    async def _digest(self, due: _Due, found: Found) -> Digest:
        language, url = due.preferences.language, self._url()
        signing = await self._actions.signing(due.consumer)
        off = signing.token("off", "", due.until + _OFF_LASTS)
        return Digest(
            language,
            found.sections,
            LINKS_LAST.days,
            f"{url}/a/{off}?lang={language}",
            f"{url}/notices",
        )

    # ---- where it ends

    async def _keep(self, due: _Due, found: Found, recipient: str) -> None:
        """Put it into the letterbox: once, however often that is begun."""
        now, name = self._clock.now(), due.standing.name
        content = await self._compose(due, found, recipient)
        me = VendorRef(id=self._hostname, name=self._hostname, registered=False)
        entry = InboxEntry(
            id=name,
            at=due.until,
            message=name,
            decision=name,
            vendor=me,
            sender=f"postmaster@{self._hostname}",
            recipient=recipient,
            subject=self._digester.subject(await self._digest(due, found)),
            kind="service",
            interests=(),
            size=len(content),
        )
        # Where service mail goes on to a mailbox, so does this.
        wishes = await self._consumers.wishes(due.consumer)
        entry = with_onward(entry, wishes.onward)
        body = await self._bodies.prepare(name, content)
        record = written_here(entry, due.consumer)
        put = Put(places.INBOX + name, encode(entry))
        message = message_commit(record, body, later(now, self._kept))
        after = self._after(due, found, to="", kept=(name,))
        # The message first: a store that is cut off in between must leave no entry without it.
        mailbox = Commit(places.consumer(due.consumer), (*after, put, owing(entry)))
        _, result = await self._store.commit(message, mailbox)
        if isinstance(result, Done):
            log.info("digest", consumer=due.consumer, outcome="kept")
        elif await self._store.get(mailbox.partition, put.key) is None:
            await self._store.commit(forget_commit(name))

    async def _done(self, due: _Due, found: Found, *, to: str | None) -> None:
        """It was sent, or there was nothing to send (None); the next one has its time."""
        after = self._after(due, found, to=to)
        await self._store.commit(Commit(places.consumer(due.consumer), after))

    def _after(
        self, due: _Due, found: Found, *, to: str | None, kept: tuple[str, ...] = ()
    ) -> tuple[Put, Schedule]:
        """The operations that end a digest, in one commit."""
        now, standing = self._clock.now(), due.standing
        planned = self._next(due.preferences, now)
        ended = replace(
            standing,
            since=due.until,
            seen=found.seen,
            planned=planned,
            name="",
            until=None,
            attempts=0,
            kept=(*standing.kept, *kept)[-_MOST_KEPT:],
            last=standing.last if to is None else now,
            to=standing.to if to is None else to,
        )
        put = Put(places.DIGEST, encode(ended), expect=due.revision)
        # Where there are none it was asked for: then nothing of it is left.
        otherwise = later(now, _LOOK_AGAIN) if due.preferences.digest else now
        return put, Schedule(places.DIGEST, at=planned or otherwise)

    # ---- when

    def _next(self, preferences: Preferences, now: datetime) -> datetime | None:
        return self._consumers.rhythm(preferences).next_digest(now)

    async def _plan(
        self, consumer: str, standing: Standing, revision: int, preferences: Preferences
    ) -> None:
        now = self._clock.now()
        planned = self._next(preferences, now)
        put = Put(places.DIGEST, encode(replace(standing, planned=planned)), expect=revision)
        due = Schedule(places.DIGEST, at=planned or later(now, _LOOK_AGAIN))
        await self._store.commit(Commit(places.consumer(consumer), (put, due)))

    async def _begin(self, consumer: str, begun: Standing, revision: int) -> bool:
        put = Put(places.DIGEST, encode(begun), expect=revision)
        due = Schedule(places.DIGEST, at=self._clock.now())
        (result,) = await self._store.commit(Commit(places.consumer(consumer), (put, due)))
        return isinstance(result, Done)

    async def _stop(self, consumer: str, revision: int) -> None:
        """There are no digests any more."""
        gone = Delete(places.DIGEST, expect=revision)
        stop = Unschedule(places.DIGEST, expect=False)
        await self._store.commit(Commit(places.consumer(consumer), (gone, stop)))

    async def _read(self, consumer: str) -> tuple[int, Standing | None]:
        document = await self._store.get(places.consumer(consumer), places.DIGEST)
        if document is None:
            return 0, None
        return document.revision, decode(document.value, Standing)

    # ---- what a consumer asks for

    async def shown(self, consumer: str) -> Shown:
        """How it stands."""
        to = await self._to(consumer)
        return Shown((await self._read(consumer))[1], str(to) if to else "")

    async def send_now(self, consumer: str) -> Asked | None:
        """Have what there is to tell sent now; None where there is no such consumer.

        It tells what came since the last digest; where there are none, since a day ago.
        """
        stored = await self._consumers.stored(consumer)
        if stored is None:
            return None
        revision, standing = await self._read(consumer)
        now = self._clock.now()
        if standing is None:
            standing = Standing(since=now - _A_DAY)
        if standing.name:
            return "sent"  # one is on its way
        begun = replace(standing, name=new_id(now), until=now, attempts=0)
        due = _Due(consumer, begun, revision, stored.preferences, now)
        if not (await self._find(due)).sections:
            return "nothing"
        # Rejected where one has just begun: that is as good.
        same = Expect(places.PREFERENCES, revision=stored.revision)
        put = Put(places.DIGEST, encode(begun), expect=revision)
        due_now = Schedule(places.DIGEST, at=now)
        await self._store.commit(Commit(places.consumer(consumer), (same, put, due_now)))
        return "sent"
