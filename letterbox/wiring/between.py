"""What goes on between consumers and vendors: what is held and asked, who is told of changes."""

from collections.abc import Iterator
from datetime import timedelta

from letterbox.delivery.breaches import Breaches
from letterbox.delivery.herald import Herald
from letterbox.delivery.inbox_letters import InboxLetters
from letterbox.delivery.notices import Notices
from letterbox.delivery.objecting import Objecting
from letterbox.delivery.reconnect import Reconnecting
from letterbox.delivery.relations import Relations
from letterbox.delivery.release import Holds
from letterbox.delivery.requests import Requests
from letterbox.delivery.standings import Standings
from letterbox.delivery.worker import Duty
from letterbox.feedback.disclosure import Disclosure
from letterbox.feedback.sentences import Sentences
from letterbox.judge import Judge
from letterbox.metrics import Metrics
from letterbox.model.configuration import Configuration
from letterbox.ports.clock import Clock
from letterbox.ports.store import Store
from letterbox.reading.facts import Reader
from letterbox.records import places
from letterbox.records.consumers import Consumers
from letterbox.records.custody import Custody
from letterbox.records.ledger import Ledger
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.vendors import Vendors


class Between:
    """Those who see to it, wired, and the duties of theirs that come due."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        store: Store,
        letters: InboxLetters,
        clock: Clock,
        metrics: Metrics,
        consumers: Consumers,
        vendors: Vendors,
        mailboxes: Mailboxes,
        custody: Custody,
        ledger: Ledger,
        judge: Judge,
        reader: Reader,
        disclosure: Disclosure,
        sentences: Sentences,
    ) -> None:
        limits = configuration.limits
        retention = configuration.retention
        self.holds = Holds(
            store=store,
            clock=clock,
            consumers=consumers,
            mailboxes=mailboxes,
            judge=judge,
            ledger=ledger,
            custody=custody,
            metrics=metrics,
            reader=reader,
            longest=timedelta(days=retention.held),
        )
        self.herald = Herald(
            store=store,
            consumers=consumers,
            vendors=vendors,
            ledger=ledger,
            disclosure=disclosure,
            requests_kept=timedelta(days=retention.requests),
        )
        self.relations = Relations(
            store=store,
            clock=clock,
            consumers=consumers,
            mailboxes=mailboxes,
            holds=self.holds,
            herald=self.herald,
        )
        standings = Standings(clock=clock, consumers=consumers, herald=self.herald)
        self.reconnecting = Reconnecting(
            store=store,
            consumers=consumers,
            vendors=vendors,
            standings=standings,
            period=timedelta(days=limits.reconnect_days),
        )
        self.requests = Requests(
            store=store,
            clock=clock,
            consumers=consumers,
            vendors=vendors,
            standings=standings,
            kept=timedelta(days=retention.requests),
        )
        self.notices = Notices(
            store=store,
            letters=letters,
            clock=clock,
            consumers=consumers,
            mailboxes=mailboxes,
            sentences=sentences,
        )
        self.objecting = Objecting(
            store=store,
            clock=clock,
            relations=self.relations,
            mailboxes=mailboxes,
            vendors=vendors,
            reader=reader,
            ours=configuration.our_domains | {configuration.hostname},
            kept=timedelta(days=retention.decisions),
            metrics=metrics,
        )
        self.breaches = Breaches(
            store=store,
            clock=clock,
            mailboxes=mailboxes,
            reader=reader,
            grace=timedelta(days=limits.objection_grace_days),
            metrics=metrics,
        )

    def duties(self) -> Iterator[Duty]:
        """All of them are work of our own."""
        yield Duty("consumer", places.HELD, self.holds.open)
        yield Duty("consumer", places.REQUEST, self.requests.expire)
        yield Duty("consumer", places.OUTCOME, self.requests.tell)
        yield Duty("consumer", places.NOTICE, self.notices.look)
        yield Duty("consumer", places.OBJECTING, lambda name, _: self.breaches.look(name))
