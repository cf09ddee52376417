"""A server on loopback that vendors' events are sent to, and that answers as it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
from aiohttp import web


class Call(NamedTuple):
    """One call that came in."""

    path: str
    headers: Any
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Receiver:
    """Keeps every call. ``answers`` says what each gets: a status, or a response of its own."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers: Callable[[Call], int | web.Response] = lambda _: 204
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.url = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        call = Call(request.path_qs, request.headers.copy(), await request.read())
        self.calls.append(call)
        self.entered.set()
        await self.gate.wait()
        given = self.answers(call)
        return given if isinstance(given, web.Response) else web.Response(status=given)

    def down(self) -> None:
        self.answers = lambda _: 500

    def up(self) -> None:
        self.answers = lambda _: 204

    @property
    def ids(self) -> list[str]:
        """The id of every call, in order."""
        return [call.id for call in self.calls]


@asynccontextmanager
async def receiving(address: str = "127.0.0.1", *, ssl: Any = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port of a loopback address."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", receiver.serve)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, address, 0, ssl_context=ssl)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    receiver.url = f"{'https' if ssl else 'http'}://{address}:{port}/hook"
    try:
        yield receiver
    finally:
        receiver.gate.set()
        await runner.cleanup()
