"""Events sent to vendors' endpoints: in order, at least once, under one id, whatever happens."""

import asyncio
import re
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import pytest
from aiohttp import web

from letterbox.model.configuration import Configuration, WebhooksSection
from letterbox.model.told import Event
from letterbox.ports.store import Commit, Emit
from letterbox.records.coding import encode
from letterbox.records.feed import Owed
from letterbox.records.webhooks import MOST_DELIVERIES
from tests.support.house import House, open_house
from tests.support.receiver import Receiver, receiving

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]
[[vendor]]
id = "voltshop"
name = "Voltshop"
domains = ["voltshop.example"]
"""
OPEN = Configuration(
    public_url="https://letterbox.example",
    webhooks=WebhooksSection(allow_private_addresses=True),
)


class Post:
    """A house, a receiver, and the endpoint of greenleaf's there."""

    def __init__(self, house: House, receiver: Receiver) -> None:
        self.house = house
        self.receiver = receiver
        self.name = ""
        self.owed = 0

    async def add(self, vendor="greenleaf", path="", **said) -> str:
        made = await self.house.app.endpoints.add(vendor, self.receiver.url + path, **said)
        return made.webhook.id

    async def owe(self, count=1, *, vendor="greenleaf", kind="message.refused") -> list[str]:
        """Owe a vendor events, as a consumer's commit does; their ids, in order."""
        names = []
        for _ in range(count):
            self.owed += 1
            event = Event(id=f"{self.owed:032x}", type=kind, at=self.house.clock.now())
            emit = Emit(encode(Owed(vendor=vendor, event=event)))
            await self.house.app.store.commit(Commit("consumer/anna", (emit,)))
            names.append(event.id)
        return names

    async def pass_time(self, **by: float) -> None:
        """Let time go by, and do what becomes due on the way at the moment it does."""
        clock, until = self.house.clock, self.house.clock.now() + timedelta(**by)
        await self.house.work()
        while due := await self.house.app.store.due(until, limit=1):
            clock.advance(seconds=max((due[0].at - clock.now()).total_seconds(), 0))
            await self.house.work()
        clock.advance(seconds=(until - clock.now()).total_seconds())

    async def webhook(self):
        return await self.house.app.webhook_records.find("greenleaf", self.name)

    async def outcomes(self) -> list[str]:
        """What came of each call, oldest first."""
        rows = await self.house.app.webhook_records.deliveries("greenleaf", self.name)
        return [row.outcome for row in reversed(rows)]


@asynccontextmanager
async def posting(configuration=OPEN):
    async with receiving() as receiver, open_house(PEOPLE, configuration=configuration) as house:
        post = Post(house, receiver)
        post.name = await post.add()
        yield post


@pytest.fixture
async def post():
    async with posting() as post:
        yield post


async def test_events_arrive_in_the_order_of_the_feed(post: Post):
    names = await post.owe(30)
    await post.house.work()
    assert post.receiver.ids == names
    feed = await post.house.app.feed.page("greenleaf", after=0, limit=100)
    assert [event.id for event in feed.items] == names
    body = post.receiver.calls[0].json
    assert set(body) == {"type", "timestamp", "data"}
    assert (body["type"], body["data"]["id"]) == ("message.refused", names[0])


async def test_setting_up_sends_nothing_and_begins_from_now_on():
    async with receiving() as receiver, open_house(PEOPLE, configuration=OPEN) as house:
        post = Post(house, receiver)
        await post.owe(9)
        await house.work()
        await post.add()
        await house.work()
        assert receiver.calls == []
        names = await post.owe(2)
        await house.work()
        assert receiver.ids == names


async def test_another_vendors_events_are_another_vendors(post: Post):
    await post.add("voltshop", "/volt")
    await post.owe(1)
    (volt,) = await post.owe(1, vendor="voltshop")
    await post.house.work()
    assert [(c.path, c.id) for c in post.receiver.calls if c.path != "/hook"] == [
        ("/hook/volt", volt)
    ]
    assert len(post.receiver.calls) == 2


