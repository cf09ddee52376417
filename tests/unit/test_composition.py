"""The attacks of tests/attacks: the whole proof, with names asked of a server of our own."""

import re
import tomllib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from letterbox.adapters.dns import DnsResolver
from letterbox.demo.dns import DnsServer
from letterbox.gateways.smtp.syntax import read_mailbox, read_path
from letterbox.identity import Domains, Prover
from letterbox.intake import Submission
from letterbox.model.address import Address
from letterbox.model.configuration import Configuration, IdentitySection
from letterbox.model.envelope import Client, Envelope
from letterbox.model.sender import Proven, Sender, Stranger
from letterbox.reading.header import Author, author
from letterbox.reading.mail import split
from tests.support.house import open_house
from tests.support.signing import Signer, Zone, craft, ed25519_record

TABLE = Path(__file__).parents[1] / "attacks" / "composition.toml"
PROVIDERS = (Path(__file__).parents[2] / "config" / "mailbox_providers.toml").read_bytes()
LEGIT = Signer(domain="legit.example")
HOST = "192.0.2.66"
MODE = "letterbox.example"
TRUST = IdentitySection(arc_sealers=("sealer.example",), trusted_results=("relay.example",))
RECORDS: dict[str, dict[str, list[str]]] = {
    **LEGIT.records,
    **Signer(domain="sealer.example").records,
    "exact._domainkey.legit.example": {"TXT": [LEGIT.record + "; t=s"]},
    "old._domainkey.legit.example": {"TXT": ["v=DKIM1; k=rsa; p="]},
    "legit.example": {"TXT": ["v=spf1 -all"], "A": ["192.0.2.1"]},
    "_dmarc.legit.example": {"TXT": ["v=DMARC1; p=reject"]},
    "odd.example": {"A": ["192.0.2.2"]},
    "attacker.example": {"TXT": [f"v=spf1 ip4:{HOST} -all"], "A": [HOST]},
    "any.attacker.example": {"TXT": [f"v=spf1 ip4:{HOST} -all"]},
    "legit.example.attacker.example": {"TXT": [f"v=spf1 ip4:{HOST} -all"]},
    "_dmarc.attacker.example": {"TXT": ["v=DMARC1; p=reject"]},
    "e1._domainkey.attacker.example": {"TXT": [ed25519_record()]},
    "e1._domainkey.example": {"TXT": [ed25519_record()]},
    "e1._domainkey.legit.example.attacker.example": {"TXT": [ed25519_record()]},
}


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One attack, or one honest mail."""

    id: str
    about: str
    header: tuple[str, ...]
    expect: str
    path: str = "any@attacker.example"
    helo: str = "mail.attacker.example"
    body: str = "Hello\r\n"
    sign: str = ""
    tags: dict[str, str] = {}
    above: tuple[str, ...] = ()
    below: str = ""
    swap: tuple[str, str] | None = None
    octets: bool = False

    def encoded(self, text: str) -> bytes:
        repeated = re.sub(r"\{(\d+)\*([^}]*)\}", lambda m: m[2] * int(m[1]), text)
        return repeated.encode("latin-1" if self.octets else "utf-8")

    @property
    def raw(self) -> bytes:
        """The message as it arrives."""
        others = [f"To: <anna@{MODE}>", "Subject: Hello", "Date: Mon, 23 Nov 2026 11:00:00 +0000"]
        others += [f"Message-ID: <{self.id}@attacker.example>", "Letterbox-Kind: offer"]
        lines = [self.encoded(line) + b"\r\n" for line in (*self.header, *others)]
        raw = b"".join(lines) + b"\r\n" + self.encoded(self.body)
        if self.sign:
            mine = {"d": "legit.example", "h": "from:to:subject:date:message-id:letterbox-kind"}
            if self.sign == "attacker":
                mine |= {"d": "attacker.example", "s": "e1"}
            kind = "rsa" if self.sign == "legit" else "ed25519"
            tags = {name: self.encoded(text).decode("latin-1") for name, text in self.tags.items()}
            raw = craft(raw, mine | tags, kind=kind)
        if self.swap:
            before, after = map(self.encoded, self.swap)
            assert raw.count(before) == 1
            raw = raw.replace(before, after)
        return (
            b"".join(self.encoded(line) + b"\r\n" for line in self.above)
            + raw
            + self.below.encode()
        )


CASES = [msgspec.convert(case, Case) for case in tomllib.loads(TABLE.read_text("utf-8"))["case"]]


def return_path(case: Case) -> Address | str | None:
    """What our SMTP makes of a return path; a text says that it is refused."""
    found = read_path(f"FROM:<{case.path}>", "FROM")
    if found is None:
        return "MAIL"
    path, _ = found
    return (read_mailbox(path) or "MAIL") if path else None


def envelope(case: Case, path: Address | None) -> Envelope:
    return Envelope(
        session="s",
        edge="smtp",
        client=Client(address=HOST, helo=case.helo),
        reverse_path=path,
        recipients=(Address(local="anna", domain="letterbox.example"),),
    )


@pytest.fixture
async def resolver() -> AsyncIterator[DnsResolver]:
    server = DnsServer(RECORDS)
    resolver = DnsResolver([await server.start()], timeout=2)
    yield resolver
    await resolver.close()
    await server.close()


async def prove(case: Case, resolver: Any) -> Sender | str:
    path = return_path(case)
    if isinstance(path, str):
        return path
    prover = Prover(resolver, Domains(PROVIDERS), "letterbox.example", TRUST)
    now = datetime.now(tz=UTC)
    return (await prover.prove(split(case.raw), envelope(case, path), now)).sender


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
async def test_nobody_is_proven_under_anothers_name(case: Case, resolver) -> None:
    sender = await prove(case, resolver)
    if case.expect == "MAIL":
        assert sender == "MAIL"
    elif case.expect in {"itself", "legit"}:
        assert isinstance(sender, Proven), sender
        domain = sender.domain
        home = "attacker.example" if case.expect == "itself" else "legit.example"
        assert domain == home or domain.endswith(f".{home}")
        seen = author(split(case.raw))
        assert isinstance(seen, Author)
        assert seen.address == sender.author
        assert sender.author.domain == domain
    else:
        assert isinstance(sender, Stranger), sender
        assert sender.why == case.expect
        assert not sender.signers or sender.domain != "legit.example"


@pytest.mark.parametrize(
    "policy", [["v=DMARC1; p=none"], []], ids=["asks-for-nothing", "no-record"]
)
async def test_nor_where_the_owner_asks_for_nothing(policy) -> None:
    """What is proven does not hang on what the owner asks to be done with the rest."""
    zone = Zone(RECORDS | {"_dmarc.legit.example": {"TXT": policy}})
    for case in CASES:
        sender = await prove(case, zone)
        proven = isinstance(sender, Proven)
        assert proven is (case.expect in {"itself", "legit"}), (case.id, sender)
        if isinstance(sender, Proven) and case.expect == "itself":
            assert sender.domain.endswith("attacker.example"), case.id


def test_the_cases_are_numbered_and_many() -> None:
    numbers = [case.id for case in CASES]
    assert len(set(numbers)) == len(numbers) >= 100
    assert {f"A{n}" for n in range(1, 19)} <= set(numbers)
    assert sum(case.expect == "legit" for case in CASES) >= 10


ALLOWS = """
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  domain = "legit.example"
  scope = "everything"
  accepts = ["service", "offer", "newsletter", "personal"]
