"""Words as mail carries them: fields and parts from which exactly these words are read."""

import binascii
import re
from collections.abc import Iterator
from functools import cache

# RFC 5322, section 3.2.4: what may stand between quotation marks as it is.
_PLAIN = re.compile(r"[\x20-\x7e]*")
# Octets of text in one encoded word: 60 characters of base64 and 12 around them stay below 75
# (RFC 2047, section 2).
_WORD_OCTETS = 45
_LONGEST_PLAIN = 60
# RFC 5322, section 2.1.1, allows 998.
_LONGEST_LINE = 990
_ENCODED = "=?"


def part(subtype: str, content: str) -> bytes:
    """The fields and the content of one part, text as CRLF lines (RFC 2046, section 4.1.1)."""
    octets, encoding = encoded(content)
    return b"".join((*part_fields(subtype, encoding), b"\r\n", octets))


def encoded(content: str) -> tuple[bytes, str]:
    """The content of a part, and how it is encoded."""
    canonical = content.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    if not canonical.endswith("\r\n"):
        canonical += "\r\n"  # also what tells the encoder how lines end
    octets = canonical.encode()
    encoding = "7bit"
    # Quoted-printable carries anything: long lines, controls, other scripts (RFC 2045, 6.7).
    if not canonical.isascii() or "\0" in canonical or _has_long_line(canonical):
        encoding = "quoted-printable"
        octets = binascii.b2a_qp(octets, istext=True)
    return octets, encoding


@cache  # of a few subtypes of ours, and two encodings
def part_fields(subtype: str, encoding: str) -> tuple[bytes, bytes]:
    """The lines before a content: Content-Type, and Content-Transfer-Encoding."""
    return (
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'.encode(),
        f"Content-Transfer-Encoding: {encoding}\r\n".encode(),
    )


def _has_long_line(text: str) -> bool:
    return max(map(len, text.split("\r\n"))) > _LONGEST_LINE


def display(name: str) -> str:
    """A display name (RFC 5322, section 3.4; RFC 2047, section 5).

    It must not look like an address: that would name a second author.
    """
    name = name.replace("@", " at ")
    if not _is_plain(name):
        return _words(name)
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unstructured(text: str) -> str:
    """The text of a field such as Subject (RFC 2047, section 5), read back as the same text."""
    return text if _is_plain(text) else _words(text)


def _is_plain(text: str) -> bool:
    """Whether text may stand in a field as it is, and is read back as the same text."""
    return (
        len(text) <= _LONGEST_PLAIN
        and text == " ".join(text.split())
        and _ENCODED not in text
        and _PLAIN.fullmatch(text) is not None
    )


def _words(text: str) -> str:
    """Encoded words, each on its line; the space between two is no part of the text."""
    pieces = (binascii.b2a_base64(piece, newline=False).decode() for piece in _pieces(text))
    return "\r\n ".join(f"=?utf-8?B?{piece}?=" for piece in pieces)


def _pieces(text: str) -> Iterator[bytes]:
    """Text in runs of whole characters (RFC 2047, section 5)."""
    piece = b""
    for character in text:
        octets = character.encode()
        if len(piece) + len(octets) > _WORD_OCTETS:
            yield piece
            piece = b""
        piece += octets
    yield piece
