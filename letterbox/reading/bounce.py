"""Whether a message says that another was not delivered, and why (RFC 3464)."""

import re
from typing import Final

from letterbox.reading.encoded import one_line
from letterbox.reading.header import Ambiguous, author, subject
from letterbox.reading.mail import Limits, Mail, Malformed, read_header
from letterbox.reading.mime import content, parts

_STATUS: Final = "message/delivery-status"
#: Octets of a report that are read, and groups in it.
_MOST: Final = 64 * 1024
_GROUPS: Final = 50
_DETAIL: Final = 300
_BLANK = re.compile(rb"\r?\n[ \t]*\r?\n")
_LINES = re.compile(rb"\r\n|\r|\n")
#: Whose mail with a null path is a bounce, though no report: of servers that are older than those.
_DAEMONS: Final = frozenset({"mailer-daemon", "postmaster"})


def undelivered(mail: Mail, limits: Limits) -> str | None:
    """Why the message that it is about was not delivered; None where it does not say that.

    A report of a delay or of success says no such thing; nor does what answers by itself for
    somebody who is away.
    """
    try:
        found = parts(mail, limits)
    except Malformed:
        return None
    for part in found:
        if part.type == _STATUS:
            return _failed(content(mail, part, _MOST), limits)
    who = author(mail)
    if isinstance(who, Ambiguous) or who.address.local.lower() not in _DAEMONS:
        return None
    return _said(subject(mail)) or "it came back"


def is_report(mail: Mail, limits: Limits) -> bool:
    """Whether a message is a report about another, whatever it says of it."""
    try:
        return any(part.type == _STATUS for part in parts(mail, limits))
    except Malformed:
        return False


def _failed(report: bytes, limits: Limits) -> str | None:
    """What a report says of the first recipient that failed; None where none did."""
    for group in _BLANK.split(report.strip(b"\r\n"))[1 : _GROUPS + 1]:
        fields = _fields(group, limits)
        if fields.get("action", "").lower() == "failed":
            code = fields.get("diagnostic-code", "").partition(";")[2].strip()
            said = " ".join(filter(None, (fields.get("status", ""), code)))
            return _said(said) or "it came back"
    return None


def _fields(group: bytes, limits: Limits) -> dict[str, str]:
    """The fields of a group, unfolded; of several of one name the first."""
    raw = b"\r\n".join(_LINES.split(group)) + b"\r\n"
    try:
        header = read_header(raw, 0, len(raw), limits)
    except Malformed:
        return {}
    found: dict[str, str] = {}
    for field in header.fields:
        value = " ".join(field.value.decode("utf-8", "replace").split())
        found.setdefault(field.name, value)
    return found


def _said(text: str) -> str:
    """Words of a stranger's, fit to be shown."""
    return one_line(text, _DETAIL)
