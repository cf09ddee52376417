"""A vendor registers by itself, where the operator lets vendors do so."""

from datetime import timedelta
from typing import NamedTuple

import structlog

from letterbox.model.configuration import VendorsSection
from letterbox.model.network import place_of
from letterbox.model.vendor import DomainClaim, Registered
from letterbox.ports.clock import Clock
from letterbox.ports.store import Add, Commit, Operation, Rejected, Schedule, Store, Unschedule
from letterbox.records import places
from letterbox.records.claims import Claims, drop, new_claim, put
from letterbox.records.credentials import Credentials
from letterbox.records.vendors import Vendors
from letterbox.records.webhooks import WebhookRecords
from letterbox.wishes.skeleton import skeletons

_DAY = timedelta(days=1)
_KEY = "first key"

log = structlog.get_logger("letterbox.registration")


class Taken(Exception):
    """There is a vendor of that id or name already, or of one that is taken for it."""


class Full(Exception):
    """As many vendors as are taken in a day have registered today."""


class Application(NamedTuple):
    """What a vendor says of itself; domains folded and fit to be a vendor's."""

    id: str
    name: str
    domains: tuple[str, ...]


class Welcome(NamedTuple):
    """A vendor that has registered: its first key, shown once, and what it has to prove."""

    vendor: Registered
    key: str
    claims: tuple[DomainClaim, ...]


class Registration:
    """Takes vendors in, and forgets those that never proved anything."""

    def __init__(
        self,
        *,
        store: Store,
        vendors: Vendors,
        credentials: Credentials,
        claims: Claims,
        webhooks: WebhookRecords,
        clock: Clock,
        section: VendorsSection,
    ) -> None:
        self._store = store
        self._vendors = vendors
        self._credentials = credentials
        self._claims = claims
        self._webhooks = webhooks
        self._clock = clock
        self._section = section

    @property
    def is_open(self) -> bool:
        """Whether the operator lets vendors register by themselves."""
        return self._section.self_registration

    async def register(self, application: Application, client: str) -> Welcome:
        """Register a vendor that asks from the address ``client``. Raises Taken, Full."""
        # Counted first of all: else anybody could look for ids that are taken without end.
        await self._count(client)
        if await self._is_like_another(application):
            raise Taken
        now = self._clock.now()
        vendor = Registered(id=application.id, name=application.name, registered="self", at=now)
        claims = tuple(new_claim(domain, now) for domain in application.domains)
        ends = Schedule(key=places.UNPROVEN, at=now + timedelta(days=self._section.unproven_days))
        # Nobody's endpoints may be left of whoever had this id before, and was being forgotten.
        left = await self._webhooks.forgetting(vendor.id)
        if not await self._vendors.add(vendor, *map(put, claims), ends, *left):
            raise Taken
        key = await self._credentials.issue("key", vendor.id, now, label=_KEY)
        log.info("vendor-registered", vendor=vendor.id, client=client)
        return Welcome(vendor, key, claims)

    async def _is_like_another(self, application: Application) -> bool:
        """Whether somebody is registered under such an id or name, or one that looks like it."""
        if await self._vendors.get(application.id) is not None:
            return True
        asked = skeletons(application.id) | skeletons(application.name)
        return any(
            not asked.isdisjoint(skeletons(vendor.id) | skeletons(vendor.name))
            for vendor in (await self._vendors.directory()).values()
        )

    async def _count(self, client: str) -> None:
        """Count a registration. Raises Full past a bound of the day."""
        now, section = self._clock.now(), self._section
        bounds = (
            (places.registrations(now), section.registrations_per_day),
            (places.registrations(now, _place(client)), section.registrations_per_network_day),
        )
        adds = tuple(Add(counter=name, expires=now + _DAY, limit=limit) for name, limit in bounds)
        (result,) = await self._store.commit(Commit(places.DIRECTORY, adds))
        if isinstance(result, Rejected):
            whole = result.operation == adds[0]
            raise Full("here" if whole else "from your network")

    async def expire(self, name: str) -> None:
        """Forget a vendor that registered by itself and has no domain, as is due now."""
        also: list[Operation] = [drop(claim.domain) for claim in await self._claims.of(name)]
        also += await self._webhooks.forgetting(name)
        if await self._vendors.forget_nobody(name, also, self._revoke_all):
            log.info("vendor-forgotten", vendor=name)
        done = Unschedule(key=places.UNPROVEN, expect=False)
        await self._store.commit(Commit(places.vendor(name), (done,)))

    async def _revoke_all(self, name: str) -> None:
        for prefix in await self._credentials.prefixes("key", name):
            await self._credentials.revoke(prefix)


def _place(client: str) -> str:
    """What counts as one caller; all of whom nothing is known are one."""
    return str(place_of(client)) if client else "unknown"
