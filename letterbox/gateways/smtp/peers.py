"""Who connects: how many may, and whose word is taken."""

import ipaddress
from collections import Counter

from letterbox.gateways.smtp.replies import BUSY, CROWDED, Reply
from letterbox.model.configuration import SmtpSection, TrustedPeer
from letterbox.model.envelope import Client

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Door:
    """Counts the sessions of one gateway, and knows its trusted peers."""

    def __init__(self, section: SmtpSection, *, lmtp: bool) -> None:
        self._most = section.max_sessions
        self._most_each = section.sessions_per_address
        self._lmtp = lmtp
        self._trusted: list[tuple[_Network, TrustedPeer]] = [
            (ipaddress.ip_network(peer.address, strict=False), peer)
            for peer in section.trusted_peers
        ]
        self._counts: Counter[_Network] = Counter()
        self._sessions = 0

    def enter(self, address: str) -> Reply | None:
        """Count a session, or say why there can be none."""
        place = _place(address)
        if self._sessions >= self._most:
            return BUSY
        if self._counts[place] >= self._most_each:
            return CROWDED
        self._counts[place] += 1
        self._sessions += 1
        return None

    def leave(self, address: str) -> None:
        """A session that entered is over."""
        place = _place(address)
        self._sessions -= 1
        self._counts[place] -= 1
        if not self._counts[place]:
            del self._counts[place]  # or every address there is would be remembered

    def client(self, address: str, helo: str) -> Client:
        """What is known of the peer.

        It is inner where a detailed refusal might be bounced to a forged sender: over SMTP, a
        trusted peer that hides its clients; over LMTP, everybody who does not show them.
        """
        peer = self._peer(address)
        shows = peer is not None and peer.client is not None
        return Client(
            address=address,
            helo=helo,
            asserts_from=peer is not None and peer.asserts == "from",
            trusted=peer is not None,
            inner=not shows if self._lmtp else peer is not None and not shows,
        )

    def _peer(self, address: str) -> TrustedPeer | None:
        if not self._trusted:
            return None
        ip = ipaddress.ip_address(address)
        return next((peer for network, peer in self._trusted if ip in network), None)


def plain_address(peername: object) -> str:
    """The IP address of a socket's peer: without scope, an IPv4 address where it is mapped."""
    if not isinstance(peername, tuple) or not peername:
        return "0.0.0.0"  # noqa: S104 - no address to bind: the peer has gone already
    ip: _Address = ipaddress.ip_address(str(peername[0]).partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ip)


def network_of(address: str) -> str:
    """What counts as one place that guesses."""
    return str(_place(address))


def _place(address: str) -> _Network:
    """What counts as one address: IPv4 the address itself, IPv6 its subnet of 64 bits."""
    return ipaddress.ip_network((address, 64 if ":" in address else 32), strict=False)
