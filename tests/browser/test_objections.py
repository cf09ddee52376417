"""Objecting in a real browser: a newsletter, the word, what comes all the same, and the letter."""

import re

import pytest
from playwright.async_api import expect

from tests.support.browser import open_site
from tests.support.house import mail
from tests.support.signing import craft
from tests.support.webhost import WebHost

ANNA = "anna@letterbox.example"
PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
timezone = "Europe/Amsterdam"
language = "{language}"
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
"""
OFF = "https://off.greenleaf.example/u/7"
NAMES = "from:to:subject:date:message-id:letterbox-kind:list-unsubscribe:list-unsubscribe-post"
WORDS = {
    "en": {
        "object": "Unsubscribe and object",
        "happens": "They have 5 days to stop",
        "words": "Show what they would hear",
        "objected": "You objected to advertising of Greenleaf Garden.",
        "taken": "they took it",
        "notice": "Greenleaf Garden goes on advertising though you objected",
        "objections": "Objections",
        "came": "1 message came in spite of your objection",
        "letter": "The letter",
        "title": "Objection to direct marketing: reminder",
        "download": "Download as text",
        "copy": "Copy",
        "copied": "Copied",
    },
    "nl": {
        "object": "Afmelden en bezwaar maken",
        "happens": "Ze hebben 5 dagen om te stoppen",
        "words": "Toon wat ze zouden horen",
        "objected": "Je maakte bezwaar tegen reclame van Greenleaf Garden.",
        "taken": "ze namen het aan",
        "notice": "Greenleaf Garden blijft reclame sturen, ook al maakte je bezwaar",
        "objections": "Bezwaren",
        "came": "1 bericht kwam ondanks je bezwaar",
        "letter": "De brief",
        "title": "Bezwaar tegen direct marketing: herinnering",
        "download": "Downloaden als tekst",
        "copy": "Kopiëren",
        "copied": "Gekopieerd",
    },
}


def newsletter(number: int) -> bytes:
    content = mail(
        f"Spring letter {number}",
        number=number,
        Letterbox_Kind="newsletter",
        List_Unsubscribe=f"<{OFF}>",
        List_Unsubscribe_Post="List-Unsubscribe=One-Click",
    )
    return craft(content, {"h": NAMES})


async def object_to(anna, say) -> None:
    """What will happen is read first; then it is done."""
    page = anna.page
    await anna.go("/inbox")
    await page.get_by_role("link", name="Spring letter 1").click()
    await page.get_by_role("link", name=re.compile(say["object"])).click()
    await expect(page.locator("main")).to_contain_text(OFF)
    await expect(page.locator("main")).to_contain_text(say["happens"])
    await anna.check()
    await page.get_by_role("button", name=say["words"]).click()
    await expect(page.locator("#words")).to_contain_text("kind-not-wanted")
    await page.get_by_role("button", name=re.compile(say["object"])).click()
    await expect(page.get_by_role("status")).to_contain_text(say["objected"])
    await anna.check()


async def read_letter(anna, say, *, script: bool) -> None:
    """From the notice to the letter: on the page, on paper, as a file, on the clipboard."""
    page = anna.page
    await anna.go("/inbox")
    await expect(page.get_by_role("link", name=say["notice"])).to_be_visible()
    await anna.go("/objections")
    await anna.check()
    await expect(page.locator("h1")).to_have_text(say["objections"])
    await page.locator("main").get_by_role("link", name="Greenleaf Garden").click()
    await expect(page.locator("main")).to_contain_text(say["taken"])
    await expect(page.locator("main")).to_contain_text(say["came"])
    await anna.check()
    await page.get_by_role("link", name=re.compile(say["letter"])).click()
    await expect(page.locator("h1")).to_have_text(say["title"])
    await expect(page.locator("article")).to_contain_text("Spring letter 2")
    await anna.check()
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name=say["download"]).click()
    path = await (await downloading.value).path()
    assert "Spring letter 2" in path.read_text()
    if script:
        await anna.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.get_by_role("button", name=say["copy"]).click()
        await expect(page.get_by_role("button", name=say["copied"])).to_be_visible()
        assert await page.evaluate("navigator.clipboard.readText()") == path.read_text()
    await page.emulate_media(media="print")
    await expect(page.locator("article")).to_be_visible()
    await expect(page.locator(".aside")).to_be_hidden()


@pytest.mark.parametrize(
    ("language", "width", "script"), [("en", "desk", True), ("nl", "phone", False)]
)
async def test_from_a_newsletter_to_the_letter(language: str, width: str, script: bool) -> None:
    say = WORDS[language]
    async with (
        open_site(PEOPLE.format(language=language)) as site,
        site.visitor(width=width, language=language, script=script) as anna,
    ):
        host = WebHost()
        site.house.app.outgoing.unsubscribing._web = host
        await anna.sign_in("anna")
        assert "delivered" in await site.mail(newsletter(1), ANNA)
        await object_to(anna, say)
        await site.house.work()
        assert [each.url for each in host.posted] == [OFF]
        site.house.clock.advance(days=6)
        assert "kind-not-wanted" in await site.mail(newsletter(2), ANNA)
        site.house.clock.advance(hours=7)
        await site.house.work()
        await read_letter(anna, say, script=script)
