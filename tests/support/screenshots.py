"""Pictures of every page, for the docs: ``python -m tests.support.screenshots FOLDER``.

A page of one's own is added to ``SHOTS``; what it is to show is sent in :func:`_prepare`.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.support.api import PEOPLE
from tests.support.browser import Site, Visitor, open_site
from tests.support.house import mail, signed
from tests.support.oldmail import made_up, write_mbox
from tests.support.tracking import advert

ANNA = "anna@letterbox.example"
CARLA = "carla@letterbox.example"
#: Somebody who has said nothing yet, and only watches.
WATCHER = """
[[consumer]]
id = "carla"
mode = "observe"
addresses = ["carla@letterbox.example"]
"""
GARDEN = "home-garden/garden-tools"


class Shot(NamedTuple):
    """One picture: of a path, or of where the first link that matches on it leads.

    ``then`` is a link there that is followed as well. Unless ``whole`` it ends with
    the screen.
    """

    name: str
    path: str
    click: str = ""
    then: str = ""
    whole: bool = True


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

#: Where everyday's mail goes, in a letterbox of its own (:func:`_live`).
EVERYDAY = (
    Shot("start", "/start", whole=False),
    Shot("cleaned", "/inbox", "main td a:text-is('Pruners')", whole=False),
    Shot("delivery", "/delivery"),
    Shot("notices", "/notices", whole=False),
    Shot("letter", "/objections", "main td a, main th a", ".card a.button", whole=False),
)
WATCHING = (Shot("suggestions", "/suggestions"),)

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
    for link in filter(None, (shot.click, shot.then)):
        await visitor.page.locator(link).first.click()
        await visitor.page.wait_for_load_state("load")
    if shot.name == "cleaned":
        await visitor.page.locator("main details:has-text('Taken out') > summary").click()
    await visitor.page.screenshot(path=file, full_page=shot.whole)
    print(file)


async def _live(site: Site, anna: Visitor) -> None:
    """A week of somebody who reads elsewhere, came with old mail, and objects."""
    house, page = site.house, anna.page
    destinations = house.app.destinations
    row = await destinations.add("anna", "anna@provider.example")
    await destinations.confirm(await destinations.link("anna", row.id))
    await destinations.add("anna", "anna@work.example")
    await site.mail(advert(), ANNA)
    await house.work()
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "old.mbox"
        write_mbox(old, made_up(400, vendors=6))
        await anna.go("/start")
        await page.locator("input[type=file]").set_input_files(old)
        await page.get_by_role("button", name="Read it").click()
        await page.locator("main table").wait_for()
    await anna.go("/inbox")
    await page.get_by_role("link", name="Pruners for spring").click()
    await page.get_by_role("link", name="Unsubscribe and object").click()
    await page.get_by_role("button", name="Unsubscribe and object").click()
    house.clock.advance(days=5)
    fields = {"Letterbox_Kind": "offer", "Letterbox_Category": GARDEN}
    await site.mail(signed(mail("Winter sale", number=40, **fields)), ANNA)
    house.clock.advance(minutes=10)
    await house.work()


async def _everyday(folder: Path, people: str) -> None:
    async with open_site(people + WATCHER) as site:
        await _prepare(site)
        for number, kind in enumerate(("offer", "newsletter") * 3):
            fields = {"Letterbox_Kind": kind, "Letterbox_Category": GARDEN}
            await site.mail(signed(mail("For the garden", number=20 + number, **fields)), CARLA)
        async with site.visitor() as anna:
            await anna.sign_in("anna")
            await _live(site, anna)
            await _take_all(anna, EVERYDAY, folder, "desk")
        async with site.visitor() as carla:
            await carla.sign_in("carla")
            await _take_all(carla, WATCHING, folder, "desk")


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
    await _everyday(folder, people)


async def _take_all(visitor: Visitor, shots: tuple[Shot, ...], folder: Path, width: str) -> None:
    for shot in shots:
        ending = "-phone" if width == "phone" else ""
        await _take(visitor, shot, folder / f"{shot.name}{ending}.png")


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
