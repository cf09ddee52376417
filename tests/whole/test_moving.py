"""A whole installation moved to another store, and what goes on there."""

import smtplib
from contextlib import asynccontextmanager

import pytest

from letterbox.adapters.clock import SystemClock
from letterbox.adapters.objects import DirectoryObjects
from letterbox.adapters.redis import RedisStore, keys
from letterbox.adapters.redis.copying import RedisRows, RedisTarget
from letterbox.adapters.sqlite import SqliteStore, copying
from letterbox.adapters.sqlite.copying import SqliteRows, SqliteTarget
from letterbox.adapters.sqlite.schema import connect
from letterbox.adapters.times import stored
from letterbox.model.configuration import Configuration, WebhooksSection
from letterbox.moving import copy
from letterbox.ports.store import SHARDS
from letterbox.records import places
from letterbox.records.bodies import OutsideBodies
from tests.support.clock import FakeClock
from tests.support.house import House, mail, open_house, signed
from tests.support.processes import FREE_PORTS, Letterbox, ending
from tests.support.receiver import receiving

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
timezone = "Europe/Amsterdam"
  [[consumer.window]]
  days = ["wed"]
  from = "09:00"
  until = "12:00"
  kinds = ["offer"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["offer", "service", "personal"]
  share_delivered = true
"""
OPEN = Configuration(
    public_url="https://letterbox.example",
    webhooks=WebhooksSection(allow_private_addresses=True),
)
LARGE = "A pruner.\r\n" * 40_000


def known(shard: int) -> list[bytes]:
    """A shard's own."""
    return [*keys.lease(shard), keys.due(shard), keys.due_times(shard), keys.outbox(shard)]


#: What is known without looking, and what is of the servers and the processes alone.
KNOWN = {
    *(keys.PRESENT, keys.WORKERS, keys.ALONE, keys.COPYING),
    *(each for shard in range(SHARDS) for each in known(shard)),
    *(keys.mark(f"consumer/{nth}") for nth in range(2000)),  # one in each shard
}


def silent(what: str, rows: int) -> None:
    """Nobody wants to hear how far it is."""


@asynccontextmanager
async def open_store(store):
    try:
        yield store
    finally:
        await store.close()


async def moved(source, target, clock: FakeClock):
    async with open_store(source), open_store(target):
        return await copy(source, target, clock, silent)


async def send(house: House, number: int, kind: str, text: str = "A pruner.\r\n") -> str:
    house.clock.advance(seconds=1)
    content = mail(f"Number {number}", number=number, text=text, Letterbox_Kind=kind)
    (outcome,) = (await house.send(signed(content), "anna@letterbox.example")).outcomes
    return outcome.told.line


async def events(house: House):
    page = await house.app.feed.page("greenleaf", after=0, limit=100)
    return list(zip(page.cursors, page.items, strict=True))


async def live_a_while(house: House, url: str) -> None:
    """Mail of every fate: delivered, large, refused, held, and some of it not yet told."""
    await house.app.endpoints.add("greenleaf", url)
    assert (await send(house, 1, "service")).startswith("250 2.0.0 delivered")
    assert (await send(house, 2, "service", LARGE)).startswith("250 2.0.0 delivered")
    await house.work()
    house.clock.advance(days=1)  # by then the counters of yesterday have expired
    assert (await send(house, 3, "offer")).startswith("250 2.0.0 held")
    assert (await send(house, 4, "newsletter")).startswith("550")
    await house.work()
    assert (await send(house, 5, "newsletter")).startswith("550")
    assert await house.app.store.outbox()


async def go_on(house: House, before, receiver) -> None:
    """What waits is done, and every count goes on where it was."""
    assert await events(house) == before
    assert await house.inbox("anna") == ["Number 2", "Number 1"]
    (_, large), *_ = [
        (entry.subject, await house.app.mailboxes.body(entry.message))
        for entry in (await house.app.mailboxes.inbox("anna", after=None, limit=9)).items
    ]
    assert large.endswith(LARGE.encode())
    called = list(receiver.ids)
    assert called == [event.id for _, event in before]
    house.clock.advance(hours=22)  # into the window
    await house.work()
    assert (await house.inbox("anna"))[0] == "Number 3"
    after = await events(house)
    assert [cursor for cursor, _ in after] == list(range(1, len(after) + 1))
    assert after[: len(before)] == before
    assert len(after) > len(before) + 1
    # Each event was called once, in order: those before the move, and those after.
    assert receiver.ids == [event.id for _, event in after]


@pytest.mark.parametrize("goes_on", ["there", "back"])
@pytest.mark.parametrize("kind", ["redis_server", "redis_cluster"])
async def test_an_installation_goes_to_redis_and_back(tmp_path, request, kind, goes_on):
    servers = request.getfixturevalue(kind)
    servers.empty()
    url = servers.url
    clock, first, last = FakeClock(), tmp_path / "first.db", tmp_path / "last.db"
    async with receiving() as receiver:
        store = await SqliteStore.open(first, clock)
        async with open_house(PEOPLE, configuration=OPEN, clock=clock, opened=store) as house:
            await live_a_while(house, receiver.url)
            before = await events(house)

        target = await RedisTarget.make(
            url, clock, home=places.message, replicas=0, patience=5, unsafe=False
        )
        there = await moved(SqliteRows.open(first), target, clock)
        source = await RedisRows.open(url, home=places.message, patience=5)
        back = await moved(source, SqliteTarget.make(last), clock)
        assert there.rows == back.rows
        assert all(tally.count for tally in there.rows.values())
        assert rows_of(first, clock.now()) == rows_of(last, clock.now())
        # A table or a kind of key that nobody knows here would not be copied.
        copied = {what.partition(" FROM ")[2] for what, _ in copying._READ.values()}
        assert {*rows_of(first, clock.now())} == copied | {"sqlite_sequence"}
        found = set()
        for node in servers.primaries if kind == "redis_cluster" else [servers]:
            with node.client() as client:
                found |= set(client.scan_iter("letterbox1:*"))
        found -= KNOWN
        indices = {key for key in found if b":k:" in key}
        assert all(keys.read(key) for key in found - indices)

        store = await (
            SqliteStore.open(last, clock) if goes_on == "back" else RedisStore.open(url, clock)
        )
        async with open_house(configuration=OPEN, clock=clock, opened=store) as house:
            await go_on(house, before, receiver)


def post(letterbox: Letterbox, number: int) -> int:
    with smtplib.SMTP(*letterbox.address("smtp"), timeout=30) as client:
        client.ehlo()
        client.mail("bounces@greenleaf.example")
        client.rcpt("anna@letterbox.example")
        return client.data(mail(f"Number {number}", number=number, Letterbox_Kind="service"))[0]


def inbox(letterbox: Letterbox) -> list[str]:
    return sorted(entry["subject"] for entry in letterbox.ask("export", "anna")["inbox"])


def test_the_commands_move_what_a_killed_server_left(tmp_path, redis_server):
    with redis_server.client() as client:
        client.flushall()
    with ending(Letterbox(tmp_path)) as letterbox:
        assert letterbox.apply(PEOPLE).returncode == 0
        letterbox.start()
        assert post(letterbox, 1) == 250
        copied = ["migrate", "--from", "sqlite:var/letterbox.db", "--to", redis_server.url]
        refused = letterbox.run(*copied)
        assert refused.returncode == 1
        assert "in use by process" in refused.stderr
        backed_up = letterbox.run("backup", "backup")
        assert backed_up.returncode == 0, backed_up.stderr
        assert "           1 bodies" in backed_up.stdout.splitlines()
        letterbox.kill()
        done = letterbox.run(*copied)
        assert done.returncode == 0, done.stderr
        assert f"set store.url to {redis_server.url}" in done.stdout
        assert not done.stderr

        on_redis = f"[store]\nurl = '{redis_server.url}'\n[admin]\nsocket = '{tmp_path}/sock'\n"
        letterbox.config.write_text(FREE_PORTS + on_redis)
        letterbox.start()
        assert inbox(letterbox) == ["Number 1"]
        assert post(letterbox, 1) == 250  # which is known already
        assert post(letterbox, 2) == 250
        assert inbox(letterbox) == ["Number 1", "Number 2"]
        assert letterbox.stop() == 0

        letterbox.config.write_text(FREE_PORTS + "[store]\nurl = 'sqlite:restored.db'\n")
        assert letterbox.ask("restore", "backup")["rows"]["bodies"]["count"] == 1
        assert inbox(letterbox) == ["Number 1"]


async def test_bodies_that_lie_outside_stay_there_and_it_is_told(tmp_path, redis_server):
    redis_server.empty()
    (tmp_path / "bodies").mkdir()
    with ending(Letterbox(tmp_path)) as letterbox:
        outside = f"[bodies]\nurl = 'dir:{tmp_path}/bodies'\n"
        letterbox.config.write_text(letterbox.config.read_text() + outside)
        assert letterbox.apply(PEOPLE).returncode == 0
        letterbox.start()
        assert post(letterbox, 1) == 250
        backed_up = letterbox.run("backup", "backup")
        said = "           1 of the bodies lie outside the store: "
        assert said + "they are not in this file: copy the place of bodies.url" in backed_up.stdout
        letterbox.kill()
        kept = {path: path.read_bytes() for path in (tmp_path / "bodies").rglob("*.eml")}
        moved = letterbox.run(
            "migrate", "--from", "sqlite:var/letterbox.db", "--to", redis_server.url
        )
        assert said + "they stay where they are: leave bodies.url as it is" in moved.stdout
        letterbox.config.write_text(f"[store]\nurl = 'sqlite:restored.db'\n{outside}")
        assert said + "they are not in a backup" in letterbox.run("restore", "backup").stdout
    # Nothing was taken from there or put there, and each store names what lies there.
    assert kept == {path: path.read_bytes() for path in (tmp_path / "bodies").rglob("*.eml")}
    objects = DirectoryObjects(tmp_path / "bodies", patience=5)
    (content,), (path,) = kept.values(), kept
    for opened in (
        SqliteStore.open(tmp_path / "restored.db", SystemClock()),
        RedisStore.open(redis_server.url, SystemClock()),
    ):
        async with open_store(await opened) as store:
            bodies = OutsideBodies(store, objects)
            assert await bodies.read(places.message(path.stem), path.stem) == content
    await objects.close()


def rows_of(path, now) -> dict[str, list]:
    """All that has not expired in a file's tables, but for what each file has of its own."""
    db = connect(path)
    rows = {}
    for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        columns = [each[1] for each in db.execute(f"PRAGMA table_info({table})")]
        own = {"row", "file", "sequence" if table == "outbox" else ""}
        compared = ", ".join(each for each in columns if each not in own)
        live = f" WHERE ifnull(expires, {2**60}) > {stored(now)}" if "expires" in columns else ""
        rows[table] = sorted(
            db.execute(f"SELECT {compared} FROM {table}{live}").fetchall(), key=repr
        )
    db.close()
    return rows
