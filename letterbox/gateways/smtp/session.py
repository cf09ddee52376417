"""One connection: commands and content off the wire, replies onto it."""

import asyncio
import math
import select
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

import msgspec
import structlog
from aiosmtpd.smtp import SMTP

from letterbox.gateways.smtp import replies
from letterbox.gateways.smtp.auth import LOOKING, Keys, look
from letterbox.gateways.smtp.content import BLOCK, Bounds, Room, Share, read_content
from letterbox.gateways.smtp.dialog import LAST_IN_GROUP, Dialog, Terms, Transaction
from letterbox.gateways.smtp.peers import Door, network_of, plain_address
from letterbox.gateways.smtp.replies import Reply
from letterbox.intake import Received, Submission
from letterbox.metrics import Metrics
from letterbox.model.envelope import Edge, Envelope
from letterbox.ports.clock import Clock
from letterbox.records.names import new_id

#: A client that is being hung up on may finish speaking: seconds, and octets.
_LINGER_SECONDS = 2.0
_LINGER_OCTETS = 1024 * 1024
#: Replies may wait in the connection up to this before the client must have read some.
_UNREAD = 16 * 1024
#: RFC 5321, section 3.8: whoever is told so knows that the connection is closed.
_CLOSING = 421
#: An over-long command is read to its end up to this multiple of the limit.
_ENDLESS = 32

log = structlog.get_logger("letterbox.smtp")


class Receiver(Protocol):
    """What a gateway needs of the intake."""

    async def receive(
        self, envelope: Envelope, content: bytes, submission: Submission | None = None
    ) -> Received:
        """Take a message; what is answered is durable."""
        ...


class House(msgspec.Struct, frozen=True, kw_only=True):
    """What the sessions of one gateway share. Times in seconds."""

    intake: Receiver
    terms: Terms
    bounds: Bounds
    room: Room
    door: Door
    clock: Clock
    metrics: Metrics
    sessions: "set[Session]"
    tls_context: ssl.SSLContext | None
    max_command: int
    max_errors: int
    command_timeout: float
    content_timeout: float
    keys: Keys | None = None
    #: Puts a wrong key's answer off.
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    @property
    def edge(self) -> Edge:
        """Which protocol is spoken."""
        if self.terms.submission:
            return "submission"
        return "lmtp" if self.terms.lmtp else "smtp"


