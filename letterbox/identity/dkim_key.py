"""Reading a DKIM key record (RFC 6376, section 3.6.1; RFC 8463). Pure."""

import binascii
from typing import Literal, cast

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from letterbox.identity.tags import BadTags, read_tags

_LEAST_BITS = 1024  # RFC 8301, section 3.2
_MOST_BITS = 8192  # verifying takes a bounded time
_MOST_EXPONENT = 1 << 33  # 3, 17 and 65537 are what is met
_PADDING = padding.PKCS1v15()
_HASHED = Prehashed(SHA256())

KeyKind = Literal["rsa", "ed25519"]


class BadKey(Exception):
    """The record cannot serve to verify. The text says why."""


class Key(msgspec.Struct, frozen=True):
    """A public key. ``exact``: the signature's ``i=`` must name ``d=`` itself (flag ``s``).

    The flag ``y`` (testing) is passed over: a signature that fits proves its domain, and one
    that does not is no worse than none.
    """

    kind: KeyKind
    public: rsa.RSAPublicKey | ed25519.Ed25519PublicKey
    exact: bool

    def verify(self, signature: bytes, digest: bytes) -> bool:
        """Whether the signature fits the signed header, of which ``digest`` is the SHA-256."""
        try:
            # By its kind, for the keys' classes are abstract ones: to ask for these takes 5 us.
            if self.kind == "rsa":
                public = cast(rsa.RSAPublicKey, self.public)
                public.verify(signature, digest, _PADDING, _HASHED)
            else:  # RFC 8463, section 3
                cast(ed25519.Ed25519PublicKey, self.public).verify(signature, digest)
        except InvalidSignature:
            return False
        return True


def read_key(record: bytes) -> Key:
    """Read one TXT value. Raises :class:`BadKey`."""
    try:
        tags = read_tags(record)
    except BadTags as error:
        raise BadKey(str(error)) from error
    if tags.get("v", "DKIM1") != "DKIM1" or ("v" in tags and next(iter(tags)) != "v"):
        raise BadKey("its version is not DKIM1")
    if "sha256" not in _items(tags.get("h", "sha256")):
        raise BadKey("it does not allow sha256")
    if not {"*", "email"} & set(_items(tags.get("s", "*"))):
        raise BadKey("it is not for mail")
    if "p" not in tags:
        raise BadKey("it holds no key")
    text = "".join(tags["p"].split())
    if not text:
        raise BadKey("the key is revoked")
    kind = tags.get("k", "rsa")
    try:
        octets = binascii.a2b_base64(text, strict_mode=True)
        public = _ed25519(octets) if kind == "ed25519" else _rsa(kind, octets)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKey(f"the key cannot be read: {error}") from error
    return Key(
        kind="rsa" if isinstance(public, rsa.RSAPublicKey) else "ed25519",
        public=public,
        exact="s" in _items(tags.get("t", "")),
    )


def _rsa(kind: str, octets: bytes) -> rsa.RSAPublicKey:
    if kind != "rsa":
        raise BadKey(f"keys of the kind {kind[:20]!r} are not known")
    public = load_der_public_key(octets)
    if not isinstance(public, rsa.RSAPublicKey):
        raise BadKey("the key is not an RSA key")
    if not _LEAST_BITS <= public.key_size <= _MOST_BITS:
        raise BadKey(f"a key of {public.key_size} bits is not taken")
    if public.public_numbers().e > _MOST_EXPONENT:
        raise BadKey("the key's exponent is too large")
    return public


def _ed25519(octets: bytes) -> ed25519.Ed25519PublicKey:
    return ed25519.Ed25519PublicKey.from_public_bytes(octets)


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(":")]
