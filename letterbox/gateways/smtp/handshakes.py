"""Connections that begin with TLS (RFC 8314), counted from their first packet on."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence

import structlog

from letterbox.gateways.smtp.peers import Door, plain_address
from letterbox.gateways.smtp.session import Session

#: Seconds to agree on TLS.
_SECONDS = 10.0
#: Where no descriptor is left, one may be a moment later.
_PAUSE = 1.0

log = structlog.get_logger("letterbox.smtp")


class Handshakes:
    """Accepts connections, and hands them to sessions once they speak TLS.

    ``session`` makes one that is let in already: asyncio's own server would let in whoever keeps
    silent, and count nobody before the handshake is over.
    """

    def __init__(self, door: Door, session: Callable[[], Session], context: ssl.SSLContext) -> None:
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
        session = self._session()
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: session,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=_SECONDS,
            )
        except OSError:  # ssl.SSLError and ConnectionError among them: it is the client's affair
            connection.close()
        finally:
            if not session.has_begun:
                self._door.leave(self._door.counted(address))
