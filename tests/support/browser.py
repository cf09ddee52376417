"""A person with a browser before a whole broker: real HTTP and SMTP on loopback, a fake clock.

Chromium is the distribution's. Whatever a page asks of another origin is noted, and fails.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import aiosmtplib
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, Route, async_playwright

from letterbox.model.configuration import (
    Configuration,
    HttpSection,
    ListenSection,
    SmtpSection,
    StoreSection,
)
from letterbox.records.sessions import Owner
from tests.support.house import House, open_house
from tests.support.programs import program

#: A phone of the narrowest sort, and a desk.
WIDTHS = {"phone": (320, 640), "desk": (1280, 800)}


class Site:
    """The broker and a browser. ``url`` is where the pages are."""

    def __init__(self, house: House, addresses: dict[str, str], browser: Browser) -> None:
        self.house = house
        self.url = f"http://{addresses['http']}"
        self._smtp = addresses["smtp"]
        self._browser = browser

    async def mail(self, content: bytes, *to: str) -> str:
        """Send a mail over SMTP, and give the answer to it; a refusal is one, too."""
        host, _, port = self._smtp.rpartition(":")
        async with aiosmtplib.SMTP(hostname=host, port=int(port), start_tls=False) as client:
            await client.mail("bounces@greenleaf.example")
            for each in to:
                await client.rcpt(each)
            try:
                return (await client.data(content)).message
            except aiosmtplib.SMTPDataError as refused:
                return f"{refused.code} {refused.message}"

    async def link(self, owner: str, side: Literal["consumer", "vendor"] = "consumer") -> str:
        """A sign-in link, as the operator's command makes it."""
        return f"{self.url}/signin/{await self.house.app.sessions.link(Owner(side, owner))}"

    @asynccontextmanager
    async def visitor(
        self,
        *,
        width: str = "desk",
        language: str = "en",
        script: bool = True,
        dark: bool = False,
    ) -> AsyncIterator["Visitor"]:
        """Somebody with an empty browser, who at the end has asked nothing of others."""
        across, down = WIDTHS[width]
        context = await self._browser.new_context(
            viewport={"width": across, "height": down},
            locale={"en": "en-GB", "nl": "nl-NL"}[language],
            java_script_enabled=script,
            color_scheme="dark" if dark else "light",
        )
        visitor = Visitor(self, context, await context.new_page(), script=script)
        await visitor.watch()
        try:
            yield visitor
        finally:
            await context.close()
        assert visitor.elsewhere == []
        assert visitor.complaints == []


class Visitor:
    """A person before a page. ``elsewhere`` is what the browser asked of others."""

    def __init__(self, site: Site, context: BrowserContext, page: Page, *, script: bool) -> None:
        self.site = site
        self.context = context
        self.page = page
        self.elsewhere: list[str] = []
        #: What the browser's console says is wrong: policies broken, scripts that fail.
        self.complaints: list[str] = []
        #: Dialogs that somebody's script has opened.
        self.dialogs: list[str] = []
        self._script = script
        page.on("console", lambda said: self._complained(said.type, said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", self._opened)

    async def sign_in(self, owner: str, side: Literal["consumer", "vendor"] = "consumer") -> None:
        """Follow a link and press its button."""
        await self.page.goto(await self.site.link(owner, side))
        await self.page.get_by_role("main").get_by_role("button").click()

    async def go(self, path: str) -> None:
        """Go to a page of ours."""
        await self.page.goto(self.site.url + path)

    async def heading(self) -> str:
        """What the page is."""
        return await self.page.locator("h1").inner_text()

    async def check(self) -> None:
        """No serious finding of axe's, one h1, a language, and nothing wider than the screen."""
        # Words stand there before the style sheet does, and have another width then.
        await self.page.wait_for_load_state("load")
        assert await self.page.locator("h1").count() == 1
        assert await self.page.locator("html").get_attribute("lang") in {"en", "nl"}
        if not self._script:
            return
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await self.page.evaluate(wide) <= 0
        found = (await Axe().run(self.page)).response["violations"]
        serious = [
            (each["id"], each["help"], [node["target"] for node in each["nodes"]])
            for each in found
            if each["impact"] in {"serious", "critical"}
        ]
        assert not serious, serious

    async def watch(self) -> None:
        """See to what leaves the browser. What a policy forbids never does."""
        await self.context.route("**/*", self._asked)

    async def _asked(self, route: Route) -> None:
        if route.request.url.startswith(self.site.url + "/"):
            await route.continue_()
        else:
            self.elsewhere.append(route.request.url)
            await route.abort()

    def _complained(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)

    async def _opened(self, dialog) -> None:
        self.dialogs.append(dialog.message)
        await dialog.dismiss()


@asynccontextmanager
async def open_site(people: str) -> AsyncIterator[Site]:
    """A site for the people of a people file."""
    configuration = Configuration(
        http=HttpSection(listen="127.0.0.1:0"),
        smtp=SmtpSection(listen="127.0.0.1:0"),
        lmtp=ListenSection(),
        store=StoreSection(url="memory:"),
    )
    async with open_house(people, configuration=configuration) as house:
        addresses = await house.app.start()
        try:
            async with browsing(house, addresses) as site:
                yield site
        finally:
            await asyncio.shield(house.app.stop())


@asynccontextmanager
async def browsing(house: House, addresses: dict[str, str]) -> AsyncIterator[Site]:
    """The site of a house whose doors are open."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=program("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield Site(house, addresses, browser)
        finally:
            await browser.close()
