"""The worker: due work is done once, and who keeps it waiting delays nobody else."""

import asyncio
import gc
from datetime import timedelta
from typing import cast

import pytest

from letterbox.adapters.memory import MemoryStore
from letterbox.delivery.relay import Relay
from letterbox.delivery.worker import Duty, Worker
from letterbox.metrics import Metrics
from letterbox.model.told import Event
from letterbox.ports.store import Commit, Emit, Schedule, StoreUnavailable, Unschedule
from letterbox.records.coding import encode
from letterbox.records.feed import Feed, Owed
from letterbox.records.webhooks import WebhookRecords
from tests.support.clock import FakeClock


class Bench:
    """A store, and a worker whose duties write down what they did."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.done: list[str] = []
        self.unreadable: set[str] = set()
        self.gate, self.begun = asyncio.Event(), asyncio.Event()
        self.at_once = self.most_at_once = 0
        self.metrics = Metrics()
        self.finished = asyncio.Condition()
        relay = Relay(
            store=self.store,
            clock=self.clock,
            metrics=self.metrics,
            webhooks=WebhookRecords(self.store, trials_per_minute=10),
            broken=timedelta(days=90),
        )
        duties = (Duty("own", "job/", self.own), Duty("out", "job/", self.out, beside=2))
        self.worker = Worker(
            store=self.store,
            clock=self.clock,
            relay=relay,
            duties=duties,
            metrics=self.metrics,
        )

    async def due(self, *names: str) -> None:
        at = self.clock.now()
        await self.store.commit(
            *(Commit(name, (Schedule(key=f"job/{name}", at=at),)) for name in names)
        )

    async def own(self, name: str, rest: str) -> None:
        if name == "broken":
            raise ValueError("it cannot be done")
        if name in self.unreadable:
            raise StoreUnavailable("its body cannot be read")
        await self._finish("own", name, rest)

    async def out(self, name: str, rest: str) -> None:
        self.begun.set()
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await self.gate.wait()
        self.at_once -= 1
        await self._finish("out", name, rest)

    async def _finish(self, room: str, name: str, rest: str) -> None:
        assert rest == f"{room}/{name}"
        await self.store.commit(Commit(f"{room}/{name}", (Unschedule(key=f"job/{rest}"),)))
        async with self.finished:
            self.done.append(name)
            self.finished.notify_all()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10), self.finished:
            await self.finished.wait_for(lambda: len(self.done) >= count)


@pytest.fixture
async def bench():
    bench = Bench()
    await bench.worker.start()
    yield bench
    await bench.worker.stop()
    await bench.store.close()


async def test_who_keeps_us_waiting_delays_nobody_else(bench: Bench) -> None:
    await bench.due("out/1", "out/2", "out/3", "out/4", "own/a")
    await bench.until(1)
    assert bench.done == ["a"]
    await bench.due("own/b")
    await bench.until(2)
    assert bench.done == ["a", "b"]


async def test_no_more_are_waited_for_at_once_than_agreed(bench: Bench) -> None:
    names = {f"out/{number}" for number in range(5)}
    await bench.due(*names)
    bench.gate.set()
    for _ in range(3):
        await asyncio.sleep(0)
        bench.clock.advance(seconds=6)
        await bench.due("own/tick")  # wakes it: what stepped back is due again
        await bench.until(len(bench.done) + 1)
    await bench.until(5)
    assert {f"out/{name}" for name in bench.done if name != "tick"} <= names
    assert bench.most_at_once <= 2


async def test_an_end_of_waiting_wakes_it(bench: Bench) -> None:
    await bench.due("out/1")
    bench.gate.set()
    await bench.until(1)
    assert list(await bench.store.due(bench.clock.now())) == []


async def test_what_cannot_be_done_is_put_off(bench: Bench) -> None:
    await bench.due("own/broken", "own/a")
    await bench.until(1)
    left = await bench.store.due(bench.clock.now() + timedelta(minutes=5))
    assert [entry.partition for entry in left] == ["own/broken"]
    assert left[0].at == bench.clock.now() + timedelta(minutes=5)


async def test_what_is_nobodys_is_kept_and_keeps_nobody(bench: Bench) -> None:
    await bench.due("attic/1", "own/a")
    await bench.until(1)
    left = await bench.store.due(bench.clock.now() + timedelta(minutes=5))
    assert [entry.partition for entry in left] == ["attic/1"]


async def test_it_stops_where_it_is(bench: Bench) -> None:
    await bench.due("out/1")
    async with asyncio.timeout(10):
        await bench.begun.wait()
    await bench.worker.stop()
    assert [entry.partition for entry in await bench.store.due(bench.clock.now())] == ["out/1"]


async def test_what_is_owed_does_not_wait_for_all_that_is_due(bench: Bench) -> None:
    feed, told = Feed(bench.store), []

    async def slow(name: str, rest: str) -> None:
        event = Event(id=name, type="message.refused", at=bench.clock.now())
        emit = Emit(encode(Owed(vendor="greenleaf", event=event)))
        await bench.store.commit(Commit(f"own/{name}", (emit, Unschedule(key=f"job/{rest}"))))
        # It is not done before somebody at the feed has heard of it.
        async with asyncio.timeout(10):
            await bench.store.follow("vendor/greenleaf", "feed", after=int(name) - 1, seconds=10)
        page = await feed.page("greenleaf", after=int(name) - 1, limit=1)
        told.extend(event.id for event in page.items)

    await bench.worker.stop()
    relay = Relay(
        store=bench.store,
        clock=bench.clock,
        metrics=Metrics(),
        webhooks=WebhookRecords(bench.store, trials_per_minute=10),
        broken=timedelta(days=90),
    )
    duties = (Duty("own", "job/", slow),)
    worker = Worker(
        store=bench.store, clock=bench.clock, relay=relay, duties=duties, metrics=bench.metrics
    )
    await bench.due("own/1", "own/2", "own/3")
    await worker.run_once()
    assert sorted(told) == ["1", "2", "3"]


async def test_a_round_that_ends_early_leaves_nothing_behind(bench: Bench) -> None:
    said: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: said.append(what["message"]))

    class Owing:
        """Nothing is owed at first; and then the store is gone."""

        rounds = 0

        async def run(self) -> int:
            self.rounds += 1
            if self.rounds > 1:
                raise StoreUnavailable("it is gone")
            return 0

    async def stuck(name: str, rest: str) -> None:
        await bench.gate.wait()
        bench.done.append(name + rest)

    await bench.worker.stop()
    worker = Worker(
        store=bench.store,
        clock=bench.clock,
        relay=cast("Relay", Owing()),
        duties=(Duty("own", "job/", stuck),),
        metrics=bench.metrics,
    )
    await bench.due("own/1")
    with pytest.raises(StoreUnavailable):
        await worker.run_once()
    bench.gate.set()
    gc.collect()
    await asyncio.sleep(0)
    assert bench.done == said == []


async def test_entries_of_one_partition_are_done_one_after_the_other(bench: Bench) -> None:
    """Those of others meanwhile: what one waits for need not come before it."""
    done: list[str] = []
    other = asyncio.Event()

    async def own(name: str, rest: str) -> None:
        if rest == "1":
            async with asyncio.timeout(10):
                await other.wait()
        done.append(f"{name}{rest}")
        if name == "b":
            other.set()
        await bench.store.commit(Commit(f"own/{name}", (Unschedule(key=f"job/{rest}"),)))

    await bench.worker.stop()
    relay = Relay(
        store=bench.store,
        clock=bench.clock,
        metrics=Metrics(),
        webhooks=WebhookRecords(bench.store, trials_per_minute=10),
        broken=timedelta(days=90),
    )
    duties = (Duty("own", "job/", own),)
    worker = Worker(
        store=bench.store, clock=bench.clock, relay=relay, duties=duties, metrics=bench.metrics
    )
    at = bench.clock.now()
    for name in ("own/a", "own/b"):
        jobs = (Schedule(key="job/1", at=at), Schedule(key="job/2", at=at))
        await bench.store.commit(Commit(name, jobs if name == "own/a" else jobs[1:]))
    await worker.run_once()
    assert done == ["b2", "a1", "a2"]


async def test_what_the_store_cannot_read_keeps_nobody_waiting(bench: Bench) -> None:
    """One entry's trouble with the store is put off; where all have it, so has putting off."""
    bench.unreadable = {"first"}
    await bench.due("own/first", "own/a")
    await bench.until(1)
    assert bench.done == ["a"]
    bench.unreadable = set()
    bench.clock.advance(seconds=10)
    await bench.due("own/tick")
    await bench.until(3)
    assert sorted(bench.done) == ["a", "first", "tick"]


async def test_how_late_work_is_begun_is_counted(bench: Bench) -> None:
    """Late by the clock of when it was due, also where nobody worked in between."""
    await bench.until(0)
    await bench.worker.stop()
    await bench.due("own/a")
    bench.clock.advance(seconds=40)
    await bench.worker.run_once()
    text = bench.metrics.text().decode()
    assert 'letterbox_due_lag_seconds_sum{work="job"} 40.0' in text
    assert 'letterbox_due_lag_seconds_bucket{le="30.0",work="job"} 0.0' in text
    assert 'letterbox_due_lag_seconds_count{work="job"} 1.0' in text
    assert bench.metrics.registry.get_sample_value("letterbox_worker_rounds_total") >= 1
