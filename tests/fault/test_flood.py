"""Clients that want to keep everybody else out: slow ones, idle ones, and far too many.

The quick runs are small; ``make fault`` runs them as PROMISES has them, and prints what it saw.
"""

import asyncio
import os
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.support.house import mail
from tests.support.processes import Letterbox, serving
from tests.support.wire import Wire, connected

CONFIGURATION = """\
hostname = "letterbox.example"
[http]
listen = "127.0.0.1:0"
[smtp]
listen = "127.0.0.1:0"
trusted_peers = [{ address = "127.0.0.0/8", asserts = "from" }]
max_sessions = %d
[limits]
messages_per_vendor_second = 100000
[log]
format = "json"
"""
PEOPLE = """
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  domain = "greenleaf.example"
  scope = "everything"
  accepts = ["personal", "offer", "service", "newsletter"]
"""
TEXT = "The garden in spring, and what it wants.\r\n" * 200


def resident(letterbox: Letterbox) -> int:
    """Octets of memory that the server holds."""
    with open(f"/proc/{letterbox.process.pid}/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def send(wire: Wire, number: int) -> str:
    """One message over a session that is open; the code of the first reply that is not a yes."""
    for command in ("MAIL FROM:<b@greenleaf.example>", "RCPT TO:<anna@letterbox.example>", "DATA"):
        reply = await wire.say(command)
        if reply[:1] not in "23":
            return reply[:3]
    await wire.send(mail(f"Number {number}", number=number, text=TEXT) + b".\r\n")
    return (await wire.reply())[:3]


async def honest(address: str, first: int, messages: int) -> list[float]:
    """Messages one after another, each over a connection of its own; how long each took."""
    took = []
    for number in range(first, first + messages):
        began = time.perf_counter()
        async with connected(address, "127.0.0.1") as wire:
            assert (await wire.reply()).startswith("220")
            await wire.say("EHLO honest.example")
            assert await send(wire, number) == "250"
        took.append(time.perf_counter() - began)
    return took


@asynccontextmanager
async def crowd(address: str, slow: int, idle: int):
    """Clients that bring an octet a second, in content or a command, and others that do nothing."""
    async with AsyncExitStack() as stack:
        wires = []
        for number in range(slow + idle):
            source = f"127.{1 + number // 100}.0.{1 + number % 100}"
            wires.append(await stack.enter_async_context(connected(address, source)))
        bringing = wires[:slow]
        for wire in bringing[::2]:
            await wire.reply()
            await wire.send(b"EHLO slow.example\r\n")
            await wire.reply()
            await wire.send(
                b"MAIL FROM:<b@greenleaf.example>\r\nRCPT TO:<anna@letterbox.example>\r\nDATA\r\n"
            )

        async def trickle() -> None:
            while True:
                for wire in bringing:
                    if not wire.writer.is_closing():
                        wire.writer.write(b"x")
                await asyncio.sleep(1)

        trickling = asyncio.ensure_future(trickle())
        try:
            yield
        finally:
            trickling.cancel()
            for wire in wires:
                wire.writer.transport.abort()


@pytest.mark.parametrize(
    ("slow", "idle", "messages"),
    [(200, 40, 20), pytest.param(2000, 400, 300, marks=pytest.mark.long)],
)
@pytest.mark.timeout(600)
async def test_an_honest_client_is_served_among_slow_and_idle_ones(tmp_path, slow, idle, messages):
    with serving(tmp_path, CONFIGURATION % 4000) as letterbox:
        assert letterbox.apply(PEOPLE).returncode == 0
        address = letterbox.addresses["smtp"]
        before = resident(letterbox)
        async with crowd(address, slow, idle):
            took = sorted(await honest(address, 0, messages))
            grown = (resident(letterbox) - before) / (slow + idle)
        p99 = took[len(took) * 99 // 100]
        print(f"{slow} slow, {idle} idle: p99 {p99:.3f} s, {grown / 1024:.0f} KB a session")
        assert len(letterbox.ask("export", "anna")["inbox"]) == messages


@pytest.mark.parametrize(
    ("clients", "seconds"), [(8, 2), pytest.param(40, 120, marks=pytest.mark.long)]
)
@pytest.mark.timeout(600)
async def test_twice_of_what_it_can_do_gets_later_and_nothing_else(tmp_path, clients, seconds):
    """Half of those who come find it full, and are told so; what is taken is taken in good time."""
    with serving(tmp_path, CONFIGURATION % clients) as letterbox:
        assert letterbox.apply(PEOPLE).returncode == 0
        address = letterbox.addresses["smtp"]
        alone = await load(address, clients, min(seconds, 20), first=0)
        memory = resident(letterbox)
        crowded = await load(address, 2 * clients, seconds, first=10**6)
        assert set(alone) == {"250"}
        assert set(crowded) <= {"250", "421", "451", "452"}
        goodput = (crowded["250"] / seconds) / (alone["250"] / min(seconds, 20))
        grown = resident(letterbox) / memory
        print(f"goodput {goodput:.2f} of the peak, memory {grown:.2f} of before: {dict(crowded)}")
        if seconds > 20:  # over a few seconds chance decides
            assert goodput >= 0.8
            assert grown <= 1.25
        taken = alone["250"] + crowded["250"]
        assert len(letterbox.ask("export", "anna")["inbox"]) == taken


async def load(address: str, clients: int, seconds: float, *, first: int) -> Counter[str]:
    """Clients that send as fast as they can, and come again when they are turned away."""
    heard: Counter[str] = Counter()
    end = time.perf_counter() + seconds

    async def client(nth: int) -> None:
        number = first + nth
        while time.perf_counter() < end:
            async with connected(address, f"127.0.1.{1 + nth % 200}") as wire:
                greeting = await wire.reply()
                if not greeting.startswith("220"):
                    heard[greeting[:3]] += 1
                    await asyncio.sleep(0.05)
                    continue
                await wire.say("EHLO client.example")
                while time.perf_counter() < end:
                    code = await send(wire, number)
                    heard[code] += 1
                    number += 2 * clients
                    if code == "421":
                        break

    await asyncio.gather(*(client(nth) for nth in range(clients)))
    return heard
