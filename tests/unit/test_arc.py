"""ARC: which chains are whole, and whom they prove."""

from typing import Any

import dkim
import pytest

from letterbox.identity.arc import BadChain, Chain, read_chain, validate
from letterbox.identity.canon import Signable
from letterbox.identity.dkim import DkimVerifier
from letterbox.identity.prover import Proof, Prover
from letterbox.model.address import Address
from letterbox.model.configuration import Configuration, IdentitySection
from letterbox.model.envelope import Client, Envelope
from letterbox.model.sender import Proven, Stranger, Undetermined
from letterbox.reading.mail import split
from tests.support.house import open_house
from tests.support.plain import domains
from tests.support.sealing import Hop, forward, seal, seal_for
from tests.support.signing import NOW, Signer, Zone

GREEN = Signer(domain="greenleaf.example")
LIST = Signer(domain="lists.example", selector="l1")
BELOW = Signer(domain="out.lists.example", selector="o1")
SCHOOL = Signer(domain="school.example", selector="c1")
EVIL = Signer(domain="evil.example", selector="e1")
STRICT = Signer(domain="news.strict.example")
RECORDS: dict[str, dict[str, list[str]]] = {
    **GREEN.records,
    **LIST.records,
    **BELOW.records,
    **SCHOOL.records,
    **EVIL.records,
    "_dmarc.strict.example": {"TXT": ["v=DMARC1; p=reject; adkim=s; aspf=s"]},
    "_dmarc.greenleaf.example": {"TXT": ["v=DMARC1; p=reject"]},
}
DKIM = "dkim=pass header.d=greenleaf.example"
SPF = "spf=pass smtp.mailfrom=news@bounce.greenleaf.example"
DMARC = "dmarc=pass header.from=greenleaf.example"
CHANGED = b"Sharp and cheap.\r\n-- \r\nThe garden list\r\n"
TRUST = IdentitySection(arc_sealers=("lists.example", "school.example"))


def letter(author: str = "shop@greenleaf.example") -> bytes:
    return (
        f"From: Shop <{author}>\r\nTo: anna@letterbox.example\r\nSubject: Shears\r\n"
        "Date: Mon, 23 Nov 2026 11:00:00 +0000\r\nMessage-ID: <1@greenleaf.example>\r\n"
        "\r\nSharp and cheap.\r\n"
    ).encode()


async def check(raw: bytes, zone: Zone | None = None) -> Chain:
    mail = split(raw)
    try:
        sets = read_chain(mail)
    except BadChain as error:
        return Chain(status="fail", detail=str(error))
    return await validate(DkimVerifier(), zone or Zone(RECORDS), Signable(mail), sets, NOW)


async def prove(
    raw: bytes, trust: IdentitySection = TRUST, zone: Zone | None = None, **client: Any
) -> Proof:
    prover = Prover(zone or Zone(RECORDS), domains(), server="mx.letterbox.example", trust=trust)
    envelope = Envelope(
        session="s1",
        edge="smtp",
        client=Client(address="198.51.100.7", helo="mx.lists.example", **client),
        reverse_path=Address(local="list", domain="lists.example"),
        recipients=(Address(local="anna", domain="letterbox.example"),),
    )
    return await prover.prove(split(raw), envelope, NOW)


def brief(proof: Proof) -> str:
    match proof.sender:
        case Proven(domain=domain, how=how, by=by, over=over):
            return f"{how} {domain}" + (f" by {by} over {over}" if by else "")
        case Stranger(why=why):
            return why
        case _:
            return "undetermined"


# ---- chains -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
async def test_a_chain_that_dkimpy_seals_is_whole(count) -> None:
    hops = [Hop([LIST, SCHOOL, BELOW][number % 3], DKIM) for number in range(count)]
    raw = forward(letter(), hops)
    assert len(read_chain(split(raw))) == count
    assert await check(raw) == Chain(status="pass")
    keys = {name + ".": RECORDS[name]["TXT"][0] for name in RECORDS if "_domainkey" in name}
    theirs = dkim.arc_verify(raw, dnsfunc=lambda name, timeout=5: keys[name.decode()])
    assert theirs[0] == b"pass"


