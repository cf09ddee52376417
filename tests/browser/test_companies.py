"""Companies in a real browser: rules are changed, one is locked out, an address is made."""

import re

import pytest
from playwright.async_api import expect

from tests.support.api import PEOPLE
from tests.support.browser import open_site
from tests.support.house import mail, signed

ANNA = "anna@letterbox.example"
WORDS = {
    "en": {
        "lock out": "Lock out",
        "everything": "everything: invoices",
        "too often": "too often",
        "show": "Show what they would hear",
        "do": "Do it",
        "out": "is locked out",
        "back": "Put back",
        "change": "Change: Which of them",
        "all": "everything of these kinds",
        "save": "Save.*Which of them",
        "changed": "Changed:",
        "choose": "Choose Greenleaf",
        "show changes": "Show what changes",
        "change all": "Change all of these",
        "word": "A word of its own",
        "make": "Make it",
        "made": "You have anna+garden@letterbox.example now.",
        "add": "Add",
        "domain": "Its domain, or one address",
    },
    "nl": {
        "lock out": "buitensluiten",
        "everything": "alles: ook facturen",
        "too often": "te vaak",
        "show": "Toon wat ze zouden horen",
        "do": "Doe het",
        "out": "is buitengesloten",
        "back": "Terugdraaien",
        "change": "Wijzigen: Welke daarvan",
        "all": "alles van deze soorten",
        "save": "Opslaan.*Welke daarvan",
        "changed": "Gewijzigd:",
        "choose": "Kies Greenleaf",
        "show changes": "Toon wat er verandert",
        "change all": "Wijzig al deze",
        "word": "Een eigen woord",
        "make": "Maak het",
        "made": "Je hebt nu anna+garden@letterbox.example.",
        "add": "Toevoegen",
        "domain": "Het domein, of één adres",
    },
}


CASES = pytest.mark.parametrize(
    ("language", "width", "script", "dark"),
    [("en", "desk", False, False), ("nl", "phone", True, True)],
)


def people(language: str) -> str:
    return PEOPLE.replace('language = "nl"', f'language = "{language}"', 1)


def boots(number: int) -> bytes:
    fields = {"Letterbox_Kind": "offer", "Letterbox_Category": "fashion/shoes"}
    return signed(mail("Boots", number=number, **fields))


@CASES
async def test_a_company_is_ruled(language, width, script, dark):
    say = WORDS[language]
    async with (
        open_site(people(language)) as site,
        site.visitor(width=width, language=language, script=script, dark=dark) as anna,
    ):
        page = anna.page
        told = await site.mail(boots(1), ANNA)
        await anna.sign_in("anna")
        await anna.go("/vendors")
        await anna.check()
        await page.get_by_role("link", name="Greenleaf Garden").click()
        assert await anna.heading() == "Greenleaf Garden"
        # The reply that they were given stands at the level that they hear now.
        line = " ".join(told.split()[2:8])
        await expect(page.locator("#w-remedy")).to_contain_text(line)
        await anna.check()

        # One rule.
        await page.locator("summary", has_text=say["change"]).click()
        await page.get_by_label(say["all"]).check()
        await page.get_by_role("button", name=re.compile(say["save"])).click()
        await expect(page.get_by_role("status")).to_contain_text(say["changed"])
        await page.get_by_role("button", name=say["back"]).click()
        assert page.url.endswith("/vendors")

        # Locked out, in words that were seen before.
        await anna.go("/vendors/greenleaf/lock-out")
        await anna.check()
        await page.get_by_label(say["everything"]).check()
        await page.get_by_label(say["too often"]).check()
        await page.get_by_role("button", name=say["show"]).click()
        shown = await page.locator("#words code").first.inner_text()
        assert "too often" in shown
        await page.get_by_role("button", name=re.compile("^" + say["do"])).click()
        await expect(page.get_by_role("status")).to_contain_text(say["out"])
        said = await site.mail(boots(2), ANNA)
        assert shown.split("http")[0].strip() in said
        await page.get_by_role("button", name=say["back"]).click()


@CASES
async def test_several_are_changed_one_is_added_and_an_address_is_made(
    language, width, script, dark
):
    say = WORDS[language]
    async with (
        open_site(people(language)) as site,
        site.visitor(width=width, language=language, script=script, dark=dark) as anna,
    ):
        page = anna.page
        await site.mail(boots(1), ANNA)
        await anna.sign_in("anna")
        await anna.go("/vendors")
        await page.get_by_label(re.compile(say["choose"])).check()
        await page.locator("select[name=action]").select_option("week")
        await page.get_by_role("button", name=say["show changes"]).click()
        await anna.check()
        await page.get_by_role("button", name=say["change all"]).click()
        await expect(page.get_by_role("status")).to_contain_text(say["changed"])

        # One more company; an address of one's own.
        await anna.go("/vendors/~new")
        await page.get_by_label(say["domain"]).fill("other.example")
        await anna.check()
        await page.get_by_role("button", name=say["add"], exact=True).click()
        assert await anna.heading() == "other.example"
        await anna.go("/addresses")
        await page.get_by_label(say["word"]).fill("garden")
        await page.get_by_role("button", name=say["make"]).click()
        await expect(page.get_by_role("status")).to_contain_text(say["made"])
        await anna.check()
        await page.locator("td a", has_text="anna+garden").click()
        await anna.check()
        await anna.go("/activity")
        await expect(page.locator("main")).to_contain_text("no-matching-interest")
        await anna.check()


async def test_the_list_follows_what_is_typed():
    rules = "".join(f'  [[consumer.vendor]]\n  domain = "shop{n}.example"\n' for n in range(60))
    start, ben = people("en").split('\n[[consumer]]\nid = "ben"')
    declared = f'{start}{rules}\n[[consumer]]\nid = "ben"{ben}'
    async with open_site(declared) as site, site.visitor() as anna:
        await anna.sign_in("anna")
        await anna.go("/vendors")
        page = anna.page
        await expect(page.locator("tbody tr")).to_have_count(50)
        await page.get_by_label("Search").press_sequentially("shop5")
        await expect(page.locator("tbody tr")).to_have_count(11)
        await expect(page.get_by_label("Search")).to_be_focused()
        await expect(page).to_have_url(re.compile("q=shop5"))
        await anna.check()
