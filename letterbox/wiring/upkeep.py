"""What is seen to day after day: what is past its time goes, domains are looked up again.

And those who leave: what they take along, and that all of theirs goes.
"""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Final

from letterbox.administration.export import Exporting
from letterbox.administration.leaving import LeavingCommands
from letterbox.delivery.erasure import Erasure
from letterbox.delivery.forget import Forgetting
from letterbox.delivery.release import Holds
from letterbox.delivery.strays import Strays
from letterbox.delivery.worker import Duty
from letterbox.model.configuration import RetentionSection
from letterbox.model.reason import Registry
from letterbox.ports.clock import Clock
from letterbox.ports.store import Bodies, Store
from letterbox.records import places
from letterbox.records.channels import Channels
from letterbox.records.consumers import Consumers
from letterbox.records.credentials import Credentials
from letterbox.records.elsewhere import Elsewhere
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.passkeys import Passkeys
from letterbox.records.sessions import Sessions
from letterbox.records.strangers import StrangerCounts
from letterbox.records.webhooks import WebhookRecords
from letterbox.registration import DomainProofs, Registration

#: How many domains are looked up at once: a name server may never answer.
_NAME_SERVERS: Final = 50


class Upkeep:
    """Those who see to it, wired, and the duties of theirs that come due."""

    def __init__(
        self,
        retention: RetentionSection,
        *,
        store: Store,
        bodies: Bodies,
        clock: Clock,
        mailboxes: Mailboxes,
        webhooks: WebhookRecords,
        credentials: Credentials,
        registration: Registration,
        proofs: DomainProofs,
        consumers: Consumers,
        sessions: Sessions,
        elsewhere: Elsewhere,
        holds: Holds,
        registry: Registry,
    ) -> None:
        self._registration = registration
        self._proofs = proofs
        self.forgetting = Forgetting(
            store=store,
            clock=clock,
            mailboxes=mailboxes,
            webhooks=webhooks,
            credentials=credentials,
            retention=retention,
        )
        self.erasure = Erasure(
            store=store,
            clock=clock,
            consumers=consumers,
            credentials=credentials,
            sessions=sessions,
            passkeys=Passkeys(store, clock),
            elsewhere=elsewhere,
            holds=holds,
            kept=timedelta(days=retention.decisions),
        )
        self.exporting = Exporting(
            store=store,
            clock=clock,
            consumers=consumers,
            mailboxes=mailboxes,
            credentials=credentials,
            sessions=sessions,
            channels=Channels(store),
            destinations=elsewhere.destinations,
            strangers=StrangerCounts(store, registry, days=retention.strangers),
        )
        self.leaving = LeavingCommands(self.exporting, self.erasure, consumers)
        self.strays = Strays(store=store, clock=clock, bodies=bodies)

    def duties(self) -> Iterator[Duty]:
        """What is our own work is done a bounded piece at a time."""
        forgetting = self.forgetting
        yield Duty("message", places.COLLECT, lambda name, _: forgetting.collect(name))
        yield Duty(places.DIRECTORY, places.SWEEP, lambda *_: forgetting.sweep())
        yield Duty(places.DIRECTORY, places.STRAYS, lambda *_: self.strays.sweep(), beside=1)
        yield Duty("consumer", places.ERASURE, lambda name, _: self.erasure.go_on(name))
        for room in ("consumer", "vendor", "domain"):
            yield Duty(room, places.BROKEN, partial(self._lay_off, room))
        yield Duty("vendor", places.UNPROVEN, lambda name, _: self._registration.expire(name))
        yield Duty(
            "domain",
            places.RECHECK,
            lambda name, _: self._proofs.recheck(name),
            beside=_NAME_SERVERS,
        )

    async def _lay_off(self, room: str, name: str, rest: str) -> None:
        await self.forgetting.lay_off(f"{room}/{name}", places.BROKEN + rest)
