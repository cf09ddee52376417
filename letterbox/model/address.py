"""Mail addresses as the broker compares them."""

import re
from functools import lru_cache

import idna
import msgspec

# RFC 5321, section 4.1.2: Dot-string, widened by RFC 6531 to any UTF-8 letter.
_DOT_STRING = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\x80-\U0010ffff]+"
    r"(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\x80-\U0010ffff]+)*"
)
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?")
# C1 controls and the Unicode line separators would break a log line or a header.
_UNSAFE = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029]")

# Characters: one of a host name (253 octets) may be written in several, but hardly in ten.
_LONGEST_WRITTEN = 2530

_LONGEST_KEPT = 255

MAX_LOCAL = 64  # octets, RFC 5321 section 4.5.3.1.1
MAX_ADDRESS = 254  # octets, RFC 5321 section 4.5.3.1.3 less the angle brackets


class Address(msgspec.Struct, frozen=True, order=True):
    """One mailbox. ``domain`` is lower case, its labels in A-label form (RFC 5890)."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def mailbox(self) -> "Address":
        """The address that owns this one: folded for case, without the subaddress (RFC 5233)."""
        base = self.local.lower()
        head, plus, _ = base.partition("+")
        return Address(local=head if plus and head else base, domain=self.domain)


def fold_domain(text: str) -> str | None:
    """Lower-case A-label form of a host name, or None where it is none (RFC 1035, 5890).

    Capitals and the like are mapped first (UTS #46, non-transitional): ``straße.example`` is
    not ``strasse.example``, whose owner may be another (RFC 5891; IDNA 2003 made them one).
    """
    # What is long is remembered by nobody, lest it fill the memory.
    return _kept_folded(text) if len(text) <= _LONGEST_KEPT else _folded(text)


def _folded(text: str) -> str | None:
    if len(text) > _LONGEST_WRITTEN:
        return None
    name = text.removesuffix(".")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True, std3_rules=True).decode()
        except UnicodeError:
            return None
    name = name.lower()
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):  # noqa: PLR2004
        return None
    return name


_kept_folded = lru_cache(maxsize=4096)(_folded)


def parse_address(text: str) -> Address | None:
    """Read ``local@domain``; None where it is not a plain address (quoted local parts included)."""
    # A few senders and recipients come again and again.
    return _kept_parsed(text) if len(text) <= _LONGEST_KEPT else _parsed(text)


def _parsed(text: str) -> Address | None:
    local, at, domain = text.rpartition("@")
    if not at or _UNSAFE.search(text) or not _DOT_STRING.fullmatch(local):
        return None
    folded = fold_domain(domain)
    if folded is None or len(local.encode()) > MAX_LOCAL:
        return None
    address = Address(local=local, domain=folded)
    return address if len(str(address).encode()) <= MAX_ADDRESS else None


_kept_parsed = lru_cache(maxsize=4096)(_parsed)


def is_below(domain: str, parent: str) -> bool:
    """Whether ``domain`` is ``parent`` or lies below it. Both folded."""
    return domain == parent or domain.endswith("." + parent)
