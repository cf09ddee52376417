"""The mail server behind: what was delivered is handed to it, over connections that are kept."""

import asyncio
import re
import ssl
from collections.abc import Sequence
from typing import Final

import aiosmtplib
import structlog

from letterbox.adapters.mail import leave, send_content
from letterbox.feedback.letters import ascii_value
from letterbox.model.address import Address
from letterbox.model.envelope import Request
from letterbox.model.record import MessageRecord
from letterbox.ports.courier import Handed, Handover, Never, NotNow, Passed

#: A connection that nothing was sent over for so many seconds is closed: it holds a process there.
_IDLE: Final = 30.0
_REFUSED: Final = 500
_CLOSING: Final = 421
_OK: Final = 250
_LONGEST_DETAIL: Final = 200
# RFC 3461, section 4: xtext.
_PLAIN = re.compile(r"[!-*,-<>-~]")
_HELO = re.compile(r"[!-~]{1,255}")

log = structlog.get_logger("letterbox.next_hop")


class SmtpNextHop:
    """Speaks SMTP (RFC 5321) to ``address`` (``host:port``), with TLS where it is offered.

    At most ``connections`` at once. ``connect_seconds`` bound a connection and its greeting,
    ``command_seconds`` one command, ``seconds`` a whole message. ``hostname`` is ours.
    """

    def __init__(
        self,
        address: str,
        *,
        hostname: str,
        connections: int,
        connect_seconds: float,
        command_seconds: float,
        seconds: float,
    ) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._hostname = hostname
        self._connect_seconds = connect_seconds
        self._command_seconds = command_seconds
        self._seconds = seconds
        self._turns = asyncio.Semaphore(connections)
        #: Those with nothing to do, the last used at the end, and what closes each in time.
        self._idle: dict[aiosmtplib.SMTP, asyncio.TimerHandle] = {}
        # The operator has named it, and it stands beside us: its certificate is looked at no more
        # than that of any server that is found by its name (RFC 7435).
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    async def pass_on(
        self, record: MessageRecord, recipients: Sequence[Address], content: bytes
    ) -> Passed:
        """As :class:`letterbox.ports.courier.NextHop` has it."""
        try:
            async with asyncio.timeout(self._seconds), self._turns:
                return await self._in_turn(record, recipients, content)
        except TimeoutError:
            said: Handover = NotNow(f"not done within {self._seconds:g} s")
        except Exception:
            log.exception("next-hop-failed", message=record.id)
            said = NotNow("a fault of ours")
        return _alike(recipients, said)

    def close(self) -> None:
        """Close what is kept."""
        for client in tuple(self._idle):
            self._let_go(client)

    async def _in_turn(
        self, record: MessageRecord, recipients: Sequence[Address], content: bytes
    ) -> Passed:
        while (kept := self._kept()) is not None:
            try:
                return await self._over(kept, record, recipients, content)
            except _Gone:
                pass  # it went while nobody looked, and has been told of nobody yet
        try:
            client = await self._connect()
        except aiosmtplib.SMTPResponseException as refused:
            # Whatever it says at its door: it has seen nothing of the message that it could refuse.
            return _alike(recipients, NotNow(_said(refused.code, refused.message)))
        except (aiosmtplib.SMTPException, OSError) as trouble:
            return _alike(recipients, NotNow(_detail(trouble)))
        try:
            return await self._over(client, record, recipients, content)
        except _Gone as gone:
            return _alike(recipients, NotNow(_detail(gone)))

    # ---- connections

    async def _connect(self) -> aiosmtplib.SMTP:
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            local_hostname=self._hostname,
            timeout=self._connect_seconds,
            tls_context=self._tls,
            start_tls=None,  # where it is offered
        )
        try:
            await client.connect()
            await client.ehlo()
        except BaseException:
            leave(client)
            raise
        client.timeout = self._command_seconds
        return client

    def _kept(self) -> aiosmtplib.SMTP | None:
        while self._idle:
            client, closing = self._idle.popitem()
            closing.cancel()
            if client.is_connected:
                return client
            leave(client)
        return None

    def _keep(self, client: aiosmtplib.SMTP) -> None:
        loop = asyncio.get_running_loop()
        self._idle[client] = loop.call_later(_IDLE, self._let_go, client)

    def _let_go(self, client: aiosmtplib.SMTP) -> None:
        self._idle.pop(client).cancel()
        leave(client)

    async def _over(
        self,
        client: aiosmtplib.SMTP,
        record: MessageRecord,
        recipients: Sequence[Address],
        content: bytes,
    ) -> Passed:
        """One transaction. Raises :class:`_Gone` where the connection went before any answer."""
        transaction = _Transaction(client, record, recipients, content, self._seconds)
        fit = False
        try:
            outcomes = await transaction.run()
            fit = transaction.fit
        finally:
            if fit and client.is_connected and not _has_more(client):
                self._keep(client)
            else:
                leave(client)
        return Passed(outcomes, reports=client.supports_extension("dsn"))