async def test_an_endpoint_hears_of_the_types_it_asked_for(post: Post):
    await post.add(path="/few", events=["message.released"])
    await post.owe(60)
    (released,) = await post.owe(1, kind="message.released")
    await post.owe(60)
    await post.house.work()
    few = [call.id for call in post.receiver.calls if call.path == "/hook/few"]
    assert few == [released]
    assert len(post.receiver.calls) == 122
    assert await due(post.house) == []


async def test_types_that_are_asked_for_later_are_told_from_then_on(post: Post):
    few = await post.add(path="/few", events=["message.released"])
    await post.owe(60)
    await post.house.work()
    (owed,) = await post.owe(1, kind="message.released")
    await post.house.app.worker._relay.run()
    await post.owe(3)
    await post.house.app.worker._relay.run()
    await post.house.app.endpoints.change("greenleaf", few, url=None, events=())
    new = await post.owe(2)
    await post.house.work()
    calls = [call.id for call in post.receiver.calls if call.path == "/hook/few"]
    # What it was owed already is told, and with it all that came after that.
    assert calls[0] == owed
    assert calls[-2:] == new
    assert len(calls) == 6
    assert await due(post.house) == []


async def due(house: House) -> list[str]:
    entries = await house.app.store.due(house.clock.now() + timedelta(days=9))
    return [entry.key for entry in entries if entry.key.startswith("webhook/")]


async def test_a_receiver_that_is_down_for_a_day_gets_everything_in_the_end(post: Post):
    post.receiver.down()
    names = await post.owe(3)
    await post.pass_time(hours=12)
    names += await post.owe(3)
    await post.pass_time(hours=12)
    tried = len(post.receiver.calls)
    assert 8 <= tried <= 40
    post.receiver.up()
    post.receiver.calls.clear()
    await post.pass_time(hours=10)
    # The first was set aside after an hour, so that it could not be what kept the others.
    assert sorted(post.receiver.ids) == names
    assert [name for name in post.receiver.ids if name != names[0]] == names[1:]
    assert await due(post.house) == []
    assert (await post.webhook()).disabled is None


async def test_the_times_of_retries_are_kept(tmp_path):
    """They are read from the store, by whoever works next."""
    async with receiving() as receiver:
        receiver.down()
        async with open_house(PEOPLE, configuration=OPEN, folder=tmp_path) as house:
            post = Post(house, receiver)
            name = await post.add()
            await post.owe(1)
            await house.work()
            before = await house.app.store.due(house.clock.now() + timedelta(days=1))
        async with open_house(configuration=OPEN, folder=tmp_path) as house:
            await house.work()
            assert len(receiver.calls) == 1
            after = await house.app.store.due(house.clock.now() + timedelta(days=1))
            assert [e.at for e in after if name in e.key] == [e.at for e in before if name in e.key]
            house.clock.advance(seconds=8)
            await house.work()
    assert receiver.ids == ["0" * 31 + "1"] * 2


async def test_attempts_tell_the_same_bytes_at_another_time(post: Post):
    post.receiver.down()
    await post.owe(1)
    await post.pass_time(minutes=10)
    assert len(post.receiver.calls) > 2
    assert len({call.body for call in post.receiver.calls}) == 1
    assert len({call.id for call in post.receiver.calls}) == 1
    assert len({call.headers["webhook-timestamp"] for call in post.receiver.calls}) > 2


async def test_one_poisonous_event_does_not_keep_the_others(post: Post):
    names = await post.owe(4)
    post.receiver.answers = lambda call: 500 if call.id == names[1] else 204
    await post.pass_time(minutes=59)
    assert set(post.receiver.ids) == set(names[:2])
    await post.pass_time(minutes=2)
    arrived = [name for name in dict.fromkeys(post.receiver.ids) if name != names[1]]
    assert arrived == [names[0], *names[2:]]
    before = post.receiver.ids.count(names[1])
    for _ in range(4):
        names += await post.owe(1)
        await post.pass_time(days=1)
    assert post.receiver.ids[-1] == names[-1]
    tries = post.receiver.ids.count(names[1])
    assert before + 5 < tries < before + 40
    outcomes = await post.outcomes()
    assert outcomes.count("set-aside") == outcomes.count("given-up") == 1
    assert (await post.webhook()).disabled is None
    assert await due(post.house) == []
    await post.pass_time(days=3)
    assert post.receiver.ids.count(names[1]) == tries


