"""A JSON message as mail (RFC 5322, RFC 2045). Pure: the same words give the same bytes.

There is no Date: it would make a repeated call another message. Rendering adds the day it came.
"""

from hashlib import sha256

from letterbox.feedback.sentences import safe
from letterbox.feedback.written import display, part, unstructured
from letterbox.gateways.http.forms import NewMessage
from letterbox.model.address import Address
from letterbox.model.preferences import Vendor


def compose(
    form: NewMessage, vendor: Vendor, *, hostname: str, name: str, to: Address | None
) -> bytes:
    """The mail of a checked form. ``name`` is the left side of its Message-ID.

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
        return _join(header).encode() + text
    html = part("html", form.html)
    # It must not occur in a part (RFC 2046, section 5.1.1): it is a digest of both.
    boundary = sha256(text + b"\0" + html).hexdigest()[:40]
    header.append(f'Content-Type: multipart/alternative; boundary="{boundary}"')
    between = f"--{boundary}\r\n".encode()
    end = f"--{boundary}--\r\n".encode()
    return b"".join(
        (_join(header).encode(), b"\r\n", between, text, b"\r\n", between, html, b"\r\n", end)
    )


def _join(lines: list[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)
