"""Listening for HTTP: connections within limits, and a clean end."""

import asyncio
import re
from contextlib import suppress
from typing import Any

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from letterbox.gateways.http.answers import guard
from letterbox.gateways.http.application import Pages, application
from letterbox.gateways.http.parts import Parts
from letterbox.gateways.http.problems import Problem, render
from letterbox.gateways.http.routes import OPERATIONS, ROUTES
from letterbox.gateways.listening import Place, address_of, sockets_of
from letterbox.metrics import Metrics

# How long a connection may take to bring a whole header, or may idle between requests.
_IDLE = 75.0
_LINGERING = 1.0
_MOST_HEADERS = 100
_LONGEST_FIELD = 8190
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nServer: letterbox\r\nRetry-After: 10\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)

#: What the parser says of a field that may stand there once.
_TWICE = re.compile(r"(?s).*Duplicate '([A-Za-z-]{1,40})' header found\..*")

log = structlog.get_logger("letterbox.http")


class HttpGateway:
    """The API and the public pages, and ``pages`` of those who sign in.

    ``draining`` is set once it begins to close.
    """

    def __init__(self, parts: Parts, pages: Pages | None = None) -> None:
        self.draining = asyncio.Event()
        section = parts.configuration.http
        # Operators have their own address; where they have none, this machine may ask here.
        routes = [route for route in ROUTES if route.who != "operator"]
        if not parts.configuration.admin.listen:
            routes += OPERATIONS
        self._listener = _Listener(
            application(parts, routes, self.draining, trusted=False, pages=pages),
            parts,
            most=section.max_connections,
        )

    async def start(self, place: Place) -> str:
        """Listen on ``host:port`` (port 0: any) or on sockets; return the address as bound."""
        return await self._listener.start(place)

    async def drain(self, seconds: float, *, grace: float = 0.0) -> None:
        """Take no more; finish what was begun, at most ``seconds`` long.

        For ``grace`` seconds before that whoever is connected is served as before, and told with
        each answer to connect anew: another process takes those who come now.
        """
        await self._listener.leave(grace)
        self.draining.set()
        await self._listener.drain(seconds)


class AdminGateway:
    """Health and metrics on their own address, which the operator keeps private."""

    def __init__(self, parts: Parts) -> None:
        self.draining = asyncio.Event()
        app = application(parts, OPERATIONS, self.draining, trusted=True)
        self._listener = _Listener(app, parts, most=parts.configuration.http.max_connections)

    async def start(self, place: Place) -> str:
        """Listen on ``host:port`` (port 0: any) or on sockets; return the address as bound."""
        return await self._listener.start(place)

    async def drain(self, seconds: float, *, grace: float = 0.0) -> None:
        """Take no more; finish what was begun, at most ``seconds`` long.

        For ``grace`` seconds before that whoever is connected is served as before, and told with
        each answer to connect anew: another process takes those who come now.
        """
        await self._listener.leave(grace)
        self.draining.set()
        await self._listener.drain(seconds)


class _Listener:
    """A socket, the connections to it, and their end."""

    def __init__(self, app: web.Application, parts: Parts, *, most: int) -> None:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self._parts = parts
        self._most = most
        self._open = 0
        self._servers: list[asyncio.AbstractServer] = []
        self._leaving = False
        self._empty = asyncio.Event()
        self._empty.set()
        app.on_response_prepare.append(self._part)

    async def start(self, place: Place) -> str:
        sockets = sockets_of(place)
        address = address_of(sockets)
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        try:
            for each in sockets:
                server = await loop.create_server(self._connection, sock=each, backlog=1024)
                self._servers.append(server)
        except OSError:
            self._stop_listening()
            for each in sockets:
                each.close()
            raise
        return address

    async def _part(self, _: web.Request, response: web.StreamResponse) -> None:
        """A client that is told so does not send its next request into a closed connection."""
        if self._leaving:
            response.headers["Connection"] = "close"
            response.force_close()

    def _connection(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None or self._open >= self._most:
            return _Busy()
        return _Connection(
            server,
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_IDLE,
            lingering_time=_LINGERING,
            max_headers=_MOST_HEADERS,
            max_field_size=_LONGEST_FIELD,
            max_line_size=_LONGEST_FIELD,
            auto_decompress=False,
            access_log=None,
        )

    @property
    def metrics(self) -> Metrics:
        """Where open sessions are counted."""
        return self._parts.metrics

    @property
    def public_url(self) -> str:
        """Our own address."""
        return self._parts.public_url()

    def opened(self) -> None:
        """A connection is there."""
        self._open += 1
        self._empty.clear()
        self.metrics.sessions.labels("http").inc()

    def closed(self) -> None:
        """A connection is gone."""
        self._open -= 1
        if not self._open:
            self._empty.set()
        self.metrics.sessions.labels("http").dec()

    async def leave(self, grace: float) -> None:
        """Take nobody in any more; give those inside so many seconds to go by themselves."""
        self._stop_listening()
        if grace:
            self._leaving = True
            await asyncio.sleep(0)  # what was accepted a moment ago gets its turn
            with suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._empty.wait()

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def drain(self, seconds: float) -> None:
        server = self._runner.server
        if server is not None:
            await asyncio.sleep(0)  # what was accepted a moment ago gets its turn
            server.pre_shutdown()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await server.shutdown(seconds)
        await self._runner.cleanup()


class _Connection(RequestHandler):
    """One connection. What is no HTTP at all is answered by a problem document, too."""

    def __init__(self, server: web.Server, listener: _Listener, **limits: Any) -> None:
        super().__init__(server, **limits)
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        self._listener.opened()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it no more."""
        self._listener.closed()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP, or what failed outside of the application."""
        twice = _TWICE.fullmatch(message or "")
        if isinstance(exc, ConnectionError) or request.writer.output_size > 0:
            raise ConnectionError("nobody can be answered any more")
        ours = status >= web.HTTPInternalServerError.status_code
        if ours:
            log.error("http-failed", exc_info=exc)
        else:
            log.info("not-http", client=request.remote)
        # No more of the message is repeated: the rest of it may be bytes of the request.
        detail = f"there are two fields {twice[1]}; send one" if twice and not ours else ""
        problem = Problem("our-fault" if ours else "bad-request", detail, close=True)
        response = render(problem, self._listener.public_url)
        guard(response)
        return response


class _Busy(asyncio.Protocol):
    """A connection too many: told so, and closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer without waiting for a request."""
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(_BUSY)
        transport.close()
