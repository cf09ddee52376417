"""The forms of a message that are signed (RFC 6376, section 3.4). Pure.

Bodies are worked over as whole buffers, never line by line: it is what makes a proof cheap.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Literal

from letterbox.reading.mail import Field, Mail

Form = Literal["simple", "relaxed"]

_RUN = re.compile(rb"  +")


def simple_body(body: bytes) -> bytes:
    """Section 3.4.3: empty lines at the end go, and the end is a line's."""
    if not body.endswith(b"\r\n"):
        return body + b"\r\n"
    text = body.rstrip(b"\r\n")
    ends = len(body) - len(text)
    if body[len(text) :] == b"\r\n" * (ends // 2):
        return text + b"\r\n"
    # The end holds a CR or LF by itself, which no SMTP edge lets in, and is no empty line.
    marked = body.replace(b"\0", b"\1").replace(b"\r\n", b"\0\0")
    return body[: len(marked.rstrip(b"\0"))] + b"\r\n"


def relaxed_body(body: bytes) -> bytes:
    """Section 3.4.4: as simple, with runs of space made one and none at the end of a line."""
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    body = _RUN.sub(b" ", body.replace(b"\t", b" "))
    body = simple_body(body.replace(b" \r\n", b"\r\n"))
    return b"" if body == b"\r\n" else body


def relaxed_field(raw: bytes) -> bytes:
    """Section 3.4.2: lower name, one line, single spaces."""
    name, _, value = raw.partition(b":")
    words = value.replace(b"\r\n", b"").replace(b"\t", b" ").split(b" ")
    return name.rstrip(b" \t").lower() + b":" + b" ".join(filter(None, words)) + b"\r\n"


def simple_field(raw: bytes) -> bytes:
    """Section 3.4.1: as it stands."""
    return raw if raw.endswith(b"\r\n") else raw + b"\r\n"


class Signable:
    """One message as signatures see it; every form of its body is made and hashed once."""

    def __init__(self, mail: Mail) -> None:
        self._mail = mail
        self._bodies: dict[Form, bytes] = {}
        self._digests: dict[tuple[Form, int | None], bytes] = {}
        self._fields: dict[str, list[Field]] = {}
        for field in mail.fields:
            self._fields.setdefault(field.name, []).append(field)

    @property
    def size(self) -> int:
        """Octets of the message: what working on it costs."""
        return len(self._mail.raw)

    def count(self, name: str) -> int:
        """How many fields bear this name (lower case)."""
        return len(self._fields.get(name, ()))

    def body(self, form: Form) -> bytes:
        """The body in one form."""
        if form not in self._bodies:
            make = relaxed_body if form == "relaxed" else simple_body
            self._bodies[form] = make(self._mail.body)
        return self._bodies[form]

    def body_digest(self, form: Form, length: int | None) -> bytes:
        """SHA-256 of the body, or of its first ``length`` octets."""
        key = (form, length)
        if key not in self._digests:
            body = self.body(form)
            self._digests[key] = hashlib.sha256(
                body if length is None else memoryview(body)[:length]
            ).digest()
        return self._digests[key]

    def header(self, form: Form, names: Iterable[str]) -> bytes:
        """The named fields, of several the last first (section 5.4.2); absent ones are nothing."""
        make = relaxed_field if form == "relaxed" else simple_field
        left: dict[str, Iterator[Field]] = {}
        chosen: list[bytes] = []
        for name in names:
            rest = left.setdefault(name, reversed(self._fields.get(name, [])))
            field = next(rest, None)
            if field is not None:
                chosen.append(make(field.raw))
        return b"".join(chosen)
