"""Bytes to text in the character sets that mail names, whatever the bytes are."""

import re
from encodings.aliases import aliases
from functools import lru_cache

# Only these are looked up. Python's registry also holds codecs that are no character sets and
# cost more than linear time (punycode, idna), and it remembers every unknown name for ever.
_PAGES = (437, 775, 850, 852, 855, 857, 858, *range(860, 867), 869, 874, 932, 949, 950)
_KNOWN = (
    frozenset(("ascii", "utf_7", "utf_8", "utf_16", "utf_16_be", "utf_16_le", "utf_32", "latin_1"))
    | {f"cp{page}" for page in (*_PAGES, *range(1250, 1259))}
    | {f"iso8859_{part}" for part in range(2, 17) if part != 12}  # noqa: PLR2004 - there is none
    | {"big5", "big5hkscs", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk", "hz", "iso2022_jp"}
    | {"iso2022_kr", "johab", "koi8_r", "koi8_u", "mac_cyrillic", "mac_roman", "shift_jis"}
    | {"tis_620"}
)
_SEPARATORS = re.compile(r"[^a-z0-9]+")
# What senders write and what they mean by it (WHATWG Encoding Standard, section 4.2).
_MEANT = {
    "ascii": "cp1252",
    "latin_1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859_9": "cp1254",
    "euc_kr": "cp949",
}
_ALSO = {"iso_8859_8_i": "iso8859_8", "unicode_1_1_utf_7": "utf_7", "x_sjis": "shift_jis"}
_LONGEST_NAME = 40


def to_text(raw: bytes, charset: str = "") -> str:
    """Decode; never raises. Bytes outside the character set become U+FFFD.

    Without a usable name, or with one that promises ASCII, UTF-8 is tried first: undeclared
    8-bit text is nearly always that (RFC 6532), and Windows-1252 where it is not.
    """
    name = _codec(charset)
    if name is None or name in {"ascii", "utf_8"}:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            if name == "utf_8":
                return raw.decode("utf-8", "replace")
            return raw.decode("cp1252", "replace")
    try:
        return raw.decode(_MEANT.get(name, name), "replace")
    except (UnicodeError, ValueError):  # a few multibyte codecs raise whatever they are told
        return raw.decode("latin-1")


def _codec(charset: str) -> str | None:
    # What is long is remembered by nobody, lest it fill the memory.
    return _kept_codec(charset) if len(charset) <= _LONGEST_NAME else None


@lru_cache(maxsize=512)
def _kept_codec(charset: str) -> str | None:
    # RFC 2231, section 5: a language may follow the name, after an asterisk.
    name = _SEPARATORS.sub("_", charset.partition("*")[0].strip().lower()).strip("_")
    name = _ALSO.get(name) or aliases.get(name, name)
    return name if name in _KNOWN else None
