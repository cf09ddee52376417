"""What is said over one connection: commands and content off the wire, replies onto it."""

import ssl

import structlog

from letterbox.gateways.smtp import replies
from letterbox.gateways.smtp.auth import LOOKING, look
from letterbox.gateways.smtp.connection import Connection
from letterbox.gateways.smtp.content import Chunks, Content, skip
from letterbox.gateways.smtp.dialog import CHUNK, LAST_IN_GROUP, PATH, Transaction
from letterbox.gateways.smtp.handover import for_all, hand_over
from letterbox.gateways.smtp.house import House
from letterbox.gateways.smtp.incoming import Skipped, take_line
from letterbox.gateways.smtp.passing import NotPassedOn, read_proxy
from letterbox.gateways.smtp.peers import Entrant, network_of
from letterbox.gateways.smtp.replies import Reply

#: An over-long command is read to its end up to this multiple of the limit.
_ENDLESS = 32
#: So many replies go out together at most, to a client that sends many commands ahead.
_TOGETHER = 100
#: A chunk is read up to this multiple of the largest message.
_ENDLESS_CHUNK = 4
#: Say nothing to anybody: the line that has come is too long; the client is to read first.
_TOO_LONG = Reply(octets=b"", waits=True)
_UNHEARD = Reply(octets=b"", waits=True)

log = structlog.get_logger("letterbox.smtp")


