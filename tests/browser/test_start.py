"""Starting in a real browser: old mail is read, companies are chosen from, mail is expected."""

import re

import pytest
from playwright.async_api import expect

from tests.support.api import PEOPLE
from tests.support.browser import open_site
from tests.support.oldmail import made_up, write_mbox

WORDS = {
    "en": {
        "read": "Read it",
        "done": "Read to its end",
        "all": "All that are shown",
        "save": "Save the choices",
        "changed": "Changed: 250",
        "back": "Put back",
        "search": "Search",
        "make": "Make an address",
        "yours": "is yours to give",
        "domain": "Its domain",
        "expect": "Expect it",
    },
    "nl": {
        "read": "Lezen",
        "done": "Tot het einde gelezen",
        "all": "Alle die hier staan",
        "save": "Keuzes opslaan",
        "changed": "Gewijzigd: 250|Veranderd: 250",
        "back": "Terugdraaien",
        "search": "Zoek",
        "make": "Een adres maken",
        "yours": "kun je geven",
        "domain": "Het domein",
        "expect": "Verwachten",
    },
}


@pytest.mark.parametrize(
    ("language", "width", "script", "dark"),
    [("en", "desk", False, False), ("nl", "phone", True, True)],
)
async def test_somebody_starts(language, width, script, dark, tmp_path):
    say = WORDS[language]
    people = PEOPLE.replace('language = "nl"', f'language = "{language}"', 1)
    write_mbox(tmp_path / "old.mbox", made_up(520, vendors=260))
    async with (
        open_site(people) as site,
        site.visitor(width=width, language=language, script=script, dark=dark) as anna,
    ):
        page = anna.page
        await anna.sign_in("anna")
        await anna.go("/start")
        await anna.check()
        await page.locator("input[type=file]").set_input_files(tmp_path / "old.mbox")
        await page.get_by_role("button", name=say["read"]).click()
        await expect(page.get_by_role("status")).to_contain_text(say["done"])
        await expect(page.locator("tbody tr")).to_have_count(250)
        await anna.check()
        await page.locator("select[name='do:shop0.example']").select_option("lock-out")
        await page.locator("select[name=rest]").select_option("allow")
        await page.get_by_role("button", name=say["save"]).click()
        await expect(page.get_by_role("status")).to_contain_text(re.compile(say["changed"]))
        await expect(page.locator("tbody tr")).to_have_count(10)
        stored = await site.house.app.consumers.stored("anna")
        assert len(stored.preferences.vendor) == 251
        await page.get_by_role("button", name=say["back"]).click()
        await expect(page.locator("tbody tr")).to_have_count(250)

        await anna.go("/expecting")
        await page.get_by_role("button", name=say["make"]).click()
        await expect(page.get_by_role("status")).to_contain_text(say["yours"])
        await anna.check()
        await page.get_by_label(say["domain"]).fill("shop.example")
        await page.get_by_role("button", name=say["expect"]).click()
        await expect(page.locator("tbody tr")).to_have_count(2)
