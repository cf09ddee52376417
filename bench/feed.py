"""A vendor's feed: how fast one reader gets it, and how soon those who wait hear of a commit."""

import asyncio
import json
import logging
import re
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final, NamedTuple

import structlog
import uvloop

from bench.peers import PATIENCE
from bench.peers.ours import CONFIG, letterbox, serving

RUNS: Final = 5
EVENTS: Final = 50_000
OWED: Final = 20_000
READERS: Final = 200
ROUNDS: Final = 20
#: Events of one page.
PAGE: Final = 1_000
_EVENT_MARK: Final = b"\nevent: message.refused"
_ITEM_MARK: Final = b'"type":"message.refused"'
_LENGTH: Final = re.compile(rb"(?i)content-length: ([0-9]+)")
_CURSOR: Final = re.compile(rb'"after":"([0-9]+)"')
_CONFIG: Final = CONFIG.replace("[http]", "[http]\nfeed_readers_per_vendor = 1000", 1)
_PEOPLE: Final = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
[[vendor]]
id = "voltshop"
name = "Voltshop"
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  [[consumer.interest]]
  id = "garden"
  categories = ["home-garden/garden-tools"]
"""
#: An offer that nobody asked for: refused, so that it becomes an event.
_UNWANTED: Final = {
    "to": ["anna@letterbox.example"],
    "kind": "offer",
    "subject": "A camera",
    "text": "Small and light.",
    "offer": {"categories": ["electronics"]},
}


class Served(NamedTuple):
    """A server whose feed is full. ``end`` is the cursor of greenleaf's last event."""

    address: str
    keys: dict[str, str]
    end: int

    def request(self, path: str, *, vendor: str = "greenleaf", accept: str = "*/*") -> bytes:
        """A GET as it goes over the wire."""
        head = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: {accept}\r\n"
        return f"{head}Authorization: Bearer {self.keys[vendor]}\r\n\r\n".encode()


