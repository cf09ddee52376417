"""The mail server behind, on loopback: at each stage it answers, vanishes or keeps silent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

OFFERS = ("PIPELINING", "SIZE 99999999", "8BITMIME", "SMTPUTF8", "DSN", "XFORWARD ADDR HELO PROTO")
#: What it does in place of an answer.
VANISH, SILENT = "vanish", "silent"


class Came(NamedTuple):
    """One message that was taken: what was said before its content, and the content."""

    said: tuple[str, ...]
    content: bytes

    @property
    def to(self) -> list[str]:
        """The recipients that were named, in order."""
        return [line[9 : line.index(">")] for line in self.said if line.startswith("RCPT")]


class NextHopServer:
    """``answers`` are by stage: a verb, a verb with an address, ``greeting`` or ``end``.

    What stands there is answered from then on; a list is used up first.
    """

    def __init__(self) -> None:
        self.address = ""
        self.answers: dict[str, str | list[str]] = {}
        self.offers: tuple[str, ...] = OFFERS
        self.came: list[Came] = []
        self.connections = 0
        self.open: set[asyncio.StreamWriter] = set()
        #: Somebody keeps silence: that has been reached.
        self.reached = asyncio.Event()
        #: Called when a content has come to its end, before it is answered.
        self.at_end: Callable[[], None] = lambda: None
        #: Contents are answered while it is set.
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self._more = asyncio.Condition()

    async def has(self, messages: int) -> None:
        """Wait until so many have come."""
        async with self._more:
            await self._more.wait_for(lambda: len(self.came) >= messages)

    def _answer(self, *stages: str) -> str | None:
        for stage in stages:
            answer = self.answers.get(stage)
            if isinstance(answer, list):
                answer = answer.pop(0) if answer else None
            if answer is not None:
                return answer
        return None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._converse(reader, writer)
        self.open.discard(writer)
        writer.close()

    async def _say(self, writer: asyncio.StreamWriter, answer: str) -> bool:
        """Whether it is gone on with."""
        if answer == VANISH:
            return False
        if answer == SILENT:
            self.reached.set()
            await asyncio.Event().wait()
        writer.write(f"{answer}\r\n".encode())
        await writer.drain()
        return not answer.startswith(("421", "221"))

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        goes_on = await self._say(writer, self._answer("greeting") or "220 behind.example ESMTP")
        said: list[str] = []
        while goes_on and (line := (await reader.readline()).decode().removesuffix("\r\n")):
            verb = line.partition(" ")[0].upper()
            stages = [verb]
            if verb == "RCPT":
                stages.insert(0, f"RCPT {line[9 : line.index('>')]}")
            answer = self._answer(*stages)
            if verb == "EHLO":
                lines = ["behind.example", *self.offers]
                usual = "\r\n".join([*(f"250-{each}" for each in lines[:-1]), f"250 {lines[-1]}"])
                goes_on = await self._say(writer, answer or usual)
            elif verb == "DATA" and answer is None:
                goes_on = await self._content(reader, writer, tuple(said))
                said = []
            else:
                said = [] if verb == "RSET" else [*said, line]
                goes_on = await self._say(writer, answer or "250 2.0.0 go on")

    async def _content(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: tuple[str, ...]
    ) -> bool:
        writer.write(b"354 go on\r\n")
        content = await reader.readuntil(b"\r\n.\r\n")
        answer = self._answer("end") or "250 2.0.0 queued as 1A"
        if answer.startswith("250"):
            self.came.append(Came(said, content[:-3].replace(b"\r\n..", b"\r\n.")))
            async with self._more:
                self._more.notify_all()
        self.at_end()
        await self.goes_on.wait()
        return await self._say(writer, answer)


@asynccontextmanager
async def next_hop() -> AsyncIterator[NextHopServer]:
    """Open on a free port."""
    behind = NextHopServer()
    server = await asyncio.start_server(behind.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    behind.address = f"{host}:{port}"
    try:
        yield behind
    finally:
        server.close()
        for writer in behind.open:
            writer.close()
