"""What the embedded store promises when things go wrong: kills, full disks, and proof of the sync.

Run as a program, this file is the process that the tests watch, starve and kill.
"""

import asyncio
import itertools
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from letterbox.adapters.clock import SystemClock
from letterbox.adapters.sqlite import SqliteStore
from letterbox.ports.store import (
    StoreUnavailable,
)
from tests.fault.deliveries import ANNA, check, deliver
from tests.support.programs import program as installed


async def check_file(path: Path, acknowledged: set[str]) -> None:
    """The same of a file that is opened again."""
    store = await SqliteStore.open(path, SystemClock())
    try:
        await check(store, acknowledged)
    finally:
        await store.close()


# ---- the process under test -------------------------------------------------------------------


def say(word: str) -> None:
    os.write(1, word.encode() + b"\n")


async def deliver_for_ever(path: Path, run: str) -> None:
    store = await SqliteStore.open(path, SystemClock())
    numbers = itertools.count()

    async def committer() -> None:
        for number in numbers:
            await deliver(store, f"{run}-{number}")
            say(f"{run}-{number}")

    await asyncio.gather(*(committer() for _ in range(10)))


async def deliver_until_full(path: Path, _run: str) -> None:
    """Deliver under a limit to the size of files, then without it; tells what was acknowledged."""
    store = await SqliteStore.open(path, SystemClock())
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    refused = 0
    for number in itertools.count():
        try:
            await deliver(store, f"a-{number}")
        except StoreUnavailable:
            refused += 1
            if refused == 5:
                break
        else:
            say(f"a-{number}")
    assert await store.counters(ANNA, ["all"]) != {"all": 0}, "reading goes on meanwhile"
    say("refused")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    for number in range(20):
        await deliver(store, f"b-{number}")
        say(f"b-{number}")
    await store.close()


async def deliver_a_few(path: Path, synchronous: str) -> None:
    store = await SqliteStore.open(path, SystemClock(), synchronous=synchronous)
    for number in range(30):
        await deliver(store, str(number))
        say(f"done {number}")
    await store.close()


async def deliver_stubbornly(path: Path, _argument: str) -> None:
    """What is refused is sent again, as a vendor would; it must not have happened already."""
    store = await SqliteStore.open(path, SystemClock())
    for number in range(30):
        while True:
            try:
                await deliver(store, str(number))
            except StoreUnavailable:
                say("refused")
            else:
                say(str(number))
                break
    await store.close()


MODES = {
    "for-ever": deliver_for_ever,
    "until-full": deliver_until_full,
    "few": deliver_a_few,
    "stubborn": deliver_stubbornly,
}


def program(mode: str, path: Path, argument: str = "") -> list[str]:
    return [sys.executable, __file__, mode, str(path), argument]


# ---- the tests --------------------------------------------------------------------------------


def test_killed_at_any_moment_it_keeps_what_it_acknowledged(tmp_path):
    path = tmp_path / "store.db"
    acknowledged: set[str] = set()
    for run, patience in enumerate((1, 40, 150)):
        with subprocess.Popen(
            program("for-ever", path, str(run)), stdout=subprocess.PIPE, text=True
        ) as process:
            acknowledged.update(process.stdout.readline().strip() for _ in range(patience))
            process.send_signal(signal.SIGKILL)
            acknowledged.update(process.stdout.read().split())
        assert process.returncode == -signal.SIGKILL
        asyncio.run(check_file(path, acknowledged))
    assert len(acknowledged) >= 191


def test_a_full_disk_is_said_and_got_over(tmp_path):
    path = tmp_path / "store.db"
    ended = subprocess.run(
        program("until-full", path), stdout=subprocess.PIPE, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0
    said = ended.stdout.split()
    before, after = said[: said.index("refused")], said[said.index("refused") + 1 :]
    assert before
    assert after == [f"b-{number}" for number in range(20)]
    asyncio.run(check_file(path, {*before, *after}))


def strace(trace: Path) -> list[str]:
    """The beginning of a command that is traced."""
    return [installed("strace"), "-f", "-qq", "-o", str(trace)]


@pytest.mark.parametrize(
    ("call", "when"),
    # Counted in each thread; by then the store is open. fsync is for the files of large bodies.
    [("fdatasync", "10..13"), ("pwrite64", "300..340"), ("fsync", "4..5")],
)
def test_a_disk_that_fails_now_and_then_is_said_and_got_over(tmp_path, call, when):
    path = tmp_path / "store.db"
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when={when}"]
    ended = subprocess.run(
        [*strace(tmp_path / "trace"), *inject, *program("stubborn", path)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    said = ended.stdout.split()
    assert ended.returncode == 0, said
    assert "refused" in said
    assert [word for word in said if word != "refused"] == [str(n) for n in range(30)]
    asyncio.run(check_file(path, set(said) - {"refused"}))


CALL = re.compile(r"^\d+ +(?P<name>\w+)\((?P<file>\d+<[^>]*>)(?P<rest>.*)$")
RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")


def unsynced_acknowledgements(trace: str) -> tuple[int, int]:
    """How many acknowledgements the trace shows, and before how many the log was not synced.

    Synced is it when every write to it has returned, and after the last of them an fdatasync or
    fsync began and returned 0.
    """
    acknowledged = unsynced = 0
    written = synced = False
    begun: dict[str, bool] = {}  # thread -> whether nothing was written since its sync began
    for line in trace.splitlines():
        thread = line.split()[0]
        call, resumed = CALL.match(line), RESUMED.match(line)
        if resumed and resumed["name"].endswith("sync"):
            synced = synced or (begun.pop(thread, False) and line.endswith("= 0"))
        elif call and call["name"] == "write" and '"done ' in call["rest"]:
            acknowledged += 1
            unsynced += not (written and synced)
            written = synced = False
        elif call and call["file"].endswith("-wal>"):
            if "write" in call["name"]:
                written, synced = True, False
                begun = dict.fromkeys(begun, False)
            elif call["rest"].endswith("<unfinished ...>"):
                begun[thread] = True
            elif line.endswith("= 0"):
                synced = True
    return acknowledged, unsynced


@pytest.mark.parametrize(("synchronous", "unsynced"), [("FULL", 0), ("OFF", 30)])
def test_the_log_is_synced_before_each_acknowledgement(tmp_path, synchronous, unsynced):
    trace = tmp_path / "trace"
    calls = ["-y", "-e", "trace=write,pwrite64,pwritev,fsync,fdatasync"]
    subprocess.run(
        [*strace(trace), *calls, *program("few", tmp_path / "store.db", synchronous)],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=60,
    )
    assert unsynced_acknowledgements(trace.read_text()) == (30, unsynced)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(MODES[sys.argv[1]](Path(sys.argv[2]), sys.argv[3]))