class _Gone(Exception):
    """The connection has ended, and nothing of this message had been answered."""


class _Transaction:
    """One message over one connection."""

    def __init__(
        self,
        client: aiosmtplib.SMTP,
        record: MessageRecord,
        recipients: Sequence[Address],
        content: bytes,
        seconds: float,
    ) -> None:
        self._client = client
        self._record = record
        self._recipients = recipients
        self._content = content
        self._seconds = seconds
        path = record.reverse_path or ""
        beyond_ascii = not (path + "".join(map(str, recipients))).isascii()
        self._utf8 = record.utf8 or beyond_ascii
        #: Whether the connection may serve for another message.
        self.fit = False

    async def run(self) -> tuple[Handover, ...]:
        """What becomes of each recipient."""
        alike = len(self._recipients)
        if (lacking := self._lacking()) is not None:
            self.fit = True
            return (Never(f"it does not offer {lacking}"),) * alike
        try:
            await self._forward_client()
            await self._mail()
        except aiosmtplib.SMTPResponseException as refused:
            return (await self._refused(refused),) * alike
        except aiosmtplib.SMTPTimeoutError as silence:
            return (NotNow(_detail(silence)),) * alike
        except (aiosmtplib.SMTPException, OSError) as trouble:
            raise _Gone(str(trouble)) from trouble
        try:
            return await self._recipients_and_content()
        except (aiosmtplib.SMTPException, OSError) as trouble:
            # It may have been taken: nobody can know.
            return (NotNow(_detail(trouble)),) * alike

    def _lacking(self) -> str | None:
        """What cannot be handed on as it is, and is not made anything else of."""
        offers = self._client.supports_extension
        if self._utf8 and not offers("smtputf8"):
            return "SMTPUTF8"  # RFC 6531, section 3.2
        if not self._content.isascii() and not offers("8bitmime"):
            return "8BITMIME"  # RFC 6152, section 3
        return None

    async def _forward_client(self) -> None:
        """Say whose mail it is (Postfix's XFORWARD), as far as that is known and asked for."""
        known = {
            "ADDR": f"IPV6:{self._record.client}"
            if ":" in self._record.client
            else self._record.client,
            "HELO": self._record.helo if _HELO.fullmatch(self._record.helo) else "",
            "PROTO": "ESMTP",
        }
        asked = self._client.esmtp_extensions.get("xforward", "").upper().split()
        said = [f"{name}={_xtext(known[name])}" for name in asked if known.get(name)]
        if not said:
            return
        try:
            await self._command("XFORWARD", *said)
        except aiosmtplib.SMTPResponseException as refused:
            if refused.code == _CLOSING:
                raise
            # It says nothing about the message, which is worth more than whose it is.
            log.warning("xforward-refused", reply=_said(refused.code, refused.message))

    async def _mail(self) -> None:
        offers, record = self._client.supports_extension, self._record
        options = []
        if offers("size"):
            options.append(f"SIZE={len(self._content)}")  # RFC 1870, section 6
        if offers("8bitmime") and not self._content.isascii():
            options.append("BODY=8BITMIME")
        if self._utf8:
            options.append("SMTPUTF8")
        if offers("dsn"):  # RFC 3461, section 5.2.1
            if record.returns:
                options.append(f"RET={record.returns}")
            if record.envelope_id:
                options.append(f"ENVID={_xtext(record.envelope_id)}")
        await self._command("MAIL", f"FROM:<{record.reverse_path or ''}>", *options)

    async def _recipients_and_content(self) -> tuple[Handover, ...]:
        outcomes: dict[Address, Handover] = {}
        for address in self._recipients:
            try:
                await self._command("RCPT", f"TO:<{address}>", *self._asked(address))
            except aiosmtplib.SMTPResponseException as refused:
                outcomes[address] = _refusal(refused)
                if refused.code == _CLOSING:
                    return tuple(_refusal(refused) for _ in self._recipients)
        if len(outcomes) < len(self._recipients):
            try:
                reply = await send_content(self._client, self._content, self._seconds)
            except aiosmtplib.SMTPDataError as refused:
                said = await self._refused(refused)
            else:
                self.fit = True
                said = Handed(_said(reply.code, reply.message))
            outcomes = dict.fromkeys(self._recipients, said) | outcomes
        else:
            await self._reset()
        return tuple(outcomes[address] for address in self._recipients)

    def _asked(self, address: Address) -> list[str]:
        """What the sender has asked of reports about one recipient."""
        request = self._record.requests.get(str(address), Request())
        options = []
        if self._client.supports_extension("dsn"):
            if request.notify is not None:
                options.append("NOTIFY=" + (",".join(request.notify).upper() or "NEVER"))
            if request.original:
                kind, _, original = request.original.partition(";")
                # RFC 6533, section 3: what is beyond ASCII stands as it is.
                shown = original if kind == "utf-8" else _xtext(original)
                if shown.isascii() or self._utf8:
                    options.append(f"ORCPT={kind};{shown}")
        return options

    async def _refused(self, reply: aiosmtplib.SMTPResponseException) -> Handover:
        """What a refusal amounts to; the connection serves on, where it does."""
        if reply.code != _CLOSING:
            await self._reset()
        return _refusal(reply)

    async def _reset(self) -> None:
        try:
            await self._command("RSET")
        except (aiosmtplib.SMTPException, OSError):
            return  # what was said stands; this connection serves for nothing more
        self.fit = True

    async def _command(self, *words: str) -> None:
        octets = [word.encode("utf-8") for word in words]
        reply = await self._client.execute_command(*octets)
        if not _OK <= reply.code < _OK + 2:
            raise aiosmtplib.SMTPResponseException(reply.code, reply.message)


def _has_more(client: aiosmtplib.SMTP) -> bool:
    """Whether more was said than was asked for: it would be taken for the next answer."""
    return bool(client.protocol and client.protocol._buffer)  # noqa: SLF001 - it shows it to nobody


def _alike(recipients: Sequence[Address], said: Handover) -> Passed:
    return Passed((said,) * len(recipients))


def _refusal(reply: aiosmtplib.SMTPResponseException) -> Handover:
    said = _said(reply.code, reply.message)
    return Never(said) if reply.code >= _REFUSED else NotNow(said)


def _said(code: int, message: str) -> str:
    return _detail(f"{code} {message}")


def _detail(said: object) -> str:
    """What another server said, fit for a log and for a reply of ours."""
    return ascii_value(str(said), _LONGEST_DETAIL)


def _xtext(text: str) -> str:
    return "".join(c if _PLAIN.fullmatch(c) else f"+{ord(c):02X}" for c in text)
