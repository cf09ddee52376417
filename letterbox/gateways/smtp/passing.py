"""How a peer whose word is taken passes on whose mail it brings: PROXY, XCLIENT and XFORWARD."""

import ipaddress
import re
import struct
from typing import Final, Literal, Protocol

import msgspec

from letterbox.gateways.smtp.parameters import read_xtext
from letterbox.model.network import plain_ip

_V2: Final = b"\r\n\r\n\0\r\nQUIT\n"
#: Octets of a header of version 1 at most, with CRLF.
_LONGEST_V1: Final = 107
#: And of what follows one of version 2: addresses, and notes that nobody reads here.
_LONGEST_V2: Final = 2048
#: Version 2, and whether the peer speaks for itself (to see whether we live) or for a client.
_LOCAL, _PROXIED = 0x20, 0x21
_V1 = re.compile(rb"PROXY (?:(?:TCP4|TCP6) (\S+) \S+ [0-9]{1,5} [0-9]{1,5}|UNKNOWN[^\r\n]*)\r\n")
_ATTRIBUTES: Final = {
    "XCLIENT": ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"),
    "XFORWARD": ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"),
}
_UNKNOWN: Final = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_LONGEST_VALUE: Final = 512
_HELO = re.compile(r"[!-~]{1,255}")

Command = Literal["XCLIENT", "XFORWARD"]


class Origin(msgspec.Struct, frozen=True):
    """The client behind a peer: its IP address, and the name it gave. None is not known."""

    address: str | None = None
    helo: str | None = None


class Reads(Protocol):
    """A stream, of which no more is read than is asked for."""

    async def readexactly(self, n: int, /) -> bytes:
        """So many octets. Raises IncompleteReadError where the peer goes before."""
        ...


class NotPassedOn(Exception):
    """A peer that is to begin with a PROXY header did not."""


async def read_proxy(reader: Reads) -> str | None:
    """Read a PROXY header of version 1 or 2; the client's address, None where it is not told.

    As in HAProxy's "The PROXY protocol", sections 2.1 and 2.2. Not a byte behind it is read.
    Raises NotPassedOn, and IncompleteReadError where the peer goes.
    """
    head = await reader.readexactly(len(_V2))
    if head == _V2:
        return await _read_v2(reader)
    while not head.endswith(b"\n") and len(head) < _LONGEST_V1:
        head += await reader.readexactly(1)
    match = _V1.fullmatch(head)
    if match is None:
        raise NotPassedOn
    return _address(match[1].decode("ascii", "replace")) if match[1] else None


async def _read_v2(reader: Reads) -> str | None:
    version, family, length = struct.unpack("!BBH", await reader.readexactly(4))
    if length > _LONGEST_V2 or version not in {_LOCAL, _PROXIED}:
        raise NotPassedOn
    block = await reader.readexactly(length)
    if version == _LOCAL:
        return None
    match family:
        case 0x11 if length >= 12:  # noqa: PLR2004 - two addresses of 4 octets, two ports of 2
            return str(ipaddress.IPv4Address(block[:4]))
        case 0x21 if length >= 36:  # noqa: PLR2004 - of 16 octets
            return plain_ip(str(ipaddress.IPv6Address(block[:16])))
        case 0x11 | 0x21:
            raise NotPassedOn
        case _:
            return None


def _address(text: str) -> str:
    try:
        return plain_ip(text)
    except ValueError:
        raise NotPassedOn from None


def offered(command: Command) -> str:
    """What EHLO says of it."""
    return " ".join((command, *_ATTRIBUTES[command]))


def read_origin(command: Command, arg: str, before: Origin) -> Origin | None:
    """What Postfix's XCLIENT or XFORWARD says, over what was said before; None if badly formed.

    Values are xtext; an IPv6 address begins with ``IPV6:``. What nobody here needs is passed over.
    """
    found = before
    attributes = arg.split(" ")
    for attribute in attributes:
        name, equals, value = attribute.partition("=")
        name, text = name.upper(), read_xtext(value, _LONGEST_VALUE)
        if not equals or name not in _ATTRIBUTES[command] or text is None:
            return None
        known = None if text.upper() in _UNKNOWN else text
        match name:
            case "ADDR":
                if known is not None:
                    try:
                        known = plain_ip(_without_prefix(known))
                    except ValueError:
                        return None
                found = msgspec.structs.replace(found, address=known)
            case "HELO":
                if known is not None and not _HELO.fullmatch(known):
                    return None
                found = msgspec.structs.replace(found, helo=known)
    return found


def _without_prefix(text: str) -> str:
    return text[5:] if text[:5].upper() == "IPV6:" else text
