"""What a consumer declares, as written in the people file and the API (SURFACE).

Field names are the public names. Decoding checks types and ranges; what needs a second look
(time zones, empty windows, unknown categories) is checked by :mod:`letterbox.wishes.check`.
"""

from datetime import date
from typing import Annotated, Literal

import msgspec

from letterbox.model.address import fold_domain, is_below
from letterbox.model.kind import Kind
from letterbox.model.money import Money

# Python's $ also matches before a last line end, which (?!\n) forbids; in the schema's own
# patterns (ECMA-262) it says nothing new.
Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$(?!\n)",
        description="1 to 63 lower-case letters, digits and . _ -, a letter or digit first",
    ),
]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Clock = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)|^24:00$(?!\n)",
        description='a time of day as text, such as "09:00"',
    ),
]
Region = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$(?!\n)",
        description='a country or region of ISO 3166, such as "NL" or "NL-NH"',
    ),
]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Per = Literal["day", "week", "month"]
Language = Literal["en", "nl"]
Newcomers = Literal["refuse", "ask", "interests"]
Mode = Literal["filter", "observe"]
Standing = Literal["allowed", "blocked", "ask"]
Tells = Literal["nothing", "class", "reason", "remedy"]
Reply = Literal["refuse", "report"]
Because = Literal["too-often", "not-relevant", "never-asked", "bad-experience", "other"]
Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Input: an unknown field is an error that names it."""


class Limit(_Document, frozen=True):
    """At most ``messages`` deliveries per calendar period. No kinds: all but service."""

    messages: Count
    per: Per
    kinds: tuple[Kind, ...] = ()


#: A limit, or several that all hold: two offers a week and one newsletter a month.
Limits = Limit | Annotated[tuple[Limit, ...], msgspec.Meta(max_length=10)]


class Pause(_Document, frozen=True):
    """Days, both inclusive, on which nothing but service mail is released.

    No kinds: all but service. ``vendors`` (ids or domains) limits it to theirs; none: all.
    """

    from_: date = msgspec.field(name="from")
    until: date
    kinds: tuple[Kind, ...] = ()
    vendors: tuple[Word, ...] = ()


class DayException(_Document, frozen=True):
    """Other times on one day: its windows, for what it speaks of, do not open that day.

    ``from_`` until ``until`` they may arrive instead; without these times not at all. It speaks
    of ``kinds`` (none: all but service) from ``vendors`` (ids or domains; none: all).
    """

    on: date
    from_: Clock | None = msgspec.field(name="from", default=None)
    until: Clock | None = None
    kinds: tuple[Kind, ...] = ()
    vendors: tuple[Word, ...] = ()
    outside: Literal["hold", "refuse"] = "hold"


class Keywords(_Document, frozen=True):
    """``any``: at least one; ``all``: every one; ``none``: not one of them."""

    any: tuple[Word, ...] = ()
    all: tuple[Word, ...] = ()
    none: tuple[Word, ...] = ()


class Interest(_Document, frozen=True):
    """Something wanted. It matches when everything it states holds; empty states nothing."""

    id: Name
    categories: tuple[Word, ...] = ()
    keywords: Keywords = Keywords()
    brands: tuple[Word, ...] = ()
    max_price: Money | None = None
    regions: tuple[Region, ...] = ()
    from_: date | None = msgspec.field(name="from", default=None)
    until: date | None = None
    vendors: tuple[Word, ...] = ()
    open_to: Literal["allowed", "anyone"] = "allowed"
    declared_only: bool = False


class Window(_Document, frozen=True):
    """When the named kinds may arrive, in local wall time. May pass midnight.

    No days: every day. No kinds: all but service. ``until`` may be ``24:00``. ``vendors`` (ids
    or domains) are those it speaks of; none: all.
    """

    from_: Clock = msgspec.field(name="from")
    until: Clock
    days: tuple[Day, ...] = ()
    kinds: tuple[Kind, ...] = ()
    vendors: tuple[Word, ...] = ()
    outside: Literal["hold", "refuse"] = "hold"
    id: Name | None = None


class Remedy(_Document, frozen=True):
    """What would repair a relationship, as the consumer puts it."""

    limit: Limit | None = None
    accepts: tuple[Kind, ...] = ()
    from_: date | None = msgspec.field(name="from", default=None)


def each_limit(limits: Limits | None) -> tuple[Limit, ...]:
    """Every limit of a field that may hold none, one or several."""
    if limits is None:
        return ()
    return (limits,) if isinstance(limits, Limit) else limits


class VendorRule(_Document, frozen=True):
    """One relationship. Exactly one of ``vendor``, ``domain``, ``address`` names the other side.

    ``via`` are signing domains, each with all below it, that may speak for the other side where
    its own domain does not: it writes by way of a platform. ``share_delivered``: a registered
    vendor finds each delivery in its feed as well.
    """

    vendor: Word | None = None
    domain: Word | None = None
    address: Word | None = None
    standing: Standing = "allowed"
    accepts: tuple[Kind, ...] = (Kind.SERVICE, Kind.OFFER, Kind.NEWSLETTER)
    scope: Literal["interests", "everything"] = "interests"
    limit: Limits | None = None
    service_limit: Limit | None = None
    when_unwanted: Literal["refuse", "file"] = "refuse"
    tells: Tells | None = None
    share_delivered: bool = False
    proof: Literal["any", "dkim"] = "any"
    via: tuple[Word, ...] = ()
    from_: date | None = msgspec.field(name="from", default=None)
    until: date | None = None
    basis: Word | None = None
    because: Because | None = None
    remedy: Remedy | None = None

    @property
    def key(self) -> str:
        """What the relationship is about, as one word: its identity within the document."""
        return self.vendor or self.domain or self.address or ""

    def repaired(self, today: date) -> "VendorRule":
        """A relationship that is blocked as it is once its remedy is accepted: its limits."""
        remedy = self.remedy or Remedy()
        days = {"from_": remedy.from_} if remedy.from_ and remedy.from_ > today else {}
        return msgspec.structs.replace(
            self,
            standing="allowed",
            because=None,
            remedy=None,
            limit=remedy.limit or self.limit,
            accepts=remedy.accepts or self.accepts,
            **days,
        )

    def lets_speak(self, signer: str) -> bool:
        """Whether a signing domain (folded) may speak for the other side."""
        ways = (fold_domain(way) for way in self.via)
        return any(is_below(signer, way) for way in ways if way)


class BoundAddress(_Document, frozen=True):
    """An address of the consumer's; with ``vendor`` (id or domain) only that vendor may use it."""

    address: Word
    vendor: Word | None = None


