"""Hostile mail stays dead in a real browser: made safe, and in its frame; each alone is enough."""

import pytest

from letterbox.web.inbox import FRAME_POLICY
from letterbox.web.letter import Letter, framed
from letterbox.web.sanitising import sanitised
from tests.support.api import PEOPLE
from tests.support.browser import Visitor, open_site
from tests.support.hostile import shapes

RAN = "window.alert = () => { window.ran = true; }"


async def served(visitor: Visitor, html: str, headers: dict[str, str]) -> None:
    """Show a document as if it were of ours, and give what is in it the time to run."""

    async def fulfil(route):
        await route.fulfill(body=html, content_type="text/html; charset=utf-8", headers=headers)

    address = f"{visitor.site.url}/shown"
    await visitor.page.route(address, fulfil)
    await visitor.page.goto(address, wait_until="load")
    await visitor.page.unroute(address, fulfil)


async def test_what_was_made_safe_runs_nothing_even_where_it_might():
    async with open_site(PEOPLE) as site, site.visitor() as anna:
        await anna.context.add_init_script(RAN)
        for shape in shapes():
            clean, _ = sanitised(shape, {})
            await served(anna, f"<!doctype html><title>x</title><body>{clean}</body>", {})
            assert await anna.page.evaluate("window.ran") is None, shape
            assert anna.elsewhere == [], shape
        anna.complaints.clear()  # there is no icon


@pytest.mark.long
async def test_the_frame_runs_nothing_even_where_nothing_was_made_safe():
    async with open_site(PEOPLE) as site, site.visitor() as anna:
        for shape in shapes():
            html = framed(Letter("", shape, 0, ()), "x", "en")
            await served(anna, html, {"Content-Security-Policy": FRAME_POLICY})
            assert anna.dialogs == [], shape
            assert anna.elsewhere == [], shape
        # The browser says that it has refused them, which is what is wanted here.
        anna.complaints.clear()
