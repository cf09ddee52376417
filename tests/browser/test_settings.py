"""Settings in a real browser: what is one's own, ways to sign in, and leaving."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.test_consumer import ANNA, people
from tests.support.browser import open_site
from tests.support.house import mail, signed

WORDS = {
    "en": {
        "title": "Settings",
        "zone": "Time zone",
        "saved": "Your language and time zone are saved.",
        "back": "Put back",
        "save": r"^Save.*Language and time",
        "new": "New password",
        "set": "Set a password",
        "set said": "Your password is set",
        "elsewhere": "Sign out everywhere else",
        "elsewhere said": "All other browsers are signed out.",
        "name": "Name here, or mail address",
        "password": "Password",
        "sign in": "Sign in",
        "sign out": "Sign out",
        "erase": "Erase everything",
        "see": "See what goes, and erase it",
        "type": "Type anna, which is what you are called here",
        "not so": "Nothing was erased",
        "gone": "Everything of yours is being erased.",
    },
    "nl": {
        "title": "Instellingen",
        "zone": "Tijdzone",
        "saved": "Je taal en tijdzone zijn bewaard.",
        "back": "Terugdraaien",
        "save": r"^Opslaan.*Taal en tijd",
        "new": "Nieuw wachtwoord",
        "set": "Wachtwoord instellen",
        "set said": "Je wachtwoord is ingesteld",
        "elsewhere": "Overal elders uitloggen",
        "elsewhere said": "Alle andere browsers zijn uitgelogd.",
        "name": "Naam hier, of mailadres",
        "password": "Wachtwoord",
        "sign in": "Inloggen",
        "sign out": "Uitloggen",
        "erase": "Alles wissen",
        "see": "Bekijk wat er weggaat, en wis het",
        "type": "Typ anna: zo heet je hier",
        "not so": "Er is niets gewist",
        "gone": "Alles van jou wordt gewist.",
    },
}
PASSWORD = "vier woorden zijn lang genoeg"


@pytest.mark.parametrize(
    ("language", "width", "script"), [("en", "desk", False), ("nl", "phone", True)]
)
async def test_everything_is_set_taken_along_and_erased(language, width, script):
    say = WORDS[language]
    async with (
        open_site(people(language)) as site,
        site.visitor(width=width, language=language, script=script) as anna,
    ):
        page, status = anna.page, anna.page.get_by_role("status")
        page.set_default_timeout(5_000)
        await site.mail(signed(mail(Letterbox_Kind="service")), ANNA)
        await anna.sign_in("anna")
        async with site.visitor() as other:
            await other.sign_in("anna")
        await anna.go("/settings")
        assert await anna.heading() == say["title"]
        await anna.check()
        await page.get_by_label(say["zone"]).fill("Nowhere/Else")
        await page.get_by_role("button", name=re.compile(say["save"])).click()
        await expect(page.get_by_label(say["zone"])).to_have_value("Nowhere/Else")
        await expect(page.get_by_role("alert").first).to_be_focused()
        anna.complaints.clear()  # that a 422 was answered
        await anna.check()
        await page.get_by_label(say["zone"]).fill("Europe/London")
        await page.get_by_role("button", name=re.compile(say["save"])).click()
        await expect(status).to_contain_text(say["saved"])
        await status.get_by_role("button", name=say["back"]).click()
        await anna.go("/settings")
        await expect(page.get_by_label(say["zone"])).to_have_value("Europe/Amsterdam")

        await page.get_by_role("button", name=say["elsewhere"]).click()
        await expect(status).to_contain_text(say["elsewhere said"])
        await page.get_by_label(say["new"]).fill(PASSWORD)
        await page.get_by_role("button", name=say["set"]).click()
        await expect(status).to_contain_text(say["set said"])
        await page.get_by_role("button", name=say["sign out"], exact=True).first.click()
        await page.get_by_label(say["name"]).fill("anna")
        await page.get_by_label(say["password"], exact=True).fill(PASSWORD)
        await anna.check()
        await page.get_by_role("button", name=say["sign in"], exact=True).click()

        await anna.go("/settings")
        await page.get_by_role("link", name=say["see"]).click()
        await anna.check()
        await page.get_by_label(say["type"]).fill("ben")
        await page.get_by_role("button", name=say["erase"]).click()
        await expect(page.get_by_role("alert")).to_contain_text(say["not so"])
        anna.complaints.clear()
        await page.get_by_label(say["type"]).fill("anna")
        await page.get_by_role("button", name=say["erase"]).click()
        await expect(status).to_contain_text(say["gone"])
        assert "550" in await site.mail(signed(mail(Letterbox_Kind="service", number=2)), ANNA)


async def test_a_passkey_is_made_signs_in_is_named_and_removed():
    async with open_site(people("en")) as site:
        # A passkey is for a name, and never for an address of numbers.
        site.url = site.url.replace("127.0.0.1", "localhost")
        async with site.visitor() as anna:
            page, status = anna.page, anna.page.get_by_role("status")
            page.set_default_timeout(5_000)
            device = await anna.context.new_cdp_session(page)
            await device.send("WebAuthn.enable")
            options = {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
            made = await device.send("WebAuthn.addVirtualAuthenticator", {"options": options})
            await anna.sign_in("anna")
            await anna.go("/settings")
            await page.get_by_label("What to call it").fill("<b>Phone</b>")
            await page.get_by_role("button", name="Add a passkey").click()
            await expect(status).to_contain_text("from now on: <b>Phone</b>")
            await anna.check()
            await page.get_by_label("New name").fill("Laptop")
            await page.get_by_role("button", name="Rename").click()
            await expect(page.get_by_role("rowheader", name="Laptop")).to_be_visible()

            await page.get_by_role("button", name="Sign out", exact=True).first.click()
            await page.get_by_role("button", name="Use a passkey").click()
            await expect(page.get_by_role("heading", level=1)).to_have_text("Inbox")

            # One that is removed here signs nobody in, whatever the device still has.
            await anna.go("/settings")
            await page.get_by_role("button", name=re.compile("^Remove.*Laptop")).click()
            await expect(status).to_contain_text("The passkey is removed.")
            await page.get_by_role("button", name="Sign out", exact=True).first.click()
            await page.get_by_role("button", name="Use a passkey").click()
            await expect(page.get_by_role("alert").first).to_contain_text("is not known here")
            anna.complaints.clear()
            await device.send(
                "WebAuthn.removeVirtualAuthenticator",
                {"authenticatorId": made["authenticatorId"]},
            )
