"""Bodies outside the store: what directory and storage promise, and the trouble they may have."""

import asyncio
import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from letterbox.adapters.memory import MemoryStore
from letterbox.adapters.objects import DirectoryObjects
from letterbox.ports.store import Commit, StoreUnavailable
from letterbox.records import places
from letterbox.records.bodies import OutsideBodies
from tests.support.clock import FakeClock
from tests.support.objects import KEYS, object_server

HOUR = timedelta(hours=1)
ANNA = "message/anna"


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def server():
    async with object_server() as server:
        yield server


@pytest.fixture
async def directory(tmp_path):
    (tmp_path / "bodies").mkdir()
    objects = DirectoryObjects(tmp_path / "bodies", patience=30.0)
    yield objects
    await objects.close()


def files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*.eml"))


async def everything(objects, limit=3) -> list[str]:
    """All old ones, look by look; each look is bounded."""
    found, after = [], ""
    while True:
        looked = await objects.older(HOUR, after=after, limit=limit)
        assert len(looked.names) <= limit
        found += looked.names
        after = looked.after
        if not after:
            return sorted(found)


# ---- a directory ------------------------------------------------------------------------------


async def test_files_are_spread_over_folders_as_they_were_received(directory, tmp_path):
    for number in range(40):
        await directory.write(f"{number}", b"%d" % number)
    found = files(tmp_path)
    assert len({file.parent for file in found}) > 30
    assert sorted(file.read_bytes() for file in found) == sorted(b"%d" % n for n in range(40))
    assert all(file.stat().st_mode & 0o077 == 0 for file in found)


async def test_the_age_of_files_is_by_the_clock_of_their_disk(directory, tmp_path):
    names = [f"old {number}" for number in range(10)]
    for name in names:
        await directory.write(name, b"x")
    for file in files(tmp_path):
        os.utime(file, (0, file.stat().st_mtime - 3700))
    await directory.write("young", b"x")
    assert await everything(directory) == sorted(names)


async def test_drafts_of_those_who_were_killed_go_and_what_is_not_ours_stays(directory, tmp_path):
    await directory.write("name", b"x")
    (folder,) = {file.parent for file in files(tmp_path)}
    for name in ("0123.draft", "README", "other.eml"):
        (folder / name).write_bytes(b"x")
    for file in folder.iterdir():
        os.utime(file, (0, 0))
    (folder / "4567.draft").write_bytes(b"half of i")
    assert await everything(directory) == ["name"]
    assert {file.name for file in folder.iterdir()} == {
        "4567.draft",
        "README",
        "name.eml",
        "other.eml",
    }


async def test_a_directory_that_is_away_is_said_and_comes_back(directory, tmp_path):
    await directory.write("kept", b"x")
    (tmp_path / "bodies").rename(tmp_path / "away")
    for call in (
        directory.write("kept", b"x"),
        directory.write("new", b"x"),
        directory.read("kept"),
        directory.older(HOUR, after="", limit=1),
    ):
        with pytest.raises(StoreUnavailable, match="the directory of bodies"):
            await call
    # Nothing is written beneath the place of a disk that is not there.
    assert not (tmp_path / "bodies").exists()
    (tmp_path / "away").rename(tmp_path / "bodies")
    await directory.write("new", b"y")
    assert await directory.read("kept") == b"x"
    assert await directory.read("new") == b"y"


async def test_a_directory_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    go_on = threading.Event()
    objects = DirectoryObjects(tmp_path, patience=0.05)
    monkeypatch.setattr(objects._files, "write", lambda *_: go_on.wait(20))
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await objects.write("name", b"x")
    go_on.set()
    await objects.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await objects.read("name")


async def test_a_name_that_no_file_could_have_is_refused(directory):
    with pytest.raises(ValueError, match="200 at most"):
        await directory.write("x" * 201, b"")


# ---- storage that speaks S3 -------------------------------------------------------------------


async def test_the_age_of_objects_is_by_the_clock_of_their_server(server):
    objects = server.objects()
    names = [f"old {number}" for number in range(10)]
    for name in names:
        await objects.write(name, b"x")
    server.age(hours=1, seconds=1)
    await objects.write("young", b"x")
    await server.objects(prefix="another").write("of another", b"x")
    server.age(minutes=59)
    assert await everything(objects) == sorted(names)
    await objects.remove("old 1")
    await objects.remove("old 1")
    assert await objects.read("old 1") is None
    assert await objects.read("old 2") == b"x"


async def test_a_server_in_trouble_for_a_moment_is_asked_again(server):
    objects = server.objects()
    for call in (objects.write("name", b"x"), objects.read("name"), objects.remove("name")):
        server.troubles = 2
        await call
        assert server.troubles == 0


@pytest.mark.parametrize("trouble", [400, 403, 404, 500, 503])
async def test_a_server_in_trouble_is_said_and_nothing_it_wrote(server, trouble):
    objects = server.objects()
    server.trouble = trouble
    before = len(server.calls)
    with pytest.raises(StoreUnavailable, match="storage of bodies") as raised:
        await objects.write("name", b"x")
    assert len(server.calls) - before <= 4
    said = str(raised.value) + repr(raised.value.__cause__)
    assert not any(secret in said for secret in (*KEYS.values(), "AWS4"))
    server.trouble = None
    await objects.write("name", b"x")
    assert await objects.read("name") == b"x"


async def test_a_server_that_is_down_is_said_and_comes_back(server):
    objects = server.objects(patience=1.0)
    await objects.write("kept", b"x")
    await server.down()
    for call in (objects.write("new", b""), objects.read("kept"), objects.remove("kept")):
        with pytest.raises(StoreUnavailable):
            await call
    await server.up()
    assert await objects.read("kept") == b"x"


# ---- references -------------------------------------------------------------------------------


class Kept:
    """Bodies in a store of the tests', with what is outside."""

    def __init__(self, objects) -> None:
        self.store = MemoryStore(FakeClock())
        self.bodies = OutsideBodies(self.store, objects)

    async def keep(self, content: bytes, bodies=None) -> None:
        kept = await (bodies or self.bodies).prepare("anna", content)
        await self.store.commit(Commit(ANNA, tuple(kept)))


async def test_the_store_has_a_reference_and_not_the_content(directory):
    kept = Kept(directory)
    await kept.keep(b"y" * 100_000)
    reference = await kept.store.read(ANNA, "anna")
    assert reference is not None
    assert len(reference) < 100
    assert await kept.bodies.has("anna")
    assert places.message("anna") == ANNA


async def test_a_body_that_a_commit_named_and_is_not_there_is_no_forgotten_one(directory, tmp_path):
    kept = Kept(directory)
    await kept.keep(b"y")
    (file,) = files(tmp_path)
    file.write_bytes(b"z")
    with pytest.raises(StoreUnavailable, match="damaged"):
        await kept.bodies.read(ANNA, "anna")
    file.unlink()
    with pytest.raises(StoreUnavailable, match="missing"):
        await kept.bodies.read(ANNA, "anna")


@pytest.mark.parametrize("content", [b"From: a\r\n", b"\0letterbox/body/1\0", b""])
async def test_what_was_kept_in_the_store_before_is_still_read(directory, content):
    kept = Kept(directory)
    await kept.keep(content, kept.store)
    assert await kept.bodies.read(ANNA, "anna") == content


async def test_many_at_once(directory):
    await asyncio.gather(*(directory.write(f"{n}", b"%d" % n) for n in range(200)))
    found = await asyncio.gather(*(directory.read(f"{n}") for n in range(200)))
    assert found == [b"%d" % n for n in range(200)]
