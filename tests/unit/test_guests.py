"""Processes that write through the one that has the file: what they hear, and what they survive."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import apsw
import msgspec
import pytest

from letterbox.adapters.clock import SystemClock
from letterbox.adapters.sqlite import SqliteStore, frames, guest, keeper
from letterbox.adapters.sqlite.frames import Answer, Ask, Frames, FromKeeper, Hello, Leave, frame
from letterbox.ports.store import Announce, Append, Emit, Put, StoreUnavailable
from letterbox.unix import is_ours
from tests.contract.acts import ANNA, done, on
from tests.fault.deliveries import Clients, check
from tests.support.beside import Beside

CLOCK = SystemClock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
async def house(path):
    opened = await Beside.open(path, CLOCK)
    yield opened
    await opened.close()


@asynccontextmanager
async def another(path: Path) -> AsyncIterator[SqliteStore]:
    joined = await SqliteStore.join(path, CLOCK)
    try:
        yield joined
    finally:
        await joined.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - it is asked of what has no event
            await asyncio.sleep(0)


def cut_off(house: Beside) -> None:
    """As if the keeper's process were gone: nothing is answered, nobody listens."""
    server, house.keeper._server = house.keeper._server, None
    server.close()
    for visit in tuple(house.keeper._visits):
        visit.end()


async def keep_anew(house: Beside) -> None:
    house.keeper = house.owner.keeper()
    await house.keeper.start()


# ---- what they hear ---------------------------------------------------------------------------


async def test_each_hears_what_others_announce_and_itself_once(house, path):
    async with another(path) as third:
        heard: dict[str, list[str | None]] = {"owner": [], "guest": [], "third": []}
        stores = {"owner": house.owner, "guest": house.guest, "third": third}
        for name, store in stores.items():
            store.listen(heard[name].append)
        for count, (name, store) in enumerate(stores.items(), start=1):
            await done(store, f"consumer/{name}", Announce())
            assert heard[name][-1] == f"consumer/{name}"
            await until(lambda n=count: all(len(each) == n for each in heard.values()))
        assert heard["owner"] == heard["guest"] == heard["third"]


async def test_who_follows_a_log_is_woken_by_another(house, path):
    async with another(path) as third:
        following = asyncio.create_task(third.follow(ANNA, "feed", after=0, seconds=20))
        await asyncio.sleep(0)
        await done(house.guest, ANNA, Append(log="feed", value=b"1"))
        assert await asyncio.wait_for(following, 10)


async def test_work_of_a_guest_wakes_the_keeper(house):
    waiting = asyncio.create_task(house.owner.wait(20))
    await asyncio.sleep(0)
    await done(house.guest, ANNA, Put(key="k", value=b""))
    assert not waiting.done()
    await done(house.guest, ANNA, Emit(value=b""))
    assert await asyncio.wait_for(waiting, 10)


async def test_after_a_gap_anything_may_be_another(house):
    heard: list[str | None] = []
    house.guest.listen(heard.append)
    following = asyncio.create_task(house.guest.follow(ANNA, "feed", after=0, seconds=20))
    await asyncio.sleep(0)
    cut_off(house)
    await until(lambda: house.guest._writer._line is None)
    await done(house.owner, ANNA, Append(log="feed", value=b"1"), Announce())
    await keep_anew(house)
    assert await asyncio.wait_for(following, 10)
    assert heard == [None]


# ---- a keeper that goes -----------------------------------------------------------------------


async def test_what_was_sent_to_a_keeper_that_goes_may_have_happened(house, monkeypatch):
    held: list[object] = []
    monkeypatch.setattr(house.keeper, "submit", lambda *call: held.append(call))
    asked = asyncio.create_task(done(house.guest, ANNA, Put(key="k", value=b"")))
    await until(lambda: bool(held))
    cut_off(house)
    with pytest.raises(StoreUnavailable, match="gone before it answered"):
        await asked


async def test_what_was_not_sent_waits_for_the_next_keeper(house):
    cut_off(house)
    await until(lambda: house.guest._writer._line is None)
    asked = [
        asyncio.create_task(done(house.guest, ANNA, Put(key=f"{n}", value=b""))) for n in range(50)
    ]
    await asyncio.sleep(0.1)
    assert not any(each.done() for each in asked)
    await keep_anew(house)
    assert await asyncio.gather(*asked) == [(1,)] * 50


