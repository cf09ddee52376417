"""Copies that are killed, changed or torn, and backups of a store that is being written."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from letterbox.adapters.clock import SystemClock
from letterbox.adapters.redis import RedisStore, alone, keys, leases
from letterbox.adapters.redis.copying import RedisTarget
from letterbox.adapters.sqlite import SqliteStore
from letterbox.adapters.sqlite.backup import SqliteBackup, SqliteDraft
from letterbox.adapters.sqlite.copying import SqliteRows, SqliteTarget
from letterbox.administration import Failed
from letterbox.model.configuration import StoreSection
from letterbox.moving import Unequal, back_up, check, copy
from letterbox.ports.copying import Incomplete
from letterbox.ports.store import Add, Claim, DropBody, Emit, Put, Schedule, StoreUnavailable
from letterbox.records import places
from letterbox.transfer import migrate, read_backup, write_backup
from tests.contract.acts import ANNA, BEN, done, on
from tests.fault import deliveries
from tests.fault.deliveries import content_of, deliver
from tests.support.processes import FREE_PORTS, Letterbox
from tests.support.redis import RedisServer

CLOCK = SystemClock()
KILLS = 3
ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
DELIVERING = """
import asyncio, sys
from pathlib import Path
from letterbox.adapters.clock import SystemClock
from letterbox.adapters.sqlite import SqliteStore
from tests.fault.deliveries import deliver

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]), SystemClock(), synchronous="OFF")
    for number in range(1_000_000):
        await deliver(store, str(number))
        print("done", number, flush=True)

