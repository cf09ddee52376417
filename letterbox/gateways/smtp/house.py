"""What the sessions of one gateway share."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from letterbox.gateways.smtp.auth import Keys
from letterbox.gateways.smtp.content import Bounds, Room
from letterbox.gateways.smtp.dialog import Terms
from letterbox.gateways.smtp.peers import Door
from letterbox.intake import Received, Submission
from letterbox.metrics import Metrics
from letterbox.model.address import Address
from letterbox.model.envelope import Client, Edge, Envelope
from letterbox.ports.clock import Clock

if TYPE_CHECKING:
    from letterbox.gateways.smtp.connection import Connection


class Receiver(Protocol):
    """What a gateway needs of the intake."""

    async def receive(
        self, envelope: Envelope, content: bytes, submission: Submission | None = None
    ) -> Received:
        """Take a message; what is answered is durable."""
        ...


class Paths(Protocol):
    """Says whose a return path is (:class:`letterbox.identity.prover.Prover`)."""

    async def path_passes(self, client: Client, reverse_path: Address) -> bool | None:
        """Whether SPF passes; None where that could not be found out now."""
        ...


class House(msgspec.Struct, frozen=True, kw_only=True):
    """What the sessions of one gateway share. Times in seconds."""

    intake: Receiver
    paths: Paths
    terms: Terms
    bounds: Bounds
    room: Room
    door: Door
    clock: Clock
    metrics: Metrics
    sessions: "set[Connection]"
    #: Our certificate as it is now; None where there is none.
    tls: Callable[[], ssl.SSLContext] | None
    max_command: int
    max_errors: int
    command_timeout: float
    content_timeout: float
    session_timeout: float
    #: Octets a second, and over how many seconds they are counted.
    min_rate: int
    rate_period: float
    keys: Keys | None = None
    #: Puts a wrong key's answer off.
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    @property
    def edge(self) -> Edge:
        """Which protocol is spoken."""
        if self.terms.submission:
            return "submission"
        if self.terms.between:
            return "filter"
        return "lmtp" if self.terms.lmtp else "smtp"
