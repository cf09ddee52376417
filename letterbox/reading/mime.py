"""The parts of a message (RFC 2045, RFC 2046), found without recursion and within limits."""

import binascii
import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import msgspec

from letterbox.reading.encoded import base64_bytes
from letterbox.reading.mail import (
    DEFAULT_LIMITS,
    NO_ALTERNATIVE,
    Header,
    Limits,
    Mail,
    Malformed,
    Part,
    read_header,
)

# What the headers of parts may have in all, for each part there may be.
_FIELDS_EACH = 10
_BYTES_EACH = 1024

_TYPE = re.compile(rb"\s*([\w.+-]+/[\w.+-]+)")
# Possessive, so that a quote which does not end costs one look only.
_PARAMETER = re.compile(
    rb';\s*+([^=;\s"]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"?|([^;\s]*+))', re.DOTALL
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_QUOTED_PLUS = re.compile(rb"=2[Bb]")
_PADDED_BREAK = re.compile(rb"=[ \t]++(?=\r\n|\Z)")
# What may follow a boundary on its line (RFC 2046, section 5.1.1): the closing "--" and padding.
_LINE_END = re.compile(rb"(--)?[ \t]*+(?:\r\n|\Z)")


def check_shape(mail: Mail, limits: Limits = DEFAULT_LIMITS) -> Mail:
    """The message with its parts. Raises :class:`Malformed` where they are many, or deep."""
    return msgspec.structs.replace(mail, parts=parts(mail, limits))


def parts(mail: Mail, limits: Limits = DEFAULT_LIMITS) -> tuple[Part, ...]:
    """All parts that hold no others, in their order. Raises :class:`Malformed` beyond limits.

    An enclosed message is one part: what it says, it does not say as its sender.
    """
    if mail.parts is not None:
        return mail.parts
    return _Walk(mail.raw, limits).through(mail.header)


def content(mail: Mail, part: Part, most: int) -> bytes:
    """At most ``most`` bytes from the start of a part, its transfer encoding undone.

    No more is read than so many bytes take at their ordinary length.
    """
    if part.encoding == "base64":
        # 57 bytes become a line of 78: half as much again is always enough.
        return base64_bytes(mail.raw[part.start : min(part.end, part.start + most * 3 // 2)])[:most]
    if part.encoding == "quoted-printable":
        raw = mail.raw[part.start : min(part.end, part.start + most * 3)]
        # Space at the end of a line was added on the way (RFC 2045, section 6.7).
        return binascii.a2b_qp(_PADDED_BREAK.sub(b"=", raw))[:most]
    return mail.raw[part.start : min(part.end, part.start + most)]


def may_hold_plus(mail: Mail, part: Part) -> bool:
    """Whether a plus sign may stand in a part once its transfer encoding is undone.

    In every character set that is known here it is the octet that it is in ASCII.
    """
    if part.encoding == "base64" or mail.raw.find(b"+", part.start, part.end) >= 0:
        return True
    quoted = part.encoding == "quoted-printable"
    return quoted and _QUOTED_PLUS.search(mail.raw, part.start, part.end) is not None


class _Entity(msgspec.Struct, frozen=True):
    """A part still to be looked into."""

    header: Header
    end: int
    depth: int
    default: str
    alternative: int
    attached: bool


class _Walk:
    """One way through a message, counting what it meets."""

    def __init__(self, raw: bytes, limits: Limits) -> None:
        self._raw = raw
        self._limits = limits
        self._met = 0
        self._lines = 0
        self._fields = 0
        self._bytes = 0

    def through(self, header: Header) -> tuple[Part, ...]:
        found: list[Part] = []
        waiting = [
            _Entity(
                header=header,
                end=len(self._raw),
                depth=0,
                default="text/plain",
                alternative=NO_ALTERNATIVE,
                attached=_is_attached(header),
            )
        ]
        while waiting:
            entity = waiting.pop()
            kind, parameters = _content_type(entity)
            boundary = parameters.get(b"boundary", b"").rstrip(b" ")
            inner = self._children(entity, kind, boundary) if kind.startswith("multipart/") else []
            if inner:
                waiting.extend(reversed(inner))
            else:
                found.append(_part(entity, kind, parameters))
        return tuple(found)

    def _children(self, entity: _Entity, kind: str, boundary: bytes) -> list[_Entity]:
        """What a multipart holds; nothing where its boundary does not occur."""
        if not boundary:
            return []
        if entity.depth >= self._limits.mime_depth:
            raise Malformed(
                f"the message's parts are nested more than {self._limits.mime_depth} deep"
            )
        group = self._met + 1 if kind == "multipart/alternative" else entity.alternative
        return [
            _Entity(
                header=(header := self._header(start, end)),
                end=end,
                depth=entity.depth + 1,
                # RFC 2046, section 5.1.5.
                default="message/rfc822" if kind == "multipart/digest" else "text/plain",
                alternative=group,
                # What is attached is so with all it holds (RFC 2183, section 2.9).
                attached=entity.attached or _is_attached(header),
            )
            for start, end in self._between(boundary, entity.header.body_at, entity.end)
        ]

    def _header(self, start: int, end: int) -> Header:
        """A part's header, counted together with those of all others."""
        header = read_header(self._raw, start, end, self._limits)
        self._fields += len(header.fields)
        self._bytes += header.body_at - start
        most = self._limits.mime_parts
        if self._fields > most * _FIELDS_EACH or self._bytes > most * _BYTES_EACH:
            raise Malformed(
                f"the headers of the message's parts have more than {most * _FIELDS_EACH} fields"
                f" or {most * _BYTES_EACH} bytes together"
            )
        return header

    def _between(self, boundary: bytes, start: int, end: int) -> list[tuple[int, int]]:
        """Where the parts between the delimiter lines begin and end."""
        delimiter = b"\r\n--" + boundary
        found: list[tuple[int, int]] = []
        opened: int | None = None
        # A delimiter begins with the line break before it; the header's own will do.
        at = self._raw.find(delimiter, start - 2, end)
        while at >= 0:
            line = _LINE_END.match(self._raw, at + len(delimiter), end)
            if line is None:
                self._count_line()
                at = self._raw.find(delimiter, at + 2, end)
                continue
            if opened is not None:
                found.append((opened, max(opened, at)))
                self._count_part()
            opened = None if line[1] else line.end()
            if opened is None:
                break
            at = self._raw.find(delimiter, opened - 2, end)
        if opened is not None:
            found.append((opened, end))
            self._count_part()
        return found

    def _count_part(self) -> None:
        self._met += 1
        if self._met > self._limits.mime_parts:
            raise Malformed(f"the message has more than {self._limits.mime_parts} parts")

    def _count_line(self) -> None:
        """Lines that begin like a delimiter: honest ones are of inner parts and their ends."""
        self._lines += 1
        # Each part has one before it, and one after it where it holds others.
        if self._lines > 2 * self._limits.mime_parts * self._limits.mime_depth:
            raise Malformed("the message has too many lines that look like boundaries of parts")


def _content_type(entity: _Entity) -> tuple[str, Mapping[bytes, bytes]]:
    """Type and parameters of Content-Type; the default where it is absent or unreadable."""
    field = entity.header.first("content-type")
    if field is None:
        return entity.default, _NONE
    # The same few come in every message, but for those with a boundary.
    value = field.value
    kept = len(value) <= _LONGEST_KEPT and b"oundary" not in value
    kind, parameters = _kept_typed(value) if kept else _typed(value)
    return kind or entity.default, parameters


def _typed(value: bytes) -> tuple[str, Mapping[bytes, bytes]]:
    """What a Content-Type says; no type where it is unreadable."""
    # A line may be folded within a quoted value, too: at the space of a boundary.
    value = value.replace(b"\r\n", b"")
    kind = _TYPE.match(value)
    if kind is None:
        return "", _NONE
    parameters: dict[bytes, bytes] = {}
    for name, quoted, bare in _PARAMETER.findall(value, kind.end()):
        parameters.setdefault(name.lower(), _ESCAPED.sub(rb"\1", quoted) or bare)
    return kind[1].decode("latin-1").lower(), parameters


_NONE: Mapping[bytes, bytes] = MappingProxyType({})
_LONGEST_KEPT = 60
_kept_typed = lru_cache(maxsize=512)(_typed)


def _part(entity: _Entity, kind: str, parameters: Mapping[bytes, bytes]) -> Part:
    header = entity.header
    encoding = header.first("content-transfer-encoding")
    return Part(
        # A multipart without parts is shown by mail programs as the text it is.
        type="text/plain" if kind.startswith("multipart/") else kind,
        charset=parameters.get(b"charset", b"").decode("latin-1"),
        encoding=encoding.value.strip().decode("latin-1").lower() if encoding else "",
        start=min(header.body_at, entity.end),
        end=entity.end,
        alternative=entity.alternative,
        attached=entity.attached,
    )


def _is_attached(header: Header) -> bool:
    disposition = header.first("content-disposition")
    return disposition is not None and disposition.value.strip().lower().startswith(b"attachment")
