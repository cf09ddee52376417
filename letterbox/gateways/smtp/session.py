"""One connection: commands and content off the wire, replies onto it."""

import asyncio
import select
import ssl
from typing import Any, cast

import structlog
from aiosmtpd.smtp import SMTP

from letterbox.gateways.smtp import replies
from letterbox.gateways.smtp.auth import LOOKING, look
from letterbox.gateways.smtp.content import (
    BLOCK,
    Chunks,
    Share,
    in_blocks,
    read_content,
    skip,
    skip_line,
)
from letterbox.gateways.smtp.deadline import Deadline, Pace
from letterbox.gateways.smtp.dialog import CHUNK, LAST_IN_GROUP, Dialog, Transaction
from letterbox.gateways.smtp.handover import for_all, hand_over
from letterbox.gateways.smtp.house import House
from letterbox.gateways.smtp.passing import NotPassedOn, read_proxy
from letterbox.gateways.smtp.peers import network_of, plain_address
from letterbox.gateways.smtp.replies import Reply
from letterbox.records.names import new_id

#: A client that is being hung up on may finish speaking: seconds, and octets.
_LINGER_SECONDS = 2.0
_LINGER_OCTETS = 1024 * 1024
#: Replies may wait in the connection up to this before the client must have read some.
_UNREAD = 16 * 1024
#: An over-long command is read to its end up to this multiple of the limit.
_ENDLESS = 32
#: And a chunk up to this multiple of the largest message.
_ENDLESS_CHUNK = 4

