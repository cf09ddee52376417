"""Cleaned mail looks as it did: laid out by a real browser before and after, and compared."""

from pathlib import Path

from letterbox.configuration import shipped
from letterbox.reading.charset import to_text
from letterbox.reading.mail import DEFAULT_LIMITS, split, with_crlf
from letterbox.reading.mime import content, parts
from letterbox.reading.trackers import clean_message, read_rules
from tests.support.api import PEOPLE
from tests.support.browser import Visitor, open_site
from tests.support.shared import shared
from tests.support.tracking import advert

OURS = Path(__file__).parents[1] / "mails"
REAL = ("modern-casida", "modern-katjes-a", "modern-schreibsuchti-a", "09", "14")
#: Where every cell, link and picture of a page is, and all that can be read on it.
BOXES = """() => ({
  text: document.body.innerText,
  height: document.documentElement.scrollHeight,
  boxes: [...document.querySelectorAll('table, td, th, div, p, a, img')].map(each => {
    const box = each.getBoundingClientRect();
    return [box.x, box.y, box.width, box.height];
  }),
})"""
#: Pixels: a picture that nobody sees is a pixel large, and one that was not fetched has none.
NEAR = 3


def html_of(raw):
    mail = split(raw)
    for part in parts(mail, DEFAULT_LIMITS):
        if part.type == "text/html" and not part.attached:
            return to_text(content(mail, part, part.end - part.start), part.charset)
    return None


async def laid_out(visitor: Visitor, html: str):
    """A document laid out, and a picture of it; whatever it asks of others is refused."""

    async def fulfil(route):
        await route.fulfill(body=html, content_type="text/html; charset=utf-8")

    address = f"{visitor.site.url}/shown"
    await visitor.page.route(address, fulfil)
    await visitor.page.goto(address, wait_until="load")
    await visitor.page.unroute(address, fulfil)
    asked = set(visitor.elsewhere)
    visitor.elsewhere.clear()
    visitor.complaints.clear()
    return await visitor.page.evaluate(BOXES), await visitor.page.screenshot(), asked


async def test_what_is_laid_out_stays_where_it_was():
    rules = read_rules(shipped("trackers.toml"))
    files = [shared("mail/newsletters") / f"{name}.eml" for name in REAL]
    files += sorted(OURS.glob("*.eml"))[::4]
    looked = same = 0
    async with open_site(PEOPLE) as site, site.visitor() as anna:
        for file in files:
            raw = with_crlf(file.read_bytes())
            html = html_of(raw)
            if html is None:
                continue
            before, picture, asked = await laid_out(anna, html)
            for grade in ("careful", "strict"):
                done = clean_message(raw, rules, grade)
                if done.content == raw:
                    continue
                looked += 1
                after, shot, asks = await laid_out(anna, html_of(done.content))
                assert after["text"] == before["text"], (file, grade)
                assert abs(after["height"] - before["height"]) <= NEAR, (file, grade)
                assert len(after["boxes"]) == len(before["boxes"]), (file, grade)
                moved = max(
                    abs(new - old)
                    for one, other in zip(after["boxes"], before["boxes"], strict=True)
                    for new, old in zip(one, other, strict=True)
                )
                assert moved <= NEAR, (file, grade, moved)
                same += shot == picture
                # What is fetched is fetched of nobody new; nobody is told of the opening.
                assert {url.partition("?")[0] for url in asks} <= {
                    url.partition("?")[0] for url in asked
                }
                assert not any("/wf/open" in url or "open.php" in url for url in asks)
        assert looked >= 2 * len(REAL)
        # A picture that was not fetched may be drawn with a frame; most show nothing of it.
        assert same >= looked // 2


async def test_a_company_is_let_see_on_a_message_that_says_what_was_taken_out():
    async with open_site(PEOPLE) as site, site.visitor(width="phone", language="nl") as anna:
        await site.house.send(advert(), "anna@letterbox.example")
        await anna.sign_in("anna")
        await anna.go("/inbox")
        await anna.page.get_by_role("link", name="Pruners").first.click()
        card = anna.page.get_by_role("region", name="Wat het over jou verraadt")
        await card.locator("summary").click()
        assert "een plaatje te klein om te zien" in await card.inner_text()
        await anna.check()
        await card.get_by_role("button").click()
        assert "er wordt niets uitgehaald" in await card.inner_text()
        await anna.check()
