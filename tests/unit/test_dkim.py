"""DKIM: what proves, what does not, and why."""

import base64

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from letterbox.identity.canon import Signable
from letterbox.identity.dkim import BadSignature, DkimVerifier, Verified, read_signature
from letterbox.identity.dkim_key import BadKey, read_key
from letterbox.reading.mail import split
from tests.support.shared import real_mail, shared
from tests.support.signing import NOW, Signer, Zone, craft, ed25519_record, rsa_key

STAMP = int(NOW.timestamp())
MAIL = (
    b"From: Greenleaf <shop@greenleaf.example>\r\n"
    b"To: anna@letterbox.example\r\n"
    b"Subject: Pruning   shears,\r\n\tthree pairs\r\n"
    b"Date: Mon, 23 Nov 2026 11:00:00 +0000\r\n"
    b"Message-ID: <1@greenleaf.example>\r\n"
    b"Letterbox-Kind: offer\r\n"
    b"\r\n"
    b"Sharp  \t and\tcheap. \r\n\r\nSee you \r\n\r\n\r\n"
)
SIGNER = Signer(domain="greenleaf.example")
ZONE = SIGNER.records | {"ed._domainkey.greenleaf.example": {"TXT": [ed25519_record()]}}


async def verify(raw: bytes, zone: Zone | None = None) -> Verified:
    mail = split(raw)
    field = mail.first("dkim-signature")
    assert field
    try:
        signature = read_signature(field)
    except BadSignature as error:
        return Verified(status="permerror", domain="", detail=str(error))
    return await DkimVerifier().verify(zone or Zone(ZONE), Signable(mail), signature, NOW)


@pytest.mark.parametrize("header", ["simple", "relaxed"])
@pytest.mark.parametrize("body", ["simple", "relaxed"])
async def test_what_dkimpy_signs_is_proven(header, body) -> None:
    result = await verify(SIGNER.sign(MAIL, f"{header}/{body}"))
    assert (result.status, result.domain, result.detail) == ("pass", "greenleaf.example", "")
    assert result.signed >= {"from", "letterbox-kind"}


BODIES = [b"", b"\r\n", b"\r\n\r\n\r\n", b" \r\n", b"x", b"x\r\n", b"\t \r\n x \t y \r\n\r\n"]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("form", ["simple/simple", "relaxed/relaxed"])
async def test_bodies_at_the_edge(body, form) -> None:
    mail = MAIL.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body
    assert (await verify(SIGNER.sign(mail, form))).status == "pass"


CHANGES = [
    (b"cheap", b"cheep", "fail", "body has changed"),
    (b"Subject: Pruning", b"Subject: Running", "fail", "does not fit"),
    (b"shop@", b"shot@", "fail", "does not fit"),
    (b"From: Green", b"From: x@example.org\r\nFrom: Green", "fail", "does not fit"),
    (b"d=greenleaf.example", b"d=otherleaf.example", "permerror", "agent"),
    (b"a=rsa-sha256", b"a=rsa-sha1", "permerror", "not taken"),
    (b"a=rsa-sha256", b"a=ed25519-sha256", "permerror", "not for ed25519"),
]


@pytest.mark.parametrize(("old", "new", "status", "detail"), CHANGES)
async def test_a_change_under_the_signature(old, new, status, detail) -> None:
    signed = SIGNER.sign(MAIL)
    assert old in signed
    result = await verify(signed.replace(old, new, 1))
    assert result.status == status
    assert detail in result.detail


