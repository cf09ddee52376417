"""Several processes on one Redis store: who works what, who hears what, and who may write."""

import asyncio
import signal
import sys
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import timedelta

import pytest

from letterbox.adapters.redis import RedisStore, leases
from letterbox.ports.store import (
    SHARDS,
    Announce,
    Append,
    Emit,
    Put,
    Schedule,
    shard_of,
)
from tests.contract.acts import ANNA, BEN, done, on
from tests.support.clock import FakeClock

#: A partition in each shard.
ONE_IN_EACH = {shard_of(name): name for name in (f"consumer/{nth}" for nth in range(2000))}


@pytest.fixture
def server(redis_server):
    with redis_server.client() as client:
        client.flushall()
    return redis_server


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """A tenth of the time that leases have, so that a test need not wait for it."""
    monkeypatch.setattr(leases, "LASTS", 900)
    monkeypatch.setattr(leases, "_RENEWED", 0.1)
    monkeypatch.setattr(leases, "_RESTS", 0.2)


@asynccontextmanager
async def opened(server, **settings):
    store = await RedisStore.open(server.url, FakeClock(), **settings)
    try:
        yield store
    finally:
        await store.close()


async def until(what, seconds=20):
    """Ask until it is so."""
    async with asyncio.timeout(seconds):
        while not await what():  # noqa: ASYNC110 - it is asked of a server
            await asyncio.sleep(0.01)


async def due_in(store) -> set[str]:
    now = FakeClock().now()
    return {entry.partition for entry in await store.due(now, limit=1000)}


async def schedule_everywhere(store):
    now = FakeClock().now()
    await store.commit(*(on(name, Schedule(key="job", at=now)) for name in ONE_IN_EACH.values()))


async def test_shards_are_shared_evenly_and_each_is_worked_once(server):
    assert len(ONE_IN_EACH) == SHARDS
    everything = set(ONE_IN_EACH.values())
    async with opened(server) as one:
        await schedule_everywhere(one)
        assert await due_in(one) == everything
        async with opened(server) as other, opened(server) as third:
            shares: list[set[str]] = []

            async def shared():
                shares[:] = [await due_in(store) for store in (one, other, third)]
                # At no time is one shown to two.
                assert sum(map(len, shares)) == len(set().union(*shares))
                even = max(map(len, shares)) == -(-SHARDS // 3)
                return even and set().union(*shares) == everything

            await until(shared)

        async def all_here():
            return await due_in(one) == everything

        await until(all_here)


async def test_who_does_not_work_is_shown_no_work(server):
    async with opened(server, works=False) as gateway:
        await schedule_everywhere(gateway)
        await done(gateway, ANNA, Emit(value=b""))
        assert await due_in(gateway) == set()
        assert list(await gateway.outbox()) == []
        async with opened(server) as worker:
            assert await due_in(worker) == set(ONE_IN_EACH.values())
            assert len(await worker.outbox()) == 1


async def test_what_goes_on_outside_is_not_begun_by_another_as_well(server):
    names = set(ONE_IN_EACH.values())
    async with opened(server) as one:
        await schedule_everywhere(one)
        with ExitStack() as errands:
            for name in names - {ONE_IN_EACH[7]}:
                errands.enter_context(one.at_work(name))
            async with opened(server) as other:

                async def idle():
                    return await due_in(other) == {ONE_IN_EACH[7]}

                await until(idle)
                errands.close()

                async def half():
                    return len(await due_in(other)) == SHARDS // 2

                await until(half)


# "look" shows it its work, "work" writes as the task that was shown it, "call" as any other.
_ANOTHER = """
import asyncio, contextvars, sys
from letterbox.adapters.redis import RedisStore, leases
from letterbox.ports.store import Commit, Put, StoreUnavailable
from tests.support.clock import FakeClock
leases.LASTS, leases._RENEWED = 900, 0.1

async def main():
    store = await RedisStore.open(sys.argv[1], FakeClock())
    loop = asyncio.get_running_loop()
    blank = contextvars.copy_context()

    async def put(value):
        await store.commit(Commit("consumer/anna", (Put(key="k", value=value.encode()),)))
        return "done"

    print("@", "open", flush=True)
    while True:
        what, *value = (await loop.run_in_executor(None, sys.stdin.readline)).split()
        try:
            if what == "look":
                print("@", len(await store.due(FakeClock().now(), limit=1000)), flush=True)
            elif what == "work":
                print("@", await put(*value), flush=True)
            else:
                print("@", await loop.create_task(put(*value), context=blank), flush=True)
        except StoreUnavailable as error:
            print("@", error, flush=True)

asyncio.run(main())
"""


@asynccontextmanager
async def another_process(server):
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _ANOTHER, server.url, stdin=pipe, stdout=pipe
    )
    try:
        assert await answer(process) == b"open"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def answer(process):
    """What it says, between the lines of its log."""
    async with asyncio.timeout(20):
        while not (line := await process.stdout.readline()).startswith(b"@"):
            assert line, "it has ended"
        return line[2:].strip()


async def say(process, word):
    process.stdin.write(word + b"\n")
    return await answer(process)


