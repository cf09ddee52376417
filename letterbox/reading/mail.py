"""Received bytes as header fields and a body (RFC 5322), exactly and within limits.

Nothing is decoded and nothing is repaired here: every byte of the message stays where it was,
because signatures are verified over these very fields.
"""

import re
from collections import defaultdict
from functools import lru_cache

import msgspec
from propcache.api import cached_property

from letterbox.model.configuration import ReadingSection

#: A field begins at a line that is not folded onto the one before (RFC 5322, section 2.2.3).
_FIELD_BREAK = re.compile(rb"\r\n(?![ \t])")
_WSP = b" \t"
_LONGEST_LINE = 998  # without its CRLF (RFC 5322, section 2.1.1)
_SECTION = ReadingSection()


class Malformed(Exception):
    """The message breaks a hard limit of form. ``reason`` is a registered code.

    ``detail`` is a fact about the message, fit to be told to whoever sent it.
    """

    def __init__(self, detail: str, reason: str = "message-malformed") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How large the shape of a message may be. Real mail stays below a tenth of each.

    ``header_bytes`` and ``header_fields``: of the whole message and of each part; they bound
    what one header can cost. The longest chains of relays give some 60 KB and 300 fields.
    ``mime_depth``: multiparts within one another; forwarding programs reach 6.
    ``mime_parts``: parts in all; an album of pictures has some 100. The headers of all of them
    may have ten fields and 1 KiB for each of these; in real mail a part has three and 120 bytes.
    ``text_chars``: how much decoded text is searched for words; a long newsletter has 60,000.
    ``html_bytes``: how much HTML is parsed; mailbox programs cut it off at about 100 KB.
    """

    header_bytes: int = _SECTION.header_bytes
    header_fields: int = _SECTION.header_fields
    mime_depth: int = _SECTION.mime_depth
    mime_parts: int = _SECTION.mime_parts
    text_chars: int = _SECTION.text_chars
    html_bytes: int = 512 * 1024


DEFAULT_LIMITS = Limits()


class Field(msgspec.Struct, frozen=True):
    """One header field. ``raw`` is the whole of it as received, its last CRLF included.

    ``name`` is lower case; empty for a line that is no field, such as an mbox "From " line.
    """

    name: str
    raw: bytes

    @property
    def value(self) -> bytes:
        """What follows the colon, folding included, without the last CRLF."""
        return self.raw.partition(b":")[2].removesuffix(b"\r\n")


class Header(msgspec.Struct, frozen=True, dict=True):
    """The fields of a message or part in ``raw[start:body_at]``.

    ``broken`` is true when the body follows without a blank line between.
    """

    fields: tuple[Field, ...]
    body_at: int
    broken: bool = False

    def first(self, name: str) -> Field | None:
        """The topmost field of a name (lower case)."""
        found = self._by_name.get(name)
        return found[0] if found else None

    def all(self, name: str) -> tuple[Field, ...]:
        """Every field of a name (lower case), from the top."""
        return self._by_name.get(name, ())

    def fits(self, limits: Limits) -> bool:
        """Whether the header of a whole message is within limits."""
        within = self.body_at <= limits.header_bytes
        return within and len(self.fields) <= limits.header_fields

    @cached_property
    def _by_name(self) -> dict[str, tuple[Field, ...]]:
        found: defaultdict[str, list[Field]] = defaultdict(list)
        for field in self.fields:
            found[field.name].append(field)
        return {name: tuple(fields) for name, fields in found.items()}


#: Of parts that say what no other says.
NO_ALTERNATIVE = 0


class Part(msgspec.Struct, frozen=True):
    """A part that holds no others: its content is ``raw[start:end]``, encoded as ``encoding``.

    ``type`` is lower case, "text/plain" where none is given. Parts with the same non-zero
    ``alternative`` say the same in different forms (RFC 2046, section 5.1.4).
    """

    type: str
    charset: str
    encoding: str
    start: int
    end: int
    alternative: int = NO_ALTERNATIVE
    attached: bool = False


class Mail(msgspec.Struct, frozen=True):
    """A message: ``raw`` as received, where its header ends, and its parts once they are known."""

    raw: bytes
    header: Header
    parts: tuple[Part, ...] | None = None

    @property
    def fields(self) -> tuple[Field, ...]:
        """The header fields from the top; together they are the header, byte for byte."""
        return self.header.fields

    @property
    def body(self) -> bytes:
        """What follows the blank line; a copy, made at each call."""
        return self.raw[self.header.body_at :]

    def first(self, name: str) -> Field | None:
        """The topmost field of a name (lower case)."""
        return self.header.first(name)

    def all(self, name: str) -> tuple[Field, ...]:
        """Every field of a name (lower case), from the top."""
        return self.header.all(name)


def split(raw: bytes, limits: Limits = DEFAULT_LIMITS) -> Mail:
    """Split a message whose lines end in CRLF. A header alone is a message.

    Malformed mail is read as far as it makes sense; only a header beyond ``limits`` raises
    :class:`Malformed`.
    """
    return Mail(raw=raw, header=read_header(raw, 0, len(raw), limits))


def with_crlf(raw: bytes) -> bytes:
    """The same lines, all ended by CRLF, for mail that came with bare LF or CR (over HTTP)."""
    if raw.count(b"\r\n") == raw.count(b"\r") == raw.count(b"\n"):
        return raw
    # A regular expression takes two hundred times as long where there is nothing but line ends.
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def read_header(raw: bytes, start: int, end: int, limits: Limits) -> Header:
    """Read the header that begins at ``start``. Raises :class:`Malformed` beyond ``limits``."""
    if raw.startswith(b"\r\n", start, end):
        return Header(fields=(), body_at=start + 2)
    # One byte over the limit tells a header of just that size from a larger one.
    window = min(end, start + limits.header_bytes + 1)
    blank = raw.find(b"\r\n\r\n", start, min(end, window + 2))
    # The line in which the limit lies is looked at whole: half a name would not show a field.
    stop = _line_end(raw, window, end) if blank < 0 else blank + 2
    pieces = _FIELD_BREAK.split(raw[start:stop], limits.header_fields + 1)
    fields: list[Field] = []
    at = start
    for piece in pieces:
        name = _name(piece, first=not fields)
        if name is None:
            break
        whole = piece if at + len(piece) == stop else piece + b"\r\n"
        fields.append(Field(name, whole))
        at += len(whole)
    if len(fields) > limits.header_fields:
        raise Malformed(f"the header has more than {limits.header_fields} fields")
    if at - start > limits.header_bytes:
        raise Malformed(f"the header is larger than {limits.header_bytes} bytes")
    broken = at < stop
    return Header(
        fields=tuple(fields),
        body_at=at if broken or blank < 0 else blank + 4,
        broken=broken,
    )


def _line_end(raw: bytes, at: int, end: int) -> int:
    """Where the line ends that ``at`` stands in, no further than the longest line reaches."""
    most = min(end, at + _LONGEST_LINE)
    found = raw.find(b"\r\n", at, most)
    return most if found < 0 else found


_MBOX = re.compile(rb"From [!-9;-~]")


def _name(piece: bytes, *, first: bool) -> str | None:
    """The lower-case name a line begins with; "" for a stray first line, None for no field.

    Space before the colon belongs to the obsolete syntax (RFC 5322, section 4.5), which many
    readers accept: a second "From :" must not hide behind it.
    """
    if first and _MBOX.match(piece):
        return ""
    name, colon, _ = piece.partition(b":")
    if colon and name and (first or name[0] not in _WSP):
        # The same few come in every message; what is long is remembered by nobody.
        return _kept_folded(name) if len(name) <= _LONGEST_KEPT else _folded(name)
    return "" if first and piece[:1] in (b" ", b"\t") else None


def _folded(name: bytes) -> str:
    return name.rstrip(_WSP).decode("latin-1").lower()


_LONGEST_KEPT = 40
_kept_folded = lru_cache(maxsize=1024)(_folded)