"""


async def test_nor_by_a_key_of_the_attackers(resolver) -> None:
    """A vendor that shows its own key writes as nobody else, signed or not."""
    vendors = """
[[vendor]]
id = "attacker"
name = "Attacker"
domains = ["attacker.example"]
"""
    async with open_house(ALLOWS + vendors) as house:
        house.app.prover._resolver = resolver
        vendor = await house.app.vendors.get("attacker")
        for case in CASES:
            received = await house.send(
                case.raw,
                "anna@letterbox.example",
                edge="submission",
                submission=Submission(vendor=vendor),
            )
            told = received.outcomes[0].told
            wanted = "no-relationship" if case.expect == "itself" else "author-"
            assert told.reply == 550, (case.id, told.line)
            if case.id != "A2d":  # it says that it is the attacker, and is
                assert f" {wanted}" in told.line, (case.id, told.line)
        assert await house.inbox("anna") == []


async def test_none_of_them_comes_in_where_the_domain_is_allowed(resolver) -> None:
    """The same through the whole house: what is refused reads the same for an address of nobody."""
    configuration = Configuration(public_url="https://letterbox.example", identity=TRUST)
    async with open_house(ALLOWS, configuration=configuration) as house:
        house.app.prover._resolver = resolver
        house.clock.at = datetime.now(tz=UTC)
        honest = 0
        for case in CASES:
            path = return_path(case)
            if isinstance(path, str):
                continue
            told = []
            for to in ("anna@letterbox.example", "nobody@letterbox.example"):
                received = await house.send(
                    case.raw,
                    to,
                    sender=str(path) if path else None,
                    client=Client(address=HOST, helo=case.helo),
                )
                told.append(received.outcomes[0].told)
            honest += case.expect == "legit"
            assert (told[0].reply == 250) is (case.expect == "legit"), (case.id, told[0].line)
            if case.expect not in {"legit", "itself"}:
                known, unknown = (each.line.replace(each.reference, "REF") for each in told)
                assert known == unknown, case.id
                assert f"({case.expect})" in known, case.id
        assert len(await house.inbox("anna")) == honest
