"""Everything one decision rests on."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Literal

import msgspec
from propcache.api import cached_property

from letterbox.model.address import Address, fold_domain, is_below
from letterbox.model.flag import Flag, resembled
from letterbox.model.message import Message
from letterbox.model.sender import Proven, VendorRef, known_as
from letterbox.model.verdict import Decision, Finding
from letterbox.model.wishes import Opening, Relationship, Wishes

__all__ = ["Case", "Decision", "Filter", "Finding", "Footing"]

#: How a vendor stands with a consumer today: a standing, or no relationship in force.
Footing = Literal["allowed", "blocked", "ask", "newcomer"]


class Case(msgspec.Struct, frozen=True, dict=True):
    """One message for one recipient. ``now`` is aware, in UTC.

    ``relationship`` is the one that covers this sender, or None for a newcomer. ``binding`` is
    the vendor (id or domain) this recipient address was given to, if any. ``usage`` holds what
    has been counted so far, by counter name. ``answered`` is true when the consumer has said
    yes to this very message.
    """

    recipient: Address
    sender: Proven
    vendor: VendorRef
    message: Message
    wishes: Wishes
    relationship: Relationship | None
    now: datetime
    binding: str | None = None
    usage: Mapping[str, int] = {}
    answered: bool = False
    #: By when the consumer may answer, where that was set when the message came (UTC).
    asked_by: datetime | None = None
    #: What was observed beside: whom the sender looks like, and the like.
    flags: tuple[Flag, ...] = ()

    # Worked out once, when the first filter asks.

    @cached_property
    def today(self) -> date:
        """The consumer's calendar day."""
        return self.wishes.times.local_date(self.now)

    @cached_property
    def known_as(self) -> frozenset[str]:
        """Every name by which what is declared may mean this sender: id, and folded domains."""
        return known_as(self.sender, self.vendor)

    @cached_property
    def footing(self) -> Footing:
        """The standing of the relationship; a newcomer's outside the days it is in force.

        One that is suspended asks, as if the consumer had never said yes.
        """
        if self.relationship is None or not self.relationship.in_force(self.today):
            return "newcomer"
        standing = self.relationship.rule.standing
        return "ask" if standing == "allowed" and self.suspended else standing

    @property
    def suspended(self) -> bool:
        """Whether the sender's domain has changed hands since the relationship was declared."""
        return self.relationship is not None and self.changed_hands is not None

    @cached_property
    def changed_hands(self) -> tuple[str, datetime] | None:
        """The domain that has changed hands since the relationship was declared, and when.

        By a key it is the domain that the relationship speaks of.
        """
        related, vendor = self.relationship, self.vendor
        if related is None:
            return None
        if vendor.changed is not None and related.is_older_than(vendor.changed):
            return self.sender.domain, vendor.changed
        spoken = fold_domain(related.rule.domain or "")
        for domain, changed in vendor.changes:
            if spoken and is_below(domain, spoken) and related.is_older_than(changed):
                return domain, changed
        return None

    @cached_property
    def resembles(self) -> str | None:
        """The vendor of the consumer's that the sender looks like and is not, by name."""
        return resembled(self.flags)

    @cached_property
    def opening(self) -> Opening:
        """When a message of this kind from this sender may arrive; ``now`` when it may now."""
        return self.wishes.times.opening(self.message.kind, self.now, self.known_as)


class Filter(msgspec.Struct, frozen=True):
    """One rule: a name that appears in findings, and a pure function of the case."""

    name: str
    apply: Callable[[Case], Finding]
