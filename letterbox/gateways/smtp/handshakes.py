"""Connections that begin with TLS (RFC 8314), counted from their first packet on."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence

import structlog

from letterbox.gateways.smtp.passing import NotPassedOn, read_proxy
from letterbox.gateways.smtp.peers import Door, Entrant, plain_address
from letterbox.gateways.smtp.session import Session

#: Seconds to agree on TLS, and before that to say whom a balancer has connected.
_SECONDS = 10.0
#: Where no descriptor is left, one may be a moment later.
_PAUSE = 1.0

log = structlog.get_logger("letterbox.smtp")


class Handshakes:
    """Accepts connections, and hands them to sessions once they speak TLS.

    ``session`` makes one that is let in already: asyncio's own server would let in whoever keeps
    silent, and count nobody before the handshake is over.
    """

    def __init__(
        self, door: Door, session: Callable[[Entrant], Session], context: ssl.SSLContext
    ) -> None:
        self._door = door
        self._session = session
        self._context = context
        self._sockets: list[socket.socket] = []
        self._resuming: asyncio.TimerHandle | None = None
        self._shaking: set[asyncio.Task[None]] = set()

    def start(self, sockets: Sequence[socket.socket], backlog: int) -> None:
        """Listen on bound sockets, and close them at the end. Raises OSError."""
        self._sockets = [*sockets]
        try:
            for each in self._sockets:
                each.settimeout(0)
                each.listen(backlog)
        except OSError:
            self._close()
            raise
        self._listen()

    async def stop(self, *, grace: float = 0.0) -> None:
        """Listen no more; who has not agreed yet, or within so many seconds, will not."""
        if self._resuming is not None:
            self._resuming.cancel()
        for each in self._sockets:
            asyncio.get_running_loop().remove_reader(each)
        self._close()
        if grace and self._shaking:
            await asyncio.wait(self._shaking, timeout=grace)
        for task in self._shaking:
            task.cancel()
        await asyncio.gather(*self._shaking, return_exceptions=True)

    def _close(self) -> None:
        for each in self._sockets:
            each.close()
        self._sockets = []

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            loop.add_reader(each, self._accept, each)

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, peername = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # another process was faster, or the client has gone
        except OSError as error:
            log.error("not-accepted", error=str(error))  # noqa: TRY400 - the machine's trouble
            loop = asyncio.get_running_loop()
            for each in self._sockets:
                loop.remove_reader(each)
            self._resuming = loop.call_later(_PAUSE, self._listen)
            return
        connection.settimeout(0)
        address = plain_address(peername)
        if self._door.enter(address) is not None:
            connection.close()  # nothing could be said that it would understand
            return
        task = asyncio.create_task(self._shake(connection, address))
        self._shaking.add(task)
        task.add_done_callback(self._shaking.discard)

    async def _shake(self, connection: socket.socket, address: str) -> None:
        entrant, session = Entrant(address, self._door.counted(address)), None
        try:
            peer = self._door.peer(address)
            if peer is not None and peer.client == "proxy":
                entrant = await self._connected(connection, entrant)
            session = self._session(entrant)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: session,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=_SECONDS,
            )
        except NotPassedOn:
            log.warning("no-proxy-header", client=address)
            connection.close()
        except (_Crowded, EOFError, OSError):  # ssl.SSLError and TimeoutError are among the last
            connection.close()  # it is the client's affair
        finally:
            if session is None or not session.has_begun:
                self._door.leave(entrant.counted)

    async def _connected(self, connection: socket.socket, balancer: Entrant) -> Entrant:
        """Whom a balancer has connected: its words stand in the clear, before the handshake."""
        try:
            async with asyncio.timeout(_SECONDS):
                address = await read_proxy(_Exactly(connection))
        except asyncio.CancelledError:
            connection.close()  # nobody else has it yet
            raise
        if address is None:
            return balancer
        if self._door.count(address) is not None:
            raise _Crowded
        return Entrant(address, address)


class _Crowded(Exception):
    """Its client has as many sessions as it may; it could be told nothing that it understood."""


class _Exactly:
    """Reads a socket before anybody else does, and leaves what comes next where it is."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    async def readexactly(self, n: int, /) -> bytes:
        """So many octets. Raises IncompleteReadError, OSError."""
        loop, found = asyncio.get_running_loop(), b""
        while len(found) < n:
            more = await loop.sock_recv(self._connection, n - len(found))
            if not more:
                raise asyncio.IncompleteReadError(found, n)
            found += more
        return found
