"""What proving costs at worst: work is counted, not timed."""

import asyncio
import base64
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from letterbox.identity import Domains, Proof, Prover, canon, spf
from letterbox.identity.canon import Signable, canonical_body
from letterbox.identity.dkim import DkimVerifier, Verified, read_signature
from letterbox.identity.dkim_key import BadKey, Key, read_key
from letterbox.identity.spf import SpfRecords
from letterbox.identity.spf_record import BadRecord
from letterbox.model.address import Address
from letterbox.model.envelope import Client, Envelope
from letterbox.model.sender import Proven, Stranger
from letterbox.ports.resolver import Answer, RecordType
from letterbox.reading.mail import Limits, split
from tests.support.house import mail, open_house, signed
from tests.support.signing import NOW, Signer, Zone, craft

DOMAINS = Domains((Path(__file__).parents[2] / "config" / "mailbox_providers.toml").read_bytes())
HUGE = Limits(header_bytes=4 * 1024 * 1024, header_fields=10_000)
GREEN = Signer(domain="greenleaf.example")
SPF = {"greenleaf.example": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}}
LETTER = b"From: shop@greenleaf.example\r\nTo: anna@letterbox.example\r\nSubject: x\r\n\r\nx\r\n"
ENVELOPE = Envelope(
    session="s1",
    edge="smtp",
    client=Client(address="192.0.2.1", helo="mta.greenleaf.example"),
    reverse_path=Address(local="b", domain="greenleaf.example"),
    recipients=(Address(local="anna", domain="letterbox.example"),),
)


def field(number: int, content: bytes = LETTER, **tags: str) -> bytes:
    """A signature that fits, of the domain and selector that the tags say."""
    return craft(content, {"s": f"s{number}"} | tags).removesuffix(content)


async def prove(raw: bytes, resolver: Any) -> Proof:
    prover = Prover(resolver, DOMAINS, server="mx.letterbox.example")
    return await prover.prove(split(raw, HUGE), ENVELOPE, NOW)


async def verify(raw: bytes, zone: Zone) -> Verified:
    whole = split(raw, HUGE)
    found = whole.first("dkim-signature")
    assert found
    return await DkimVerifier().verify(zone, Signable(whole), read_signature(found), NOW)


