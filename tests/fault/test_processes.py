"""Several processes of one letterbox on one store, killed and replaced while mail comes in."""

import http.client
import json
import os
import signal
import smtplib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.house import mail
from tests.support.processes import FREE_PORTS, Letterbox, ending
from tests.support.redis import RedisServer

CLIENTS = 5
PATIENCE = 60
#: Seconds between two messages of a client: what came is looked through afterwards.
_BREATH = 0.05
PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf"
domains = ["greenleaf.example"]
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["personal"]
"""


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    yield server
    server.close()


def configuration(server: RedisServer) -> str:
    return f'{FREE_PORTS}[store]\nurl = "{server.url}"\n[admin]\nlisten = "127.0.0.1:0"\n'


@contextmanager
def serving(folder: Path, server: RedisServer, *options: str) -> Iterator[Letterbox]:
    folder.mkdir(exist_ok=True)
    with ending(Letterbox(folder, configuration(server), options)) as letterbox:
        letterbox.start()
        yield letterbox


@pytest.fixture
def several(tmp_path, server):
    """Two processes, and a socket for the command line."""
    said = configuration(server) + 'socket = "admin.sock"\n'
    with ending(Letterbox(tmp_path, said, ("--processes", "2"))) as letterbox:
        letterbox.start()
        assert letterbox.apply(PEOPLE).returncode == 0
        yield letterbox


class Load:
    """Clients that send one message after the other, each over a connection of its own."""

    def __init__(self, letterbox: Letterbox) -> None:
        self._place = letterbox.address("smtp")
        self._ended = threading.Event()
        self.acknowledged: set[int] = set()
        self.failed: list[Exception] = []
        self._clients = [
            threading.Thread(target=self._send, args=(number,)) for number in range(CLIENTS)
        ]

    def __enter__(self) -> Self:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for client in self._clients:
            client.join()

    def _send(self, number: int) -> None:
        while not self._ended.wait(_BREATH):
            client = smtplib.SMTP(timeout=30)
            try:
                client.connect(*self._place)
                said = mail(f"Number {number}", number=number)
                client.sendmail("bounces@greenleaf.example", ["anna@letterbox.example"], said)
                self.acknowledged.add(number)
                number += CLIENTS  # what failed is sent again, as every server would
            except (smtplib.SMTPException, OSError) as error:
                self.failed.append(error)
                if isinstance(error, ConnectionRefusedError):
                    break
            # After a message a server may go, too, and say so first.
            with suppress(smtplib.SMTPException, OSError):
                client.quit()
            client.close()

    def grows(self) -> None:
        """Wait for more to be acknowledged."""
        enough = len(self.acknowledged) + 20
        until(lambda: len(self.acknowledged) >= enough)

    def is_refused(self) -> None:
        """Wait until nobody listens any more."""
        until(lambda: not any(client.is_alive() for client in self._clients))


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.01)


def events(letterbox: Letterbox, name: str) -> list[dict[str, Any]]:
    """The log's lines of this event."""
    lines = letterbox.log.read_text().splitlines()
    return [json.loads(line) for line in lines if f'"event":"{name}"' in line]


def all_there(letterbox: Letterbox, acknowledged: set[int]) -> None:
    """What was acknowledged is in the inbox, and nothing is there twice."""
    inbox = [entry["subject"] for entry in letterbox.ask("export", "anna")["inbox"]]
    assert {f"Number {number}" for number in acknowledged} <= set(inbox)
    assert len(inbox) == len(set(inbox))


def is_ready(letterbox: Letterbox, door: str) -> bool:
    connection = http.client.HTTPConnection(*letterbox.address(door), timeout=30)
    connection.request("GET", "/readyz")
    status = connection.getresponse().status
    connection.close()
    return status == 200


