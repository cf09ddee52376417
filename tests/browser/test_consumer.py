"""A consumer's day, in a real browser: mail arrives, another is refused and let in after all."""

import re

import pytest
from playwright.async_api import expect

from tests.support.api import PEOPLE
from tests.support.browser import open_site
from tests.support.house import mail, signed

ANNA = "anna@letterbox.example"


def people(language: str) -> str:
    return PEOPLE.replace('language = "nl"', f'language = "{language}"', 1)


def offer(subject: str, number: int) -> bytes:
    """Mail about garden tools; what is about something else is refused."""
    about = "home-garden/garden-tools" if "Pruners" in subject else "fashion/shoes"
    return signed(mail(subject, number=number, Letterbox_Kind="offer", Letterbox_Category=about))


WORDS = {
    "en": {
        "inbox": "Inbox",
        "waiting": "Waiting",
        "refused": "Refused",
        "why": "It fits none of your interests",
        "let in": "Let in",
        "said": "Let in: Boots",
        "back": "Put back",
        "archive": "Archive",
        "menu": "Menu",
        "sign out": "Sign out",
    },
    "nl": {
        "inbox": "Postvak",
        "waiting": "Wacht",
        "refused": "Geweigerd",
        "why": "Het past bij geen van je interesses",
        "let in": "Toelaten",
        "said": "Toegelaten: Boots",
        "back": "Terugdraaien",
        "archive": "Archiveren",
        "menu": "Menu",
        "sign out": "Uitloggen",
    },
}


@pytest.mark.parametrize(
    ("language", "width", "script", "dark"),
    [
        ("en", "desk", True, False),
        pytest.param("nl", "phone", True, True, marks=pytest.mark.long),
        pytest.param("en", "phone", False, False, marks=pytest.mark.long),
        ("nl", "desk", False, False),
    ],
)
async def test_mail_arrives_another_is_refused_and_let_in(language, width, script, dark):
    say = WORDS[language]
    async with (
        open_site(people(language)) as site,
        site.visitor(width=width, language=language, script=script, dark=dark) as anna,
    ):
        page = anna.page
        await anna.sign_in("anna")
        assert await anna.heading() == say["inbox"]
        await anna.check()

        assert "delivered" in await site.mail(offer("Pruners for spring", 1), ANNA)
        link = page.get_by_role("link", name="Pruners for spring")
        if not script:
            await anna.go("/inbox")
        await expect(link).to_be_visible()
        await anna.check()

        await link.click()
        assert await anna.heading() == "Pruners for spring"
        await expect(page.locator("main")).to_contain_text("garden-tools")
        await expect(page.locator("pre.letter")).to_contain_text("Pruners and loppers.")
        await anna.check()

        assert "550" in await site.mail(offer("Boots", 2), ANNA)
        await anna.go("/refused")
        assert await anna.heading() == say["refused"]
        await expect(page.locator("main")).to_contain_text(say["why"])
        await expect(
            page.locator("[data-count=refused]:visible")
            .or_(page.locator(".narrow [data-count=refused]"))
            .last
        ).to_have_text("1")
        await anna.check()

        await page.get_by_role("link", name=re.compile(rf"^{say['let in']}.*Boots")).click()
        await anna.check()
        await page.get_by_role("button", name=say["let in"]).click()
        await expect(page.get_by_role("status")).to_contain_text(say["said"])
        await expect(page.get_by_role("status")).to_be_focused()
        await anna.check()

        await anna.go("/inbox")
        await expect(page.get_by_role("link", name="Boots")).to_be_visible()
        await page.get_by_role("link", name="Boots").click()
        await page.get_by_role("button", name=say["archive"]).click()
        await expect(page.get_by_role("link", name="Boots")).to_have_count(0)
        await page.get_by_role("button", name=say["back"]).click()
        await expect(page.get_by_role("link", name="Boots")).to_be_visible()


async def test_new_mail_waits_behind_a_button_where_there_is_some_already():
    async with open_site(people("en")) as site, site.visitor() as anna:
        await site.mail(offer("Pruners one", 1), ANNA)
        await anna.sign_in("anna")
        page = anna.page
        await expect(page.get_by_role("link", name="Pruners one")).to_be_visible()
        site.house.clock.advance(seconds=1)
        await site.mail(offer("Pruners two", 2), ANNA)
        button = page.get_by_role("button", name="1 new")
        await expect(button).to_be_visible()
        await expect(page.get_by_role("link", name="Pruners two")).to_have_count(0)
        await anna.check()
        await button.click()
        await expect(page.get_by_role("link", name="Pruners two")).to_be_focused()


@pytest.mark.parametrize(("width", "script"), [("phone", True), ("desk", False)])
async def test_what_waits_is_let_in_or_refused(width, script):
    ask = 'vendor = "greenleaf"\n  standing = "ask"\n  accepts'
    asking = people("en").replace('vendor = "greenleaf"\n  accepts', ask)
    async with open_site(asking) as site, site.visitor(width=width, script=script) as anna:
        await site.mail(offer("Pruners for spring", 1), ANNA)
        await site.mail(offer("Boots", 2), ANNA)
        await anna.sign_in("anna")
        await anna.go("/waiting")
        page = anna.page
        await anna.check()
        card = page.locator("article", has_text="Pruners for spring")
        await card.get_by_label("Yes, to").select_option("kind")
        await card.get_by_role("button", name="Yes").click()
        await expect(page.get_by_role("status")).to_contain_text("You said yes: Pruners")
        await anna.check()
        await anna.go("/inbox")
        await expect(page.get_by_role("link", name="Pruners for spring")).to_be_visible()
        assert "delivered" in await site.mail(offer("Boots again", 3), ANNA)
