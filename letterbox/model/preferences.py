"""What a consumer declares, as written in the people file and the API (SURFACE).

Field names are the public names. Decoding checks types and ranges; what needs a second look
(time zones, empty windows, unknown categories) is checked by :mod:`letterbox.wishes.check`.
"""

from datetime import date, datetime
from typing import Annotated, Final, Literal

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
#: How much of what tells a sender about its reader is taken out of a message before it is read.
Tracking = Literal["off", "careful", "strict"]
Reply = Literal["refuse", "report"]
Because = Literal["too-often", "not-relevant", "never-asked", "bad-experience", "other"]
DigestList = Literal["delivered", "waiting", "refused"]
About = Literal["service", "offer", "newsletter", "personal", "waiting"]
Shows = Literal["count", "company", "subject"]
Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
#: Where mail may go that is no address: nowhere on, or to the mailbox server of the operator's.
KEEP: Final = "keep"
MAILBOX: Final = "mailbox"


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


Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class Expecting(_Document, frozen=True):
    """Mail that is expected: from the instant ``from_`` until the instant ``until``.

    Exactly one of ``vendor`` and ``address`` is given. Of a ``vendor`` (id or domain) everything
    comes, whatever relationship there is. An ``address`` of the consumer's takes everything of
    whoever proves to be the first to use it, and is then theirs alone.
    """

    from_: Instant = msgspec.field(name="from")
    until: Instant
    vendor: Word | None = None
    address: Word | None = None

    @property
    def key(self) -> str:
        """Whom or what it is about."""
        return self.vendor or self.address or ""


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
    vendor finds each delivery in its feed as well. ``tracking`` stands in place of the
    consumer's own: "off" lets this vendor see what is opened.
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
    tracking: Tracking | None = None
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


#: What is handed on without what tells senders: what goes to the operator's mailbox server, where
#: no signature is looked at any more, all, or nothing.
CleanedOnward = Literal["mailbox", "everywhere", "nowhere"]


class OnwardRule(_Document, frozen=True):
    """Where delivered mail of some kinds goes on to; a copy stays in the letterbox.

    ``to`` is a confirmed mailbox of one's own elsewhere, ``mailbox`` the one that the operator
    keeps, ``keep`` none. No kinds: all that no other rule names.
    """

    to: Word
    kinds: tuple[Kind, ...] = ()


class BoundAddress(_Document, frozen=True):
    """An address of the consumer's; with ``vendor`` (id or domain) only that vendor may use it."""

    address: Word
    vendor: Word | None = None


class Digest(_Document, frozen=True):
    """A mail that sums up what happened since the one before, ``at`` these times of local days.

    No days: every day. ``lists`` are what it lists. It is sent only where there is something new.
    """

    at: Annotated[tuple[Clock, ...], msgspec.Meta(min_length=1, max_length=24)]
    days: tuple[Day, ...] = ()
    lists: Annotated[tuple[DigestList, ...], msgspec.Meta(min_length=1)] = (
        "delivered",
        "waiting",
        "refused",
    )


class Quiet(_Document, frozen=True):
    """When no notice is given, in local wall time. May pass midnight. No days: every day."""

    from_: Clock = msgspec.field(name="from")
    until: Clock
    days: tuple[Day, ...] = ()


class Notify(_Document, frozen=True):
    """Short notices to the consumer's channels, at most one in ``every_minutes``.

    ``about`` is what they are given of: mail that was delivered, by its kind, and mail that waits
    for an answer. ``shows`` is how much whoever carries them may read: how many messages, from
    which companies, or what about.
    """

    about: tuple[About, ...] = ("service", "personal", "waiting")
    shows: Shows = "count"
    quiet: Annotated[tuple[Quiet, ...], msgspec.Meta(max_length=50)] = ()
    every_minutes: Annotated[int, msgspec.Meta(ge=1, le=1440)] = 10


class Preferences(_Document, frozen=True):
    """All a consumer declares, as one document.

    ``tracking`` is what is taken out of messages before they are read: "off" nothing, "careful"
    what certainly tells the sender of its reader, "strict" whatever looks like it.

    ``mode`` "observe": what is proven comes in whatever the rest says of it, and what that would
    have stopped is written down with each decision (:func:`letterbox.decide.watched`).

    ``cleaned_onward`` says which of what is handed on is as ``tracking`` has it, not as it came.
    """

    addresses: tuple[str | BoundAddress, ...] = ()
    timezone: str = "UTC"
    language: Language = "en"
    mode: Mode = "filter"
    newcomers: Newcomers = "refuse"
    tracking: Tracking = "careful"
    ask_for_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 14
    pauses: tuple[Pause, ...] = ()
    exceptions: tuple[DayException, ...] = ()
    expecting: tuple[Expecting, ...] = ()
    limit: Limits | None = None
    digest: Digest | None = None
    notify: Notify | None = None
    interest: tuple[Interest, ...] = ()
    window: tuple[Window, ...] = ()
    vendor: tuple[VendorRule, ...] = ()
    onward: tuple[OnwardRule, ...] = ()
    cleaned_onward: CleanedOnward = "mailbox"

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
