"""Erasing a consumer: afterwards nothing of theirs is found in the whole store."""

import contextlib

import apsw
import msgspec
import pytest
import redis

from letterbox.adapters.memory import MemoryStore
from letterbox.adapters.redis import RedisStore
from letterbox.adapters.sqlite import SqliteStore
from letterbox.ports.store import StoreUnavailable
from letterbox.records import places
from letterbox.records.consumers import Refused
from letterbox.records.passkeys import Site
from letterbox.records.sessions import Owner
from tests.support.api import PEOPLE, opened
from tests.support.clock import FakeClock
from tests.support.house import House, mail, open_house, signed

# Names that stand nowhere by chance.
NAME, LOCAL = "zq-annabel", "zq-anna-box"
ANNA = PEOPLE.replace('"anna"', f'"{NAME}"').replace("anna@letterbox", f"{LOCAL}@letterbox")
ADDRESS = f"{LOCAL}@letterbox.example"


async def rows(house: House, server=None) -> list[bytes]:
    """Every row of the store, names and values."""
    store = house.app.store
    if isinstance(store, MemoryStore):
        tables = (
            store._documents, store._logs, store._counters, store._claims, store._due,
            store._outbox, store._bodies,
        )  # fmt: skip
        return [repr(pair).encode() for table in tables for pair in table.items()]
    if isinstance(store, SqliteStore):
        path = house.folder / "store.db"
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        tables = ("documents", "logs", "counters", "claims", "due", "outbox", "bodies")
        found = [
            repr(row).encode() for each in tables for row in db.execute(f"SELECT * FROM {each}")
        ]
        db.close()
        return found
    client = redis.Redis.from_url(server.url)
    found = []
    for key in client.scan_iter():
        dump = {
            b"string": client.get,
            b"hash": client.hgetall,
            b"zset": lambda key: client.zrange(key, 0, -1),
            b"stream": client.xrange,
        }[client.type(key)](key)
        found.append(repr((key, dump)).encode())
    client.close()
    return found


async def live(house: House) -> None:
    """A consumer's life: mail that came, is held, was refused; tokens, sessions, links, rules."""
    app = house.app
    async with opened(house) as api:
        to = [ADDRESS]
        assert (await api.send(to=to)).status == 200
        await api.send(to=to, kind="newsletter", subject="Held for its window")
        shoes = {"categories": ["clothing/shoes"], "price": {"amount": "9.00", "currency": "EUR"}}
        assert (await api.send(to=to, subject="Shoes", offer=shoes)).status == 200
        await api.send(to=[ADDRESS, "ben@letterbox.example"], subject="To both")
        await api.send(to=[f"{LOCAL}+shop@letterbox.example"], subject="Below")
        for standing in ("blocked", "allowed"):
            rule = {"vendor": "greenleaf", "standing": standing}
            rule |= {"because": "other"} if standing == "blocked" else {}
            path = "/v1/me/vendors/greenleaf"
            ids = (await api.call("GET", "/v1/me/vendors", who=NAME)).json["items"]
            path = f"/v1/me/vendors/{ids[0]['id']}"
            done = await api.call(
                "PUT", path, who=NAME, json=rule,
                headers={"Idempotency-Key": standing, "If-Match": "*"},
            )  # fmt: skip
            assert done.status == 200, done.body
        await api.send(to=to, kind="newsletter", subject="Held for its window too")
    await house.send(signed(mail("By SMTP", number=7)), ADDRESS)
    await house.send(mail("Of nobody", domain="stranger.example"), ADDRESS, sender="a@b.example")
    await house.work()
    owner = Owner("consumer", NAME)
    await app.sessions.link(owner)
    await app.sessions.start(owner, agent="")
    await app.passwords.set(owner, "four words are long enough")
    await app.passkeys.invite(owner, Site("localhost", "http://localhost"))


async def finish(house: House) -> None:
    for _ in range(400):
        await house.work()
        if await house.app.store.get(places.consumer(NAME), places.ERASURE) is None:
            return
        house.clock.advance(minutes=10)
    raise AssertionError("it never ends")


@contextlib.asynccontextmanager
async def a_house(kind, request, tmp_path):
    clock = FakeClock()
    if kind == "redis":
        server = request.getfixturevalue("redis_server")
        server.empty()
        store = await RedisStore.open(server.url, clock)
        async with open_house(ANNA, clock=clock, opened=store) as house:
            yield house, server
    else:
        folder = tmp_path if kind == "sqlite" else None
        async with open_house(ANNA, clock=clock, folder=folder) as house:
            house.folder = folder
            yield house, None


@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
async def test_nothing_of_theirs_is_found_afterwards(kind, request, tmp_path):
    async with a_house(kind, request, tmp_path) as (house, server):
        await live(house)
        before = [row for row in await rows(house, server) if LOCAL.encode() in row]
        assert len(before) > 10
        events = len(await house.feed("greenleaf"))
        assert await house.app.erasure.begin(NAME)
        assert await house.app.erasure.begin(NAME)
        await finish(house)
        for row in await rows(house, server):
            # A message that somebody else has as well is theirs, too.
            if b"To both" in row and b"Subject: " in row:
                continue
            assert NAME.encode() not in row, row
            assert LOCAL.encode() not in row, row
        feed = await house.feed("greenleaf")
        assert len(feed) > events
        assert {event.recipient for event in feed} <= {"", "ben@letterbox.example"}
        # Whoever waited hears what everybody hears of an address that is not there.
        ends = [event for event in feed[events:] if event.type == "message.refused"]
        assert len(ends) == 2
        assert {event.reason.code for event in ends} == {"no-relationship"}
        assert await house.inbox("ben") == ["To both"]
        assert not await house.app.erasure.begin(NAME)


async def test_killed_anywhere_it_goes_on_where_it_was():
    async with open_house(ANNA) as house:
        await live(house)
        store = house.app.store
        commit, calls = store.commit, 0

        async def failing(*commits):
            nonlocal calls
            calls += 1
            if calls % 5 == 2:
                raise StoreUnavailable("gone before")
            done = await commit(*commits)
            if calls % 5 == 4:
                raise StoreUnavailable("gone after")
            return done

        store.commit = failing
        with contextlib.suppress(StoreUnavailable):
            await house.app.erasure.begin(NAME)
        for _ in range(400):
            with contextlib.suppress(StoreUnavailable):
                await house.work()
            house.clock.advance(minutes=10)
            if NAME not in await house.app.consumers.all():
                break
        store.commit = commit
        await finish(house)
        left = [row for row in await rows(house) if LOCAL.encode() in row]
        assert all(b"To both" in row for row in left)


async def test_the_address_is_nobodys_until_the_retention_is_over():
    async with open_house(ANNA) as house:
        await house.app.erasure.begin(NAME)
        await finish(house)
        consumers = house.app.consumers
        stored = await consumers.stored("ben")
        wanted = msgspec.structs.replace(stored.preferences, addresses=(ADDRESS,))

        async def take():
            now = house.clock.now()
            await consumers.replace("ben", wanted, expect=None, now=now)

        with pytest.raises(Refused, match="given up by an erasure"):
            await take()
        house.clock.advance(days=401)
        await take()
