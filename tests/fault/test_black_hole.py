"""A name server that never answers: who asked it waits, is told to come again, and nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from letterbox.adapters.dns import DnsResolver
from letterbox.demo.dns import DnsServer
from letterbox.gateways.smtp import SmtpGateway
from letterbox.model.configuration import SmtpSection
from tests.support.house import House, mail, open_house
from tests.support.signing import Signer, craft
from tests.support.wire import HOST, greeted

SHOP = Signer(domain="shop.example")
PEOPLE = """
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
vendor = [{ domain = "shop.example", scope = "everything", accepts = ["personal"] }]
"""
#: Each of these asks for names of its own, of which none is ever answered.
LOST = "lost{}.example"
PROMISED = 20.0  # seconds until a message that waits is told to come again


@asynccontextmanager
async def opened(**resolving) -> AsyncIterator[tuple[House, DnsServer, str]]:
    """A whole house on a port of its own, whose names come from a server of ours."""
    server = DnsServer({**SHOP.records, "shop.example": {"TXT": ["v=spf1 -all"]}})
    resolver = DnsResolver([await server.start()], **resolving)
    async with open_house(PEOPLE) as house:
        house.clock.at = datetime.now(tz=UTC)
        house.app.prover._resolver = resolver
        gateway = SmtpGateway(
            house.app.intake,
            paths=house.app.prover,
            hostname=HOST,
            domains=frozenset({HOST}),
            section=SmtpSection(),
            clock=house.clock,
            metrics=house.app.metrics,
        )
        address = await gateway.start("127.0.0.1:0")
        try:
            yield house, server, address
        finally:
            await gateway.close()
            await resolver.close()
            await server.close()


def swallow(server: DnsServer, domain: str) -> None:
    for name in (domain, f"s1._domainkey.{domain}", f"_dmarc.{domain}"):
        server.fault(name, "silent")


async def send(address: str, domain: str, content: bytes) -> str:
    async with greeted(address) as wire:
        await wire.say("EHLO client.example")
        await wire.say(f"MAIL FROM:<bounces@{domain}>")
        await wire.say("RCPT TO:<anna@letterbox.example>")
        await wire.say("DATA")
        await wire.send(content + b".\r\n")
        return await wire.reply()


def signed(domain: str) -> bytes:
    return craft(mail(domain=domain), {"d": domain})


@pytest.mark.parametrize("crowd", [1, 60])
async def test_who_asks_a_black_hole_waits_alone(crowd) -> None:
    async with opened(timeout=1.5) as (house, server, address):
        waiting = []
        for number in range(crowd):
            domain = LOST.format(number)
            swallow(server, domain)
            waiting.append(asyncio.create_task(send(address, domain, signed(domain))))
        while not any("lost" in name for name, _ in server.asked):  # noqa: ASYNC110 - no bell
            await asyncio.sleep(0)
        assert (await send(address, "shop.example", signed("shop.example"))).startswith("250")
        assert not any(task.done() for task in waiting)
        told = await asyncio.gather(*waiting)
        assert {line.partition(": ")[0] for line in told} == {"451 4.4.3 lookup-failed"}
        assert await house.inbox("anna") == ["Spring sale"]


@pytest.mark.long
async def test_with_the_defaults_the_answer_comes_within_twenty_seconds() -> None:
    async with opened() as (_, server, address):
        swallow(server, "lost.example")
        async with asyncio.timeout(PROMISED):
            told = await send(address, "lost.example", signed("lost.example"))
        assert told.startswith("451 4.4.3 lookup-failed: ")