async def test_without_a_set_there_is_no_chain() -> None:
    assert await check(letter()) == Chain(status="none")


async def test_the_most_sets_there_may_be() -> None:
    raw = letter()
    for number in range(50):
        raw = seal(raw, LIST, "arc=pass" if number else "arc=none")
    zone = Zone(RECORDS)
    assert await check(raw, zone) == Chain(status="pass")
    assert len(zone.asked) == 51
    more = b"".join(
        name + b": i=51; " + rest + b"\r\n"
        for name, rest in [
            (b"ARC-Seal", b"cv=pass; a=rsa-sha256; d=lists.example; s=l1; b=AAAA"),
            (b"ARC-Message-Signature", b"a=rsa-sha256; d=lists.example; s=l1; h=from; b=AAAA"),
            (b"ARC-Authentication-Results", b"mx.lists.example; arc=pass"),
        ]
    )
    result = await check(more + raw)
    assert (result.status, result.detail) == ("fail", "there are more than 50 sets")


ONE = forward(letter(), [Hop(LIST, DKIM)])
TWO = forward(letter(), [Hop(LIST, DKIM), Hop(SCHOOL, "dkim=fail")])


def fields(raw: bytes, name: bytes) -> list[bytes]:
    return [field.raw for field in split(raw).all(name.decode().lower())]


def without(raw: bytes, name: bytes, nth: int = 0) -> bytes:
    return raw.replace(fields(raw, name)[nth], b"", 1)


SEAL, AMS, AAR = b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"

FROMLESS = ONE.replace(b"h=from", b"h=to", 1).replace(b": from;", b": to;", 1)

# What is done to a whole chain, and a part of what is said about it.
BROKEN = [
    ("no seal", without(ONE, SEAL), "not whole"),
    ("no message signature", without(ONE, AMS), "not whole"),
    ("no results", without(ONE, AAR), "not whole"),
    ("a seal twice", fields(ONE, SEAL)[0] + ONE, "stands twice"),
    ("a signature twice", fields(ONE, AMS)[0] + ONE, "stands twice"),
    ("results twice", fields(ONE, AAR)[0] + ONE, "stands twice"),
    ("the first set gone", without(without(without(TWO, SEAL, 1), AMS, 1), AAR, 1), "not whole"),
    ("the first results gone", without(TWO, AAR, 1), "not whole"),
    ("the newest seal gone", without(TWO, SEAL), "not whole"),
    ("numbered from nought", ONE.replace(b"i=1;", b"i=0;"), "1 to 99"),
    ("numbered from two", ONE.replace(b"i=1;", b"i=2;"), "not whole"),
    ("numbered in three digits", ONE.replace(b"i=1;", b"i=001;"), "1 to 99"),
    ("numbered below nought", ONE.replace(b"i=1;", b"i=-1;"), "number"),
    ("no number", ONE.replace(b"i=1;", b"i=x;"), "number"),
    ("a seal without number", ONE.replace(b"ARC-Seal: i=1;", b"ARC-Seal:"), "1 to 99"),
    ("results without number", ONE.replace(AAR + b": i=1;", AAR + b":"), "missing"),
    ("a gap", TWO.replace(b"i=2;", b"i=3;"), "not whole"),
    ("a seal that names fields", ONE.replace(b"cv=none;", b"cv=none; h=from;"), "names fields"),
    ("the first cv is pass", ONE.replace(b"cv=none;", b"cv=pass;"), "was whole"),
    ("the second cv is none", TWO.replace(b"cv=pass;", b"cv=none;"), "was whole"),
    ("the second cv is fail", TWO.replace(b"cv=pass;", b"cv=fail;"), "was whole"),
    ("no cv", ONE.replace(b"cv=none;", b""), "was whole"),
    ("a signed seal", ONE.replace(b"h=from", b"h=arc-seal : from"), "covers a seal"),
    ("From not signed", FROMLESS, "From is not signed"),
    ("rsa-sha1", ONE.replace(b"a=rsa-sha256", b"a=rsa-sha1"), "not taken"),
    ("no list", ONE.replace(b"ARC-Seal: i=1;", b"ARC-Seal: i=1; i=1;"), "stands twice"),
    ("other results", ONE.replace(b"header.d=greenleaf", b"header.d=blueleaf"), "seal 1"),
    ("other older results", TWO.replace(b"header.d=greenleaf", b"header.d=blueleaf"), "seal 2"),
    ("another body", ONE.replace(b"cheap", b"cheep"), "message signature 1: the body"),
    ("another author", ONE.replace(b"<shop@", b"<shep@"), "message signature 1: the signature"),
    ("a second author", b"From: a@evil.example\r\n" + ONE, "message signature 1: the signature"),
    ("no such key", ONE.replace(b"s=l1", b"s=l2"), "no key"),
    ("a newer body", TWO.replace(b"cheap", b"cheep"), "message signature 2"),
]


