"""Delivery status notifications (RFC 3464, in the multipart/report of RFC 6522).

They say what the reply would have said, word for word: ``Told`` is all they know.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from letterbox.feedback.letters import (
    ascii_value,
    date,
    field,
    header_part,
    reference_to,
    report,
    seven_bit,
)
from letterbox.feedback.sentences import safe
from letterbox.feedback.written import part
from letterbox.model.report import Report, Reported

_LONGEST: Final = 500
#: A header in a report is cut off here, at the end of a field.
LONGEST_HEADER: Final = 32 * 1024
# RFC 6533, section 3: what is beyond ASCII in an address, and the characters that end its parts.
_NOT_XTEXT = re.compile(r"[^\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e]")
_TYPED = re.compile(r"([A-Za-z0-9-]{1,20});(.{1,500})", re.DOTALL)


def compose_report(owed: Report, *, hostname: str, message_id: str | None) -> bytes:
    """The whole notification, without a signature.

    ``hostname`` is ours, ``message_id`` that of the message it is about. The same for the same
    arguments, so that a second attempt is the same mail.
    """
    failed = owed.action == "failed"
    subject = "Undelivered mail returned to sender" if failed else "Mail was relayed"
    header = _header(owed.to, subject, owed.id, owed.owed, hostname) + reference_to(message_id)
    parts = [
        part("plain", _text(owed, hostname)),
        _status(owed, hostname),
        header_part(owed.header),
    ]
    return report("delivery-status", f"=_{owed.id}", header, parts)


def _header(to: str, subject: str, name: str, made: datetime, hostname: str) -> bytes:
    # RFC 3464, section 2: the sender is the system, and a person reads what is written to it.
    sender = field("From", f'"Mail delivery at {hostname}" <postmaster@{hostname}>')
    receiver = f"To: {_safe_address(to)}\r\n".encode()
    return (
        sender
        + receiver
        + field("Subject", subject)
        + field("Date", date(made))
        + field("Message-ID", f"<{name}@{hostname}>")
        + field("Auto-Submitted", "auto-replied")  # RFC 3834, section 5
    )


def _safe_address(text: str) -> str:
    """An address as it stands in a field; only one that was read as an address comes here."""
    if re.search(r"[\x00-\x20\x7f-\x9f\u2028\u2029<>\",;:()\\\[\]]", text):
        raise ValueError("no address that can be written in a field")
    return text


def _text(owed: Report, hostname: str) -> str:
    lines = [f"This is the mail system at {hostname}.", ""]
    if owed.action == "relayed":
        lines += [
            "Your message was taken for the recipients below. What they read, and when, is",
            "told to nobody.",
        ]
    elif len(owed.recipients) == 1:
        lines.append("Your message was not delivered to the recipient below.")
    else:
        lines.append("Your message was not delivered to the recipients below.")
    for each in owed.recipients:
        lines += ["", f"  {safe(each.recipient, _LONGEST)}"]
        if owed.action == "failed":
            line = safe(each.told.line, _LONGEST)
            said, space, url = line.rpartition(" ")
            lines += [f"    {said}", f"    {url}"] if space and "://" in url else [f"    {line}"]
            reason = each.told.reason
            if reason is not None:
                lines.append(
                    "    Final: the same will be refused again."
                    if reason.final
                    else "    Not final: other mail of yours may be welcome."
                )
    if owed.action == "failed":
        lines += ["", "The page behind each link says more, in English and Dutch."]
    return "\n".join(lines) + "\n"


def _status(owed: Report, hostname: str) -> bytes:
    """RFC 3464, sections 2.2 and 2.3: a group of fields for the message, one for each recipient."""
    groups = [_of_message(owed, hostname)]
    groups += [_of_recipient(each, owed.action) for each in owed.recipients]
    return seven_bit("message/delivery-status", b"\r\n".join(groups))


def _of_message(owed: Report, hostname: str) -> bytes:
    fields = b""
    if owed.envelope_id is not None:
        fields += field("Original-Envelope-Id", owed.envelope_id)
    fields += field("Reporting-MTA", f"dns; {hostname}")
    if owed.helo:
        fields += field("Received-From-MTA", f"dns; {owed.helo}")
    return fields + field("Arrival-Date", date(owed.received))


def _of_recipient(each: Reported, action: str) -> bytes:
    told = each.told
    fields = b""
    if each.original is not None and (match := _TYPED.fullmatch(each.original)):
        fields += field("Original-Recipient", _typed(match[2], match[1]))
    fields += field("Final-Recipient", _typed(each.recipient, "rfc822"))
    fields += field("Action", action)
    if action == "relayed":
        # RFC 3461, section 5.2.6: taken by what sends no more reports.
        return fields + field("Status", "2.0.0")
    fields += field("Status", told.enhanced)
    return fields + field("Diagnostic-Code", f"smtp; {told.line}")


def _typed(address: str, kind: str) -> str:
    """An address with its type; beyond ASCII as RFC 6533, section 3, has it."""
    if address.isascii():
        return f"{kind};{address}"
    return "utf-8;" + _NOT_XTEXT.sub(lambda char: f"\\x{{{ord(char[0]):X}}}", address)


def compose_folded(
    to: str, since: datetime, codes: Mapping[str, int], name: str, made: datetime, *, hostname: str
) -> bytes:
    """One notice in place of many reports: how many since when, and why, and nothing of whom."""
    total = sum(codes.values())
    header = _header(to, f"{total} more messages were not delivered", name, made, hostname)
    lines = [
        f"This is the mail system at {hostname}.",
        "",
        f"Since {date(since)} we owed you more reports than we send in an hour. In place of the",
        "others, this is what they would have said:",
        "",
        *(f"  {count:>6}  {ascii_value(code)}" for code, count in sorted(codes.items())),
        "",
        f"What each code means: see the reasons at {hostname}.",
        "Registered vendors read every answer in their feedback, without a limit.",
    ]
    return header + b"MIME-Version: 1.0\r\n" + part("plain", "\n".join(lines))
