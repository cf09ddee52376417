"""The tables of ``tests/cases/proof``, read, and a house to try them on."""

import base64
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from letterbox.adapters.clock import SystemClock
from letterbox.adapters.memory import MemoryStore
from letterbox.app import App
from letterbox.gateways.smtp import SmtpGateway
from letterbox.model.configuration import Configuration
from letterbox.ports.resolver import Resolver
from tests.support.clock import FakeClock
from tests.support.house import House
from tests.support.nameserver import Mode
from tests.support.plain import CASES, shipment
from tests.support.signing import Signer, Zone, craft, rsa_key
from tests.support.wire import greeted

_TABLES = CASES / "proof"


class DmarcCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of ``dmarc.toml``, which says what its keys mean."""

    name: str
    section: str
    author: str
    home: str
    wish: str = ""
    records: dict[str, tuple[str, ...]] = {}
    there: tuple[str, ...] = ()
    dkim: tuple[str, ...] = ()
    spf: tuple[str, ...] = ()
    not_dkim: tuple[str, ...] = ()
    not_spf: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()


@cache
def dmarc_cases() -> list[DmarcCase]:
    return msgspec.convert(_table("dmarc")["case"], list[DmarcCase])


def _table(name: str) -> dict[str, object]:
    return tomllib.loads((_TABLES / f"{name}.toml").read_text(encoding="utf-8"))


# ---- composition.toml -------------------------------------------------------------------------

LEGIT, ATTACKER = "127.0.0.2", "127.0.0.3"  # loopback, so that the wire can come from them
_BITS = {"legit": 2048, "attacker": 1024}  # two keys: nobody signs with another's
_WIDE = "\r\n ".join([" " * 900] * 23)


class Attack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"author": "from"}):
    """One row of ``composition.toml``, which says what its keys mean."""

    id: str
    name: str = ""
    expect: str = ""
    author: str = ""
    header: tuple[str, ...] = ()
    body: str = "All is half off.\r\n"
    helo: str = "attacker.example"
    path: str = "any@attacker.example"
    host: str = "attacker"
    sign: tuple[dict[str, str | int], ...] = ({"by": "attacker"},)
    top: tuple[str, ...] = ()
    swap: tuple[tuple[str, str], ...] = ()
    append: str = ""

    @property
    def proven(self) -> bool:
        """Whether somebody is proven: ``expect`` is a domain then."""
        return "." in self.expect

    @property
    def honest(self) -> bool:
        return self.expect == "legit.example"

    @property
    def address(self) -> str:
        """Where the client is."""
        return {"legit": LEGIT, "attacker": ATTACKER}[self.host]

    def mail(self) -> bytes:
        """The whole message, signed and tampered with."""
        lines = self.header or (
            f"From: {self.author.replace('{wide}', _WIDE)}",
            "To: <anna@letterbox.example>",
            "Subject: Sale",
            f"Message-ID: <{self.id}@mail.example>",
        )
        raw = "".join(f"{line}\r\n" for line in (*lines, "")).encode() + self.body.encode()
        for options in self.sign:
            raw = _signed(raw, options)
        raw = "".join(f"{line}\r\n" for line in self.top).encode() + raw
        for old, new in self.swap:
            assert old.encode() in raw, old
            raw = raw.replace(old.encode(), new.encode(), 1)
        return raw + self.append.encode()


class Failure(Attack, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of ``unproven.toml``, which says what its keys mean."""

    reason: str
    detail: str
    trouble: dict[str, Mode] = {}


@cache
def failures() -> list[Failure]:
    return msgspec.convert(_table("unproven")["case"], list[Failure])


@cache
def attacks() -> list[Attack]:
    return msgspec.convert(_table("composition")["case"], list[Attack])


def _signed(raw: bytes, options: dict[str, str | int]) -> bytes:
    by = str(options["by"])
    tags = {tag: str(value) for tag, value in options.items() if tag not in ("by", "times")}
    signed = craft(raw, {"d": f"{by}.example"} | tags, bits=_BITS[by])
    return signed.removesuffix(raw) * int(options.get("times", 1)) + raw


def key_of(who: str) -> str:
    """The key record of ``legit`` or ``attacker``."""
    return Signer(domain=f"{who}.example", bits=_BITS[who]).record


