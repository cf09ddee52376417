"""Killed at any step of relay and webhook: each event at least once, under one id, in order."""

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from msgspec import structs

from letterbox.adapters.memory import MemoryStore
from letterbox.app import App
from letterbox.model.configuration import Configuration, WebhooksSection
from letterbox.model.preferences import Vendor
from letterbox.model.told import Event
from letterbox.ports.courier import WebAnswer
from letterbox.ports.store import Commit, Emit, Rejected
from letterbox.records.coding import encode
from letterbox.records.feed import Owed
from tests.support.clock import FakeClock
from tests.support.plain import shipment
from tests.support.signing import Zone

CONFIGURATION = Configuration(
    public_url="https://letterbox.example",
    webhooks=WebhooksSection(allow_private_addresses=True),
)
NAMES = [f"{number:032x}" for number in range(1, 5)]


class Killed(BaseException):
    """The process is no more."""


class Fate:
    """Kills at the step of that number: before or after each commit, and each call."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.steps = 0
        self.dead = False

    def pass_by(self) -> None:
        self.steps += 1
        if self.dead or self.steps == self.step:
            self.dead = True
            raise Killed


class Disk:
    """A store whose process may die at each commit; what was committed stays.

    It is one that knows no transaction over several partitions: each commit is a step.
    """

    def __init__(self, store: MemoryStore, fate: Fate) -> None:
        self._store = store
        self._fate = fate

    async def commit(self, *commits):
        results = []
        for commit in commits:
            self._fate.pass_by()
            alone = structs.replace(commit, with_all=False, with_previous=False)
            before = [each for each in results if isinstance(each, Rejected)]
            if commit.with_all and before:
                results.append(before[0])
            elif commit.with_previous and isinstance(results[-1], Rejected):
                results.append(results[-1])
            else:
                results += await self._store.commit(alone)
        self._fate.pass_by()
        return results

    def __getattr__(self, name):
        if self._fate.dead:
            raise Killed
        return getattr(self._store, name)


class World:
    """The receiver, which outlives every process. It refuses one event for a while."""

    def __init__(self, troubled: int) -> None:
        self.ids: list[str] = []
        self.left = 2
        self.troubled = troubled

    def takes(self, headers) -> int:
        self.ids.append(headers["webhook-id"])
        if headers["webhook-id"] == NAMES[1] and self.left:
            self.left -= 1
            return self.troubled
        return 204


class Line:
    """A way to it that may break before a call arrives, or before its answer does."""

    def __init__(self, world: World, fate: Fate) -> None:
        self._world = world
        self._fate = fate

    async def post(self, url, headers, body) -> WebAnswer:
        self._fate.pass_by()
        status = self._world.takes(headers)
        self._fate.pass_by()
        return WebAnswer(status)


class Life:
    """A clock and a disk, over which one process after another works."""

    def __init__(self, troubled: int) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.world = World(troubled)

    def process(self, fate: Fate) -> App:
        disk = Disk(self.store, fate)
        return App(
            CONFIGURATION,
            store=disk,
            bodies=disk,
            clock=self.clock,
            resolver=Zone({}),
            web=Line(self.world, fate),
            shipment=shipment(),
        )

    async def work(self, app: App, **by: float) -> None:
        """All that becomes due, as time goes by."""
        until = self.clock.now() + timedelta(**by)
        while True:
            while await app.worker.run_once():
                pass
            due = [e for e in await self.store.due(until) if e.key.startswith("webhook/")]
            if not due:
                return
            self.clock.advance(seconds=max((due[0].at - self.clock.now()).total_seconds(), 0))


@asynccontextmanager
async def living(troubled: int):
    life = Life(troubled)
    app = life.process(Fate(0))
    await app.vendors.replace(Vendor(id="greenleaf", name="Greenleaf", domains=()))
    made = await app.endpoints.add("greenleaf", "http://127.0.0.1:1/")
    for number, name in enumerate(NAMES):
        event = Event(id=name, type="message.refused", at=life.clock.now())
        emit = Emit(encode(Owed(vendor="greenleaf", event=event)))
        # Of several consumers, and of one: both orders are kept.
        await life.store.commit(Commit(f"consumer/{number // 2}", (emit,)))
    owed = [e.value for e in await life.store.outbox()]
    try:
        yield life, made.webhook.id, len(owed)
    finally:
        await life.store.close()


@pytest.mark.parametrize("troubled", [204, 500, 410], ids=["well", "failing", "gone"])
async def test_killed_at_each_step(troubled: int):
    step, whole = 0, False
    while not whole:
        step += 1
        async with living(troubled) as (life, name, owed):
            assert owed == len(NAMES)
            fate = Fate(step)
            app = life.process(fate)
            try:
                await life.work(app, hours=1)
            except Killed:
                pass
            else:
                whole = True
            app = life.process(Fate(0))
            await life.work(app, hours=1)
            for _ in range(2):
                if troubled == 410:
                    await app.endpoints.enable("greenleaf", name)
                    await life.work(app, hours=1)
            feed = await app.feed.page("greenleaf", after=0, limit=100)
            in_feed = [event.id for event in feed.items]
            assert sorted(in_feed) == NAMES, step
            assert list(dict.fromkeys(life.world.ids)) == in_feed, step
            more = len(life.world.ids) - len(NAMES)
            assert more <= 1 + (0 if troubled == 204 else 2), step
            assert [e.key for e in await life.store.due(life.clock.now()) if name in e.key] == []
    assert step > 10