@pytest.mark.parametrize(
    ("raw", "detail"), [pytest.param(*case[1:], id=case[0]) for case in BROKEN]
)
async def test_what_is_no_chain(raw, detail) -> None:
    assert raw not in (ONE, TWO)
    result = await check(raw)
    assert result.status == "fail"
    assert detail in result.detail
    assert brief(await prove(raw)) in ("dkim-missing", "dmarc-refused", "author-ambiguous")


async def test_an_older_signature_may_be_broken() -> None:
    raw = forward(letter(), [Hop(LIST, DKIM), Hop(SCHOOL, "dkim=fail", CHANGED)])
    assert await check(raw) == Chain(status="pass")


@pytest.mark.parametrize("down", [LIST.name, SCHOOL.name])
async def test_trouble_with_a_key_is_waited_out(down) -> None:
    zone = Zone(RECORDS, trouble=frozenset({down}))
    assert (await check(TWO, zone)).status == "temperror"
    assert isinstance((await prove(TWO, zone=zone)).sender, Undetermined)


async def test_sixty_sets_cost_nothing() -> None:
    raw = letter()
    for number in range(1, 61):
        raw = ONE.removesuffix(letter()).replace(b"i=1;", f"i={number};".encode()) + raw
    zone = Zone(RECORDS)
    assert brief(await prove(raw, zone=zone)) == "dmarc-refused"
    assert not [name for name, _ in zone.asked if "_domainkey" in name]


# ---- whom a chain proves ----------------------------------------------------------------------

ALL = "arc greenleaf.example by lists.example over dkim"
NONE = "dmarc-refused"
# What the forwarder found, and what comes of it.
SAID = [
    ("DMARC and DKIM", f"{DKIM}; {DMARC}", ALL),
    ("DKIM alone", DKIM, ALL),
    ("DKIM of a domain below", DKIM.replace("=g", "=a.g"), ALL),
    ("SPF alone", SPF, ALL.replace("dkim", "spf")),
    ("SPF and DMARC", f"{SPF}; {DMARC}", ALL.replace("dkim", "spf")),
    ("DMARC alone", DMARC, ALL.replace("dkim", "spf")),
    ("DMARC, and DKIM by its agent", f"dkim=pass header.i=@greenleaf.example; {DMARC}", ALL),
    ("a signing agent alone", "dkim=pass header.i=@greenleaf.example", NONE),
    ("capitals", "DKIM=Pass Header.D=GreenLeaf.Example", ALL),
    ("the signature failed there", DKIM.replace("pass", "fail"), NONE),
    ("neutral", DKIM.replace("pass", "neutral"), NONE),
    ("somebody else signed", "dkim=pass header.d=evil.example", NONE),
    ("somebody else's path", "spf=pass smtp.mailfrom=evil.example", NONE),
    ("only the greeting", "spf=pass smtp.helo=greenleaf.example", NONE),
    ("DMARC of another author", f"{DKIM}; dmarc=pass header.from=evil.example", NONE),
    ("DMARC failed", f"{DKIM}; dmarc=fail header.from=greenleaf.example", NONE),
    ("DMARC both ways", f"{DMARC}; dmarc=fail header.from=greenleaf.example", NONE),
    ("no policy there", f"{DKIM}; dmarc=none header.from=greenleaf.example", ALL),
    ("DMARC of a domain below", "dmarc=pass header.from=a.greenleaf.example", NONE),
    ("an address for a domain", "dkim=pass header.d=a@greenleaf.example", NONE),
    ("DMARC of what is no domain", f"{DKIM}; dmarc=pass header.from=a_b", NONE),
    ("nothing was looked at", "", NONE),
]


