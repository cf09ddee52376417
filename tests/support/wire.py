"""A raw SMTP client that says exactly what it is told to, and a gateway for it to talk to."""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from letterbox.adapters.clock import SystemClock
from letterbox.gateways.smtp import SmtpGateway
from letterbox.intake import Outcome, Received, Submission
from letterbox.metrics import Metrics
from letterbox.model.address import Address
from letterbox.model.configuration import SmtpSection
from letterbox.model.envelope import Client, Envelope
from letterbox.model.told import Told

HOST = "letterbox.example"
PATIENCE = 20.0


def on_both_loops(test):
    """Run a test on asyncio's loop and on uvloop: it is about what is theirs to do."""

    @pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
    @functools.wraps(test)
    def twice(run, **fixtures):
        run(test(**fixtures))

    signature = inspect.signature(test)
    run = inspect.Parameter("run", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    twice.__signature__ = signature.replace(parameters=[run, *signature.parameters.values()])
    return twice


class StubIntake:
    """Answers at once, by the local part of the recipient; keeps what it was given."""

    def __init__(self) -> None:
        self.taken: list[tuple[Envelope, bytes]] = []
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.finished = False

    async def receive(
        self, envelope: Envelope, content: bytes, submission: Submission | None = None
    ) -> Received:
        assert submission is None
        self.taken.append((envelope, content))
        locals_ = {recipient.local for recipient in envelope.recipients}
        if "fault" in locals_:
            raise RuntimeError("secret of the house")
        if "slow" in locals_:
            self.entered.set()
            await self.go_on.wait()
            self.finished = True
        outcomes = tuple(
            Outcome(recipient=recipient, told=_told(recipient.local))
            for recipient in envelope.recipients
        )
        asked = [
            envelope.requests.get(each.recipient) for each in outcomes if each.told.reply >= 500
        ]
        reported = any(each is None or each.notify != () for each in asked)
        return Received(message="m", outcomes=outcomes, reported=reported)


class StubPaths:
    """Return paths at ``proven.example`` are proven, those at ``unknown.example`` not yet."""

    async def path_passes(self, client: Client, reverse_path: Address) -> bool | None:
        if reverse_path.domain == "unknown.example":
            return None
        return reverse_path.domain == "proven.example"


def _told(local: str) -> Told:
    if local == "refused":
        return Told(
            verdict="refuse", reference="R", reply=550, enhanced="5.7.1", text="not-accepted: No R"
        )
    if local == "later":
        return Told(verdict="defer", reference="L", reply=451, enhanced="4.3.0", text="later: L")
    if local == "busy":
        return Told(verdict="defer", reference="B", reply=421, enhanced="4.3.2", text="busy: B")
    return Told(
        verdict="deliver", reference="D", reply=250, enhanced="2.0.0", text=f"delivered {local}"
    )


class Wire:
    """One connection. Every wait is bounded."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, octets: bytes, *, singly: bool = False) -> None:
        pieces = [octets[i : i + 1] for i in range(len(octets))] if singly else [octets]
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            if singly:
                await asyncio.sleep(0)  # the server's turn, with this one octet

    async def line(self) -> str:
        """The next line without its CRLF; empty at the end of the connection."""
        line = await asyncio.wait_for(self.reader.readline(), PATIENCE)
        assert not line or line.endswith(b"\r\n"), line
        return line.decode("ascii").removesuffix("\r\n")

    async def reply(self) -> str:
        """The last line of the next reply."""
        while (line := await self.line())[3:4] == "-":
            pass
        return line

    async def lines(self, command: str) -> list[str]:
        """Send one command; all lines of its reply."""
        await self.send(command.encode() + b"\r\n")
        found = [await self.line()]
        while found[-1][3:4] == "-":
            found.append(await self.line())
        return found

    async def say(self, command: str) -> str:
        """Send one command; its reply."""
        await self.send(command.encode() + b"\r\n")
        return await self.reply()

    async def begin(self, *recipients: str, verb: str = "EHLO", client: str = "") -> None:
        """Up to the 354. ``client`` is forwarded as whose mail it is."""
        assert (await self.say(f"{verb} client.example")).startswith("250")
        if client:
            forwarded = f"XFORWARD ADDR={client} HELO=client.example"
            assert (await self.say(forwarded)).startswith("250")
        assert (await self.say("MAIL FROM:<shop@vendor.example>")).startswith("250")
        for recipient in recipients or ("anna",):
            assert (await self.say(f"RCPT TO:<{recipient}@{HOST}>")).startswith("250")
        assert (await self.say("DATA")).startswith("354")

    async def closed(self) -> bool:
        """Whether the server has ended the connection, and said nothing more."""
        try:
            return await asyncio.wait_for(self.reader.read(), PATIENCE) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.writer.close()


@asynccontextmanager
async def connected(address: str, source: str = "127.0.0.1") -> AsyncIterator[Wire]:
    """A client whose greeting has not been read."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(
        host.strip("[]"), int(port), local_addr=None if ":" in host else (source, 0)
    )
    wire = Wire(reader, writer)
    try:
        yield wire
    finally:
        wire.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@asynccontextmanager
async def greeted(address: str, source: str = "127.0.0.1") -> AsyncIterator[Wire]:
    """A client that has been greeted."""
    async with connected(address, source) as wire:
        assert (await wire.reply()).startswith("220 ")
        yield wire


class Serving:
    """A gateway with all that a test looks at."""

    def __init__(self, section: SmtpSection, *, lmtp: bool, tls_context=None, clock=None) -> None:
        self.intake = StubIntake()
        self.metrics = Metrics()
        self.edge = "lmtp" if lmtp else "smtp"
        self.gateway = SmtpGateway(
            self.intake,
            paths=StubPaths(),
            hostname=HOST,
            domains=frozenset({HOST, "second.example"}),
            section=section,
            lmtp=lmtp,
            clock=clock or SystemClock(),
            metrics=self.metrics,
            certificate=(lambda: tls_context) if tls_context else None,
        )
        self.address = ""

    @property
    def sessions(self) -> float:
        return self.metrics.registry.get_sample_value("letterbox_sessions", {"edge": self.edge})


@asynccontextmanager
async def serving(
    *, lmtp: bool = False, listen: str = "127.0.0.1:0", tls_context=None, clock=None, **limits
) -> AsyncIterator[Serving]:
    """A gateway on a free port, with these limits."""
    house = Serving(SmtpSection(**limits), lmtp=lmtp, tls_context=tls_context, clock=clock)
    house.address = await house.gateway.start(listen)
    try:
        yield house
    finally:
        await house.gateway.close()
