"""The worker: does what is due, carries what is owed, sleeps until there is more."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import NamedTuple

import structlog

from letterbox.delivery.relay import Relay
from letterbox.metrics import Metrics
from letterbox.ports.clock import Clock
from letterbox.ports.store import Claim, Commit, DueEntry, Schedule, Store, StoreUnavailable
from letterbox.records import places

_BATCH = 200
_LONGEST_SLEEP = 30.0  # seconds; the wall clock may be set while we sleep
_AFTER_TROUBLE = 1.0
#: So long, in seconds, is worked on what is due before what is owed has its turn again.
_CARRY_AFTER = 0.1
#: So many partitions are worked on at once.
_HANDS = 32
_TRY_AGAIN = timedelta(minutes=5)
_SOON = timedelta(seconds=10)
#: An entry for which there is no room beside comes again so much later, behind those of others.
_STEP_BACK = timedelta(seconds=5)

log = structlog.get_logger("letterbox.delivery")


class Duty(NamedTuple):
    """What is done about entries of the due-set: those of a room whose key begins so.

    ``do`` is called with the partition's name within the room, and the rest of the key. It sees to
    it that the entry goes, or comes again later; whatever it raises puts the entry off.
    ``beside``: it waits for others (a name server, a receiver), so that so many of its entries
    are worked on at once, beside everything else. 0: it is our own work, which the next round
    waits for; entries of one partition are done one after the other.
    """

    room: str
    key: str
    do: Callable[[str, str], Awaitable[object]]
    beside: int = 0


class Worker:
    """One loop. Every step is idempotent, and survives being killed anywhere."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        relay: Relay,
        duties: Iterable[Duty],
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._relay = relay
        self._duties = tuple(duties)
        self._task: asyncio.Task[None] | None = None
        #: What is being worked on beside the loop.
        self._errands: dict[tuple[str, str], tuple[Duty, asyncio.Task[None]]] = {}

    async def start(self) -> None:
        """Begin to work."""
        # Once for all: it schedules itself again, and a process that is started over and over
        # must not put it off each time.
        operations = (
            Claim(name=places.SWEEP, value=b"", expires=None),
            Schedule(key=places.SWEEP, at=self._clock.now() + timedelta(hours=1)),
        )
        await self._store.commit(Commit(partition=places.DIRECTORY, operations=operations))
        self._task = asyncio.create_task(self._forever(), name="worker")

    async def stop(self) -> None:
        """Stop, where it is: nothing is lost by it."""
        tasks = [task for _, task in self._errands.values()]
        running = [task for task in (self._task, *tasks) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def run_once(self) -> int:
        """Do everything that is due or owed now; return how many things that were."""
        done = await self._round()
        await asyncio.gather(*(task for _, task in self._errands.values()))
        return done

    async def _forever(self) -> None:
        while True:
            try:
                if not await self._round():
                    await self._rest()
            except StoreUnavailable as trouble:
                log.warning("worker-waits", error=str(trouble))
                await asyncio.sleep(_AFTER_TROUBLE)
            except Exception:
                log.exception("worker-failed")
                await asyncio.sleep(_AFTER_TROUBLE)

    async def _round(self) -> int:
        """Carry what is owed, do what is due or begin it; return how many things that were."""
        self._metrics.rounds.inc()
        done = await self._relay.run()
        own: dict[str, list[tuple[Duty, DueEntry]]] = {}
        for entry in await self._due():
            duty = self._duty(entry)
            if duty is None:
                log.error("nobodys-duty", partition=entry.partition, key=entry.key)
                await self._again(entry, _TRY_AGAIN)
            elif not duty.beside:
                own.setdefault(entry.partition, []).append((duty, entry))
            elif self._busy(duty) < duty.beside:
                self._begin(duty, entry)
            else:
                # Whoever keeps us waiting must not stand before those who do not; nor is it always
                # the same ones who come first when they come again.
                await self._again(entry, _STEP_BACK * (0.5 + random.random()))  # noqa: S311
            done += 1
        return done + await self._do_all(own.values())

    async def _do_all(self, groups: Iterable[list[tuple[Duty, DueEntry]]]) -> int:
        """Do our own work: several partitions at once, so that one commit carries many of them.

        What is owed has its turn meanwhile; returns how much of that there was.
        """
        waiting = iter(groups)

        async def hand() -> None:
            for group in waiting:
                for duty, entry in group:
                    await self._do(duty, entry)

        hands = [asyncio.create_task(hand(), name="hand") for _ in range(_HANDS)]
        working, carried = set(hands), 0
        try:
            while working:
                done, working = await asyncio.wait(
                    working, timeout=_CARRY_AFTER, return_when=asyncio.FIRST_EXCEPTION
                )
                for each in done:
                    each.result()
                if working:
                    # Whoever waits at a feed does not wait for all that is due.
                    carried += await self._relay.run()
        finally:
            for each in hands:
                each.cancel()
            await asyncio.gather(*hands, return_exceptions=True)
        return carried

    async def _due(self) -> list[DueEntry]:
        """What is due, without what is being worked on."""
        limit = _BATCH + len(self._errands)
        due = await self._store.due(self._clock.now(), limit=limit)
        return [entry for entry in due if (entry.partition, entry.key) not in self._errands]

    def _duty(self, entry: DueEntry) -> Duty | None:
        room = entry.partition.partition("/")[0]
        return next(
            (d for d in self._duties if d.room == room and entry.key.startswith(d.key)), None
        )

    def _busy(self, duty: Duty) -> int:
        return sum(theirs is duty for theirs, _ in self._errands.values())

    def _begin(self, duty: Duty, entry: DueEntry) -> None:
        name = (entry.partition, entry.key)

        async def errand() -> None:
            try:
                with self._store.at_work(entry.partition):
                    await self._do(duty, entry)
            except StoreUnavailable as trouble:
                log.warning("worker-waits", error=str(trouble))
                await asyncio.sleep(_AFTER_TROUBLE)
            finally:
                del self._errands[name]

        self._errands[name] = duty, asyncio.create_task(errand(), name=f"errand {entry.partition}")

    async def _do(self, duty: Duty, entry: DueEntry) -> None:
        name, rest = entry.partition.partition("/")[2], entry.key.removeprefix(duty.key)
        late = (self._clock.now() - entry.at).total_seconds()
        self._metrics.due_lag.labels(duty.key.rstrip("/")).observe(max(late, 0.0))
        try:
            await duty.do(name, rest)
        except StoreUnavailable as trouble:
            # It may be about this entry alone; where it is not, putting it off fails as well.
            log.warning("due-waits", partition=entry.partition, key=entry.key, error=str(trouble))
            await self._again(entry, _SOON)
        except Exception:
            # One entry that cannot be done must not keep the others waiting.
            log.exception("due-failed", partition=entry.partition, key=entry.key)
            await self._again(entry, _TRY_AGAIN)

    async def _again(self, entry: DueEntry, later: timedelta) -> None:
        again = Schedule(key=entry.key, at=self._clock.now() + later, value=entry.value)
        await self._store.commit(Commit(partition=entry.partition, operations=(again,)))

    async def _rest(self) -> None:
        """Sleep until there is something to do, or an errand has come to its end."""
        errands = [task for _, task in self._errands.values()]
        waking = asyncio.ensure_future(self._store.wait(await self._sleep()))
        try:
            await asyncio.wait({waking, *errands}, return_when=asyncio.FIRST_COMPLETED)
            if waking.done():
                waking.result()
        finally:
            waking.cancel()
            # Until it has ended it listens still, and the next one would not be heard.
            await asyncio.gather(waking, return_exceptions=True)

    async def _sleep(self) -> float:
        """How long nothing is due, in seconds."""
        horizon = self._clock.now() + timedelta(seconds=_LONGEST_SLEEP)
        for entry in await self._store.due(horizon, limit=len(self._errands) + 1):
            if (entry.partition, entry.key) not in self._errands:
                return max((entry.at - self._clock.now()).total_seconds(), 0.0)
        return _LONGEST_SLEEP
