"""A received message as its recipient reads it: our trace fields before it, claims to be us masked.

Pure, and the stored bytes stay what they are.
"""

import re
from collections.abc import Sequence
from email.utils import format_datetime

from letterbox.feedback.sentences import safe
from letterbox.model.record import InboxEntry, MessageRecord
from letterbox.reading.mail import with_crlf

_HEADER_END = re.compile(rb"\r\n\r\n")
#: Fields that only the last server writes (RFC 5321, section 4.4; RFC 8601, section 5).
_CLAIMS = re.compile(
    rb"^(authentication-results|letterbox-decision|letterbox-removed|return-path)"
    rb"([ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_HIDING = re.compile(rb'[\s"]+|\\[()]?')
_COMMENT = re.compile(rb"\([^()]*\)")
_MOST_NESTED = 20  # comments within one another that are taken out; more are a forger's
_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:", re.IGNORECASE | re.MULTILINE)
_DATE = re.compile(rb"^date[ \t]*:", re.IGNORECASE | re.MULTILINE)
_MBOX = re.compile(rb"\A>?From (?![ \t]*:)")
_MASK = b"X-Masked-"
# RFC 5321, section 4.1.2: what a Domain or an address literal is made of.
_HELO = re.compile(r"[A-Za-z0-9.\-:\[\]_]{1,255}")
# RFC 5321, section 4.4: the protocols of the With clause.
#: RFC 3848 names ESMTPA; whether it was under TLS is not written down.
_PROTOCOLS = {
    "smtp": "ESMTP",
    "lmtp": "LMTP",
    "http": "HTTP",
    "submission": "ESMTPA",
    "filter": "ESMTP",
}


def with_trace(
    record: MessageRecord,
    entry: InboxEntry,
    body: bytes,
    hostname: str,
    *,
    onward: Sequence[str] = (),
) -> bytes:
    """The message with the trace of its way to one recipient; ``body`` are the stored bytes.

    What came over HTTP is given CRLF line ends, as it was read. ``onward`` are fields that go
    with what is handed on, whose return path the last server writes (RFC 5321, section 4.4).
    """
    if record.edge == "http":
        body = with_crlf(body)
    header, masked, rest = _without_claims(body, hostname)
    trace = _trace(record, entry, hostname)
    if onward:
        trace = [*trace[1:], *onward]
    if not _DATE.search(header):
        # A submission server may add what is missing (RFC 6409, section 8.1).
        trace.append(f"Date: {format_datetime(record.at)}")
    if record.edge == "submission" and not _MESSAGE_ID.search(header):
        trace.append(f"Message-ID: <{record.id}@{hostname}>")
    prefix = "".join(f"{line}\r\n" for line in trace)
    return prefix.encode("utf-8", "replace") + masked + rest


def handed_on(
    record: MessageRecord, recipients: Sequence[str], body: bytes, hostname: str
) -> bytes:
    """The message as the mail server behind gets it, for all of its recipients.

    A return path is for whoever delivers in the end (RFC 5321, section 4.4); nor does a recipient
    read here of another.
    """
    _, masked, rest = _without_claims(body, hostname)
    trace = _received(record, recipients[0] if len(recipients) == 1 else None, hostname)
    if record.results:
        trace.append(f"Authentication-Results: {_folded(record.results)}")
    trace.append(f"Letterbox-Decision: deliver; message={record.id}")
    prefix = "".join(f"{line}\r\n" for line in trace)
    return prefix.encode("utf-8", "replace") + masked + rest


def _without_claims(body: bytes, hostname: str) -> tuple[bytes, bytes, bytes]:
    """The header, the header with what claims to be ours masked, and what comes behind it."""
    end = _HEADER_END.search(body)
    at = 0 if body.startswith(b"\r\n") else end.start() + 2 if end else len(body)
    header = body[:at]
    masked = _CLAIMS.sub(lambda field: _masked(field, hostname), _MBOX.sub(_mbox, header))
    return header, masked, body[at:]


def _mbox(found: re.Match[bytes]) -> bytes:
    """A line of an mbox file in place of the first field would end our header."""
    return _MASK + b"Mbox: " + found[0]


def _masked(field: re.Match[bytes], hostname: str) -> bytes:
    name, rest = field[1], field[2]
    if name.lower() == b"authentication-results" and not _names(rest, hostname):
        return field[0]
    return _MASK + name + rest


def _names(rest: bytes, hostname: str) -> bool:
    """Whether results may be read as ours (RFC 8601, section 2.2): the name before the first ``;``.

    Comments, quotes and backslashes could hide it: then any mention is enough, with them and
    without. So could space within it, and letters that are not ASCII (RFC 8616): of those several
    make one name (UTS #46), so that any may be ours.
    """
    ours = hostname.encode().lower()
    value = rest.lower()
    if any(sign in value for sign in (b"(", b'"', b"\\")):
        said = _HIDING.sub(b"", value)
    else:
        value = said = _HIDING.sub(b"", value.partition(b";")[0])
    if not said.isascii():
        return True
    for _ in range(_MOST_NESTED):
        if ours in said:
            return True
        said, count = _COMMENT.subn(b"", said)
        if not count:
            return ours in value
    return True


def _trace(record: MessageRecord, entry: InboxEntry, hostname: str) -> list[str]:
    lines = [
        f"Return-Path: <{safe(record.reverse_path or '', 320)}>",
        f"Delivered-To: {safe(entry.recipient, 320)}",
        *_received(record, entry.recipient, hostname),
    ]
    if record.results:
        lines.append(f"Authentication-Results: {_folded(record.results)}")
    decided = [f"Letterbox-Decision: deliver; id={entry.decision}; message={entry.message}"]
    decided += [f"interest={safe(interest)}" for interest in entry.interests]
    return [*lines, ";\r\n ".join(decided)]


def _received(record: MessageRecord, recipient: str | None, hostname: str) -> list[str]:
    """The time stamp line (RFC 5321, section 4.4)."""
    helo = record.helo if _HELO.fullmatch(record.helo) else "unknown"
    colon = ":" in record.client
    client = f"[{'IPv6:' if colon else ''}{safe(record.client, 64)}]" if record.client else ""
    by = f" by {hostname} with {_PROTOCOLS[record.edge]} id {record.id}"
    whom = [by, f" for <{safe(recipient, 320)}>"] if recipient else [by]
    whom[-1] += f"; {format_datetime(record.at)}"
    return [f"Received: from {helo}" + (f" ({client})" if client else ""), *whom]


def _folded(results: str) -> str:
    """Results on lines of their own, at their semicolons, which no folding changes."""
    return ";\r\n ".join(safe(part, 900) for part in results.split(";"))
