"""Who works which shards: leases, shared evenly among the processes that work.

A shard's due entries and outbox are worked by whoever holds its lease. One that was thought dead
and comes back may write into the shards that were taken from it no more (its name is shut out
there), so that it changes nothing in the midst of another's work. It goes on under a new name, but
for what it was shown under the old one: a task writes under the name under which it was shown work.

The servers of a cluster are asked apart: one that stands still keeps the leases of its own shards
alone from being renewed.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
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
#: So much longer where something goes on outside, which another would begin once more. What is
#: due there waits as long.
_LONGER: Final = 12.0

_PRESENT: Final = Script("present")
_LEASE: Final = Script("lease")
_GO: Final = 0
#: What is done beside the renewals, which are called as their places.
_SHARING: Final = "sharing"
#: Whose work a task was shown, and under which name.
_SHOWN: Final[ContextVar["tuple[Leases, bytes] | None"]] = ContextVar("shown", default=None)

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

    :meth:`name` goes with every commit. ``changed`` is called when there is more to work on.
    """

    def __init__(self, topology: Topology, *, works: bool, changed: Callable[[], None]) -> None:
        self._topology = topology
        self._works = works
        self._changed = changed
        self._name = _drawn()
        #: The name that the others know of.
        self._told: bytes | None = None
        self._shards: dict[int, _Held] = {}
        #: How many are at work outside, by shard.
        self._at_work: Counter[int] = Counter()
        self._closed = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None
        #: What was begun and has no answer yet, by its place.
        self._under_way: dict[Hashable, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Be there, and take what is free of our share. Raises StoreUnavailable."""
        await self._share()
        self._beating = asyncio.create_task(self._keep(), name="leases")

    def show(self) -> Sequence[int]:
        """Shards to show to the task that asks: what it does about them it does as who we are now.

        None of them whose lease may have ended unnoticed.
        """
        _SHOWN.set((self, self._name))
        return sorted(shard for shard in self._shards if self.works_on(shard))

    def works_on(self, shard: int) -> bool:
        """Whether a shard is worked on here."""
        held = self._shards.get(shard)
        return held is not None and held.rests is None and _now() < held.sure

    @contextmanager
    def at_work(self, shard: int) -> Iterator[None]:
        """Keep a shard until it is left: that rests longer before another has it."""
        self._at_work[shard] += 1
        try:
            yield
        finally:
            self._at_work[shard] -= 1

    async def name(self) -> bytes:
        """What a commit goes under: our name, or the one under which its task was shown work.

        The others know of it: under no other anything may be written. Raises StoreUnavailable, and
        :class:`BeingCopied` where somebody has the store alone.
        """
        shown = _SHOWN.get()
        if shown is not None and shown[0] is self and shown[1] != self._name:
            return shown[1]  # whoever shut it out knew of it
        while self._told != self._name:
            await self._be_there(LASTS)
        return self._name

    def shut_out(self, name: bytes) -> None:
        """Another has taken shards from ``name``: if that is us, go on as somebody new."""
        if name == self._name:
            log.warning("store.leases-lost", hint="this process stood still, or was cut off")
            self._name = _drawn()
            self._shards.clear()

    async def close(self) -> None:
        """Let all go, so that others need not wait until they end."""
        self._closed.set()
        if self._beating is not None:
            await self._beating
        if self._under_way:
            # A renewal that came after its lease was let go would take it again.
            await asyncio.wait(self._under_way.values(), timeout=_RENEWED)
        now = _now()
        ours = [shard for shard, held in self._shards.items() if now < held.sure]
        leaving = [self._attempt(partial(self._be_there, _GO))]
        await asyncio.gather(self._ask_apart(ours, _GO), *leaving)

    # ---- every second -------------------------------------------------------------------------

    async def _keep(self) -> None:
        while not await self._is_closed():
            for place, shards in self._places(self._shards).items():
                self._begin(place, partial(self._renew, shards))
            self._begin(_SHARING, self._share)

    async def _is_closed(self) -> bool:
        """Whether we are to let go, before we have to renew."""
        try:
            async with asyncio.timeout(_RENEWED):
                return await self._closed.wait()
        except TimeoutError:
            return False

    def _begin(self, place: Hashable, work: Callable[[], Awaitable[object]]) -> None:
        """Do it beside everything else, unless the last time is under way yet."""
        if place in self._under_way:
            return

        async def do() -> None:
            try:
                await self._attempt(work)
            finally:
                del self._under_way[place]

        self._under_way[place] = asyncio.create_task(do(), name="lease")

    async def _attempt(self, work: Callable[[], Awaitable[object]]) -> None:
        """What fails comes to be done again: the leases must be renewed whatever happens."""
        try:
            await work()
        except StoreUnavailable as trouble:
            log.warning("store.leases-not-renewed", error=str(trouble))
        except Exception:
            log.exception("store.leases-failed")

    async def _share(self) -> None:
        """Say that we are there, and see to it that we have our share."""
        workers = await self._be_there(LASTS)
        if self._works:
            share = -(-SHARDS // workers)
            # What is more than our share rests first, and goes to another then: what is idle before
            # anything else.
            working = [shard for shard in self._shards if self.works_on(shard)]
            working.sort(key=lambda shard: self._at_work[shard] > 0)
            for shard in working[: max(len(working) - share, 0)]:
                self._shards[shard].rests = _now() + _RESTS
            await self._take(share)

    async def _be_there(self, milliseconds: int) -> int:
        named = (keys.PRESENT, keys.WORKERS, keys.ALONE)
        name, works = self._name, int(self._works)
        there = int(await self._topology.run(_PRESENT, named, name, milliseconds, works))
        if there < 0:
            # We were away for so long that somebody could take it.
            self._told = None
            self._shards.clear()
            raise BeingCopied("the store is being copied; wait until that is done")
        self._told = name
        return max(there, 1)

    async def _take(self, share: int) -> None:
        """Take free ones, as many as we have less than our share."""
        others = [shard for shard in range(SHARDS) if shard not in self._shards]
        random.shuffle(others)  # two that look at once do not look in the same order
        while others and (wanted := share - len(self._shards)) > 0:
            tried, others = others[:wanted], others[wanted:]
            await self._ask_apart(tried, LASTS)

    async def _renew(self, shards: Iterable[int]) -> None:
        """Renew those of one place, and let go what has rested: both by one who asks there."""
        held = {shard: self._shards[shard] for shard in shards if shard in self._shards}
        over = {shard for shard, each in held.items() if self._has_rested(shard, each)}
        await self._ask({shard: _GO if shard in over else LASTS for shard in held})

    def _has_rested(self, shard: int, held: _Held) -> bool:
        longer = _LONGER if self._at_work[shard] else 0.0
        return held.rests is not None and held.rests + longer <= _now()

    # ---- asking -------------------------------------------------------------------------------

    def _places(self, shards: Iterable[int]) -> Mapping[Hashable, list[int]]:
        """Shards by the server that has them."""
        places: dict[Hashable, list[int]] = {}
        for shard in shards:
            places.setdefault(self._topology.place(keys.lease(shard)[0]), []).append(shard)
        return places

    async def _ask_apart(self, shards: Iterable[int], milliseconds: int) -> None:
        """Ask for all of them, of each server by itself."""
        apart = self._places(shards).values()
        asked = (partial(self._ask, dict.fromkeys(each, milliseconds)) for each in apart)
        await asyncio.gather(*map(self._attempt, asked))

    async def _ask(self, wanted: Mapping[int, int]) -> None:
        """Take or renew for so many milliseconds, or with none let go.

        A shard that nobody answers for is ours as long as it was. Raises StoreUnavailable then.
        """
        name, had, begun = self._name, set(self._shards), _now()
        calls = [_LEASE.call(keys.lease(shard), (name, long)) for shard, long in wanted.items()]
        answers = dict(zip(wanted, await self._topology.send(calls), strict=True))
        if name != self._name:
            return  # shut out meanwhile
        before = {shard for shard in wanted if self.works_on(shard)}
        for shard, answer in answers.items():
            if answer == 1:
                self._shards.setdefault(shard, _Held(0.0)).sure = begun + wanted[shard] / 1000
            elif answer == 0 and wanted[shard] == _GO:
                self._shards.pop(shard, None)
        if any(answers[shard] == 0 and wanted[shard] != _GO for shard in had & wanted.keys()):
            self.shut_out(name)
        elif self._beating is not None and any(map(self.works_on, wanted.keys() - before)):
            self._changed()  # what came meanwhile in one that was not worked on woke nobody
        for answer in answers.values():
            if isinstance(answer, StoreUnavailable):
                raise answer


def _drawn() -> bytes:
    """A name. Drawn and not counted: a replica that takes over may not know of the last count."""
    return token_hex(16).encode()


def _now() -> float:
    return asyncio.get_running_loop().time()
