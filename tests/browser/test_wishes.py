"""A person says in a real browser what may come and when, and sees what would come of it."""

import re

import pytest
from playwright.async_api import expect

from tests.support.api import PEOPLE
from tests.support.browser import open_site
from tests.support.house import mail, signed

ANNA = "anna@letterbox.example"
EVIL = '"><img src=x onerror="alert(1)"><script>alert(2)</script>'
WORDS = {
    "en": {
        "interests": "Interests",
        "add": "Add an interest",
        "name": "Name",
        "find": "Find a category, in English or Dutch",
        "search": "Search",
        "path": "Clothing",
        "words": "One of these words",
        "most": "At most",
        "save": "Save",
        "saved": "Saved: shoes",
        "fits": "Of the last 30 days, 1 fit",
        "none fits": "Of the last 30 days, 0 fit",
        "see": "See what fits",
        "remove": "Remove",
        "removed": "Removed: shoes",
        "back": "Put back",
        "error": "Write the highest price",
        "day": "Wednesday",
        "window": "Wednesday from 10:00 to 12:00",
        "what": "What to try",
        "company": "Which company",
        "run": "Run",
        "found": "1 more in, 0 fewer",
        "use": "Use it from now on",
        "used": "From now on",
    },
    "nl": {
        "interests": "Interesses",
        "add": "Interesse toevoegen",
        "name": "Naam",
        "find": "Zoek een categorie, in het Nederlands of Engels",
        "search": "Zoeken",
        "path": "Kleding",
        "words": "Een van deze woorden",
        "most": "Hoogstens",
        "save": "Opslaan",
        "saved": "Bewaard: shoes",
        "fits": "Van de laatste 30 dagen passen er 1",
        "none fits": "Van de laatste 30 dagen passen er 0",
        "see": "Kijken wat past",
        "remove": "Verwijderen",
        "removed": "Verwijderd: shoes",
        "back": "Terugdraaien",
        "error": "Schrijf de hoogste prijs",
        "day": "woensdag",
        "window": "woensdag van 10:00 tot 12:00",
        "what": "Wat je probeert",
        "company": "Welk bedrijf",
        "run": "Uitvoeren",
        "found": "1 meer erin, 0 minder",
        "use": "Vanaf nu gebruiken",
        "used": "Vanaf nu",
    },
}


def people(language: str) -> str:
    return PEOPLE.replace('language = "nl"', f'language = "{language}"', 1)


def offer(subject: str, number: int, category: str) -> bytes:
    return signed(mail(subject, number=number, Letterbox_Kind="offer", Letterbox_Category=category))


async def say_an_interest(anna, say, *, script: bool) -> None:
    """With a category that is found by words; a mistake is corrected on the way."""
    page, main = anna.page, anna.page.locator("main")
    await anna.go("/interests")
    assert await anna.heading() == say["interests"]
    await page.get_by_role("link", name=say["add"]).click()
    await page.get_by_label(say["name"], exact=True).fill("shoes")
    if script:
        box = page.get_by_role("combobox", name=say["find"])
        await box.press_sequentially("clothing")
        await expect(page.get_by_role("option").first).to_have_text(say["path"])
        await anna.check()
        await box.press("Enter")
    else:
        await page.get_by_label(say["find"]).fill("clothing")
        await page.get_by_role("button", name=say["search"]).click()
        await page.locator(".found").get_by_label(say["path"]).first.check()
        await page.get_by_role("button", name=say["see"]).click()
    await expect(main).to_contain_text(say["fits"])
    await expect(page.locator(".chips")).to_contain_text(say["path"])
    await page.get_by_label(say["most"]).fill("cheap")
    await page.get_by_role("button", name=say["save"]).click()
    await expect(page.get_by_role("alert")).to_be_focused()
    await anna.check()
    # The browser notes that a page says "422"; that is all it may note.
    assert all("422" in each for each in anna.complaints)
    anna.complaints.clear()
    await page.get_by_role("link", name=say["error"]).click()
    await expect(page.get_by_label(say["most"])).to_be_focused()
    await page.get_by_label(say["most"]).fill("90")
    await page.get_by_label(say["words"]).fill(f"boots, a{EVIL}")
    await page.get_by_role("button", name=say["save"]).click()
    await expect(page.get_by_role("status").first).to_contain_text(say["saved"])
    await expect(page.locator("#i-shoes")).to_contain_text("onerror")


async def take_it_away(anna, say, *, script: bool) -> None:
    """And put it back."""
    page = anna.page
    if script:
        await expect(page.locator("#i-garden-tools")).to_contain_text(say["none fits"])
    await anna.check()
    remove = page.get_by_role("button", name=re.compile(rf"^{say['remove']}.*shoes$"))
    await remove.click()
    await expect(page.get_by_role("status")).to_contain_text(say["removed"])
    await page.get_by_role("button", name=say["back"]).click()
    await anna.go("/interests")
    await expect(remove).to_be_visible()


