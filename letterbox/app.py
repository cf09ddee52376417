"""The composition root, where adapters are imported and the broker gets its doors."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from letterbox.adapters.clock import SystemClock
from letterbox.adapters.dns import DnsResolver
from letterbox.adapters.mail import SmtpCourier
from letterbox.adapters.mailbox import LmtpCourier
from letterbox.adapters.memory import MemoryStore
from letterbox.adapters.next_hop import SmtpNextHop
from letterbox.adapters.objects import DirectoryObjects, S3Objects
from letterbox.adapters.redis import RedisStore
from letterbox.adapters.sqlite import Keeper, SqliteStore
from letterbox.adapters.web import HttpCourier
from letterbox.adapters.zones import zone_of, zones
from letterbox.certificate import certificate_of
from letterbox.configuration import admin_socket, own_rules
from letterbox.doors import COMMANDS, OUTLAST_SECONDS, Door, Doors, Sockets, open_socket
from letterbox.feedback.spoken import Spoken
from letterbox.gateways.admin import AdminGateway
from letterbox.gateways.http import AdminGateway as AdminHttpGateway
from letterbox.gateways.http import HttpGateway, Parts
from letterbox.gateways.smtp import SmtpGateway
from letterbox.misconfigured import bodies_place
from letterbox.model.configuration import BodiesSection, Configuration, StoreSection
from letterbox.model.network import is_public
from letterbox.model.role import Role
from letterbox.ports.clock import Clock
from letterbox.ports.courier import WebCourier
from letterbox.ports.objects import Objects
from letterbox.ports.resolver import Resolver
from letterbox.ports.store import Bodies, Store
from letterbox.records.bodies import OutsideBodies
from letterbox.registration import Keys
from letterbox.shipment import Shipment, unpack
from letterbox.web import Parts as PageParts
from letterbox.web import Room as Pages
from letterbox.wiring.broker import Broker, Outside

log = structlog.get_logger("letterbox.app")


AnyStore = SqliteStore | MemoryStore | RedisStore


class App(Broker):
    """Everything of one installation in one process, with the doors of its role."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        store: Store,
        bodies: Bodies,
        clock: Clock,
        resolver: Resolver,
        web: WebCourier | None = None,
        shipment: Shipment | None = None,
        role: Role = Role.ALL,
        keeper: Keeper | None = None,
    ) -> None:
        mail = SmtpCourier(
            resolver,
            hostname=configuration.hostname,
            relay=configuration.outbound.relay,
            seconds=configuration.outbound.timeout,
        )
        onward, section = configuration.onward, configuration.webhooks
        mailbox = (
            LmtpCourier(onward.lmtp, hostname=configuration.hostname, seconds=onward.timeout)
            if onward.lmtp
            else None
        )
        allowed = (lambda _: True) if section.allow_private_addresses else is_public
        # An endpoint is a vendor's, who has a key; an unsubscription leads where a mail says.
        subscriptions = web or HttpCourier(resolver, timeout=section.timeout, allowed=is_public)
        web = web or HttpCourier(resolver, timeout=section.timeout, allowed=allowed)
        self._next_hop = _next_hop(configuration)
        outside = Outside(
            store,
            bodies,
            clock,
            resolver,
            web,
            subscriptions,
            mail,
            mailbox,
            zone_of,
            zones,
            self._next_hop,
        )
        super().__init__(configuration, outside, shipment or unpack(own_rules(configuration)))
        self.keys = Keys(self.credentials, clock)
        self.spoken = Spoken(
            mailboxes=self.mailboxes,
            consumers=self.consumers,
            disclosure=self.disclosure,
            registry=self.registry,
        )
        self._role = role
        self._keeper = keeper
        self._doors = Doors()
        self._socket = AdminGateway(self.administration)

    async def start(self, sockets: Sockets | None = None) -> dict[str, str]:
        """Open the doors and begin to work; the bound addresses by name. May raise ``Failed``.

        ``sockets``: those this process was started with, of which it makes no more.
        """
        addresses = {}
        try:
            if self._keeper is not None:
                await self._keeper.start()
            gateways = self._gateways()
            for name, listen in self._role.doors(self.configuration).items():
                if not listen:
                    continue
                addresses[name] = await self._doors.open(name, gateways[name](), listen, sockets)
                if name == "http" and not self.configuration.public_url:
                    self.public_url = f"http://{addresses['http']}"
            await self._open_socket(sockets)
            if self._role.works:
                await self.worker.start()
        except BaseException:
            await self.stop()
            raise
        log.info("started", **addresses)
        return addresses

    async def stop(self, *, grace: float = 0.0) -> None:
        """Close the doors, let those inside finish, and stop working.

        ``grace``: so many seconds before that they go on as they would.
        """
        log.info("stopping")
        if self._keeper is not None:
            if not grace:
                await self._keeper.outlast(OUTLAST_SECONDS)
            # A successor cannot begin before we are gone: guests and operators come back to it.
            grace = 0.0
        await self._doors.close(grace=grace)
        await self._socket.stop()
        await self.worker.stop()
        if self._keeper is not None:
            await self._keeper.close()
        if self._next_hop is not None:
            self._next_hop.close()
        log.info("stopped")

    async def _open_socket(self, sockets: Sockets | None) -> None:
        """Listen to the command line, where that is this process's business."""
        path = admin_socket(self.configuration)
        if sockets is None and path is not None:
            await open_socket(self._socket, path)
        for given in (sockets or {}).get(COMMANDS, ()):
            await self._socket.start(given)

    def _gateways(self) -> dict[str, Callable[[], Door]]:
        """What makes the gateway of each door, by its name."""
        configuration = self.configuration
        certificate = certificate_of(configuration.tls, self.metrics)

        def mail(**said: Any) -> SmtpGateway:
            return SmtpGateway(
                self.intake,
                paths=self.prover,
                hostname=configuration.hostname,
                domains=configuration.our_domains,
                section=configuration.smtp,
                clock=self.clock,
                metrics=self.metrics,
                certificate=certificate.context if certificate else None,
                **said,
            )

        keys = self.submitters
        return {
            "http": lambda: HttpGateway(self._parts(), self.pages()),
            "smtp": mail,
            "lmtp": lambda: mail(lmtp=True),
            "submission": lambda: mail(keys=keys),
            "submissions": lambda: mail(keys=keys, tls=True),
            "filter": lambda: mail(between=True),
            "admin": lambda: AdminHttpGateway(self._parts()),
        }

    def _parts(self) -> Parts:
        return Parts(
            intake=self.intake,
            consumers=self.consumers,
            vendors=self.vendors,
            credentials=self.credentials,
            keys=self.keys,
            mailboxes=self.mailboxes,
            bodies=self.bodies,
            feed=self.feed,
            webhooks=self.webhooks,
            webhook_records=self.webhook_records,
            endpoints=self.endpoints,
            tallies=self.tallies,
            preflight=self.preflight,
            store=self.store,
            holds=self.holds,
            erasure=self.erasure,
            exporting=self.exporting,
            relations=self.relations,
            trackers=self.trackers,
            complaints=self.complaints,
            handing=self.handing,
            elsewhere=self.elsewhere,
            objecting=self.objecting,
            objections=self.objections,
            breaches=self.breaches,
            letters=self.letters,
            reconnecting=self.reconnecting,
            requests=self.requests,
            activity=self.activity,
            digests=self.digests,
            notifier=self.notifier,
            channels=self.channels,
            undo=self.undo,
            replay=self.replay,
            suggestions=self.suggestions,
            explanations=self.explanations,
            disclosure=self.disclosure,
            spoken=self.spoken,
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
            adoption=self.adoption,
            imports=self.imports,
            uploads=self.uploads,
            sieve=self.sieve,
            expectations=self.expectations,
            public_url=lambda: self.public_url,
        )

    def pages(self) -> Pages:
        """The pages of those who sign in, to be mounted at the HTTP door."""
        found = {name: getattr(self, name) for name in PageParts._fields if name != "public_url"}
        return Pages(PageParts(**found, public_url=lambda: self.public_url))

    @classmethod
    @asynccontextmanager
    async def open(
        cls, configuration: Configuration, *, clock: Clock | None = None, role: Role = Role.ALL
    ) -> AsyncIterator["App"]:
        """Open the store and wire everything; close the store at the end."""
        clock = clock or SystemClock()
        resolver = DnsResolver(configuration.dns.servers, timeout=configuration.dns.timeout)
        store = await _open_store(configuration.store, clock, role)
        keeper = None
        if role is Role.KEEPER and isinstance(store, SqliteStore):
            keeper = store.keeper()
        objects = _open_objects(configuration.bodies)
        try:
            app = cls(
                configuration,
                store=store,
                bodies=OutsideBodies(store, objects) if objects else store,
                clock=clock,
                resolver=resolver,
                role=role,
                keeper=keeper,
            )
            await app.categories.load()
            yield app
        finally:
            if objects is not None:
                await objects.close()
            await store.close()
            await resolver.close()


