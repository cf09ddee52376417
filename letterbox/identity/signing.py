"""Our own signature on mail that we write, or hand on (RFC 6376, section 5; RFC 8617)."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from letterbox.identity.arc import MOST_SETS, BadChain, Chain, octets, read_chain
from letterbox.identity.canon import Signable, relaxed_field
from letterbox.reading.mail import split

#: RFC 8301, section 3.2: what verifiers still take, and what is asked of a signer.
_LEAST_BITS: Final = 1024
#: Each once more than it stands there, so that nobody adds a second one (section 8.15).
_SIGNED: Final = (
    "from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id",
    "auto-submitted", "in-reply-to", "references",
    "mime-version", "content-type", "content-transfer-encoding",
    "list-unsubscribe", "list-unsubscribe-post",  # RFC 8058, section 4
)  # fmt: skip
_LINE = 70


class BadKey(Exception):
    """A private key that cannot sign; the text says what is wrong with it."""


class OwnSigner:
    """Signs as ``domain`` with the key published at ``selector``; ``pem`` is the private key.

    Raises :class:`BadKey`.
    """

    def __init__(self, domain: str, selector: str, pem: bytes) -> None:
        self._domain = domain
        self._selector = selector
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise BadKey("it is no unencrypted private key in PEM") from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise BadKey("it is no RSA key")
        if key.key_size < _LEAST_BITS:
            raise BadKey(f"it has {key.key_size} bits; at least {_LEAST_BITS}, better 2048")
        self._key = key

    def sign(self, content: bytes, now: datetime) -> bytes:
        """The mail with its signature on top: relaxed/relaxed, rsa-sha256, all of the body."""
        message = Signable(split(content))
        names = [name for each in _SIGNED for name in (each,) * (message.count(each) + 1)]
        head = f"DKIM-Signature: v=1; {self._tags(now)};\r\n c=relaxed/relaxed;"
        return self._over(message, head, names) + content

    def seal(self, content: bytes, results: str, chain: Chain, now: datetime) -> bytes:
        """The mail with one more ARC set on top (RFC 8617, section 5.1): ``results`` are ours.

        ``chain`` is what was found of the sets that are there. Where they fail it is said so, and
        only our own set is sealed (section 5.1.2). Sets that cannot be told apart, that say of
        themselves that they fail, that are as many as there may be, or whose keys cannot be had
        now are left as they are.
        """
        try:
            sets = read_chain(split(content))
        except BadChain:
            return content
        if chain.status == "temperror" or len(sets) >= MOST_SETS:
            return content
        message, number = Signable(split(content)), len(sets) + 1
        found = ";\r\n ".join(_with_chain(results, chain).split("; "))
        told = f"ARC-Authentication-Results: i={number}; {found}\r\n".encode()
        # Fields that others add on the way must not break it: each as often as it stands there.
        names = [n for n in (*_SIGNED, "dkim-signature") for _ in range(message.count(n))]
        head = f"ARC-Message-Signature: i={number}; {self._tags(now)};\r\n c=relaxed/relaxed;"
        signature = self._over(message, head, names)
        whole = sets if chain.status == "pass" else ()
        before = b"".join(octets(each) + relaxed_field(each.seal.field.raw) for each in whole)
        sealed = before + relaxed_field(told) + relaxed_field(signature)
        seal = f"ARC-Seal: i={number}; {self._tags(now)};\r\n cv={chain.status};\r\n b="
        return self._signed(sealed, seal) + signature + told + content

    def _tags(self, now: datetime) -> str:
        moment = int(now.timestamp())
        return f"a=rsa-sha256; d={self._domain};\r\n s={self._selector}; t={moment}"

    def _over(self, message: Signable, head: str, names: Sequence[str]) -> bytes:
        """A field that signs fields of a message and its whole body, relaxed both."""
        body = base64.b64encode(message.body_digest("relaxed", None)).decode()
        listed = _folded(":".join(names), ":")
        field = f"{head}\r\n h={listed};\r\n bh={body};\r\n b="
        return self._signed(message.header("relaxed", names), field)

    def _signed(self, hashed: bytes, field: str) -> bytes:
        """A field that ends with its signature over ``hashed`` and itself (RFC 6376, 3.7)."""
        # The field itself comes last, its signature empty, without its CRLF.
        hashed += relaxed_field(field.encode()).removesuffix(b"\r\n")
        signature = self._key.sign(hashed, padding.PKCS1v15(), hashes.SHA256())
        text = base64.b64encode(signature).decode()
        lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
        return (field + "\r\n  ".join(lines) + "\r\n").encode()


def _with_chain(results: str, chain: Chain) -> str:
    """Results with what was found of the chain (RFC 8617, section 10.1), where they lack it."""
    if "; arc=" in results:
        return results
    server, _, found = results.partition("; ")
    said = f"arc={chain.status}"
    # RFC 8601, section 2.2: "none" stands alone.
    return f"{server}; {said}" if not found or found.startswith("none") else f"{results}; {said}"


def _folded(text: str, at: str) -> str:
    """A list on several lines, each folded behind a separator."""
    lines, line = [], ""
    for piece in text.split(at):
        if line and len(line) + len(piece) > _LINE:
            lines.append(line)
            line = ""
        line += piece + at
    lines.append(line.removesuffix(at))
    return "\r\n  ".join(lines)
