"""The settings, as a browser without scripts meets them."""

import asyncio
import io
import json
import re
import zipfile
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import NamedTuple

import aiohttp
import pytest

from letterbox.administration.export import SECTIONS
from letterbox.gateways.http import HttpGateway
from letterbox.model.configuration import Configuration, WebSection
from letterbox.records.sessions import Owner
from tests.support.api import PEOPLE, parts_of
from tests.support.house import House, mail, open_house, signed

_CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


class Shown(NamedTuple):
    status: int
    text: str
    where: str = ""


class Browser:
    """Follows no redirects by itself; has the cookies it was given."""

    def __init__(self, url: str) -> None:
        self.client = aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def get(self, path: str) -> Shown:
        async with self.client.get(path, allow_redirects=False) as reply:
            return Shown(
                reply.status, unescape(await reply.text()), reply.headers.get("Location", "")
            )

    async def post(self, path: str, *, page: str = "/settings", **fields: str) -> Shown:
        token = _CSRF.search((await self.get(page)).text)
        fields = ({"csrf": token[1]} if token else {}) | fields
        async with self.client.post(path, data=fields, allow_redirects=False) as reply:
            return Shown(
                reply.status, unescape(await reply.text()), reply.headers.get("Location", "")
            )


class Pages:
    def __init__(self, house: House, address: str) -> None:
        self.house = house
        self.address = address
        self.browsers: list[Browser] = []

    def stranger(self) -> Browser:
        browser = Browser(f"http://{self.address}")
        self.browsers.append(browser)
        return browser

    async def visitor(self, name: str, side: str = "consumer") -> Browser:
        browser = self.stranger()
        link = await self.house.app.sessions.link(Owner(side, name))
        assert (await browser.post(f"/signin/{link}", page=f"/signin/{link}")).status == 303
        return browser


@asynccontextmanager
async def open_pages(people: str = PEOPLE, **given) -> AsyncIterator[Pages]:
    async with open_house(people, **given) as house:
        # As it is on a machine of one's own: no TLS, so that a cookie comes back over HTTP.
        gateway = HttpGateway(parts_of(house.app), house.app.pages())
        pages = Pages(house, await gateway.start("127.0.0.1:0"))
        try:
            yield pages
        finally:
            for browser in pages.browsers:
                await browser.client.close()
            await gateway.drain(5)


async def test_language_and_zone_are_set_and_put_back():
    async with open_pages() as pages:
        anna = await pages.visitor("anna")
        page = await anna.get("/settings")
        assert "Instellingen" in page.text
        assert 'value="Europe/Amsterdam"' in page.text
        done = await anna.post("/settings/language", language="en", timezone="Europe/London")
        assert (done.status, done.where) == (303, "/settings")
        page = await anna.get("/settings")
        assert "Your language and time zone are saved." in page.text
        assert 'value="Europe/London"' in page.text
        revision, now = re.search(
            r'name="revision" value="(\d+)">\s*<input type="hidden" name="now" value="(\d+)"',
            page.text,
        ).groups()
        back = await anna.post("/rules/put-back", revision=revision, now=now)
        assert back.status == 303
        assert 'value="Europe/Amsterdam"' in (await anna.get("/settings")).text


async def test_a_zone_that_is_none_is_named_and_kept():
    async with open_pages() as pages:
        anna = await pages.visitor("anna")
        hostile = '"><script>alert(1)</script>'
        page = await anna.post("/settings/language", language="en", timezone=hostile)
        assert page.status == 422
        assert 'href="#timezone"' in page.text
        assert "<title>Fout: Instellingen" in page.text
        reply = await anna.client.post(
            "/settings/language",
            data={
                "csrf": _CSRF.search(page.text)[1],
                "language": "en",
                "timezone": hostile,
            },
        )
        assert "<script>alert" not in await reply.text()
        assert (await anna.post("/settings/language", language="de")).status == 400


async def test_newcomers_and_days():
    async with open_pages() as pages:
        anna = await pages.visitor("anna")
        assert (await anna.post("/settings/newcomers", newcomers="ask", days="7")).status == 303
        stored = await pages.house.app.consumers.stored("anna")
        assert (stored.preferences.newcomers, stored.preferences.ask_for_days) == ("ask", 7)
        for days in ("0", "366", "ten", "", "\u0661"):
            page = await anna.post("/settings/newcomers", newcomers="refuse", days=days)
            assert page.status == 422
            assert 'href="#days"' in page.text
        assert (await anna.post("/settings/newcomers", newcomers="all", days="7")).status == 400


