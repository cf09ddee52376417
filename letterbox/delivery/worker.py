"""The worker: does what is due, carries what is owed, sleeps until there is more."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

import structlog

from letterbox.delivery.forget import SWEEP, Forgetting
from letterbox.delivery.relay import Relay
from letterbox.delivery.release import Holds
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Claim,
    Commit,
    DueEntry,
    Schedule,
    Store,
    StoreUnavailable,
    Unschedule,
)
from letterbox.records import places

_BATCH = 200
_DOMAIN = places.domain("")
_LONGEST_SLEEP = 30.0  # seconds; the wall clock may be set while we sleep
_AFTER_TROUBLE = 1.0
_TRY_AGAIN = timedelta(minutes=5)

log = structlog.get_logger("letterbox.delivery")


class Domains(Protocol):
    """Looks again whether domains are their vendors' (:mod:`letterbox.registration`)."""

    async def recheck(self, domain: str) -> None:
        """Look at one."""
        ...


class Newcomers(Protocol):
    """Forgets vendors that never proved anything (:mod:`letterbox.registration`)."""

    async def expire(self, name: str) -> None:
        """Forget one, unless it has proven something since."""
        ...


class Worker:
    """One loop. Every step is idempotent, and survives being killed anywhere."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        holds: Holds,
        relay: Relay,
        forgetting: Forgetting,
        domains: Domains,
        newcomers: Newcomers,
    ) -> None:
        self._store = store
        self._clock = clock
        self._holds = holds
        self._domains = domains
        self._newcomers = newcomers
        self._relay = relay
        self._forgetting = forgetting
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to work."""
        # Once for all: it schedules itself again, and a process that is started over and over
        # must not put it off each time.
        operations = (
            Claim(name=SWEEP, value=b"", expires=None),
            Schedule(key=SWEEP, at=self._clock.now() + timedelta(hours=1)),
        )
        await self._store.commit(Commit(partition=places.DIRECTORY, operations=operations))
        self._task = asyncio.create_task(self._forever(), name="worker")

    async def stop(self) -> None:
        """Stop, where it is: nothing is lost by it."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _forever(self) -> None:
        while True:
            try:
                if not await self.run_once():
                    await self._store.wait(await self._sleep())
            except StoreUnavailable as trouble:
                log.warning("worker-waits", error=str(trouble))
                await asyncio.sleep(_AFTER_TROUBLE)
            except Exception:
                log.exception("worker-failed")
                await asyncio.sleep(_AFTER_TROUBLE)

    async def run_once(self) -> int:
        """Do everything that is due or owed now; return how many things that were."""
        done = await self._relay.run()
        due = await self._store.due(self._clock.now(), limit=_BATCH)
        asking = [entry for entry in due if entry.partition.startswith(_DOMAIN)]
        for entry in due:
            if not entry.partition.startswith(_DOMAIN):
                await self._do(entry)
        # All at once: each may wait for a name server that never answers.
        await asyncio.gather(*map(self._do, asking))
        return done + len(due)

    async def _do(self, entry: DueEntry) -> None:
        room, _, name = entry.partition.partition("/")
        try:
            if room == "consumer" and entry.key.startswith(places.HELD):
                await self._holds.open(name, entry.key.removeprefix(places.HELD))
            elif room == "message":
                await self._forgetting.collect(name)
            elif room == "domain":
                await self._domains.recheck(name)
            elif room == "vendor" and entry.key == places.UNPROVEN:
                await self._newcomers.expire(name)
                await self._settle(entry)
            elif entry.key == SWEEP:
                await self._forgetting.sweep()
        except StoreUnavailable:
            raise
        except Exception:
            # One entry that cannot be done must not keep the others waiting.
            log.exception("due-failed", partition=entry.partition, key=entry.key)
            again = Schedule(key=entry.key, at=self._clock.now() + _TRY_AGAIN)
            await self._store.commit(Commit(partition=entry.partition, operations=(again,)))

    async def _settle(self, entry: DueEntry) -> None:
        done = Unschedule(key=entry.key, expect=False)
        await self._store.commit(Commit(partition=entry.partition, operations=(done,)))

    async def _sleep(self) -> float:
        due = await self._store.next_due()
        if due is None:
            return _LONGEST_SLEEP
        seconds = (due - self._clock.now()).total_seconds()
        return min(max(seconds, 0.0), _LONGEST_SLEEP)
