"""Encoded words (RFC 2047) and text that is safe to show on one line."""

import binascii
import re
import string

from letterbox.reading.charset import to_text

_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
# Controls and the Unicode line separators would break a log line or a header.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufff9-\ufffb]")
# What turns the direction of writing round, or stands unseen between letters, makes a line read
# otherwise than it is. (The joiners U+200C and U+200D stay: scripts and emoji need them.)
_UNSEEN = re.compile(
    "[\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
_SPACES = re.compile(r"\s+")
_BASE64 = (string.ascii_letters + string.digits + "+/").encode()
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))


def decode_words(text: str) -> str:
    """Decode the encoded words of a header value; what is not one stays as it is.

    Space between two encoded words is not shown (section 6.2). Adjacent words of one character
    set are joined before decoding, because many senders cut a letter in two.
    """
    if "=?" not in text:
        return text
    shown: list[str] = []
    held: list[bytes] = []
    charset, at = "", 0
    for word in _WORD.finditer(text):
        between = text[at : word.start()]
        apart = at == 0 or (between != "" and not between.isspace())
        if apart or word[1].lower() != charset:
            shown.append(to_text(b"".join(held), charset))
            held.clear()
        if apart:
            shown.append(between)
        charset, at = word[1].lower(), word.end()
        held.append(_bytes_of(word[3], base64=word[2] in "bB"))
    shown.append(to_text(b"".join(held), charset))
    shown.append(text[at:])
    return "".join(shown)


def _bytes_of(written: str, *, base64: bool) -> bytes:
    raw = written.encode("utf-8", "replace")
    return base64_bytes(raw) if base64 else binascii.a2b_qp(raw, header=True)


def base64_bytes(raw: bytes) -> bytes:
    """Decode base64 (RFC 2045, section 6.8) whatever stands between and however it ends."""
    try:
        return binascii.a2b_base64(raw)
    except binascii.Error:
        digits = raw.translate(None, _NOT_BASE64)
        digits = digits[: len(digits) - (len(digits) % 4 == 1)]
        return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def one_line(text: str, most: int) -> str:
    """Fit for one line of a page, a log or a header: at most ``most`` characters, no controls."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()[:most].rstrip()  # nearly all are so
    seen = _CONTROLS.sub(" ", _UNSEEN.sub("", text[: 4 * most]))
    return _SPACES.sub(" ", seen).strip()[:most].rstrip()
