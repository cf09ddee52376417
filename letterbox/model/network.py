"""IP addresses of those who connect. Pure."""

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


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