async def test_it_waits_a_moment_and_in_a_queue_of_some_length(house, path, monkeypatch):
    monkeypatch.setattr(house.guest._writer, "_patience", 0.3)
    monkeypatch.setattr(house.guest._writer, "_most_waiting", 2)
    cut_off(house)
    await until(lambda: house.guest._writer._line is None)
    asked = []
    for number in range(2):
        asked.append(asyncio.create_task(done(house.guest, ANNA, Put(key=f"{number}", value=b""))))
        await asyncio.sleep(0.1)
    with pytest.raises(StoreUnavailable, match="2 commits are waiting"):
        await done(house.guest, ANNA, Put(key="k", value=b""))
    for each in asked:
        with pytest.raises(StoreUnavailable, match="nothing was done"):
            await each
    monkeypatch.setattr(guest, "PATIENCE", 0.1)
    with pytest.raises(StoreUnavailable, match="nobody keeps the store"):
        await SqliteStore.join(path, CLOCK)
    await keep_anew(house)
    await done(house.guest, ANNA, Put(key="k", value=b""))
    assert await house.guest.get(ANNA, "0") is None


async def test_a_keeper_that_hands_over_leaves_nobody_in_doubt(house):
    clients = Clients(house.guest)
    for _ in range(3):
        await clients.deliver_more(30)
        await house.keeper.close()
        await keep_anew(house)
    await clients.stop()
    assert clients.heard == []
    await check(house.owner, clients.acknowledged)


async def test_whatever_happens_to_keepers_what_was_acknowledged_is_there_once(house):
    clients = Clients(house.guest)
    for _ in range(5):
        await clients.deliver_more(20)
        cut_off(house)
        await asyncio.sleep(0.02)
        await keep_anew(house)
    await clients.deliver_more(20)
    await clients.stop()
    await check(house.owner, clients.acknowledged)
    await check(house.guest, clients.acknowledged)


async def test_what_a_guest_has_asked_is_done_though_it_goes(house, path):
    joined = await SqliteStore.join(path, CLOCK)
    asked = asyncio.create_task(done(joined, ANNA, Put(key="k", value=b"")))
    await until(lambda: bool(joined._writer._sent))
    asked.cancel()
    joined._writer._line.end()
    await joined.close()
    # Sent before it went: it is in front of what another asks now, or will be in a moment.
    await until(lambda: len(house.keeper._visits) == 1)
    await done(house.guest, ANNA, Put(key="k", value=b"", expect=1))


async def test_at_the_end_what_was_asked_is_answered(house, path):
    joined = await SqliteStore.join(path, CLOCK)
    asked = [asyncio.create_task(done(joined, ANNA, Put(key=f"{n}", value=b""))) for n in range(20)]
    await asyncio.sleep(0)
    await joined.close()
    assert await asyncio.gather(*asked) == [(1,)] * 20
    with pytest.raises(StoreUnavailable, match="closed"):
        await done(joined, ANNA, Put(key="k", value=b""))


async def test_who_comes_as_the_keeper_ends_waits_for_the_next_one(house, path, monkeypatch):
    came = keeper.Keeper.came
    ending: list[asyncio.Task[None]] = []

    def come(self, visit):
        """The keeper ends in the very moment that somebody is in."""
        came(self, visit)
        if not ending:
            ending.append(asyncio.create_task(self.close()))

    monkeypatch.setattr(keeper.Keeper, "came", come)
    joining = asyncio.create_task(SqliteStore.join(path, CLOCK))
    await until(lambda: bool(ending))
    async with asyncio.timeout(3):  # nobody has to be shown out
        await ending[0]
    await keep_anew(house)
    await done(joined := await joining, ANNA, Put(key="k", value=b""))
    await joined.close()


# ---- what may come in -------------------------------------------------------------------------


@asynccontextmanager
async def stranger(path: Path, *, says: bytes = b"") -> AsyncIterator[Callable[[], Awaitable]]:
    """Whoever connects; gives what reads the next that is said, None at the end."""
    reader, writer = await asyncio.open_unix_connection(frames.place(path))
    heard, cutting = [], Frames()

    async def hear():
        while not heard:
            with suppress(ConnectionError):
                if piece := await reader.read(65536):
                    heard.extend(cutting.cut(piece))
                    continue
            return None
        return FromKeeper.decode(heard.pop(0))

    writer.write(says)
    hear.write = writer.write
    try:
        yield hear
    finally:
        writer.close()


def bytes_of(*said) -> bytes:
    return b"".join(part for each in said for part in frame(each))


HELLO = bytes_of(Hello(frames.our_version()))


def asking(number: int, *commits) -> bytes:
    return b"".join(frames.asking(number, commits))


@pytest.mark.parametrize(
    "says",
    [
        b"GET / HTTP/1.1\r\n\r\n" * 9,
        b"\xff\xff\xff\xff",
        b"\0\0\0\1\xc1",
        b"\0\0\0\x09\x92\xa5hello\xa1\xff",
        asking(1, on(ANNA, Put(key="k", value=b""))),
        bytes_of(Answer(1, ())),
    ],
    ids=["HTTP", "too large", "no MessagePack", "no text", "no greeting", "a keeper's"],
)
async def test_who_is_none_of_us_is_shown_out_alone(house, path, says):
    async with stranger(path, says=says) as hear, asyncio.timeout(10):
        assert await hear() is None
    await done(house.guest, ANNA, Put(key="k", value=b"", expect=0))


