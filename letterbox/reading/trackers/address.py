"""An address of the web in its pieces, each as it was written; and what in it looks like a mark."""

import base64
import binascii
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Final, NamedTuple
from urllib.parse import unquote

import msgspec

#: As browsers read it (WHATWG URL, section 4.4): any slashes, either way round, or the page's
#: own scheme.
_WEB: Final = re.compile(
    r"(?i)(?:https?:[/\\]*+|[/\\]{2,}+)([^/\\?#]++)([^?#]*+)(?:\?([^#]*+))?+(?:#(.*+))?+\Z",
    re.DOTALL,
)
_DROPPED: Final = re.compile(r"[\t\r\n]")
_TRIMMED: Final = "".join(map(chr, range(0x21)))
#: What no rule looks into: mail writes up to some 2,000.
LONGEST: Final = 8_000
_LABEL: Final = re.compile(r"[a-z0-9_\u00a1-\U0010ffff](?:[a-z0-9_\u00a1-\U0010ffff.-]*)")

_TOKEN: Final = re.compile(r"[A-Za-z0-9_+/=.~%-]{16,}\Z")
_DIGITS: Final = re.compile(r"[0-9]{16,}\Z")
_UUID: Final = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\Z", re.IGNORECASE)
_TURNS: Final = re.compile(r"[0-9][A-Za-z]|[A-Za-z][0-9]|[a-z][A-Z]")
_WORDY: Final = re.compile(r"[-_.+]")
_FILE: Final = re.compile(
    r"\.(?:png|jpe?g|gif|webp|svg|avif|bmp|ico|css|woff2?|ttf|otf)\Z", re.IGNORECASE
)
_NESTED: Final = re.compile(r"""https?://[^\s"'<>]+""")
#: Fewer turns between digits and letters are found in words: "iphone15", "MacBook2024Pro".
_FEWEST_TURNS: Final = 4
_SHORTEST: Final = 16
_LEAST_MARK: Final = 6
_MOST_MARK: Final = 400


class Pair(NamedTuple):
    """A parameter: as written, and its name (in lower case) and value as they are read."""

    written: str
    name: str
    value: str


class Address(msgspec.Struct, frozen=True, dict=True):
    """An address. ``host`` is as it is compared; ``start`` is all before the query, as written."""

    start: str
    host: str
    path: str
    query: str | None
    fragment: str | None

    def __str__(self) -> str:
        query = "" if self.query is None else f"?{self.query}"
        return self.start + query + ("" if self.fragment is None else f"#{self.fragment}")

    @cached_property
    def pairs(self) -> list[Pair]:
        """The parameters of the query."""
        return pairs(self.query) if self.query else []

    @cached_property
    def segments(self) -> list[str]:
        """What stands between the slashes of the path, as it is read."""
        return [unquote(each) if "%" in each else each for each in self.path.split("/") if each]


def read_address(text: str) -> Address | None:
    """An address of the web in its pieces; None for anything else."""
    text = _DROPPED.sub("", text).strip(_TRIMMED)
    found = _WEB.match(text)
    if found is None:
        return None
    authority, path, query, fragment = found.groups()
    host = authority.rpartition("@")[2].partition(":")[0]
    host = (unquote(host) if "%" in host else host).lower().strip(".")
    if not _LABEL.fullmatch(host):
        return None
    return Address(text[: found.end(2)], host, path.replace("\\", "/"), query, fragment)


def pairs(query: str) -> list[Pair]:
    """The parameters of a query."""
    found = []
    for written in query.split("&"):
        name, _, value = written.partition("=")
        found.append(Pair(written, _plain(name).lower(), _plain(value)))
    return found


def _plain(text: str) -> str:
    return unquote(text.replace("+", " ")) if "%" in text or "+" in text else text


def is_file(segment: str) -> bool:
    """Whether a segment names a picture, a style or a font: its name is then the content's."""
    return _FILE.search(segment) is not None


def is_token(value: str) -> bool:
    """Whether a value looks like one that was made for somebody, and not written by anybody."""
    if len(value) < _SHORTEST:
        return False
    if _DIGITS.match(value) or _UUID.match(value):
        return True
    if not _TOKEN.match(value):
        return False
    # Words with signs between them are a name: "summer-sale-2024-garden-tools".
    longest = max(_WORDY.split(value), key=len)
    return len(_TURNS.findall(longest)) >= _FEWEST_TURNS


def is_mark(value: str) -> bool:
    """Whether a value is fit to tell readers apart, short ones too: one with digits in it."""
    return (
        _LEAST_MARK <= len(value) <= _MOST_MARK
        and not any(c.isspace() for c in value)
        and any(c.isdigit() for c in value)
    )


def marks_in(addresses: Iterable[Address]) -> frozenset[str]:
    """What tells readers apart in addresses that are known to be a reader's own."""
    found: set[str] = set()
    for address in addresses:
        found.update(pair.value for pair in address.pairs if is_mark(pair.value))
        found.update(each for each in address.segments if is_token(each))
    return frozenset(found)


def target_in(value: str) -> str | None:
    """The address that a value says, in the clear or in base64; None where it says none."""
    if read := _whole(value):
        return read
    # An address that begins so in base64 (RFC 4648): "http", or JSON that may hold one.
    if value.startswith(("aHR0c", "eyJ", "ey")):
        padded = value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4)
        try:
            text = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            return None
        if read := _whole(text):
            return read
        # JSON, and JSON within JSON, write a slash with backslashes before it.
        if nested := _NESTED.search(text.replace("\\", "")):
            return _whole(nested[0])
    return None


def _whole(value: str) -> str | None:
    lower = value[:8].lower()
    if not lower.startswith(("http://", "https://")) or len(value) > LONGEST:
        return None
    read = read_address(value)
    # What a page can break out of is no address that anybody wrote.
    return str(read) if read and "." in read.host and not re.search(r"[\s<>\"'`]", value) else None
