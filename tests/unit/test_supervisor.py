"""The supervisor, with tiny processes in place of letterbox's own.

Run as a program, this file is a supervisor, to be killed.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from letterbox import supervisor
from letterbox.administration import Failed
from letterbox.doors import Sockets, share
from letterbox.model.configuration import AdminSection, Configuration, SmtpSection
from letterbox.model.role import Role
from letterbox.supervisor import Supervisor
from tests.support.ports import free_port

PATIENCE = 20
#: Answers whoever connects with its process id, once it is ready; ``mode`` says how it is.
CHILD = """
import json, os, select, signal, socket, sys
given, mode = json.loads(sys.argv[1]), open(sys.argv[2]).read().strip()
channel = socket.socket(fileno=given["channel"])
door = socket.socket(fileno=given["sockets"]["smtp"][0])
if mode == "fails":
    sys.exit(3)
if mode == "mute":
    signal.pause()
if mode == "stays":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
door.listen()
channel.send(b"ready")
if mode == "dies":
    sys.exit(4)
while channel not in select.select([door, channel], [], [])[0]:
    try:
        door.accept()[0].send(b"%d" % os.getpid())
    except BlockingIOError:
        pass
"""


class Bench:
    """A supervisor at work, and a client of its children."""

    def __init__(self, folder: Path, processes: int, **said: Any) -> None:
        self._mode = folder / "mode"
        self.mode("serves")
        configuration = Configuration(smtp=SmtpSection(listen="127.0.0.1:0"))
        self.shares = share(configuration, [Role.GATEWAY] * processes)
        self.place = self.shares[0]["smtp"][0].getsockname()
        self.ready = asyncio.Event()
        self.supervisor = Supervisor(
            self.shares, self.command, **{"announce": self.ready.set} | said
        )
        self.run = asyncio.create_task(self.supervisor.run())

    def mode(self, mode: str) -> None:
        self._mode.write_text(mode)

    def command(self, given: str) -> Sequence[str]:
        return [sys.executable, "-ISc", CHILD, given, str(self._mode)]

    async def ask(self) -> int:
        """Who answers."""
        reader, writer = await asyncio.open_connection(*self.place)
        try:
            return int(await reader.read())
        finally:
            writer.close()

    async def pids(self, processes: int) -> set[int]:
        """All who answer, when they are so many."""
        found: set[int] = set()
        async with asyncio.timeout(PATIENCE):
            while len(found) < processes:
                with suppress(ConnectionError, ValueError):
                    found.add(await self.ask())
        return found


@asynccontextmanager
async def at_work(folder: Path, processes: int = 2, **said: Any) -> AsyncIterator[Bench]:
    bench = Bench(folder, processes, **said)
    waiting = asyncio.create_task(bench.ready.wait())
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait({waiting, bench.run}, return_when=asyncio.FIRST_COMPLETED)
            yield bench
    finally:
        waiting.cancel()
        bench.run.cancel()
        with suppress(asyncio.CancelledError, Failed):
            await bench.run


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def events(capsys: pytest.CaptureFixture[str], name: str) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if name in line]


async def test_each_process_has_its_share_of_the_connections(tmp_path):
    async with at_work(tmp_path) as bench:
        assert len(await bench.pids(2)) == 2


async def test_who_connects_to_a_process_that_died_is_answered_by_the_next(tmp_path):
    async with at_work(tmp_path) as bench:
        before = await bench.pids(2)
        for pid in before:
            os.kill(pid, signal.SIGSTOP)
        # These wait at the doors of processes that will never answer.
        asking = [asyncio.create_task(bench.ask()) for _ in range(10)]
        await asyncio.sleep(0)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        answered = set(await asyncio.gather(*asking))
        assert answered.isdisjoint(before)
        assert await bench.pids(2) >= answered


async def test_who_dies_of_its_start_comes_back_ever_later(tmp_path):
    paused: list[float] = []
    enough = asyncio.Event()

    async def pause(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 9:
            enough.set()
            await asyncio.Event().wait()

    bench = Bench(tmp_path, 1, pause=pause)
    bench.mode("dies")
    async with asyncio.timeout(PATIENCE):
        await enough.wait()
    bench.run.cancel()
    with suppress(asyncio.CancelledError):
        await bench.run
    assert paused == [0, 1, 2, 4, 8, 16, 30, 30, 30]


async def test_where_the_first_is_never_ready_nothing_is_begun(tmp_path):
    bench = Bench(tmp_path, 4)
    bench.mode("fails")
    with pytest.raises(Failed, match="the first process ended with exit code 3"):
        await bench.run
    with pytest.raises(ConnectionRefusedError):
        await bench.ask()


async def test_asked_to_stop_all_end_and_nobody_waits_at_a_closed_door(tmp_path):
    async with at_work(tmp_path) as bench:
        pids = await bench.pids(2)
        os.kill(os.getpid(), signal.SIGTERM)
        await bench.run
        assert not any(is_there(pid) for pid in pids)
        with pytest.raises(ConnectionRefusedError):
            await bench.ask()


async def test_who_does_not_stop_when_asked_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "_ENDED_WITHIN", 0.1)
    bench = Bench(tmp_path, 2)
    bench.mode("stays")
    async with asyncio.timeout(PATIENCE):
        await bench.ready.wait()
        pids = await bench.pids(2)
        os.kill(os.getpid(), signal.SIGTERM)
        await bench.run
    assert not any(is_there(pid) for pid in pids)


async def test_asked_to_stop_while_nobody_is_ready_it_stops(tmp_path):
    bench = Bench(tmp_path, 2)
    bench.mode("mute")
    await until(lambda: bool(bench.supervisor._children))
    os.kill(os.getpid(), signal.SIGINT)
    async with asyncio.timeout(PATIENCE):
        await bench.run


async def test_all_are_replaced_and_nobody_is_turned_away(tmp_path):
    async with at_work(tmp_path) as bench:
        before, answered = await bench.pids(2), set[int]()
        os.kill(os.getpid(), signal.SIGHUP)
        # Each ask would fail where a connection was refused or not answered.
        while any(is_there(pid) for pid in before) or len(answered - before) < 2:
            answered.add(await bench.ask())
        assert len(answered - before) == 2
        assert (await bench.pids(2)).isdisjoint(before)


async def test_one_that_the_others_need_ends_before_its_successor_begins(tmp_path):
    async with at_work(tmp_path, first_ends_first=True) as bench:
        (first, second), before = bench.supervisor._posts, await bench.pids(2)
        assert first.child is not None
        pid = first.child.pid
        gone: list[bool] = []

        def command(given: str) -> Sequence[str]:
            gone.append(not is_there(pid))
            return bench.command(given)

        bench.supervisor._command = command
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: len(gone) == 2 and second.child is not None and not is_there(pid))
        await until(lambda: not any(is_there(each) for each in before))
        assert gone == [True, True]
        assert (await bench.pids(2)).isdisjoint(before)


async def test_where_its_successor_fails_it_is_tried_again_and_nobody_else_goes(tmp_path, capsys):
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0.05)

    async with at_work(tmp_path, first_ends_first=True, pause=pause) as bench:
        before = await bench.pids(2)
        bench.mode("fails")
        os.kill(os.getpid(), signal.SIGHUP)
        said: list[str] = []
        await until(lambda: bool(said.extend(events(capsys, "not-replaced")) or said))
        await until(lambda: len(pauses) > 3)
        bench.mode("serves")
        now = await bench.pids(2)
        assert len(now & before) == 1


@pytest.mark.parametrize("mode", ["fails", "mute"])
async def test_a_successor_that_is_not_ready_replaces_nobody(tmp_path, mode, capsys):
    async with at_work(tmp_path, ready_within=0.5) as bench:
        before = await bench.pids(2)
        bench.mode(mode)
        os.kill(os.getpid(), signal.SIGHUP)
        said: list[str] = []
        await until(lambda: bool(said.extend(events(capsys, "not-replaced")) or said))
        assert "successor" in said[0]
        assert await bench.pids(2) == before


async def test_what_is_unfit_is_not_begun(tmp_path, capsys):
    async with at_work(tmp_path, unfit=lambda: "a key is wrong") as bench:
        before = await bench.pids(2)
        os.kill(os.getpid(), signal.SIGHUP)
        said: list[str] = []
        await until(lambda: bool(said.extend(events(capsys, "not-replaced")) or said))
        assert "a key is wrong" in said[0]
        assert await bench.pids(2) == before


def test_without_their_supervisor_they_end(tmp_path):
    watching = subprocess.Popen(
        [sys.executable, __file__, str(tmp_path)],
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert watching.stderr is not None
    with watching.stderr as told:
        assert is_there(int(told.readline()))
        assert is_there(int(told.readline()))
        watching.kill()
        watching.wait()
        assert told.read() == b""  # which ends when the last of them has


# ---- the sockets ------------------------------------------------------------------------------


def close(shares: Sequence[Sockets]) -> None:
    for mine in shares:
        for sockets in mine.values():
            for each in sockets:
                each.close()


def ports(shares: Sequence[Sockets], name: str) -> list[int]:
    return [mine[name][0].getsockname()[1] for mine in shares]


def test_operators_have_a_door_at_each_process():
    first = free_port()
    listen = f"127.0.0.1:{first}"
    shares = share(Configuration(admin=AdminSection(listen=listen)), [Role.WORKER] * 3)
    assert ports(shares, "admin") == [first, first + 1, first + 2]
    close(shares)
    shares = share(Configuration(admin=AdminSection(listen="127.0.0.1:0")), [Role.WORKER] * 3)
    assert len(set(ports(shares, "admin"))) == 3
    close(shares)


def test_every_address_of_a_host_has_the_same_port():
    shares = share(Configuration(smtp=SmtpSection(listen="localhost:0")), [Role.GATEWAY] * 2)
    found = {each.getsockname()[1] for mine in shares for each in mine["smtp"]}
    assert len(found) == 1
    close(shares)


@pytest.mark.parametrize("listens", [True, False])
def test_a_door_of_another_supervisor_is_not_shared(listens):
    configuration = Configuration(smtp=SmtpSection(listen="127.0.0.1:0"))
    others = share(configuration, [Role.GATEWAY] * 2)
    place = f"127.0.0.1:{ports(others, 'smtp')[0]}"
    if not listens:
        close(others)
    else:
        others[0]["smtp"][0].listen()
    ours = Configuration(smtp=SmtpSection(listen=place))
    if listens:
        with pytest.raises(Failed, match="another program listens there"):
            share(ours, [Role.GATEWAY] * 2)
        close(others)
    else:
        close(share(ours, [Role.GATEWAY] * 2))


def test_the_port_of_operators_that_is_taken_is_named_by_its_process():
    first = share(Configuration(admin=AdminSection(listen="127.0.0.1:0")), [Role.WORKER])
    (taken,) = ports(first, "admin")
    first[0]["admin"][0].listen()
    below = f"127.0.0.1:{taken - 1}"
    says = f"admin.listen = {below} and 1 above it, for process 1: another program listens there"
    with pytest.raises(Failed, match=says):
        share(Configuration(admin=AdminSection(listen=below)), [Role.WORKER] * 2)
    close(first)


async def _be_killed(folder: Path) -> None:
    bench = Bench(folder, 2)
    bench.mode("stays")
    await bench.ready.wait()
    for pid in await bench.pids(2):
        print(pid, file=sys.stderr, flush=True)
    await bench.run


if __name__ == "__main__":
    asyncio.run(_be_killed(Path(sys.argv[1])))
