"""Where mail goes, in a real browser: a mailbox confirmed, chosen by kind, and what stayed here."""

import re

import pytest
from playwright.async_api import expect

from letterbox.ports.courier import Handed, Never
from tests.browser.test_consumer import ANNA, people
from tests.support.browser import open_site
from tests.support.house import mail, signed

ME = "anna@provider.test"
WORDS = {
    "en": {
        "title": "Where mail goes",
        "add": "Add a mailbox of yours",
        "add it": "Add it",
        "added": "A letter goes to",
        "yes": "Yes, hand it on",
        "confirmed": "Confirmed",
        "service": "Service mail",
        "save": "Save",
        "saved": "Where your mail goes is saved.",
        "why": "refused it. The server said: 550 no room",
        "again": "Try again now",
        "tried": "It is tried again now",
        "gone": "Everything that was to go on has gone on.",
    },
    "nl": {
        "title": "Waar post heen gaat",
        "add": "Voeg een mailbox van jezelf toe",
        "add it": "Toevoegen",
        "added": "Er gaat een brief naar",
        "yes": "Ja, geef het door",
        "confirmed": "Bevestigd",
        "service": "Servicemail",
        "save": "Opslaan",
        "saved": "Waar je post heen gaat is opgeslagen.",
        "why": "weigerde het. De server zei: 550 no room",
        "again": "Nu opnieuw proberen",
        "tried": "Het wordt nu opnieuw geprobeerd",
        "gone": "Alles wat door moest, is door.",
    },
}


class Office:
    """Takes letters, and no other mail before it is told to."""

    def __init__(self) -> None:
        self.letters: list[bytes] = []
        self.room = False

    async def hand_on(self, letter):
        if b"/confirm/" in letter.content:
            self.letters.append(letter.content)
            return Handed("taken")
        return Handed("taken") if self.room else Never("550 no room")


@pytest.mark.parametrize(
    ("language", "width", "script"), [("en", "desk", False), ("nl", "phone", True)]
)
async def test_a_mailbox_is_confirmed_chosen_and_what_stays_is_seen(language, width, script):
    say = WORDS[language]
    async with (
        open_site(people(language)) as site,
        site.visitor(width=width, language=language, script=script) as anna,
    ):
        house, office = site.house, Office()
        house.app.onward.confirming._courier = office
        house.app.onward.handing._mail = office
        page, status = anna.page, anna.page.get_by_role("status")
        page.set_default_timeout(5_000)
        await anna.sign_in("anna")
        await anna.go("/delivery")
        assert await anna.heading() == say["title"]
        await anna.check()
        await page.get_by_label(say["add"]).fill(ME)
        await page.get_by_role("button", name=say["add it"]).click()
        await expect(status).to_contain_text(say["added"])
        await house.work()
        await anna.check()
        (link,) = re.findall(rb"(/confirm/\w+)", office.letters[0])
        await anna.go(link.decode())
        await anna.check()
        await page.get_by_role("button", name=say["yes"]).click()
        await expect(status).to_contain_text(say["confirmed"])
        await page.get_by_label(say["service"]).select_option(ME)
        await page.get_by_role("button", name=re.compile(f"^{say['save']}")).click()
        await expect(status).to_contain_text(say["saved"])
        await site.mail(signed(mail(Letterbox_Kind="service")), ANNA)
        await house.work()
        await anna.go("/delivery")
        await expect(page.locator("main")).to_contain_text(say["why"])
        await anna.check()
        office.room = True
        await page.get_by_role("button", name=say["again"]).first.click()
        await expect(status).to_contain_text(say["tried"])
        await house.work()
        await anna.go("/delivery")
        await expect(page.locator("main")).to_contain_text(say["gone"])
