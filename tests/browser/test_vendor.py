"""A vendor's story in a real browser: why it was refused, what helps, and the way back."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.test_consumer import ANNA
from tests.support.browser import open_site
from tests.support.house import mail, signed
from tests.unit.test_reconnect import PEOPLE

WORDS = {
    "en": {
        "overview": "Fix first",
        "why": "Locked out",
        "helps": "at most 1 per month",
        "ask": "We accept, ask",
        "asked": "They are asked.",
        "claim": "Claim",
        "check": "Check",
        "not there": "no TXT record there",
        "proven": "leaf.example is proven",
        "make": "Make a key",
        "once": "Shown this once",
        "test": "Test",
        "form": "It can be taken.",
        "save": "Save",
        "report": "You agreed to report mode",
        "add": "Add",
    },
    "nl": {
        "overview": "Eerst verhelpen",
        "why": "Buitengesloten",
        "helps": "hoogstens 1 per maand",
        "ask": "Wij aanvaarden, vraag het",
        "asked": "De ontvanger wordt gevraagd.",
        "claim": "Toevoegen",
        "check": "Controleren",
        "not there": "geen TXT-record",
        "proven": "Bewezen is dat leaf.example",
        "make": "Een sleutel maken",
        "once": "Eenmalig getoond",
        "test": "Testen",
        "form": "Het kan aangenomen worden.",
        "save": "Opslaan",
        "report": "Je stemde in met de meldstand",
        "add": "Toevoegen",
    },
}


@pytest.mark.parametrize(
    ("language", "width", "script", "dark"),
    [
        ("en", "desk", True, False),
        pytest.param("nl", "phone", True, True, marks=pytest.mark.long),
        ("nl", "phone", False, False),
    ],
)
async def test_a_vendor_learns_why_and_asks_to_come_back(language, width, script, dark):
    say = WORDS[language]
    async with (
        open_site(PEOPLE) as site,
        site.visitor(width=width, language=language, script=script, dark=dark) as shop,
    ):
        page = shop.page
        await shop.sign_in("greenleaf", "vendor")
        assert await shop.heading() == "Greenleaf Garden"
        await shop.check()
        assert "550" in await site.mail(signed(mail("Spring sale")), ANNA)

        await shop.go("/vendor")
        await expect(page.locator("main")).to_contain_text(say["overview"])
        await expect(page.locator("main")).to_contain_text(say["helps"])
        await expect(page.get_by_role("img")).to_be_visible()
        await shop.check()

        await shop.go("/vendor/feedback")
        row = page.locator("#e-1")
        if not script:
            await site.house.work()
            await shop.go("/vendor/feedback")
        await expect(row).to_contain_text(ANNA)
        await shop.check()
        await row.get_by_role("link").click()
        assert await shop.heading() == say["why"]
        await expect(page.locator("main")).to_contain_text(say["helps"])
        await expect(page.locator("main")).to_contain_text("550 5.7.1")
        await shop.check()
        await page.locator("#note").fill("Once a month it is.")
        await page.get_by_role("button", name=say["ask"]).click()
        await expect(page.get_by_role("status")).to_contain_text(say["asked"])
        await shop.check()


@pytest.mark.parametrize(
    ("language", "width", "script", "dark"),
    [("en", "phone", False, True), ("nl", "desk", True, False)],
)
async def test_a_vendor_sees_to_its_domains_keys_and_webhooks(language, width, script, dark):
    say = WORDS[language]
    check = re.compile(rf"^{say['check']}.*leaf")
    async with (
        open_site(PEOPLE) as site,
        site.visitor(width=width, language=language, script=script, dark=dark) as shop,
    ):
        page = shop.page
        site.house.zone.records["hooks.example"] = {"A": ["93.184.216.34"]}
        await shop.sign_in("greenleaf", "vendor")
        await shop.go("/vendor/domains")
        await page.locator("#domain").fill("leaf.example")
        await page.get_by_role("button", name=say["claim"], exact=True).click()
        await page.get_by_role("button", name=check).click()
        await expect(page.get_by_role("alert")).to_contain_text(say["not there"])
        await shop.check()
        value = await page.locator('[id="v-leaf.example"]').inner_text()
        site.house.zone.records["_letterbox-challenge.leaf.example"] = {"TXT": [value]}
        await page.get_by_role("button", name=check).click()
        await expect(page.get_by_role("status")).to_contain_text(say["proven"])
        await shop.check()

        await shop.go("/vendor/keys")
        await page.get_by_role("button", name=say["make"]).click()
        await expect(page.locator("main")).to_contain_text(say["once"])
        await shop.check()

        await shop.go("/vendor/webhooks")
        await page.locator("#url").fill("https://hooks.example/in")
        await page.get_by_role("button", name=say["add"]).click()
        await expect(page.locator("main")).to_contain_text(say["once"])
        await shop.check()

        await shop.go("/vendor/preflight")
        await page.locator("#mail").fill(mail("Sale").decode())
        await page.locator("#to").fill(ANNA)
        await page.get_by_role("button", name=say["test"]).click()
        await expect(page.locator("#result")).to_contain_text(say["form"])
        await shop.check()

        await shop.go("/vendor/reporting")
        await page.locator("#reply-report").check()
        await page.get_by_role("button", name=say["save"]).click()
        await expect(page.get_by_role("alert")).to_be_visible()
        await shop.check()
        # The browser notes the status of the page that says what is wrong.
        assert all("422" in each for each in shop.complaints)
        shop.complaints.clear()
        await page.locator("#agreed").check()
        await page.get_by_role("button", name=say["save"]).click()
        await expect(page.locator("main")).to_contain_text(say["report"])
        await shop.check()


async def test_a_new_event_waits_behind_a_button():
    async with open_site(PEOPLE) as site, site.visitor() as shop:
        await site.mail(signed(mail("One", number=1)), ANNA)
        await site.house.work()
        await shop.sign_in("greenleaf", "vendor")
        await shop.go("/vendor/feedback")
        page = shop.page
        await expect(page.locator("#e-1")).to_be_visible()
        await site.mail(signed(mail("Two", number=2)), ANNA)
        await page.get_by_role("button", name="1 new").click()
        await expect(page.locator("#e-2")).to_be_visible()
