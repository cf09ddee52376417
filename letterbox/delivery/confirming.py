"""The letter that asks whoever reads a mailbox whether mail may be handed on to it."""

from collections.abc import Callable
from typing import Final

import structlog

from letterbox.delivery.again import pause
from letterbox.feedback.letters import Signs
from letterbox.feedback.own import compose
from letterbox.feedback.sentences import Sentences
from letterbox.model.address import parse_address
from letterbox.model.destination import Destination
from letterbox.model.verdict import Fact
from letterbox.ports.clock import Clock
from letterbox.ports.courier import Handed, Letter, MailCourier, Never, NotNow
from letterbox.ports.store import Commit, Schedule, Store, Unschedule
from letterbox.records import places
from letterbox.records.consumers import Consumers
from letterbox.records.destinations import Destinations, is_due
from letterbox.records.names import new_reference

#: Where a link leads, on our pages.
PATH: Final = "/confirm"

log = structlog.get_logger("letterbox.delivery")


class Confirming:
    """Sends the letters that are owed. Killed at any step, it sends one more, with a new link."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        destinations: Destinations,
        consumers: Consumers,
        courier: MailCourier,
        signer: Signs | None,
        sentences: Sentences,
        hostname: str,
        public_url: Callable[[], str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._destinations = destinations
        self._consumers = consumers
        self._courier = courier
        self._signer = signer
        self._sentences = sentences
        self._hostname = hostname
        self._public_url = public_url

    async def send(self, consumer: str, name: str) -> None:
        """A letter is due."""
        row = await self._destinations.get(consumer, name)
        to = parse_address(row.address) if row else None
        if row is None or to is None or row.confirmed_at is not None:
            await self._done(consumer, name)
            return
        if not is_due(row, self._clock.now()):
            await self._destinations.note(consumer, name, "failed", row.detail, tried=row.attempts)
            await self._done(consumer, name)
            return
        token = await self._destinations.link(consumer, name)
        if token is None:
            return
        content = await self._compose(consumer, row, token)
        if self._signer is not None:
            content = self._signer.sign(content, self._clock.now())
        handover = await self._courier.hand_on(Letter(to=to, content=content))
        tried = row.attempts + 1
        log.info(
            "confirmation", consumer=consumer, domain=to.domain, outcome=type(handover).__name__
        )
        match handover:
            case Handed():
                await self._destinations.note(consumer, name, "sent", tried=tried)
                await self._done(consumer, name)
            case Never(detail=detail):
                await self._destinations.note(consumer, name, "refused", detail, tried=tried)
                await self._done(consumer, name)
            case NotNow(detail=detail):
                await self._destinations.note(consumer, name, "owed", detail, tried=tried)
                again = Schedule(places.CONFIRMING + name, self._clock.now() + pause(tried))
                await self._store.commit(Commit(places.consumer(consumer), (again,)))

    async def _done(self, consumer: str, name: str) -> None:
        gone = Unschedule(places.CONFIRMING + name, expect=False)
        await self._store.commit(Commit(places.consumer(consumer), (gone,)))

    async def _compose(self, consumer: str, row: Destination, token: str) -> bytes:
        stored = await self._consumers.stored(consumer)
        addresses = stored.preferences.bound_addresses if stored else ()
        language = stored.preferences.language if stored else "en"
        facts: dict[str, Fact] = {
            "address": row.address,
            "letterbox": addresses[0].address if addresses else consumer,
        }

        def said(name: str) -> str:
            return self._sentences.line("notice", name, facts, language)

        url = f"{self._public_url()}{PATH}/{token}"
        lines = (said("confirm-text"), said("confirm-helps"), url, said("confirm-else"))
        return compose(
            said("confirm"),
            "\n\n".join(lines) + "\n",
            name=new_reference(),
            hostname=self._hostname,
            at=self._clock.now(),
            to=row.address,
        )