def _short_key() -> str:
    """A key of 768 bits, which RFC 8301 forbids; libraries make none so short any more."""
    large = rsa_key(2048).public_key().public_numbers()
    small = rsa.RSAPublicNumbers(e=large.e, n=(large.n >> 1280) | 1).public_key()
    der = small.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def landscape() -> dict[str, dict[str, list[str]]]:
    """What the DNS holds: a victim that did all it could, and an attacker that owns its names."""
    theirs = [f"v=spf1 ip4:{ATTACKER} -all", key_of("attacker")]
    return {
        "legit.example": {"TXT": [f"v=spf1 ip4:{LEGIT} -all"]},
        "s1._domainkey.legit.example": {"TXT": [key_of("legit")]},
        "s1._domainkey.news.legit.example": {"TXT": [key_of("legit")]},
        "_dmarc.legit.example": {"TXT": ["v=DMARC1; p=reject"]},
        "_dmarc.mild.example": {"TXT": ["v=DMARC1; p=none; np=reject"]},
        "_dmarc.lax.example": {"TXT": ["v=DMARC1; p=reject; sp=none; np=none"]},
        "bare.example": {"TXT": ["v=spf1 -all"]},
        "attacker.example": {"TXT": theirs},
        "_dmarc.attacker.example": {"TXT": ["v=DMARC1; p=reject"]},
        "*.attacker.example": {"TXT": theirs},
        # The attacker owns names beside the victim, too.
        "s1._domainkey.example": {"TXT": theirs},
    } | _mishaps()


def _mishaps() -> dict[str, dict[str, list[str]]]:
    """Domains of the victim's with something wrong about each."""
    texts = {
        "plain.example": f"v=spf1 ip4:{LEGIT} -all",
        "bounce.plain.example": f"v=spf1 ip4:{LEGIT} -all",
        "s1._domainkey.plain.example": key_of("legit"),
        "revoked._domainkey.plain.example": "v=DKIM1; p=",
        "short._domainkey.plain.example": f"v=DKIM1; p={_short_key()}",
        "soft.example": "v=spf1 ~all",
        "neutral.example": "v=spf1 ?all",
        "broken.example": "v=spf1 nonsense",
        "many.example": "v=spf1 " + "include:soft.example " * 11 + "-all",
        "void.example": "v=spf1 a:1.void.example a:2.void.example a:3.void.example -all",
        "joined.example": "v=spf1 include:included.example -all",
        "news.strict.example": f"v=spf1 ip4:{LEGIT} -all",
        "s1._domainkey.news.strict.example": key_of("legit"),
        "_dmarc.strict.example": "v=DMARC1; p=none; adkim=s; aspf=s",
        "_dmarc.quarantine.example": "v=DMARC1; p=quarantine",
    }
    twice = {"twice.example": {"TXT": ["v=spf1 -all", "v=spf1 ~all"]}}
    return twice | {name: {"TXT": [text]} for name, text in texts.items()}


# ---- a whole house on the wire ----------------------------------------------------------------

#: anna takes all that legit.example sends, ben nothing of it; nobody else is here.
PEOPLE = """
[[vendor]]
id = "legit"
name = "Legit"
domains = [
  "legit.example", "plain.example", "soft.example", "neutral.example", "broken.example",
  "twice.example", "many.example", "void.example", "joined.example", "strict.example",
  "quarantine.example",
]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  vendor = "legit"
  accepts = ["service", "offer", "newsletter", "personal"]

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
"""


class Mailroom:
    """A house whose SMTP gateway listens on loopback and asks a real resolver."""

    def __init__(self, house: House, address: str) -> None:
        self.house = house
        self.address = address

    async def send(
        self,
        content: bytes,
        *recipients: str,
        path: str = "",
        helo: str = "attacker.example",
        source: str = ATTACKER,
    ) -> list[str]:
        """Say it all to the end, or to the first refusal; the replies from MAIL on."""
        self.house.clock.advance(minutes=1)  # nobody is in a hurry
        async with greeted(self.address, source) as wire:
            assert (await wire.say(f"EHLO {helo}")).startswith("250")
            commands = [f"MAIL FROM:<{path}>", *(f"RCPT TO:<{to}>" for to in recipients), "DATA"]
            replies = []
            for command in commands:
                replies.append(await wire.say(command))
                if replies[-1].startswith("5"):
                    return replies
            stuffed = content.replace(b"\r\n.", b"\r\n..")
            await wire.send(stuffed + b".\r\n")
            replies.append(await wire.reply())
            return replies


@asynccontextmanager
async def mailroom(resolver: Resolver) -> AsyncIterator[Mailroom]:
    """Open a house on the wire, with the people of ``PEOPLE``."""
    clock = FakeClock()
    store = MemoryStore(clock)
    configuration = Configuration(public_url="https://letterbox.example")
    app = App(
        configuration,
        store=store,
        bodies=store,
        clock=clock,
        resolver=resolver,
        shipment=shipment(),
    )
    house = House(app, clock, Zone({}))
    await house.people(PEOPLE)
    gateway = SmtpGateway(
        app.intake,
        paths=app.prover,
        hostname=configuration.hostname,
        domains=configuration.our_domains,
        section=configuration.smtp,
        clock=SystemClock(),
        metrics=app.metrics,
        lmtp=False,
    )
    try:
        yield Mailroom(house, await gateway.start("127.0.0.1:0"))
    finally:
        await gateway.close()
        await store.close()