@pytest.mark.parametrize(("found", "outcome"), [pytest.param(*c[1:], id=c[0]) for c in SAID])
async def test_what_a_trusted_forwarder_says(found, outcome) -> None:
    proof = await prove(seal(letter(), LIST, f"arc=none; {found}" if found else "arc=none"))
    assert brief(proof) == outcome


# name, hops, sealers that are trusted, what comes of it
SEALED: list[tuple[str, list[Hop], tuple[str, ...], str]] = [
    (
        "a sealer below a trusted one",
        [Hop(BELOW, DKIM)],
        ("lists.example",),
        "arc greenleaf.example by out.lists.example over dkim",
    ),
    ("a sealer above a trusted one", [Hop(LIST, DKIM)], ("out.lists.example",), NONE),
    ("a sealer that ends alike", [Hop(LIST, DKIM)], ("sts.example",), NONE),
    ("nobody is trusted", [Hop(LIST, DKIM)], (), NONE),
    ("another is trusted", [Hop(EVIL, DKIM)], ("lists.example",), NONE),
    (
        "changed by a trusted one, sealed again",
        [Hop(LIST, DKIM), Hop(SCHOOL, "dkim=fail header.d=greenleaf.example", CHANGED)],
        ("lists.example", "school.example"),
        ALL,
    ),
    (
        "the newest of two that say so",
        [Hop(SCHOOL, DKIM), Hop(LIST, DKIM)],
        ("lists.example", "school.example"),
        ALL,
    ),
    (
        "changed after the trusted one",
        [Hop(LIST, DKIM), Hop(EVIL, DKIM, b"Buy mine.\r\n")],
        ("lists.example",),
        NONE,
    ),
    (
        "between two trusted ones",
        [Hop(LIST, DKIM), Hop(EVIL, DKIM), Hop(SCHOOL, "dkim=fail")],
        ("lists.example", "school.example"),
        NONE,
    ),
    (
        "what one said before the trusted one",
        [Hop(EVIL, DKIM), Hop(LIST, "dkim=fail")],
        ("lists.example",),
        NONE,
    ),
]


@pytest.mark.parametrize(
    ("hops", "sealers", "outcome"), [pytest.param(*case[1:], id=case[0]) for case in SEALED]
)
async def test_whom_a_chain_proves(hops, sealers, outcome) -> None:
    proof = await prove(forward(letter(), hops), IdentitySection(arc_sealers=sealers))
    assert brief(proof) == outcome


@pytest.mark.parametrize(("signer", "outcome"), [(LIST, ALL), (EVIL, NONE)])
async def test_the_signature_under_a_trusted_seal_is_the_sealers_too(signer, outcome) -> None:
    raw = seal_for(forward(letter(), [Hop(signer, DKIM)]), LIST)
    assert await check(raw) == Chain(status="pass")
    assert brief(await prove(raw)) == outcome


async def test_strict_alignment_is_the_authors_to_ask_for() -> None:
    raw = forward(letter("a@strict.example"), [Hop(LIST, "dkim=pass header.d=news.strict.example")])
    assert brief(await prove(raw)) == "dmarc-refused"
    said = "dkim=pass header.d=strict.example"
    raw = forward(letter("a@strict.example"), [Hop(LIST, said)])
    assert brief(await prove(raw)) == "arc strict.example by lists.example over dkim"


