"""Bodies outside the store when things go wrong: kills between write, commit and removal.

Run as a program, this file is the process that is killed.
"""

import asyncio
import itertools
import os
import secrets
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from letterbox.adapters.memory import MemoryStore
from letterbox.adapters.objects import DirectoryObjects
from letterbox.adapters.sqlite import SqliteStore
from letterbox.delivery import strays
from letterbox.delivery.strays import GRACE, Strays
from letterbox.ports.store import Commit, DropBody, Put
from letterbox.records import places
from letterbox.records.bodies import OutsideBodies
from tests.contract.conftest import Apart
from tests.fault.deliveries import ANNA, check, deliver
from tests.support.clock import FakeClock
from tests.support.house import mail, open_house
from tests.support.objects import KEYS, ObjectServer, object_server

PEOPLE = """
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  domain = "greenleaf.example"
  scope = "everything"
  accepts = ["personal", "newsletter"]
"""
NAMES = ("kept", "dropped", "uncommitted")


@asynccontextmanager
async def opened(folder: Path):
    clock = FakeClock()
    store = await SqliteStore.open(folder / "store.db", clock)
    objects = DirectoryObjects(folder / "bodies", patience=30.0)
    bodies = OutsideBodies(store, objects)
    try:
        yield store, bodies, Strays(store=store, clock=clock, bodies=bodies)
    finally:
        await store.close()
        await objects.close()


async def commit(store, name: str, *operations) -> None:
    await store.commit(Commit(places.message(name), operations))


# ---- the process under test -------------------------------------------------------------------


async def write_commit_and_drop(folder: Path) -> None:
    """Write three bodies, commit two, drop one of them; then stand still."""
    async with opened(folder) as (store, bodies, _):
        for name in NAMES:
            kept = await bodies.prepare(name, name.encode())
            if name != "uncommitted":
                await commit(store, name, Put(key=places.MESSAGE, value=b""), *kept)
        await commit(store, "dropped", DropBody(id="dropped"))
        os.write(1, b"done\n")
        await asyncio.Event().wait()


async def deliver_for_ever(folder: Path) -> None:
    """Ten at once, which say what was acknowledged."""
    run = secrets.token_hex(4)
    numbers = itertools.count()
    async with opened(folder) as (store, bodies, _):
        both = Apart(store, bodies.objects)

        async def committer() -> None:
            for number in numbers:
                await deliver(both, f"{run}-{number}")
                os.write(1, f"{run}-{number}\n".encode())

        await asyncio.gather(*(committer() for _ in range(10)))


# ---- kills ------------------------------------------------------------------------------------


