"""Ending a subscription by mail: the address that a sender lists for it, read as hostile input.

Who lists an address has us write to it. So it counts only where the author's own domain signed
for it, its words are few and plain, and it is nobody of ours.
"""

import re
from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from letterbox.feedback.letters import date, field
from letterbox.feedback.written import part, unstructured
from letterbox.model.address import Address, is_below, parse_address
from letterbox.model.network import written_ipv4
from letterbox.model.sender import Proven
from letterbox.reading.header import unfold
from letterbox.reading.mail import Mail

_FIELD: Final = "list-unsubscribe"
#: Characters of a URI; the longest that the ones for HTTP may be, too.
_LONGEST_URI: Final = 2000
_URI: Final = re.compile(r"<\s*(mailto:[^<>\s]+)\s*>", re.IGNORECASE)
_ESCAPES: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LONGEST_SUBJECT: Final = 200
_LONGEST_BODY: Final = 500
#: What no line needs: controls, C1 controls, and separators of lines that are none (Unicode).
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_BREAK: Final = re.compile(r"\r\n|\n")
#: Names that mean machines of ours, or nobody's (RFC 6761, RFC 6762, and ICANN for internal).
_INNER: Final = ("localhost", "local", "internal", "invalid", "home.arpa")
_ASKS: Final = "unsubscribe"


class Mailto(NamedTuple):
    """A mail that a sender asks for: to whom, in which words. Lines of ``body`` end in LF."""

    to: Address
    subject: str
    body: str


def listed_mail(mail: Mail, sender: Proven, ours: Collection[str]) -> Mailto | None:
    """The first address that may be written to, to end a subscription (RFC 2369, section 3.2).

    None unless the field stands there once and a signature of the author's own domain covers it:
    the word of a platform, of SPF or of another server does not do, since what is listed there is
    written to in the consumer's name. ``ours`` are the domains that are never written to.
    """
    fields = mail.all(_FIELD)
    if sender.how != "dkim" or len(fields) != 1 or not sender.vouches_for(_FIELD):
        return None
    for uri in _URI.findall(unfold(fields[0])):
        found = read_mailto(uri, ours)
        if found is not None:
            return found
    return None


def read_mailto(uri: str, ours: Collection[str]) -> Mailto | None:
    """A mailto URI (RFC 6068) as far as it is honoured; None where it is not.

    One address, of which the domain is not ours; a subject on one line and a body of few, plain
    lines. Every other field that it names (``cc``, ``from``, ...) is ignored, a second recipient or
    what could begin a new line of the header makes it none at all.
    """
    if len(uri) > _LONGEST_URI or _ESCAPES.search(uri):
        return None
    written, _, query = uri[len("mailto:") :].partition("?")
    to = _recipient(written, ours)
    fields = _fields(query)
    if to is None or fields is None:
        return None
    subject, body = fields.get("subject", _ASKS), fields.get("body", "")
    lines = _BREAK.split(body)
    if len(subject) > _LONGEST_SUBJECT or len(body) > _LONGEST_BODY:
        return None
    if any(_UNPRINTABLE.search(line) for line in (subject, *lines)):
        return None
    return Mailto(to, subject.strip() or _ASKS, "\n".join(lines).strip() or _ASKS)


def _recipient(written: str, ours: Collection[str]) -> Address | None:
    text = _decoded(written)
    to = parse_address(text) if text is not None and "," not in text else None
    if to is None or "." not in to.domain or written_ipv4(to.domain) is not None:
        return None
    if any(is_below(to.domain, name) for name in (*_INNER, *ours)):
        return None
    return to


def _fields(query: str) -> dict[str, str] | None:
    """The two fields that are honoured; None where one cannot be read or is there twice."""
    found: dict[str, str] = {}
    for each in filter(None, query.split("&")):
        name, _, value = each.partition("=")
        # RFC 6068, section 5: a plus sign is one.
        decoded_name, text = _decoded(name), _decoded(value)
        if decoded_name is None or text is None:
            return None
        folded = decoded_name.lower()
        if folded == "to":
            return None  # a second recipient (section 2)
        if folded in {"subject", "body"}:
            if folded in found:
                return None
            found[folded] = text
    return found


def _decoded(text: str) -> str | None:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeError:
        return None


def compose_unsubscription(
    mailto: Mailto, *, name: str, recipient: str, hostname: str, at: datetime
) -> bytes:
    """The mail, without a signature: from the address that the list knows, handed in by us.

    A person's word and no answer of a machine's: no Auto-Submitted (RFC 3834, section 5), which
    would have list servers ignore it. Its return path is null, so that nothing comes back.
    """
    header = (
        f"From: {recipient}\r\n".encode()
        + field("Sender", f"postmaster@{hostname}")
        + f"To: {mailto.to}\r\n".encode()
        + f"Subject: {unstructured(mailto.subject)}\r\n".encode()
        + field("Date", date(at))
        + field("Message-ID", f"<{name}@{hostname}>")
        + b"MIME-Version: 1.0\r\n"
    )
    lines = (
        mailto.body,
        "",
        "-- ",
        f"Sent by the mail system at {hostname}, as its user {recipient} asked,",
        "to the address in the List-Unsubscribe field of mail that came for them.",
    )
    return header + part("plain", "\n".join(lines) + "\n")
