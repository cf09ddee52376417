"""The page of mail that is expected: opened, shown with its end, kept or let go."""

from tests.support.house import mail
from tests.support.site import open_pages, text_of
from tests.unit.test_web_companies import ENGLISH, as_anna, put_back


async def expecting(site):
    return (await site.house.app.consumers.stored("anna")).preferences.expecting


async def test_one_company_is_expected_for_a_time():
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        await anna.get("/expecting")
        done = await anna.post("/expecting", {"vendor": "other.example", "lasts": "1"})
        said = text_of(await anna.get(done.headers["Location"]))
        assert "Everything of other.example comes until 14:00" in said
        assert "Expected now" in said
        site.house.clock.advance(hours=2)
        assert "1 opening has ended" in text_of(await anna.get("/vendors"))
        assert "Ended: keep them, or let them go?" in text_of(await anna.get("/expecting"))
        done = await anna.post("/expecting/other.example/keep")
        assert done.status == 303
        stored = await site.house.app.consumers.stored("anna")
        assert stored.preferences.vendor[-1].domain == "other.example"
        assert await expecting(site) == ()
        await put_back(anna, done)
        assert len(await expecting(site)) == 1
        await anna.post("/expecting/other.example/close")
        assert await expecting(site) == ()
        assert (await anna.post("/expecting/other.example/keep")).status == 404


async def test_a_new_address_in_one_click():
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        await anna.get("/expecting")
        await anna.post("/expecting", {"address": "yes"})
        (entry,) = await expecting(site)
        page = await anna.get("/expecting")
        assert f'data-copy="{entry.address}"' in page.body.decode()
        assert "the first who uses it" in text_of(page)
        shop = "bounces@other.example"
        await site.house.send(mail(domain="other.example"), entry.address, sender=shop)
        await site.house.work()
        page = await anna.get("/expecting")
        assert "other.example" in text_of(page)
        assert f'data-copy="{entry.address}"' in page.body.decode()


async def test_mistakes_are_said_beside_the_field():
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        await anna.get("/expecting")
        for vendor, said in (
            ("", "Write a domain"),
            ("gmail.com", "Anybody may write"),
        ):
            page = await anna.post("/expecting", {"vendor": vendor, "lasts": "24"})
            assert page.status == 422
            assert said in text_of(page)
        assert (await anna.post("/expecting", {"vendor": "a.example", "lasts": "9"})).status == 400
