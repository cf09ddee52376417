"""What MAIL and RCPT say beside their paths: the parameters of the extensions. Pure."""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from letterbox.gateways.smtp import replies
from letterbox.gateways.smtp.replies import Reply
from letterbox.model.envelope import Notify, Request, Returns

_SIZE = re.compile(r"[0-9]{1,20}")  # RFC 1870, section 5
# RFC 3461, section 4: printable ASCII but "+" and "=", which are written in hexadecimal.
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*+")
_ESCAPED = re.compile(r"\+([0-9A-F]{2})")
_PRINTABLE = re.compile(r"[ -~]*")
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
#: RFC 3461, sections 4.2 and 4.4: the longest forms, as written.
_LONGEST_ORCPT: Final = 500
_LONGEST_ENVID: Final = 100
_NOTIFY: Final[dict[str, Notify]] = {
    "SUCCESS": "success",
    "FAILURE": "failure",
    "DELAY": "delay",
}

Parameters = dict[str, str | None]


class MailTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a client has asked for at MAIL."""

    utf8: bool = False
    #: Each recipient is to have an answer of its own (PRDR).
    each: bool = False
    #: The sender's own name for the transaction (RFC 3461, section 4.4).
    envelope_id: str | None = None
    #: For whoever is handed the message: we send headers alone, whichever is asked for.
    returns: Returns | None = None


#: What MAIL may say, and whether it is well formed.
_FORMS: Final[dict[str, Callable[[str | None], bool]]] = {
    "SIZE": lambda value: _SIZE.fullmatch(value or "") is not None,
    # RFC 6152, section 3. BINARYMIME (RFC 3030, section 3) is not offered.
    "BODY": lambda value: (value or "").upper() in {"7BIT", "8BITMIME"},
    "SMTPUTF8": lambda value: value is None,  # RFC 6531, section 3.4
    "PRDR": lambda value: value is None,
    # RFC 3461, section 4.3: whichever is asked for, headers alone go back.
    "RET": lambda value: (value or "").upper() in {"FULL", "HDRS"},
    "ENVID": lambda value: read_xtext(value, _LONGEST_ENVID) is not None,
}


def read_mail(
    parameters: Parameters, *, max_size: int, prdr: bool, submission: bool
) -> MailTerms | Reply:
    """The parameters of MAIL, or what is wrong with them. ``max_size`` in octets."""
    for keyword, value in parameters.items():
        if keyword == "AUTH" and submission and value:
            continue  # RFC 4954, section 5: whoever it names is not believed
        if keyword not in _FORMS or (keyword == "PRDR" and not prdr):
            return replies.UNKNOWN_PARAMETER
        if not _FORMS[keyword](value):
            return replies.BAD_PARAMETER
    if int(parameters.get("SIZE") or 0) > max_size:
        return replies.too_large(max_size)  # RFC 1870, section 6.1
    returns = (parameters.get("RET") or "").upper()
    return MailTerms(
        utf8="SMTPUTF8" in parameters,
        each="PRDR" in parameters,
        envelope_id=read_xtext(parameters.get("ENVID"), _LONGEST_ENVID),
        returns="FULL" if returns == "FULL" else "HDRS" if returns else None,
    )


def read_rcpt(parameters: Parameters, *, utf8: bool) -> Request | Reply:
    """The parameters of RCPT (RFC 3461, sections 4.1 and 4.2), or what is wrong with them."""
    notify: tuple[Notify, ...] | None = None
    original: str | None = None
    for keyword, value in parameters.items():
        match keyword:
            case "NOTIFY":
                notify = _notify(value)
                if notify is None:
                    return replies.BAD_PARAMETER
            case "ORCPT":
                original = _original(value, utf8=utf8)
                if original is None:
                    return replies.BAD_PARAMETER
            case _:
                return replies.UNKNOWN_PARAMETER
    return Request(original=original, notify=notify)


def _notify(value: str | None) -> tuple[Notify, ...] | None:
    """When a report is wanted: never (an empty tuple), or at each of these; None if unclear."""
    words = (value or "").upper().split(",")
    if words == ["NEVER"]:
        return ()
    if not all(word in _NOTIFY for word in words) or len(set(words)) < len(words):
        return None
    return tuple(_NOTIFY[word] for word in words)


def _original(value: str | None, *, utf8: bool) -> str | None:
    """``type;address`` as it was first written; None if badly formed."""
    kind, semicolon, address = (value or "").partition(";")
    if not semicolon or not _TYPE.fullmatch(kind) or len(value or "") > _LONGEST_ORCPT:
        return None
    if kind.lower() == "utf-8" and utf8:
        # RFC 6533, section 3: what is beyond ASCII stands as it is, or in forms that are kept.
        return f"utf-8;{address}" if address and address.isprintable() else None
    plain = read_xtext(address, _LONGEST_ORCPT)
    return f"{kind.lower()};{plain}" if plain else None


def read_xtext(value: str | None, longest: int) -> str | None:
    """Read xtext (RFC 3461, section 4) of printable ASCII; None where it is none, or too long."""
    if not value or len(value) > longest or not _XTEXT.fullmatch(value):
        return None
    text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)
    return text if _PRINTABLE.fullmatch(text) else None
