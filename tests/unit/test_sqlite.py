"""What the embedded store adds to the contract: its file, its owner, its versions, its upkeep."""

import asyncio
import os
import stat
import threading
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from letterbox.adapters.sqlite import NotAStore, SchemaTooNew, SqliteStore, wal
from letterbox.adapters.sqlite.operations import Operations
from letterbox.adapters.sqlite.schema import MIGRATIONS, connect, prepare
from letterbox.adapters.times import stored
from letterbox.ports.store import (
    Add,
    Append,
    Claim,
    Commit,
    Document,
    Done,
    DropBody,
    Emit,
    Put,
    Rejected,
    Schedule,
    StoreInUse,
    StoreUnavailable,
    Trim,
)
from tests.support.clock import FakeClock

ANNA = "consumer/anna"
LARGE = b"large" * 100_000


def on(*operations) -> Commit:
    return Commit(partition=ANNA, operations=operations)


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "store.db"


@pytest.fixture
async def store(path, clock):
    opened = await SqliteStore.open(path, clock)
    yield opened
    await opened.close()


async def test_what_was_committed_is_there_after_a_restart(path, clock):
    store = await SqliteStore.open(path, clock)
    tomorrow = clock.now() + timedelta(days=1)
    await store.commit(
        on(
            Put(key="k", value=b"1"),
            Append(log="feed", value=b"1"),
            Add(counter="day", expires=tomorrow),
            Claim(name="n", value=b"1", expires=tomorrow),
            Schedule(key="job", at=tomorrow),
            Emit(value=b"1"),
            *await store.prepare("small", b"small"),
            *await store.prepare("large", LARGE),
        )
    )
    await store.close()
    store = await SqliteStore.open(path, clock)
    assert await store.get(ANNA, "k") == Document(key="k", revision=1, value=b"1")
    assert len(await store.log(ANNA, "feed")) == 1
    assert await store.counters(ANNA, ["day"]) == {"day": 1}
    assert await store.claim(ANNA, "n") == b"1"
    assert [entry.at for entry in await store.due(tomorrow)] == [tomorrow]
    (entry,) = await store.outbox()
    assert entry.value == b"1"
    assert await store.read(ANNA, "small") == b"small"
    assert await store.read(ANNA, "large") == LARGE
    await store.close()


async def test_a_closed_store_is_one_file_and_its_lock(path, clock):
    store = await SqliteStore.open(path, clock)
    await store.commit(on(Put(key="k", value=b"1")))
    await store.close()
    assert names(path.parent) == {"store.db", "store.db.lock"}


async def test_nobody_else_may_look(store, path):
    await store.commit(on(*await store.prepare("large", LARGE)))
    assert list(path.with_name("store.db-bodies").iterdir())
    for file in (path.parent, *path.parent.rglob("*")):
        assert stat.S_IMODE(file.stat().st_mode) == (0o700 if file.is_dir() else 0o600), file


async def test_a_second_owner_is_turned_away_and_told_of_the_first(store, path, clock):
    with pytest.raises(StoreInUse, match=rf"store\.db is in use by process {os.getpid()}"):
        await SqliteStore.open(path, clock)
    await store.close()
    second = await SqliteStore.open(path, clock)
    await second.close()


async def test_a_file_of_a_later_version_is_left_alone(path, clock):
    await (await SqliteStore.open(path, clock)).close()
    db = apsw.Connection(str(path))
    db.execute("PRAGMA user_version = 99")
    for _ in range(2):  # the second time shows that the first let go of the lock
        with pytest.raises(SchemaTooNew, match=r"store\.db has schema version 99"):
            await SqliteStore.open(path, clock)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    db.close()
    await (await SqliteStore.open(path, clock)).close()


async def test_a_file_that_is_no_database_is_left_alone(path, clock):
    content = b"not a database, but long enough to be read as one" * 99
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(NotAStore, match=r"store\.db is not a letterbox store"):
        await SqliteStore.open(path, clock)
    assert path.read_bytes() == content


