"""Builders of mail for tests."""

from collections.abc import Iterable
from pathlib import Path

from letterbox.model.address import Address
from letterbox.model.sender import How, Proven
from letterbox.reading.mail import Mail, split, with_crlf

AUTHOR = Address(local="news", domain="greenleaf.example")


def raw_mail(fields: Iterable[str | bytes] = (), body: str | bytes = "") -> bytes:
    """A message of these field lines and this body; text is written as UTF-8."""
    header = b"".join(_bytes(field) + b"\r\n" for field in fields)
    return header + b"\r\n" + with_crlf(_bytes(body))


def mail(fields: Iterable[str | bytes] = (), body: str | bytes = "") -> Mail:
    return split(raw_mail(fields, body))


def html_mail(html: str, *fields: str) -> Mail:
    return mail([*fields, "Content-Type: text/html; charset=utf-8"], html)


def alternatives(plain: str, html: str) -> Mail:
    """A message that says the same as text and as HTML."""
    return mail(
        ['Content-Type: multipart/alternative; boundary="cut"'],
        "--cut\nContent-Type: text/plain; charset=utf-8\n\n" + plain + "\n"
        "--cut\nContent-Type: text/html; charset=utf-8\n\n" + html + "\n--cut--\n",
    )


def proven(how: How = "peer", *signed: str) -> Proven:
    """The vendor's author, proven so; ``signed`` are the fields a signature covers."""
    return Proven(domain=AUTHOR.domain, how=how, author=AUTHOR, signed=frozenset(signed))


def read_file(path: Path) -> bytes:
    """A mail of the shared collection as SMTP would bring it."""
    return with_crlf(path.read_bytes())


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