async def test_the_work_of_a_killed_process_moves(server):
    async with opened(server, works=False) as gateway:
        await schedule_everywhere(gateway)
        async with another_process(server) as process:
            assert int(await say(process, b"look")) == SHARDS
            process.kill()
            await process.wait()
            async with opened(server) as worker:

                async def moved():
                    return await due_in(worker) == set(ONE_IN_EACH.values())

                await until(moved)


async def test_one_that_was_thought_dead_changes_nothing_and_goes_on_as_somebody_new(server):
    async with opened(server, works=False) as gateway:
        await schedule_everywhere(gateway)
        async with another_process(server) as process:
            assert int(await say(process, b"look")) == SHARDS
            assert await say(process, b"work before") == b"done"
            process.send_signal(signal.SIGSTOP)
            async with opened(server) as worker:

                async def taken():
                    return await due_in(worker) == set(ONE_IN_EACH.values())

                await until(taken)
                # It wakes in the midst of a commit that it was about to send.
                process.stdin.write(b"work late\n")
                process.send_signal(signal.SIGCONT)
                assert b"another process works here now" in await answer(process)

                async def goes_on():
                    return await say(process, b"call anew") == b"done"

                await until(goes_on)
                # Nor is what it was shown before to be written under its new name.
                assert b"another process works here now" in await say(process, b"work late")
                document = await gateway.get(ANNA, "k")
                assert document is not None
                assert document.value == b"anew"
                await say(process, b"look")
                assert await say(process, b"work again") == b"done"


async def test_a_lease_that_ended_while_nobody_came_is_taken_up_again(server):
    async with opened(server) as store:
        await schedule_everywhere(store)
        with server.client() as client:
            lease = f"letterbox1:{{{shard_of(ANNA)}}}:lease"
            client.delete(lease)
            while not client.exists(lease):
                assert await store.get(ANNA, "k") is None
        await done(store, ANNA, Put(key="k", value=b""))
        assert await due_in(store) == set(ONE_IN_EACH.values())


async def test_what_became_due_while_the_server_stood_still_is_not_slept_through(
    server, monkeypatch
):
    monkeypatch.setattr(leases, "LASTS", 300)  # it ends before anybody is deaf
    everything = set(ONE_IN_EACH.values())
    async with opened(server) as store:
        await schedule_everywhere(store)
        await store.wait(0)  # that it was scheduled is heard

        async def lapsed():
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    return not await due_in(store)
            return False

        server.pause()
        try:
            await until(lapsed)
        finally:
            server.resume()
        async with asyncio.timeout(20):
            while await due_in(store) != everything:
                await store.wait(30)


@pytest.mark.parametrize("channel", ["news", "work"])
async def test_what_cannot_be_read_is_taken_for_news_of_anything(server, channel):
    async with opened(server) as one, opened(server) as other:
        heard = []
        other.listen(heard.append)
        server.ask("PUBLISH", f"letterbox1:{channel}", b"somebody \xff")

        async def told():
            return None in heard

        await until(told)
        await one.commit(on(ANNA, Announce()))

        async def hears():
            return ANNA in heard

        await until(hears)


async def test_what_one_announces_the_others_hear(server):
    async with opened(server) as one, opened(server) as other:
        heard, own = [], []
        other.listen(heard.append)
        one.listen(own.append)
        await one.commit(
            on(ANNA, Announce()), on(BEN, Put(key="k", value=b"", expect=9), Announce())
        )

        async def there():
            return heard == [ANNA]

        await until(there)
        assert own == [ANNA]


async def test_who_follows_a_log_is_woken_by_another_process(server):
    async with opened(server) as one, opened(server) as other:
        following = [
            asyncio.create_task(other.follow(ANNA, "feed", after=0, seconds=20)) for _ in range(3)
        ]
        await asyncio.wait(following, timeout=0.05)
        await done(one, ANNA, Append(log="feed", value=b"1"))
        assert await asyncio.gather(*following) == [True] * 3
        assert not await other.follow(ANNA, "feed", after=1, seconds=0.01)


@pytest.mark.parametrize("operation", [Emit(value=b""), "soon"], ids=["emitted", "due soon"])
async def test_who_works_is_woken_by_another_process(server, operation):
    async with opened(server, works=False) as gateway, opened(server) as worker:
        if operation == "soon":
            operation = Schedule(key="k", at=FakeClock().now() + timedelta(seconds=5))
        waiting = asyncio.create_task(worker.wait(30))
        await asyncio.wait([waiting], timeout=0.05)
        await done(gateway, ANNA, operation)
        assert await waiting


async def test_who_was_deaf_hears_that_anything_may_be_another(server):
    async with opened(server) as one, opened(server) as other:
        heard = []
        other.listen(heard.append)
        following = asyncio.create_task(other.follow(ANNA, "feed", after=0, seconds=20))
        await asyncio.wait([following], timeout=0.05)
        with server.client() as client:
            client.client_kill_filter(_type="pubsub")

        async def told():
            return None in heard

        await until(told)

        async def acknowledges():
            try:
                await done(one, ANNA, Append(log="feed", value=b"1"))
            except Exception:  # noqa: BLE001 - deaf still
                return False
            return True

        await until(acknowledges)
        assert await following