async def test_a_database_of_another_program_is_left_alone(path, clock):
    path.parent.mkdir()
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE documents (title)")
    with pytest.raises(NotAStore, match="some other program"):
        await SqliteStore.open(path, clock)
    assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("documents",)]
    db.close()


async def test_a_place_that_cannot_be_written_is_named(tmp_path, clock):
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match=r"file/store\.db cannot be opened"):
        await SqliteStore.open(tmp_path / "file" / "store.db", clock)


# ---- versions ---------------------------------------------------------------------------------


@pytest.fixture
def db(tmp_path):
    path = tmp_path / "x.db"
    path.touch()
    connection = connect(path, writes=True)
    yield connection
    connection.close()


def test_an_older_file_is_brought_to_the_newest_version_with_all_it_holds(db, tmp_path):
    older, newer = MIGRATIONS, (*MIGRATIONS, "ALTER TABLE outbox ADD COLUMN tries DEFAULT 0")
    assert prepare(db, tmp_path, migrations=older) == 0
    db.execute("INSERT INTO outbox (shard, partition, value) VALUES (1, 'p', x'00')")
    assert prepare(db, tmp_path, migrations=newer) == len(older)
    assert db.execute("SELECT partition, tries FROM outbox").fetchall() == [("p", 0)]
    assert prepare(db, tmp_path, migrations=newer) == len(newer)
    with pytest.raises(SchemaTooNew):
        prepare(db, tmp_path, migrations=older)


def test_a_migration_that_fails_changes_nothing(db, tmp_path):
    prepare(db, tmp_path)
    with pytest.raises(apsw.SQLError):
        prepare(db, tmp_path, migrations=(*MIGRATIONS, "DROP TABLE outbox", "DROP TABLE outbox"))
    assert db.pragma("user_version") == len(MIGRATIONS)
    assert db.execute("SELECT count(*) FROM outbox").fetchall() == [(0,)]


async def test_claims_of_the_first_version_hold_and_are_forgotten_as_ever(db, tmp_path, clock):
    prepare(db, tmp_path, migrations=MIGRATIONS[:1])
    now = stored(clock.now())
    rows = [("kept", None), ("later", now + 1), ("over", now)]
    for name, expires in rows:
        row = (ANNA, name, name.encode(), expires)
        db.execute("INSERT INTO claims (partition, name, value, expires) VALUES (?, ?, ?, ?)", row)
    db.close()
    store = await SqliteStore.open(tmp_path / "x.db", clock)
    assert [await store.claim(ANNA, name) for name, _ in rows] == [b"kept", b"later", None]
    for name, _ in rows[:2]:
        again = Claim(name=name, value=b"again", expires=None)
        assert await store.commit(on(again)) == [Rejected(operation=again, found=name.encode())]
    clock.advance(hours=1)
    await store.commit(on(Claim(name="new", value=b"", expires=None)))
    assert (await store.names(ANNA)).claims == ("kept", "new")
    await store.close()


# ---- the writer -------------------------------------------------------------------------------


@pytest.fixture
def stalled(store, path):
    """The disk takes nothing until this is closed: another connection has the write lock."""
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


async def test_closing_finishes_what_waits(store, stalled):
    waiting = [asyncio.create_task(store.commit(on(Append(log="l", value=b"")))) for _ in range(9)]
    await asyncio.wait(waiting, timeout=0)
    closing = asyncio.create_task(store.close())
    await asyncio.wait([closing], timeout=0.01)
    assert not closing.done()
    stalled.execute("ROLLBACK")
    await closing
    assert [(await task)[0].numbers for task in waiting] == [(n + 1,) for n in range(9)]


async def test_a_commit_whose_caller_went_away_harms_nobody(store, stalled):
    gone = asyncio.create_task(store.commit(on(Put(key="gone", value=b""), Emit(value=b""))))
    stays = asyncio.create_task(store.commit(on(Put(key="stays", value=b""))))
    await asyncio.wait([gone, stays], timeout=0)
    gone.cancel()
    stalled.execute("ROLLBACK")
    assert await stays == [Done(numbers=(1,))]
    assert gone.cancelled()
    assert await store.get(ANNA, "gone") is not None
    assert await store.wait(0), "its work is done none the less"


