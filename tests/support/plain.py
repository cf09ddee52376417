"""Messages, wishes and cases for tests, straight from data."""

import tomllib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from filters import ORDER
from letterbox.configuration import shipped
from letterbox.identity import Domains
from letterbox.model.address import Address, parse_address
from letterbox.model.case import Case, Filter
from letterbox.model.interests import Interests
from letterbox.model.kind import Kind
from letterbox.model.message import Addressees, Categories, Offer, Origin
from letterbox.model.preferences import Preferences
from letterbox.model.sender import How, Proven, VendorRef, domains_of
from letterbox.model.wishes import Wishes
from letterbox.reading.facts import Reader
from letterbox.reading.mail import DEFAULT_LIMITS, Limits
from letterbox.reading.words import TextWords
from letterbox.shipment import Shipment, unpack
from letterbox.wishes import Mistake, Taxonomy, check, compile_wishes, lookup

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases"
#: What may lie beside the time zones on a machine.
NO_ZONES = (
    "localtime",
    "posixrules",
    "Factory",
    "posix/Europe/Amsterdam",
    "right/Europe/Amsterdam",
    "europe/amsterdam",
    "../zoneinfo/UTC",
)
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)  # a Monday, 11:00 in Amsterdam


class PlainMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The facts of a message, said outright."""

    kind: Kind = Kind.OFFER
    kind_origin: Origin = "declared"
    author_name: str = ""
    addressees: Addressees = Addressees()
    subject: str = "Hello"
    text: str = ""
    categories: Categories = Categories()
    offers: tuple[Offer, ...] = ()

    @property
    def words(self) -> TextWords:
        return TextWords(f"{self.subject}\n{self.text}")


class PlainSender(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who sends; greenleaf, registered and signed, unless something else is said."""

    vendor: str = "greenleaf"
    name: str = "Greenleaf Garden"
    domain: str = "greenleaf.example"
    author: str = "shop@greenleaf.example"
    how: How = "dkim"
    by: str = ""
    registered: bool = True
    domains: tuple[str, ...] = ()


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to come out. ``facts`` and ``findings`` name a part of what is found."""

    verdict: str
    reason: str | None = None
    #: What the rules say, where the consumer only watches.
    would: str | None = None
    until: datetime | None = None
    matched: tuple[str, ...] | None = None
    facts: dict[str, Any] = {}
    findings: dict[str, str] = {}


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One case of a table in ``tests/cases``; ``wishes`` is laid over the table's base."""

    name: str
    expect: Expected
    wishes: dict[str, Any] = {}
    message: PlainMessage = PlainMessage()
    sender: PlainSender = PlainSender()
    to: str = "anna@letterbox.example"
    now: datetime = NOW
    binding: str | None = None
    usage: dict[str, int] = {}
    answered: bool = False
    asked_by: datetime | None = None
    #: The name of a rule that raises: with that the whole decision is put off.
    breaks: str | None = None


def rows() -> list[tuple[str, Row, Preferences]]:
    """Every case: its full name, the case, and the preferences it is decided under."""
    found = []
    for path in sorted(CASES.glob("*.toml")):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        base = table["base"]
        for entry in table["case"]:
            row = msgspec.convert(entry, Row)
            preferences = msgspec.convert({**base, **row.wishes}, Preferences)
            found.append((f"{path.stem}: {row.name}", row, preferences))
    return found


@cache
def shipment() -> Shipment:
    """What the program comes with, read once for all tests: nothing changes it."""
    return unpack()


def taxonomy() -> Taxonomy:
    return shipment().taxonomy


@cache
def reader(limits: Limits = DEFAULT_LIMITS) -> Reader:
    """Reads as the broker does, with the tables it ships."""
    return Reader(limits, taxonomy(), tables=shipment().tables)


def zone_of(name: str) -> ZoneInfo | None:
    return ZoneInfo(name) if name in available_timezones() else None


@cache
def domains() -> Domains:
    return Domains(shipped("mailbox_providers.toml"))


def mistakes(preferences: Preferences) -> tuple[Mistake, ...]:
    return check(
        preferences,
        zone_of=zone_of,
        zones=available_timezones,
        taxonomy=taxonomy(),
        domains=domains(),
    )


def wishes_of(preferences: Preferences) -> Wishes:
    zone = ZoneInfo(preferences.timezone)
    return compile_wishes("anna", 7, preferences, zone=zone, taxonomy=taxonomy())


def scanned(wishes: Wishes) -> Wishes:
    """The same wishes with every interest looked at for every message: a plain scan."""
    each = wishes.interests.each
    plain = Interests(each=each, by_id=wishes.interests.by_id, always=tuple(range(len(each))))
    return msgspec.structs.replace(wishes, interests=plain)


def wishes_from(**declared: Any) -> Wishes:
    """Wishes from preferences in the words of the people file."""
    return wishes_of(
        msgspec.convert({"addresses": ["anna@letterbox.example"], **declared}, Preferences)
    )


def rules_of(row: Row) -> list[Filter]:
    """The rules, the one broken that a row says breaks."""

    def raises(case: Case) -> NoReturn:
        raise ZeroDivisionError(f"{row.breaks} fell over {case.vendor.id}")

    return [
        Filter(name=rule.name, apply=raises) if rule.name == row.breaks else rule for rule in ORDER
    ]


def case_of(row: Row, wishes: Wishes) -> Case:
    """The case a row describes, its relationship looked up as the broker does."""
    sender = row.sender
    author, recipient = address(sender.author), address(row.to)
    vendor = VendorRef(
        id=sender.vendor, name=sender.name, registered=sender.registered, domains=sender.domains
    )
    return Case(
        recipient=recipient,
        sender=Proven(domain=sender.domain, how=sender.how, author=author, by=sender.by),
        vendor=vendor,
        message=row.message,
        wishes=wishes,
        relationship=lookup(wishes, vendor, domains_of(sender, vendor), author),
        now=row.now,
        binding=row.binding,
        usage=row.usage,
        answered=row.answered,
        asked_by=row.asked_by,
    )


def address(text: str) -> Address:
    parsed = parse_address(text)
    assert parsed is not None, text
    return parsed