async def test_an_event_that_was_set_aside_arrives_by_itself(post: Post):
    names = await post.owe(2)
    post.receiver.answers = lambda call: 500 if call.id == names[0] else 204
    await post.pass_time(hours=2)
    post.receiver.up()
    post.receiver.calls.clear()
    await post.pass_time(hours=12)
    assert post.receiver.ids == names[:1]
    assert await due(post.house) == []


async def test_who_answers_410_is_called_no_more(post: Post):
    names = await post.owe(3)
    post.receiver.answers = lambda call: 410 if call.id == names[1] else 204
    await post.pass_time(days=5)
    assert post.receiver.ids == names[:2]
    disabled = (await post.webhook()).disabled
    assert disabled.because == "gone"
    more = await post.owe(1)
    await post.house.work()
    assert len(post.receiver.calls) == 2
    assert await due(post.house) == []
    # Enabled again, it goes on where it stopped.
    post.receiver.up()
    await post.house.app.endpoints.enable("greenleaf", post.name)
    await post.house.work()
    assert post.receiver.ids[2:] == [*names[1:], *more]
    assert (await post.webhook()).disabled is None


async def test_who_takes_nothing_for_three_days_is_called_no_more(post: Post):
    post.receiver.down()
    names = await post.owe(3)
    await post.pass_time(days=2, hours=23)
    assert (await post.webhook()).disabled is None
    await post.pass_time(hours=2)
    assert (await post.webhook()).disabled.because == "failing"
    assert await due(post.house) == []
    called = len(post.receiver.calls)
    await post.pass_time(days=3)
    assert len(post.receiver.calls) == called
    post.receiver.up()
    await post.house.app.endpoints.enable("greenleaf", post.name)
    await post.house.work()
    assert post.receiver.ids[called:] == names


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_heeded(post: Post, status: int):
    later = {"Retry-After": "7200"}
    post.receiver.answers = lambda _: web.Response(status=status, headers=later)
    await post.owe(1)
    await post.house.work()
    post.receiver.up()
    await post.pass_time(minutes=60)
    await post.owe(3)
    await post.pass_time(minutes=59)
    assert len(post.receiver.calls) == 1
    await post.pass_time(minutes=1)
    assert len(post.receiver.calls) == 5


async def test_a_redirect_is_a_failure(post: Post):
    post.receiver.answers = lambda _: web.Response(
        status=302, headers={"Location": post.receiver.url + "/next"}
    )
    await post.owe(1)
    await post.house.work()
    (call,) = post.receiver.calls
    assert call.path == "/hook"
    (row,) = await post.house.app.webhook_records.deliveries("greenleaf", post.name)
    assert (row.outcome, row.status, row.attempt) == ("failed", 302, 1)
    assert "redirect" in row.detail


async def test_a_host_that_comes_to_lead_inside_is_not_called():
    """At registration it led elsewhere; at each call it is looked at again."""
    closed = Configuration(public_url="https://letterbox.example")
    async with receiving() as receiver, open_house(PEOPLE, configuration=closed) as house:
        house.zone.records["hooks.example"] = {"A": ["93.184.216.34"]}
        port = receiver.url.split(":")[2]
        made = await house.app.endpoints.add("greenleaf", f"https://hooks.example:{port}")
        house.zone.records["hooks.example"] = {"A": ["127.0.0.1"], "AAAA": ["::ffff:7f00:1"]}
        post = Post(house, receiver)
        await post.owe(1)
        await post.pass_time(minutes=10)
        assert receiver.calls == []
        rows = await house.app.webhook_records.deliveries("greenleaf", made.webhook.id)
        assert {(row.outcome, row.status) for row in rows} == {("failed", 0)}
        assert "public" in rows[0].detail
        assert "127.0.0.1" not in rows[0].detail


async def test_slow_endpoints_delay_nobody_else(post: Post):
    await post.add("voltshop", "/volt")
    slow, gate = asyncio.Event(), asyncio.Event()
    app = web.Application()

    async def hang(request: web.Request) -> web.StreamResponse:
        slow.set()
        await gate.wait()
        return web.Response()

    app.router.add_post("/slow", hang)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    for _ in range(5):
        await post.house.app.endpoints.add("greenleaf", f"http://127.0.0.1:{port}/slow")
    await post.house.app.worker.start()
    try:
        async with asyncio.timeout(20):
            await post.owe(1)
            await slow.wait()
            post.receiver.entered.clear()
            (name,) = await post.owe(1, vendor="voltshop")
            while name not in post.receiver.ids:
                await post.receiver.entered.wait()
                post.receiver.entered.clear()
        assert not gate.is_set()
    finally:
        gate.set()
        await post.house.app.worker.stop()
        await runner.cleanup()


