"""Handing mail to the operator's own mailbox server over LMTP (RFC 2033)."""

import asyncio
from typing import Literal

import aiosmtplib
import structlog
from aiosmtplib.typing import Default

from letterbox.adapters.mail import transact
from letterbox.ports.courier import Handover, Letter, NotNow

_UNIX = "unix:"

log = structlog.get_logger("letterbox.mail")


class _Lmtp(aiosmtplib.SMTP):
    """The same exchange with another greeting: with one recipient there is one answer to DATA."""

    async def execute_command(
        self,
        *args: bytes,
        timeout: float | Literal[Default.token] | None = Default.token,  # noqa: ASYNC109 - its name
    ) -> aiosmtplib.SMTPResponse:
        if args and args[0] == b"EHLO":
            args = (b"LHLO", *args[1:])
        return await super().execute_command(*args, timeout=timeout)


class LmtpCourier:
    """Brings mail to ``server``: ``host:port``, or ``unix:`` and the path of a socket.

    It is the operator's, and may be in a private network. ``seconds`` bound one letter. A
    recipient without a domain is a name of the server's own.
    """

    def __init__(self, server: str, *, hostname: str, seconds: float) -> None:
        self._server = server
        self._hostname = hostname
        self._seconds = seconds

    async def hand_on(self, letter: Letter) -> Handover:
        """Hand a letter over. Never raises."""
        to = str(letter.to) if letter.to.domain else letter.to.local
        try:
            async with asyncio.timeout(self._seconds):
                return await transact(self._client(), letter, to)
        except TimeoutError:
            return NotNow(f"not done within {self._seconds:g} s")
        except Exception:
            log.exception("courier-failed")
            return NotNow("a fault of ours")

    def _client(self) -> aiosmtplib.SMTP:
        if self._server.startswith(_UNIX):
            path = self._server.removeprefix(_UNIX)
            return _Lmtp(
                socket_path=path,
                local_hostname=self._hostname,
                timeout=self._seconds,
                start_tls=False,
            )
        host, _, port = self._server.rpartition(":")
        return _Lmtp(
            hostname=host.strip("[]"),
            port=int(port),
            local_hostname=self._hostname,
            timeout=self._seconds,
            start_tls=False,
        )
