"""Our own signature: others verify it, and nothing can be added beside it."""

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from letterbox.identity.signing import BadKey, OwnSigner
from tests.support.clock import FakeClock
from tests.support.signing import Signer, rsa_key

MAIL = (
    b"From: Letterbox <postmaster@letterbox.example>\r\n"
    b"To: shop@greenleaf.example\r\n"
    b"Subject: Undelivered\r\n mail\r\n"
    b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
    b"\r\n"
    b"Text  with spaces \r\n\r\n\r\n"
)
THEIRS = Signer(domain="letterbox.example")
NOW = FakeClock().now()


def pem(key, encryption=None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


SIGNER = OwnSigner("letterbox.example", "s1", pem(rsa_key(2048)))


def verifies(content: bytes) -> bool:
    def ask(name: bytes, timeout: int = 5) -> bytes | None:
        return THEIRS.record.encode() if name.rstrip(b".") == THEIRS.name.encode() else None

    return dkim.DKIM(content).verify(dnsfunc=ask)


def test_another_program_verifies_it() -> None:
    signed = SIGNER.sign(MAIL, NOW)
    assert signed.endswith(MAIL)
    assert verifies(signed)
    assert max(map(len, signed.split(b"\r\n"))) < 100


@given(st.binary(max_size=300).map(lambda b: b.replace(b"\r", b"").replace(b"\n", b"\r\n")))
def test_any_body_is_signed_so_that_it_verifies(body: bytes) -> None:
    assert verifies(SIGNER.sign(MAIL.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body, NOW))


@pytest.mark.parametrize(
    "more",
    [
        b"From: a@b.example\r\n",
        b"Sender: a@b.example\r\n",
        b"Reply-To: a@b.example\r\n",
        b"Cc: a@b.example\r\n",
        b"Subject: other\r\n",
        b"Content-Type: text/html\r\n",
    ],
)
def test_nothing_can_be_added(more: bytes) -> None:
    assert not verifies(more + SIGNER.sign(MAIL, NOW))


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (b"", "PEM"),
        (pem(rsa_key(2048))[:200], "PEM"),
        (pem(rsa_key(2048), BestAvailableEncryption(b"x")), "unencrypted"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "no RSA"),
    ],
)
def test_what_cannot_sign_is_said(key: bytes, why: str) -> None:
    with pytest.raises(BadKey, match=why):
        OwnSigner("letterbox.example", "s1", key)


def test_a_traditional_key_signs_too() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert b"d=letterbox.example" in OwnSigner("letterbox.example", "s2", text).sign(MAIL, NOW)