def _next_hop(configuration: Configuration) -> SmtpNextHop | None:
    """The mail server behind; None where there is none."""
    section = configuration.filter
    if not section.next_hop:
        return None
    return SmtpNextHop(
        section.next_hop,
        hostname=configuration.hostname,
        connections=section.connections,
        connect_seconds=section.connect_timeout,
        command_seconds=section.command_timeout,
        seconds=section.timeout,
    )


def _open_objects(section: BodiesSection) -> Objects | None:
    """Where bodies are kept outside the store; None where they are not. Asks nobody yet."""
    kind, place, prefix = bodies_place(section.url) or ("store", "", "")
    if kind == "dir":
        return DirectoryObjects(Path(place).absolute(), patience=section.patience)
    if kind == "s3":
        return S3Objects(
            place,
            prefix=prefix,
            endpoint=section.endpoint,
            region=section.region,
            patience=section.patience,
        )
    return None


async def _open_store(section: StoreSection, clock: Clock, role: Role) -> AnyStore:
    scheme, _, rest = section.url.partition(":")
    if scheme == "memory":
        return MemoryStore(clock)
    if scheme == "sqlite":
        if role is Role.SERVING:
            return await SqliteStore.join(Path(rest), clock)
        # A keeper that is stopped is started again: who wants the file has to stop its supervisor.
        owner = os.getppid() if role is Role.KEEPER else None
        return await SqliteStore.open(Path(rest), clock, owner=owner)
    return await RedisStore.open(
        section.url,
        clock,
        works=role.works,
        replicas=section.replicas,
        patience=section.patience,
        unsafe=section.unsafe,
    )
