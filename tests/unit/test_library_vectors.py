"""What other libraries test their DKIM and ARC with, put to our verifier.

What a library's own test lets pass is to pass here, and nothing else; where it only says no, we say
why. The few things on which we differ on purpose stand at the end, with the section for each.
"""

import re
from collections.abc import Callable
from functools import partial

import dkim
import msgspec
import pytest

from letterbox.identity.arc import BadChain, read_chain, validate
from letterbox.identity.canon import Signable
from letterbox.identity.dkim import BadSignature, DkimVerifier, read_signature
from letterbox.identity.dkim_key import BadKey, read_key
from letterbox.reading.mail import split, with_crlf
from tests.support.libraries import AUTHHEADERS, DKIMPY, MAILMAN
from tests.support.signing import NOW, Zone

Keys = dict[str, str]  # TXT values by name


class Vector(msgspec.Struct, frozen=True):
    """``mail`` and ``keys`` are read when the test runs, and ``status`` is what is found.

    A mail with several signatures has one word for each, from the top.
    """

    name: str
    mail: Callable[[], bytes]
    keys: Callable[[], Keys]
    status: str
    trouble: str = ""  # a name that the resolver gives no answer for


def _zone(vector: Vector) -> Zone:
    records = {name.rstrip("."): {"TXT": [text]} for name, text in vector.keys().items()}
    return Zone(records, trouble=frozenset({vector.trouble}))


async def dkim_statuses(raw: bytes, zone: Zone) -> str:
    mail = split(with_crlf(raw))
    message, verifier = Signable(mail), DkimVerifier()
    found = []
    for field in mail.all("dkim-signature"):
        try:
            signature = read_signature(field)
        except BadSignature:
            found.append("permerror")
        else:
            found.append((await verifier.verify(zone, message, signature, NOW)).status)
    return " ".join(found) or "none"


async def arc_status(raw: bytes, zone: Zone) -> str:
    mail = split(with_crlf(raw))
    try:
        sets = read_chain(mail)
    except BadChain:
        return "fail"
    return (await validate(DkimVerifier(), zone, Signable(mail), sets, NOW)).status


# ---- where the data is ------------------------------------------------------------------------


def _data(name: str) -> Callable[[], bytes]:
    return lambda: DKIMPY.file(f"data/{name}")


def _record(name: str) -> str:
    return DKIMPY.file(f"data/{name}").decode().strip()


def _dkimpy() -> Keys:
    """The names that dkimpy's tests answer for."""
    literal = DKIMPY.literals("test_dkim.py", "dnsfunc")["_dns_responses"]
    literal |= DKIMPY.literals("test_dkim_ed25519.py", "dnsfunc")["_dns_responses"]
    return literal | {
        "test._domainkey.example.com": _record("test.txt"),
        "test._domainkey.football.example.com": _record("test.txt"),
        "sed._domainkey.test.ex": _record("eximtest.dns"),
    }


def _broken_key() -> Keys:
    broken = DKIMPY.literals("test_dkim.py", "dnsfunc6")["sample_dns"]
    return _dkimpy() | {"test._domainkey.football.example.com": broken}


def _authheaders() -> Keys:
    found = AUTHHEADERS.literals("test_authentication.py", "dnsfuncb")["_dns_responses"]
    return found | {"test._domainkey.example.com": AUTHHEADERS.file("test.txt").decode().strip()}


def _mailman() -> Keys:
    found = MAILMAN.literals("test_arc_validate.py", "setUp")
    return {
        "google2048._domainkey.valimail.com": "".join(found["dkim0"]),
        "dummy._domainkey.example.org": "".join(found["dkim1"]),
    }


def _in_mailman(test: str) -> Callable[[], bytes]:
    def mail() -> bytes:
        text: str = MAILMAN.literals("test_arc_validate.py", test)["msg"]
        return text.encode()

    return mail


def _in_authheaders(test: str) -> Callable[[], bytes]:
    return lambda: AUTHHEADERS.literals("test_authentication.py", test)["msg"]


def _in_dkimpy(test: str, variable: str) -> Callable[[], bytes]:
    def mail() -> bytes:
        fields = DKIMPY.literals("test_arc.py", test)[variable]
        return b"".join(fields) + DKIMPY.file("data/test.message")

    return mail


