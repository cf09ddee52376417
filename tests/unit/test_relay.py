"""The relay: what is owed comes to vendors' feeds once, in order, whatever happens."""

from contextlib import suppress
from datetime import timedelta

import pytest

from letterbox.adapters.memory import MemoryStore
from letterbox.delivery.relay import Relay
from letterbox.metrics import Metrics
from letterbox.model.told import Event
from letterbox.ports.store import Append, Commit, Emit, Put, StoreUnavailable, Trim
from letterbox.records import places
from letterbox.records.coding import encode
from letterbox.records.feed import Feed, Owed
from letterbox.records.webhooks import WebhookRecords
from tests.support.clock import FakeClock
from tests.support.house import open_house

VENDORS = ("greenleaf", "voltshop", "vinyl")


class Cut(MemoryStore):
    """A store that can be killed between two commits of one call: each is atomic, no more."""

    left: int | None = None

    async def commit(self, *commits):
        results = []
        for commit in _bound(commits):
            if self.left == 0:
                raise StoreUnavailable("killed")
            if self.left is not None:
                self.left -= 1
            results += await super().commit(*commit)
        return results


def _bound(commits):
    """Commits that stand and fall with the one before them, as they are applied."""
    groups = []
    for commit in commits:
        if commit.with_previous:
            groups[-1].append(commit)
        else:
            groups.append([commit])
    return groups


class Bench:
    def __init__(self, store=MemoryStore):
        self.clock, self.metrics = FakeClock(), Metrics()
        self.store = store(self.clock)
        self.feed = Feed(self.store)
        self.begin()

    def begin(self):
        """A relay that knows nothing but what is in the store."""
        self.relay = Relay(
            store=self.store,
            clock=self.clock,
            metrics=self.metrics,
            webhooks=WebhookRecords(self.store, trials_per_minute=10),
            broken=timedelta(days=90),
        )

    async def owe(self, *events, at=None):
        """Owe events, given as (vendor, name), each from another consumer's commit."""
        commits = []
        for number, (vendor, name) in enumerate(events):
            event = Event(id=name, type="message.refused", at=self.clock.now())
            emit = Emit(encode(Owed(vendor=vendor, event=event, at=at)))
            commits.append(Commit(f"consumer/{number % 7}", (emit,)))
        await self.store.commit(*commits)

    async def carry(self):
        while await self.relay.run():
            pass

    async def told(self, vendor):
        page = await self.feed.page(vendor, after=0, limit=10_000)
        return [event.id for event in page.items]


def many(count):
    return [(VENDORS[n % len(VENDORS)], f"event-{n:04}") for n in range(count)]


def of(vendor, events):
    return [name for whose, name in events if whose == vendor]


async def test_every_vendor_gets_its_events_in_order_however_many_there_are():
    bench, events = Bench(), many(1000)
    await bench.owe(*events)
    await bench.carry()
    for vendor in VENDORS:
        assert await bench.told(vendor) == of(vendor, events)
    assert await bench.store.outbox() == []


async def test_endpoints_that_cannot_be_read_keep_nobodys_events():
    bench, events = Bench(), many(20)
    broken = Put(key=places.WEBHOOKS, value=b"broken")
    await bench.store.commit(Commit(places.vendor(VENDORS[0]), (broken,)))
    await bench.owe(*events)
    await bench.carry()
    for vendor in VENDORS:
        assert await bench.told(vendor) == of(vendor, events)
    assert await bench.store.outbox() == []


@pytest.mark.parametrize("steps", range(12))
async def test_killed_at_any_step_it_carries_each_event_once_and_in_order(steps):
    bench, events = Bench(Cut), many(150)
    await bench.owe(*events)
    bench.store.left = steps
    with suppress(StoreUnavailable):
        await bench.carry()
    bench.store.left = None
    bench.begin()
    await bench.carry()
    for vendor in VENDORS:
        assert await bench.told(vendor) == of(vendor, events)
    assert await bench.store.outbox() == []


async def test_an_event_that_has_arrived_before_keeps_no_other_from_arriving():
    bench = Bench()
    await bench.owe(("greenleaf", "b"))
    await bench.carry()
    await bench.owe(*(("greenleaf", name) for name in "abcdd"), ("voltshop", "e"))
    await bench.carry()
    assert await bench.told("greenleaf") == ["b", "a", "c", "d"]
    assert await bench.told("voltshop") == ["e"]
    assert await bench.store.outbox() == []


async def test_what_cannot_be_read_is_laid_aside_and_the_rest_goes_on():
    bench = Bench()
    await bench.store.commit(Commit("consumer/1", (Emit(b"\xc1nonsense"),)))
    await bench.owe(("greenleaf", "a"))
    await bench.carry()
    assert await bench.told("greenleaf") == ["a"]
    kept = await bench.store.documents("consumer/1", places.broken(0).removesuffix("0"))
    assert [document.value for document in kept] == [b"\xc1nonsense"]


async def test_how_late_events_come_is_measured():
    bench = Bench()
    since = bench.clock.now()
    await bench.owe(("greenleaf", "a"), at=since)
    await bench.owe(("greenleaf", "of old"))
    bench.clock.advance(seconds=3)
    await bench.carry()
    read = bench.metrics.registry.get_sample_value
    assert read("letterbox_feedback_lag_seconds_count") == 1
    assert read("letterbox_feedback_lag_seconds_sum") == 3
    assert read("letterbox_outbox_age_seconds") == 0


async def test_the_age_of_what_is_owed_grows_while_nothing_can_be_carried():
    bench = Bench(Cut)
    await bench.owe(("greenleaf", "a"), at=bench.clock.now() - timedelta(seconds=2))
    bench.store.left = 0
    with pytest.raises(StoreUnavailable):
        await bench.relay.run()
    bench.clock.advance(seconds=5)
    assert bench.metrics.registry.get_sample_value("letterbox_outbox_age_seconds") == 7


async def test_a_long_feed_is_forgotten_a_little_at_a_time():
    async with open_house('[[vendor]]\nid = "greenleaf"\nname = "Greenleaf"\n') as house:
        store, now = house.app.store, house.clock.now()
        for number in range(1300):
            event = Event(id=f"{number}", type="message.refused", at=now)
            append = Append(places.FEED, encode(event))
            await store.commit(Commit(places.vendor("greenleaf"), (append,)))
        house.clock.advance(days=91)
        event = Event(id="new", type="message.refused", at=house.clock.now())
        await store.commit(Commit(places.vendor("greenleaf"), (Append("feed", encode(event)),)))
        before, most = len(await house.feed("greenleaf")), 0
        assert before == 100
        commit = store.commit

        async def watched(*commits):
            nonlocal most
            trims = [o for c in commits for o in c.operations if isinstance(o, Trim)]
            left = len(await store.log(places.vendor("greenleaf"), "feed", limit=2000))
            results = await commit(*commits)
            if trims:
                after = len(await store.log(places.vendor("greenleaf"), "feed", limit=2000))
                most = max(most, left - after)
            return results

        store.commit = watched
        await house.app.upkeep.forgetting.sweep()
        assert [event.id for event in await house.feed("greenleaf")] == ["new"]
        assert 0 < most <= 500
