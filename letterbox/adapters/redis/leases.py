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
from letterbox.adapters.redis.server import Script, Server
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


class Leases:
    """Those of this process, as long as it is open. ``works``: whether it takes any.

    ``name`` goes with every commit. ``changed`` is called when there is more to work on.
    """

    def __init__(self, server: Server, *, works: bool, changed: Callable[[], None]) -> None:
        self._server = server
        self._works = works
        self._changed = changed
        self.name = _drawn()
        #: Shards by when they are to be let go; None for those that are worked on.
        self._shards: dict[int, float | None] = {}
        self._sure_until = 0.0
        self._closed = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Be there, and take what is free of our share. Raises StoreUnavailable."""
        await self._beat()
        self._beating = asyncio.create_task(self._keep(), name="leases")

    @property
    def shards(self) -> Sequence[int]:
        """Those that are worked on here: none of which the lease may have ended unnoticed."""
        if _now() >= self._sure_until:
            return ()
        return [shard for shard, until in self._shards.items() if until is None]

    def works_on(self, shard: int) -> bool:
        """Whether a shard is worked on here."""
        return self._shards.get(shard, _now()) is None and _now() < self._sure_until

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
        begun = _now()
        workers = await self._be_there(LASTS)
        if not self._works:
            return
        await self._renew()
        self._sure_until = begun + LASTS / 1000
        share = -(-SHARDS // workers)
        await self._let_go_beyond(share)
        await self._take(share - len(self._shards))

    async def _be_there(self, milliseconds: int) -> int:
        named = (keys.PRESENT, keys.WORKERS)
        works = int(self._works)
        return int(await self._server.run(_PRESENT, named, self.name, milliseconds, works))

    async def _renew(self) -> None:
        name, had = self.name, list(self._shards)
        if had and not await self._lease(had, LASTS) >= set(had):
            self.shut_out(name)

    async def _let_go_beyond(self, share: int) -> None:
        """What is more than our share rests first, and goes to another then."""
        now = _now()
        working = self.shards
        for shard in working[: max(len(working) - share, 0)]:
            self._shards[shard] = now + _RESTS
        rested = [shard for shard, until in self._shards.items() if until and until <= now]
        await self._lease(rested, _GO)
        for shard in rested:
            del self._shards[shard]

    async def _take(self, wanted: int) -> None:
        """Take free ones, so many at most."""
        others = [shard for shard in range(SHARDS) if shard not in self._shards]
        random.shuffle(others)  # two that look at once do not look in the same order
        while wanted > 0 and others:
            tried, others = others[:wanted], others[wanted:]
            taken = await self._lease(tried, LASTS)
            self._shards |= dict.fromkeys(taken)
            wanted -= len(taken)
            if taken and self._beating is not None:
                self._changed()

    async def _lease(self, shards: Iterable[int], milliseconds: int) -> set[int]:
        """Take, renew, or with no time let go; those that are ours then."""
        shards = list(shards)
        calls = [(keys.lease(shard), (self.name, milliseconds)) for shard in shards]
        answers = await self._server.run_all(_LEASE, calls) if calls else []
        for answer in answers:
            if isinstance(answer, StoreUnavailable):
                raise answer
        return {shard for shard, answer in zip(shards, answers, strict=True) if answer}


def _drawn() -> bytes:
    """A name. Drawn and not counted: a replica that takes over may not know of the last count."""
    return token_hex(16).encode()


def _now() -> float:
    return asyncio.get_running_loop().time()
