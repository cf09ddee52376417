"""What the form of a message asks of its sender: faults, and what others may stumble over."""

from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec

from letterbox.model.kind import Kind
from letterbox.reading.header import Ambiguous, author, message_id, unfold
from letterbox.reading.mail import Mail

#: A relay may break or refuse what is longer (RFC 5322, section 2.1.1), without CRLF.
_LONGEST_LINE: Final = 998
_LINKS: Final = (b"http://", b"https://")
_MOST_NAMED: Final = 20

NoteCode = Literal[
    "malformed",
    "too-large",
    "mail-loop",
    "author-ambiguous",
    "no-message-id",
    "no-date",
    "bare-line-ends",
    "nul",
    "eight-bit-header",
    "eight-bit-body",
    "long-lines",
    "platform-signature",
    "unsigned-fields",
    "no-unsubscribe",
    "no-one-click",
    "kind-doubted",
    "links-kept",
]


class Note(msgspec.Struct, frozen=True):
    """Something to know about a message before it is sent. ``says`` is for people, in English."""

    code: NoteCode
    says: str


def faults(mail: Mail) -> Iterator[Note]:
    """Why no letterbox takes a message of this form, if so."""
    found = author(mail)
    if isinstance(found, Ambiguous):
        yield Note("author-ambiguous", f"{found.why}: one From with one plain address is taken")


def form_notes(raw: bytes, mail: Mail) -> Iterator[Note]:
    """What about the form may keep it from arriving as it is; ``raw`` as it was handed over."""
    if message_id(mail) is None:
        yield Note(
            "no-message-id",
            "there is no one Message-ID: sent again, it would be told apart by its content alone",
        )
    if len(mail.all("date")) != 1:
        yield Note("no-date", "there is no one Date (RFC 5322, section 3.6)")
    if not raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n"):
        yield Note(
            "bare-line-ends",
            "lines end in LF or CR alone: good over HTTP, refused over SMTP (RFC 5321, 2.3.8)",
        )
    if b"\0" in raw:
        yield Note("nul", "there is a NUL in it, which is refused over SMTP")
    if not mail.raw[: mail.header.body_at].isascii():
        yield Note(
            "eight-bit-header",
            "the header has octets beyond ASCII: it needs SMTPUTF8 (RFC 6531), or encoded words",
        )
    if not mail.body.isascii():
        yield Note(
            "eight-bit-body",
            "the body has octets beyond ASCII: it needs 8BITMIME (RFC 6152), or an encoding; a "
            "relay that changes it breaks its signature",
        )
    if _has_long_line(mail.raw):
        yield Note(
            "long-lines",
            f"a line has more than {_LONGEST_LINE} octets; others may break it (RFC 5322, 2.1.1)",
        )


def effects(mail: Mail, kind: Kind, counts: Callable[[str], bool]) -> Iterator[Note]:
    """What the way it is sent does to it. ``counts``: the proof over SMTP covers such a field."""
    ignored = dict.fromkeys(
        field.name for field in mail.fields if _claims(field.name) and not counts(field.name)
    )
    if ignored:
        names = ", ".join(list(ignored)[:_MOST_NAMED])
        yield Note(
            "unsigned-fields", f"over SMTP these do not count, no signature covers them: {names}"
        )
    if kind in {Kind.NEWSLETTER, Kind.OFFER}:
        yield from _unsubscribing(mail)
    body = mail.body.lower()
    if any(link in body for link in _LINKS):
        yield Note(
            "links-kept",
            "links and images stay as they are: none is followed or fetched by us, so that no "
            "opening is ever counted",
        )


def _has_long_line(raw: bytes) -> bool:
    """Whether a line is too long, in leaps of the longest that is not: not each is seen."""
    at = 0
    while len(raw) - at > _LONGEST_LINE:
        end = raw.rfind(b"\r\n", at, at + _LONGEST_LINE + 2)
        if end < 0:
            return True
        at = end + 2
    return False


def _claims(name: str) -> bool:
    return name.startswith(("letterbox-", "list-")) or name in {"solicitation", "precedence"}


def _unsubscribing(mail: Mail) -> Iterator[Note]:
    field = mail.first("list-unsubscribe")
    if field is None:
        yield Note(
            "no-unsubscribe",
            "there is no List-Unsubscribe (RFC 2369), which large mailbox providers ask of "
            "newsletters and offers",
        )
        return
    post = mail.first("list-unsubscribe-post")
    one_click = post is not None and "one-click" in unfold(post).lower()
    if not one_click or "https:" not in unfold(field).lower():
        yield Note(
            "no-one-click",
            "unsubscribing takes more than one click: add an https address and "
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click (RFC 8058), both signed",
        )
