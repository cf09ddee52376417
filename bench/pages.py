"""What the pages cost a consumer with 200 companies, 10,000 messages and 50,000 decisions.

    python -m bench.pages [--runs 9]

Everything lies in the embedded store, over the last 300 days. Prints, per page, milliseconds of
CPU of the whole process (that of the client that asks included), the first time and at the median
of the next, and its kilobytes.
"""

import argparse
import asyncio
import logging
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from time import process_time

import msgspec
import structlog

from letterbox.gateways.http import HttpGateway
from letterbox.model.record import DecisionRecord, InboxEntry
from letterbox.ports.store import Commit, Operation, Put
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.names import new_id
from tests.support.api import PEOPLE, parts_of
from tests.support.house import House, mail, open_house, signed
from tests.support.site import Site

VENDORS, DECISIONS, EACH_INTO_INBOX = 200, 50_000, 5
DAYS = 300
PAGES = (
    *("/inbox", "/inbox?q=pruners", "/waiting", "/refused", "/vendors", "/vendors/greenleaf"),
    *("/vendors/greenleaf/lock-out", "/interests", "/times", "/addresses", "/activity"),
    *("/replay", "/settings"),
)
RULE = '  [[consumer.vendor]]\n  domain = "shop{n}.example"\n  accepts = ["offer", "service"]\n'


async def fill(house: House) -> None:
    """Two messages that came, and as many copies as there are to be."""
    garden = {"Letterbox_Kind": "offer", "Letterbox_Category": "home-garden/garden-tools"}
    await house.send(signed(mail("Pruners", **garden)), "anna@letterbox.example")
    boots = {"Letterbox_Kind": "offer", "Letterbox_Category": "fashion/shoes"}
    await house.send(signed(mail("Boots", number=2, **boots)), "anna@letterbox.example")
    partition = places.consumer("anna")
    store, now = house.app.store, house.clock.now()
    (entry,) = await store.documents(partition, places.INBOX)
    rows = [
        decode(d.value, DecisionRecord) for d in await store.documents(partition, places.DECISION)
    ]
    taken, refused = sorted(rows, key=lambda row: row.told.reply)
    written = list(copies(decode(entry.value, InboxEntry), taken, refused, now))
    for begin in range(0, len(written), 2000):
        await store.commit(Commit(partition, tuple(written[begin : begin + 2000])))


def copies(
    entry: InboxEntry, taken: DecisionRecord, refused: DecisionRecord, now: datetime
) -> Iterator[Operation]:
    for nth in range(DECISIONS):
        at = now - timedelta(days=DAYS) * (nth + 1) / DECISIONS
        name, domain = new_id(at), f"shop{nth % VENDORS}.example"
        vendor = msgspec.structs.replace(entry.vendor, id=domain, name=domain, registered=False)
        row = refused if nth % EACH_INTO_INBOX else taken
        said = msgspec.structs.replace(row, id=name, at=at, message=name, vendor=vendor)
        yield Put(key=places.DECISION + name, value=encode(said))
        if row is taken:
            came = msgspec.structs.replace(
                entry, id=name, at=at, message=name, decision=name, vendor=vendor
            )
            yield Put(key=places.INBOX + name, value=encode(came))


async def run(runs: int, folder: Path) -> None:
    rules = "".join(RULE.format(n=n) for n in range(VENDORS))
    first, mark, rest = PEOPLE.partition("  [[consumer.vendor]]\n")
    async with open_house(first + rules + mark + rest, folder=folder) as house:
        await fill(house)
        gateway = HttpGateway(parts_of(house.app), house.app.pages())
        site = Site(house, await gateway.start("127.0.0.1:0"))
        anna = site.visitor()
        await anna.sign_in("anna")
        for path in PAGES:
            used = []
            for _ in range(runs + 1):
                begun = process_time()
                page = await anna.get(path)
                used.append((process_time() - begun) * 1e3)
                if page.status != 200:
                    raise SystemExit(f"{path}: {page.status}")
            print(
                f"{path:30} first {used[0]:7.1f} ms, then {median(used[1:]):5.1f} ms,"
                f" {len(page.body) / 1000:5.1f} KB"
            )
        await anna.session.close()
        await gateway.drain(5)


def main() -> None:
    arguments = argparse.ArgumentParser(description="What the pages cost a large consumer")
    arguments.add_argument("--runs", type=int, default=9)
    chosen = arguments.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="letterbox-bench-") as place:
        asyncio.run(run(chosen.runs, Path(place)))


if __name__ == "__main__":
    main()
