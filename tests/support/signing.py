"""Signed test mail, and the DNS records that prove it."""

import base64
import functools
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import dkim
import msgspec
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from letterbox.identity.canon import Signable, relaxed_field
from letterbox.ports.resolver import Answer, RecordType, ResolverTrouble
from letterbox.reading.mail import split

#: dkimpy signs with the time of the day. An hour on, so that no signature is of the future however
#: long it is since this was read.
NOW = datetime.now(tz=UTC) + timedelta(hours=1)
HEADERS = [b"from", b"to", b"subject", b"date", b"message-id", b"letterbox-kind"]


@functools.cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """One key of each size for a whole test run: making them is slow."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """Signs mail for a domain with dkimpy (rsa-sha256)."""

    domain: str
    selector: str = "s1"
    bits: int = 2048

    @property
    def name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        public = rsa_key(self.bits).public_key()
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()

    @property
    def records(self) -> dict[str, dict[str, list[str]]]:
        """What to publish, as :class:`letterbox.demo.dns.DnsServer` takes it."""
        return {self.name: {"TXT": [self.record]}}

    def field(self, mail: bytes, form: str = "relaxed/relaxed", **options: Any) -> bytes:
        """The DKIM-Signature field for a mail; ``options`` are dkimpy's."""
        pem = rsa_key(self.bits).private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )
        header, body = form.encode().split(b"/")
        return dkim.sign(
            mail,
            self.selector.encode(),
            self.domain.encode(),
            pem,
            canonicalize=(header, body),
            **({"include_headers": HEADERS} | options),
        )

    def sign(self, mail: bytes, form: str = "relaxed/relaxed", **options: Any) -> bytes:
        """The mail with its signature on top."""
        return self.field(mail, form, **options) + mail


def craft(
    mail: bytes, tags: dict[str, str | None], *, bits: int = 2048, kind: str = "rsa"
) -> bytes:
    """A mail signed by hand, relaxed/relaxed, with tags as wanted; None leaves a tag out.

    The signature always fits what it covers, so that only the tags are what is tested.
    """
    message = Signable(split(mail))
    listed = tags.get("h") or "from:to:subject"
    names = [name.strip() for name in listed.lower().split(":")]
    length = int(tags["l"]) if (tags.get("l") or "").isdecimal() else None
    all_tags = {
        "v": "1",
        "a": f"{kind}-sha256",
        "c": "relaxed/relaxed",
        "d": "greenleaf.example",
        "s": "s1",
        "h": listed,
        "bh": base64.b64encode(message.body_digest("relaxed", length)).decode(),
    } | tags
    text = "; ".join(f"{tag}={value}" for tag, value in all_tags.items() if value is not None)
    bare = f"DKIM-Signature: {text}; b=".encode()
    header = message.header("relaxed", names) + relaxed_field(bare).removesuffix(b"\r\n")
    if kind == "rsa":
        signature = rsa_key(bits).sign(header, padding.PKCS1v15(), SHA256())
    else:
        signature = ed25519_key().sign(hashlib.sha256(header).digest())
    return bare + base64.b64encode(signature) + b"\r\n" + mail


@functools.cache
def ed25519_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def ed25519_record() -> str:
    raw = ed25519_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return "v=DKIM1; k=ed25519; p=" + base64.b64encode(raw).decode()


class Zone:
    """A resolver that answers from a table, at once; what is not in it does not exist.

    ``trouble`` are names that give ResolverTrouble. ``asked`` keeps every question.
    """

    def __init__(
        self, records: dict[str, dict[str, list[str]]], trouble: frozenset[str] = frozenset()
    ) -> None:
        self.records = records
        self.trouble = trouble
        self.asked: list[tuple[str, str]] = []

    async def ask(self, name: str, record: RecordType) -> Answer:
        self.asked.append((name, record))
        if name in self.trouble:
            raise ResolverTrouble(f"{name}: no answer")
        values = self.records.get(name, {}).get(record, [])
        if record == "TXT":
            return Answer(values=tuple(v.encode() for v in values), exists=name in self.records)
        return Answer(values=tuple(values), exists=name in self.records)
