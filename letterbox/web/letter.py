"""A received message as it can be shown: text, HTML with nothing active in it, attachments.

Nothing is fetched, by us or by the browser: pictures show only where the message brought them.
"""

import base64
import email
import re
from collections.abc import Iterator
from email.message import Message
from html import escape
from typing import Final, NamedTuple

from letterbox.feedback.sentences import safe
from letterbox.model.record import MessageRecord
from letterbox.reading.html import text_of
from letterbox.reading.mail import DEFAULT_LIMITS, Malformed, split, with_crlf
from letterbox.reading.mime import parts as parts_of
from letterbox.web.sanitising import PICTURES, is_too_much, sanitised

_KIB: Final = 1024
_MOST_TEXT: Final = 256 * _KIB
#: Pictures that a message brings, in octets: each, and all together.
_MOST_PICTURE: Final = 2 * _KIB * _KIB
_MOST_PICTURES: Final = 8 * _KIB * _KIB
#: What a browser may be told an attachment is; it is saved and not shown all the same.
_PLAIN: Final = PICTURES | {"application/pdf", "text/plain", "text/calendar"}
_MOST_ATTACHMENTS: Final = 200


class Attachment(NamedTuple):
    """A file that a message brings, by its number among the parts."""

    number: int
    name: str
    media_type: str
    size: int


class Letter(NamedTuple):
    """A message to be shown. ``html`` is safe in a frame of its own; None where it has none.

    ``left_out`` pictures are on other machines, and are not fetched.
    """

    text: str
    html: str | None
    left_out: int
    attachments: tuple[Attachment, ...]


def read_letter(record: MessageRecord, body: bytes) -> Letter:
    """What there is to be shown of a message. It takes long where much is in it."""
    found = list(_walk(record, body))
    text = html = ""
    attachments: list[Attachment] = []
    pictures: dict[str, str] = {}
    room = _MOST_PICTURES
    for number, part in enumerate(found):
        kind = part.get_content_type()
        attached = part.get_content_disposition() == "attachment"
        if not attached and kind == "text/plain" and not text:
            text = _text(part)[:_MOST_TEXT]
        elif not attached and kind == "text/html" and not html:
            html = _text(part)
        else:
            content = content_of(part)
            name = str(part.get("Content-ID", "")).strip(" <>\r\n\t")
            if name and kind in PICTURES and len(content) <= min(_MOST_PICTURE, room):
                room -= len(content)
                pictures[name] = f"data:{kind};base64,{base64.b64encode(content).decode()}"
            if len(attachments) < _MOST_ATTACHMENTS:
                attachments.append(Attachment(number, file_name(part, number), kind, len(content)))
    if html and not is_too_much(html):
        shown, left_out = sanitised(html, pictures)
    else:
        shown, left_out = None, 0
    if not text and html:
        text = text_of(html.encode("utf-8", "replace"))[:_MOST_TEXT]
    return Letter(text, shown, left_out, tuple(attachments))


def read_part(record: MessageRecord, body: bytes, number: int) -> tuple[str, str, bytes] | None:
    """An attachment: its name, what a browser may be told it is, its content."""
    found = list(_walk(record, body))
    if not 0 <= number < len(found):
        return None
    part = found[number]
    kind = part.get_content_type()
    told = kind if kind in _PLAIN else "application/octet-stream"
    return file_name(part, number), told, content_of(part)


def framed(letter: Letter, title: str, language: str) -> str:
    """The document that stands in the frame."""
    return (
        f'<!doctype html><html lang="{escape(language)}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_FRAME_STYLE}</style></head>"
        f"<body>{letter.html or ''}</body></html>"
    )


#: Mail is written for white paper, and says its own colours.
_FRAME_STYLE: Final = (
    "html{color-scheme:light;background:#fff;color:#1e2329}"
    "body{margin:12px;font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}"
    "img{max-width:100%;height:auto}table{max-width:100%}"
)


def content_of(part: Message) -> bytes:
    """The content of a part, its transfer encoding undone."""
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def file_name(part: Message, number: int) -> str:
    """The name of a file: one line, no path."""
    try:
        named = part.get_filename() or ""
    except (LookupError, ValueError):
        named = ""
    name = re.sub(r'[/\\:*?"<>|]', "-", safe(named, 120)).strip(". ")
    return name or f"part-{number + 1}"


def _walk(record: MessageRecord, body: bytes) -> Iterator[Message]:
    """The parts that hold no others, in order; none of a message that is too deep to be read."""
    whole = with_crlf(body) if record.edge == "http" else body
    try:
        parts_of(split(whole, DEFAULT_LIMITS), DEFAULT_LIMITS)
    except Malformed:
        return
    for part in email.message_from_bytes(whole).walk():
        if not part.is_multipart():
            yield part


def _text(part: Message) -> str:
    content = content_of(part)
    for charset in (part.get_content_charset() or "utf-8", "utf-8"):
        try:
            text = content.decode(charset, "replace" if charset == "utf-8" else "strict")
        except (LookupError, ValueError):
            continue
        # Some ways to write text can say what no text has (half of a pair of UTF-16).
        return text.encode("utf-8", "replace").decode()
    return content.decode("latin-1")
