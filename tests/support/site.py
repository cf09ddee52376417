"""The pages without a browser: a visitor with a cookie jar and forms."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any, Literal

import aiohttp

from letterbox.gateways.http import HttpGateway
from letterbox.model.configuration import Configuration
from letterbox.records.sessions import Owner
from tests.support.api import PEOPLE, Reply, parts_of
from tests.support.house import House, open_house

_CSRF = re.compile(r'name="csrf" value="([0-9a-f]*)"')


class Visitor:
    """Somebody with a browser that does no more than it is told."""

    def __init__(self, house: House, address: str) -> None:
        self.house = house
        self.url = f"http://{address}"
        self.session = aiohttp.ClientSession(
            self.url, cookie_jar=aiohttp.CookieJar(unsafe=True), headers={"Accept": "text/html"}
        )
        self.csrf = ""

    async def get(self, path: str, **request: Any) -> Reply:
        """Go to a page, without following where it sends one."""
        return await self._call("GET", path, **request)

    async def post(self, path: str, fields: dict[str, str] | None = None, **request: Any) -> Reply:
        """Send a form; with the token of the last page unless ``fields`` have one."""
        data = {"csrf": self.csrf} | (fields or {})
        return await self._call("POST", path, data=data, **request)

    async def link(self, owner: str, side: Literal["consumer", "vendor"] = "consumer") -> str:
        """The path of a sign-in link."""
        return f"/signin/{await self.house.app.sessions.link(Owner(side, owner))}"

    async def sign_in(self, owner: str, side: Literal["consumer", "vendor"] = "consumer") -> Reply:
        """Sign in, and go to the first page."""
        await self.post(await self.link(owner, side))
        return await self.get("/inbox" if side == "consumer" else "/")

    async def _call(self, method: str, path: str, **request: Any) -> Reply:
        async with self.session.request(method, path, allow_redirects=False, **request) as response:
            reply = Reply(response.status, response.headers, await response.read())
        if found := _CSRF.search(reply.body.decode(errors="replace")):
            self.csrf = found[1]
        return reply


def text_of(reply: Reply) -> str:
    """What a page says, without its tags."""
    return unescape(re.sub(r"<[^>]*>", " ", reply.body.decode()))


class Site:
    """A house with its pages open."""

    def __init__(self, house: House, address: str) -> None:
        self.house = house
        self.address = address
        self.visitors: list[Visitor] = []

    def visitor(self) -> Visitor:
        """One more."""
        self.visitors.append(Visitor(self.house, self.address))
        return self.visitors[-1]


@asynccontextmanager
async def open_pages(
    people: str = PEOPLE, *, configuration: Configuration | None = None, pages: Any = None
) -> AsyncIterator[Site]:
    """The pages of a whole house; ``pages`` makes others of its parts, where it is given."""
    async with open_house(people, configuration=configuration) as house:
        made = house.app.pages() if pages is None else pages(house.app)
        gateway = HttpGateway(parts_of(house.app), made)
        site = Site(house, await gateway.start("127.0.0.1:0"))
        try:
            yield site
        finally:
            for visitor in site.visitors:
                await visitor.session.close()
            await gateway.drain(5)
