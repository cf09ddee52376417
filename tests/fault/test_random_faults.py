"""Everything at random, for a while: processes and servers killed, paused and replaced under load.

Two letterboxes of two processes each have one Redis Cluster, every primary with a replica that is
waited for. What was acknowledged is there, once; what comes again is answered as the first time.
``LETTERBOX_FAULT_SECONDS`` says how long (90), ``LETTERBOX_FAULT_SEED`` repeats a course.
"""

import os
import random
import signal
import smtplib
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

import pytest

from tests.support.house import mail
from tests.support.processes import FREE_PORTS, Letterbox, ending
from tests.support.redis import RedisCluster, RedisNode, until

SECONDS = float(os.environ.get("LETTERBOX_FAULT_SECONDS", "90"))
SEED = int(os.environ.get("LETTERBOX_FAULT_SEED", str(time.time_ns())))
CLIENTS = 50
CONSUMERS = 5
#: A server of the cluster that says nothing for so long is replaced.
NODE_TIMEOUT = 2.0
#: Longer than a lease, and than servers wait for one of theirs; once, in a long run, a minute.
PAUSE = 8.0
LONG_PAUSE = 60.0

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf"
domains = ["greenleaf.example"]
""" + "".join(
    f"""
[[consumer]]
id = "c{nth}"
addresses = ["c{nth}@letterbox.example"]
  [[consumer.window]]
  days = ["mon"]
  from = "03:00"
  until = "03:01"
  kinds = ["newsletter"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["personal", "newsletter"]
"""
    for nth in range(CONSUMERS)
)
#: What is sent in turn, and how it is answered.
KINDS = (
    ("personal", "250 2.0.0 delivered"),
    ("newsletter", "250 2.0.0 held"),
    ("offer", "550 5.7.1 not-accepted"),
)


def kind_of(number: int) -> tuple[str, str]:
    return KINDS[number % len(KINDS)]


class Load:
    """Clients that send each message until it is answered for good, to either letterbox."""

    def __init__(self, letterboxes: list[Letterbox]) -> None:
        self._letterboxes = letterboxes
        self._ended = threading.Event()
        self.answers: dict[int, str] = {}
        self.tries = Counter[str]()
        self._clients = [threading.Thread(target=self._send_all, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self) -> Self:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for client in self._clients:
            client.join()

    def _send_all(self, number: int) -> None:
        attempts = 0
        while not self._ended.is_set():
            attempts = 0
            while (answer := self._send(number, number + attempts)) is None and attempts < 1000:
                attempts += 1
                time.sleep(0.2)  # as senders come back later
            assert answer is not None
            self.answers[number] = answer
            number += CLIENTS

    def _send(self, number: int, which: int) -> str | None:
        """The final answer; None where the client is to come again."""
        letterbox = self._letterboxes[which % len(self._letterboxes)]
        kind, _ = kind_of(number)
        content = mail(f"Number {number}", number=number, Letterbox_Kind=kind)
        try:
            with smtplib.SMTP(*letterbox.address("smtp"), timeout=30) as client:
                client.ehlo()
                client.mail("bounces@greenleaf.example")
                client.rcpt(f"c{number % CONSUMERS}@letterbox.example")
                code, text = client.data(content)
        except (smtplib.SMTPException, OSError) as error:
            self.tries[type(error).__name__] += 1
            return None
        self.tries[str(code)] += 1
        return f"{code} {text.decode()}" if code in {250, 550} else None


class Chaos:
    """One fault after the other; each is over, and the servers are whole, before the next."""

    def __init__(self, cluster: RedisCluster, letterboxes: list[Letterbox]) -> None:
        self._cluster = cluster
        self._letterboxes = letterboxes
        self._random = random.Random(SEED)
        self.done = Counter[str]()

    def run(self) -> None:
        faults: list[Callable[[], None]] = [
            *(self.kill_process, self.pause_process, self.kill_supervisor),
            *(self.replace_processes, self.kill_server, self.pause_server),
        ]
        end = time.monotonic() + SECONDS
        while time.monotonic() < end or len(self.done) < len(faults):
            # Each once before any comes twice.
            rare = [fault for fault in faults if not self.done[fault.__name__]]
            fault = self._random.choice(rare or faults)
            fault()
            self.done[fault.__name__] += 1
            time.sleep(self._random.uniform(0.5, 2))

    def kill_process(self) -> None:
        os.kill(self._process(), signal.SIGKILL)

    def pause_process(self) -> None:
        process = self._process()
        os.kill(process, signal.SIGSTOP)
        time.sleep(PAUSE)
        os.kill(process, signal.SIGCONT)

    def kill_supervisor(self) -> None:
        letterbox = self._random.choice(self._letterboxes)
        letterbox.kill()
        letterbox.start()

    def replace_processes(self) -> None:
        letterbox = self._random.choice(self._letterboxes)
        assert letterbox.process is not None
        letterbox.process.send_signal(signal.SIGHUP)

    def kill_server(self) -> None:
        server = self._primary()
        server.kill()
        time.sleep(self._random.uniform(0, 2 * NODE_TIMEOUT))
        server.start()
        self.heal()

    def pause_server(self) -> None:
        server = self._primary()
        server.pause()
        is_long = SECONDS > 2 * LONG_PAUSE and not self.done["pause_server"]
        time.sleep(LONG_PAUSE if is_long else PAUSE)
        server.resume()
        self.heal()

    def heal(self) -> None:
        """Return when the cluster is whole, each primary with its replica."""
        until(lambda: all(node.is_ready() for node in self._cluster.nodes))
        until(lambda: sum(is_primary(node) for node in self._cluster.nodes) == 3)

    def _primary(self) -> RedisNode:
        return self._random.choice([node for node in self._cluster.nodes if is_primary(node)])

    def _process(self) -> int:
        """One of the processes under a supervisor."""
        while True:
            letterbox = self._random.choice(self._letterboxes)
            assert letterbox.process is not None
            words = ["pgrep", "-P", str(letterbox.process.pid)]
            found = subprocess.run(words, capture_output=True, text=True, check=False).stdout
            if found:
                return int(self._random.choice(found.split()))


def is_primary(node: RedisNode) -> bool:
    return bool(node.ask("ROLE")[0] == b"master")


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 300)
def test_whatever_happens_what_was_acknowledged_is_there_once(tmp_path):
    cluster = RedisCluster(tmp_path, replicas=1, timeout=int(NODE_TIMEOUT * 1000))
    configuration = (
        f'{FREE_PORTS}[store]\nurl = "{cluster.url}"\nreplicas = 1\n'
        '[admin]\nlisten = "127.0.0.1:0"\n[limits]\nheld_per_vendor = 100000\n'
        "held_per_consumer = 100000\nmessages_per_vendor_second = 100000\n"
    )
    with ExitStack() as stack:
        stack.callback(cluster.close)
        cluster.start()
        letterboxes = []
        for nth in range(2):
            folder = tmp_path / f"letterbox-{nth}"
            folder.mkdir()
            letterbox = Letterbox(folder, configuration, ("--processes", "2"))
            letterboxes.append(stack.enter_context(ending(letterbox)))
            letterbox.start()
        assert letterboxes[0].apply(PEOPLE).returncode == 0
        chaos = Chaos(cluster, letterboxes)
        with Load(letterboxes) as load:
            chaos.run()
        print(f"seed {SEED}; {len(load.answers)} messages; {chaos.done}; {load.tries}")
        check(letterboxes[0], load.answers)
        assert [letterbox.stop() for letterbox in letterboxes] == [0, 0]


def check(letterbox: Letterbox, answers: dict[int, str]) -> None:
    assert {
        number: answer
        for number, answer in answers.items()
        if not answer.startswith(kind_of(number)[1])
    } == {}
    for nth in range(CONSUMERS):
        exported = letterbox.ask("export", f"c{nth}")
        theirs = [number for number in sorted(answers) if number % CONSUMERS == nth]
        for section, kind in (("inbox", "personal"), ("held", "newsletter")):
            found = [entry["subject"] for entry in exported[section]]
            wanted = [f"Number {n}" for n in theirs if kind_of(n)[0] == kind]
            assert sorted(found) == sorted(wanted)
        refused = {
            row["subject"] for row in exported["decisions"] if "refuse" in str(row["verdict"])
        }
        assert {f"Number {n}" for n in theirs if kind_of(n)[0] == "offer"} <= refused
