"""What tells consumers of what happens in their letterbox, wired: digests, notices, and links."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final, Protocol

from letterbox.delivery.acting import Acting, Outcome
from letterbox.delivery.digests import Digests, Post
from letterbox.delivery.gathering import Gathering
from letterbox.delivery.notifier import Notifier
from letterbox.delivery.relations import Relations
from letterbox.delivery.release import Holds
from letterbox.delivery.worker import Duty
from letterbox.feedback.digest import Digester
from letterbox.feedback.explanation import Explanations
from letterbox.feedback.sentences import Sentences
from letterbox.hindsight import Gone, Undo, UndoFailed
from letterbox.keys import own_signer
from letterbox.metrics import Metrics
from letterbox.model.configuration import Configuration
from letterbox.ports.clock import Clock
from letterbox.ports.courier import MailCourier, WebCourier
from letterbox.ports.resolver import Resolver
from letterbox.ports.store import Bodies, Store
from letterbox.records import places
from letterbox.records.actions import Actions
from letterbox.records.channels import Channels
from letterbox.records.consumers import Consumers
from letterbox.records.destinations import Destinations
from letterbox.records.mailboxes import Mailboxes

#: How many digests, and how many notices, are on the way at once.
_DIGESTS: Final = 20
_NOTICES: Final = 20


class House(Protocol):
    """What they are wired from (:class:`letterbox.wiring.broker.Broker`)."""

    configuration: Configuration
    store: Store
    bodies: Bodies
    clock: Clock
    metrics: Metrics
    consumers: Consumers
    mailboxes: Mailboxes
    destinations: Destinations
    holds: Holds
    relations: Relations
    undo: Undo
    sentences: Sentences
    explanations: Explanations
    public_url: str


class Informing:
    """Those who see to it, and the duties of theirs that come due."""

    def __init__(
        self, house: House, *, mail: MailCourier, web: WebCourier, resolver: Resolver
    ) -> None:
        self._house = house
        store, clock, configuration = house.store, house.clock, house.configuration
        self.actions = Actions(store, clock)
        self.acting = Acting(
            clock=clock,
            consumers=house.consumers,
            mailboxes=house.mailboxes,
            holds=house.holds,
            relations=house.relations,
            let_in=self._let_in,
        )
        self.digests = Digests(
            store=store,
            bodies=house.bodies,
            clock=clock,
            consumers=house.consumers,
            elsewhere=house.destinations,
            actions=self.actions,
            gathering=Gathering(house.mailboxes, house.explanations, house.sentences),
            digester=Digester(house.sentences, configuration.hostname),
            post=Post(mail, own_signer(configuration)),
            metrics=house.metrics,
            hostname=configuration.hostname,
            url=self._url,
            lasts=timedelta(hours=configuration.outbound.hours),
            kept=timedelta(days=configuration.retention.refused),
        )
        self.channels = Channels(store)
        self.notifier = Notifier(
            store=store,
            clock=clock,
            consumers=house.consumers,
            channels=self.channels,
            mailboxes=house.mailboxes,
            courier=web,
            resolver=resolver,
            sentences=house.sentences,
            metrics=house.metrics,
            hostname=configuration.hostname,
            url=self._url,
            private=configuration.webhooks.allow_private_addresses,
        )

    def duties(self) -> Iterator[Duty]:
        """What has come is our own work; what goes out waits for servers of others."""
        look = self.digests.look
        yield Duty("consumer", places.DIGEST, lambda name, _: look(name), beside=_DIGESTS)
        yield Duty("consumer", places.NEW, self.notifier.gather)
        yield Duty("consumer", places.NEWS, lambda name, _: self.notifier.look(name))
        yield Duty("consumer", places.CALL, self.notifier.call, beside=_NOTICES)

    def _url(self) -> str:
        """Our own address; it is known once we listen."""
        return self._house.public_url

    async def _let_in(self, consumer: str, decision: str) -> Outcome:
        """Put a refused message into the inbox, as a link of a digest does."""
        try:
            record = await self._house.undo.let_through(consumer, decision)
        except UndoFailed:
            return "over"
        except Gone:
            return "gone"
        return "done" if record is not None else "over"
