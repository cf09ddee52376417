"""IP addresses: of those who connect, and of those we may connect to. Pure."""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


# Few of all addresses connect, again and again; a text that is none is remembered by nobody.
_keep = lru_cache(maxsize=4096)


@_keep
def plain_ip(text: str) -> str:
    """An IP address in one form: no scope, IPv4 where mapped. Raises ValueError."""
    ip = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ip)


@_keep
def place_of(address: str) -> Network:
    """What counts as one address: IPv4 the address itself, IPv6 its subnet of 64 bits."""
    return ipaddress.ip_network((address, 64 if ":" in address else 32), strict=False)


def networks(written: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks (CIDR) as they stand in the configuration. Raises ValueError."""
    return tuple(ipaddress.ip_network(each, strict=False) for each in written)


def is_among(address: str, those: Iterable[Network]) -> bool:
    """Whether an address lies in one of the networks."""
    ip = ipaddress.ip_address(address)
    return any(ip in network for network in those)


# What the registries of special-purpose addresses name (RFC 6890 and what has come since): none of
# it is a server of somebody else's on the Internet. Of IPv6 only 2000::/3 is given out at all, so
# that loopback, local, multicast, mapped (::ffff:0:0/96) and translated (64:ff9b::/96) addresses
# need no line.
_UNICAST = ipaddress.IPv6Network("2000::/3")
_SPECIAL = networks(
    (
        "0.0.0.0/8",  # "this network", which connects to ourselves
        "10.0.0.0/8",  # private (RFC 1918), as are 172.16/12 and 192.168/16
        "100.64.0.0/10",  # a provider's own (RFC 6598)
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, where clouds keep their secrets
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation (RFC 5737), as are 198.51.100/24 and 203.0.113/24
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # protocol assignments: Teredo and others
        "2001:db8::/32",  # documentation, as is 3fff::/20
        "2002::/16",  # 6to4: an IPv4 address, whichever
        "3fff::/20",
    )
)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_MOST_PARTS = 4
_BYTE = 256


def is_public(address: str) -> bool:
    """Whether an address is a globally routable unicast one, that may be anybody's server.

    What is no address, or one with a scope, is none.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if ip.version == 6 and (ip.scope_id is not None or ip not in _UNICAST):  # noqa: PLR2004
        return False
    return not any(ip in network for network in _SPECIAL)


def written_ipv4(host: str) -> str | None:
    """The IPv4 address that a host is written as, in any of the ways there are; None for a name.

    One to four numbers, each decimal, octal or hexadecimal, the last of which fills what is left
    (as inet_aton and the URL standard of browsers have it). What ends in a number is an address
    and never a name: raises ValueError where it is none.
    """
    parts = host.removesuffix(".").split(".")
    if not _NUMBER.fullmatch(parts[-1]):
        return None
    if len(parts) > _MOST_PARTS or not all(map(_NUMBER.fullmatch, parts)):
        raise ValueError(host)
    *first, last = map(_whole, parts)
    rest = _BYTE ** (_MOST_PARTS - len(first))
    if last >= rest or any(each >= _BYTE for each in first):
        raise ValueError(host)
    for nth, each in enumerate(first):
        last += each * _BYTE ** (_MOST_PARTS - 1 - nth)
    return str(ipaddress.IPv4Address(last))


def _whole(text: str) -> int:
    if text[:2] in {"0x", "0X"}:
        return int(text[2:] or "0", 16)
    return int(text, 8) if text.startswith("0") else int(text)
