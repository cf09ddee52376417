"""Mail that forwarders sealed (ARC), made with dkimpy."""

import base64

import dkim
import msgspec
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from letterbox.identity.canon import relaxed_field
from letterbox.reading.mail import split
from tests.support.signing import Signer, rsa_key


class Hop(msgspec.Struct, frozen=True):
    """One forwarder: whose it is, what it found, and which body it hands on instead, if any."""

    signer: Signer
    found: str
    body: bytes | None = None


def seal(mail: bytes, signer: Signer, found: str) -> bytes:
    """The mail with one more ARC set; ``found`` are results, an ``arc=`` among them."""
    server = f"mx.{signer.domain}"
    pem = rsa_key(signer.bits).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
    told = f"Authentication-Results: {server}; {found}\r\n".encode() + mail
    fields = dkim.arc_sign(
        told, signer.selector.encode(), signer.domain.encode(), pem, server.encode()
    )
    assert fields, "dkimpy did not seal"
    return b"".join(fields) + mail


def forward(mail: bytes, hops: list[Hop]) -> bytes:
    """The mail as the last of some forwarders sends it."""
    for number, hop in enumerate(hops):
        if hop.body is not None:
            mail = mail.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + hop.body
        arc = "arc=pass" if number else "arc=none"
        mail = seal(mail, hop.signer, f"{arc}; {hop.found}" if hop.found else arc)
    return mail


def seal_for(mail: bytes, signer: Signer) -> bytes:
    """A mail with one set, its seal taken off and another's put on."""
    fields = {field.name: field.raw for field in split(mail).fields}
    bare = f"ARC-Seal: i=1; cv=none; a=rsa-sha256; d={signer.domain}; s={signer.selector}; b="
    names = ("arc-authentication-results", "arc-message-signature")
    sealed = b"".join(relaxed_field(fields[name]) for name in names)
    sealed += relaxed_field(bare.encode()).removesuffix(b"\r\n")
    signature = rsa_key(signer.bits).sign(sealed, padding.PKCS1v15(), SHA256())
    seal = bare.encode() + base64.b64encode(signature) + b"\r\n"
    return mail.replace(fields["arc-seal"], seal, 1)
