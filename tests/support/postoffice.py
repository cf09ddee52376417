"""Another mail server on loopback: it takes what we send, or refuses it as it is told to."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiosmtpd.smtp import SMTP


class Came(NamedTuple):
    """One mail that came: its envelope, and its content as received."""

    sender: str
    to: tuple[str, ...]
    content: bytes
    secure: bool


class PostOffice:
    """What came, in order. ``answers`` are given to the next contents, then 250.

    ``recipients`` says what a recipient is answered, ``paths`` what the next return paths are.
    """

    def __init__(self) -> None:
        self.came: list[Came] = []
        self.answers: list[str] = []
        self.recipients: dict[str, str] = {}
        self.paths: list[str] = []
        self.address = ""
        #: Once it is clear, contents are answered no more until it is set.
        self.open = asyncio.Event()
        self.open.set()

    async def handle_MAIL(self, server, session, envelope, address, options) -> str:  # noqa: N802
        if self.paths:
            return self.paths.pop(0)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 go on"

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:  # noqa: N802
        if address in self.recipients:
            return self.recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 go on"

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802 - aiosmtpd's name
        await self.open.wait()
        if self.answers:
            return self.answers.pop(0)
        content = envelope.original_content
        secure = session.ssl is not None
        self.came.append(Came(envelope.mail_from, tuple(envelope.rcpt_tos), content, secure))
        return "250 2.0.0 taken"


@asynccontextmanager
async def post_office(
    tls_context: ssl.SSLContext | None = None, *, utf8: bool = True
) -> AsyncIterator[PostOffice]:
    """Open on a free port."""
    office = PostOffice()

    def session() -> SMTP:
        return SMTP(office, enable_SMTPUTF8=utf8, tls_context=tls_context, hostname="next.example")

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    office.address = f"{host}:{port}"
    try:
        yield office
    finally:
        office.open.set()
        server.close()
