"""The composition root: the only importer of adapters, where everything is wired, once."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from msgspec import structs

from filters import ORDER
from letterbox.adapters.clock import SystemClock
from letterbox.adapters.dns import DnsResolver
from letterbox.adapters.memory import MemoryStore
from letterbox.adapters.sqlite import SqliteStore
from letterbox.adapters.zones import zone_of, zones
from letterbox.administration import Administration
from letterbox.administration.explain import Explaining
from letterbox.certificate import Certificate, certificate_of
from letterbox.configuration import admin_socket, shipped
from letterbox.delivery.forget import Forgetting
from letterbox.delivery.relations import Relations
from letterbox.delivery.relay import Relay
from letterbox.delivery.release import Holds
from letterbox.delivery.worker import Worker
from letterbox.doors import Doors, open_socket
from letterbox.feedback.disclosure import Disclosure
from letterbox.feedback.explanation import Explanations
from letterbox.feedback.sentences import Sentences
from letterbox.feedback.wording import read_wording
from letterbox.gateways.admin import AdminGateway
from letterbox.gateways.http import AdminGateway as AdminHttpGateway
from letterbox.gateways.http import HttpGateway, Parts
from letterbox.gateways.smtp import SmtpGateway
from letterbox.hindsight import Changes, PastCases, Replay, Undo
from letterbox.identity.domains import Domains
from letterbox.identity.prover import Prover
from letterbox.intake import Intake
from letterbox.intake.operator import OperatorMailbox
from letterbox.intake.settle import Settlement
from letterbox.intake.strangers import Strangers
from letterbox.intake.submitters import Submitters
from letterbox.judge import Judge
from letterbox.metrics import Metrics
from letterbox.model.configuration import Configuration
from letterbox.model.reason import read_phrases, read_registry
from letterbox.ports.clock import Clock
from letterbox.ports.resolver import Resolver
from letterbox.ports.store import Bodies, Store
from letterbox.reading.facts import Reader
from letterbox.reading.mail import Limits
from letterbox.reading.signs import read_signs
from letterbox.records.categories import Categories
from letterbox.records.claims import Claims
from letterbox.records.consumers import Consumers
from letterbox.records.credentials import Credentials
from letterbox.records.custody import Custody
from letterbox.records.feed import Feed
from letterbox.records.guesses import Guesses
from letterbox.records.ledger import Ledger
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.rates import Rates
from letterbox.records.resemblances import Resemblances
from letterbox.records.strangers import StrangerCounts
from letterbox.records.vendors import Vendors
from letterbox.registration import DomainProofs, Registration
from letterbox.wishes import read_taxonomy

log = structlog.get_logger("letterbox.app")


class App:
    """Everything of one installation in one process, wired."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        store: Store,
        bodies: Bodies,
        clock: Clock,
        resolver: Resolver,
    ) -> None:
        self.configuration = configuration
        self.store = store
        self.bodies = bodies
        self.clock = clock
        self.metrics = Metrics()
        #: Where our pages are; known for good once HTTP listens.
        self.public_url = configuration.public_url.rstrip("/") or _guess(configuration)
        reasons = shipped("reasons.toml")
        self.registry = read_registry(reasons)
        wording = read_wording(shipped("wording.toml"))
        self.sentences = Sentences(self.registry, read_phrases(reasons), wording)
        self.taxonomy = read_taxonomy(shipped("taxonomy.toml"))
        self.explanations = Explanations(self.sentences, self.taxonomy)
        self._doors = Doors()
        self._records()
        limits = Limits(**structs.asdict(configuration.reading))
        signs = read_signs(shipped("signs.toml"))
        self.reader = Reader(limits, self.taxonomy, self.categories.ours, signs)
        self._judging(resolver)
        self.intake = self._intake()
        self._registering(resolver)
        self._delivery()
        self._hindsight()
        self.administration = self._administration()
        self._socket = AdminGateway(self.administration)

    def _records(self) -> None:
        configuration, retention = self.configuration, self.configuration.retention
        self.domains = Domains(shipped("mailbox_providers.toml"))
        self.vendors = Vendors(
            self.store,
            clock=self.clock,
            organization=self.domains.organizational,
            is_mailbox_provider=self.domains.is_mailbox_provider,
        )
        self.consumers = Consumers(
            self.store,
            taxonomy=self.taxonomy,
            zone_of=zone_of,
            zones=zones,
            domains=self.domains,
            ours=configuration.our_domains,
            is_vendor=self.vendors.known,
        )
        self.categories = Categories(self.store)
        self.credentials = Credentials(self.store)
        self.claims = Claims(self.store)
        self.mailboxes = Mailboxes(self.store, self.bodies)
        self.feed = Feed(self.store)
        self.custody = Custody(
            per_vendor=configuration.limits.held_per_vendor,
            per_consumer=configuration.limits.held_per_consumer,
            longest=timedelta(days=retention.held),
        )
        self.ledger = Ledger(
            claims=timedelta(days=retention.claims),
            decisions=timedelta(days=retention.decisions),
            held=timedelta(days=retention.held),
            custody=self.custody,
        )

    def _judging(self, resolver: Resolver) -> None:
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
        self.prover = Prover(resolver, self.domains, configuration.hostname, configuration.identity)

    def _registering(self, resolver: Resolver) -> None:
        section, submission = self.configuration.vendors, self.configuration.submission
        self.submitters = Submitters(
            credentials=self.credentials,
            vendors=self.vendors,
            guesses=Guesses(
                self.clock,
                per_place=submission.failures_per_address,
                per_name=submission.failures_per_vendor,
                period=submission.failure_period,
            ),
            clock=self.clock,
            metrics=self.metrics,
        )
        self.registration = Registration(
            store=self.store,
            vendors=self.vendors,
            credentials=self.credentials,
            claims=self.claims,
            clock=self.clock,
            section=section,
        )
        self.domain_proofs = DomainProofs(
            store=self.store,
            vendors=self.vendors,
            claims=self.claims,
            resolver=resolver,
            clock=self.clock,
            recheck=timedelta(hours=section.recheck_hours),
            grace=timedelta(days=section.grace_days),
        )

    def _intake(self) -> Intake:
        configuration, retention = self.configuration, self.configuration.retention
        refused = timedelta(days=retention.refused)
        return Intake(
            store=self.store,
            clock=self.clock,
            prover=self.prover,
            vendors=self.vendors,
            settlement=Settlement(
                store=self.store,
                bodies=self.bodies,
                consumers=self.consumers,
                judge=self.judge,
                ledger=self.ledger,
                disclosure=self.disclosure,
                retention=refused,
            ),
            strangers=Strangers(
                store=self.store, consumers=self.consumers, disclosure=self.disclosure
            ),
            operator=OperatorMailbox(
                store=self.store,
                bodies=self.bodies,
                disclosure=self.disclosure,
                # <postmaster> without a domain is written to the host itself (RFC 5321, 4.5.1).
                domains=configuration.our_domains | {configuration.hostname},
                per_hour=configuration.limits.operator_messages_per_hour,
                retention=refused,
                claims=timedelta(days=retention.claims),
            ),
            disclosure=self.disclosure,
            metrics=self.metrics,
            rates=Rates(self.clock, configuration.limits.messages_per_vendor_second),
            hostname=configuration.hostname,
            reader=self.reader,
        )

    def _delivery(self) -> None:
        retention = self.configuration.retention
        self.holds = Holds(
            store=self.store,
            clock=self.clock,
            consumers=self.consumers,
            mailboxes=self.mailboxes,
            judge=self.judge,
            ledger=self.ledger,
            custody=self.custody,
            metrics=self.metrics,
            reader=self.reader,
            longest=timedelta(days=retention.held),
        )
        self.relations = Relations(
            store=self.store,
            clock=self.clock,
            consumers=self.consumers,
            mailboxes=self.mailboxes,
            holds=self.holds,
            ledger=self.ledger,
            disclosure=self.disclosure,
        )
        self.worker = Worker(
            store=self.store,
            clock=self.clock,
            holds=self.holds,
            domains=self.domain_proofs,
            newcomers=self.registration,
            relay=Relay(store=self.store, clock=self.clock, metrics=self.metrics),
            forgetting=Forgetting(
                store=self.store,
                clock=self.clock,
                consumers=self.consumers,
                vendors=self.vendors,
                mailboxes=self.mailboxes,
                refused=timedelta(days=retention.refused),
                decisions=timedelta(days=retention.decisions),
                feedback=timedelta(days=retention.feedback),
            ),
        )

    def _hindsight(self) -> None:
        self.cases = PastCases(mailboxes=self.mailboxes, reader=self.reader, filters=ORDER)
        changes = Changes(
            cases=self.cases,
            consumers=self.consumers,
            mailboxes=self.mailboxes,
            clock=self.clock,
        )
        self.undo = Undo(
            store=self.store,
            clock=self.clock,
            consumers=self.consumers,
            mailboxes=self.mailboxes,
            judge=self.judge,
            ledger=self.ledger,
            reader=self.reader,
            changes=changes,
        )
        self.replay = Replay(
            cases=self.cases,
            consumers=self.consumers,
            mailboxes=self.mailboxes,
            clock=self.clock,
        )

    def _administration(self) -> Administration:
        return Administration(
            store=self.store,
            consumers=self.consumers,
            vendors=self.vendors,
            credentials=self.credentials,
            claims=self.claims,
            proofs=self.domain_proofs,
            mailboxes=self.mailboxes,
            strangers=StrangerCounts(self.store, self.registry),
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
            our_domains=self.configuration.our_domains,
            taxonomy=self.taxonomy,
            categories=self.categories,
        )

    # ---- running ----

    async def start(self) -> dict[str, str]:
        """Open the doors and begin to work; the bound addresses by name. May raise ``Failed``."""
        configuration = self.configuration
        addresses = {}
        try:
            if configuration.http.listen:
                addresses["http"] = await self._doors.open(
                    "http", HttpGateway(self._parts()), configuration.http.listen
                )
                if not configuration.public_url:
                    self.public_url = f"http://{addresses['http']}"
            certificate = certificate_of(configuration.tls)
            for name, gateway, listen in self._mail_gateways(certificate):
                if listen:
                    addresses[name] = await self._doors.open(name, gateway, listen)
            if configuration.admin.listen:
                operators = AdminHttpGateway(self._parts())
                addresses["admin"] = await self._doors.open(
                    "admin", operators, configuration.admin.listen
                )
            path = admin_socket(configuration)
            if path is not None:
                await open_socket(self._socket, path)
            await self.worker.start()
        except BaseException:
            await self.stop()
            raise
        log.info("started", **addresses)
        return addresses

    async def stop(self) -> None:
        """Close the doors, let those inside finish, and stop working."""
        log.info("stopping")
        await self._doors.close()
        await self._socket.stop()
        await self.worker.stop()
        log.info("stopped")

    def _mail_gateways(
        self, certificate: Certificate | None
    ) -> Iterator[tuple[str, SmtpGateway, str]]:
        """Each with its name, and where it listens; empty for nowhere."""
        configuration = self.configuration

        def gateway(**said: Any) -> SmtpGateway:
            return SmtpGateway(
                self.intake,
                hostname=configuration.hostname,
                domains=configuration.our_domains,
                section=configuration.smtp,
                clock=self.clock,
                metrics=self.metrics,
                certificate=certificate.context if certificate else None,
                **said,
            )

        keys, submission = self.submitters, configuration.submission
        yield "smtp", gateway(), configuration.smtp.listen
        yield "lmtp", gateway(lmtp=True), configuration.lmtp.listen
        yield "submission", gateway(keys=keys), submission.listen
        yield "submissions", gateway(keys=keys, tls=True), submission.listen_tls

    def _parts(self) -> Parts:
        return Parts(
            intake=self.intake,
            consumers=self.consumers,
            vendors=self.vendors,
            credentials=self.credentials,
            mailboxes=self.mailboxes,
            feed=self.feed,
            store=self.store,
            holds=self.holds,
            relations=self.relations,
            undo=self.undo,
            replay=self.replay,
            explanations=self.explanations,
            registry=self.registry,
            sentences=self.sentences,
            taxonomy=self.taxonomy,
            categories=self.categories,
            registration=self.registration,
            domain_proofs=self.domain_proofs,
            claims=self.claims,
            domains=self.domains,
            clock=self.clock,
            metrics=self.metrics,
            configuration=self.configuration,
            public_url=lambda: self.public_url,
        )

    @classmethod
    @asynccontextmanager
    async def open(
        cls, configuration: Configuration, *, clock: Clock | None = None
    ) -> AsyncIterator["App"]:
        """Open the store and wire everything; close the store at the end."""
        clock = clock or SystemClock()
        resolver = DnsResolver(configuration.dns.servers, timeout=configuration.dns.timeout)
        store = await _open_store(configuration.store.url, clock)
        try:
            app = cls(configuration, store=store, bodies=store, clock=clock, resolver=resolver)
            await app.categories.load()
            yield app
        finally:
            await store.close()
            await resolver.close()


async def _open_store(url: str, clock: Clock) -> SqliteStore | MemoryStore:
    scheme, _, rest = url.partition(":")
    if scheme == "memory":
        return MemoryStore(clock)
    return await SqliteStore.open(Path(rest), clock)


def _guess(configuration: Configuration) -> str:
    return f"http://{configuration.http.listen or configuration.hostname}"
