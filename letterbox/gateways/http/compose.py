"""A JSON message as mail (RFC 5322, RFC 2045). Pure: the same words give the same bytes.

There is no Date: it would make a repeated call another message. Rendering adds the day it came.
"""

from functools import lru_cache
from hashlib import sha256
from typing import Final

from letterbox.feedback.sentences import safe
from letterbox.feedback.written import display, encoded, part_fields, unstructured
from letterbox.gateways.http.forms import NewMessage
from letterbox.model.address import Address
from letterbox.model.preferences import Vendor
from letterbox.reading.mail import Field, Header, Mail, Part

_VERSION: Final = Field("mime-version", b"MIME-Version: 1.0\r\n")
_NAMES: Final = ("content-type", "content-transfer-encoding")
#: Two texts that say the same, the first of such in their message.
_ALTERNATIVES: Final = 1


def compose(
    form: NewMessage, vendor: Vendor, *, hostname: str, name: str, to: Address | None
) -> Mail:
    """The mail of a checked form. ``name`` is the left side of its Message-ID.

    Its fields and parts are known, and need not be looked for in what was just written.

    The author is ``NAME <VENDOR-ID@hostname>``. ``to`` is the only recipient; None hides many.
    """
    header = (
        _from(vendor.name, vendor.id, hostname),
        Field("to", f"To: {to or 'undisclosed-recipients:;'}\r\n".encode()),
        Field("subject", f"Subject: {unstructured(form.subject)}\r\n".encode()),
        Field("message-id", f"Message-ID: <{name}@{hostname}>\r\n".encode()),
        _VERSION,
    )
    text, encoding = encoded(form.text)
    lines = part_fields("plain", encoding)
    if form.html is None:
        fields = (*header, *map(Field, _NAMES, lines))
        raw, body_at = _written(fields, text)
        whole = Part("text/plain", "utf-8", encoding, body_at, len(raw))
        return Mail(raw, Header(fields, body_at), (whole,))
    html, html_encoding = encoded(form.html)
    text_head = b"".join((*lines, b"\r\n"))
    html_head = b"".join((*part_fields("html", html_encoding), b"\r\n"))
    # It must not occur in a part (RFC 2046, section 5.1.1): it is a digest of both.
    boundary = sha256(b"".join((text_head, text, b"\0", html_head, html))).hexdigest()[:40]
    kind = f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n'.encode()
    fields = (*header, Field("content-type", kind))
    delimiter = f"--{boundary}".encode()
    raw, body_at = _written(
        fields,
        *(delimiter, b"\r\n", text_head, text, b"\r\n"),
        *(delimiter, b"\r\n", html_head, html, b"\r\n"),
        *(delimiter, b"--\r\n"),
    )
    text_at = body_at + len(delimiter) + 2 + len(text_head)
    text_end = text_at + len(text)
    html_at = text_end + 2 + len(delimiter) + 2 + len(html_head)
    parts = (
        Part("text/plain", "utf-8", encoding, text_at, text_end, _ALTERNATIVES),
        Part("text/html", "utf-8", html_encoding, html_at, html_at + len(html), _ALTERNATIVES),
    )
    return Mail(raw, Header(fields, body_at), parts)


@lru_cache(maxsize=1024)
def _from(name: str, local: str, hostname: str) -> Field:
    """A vendor's own, the same in all that it sends."""
    return Field("from", f"From: {display(safe(name))} <{local}@{hostname}>\r\n".encode())


def _written(fields: tuple[Field, ...], *body: bytes) -> tuple[bytes, int]:
    """The whole message, and where its body begins."""
    head = b"".join([field.raw for field in fields])
    return b"".join((head, b"\r\n", *body)), len(head) + 2
