"""Authentication-Results: which are read, and whom they prove."""

from typing import Any

import pytest

from letterbox.gateways.smtp.peers import Door
from letterbox.identity.prover import Proof, Prover
from letterbox.identity.results_field import read_results, read_sealed_results, sealed_instance
from letterbox.model.address import Address
from letterbox.model.configuration import IdentitySection, SmtpSection, TrustedPeer
from letterbox.model.envelope import Client, Envelope
from letterbox.model.sender import Proven, Stranger, Undetermined
from letterbox.reading.mail import split
from tests.support.plain import domains
from tests.support.signing import NOW, Signer, Zone

# ---- the form ---------------------------------------------------------------------------------

FITS = "dkim=pass header.d=a.example"
# A value, the server it names, and a result and properties as they are read.
READ = [
    (f"r.example; {FITS}", "r.example", ["dkim pass header.d=a.example"]),
    (f"R.Example 1; {FITS}", "r.example", ["dkim pass header.d=a.example"]),
    (f'"r.example"; {FITS}', "r.example", ["dkim pass header.d=a.example"]),
    (f'"r\\.example"(c)1(c);{FITS};', "r.example", ["dkim pass header.d=a.example"]),
    (f"(a;(b\\)) )r.example\r\n\t;\r\n {FITS}", "r.example", ["dkim pass header.d=a.example"]),
    (
        "r.example; DKIM / 1 (c) = (c) PASS (c) Header (c) . (c) D (c) = (c) A.example (c)",
        "r.example",
        ["dkim pass header.d=A.example"],
    ),
    ("r.example; none", "r.example", []),
    ("r.example; none (nothing)", "r.example", []),
    ("r.example", "r.example", []),
    ("r.example;", "r.example", []),
    ("r.example; dkim=pass", "r.example", ["dkim pass"]),
    ('r.example; dkim=pass reason="a; b=c" header.d=a.example', "r.example",
     ["dkim pass reason=a; b=c header.d=a.example"]),
    ('r.example; spf=pass smtp.mailfrom="a; b"@c.example', "r.example",
     ["spf pass smtp.mailfrom=a; b@c.example"]),
    ("r.example; spf=pass smtp.mailfrom=a+b@c.example; auth=pass", "r.example",
     ["spf pass smtp.mailfrom=a+b@c.example", "auth pass"]),
    ("r.example; dkim=pass header.b=a/b+c==", "r.example", ["dkim pass header.b=a/b+c=="]),
    ("r.example; dmarc=pass action=none header.from=a.example;x=y", "r.example",
     ["dmarc pass action=none header.from=a.example", "x y"]),
    (f"r.example; dkim/2=pass header.d=a.example; {FITS}", "r.example",
     [" pass header.d=a.example", "dkim pass header.d=a.example"]),
    ("bücher.example; spf=pass", "bücher.example", ["spf pass"]),
]  # fmt: skip


def shown(value: str) -> tuple[str, list[str]] | None:
    results = read_results(value.encode())
    if results is None:
        return None
    return results.server, [
        " ".join([one.method, one.result, *(f"{k}={v}" for k, v in one.properties.items())])
        for one in results.results
    ]


@pytest.mark.parametrize(("value", "server", "results"), READ)
def test_what_is_read(value, server, results) -> None:
    assert shown(value) == (server, results)
    sealed = read_sealed_results(f" i=3 (c); {value}".encode())
    assert sealed == read_results(value.encode())


UNREADABLE = [
    "",
    ";",
    "; dkim=pass",
    f"r.example 2; {FITS}",
    f"r.example 1 1; {FITS}",
    f"r.example s.example; {FITS}",
    f"r.example, s.example; {FITS}",
    "r.example; dkim",
    "r.example; =pass",
    "r.example; dkim=",
    "r.example; dkim==pass",
    "r.example; dkim=pass header.d",
    "r.example; dkim=pass header.=a.example",
    "r.example; dkim=pass header.d=",
    "r.example; dkim=pass header.d=;",
    "r.example; dkim=pass header.d=a(c)b.example",
    "r.example; dkim=pass header.d=a.example,b.example",
    "r.example; dkim=pass header.d=a.example header.d=b.example",
    "r.example; dkim=pass header.d=a.example Header.D=a.example",
    'r.example; dkim=pass header.d="a.example',
    "r.example; dkim=pass (header.d=a.example",
    "r.example; dkim=pass header.d=a.example)",
    "r.example; dkim=pass header.d=a.example \\",
    "r.example; none; dkim=pass",
    "r.example; dkim=pass; none",
    "r.example;; dkim=pass",
    "r.example; dkim=pass\r\nheader.d=a.example",
    "r.example; dkim=pass\0",
    "r.example; dkim=pass\rheader.d=a.example",
    f"r.example; {'(' * 30}{')' * 30} {FITS}",
    f"r.example; {'a=b;' * 101}",
    f"r.example; dkim=pass header.d={'a' * 20_000}",
]


@pytest.mark.parametrize("value", UNREADABLE)
def test_what_is_not_read(value) -> None:
    assert shown(value) is None


def test_what_is_no_text_is_not_read() -> None:
    assert read_results(b"r.example; dkim=pass (\xff)") is None


