"""Connections that begin with TLS (RFC 8314), counted from their first packet on."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence

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
        self._accepting: list[asyncio.Task[None]] = []
        self._shaking: set[asyncio.Task[None]] = set()

    def start(self, sockets: Sequence[socket.socket], backlog: int) -> None:
        """Listen on bound sockets, and close them at the end. Raises OSError."""
        self._sockets = [*sockets]
        try:
            for each in self._sockets:
                each.listen(backlog)
                each.settimeout(0)
        except OSError:
            self._close()
            raise
        self._accepting = [
            asyncio.create_task(self._accept(each), name="handshakes") for each in self._sockets
        ]

    async def stop(self, *, grace: float = 0.0) -> None:
        """Listen no more; who has not agreed yet, or within so many seconds, will not."""
        await _cancelled(self._accepting)
        self._accepting = []
        self._close()
        if grace and self._shaking:
            await asyncio.wait(self._shaking, timeout=grace)
        await _cancelled(self._shaking)

    def _close(self) -> None:
        for each in self._sockets:
            each.close()
        self._sockets = []

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peername = await loop.sock_accept(listening)
            except OSError as error:
                log.error("not-accepted", error=str(error))  # noqa: TRY400 - the machine's trouble
                await asyncio.sleep(_PAUSE)
                continue
            address = plain_address(peername)
            if self._door.enter(address) is not None:
                connection.close()  # nothing could be said that it would understand
                continue
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


async def _cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    ended = [*tasks]
    for task in ended:
        task.cancel()
    await asyncio.gather(*ended, return_exceptions=True)