log = structlog.get_logger("letterbox.smtp")


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
        self._deadline = Deadline(self.loop, self._time_is_up, house.command_timeout)
        self._address = ""
        self._counted: str | None = None  # the address this session is counted for
        self._chunks: Chunks | None = None
        self._id = ""
        self._began = 0.0
        self._idle = False  # waiting for a command, with nothing begun
        self._leaving = False
        self._received = 0  # octets
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
        peer = house.door.peer(self._address)
        self._begins_behind = peer is not None and peer.client == "proxy"
        self._counted = None if self._begins_behind else self._address
        if peer is not None:
            self._dialog.passes_on(peer.client)
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

    def data_received(self, data: bytes) -> None:
        """Octets of the client's."""
        self._received += len(data)
        super().data_received(data)

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
        self._deadline.cancel()
        self._forget_chunks()
        self._link.close()
        house.sessions.discard(self)
        house.door.leave(self._counted)
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
        self._deadline.suspend()
        self._link.write_eof()
        left = _LINGER_OCTETS
        async with asyncio.timeout(_LINGER_SECONDS):
            while left > 0 and (more := await self._reader.read(BLOCK)):
                left -= len(more)

    # ---- time

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Called by aiosmtpd when the connection is made."""
        self._deadline.allow(duration or self._house.command_timeout)

    def _time_is_up(self) -> None:
        # RFC 5321, sections 3.8 and 4.5.3.2.
        self._interrupt(replies.TIMED_OUT, "timeout")

    def _allow_content(self, seconds: float) -> None:
        """Give content its time, as long as it does not trickle."""
        least = self._house.min_rate * self._house.rate_period
        pace = Pace(lambda: self._received, least, self._house.rate_period)
        self._deadline.allow(seconds, pace)

    def _interrupt(self, last: Reply, ended: str) -> None:
        """Close from outside the session's task, which then finds its stream at an end."""
        self._ended = ended
        if not self._link.is_closing():
            self._link.write(last.octets)
            self._link.close()

    # ---- the conversation

    async def _converse(self) -> Reply:
        """Greet, and answer commands; the reply returned is the last."""
        if self._begins_behind and (refusal := await self._find_client()):
            return refusal
        if self._spoke_first():
            self._ended = "early"
            return replies.TALKS_EARLY
        self._say(replies.greeting(self._house.terms.hostname, lmtp=self._house.terms.lmtp))
        while not self._leaving:
            await self._drained()
            if (seconds := self._time_for_a_command()) <= 0:
                self._ended = "long"
                return replies.LONG_SESSION
            self._deadline.allow(seconds)
            reply = await self._answer()
            if reply.refuses or reply is replies.LOCKED_OUT:
                self._errors += 1
            if reply.closes:
                self._ended = "quit" if reply is replies.FAREWELL else "closed"
                return reply
            if self._errors > self._house.max_errors:
                self._ended = "errors"
                return replies.TOO_MANY_ERRORS
            self._say(reply)
            if reply is replies.START_TLS and self._house.tls is not None:
                await self._secure(self._house.tls())
        self._ended = "leaving"
        return replies.LEAVING

    async def _find_client(self) -> Reply | None:
        """Read whom a balancer has connected; why there can be no session, or None."""
        try:
            address = await read_proxy(self._reader)
        except NotPassedOn:
            log.warning("no-proxy-header", session=self._id, client=self._address)
            self._ended = "no-proxy-header"
            return replies.NO_CLIENT
        if address is None:
            return None
        if (full := self._house.door.count(address)) is not None:
            self._ended = "crowded"
            return full
        self._address = self._counted = address
        peer = self._house.door.peer(address)
        self._dialog.passes_on(peer.client if peer is not None else None)
        return None

    def _time_for_a_command(self) -> float:
        """Seconds; a session and a content in chunks have an end of their own."""
        house = self._house
        spent = house.clock.monotonic() - self._began
        seconds = min(house.command_timeout, house.session_timeout - spent)
        if self._chunks is not None:
            seconds = min(seconds, max(self._chunks.until - self.loop.time(), 0.001))
        return seconds

    async def _answer(self) -> Reply:
        """Read one command, and all that comes with it; its reply."""
        reply = await self._turn()
        if self._chunks is not None and self._dialog.transaction is None:
            self._forget_chunks()
        if reply is replies.SHOW_KEY or reply is LOOKING:
            reply = await self._look_at_key(reply)
        elif reply is replies.GO_AHEAD:
            reply = await self._take_message()
        elif reply is CHUNK:
            reply = await self._take_chunk()
        return reply

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
        most = self._house.max_command * _ENDLESS
        ended = await skip_line(self._reader, overrun, most)
        return replies.COMMAND_TOO_LONG if ended else replies.ENDLESS_COMMAND

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
            self._deadline.allow(self._house.command_timeout)
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
        self._deadline.suspend()  # it takes no long, and is not to be cut short
        place = network_of(self._address)
        found = await look(keys, plain, place=place, session=self._id, pause=self._house.pause)
        if isinstance(found, Reply):
            return found
        self._dialog.shown = found
        return replies.AUTHENTICATED

    # ---- the content

    async def _take_message(self) -> Reply:
        """Read the content and have it decided; what is replied to it."""
        transaction = self._dialog.begun()
        share = self._house.room.share()
        try:
            content = await self._read_content(share)
            return await self._decided(transaction, content)
        finally:
            share.give_back()

    async def _read_content(self, share: Share) -> bytes | Reply:
        reader: Any = self._reader
        if reader.at_eof():
            raise ConnectionResetError  # it asked to send, and has said that it sends no more
        # A dot at once ends the content, too: with this before it, it is found as any other.
        reader.feed_data(b"\r\n")
        self._say(replies.GO_AHEAD)
        self._allow_content(self._house.content_timeout)
        with in_blocks(self._reader, self.line_length_limit):
            return await read_content(reader, self._house.bounds, share)

    async def _take_chunk(self) -> Reply:
        """Read a chunk (RFC 3030, section 2), and after the last have all of them decided."""
        house, chunk = self._house, self._dialog.chunk
        if chunk.octets > _ENDLESS_CHUNK * house.bounds.max_size:
            return replies.ENDLESS_CHUNK
        if self._dialog.chunk_fault is not None:
            self._allow_content(house.content_timeout)
            await skip(self._reader, chunk.octets)
            return self._dialog.chunk_fault
        transaction = self._dialog.begun()
        now = self.loop.time()
        if self._chunks is None:
            share = house.room.share()
            self._chunks = Chunks(house.bounds, share, now + house.content_timeout)
        chunks = self._chunks
        self._allow_content(max(chunks.until - now, 0.001))
        with in_blocks(self._reader, self.line_length_limit):
            fault = await chunks.take(self._reader, chunk.octets)
        if not chunk.last:
            if fault is None:
                return replies.chunk_taken(chunk.octets)
            self._dialog.end()  # what else comes of it is nobody's
            return fault
        try:
            return await self._decided(transaction, fault or chunks.content())
        finally:
            self._forget_chunks()

    def _forget_chunks(self) -> None:
        if self._chunks is not None:
            self._chunks.let_go()
            self._chunks = None

    async def _decided(self, transaction: Transaction, content: bytes | Reply) -> Reply:
        """Hand the message over, if there is one; what is replied to it."""
        house, dialog = self._house, self._dialog
        client = house.door.client(self._address, dialog.helo, dialog.origin)
        dialog.end()
        if isinstance(content, Reply):
            log.info(
                "content-refused",
                session=self._id,
                edge=house.edge,
                client=client.address,
                recipients=len(transaction.recipients),
                reply=content.octets.decode("ascii").rstrip(),
            )
            return for_all(house, transaction, content)
        # The intake bounds its own time; a message in its hands is not to be cut short.
        self._deadline.suspend()
        self._messages += 1
        return await hand_over(
            house, transaction, content, session=self._id, client=client, shown=dialog.shown
        )

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