@pytest.mark.parametrize("value", ["r.example", "i=; r.example", "i=a; r.example", "i=1 r.example"])
def test_a_sealed_field_has_a_number(value) -> None:
    assert read_sealed_results(value.encode()) is None


def test_the_number_of_a_sealed_field() -> None:
    assert sealed_instance(b" (c) i (c) =\r\n 7 ; anything at all") == "7"


# ---- an inner relay's -------------------------------------------------------------------------

RELAY = "mx.relay.example"
TRUST = IdentitySection(trusted_results=(RELAY,))
GREEN = Signer(domain="greenleaf.example")
RECORDS = {**GREEN.records, "_dmarc.greenleaf.example": {"TXT": ["v=DMARC1; p=reject"]}}
LETTER = (
    b"From: Shop <shop@greenleaf.example>\r\nTo: anna@letterbox.example\r\nSubject: Shears\r\n"
    b"\r\nSharp and cheap.\r\n"
)
DKIM = f"Authentication-Results: {RELAY}; dkim=pass header.d=greenleaf.example"
SPF = f"Authentication-Results: {RELAY}; spf=pass smtp.mailfrom=news@greenleaf.example"
FAIL = f"Authentication-Results: {RELAY}; dkim=fail header.d=greenleaf.example"
OTHER = "Authentication-Results: other.example; dkim=pass header.d=greenleaf.example"
BY_DKIM = f"results greenleaf.example by {RELAY} over dkim"
BY_SPF = f"results greenleaf.example by {RELAY} over spf"


async def prove(
    raw: bytes,
    *,
    trust: IdentitySection = TRUST,
    trusted: bool = True,
    zone: Zone | None = None,
    **client: Any,
) -> Proof:
    prover = Prover(zone or Zone(RECORDS), domains(), server="mx.letterbox.example", trust=trust)
    envelope = Envelope(
        session="s1",
        edge="smtp",
        client=Client(address="198.51.100.7", helo=RELAY, trusted=trusted, **client),
        reverse_path=Address(local="news", domain="greenleaf.example"),
        recipients=(Address(local="anna", domain="letterbox.example"),),
    )
    return await prover.prove(split(raw), envelope, NOW)


def brief(proof: Proof) -> str:
    match proof.sender:
        case Proven(domain=domain, how=how, by=by, over=over):
            return f"{how} {domain} by {by} over {over}"
        case Stranger(why=why):
            return why
        case _:
            return "undetermined"


NONE = "dmarc-refused"
# The fields from the top, and what comes of them.
RELAYED = [
    ("DKIM", [DKIM], BY_DKIM),
    ("SPF", [SPF], BY_SPF),
    ("both", [DKIM + SPF.partition(RELAY)[2]], BY_DKIM),
    ("capitals", [DKIM.replace("mx.relay.example", "MX.Relay.Example")], BY_DKIM),
    ("quoted", [DKIM.replace(RELAY, f'"{RELAY}" 1')], BY_DKIM),
    ("below another's", [OTHER, DKIM], BY_DKIM),
    ("another's alone", [OTHER], NONE),
    ("a name below", [DKIM.replace(RELAY, f"a.{RELAY}")], NONE),
    ("it failed there", [FAIL], NONE),
    ("an older one that the relay left in place", [FAIL, DKIM], NONE),
    ("one below what cannot be read", [FAIL + " (", DKIM], NONE),
    ("a sealed field is no relay's", ["ARC-" + DKIM.replace("lts: ", "lts: i=1; ")], NONE),
    ("none", [], NONE),
]


@pytest.mark.parametrize(("fields", "outcome"), [pytest.param(*c[1:], id=c[0]) for c in RELAYED])
async def test_what_a_relay_says(fields, outcome) -> None:
    raw = "".join(f"{field}\r\n" for field in fields).encode() + LETTER
    assert brief(await prove(raw)) == outcome


async def test_only_a_trusted_peer_brings_results() -> None:
    raw = DKIM.encode() + b"\r\n" + LETTER
    assert brief(await prove(raw, trusted=False)) == NONE
    assert brief(await prove(raw, trust=IdentitySection())) == NONE


async def test_our_own_proof_comes_first() -> None:
    raw = DKIM.encode() + b"\r\n" + GREEN.sign(LETTER)
    sender = (await prove(raw)).sender
    assert isinstance(sender, Proven)
    assert sender.how == "dkim"


async def test_no_results_make_an_author_clear() -> None:
    raw = DKIM.encode() + b"\r\nFrom: a@evil.example\r\n" + LETTER
    assert brief(await prove(raw)) == "author-ambiguous"


async def test_trouble_with_alignment_is_waited_out() -> None:
    raw = DKIM.replace("=greenleaf", "=news.greenleaf").encode() + b"\r\n" + LETTER
    zone = Zone(RECORDS, trouble=frozenset({"_dmarc.greenleaf.example"}))
    assert isinstance((await prove(raw, zone=zone)).sender, Undetermined)


def test_a_gateway_knows_who_may_bring_results() -> None:
    door = Door(SmtpSection(trusted_peers=(TrustedPeer(address="192.0.2.0/24"),)), lmtp=False)
    assert door.client("192.0.2.7", "mx", None).trusted
    assert not door.client("198.51.100.7", "mx", None).trusted
