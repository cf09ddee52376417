"""Who connects: how many may, and whose word is taken."""

import ipaddress
from collections import Counter
from typing import NamedTuple

from letterbox.gateways.smtp.passing import Origin
from letterbox.gateways.smtp.replies import BUSY, CROWDED, NOT_A_PEER, Reply
from letterbox.model.configuration import SmtpSection, TrustedPeer
from letterbox.model.envelope import Client
from letterbox.model.network import Network, place_of, plain_ip


class Entrant(NamedTuple):
    """Who was let in at the door; ``counted`` is the address that is counted for it, if any."""

    address: str
    counted: str | None


class Door:
    """Counts the sessions of one gateway, and knows its trusted peers.

    ``between``: they are the only ones it lets in.
    """

    def __init__(self, section: SmtpSection, *, lmtp: bool, between: bool = False) -> None:
        self._peers_alone = between
        self._most = section.max_sessions
        self._most_each = section.sessions_per_address
        self._lmtp = lmtp
        self._trusted: list[tuple[Network, TrustedPeer]] = [
            (ipaddress.ip_network(peer.address, strict=False), peer)
            for peer in section.trusted_peers
        ]
        self._counts: Counter[Network] = Counter()
        self._sessions = 0
        #: Who was asked about last: where a relay brings everything, it is always the same one.
        self._last: tuple[str, TrustedPeer | None] = "", None

    def enter(self, address: str) -> Reply | None:
        """Count a session, or say why there can be none."""
        if self._sessions >= self._most:
            return BUSY
        if self._peers_alone and self.peer(address) is None:
            return NOT_A_PEER
        if self.brings_many(self.peer(address)):
            self._sessions += 1  # of many clients: each is counted when it is known
            return None
        if (full := self.count(address)) is None:
            self._sessions += 1
        return full

    def count(self, address: str) -> Reply | None:
        """Count a session for its client's address, or say why it is one too many."""
        place = place_of(address)
        if self._counts[place] >= self._most_each:
            return CROWDED
        self._counts[place] += 1
        return None

    def counted(self, address: str) -> str | None:
        """What a session from an address is counted for at first: nobody, where it brings many."""
        return None if self.brings_many(self.peer(address)) else address

    @staticmethod
    def brings_many(peer: TrustedPeer | None) -> bool:
        """Whether a peer's sessions are those of many clients, each counted for itself."""
        return peer is not None and peer.client in {"proxy", "xclient"}

    def leave(self, counted: str | None) -> None:
        """A session is over; ``counted`` is the address it was counted for."""
        self._sessions -= 1
        self.uncount(counted)

    def uncount(self, counted: str | None) -> None:
        """A session is not counted for an address any more."""
        if counted is None:
            return
        place = place_of(counted)
        self._counts[place] -= 1
        if not self._counts[place]:
            del self._counts[place]  # or every address there is would be remembered

    def peer(self, address: str) -> TrustedPeer | None:
        """Whose word is taken, of those who have an address."""
        if not self._trusted:
            return None
        if address != self._last[0]:
            ip = ipaddress.ip_address(address)
            found = next((peer for network, peer in self._trusted if ip in network), None)
            self._last = address, found
        return self._last[1]

    def client(self, address: str, helo: str, origin: Origin | None) -> Client:
        """What is known of whom the mail comes from; ``origin`` is what a peer has passed on.

        It is inner where a detailed refusal might be bounced to a forged sender: over SMTP, by a
        trusted peer that hides its client; over LMTP, by everybody who does not show it.
        """
        peer = self.peer(address)
        relays = peer is not None and peer.client in {None, "xforward"}
        shown = origin is not None and origin.address is not None
        hidden = not shown and (self._lmtp or peer is not None)
        if origin is not None:
            address = origin.address or address
            helo = (origin.helo or "") if peer and peer.client == "xforward" else helo
        return Client(
            address=address,
            helo=helo,
            # What a peer only passes through is not the peer's word.
            asserts_from=relays and peer is not None and peer.asserts == "from",
            trusted=relays,
            inner=hidden,
        )


def plain_address(peername: object) -> str:
    """The IP address of a socket's peer: without scope, an IPv4 address where it is mapped."""
    if not isinstance(peername, tuple) or not peername:
        return "0.0.0.0"  # noqa: S104 - no address to bind: the peer has gone already
    return plain_ip(str(peername[0]))


def network_of(address: str) -> str:
    """What counts as one place that guesses."""
    return str(place_of(address))
