"""Everything of one installation, wired once: the parts that do the work, without doors."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from msgspec import structs

from filters import ORDER
from letterbox.administration import Administration
from letterbox.administration.digests import DigestCommands
from letterbox.administration.everyday import EverydayCommands
from letterbox.administration.explain import Explaining
from letterbox.administration.objections import ObjectionCommands
from letterbox.administration.observing import ObservingCommands
from letterbox.administration.queue import QueueCommands
from letterbox.administration.signin import SignInCommands
from letterbox.delivery.behind import Behind
from letterbox.delivery.inbox_letters import InboxLetters
from letterbox.delivery.relay import Relay
from letterbox.delivery.tracking import Trackers
from letterbox.delivery.worker import Duty, Worker
from letterbox.feedback.disclosure import Disclosure
from letterbox.feedback.explanation import Explanations
from letterbox.feedback.sentences import Sentences
from letterbox.identity.prover import Prover
from letterbox.identity.srs import DAYS as COMES_BACK
from letterbox.intake.returning import returning
from letterbox.judge import Judge
from letterbox.metrics import Metrics
from letterbox.model.configuration import Configuration
from letterbox.model.record import InboxEntry
from letterbox.ports.clock import Clock
from letterbox.ports.courier import Couriers, MailCourier, NextHop, WebCourier
from letterbox.ports.resolver import Resolver
from letterbox.ports.store import Bodies, Store
from letterbox.reading.facts import Reader
from letterbox.reading.mail import Limits
from letterbox.records import places
from letterbox.records.activity import ActivityLog
from letterbox.records.categories import Categories
from letterbox.records.changes import By, Telling
from letterbox.records.claims import Claims
from letterbox.records.consumers import Consumers, Stored
from letterbox.records.credentials import Credentials
from letterbox.records.custody import Custody
from letterbox.records.elsewhere import elsewhere
from letterbox.records.feed import Feed
from letterbox.records.ledger import Ledger
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.objections import Objections
from letterbox.records.passkeys import Passkeys
from letterbox.records.passwords import Passwords
from letterbox.records.resemblances import Resemblances
from letterbox.records.sessions import Sessions
from letterbox.records.tallies import Tallies
from letterbox.records.vendors import Vendors
from letterbox.records.webhooks import WebhookRecords
from letterbox.shipment import Shipment
from letterbox.wiring.afterwards import Afterwards
from letterbox.wiring.between import Between
from letterbox.wiring.enrolment import Enrolment
from letterbox.wiring.informing import Informing
from letterbox.wiring.onboarding import Onboarding
from letterbox.wiring.onward import Onward
from letterbox.wiring.outgoing import Outgoing
from letterbox.wiring.reception import Reception
from letterbox.wiring.upkeep import Upkeep


class Outside(NamedTuple):
    """What the broker is handed of the world: ports, and the adapters behind them.

    ``zone_of`` gives the time zone of a name, None for none; ``zones`` the names of all.
    """

    store: Store
    bodies: Bodies
    clock: Clock
    resolver: Resolver
    #: Calls endpoints of vendors.
    web: WebCourier
    #: Calls what anybody may have written into a mail: never a private address.
    subscriptions: WebCourier
    mail: MailCourier
    #: Brings mail to the operator's own mailbox server, where there is one.
    mailbox: MailCourier | None
    zone_of: Callable[[str], tzinfo | None]
    zones: Callable[[], Iterable[str]]
    #: The mail server behind us, where there is one.
    next_hop: NextHop | None = None


class Broker:
    """Everything of one installation but its doors, wired once. It knows no adapters."""

    def __init__(self, configuration: Configuration, outside: Outside, shipment: Shipment) -> None:
        self.configuration, self.outside = configuration, outside
        self.store, self.bodies, self.clock = outside.store, outside.bodies, outside.clock
        self.metrics = Metrics()
        #: Where our pages are; known for good once HTTP listens.
        self.public_url = configuration.own_url
        self.registry, self.taxonomy = shipment.registry, shipment.taxonomy
        self.domains, self.letters = shipment.domains, shipment.letters
        self.sentences = Sentences(self.registry, shipment.phrases, shipment.wording)
        self.explanations = Explanations(self.sentences, self.taxonomy)
        self._records()
        limits = Limits(**structs.asdict(configuration.reading))
        self.reader = Reader(limits, self.taxonomy, self.categories.ours, shipment.tables)
        self.trackers = Trackers(
            shipment.trackers, limits, self.clock, self.consumers, self.mailboxes
        )
        self._judging()
        reception = Reception(
            configuration,
            store=self.store,
            bodies=self.bodies,
            clock=self.clock,
            metrics=self.metrics,
            consumers=self.consumers,
            vendors=self.vendors,
            judge=self.judge,
            ledger=self.ledger,
            prover=self.prover,
            disclosure=self.disclosure,
            reader=self.reader,
            returning=returning(
                configuration,
                self.elsewhere,
                clock=self.clock,
                limits=limits,
                metrics=self.metrics,
                bounced=self._bounced,
            ),
            behind=self.behind,
        )
        self.intake, self.preflight = reception.intake, reception.preflight
        self._registering()
        self._delivery()
        self._hindsight()
        self.administration = self._administration()

    def _records(self) -> None:
        configuration, retention = self.configuration, self.configuration.retention
        self.vendors = Vendors(
            self.store,
            clock=self.clock,
            organization=self.domains.organizational,
            is_mailbox_provider=self.domains.is_mailbox_provider,
        )
        self.consumers = Consumers(
            self.store,
            taxonomy=self.taxonomy,
            zone_of=self.outside.zone_of,
            zones=self.outside.zones,
            domains=self.domains,
            ours=configuration.our_domains,
            is_vendor=self.vendors.known,
            tells=self._tells,
        )
        begin = self.onboarding = Onboarding(
            configuration, self.store, self.clock, self.consumers, self.vendors, self.domains
        )
        self.adoption, self.imports, self.uploads, self.sieve, self.expectations = begin.parts
        self.categories = Categories(self.store)
        self.credentials = Credentials(self.store)
        self.sessions = Sessions(self.store, self.clock, configuration.web)
        self.passwords = Passwords(self.store, self.clock)
        self.passkeys = Passkeys(self.store, self.clock)
        self.claims = Claims(self.store)
        self.mailboxes = Mailboxes(self.store, self.bodies)
        self.feed = Feed(self.store)
        self.webhook_records = WebhookRecords(
            self.store, trials_per_minute=configuration.webhooks.trials_per_minute
        )
        self.activity = ActivityLog(self.store)
        ours = configuration.our_domains | {configuration.hostname}
        self.elsewhere = elsewhere(
            self.store, self.clock, ours=ours, comes_back=timedelta(days=COMES_BACK)
        )
        self.destinations = self.elsewhere.destinations
        self.objections = Objections(self.store)
        self.custody = Custody(
            per_vendor=configuration.limits.held_per_vendor,
            per_consumer=configuration.limits.held_per_consumer,
            longest=timedelta(days=retention.held),
        )
        self.behind = Behind(
            store=self.store,
            clock=self.clock,
            mailboxes=self.mailboxes,
            next_hop=self.outside.next_hop,
            hostname=configuration.hostname,
            lasts=timedelta(hours=configuration.filter.hours),
            metrics=self.metrics,
        )
        self.tallies = Tallies(self.store, self.registry, kept=timedelta(days=retention.feedback))
        self.ledger = Ledger(
            clock=self.clock,
            claims=timedelta(days=retention.claims),
            decisions=timedelta(days=retention.decisions),
            held=timedelta(days=retention.held),
            custody=self.custody,
            tallies=self.tallies,
        )

    async def _tells(
        self, consumer: str, before: Stored | None, after: Stored, *, by: By, now: datetime
    ) -> Telling:
        """Who is told of a change of preferences: known on a higher floor than they are."""
        return await self.herald.tells(consumer, before, after, by=by, now=now)

    async def _bounced(self, consumer: str, entry: InboxEntry) -> None:
        """A consumer's mail has come back: they are told by those who handed it on."""
        await self.handing.notice(consumer, entry)

    def _judging(self) -> None:
        configuration = self.configuration
        self.disclosure = Disclosure(self.registry, self.sentences, lambda: self.public_url)
        self.judge = Judge(
            store=self.store,
            consumers=self.consumers,
            vendors=self.vendors,
            disclosure=self.disclosure,
            filters=ORDER,
            taxonomy=self.taxonomy,
            custody=self.custody,
            probes_per_day=configuration.probes.per_day,
            resemblances=Resemblances(
                self.vendors, self.domains.organizational, self.domains.is_mailbox_provider
            ),
        )
        self.prover = Prover(
            self.outside.resolver, self.domains, configuration.hostname, configuration.identity
        )

    def _registering(self) -> None:
        enrolment = Enrolment(
            self.configuration,
            store=self.store,
            clock=self.clock,
            metrics=self.metrics,
            resolver=self.outside.resolver,
            vendors=self.vendors,
            credentials=self.credentials,
            claims=self.claims,
            webhooks=self.webhook_records,
            feed=self.feed,
        )
        self.submitters, self.registration = enrolment.submitters, enrolment.registration
        self.endpoints, self.domain_proofs = enrolment.endpoints, enrolment.domain_proofs

    def _delivery(self) -> None:
        retention = self.configuration.retention
        letters = InboxLetters(
            self.store,
            self.bodies,
            self.clock,
            hostname=self.configuration.hostname,
            retention=timedelta(days=retention.refused),
        )
        self.between = Between(
            self.configuration,
            store=self.store,
            letters=letters,
            clock=self.clock,
            metrics=self.metrics,
            consumers=self.consumers,
            vendors=self.vendors,
            mailboxes=self.mailboxes,
            custody=self.custody,
            ledger=self.ledger,
            judge=self.judge,
            reader=self.reader,
            disclosure=self.disclosure,
            sentences=self.sentences,
        )
        between = self.between
        self.holds, self.herald, self.relations = between.holds, between.herald, between.relations
        self.requests, self.reconnecting = between.requests, between.reconnecting
        self.objecting, self.breaches = between.objecting, between.breaches
        self.outgoing = Outgoing(
            self.configuration,
            store=self.store,
            clock=self.clock,
            metrics=self.metrics,
            mail=self.outside.mail,
            web=self.outside.web,
            subscriptions=self.outside.subscriptions,
            prover=self.prover,
            domains=self.domains,
            relations=self.relations,
            mailboxes=self.mailboxes,
            reader=self.reader,
            feed=self.feed,
            webhooks=self.webhook_records,
        )
        self.complaints, self.webhooks = self.outgoing.complaints, self.outgoing.webhooks
        self.onward = Onward(
            self.configuration,
            store=self.store,
            clock=self.clock,
            couriers=Couriers(self.outside.mail, self.outside.mailbox),
            prover=self.prover,
            domains=self.domains,
            consumers=self.consumers,
            mailboxes=self.mailboxes,
            trackers=self.trackers,
            elsewhere=self.elsewhere,
            letters=letters,
            sentences=self.sentences,
            metrics=self.metrics,
            public_url=lambda: self.public_url,
        )
        self.informing = Informing(
            self,
            mail=self.outside.mail,
            web=self.outside.web,
            resolver=self.outside.resolver,
        )
        self.digests, self.actions = self.informing.digests, self.informing.actions
        self.notifier, self.channels = self.informing.notifier, self.informing.channels
        self.acting = self.informing.acting
        self.handing = self.onward.handing
        self.upkeep = Upkeep(
            retention,
            store=self.store,
            bodies=self.bodies,
            clock=self.clock,
            mailboxes=self.mailboxes,
            webhooks=self.webhook_records,
            credentials=self.credentials,
            registration=self.registration,
            proofs=self.domain_proofs,
            consumers=self.consumers,
            sessions=self.sessions,
            elsewhere=self.elsewhere,
            holds=self.holds,
            registry=self.registry,
        )
        self.erasure, self.exporting = self.upkeep.erasure, self.upkeep.exporting
        self.worker = Worker(
            store=self.store,
            clock=self.clock,
            relay=Relay(
                store=self.store,
                clock=self.clock,
                metrics=self.metrics,
                webhooks=self.webhook_records,
                broken=timedelta(days=retention.feedback),
            ),
            duties=self._duties(),
            metrics=self.metrics,
        )

    def _duties(self) -> Iterator[Duty]:
        """Whose work the entries of the due-set are."""
        yield from self.between.duties()
        settle = self.consumers.settle_address
        yield Duty("address", places.PASSING, lambda name, _: settle(name, self.clock.now()))
        yield from self.onboarding.duties()
        yield Duty("domain", places.PASSING, lambda name, _: self.vendors.settle_domain(name))
        beside = self.configuration.filter.connections
        yield Duty("consumer", places.BEHIND, self.behind.release, beside=beside)
        yield from self.upkeep.duties()
        yield from self.outgoing.duties()
        yield from self.onward.duties()
        yield from self.informing.duties()

    def _hindsight(self) -> None:
        afterwards = Afterwards(
            store=self.store,
            clock=self.clock,
            consumers=self.consumers,
            mailboxes=self.mailboxes,
            judge=self.judge,
            ledger=self.ledger,
            reader=self.reader,
        )
        self.cases, self.undo, self.replay = afterwards.cases, afterwards.undo, afterwards.replay
        self.suggestions, self.fits = afterwards.suggestions, afterwards.fits

    def _administration(self) -> Administration:
        return Administration(
            store=self.store,
            consumers=self.consumers,
            vendors=self.vendors,
            credentials=self.credentials,
            claims=self.claims,
            proofs=self.domain_proofs,
            explaining=Explaining(
                store=self.store,
                consumers=self.consumers,
                vendors=self.vendors,
                mailboxes=self.mailboxes,
                judge=self.judge,
                prover=self.prover,
                disclosure=self.disclosure,
                sentences=self.sentences,
                explanations=self.explanations,
                cases=self.cases,
                clock=self.clock,
                reader=self.reader,
                our_domains=self.configuration.our_domains,
            ),
            domains=self.domains,
            clock=self.clock,
            taxonomy=self.taxonomy,
            categories=self.categories,
            others=(
                SignInCommands(
                    self.sessions, self.consumers, self.vendors, lambda: self.public_url
                ).table,
                self.upkeep.leaving.table,
                self.onboarding.commands.table,
                QueueCommands(self.store, self.consumers, self.elsewhere).table,
                ObservingCommands(
                    self.consumers, self.suggestions, self.explanations, self.clock
                ).table,
                ObjectionCommands(
                    self.objections, self.breaches, self.letters, self.consumers, self.clock
                ).table,
                DigestCommands(self.digests, self.consumers).table,
                EverydayCommands(self).table,
            ),
        )