class Preferences(_Document, frozen=True):
    """All a consumer declares, as one document.

    ``mode`` "observe": what is proven comes in whatever the rest says of it, and what that would
    have stopped is written down with each decision (:func:`letterbox.decide.watched`).
    """

    addresses: tuple[str | BoundAddress, ...] = ()
    timezone: str = "UTC"
    language: Language = "en"
    mode: Mode = "filter"
    newcomers: Newcomers = "refuse"
    ask_for_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 14
    pauses: tuple[Pause, ...] = ()
    exceptions: tuple[DayException, ...] = ()
    limit: Limits | None = None
    interest: tuple[Interest, ...] = ()
    window: tuple[Window, ...] = ()
    vendor: tuple[VendorRule, ...] = ()

    @property
    def bound_addresses(self) -> tuple[BoundAddress, ...]:
        """Every address in its long form."""
        return tuple(
            BoundAddress(address=entry) if isinstance(entry, str) else entry
            for entry in self.addresses
        )


class Vendor(_Document, frozen=True):
    """A vendor in a people file. ``reply`` "report" answers reasons that are not final with a 250.

    ``messages_per_second`` stands in place of ``limits.messages_per_vendor_second``.
    """

    id: Name
    name: Word
    domains: tuple[Word, ...] = ()
    reply: Reply = "refuse"
    messages_per_second: Count | None = None

    @property
    def own_domains(self) -> tuple[str, ...]:
        """Its domains as they are compared."""
        return tuple(fold_domain(domain) or domain.lower() for domain in self.domains)


class Consumer(Preferences, frozen=True, kw_only=True):
    """A consumer in a people file: an id and the preferences."""

    id: Name


class People(_Document, frozen=True):
    """A people file."""

    vendor: tuple[Vendor, ...] = ()
    consumer: tuple[Consumer, ...] = ()