# Tags of a signature that fits: case, tags, status, part of the detail.
TAGS = [
    ("plain", {}, "pass", ""),
    ("agent below", {"i": "@news.greenleaf.example"}, "pass", ""),
    ("agent with a local part", {"i": "shop@greenleaf.example"}, "pass", ""),
    ("agent elsewhere", {"i": "@evil.example"}, "permerror", "agent"),
    ("agent that only ends alike", {"i": "@notgreenleaf.example"}, "permerror", "agent"),
    ("agent without @", {"i": "greenleaf.example"}, "permerror", "agent"),
    ("not yet expired", {"x": str(STAMP + 1)}, "pass", ""),
    ("expired", {"x": str(STAMP - 1)}, "fail", "expired"),
    ("made now", {"t": str(STAMP)}, "pass", ""),
    ("a clock a little ahead", {"t": str(STAMP + 299)}, "pass", ""),
    ("made in the future", {"t": str(STAMP + 400)}, "fail", "future"),
    ("ends before it begins", {"t": "10", "x": "9"}, "permerror", "ends before"),
    ("time that is no number", {"t": "soon"}, "permerror", "no number"),
    ("a part of the body", {"l": "5"}, "policy", "not signed"),
    ("nothing of the body", {"l": "0"}, "policy", "not signed"),
    ("more than the body", {"l": "9999"}, "fail", "shorter"),
    ("length that is no number", {"l": "-1"}, "permerror", "no number"),
    ("length in other digits", {"l": "\u0661\u0668"}, "permerror", "no number"),
    ("From not signed", {"h": "to:subject"}, "permerror", "From is not signed"),
    ("signed twice over", {"h": "from:from:subject:subject"}, "pass", ""),
    ("names with space", {"h": "from : subject"}, "pass", ""),
    ("empty name", {"h": "from::to"}, "permerror", "no field name"),
    ("wrong version", {"v": "2"}, "permerror", "version"),
    ("no version", {"v": None}, "permerror", "missing"),
    ("no selector", {"s": None}, "permerror", "missing"),
    ("odd selector", {"s": "s1/../x"}, "permerror", "selector"),
    ("odd domain", {"d": "greenleaf.example\\x"}, "permerror", "no domain"),
    ("domain with a NUL", {"d": "greenleaf.example\0.evil.example"}, "permerror", "no domain"),
    ("domain with a dot too much", {"d": "greenleaf.example."}, "permerror", "no domain"),
    ("domain in capitals", {"d": "GreenLeaf.Example"}, "pass", ""),
    ("another way to the key", {"q": "http"}, "permerror", "not in the DNS"),
    ("several ways to the key", {"q": "http:dns/txt"}, "pass", ""),
    ("unknown form", {"c": "nice/relaxed"}, "permerror", "canonicalization"),
    ("unknown tag", {"y": "1"}, "pass", ""),
    ("tag with a bad name", {"1y": "1"}, "permerror", "tag"),
    ("hash of another size", {"bh": "YWJj"}, "permerror", "size"),
    ("hash that is not base64", {"bh": "?"}, "permerror", "base64"),
    ("no such selector", {"s": "s9"}, "permerror", "no key"),
]


@pytest.mark.parametrize(
    ("tags", "status", "detail"), [pytest.param(*c[1:], id=c[0]) for c in TAGS]
)
async def test_tags(tags, status, detail) -> None:
    result = await verify(craft(MAIL, tags))
    assert (result.status, detail in result.detail) == (status, True), result


@pytest.mark.parametrize(
    "trick", [lambda field: field.replace(b"v=1;", b"v=1; v=1;"), lambda field: field + b" ;; ;"]
)
async def test_a_list_that_is_none(trick) -> None:
    field, _, rest = craft(MAIL, {}).partition(b"\r\n")
    assert (await verify(trick(field) + b"\r\n" + rest)).status == "permerror"


async def test_ed25519_is_proven_and_checked() -> None:
    raw = craft(MAIL, {"s": "ed"}, kind="ed25519")
    assert (await verify(raw)).status == "pass"
    assert (await verify(raw.replace(b"three", b"seven"))).status == "fail"


async def test_the_example_of_rfc_8463() -> None:
    raw = (
        b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
        b" d=football.example.com; i=@football.example.com;\r\n"
        b" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
        b" subject : date : message-id : from : subject : date;\r\n"
        b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
        b" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
        b" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
        b"From: Joe SixPack <joe@football.example.com>\r\n"
        b"To: Suzie Q <suzie@shopping.example.net>\r\n"
        b"Subject: Is dinner ready?\r\n"
        b"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
        b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
        b"\r\n"
        b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
    )
    key = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    zone = Zone({"brisbane._domainkey.football.example.com": {"TXT": [key]}})
    assert (await verify(raw, zone)).status == "pass"