def table() -> str:
    """How many events one reader gets a second, and how long readers wait for a commit."""
    owed, rates, waits = [], {}, {}
    for _ in range(RUNS):
        with TemporaryDirectory(prefix="letterbox-bench-") as place:
            owed.append(_carried(Path(place)))
    with TemporaryDirectory(prefix="letterbox-bench-") as place:
        for served in _served(Path(place), EVENTS, 0):
            rates[f"pages of {PAGE:,}"] = [_pages(served) for _ in range(RUNS)]
            rates["a stream"] = [_stream(served, "greenleaf", EVENTS) for _ in range(RUNS)]
            waits["pages"] = uvloop.run(_woken(served, _wait_for_page))
            waits["streams"] = uvloop.run(_woken(served, _streaming()))
    rates[f"a stream, from the outbox, {OWED:,} owed"] = owed
    lines = ["| events a second, one reader | median | from | to |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {name} | {median(found):,.0f} | {min(found):,.0f} | {max(found):,.0f} |"
        for name, found in rates.items()
    ]
    lines += [
        "",
        f"| {READERS} readers wait, ms | median | 99 % | longest |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, found in waits.items():
        shares = [found[int(share * (len(found) - 1))] * 1e3 for share in (0.5, 0.99, 1)]
        lines.append(f"| {name} | " + " | ".join(f"{ms:.1f}" for ms in shares) + " |")
    return "\n".join(lines)


def _served(place: Path, events: int, owed: int) -> Iterator[Served]:
    """A server on a store that was filled before, so that only what reads it is measured."""
    config = place / "letterbox.toml"
    config.write_text(_CONFIG.format(place=place))
    (place / "people.toml").write_text(_PEOPLE)
    letterbox(place, "apply", str(place / "people.toml"))
    keys = {
        vendor: json.loads(letterbox(place, "key", "issue", vendor, "--json"))["key"]
        for vendor in ("greenleaf", "voltshop")
    }
    uvloop.run(_fill(place / "letterbox.db", events, owed))
    with serving(place, _CONFIG) as server:
        yield Served(server.http, keys, events)


async def _fill(store: Path, events: int, owed: int) -> None:
    from letterbox.adapters.clock import SystemClock
    from letterbox.adapters.sqlite import SqliteStore
    from letterbox.ports.store import Append, Commit, Emit
    from letterbox.records.coding import encode
    from letterbox.records.feed import Owed

    # What is printed is the table alone.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    filled = await SqliteStore.open(store, SystemClock(), synchronous="OFF")
    for start in range(0, events, PAGE):
        told = range(start, min(start + PAGE, events))
        entries = tuple(Append(log="feed", value=encode(_event(n))) for n in told)
        await filled.commit(Commit("vendor/greenleaf", entries))
    for start in range(0, owed, PAGE):
        told = range(start, min(start + PAGE, owed))
        rows = [encode(Owed(vendor="voltshop", event=_event(n, "owed"))) for n in told]
        await filled.commit(
            *(Commit(f"consumer/{n % 500}", (Emit(value=row),)) for n, row in enumerate(rows))
        )
    await filled.close()


def _event(number: int, mark: str = "told") -> object:
    """A refusal with all that goes with it."""
    from letterbox.model.told import Event, ToldReason

    reference = f"{number:032x}"
    reason = ToldReason(
        code="price-above-limit",
        reason_class="choice",
        title="The price is above the limit",
        final=False,
        url=f"https://letterbox.example/r/{reference}",
        remedies=("at most 150.00 EUR",),
    )
    return Event(
        id=f"{mark}{number:028x}",
        type="message.refused",
        at=datetime.now(UTC),
        message=reference,
        recipient="anna@letterbox.example",
        verdict="refuse",
        reason=reason,
        reference=reference,
        your_reference=f"spring-2027/{number}",
    )


# ---- one reader -------------------------------------------------------------------------------


def _pages(served: Served) -> float:
    """Page after page over one connection: events a second."""
    start, seen, after = perf_counter(), 0, b"0"
    with _connected(served) as link:
        while seen < served.end:
            link.sendall(served.request(f"/v1/feedback?limit={PAGE}&after={after.decode()}"))
            body = _answer(link)
            seen += body.count(_ITEM_MARK)
            after = _CURSOR.findall(body)[-1]
    return seen / (perf_counter() - start)


def _answer(link: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        head += _received(link)
    head, _, body = head.partition(b"\r\n\r\n")
    found = _LENGTH.search(head)
    if found is None or b" 200 " not in head:
        raise RuntimeError(f"the feed answered {head!r}")
    pieces, size = [body], len(body)
    while size < int(found[1]):
        pieces.append(_received(link))
        size += len(pieces[-1])
    return b"".join(pieces)


def _stream(served: Served, vendor: str, events: int) -> float:
    """The whole stream: events a second."""
    start, seen, rest = perf_counter(), 0, b""
    with _connected(served) as link:
        accept = "text/event-stream"
        link.sendall(served.request("/v1/feedback", vendor=vendor, accept=accept))
        while seen < events:
            piece = rest + _received(link)
            seen += piece.count(_EVENT_MARK)
            # What stands at the end may be the beginning of a mark.
            rest = piece[-len(_EVENT_MARK) + 1 :]
    return seen / (perf_counter() - start)


def _carried(place: Path) -> float:
    """A stream of what the relay has yet to carry: events a second, from asking to the last."""
    for served in _served(place, 0, OWED):
        return _stream(served, "voltshop", OWED)
    raise RuntimeError("there was no server")


def _connected(served: Served) -> socket.socket:
    host, _, port = served.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def _received(link: socket.socket) -> bytes:
    piece = link.recv(1 << 18)
    if not piece:
        raise RuntimeError("the server closed the connection")
    return piece


# ---- many that wait ---------------------------------------------------------------------------


class _Link(NamedTuple):
    """A connection that is kept."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: bytes) -> bytes:
        """Send a request and read the body of its answer."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        found = _LENGTH.search(head)
        if found is None or b" 200 " not in head:
            raise RuntimeError(f"the server answered {head!r}")
        return await self.reader.readexactly(int(found[1]))


async def _linked(served: Served) -> _Link:
    host, _, port = served.address.rpartition(":")
    return _Link(*await asyncio.open_connection(host, int(port)))


#: What one reader does in a round: it waits for what comes after a cursor.
Waiting = Callable[[Served, _Link, int], Awaitable[object]]


async def _woken(served: Served, waiting: Waiting) -> list[float]:
    """Seconds from the answer to a refused message until each reader has its event, least first."""
    found: list[float] = []
    sender, *links = [await _linked(served) for _ in range(READERS + 1)]
    for nth in range(ROUNDS):
        end = await _end(served, sender)

        async def until(link: _Link, end: int = end) -> float:
            await waiting(served, link, end)
            return perf_counter()

        readers = [asyncio.create_task(until(link)) for link in links]
        await asyncio.sleep(0.2)
        body = json.dumps(_UNWANTED | {"subject": f"A camera, {nth}"})
        head = "POST /v1/messages HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        key = f"Authorization: Bearer {served.keys['greenleaf']}\r\n"
        await sender.ask(f"{head}{key}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        answered = perf_counter()
        async with asyncio.timeout(PATIENCE):
            found += [at - answered for at in await asyncio.gather(*readers)]
    for link in (sender, *links):
        link.writer.close()
    return sorted(found)


async def _end(served: Served, link: _Link) -> int:
    """The cursor of the last event."""
    after = served.end
    while more := _CURSOR.findall(
        await link.ask(served.request(f"/v1/feedback?limit={PAGE}&after={after}"))
    ):
        after = int(more[-1])
    return after


async def _wait_for_page(served: Served, link: _Link, end: int) -> None:
    await link.ask(served.request(f"/v1/feedback?wait=60&after={end}"))


def _streaming() -> Waiting:
    begun: set[_Link] = set()

    async def wait(served: Served, link: _Link, end: int) -> None:
        if link not in begun:
            begun.add(link)
            accept = "text/event-stream"
            link.writer.write(served.request(f"/v1/feedback?after={end}", accept=accept))
        await link.reader.readuntil(_EVENT_MARK)

    return wait


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n")