async def test_one_vendor_keeps_so_many_calls_and_no_more():
    """However many endpoints it has, and however slow they are."""
    async with posting() as post:
        for number in range(9):
            await post.add(path=f"/{number}")
        post.receiver.gate.clear()
        await post.owe(1)
        await post.house.app.worker._round()
        async with asyncio.timeout(20):
            while len(post.receiver.calls) < 4:
                post.receiver.entered.clear()
                await post.receiver.entered.wait()
        for _ in range(3):
            post.house.clock.advance(seconds=3)
            await post.house.app.worker._round()
            await asyncio.sleep(0)
        waiting = [task for _, task in post.house.app.worker._errands.values()]
        assert len(post.receiver.calls) == 4
        post.receiver.gate.set()
        await asyncio.gather(*waiting)
        await post.pass_time(minutes=1)
        assert len(post.receiver.calls) == 10


async def test_a_backlog_makes_room_for_others():
    async with posting() as post:
        names = await post.owe(450)
        while await post.house.app.worker._relay.run():
            pass
        await post.house.app.worker.run_once()
        assert len(post.receiver.calls) == 200
        (entry,) = await post.house.app.store.due(post.house.clock.now())
        assert entry.at == post.house.clock.now()  # behind all who have waited longer
        await post.house.work()
        assert post.receiver.ids == names


async def test_both_keys_sign_while_one_is_replaced(post: Post):
    app = post.house.app
    old = (await post.webhook()).keys[0]
    made = await app.endpoints.rotate("greenleaf", post.name, timedelta(hours=24))
    assert made.key.startswith("whsec_")
    await post.owe(1)
    await post.house.work()
    post.house.clock.advance(hours=24)
    await post.owe(1)
    await post.house.work()
    during, after = (c.headers["webhook-signature"].split() for c in post.receiver.calls)
    assert (len(during), len(after)) == (2, 1)
    assert old in [msgspec.structs.replace(k, until=None) for k in (await post.webhook()).keys]


async def test_what_is_deleted_is_forgotten(post: Post):
    post.receiver.down()
    await post.owe(2)
    await post.pass_time(minutes=5)
    app = post.house.app
    assert await app.endpoints.remove("greenleaf", post.name)
    assert not await app.endpoints.remove("greenleaf", post.name)
    called = len(post.receiver.calls)
    await post.owe(1)
    await post.pass_time(days=1)
    assert len(post.receiver.calls) == called
    assert await due(post.house) == []
    left = [row.key for row in await app.store.documents("vendor/greenleaf", "", limit=1000)]
    assert [key for key in left if post.name in key] == []


async def test_deleted_while_it_is_called_it_stays_deleted(post: Post):
    post.receiver.gate.clear()
    await post.owe(1)
    working = asyncio.create_task(post.house.work())
    async with asyncio.timeout(20):
        await post.receiver.entered.wait()
        await post.house.app.endpoints.remove("greenleaf", post.name)
        post.receiver.gate.set()
        await working
    left = await post.house.app.store.documents("vendor/greenleaf", "", limit=1000)
    assert [row.key for row in left if post.name in row.key] == []
    assert await due(post.house) == []


async def test_an_event_during_the_last_call_is_not_slept_through(post: Post):
    """It comes after the queue was found empty, and before the endpoint is put to sleep."""
    store = post.house.app.store
    commit, between = store.commit, []

    async def late(*commits):
        goes = any(
            type(o).__name__ == "Unschedule" and o.key == f"webhook/{post.name}"
            for each in commits
            for o in each.operations
        )
        if goes and not between:
            between.extend(await post.owe(1))
            await post.house.app.worker._relay.run()
        return await commit(*commits)

    store.commit = late
    names = await post.owe(1)
    await post.house.app.worker.run_once()
    await post.house.app.worker.run_once()
    assert between
    assert post.receiver.ids == [*names, *between]


