"""What is held, released again: how many a second, and how late, after a restart.

    python -m bench.held [--messages 20000] [--consumers 2000] [--over 0] [--redis URL]

So many messages are held for the same window, the store is closed, opened again, and the window
opens: at once for all, or (``--over`` seconds) one consumer after the other. Prints how many were
released a second, and how late they were (seconds).
"""

import argparse
import asyncio
import logging
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import structlog
import uvloop

from letterbox.adapters.clock import SystemClock
from letterbox.adapters.redis import RedisStore
from letterbox.adapters.sqlite import SqliteStore
from letterbox.app import App
from letterbox.intake import Submission
from letterbox.model.address import Address
from letterbox.model.configuration import Configuration
from letterbox.model.envelope import Client, Envelope
from letterbox.model.preferences import Preferences, Vendor
from letterbox.ports.store import Commit, Schedule, Store
from letterbox.records import places
from tests.support.plain import shipment
from tests.support.signing import Zone

#: When each entry of the due-set is due: by partition and key.
Dues = dict[tuple[str, str], datetime]
#: It starts on a Monday at noon, UTC.
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SHOP = Vendor(id="greenleaf", name="Greenleaf Garden", domains=("greenleaf.example",))
WISHES = msgspec.toml.decode(
    """
    timezone = "UTC"
    [[window]]
    days = ["tue"]
    from = "09:00"
    until = "12:00"
    kinds = ["offer"]
    [[vendor]]
    vendor = "greenleaf"
    scope = "everything"
    """,
    type=Preferences,
)
TEXT = "Pruners and loppers, sharp and light. " * 100


class ShiftedClock(SystemClock):
    """The machine's clock, at another time of day."""

    def __init__(self) -> None:
        self._ahead = NOON - super().now()

    def now(self) -> datetime:
        """The wall clock, as far ahead as it was set."""
        return super().now() + self._ahead

    def set(self, now: datetime) -> None:
        """Go on from another moment."""
        self._ahead = now - super().now()


async def fill(app: App, consumers: int, messages: int) -> None:
    """Hold the messages, sixteen at once."""
    await app.vendors.replace(SHOP)
    for nth in range(consumers):
        addresses = [{"address": f"c{nth}@letterbox.example"}]
        wishes = msgspec.convert(
            msgspec.to_builtins(WISHES) | {"addresses": addresses}, Preferences
        )
        await app.consumers.replace(f"c{nth}", wishes, expect=None, now=app.clock.now())
    numbers = iter(range(messages))

    async def send() -> None:
        for number in numbers:
            content = (
                "From: shop@greenleaf.example\r\nLetterbox-Kind: offer\r\n"
                f"Subject: Offer {number}\r\nMessage-ID: <{number}@greenleaf.example>\r\n"
                f"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n{TEXT}{number}\r\n"
            ).encode()
            envelope = Envelope(
                session="bench",
                edge="submission",
                client=Client(address="192.0.2.1", helo="mail.greenleaf.example"),
                reverse_path=None,
                recipients=(Address(local=f"c{number % consumers}", domain="letterbox.example"),),
            )
            received = await app.intake.receive(envelope, content, Submission(vendor=SHOP))
            (outcome,) = received.outcomes
            if not outcome.told.line.startswith("250 2.0.0 held"):
                raise SystemExit(outcome.told.line)

    await asyncio.gather(*(send() for _ in range(16)))


async def spread(store: Store, opening: datetime, over: float, messages: int) -> Dues:
    """Have them come due one after the other; when each of them is."""
    due = await store.due(opening, limit=messages * 2)
    held = [entry for entry in due if entry.key.startswith(places.HELD)]
    dues: Dues = {}
    for nth, entry in enumerate(held):
        at = dues[entry.partition, entry.key] = opening + timedelta(seconds=over * nth / len(held))
        await store.commit(Commit(entry.partition, (Schedule(key=entry.key, at=at),)))
    return dues


async def late(app: App, dues: Dues) -> list[float]:
    """How late each was decided, in seconds, the least first."""
    found: dict[tuple[str, str], float] = {}
    for partition in {partition for partition, _ in dues}:
        after: str | None = None
        while True:
            page = await app.mailboxes.decisions(
                partition.removeprefix("consumer/"), after=after, limit=100
            )
            for record in page.items:
                name = partition, places.HELD + (record.follows or "")
                if name in dues:
                    found[name] = (record.at - dues[name]).total_seconds()
            after = page.after
            if after is None:
                break
    if found.keys() != dues.keys():
        raise SystemExit(f"{len(dues) - len(found)} were not released")
    return sorted(found.values())


AnyStore = SqliteStore | RedisStore


async def open_store(url: str | None, folder: Path, clock: ShiftedClock) -> AnyStore:
    if url:
        return await RedisStore.open(url, clock)
    return await SqliteStore.open(folder / "letterbox.db", clock)


def wired(store: AnyStore, clock: ShiftedClock) -> App:
    configuration = Configuration(public_url="https://letterbox.example")
    unlimited = msgspec.structs.replace(
        configuration.limits,
        messages_per_vendor_second=1_000_000,
        held_per_vendor=1_000_000,
        held_per_consumer=1_000_000,
    )
    return App(
        msgspec.structs.replace(configuration, limits=unlimited),
        store=store,
        bodies=store,
        clock=clock,
        resolver=Zone({}),
        shipment=shipment(),
    )


def released(app: App) -> int:
    """How many were, so far."""
    (metric,) = app.metrics.released.collect()
    return int(sum(each.value for each in metric.samples if each.name.endswith("_total")))


async def run(chosen: argparse.Namespace, folder: Path) -> None:
    clock = ShiftedClock()
    store = await open_store(chosen.redis, folder, clock)
    begun = time.perf_counter()
    await fill(wired(store, clock), chosen.consumers, chosen.messages)
    print(f"held {chosen.messages} in {time.perf_counter() - begun:.1f} s")
    opening = NOON + timedelta(hours=21)
    dues = await spread(store, opening, chosen.over, chosen.messages)
    await store.close()
    clock.set(opening - timedelta(seconds=1))
    store = await open_store(chosen.redis, folder, clock)
    app = wired(store, clock)
    await app.worker.start()
    begun = time.perf_counter() + 1
    while released(app) < chosen.messages:
        await asyncio.sleep(0.05)
    took = time.perf_counter() - begun
    await app.worker.stop()
    lateness = await late(app, dues)
    print(f"released in {took:.1f} s: {chosen.messages / took:.0f} a second")
    for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        print(f"late {name}: {lateness[int(share * (len(lateness) - 1))]:.2f} s")
    await store.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description="Held messages released a second")
    arguments.add_argument("--messages", type=int, default=20_000)
    arguments.add_argument("--consumers", type=int, default=2_000)
    arguments.add_argument("--over", type=float, default=0.0, metavar="SECONDS")
    arguments.add_argument("--redis", metavar="URL", help="an empty server")
    chosen = arguments.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="letterbox-bench-") as place:
        uvloop.run(run(chosen, Path(place)))


if __name__ == "__main__":
    main()