def killed_when_done(folder: Path) -> None:
    command = [sys.executable, __file__, "write", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert b"done\n" in process.stdout
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL


def acknowledged_until_killed(folder: Path, patience: int) -> set[str]:
    """What a program said that was killed after so many."""
    command = [sys.executable, __file__, "for-ever", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = [process.stdout.readline().strip() for _ in range(patience)]
        finally:
            process.kill()
        return {*said, *process.stdout.read().split()}


async def test_killed_at_any_moment_it_has_every_body_that_it_acknowledged(tmp_path):
    (tmp_path / "bodies").mkdir()
    acknowledged: set[str] = set()
    for patience in (1, 40, 100):
        acknowledged |= await asyncio.to_thread(acknowledged_until_killed, tmp_path, patience)
        async with opened(tmp_path) as (store, bodies, strays):
            await check(Apart(store, bodies.objects), acknowledged)
    grow_old(tmp_path / "bodies", 2 * GRACE)
    async with opened(tmp_path) as (store, bodies, strays):
        await sweep(store, strays)
        await check(Apart(store, bodies.objects), acknowledged)
        assert len(there(tmp_path)) == 1 + len(await store.documents(ANNA, "inbox/", limit=10_000))
    assert len(acknowledged) >= 141


def there(folder: Path) -> set[str]:
    return {file.stem for file in folder.rglob("*.eml")}


def grow_old(folder: Path, age: timedelta) -> None:
    for file in folder.rglob("*"):
        at = file.stat().st_mtime - age.total_seconds()
        os.utime(file, (at, at))


async def sweep(store, strays: Strays) -> None:
    """A sweep to its end."""
    await strays.sweep()
    while await store.get(places.DIRECTORY, places.STRAYS) is not None:
        await strays.sweep()


async def test_killed_between_write_commit_and_removal_it_leaves_what_a_sweep_takes(tmp_path):
    (tmp_path / "bodies").mkdir()
    await asyncio.to_thread(killed_when_done, tmp_path)
    assert there(tmp_path) == set(NAMES)
    async with opened(tmp_path) as (store, bodies, strays):
        grow_old(tmp_path / "bodies", GRACE - timedelta(minutes=5))
        await sweep(store, strays)
        assert there(tmp_path) == {*NAMES, "owner"}
        grow_old(tmp_path / "bodies", timedelta(minutes=6))
        await sweep(store, strays)
        assert there(tmp_path) == {"kept", "owner"}
        assert await bodies.read(places.message("kept"), "kept") == b"kept"


async def test_a_sweep_that_is_killed_between_its_rounds_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(strays, "_ROUND", 4)
    (tmp_path / "bodies").mkdir()
    async with opened(tmp_path) as (store, bodies, _):
        for number in range(20):
            kept = await bodies.prepare(f"{number}", b"x")
            if number % 2:
                await commit(store, f"{number}", *kept)
    grow_old(tmp_path / "bodies", 2 * GRACE)
    odd = {f"{number}" for number in range(1, 20, 2)}
    left = len(there(tmp_path))
    for _ in range(20):
        async with opened(tmp_path) as (store, _, sweeper):
            await sweeper.sweep()
            # As much as one round looked at, at most.
            assert left - len(there(tmp_path)) <= 4
            left = len(there(tmp_path))
            if await store.get(places.DIRECTORY, places.STRAYS) is None:
                break
    assert there(tmp_path) == odd | {"owner"}


async def test_what_is_committed_while_it_is_suspected_stays(tmp_path):
    (tmp_path / "bodies").mkdir()
    async with opened(tmp_path) as (store, bodies, strays):
        kept = await bodies.prepare("late", b"x")
        grow_old(tmp_path / "bodies", 2 * GRACE)
        await strays.sweep()
        await commit(store, "late", *kept)
        await sweep(store, strays)
        assert await bodies.read(places.message("late"), "late") == b"x"


# ---- storage that is away ---------------------------------------------------------------------


@pytest.fixture
def keys(monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


async def test_while_storage_is_down_nothing_is_acknowledged_and_it_goes_on_by_itself(keys):
    async with (
        object_server() as server,
        open_house(PEOPLE, objects=server.objects(patience=1.0)) as house,
    ):
        outcomes = {}
        for number in range(6):
            if number == 2:
                await server.down()
            if number == 4:
                await server.up()
            content = mail(f"Number {number}", number=number)
            received = await house.send(content, "anna@letterbox.example")
            (outcome,) = received.outcomes
            outcomes[number] = content if outcome.told.reply == 250 else None
            assert outcome.told.reply in {250, 451}
        assert [number for number, content in outcomes.items() if content is None] == [2, 3]
        page = await house.app.mailboxes.inbox("anna", after=None, limit=10)
        found = {await house.app.mailboxes.body(entry.message) for entry in page.items}
        assert found == {content for content in outcomes.values() if content is not None}


def mails(server: ObjectServer) -> int:
    return sum(key.endswith(".eml") and "/owner" not in key for key in server.kept)


async def test_the_daily_sweep_finds_what_consumers_have_removed(keys):
    async with object_server() as server, open_house(PEOPLE, objects=server.objects()) as house:
        await house.app.worker.start()
        await house.app.worker.stop()
        for number in range(3):
            await house.send(mail(number=number), "anna@letterbox.example")
        first, *_ = (await house.app.mailboxes.inbox("anna", after=None, limit=10)).items
        await house.app.mailboxes.remove("anna", first.id)
        for days in (29, 3):
            assert mails(server) == 3
            house.clock.advance(days=days)
            server.age(days=days)
            await house.work()
        house.clock.advance(days=1)
        await house.work()
        assert mails(server) == 2


async def test_what_is_kept_for_another_store_is_not_swept(tmp_path):
    (tmp_path / "bodies").mkdir()
    async with opened(tmp_path) as (store, bodies, strays):
        await commit(store, "kept", *await bodies.prepare("kept", b"x"))
        await sweep(store, strays)
    grow_old(tmp_path / "bodies", 2 * GRACE)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "bodies").symlink_to(tmp_path / "bodies")
    async with opened(tmp_path / "other") as (store, _, strays):
        await sweep(store, strays)
    assert there(tmp_path) == {"kept", "owner"}
    async with opened(tmp_path) as (store, bodies, strays):
        await commit(store, "kept", DropBody(id="kept"))
        await sweep(store, strays)
    assert there(tmp_path) == {"owner"}


async def test_bodies_in_the_store_have_no_strays():
    clock = FakeClock()
    store = MemoryStore(clock)
    await Strays(store=store, clock=clock, bodies=store).sweep()
    assert await store.due(clock.now() + timedelta(days=999)) == []


PROGRAMS = {"write": write_commit_and_drop, "for-ever": deliver_for_ever}

if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(PROGRAMS[sys.argv[1]](Path(sys.argv[2])))