async def test_an_event_before_anybody_knew_the_endpoint_wakes_it(post: Post):
    """The list that the relay remembers is old when it commits: it is told, and looks again."""
    app = post.house.app
    commit, added = app.store.commit, []

    async def late(*commits):
        if not added and any(
            type(o).__name__ == "Append" for each in commits for o in each.operations
        ):
            added.append("")
            added.append(await post.add(path="/second"))
            # It has looked at the feed already, and found nothing.
            await app.webhooks.deliver("greenleaf", added[1])
        return await commit(*commits)

    app.store.commit = late
    names = await post.owe(3)
    await post.house.work()
    second = [call.id for call in post.receiver.calls if call.path == "/hook/second"]
    assert second == names
    assert [call.id for call in post.receiver.calls if call.path == "/hook"] == names
    feed = await app.feed.page("greenleaf", after=0, limit=10)
    assert [event.id for event in feed.items] == names


async def test_the_log_of_calls_is_bounded_in_number_and_time(post: Post):
    await post.owe(MOST_DELIVERIES + 20)
    await post.house.work()
    records = post.house.app.webhook_records
    rows = await records.deliveries("greenleaf", post.name)
    assert [row.number for row in rows] == list(range(MOST_DELIVERIES + 19, 19, -1))
    post.house.clock.advance(days=89)
    await post.owe(1)
    await post.house.work()
    post.house.clock.advance(days=2)
    await post.house.app.upkeep.forgetting.sweep()
    assert len(await records.deliveries("greenleaf", post.name)) == 1


async def test_what_the_feed_no_longer_keeps_is_passed_over(post: Post):
    post.receiver.down()
    await post.owe(2)
    await post.pass_time(days=4)
    await post.owe(1)
    await post.house.work()
    post.house.clock.advance(days=100)
    await post.house.app.upkeep.forgetting.sweep()
    post.receiver.up()
    post.receiver.calls.clear()
    await post.house.app.endpoints.enable("greenleaf", post.name)
    (new,) = await post.owe(1)
    await post.pass_time(hours=1)
    assert post.receiver.ids[-1] == new
    assert await due(post.house) == []


async def test_a_forgotten_vendor_takes_its_endpoints_along():
    configuration = msgspec.structs.replace(
        OPEN, vendors=msgspec.structs.replace(OPEN.vendors, self_registration=True)
    )
    async with receiving() as receiver, open_house(configuration=configuration) as house:
        from letterbox.registration import Application

        application = Application("shop", "Shop", ("shop.example",))
        await house.app.registration.register(application, "192.0.2.1")
        post = Post(house, receiver)
        await post.add("shop")
        await post.pass_time(days=8)
        assert await house.app.vendors.get("shop") is None
        left = await house.app.store.documents("vendor/shop", "", limit=1000)
        assert [row.key for row in left if "webhook/" in row.key or "woken/" in row.key] == []
        assert (await house.app.webhook_records.of("shop")).webhooks == ()
        await house.app.registration.register(application, "192.0.2.1")
        await post.owe(1, vendor="shop")
        await house.work()
        assert receiver.calls == []
        assert (await house.app.webhook_records.of("shop")).webhooks == ()


async def test_no_line_of_the_log_has_a_secret(post: Post, capsys):
    from letterbox.logs import configure

    configure(post.house.app.configuration.log)
    made = await post.house.app.endpoints.add("greenleaf", post.receiver.url + "?token=t0ps3cret")
    post.receiver.down()
    await post.owe(1)
    await post.pass_time(days=4)
    said = capsys.readouterr().err
    assert "webhook-disabled" in said
    assert "t0ps3cret" not in said
    assert made.key.removeprefix("whsec_") not in said
    assert not re.search(r"whsec_[A-Za-z0-9]", said)


async def test_what_is_counted(post: Post):
    await post.owe(2)
    post.receiver.answers = lambda call: 204 if call.id.endswith("1") else 500
    await post.house.work()
    text = post.house.app.metrics.text().decode()
    assert 'letterbox_webhooks_total{outcome="delivered"} 1.0' in text
    assert 'letterbox_webhooks_total{outcome="failed"} 1.0' in text
