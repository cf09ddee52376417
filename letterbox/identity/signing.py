"""Our own signature on mail that we write (RFC 6376, section 5)."""

import base64
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from letterbox.identity.canon import Signable, relaxed_field
from letterbox.reading.mail import split

#: RFC 8301, section 3.2: what verifiers still take, and what is asked of a signer.
_LEAST_BITS: Final = 1024
#: Each once more than it stands there, so that nobody adds a second one (section 8.15).
_SIGNED: Final = (
    "from", "to", "subject", "date", "message-id", "auto-submitted", "in-reply-to", "references",
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
        body = base64.b64encode(message.body_digest("relaxed", None)).decode()
        head = (
            f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={self._domain};\r\n"
            f" s={self._selector}; t={int(now.timestamp())};\r\n"
            f" h={_folded(':'.join(names), ':')};\r\n"
            f" bh={body};\r\n"
            " b="
        )
        # Section 3.7: the field itself comes last, its signature empty, without its CRLF.
        hashed = message.header("relaxed", names) + relaxed_field(head.encode()).removesuffix(
            b"\r\n"
        )
        signature = self._key.sign(hashed, padding.PKCS1v15(), hashes.SHA256())
        text = base64.b64encode(signature).decode()
        lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
        return (head + "\r\n  ".join(lines) + "\r\n").encode() + content


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
