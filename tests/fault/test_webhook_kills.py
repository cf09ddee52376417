"""The whole server killed while it calls an endpoint: what was owed is told, under the same ids."""

import asyncio
import random

import aiohttp
import pytest

from tests.support.processes import Letterbox, ending
from tests.support.receiver import Receiver, receiving

CONFIGURATION = """
hostname = "letterbox.example"
[http]
listen = "127.0.0.1:0"
[smtp]
listen = ""
[webhooks]
allow_private_addresses = true
[log]
format = "json"
"""
PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  accepts = ["service"]
"""
MESSAGES = 40


class Shop:
    """What the vendor does: it holds a key, and calls the server where it listens now."""

    def __init__(self, letterbox: Letterbox, key: str) -> None:
        self.letterbox = letterbox
        self.headers = {"Authorization": f"Bearer {key}"}

    async def call(self, method: str, path: str, **said):
        base = f"http://{self.letterbox.addresses['http']}"
        async with (
            aiohttp.ClientSession(base, headers=self.headers) as session,
            session.request(method, path, **said) as response,
        ):
            return await response.json()

    async def send(self, number: int) -> None:
        offer = {
            "to": ["anna@letterbox.example"],
            "kind": "offer",
            "subject": f"Number {number}",
            "text": "Pruners",
        }
        answer = await self.call("POST", "/v1/messages", json=offer)
        assert answer["results"][0]["verdict"] == "refuse"


async def called(receiver: Receiver, count: int) -> None:
    """Wait until so many different events were told."""
    async with asyncio.timeout(60):
        while len(set(receiver.ids)) < count:
            receiver.entered.clear()
            await receiver.entered.wait()


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
async def test_killed_while_it_calls(tmp_path, seed):
    chance = random.Random(seed)
    async with receiving() as receiver:
        with ending(Letterbox(tmp_path, CONFIGURATION)) as letterbox:
            await asyncio.to_thread(letterbox.start)
            assert (await asyncio.to_thread(letterbox.apply, PEOPLE)).returncode == 0
            issued = await asyncio.to_thread(letterbox.ask, "key", "issue", "greenleaf")
            shop = Shop(letterbox, issued["key"])
            made = await shop.call("POST", "/v1/webhooks", json={"url": receiver.url})
            kills = 0
            for number in range(MESSAGES):
                await shop.send(number)
                if chance.random() < 0.1:
                    kills += 1
                    await asyncio.to_thread(letterbox.kill)
                    await asyncio.to_thread(letterbox.start)
            await called(receiver, MESSAGES)
            feed = [item["id"] for item in (await shop.call("GET", "/v1/feedback"))["items"]]
            assert kills > 1
            assert len(feed) == MESSAGES
            assert list(dict.fromkeys(receiver.ids)) == feed
            assert len(receiver.calls) <= MESSAGES + kills
            log = letterbox.log.read_text()
            assert made["secret"] not in log
            assert receiver.url not in log
            assert await asyncio.to_thread(letterbox.stop) == 0
