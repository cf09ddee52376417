"""letterbox itself on the embedded store, in one process or two; wishes as in the Sieve script."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import apsw
import msgspec

from bench.mails import AUTHOR
from bench.peers import Peer, Running, daemon, said_by, until_ready
from bench.rules import PEOPLE, USERS

COMMAND = str(Path(sys.executable).with_name("letterbox"))

#: What every server of the bench has; who the author is must be proven there.
PROVING = """\
hostname = "letterbox.example"
domains = ["letterbox.example"]

[http]
listen = "127.0.0.1:0"
requests_per_key = 1000000
requests_per_address = 1000000

[smtp]
listen = "127.0.0.1:0"
# One vendor sends everything over sessions that never end: no limit may end the measurement.
max_transactions = 1000000

[limits]
messages_per_vendor_second = 1000000

[store]
url = "sqlite:{place}/letterbox.db"
"""
#: Sender proof is off on both sides: this relay is believed to have done it.
CONFIG = f"""{PROVING}
[[smtp.trusted_peers]]
address = "127.0.0.1"
asserts = "from"
"""


class Footprint(msgspec.Struct, frozen=True):
    """What one process needs before it does anything. Seconds and MiB, resident."""

    start: float
    imports: float
    memory: float


class _Server(msgspec.Struct, frozen=True):
    """A server that is ready."""

    smtp: str
    http: str
    process: int


@contextmanager
def serving(place: Path, text: str = CONFIG, *more: str) -> Iterator[_Server]:
    """A server of its own, of that configuration; ``more`` of its command line."""
    config, ready, log = (place / name for name in ("letterbox.toml", "ready.json", "serve.log"))
    config.write_text(text.format(place=place))
    command = [COMMAND, "serve", "--config", str(config), "--ready-file", str(ready), *more]
    with daemon(command, log) as process:
        until_ready(process, log, ready.exists)
        bound = json.loads(ready.read_text())
        yield _Server(smtp=bound["smtp"], http=bound["http"], process=process.pid)


@contextmanager
def started(place: Path, text: str = CONFIG, *more: str) -> Iterator[Running]:
    """The same, with people whose wishes are the rules of :mod:`bench.rules`."""
    with serving(place, text, *more) as server:
        people = place / "people.toml"
        people.write_text(PEOPLE.format(vendor=AUTHOR.rpartition("@")[2]))
        letterbox(place, "apply", str(people))
        yield Running(
            port=int(server.smtp.rpartition(":")[2]),
            recipients=tuple(f"{user}@letterbox.example" for user in USERS),
            arrived=lambda: delivered(place / "letterbox.db"),
            process=server.process,
        )


def letterbox(place: Path, *arguments: str) -> str:
    command = [COMMAND, *arguments, "--config", str(place / "letterbox.toml")]
    return said_by(*command)


def delivered(store: Path) -> int:
    """How many messages stand in all inboxes of a store that is being served."""
    db = apsw.Connection(str(store), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        ((count,),) = db.execute("SELECT count(*) FROM documents WHERE key GLOB 'inbox/*'")
        return int(count)
    finally:
        db.close()


def footprint(place: Path) -> Footprint:
    """Start time and idle memory, before anything has been sent."""
    start = perf_counter()
    said_by(sys.executable, "-c", "import letterbox.app")
    imports = perf_counter() - start
    start = perf_counter()
    with serving(place) as server:
        seconds = perf_counter() - start
        # /proc counts in pages; the second number is what is resident (proc(5), statm).
        pages = int(Path(f"/proc/{server.process}/statm").read_text().split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return Footprint(start=seconds, imports=imports, memory=memory)


OURS = Peer(
    name="letterbox",
    versions=lambda: f"letterbox {version('letterbox')}",
    start=started,
    pace=1_200,
)
#: As many as the machine of the aims has cores; the peers spread over them by themselves.
TWO = ("--processes", "2")
SEVERAL = Peer(
    name="letterbox, two processes",
    versions=OURS.versions,
    start=lambda place: started(place, CONFIG, *TWO),
    pace=2_000,
)
