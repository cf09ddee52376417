"""Commits a second of a store: ten committers, each a message and a consumer's commit.

    python bench/store.py [--seconds 5] [--page-size 8192] [--folder .] [--redis URL]

Every call keeps a body and its record, and changes one of 2,000 consumers as a delivery does. It
measures the embedded store, or an empty Redis server. Prints, per size of body, messages a second
and how long a commit took (milliseconds), and how long a look-up took meanwhile (microseconds).
"""

import argparse
import asyncio
import itertools
import random
import resource
import secrets
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import uvloop

from letterbox.adapters.clock import SystemClock
from letterbox.adapters.redis import RedisStore
from letterbox.adapters.sqlite import SqliteStore
from letterbox.adapters.sqlite.schema import PAGE_SIZE
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Add,
    Append,
    Claim,
    Commit,
    Done,
    Emit,
    Operation,
    Put,
    Schedule,
)

COMMITTERS = 10
CONSUMERS = 2000
RECORD = secrets.token_bytes(600)


def one_message(number: int, body: tuple[Operation, ...], clock: Clock) -> tuple[Commit, Commit]:
    now = clock.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    consumer = f"consumer/{random.randrange(CONSUMERS)}"
    ident = f"{number:012d}"
    return (
        Commit(partition=f"message/{ident}", operations=(Put(key="record", value=RECORD), *body)),
        Commit(
            partition=consumer,
            operations=(
                Claim(
                    name=secrets.token_hex(32),
                    value=ident.encode(),
                    expires=now + timedelta(days=7),
                ),
                Put(key=f"decision/{ident}", value=RECORD, expect=0),
                Put(key=f"inbox/{ident}", value=RECORD, expect=0),
                Append(log="decisions", value=ident.encode()),
                Add(counter=f"day/{now:%F}", expires=midnight),
                Schedule(key=ident, at=now + timedelta(days=90)),
                Emit(value=RECORD),
            ),
        ),
    )


async def measure(store: SqliteStore | RedisStore, clock: Clock, size: int, seconds: float) -> None:
    numbers = itertools.count(size * 1_000_000)  # other messages at each size
    content = secrets.token_bytes(size)
    taken: list[float] = []
    looked: list[float] = []
    end = time.perf_counter() + seconds

    async def committer() -> None:
        while (begun := time.perf_counter()) < end:
            number = next(numbers)
            body = await store.prepare(f"{number:012d}", content)
            results = await store.commit(*one_message(number, body, clock))
            if not all(isinstance(result, Done) for result in results):
                raise SystemExit(f"a guard failed: {results}")
            taken.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            await store.get(f"consumer/{random.randrange(CONSUMERS)}", "preferences")
            looked.append(time.perf_counter() - begun)

    await asyncio.gather(*(committer() for _ in range(COMMITTERS)))
    await store.close()
    taken.sort()
    looked.sort()
    print(
        f"{size / 1000:4.0f} KB: {len(taken) / seconds:7.0f} messages/s,"
        f" commit p50 {at(taken, 0.5) * 1e3:.2f} p99 {at(taken, 0.99) * 1e3:.1f}"
        f" p99.9 {at(taken, 0.999) * 1e3:.1f} max {taken[-1] * 1e3:.0f} ms,"
        f" look-up p50 {at(looked, 0.5) * 1e6:.0f} p99 {at(looked, 0.99) * 1e6:.0f}"
        f" max {looked[-1] * 1e6:.0f} us,"
        f" peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB"
    )


def at(ordered: list[float], share: float) -> float:
    return ordered[int(share * (len(ordered) - 1))]


async def run(chosen: argparse.Namespace, folder: Path) -> None:
    clock = SystemClock()
    for size in (10_000, 60_000):
        if chosen.redis:
            await measure(await RedisStore.open(chosen.redis, clock), clock, size, chosen.seconds)
        else:
            file = folder / f"{size}.db"
            store = await SqliteStore.open(file, clock, page_size=chosen.page_size)
            await measure(store, clock, size, chosen.seconds)


def main() -> None:
    arguments = argparse.ArgumentParser(description="Commits a second of a store")
    arguments.add_argument("--seconds", type=float, default=5)
    arguments.add_argument("--page-size", type=int, default=PAGE_SIZE)
    arguments.add_argument("--folder", type=Path, help="on the disk to measure; default: here")
    arguments.add_argument("--redis", metavar="URL", help="an empty server, instead of a file")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder or Path.cwd()) as folder:
        uvloop.run(run(chosen, Path(folder)))


if __name__ == "__main__":
    main()
