"""A mail server on loopback that does as it is told at each step: answers, vanishes, is silent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

#: When something is said by its server: of the connection, of each command, of the content.
Stage = Literal["greeting", "hello", "path", "recipient", "data", "content"]
STAGES: tuple[Stage, ...] = ("greeting", "hello", "path", "recipient", "data", "content")

VANISH = "vanish"
SILENT = "silent"
_USUAL: dict[Stage, str] = {
    "greeting": "220 next.example",
    "hello": "250-next.example\r\n250 8BITMIME",
    "path": "250 2.1.0 go on",
    "recipient": "250 2.1.5 go on",
    "data": "354 go on",
    "content": "250 2.0.0 taken",
}
_COMMANDS: dict[bytes, Stage] = {
    b"EHLO": "hello",
    b"LHLO": "hello",
    b"HELO": "hello",
    b"MAIL": "path",
    b"RCPT": "recipient",
    b"DATA": "data",
}


class NextHop:
    """``says`` is what it does at a stage instead of going on; ``came`` what it has in full.

    ``commands`` are those it was given. It has a content in full also where it vanishes then.
    """

    def __init__(self) -> None:
        self.says: dict[Stage, str] = {}
        self.came: list[bytes] = []
        self.commands: list[str] = []
        self.address = ""
        self.reached = asyncio.Event()
        #: Whether a connection has come to its end.
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            going = await self._say("greeting", writer)
            while going and (line := await reader.readline()):
                self.commands.append(line.decode().strip())
                stage = _COMMANDS.get(line[:4].upper())
                if stage is None:
                    writer.write(b"250 2.0.0 if you say so\r\n")
                    continue
                going = await self._say(stage, writer)
                if going and stage == "data" and "data" not in self.says:
                    self.came.append(await reader.readuntil(b"\r\n.\r\n"))
                    going = await self._say("content", writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.left.set()
            writer.close()

    async def _say(self, stage: Stage, writer: asyncio.StreamWriter) -> bool:
        said = self.says.get(stage, _USUAL[stage])
        if said == VANISH:
            return False
        if said == SILENT:
            self.reached.set()
            await asyncio.Event().wait()
        writer.write(f"{said}\r\n".encode())
        await writer.drain()
        return True


@asynccontextmanager
async def next_hop() -> AsyncIterator[NextHop]:
    """Open on a free port."""
    hop = NextHop()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(hop.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    hop.address = f"{host}:{port}"
    try:
        yield hop
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