class Session(SMTP):
    """A connection, from its greeting to its end.

    aiosmtpd gives the stream and its task. Its loop, verbs and reader are replaced: they take
    commands ended by LF alone, set a timer for each command, and read content line by line.
    """

    def __init__(self, house: House) -> None:
        # The reader's limit while commands are read: a longest line with its LF.
        self.line_length_limit = house.max_command - 1
        super().__init__(None, hostname=house.terms.hostname, loop=asyncio.get_running_loop())
        self._house = house
        self._dialog = Dialog(house.terms)
        self._link: asyncio.Transport  # aiosmtpd's own is typed too widely, and None at the end
        self._timer: asyncio.TimerHandle | None = None
        self._address = ""
        self._id = ""
        self._began = 0.0
        self._idle = False  # waiting for a command, with nothing begun
        self._leaving = False
        self._deadline = math.inf
        self._errors = 0
        self._messages = 0
        self._ended = "lost"

    # ---- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the client in, or say why not."""
        house = self._house
        self._address = plain_address(transport.get_extra_info("peername"))
        self._link = cast("asyncio.Transport", transport)
        if (refusal := house.door.enter(self._address)) is not None:
            # Without a session: whoever floods us costs one reply each.
            self._link.write(refusal.octets)
            self._link.close()
            return
        self._id = new_id(house.clock.now())
        self._began = house.clock.monotonic()
        self._dialog.secure = transport.get_extra_info("sslcontext") is not None
        house.sessions.add(self)
        house.metrics.sessions.labels(house.edge).inc()
        super().connection_made(transport)
        self.task.add_done_callback(self._over)

    def connection_lost(self, error: Exception | None) -> None:
        """The client has gone.

        Past aiosmtpd's own, which would cancel a message in the midst of its commit: the session
        ends by itself when it next reads or writes.
        """
        asyncio.StreamReaderProtocol.connection_lost(self, error)

    def eof_received(self) -> bool:
        """The client sends no more, and may yet read: it is owed the replies to what it sent."""
        asyncio.StreamReaderProtocol.eof_received(self)
        return not self._dialog.secure  # a TLS transport cannot stay half open

    @property
    def task(self) -> "asyncio.Task[None]":
        """What speaks with the client."""
        return cast("asyncio.Task[None]", self._handler_coroutine)

    def leave(self) -> None:
        """Say goodbye at once if idle, else after the message in hand."""
        self._leaving = True
        if self._idle:
            self._interrupt(replies.LEAVING, "leaving")

    def abort(self) -> None:
        """End now, whatever is in hand."""
        self.task.cancel()
        self._link.abort()

    async def _handle_client(self) -> None:
        try:
            reply = await self._converse()
            self._say(reply)
            await self._hang_up()
        except (asyncio.IncompleteReadError, OSError):
            pass  # it has gone, or its time was up
        except Exception:
            log.exception("session-failed", session=self._id)
            self._ended = "our-fault"
            if not self._link.is_closing():
                self._link.write(replies.OUR_FAULT.octets)

    def _over(self, _task: "asyncio.Task[None]") -> None:
        house = self._house
        if self._timer is not None:
            self._timer.cancel()
        self._link.close()
        house.sessions.discard(self)
        house.door.leave(self._address)
        house.metrics.sessions.labels(house.edge).dec()
        log.debug(
            "session",
            session=self._id,
            edge=house.edge,
            client=self._address,
            helo=self._dialog.helo,
            ended=self._ended,
            secure=self._dialog.secure,
            transactions=self._dialog.transactions,
            messages=self._messages,
            errors=self._errors,
            seconds=round(house.clock.monotonic() - self._began, 3),
        )

    async def _hang_up(self) -> None:
        """Close so that the last reply arrives.

        Closing with octets unread would reset the connection, and may take the reply with it.
        """
        if self._ended == "quit" or not self._link.can_write_eof():
            return
        self._deadline = math.inf
        self._link.write_eof()
        left = _LINGER_OCTETS
        async with asyncio.timeout(_LINGER_SECONDS):
            while left > 0 and (more := await self._reader.read(BLOCK)):
                left -= len(more)

    # ---- time

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Called by aiosmtpd when the connection is made."""
        self._allow(duration or self._house.command_timeout)

    def _allow(self, seconds: float) -> None:
        """Give what comes next its time. One timer is kept, and moved only to an earlier time."""
        self._deadline = self.loop.time() + seconds
        if self._timer is None or self._deadline < self._timer.when():
            self._arm(self._deadline)

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(when, self._look_at_the_time)

    def _look_at_the_time(self) -> None:
        now = self.loop.time()
        if now < self._deadline:
            self._arm(min(self._deadline, now + self._house.command_timeout))
        else:
            # RFC 5321, sections 3.8 and 4.5.3.2.
            self._interrupt(replies.TIMED_OUT, "timeout")

    def _interrupt(self, last: Reply, ended: str) -> None:
        """Close from outside the session's task, which then finds its stream at an end."""
        self._ended = ended
        if not self._link.is_closing():
            self._link.write(last.octets)
            self._link.close()

    # ---- the conversation

    async def _converse(self) -> Reply:
        """Greet, and answer commands; the reply returned is the last."""
        if self._spoke_first():
            self._ended = "early"
            return replies.TALKS_EARLY
        terms = self._house.terms
        kind = "LMTP" if terms.lmtp else "ESMTP"
        self._say(replies.reply(220, "", f"{terms.hostname} {kind} letterbox"))
        while not self._leaving:
            await self._drained()
            self._allow(self._house.command_timeout)
            reply = await self._turn()
            if reply in {replies.SHOW_KEY, LOOKING}:
                reply = await self._look_at_key(reply)
            if reply.refuses or reply is replies.LOCKED_OUT:
                self._errors += 1
            if reply is replies.GO_AHEAD:
                reply = await self._take_message()
            if reply.closes:
                self._ended = "quit" if reply is replies.FAREWELL else "closed"
                return reply
            if self._errors > self._house.max_errors:
                self._ended = "errors"
                return replies.TOO_MANY_ERRORS
            self._say(reply)
            if reply is replies.START_TLS and self._house.tls_context is not None:
                await self._secure(self._house.tls_context)
        self._ended = "leaving"
        return replies.LEAVING

    async def _turn(self) -> Reply:
        """Read one command; its reply."""
        line = await self._read_line()
        if isinstance(line, Reply):
            return line
        # RFC 5321, section 2.3.8: a line ends with CRLF, and CR and LF stand nowhere else.
        if not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\0" in line:
            return replies.DIRTY_COMMAND
        try:
            text = line[:-2].decode()
        except UnicodeDecodeError:
            return replies.NOT_UTF8
        verb, _, arg = text.partition(" ")
        verb = verb.upper()
        # RFC 2920, section 3.1: nothing behind these before their reply, and no groups at all
        # for a client that was not offered them.
        if (verb in LAST_IN_GROUP or not self._dialog.extended) and self._waiting():
            return replies.TALKS_AHEAD
        return self._dialog.answer(verb, arg.strip(" "))

    async def _read_line(self) -> bytes | Reply:
        """One line with its LF, or the reply to one that is too long."""
        self._idle = True
        try:
            line: bytes = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as overrun:
            return await self._skip_line(overrun)
        finally:
            self._idle = False
        return line

    async def _skip_line(self, overrun: asyncio.LimitOverrunError) -> Reply:
        left = self._house.max_command * _ENDLESS
        left -= len(await self._reader.readexactly(overrun.consumed))
        while left > 0:
            try:
                await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as more:
                left -= len(await self._reader.readexactly(more.consumed))
            else:
                return replies.COMMAND_TOO_LONG
        return replies.ENDLESS_COMMAND

    async def _secure(self, context: ssl.SSLContext) -> None:
        """Begin TLS (RFC 3207). Nothing is waiting in the clear: it was looked for just now."""
        await self._writer.start_tls(context, ssl_handshake_timeout=self._house.command_timeout)
        self._link = cast("asyncio.Transport", self._writer.transport)
        self._dialog.secured()

    # ---- who it is (RFC 4954)

    async def _look_at_key(self, reply: Reply) -> Reply:
        """Look at what is shown, asking for it first where it did not come with the command."""
        if reply is replies.SHOW_KEY:
            self._say(reply)
            self._allow(self._house.command_timeout)
            line = await self._read_line()
            if isinstance(line, Reply):
                return line if line.closes else replies.RESPONSE_TOO_LONG
            if not line.endswith(b"\r\n") or not line.isascii():
                return replies.DIRTY_COMMAND
            if self._waiting():
                return replies.TALKS_AHEAD
            reply = self._dialog.respond(line[:-2].decode("ascii"))
        plain, keys = self._dialog.plain, self._house.keys
        self._dialog.plain = None
        if reply is not LOOKING or plain is None or keys is None:
            return reply
        self._deadline = math.inf  # it takes no long, and is not to be cut short
        place = network_of(self._address)
        found = await look(keys, plain, place=place, session=self._id, pause=self._house.pause)
        if isinstance(found, Reply):
            return found
        self._dialog.shown = found
        return replies.AUTHENTICATED

    # ---- the content

    async def _take_message(self) -> Reply:
        """Read the content and have it decided; what is replied to it."""
        transaction = self._dialog.transaction
        assert transaction is not None  # noqa: S101 - or DATA would not have been answered 354
        share = self._house.room.share()
        try:
            content = await self._read_content(share)
            self._dialog.transaction = None
            if not isinstance(content, Reply):
                return await self._decided(transaction, content)
        finally:
            share.give_back()
        log.info(
            "content-refused",
            session=self._id,
            edge=self._house.edge,
            client=self._address,
            recipients=len(transaction.recipients),
            reply=content.octets.decode("ascii").rstrip(),
        )
        octets = content.octets * self._replies_to(transaction)
        return Reply(octets=octets, closes=content.closes)

    async def _read_content(self, share: Share) -> bytes | Reply:
        reader: Any = self._reader
        if reader.at_eof():
            raise ConnectionResetError  # it asked to send, and has said that it sends no more
        # A dot at once ends the content, too: with this before it, it is found as any other.
        reader.feed_data(b"\r\n")
        self._say(replies.GO_AHEAD)
        self._allow(self._house.content_timeout)
        # Under the limit for commands the stream would be stopped every few thousand octets.
        reader._limit = BLOCK  # noqa: SLF001 - a StreamReader's limit cannot be changed otherwise
        try:
            return await read_content(reader, self._house.bounds, share)
        finally:
            reader._limit = self.line_length_limit  # noqa: SLF001

    async def _decided(self, transaction: Transaction, content: bytes) -> Reply:
        """Hand the message over; the replies, in the order of RCPT (RFC 2033, section 4.2)."""
        house = self._house
        # The intake bounds its own time; a message in its hands is not to be cut short.
        self._deadline = math.inf
        self._messages += 1
        envelope = Envelope(
            session=self._id,
            edge=house.edge,
            client=house.door.client(self._address, self._dialog.helo),
            reverse_path=transaction.reverse_path,
            recipients=tuple(transaction.recipients.values()),
        )
        try:
            submission: Submission | None = None
            if house.keys is not None and self._dialog.shown is not None:
                # Looked up for each message: what is revoked is revoked at once.
                vendor = await house.keys.vendor(self._dialog.shown)
                if vendor is None:
                    return replies.KEY_GONE
                submission = Submission(vendor=vendor)
            received = await house.intake.receive(envelope, content, submission)
            told = {outcome.recipient: outcome.told for outcome in received.outcomes}
            answers = [told[recipient] for recipient in transaction.taken]
            if not house.terms.lmtp:
                answers = [replies.for_all(answers)]
        except Exception:
            # Ours, never the mail's: it stays with the sender, who tries again.
            log.exception("gateway-failed", session=self._id)
            return Reply(octets=replies.OUR_FAULT.octets * self._replies_to(transaction))
        return Reply(
            octets="".join(f"{each.line}\r\n" for each in answers).encode("ascii", "replace"),
            closes=any(each.reply == _CLOSING for each in answers),
        )

    def _replies_to(self, transaction: Transaction) -> int:
        return len(transaction.taken) if self._house.terms.lmtp else 1

    # ---- the wire

    def _say(self, reply: Reply) -> None:
        self._write(reply.octets)

    def _write(self, octets: bytes) -> None:
        if self._link.is_closing():
            raise ConnectionResetError
        self._link.write(octets)

    async def _drained(self) -> None:
        """Wait for a client that does not read what it is told."""
        if self._link.get_write_buffer_size() > _UNREAD:
            await self._writer.drain()

    def _waiting(self) -> bool:
        """Whether more has arrived than was read."""
        reader: Any = self._reader
        return bool(reader._buffer)  # noqa: SLF001 - a StreamReader does not tell otherwise

    def _spoke_first(self) -> bool:
        """Whether the client spoke before the greeting (RFC 5321, section 3.1)."""
        socket: Any = self._link.get_extra_info("socket")
        if self._waiting():
            return True
        arrived = select.poll()
        arrived.register(socket.fileno(), select.POLLIN)
        return bool(arrived.poll(0))