async def test_when_too_many_wait_the_next_is_turned_away_at_once(path, clock):
    store = await SqliteStore.open(path, clock, most_waiting=3)
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    calls = [asyncio.create_task(store.commit(on(Put(key="k", value=b"")))) for _ in range(10)]
    refused, waiting = await asyncio.wait(calls, timeout=0.05)
    assert 3 <= len(waiting) <= 4  # the writer may have taken the first already
    for task in refused:
        with pytest.raises(StoreUnavailable, match="3 commits are waiting"):
            await task
    other.close()
    assert {type(result) for (result,) in await asyncio.gather(*waiting)} == {Done}
    await store.close()


async def test_nonsense_fails_alone_among_those_it_is_written_with(store, stalled):
    good, bad = on(Append(log="l", value=b"")), on(Put(key="\ud800", value=b""))
    calls = [asyncio.create_task(store.commit(each)) for each in (good, bad, good)]
    await asyncio.wait(calls, timeout=0)
    stalled.execute("ROLLBACK")
    first, second, third = await asyncio.gather(*calls, return_exceptions=True)
    assert (first, third) == ([Done(numbers=(1,))], [Done(numbers=(2,))])
    assert isinstance(second, UnicodeEncodeError)


@pytest.mark.parametrize(
    ("operations", "on_the_loop"),
    [
        ((Put(key="k", value=b""),), True),
        (tuple(Put(key=f"{n}", value=b"x") for n in range(2_000)), False),
        ((Trim(log="l", through=1),), False),
    ],
    ids=["few", "many", "rows"],
)
async def test_the_loop_is_kept_from_what_takes_long(store, monkeypatch, operations, on_the_loop):
    threads = []
    apply = Operations.call

    def seen(self, commits):
        threads.append(threading.current_thread())
        return apply(self, commits)

    monkeypatch.setattr(Operations, "call", seen)
    (result,) = await store.commit(on(*operations))
    assert len(result.numbers) == len(operations)
    assert [thread is threading.current_thread() for thread in threads] == [on_the_loop]


async def test_a_write_that_fails_is_told_to_all_and_the_next_works(store, path):
    db = apsw.Connection(str(path))
    db.execute("ALTER TABLE logs RENAME TO elsewhere")
    calls = (store.commit(on(Append(log="l", value=b""))) for _ in range(3))
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, StoreUnavailable)
    db.execute("ALTER TABLE elsewhere RENAME TO logs")
    db.close()
    assert await store.commit(on(Append(log="l", value=b""))) == [Done(numbers=(1,))]


# ---- upkeep -----------------------------------------------------------------------------------


async def test_what_has_expired_is_removed_a_little_at_a_time(store, path, clock):
    soon = clock.now() + timedelta(hours=1)
    await store.commit(
        on(
            *(Claim(name=f"{n}", value=b"", expires=soon) for n in range(20)),
            *(Add(counter=f"{n}", expires=soon) for n in range(20)),
            Claim(name="lasting", value=b"", expires=None),
        )
    )
    clock.advance(hours=1)
    db = apsw.Connection(str(path))
    count = "SELECT (SELECT count(*) FROM claims), (SELECT count(*) FROM counters)"
    left = []
    for number in range(4):
        await store.commit(on(Put(key=str(number), value=b"")))
        left += db.execute(count).fetchall()
        clock.advance(seconds=1)
    assert left == [(13, 12), (5, 4), (1, 0), (1, 0)]


async def test_what_has_expired_is_removed_under_load_without_waiting(store, path, clock):
    soon = clock.now() + timedelta(hours=1)
    await store.commit(on(*(Claim(name=f"{n}", value=b"", expires=soon) for n in range(200))))
    clock.advance(hours=1)
    for number in range(40):
        await store.commit(on(Put(key=str(number), value=b"")))
    db = apsw.Connection(str(path))
    assert db.execute("SELECT count(*) FROM claims").fetchall() == [(0,)]
    db.close()


