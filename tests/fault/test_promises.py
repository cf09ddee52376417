"""A 250 is a promise on disk: the whole server, killed and watched.

Run as a program, this file is a server whose disk is not synced, to show that the trace sees it.
"""

import re
import smtplib
import sys
import threading
from functools import partial

import pytest

from letterbox.adapters.sqlite import SqliteStore
from tests.support.house import mail
from tests.support.processes import Letterbox, ending, serving
from tests.support.programs import program

MESSAGES = 200
PEOPLE = """
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  domain = "greenleaf.example"
  scope = "everything"
  accepts = ["personal", "offer", "service", "newsletter"]
  limit = { messages = 200, per = "month", kinds = ["personal"] }
"""


def message(number: int) -> bytes:
    return mail(f"Number {number}", number=number, text="x" * 70 + "\r\n" + "y" * 9000 + "\r\n")


def send(letterbox: Letterbox, numbers: list[int], acknowledged: dict[int, str]) -> None:
    """Send one after another; note each reply before the next is sent. Ends when cut off."""
    try:
        with smtplib.SMTP(*letterbox.address("smtp"), timeout=30) as client:
            for number in numbers:
                client.ehlo_or_helo_if_needed()
                client.mail("bounces@greenleaf.example")
                client.rcpt("anna@letterbox.example")
                code, text = client.data(message(number))
                assert code == 250, text
                acknowledged[number] = text.decode()
    except (smtplib.SMTPException, OSError):
        return


def inbox(letterbox: Letterbox) -> list[str]:
    exported = letterbox.ask("export", "anna")
    return sorted(entry["subject"] for entry in exported["inbox"])


@pytest.mark.parametrize("after", [1, 60, pytest.param(150, marks=pytest.mark.long)])
def test_killed_in_mid_delivery_nothing_is_lost_and_nothing_comes_twice(tmp_path, after):
    with ending(Letterbox(tmp_path)) as letterbox:
        kill_and_resend(letterbox, after)


def kill_and_resend(letterbox: Letterbox, after: int) -> None:
    assert letterbox.apply(PEOPLE).returncode == 0
    letterbox.start()
    acknowledged: dict[int, str] = {}
    shares = [list(range(start, MESSAGES, 10)) for start in range(10)]
    clients = [
        threading.Thread(target=send, args=(letterbox, share, acknowledged)) for share in shares
    ]
    for client in clients:
        client.start()
    while len(acknowledged) < after and any(client.is_alive() for client in clients):
        clients[0].join(0.001)
    letterbox.kill()
    for client in clients:
        client.join()
    before = dict(acknowledged)
    assert after <= len(before) < MESSAGES, "killed in the middle"

    letterbox.start()
    there = inbox(letterbox)
    assert {f"Number {number}" for number in before} <= set(there)
    assert len(there) == len(set(there))
    # The vendors send everything again: what came already is not shown twice, and gets the
    # answer it got the first time.
    for share in shares:
        send(letterbox, share, acknowledged)
    assert len(acknowledged) == MESSAGES
    assert inbox(letterbox) == sorted(f"Number {number}" for number in range(MESSAGES))
    assert {number: acknowledged[number] for number in before} == before
    exported = letterbox.ask("export", "anna")
    assert len(exported["decisions"]) == MESSAGES
    assert letterbox.stop() == 0


def unsynced(trace: str) -> tuple[int, int]:
    """(deliveries acknowledged, those whose data was not synced before the reply went out)."""
    acknowledged = missing = 0
    dirty = False
    pending: set[str] = set()
    for line in trace.splitlines():
        thread = line.split(maxsplit=1)[0]
        if re.search(r"\bpwrite64\(\d+<[^>]*-wal>", line):
            dirty = True
        elif re.search(r"\bf(data)?sync\(\d+<[^>]*-wal>", line):
            if "<unfinished" in line:
                pending.add(thread)
            elif line.rstrip().endswith("= 0"):
                dirty = False
        elif re.search(r"<\.\.\. f(data)?sync resumed>", line) and thread in pending:
            pending.discard(thread)
            dirty = dirty and not line.rstrip().endswith("= 0")
        elif '"250 2.0.0 delivered' in line:
            acknowledged += 1
            missing += dirty
    return acknowledged, missing


@pytest.mark.parametrize(("synchronous", "safe"), [("FULL", True), ("OFF", False)])
def test_the_data_is_synced_before_the_reply(tmp_path, synchronous, safe):
    strace = program("strace")
    letterbox = Letterbox(tmp_path)
    assert letterbox.apply(PEOPLE).returncode == 0
    trace = tmp_path / "trace"
    calls = "trace=fsync,fdatasync,pwrite64,sendto,write,sendmsg,writev"
    letterbox.command = [
        # -D: the server stays our own child, and the tracer its side.
        *(strace, "-D", "-f", "-y", "-s", "40", "-o", str(trace), "-e", calls),
        *(sys.executable, __file__, synchronous),
    ]
    acknowledged: dict[int, str] = {}
    with ending(letterbox):
        letterbox.start()
        send(letterbox, list(range(30)), acknowledged)
        assert len(acknowledged) == 30
        assert letterbox.stop() == 0
    told, missing = unsynced(trace.read_text())
    assert told == 30
    assert (missing == 0) is safe


def test_a_terminated_server_finishes_what_it_began(tmp_path):
    with serving(tmp_path) as letterbox:
        assert letterbox.apply(PEOPLE).returncode == 0
        idle = smtplib.SMTP(*letterbox.address("smtp"), timeout=30)
        idle.ehlo()
        acknowledged: dict[int, str] = {}
        sender = threading.Thread(
            target=send, args=(letterbox, list(range(MESSAGES)), acknowledged)
        )
        sender.start()
        while len(acknowledged) < 20:
            sender.join(0.001)
        assert letterbox.stop() == 0
        sender.join()
        assert idle.getreply()[0] == 421
        idle.close()
        letterbox.start()
        assert set(inbox(letterbox)) >= {f"Number {number}" for number in acknowledged}


if __name__ == "__main__":
    from letterbox import cli

    level, *arguments = sys.argv[1:]
    SqliteStore.open = partial(SqliteStore.open, synchronous=level)  # type: ignore[method-assign]
    sys.argv = ["letterbox", *arguments]
    sys.exit(cli.main())
