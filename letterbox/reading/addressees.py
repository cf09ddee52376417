"""Whom a message is addressed to, by its To and Cc (RFC 5322, section 3.6.3).

Read for the eye, not for routing: what is no plain address is left out.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from letterbox.model.address import parse_address
from letterbox.model.message import Addressees
from letterbox.reading.encoded import decode_words, one_line
from letterbox.reading.header import unfold
from letterbox.reading.mail import Field

#: Addresses that are read; a message to more people says nothing about any one of them.
MOST: Final = 200
_MOST_OCTETS: Final = 16 * 1024  # as far as a field is unfolded
_MOST_SHOWN: Final = 100

# Each alternative begins with another character and gives nothing back: linear in any text.
_TOKEN = re.compile(
    r""""(?:[^"\\]|\\.)*+"? | \((?:[^()\\]|\\.)*+\)? | <(?P<angle>[^<>]*+)>?
    | (?P<stop>[,;:]) | (?P<word>[^\s"<>(),;:]++)""",
    re.VERBOSE | re.DOTALL,
)


def read_addressees(fields: Iterable[Field]) -> Addressees:
    """The mailboxes that fields name, groups and all, at most 200 of them."""
    mailboxes: set[str] = set()
    written: list[str] = []
    whole = True
    for field in fields:
        value = unfold(field)
        whole = whole and len(field.value) <= _MOST_OCTETS
        written.append(one_line(decode_words(value[: _MOST_SHOWN * 10]), _MOST_SHOWN))
        for text in _addresses(value):
            if len(mailboxes) >= MOST:
                whole = False
                break
            address = parse_address(text)
            if address is not None:
                mailboxes.add(str(address.mailbox))
    shown = one_line(", ".join(filter(None, written)), _MOST_SHOWN)
    return Addressees(mailboxes=frozenset(mailboxes), shown=shown, whole=whole)


def _addresses(value: str) -> Iterator[str]:
    """What stands in angle brackets, else the words with an @, entry by entry."""
    angle: str | None = None
    bare = ""
    for token in _TOKEN.finditer(value):
        match token.lastgroup:
            case "stop":
                yield from filter(None, (angle or bare,))
                angle, bare = None, ""
            case "angle":
                angle = token["angle"].strip()
            case "word" if "@" in token["word"]:
                bare = token["word"]
            case _:
                pass
    yield from filter(None, (angle or bare,))
