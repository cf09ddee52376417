"""Handing on what was delivered to where its consumer reads mail. A copy always stays here."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, NamedTuple, Protocol

import structlog
from msgspec.structs import replace

from letterbox.delivery.again import pause
from letterbox.delivery.inbox_letters import InboxLetter, InboxLetters
from letterbox.delivery.patience import Silences, Turns, step_back
from letterbox.feedback.onward import OnwardWords
from letterbox.feedback.sentences import Sentences
from letterbox.metrics import Metrics
from letterbox.model.address import Address, parse_address
from letterbox.model.onward import HandingOn, OnwardWhy
from letterbox.model.preferences import MAILBOX
from letterbox.model.record import InboxEntry
from letterbox.model.times import later
from letterbox.ports.clock import Clock
from letterbox.ports.courier import Handed, Letter, MailCourier, Never, NotNow
from letterbox.ports.store import Claim
from letterbox.records import places
from letterbox.records.consumers import Consumers
from letterbox.records.destinations import Destinations
from letterbox.records.onward import OnwardRecords

#: On the way at once, from one process: to one consumer's mailbox, to one organization's servers,
#: and to the operator's own mailbox server.
_PER_MAILBOX: Final = 2
_PER_RECEIVER: Final = 6
_PER_SERVER: Final = 12
#: Of mail that did not get through to one place a consumer is told once in so long.
_ONCE_IN: Final = timedelta(days=7)
_DETAIL: Final = 300

log = structlog.get_logger("letterbox.onward")


class Content(NamedTuple):
    """A message as it goes on: its bytes, and the path it comes back by (None: by none)."""

    octets: bytes
    reverse_path: Address | None


class Preparing(Protocol):
    """Makes what goes on of a message (:class:`letterbox.delivery.wire.Wire`)."""

    async def prepared(self, consumer: str, entry: InboxEntry) -> Content | None:
        """The message as it goes on; None where it is not whole any more."""
        ...


class _Way(NamedTuple):
    """How something goes on: by whom, to which recipient, and where that is in the store.

    ``most`` is how many may be on the way with each name that counts.
    """

    courier: MailCourier
    to: Address
    place: str
    most: Mapping[str, int]


class MailboxServer(NamedTuple):
    """The operator's own, and what a consumer's mailbox is called there.

    ``name_of`` is given the consumer's id and their first address, None where they have none.
    """

    courier: MailCourier
    name_of: Callable[[str, Address | None], str | None]


class HandingOver:
    """Does what is owed. ``lasts`` is how long it is tried.

    Killed between the handing over and its record it hands over once more, never not at all. A
    place that took nothing is left alone for a while, and has so many attempts at once: who is
    slow keeps nobody else's mail waiting.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        consumers: Consumers,
        destinations: Destinations,
        records: OnwardRecords,
        preparing: Preparing,
        mail: MailCourier,
        server: MailboxServer | None,
        organizational: Callable[[str], str],
        silences: Silences,
        letters: InboxLetters,
        sentences: Sentences,
        metrics: Metrics,
        lasts: timedelta,
    ) -> None:
        self._clock = clock
        self._consumers = consumers
        self._destinations = destinations
        self._records = records
        self._preparing = preparing
        self._mail = mail
        self._server = server
        self._organizational = organizational
        self._silences = silences
        self._letters = letters
        self._sentences = sentences
        self._metrics = metrics
        self._lasts = lasts
        self._turns = Turns()

    async def hand_on(self, consumer: str, name: str) -> None:
        """An entry of an inbox is due to be handed on."""
        entry = await self._records.owed(consumer, name)
        onward = entry.onward if entry is not None else None
        if entry is None or onward is None:
            return
        now = self._clock.now()
        way = await self._way(consumer, onward.to)
        if not isinstance(way, _Way):
            await self._stays(consumer, entry, onward, way)
            return
        end = onward.since + self._lasts
        if now >= end and onward.name and onward.next != end:
            await self._stays(consumer, entry, onward, "expired", onward.detail)
            return
        # Its last try is at its end, however long the place is left alone; nor does it end untried.
        silence = await self._silences.left(way.place) if now < end else None
        if silence is not None:
            until = min(now + silence, end)
            await self._records.note(consumer, name, replace(onward, at=now, next=until))
            return
        async with self._turns.turn(way.most) as free:
            if free:
                await self._carry(consumer, entry, way)
            else:
                again = now + step_back(now - onward.since)
                await self._records.put_off(consumer, name, again)

    async def retry(self, consumer: str, name: str) -> InboxEntry | None:
        """The consumer's word that it is to be tried now; None where there is no such entry.

        It goes to where mail of its kind goes by now.
        Raises :class:`letterbox.records.onward.NothingToRetry`.
        """
        wishes = await self._consumers.wishes(consumer)
        before = await self._records.entry(consumer, name)
        to = wishes.onward.get(before.kind) if before is not None else None
        return await self._records.retry(consumer, name, to)

    async def _way(self, consumer: str, to: str) -> _Way | OnwardWhy:
        """How mail goes to a place that a consumer has chosen; or why it does not."""
        if to == MAILBOX:
            return await self._own_server(consumer)
        address = await self._destinations.reached(consumer, to)
        if address is None:
            return "unconfirmed"
        receiver = self._organizational(address.domain)
        most = {f"mailbox {consumer} {address}": _PER_MAILBOX, receiver: _PER_RECEIVER}
        # One organization's servers have so many turns; of its other domains a silent one says
        # nothing.
        return _Way(self._mail, address, places.hop(address.domain), most)

    async def _own_server(self, consumer: str) -> _Way | OnwardWhy:
        if self._server is None:
            return "no-server"
        stored = await self._consumers.stored(consumer)
        addresses = stored.preferences.bound_addresses if stored else ()
        first = parse_address(addresses[0].address) if addresses else None
        name = self._server.name_of(consumer, first.mailbox if first else None)
        if name is None:
            return "no-server"
        # A name without a domain is one of the server's own.
        to = parse_address(name) or Address(local=name, domain="")
        return _Way(self._server.courier, to, places.hop(MAILBOX), {MAILBOX: _PER_SERVER})

    async def _carry(self, consumer: str, entry: InboxEntry, way: _Way) -> None:
        named = await self._records.named(consumer, entry)
        content = await self._preparing.prepared(consumer, named) if named else None
        if named is None or named.onward is None:
            return
        onward = named.onward
        if content is None:
            await self._stays(consumer, named, onward, "gone")
            return
        letter = Letter(to=way.to, content=content.octets, reverse_path=content.reverse_path)
        match await way.courier.hand_on(letter):
            case Handed(detail=detail):
                await self._silences.heard(way.place)
                done = replace(onward, state="done", why="", at=self._clock.now(), next=None)
                await self._end(consumer, named, replace(done, detail=detail[:_DETAIL]))
            case Never(detail=detail):
                await self._silences.heard(way.place)
                await self._stays(consumer, named, onward, "refused", detail)
            case NotNow(detail=detail, alone=alone):
                # A full mailbox says nothing of the others.
                await (
                    self._silences.heard(way.place) if alone else self._silences.begin(way.place)
                )
                await self._wait(consumer, named, onward, detail)

    async def _wait(self, consumer: str, entry: InboxEntry, onward: HandingOn, why: str) -> None:
        now, attempts = self._clock.now(), onward.attempts + 1
        again = min(now + pause(attempts), onward.since + self._lasts)
        if now >= again:
            await self._stays(consumer, entry, onward, "expired", why)
            return
        detail = why[:_DETAIL]
        waits = replace(onward, attempts=attempts, at=now, next=again, detail=detail)
        await self._records.note(consumer, entry.id, waits)
        self._tell(consumer, entry, waits, "waits")

    async def _stays(
        self,
        consumer: str,
        entry: InboxEntry,
        onward: HandingOn,
        why: OnwardWhy,
        detail: str = "",
    ) -> None:
        """It is not handed on: it stays in the letterbox, and its consumer is told."""
        now = self._clock.now()
        failed = replace(onward, state="failed", why=why, at=now, next=None)
        failed = replace(failed, detail=detail[:_DETAIL])
        if await self._end(consumer, entry, failed):
            await self.notice(consumer, replace(entry, onward=failed))

    async def _end(self, consumer: str, entry: InboxEntry, onward: HandingOn) -> bool:
        noted = await self._records.note(consumer, entry.id, onward)
        self._tell(consumer, entry, onward, onward.why or onward.state)
        return noted is not None

    def _tell(self, consumer: str, entry: InboxEntry, onward: HandingOn, outcome: str) -> None:
        self._metrics.onward.labels("mailbox" if onward.to == MAILBOX else "mail", outcome).inc()
        log.info(
            "onward",
            consumer=consumer,
            entry=entry.id,
            message=entry.message,
            to=onward.to.rpartition("@")[2],
            outcome=outcome,
            attempts=onward.attempts,
            detail=onward.detail,
        )

    async def notice(self, consumer: str, entry: InboxEntry) -> None:
        """Tell a consumer, once a week for each place, that mail does not get through to it.

        It lies in the letterbox, and is not handed on itself.
        """
        onward = entry.onward
        if onward is None:
            return
        claim = places.told_of("onward", onward.to)
        if await self._records.told(consumer, claim):
            return
        wishes = await self._consumers.wishes(consumer)
        words = OnwardWords(self._sentences, wishes.language)
        subject, text = words.notice(onward, entry.subject)
        until = later(self._clock.now(), _ONCE_IN)
        noted = (Claim(name=claim, value=b"", expires=until),)
        letter = InboxLetter(consumer, entry.recipient, subject, text, noted)
        await self._letters.put(letter)
