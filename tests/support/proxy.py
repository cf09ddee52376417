"""A TCP proxy on loopback that can be cut: what goes through it stops, and nobody is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """Carries octets to a port until it is cut; connections stay open meanwhile."""

    def __init__(self, port: int) -> None:
        self._there = port
        self._open = asyncio.Event()
        self._open.set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Let nothing through any more, as a cable that was pulled."""
        self._open.clear()

    def mend(self) -> None:
        """Let through what comes, and what has come meanwhile."""
        self._open.set()

    async def close(self) -> None:
        """End every connection."""
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        if self._server is not None:
            self._server.close()

    async def _connected(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        await self._open.wait()
        there, on = await asyncio.open_connection("127.0.0.1", self._there)
        self._writers |= {back, on}
        for reader, writer in ((here, on), (there, back)):
            task = asyncio.create_task(self._carry(reader, writer))
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while octets := await reader.read(65536):
                await self._open.wait()
                writer.write(octets)
                await writer.drain()
            writer.close()


@asynccontextmanager
async def proxy(port: int) -> AsyncIterator[Proxy]:
    """One before a port of 127.0.0.1."""
    made = Proxy(port)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
