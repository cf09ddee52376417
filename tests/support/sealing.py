"""Mail that forwarders sealed (ARC), made with dkimpy."""

import dkim
import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

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
