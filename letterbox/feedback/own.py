"""Mail of our own to people (RFC 5322): a line of subject, a plain text, from the postmaster."""

from datetime import datetime

from letterbox.feedback.letters import ascii_value, date
from letterbox.feedback.written import part, unstructured


def compose(
    subject: str, text: str, *, name: str, hostname: str, at: datetime, to: str = ""
) -> bytes:
    """The message. ``subject`` is on one line; ``name`` is the local part of its Message-ID."""
    header = [
        f"From: letterbox <postmaster@{hostname}>",
        f"Subject: {unstructured(subject)}",
        f"Date: {date(at)}",
        f"Message-ID: <{name}@{hostname}>",
        # RFC 3834, section 5: nobody's machine is to answer this.
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
    ]
    if to:
        header.insert(1, f"To: {to if not to.isascii() else ascii_value(to)}")
    return "".join(f"{line}\r\n" for line in header).encode() + part("plain", text)
