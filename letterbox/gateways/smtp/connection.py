"""One connection: counted, timed, and ended in good order, whatever its client does."""

import asyncio
import select
from abc import ABC, abstractmethod
from typing import Any, cast

import structlog

from letterbox.gateways.smtp import replies
from letterbox.gateways.smtp.deadline import Deadline, Pace
from letterbox.gateways.smtp.dialog import Dialog
from letterbox.gateways.smtp.house import House
from letterbox.gateways.smtp.incoming import Incoming
from letterbox.gateways.smtp.peers import Entrant, plain_address
from letterbox.gateways.smtp.replies import Reply
from letterbox.records.names import new_id

#: A client that is being hung up on may finish speaking, and read the last reply: seconds, and
#: octets. Then it is cut off.
_LINGER_SECONDS = 2.0
_LINGER_OCTETS = 1024 * 1024
#: Replies may wait in the connection up to this before the client must have read some.
_UNREAD = 16 * 1024
#: How a session ends that waits for no more of its client: it has said goodbye, or was not let in.
_AT_ONCE = frozenset({"quit", "crowded"})

log = structlog.get_logger("letterbox.smtp")


class Connection(asyncio.Protocol, ABC):
    """A connection, from its first octet to its last; what is said over it is the session's.

    ``let_in``: it is counted at the door already, and known whose it is.
    """

    def __init__(self, house: House, *, let_in: Entrant | None = None) -> None:
        self.task: asyncio.Task[None]  # what speaks with the client
        self._loop = asyncio.get_running_loop()
        self._house = house
        self._let_in = let_in
        self._dialog = Dialog(house.terms)
        self._link: asyncio.Transport
        self._incoming = Incoming(self._loop, house.max_command)
        self._heard = asyncio.Event()  # the client reads what it is told
        self._heard.set()
        self._deadline = Deadline(self._loop, self._time_is_up, house.command_timeout)
        self._address = ""
        self._counted: str | None = None  # the address this session is counted for
        self._begins_behind = False  # a balancer says first whom it has connected
        self._id = ""
        self._began = 0.0
        self._idle = False  # waiting for a command, with nothing begun
        self._leaving = False
        self._retiring = False  # another process takes whoever comes now
        self._received = 0  # octets
        self._unsaid: list[bytes] = []  # replies that wait for others to go out with them
        self._errors = 0
        self._messages = 0
        self._ended = "lost"
        self._lost = False
        self._left = False
        self._aborting: asyncio.TimerHandle | None = None

    # ---- to be said by the session

    @abstractmethod
    async def _converse(self) -> Reply:
        """Speak with the client; the reply returned is the last."""

    @abstractmethod
    def _forget(self) -> None:
        """Let go of what is held for the client."""

    # ---- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the client in, or say why not."""
        house, entrant = self._house, self._let_in
        self._linked(cast("asyncio.Transport", transport))
        if entrant is not None:
            self._address, self._counted = entrant
        else:
            self._address = plain_address(transport.get_extra_info("peername"))
            self._counted = house.door.counted(self._address)
        if entrant is None and (refusal := house.door.enter(self._address)) is not None:
            # Without a session: whoever floods us costs one reply each.
            self._link.write(refusal.octets)
            self._link.close()
            return
        peer = house.door.peer(self._address)
        self._begins_behind = entrant is None and peer is not None and peer.client == "proxy"
        if peer is not None:
            self._dialog.passes_on(peer.client)
        self._id = new_id(house.clock.now())
        self._began = house.clock.monotonic()
        self._dialog.secure = transport.get_extra_info("sslcontext") is not None
        house.sessions.add(self)
        house.metrics.session(house.edge).inc()
        self._deadline.allow(house.command_timeout)
        self.task = self._loop.create_task(self._handle_client())
        self.task.add_done_callback(self._over)

    def _linked(self, link: asyncio.Transport) -> None:
        link.set_write_buffer_limits(high=_UNREAD)
        self._link = self._incoming.link = link

    def connection_lost(self, error: Exception | None) -> None:
        """The client has gone.

        A message in the midst of its commit is not cut short: the session ends by itself when it
        next reads or writes.
        """
        self._incoming.end(error)
        self._heard.set()
        self._lost = True
        if self._id and self.task.done():
            self._leave()

    def data_received(self, data: bytes) -> None:
        """Octets of the client's."""
        self._received += len(data)
        self._incoming.feed(data)

    def eof_received(self) -> bool:
        """The client sends no more, and may yet read: it is owed the replies to what it sent."""
        self._incoming.end()
        return not self._dialog.secure  # a TLS transport cannot stay half open

    def pause_writing(self) -> None:
        """The client leaves its replies unread."""
        self._heard.clear()

    def resume_writing(self) -> None:
        """It has read them."""
        self._heard.set()

    @property
    def has_begun(self) -> bool:
        """Whether it was let in, and leaves by itself."""
        return bool(self._id)

    def retire(self) -> None:
        """Say goodbye after a message, at once where one was sent and no other is begun."""
        self._retiring = True
        if self._idle and self._may_retire():
            self._interrupt(replies.LEAVING, "leaving")

    def _may_retire(self) -> bool:
        return self._retiring and self._messages > 0 and self._dialog.transaction is None

    def leave(self) -> None:
        """Say goodbye at once if idle, else after the message in hand."""
        self._leaving = True
        if self._idle:
            self._interrupt(replies.LEAVING, "leaving")

    def abort(self) -> None:
        """End now, whatever is in hand."""
        self._lost = True
        self.task.cancel()
        self._link.abort()
        if self.task.done():
            self._leave()

    async def _handle_client(self) -> None:
        try:
            reply = await self._converse()
            self._say(reply)
            self._speak()
            await self._hang_up()
        except (asyncio.IncompleteReadError, OSError):
            pass  # it has gone, or its time was up
        except Exception:
            log.exception("session-failed", session=self._id)
            self._ended = "our-fault"
            if not self._link.is_closing():
                self._say(replies.OUR_FAULT)
                self._speak()

    def _over(self, _task: "asyncio.Task[None]") -> None:
        house = self._house
        self._deadline.cancel()
        self._forget()
        self._close()
        if self._lost:
            self._leave()
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

    def _leave(self) -> None:
        """The task is over and the connection gone: until then they count."""
        house = self._house
        if self._aborting is not None:
            self._aborting.cancel()
        if not self._left:
            self._left = True
            house.sessions.discard(self)
            house.door.leave(self._counted)
            house.metrics.session(house.edge).dec()

    def _close(self) -> None:
        """Close once the client has read the last reply; it need not ever do so."""
        self._link.close()
        if not self._lost and self._aborting is None:
            self._aborting = self._loop.call_later(_LINGER_SECONDS, self._cut_off)

    def _cut_off(self) -> None:
        self._lost = True
        self._link.abort()
        if self.task.done():
            self._leave()

    async def _hang_up(self) -> None:
        """Close so that the last reply arrives.

        Closing with octets unread would reset the connection, and may take the reply with it.
        """
        if self._ended in _AT_ONCE or not self._link.can_write_eof():
            return
        self._deadline.suspend()
        self._link.write_eof()
        left = _LINGER_OCTETS
        async with asyncio.timeout(_LINGER_SECONDS):
            while left > 0:
                left -= await self._incoming.take(_passed_over)

    # ---- time

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
            self._say(last)
            self._speak()
            self._close()

    # ---- the wire

    def _say(self, reply: Reply) -> None:
        """Answer; with the answers to what has come already, where a client sends ahead."""
        self._unsaid.append(reply.octets)

    def _speak(self) -> None:
        """Send what was said. Before anything is waited for (RFC 2920, section 3.2)."""
        if not self._unsaid:
            return
        if self._link.is_closing():
            raise ConnectionResetError
        self._link.write(b"".join(self._unsaid))
        self._unsaid.clear()

    def _spoke_first(self) -> bool:
        """Whether the client spoke before the greeting (RFC 5321, section 3.1)."""
        socket: Any = self._link.get_extra_info("socket")
        if self._incoming.waiting:
            return True
        arrived = select.poll()
        arrived.register(socket.fileno(), select.POLLIN)
        return bool(arrived.poll(0))


def _passed_over(waiting: bytearray) -> int | None:
    octets = len(waiting)
    waiting.clear()
    return octets or None
