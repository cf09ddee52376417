"""Hearing what other processes have done: news that a commit's script publishes with its writes.

Word that comes by pub/sub is lost where the connection is. So a process that cannot hear is
``deaf``: it acknowledges nothing, since what it remembers may be old; and once it hears again,
everybody is told that anything may be another.

That a connection stands is no proof. A server that was taken out of its cluster answers still, and
hears nothing of it. So everyone calls itself every second, by another server each time, and is deaf
where it does not hear that.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from secrets import token_hex
from typing import Any, Final

import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from letterbox.adapters.bell import Bells
from letterbox.adapters.redis import keys
from letterbox.adapters.redis.topology import Topology
from letterbox.ports.store import StoreUnavailable

#: Seconds of silence after which the server is asked whether it is there.
_SILENCE: Final = 1.0
#: Seconds that a commit waits for the connection to come back.
_MOMENT: Final = 1.0
#: Seconds before it is tried anew.
_AGAIN: Final = 0.2
_TROUBLE: Final = (RedisError, OSError, TimeoutError, StoreUnavailable)

log = structlog.get_logger()


class Hearing:
    """One connection that listens. ``works_on`` says whether a shard is worked on here."""

    def __init__(self, topology: Topology, bells: Bells, works_on: Callable[[int], bool]) -> None:
        self._topology = topology
        self._bells = bells
        self._works_on = works_on
        self._patience = topology.patience
        #: Goes before all that is published from here, which was heard here already.
        self.origin = token_hex(8).encode()
        self.deaf = True
        #: Set once it was tried to hear again.
        self._tried = asyncio.Event()
        self._pubsub: PubSub | None = None
        self._followed: Counter[bytes] = Counter()
        self._names: dict[bytes, tuple[str, str]] = {}
        self._confirmed: dict[bytes, asyncio.Event] = {}
        #: Our own calls: through which channel, how many, and whether the last was heard.
        self._echo = keys.echo(self.origin)
        self._calls = 0
        self._echoed = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._calling: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    async def start(self) -> None:
        """Hear. Raises StoreUnavailable where that cannot be."""
        try:
            await self._subscribe()
        except _TROUBLE as error:
            raise StoreUnavailable(f"the store does not answer: {error}") from error
        self._listening = asyncio.create_task(self._listen(), name="hearing")
        self._calling = asyncio.create_task(self._call_ourselves(), name="hearing ourselves")

    async def hears(self) -> bool:
        """Whether nothing can have gone unheard; one that was cut off may hear in a moment."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(_MOMENT, self._patience)):
                while self.deaf and self._listening is not None:
                    await self._tried.wait()
        return not self.deaf

    async def close(self) -> None:
        """Listen no more."""
        self._closed.set()
        if self._calling is not None:
            self._calling.cancel()
            await asyncio.gather(self._calling, return_exceptions=True)
        await self._let_go()  # whoever waits for a message wakes by it
        if self._listening is not None:
            await asyncio.gather(self._listening)

    @asynccontextmanager
    async def log(self, partition: str, name: str) -> AsyncIterator[None]:
        """Hear of what others append to a log, from here on."""
        channel = keys.appended(partition, name)
        self._followed[channel] += 1
        self._names[channel] = partition, name
        try:
            await self._hear(channel)
            yield
        finally:
            self._followed[channel] -= 1
            if not self._followed[channel]:
                del self._followed[channel], self._names[channel]
                self._confirmed.pop(channel, None)
                if self._pubsub is not None:
                    with suppress(*_TROUBLE):
                        await self._pubsub.unsubscribe(channel)

    async def _hear(self, channel: bytes) -> None:
        """Return when what is published there is heard; or when the store is out of reach."""
        if self.deaf or self._pubsub is None:
            return  # it is asked for with all others, and the followers looked for then
        confirmed = self._confirmed.get(channel)
        if confirmed is None:
            confirmed = self._confirmed[channel] = asyncio.Event()
            with suppress(*_TROUBLE):
                await self._pubsub.subscribe(channel)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await confirmed.wait()

    # ---- the connection -----------------------------------------------------------------------

    async def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                await (self._hear_anew() if self.deaf else self._next())
            except _TROUBLE as error:
                if self._closed.is_set():
                    break
                if not self.deaf:
                    log.warning("store.deaf", error=str(error))
                self.deaf = True
            except Exception:
                if self._closed.is_set():
                    break  # what was closed in the midst of it says so in many ways
                # Whatever it was that could not be taken, it may have been news.
                log.exception("store.deaf")
                self.deaf = True
        self._tried.set()

    async def _hear_anew(self) -> None:
        await self._let_go()
        await asyncio.sleep(_AGAIN)
        try:
            await self._subscribe()
        finally:
            self._tried.set()
            self._tried = asyncio.Event()

    async def _call_ourselves(self) -> None:
        """See that what is published anywhere is heard here."""
        while not await self._within(self._closed, _SILENCE):
            if self.deaf:
                continue
            self._calls += 1
            self._echoed.clear()
            pubsub = self._pubsub
            try:
                await self._topology.publish(self._echo, b"%d" % self._calls)
            except StoreUnavailable:
                continue  # who does not answer tells nobody of anything
            heard = await self._within(self._echoed, self._patience)
            if not heard and self._pubsub is pubsub and not self.deaf:
                log.warning("store.deaf", error="what is published is not heard here")
                self.deaf = True

    async def _within(self, event: asyncio.Event, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await event.wait()
        except TimeoutError:
            return False

    async def _subscribe(self) -> None:
        """Open a connection, and return when it hears."""
        self._pubsub = await self._topology.pubsub()
        self._confirmed = {channel: asyncio.Event() for channel in self._followed}
        try:
            async with asyncio.timeout(self._patience):
                await self._pubsub.subscribe(keys.NEWS, keys.WORK, self._echo, *self._followed)
                while self.deaf:
                    await self._next()
        except _TROUBLE:
            await self._let_go()
            raise

    async def _next(self) -> None:
        """Take one message, or see that the server is there."""
        if self._pubsub is None:
            raise ConnectionError("nobody listens")
        message = await self._pubsub.get_message(timeout=_SILENCE)
        if message is None:
            await self._pubsub.ping()
            message = await self._pubsub.get_message(timeout=self._patience)
            if message is None:
                raise TimeoutError("the server has gone silent")
        self._take(message)

    async def _let_go(self) -> None:
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            with suppress(*_TROUBLE):
                await pubsub.aclose()  # type: ignore[no-untyped-call]
        for confirmed in self._confirmed.values():
            confirmed.set()  # who waits for it need not: it is looked for when we hear again

    # ---- what is heard ------------------------------------------------------------------------

    def _take(self, message: dict[str, Any]) -> None:
        channel, kind = message["channel"], message["type"]
        if kind == "subscribe":
            if channel == keys.NEWS:  # for the first time, or by a new connection
                self.deaf = False
                if self._listening is not None:
                    self._heard_again()
            elif channel in self._confirmed:
                self._confirmed[channel].set()
        elif kind == "message" and channel == self._echo:
            if message["data"] == b"%d" % self._calls:
                self._echoed.set()
        elif kind == "message":
            origin, _, text = message["data"].partition(b" ")
            if origin != self.origin:
                self._hear_of(channel, text)

    def _hear_of(self, channel: bytes, text: bytes) -> None:
        if channel == keys.NEWS:
            self._bells.tell(text.decode() or None)  # nothing: all of it may be another
        elif channel == keys.WORK:
            if self._works_on(int(text)):
                self._bells.ring_work()
        elif channel in self._names:
            self._bells.ring_log(*self._names[channel])

    def _heard_again(self) -> None:
        """What was published meanwhile went unheard: all is looked at anew."""
        self._bells.tell(None)
        self._bells.ring_work()
        for name in self._names.values():
            self._bells.ring_log(*name)