class Counted:
    """Counts the calls of what stands under a name, and keeps the threads they came on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.threads: list[int] = []
        real: Callable[..., Any] = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.threads.append(threading.get_ident())
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    def __len__(self) -> int:
        return len(self.threads)


@pytest.mark.parametrize("domain", ["greenleaf.example", "platform.example"])
async def test_of_a_hundred_signatures_five_are_verified(monkeypatch, domain) -> None:
    """The same key under a hundred selectors; changed text, so that none of them fits."""
    selectors = {f"s{n}._domainkey.{domain}": {"TXT": [GREEN.record]} for n in range(100)}
    raw = b"".join(field(n, d=domain) for n in range(100)) + LETTER.replace(b": x", b": y")
    verified = Counted(monkeypatch, Key, "verify")
    bodies = Counted(monkeypatch, canon, "canonical_body")
    zone = Zone(selectors)
    assert isinstance((await prove(raw, zone)).sender, Stranger)
    assert len(verified) == 5
    assert len(bodies) == 1
    assert len([name for name, _ in zone.asked if "_domainkey" in name]) == 5


async def test_one_body_in_two_forms_is_worked_over_twice(monkeypatch) -> None:
    forms = ["relaxed/simple", "relaxed/relaxed", "simple/simple", "simple/relaxed"]
    other = Signer(domain="platform.example")
    raw = b"".join(other.field(LETTER, form, include_headers=[b"from"]) for form in forms) + LETTER
    bodies = Counted(monkeypatch, canon, "canonical_body")
    await prove(raw, Zone(SPF | other.records))
    assert len(bodies) == 2


async def test_a_large_body_is_worked_over_once_and_beside_the_loop(monkeypatch) -> None:
    large = LETTER + b"a  \t b \r\n" * 100_000
    raw = b"".join(field(n, large, d="platform.example") for n in range(5)) + large
    bodies = Counted(monkeypatch, canon, "canonical_body")
    await prove(raw, Zone(SPF))
    assert len(bodies) == 1
    assert bodies.threads != [threading.get_ident()]


async def test_a_body_of_usual_size_takes_no_thread(monkeypatch) -> None:
    usual = LETTER + b"a  \t b \r\n" * 10_000
    raw = field(1, usual) + usual
    bodies = Counted(monkeypatch, canon, "canonical_body")
    assert isinstance((await prove(raw, Zone(SPF))).sender, Proven)
    assert bodies.threads == [threading.get_ident()]


@pytest.mark.parametrize("unit", [b"a  ", b"a\t \r\n", b"\r\n ", b"  \r", b"\r\n", b"a"])
@pytest.mark.parametrize("form", ["relaxed", "simple"])
def test_a_body_of_blanks_is_held_in_pieces(unit, form) -> None:
    body = unit * (1024 * 1024 // len(unit)) + b"x"
    pieces = list(canonical_body(form, body, size=4096))
    assert len(pieces) < 1024
    # Line ends at the end are held back as a number, and given at once where text follows.
    assert all(len(piece) <= 4096 or not piece.strip(b"\r\n") for piece in pieces)


async def test_a_header_full_of_signed_fields_is_formed_once(
    monkeypatch,
) -> None:
    names = [f"x-{n}" for n in range(990)]
    content = "".join(f"{name}: a  b\r\n" for name in names).encode() + LETTER
    raw = field(1, content, h=":".join(["from", *names])) + content
    formed = Counted(monkeypatch, canon, "relaxed_field")
    result = await verify(raw, Zone(GREEN.records))
    assert result.status == "pass"
    assert len(formed) == 991  # and its own field, which is formed elsewhere


@pytest.mark.parametrize("name", ["from", "nothing"])
async def test_a_name_signed_over_and_over_costs_nothing_more(monkeypatch, name) -> None:
    listed = ":".join(["from", *[name] * 100_000])
    raw = field(1, LETTER, h=listed) + LETTER
    formed = Counted(monkeypatch, canon, "relaxed_field")
    result = await verify(raw, Zone(GREEN.records))
    assert (result.status, result.signed) == ("pass", frozenset({"from", name}))
    assert len(formed) == 1


async def test_a_second_from_breaks_what_is_signed_once() -> None:
    raw = field(1, LETTER, h="from:to") + b"From: b@other.example\r\n" + LETTER
    assert (await verify(raw, Zone(GREEN.records))).status == "fail"


LARGE = [(8192, 65537, ""), (8200, 65537, "8200 bits"), (2048, (1 << 34) + 1, "exponent")]


@pytest.mark.parametrize(("bits", "exponent", "trouble"), LARGE)
def test_keys_that_would_take_long_are_not_taken(bits, exponent, trouble) -> None:
    public = rsa.RSAPublicNumbers(e=exponent, n=(1 << bits - 1) | 1).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = b"p=" + base64.b64encode(der)
    if trouble:
        with pytest.raises(BadKey, match=trouble):
            read_key(record)
    else:
        assert read_key(record).kind == "rsa"


async def test_a_key_is_read_once_for_all_messages(monkeypatch) -> None:
    from letterbox.identity import dkim

    reads = Counted(monkeypatch, dkim, "read_key")
    prover = Prover(Zone(SPF | GREEN.records), DOMAINS, server="mx.letterbox.example")
    for _ in range(3):
        proof = await prover.prove(split(GREEN.sign(LETTER)), ENVELOPE, NOW)
        assert isinstance(proof.sender, Proven)
    assert len(reads) == 1


def test_records_are_read_once_unless_they_are_long(monkeypatch) -> None:
    reads = Counted(monkeypatch, spf, "parse_record")
    records = SpfRecords()
    usual, long = b"v=spf1 -all", b"v=spf1 " + b"ip4:192.0.2.1 " * 100
    for _ in range(3):
        assert records.read(usual) is records.read(usual)
    assert len(reads) == 1
    for _ in range(3):
        assert len(records.read(long).mechanisms) == 100
    assert len(reads) == 4
    for _ in range(2):
        with pytest.raises(BadRecord):
            records.read(b"v=spf1 nonsense")


@pytest.mark.parametrize("others", [0, 1, 3])
@pytest.mark.parametrize("letter", [LETTER, GREEN.sign(LETTER)])
def test_a_proof_whose_answers_are_at_hand_takes_no_turn_of_the_loop(others, letter) -> None:
    """Nor a timer or a task: here is no loop at all."""
    raw = b"".join(field(n, d="platform.example") for n in range(others)) + letter
    proving = prove(raw, Zone(SPF | GREEN.records))
    with pytest.raises(StopIteration) as done:
        proving.send(None)
    assert isinstance(done.value.value.sender, Proven)


async def test_neither_spf_nor_dkim_waits_for_the_other() -> None:
    """The key is told only once the path's record was asked for."""
    asked = asyncio.Event()

    class Waiting(Zone):
        async def ask(self, name: str, record: RecordType) -> Answer:
            if name == GREEN.name:
                await asked.wait()
            elif name == "greenleaf.example":
                asked.set()
            return await super().ask(name, record)

    async with asyncio.timeout(10):
        proof = await prove(GREEN.sign(LETTER), Waiting(SPF | GREEN.records))
    assert proof.results.endswith(
        "; spf=pass smtp.mailfrom=greenleaf.example;"
        " dkim=pass header.d=greenleaf.example header.s=s1"
    )


@pytest.mark.parametrize("recipients", [1, 10, 100])
async def test_one_proof_serves_all_recipients(monkeypatch, recipients) -> None:
    people = "".join(
        f'[[consumer]]\nid = "c{n}"\naddresses = ["c{n}@letterbox.example"]\n'
        '[[consumer.vendor]]\ndomain = "greenleaf.example"\n'
        for n in range(recipients)
    )
    async with open_house(people) as house:
        proofs = Counted(monkeypatch, house.app.prover, "prove")
        verified = Counted(monkeypatch, Key, "verify")
        to = [f"c{n}@letterbox.example" for n in range(recipients)]
        received = await house.send(signed(mail(Letterbox_Kind="offer")), *to, edge="lmtp")
        assert len(received.outcomes) == recipients
    assert (len(proofs), len(verified)) == (1, 1)