async def test_another_version_is_told_of_ours_and_shown_out(house, path):
    said = bytes_of(Hello("0.0")) + asking(1, on(ANNA, Put(key="k", value=b"")))
    async with stranger(path, says=said[:-1]) as hear, asyncio.timeout(10):
        assert await hear() == Hello(frames.our_version())
        assert await hear() is None
    assert await house.owner.get(ANNA, "k") is None


async def test_no_commit_goes_to_a_keeper_of_another_version(house, path, monkeypatch):
    heard = []

    async def keep(reader, writer):
        writer.write(bytes_of(Hello("0.0")))
        heard.append(await reader.read())
        writer.close()

    monkeypatch.setattr(house.guest._writer, "_patience", 0.2)
    cut_off(house)
    frames.place(path).unlink()
    async with await asyncio.start_unix_server(keep, frames.place(path)):
        await until(lambda: bool(heard))
        with pytest.raises(StoreUnavailable, match="nothing was done"):
            await done(house.guest, ANNA, Put(key="k", value=b""))
    assert set(heard) == {HELLO}


async def test_a_frame_may_come_in_any_pieces(house, path):
    async with stranger(path) as hear, asyncio.timeout(10):
        for octet in HELLO + asking(7, on(ANNA, Put(key="k", value=b"v"))):
            hear.write(bytes([octet]))
            await asyncio.sleep(0)
        assert await hear() == Hello(frames.our_version())
        assert await hear() == Answer(7, ((1,),))


async def test_who_is_at_the_door_as_the_keeper_ends_is_told_so(house, path):
    async with asyncio.timeout(3), stranger(path) as hear:
        await asyncio.sleep(0.05)  # until it is at the door
        closing = asyncio.create_task(house.keeper.close())
        await asyncio.sleep(0)
        hear.write(HELLO)
        assert await hear() == Hello(frames.our_version())
        assert await hear() == Leave()
    await closing


async def test_half_a_frame_is_nothing(house, path):
    async with stranger(path, says=HELLO + asking(7, on(ANNA, Put(key="k", value=b"v")))[:-1]):
        await until(lambda: len(house.keeper._visits) == 2)
    await until(lambda: len(house.keeper._visits) == 1)
    assert await house.owner.get(ANNA, "k") is None


async def test_what_no_store_could_keep_fails_alone(house, path):
    nonsense = bytes_of(Ask(1, msgspec.Raw(msgspec.msgpack.encode([{"partition": 7}]))))
    said = HELLO + nonsense + asking(2, on(ANNA, Put(key="k", value=b"v")))
    async with stranger(path, says=said) as hear, asyncio.timeout(10):
        assert await hear() == Hello(frames.our_version())
        assert (await hear()).kind == "type"
        assert await hear() == Answer(2, ((1,),))


async def test_what_is_larger_than_a_frame_is_not_sent(house, monkeypatch):
    monkeypatch.setattr(frames, "LARGEST", 1000)
    with pytest.raises(ValueError, match="more than 1,000"):
        await done(house.guest, ANNA, Put(key="k", value=bytes(1000)))
    await done(house.guest, ANNA, Put(key="k", value=bytes(100)))


async def test_who_does_not_read_is_let_go(house, path, monkeypatch):
    monkeypatch.setattr(keeper, "MOST_UNREAD", 100_000)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(os.fspath(frames.place(path)))
        silent.sendall(HELLO)
        await until(lambda: len(house.keeper._visits) == 2)
        log = "feed" * 1000
        while len(house.keeper._visits) == 2:
            await done(house.owner, ANNA, *(Append(log=log, value=b"") for _ in range(50)))
    await done(house.guest, ANNA, Put(key="k", value=b""))


async def test_a_guest_cannot_write_the_file_itself(house):
    for db in (house.guest._opened.quick, house.guest._opened.reader):
        with pytest.raises(apsw.ReadOnlyError):
            db.execute("DELETE FROM documents")


async def test_its_socket_is_its_owners_alone_and_goes_with_it(path):
    place = frames.place(path)
    # One that a killed keeper has left.
    house = await Beside.open(path, CLOCK)
    cut_off(house)
    assert place.exists()
    await keep_anew(house)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    await house.close()
    assert not place.exists()


async def test_only_processes_of_the_same_user_are_ours(monkeypatch):
    one, other = socket.socketpair()
    with one, other:
        assert is_ours(one)
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        assert not is_ours(one)


async def test_a_large_body_is_written_by_a_guest_and_read_by_everybody(house, path):
    large = b"large" * 100_000
    await done(house.guest, ANNA, *await house.guest.prepare("body", large))
    assert await house.owner.read(ANNA, "body") == large
    async with another(path) as third:
        assert await third.read(ANNA, "body") == large
    house.owner._opened.sweep(CLOCK.now().timestamp() + 9999)
    assert await house.guest.read(ANNA, "body") == large