def test_all_processes_are_replaced_and_no_message_is_turned_away(several):
    connection = http.client.HTTPConnection(*several.address("http"), timeout=30)
    with Load(several) as load:
        load.grows()
        several.process.send_signal(signal.SIGHUP)
        while not events(several, "replaced"):
            connection.request("GET", "/reasons")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            time.sleep(_BREATH)
        load.grows()
    connection.close()
    assert load.failed == []
    # Two of four processes are gone, and both places have taken messages.
    assert len({line["pid"] for line in events(several, "process-started")}) == 4
    assert [line["process"] for line in events(several, "stopped")] == [0, 1]
    assert {line["process"] for line in events(several, "message")} == {0, 1}
    assert is_ready(several, "admin")
    assert is_ready(several, "admin.1")
    # The command line reaches the successor.
    several.ask("vendor", "list")
    assert events(several, "admin")[-1]["process"] == 0
    with Load(several) as last:
        last.grows()
        assert several.stop() == 0
        last.is_refused()
    assert not several.ready_file.exists()
    assert not (several.folder / "admin.sock").exists()
    all_there(several, load.acknowledged | last.acknowledged)


@pytest.mark.long
def test_whoever_is_killed_takes_its_own_sessions_with_it_alone(several):
    with Load(several) as load:
        load.grows()
        for line in events(several, "process-started"):
            if line["process"] == 1:
                os.kill(line["pid"], signal.SIGKILL)
        until(lambda: len(events(several, "started")) == 3)
        load.grows()
    # No client is refused; at most one session each was cut off in its midst.
    assert len(load.failed) <= CLIENTS
    assert {type(error) for error in load.failed} <= {
        *(smtplib.SMTPServerDisconnected, ConnectionResetError, BrokenPipeError)
    }
    (death,) = events(several, "process-ended")
    assert (death["process"], death["how"]) == (1, "was killed by SIGKILL")
    all_there(several, load.acknowledged)
    # Without the supervisor the others end, and a new one begins.
    with Load(several) as load:
        load.grows()
        several.kill()
        load.is_refused()
    several.start()
    all_there(several, load.acknowledged)
    with Load(several) as load:
        load.grows()
    assert load.failed == []
    assert several.stop() == 0


def test_a_mistake_in_the_configuration_replaces_nobody(tmp_path, server):
    with serving(tmp_path, server, "--processes", "1") as letterbox:
        letterbox.config.write_text(letterbox.config.read_text() + "[nonsense]\n")
        assert letterbox.process is not None
        letterbox.process.send_signal(signal.SIGHUP)
        until(lambda: events(letterbox, "not-replaced"))
        assert "nonsense" in events(letterbox, "not-replaced")[0]["reason"]
        assert len(events(letterbox, "process-started")) == 1
        assert letterbox.stop() == 0


def test_three_roles_make_one_letterbox(tmp_path, server):
    with (
        serving(tmp_path / "gateway", server, "--role", "gateway") as gateway,
        serving(tmp_path / "web", server, "--role", "web") as web,
        serving(tmp_path / "worker", server, "--role", "worker", "--processes", "1") as worker,
    ):
        assert set(gateway.addresses) == {"smtp", "lmtp", "admin"}
        assert set(web.addresses) == {"http", "admin"}
        assert set(worker.addresses) == {"admin"}
        assert web.apply(PEOPLE).returncode == 0
        key = gateway.ask("key", "issue", "greenleaf")["key"]
        with smtplib.SMTP(*gateway.address("smtp"), timeout=30) as client:
            said = mail("Sale", number=1, Letterbox_Kind="offer")
            with pytest.raises(smtplib.SMTPDataError):
                client.sendmail("bounces@greenleaf.example", ["anna@letterbox.example"], said)
        # The gateway decides, the worker carries, and the web process tells.
        connection = http.client.HTTPConnection(*web.address("http"), timeout=30)
        headers = {"Authorization": f"Bearer {key}"}
        connection.request("GET", "/v1/feedback?after=0&wait=20", headers=headers)
        (event,) = json.loads(connection.getresponse().read())["items"]
        assert event["type"] == "message.refused"
        connection.close()
        assert [each.stop() for each in (gateway, web, worker)] == [0, 0, 0]


def test_where_the_store_is_not_there_the_error_is_told_once(tmp_path):
    unreachable = f'{FREE_PORTS}[store]\nurl = "unix:///nowhere/redis.sock"\n'
    done = Letterbox(tmp_path, unreachable).run("serve", "--processes", "3")
    assert done.returncode == 1
    assert done.stderr.count("the store does not answer") == 1
    assert "Traceback" not in done.stderr
