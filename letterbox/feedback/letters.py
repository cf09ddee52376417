"""Mail that we write ourselves: fields that cannot be broken out of, and parts (RFC 5322, 2045)."""

import binascii
import re
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Protocol

from letterbox.feedback.sentences import safe

# RFC 5322, section 2.1.1, less what a name and a colon take.
_LONGEST_VALUE = 900
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]")
#: What no line of a header needs: controls but the tab, and what is beyond ASCII.
_UNUSUAL = re.compile(rb"[^\t\r\n\x20-\x7e]")
#: What may stand for a message in In-Reply-To (RFC 5322, section 3.6.4), less what is unusual.
_MESSAGE_ID = re.compile(r"[\x21-\x3b\x3d\x3f-\x7e]{1,500}")


class Signs(Protocol):
    """Signs mail of ours (:class:`letterbox.identity.signing.OwnSigner`)."""

    def sign(self, content: bytes, now: datetime) -> bytes:
        """The mail with its signature."""
        ...


def ascii_value(text: str, longest: int = _LONGEST_VALUE) -> str:
    """A field's value that can end no line and hide nothing: printable ASCII on one line."""
    return _NOT_PRINTABLE.sub("?", safe(text, longest).replace("…", "..."))[:longest]


def field(name: str, value: str) -> bytes:
    """One header field of printable ASCII."""
    return f"{name}: {ascii_value(value)}\r\n".encode("ascii")


def date(at: datetime) -> str:
    """A moment as RFC 5322, section 3.3, writes it; ``at`` is aware."""
    return format_datetime(at)


def reference_to(message_id: str | None) -> bytes:
    """The fields that tie an answer to a message; nothing where it has no fit name."""
    if message_id is None or not _MESSAGE_ID.fullmatch(message_id):
        return b""
    name = f"<{message_id}>"
    return field("In-Reply-To", name) + field("References", name)


def seven_bit(kind: str, content: bytes) -> bytes:
    """A part of short lines in ASCII that end in CRLF (RFC 2045, section 2.7)."""
    return _part(kind, "7bit", content)


def _part(kind: str, encoding: str, content: bytes) -> bytes:
    head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode("ascii") + content


def report(kind: str, boundary: str, header: bytes, parts: Sequence[bytes]) -> bytes:
    """A multipart/report (RFC 6522). ``header`` are the fields above those of MIME.

    ``boundary`` must stand in no part: it is a random name.
    """
    content_type = f'multipart/report; report-type={kind}; boundary="{boundary}"'
    pieces = [
        header,
        b"MIME-Version: 1.0\r\n",
        f"Content-Type: {content_type}\r\n\r\n".encode("ascii"),
    ]
    for part in parts:
        if boundary.encode() in part:
            raise ValueError("the boundary stands in a part")
        pieces += [f"--{boundary}\r\n".encode("ascii"), part, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode("ascii"))
    return b"".join(pieces)


def header_part(raw: bytes) -> bytes:
    """The header of a message as it was received (RFC 6522, section 4): lines 7-bit and short.

    Otherwise quoted-printable, so that every server on the way takes it.
    """
    lines = raw.split(b"\r\n")
    if not _UNUSUAL.search(raw) and all(len(line) <= _LONGEST_VALUE for line in lines):
        return seven_bit("text/rfc822-headers", raw)
    encoded = (binascii.b2a_qp(line, quotetabs=False) for line in lines)
    content = b"\r\n".join(line.replace(b"=\n", b"=\r\n") for line in encoded)
    return _part("text/rfc822-headers", "quoted-printable", content)
