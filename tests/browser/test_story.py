"""The whole story between a person and a company: from the first wish to mail that comes again."""

import re

import pytest
from playwright.async_api import expect

from tests.browser import test_companies, test_consumer, test_vendor, test_wishes
from tests.support.browser import open_site
from tests.support.house import mail, signed

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
  accepts = ["service", "offer"]
  tells = "remedy"
"""
WORDS = {
    "en": {"day": "Monday", "let back in": "Let back in", "back": "is let back in"},
    "nl": {"day": "maandag", "let back in": "Weer toelaten", "back": "is weer toegelaten"},
}


def offer(subject: str, number: int) -> bytes:
    return signed(mail(subject, number=number, Letterbox_Kind="offer"))


async def wish(anna, say) -> None:
    """Boots, on Mondays from one to two: it is just after one."""
    page = anna.page
    await anna.go("/interests")
    await page.get_by_role("link", name=say["add"]).click()
    await page.get_by_label(say["name"], exact=True).fill("boots")
    await page.get_by_label(say["words"]).fill("boots")
    await page.get_by_role("button", name=say["save"]).click()
    await expect(page.locator("#i-boots")).to_be_visible()
    await anna.go("/times?kind=offer")
    await page.get_by_label(re.compile(f"^{say['day']} 13.14$")).check()
    week = page.locator("form", has=page.locator(".week"))
    await week.get_by_role("button", name=say["save"]).click()
    await expect(page.get_by_role("status")).to_be_visible()


async def read(anna, subject: str, *, script: bool) -> None:
    """What came is there, without reloading where scripts run."""
    if not script:
        await anna.go("/inbox")
    await expect(anna.page.get_by_role("link", name=subject)).to_be_visible()


async def let_in(anna, say, subject: str) -> None:
    """What was refused says why, and is let in."""
    page = anna.page
    await anna.go("/refused")
    await expect(page.locator("main")).to_contain_text(say["why"])
    await page.get_by_role("link", name=re.compile(rf"^{say['let in']}.*{subject}")).click()
    await page.get_by_role("button", name=say["let in"]).click()
    await expect(page.get_by_role("status")).to_contain_text(subject)
    await anna.go("/inbox")
    await expect(page.get_by_role("link", name=subject)).to_be_visible()


async def lock_out(anna, say) -> None:
    """With a reason, and with what helps."""
    page = anna.page
    await anna.go("/vendors/greenleaf/lock-out")
    await page.get_by_label(say["everything"]).check()
    await page.get_by_label(say["too often"]).check()
    await page.locator("#f-remedy-messages").fill("1")
    await page.get_by_role("button", name=re.compile("^" + say["do"])).click()
    await expect(page.get_by_role("status")).to_contain_text(say["out"])


async def ask_back(shop, say, site) -> None:
    """The company reads why, and accepts what helps."""
    page = shop.page
    await shop.sign_in("greenleaf", "vendor")
    await site.house.work()
    await shop.go("/vendor/feedback")
    await shop.check()
    await page.locator("tr", has_text=say["why"]).first.get_by_role("link").first.click()
    await expect(page.locator("main")).to_contain_text(say["helps"])
    await page.locator("#note").fill("Once a month it is.")
    await page.get_by_role("button", name=say["ask"]).click()
    await expect(page.get_by_role("status")).to_contain_text(say["asked"])


async def say_yes(anna, say) -> None:
    """The person reads what was accepted, and lets the company back in."""
    page = anna.page
    await anna.go("/waiting")
    await expect(page.locator("main")).to_contain_text("Once a month it is.")
    await anna.check()
    await page.get_by_role("button", name=re.compile("^" + say["let back in"])).click()
    await expect(page.get_by_role("status")).to_contain_text(say["back"])


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("language", "width", "script"), [("en", "desk", True), ("nl", "phone", False)]
)
async def test_from_the_first_wish_to_the_mail_that_comes_again(language, width, script):
    wishes, consumer, companies, vendor = (
        each.WORDS[language] | WORDS[language]
        for each in (test_wishes, test_consumer, test_companies, test_vendor)
    )
    async with (
        open_site(PEOPLE.format(language=language)) as site,
        site.visitor(width=width, language=language, script=script) as anna,
        site.visitor(width=width, language=language, script=script) as shop,
    ):
        await anna.sign_in("anna")
        await wish(anna, wishes)
        await anna.go("/inbox")
        assert "delivered" in await site.mail(offer("Boots for the autumn", 1), ANNA)
        await read(anna, "Boots for the autumn", script=script)
        site.house.clock.advance(minutes=1)
        assert "550" in await site.mail(offer("Pruners", 2), ANNA)
        await let_in(anna, consumer, "Pruners")
        await lock_out(anna, companies)
        site.house.clock.advance(minutes=1)
        assert "vendor-blocked" in await site.mail(offer("Boots again", 3), ANNA)
        await ask_back(shop, vendor, site)
        await say_yes(anna, consumer)
        site.house.clock.advance(minutes=1)
        assert "delivered" in await site.mail(offer("Boots at last", 4), ANNA)
        await anna.go("/inbox")
        await read(anna, "Boots at last", script=script)
