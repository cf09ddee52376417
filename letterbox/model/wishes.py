"""Preferences in their fast form, as :mod:`letterbox.wishes` compiles them."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Literal, Protocol

import msgspec

from letterbox.model.address import Address
from letterbox.model.interests import Interests
from letterbox.model.kind import Kind, kinds_named
from letterbox.model.preferences import (
    MAILBOX,
    About,
    CleanedOnward,
    Expecting,
    Newcomers,
    Per,
    Tracking,
    VendorRule,
)


class Period(msgspec.Struct, frozen=True):
    """A calendar period in the consumer's zone. ``ends`` is the first instant after it (UTC)."""

    key: str
    ends: datetime


class Opening(msgspec.Struct, frozen=True):
    """When mail of a kind may arrive: ``at`` is the least such instant (UTC), None for never.

    Never is: not as far ahead as is looked. ``again`` is then an instant to look from again, None
    where the calendar ends before it. ``outside`` says what the consumer wants with mail that
    comes too early. ``ruled``: windows, pauses or days apart speak of this mail.
    """

    at: datetime | None
    outside: Literal["hold", "refuse"] = "hold"
    ruled: bool = False
    again: datetime | None = None

    @property
    def waits_until(self) -> datetime | None:
        """Until when mail that comes too early is held; None where it is not to be."""
        return (self.at or self.again) if self.outside == "hold" else None


class Times(Protocol):
    """A consumer's calendar: zone, windows and pauses. Instants are aware."""

    def local_date(self, at: datetime) -> date:
        """The consumer's calendar day at an instant."""
        ...

    def local(self, at: datetime) -> datetime:
        """An instant in the consumer's zone."""
        ...

    def period(self, per: Per, at: datetime) -> Period:
        """The calendar day, week (from Monday) or month an instant lies in."""
        ...

    def opening(self, kind: Kind, at: datetime, known_as: frozenset[str] = frozenset()) -> Opening:
        """The least instant at or after ``at`` when ``kind`` may arrive; ``at`` when it may now.

        ``known_as`` are the names of the sender: windows and pauses may speak of some alone.
        """
        ...


class Quota(msgspec.Struct, frozen=True):
    """A compiled limit: at most ``messages`` a period of mail of ``kinds``.

    ``scope`` names what is counted, ``all`` or ``with/KEY`` for one relationship: part of the
    counter's name.
    """

    scope: str
    messages: int
    per: Per
    kinds: frozenset[Kind]

    def counter(self, period: Period) -> str:
        """Name of the counter for a period: a changed limit goes on counting where it was."""
        kinds = kinds_named(self.kinds)
        return f"usage/{self.scope}/{self.per}/{kinds}/{period.key}"


class Counted(msgspec.Struct, frozen=True):
    """A limit as it stands at one instant: what a delivery then counts towards.

    ``counter`` is to be added to, guarded by ``quota.messages``, and forgotten after ``ends``.
    """

    quota: Quota
    counter: str
    ends: datetime


class Relationship(msgspec.Struct, frozen=True):
    """A compiled relationship: the rule as declared, and what was worked out from it.

    ``since`` is when the consumer last declared or confirmed it; None where it is thought of
    just now. ``expected``: mail is expected of them just now, so that neither times nor limits
    stand in its way.
    """

    rule: VendorRule
    quotas: tuple[Quota, ...]
    since: datetime | None = None
    expected: bool = False

    @property
    def key(self) -> str:
        """The vendor id, domain or address it is about."""
        return self.rule.key

    def is_older_than(self, change: datetime | None) -> bool:
        """Whether it was declared before a change of whom it speaks of."""
        return change is not None and self.since is not None and self.since < change

    def in_force(self, day: date) -> bool:
        """Whether a local day lies within the days the relationship was given."""
        rule = self.rule
        return (rule.from_ is None or rule.from_ <= day) and (
            rule.until is None or day <= rule.until
        )


class Wishes(msgspec.Struct, frozen=True):
    """Everything one consumer declared. ``revision`` grows with every change."""

    consumer: str
    revision: int
    language: str
    newcomers: Newcomers
    ask_for_days: int
    times: Times
    quotas: tuple[Quota, ...]  # over all vendors
    interests: Interests
    vendors: Mapping[str, Relationship]
    domains: Mapping[str, Relationship]
    addresses: Mapping[str, Relationship]
    #: The consumer's own addresses, and the vendor each was given to, if to one alone.
    own: Mapping[str, str | None] = {}
    #: Mail that is expected: of whom, by every name as it is compared, or at which address.
    expecting: Mapping[str, Expecting] = {}
    #: What the consumer is given notice of; nothing rests on it.
    notified: frozenset[About] = frozenset()
    #: Where mail of a kind is handed on to; kinds that stay here are not among them.
    onward: Mapping[str, str] = {}
    cleaned_onward: CleanedOnward = "mailbox"
    tracking: Tracking = "careful"
    #: The consumer only watches: what these wishes would stop comes in.
    observes: bool = False

    def binding(self, recipient: Address) -> str | None:
        """The vendor a recipient address was given to; a subaddress may have its own."""
        exact = f"{recipient.local.lower()}@{recipient.domain}"
        return self.own[exact] if exact in self.own else self.own.get(str(recipient.mailbox))

    def cleans(self, to: str) -> bool:
        """Whether what is handed on there goes without what tells senders of its reader."""
        return self.cleaned_onward == "everywhere" or (
            self.cleaned_onward == "mailbox" and to == MAILBOX
        )

    def tracking_of(self, relationship: Relationship | None, at: datetime) -> Tracking:
        """What is taken out of a message before it is read, of a sender at the instant ``at``."""
        if relationship is not None and relationship.in_force(self.times.local_date(at)):
            return relationship.rule.tracking or self.tracking
        return self.tracking

    def counted(
        self, relationship: Relationship | None, kind: Kind, at: datetime
    ) -> tuple[Counted, ...]:
        """Every limit that a delivery of ``kind`` at the instant ``at`` counts towards.

        A relationship that is not in force that day limits nothing; what is expected counts
        towards none.
        """
        quotas = self.quotas
        if relationship is not None and relationship.expected:
            return ()
        if relationship is not None and relationship.in_force(self.times.local_date(at)):
            quotas = relationship.quotas + quotas
        counted = []
        for quota in quotas:
            if kind in quota.kinds:
                period = self.times.period(quota.per, at)
                counted.append(
                    Counted(quota=quota, counter=quota.counter(period), ends=period.ends)
                )
        return tuple(counted)
