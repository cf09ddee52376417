"""A JSON message as mail (RFC 5322, RFC 2045). Pure: the same words give the same bytes.

There is no Date: it would make a repeated call another message. Rendering adds the day it came.
"""

from hashlib import sha256

from msgspec.structs import replace

from letterbox.feedback.sentences import safe
from letterbox.feedback.written import display, part, unstructured
from letterbox.gateways.http.forms import NewMessage
from letterbox.model.address import Address
from letterbox.model.preferences import Vendor
from letterbox.reading.mail import Field, Header, Mail, Part

_BLANK = b"\r\n\r\n"


def compose(
    form: NewMessage, vendor: Vendor, *, hostname: str, name: str, to: Address | None
) -> Mail:
    """The mail of a checked form. ``name`` is the left side of its Message-ID.

    Its fields are known, and need not be looked for in what was just written.

    The author is ``NAME <VENDOR-ID@hostname>``. ``to`` is the only recipient; None hides many.
    """
    header = [
        f"From: {display(safe(vendor.name))} <{vendor.id}@{hostname}>",
        f"To: {to or 'undisclosed-recipients:;'}",
        f"Subject: {unstructured(form.subject)}",
        f"Message-ID: <{name}@{hostname}>",
        "MIME-Version: 1.0",
    ]
    text = part("plain", form.text)
    if form.html is None:
        said, _, octets = text.partition(_BLANK)
        mail = _mail([*header, *said.decode().split("\r\n")], octets)
        encoding = said.rpartition(b" ")[2].decode()
        whole = Part("text/plain", "utf-8", encoding, mail.header.body_at, len(mail.raw))
        return replace(mail, parts=(whole,))
    html = part("html", form.html)
    # It must not occur in a part (RFC 2046, section 5.1.1): it is a digest of both.
    boundary = sha256(text + b"\0" + html).hexdigest()[:40]
    header.append(f'Content-Type: multipart/alternative; boundary="{boundary}"')
    between = f"--{boundary}\r\n".encode()
    end = f"--{boundary}--\r\n".encode()
    return _mail(header, b"".join((between, text, b"\r\n", between, html, b"\r\n", end)))


def _mail(header: list[str], body: bytes) -> Mail:
    fields = tuple(
        [Field(line.partition(":")[0].lower(), f"{line}\r\n".encode()) for line in header]
    )
    head = b"".join([field.raw for field in fields]) + b"\r\n"
    return Mail(raw=head + body, header=Header(fields, body_at=len(head)))
