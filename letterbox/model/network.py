"""IP addresses of those who connect. Pure."""

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: IPv6 that stands for IPv4: translated (RFC 6052, RFC 8215), compatible (RFC 4291, 2.5.5.1).
_HIDES_IPV4 = tuple(
    ipaddress.IPv6Network(each) for each in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")
)


def plain_ip(text: str) -> str:
    """An IP address in one form: no scope, IPv4 where mapped. Raises ValueError."""
    ip = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ip)


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


def is_public(address: str) -> bool:
    """Whether an IP address is one host's on the open internet, in whatever form it hides another.

    False for what is no address.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None or ip.sixtofour is not None or ip.teredo is not None:
            return False
        if any(ip in network for network in _HIDES_IPV4):
            return False
    return ip.is_global and not ip.is_multicast
