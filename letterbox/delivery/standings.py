"""How a vendor stands with a consumer at one moment, and what it is told of that."""

from datetime import date, datetime
from typing import Final, NamedTuple

import msgspec

from letterbox.delivery.herald import Herald, Said, covering
from letterbox.feedback.disclosure import Hearing
from letterbox.model.preferences import Preferences, VendorRule
from letterbox.model.sender import VendorRef
from letterbox.model.told import EventType
from letterbox.model.vendor import Registered
from letterbox.model.verdict import Finding
from letterbox.model.wishes import Relationship, Wishes
from letterbox.ports.clock import Clock
from letterbox.records.consumers import Consumers, Stored

_NOTHING: Final = Preferences()


class Standing(NamedTuple):
    """How a vendor stands with a consumer at one moment; no rule where none is in force."""

    stored: Stored
    wishes: Wishes
    rule: VendorRule | None
    now: datetime

    @property
    def day(self) -> date:
        """The consumer's calendar day."""
        return self.wishes.times.local_date(self.now)

    @property
    def is_blocked(self) -> bool:
        """Whether the vendor is locked out."""
        return self.rule is not None and self.rule.standing == "blocked"


class Standings:
    """Looks up how vendors stand, always anew."""

    def __init__(self, *, clock: Clock, consumers: Consumers, herald: Herald) -> None:
        self._clock = clock
        self._consumers = consumers
        self._herald = herald

    async def of(self, consumer: str, vendor: Registered | None) -> Standing:
        """How a vendor stands with a consumer now."""
        stored = await self._consumers.stored(consumer) or Stored(_NOTHING, revision=0)
        core = msgspec.structs.replace(stored.preferences, interest=(), window=(), vendor=())
        wishes = self._consumers.compile(consumer, core, stored.revision)
        now = self._clock.now()
        rule = covering(stored, vendor, wishes.times.local_date(now)) if vendor else None
        return Standing(stored, wishes, rule, now)

    def said(
        self,
        consumer: str,
        vendor: VendorRef,
        standing: Standing,
        rule: VendorRule,
        finding: Finding,
        kind: EventType,
        recipient: str,
    ) -> Said | None:
        """An event for the vendor, as far as its level lets it; None where it may hear nothing."""
        hearing = Hearing(
            vendor=vendor,
            relationship=Relationship(rule=rule, quotas=()),
            newcomers=standing.wishes.newcomers,
            times=standing.wishes.times,
        )
        if hearing.level == "nothing":
            return None
        return self._herald.say(
            consumer, hearing, finding, kind, recipient=recipient, now=standing.now
        )
