"""A digest and its links, and notices, in a real browser."""

import base64
import email
import email.policy
import json
import re

import pytest
from playwright.async_api import expect

from tests.browser.test_consumer import ANNA, people
from tests.support.browser import open_site
from tests.support.house import mail, signed
from tests.unit.test_channels import Browser

WORDS = {
    "en": {
        "on": "Send me a digest",
        "save": r"^Save.*Digest",
        "saved": "When a digest comes is saved.",
        "now": "Send me one now",
        "sent": "A digest is on its way.",
        "archive": "Archive it",
        "archived": "It is archived.",
        "over": "This link does nothing any more",
        "here": "Give notice in this browser",
        "added": "Added.",
    },
    "nl": {
        "on": "Stuur me een overzicht",
        "save": r"^Opslaan.*Overzicht",
        "saved": "Wanneer een overzicht komt is bewaard.",
        "now": "Stuur er nu een",
        "sent": "Er is een overzicht onderweg.",
        "archive": "Archiveer het",
        "archived": "Het is gearchiveerd.",
        "over": "Deze link doet niets meer",
        "here": "Meldingen in deze browser",
        "added": "Toegevoegd.",
    },
}
#: A browser whose push service is not asked: no test calls anybody.
SUBSCRIBED = """
window.asked = 0;
Notification.requestPermission = async () => { window.asked += 1; return "granted"; };
PushManager.prototype.subscribe = async () => ({ toJSON: () => (SUBSCRIPTION) });
"""


@pytest.mark.parametrize(
    ("language", "width", "script"), [("en", "desk", False), ("nl", "phone", True)]
)
async def test_a_digest_is_asked_for_and_its_link_does_what_it_says(language, width, script):
    say = WORDS[language]
    async with (
        open_site(people(language)) as site,
        site.visitor(width=width, language=language, script=script) as anna,
    ):
        page, status = anna.page, anna.page.get_by_role("status")
        page.set_default_timeout(5_000)
        await site.mail(signed(mail(Letterbox_Kind="service")), ANNA)
        await anna.sign_in("anna")
        await anna.go("/notices")
        await anna.check()
        await page.get_by_label(say["on"]).check()
        await page.get_by_role("button", name=re.compile(say["save"])).click()
        await expect(status).to_contain_text(say["saved"])
        await page.get_by_role("button", name=say["now"]).click()
        await expect(status).to_contain_text(say["sent"])
        await site.house.work()
        entries = (await site.house.app.mailboxes.inbox("anna", after=None, limit=9)).items
        came, written = sorted(entries, key=lambda entry: entry.is_ours)
        content = await site.house.app.mailboxes.body(written.message)
        digest = email.message_from_bytes(content, policy=email.policy.default)
        link = re.search(r"https?://\S+(/a/\S+)", digest.get_body(("plain",)).get_content())
        # Whoever holds the link need not be signed in.
        async with site.visitor(width=width, language=language, script=script) as other:
            await other.go(link[1])
            await other.check()
            assert not (await site.house.app.mailboxes.entry("anna", came.id)).archived
            await other.page.get_by_role("button", name=say["archive"]).click()
            await expect(other.page.get_by_role("heading")).to_have_text(say["archived"])
            await other.check()
            assert (await site.house.app.mailboxes.entry("anna", came.id)).archived
            await other.go(link[1])
            await expect(other.page.get_by_role("heading")).to_have_text(say["over"])
            other.complaints.clear()  # that it answered with a 404


async def test_a_browser_is_a_channel_once_its_button_is_pressed():
    say, browser = WORDS["en"], Browser()
    keys = {"p256dh": browser.point, "auth": browser.auth}
    subscription = {
        "endpoint": "https://push.example/send/1",
        "keys": {name: base64.urlsafe_b64encode(key).decode() for name, key in keys.items()},
    }
    async with open_site(people("en")) as site, site.visitor() as anna:
        page = anna.page
        page.set_default_timeout(5_000)
        await page.add_init_script(SUBSCRIBED.replace("SUBSCRIPTION", json.dumps(subscription)))
        await anna.sign_in("anna")
        await anna.go("/notices")
        await anna.check()
        assert await page.evaluate("window.asked") == 0
        await page.get_by_role("button", name=say["here"]).click()
        await expect(page.get_by_role("status")).to_contain_text(say["added"])
        (channel,) = await site.house.app.channels.listed("anna")
        assert (channel.kind, channel.key) == ("push", browser.point)
