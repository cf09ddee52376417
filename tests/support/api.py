"""A house with its HTTP gateway open on loopback, and clients that hold its keys."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import msgspec

from letterbox.app import App
from letterbox.gateways.http import HttpGateway, Parts
from letterbox.model.configuration import Configuration
from tests.support.house import House, open_house

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[vendor]]
id = "voltshop"
name = "Voltshop"
domains = ["voltshop.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
timezone = "Europe/Amsterdam"
language = "nl"
  [[consumer.interest]]
  id = "garden-tools"
  categories = ["home-garden/garden-tools"]
  max_price = { amount = "150.00", currency = "EUR" }
  [[consumer.window]]
  days = ["sat"]
  from = "09:00"
  until = "12:00"
  kinds = ["newsletter"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  accepts = ["service", "offer", "newsletter"]

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
"""

PRUNERS: dict[str, Any] = {
    "to": ["anna@letterbox.example"],
    "kind": "offer",
    "subject": "Pruners for spring",
    "text": "The good ones.",
    "offer": {
        "categories": ["home-garden/garden-tools"],
        "price": {"amount": "149.95", "currency": "EUR"},
    },
}


class Reply(NamedTuple):
    """An answer, read whole."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Api:
    """The gateway under test. ``address`` is ``host:port``."""

    def __init__(self, house: House, gateway: HttpGateway, address: str) -> None:
        self.house = house
        self.gateway = gateway
        self.address = address
        self.credentials: dict[str, str] = {}
        self.session = aiohttp.ClientSession(f"http://{address}")

    async def call(
        self, method: str, path: str, *, who: str | None = None, **request: Any
    ) -> Reply:
        """Make a call; ``who`` is a vendor or consumer whose credential is shown."""
        headers = dict(request.pop("headers", {}))
        if who is not None:
            headers["Authorization"] = f"Bearer {await self.credential(who)}"
        async with self.session.request(method, path, headers=headers, **request) as response:
            return Reply(response.status, response.headers, await response.read())

    async def credential(self, who: str) -> str:
        """The vendor's key or the consumer's token, issued when first asked for."""
        if who not in self.credentials:
            app = self.house.app
            purpose = "key" if await app.vendors.get(who) else "token"
            now = self.house.clock.now()
            self.credentials[who] = await app.credentials.issue(purpose, who, now)
        return self.credentials[who]

    async def send(self, **changes: Any) -> Reply:
        """Send the usual offer as greenleaf, with changes; None leaves a field out."""
        form = {k: v for k, v in (PRUNERS | changes).items() if v is not None}
        return await self.call("POST", "/v1/messages", who="greenleaf", json=form)

    async def raw(self, sent: bytes) -> bytes:
        """Bytes to a new connection, and all that comes back until it closes."""
        host, _, port = self.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        try:
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


def parts_of(app: App, **changes: Any) -> Parts:
    """What the composition root hands the gateway, with stand-ins."""
    return Parts(
        **{
            name: getattr(app, name)
            for name in Parts._fields
            if name not in {"public_url", *changes}
        },
        public_url=lambda: app.public_url,
        **changes,
    )


@asynccontextmanager
async def open_api(
    people: str = PEOPLE, *, configuration: Configuration | None = None, **changes: Any
) -> AsyncIterator[Api]:
    """The gateway of a whole house; ``changes`` are stand-ins for parts, by name."""
    async with (
        open_house(people, configuration=configuration) as house,
        opened(house, **changes) as api,
    ):
        yield api


@asynccontextmanager
async def opened(house: House, **changes: Any) -> AsyncIterator[Api]:
    """The gateway of a house that there is."""
    gateway = HttpGateway(parts_of(house.app, **changes))
    api = Api(house, gateway, await gateway.start("127.0.0.1:0"))
    try:
        yield api
    finally:
        await api.session.close()
        await gateway.drain(5)