P = Signer(domain="greenleaf.example").record.partition("p=")[2]
KEYS = [
    ("p alone", f"p={P}", ""),
    ("folded", f"v=DKIM1; p={P[:40]} {P[40:]};", ""),
    ("for mail", f"v=DKIM1; s=email; p={P}", ""),
    ("testing", f"v=DKIM1; t=y; p={P}", ""),
    ("both hashes", f"v=DKIM1; h=sha1:sha256; p={P}", ""),
    ("other hash", f"v=DKIM1; h=sha1; p={P}", "sha256"),
    ("other service", f"v=DKIM1; s=tlsrpt; p={P}", "not for mail"),
    ("other kind", f"v=DKIM1; k=dsa; p={P}", "not known"),
    ("kind that does not fit", f"v=DKIM1; k=ed25519; p={P}", "cannot be read"),
    ("revoked", "v=DKIM1; p=", "revoked"),
    ("no key", "v=DKIM1; k=rsa", "holds no key"),
    ("not base64", "v=DKIM1; p=!!!", "cannot be read"),
    ("not a key", "v=DKIM1; p=YWJj", "cannot be read"),
    ("version later", f"p={P}; v=DKIM1", "version"),
    ("version other", f"v=DKIM2; p={P}", "version"),
    ("SPF", "v=spf1 -all", "version"),
    ("no list", "hello", "no name"),
]


@pytest.mark.parametrize(
    ("record", "detail"), [pytest.param(*case[1:], id=case[0]) for case in KEYS]
)
async def test_keys(record, detail) -> None:
    zone = Zone({"s1._domainkey.greenleaf.example": {"TXT": [record]}})
    result = await verify(SIGNER.sign(MAIL), zone)
    assert result.status == ("permerror" if detail else "pass")
    assert detail in result.detail


def test_small_keys_are_not_taken() -> None:
    large = rsa_key(2048).public_key().public_numbers()
    small = rsa.RSAPublicNumbers(e=large.e, n=(large.n >> 1280) | 1).public_key()
    der = small.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(BadKey, match="768 bits"):
        read_key(b"p=" + base64.b64encode(der))


async def test_an_exact_key_does_not_serve_domains_below() -> None:
    zone = Zone({SIGNER.name: {"TXT": [f"v=DKIM1; t=y:s; p={P}"]}})
    below = craft(MAIL, {"i": "@news.greenleaf.example"})
    assert (await verify(below, zone)).status == "permerror"
    assert (await verify(craft(MAIL, {}), zone)).status == "pass"


async def test_of_several_records_the_first_key_counts() -> None:
    zone = Zone({SIGNER.name: {"TXT": ["unrelated", SIGNER.record]}})
    assert (await verify(SIGNER.sign(MAIL), zone)).status == "pass"


async def test_trouble_is_told_apart_and_only_asked_for_when_it_matters() -> None:
    zone = Zone({}, trouble=frozenset({SIGNER.name}))
    assert (await verify(SIGNER.sign(MAIL), zone)).status == "temperror"
    zone.asked.clear()
    assert (await verify(SIGNER.sign(MAIL) + b"added", zone)).status == "fail"
    assert zone.asked == []


async def test_a_field_beside_the_signed_one_is_not_signed() -> None:
    signed = SIGNER.sign(MAIL)
    more = signed.replace(b"From: Green", b"Letterbox-Kind: service\r\nFrom: Green", 1)
    result = await verify(more)
    assert result.status == "pass"
    assert "letterbox-kind" not in result.signed
    assert "from" in result.signed


async def test_a_large_mail_is_proven_too() -> None:
    mail = MAIL + b"line  of text \r\n" * 60_000
    assert (await verify(SIGNER.sign(mail))).status == "pass"
    assert (await verify(SIGNER.sign(mail) + b"more")).status == "fail"


def crlf(raw: bytes) -> bytes:
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


@pytest.mark.parametrize("form", ["relaxed/relaxed", "simple/simple"])
async def test_real_mail_that_dkimpy_signs_is_proven(form) -> None:
    shared("mail")
    proven = 0
    for path in real_mail():
        raw = crlf(path.read_bytes())
        try:
            signed = SIGNER.sign(raw, form)
        except dkim.DKIMException:  # no mail by dkimpy's lights, such as one without From
            continue
        result = await verify(signed)
        readable = split(signed)
        assert result.status == "pass" or readable.header.broken, (path.name, result)
        proven += result.status == "pass"
    assert proven > 60
