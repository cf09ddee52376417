"""What several processes on one Redis server take and cost, and what is stored of a message.

    python -m bench.many [--messages 4000] [--processes 1 2 4] [--runs 5]

Load, processes and server share this machine's cores. Prints, for each number of processes,
messages a second (medians) and the CPU of a message (milliseconds, all processes and the server
apart), then octets of the server's memory and of its append-only file per message, and per consumer
who has 200 companies.
"""

import argparse
import asyncio
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from subprocess import run as run_program

import msgspec
import structlog

from bench.load import Load, cpu_of, run
from bench.mails import AUTHOR
from bench.peers import Running, daemon, until_ready
from bench.peers.ours import COMMAND, CONFIG, letterbox
from bench.rules import PEOPLE, USERS
from letterbox.adapters.clock import SystemClock
from letterbox.adapters.redis import RedisStore, keys
from letterbox.app import App
from letterbox.model.configuration import Configuration
from letterbox.model.preferences import Preferences
from letterbox.records import places
from tests.support.plain import shipment
from tests.support.redis import RedisServer
from tests.support.signing import Zone

SESSIONS = 40
SIZES = (10_000, 60_000)
VENDORS = 200
CONSUMERS = 100


class Measured(msgspec.Struct, frozen=True):
    """Messages a second; milliseconds of CPU of one message; octets kept of it."""

    rate: float
    ours: float
    server: float
    memory: float
    file: float


@contextmanager
def redis(folder: Path) -> Iterator[RedisServer]:
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.close()


def process_of(server: RedisServer) -> int:
    return int(server.ask("INFO", "server")["process_id"])


def memory_of(server: RedisServer) -> int:
    return int(server.ask("INFO", "memory")["used_memory"])


def file_of(server: RedisServer) -> int:
    return sum(file.stat().st_size for file in (server.folder / "appendonlydir").iterdir())


def inboxes(server: RedisServer) -> int:
    """How many messages the users have."""
    listed = [keys.index(places.consumer(user)) for user in USERS]
    return sum(int(server.ask("ZLEXCOUNT", each, b"[inbox/", b"(inbox0")) for each in listed)


@contextmanager
def serving(
    place: Path, server: RedisServer, processes: int
) -> Iterator[tuple[Running, list[int]]]:
    """So many processes, and who they are."""
    text = re.sub(r'url = "sqlite:.*"', f'url = "{server.url}"', CONFIG)
    config, ready, log = (place / name for name in ("letterbox.toml", "ready.json", "serve.log"))
    config.write_text(text.format(place=place))
    ready.unlink(missing_ok=True)
    command = [COMMAND, "serve", "--config", str(config), "--ready-file", str(ready)]
    with daemon([*command, "--processes", str(processes)], log) as supervisor:
        until_ready(supervisor, log, ready.exists)
        people = place / "people.toml"
        people.write_text(PEOPLE.format(vendor=AUTHOR.rpartition("@")[2]))
        letterbox(place, "apply", str(people))
        found = run_program(
            ["pgrep", "-P", str(supervisor.pid)], capture_output=True, text=True, check=True
        )
        bound = msgspec.json.decode(ready.read_bytes())
        running = Running(
            port=int(bound["smtp"].rpartition(":")[2]),
            recipients=tuple(f"{user}@letterbox.example" for user in USERS),
            arrived=lambda: inboxes(server),
        )
        yield running, [int(pid) for pid in found.stdout.split()]


def measure(place: Path, processes: int, messages: int, size: int, runs: int) -> Measured:
    """The median run of several."""
    with redis(place / "redis") as server, serving(place, server, processes) as (running, pids):
        load = Load(messages=messages, size=size, sessions=SESSIONS)
        run(running, msgspec.structs.replace(load, messages=messages // 4))  # warm
        them = process_of(server)
        memory, file = memory_of(server), file_of(server)
        rates, ours, server_used = [], [], []
        for _ in range(runs):
            before, theirs = sum(map(cpu_of, pids)), cpu_of(them)
            rates.append(run(running, load).rate)
            ours.append((sum(map(cpu_of, pids)) - before) / messages * 1e3)
            server_used.append((cpu_of(them) - theirs) / messages * 1e3)
        count = messages * runs
        return Measured(
            rate=median(rates),
            ours=median(ours),
            server=median(server_used),
            memory=(memory_of(server) - memory) / count,
            file=(file_of(server) - file) / count,
        )


def preferences(nth: int) -> Preferences:
    """Of a consumer who has 200 companies, three interests and a window."""
    vendors = "".join(
        f'[[vendor]]\ndomain = "shop{n}.example"\nscope = "interests"\n'
        'accepts = ["offer", "service"]\nlimit = { messages = 3, per = "week" }\n'
        for n in range(VENDORS)
    )
    text = f"""
    addresses = ["c{nth}@letterbox.example"]
    [[window]]
    days = ["sat"]
    from = "09:00"
    until = "12:00"
    kinds = ["offer"]
    [[interest]]
    id = "garden"
    categories = ["home-garden/garden-tools"]
    max_price = {{ amount = 150, currency = "EUR" }}
    """
    return msgspec.toml.decode(text.replace("    ", "") + vendors, type=Preferences)


async def consumers(server: RedisServer) -> float:
    """Octets of memory that each takes."""
    clock = SystemClock()
    store = await RedisStore.open(server.url, clock)
    app = App(
        Configuration(public_url="https://letterbox.example"),
        store=store,
        bodies=store,
        clock=clock,
        resolver=Zone({}),
        shipment=shipment(),
    )
    before = memory_of(server)
    for nth in range(CONSUMERS):
        now = datetime.now(UTC)
        await app.consumers.replace(f"c{nth}", preferences(nth), expect=0, now=now)
    used = memory_of(server) - before
    await store.close()
    return used / CONSUMERS


def main() -> None:
    arguments = argparse.ArgumentParser(description="What processes on one Redis server take")
    arguments.add_argument("--messages", type=int, default=4000)
    arguments.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    arguments.add_argument("--runs", type=int, default=5)
    chosen = arguments.parse_args()
    print(f"{os.cpu_count()} cores; {SESSIONS} kept sessions")
    for size in SIZES:
        rates: list[float] = []
        for processes in chosen.processes:
            with tempfile.TemporaryDirectory(prefix="letterbox-bench-") as place:
                found = measure(Path(place), processes, chosen.messages, size, chosen.runs)
            rates.append(found.rate)
            print(
                f"{size / 1000:.0f} KB, {processes} processes: {found.rate:6.0f} a second"
                f" ({found.rate / rates[0]:.2f}), CPU {found.ours:.2f} ms ours,"
                f" {found.server:.2f} ms the server's; kept {found.memory / 1000:.1f} KB in memory,"
                f" {found.file / 1000:.1f} KB in its file"
            )
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with (
        tempfile.TemporaryDirectory(prefix="letterbox-bench-") as place,
        redis(Path(place) / "redis") as server,
    ):
        each = asyncio.run(consumers(server))
    print(f"a consumer with {VENDORS} companies: {each / 1000:.1f} KB in memory")


if __name__ == "__main__":
    main()
