"""Pictures of every page, for the docs: ``python -m tests.support.screenshots FOLDER``.

A page of one's own is added to ``SHOTS``; what it is to show is sent in :func:`_prepare`.
"""

import asyncio
import sys
from pathlib import Path
from typing import NamedTuple

from tests.support.api import PEOPLE
from tests.support.browser import Site, Visitor, open_site
from tests.support.house import mail, signed

ANNA = "anna@letterbox.example"
GARDEN = "home-garden/garden-tools"


class Shot(NamedTuple):
    """One picture: of a path, or of where the first link that matches on it leads."""

    name: str
    path: str
    click: str = ""


SHOTS = (
    Shot("inbox", "/inbox"),
    Shot("message", "/inbox", 'main td a[href^="/inbox/"]'),
    Shot("waiting", "/waiting"),
    Shot("refused", "/refused"),
    Shot("let-in", "/refused", "main td a.button"),
    Shot("companies", "/vendors"),
    Shot("company", "/vendors/greenleaf"),
    Shot("lock-out", "/vendors/greenleaf/lock-out"),
    Shot("addresses", "/addresses"),
    Shot("activity", "/activity"),
    Shot("interests", "/interests"),
    Shot("interest", "/interests", "main article a.button"),
    Shot("times", "/times"),
    Shot("window", "/times", "main article a.button"),
    Shot("replay", "/replay"),
    Shot("settings", "/settings"),
    Shot("erase", "/settings/erase"),
)

VENDORS = (
    Shot("vendor", "/vendor"),
    Shot("vendor-feedback", "/vendor/feedback"),
    Shot("vendor-event", "/vendor/feedback", "main td a"),
    Shot("vendor-preflight", "/vendor/preflight"),
    Shot("vendor-domains", "/vendor/domains"),
    Shot("vendor-keys", "/vendor/keys"),
    Shot("vendor-webhooks", "/vendor/webhooks"),
    Shot("vendor-reporting", "/vendor/reporting"),
)


async def _prepare(site: Site) -> None:
    sent = [
        ("Pruners for spring", "offer", GARDEN),
        ("Your order is on its way", "service", GARDEN),
        ("Boots for the autumn", "offer", "fashion/shoes"),
        ("Garden letter", "newsletter", GARDEN),
    ]
    for number, (subject, kind, about) in enumerate(sent):
        site.house.clock.advance(minutes=7)
        fields = {"Letterbox_Kind": kind, "Letterbox_Category": about}
        await site.mail(signed(mail(subject, number=number, **fields)), ANNA)
    app, now = site.house.app, site.house.clock.now()
    await app.claims.ask("greenleaf", "leaf.example", now)
    await app.keys.issue("greenleaf", label="shop")
    await site.house.work()


async def _take(visitor: Visitor, shot: Shot, file: Path) -> None:
    await visitor.go(shot.path)
    if shot.click:
        await visitor.page.locator(shot.click).first.click()
        await visitor.page.wait_for_load_state("load")
    await visitor.page.screenshot(path=file, full_page=True)
    print(file)


async def _main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    people = PEOPLE.replace('language = "nl"', 'language = "en"', 1)
    async with open_site(people) as site:
        await _prepare(site)
        for width, dark in (("desk", False), ("phone", True)):
            async with site.visitor(width=width, dark=dark) as anna:
                await anna.sign_in("anna")
                await _take_all(anna, SHOTS, folder, width)
            async with site.visitor(width=width, dark=dark) as shop:
                await shop.sign_in("greenleaf", "vendor")
                await _take_all(shop, VENDORS, folder, width)


async def _take_all(visitor: Visitor, shots: tuple[Shot, ...], folder: Path, width: str) -> None:
    for shot in shots:
        ending = "-phone" if width == "phone" else ""
        await _take(visitor, shot, folder / f"{shot.name}{ending}.png")


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
