"""Several processes on the embedded store: one has the file, the others have the doors."""

import fcntl
import os
import signal
import smtplib

import pytest

from tests.fault.test_processes import (
    CLIENTS,
    PEOPLE,
    Load,
    all_there,
    events,
    is_ready,
    until,
)
from tests.support.processes import FREE_PORTS, Letterbox, ending

CUT_OFF = (smtplib.SMTPServerDisconnected, ConnectionResetError, BrokenPipeError)


@pytest.fixture
def several(tmp_path):
    said = f'{FREE_PORTS}[store]\nurl = "sqlite:letterbox.db"\n[admin]\nlisten = "127.0.0.1:0"\n'
    with ending(Letterbox(tmp_path, said, ("--processes", "2"))) as letterbox:
        letterbox.start()
        assert letterbox.apply(PEOPLE).returncode == 0
        yield letterbox


def pid(letterbox: Letterbox, number: int) -> int:
    """Who stands at this place now."""
    started = [line for line in events(letterbox, "process-started") if line["process"] == number]
    return int(started[-1]["pid"])


def kill(letterbox: Letterbox, number: int) -> None:
    """Kill who stands there, and return when somebody else is ready."""
    before = len(events(letterbox, "started"))
    os.kill(pid(letterbox, number), signal.SIGKILL)
    until(lambda: len(events(letterbox, "started")) > before)


def is_let_go(letterbox: Letterbox) -> bool:
    """Whether nobody has the store."""
    with (letterbox.folder / "letterbox.db.lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_the_keeper_and_then_another_is_killed_and_nothing_acknowledged_is_lost(several):
    with Load(several) as load:
        load.grows()
        kill(several, 0)
        load.grows()
        # What was on its way to the keeper is asked for again; everybody else waits for the next.
        deferred = load.failed[:]
        assert len(deferred) <= CLIENTS
        assert {(type(each), each.smtp_code) for each in deferred} <= {(smtplib.SMTPDataError, 451)}
        kill(several, 2)
        load.grows()
        assert len(load.failed) - len(deferred) <= CLIENTS
        assert {type(each) for each in load.failed[len(deferred) :]} <= {*CUT_OFF}
    assert {line["how"] for line in events(several, "process-ended")} == {"was killed by SIGKILL"}
    assert {line["process"] for line in events(several, "message")} == {1, 2}
    all_there(several, load.acknowledged)
    assert several.stop() == 0
    # Whoever has the file last leaves nothing beside it.
    left = {each.name for each in several.folder.glob("letterbox.db*")}
    assert left == {"letterbox.db", "letterbox.db.lock"}
    all_there(several, load.acknowledged)


def test_all_are_replaced_and_no_message_is_turned_away(several):
    with Load(several) as load:
        load.grows()
        several.process.send_signal(signal.SIGHUP)
        until(lambda: events(several, "replaced"))
        load.grows()
    assert load.failed == []
    assert len({line["pid"] for line in events(several, "process-started")}) == 6
    assert [line["process"] for line in events(several, "stopped")] == [0, 1, 2]
    assert all(is_ready(several, door) for door in ("admin", "admin.1", "admin.2"))
    # The command line reaches the keeper.
    several.ask("vendor", "list")
    assert events(several, "admin")[-1]["role"] == "keeper"
    all_there(several, load.acknowledged)
    assert several.stop() == 0


def test_asked_to_stop_all_that_is_taken_is_written_before_the_keeper_ends(several):
    with Load(several) as load:
        load.grows()
        # As a service manager does: every process at once.
        for number in range(3):
            os.kill(pid(several, number), signal.SIGTERM)
        assert several.stop() == 0
        load.is_refused()
    ended = [line["role"] for line in events(several, "stopped") if "process" in line]
    assert ended[-1] == "keeper"
    assert {type(each) for each in load.failed} <= {
        *(*CUT_OFF, ConnectionRefusedError, smtplib.SMTPConnectError, smtplib.SMTPSenderRefused)
    }
    all_there(several, load.acknowledged)


@pytest.mark.long
def test_without_their_supervisor_all_end_and_a_new_one_begins(several):
    with Load(several) as load:
        load.grows()
        several.kill()
        load.is_refused()
    until(lambda: len(events(several, "stopped")) == 3)
    until(lambda: is_let_go(several))
    several.start()
    all_there(several, load.acknowledged)
    assert several.stop() == 0


def test_a_store_that_another_has_is_left_alone(several, tmp_path):
    (tmp_path / "other").mkdir()
    said = f'{FREE_PORTS}[store]\nurl = "sqlite:{several.folder}/letterbox.db"\n'
    other = Letterbox(tmp_path / "other", said)
    done = other.run("serve", "--processes", "2")
    assert done.returncode == 1
    assert "another server answers at" in done.stderr
    # With a socket of its own it goes as far as the lock.
    apart = Letterbox(tmp_path / "other", f'{said}[admin]\nsocket = "admin.sock"\n')
    done = apart.run("serve", "--processes", "2")
    assert done.returncode == 1
    # The supervisor is named: the keeper, stopped alone, would be started again.
    assert f"letterbox.db is in use by process {several.process.pid}" in done.stderr
    with Load(several) as load:
        load.grows()
    assert load.failed == []