class Session(Connection):
    """A client's session, as RFC 5321 or RFC 2033 has it."""

    def __init__(self, house: House, *, let_in: Entrant | None = None) -> None:
        super().__init__(house, let_in=let_in)
        self._chunks: Chunks | None = None
        self._content: Content | None = None
        self._line = b""  # the last command

    async def _converse(self) -> Reply:
        """Greet, and answer commands; the reply returned is the last."""
        if self._begins_behind and (refusal := await self._find_client()):
            return refusal
        if self._spoke_first():
            self._ended = "early"
            return replies.TALKS_EARLY
        self._say(replies.greeting(self._house.terms.hostname, lmtp=self._house.terms.lmtp))
        while (seconds := self._time_for_a_command()) > 0:
            self._deadline.allow(seconds)
            await self._heard.wait()
            reply = await self._incoming.take(self._talk)
            if reply.closes:
                return reply
            if reply is _UNHEARD:
                continue
            if (last := self._said(await self._carried_out(reply))) is not None:
                return last
            if reply is replies.START_TLS and self._house.tls is not None:
                await self._secure(self._house.tls())
        return self._too_long()

    def _talk(self, waiting: bytearray) -> Reply | None:
        """Answer the commands that have come, and take in the content that is asked for.

        None where more must come; else the last reply, or one that something is waited for with.
        It is called as they come, past the session's task: to wake that for each command took
        longer than to answer it.
        """
        if self._content is not None:
            return replies.GO_AHEAD if self._content.take(waiting) else None
        self._idle = answered = False
        while not (self._leaving or (self._retiring and self._may_retire())):
            if len(self._unsaid) >= _TOGETHER:
                self._speak()
            if not self._heard.is_set():
                return _UNHEARD
            line = take_line(waiting, self._house.max_command) if waiting else None
            if line is None:
                return self._pause(answered=answered)
            answered = True
            reply = self._reply_to(line) if line else _TOO_LONG
            if reply is replies.GO_AHEAD:
                self._ask_for_content(waiting)
                return None
            if reply.waits:
                return reply
            if (last := self._said(reply)) is not None:
                return last
        self._ended = "leaving"
        return replies.LEAVING

    def _pause(self, *, answered: bool) -> Reply | None:
        """Wait for a command, ``answered`` the one before; the last reply if it is too late."""
        if answered:
            if (seconds := self._time_for_a_command()) <= 0:
                return self._too_long()
            self._deadline.allow(seconds)
        self._speak()
        self._idle = True
        return None

    def _too_long(self) -> Reply:
        self._ended = "long"
        return replies.LONG_SESSION

    def _said(self, reply: Reply) -> Reply | None:
        """Say a reply; give it back, or another, where it is the last."""
        if reply.refuses or reply is replies.LOCKED_OUT:
            self._errors += 1
        if reply.closes:
            self._ended = "quit" if reply is replies.FAREWELL else "closed"
            return reply
        if self._errors > self._house.max_errors:
            self._ended = "errors"
            return replies.TOO_MANY_ERRORS
        self._say(reply)
        return None

    async def _find_client(self) -> Reply | None:
        """Read whom a balancer has connected; why there can be no session, or None."""
        try:
            address = await read_proxy(self._incoming)
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

    def _count_client(self) -> Reply | None:
        """Count the session for the client that XCLIENT names; why it is one too many, or None."""
        door, origin = self._house.door, self._dialog.origin
        self._dialog.arrived = False
        door.uncount(self._counted)
        self._counted = None
        address = origin.address if origin is not None else None
        if address is None:
            return None
        if (full := door.count(address)) is not None:
            return full
        self._counted = address
        return None

    def _time_for_a_command(self) -> float:
        """Seconds; a session and a content in chunks have an end of their own."""
        house = self._house
        spent = house.clock.monotonic() - self._began
        seconds = min(house.command_timeout, house.session_timeout - spent)
        if self._chunks is not None:
            seconds = min(seconds, max(self._chunks.until - self._loop.time(), 0.001))
        return seconds

    def _reply_to(self, line: bytes) -> Reply:
        """The reply to a command; or one that something is waited for with."""
        self._line = line
        reply = self._understood(line)
        if reply.refuses and not reply.closes and _announces_chunk(line):
            reply = replies.BAD_CHUNK
        if self._dialog.arrived and (full := self._count_client()):
            return full
        if self._chunks is not None and self._dialog.transaction is None:
            self._forget()
        return reply

    async def _carried_out(self, reply: Reply) -> Reply:
        """The reply in the end to a command that something is waited for with."""
        if self._content is not None:
            return await self._take_message(self._content)
        if reply is CHUNK:
            return await self._take_chunk()
        if reply is PATH:
            await self._look_at_path()
            return self._reply_to(self._line)
        if reply is _TOO_LONG:
            return await self._skip_line()
        if reply is replies.START_TLS:
            return reply
        return await self._look_at_key(reply)

    def _understood(self, line: bytes) -> Reply:
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
        if (verb in LAST_IN_GROUP or not self._dialog.extended) and self._incoming.waiting:
            return replies.TALKS_AHEAD
        return self._dialog.answer(verb, arg.strip(" "))

    async def _skip_line(self) -> Reply:
        self._speak()
        chunk = _announces_chunk(self._incoming.waiting)
        if not await self._incoming.take(Skipped(self._house.max_command * _ENDLESS)):
            return replies.ENDLESS_COMMAND
        return replies.BAD_CHUNK if chunk else replies.COMMAND_TOO_LONG

    async def _secure(self, context: ssl.SSLContext) -> None:
        """Begin TLS (RFC 3207). Nothing is waiting in the clear: it was looked for just now."""
        self._speak()
        await self._heard.wait()
        self._incoming.waiting.clear()  # or what is said in the clear would count under TLS
        link = await self._loop.start_tls(
            self._link,
            self,
            context,
            server_side=True,
            ssl_handshake_timeout=self._house.command_timeout,
        )
        if link is None:
            raise ConnectionResetError  # it has gone meanwhile
        self._linked(link)
        self._dialog.secured()

    async def _look_at_path(self) -> None:
        """Find out whether a report could go to the return path; behind a relay it could not."""
        transaction, door = self._dialog.begun(), self._house.door
        client = door.client(self._address, self._dialog.helo, self._dialog.origin)
        path = transaction.reverse_path
        self._dialog.paths += 1
        self._speak()
        self._deadline.suspend()  # the asking has an end of its own
        transaction.path_passes = (
            path is not None
            and not client.inner
            and await self._house.paths.path_passes(client, path) is True
        )

    # ---- who it is (RFC 4954)

    async def _look_at_key(self, reply: Reply) -> Reply:
        """Look at what is shown, asking for it first where it did not come with the command."""
        if reply is replies.SHOW_KEY:
            self._say(reply)
            self._deadline.allow(self._house.command_timeout)
            self._speak()
            self._idle = True
            try:
                line = await self._incoming.take(self._response)
            finally:
                self._idle = False
            if not line:
                refused = await self._skip_line()
                return refused if refused.closes else replies.RESPONSE_TOO_LONG
            if not line.endswith(b"\r\n") or not line.isascii():
                return replies.DIRTY_COMMAND
            if self._incoming.waiting:
                return replies.TALKS_AHEAD
            reply = self._dialog.respond(line[:-2].decode("ascii"))
        plain, keys = self._dialog.plain, self._house.keys
        self._dialog.plain = None
        if reply is not LOOKING or plain is None or keys is None:
            return reply
        self._speak()
        self._deadline.suspend()  # it takes no long, and is not to be cut short
        place = network_of(self._address)
        found = await look(keys, plain, place=place, session=self._id, pause=self._house.pause)
        if isinstance(found, Reply):
            return found
        self._dialog.shown = found
        return replies.AUTHENTICATED

    def _response(self, waiting: bytearray) -> bytes | None:
        return take_line(waiting, self._house.max_command)

    # ---- the content

    def _ask_for_content(self, waiting: bytearray) -> None:
        if self._incoming.is_over:
            raise ConnectionResetError  # it asked to send, and has said that it sends no more
        # A dot at once ends the content, too: with this before it, it is found as any other.
        waiting += b"\r\n"
        self._content = Content(self._house.bounds, self._house.room.share())
        self._say(replies.GO_AHEAD)
        self._speak()
        self._allow_content(self._house.content_timeout)

    async def _take_message(self, content: Content) -> Reply:
        """Have what has come decided; what is replied to it."""
        assert content.found is not None  # noqa: S101 - its end has come
        try:
            return await self._decided(self._dialog.begun(), content.found)
        finally:
            self._forget()

    async def _take_chunk(self) -> Reply:
        """Read a chunk (RFC 3030, section 2), and after the last have all of them decided."""
        house, chunk = self._house, self._dialog.chunk
        self._speak()
        if chunk.octets > _ENDLESS_CHUNK * house.bounds.max_size:
            return replies.ENDLESS_CHUNK
        if self._dialog.chunk_fault is not None:
            self._allow_content(house.content_timeout)
            await skip(self._incoming, chunk.octets)
            return self._dialog.chunk_fault
        transaction = self._dialog.begun()
        now = self._loop.time()
        if self._chunks is None:
            share = house.room.share()
            self._chunks = Chunks(house.bounds, share, now + house.content_timeout)
        chunks = self._chunks
        self._allow_content(max(chunks.until - now, 0.001))
        fault = await chunks.take(self._incoming, chunk.octets)
        if not chunk.last:
            if fault is None:
                return replies.chunk_taken(chunk.octets)
            self._dialog.end()  # what else comes of it is nobody's
            return fault
        try:
            return await self._decided(transaction, fault or chunks.content())
        finally:
            self._forget()

    def _forget(self) -> None:
        for held in (self._chunks, self._content):
            if held is not None:
                held.let_go()
        self._chunks = self._content = None

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


def _announces_chunk(line: bytes | bytearray) -> bool:
    """Whether octets follow that are no commands: where they cannot be counted, nothing is read."""
    return line[:4].upper() == b"BDAT"