async def test_trouble_with_alignment_is_waited_out() -> None:
    raw = forward(letter(), [Hop(LIST, "dkim=pass header.d=a.greenleaf.example")])
    zone = Zone(RECORDS, trouble=frozenset({"_dmarc.greenleaf.example"}))
    assert isinstance((await prove(raw, zone=zone)).sender, Undetermined)


async def test_our_own_proof_comes_first_and_the_chain_is_left_alone() -> None:
    raw = forward(GREEN.sign(letter()), [Hop(LIST, DKIM)])
    zone = Zone(RECORDS)
    proof = await prove(raw, zone=zone)
    assert brief(proof) == "dkim greenleaf.example"
    assert "arc=" not in proof.results
    assert LIST.name not in [name for name, _ in zone.asked]


@pytest.mark.parametrize(
    ("trust", "asks"),
    [
        (IdentitySection(), False),
        (IdentitySection(arc_sealers=("school.example",)), False),
        (TRUST, True),
    ],
)
async def test_a_chain_is_looked_at_only_where_it_may_matter(trust, asks) -> None:
    zone = Zone(RECORDS)
    proof = await prove(ONE, trust, zone)
    assert (LIST.name in [name for name, _ in zone.asked]) is asks
    assert ("; arc=pass" in proof.results) is asks


async def test_what_became_of_a_chain_is_told() -> None:
    proof = await prove(ONE.replace(b"cheap", b"cheep"))
    assert "; arc=fail" in proof.results
    assert isinstance(proof.sender, Stranger)
    assert "arc fail message signature 1: the body has changed" in proof.sender.detail


async def test_no_chain_makes_an_author_clear() -> None:
    raw = letter().replace(b"From:", b"From: a@evil.example\r\nFrom:")
    assert brief(await prove(forward(raw, [Hop(LIST, DKIM)]))) == "author-ambiguous"


async def test_a_sealed_author_stands_for_no_claim_of_right() -> None:
    sender = (await prove(ONE)).sender
    assert isinstance(sender, Proven)
    assert sender.vouches_for("subject")
    assert not sender.vouches_for("letterbox-kind")


async def test_a_sealed_author_stands_for_what_the_sealer_signed() -> None:
    """A field it left out may be put there by whoever sends the sealed mail again."""
    sender = (await prove(b"List-Id: <news.evil.example>\r\n" + ONE)).sender
    assert isinstance(sender, Proven)
    assert not sender.vouches_for("list-id")
    assert brief(await prove(b"Subject: You have won\r\n" + ONE)) == "dmarc-refused"


# ---- through the whole broker -----------------------------------------------------------------

PEOPLE = """
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  vendor = "greenleaf.example"
  accepts = ["offer", "service", "personal"]
  proof = "PROOF"
"""


@pytest.mark.parametrize(
    ("sealers", "found", "proof", "start", "explained"),
    [
        (("lists.example",), DKIM, "any", "Delivered", "as lists.example found before"),
        (("lists.example",), DKIM, "dkim", "Delivered", "as lists.example found before"),
        (("lists.example",), SPF, "any", "Delivered", "as lists.example found before"),
        (("lists.example",), SPF, "dkim", "Refused", "as lists.example found before"),
        ((), DKIM, "any", None, None),
    ],
)
async def test_forwarded_mail_is_judged_as_its_authors(
    sealers, found, proof, start, explained
) -> None:
    trust = IdentitySection(arc_sealers=sealers)
    people = PEOPLE.replace("PROOF", proof)
    async with open_house(people, configuration=Configuration(identity=trust)) as house:
        house.clock.at = NOW
        house.zone.records |= LIST.records
        raw = forward(letter(), [Hop(LIST, found)])
        client = Client(address="198.51.100.7", helo="mx.lists.example")
        await house.send(raw, "anna@letterbox.example", client=client)
        rows = (await house.app.mailboxes.decisions("anna", after=None, limit=10)).items
        lines = [house.app.explanations.lines(row, "en") for row in rows]
    assert [said[0].startswith(start) for said in lines] == ([True] if start else [])
    assert [explained in " ".join(said) for said in lines] == ([True] if start else [])
