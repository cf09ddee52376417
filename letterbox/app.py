"""The composition root: the only importer of adapters, where everything is wired, once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta, tzinfo
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from filters import ORDER
from letterbox.adapters.clock import SystemClock
from letterbox.adapters.dns import DnsResolver
from letterbox.adapters.memory import MemoryStore
from letterbox.adapters.sqlite import SqliteStore
from letterbox.configuration import shipped
from letterbox.delivery.forget import Forgetting
from letterbox.delivery.relay import Relay
from letterbox.delivery.release import Holds
from letterbox.delivery.worker import Worker
from letterbox.feedback.disclosure import Disclosure
from letterbox.feedback.sentences import Sentences
from letterbox.identity.domains import Domains
from letterbox.identity.prover import Prover
from letterbox.intake import Intake
from letterbox.intake.operator import OperatorMailbox
from letterbox.intake.settle import Settlement
from letterbox.intake.strangers import Strangers
from letterbox.judge import Judge
from letterbox.metrics import Metrics
from letterbox.model.configuration import Configuration
from letterbox.model.reason import read_phrases, read_registry
from letterbox.ports.clock import Clock
from letterbox.ports.resolver import Resolver
from letterbox.ports.store import Bodies, Store
from letterbox.reading.mail import Limits
from letterbox.records.consumers import Consumers
from letterbox.records.credentials import Credentials
from letterbox.records.feed import Feed
from letterbox.records.ledger import Ledger
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.rates import Rates
from letterbox.records.vendors import Vendors
from letterbox.wishes import read_taxonomy

log = structlog.get_logger("letterbox.app")


@lru_cache(maxsize=1024)
def zone_of(name: str) -> tzinfo | None:
    """A time zone of the IANA database; None for a name it has not."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


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
        self.sentences = Sentences(self.registry, read_phrases(reasons))
        self.taxonomy = read_taxonomy(shipped("taxonomy.toml"))
        self.limits = _limits(configuration)
        self._records()
        self._use_cases(resolver)

    def _records(self) -> None:
        configuration, retention = self.configuration, self.configuration.retention
        self.domains = Domains(shipped("mailbox_providers.toml"))
        self.consumers = Consumers(
            self.store,
            taxonomy=self.taxonomy,
            zone_of=zone_of,
            domains=configuration.our_domains,
        )
        self.vendors = Vendors(
            self.store,
            organization=self.domains.organizational,
            is_mailbox_provider=self.domains.is_mailbox_provider,
        )
        self.credentials = Credentials(self.store)
        self.mailboxes = Mailboxes(self.store, self.bodies)
        self.feed = Feed(self.store)
        self.ledger = Ledger(
            claims=timedelta(days=retention.claims),
            decisions=timedelta(days=retention.decisions),
            held=timedelta(days=retention.held),
        )

    def _use_cases(self, resolver: Resolver) -> None:
        configuration, retention = self.configuration, self.configuration.retention
        refused = timedelta(days=retention.refused)
        self.disclosure = Disclosure(self.registry, self.sentences, lambda: self.public_url)
        self.judge = Judge(
            store=self.store,
            consumers=self.consumers,
            vendors=self.vendors,
            disclosure=self.disclosure,
            filters=ORDER,
            taxonomy=self.taxonomy,
            probes_per_day=configuration.probes.per_day,
        )
        self.prover = Prover(resolver, self.domains, server=configuration.hostname)
        self.intake = Intake(
            store=self.store,
            clock=self.clock,
            prover=self.prover,
            settlement=Settlement(
                store=self.store,
                bodies=self.bodies,
                consumers=self.consumers,
                vendors=self.vendors,
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
                per_hour=configuration.limits.operator_messages_per_hour,
                retention=refused,
            ),
            disclosure=self.disclosure,
            metrics=self.metrics,
            rates=Rates(self.clock, configuration.limits.messages_per_vendor_second),
            hostname=configuration.hostname,
            limits=self.limits,
        )
        self.holds = Holds(
            store=self.store,
            clock=self.clock,
            consumers=self.consumers,
            mailboxes=self.mailboxes,
            judge=self.judge,
            ledger=self.ledger,
            metrics=self.metrics,
            limits=self.limits,
            longest=timedelta(days=retention.held),
        )
        self.worker = Worker(
            store=self.store,
            clock=self.clock,
            holds=self.holds,
            relay=Relay(store=self.store, clock=self.clock, metrics=self.metrics),
            forgetting=Forgetting(
                store=self.store,
                clock=self.clock,
                consumers=self.consumers,
                vendors=self.vendors,
                mailboxes=self.mailboxes,
                refused=refused,
                decisions=timedelta(days=retention.decisions),
                feedback=timedelta(days=retention.feedback),
            ),
        )

    @classmethod
    @asynccontextmanager
    async def open(
        cls, configuration: Configuration, *, clock: Clock | None = None
    ) -> AsyncIterator["App"]:
        """Open the store and wire everything; close the store at the end."""
        clock = clock or SystemClock()
        store = await _open_store(configuration.store.url, clock)
        dns = configuration.dns
        try:
            yield cls(
                configuration,
                store=store,
                bodies=store,
                clock=clock,
                resolver=DnsResolver(dns.servers, timeout=dns.timeout),
            )
        finally:
            await store.close()


async def _open_store(url: str, clock: Clock) -> SqliteStore | MemoryStore:
    scheme, _, rest = url.partition(":")
    if scheme == "memory":
        return MemoryStore(clock)
    return await SqliteStore.open(Path(rest), clock)


def _limits(configuration: Configuration) -> Limits:
    reading = configuration.reading
    return Limits(
        header_bytes=reading.header_bytes,
        header_fields=reading.header_fields,
        mime_depth=reading.mime_depth,
        mime_parts=reading.mime_parts,
        text_chars=reading.text_chars,
    )


def _guess(configuration: Configuration) -> str:
    return f"http://{configuration.http.listen or configuration.hostname}"
