"""Listening: sessions made, counted, and ended in good order."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from msgspec import structs

from letterbox.gateways.listening import Place, address_of, sockets_of
from letterbox.gateways.smtp.auth import Keys
from letterbox.gateways.smtp.connection import Connection
from letterbox.gateways.smtp.content import Bounds, Room
from letterbox.gateways.smtp.dialog import Terms
from letterbox.gateways.smtp.handshakes import Handshakes
from letterbox.gateways.smtp.house import House, Paths, Receiver
from letterbox.gateways.smtp.peers import Door
from letterbox.gateways.smtp.session import Session
from letterbox.metrics import Metrics
from letterbox.model.configuration import SmtpSection
from letterbox.ports.clock import Clock

_BACKLOG = 1024
#: A message may hold as much room as it leaves free, and is a third longer before dots are
#: taken out: with less room than this the largest would never come in.
_LARGEST = 3


class SmtpGateway:
    """SMTP (RFC 5321), or LMTP (RFC 2033) where ``lmtp``, in front of the intake.

    ``domains`` are ours, folded. ``certificate`` gives ours as it is now; without one STARTTLS is
    not offered. With ``keys`` it is a submission server (RFC 6409), which takes mail from those
    alone who show one; ``tls``: it speaks TLS from the first octet (RFC 8314). ``pause`` puts off
    the answer to a wrong key. ``between``: it stands between two mail servers, and serves nobody
    but trusted peers.
    """

    def __init__(
        self,
        intake: Receiver,
        *,
        paths: Paths,
        hostname: str,
        domains: frozenset[str],
        section: SmtpSection,
        clock: Clock,
        metrics: Metrics,
        lmtp: bool = False,
        certificate: Callable[[], ssl.SSLContext] | None = None,
        tls: bool = False,
        keys: Keys | None = None,
        between: bool = False,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        first = certificate() if certificate is not None and tls else None
        self._sessions: set[Connection] = set()
        self._servers: list[asyncio.Server] = []
        self._house = House(
            intake=intake,
            paths=paths,
            terms=Terms(
                hostname=hostname.lower(),
                domains=domains,
                max_size=section.max_size,
                max_recipients=section.max_recipients,
                max_transactions=section.max_transactions,
                lmtp=lmtp,
                tls=certificate is not None,
                submission=keys is not None,
                between=between,
            ),
            bounds=Bounds(max_size=section.max_size, max_line=section.max_line),
            room=Room(max(section.max_buffered, _LARGEST * section.max_size)),
            door=Door(_peers(section, keys=keys, between=between), lmtp=lmtp, between=between),
            clock=clock,
            metrics=metrics,
            sessions=self._sessions,
            tls=certificate,
            max_command=section.max_command,
            max_errors=section.max_errors,
            command_timeout=section.command_timeout,
            content_timeout=section.content_timeout,
            session_timeout=section.session_timeout,
            min_rate=section.min_rate,
            rate_period=section.rate_period,
            keys=keys,
            pause=pause,
        )
        self._handshakes = (
            Handshakes(self._house.door, lambda who: Session(self._house, let_in=who), first)
            if first is not None
            else None
        )

    async def start(self, place: Place) -> str:
        """Listen on ``host:port`` (``[::1]:0`` too; port 0 is any) or on sockets; the address.

        Raises OSError where that cannot be, ValueError where it is no address.
        """
        sockets = sockets_of(place)
        address = address_of(sockets)
        if self._handshakes is not None:
            self._handshakes.start(sockets, _BACKLOG)
            return address
        loop = asyncio.get_running_loop()
        try:
            for each in sockets:
                server = await loop.create_server(
                    lambda: Session(self._house), sock=each, backlog=_BACKLOG
                )
                self._servers.append(server)
        except OSError:
            await self._stop_listening()
            for each in sockets:
                each.close()
            raise
        return address

    async def drain(self, seconds: float, *, grace: float = 0.0) -> None:
        """Take no more sessions, let messages in hand be answered, and close after ``seconds``.

        For ``grace`` seconds before that each session has time for the message it has begun, or
        for its first: another process takes those who come now.
        """
        loop = asyncio.get_running_loop()
        over = loop.time() + grace
        for session in tuple(self._sessions) if grace else ():
            session.retire()
        await self._stop_listening(grace=grace)
        await asyncio.sleep(0)  # what was accepted a moment ago gets its turn
        if self._sessions and (left := over - loop.time()) > 0:
            await asyncio.wait([session.task for session in self._sessions], timeout=left)
        for session in tuple(self._sessions):
            session.leave()
        if self._sessions:
            await asyncio.wait([session.task for session in self._sessions], timeout=seconds)
        await self.close()

    async def close(self) -> None:
        """Close everything now. What was not answered was not taken."""
        await self._stop_listening()
        sessions = tuple(self._sessions)
        for session in sessions:
            session.abort()
        await asyncio.gather(*(session.task for session in sessions), return_exceptions=True)

    async def _stop_listening(self, *, grace: float = 0.0) -> None:
        if self._handshakes is not None:
            await self._handshakes.stop(grace=grace)
        for server in self._servers:
            server.close()
        self._servers.clear()


def _peers(section: SmtpSection, *, keys: Keys | None, between: bool) -> SmtpSection:
    """The section with the peers whose word is taken at this door.

    Who shows a key speaks for itself, wherever it stands: no peer's word is taken about it, but a
    balancer is nobody. Between two mail servers there is none.
    """
    if keys is None and not between:
        return section
    peers = (peer for peer in section.trusted_peers if (peer.client == "proxy") is not between)
    return structs.replace(section, trusted_peers=tuple(peers))
