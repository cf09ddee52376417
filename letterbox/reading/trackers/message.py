"""A whole message (RFC 5322) cleaned part by part, its form and every other byte kept."""

import base64
import binascii
import codecs
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from letterbox.model.preferences import Tracking
from letterbox.reading.charset import to_text
from letterbox.reading.encoded import decode_words
from letterbox.reading.mail import (
    DEFAULT_LIMITS,
    Limits,
    Mail,
    Malformed,
    Part,
    split,
    with_crlf,
)
from letterbox.reading.mime import content, parts
from letterbox.reading.trackers.cleaned import (
    CLEANED_TYPES,
    NOTHING,
    Cleaned,
    CleanedText,
    Found,
    Notes,
    Untouched,
)
from letterbox.reading.trackers.elements import clean_html
from letterbox.reading.trackers.judging import Judge, Reader, reader_of
from letterbox.reading.trackers.prose import clean_text, told_in
from letterbox.reading.trackers.rules import Rules

__all__ = ["clean_message", "clean_part", "told_in"]

#: Signed or encrypted as a whole (RFC 1847, RFC 8551): a byte changed is a seal broken.
_SEALED: Final[Mapping[str, Untouched]] = {
    "multipart/signed": "signed-part",
    "multipart/encrypted": "encrypted-part",
    "application/pkcs7-mime": "encrypted-part",
    "application/x-pkcs7-mime": "encrypted-part",
}
#: What is beside a part that is signed or encrypted, wherever in the message that is.
_SEALS: Final[Mapping[str, Untouched]] = {
    "application/pgp-signature": "signed-part",
    "application/pkcs7-signature": "signed-part",
    "application/x-pkcs7-signature": "signed-part",
    "application/pgp-encrypted": "encrypted-part",
}
_ARMOURED: Final = re.compile(rb"-----BEGIN PGP (MESSAGE|SIGNED MESSAGE)-----")
_TYPE: Final = re.compile(rb"\s*([\w.+-]+/[\w.+-]+)")
_BRACKETED: Final = re.compile(r"<\s*([^<>]+?)\s*>")
_MAILBOX: Final = re.compile(r"[^\s<>,;:\"()]+@[^\s<>,;:\"()]+")
_IDENTITY: Final = frozenset(("", "7bit", "8bit", "binary"))
_LINE: Final = 76
_LONGEST: Final = 998


def clean_message(
    raw: bytes,
    rules: Rules,
    grade: Tracking,
    *,
    readers: Iterable[str] = (),
    limits: Limits = DEFAULT_LIMITS,
    signed_too: bool = False,
) -> Cleaned:
    """A message as ``grade`` wants it: a copy without what tells of its reader.

    ``readers`` are mail addresses of who reads it, besides those of To and Delivered-To. Header
    fields stay as they are, a signature (DKIM) that covers the content verifies no more, and what
    is signed or encrypted within the message is left alone. What cannot be read, or written
    again as it was, is left as it is and named in ``untouched``. ``signed_too``: what is signed
    within the message is cleaned as well, to be shown here and handed on to nobody. Never raises.
    Where nothing is taken out, ``content`` is ``raw`` itself.
    """
    if grade == "off":
        return Cleaned(raw)
    # Parts are found between lines that end in CRLF; mail taken over HTTP may have others.
    whole = raw if b"\n" not in raw.replace(b"\r\n", b"") else with_crlf(raw)
    try:
        mail = split(whole, limits)
        found = parts(mail, limits)
    except Malformed:
        return Cleaned(raw, untouched=("unreadable-message",))
    sealed = _sealed(mail, found)
    if sealed == "encrypted-part" or (sealed and not signed_too):
        return Cleaned(raw, untouched=(sealed,))
    reader = _reader(mail, readers)
    told = told_in(_alternative_text(mail, found)) if grade == "strict" else {}
    pieces: list[bytes] = []
    at, all_found = 0, NOTHING
    untouched: list[Untouched] = []
    for part in found:
        outcome = _clean(mail, part, rules, grade, reader, told)
        if isinstance(outcome, str):
            untouched.append(outcome)
        elif outcome is not None:
            encoded, of_part = outcome
            all_found += of_part
            if encoded is not None:
                pieces += (whole[at : part.start], encoded)
                at = part.end
    cleaned = b"".join((*pieces, whole[at:])) if pieces else raw
    return Cleaned(cleaned, all_found, tuple(untouched))


def clean_part(
    text: str,
    media_type: str,
    rules: Rules,
    grade: Tracking,
    *,
    readers: Iterable[str] = (),
    leaving: Iterable[str] = (),
    told: Mapping[str, str] | None = None,
) -> CleanedText:
    """The text of one part cleaned; as it is where its type is not one that is.

    ``leaving`` are the addresses of List-Unsubscribe, ``told`` what :func:`told_in` says of the
    message's text.
    """
    if grade == "off" or media_type not in CLEANED_TYPES:
        return CleanedText(text)
    judge = Judge(rules, grade, reader_of(readers, leaving), told or {}, Notes())
    return _cleaned(text, media_type, judge)


def _cleaned(text: str, media_type: str, judge: Judge) -> CleanedText:
    return clean_text(text, judge) if media_type == "text/plain" else clean_html(text, judge)


