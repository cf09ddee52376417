"""The page of old mail: a file read, suggestions chosen from, and put back."""

import re

import aiohttp

from letterbox.model.proposal import Sighting
from letterbox.reading.sieve import read_sieve
from letterbox.records.imports import Batch
from letterbox.web.start import WHYS
from tests.support.oldmail import made_up, write_mbox
from tests.support.site import open_pages, text_of
from tests.unit.test_proposals import seen
from tests.unit.test_sieve import SCRIPT
from tests.unit.test_web_companies import ENGLISH, as_anna, put_back

HOSTILE = '"><script>alert(1)</script>'


async def found(site, sightings: list[Sighting], *, last: bool = True) -> None:
    """As if these were read of an mbox."""
    imports, name = site.house.app.imports, "a" * 64
    await imports.begin("anna", name, "mbox", 200)
    batch = Batch(
        after="", position="90", done=90, total=200, sightings=tuple(sightings), last=last
    )
    await imports.take("anna", name, batch)


async def upload(anna, data: bytes, **fields: str):
    form = aiohttp.FormData({"csrf": anna.csrf, **fields})
    form.add_field("mbox", data, filename="old.mbox", content_type="application/mbox")
    return await anna._call("POST", "/start/mbox", data=form)


async def test_a_file_is_read_and_its_companies_are_chosen_from(tmp_path):
    write_mbox(tmp_path / "old.mbox", made_up(300, vendors=6))
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        assert "kept nowhere" in text_of(await anna.get("/start"))
        done = await upload(anna, (tmp_path / "old.mbox").read_bytes())
        assert (done.status, done.headers["Location"]) == (303, "/start")
        said = text_of(await anna.get("/start"))
        assert "Read to its end: 300 mails." in said
        assert "300 mails were read" in said
        assert "6 companies" in said
        before = await site.house.app.consumers.stored("anna")
        fields = {"do:shop0.example": "lock-out", "do:shop1.example": "limit", "rest": "allow"}
        keys = [("key", f"shop{nth}.example") for nth in range(5)]
        done = await anna._call(
            "POST", "/start/choices", data=[("csrf", anna.csrf), *fields.items(), *keys]
        )
        assert done.status == 303
        after = await site.house.app.consumers.stored("anna")
        assert after.revision == before.revision + 1
        rules = {each.key: each for each in after.preferences.vendor}
        assert rules["shop0.example"].standing == "blocked"
        assert rules["shop1.example"].limit
        assert rules["shop4.example"].standing == "allowed"
        assert "shop5.example" not in rules
        # What is ruled now is no suggestion any more.
        said = text_of(await anna.get(done.headers["Location"]))
        assert "Changed: 5." in said
        assert "shop5.example" in said
        assert "shop4.example" not in said
        assert "shop4.example" in text_of(await anna.get("/start?show=all"))
        done = await anna.post(
            "/start/choices", {"key": "shop5.example", "do:shop5.example": "allow"}
        )
        await put_back(anna, done)
        assert (await site.house.app.consumers.stored("anna")).preferences == after.preferences


async def test_what_is_wrong_with_a_file_is_said_beside_it():
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        await anna.get("/start")
        page = await upload(anna, b"Subject: a mail\n\nhello\n")
        assert page.status == 422
        assert "This is no mbox" in text_of(page)
        assert "Choose a file." in text_of(
            await anna._call("POST", "/start/mbox", data=_empty(anna))
        )
        # Whose form it is, is seen to before a file is read.
        anna.csrf = "0" * 64
        assert (await upload(anna, b"From a@b.example\n\nFrom: c@d.example\n\nx\n")).status == 403
        assert await site.house.app.imports.of("anna") is None


def _empty(anna) -> aiohttp.FormData:
    return aiohttp.FormData({"csrf": anna.csrf}, default_to_multipart=True)


async def test_how_far_it_is_shows_without_a_script():
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        await found(site, [seen("a@shop.example")], last=False)
        page = (await anna.get("/start")).body.decode()
        assert 'value="45"' in page
        assert "Look again" in page
        site.house.clock.advance(minutes=5)
        said = text_of(await anna.get("/start"))
        assert "It was interrupted. Choose the same file again" in said
        assert "It was interrupted" in text_of(await anna.get("/start/progress"))
        assert (await anna.post("/start/forget")).status == 303
        assert "1 company" not in text_of(await anna.get("/start"))


async def test_hundreds_are_searched_and_paged_and_hostile_names_are_text():
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        many = [seen(f"a@shop{nth:03}.example", name=f"Shop {nth}") for nth in range(260)]
        people = [seen("jan@gmail.com", "personal", name="Jan")]
        await found(site, [*many, *people, seen("x@hostile.example", name=HOSTILE)])
        page = (await anna.get("/start")).body.decode()
        assert page.count('name="key"') == 250
        assert len(page) < 250_000
        assert "jan@gmail.com" not in page
        more = re.search(r'rel="next" href="([^"]+)"', page)[1].replace("&amp;", "&")
        assert (await anna.get(more)).body.decode().count('name="key"') == 11
        page = (await anna.get("/start?q=hostile")).body.decode()
        assert page.count('name="key"') == 1
        assert HOSTILE not in page
        assert "jan@gmail.com" in text_of(await anna.get("/start?show=people"))


async def test_a_sieve_script_is_shown_before_it_counts():
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        await anna.get("/start")
        page = await anna.post("/start/sieve", {"script": SCRIPT})
        said = text_of(page)
        assert "spam.example" in said
        assert "Line 11: else" in " ".join(said.split())
        before = await site.house.app.consumers.stored("anna")
        script = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page.body.decode(), re.DOTALL)
        assert script
        done = await anna.post("/start/sieve", {"script": SCRIPT, "do": "yes"})
        assert (done.status, done.headers["Location"]) == (303, "/start")
        rules = (await site.house.app.consumers.stored("anna")).preferences.vendor
        assert "spam.example" in {each.key for each in rules if each.standing == "blocked"}
        await put_back(anna, done)
        assert (await site.house.app.consumers.stored("anna")).preferences == before.preferences
        page = await anna.post("/start/sieve", {"script": "if {"})
        assert page.status == 422
        assert "line 1 cannot be read" in text_of(page)


def test_every_why_of_a_line_has_its_words():
    _, unmapped = read_sieve(SCRIPT)
    assert {each.why for each in unmapped} <= set(WHYS)