async def mark_two_hours(anna, say) -> None:
    """They are one window, in words."""
    page = anna.page
    await anna.go("/times?kind=offer")
    for hours in ("10.11", "11.12"):
        await page.get_by_label(re.compile(f"^{say['day']} {hours}$")).check()
    week = page.locator("form", has=page.locator(".week"))
    await week.get_by_role("button", name=say["save"]).click()
    await expect(page.locator("main")).to_contain_text(say["window"])
    await anna.check()


async def try_everything(anna, say) -> None:
    """What if all of a company came?"""
    page = anna.page
    await anna.go("/replay")
    await page.get_by_label(say["what"]).select_option("everything")
    await page.get_by_label(say["company"]).select_option("greenleaf")
    await page.get_by_role("button", name=say["run"]).click()
    await expect(page.locator("main")).to_contain_text(say["found"])
    await anna.check()
    await page.get_by_role("button", name=say["use"]).click()
    await expect(page.get_by_role("status")).to_contain_text(say["used"])


@pytest.mark.parametrize(
    ("language", "width", "script", "dark"),
    [
        ("en", "desk", True, False),
        pytest.param("nl", "phone", True, True, marks=pytest.mark.long),
        ("nl", "phone", False, False),
    ],
)
async def test_wishes_are_said_tried_and_put_back(language, width, script, dark):
    say = WORDS[language]
    async with (
        open_site(people(language)) as site,
        site.visitor(width=width, language=language, script=script, dark=dark) as anna,
    ):
        await site.mail(offer("Boots", 1, "clothing"), ANNA)
        await anna.sign_in("anna")
        await say_an_interest(anna, say, script=script)
        await take_it_away(anna, say, script=script)
        await mark_two_hours(anna, say)
        await try_everything(anna, say)
        assert anna.dialogs == []


def cell(page, name: str):
    return page.locator(f'input[value="{name}"]')


async def checked(page) -> set[str]:
    return set(
        await page.evaluate(
            "[...document.querySelectorAll('.week input:checked')].map(each => each.value)"
        )
    )


async def test_the_week_is_painted_by_mouse_and_by_keys():
    async with open_site(people("en")) as site, site.visitor() as anna:
        page = anna.page
        await anna.sign_in("anna")
        await anna.go("/times?kind=offer")

        await cell(page, "mon-09").scroll_into_view_if_needed()
        await cell(page, "mon-09").hover()
        await page.mouse.down()
        await cell(page, "tue-11").hover()
        await page.mouse.up()
        square = {f"{day}-{hour}" for day in ("mon", "tue") for hour in ("09", "10", "11")}
        assert await checked(page) == square
        # A click is a stroke of one; the first cell says whether on or off.
        await cell(page, "mon-09").click()
        assert await checked(page) == square - {"mon-09"}

        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("ArrowRight")
        await expect(cell(page, "wed-09")).to_be_focused()
        await page.keyboard.press("Space")
        await page.keyboard.press("Shift+ArrowDown")
        assert {"wed-09", "wed-10"} <= await checked(page)
        await page.keyboard.down("Shift")
        await page.keyboard.press("ArrowDown")
        assert "wed-11" in await checked(page)
        await page.keyboard.press("Escape")
        await page.keyboard.up("Shift")
        assert "wed-11" not in await checked(page)

        await page.get_by_role("button", name=re.compile("^Sunday")).click()
        assert len([name for name in await checked(page) if name.startswith("sun")]) == 24
        # One stop for the whole week.
        assert await page.locator('.week input[tabindex="0"]').count() == 1
        await anna.check()


async def test_the_week_is_painted_by_taps():
    async with open_site(people("en")) as site, site.visitor(width="phone") as anna:
        page = anna.page
        await anna.sign_in("anna")
        await anna.go("/times?kind=offer")
        touch = (
            "([name, what]) => { const box = document.querySelector(`input[value='${name}']`);"
            " const at = box.getBoundingClientRect(); box.dispatchEvent(new PointerEvent(what, {"
            " bubbles: true, cancelable: true, pointerType: 'touch',"
            " clientX: at.x + 12, clientY: at.y + 12 })); }"
        )

        async def tap(name: str) -> None:
            await page.evaluate(touch, [name, "pointerdown"])
            await page.evaluate(touch, [name, "pointerup"])
            await cell(page, name).evaluate(
                "box => box.dispatchEvent("
                "new MouseEvent('click', { bubbles: true, cancelable: true, detail: 1 }))"
            )

        await tap("mon-09")
        assert await checked(page) == {"mon-09"}
        await tap("mon-09")
        await page.get_by_label("With a finger").select_option("span")
        await tap("mon-09")
        await tap("mon-12")
        assert await checked(page) == {f"mon-{hour}" for hour in ("09", "10", "11", "12")}
        await page.get_by_label("With a finger").select_option("paint")
        await cell(page, "wed-09").scroll_into_view_if_needed()
        await page.evaluate(touch, ["wed-09", "pointerdown"])
        await page.evaluate(touch, ["wed-11", "pointermove"])
        await page.evaluate(touch, ["wed-11", "pointerup"])
        assert {"wed-09", "wed-10", "wed-11"} <= await checked(page)
        await anna.check()
        sizes = await page.evaluate(
            "[...document.querySelectorAll('.week input')].map(each => each.offsetWidth)"
        )
        assert min(sizes) >= 24
