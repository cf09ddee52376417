"""What helps a person to begin: old mail read and counted, and what it suggests adopted."""

from collections.abc import Iterator
from datetime import timedelta

from letterbox.administration.importing import ImportCommands
from letterbox.delivery.worker import Duty
from letterbox.identity.domains import Domains
from letterbox.model.configuration import Configuration
from letterbox.ports.clock import Clock
from letterbox.ports.store import Store
from letterbox.records import places
from letterbox.records.consumers import Consumers
from letterbox.records.imports import Imports
from letterbox.records.vendors import Vendors
from letterbox.shipment import reader_of_old_mail
from letterbox.starting import Adoption, Expectations, Sieve, Uploads


class Onboarding:
    """The helpers, wired, and the duties of theirs that come due."""

    def __init__(
        self,
        configuration: Configuration,
        store: Store,
        clock: Clock,
        consumers: Consumers,
        vendors: Vendors,
        domains: Domains,
    ) -> None:
        self.adoption = Adoption(
            consumers=consumers,
            vendors=vendors,
            organizational=domains.organizational,
            is_mailbox_provider=domains.is_mailbox_provider,
        )
        kept = timedelta(days=configuration.retention.imports)
        self.imports = Imports(store, clock, self.adoption.whose, kept=kept)
        self.sieve = Sieve(self.adoption)
        self.uploads = Uploads(
            self.imports,
            clock,
            make_reader=reader_of_old_mail,
            most=configuration.imports.max_size,
            at_once=configuration.imports.at_once,
        )
        self.expectations = Expectations(
            store=store, clock=clock, consumers=consumers, vendors=vendors
        )
        self.commands = ImportCommands(self.imports, self.adoption, self.sieve, consumers, clock)

    @property
    def parts(self) -> tuple[Adoption, Imports, Uploads, Sieve, Expectations]:
        """What pages and programs reach of it."""
        return self.adoption, self.imports, self.uploads, self.sieve, self.expectations

    def duties(self) -> Iterator[Duty]:
        """What was found is not kept for ever; who took an address is written down."""
        settle = self.expectations.settle
        yield Duty("consumer", places.IMPORT, lambda name, _: self.imports.expire(name))
        yield Duty("consumer", places.BINDING, settle)