async def test_what_changed_meanwhile_is_shown_beside_it():
    async with open_pages() as pages:
        anna = await pages.visitor("anna")
        await anna.post("/settings/newcomers", newcomers="ask", days="7")
        page = await anna.post("/settings/newcomers", newcomers="interests", days="9", revision="1")
        assert page.status == 412
        assert "interests" in page.text
        assert ">ask<" in page.text


@pytest.mark.parametrize("side", ["consumer", "vendor"])
async def test_browsers_are_listed_and_signed_out(side):
    name, path = {"consumer": ("anna", "/settings"), "vendor": ("greenleaf", "/vendor/settings")}[
        side
    ]
    async with open_pages() as pages:
        here, there, third = [await pages.visitor(name, side) for _ in range(3)]
        page = await here.get(path)
        ids = re.findall(rf"{path}/sessions/([0-9a-f]{{32}})/end", page.text)
        assert len(ids) == 3
        sessions = await pages.house.app.sessions.listed(Owner(side, name))
        other = sessions[1].id
        assert (await here.post(f"{path}/sessions/{other}/end", page=path)).status == 303
        assert (await there.get(path)).where == "/signin"
        assert (await here.post(f"{path}/sessions/{other}/end", page=path)).status == 404
        assert (await here.post(f"{path}/sessions/end-others", page=path)).status == 303
        assert (await third.get(path)).where == "/signin"
        assert (await here.get(path)).status == 200
        mine = (await pages.house.app.sessions.listed(Owner(side, name)))[0].id
        out = await here.post(f"{path}/sessions/{mine}/end", page=path)
        assert out.where == "/signin"
        assert (await here.get(path)).where == "/signin"


async def test_only_who_is_signed_in_and_only_ones_own():
    async with open_pages() as pages:
        anna, ben = await pages.visitor("anna"), await pages.visitor("ben")
        nobody = pages.stranger()
        assert (await nobody.get("/settings")).where == "/signin"
        theirs = (await pages.house.app.sessions.listed(Owner("consumer", "ben")))[0].id
        assert (await anna.post(f"/settings/sessions/{theirs}/end")).status == 404
        assert (await ben.get("/settings")).status == 200
        assert (await ben.get("/vendor/settings")).status == 404
        assert (await anna.post("/settings/sessions/end-others", csrf="0" * 64)).status == 403


async def test_everything_is_taken_along_by_programs_and_people():
    async with open_pages() as pages:
        house = pages.house
        content = signed(mail("<script>alert(1)</script>", Letterbox_Kind="service"))
        await house.send(content, "anna@letterbox.example")
        anna = await pages.visitor("anna")
        reply = await anna.client.get("/settings/export.json")
        whole = json.loads(await reply.read())
        assert list(whole) == ["consumer", *SECTIONS]
        assert b64decode(whole["messages"][0]["raw"]) == content
        assert whole["inbox"][0]["subject"] == "<script>alert(1)</script>"
        assert "digest" not in whole["sessions"][0]
        token = await house.app.credentials.issue("token", "anna", house.clock.now())
        api = await anna.client.get("/v1/me/export", headers={"Authorization": f"Bearer {token}"})
        same = json.loads(await api.read())
        assert same["tokens"] == [token[:12]]
        assert same["inbox"] == whole["inbox"]
        reply = await anna.client.get("/settings/export.zip")
        archive = zipfile.ZipFile(io.BytesIO(await reply.read()))
        names = archive.namelist()
        assert archive.read(f"messages/{whole['inbox'][0]['id']}.eml") == content
        page = archive.read("inbox-1.html").decode()
        assert "<script>" not in page
        assert "index.html" in names


async def test_erasing_is_typed_and_then_nobody_is_signed_in():
    async with open_pages() as pages:
        anna = await pages.visitor("anna")
        page = await anna.get("/settings/erase")
        assert page.status == 200
        assert (await anna.post("/settings/erase", typed="ben")).status == 422
        assert (await anna.get("/settings")).status == 200
        done = await anna.post("/settings/erase", typed="Anna")
        assert (done.status, done.where) == (303, "/signin")
        assert (await anna.get("/settings")).where == "/signin"
        for _ in range(5):
            await pages.house.work()
            pages.house.clock.advance(minutes=1)
        assert await pages.house.app.consumers.all() == ["ben"]
        vendor = await pages.visitor("greenleaf", "vendor")
        assert (await vendor.get("/settings/erase")).status == 404


