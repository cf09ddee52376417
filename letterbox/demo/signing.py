"""Signing the demonstration's mail (RFC 6376), as a vendor's own mail server would."""

import base64

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

_SELECTOR = "demo"
_SIGNED = (
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "list-id",
    "list-unsubscribe",
    "letterbox-kind",
    "letterbox-category",
    "letterbox-offer-until",
)


class Signer:
    """A signing key of one domain, made for this run."""

    def __init__(self, domain: str) -> None:
        self._domain = domain
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def record(self) -> tuple[str, str]:
        """The name and the text to publish, so that others can verify (RFC 6376, section 3.6)."""
        public = self._key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        name = f"{_SELECTOR}._domainkey.{self._domain}"
        return name, "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()

    def sign(self, mail: bytes) -> bytes:
        """The mail with its signature on top."""
        private = self._key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )
        field: bytes = dkim.sign(
            mail,
            _SELECTOR.encode(),
            self._domain.encode(),
            private,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=[name.encode() for name in _SIGNED],
        )
        return field + mail