asyncio.run(main())
"""


def silent(what: str, rows: int) -> None:
    """Nobody wants to hear how far it is."""


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    yield server
    server.close()


@pytest.fixture
def fast(monkeypatch):
    """A tenth of the time that processes and copies are thought there without a word."""
    for module in (leases, alone):
        monkeypatch.setattr(module, "LASTS", 900)
        monkeypatch.setattr(module, "_RENEWED", 0.1)


@pytest.fixture
def letterbox(tmp_path):
    return Letterbox(tmp_path, f"{FREE_PORTS}\n[admin]\nsocket = ''\n")


async def fill(path: Path, count: int = 40) -> set[str]:
    """A store with deliveries, some large, and a little of everything else."""
    store = await SqliteStore.open(path, CLOCK, synchronous="OFF")
    names = {str(number) for number in range(count)}
    for name in sorted(names):
        await deliver(store, name)
    tomorrow = CLOCK.now() + timedelta(days=1)
    await done(
        store,
        BEN,
        Add(counter="day", expires=tomorrow, amount=7),
        Claim(name="once", value=b"first", expires=tomorrow),
        Schedule(key="job", at=tomorrow, value=b"work"),
        Emit(value=b"owed"),
        Emit(value=b"owed, too"),
    )
    await store.commit(
        *(
            on(f"consumer/{number}", *(Put(key=f"{key}", value=b"v" * 99) for key in range(100)))
            for number in range(count)
        )
    )
    await store.close()
    return names


async def opened_target(url: str) -> RedisTarget:
    return await RedisTarget.make(
        url, CLOCK, home=places.message, replicas=0, patience=5, unsafe=False
    )


class Killed:
    """A command that is killed whenever it has come some steps further, until it is done."""

    def __init__(self, letterbox: Letterbox, *command: str) -> None:
        self.kills = 0
        self._letterbox = letterbox
        self._command = letterbox._command(*command, "--json")

    def run(self, progress, after=lambda: None) -> dict:
        """``progress`` says where it is; the answer of the run that came to its end.

        ``after`` is done after each kill.
        """
        while True:
            before = progress()
            process = subprocess.Popen(
                self._command,
                cwd=self._letterbox.folder,
                env=ENVIRONMENT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            seen, steps = before, 0
            while process.poll() is None and self.kills < KILLS:
                now = progress()
                seen, steps = now, steps + (now != seen)
                if steps > self.kills:
                    break
            if process.poll() is None and self.kills < KILLS:
                process.send_signal(signal.SIGKILL)
                process.communicate(timeout=30)
                self.kills += 1
                after()
                continue
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, err
            return json.loads(out)


def state_of_file(path: Path):
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return db.execute("SELECT state FROM copying").fetchall()
        finally:
            db.close()
    except apsw.Error:
        return None


async def test_a_killed_migration_to_redis_goes_on_where_it_was(tmp_path, letterbox, server):
    names = await fill(tmp_path / "store.db")
    killed = Killed(letterbox, "migrate", "--from", "sqlite:store.db", "--to", server.url)
    with server.client() as client:
        # Who was killed is waited for until its time ends, which here is at once.
        answer = killed.run(
            lambda: client.get(keys.COPYING), after=lambda: client.delete(keys.ALONE)
        )
        assert client.get(keys.COPYING) is None
    assert killed.kills == KILLS
    assert answer["resumed"]
    assert answer["rows"]["documents"]["count"] == 40 * 102
    store = await RedisStore.open(server.url, CLOCK)
    await deliveries.check(store, names)
    assert [entry.value for entry in await store.outbox()] == [b"owed", b"owed, too"]
    await store.close()


async def test_a_killed_restore_goes_on_where_it_was(tmp_path, letterbox):
    names = await fill(tmp_path / "store.db")
    target = tmp_path / "var" / "letterbox.db"  # what the configuration names, unless told
    section = StoreSection(url=f"sqlite:{tmp_path}/store.db")
    await write_backup(section, tmp_path / "backup", silent)
    killed = Killed(letterbox, "restore", "backup")
    answer = killed.run(lambda: state_of_file(target))
    assert killed.kills == KILLS
    assert answer["resumed"]
    store = await SqliteStore.open(target, CLOCK)
    await deliveries.check(store, names)
    await store.close()


class Stopped(Exception):
    """The copy ends here."""


def stopped(what: str, rows: int) -> None:
    """All is copied; nothing has been compared."""
    if what != "copied":
        raise Stopped


async def test_nobody_serves_or_copies_what_is_half_copied(tmp_path, letterbox, server):
    await fill(tmp_path / "store.db", 3)
    await fill(tmp_path / "other.db", 3)
    here = tmp_path / "var" / "letterbox.db"
    for url in (f"sqlite:{here}", server.url):
        with pytest.raises(Stopped):
            await migrate(StoreSection(), f"sqlite:{tmp_path}/store.db", url, stopped)
        with pytest.raises(Failed, match=r"is an unfinished copy of sqlite:.*store\.db: go on"):
            await migrate(StoreSection(), f"sqlite:{tmp_path}/other.db", url, silent)
        with pytest.raises(Incomplete):
            await migrate(StoreSection(), url, f"sqlite:{tmp_path}/third.db", silent)
        with pytest.raises(Incomplete):
            await write_backup(StoreSection(url=url), tmp_path / "backup", silent)
    with pytest.raises(Incomplete):
        await RedisStore.open(server.url, CLOCK)
    for command in ("serve", "export anna"):
        refused = letterbox.run(*command.split())
        assert refused.returncode == 1
        assert "is a copy of sqlite:" in refused.stderr
        assert "that was not finished: repeat the command" in refused.stderr
        assert "Traceback" not in refused.stderr


WRONG = {
    "bodies": "UPDATE bodies SET content = x'00' WHERE id = '1'",
    "documents": "UPDATE documents SET revision = revision + 1 WHERE key = 'inbox/1'",
    "log entries": "DELETE FROM logs WHERE sequence = 2",
    "counters": "UPDATE counters SET expires = expires + 1",
    "claims": "DELETE FROM claims WHERE name = 'once'",
    "due entries": "UPDATE due SET at = at + 1",
    "outbox entries": "UPDATE outbox SET value = x'00' WHERE sequence = 2",
}


@pytest.mark.parametrize("kind", WRONG)
async def test_a_wrong_copy_is_noticed_and_not_served(tmp_path, kind):
    await fill(tmp_path / "store.db", 3)
    urls = f"sqlite:{tmp_path}/store.db", f"sqlite:{tmp_path}/copy.db"
    with pytest.raises(Stopped):
        await migrate(StoreSection(), *urls, stopped)
    db = apsw.Connection(str(tmp_path / "copy.db"))
    db.execute(WRONG[kind])
    db.close()
    with pytest.raises(Unequal) as unequal:
        await migrate(StoreSection(), *urls, silent)
    assert [mistake.partition(":")[0] for mistake in unequal.value.mistakes] == [kind]
    with pytest.raises(Incomplete):
        await SqliteStore.open(tmp_path / "copy.db", CLOCK)


async def test_a_wrong_copy_in_redis_is_noticed(tmp_path, server):
    await fill(tmp_path / "store.db", 3)
    source = f"sqlite:{tmp_path}/store.db"
    with pytest.raises(Stopped):
        await migrate(StoreSection(), source, server.url, stopped)
    with server.client() as client:
        client.hset(keys.documents(ANNA), "inbox/1", b"1:2")
        client.delete(keys.body("message/0", "0"))
    with pytest.raises(Unequal) as unequal:
        await migrate(StoreSection(), source, server.url, silent)
    assert unequal.value.mistakes == (
        "bodies: 3 there, 2 here",
        "documents: 306 there, 306 here, not all alike",
    )


async def test_a_store_that_is_served_is_not_migrated_and_a_full_one_not_written(tmp_path):
    await fill(tmp_path / "store.db", 3)
    urls = f"sqlite:{tmp_path}/store.db", f"sqlite:{tmp_path}/copy.db"
    store = await SqliteStore.open(tmp_path / "store.db", CLOCK)
    with pytest.raises(StoreUnavailable, match="in use by process"):
        await migrate(StoreSection(), *urls, silent)
    await store.close()
    await migrate(StoreSection(), *urls, silent)
    for source, target in (urls, urls[::-1]):
        with pytest.raises(Failed, match="is not empty"):
            await migrate(StoreSection(), source, target, silent)
    with pytest.raises(StoreUnavailable, match="there is no store"):
        await migrate(StoreSection(), f"sqlite:{tmp_path}/none.db", urls[1], silent)
    assert not (tmp_path / "none.db").exists()


# ---- backups ----------------------------------------------------------------------------------


def delivering(path: Path, out: Path) -> subprocess.Popen[bytes]:
    """A process that delivers for ever, and writes down what was acknowledged."""
    command = [sys.executable, "-c", DELIVERING, str(path)]
    with out.open("wb") as acknowledged:
        return subprocess.Popen(command, env=ENVIRONMENT, stdout=acknowledged)


def acknowledged(process: subprocess.Popen[bytes], out: Path, at_least: int) -> set[str]:
    """What was acknowledged by now, once it is so many."""
    while len(names := set(re.findall(r"^done (\d+)\n", out.read_text(), re.MULTILINE))) < at_least:
        assert process.poll() is None
        time.sleep(0.01)
    return names


async def test_a_backup_beside_a_writing_process_has_all_that_was_acknowledged(tmp_path):
    path, out = tmp_path / "store.db", tmp_path / "acknowledged"
    process = delivering(path, out)
    try:
        for round_ in range(1, 4):
            before = acknowledged(process, out, at_least=150 * round_)
            backup = tmp_path / f"backup-{round_}"
            seal = await write_backup(StoreSection(url=f"sqlite:{path}"), backup, silent)
            assert not seal.gone
            assert backup.stat().st_mode & 0o777 == 0o600
            restored = tmp_path / f"restored-{round_}.db"
            await read_backup(StoreSection(url=f"sqlite:{restored}"), backup, silent)
            store = await SqliteStore.open(restored, CLOCK)
            await deliveries.check(store, before)
            await store.close()
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert not list(tmp_path.glob(".*"))  # no draft is left


async def test_a_body_that_is_dropped_meanwhile_is_left_out_and_told(tmp_path):
    store = await SqliteStore.open(tmp_path / "store.db", CLOCK)
    for ident in ("3", "13"):
        await deliver(store, ident)
    source = SqliteRows.open(tmp_path / "store.db", served=True)
    await done(store, "message/3", DropBody(id="3"))
    draft = SqliteDraft.make(tmp_path / "backup")
    seal = await back_up(source, draft, CLOCK, "1", silent)
    for each in (source, draft, store):
        await each.close()
    assert (seal.gone, seal.tallies["bodies"].count) == (1, 1)
    restored = StoreSection(url=f"sqlite:{tmp_path}/restored.db")
    await read_backup(restored, tmp_path / "backup", silent)
    store = await SqliteStore.open(tmp_path / "restored.db", CLOCK)
    assert await store.read("message/3", "3") is None
    assert await store.read("message/13", "13") == content_of("13")
    await store.close()


async def test_a_backup_that_is_torn_or_tampered_with_changes_nothing(tmp_path):
    await fill(tmp_path / "store.db", 5)
    backup, target = tmp_path / "backup", StoreSection(url=f"sqlite:{tmp_path}/new/store.db")
    await write_backup(StoreSection(url=f"sqlite:{tmp_path}/store.db"), backup, silent)
    whole = backup.read_bytes()

    async def refused(match: str) -> None:
        with pytest.raises((StoreUnavailable, Unequal), match=match):
            await read_backup(target, backup, silent)
        assert not (tmp_path / "new").exists()

    for length in (0, 50, 4096, len(whole) // 2, len(whole) - 1):
        backup.write_bytes(whole[:length])
        await refused("no whole backup|not a letterbox store|changed since it was made")
    middle = whole.rindex(content_of("3")[:64]) + 5000
    backup.write_bytes(whole[:middle] + b"?" + whole[middle + 1 :])
    await refused("changed since it was made")
    for act in WRONG.values():
        backup.write_bytes(whole)
        db = apsw.Connection(str(backup))
        db.execute(act)
        db.close()
        await refused("changed since it was made")
    backup.write_bytes(b"something else" * 1000)
    await refused("no whole backup")
    backup.write_bytes((tmp_path / "store.db").read_bytes())
    await refused("is no backup")
    backup.write_bytes(whole)
    await read_backup(target, backup, silent)
    with pytest.raises(Failed, match="is not empty"):
        await read_backup(target, backup, silent)
    with pytest.raises(FileExistsError):
        await write_backup(target, backup, silent)


async def test_a_redis_store_is_backed_up_when_nobody_serves_it(tmp_path, server, fast):
    names = await fill(tmp_path / "store.db", 5)
    await migrate(StoreSection(), f"sqlite:{tmp_path}/store.db", server.url, silent)
    store = await RedisStore.open(server.url, CLOCK)
    section = StoreSection(url=server.url)
    with pytest.raises(Failed, match="BGSAVE"):
        await write_backup(section, tmp_path / "backup", silent)
    await store.close()
    assert not (tmp_path / "backup").exists()
    await write_backup(section, tmp_path / "backup", silent)
    with server.client() as client:
        client.flushall()
    await read_backup(section, tmp_path / "backup", silent)
    store = await RedisStore.open(server.url, CLOCK)
    await deliveries.check(store, names)
    await store.close()


async def test_a_target_that_another_takes_is_given_up(tmp_path, server):
    await fill(tmp_path / "store.db", 3)
    source = SqliteRows.open(tmp_path / "store.db")
    target = await opened_target(server.url)

    def robbed(what: str, rows: int) -> None:
        if what == "copied":
            with server.client() as client:
                client.set(keys.ALONE, b"another")

    with pytest.raises(StoreUnavailable, match="somebody else may have had the store"):
        await copy(source, target, CLOCK, robbed)
    await source.close()
    await target.close()


async def test_a_backup_tells_what_it_holds(tmp_path):
    await fill(tmp_path / "store.db", 3)
    url = f"sqlite:{tmp_path}/store.db"
    seal = await write_backup(StoreSection(url=url), tmp_path / "backup", silent)
    backup = SqliteBackup.open_file(tmp_path / "backup")
    assert backup.seal == seal
    assert (seal.source, seal.newest, seal.tallies["documents"].count) == (url, 2, 306)
    await check(backup, silent)
    await backup.close()
    target = SqliteTarget.make(tmp_path / "new.db")
    assert await target.empty()
    await target.close()