async def test_a_program_erases_its_owner():
    async with open_pages() as pages:
        house, nobody = pages.house, pages.stranger()
        token = await house.app.credentials.issue("token", "anna", house.clock.now())
        shown = {"Authorization": f"Bearer {token}"}
        reply = await nobody.client.delete("/v1/me", headers=shown)
        assert (reply.status, await reply.json()) == (202, {"state": "erasing"})
        assert (await nobody.client.delete("/v1/me", headers=shown)).status == 401


LONG = "four words are long enough "


async def test_a_password_is_set_signs_in_is_changed_and_removed():
    async with open_pages() as pages:
        anna, other = await pages.visitor("anna"), await pages.visitor("anna")
        assert (await anna.post("/settings/password", new="short")).status == 422
        assert (await anna.post("/settings/password", new="x" * 201)).status == 422
        assert (await anna.post("/settings/password", new=LONG)).status == 303
        assert (await other.get("/settings")).where == "/signin"
        new = pages.stranger()

        async def signs_in(name: str, password: str, side: str = "consumer") -> int:
            fields = {"name": name, "password": password, "side": side}
            return (await new.post("/signin/password", page="/signin", **fields)).status

        for name in ("anna", "Anna", "anna@letterbox.example"):
            assert await signs_in(name, LONG) == 303
            assert (await new.get("/settings")).status == 200
            await new.post("/signout")
        for name, password, side in (
            ("anna", LONG.strip(), "consumer"),
            ("anna", "", "consumer"),
            ("ben", LONG, "consumer"),
            ("anna", LONG, "vendor"),
            ("no one \udcff/<script>".encode("utf-8", "replace").decode(), LONG, "consumer"),
        ):
            assert await signs_in(name, password, side) == 422
        wrong = await anna.post("/settings/password", current="wrong", new=LONG)
        assert wrong.status == 422
        assert 'href="#current"' in wrong.text
        assert (await anna.post("/settings/password", current=LONG, new=LONG + "!")).status == 303
        assert await signs_in("anna", LONG) == 422
        assert await signs_in("anna", LONG + "!") == 303
        assert (await anna.post("/settings/password/remove")).status == 303
        await new.post("/signout")
        assert await signs_in("anna", LONG + "!") == 422


async def test_guessing_passwords_is_locked_out():
    configuration = Configuration(web=WebSection(failures_per_address=2))
    async with open_pages(configuration=configuration) as pages:
        guesser = pages.stranger()
        codes = [
            (
                await guesser.post(
                    "/signin/password", page="/signin", name="anna", password="?", side="consumer"
                )
            ).status
            for _ in range(3)
        ]
        assert codes == [422, 422, 429]


async def test_many_guesses_at_once_are_no_more_than_one_by_one():
    configuration = Configuration(web=WebSection(failures_per_address=2))
    async with open_pages(configuration=configuration) as pages:
        anna, guesser = await pages.visitor("anna"), pages.stranger()
        await anna.post("/settings/password", new=LONG)

        async def guess(password):
            fields = {"name": "anna", "password": password, "side": "consumer"}
            return (await guesser.post("/signin/password", page="/signin", **fields)).status

        codes = await asyncio.gather(*(guess("?") for _ in range(6)))
        assert sorted(codes) == [422, 422, 429, 429, 429, 429]


async def test_the_right_password_counts_as_no_guess():
    configuration = Configuration(web=WebSection(failures_per_address=2))
    async with open_pages(configuration=configuration) as pages:
        anna = await pages.visitor("anna")
        await anna.post("/settings/password", new=LONG)
        for _ in range(3):
            page = await pages.stranger().post(
                "/signin/password", page="/signin", name="anna", password=LONG, side="consumer"
            )
            assert page.status == 303


async def test_a_vendor_has_a_password_too():
    async with open_pages() as pages:
        shop = await pages.visitor("greenleaf", "vendor")
        done = await shop.post("/vendor/settings/password", page="/vendor/settings", new=LONG)
        assert done.status == 303
        new = pages.stranger()
        fields = {"name": "greenleaf", "password": LONG, "side": "vendor"}
        assert (await new.post("/signin/password", page="/signin", **fields)).status == 303
