"""Who works which shards: leases, shared evenly among the processes that work.

A shard's due entries and outbox are worked by whoever holds its lease. One that was thought dead
and comes back may write into the shards that were taken from it no more (its name is shut out
there), so that it changes nothing in the midst of another's work. It goes on under a new name.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Final

import structlog

from letterbox.adapters.redis import keys
from letterbox.adapters.redis.server import Script
from letterbox.adapters.redis.topology import Topology
from letterbox.ports.copying import BeingCopied
from letterbox.ports.store import SHARDS, StoreUnavailable

#: Milliseconds after which a lease ends by itself, and seconds between renewals. What is due in
#: the shards of a process that was killed waits so long, and the time it takes to be noticed.
LASTS: Final = 4_000
_RENEWED: Final = 1.0
#: Seconds that a shard rests before it is handed to another: what was begun there comes to an end.
_RESTS: Final = 3.0

_PRESENT: Final = Script("present")
_LEASE: Final = Script("lease")
_GO: Final = 0

log = structlog.get_logger()


class _Held:
    """A shard whose lease is ours for sure until ``sure`` (of the loop's clock).

    It rests from the moment that ``rests`` says when it is to be let go.
    """

    def __init__(self, sure: float) -> None:
        self.sure = sure
        self.rests: float | None = None


class Leases:
    """Those of this process, as long as it is open. ``works``: whether it takes any.

    ``name`` goes with every commit, once :meth:`told_name` has said it. ``changed`` is called when
    there is more to work on.
    """

    def __init__(self, topology: Topology, *, works: bool, changed: Callable[[], None]) -> None:
        self._topology = topology
        self._works = works
        self._changed = changed
        self.name = _drawn()
        #: The name that the others know of.
        self._told: bytes | None = None
        self._shards: dict[int, _Held] = {}
        self._workers = 1
        self._closed = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Be there, and take what is free of our share. Raises StoreUnavailable."""
        await self._beat()
        self._beating = asyncio.create_task(self._keep(), name="leases")

    @property
    def shards(self) -> Sequence[int]:
        """Those that are worked on here: none of which the lease may have ended unnoticed."""
        return [shard for shard in self._shards if self.works_on(shard)]

    def works_on(self, shard: int) -> bool:
        """Whether a shard is worked on here."""
        held = self._shards.get(shard)
        return held is not None and held.rests is None and _now() < held.sure

    async def told_name(self) -> bytes:
        """Our name, of which the others know: under no other anything may be written.

        Raises StoreUnavailable, and :class:`BeingCopied` where somebody has the store alone.
        """
        while self._told != self.name:
            await self._be_there(LASTS)
        return self.name

    def shut_out(self, name: bytes) -> None:
        """Another has taken shards from ``name``: if that is us, go on as somebody new."""
        if name == self.name:
            log.warning("store.leases-lost", hint="this process stood still, or was cut off")
            self.name = _drawn()
            self._shards.clear()

    async def close(self) -> None:
        """Let all go, so that others need not wait until they end."""
        self._closed.set()
        if self._beating is not None:
            await self._beating
        with suppress(StoreUnavailable):
            await self._lease(list(self._shards), _GO)
            await self._be_there(_GO)

    # ---- every second -------------------------------------------------------------------------

    async def _keep(self) -> None:
        while not await self._is_closed():
            try:
                await self._beat()
            except StoreUnavailable as trouble:  # it comes back
                log.warning("store.leases-not-renewed", error=str(trouble))

    async def _is_closed(self) -> bool:
        """Whether we are to let go, before we have to renew."""
        try:
            async with asyncio.timeout(_RENEWED):
                return await self._closed.wait()
        except TimeoutError:
            return False

    async def _beat(self) -> None:
        # Leases first: whoever counts the workers may be out of reach when the shards are not.
        await self._renew()
        self._workers = await self._be_there(LASTS)
        if self._works:
            share = -(-SHARDS // self._workers)
            await self._let_go_beyond(share)
            await self._take(share - len(self._shards))

    async def _be_there(self, milliseconds: int) -> int:
        named = (keys.PRESENT, keys.WORKERS, keys.ALONE)
        name, works = self.name, int(self._works)
        there = int(await self._topology.run(_PRESENT, named, name, milliseconds, works))
        if there < 0:
            # We were away for so long that somebody could take it.
            self._told = None
            self._shards.clear()
            raise BeingCopied("the store is being copied; wait until that is done")
        self._told = name
        return max(there, 1)

    async def _renew(self) -> None:
        name, had = self.name, list(self._shards)
        _, lost = await self._lease(had, LASTS)
        if lost:
            self.shut_out(name)

    async def _let_go_beyond(self, share: int) -> None:
        """What is more than our share rests first, and goes to another then."""
        now = _now()
        working = self.shards
        for shard in working[: max(len(working) - share, 0)]:
            self._shards[shard].rests = now + _RESTS
        rested = [at for at, held in self._shards.items() if held.rests and held.rests <= now]
        await self._lease(rested, _GO)
        for shard in rested:
            self._shards.pop(shard, None)

    async def _take(self, wanted: int) -> None:
        """Take free ones, so many at most."""
        others = [shard for shard in range(SHARDS) if shard not in self._shards]
        random.shuffle(others)  # two that look at once do not look in the same order
        while wanted > 0 and others:
            tried, others = others[:wanted], others[wanted:]
            taken, _ = await self._lease(tried, LASTS)
            wanted -= len(taken)
            if taken and self._beating is not None:
                self._changed()

    async def _lease(self, shards: Iterable[int], milliseconds: int) -> tuple[set[int], set[int]]:
        """Take, renew, or with no time let go: those that are ours then, and those that are not.

        A shard that nobody answers for is neither, and is ours as long as it was.
        """
        shards, begun = list(shards), _now()
        named = [_LEASE.call(keys.lease(shard), (self.name, milliseconds)) for shard in shards]
        answers = await self._topology.send(named) if named else []
        ours = {shard for shard, answer in zip(shards, answers, strict=True) if answer == 1}
        others = {shard for shard, answer in zip(shards, answers, strict=True) if answer == 0}
        for shard in ours:
            held = self._shards.setdefault(shard, _Held(0.0))
            held.sure = begun + milliseconds / 1000
        return ours, others


def _drawn() -> bytes:
    """A name. Drawn and not counted: a replica that takes over may not know of the last count."""
    return token_hex(16).encode()


def _now() -> float:
    return asyncio.get_running_loop().time()
