"""Return paths of mail that is handed on: rewritten by the Sender Rewriting Scheme (SRS0).

What is handed on must come back to us, not to its sender, and its path must pass SPF for a domain
of ours. The form is the published one, ``SRS0=HASH=TT=DOMAIN=LOCAL``, of which others need the
first five characters alone. In place of the sender's own local part stands a name of ours: nothing
that comes back is ever passed on to the sender, and a local part has room for 64 octets.
"""

import base64
import hashlib
import hmac
import re
from datetime import datetime
from typing import Final

from letterbox.model.address import Address

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
#: A timestamp counts days, round and round (two letters of base32).
_ROUND: Final = 32 * 32
#: So many days mail may take to come back.
DAYS: Final = 21
#: Letters of the hash, five bits each.
_HASH: Final = 10
_LONGEST: Final = 64  # RFC 5321, section 4.5.3.1.1
_LOCAL = re.compile(
    rf"srs0[=+-](?P<hash>[a-z2-7]{{{_HASH}}})=(?P<stamp>[a-z2-7]{{2}})="
    r"(?P<domain>[a-z0-9.-]{1,64})=(?P<name>[a-z2-7]{16})"
)
_UNUSUAL = re.compile(r"[^a-z0-9.-]")
_SECONDS: Final = 86_400


class Srs:
    """Writes and reads return paths in ``domain``, which is ours, with a secret of ours.

    Case is not minded: some servers do not keep it.
    """

    def __init__(self, secret: bytes, domain: str) -> None:
        self._secret = secret
        self._domain = domain

    def write(self, sender: str, name: str, now: datetime) -> Address:
        """The path of a message that is handed on; ``name`` has 16 letters.

        ``sender`` is the domain that it came from, or an address literal.
        """
        stamp = _stamp(_day(now))
        room = _LONGEST - len("SRS0====") - _HASH - len(stamp) - len(name)
        domain = _fitting(sender, room)
        mark = self._mark(stamp, domain, name)
        return Address(local=f"SRS0={mark}={stamp}={domain}={name}", domain=self._domain)

    def read(self, address: Address, now: datetime) -> str | None:
        """The name in a path that we wrote of late; None for any other address."""
        if address.domain != self._domain:
            return None
        found = _LOCAL.fullmatch(address.local.lower())
        if found is None:
            return None
        stamp, domain, name = (found[part] for part in ("stamp", "domain", "name"))
        fits = hmac.compare_digest(found["hash"].upper(), self._mark(stamp.upper(), domain, name))
        high, low = (_ALPHABET.index(letter) for letter in stamp.upper())
        age = (_day(now) - (high * 32 + low)) % _ROUND
        return name if fits and age <= DAYS else None

    def _mark(self, stamp: str, domain: str, name: str) -> str:
        said = f"{stamp}\0{domain}\0{name}".lower().encode()
        digest = hmac.new(self._secret, said, hashlib.sha256).digest()
        return base64.b32encode(digest).decode()[:_HASH]


def _day(now: datetime) -> int:
    return int(now.timestamp()) // _SECONDS % _ROUND


def _stamp(day: int) -> str:
    return _ALPHABET[day // 32] + _ALPHABET[day % 32]


def _fitting(domain: str, room: int) -> str:
    """As much of a domain as there is room for, from its end: it is there to be read."""
    domain = _UNUSUAL.sub("-", domain.lower())
    while len(domain) > room and "." in domain:
        domain = domain.partition(".")[2]
    return domain if len(domain) <= room else domain[-room:]
