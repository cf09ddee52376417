"""People who only watch the demonstration's mail come, by clicks, to what others write by hand."""

import re

import msgspec
from playwright.async_api import expect

from tests.support.browser import browsing
from tests.support.story import Told, told_to_watchers


class Watcher:
    """A person who watches, and what they click."""

    def __init__(self, visitor):
        self.visitor = visitor
        self.page = visitor.page
        self.page.set_default_timeout(5_000)

    async def open(self, *subjects: str) -> None:
        """Open messages of the inbox."""
        for subject in subjects:
            await self.visitor.go("/inbox")
            await self.page.get_by_role("link", name=subject).click()

    def card(self, sentence: str):
        """A suggestion."""
        heading = self.page.get_by_role("heading", name=re.compile(sentence))
        return self.page.locator("article.suggestion", has=heading)

    async def adopt(self, sentence: str, button: str, said: str, **fields: str) -> None:
        """Adopt a suggestion with one click, after what is chosen with it."""
        await self.visitor.go("/suggestions")
        card = self.card(sentence)
        for name, value in fields.items():
            field = card.locator(f"[name={name.rstrip('_')}]")
            if await field.evaluate("it => it.tagName") == "SELECT":
                await field.select_option(value)
            else:
                await field.fill(value)
        await card.get_by_role("button", name=button).click()
        await expect(self.page.get_by_role("status")).to_contain_text(said)


async def adopt_what_ben_wrote(ben: Watcher, told: Told) -> None:
    """Everything that Ben wrote by hand, by clicks."""
    page, visitor, wanted = ben.page, ben.visitor, told.by_hand("ben")
    await ben.adopt("Allow Volt Shop", "Adopt", "From now on: Allow Volt Shop")
    await page.get_by_role("button", name="Put back").click()
    await expect(page.get_by_role("status")).to_contain_text("Put back")
    assert not (await told.now("ben")).vendor
    await ben.adopt("Allow Volt Shop", "Adopt", "From now on: Allow Volt Shop")
    await ben.adopt("Allow Pagewise Books", "Adopt", "From now on")
    # What no mail can show is said on the pages that there are for it.
    await visitor.go("/vendors/voltshop")
    await _change(page, "kinds", {"kind": ["service", "offer", "newsletter"]})
    await visitor.go("/vendors/pagewise")
    rule = wanted.vendor[1]
    days = {"from": rule.from_.isoformat(), "until": rule.until.isoformat()}
    await _change(page, "days", days)

    headphones, books = wanted.interest
    await visitor.go("/suggestions")
    await ben.card("Audio").get_by_role("link", name="Change it first").click()
    await page.get_by_label("Name", exact=True).fill(headphones.id)
    await expect(page.locator("[name=brands]")).to_have_value("Sonorelle")
    await page.get_by_role("button", name="Save").click()
    await visitor.go("/suggestions")
    await ben.card("Books").get_by_role("link", name="Change it first").click()
    await page.get_by_role("button", name=re.compile("^Remove")).first.click()
    await page.locator("[name=any]").fill(", ".join(books.keywords.any))
    await page.locator("[name=none]").fill(", ".join(books.keywords.none))
    await page.get_by_role("button", name="Save").click()
    await ben.adopt("Volt Shop: at most two offers per week", "Adopt", "From now on")
    (day,) = wanted.window[0].days
    await ben.adopt("On Saturday from 09:00 to 12:00", "Adopt", "From now on", day=day)


async def test_ben_watches_adopts_and_filters():
    async with told_to_watchers() as told, browsing(told.house, told.addresses) as site:
        wanted = told.by_hand("ben")
        async with site.visitor() as visitor:
            ben, page = Watcher(visitor), visitor.page
            await visitor.sign_in("ben")
            note = page.get_by_role("note")
            await expect(note).to_contain_text("everything is let in")
            await expect(note).to_contain_text("6 of 6 would have been refused or held")
            row = page.get_by_role("row", name=re.compile("Sonorelle speakers"))
            await expect(row).to_contain_text("would have been refused: ")
            await visitor.check()
            await ben.open(
                "Sonorelle headphones", "Sonorelle earbuds", "A new novel by a quiet master"
            )
            await expect(page.get_by_role("main")).to_contain_text(
                "You only watch; it would have been refused."
            )
            await note.get_by_role("link", name="6 of 6").click()
            await expect(page.get_by_role("row")).to_have_count(7)
            await visitor.check()

            await visitor.go("/suggestions")
            await expect(ben.card("Allow Volt Shop")).to_contain_text("Of 4 messages")
            await visitor.check()
            await page.get_by_role("link", name="Adopt all that are listed").click()
            await expect(
                page.get_by_role("row", name=re.compile("Allow Volt Shop"))
            ).to_be_visible()
            await visitor.check()

            await adopt_what_ben_wrote(ben, told)
            await page.get_by_role("button", name="Start filtering").click()
            await expect(page.get_by_role("status")).to_contain_text("your rules decide")
            await expect(page.get_by_role("note")).to_have_count(0)
            await visitor.check()
        assert await told.now("ben") == wanted


async def _change(page, what: str, fields) -> None:
    """Change one rule of a company on its page."""
    form = page.locator("form", has=page.locator(f"input[name=what][value={what}]"))
    await page.locator("details", has=form).locator("summary").click()
    for name, value in fields.items():
        if isinstance(value, list):
            for each in value:
                await form.locator(f"[name={name}][value={each}]").check()
        else:
            await form.locator(f"[name={name}]").fill(value)
    await form.get_by_role("button").first.click()


async def test_anna_does_so_without_script():
    async with told_to_watchers() as told, browsing(told.house, told.addresses) as site:
        async with site.visitor(script=False, language="nl") as visitor:
            anna, page = Watcher(visitor), visitor.page
            await visitor.sign_in("anna")
            await expect(page.get_by_role("note")).to_contain_text("alles komt binnen")
            await anna.open("Autumn sale", "Bypass pruner", "Your order 1043")
            await anna.adopt("Laat Greenleaf Garden toe", "Overnemen", "Vanaf nu")
            await anna.adopt("Sluit Volt Shop buiten", "Overnemen", "Vanaf nu", because="too-often")
            await visitor.go("/vendors/voltshop/lock-out")
            await page.locator("[name=what][value=everything]").check()
            await page.locator("[name=because][value=too-often]").check()
            await page.locator("[name=remedy-messages]").fill("1")
            await page.locator("[name=remedy-per]").select_option("month")
            await page.locator("button[value=do]").click()
            await anna.adopt("Een nieuwe interesse", "Overnemen", "Vanaf nu", price="150")
            await visitor.go("/interests/garden-tools")
            await page.locator("[name=regions]").fill("NL")
            await page.get_by_role("button", name="Opslaan").click()
            await visitor.go("/settings")
            main = page.get_by_role("main")
            await main.get_by_role("button", name="Beginnen met filteren").last.click()
            await expect(page.get_by_role("status")).to_contain_text("bepalen je regels")
        by_hand = told.by_hand("anna")
        # No mail can show a wish whose time is over; that one is left out.
        wanted = msgspec.structs.replace(by_hand, interest=by_hand.interest[:1])
        assert await told.now("anna") == wanted
