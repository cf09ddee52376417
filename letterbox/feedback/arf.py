"""Complaints: a feedback report (RFC 5965) to the address that the sender gave for it (RFC 9477).

It names the message, and neither the person nor the hour.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, time
from typing import Final

from letterbox.feedback.destination import BadDestination, read_destination
from letterbox.feedback.letters import date, field, header_part, report, seven_bit
from letterbox.feedback.written import part
from letterbox.model.address import Address, parse_address
from letterbox.model.report import Complaint
from letterbox.model.sender import Proven
from letterbox.reading.header import unfold
from letterbox.reading.mail import Field, Mail

#: What a report says of a message, in the order it is said. RFC 9477, section 3.4.2: the
#: feedback id where there is one, else the Message-ID; RFC 6590: nothing that names the person.
_FEEDBACK_ID: Final = "cfbl-feedback-id"
_NAMING: Final = ("from", "message-id", "cfbl-address", _FEEDBACK_ID)
_LONGEST_NAMING: Final = 2000
_CFBL = re.compile(r"\s*<?([^\s<>;]{3,254})>?\s*(?:;.*)?", re.DOTALL)
_URI = re.compile(r"<([^<>\s]{1,2000})>")
_ONE_CLICK: Final = "list-unsubscribe=one-click"


def complaint_address(
    mail: Mail, sender: Proven, organizational: Callable[[str], str]
) -> Address | None:
    """Where the author of a message wants to hear of complaints, as far as that is proven.

    RFC 9477, section 3.1: the field stands once and is covered by the signature of the author's
    domain, of whose organization the address is too.
    """
    fields = mail.all("cfbl-address")
    if sender.how != "dkim" or len(fields) != 1 or not sender.vouches_for("cfbl-address"):
        return None
    match = _CFBL.fullmatch(unfold(fields[0]))
    address = parse_address(match[1]) if match else None
    if address is None:
        return None
    theirs = organizational(address.domain) == organizational(sender.domain)
    return address if theirs else None


def one_click(mail: Mail, sender: Proven) -> str | None:
    """The https address that ends a subscription at one POST (RFC 8058, sections 3.1 and 4).

    None unless both fields stand there once and a signature covers them.
    """
    names = ("list-unsubscribe", "list-unsubscribe-post")
    fields = [mail.all(name) for name in names]
    if sender.how not in {"dkim", "via"} or any(len(each) != 1 for each in fields):
        return None
    if not all(sender.vouches_for(name) for name in names):
        return None
    if unfold(fields[1][0]).replace(" ", "").lower() != _ONE_CLICK:
        return None
    for uri in _URI.findall(unfold(fields[0][0])):
        with suppress(BadDestination):
            return read_destination(uri, private=False).url
    return None


def naming_fields(mail: Mail, sender: Proven) -> bytes:
    """The fields that tell a sender which message is meant, each where it stands once.

    A signature covers the lowest of a name: whoever sends a signed message on can put another on
    top, and have us sign what is not its author's. A feedback id counts where it was signed alone:
    it says whose mailing it was. A Message-ID need not be covered: it is one message's name.
    """
    found: list[Field] = []
    for name in _NAMING:
        once = mail.all(name)
        known = name != _FEEDBACK_ID or sender.vouches_for(name)
        if len(once) == 1 and known and len(once[0].raw) <= _LONGEST_NAMING:
            found += once
    return b"".join(each.raw.removesuffix(b"\r\n") + b"\r\n" for each in found)


def day_of(at: datetime) -> datetime:
    """The day (UTC) a moment lies in, as its first moment."""
    return datetime.combine(at.astimezone(UTC).date(), time(), tzinfo=UTC)


def compose_complaint(owed: Complaint, *, hostname: str, product: str) -> bytes:
    """The whole report, without a signature. ``product`` names the program and its version."""
    header = (
        field("From", f'"Complaints at {hostname}" <postmaster@{hostname}>')
        + f"To: {owed.to}\r\n".encode()
        + field("Subject", f"A recipient did not want mail of {owed.domain}")
        + field("Date", date(owed.owed))
        + field("Message-ID", f"<{owed.id}@{hostname}>")
        + field("Auto-Submitted", "auto-generated")
    )
    lines = [
        f"This is the mail system at {hostname}.",
        "",
        "A recipient of the message below says that it was unwanted.",
        "You asked to hear of that, in the CFBL-Address field of the message.",
        "Please send this recipient no more of it.",
    ]
    # RFC 5965, sections 3.1 and 3.2.
    fields = (
        field("Feedback-Type", "abuse")
        + field("User-Agent", product)
        + field("Version", "1")
        + field("Arrival-Date", date(owed.received))
        + field("Reported-Domain", owed.domain)
        + (field("Source-IP", owed.client) if owed.client else b"")
        + field("Reporting-MTA", f"dns; {hostname}")
        + field("Incidents", "1")
    )
    parts = [
        part("plain", "\n".join(lines)),
        seven_bit("message/feedback-report", fields),
        header_part(owed.header),
    ]
    return report("feedback-report", f"=_{owed.id}", header, parts)
