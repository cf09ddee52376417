"""Having a store for oneself while it is copied.

Whoever would serve it meanwhile is told so when it opens it. Those who had it open are there no
more; but one that stood still, or was cut off, may come back in the midst of a copy. So whoever
went without a word is shut out of every shard first, as one is whose lease was taken.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Final

import structlog

from letterbox.adapters.redis import keys
from letterbox.adapters.redis.server import Request, Script
from letterbox.adapters.redis.topology import Topology
from letterbox.ports.copying import BeingCopied
from letterbox.ports.store import SHARDS, StoreInUse, StoreUnavailable

#: Milliseconds after which it ends by itself, and seconds between renewals.
LASTS: Final = 9_000
_RENEWED: Final = 1.0
#: Seconds between two looks at whether those that have it live, and milliseconds by which they do.
_LOOKS: Final = 0.2
_LIVES: Final = 50
#: Seconds for which somebody is shut out.
_SHUT_OUT: Final = 86_400

_ALONE: Final = Script("alone")
_NAMED: Final = (keys.ALONE, keys.PRESENT)
_GO: Final = 0

log = structlog.get_logger()


class Alone:
    """No letterbox serves the store until ``release``. Made by :meth:`take`."""

    def __init__(self, topology: Topology, name: bytes) -> None:
        self._topology = topology
        self._name = name
        self._released = asyncio.Event()
        self._keeping = asyncio.create_task(self._keep(), name="alone")

    @classmethod
    async def take(cls, topology: Topology) -> "Alone":
        """Take it, once those that were killed are thought gone.

        Raises :class:`StoreInUse` where processes have it open, :class:`BeingCopied` where another
        copy is under way, and their base :class:`StoreUnavailable`.
        """
        name = token_hex(16).encode()
        now, gone = await _take(topology, name)
        alone = cls(topology, name)
        try:
            await _shut_out(topology, gone, now + _SHUT_OUT)
        except BaseException:
            await alone.release()
            raise
        return alone

    async def check(self) -> None:
        """See that it was ours all the time. Raises :class:`StoreUnavailable`."""
        if await self._topology.command("GET", keys.ALONE) != self._name:
            raise StoreUnavailable(
                "somebody else may have had the store while it was copied: stop every letterbox "
                "that has it, and repeat the command"
            )

    async def release(self) -> None:
        """Let others have it."""
        self._released.set()
        await self._keeping
        with suppress(StoreUnavailable):  # it ends by itself
            await self._topology.run(_ALONE, _NAMED, self._name, _GO, 0)

    async def _keep(self) -> None:
        while not await self._is_released():
            try:
                ours, *_ = await self._topology.run(_ALONE, _NAMED, self._name, LASTS, 0)
            except StoreUnavailable as trouble:  # it comes back
                log.warning("store.alone-not-renewed", error=str(trouble))
                continue
            if not ours:  # what ended is not taken up again: who knows what happened meanwhile
                break

    async def _is_released(self) -> bool:
        try:
            async with asyncio.timeout(_RENEWED):
                return await self._released.wait()
        except TimeoutError:
            return False


async def _take(topology: Topology, name: bytes) -> tuple[int, Sequence[bytes]]:
    """When it was taken, in seconds of the server's clock, and who went without a word."""
    begun: int | None = None
    while True:
        ours, *said = await topology.run(_ALONE, _NAMED, name, LASTS, 1)
        if ours:
            return said[0], said[1:]
        until, processes = said
        if begun is None:
            begun = until
        if until > begun + _LIVES:  # they have said again that they are there
            raise _refused(processes)
        await asyncio.sleep(_LOOKS)


def _refused(processes: int) -> StoreUnavailable:
    if not processes:
        return BeingCopied("the store is being copied already; wait until that is done")
    have = "1 process has" if processes == 1 else f"{processes} processes have"
    return StoreInUse(f"{have} the store open; stop letterbox there first")


async def _shut_out(topology: Topology, names: Sequence[bytes], until: int) -> None:
    """Have nobody write under these names in any shard."""
    pairs = [word for name in names for word in (until, name)]
    places = [keys.fenced(shard) for shard in range(SHARDS)] if pairs else []
    await topology.ask_all([Request(key, ("ZADD", key, *pairs)) for key in places])