# ---- mail that was signed ---------------------------------------------------------------------

# Every file of the tests that is signed, and some that are not.
IN_DKIMPY = [
    ("test2.message", "pass"),
    ("rfc6376.signed.msg", "pass pass"),
    ("rfc6376.signed.rsa.msg", "pass"),
    ("rfc6376.signed.no_t.msg", "fail"),
    ("ed25519test2.msg", "pass"),
    ("test.message.baddomain", "permerror"),
    ("message.mbox", "permerror"),  # no key is given
    ("test.message", "none"),
    ("test_nofrom.message", "none"),
    ("ed25519test.msg", "none"),
    ("rfc6376.w1258.msg", "none"),
]
IN_AUTHHEADERS = [
    ("test.message_signed", "pass"),
    ("testcomma.message", "pass"),
    ("test.message_multi", "fail"),
    ("test.message_multi2", "fail"),
    ("test.message_sub", "fail"),
    ("test.message_np1", "permerror"),
    ("test.message_np2", "permerror"),
    ("test.message", "none"),
    ("test.nofrom.message", "none"),
]
SIGNED = [
    *(Vector(f"dkimpy: {name}", _data(name), _dkimpy, status) for name, status in IN_DKIMPY),
    Vector("dkimpy: a key that is none", _data("rfc6376.signed.rsa.msg"), _broken_key, "permerror"),
    *(
        Vector(f"authheaders: {name}", partial(AUTHHEADERS.file, name), _authheaders, status)
        for name, status in IN_AUTHHEADERS
    ),
    *(
        Vector(f"Mailman: {test}", _in_mailman(test), _mailman, status)
        for test, status in [
            ("test_authentication_whitelist_hit", "pass"),
            ("test_authentication_whitelist_miss", "pass"),
            ("test_authentication_bad_outlook_header", "fail"),
            ("test_chain_validation_pass", "none"),
        ]
    ),
    Vector(
        "Mailman: test_timeout",
        _in_mailman("test_timeout"),
        _mailman,
        "temperror",
        trouble="google2048._domainkey.valimail.com",
    ),
]


def test_no_signed_file_is_left_out() -> None:
    for library, folder, listed in [
        (DKIMPY, "data/", IN_DKIMPY),
        (AUTHHEADERS, "", IN_AUTHHEADERS),
    ]:
        signed = {
            name.removeprefix(folder)
            for name, content in library.files().items()
            if not name.endswith(".py") and re.search(rb"(?mi)^(dkim-signature|arc-seal):", content)
        }
        assert signed
        assert signed <= dict(listed).keys()


@pytest.mark.parametrize("vector", SIGNED, ids=lambda vector: vector.name)
async def test_signed_mail(vector) -> None:
    assert await dkim_statuses(vector.mail(), _zone(vector)) == vector.status


# ---- chains -----------------------------------------------------------------------------------

SEALED = [
    Vector(
        "dkimpy: a chain of one",
        _in_dkimpy("test_signs_and_verifies", "expected_sig"),
        _dkimpy,
        "pass",
    ),
    Vector(
        "dkimpy: a seal with h=", _in_dkimpy("test_fails_h_in_as", "sig_lines"), _dkimpy, "fail"
    ),
    Vector("dkimpy: no chain", _data("test.message"), _dkimpy, "none"),
    Vector("authheaders: a chain of one", _in_authheaders("test_arc_pass"), _authheaders, "pass"),
    Vector(
        "authheaders: another body",
        _in_authheaders("test_chain_validation_fail"),
        _authheaders,
        "fail",
    ),
    Vector("Mailman: a chain of one", _in_mailman("test_chain_validation_pass"), _mailman, "pass"),
    Vector("Mailman: another body", _in_mailman("test_chain_validation_fail"), _mailman, "fail"),
    Vector("Mailman: no chain", _in_mailman("test_authentication_whitelist_hit"), _mailman, "none"),
]


@pytest.mark.parametrize("vector", SEALED, ids=lambda vector: vector.name)
async def test_chains(vector) -> None:
    assert await arc_status(vector.mail(), _zone(vector)) == vector.status


# ---- keys and their records -------------------------------------------------------------------