class _Written(NamedTuple):
    """A text, and the codec and error handler by which it becomes the same bytes again."""

    text: str
    codec: str
    errors: str


def _clean(
    mail: Mail,
    part: Part,
    rules: Rules,
    grade: Tracking,
    reader: Reader,
    told: Mapping[str, str],
) -> tuple[bytes | None, Found] | Untouched | None:
    """The bytes in place of a part's (None: the same), and what was found; why not, if not."""
    if part.type in _SEALED:
        return _SEALED[part.type]
    if grade == "off" or part.attached or part.type not in CLEANED_TYPES:
        return None
    raw = content(mail, part, part.end - part.start)
    if _ARMOURED.search(raw):
        return "encrypted-part"
    written = _read(raw, part.charset)
    if written is None:
        return "unreadable-part"
    cleaned = _cleaned(written.text, part.type, Judge(rules, grade, reader, told, Notes()))
    if cleaned.text == written.text:
        return None, cleaned.found
    try:
        changed = cleaned.text.encode(written.codec, written.errors)
    except ValueError:
        return "unreadable-part"
    encoded = _encoded(changed, part.encoding)
    return "unreadable-part" if encoded is None else (encoded, cleaned.found)


def _read(raw: bytes, charset: str) -> _Written | None:
    """The text of bytes, where it can be turned into these very bytes again."""
    try:
        codec = codecs.lookup(charset or "utf-8").name
    except (LookupError, ValueError):
        codec = "utf-8"
    if codec in {"utf-8", "ascii"}:
        return _Written(raw.decode("utf-8", "surrogateescape"), "utf-8", "surrogateescape")
    text = to_text(raw, charset)
    # What is known there under this name, and holds nothing that it could not read.
    for name in (codec, "cp1252", "latin-1"):
        try:
            if text.encode(name) == raw:
                return _Written(text, name, "strict")
        except (LookupError, ValueError):
            continue
    # Broken text of a character set that has ASCII in it: no address is beyond that.
    if codec.startswith(("iso8859", "cp125", "latin", "koi8", "windows")):
        return _Written(raw.decode("latin-1"), "latin-1", "strict")
    return None


def _encoded(raw: bytes, encoding: str) -> bytes | None:
    """Bytes in a transfer encoding, with CRLF; None where they do not read the same after it."""
    if encoding in _IDENTITY:
        # Longer lines than mail may have (RFC 5322, section 2.1.1) are made by nobody but us.
        return None if any(len(line) > _LONGEST for line in raw.split(b"\r\n")) else raw
    if encoding == "base64":
        lines = base64.b64encode(raw)
        return b"\r\n".join(lines[at : at + _LINE] for at in range(0, len(lines), _LINE)) + b"\r\n"
    if encoding == "quoted-printable":
        encoded = binascii.b2a_qp(raw)
        if binascii.a2b_qp(encoded) != raw or b"\n" in encoded.replace(b"\r\n", b""):
            # Line ends of several sorts, which it makes one.
            encoded = _quoted_printable(raw)
        return encoded if binascii.a2b_qp(encoded) == raw else None
    return None


def _quoted_printable(raw: bytes) -> bytes:
    """RFC 2045, section 6.7, lines ended by CRLF."""
    lines = [binascii.b2a_qp(line, quotetabs=False, istext=False) for line in raw.split(b"\r\n")]
    # The library breaks long lines as its own platform does.
    return b"\r\n".join(line.replace(b"=\n", b"=\r\n") for line in lines)


def _sealed(mail: Mail, found: tuple[Part, ...]) -> Untouched | None:
    """Why the whole message is left alone, where it is signed or encrypted."""
    field = mail.first("content-type")
    kind = _TYPE.match(field.value.replace(b"\r\n", b"")) if field else None
    whole = _SEALED.get(kind[1].decode("latin-1").lower()) if kind else None
    return whole or next((_SEALS[part.type] for part in found if part.type in _SEALS), None)


def _reader(mail: Mail, readers: Iterable[str]) -> Reader:
    names = list(readers)
    for field in (*mail.all("to"), *mail.all("delivered-to")):
        # Of a list of recipients nobody knows which of them reads.
        found = _MAILBOX.findall(field.value.decode("utf-8", "replace"))
        names += found if len(found) == 1 else []
    return reader_of(names, leaving_of(mail))


def leaving_of(mail: Mail) -> list[str]:
    """The addresses of List-Unsubscribe (RFC 2369), also where senders encode them."""
    said = [
        decode_words(re.sub(r"\r\n[ \t]*", " ", field.value.decode("utf-8", "replace")).strip())
        for field in mail.all("list-unsubscribe")
    ]
    return [found for value in said for found in _BRACKETED.findall(value)]


def _alternative_text(mail: Mail, found: tuple[Part, ...]) -> str:
    """The text that says what a message's HTML says; empty where there is none."""
    groups = {part.alternative for part in found if part.type == "text/html"}
    for part in found:
        if part.type == "text/plain" and part.alternative and part.alternative in groups:
            return to_text(content(mail, part, DEFAULT_LIMITS.text_chars), part.charset)
    return ""
