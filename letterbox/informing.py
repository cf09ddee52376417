"""What tells consumers of what happens in their letterbox, wired: digests, notices, and links."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from letterbox.delivery.acting import Outcome
from letterbox.delivery.digests import Digests, Post
from letterbox.delivery.gathering import Gathering
from letterbox.delivery.notifier import Notifier
from letterbox.delivery.worker import Duty
from letterbox.feedback.digest import Digester
from letterbox.feedback.explanation import Explanations
from letterbox.feedback.sentences import Sentences
from letterbox.hindsight import Gone, Undo, UndoFailed
from letterbox.metrics import Metrics
from letterbox.model.configuration import Configuration
from letterbox.ports.clock import Clock
from letterbox.ports.courier import WebCourier
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


class Digesting:
    """Who sees to digests, and the duty of theirs that comes due."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        store: Store,
        bodies: Bodies,
        clock: Clock,
        metrics: Metrics,
        post: Post,
        consumers: Consumers,
        mailboxes: Mailboxes,
        destinations: Destinations,
        sentences: Sentences,
        explanations: Explanations,
        public_url: Callable[[], str],
    ) -> None:
        self.actions = Actions(store, clock)
        self.digests = Digests(
            store=store,
            bodies=bodies,
            clock=clock,
            consumers=consumers,
            elsewhere=destinations,
            actions=self.actions,
            gathering=Gathering(mailboxes, explanations, sentences),
            digester=Digester(sentences, configuration.hostname),
            post=post,
            metrics=metrics,
            hostname=configuration.hostname,
            url=public_url,
            lasts=timedelta(hours=configuration.outbound.hours),
            kept=timedelta(days=configuration.retention.refused),
        )

    def duties(self) -> Iterator[Duty]:
        """It waits for mail servers of others."""
        look = self.digests.look
        yield Duty("consumer", places.DIGEST, lambda name, _: look(name), beside=_DIGESTS)


class Notifying:
    """Who gives notice, and the duties of theirs that come due."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        web: WebCourier,
        resolver: Resolver,
        consumers: Consumers,
        sentences: Sentences,
        public_url: Callable[[], str],
    ) -> None:
        self.channels = Channels(store)
        self.notifier = Notifier(
            store=store,
            clock=clock,
            consumers=consumers,
            channels=self.channels,
            courier=web,
            resolver=resolver,
            sentences=sentences,
            metrics=metrics,
            hostname=configuration.hostname,
            url=public_url,
            private=configuration.webhooks.allow_private_addresses,
        )

    def duties(self) -> Iterator[Duty]:
        """What has come is our own work; what goes out waits for servers of others."""
        yield Duty("consumer", places.NEWS, lambda name, _: self.notifier.look(name))
        yield Duty("consumer", places.CALL, self.notifier.call, beside=_NOTICES)


async def let_in(undo: Undo, consumer: str, decision: str) -> Outcome:
    """Put a refused message into the inbox, as a link of a digest does."""
    try:
        record = await undo.let_through(consumer, decision)
    except UndoFailed:
        return "over"
    except Gone:
        return "gone"
    return "done" if record is not None else "over"