# dkimpy's key, the record that it stands in, and what is found of mail that it signed.
KEYS = [
    ("test.private", "test.txt", "pass"),
    ("test.private", "test2.txt", "pass"),
    ("test.private", "badversion.txt", "permerror"),
    ("test.private", "badk.txt", "permerror"),
    ("test.private", "test_bad.txt", "permerror"),
    ("test.private", "test_tlsrpt.txt", "permerror"),
    ("1024_testkey.key", "1024_testkey_wo_markers.pub.txt", "pass"),
    ("1024_testkey.key", "1024_testkey_wo_markers.pub.rsa.txt", "pass"),
    ("2048_testkey.key", "2048_testkey_wo_markers.pub.txt", "pass"),
    ("2048_testkey.key", "2048_testkey_wo_markers.pub.rsa.txt", "pass"),
    ("2048_testkey_PKCS8.key", "2048_testkey_PKCS8.key.pub.txt", "pass"),
]
FORMS = ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("key", "record", "status"), KEYS)
async def test_keys(key, record, status, form) -> None:
    mail = with_crlf(DKIMPY.file("data/test.message"))
    header, body = form.encode().split(b"/")
    signed = dkim.sign(
        mail,
        b"test",
        b"example.com",
        DKIMPY.file(f"data/{key}"),
        canonicalize=(header, body),
    )
    zone = Zone({"test._domainkey.example.com": {"TXT": [_record(record)]}})
    assert await dkim_statuses(signed + mail, zone) == status
    if status == "pass":
        assert await dkim_statuses(signed + mail + b"more", zone) == "fail"


@pytest.mark.parametrize("name", ["ed25519test.dns", "eximtest.dns"])
def test_keys_of_the_newer_kind(name) -> None:
    assert read_key(_record(name).encode()).kind == "ed25519"


def test_a_key_that_dkimpy_takes_is_too_small_for_us() -> None:
    """512 bits: RFC 8301, section 3.2, has verifiers refuse what is below 1,024."""
    record = DKIMPY.literals("test_dkim.py", "dnsfunc")["sample_dns"]
    with pytest.raises(BadKey, match="512 bits"):
        read_key(record.encode())


@pytest.mark.parametrize(
    ("added", "status"),
    [
        (b"", "pass"),
        # dkimpy's test_l_verify passes it; RFC 6376, section 8.2: what follows may be anybody's.
        (b"added more text\r\n", "policy"),
    ],
)
async def test_a_signature_of_a_part_of_the_body(added, status) -> None:
    mail = with_crlf(DKIMPY.file("data/test.message"))
    signed = dkim.sign(mail, b"test", b"example.com", DKIMPY.file("data/test.private"), length=True)
    zone = Zone({"test._domainkey.example.com": {"TXT": [_record("test.txt")]}})
    assert await dkim_statuses(signed + mail + added, zone) == status


async def test_a_signature_with_sha1_is_not_taken() -> None:
    """RFC 8301, section 3.1; dkimpy still verifies it."""
    mail = with_crlf(DKIMPY.file("data/test.message"))
    key = DKIMPY.file("data/test.private")
    signed = dkim.sign(mail, b"test", b"example.com", key, signature_algorithm=b"rsa-sha1")
    zone = Zone({"test._domainkey.example.com": {"TXT": [_record("test.txt")]}})
    assert b"a=rsa-sha1" in signed
    assert await dkim_statuses(signed + mail, zone) == "permerror"


@pytest.mark.parametrize("where", ["above", "below"])
async def test_another_from_beside_the_signed_one(where) -> None:
    """dkimpy's test_multiple_from_fails."""
    mail = with_crlf(DKIMPY.file("data/test.message"))
    signed = dkim.sign(mail, b"test", b"example.com", DKIMPY.file("data/test.private"))
    zone = Zone({"test._domainkey.example.com": {"TXT": [_record("test.txt")]}})
    header, _, body = mail.partition(b"\r\n\r\n")
    other = b'From: "Resident Evil" <sales@spammer.example>'
    lines = [other, header] if where == "above" else [header, other]
    raw = signed + b"\r\n".join(lines) + b"\r\n\r\n" + body
    assert await dkim_statuses(raw, zone) == "fail"
    harmless = raw.replace(other, b"X-Foo: bar")
    assert await dkim_statuses(harmless, zone) == "pass"
