"""The whole proof of a message, through our resolver and a name server on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from letterbox.adapters.dns import DnsResolver
from letterbox.demo.dns import DnsServer
from letterbox.identity import Domains, Proof, Prover
from letterbox.model.address import Address
from letterbox.model.envelope import Client, Envelope
from letterbox.model.sender import Proven, Stranger, Undetermined
from letterbox.reading.mail import split
from tests.support.signing import NOW, Signer, Zone, craft

DOMAINS = Domains((Path(__file__).parents[2] / "config" / "mailbox_providers.toml").read_bytes())
RECIPIENT = Address(local="anna", domain="letterbox.example")
GREEN = Signer(domain="greenleaf.example")
NEWS = Signer(domain="news.greenleaf.example", selector="n1")
PLATFORM = Signer(domain="platform.example", selector="p1")
STRICT = Signer(domain="news.strict.example")
REJECT = Signer(domain="reject.example")

RECORDS: dict[str, dict[str, list[str]]] = {
    **GREEN.records,
    **NEWS.records,
    **PLATFORM.records,
    **STRICT.records,
    **REJECT.records,
    "greenleaf.example": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
    "bounce.greenleaf.example": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
    "platform.example": {"TXT": ["v=spf1 ip4:192.0.2.9 -all"]},
    "strict.example": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
    "bounce.strict.example": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
    "_dmarc.strict.example": {"TXT": ["v=DMARC1; p=none; adkim=s; aspf=s"]},
    "reject.example": {"TXT": ["v=spf1 -all"]},
    "_dmarc.reject.example": {"TXT": ["v=DMARC1; p=reject"]},
    "soft.example": {"TXT": ["v=spf1 ~all"]},
    "broken.example": {"TXT": ["v=spf1 nonsense"]},
    "mta.greenleaf.example": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
}


def letter(author: str = "shop@greenleaf.example") -> bytes:
    return (
        f"From: Shop <{author}>\r\nTo: anna@letterbox.example\r\nSubject: Shears\r\n"
        "Date: Mon, 23 Nov 2026 11:00:00 +0000\r\nMessage-ID: <1@greenleaf.example>\r\n"
        "Letterbox-Kind: offer\r\n\r\nSharp and cheap.\r\n"
    ).encode()


def envelope(path: str | None, ip: str = "192.0.2.1", **client: Any) -> Envelope:
    local, _, domain = (path or "").partition("@")
    return Envelope(
        session="s1",
        edge="smtp",
        client=Client(address=ip, helo="mta.greenleaf.example", **client),
        reverse_path=Address(local=local, domain=domain) if path else None,
        recipients=(RECIPIENT,),
    )


async def prove(
    raw: bytes, path: str | None = None, ip: str = "198.51.100.7", zone: Any = None, **client: Any
) -> Proof:
    prover = Prover(zone or Zone(RECORDS), DOMAINS, server="mx.letterbox.example")
    return await prover.prove(split(raw), envelope(path, ip, **client), NOW)


def brief(proof: Proof) -> str:
    match proof.sender:
        case Proven(domain=domain, how=how):
            return f"{how} {domain}"
        case Stranger(why=why):
            return why
        case _:
            return "undetermined"


FORGED = letter().replace(b"cheap", b"cheep")
OURS, AWAY = "192.0.2.1", "198.51.100.7"
# name, mail, return path, client, what is proven or why not
CASES: list[tuple[str, bytes, str | None, str, str]] = [
    ("own signature", GREEN.sign(letter()), None, AWAY, "dkim greenleaf.example"),
    ("domain below signs", NEWS.sign(letter()), None, AWAY, "dkim greenleaf.example"),
    (
        "domain above signs",
        GREEN.sign(letter("shop@news.greenleaf.example")),
        None,
        AWAY,
        "dkim news.greenleaf.example",
    ),
    (
        "platform and own",
        PLATFORM.sign(GREEN.sign(letter())),
        "b@platform.example",
        "192.0.2.9",
        "dkim greenleaf.example",
    ),
    ("both ways", GREEN.sign(letter()), "b@greenleaf.example", OURS, "dkim greenleaf.example"),
    ("path alone", letter(), "b@greenleaf.example", OURS, "spf greenleaf.example"),
    ("path below", letter(), "b@bounce.greenleaf.example", OURS, "spf greenleaf.example"),
    (
        "signature broken, path passes",
        GREEN.sign(letter()).replace(b"cheap", b"cheep"),
        "b@greenleaf.example",
        OURS,
        "spf greenleaf.example",
    ),
    ("null path proves nothing", letter(), None, OURS, "dkim-missing"),
    ("nothing at all", letter(), "b@nowhere.example", AWAY, "dkim-missing"),
    ("path of another", letter(), "b@platform.example", "192.0.2.9", "dkim-missing"),
    ("platform alone", PLATFORM.sign(letter()), "b@platform.example", "192.0.2.9", "dkim-missing"),
    ("path fails", letter(), "b@greenleaf.example", AWAY, "spf-failed"),
    ("path fails softly", letter("a@soft.example"), "b@soft.example", AWAY, "sender-unproven"),
    ("record broken", letter("a@broken.example"), "b@broken.example", AWAY, "sender-unproven"),
    ("one byte changed", GREEN.sign(letter())[:-3] + b"!\r\n", None, AWAY, "dkim-failed"),
    ("no such key", craft(letter(), {"s": "gone"}), None, AWAY, "dkim-failed"),
    ("part of the body", craft(letter(), {"l": "3"}), None, AWAY, "dkim-failed"),
    ("From not signed", craft(letter(), {"h": "to:subject"}), None, AWAY, "dkim-failed"),
    (
        "strict: above may not sign",
        STRICT.sign(letter("a@strict.example")),
        None,
        AWAY,
        "sender-unproven",
    ),
    (
        "strict: path below may not",
        letter("a@strict.example"),
        "b@bounce.strict.example",
        OURS,
        "sender-unproven",
    ),
    (
        "strict: the same may",
        letter("a@strict.example"),
        "b@strict.example",
        OURS,
        "spf strict.example",
    ),
    ("owner wants it refused", letter("a@reject.example"), None, AWAY, "dmarc-refused"),
    ("and below it", letter("a@news.reject.example"), None, AWAY, "dmarc-refused"),
    (
        "and when the signature breaks",
        REJECT.sign(letter("a@reject.example"))[:-3] + b"!\r\n",
        None,
        AWAY,
        "dmarc-refused",
    ),
    (
        "but not when it fits",
        REJECT.sign(letter("a@reject.example")),
        None,
        AWAY,
        "dkim reject.example",
    ),
    ("no author", letter().replace(b"From:", b"Form:"), None, AWAY, "author-ambiguous"),
    (
        "two authors",
        b"From: a@greenleaf.example\r\n" + GREEN.sign(letter()),
        None,
        AWAY,
        "author-ambiguous",
    ),
    (
        "another author put in",
        GREEN.sign(letter()).replace(b"<shop@greenleaf", b"<shop@soft"),
        None,
        AWAY,
        "dkim-missing",
    ),
]


@pytest.mark.parametrize(
    ("raw", "path", "ip", "outcome"), [pytest.param(*case[1:], id=case[0]) for case in CASES]
)
async def test_proofs(raw, path, ip, outcome) -> None:
    assert brief(await prove(raw, path, ip)) == outcome


async def test_a_signature_vouches_for_what_it_covers() -> None:
    sender = (await prove(GREEN.sign(letter()))).sender
    assert isinstance(sender, Proven)
    assert sender.vouches_for("letterbox-kind")
    assert not sender.vouches_for("list-id")
    assert sender.author == Address(local="shop", domain="greenleaf.example")
    added = GREEN.sign(letter()).replace(b"To: anna", b"Letterbox-Kind: service\r\nTo: anna")
    sender = (await prove(added)).sender
    assert isinstance(sender, Proven)
    assert not sender.vouches_for("letterbox-kind")


async def test_a_trusted_peer_is_believed_without_dns() -> None:
    zone = Zone(RECORDS)
    proof = await prove(letter(), "b@greenleaf.example", zone=zone, asserts_from=True)
    assert proof.results.endswith("; none (the author is proven by a relay that is trusted here)")
    assert brief(proof) == "peer greenleaf.example"
    assert zone.asked == []
    assert not proof.path_passed


async def test_a_trusted_peer_does_not_make_an_author_clear() -> None:
    raw = b"From: a@greenleaf.example\r\n" + letter()
    assert brief(await prove(raw, asserts_from=True)) == "author-ambiguous"


@pytest.mark.parametrize(
    ("path", "ip", "passed"),
    [
        ("b@greenleaf.example", OURS, True),
        ("b@greenleaf.example", AWAY, False),
        (None, OURS, False),
    ],
)
async def test_where_a_report_may_go(path, ip, passed) -> None:
    assert (await prove(GREEN.sign(letter()), path, ip)).path_passed is passed


RESULTS = [
    (
        GREEN.sign(letter()),
        "b@greenleaf.example",
        OURS,
        (
            "mx.letterbox.example; spf=pass smtp.mailfrom=greenleaf.example;"
            " dkim=pass header.d=greenleaf.example header.s=s1"
        ),
    ),
    (
        letter("a@reject.example"),
        None,
        AWAY,
        (
            "mx.letterbox.example; spf=fail smtp.helo=mta.greenleaf.example;"
            " dmarc=fail header.from=reject.example; dkim=none"
        ),
    ),
    (letter().replace(b"From:", b"Form:"), None, AWAY, "mx.letterbox.example; none"),
]


@pytest.mark.parametrize(("raw", "path", "ip", "results"), RESULTS)
async def test_results(raw, path, ip, results) -> None:
    assert (await prove(raw, path, ip)).results == results


async def test_results_stay_on_one_line_whatever_is_signed() -> None:
    long = ".".join(["x" * 60] * 3) + ".example"
    raw = letter()
    for _ in range(5):
        raw = craft(letter(), {"d": long, "s": "y" * 60}).removesuffix(letter()) + raw
    results = (await prove(raw)).results
    assert len(results) <= 900
    assert results.isascii()
    assert "\r" not in results


# ---- trouble with the DNS ---------------------------------------------------------------------

DOWN = [
    ("the key", GREEN.sign(letter()), None, GREEN.name, "undetermined"),
    (
        "the key, and the path passes: the signature may prove more",
        GREEN.sign(letter()),
        "b@greenleaf.example",
        GREEN.name,
        "undetermined",
    ),
    ("the path's record", letter(), "b@greenleaf.example", "greenleaf.example", "undetermined"),
    (
        "the path's record, signed",
        GREEN.sign(letter()),
        "b@greenleaf.example",
        "greenleaf.example",
        "dkim greenleaf.example",
    ),
    ("a path of no weight", letter(), "b@platform.example", "platform.example", "dkim-missing"),
    (
        "a key of no weight",
        PLATFORM.sign(letter()),
        "b@greenleaf.example",
        PLATFORM.name,
        "spf greenleaf.example",
    ),
    ("DMARC, where it decides", NEWS.sign(letter()), None, "_dmarc.example", "undetermined"),
    (
        "DMARC, where the path decides",
        letter(),
        "b@bounce.greenleaf.example",
        "_dmarc.greenleaf.example",
        "undetermined",
    ),
    (
        "DMARC, where it does not",
        GREEN.sign(letter()),
        None,
        "_dmarc.greenleaf.example",
        "dkim greenleaf.example",
    ),
    (
        "DMARC of somebody unproven",
        letter(),
        None,
        "_dmarc.greenleaf.example",
        "dkim-missing",
    ),
    (
        "DMARC beside a platform's signature",
        PLATFORM.sign(letter()),
        "b@greenleaf.example",
        "_dmarc.greenleaf.example",
        "spf greenleaf.example",
    ),
]


@pytest.mark.parametrize(
    ("raw", "path", "down", "outcome"), [pytest.param(*case[1:], id=case[0]) for case in DOWN]
)
async def test_trouble_matters_where_the_answer_hangs_on_it(raw, path, down, outcome) -> None:
    zone = Zone(RECORDS, trouble=frozenset({down}))
    assert brief(await prove(raw, path, OURS, zone)) == outcome


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    server = DnsServer(RECORDS)
    yield server
    await server.close()


@pytest.fixture
async def resolver(server: DnsServer) -> AsyncIterator[DnsResolver]:
    resolver = DnsResolver([await server.start()], timeout=0.5)
    yield resolver
    await resolver.close()


async def test_a_published_key_proves_over_the_wire(server, resolver) -> None:
    signed = GREEN.sign(letter())
    assert brief(await prove(signed, zone=resolver)) == "dkim greenleaf.example"
    asked = len(server.asked)
    assert brief(await prove(signed, zone=resolver)) == "dkim greenleaf.example"
    assert len(server.asked) == asked
    changed = signed.replace(b"Sharp", b"Shard")
    assert brief(await prove(changed, zone=resolver)) == "dkim-failed"


async def test_a_black_hole_delays_the_message_that_asked_and_no_other(server, resolver) -> None:
    for name in ("nowhere.example", "_dmarc.nowhere.example", "s1._domainkey.nowhere.example"):
        server.fault(name, "silent")
    lost = craft(letter("a@nowhere.example"), {"d": "nowhere.example"})
    waiting = asyncio.create_task(prove(lost, "a@nowhere.example", zone=resolver))
    assert brief(await prove(GREEN.sign(letter()), zone=resolver)) == "dkim greenleaf.example"
    assert not waiting.done()
    assert isinstance((await waiting).sender, Undetermined)


async def test_a_resolver_that_never_answers_is_waited_for_so_long_only() -> None:
    class Never:
        async def ask(self, name: str, record: str) -> Any:
            await asyncio.Event().wait()

    prover = Prover(Never(), DOMAINS, server="mx.letterbox.example", seconds=0.05)
    proof = await prover.prove(split(GREEN.sign(letter())), envelope("b@greenleaf.example"), NOW)
    assert isinstance(proof.sender, Undetermined)
    assert proof.results == "mx.letterbox.example; none"


def many(field: Callable[[int], bytes], count: int) -> bytes:
    return b"".join(field(number) for number in range(count))


async def test_of_a_hundred_signatures_five_are_tried_the_authors_first() -> None:
    def strange(number: int) -> bytes:
        return craft(letter(), {"d": f"x{number}.example"}).removesuffix(letter())

    raw = letter()
    zone = Zone(RECORDS)
    await prove(many(strange, 100) + raw, zone=zone)
    assert len([name for name, _ in zone.asked if "_domainkey" in name]) == 5
    zone = Zone(RECORDS)
    proof = await prove(many(strange, 40) + GREEN.sign(raw), zone=zone)
    assert brief(proof) == "dkim greenleaf.example"
    assert [name for name, _ in zone.asked if "_domainkey" in name] == [GREEN.name]


async def test_work_on_one_message_is_bounded() -> None:
    """The worst SPF that RFC 7208 allows, five signatures and the deepest author."""
    exchanges = [f"{n} m{n}.evil.example" for n in range(10)]
    hosts = {f"m{n}.evil.example": {"A": ["203.0.113.1"]} for n in range(10)}

    class Exchanges(Zone):
        async def ask(self, name, record):
            answer = await super().ask(name, record)
            if record != "MX":
                return answer
            return type(answer)(values=tuple(text.split()[1] for text in answer.values))

    deep = "x." * 50 + "evil.example"
    records = hosts | {
        deep: {"TXT": ["v=spf1 " + "mx:evil.example " * 10 + "-all"]},
        "evil.example": {"MX": exchanges},
    }
    zone = Exchanges(records)
    raw = letter(f"a@{deep}")
    for number in range(10):
        raw = craft(letter(), {"d": f"s{number}.example"}).removesuffix(letter()) + raw
    assert isinstance((await prove(raw, f"a@{deep}", zone=zone)).sender, Stranger)
    assert len(zone.asked) < 200