async def test_the_log_does_not_grow_for_ever_under_load(store, path, monkeypatch):
    monkeypatch.setattr(store._writer._checkpoints, "_most_pages", 100)
    log = path.with_name("store.db-wal")
    sizes = []
    for number in range(60):
        await store.commit(on(*await store.prepare(str(number), bytes(250_000))))
        sizes.append(log.stat().st_size)
    assert max(sizes) < 60 * 250_000 / 2


def test_an_idle_writer_writes_the_log_back(db, tmp_path):
    prepare(db, tmp_path)
    checkpoints = wal.Checkpoints(lambda: connect(tmp_path / "x.db", writes=True), 8192)
    checkpoints.watch(db)
    assert checkpoints.idle
    db.execute("INSERT INTO outbox (shard, partition, value) VALUES (1, 'p', x'00')")
    assert not checkpoints.idle
    checkpoints.when_idle(db)
    assert checkpoints.idle
    pages, copied = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
    assert pages == copied > 0
    checkpoints.close()


# ---- files of large bodies --------------------------------------------------------------------


async def test_a_dropped_body_takes_its_file_along(store, path):
    folder = path.with_name("store.db-bodies")
    await store.commit(on(*await store.prepare("large", LARGE)))
    assert len(names(folder)) == 1
    await store.commit(on(DropBody(id="large")))
    # Files go after the answer and before the next transaction.
    await store.commit(on(Put(key="next", value=b"")))
    assert names(folder) == set()


@pytest.mark.parametrize(
    "after",
    [Put(key="\ud800", value=b""), Put(key="absent", value=b"", expect=1)],
    ids=["nonsense", "refused"],
)
async def test_a_body_whose_dropping_came_to_nothing_stays_readable(store, stalled, path, after):
    folder = path.with_name("store.db-bodies")
    stalled.execute("ROLLBACK")
    await store.commit(on(*await store.prepare("large", LARGE)))
    stalled.execute("BEGIN IMMEDIATE")
    # All in one transaction, in which the others are well.
    calls = [
        asyncio.create_task(store.commit(on(Put(key="first", value=b"")))),
        asyncio.create_task(store.commit(on(DropBody(id="large"), after))),
        asyncio.create_task(store.commit(on(Put(key="last", value=b"")))),
    ]
    await asyncio.wait(calls, timeout=0)
    stalled.execute("ROLLBACK")
    first, _, last = await asyncio.gather(*calls, return_exceptions=True)
    assert (first, last) == ([Done(numbers=(1,))], [Done(numbers=(1,))])
    assert await store.read(ANNA, "large") == LARGE
    assert len(names(folder)) == 1


async def test_old_files_that_no_commit_named_are_swept_at_the_next_start(path, clock):
    folder = path.with_name("store.db-bodies")
    store = await SqliteStore.open(path, clock)
    await store.commit(on(*await store.prepare("kept", LARGE)))
    await store.prepare("never committed", LARGE)
    (folder / "torn.draft").write_bytes(b"half of i")
    await store.close()
    now = clock.now().timestamp()
    for file in folder.rglob("*"):
        os.utime(file, (now, now - 3601))
    (folder / "young").write_bytes(b"a commit may be on its way")
    os.utime(folder / "young", (now, now - 3599))
    store = await SqliteStore.open(path, clock)
    async with asyncio.timeout(20):
        while len(names(folder)) > 2:  # noqa: ASYNC110 - nothing tells when the sweep is over
            await asyncio.sleep(0)
    assert (folder / "young").exists()
    assert await store.read(ANNA, "kept") == LARGE
    await store.close()


async def test_a_body_prepared_too_long_ago_is_not_acknowledged(store, path):
    kept = await store.prepare("large", LARGE)
    for file in path.with_name("store.db-bodies").glob("*/*"):
        file.unlink()
    with pytest.raises(StoreUnavailable, match="prepare it again"):
        await store.commit(on(Put(key="k", value=b""), *kept))
    assert await store.get(ANNA, "k") is None
