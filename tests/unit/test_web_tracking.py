"""What was taken out of a message: on its page, over the API, and whom the reader lets see."""

from tests.support.api import open_api
from tests.support.site import open_pages, text_of
from tests.support.tracking import PIXEL, advert

ORIGINAL = "/letter?original=yes"


async def opened(site):
    await site.house.send(advert(), "anna@letterbox.example")
    page = await site.house.app.mailboxes.inbox("anna", after=None, limit=1)
    anna = site.visitor()
    await anna.sign_in("anna")
    return anna, f"/inbox/{page.items[0].id}"


async def test_a_message_is_read_cleaned_and_says_what_was_taken_out():
    async with open_pages() as site:
        anna, path = await opened(site)
        page = await anna.get(path)
        said = text_of(page)
        assert "3 dingen die de afzender over jou vertellen, zijn eruit gehaald." in said
        assert "een plaatje te klein om te zien" in said
        assert "een link om je af te melden" in said
        assert "track.greenleaf.example" in said
        assert "mc_eid" not in said
        frame = (await anna.get(f"{path}/letter")).body.decode()
        assert 'href="https://greenleaf.example/pruners"' in frame
        assert "unsubscribe?e=9f2c41" in frame
        assert "mc_eid" not in frame


async def test_the_original_is_shown_this_once_with_a_warning():
    async with open_pages() as site:
        anna, path = await opened(site)
        page = await anna.get(f"{path}?original=yes")
        assert "Dit is het origineel" in text_of(page)
        assert f'src="{path}{ORIGINAL}"' in page.body.decode()
        assert "mc_eid=9f2c41" in (await anna.get(path + ORIGINAL)).body.decode()
        assert "mc_eid" not in (await anna.get(f"{path}/letter")).body.decode()


async def test_a_company_may_be_let_see_and_no_more_and_it_is_put_back():
    async with open_pages() as site:
        anna, path = await opened(site)
        before = await site.house.app.consumers.stored("anna")
        done = await anna.post(f"{path}/tracking", {"see": "yes"})
        assert (done.status, done.headers["Location"]) == (303, path)
        page = await anna.get(path)
        assert "er wordt niets uitgehaald" in text_of(page)
        assert "mc_eid=9f2c41" in (await anna.get(f"{path}/letter")).body.decode()
        stored = await site.house.app.consumers.stored("anna")
        assert stored.preferences.vendor[0].tracking == "off"
        assert (await anna.post(f"{path}/tracking", {"see": "no"})).status == 303
        stored = await site.house.app.consumers.stored("anna")
        assert stored.preferences == before.preferences
        assert (await anna.post(f"{path}/tracking", {"see": "perhaps"})).status == 400


async def test_how_much_is_taken_out_of_everything_is_a_setting():
    async with open_pages() as site:
        anna, path = await opened(site)
        await anna.get("/settings")
        assert (await anna.post("/settings/tracking", {"tracking": "off"})).status == 303
        assert "mc_eid=9f2c41" in (await anna.get(f"{path}/letter")).body.decode()
        stored = await site.house.app.consumers.stored("anna")
        assert stored.preferences.tracking == "off"
        stale = {"tracking": "strict", "revision": "1"}
        assert (await anna.post("/settings/tracking", stale)).status == 412
        assert (await anna.post("/settings/tracking", {"tracking": "all"})).status == 400


async def test_what_one_company_sees_is_a_rule_of_its_page():
    async with open_pages() as site:
        anna, path = await opened(site)
        page = (await anna.get("/vendors/greenleaf")).body.decode()
        revision = page.partition('name="revision" value="')[2].partition('"')[0]
        fields = {"what": "tracking", "tracking": "off", "revision": revision}
        assert (await anna.post("/vendors/greenleaf/rule", fields)).status == 303
        assert "of ik het lees" in text_of(await anna.get("/vendors/greenleaf"))
        assert "mc_eid=9f2c41" in (await anna.get(f"{path}/letter")).body.decode()


async def test_nobody_lets_see_by_a_message_of_another():
    async with open_pages() as site:
        _, path = await opened(site)
        other = site.visitor()
        await other.sign_in("ben")
        assert (await other.post(f"{path}/tracking", {"see": "yes"})).status == 404


async def test_the_api_has_it_cleaned_and_as_it_was():
    async with open_api() as api:
        await api.house.send(advert(), "anna@letterbox.example")
        (item,) = (await api.call("GET", "/v1/me/inbox", who="anna")).json["items"]
        path = f"/v1/me/inbox/{item['id']}"
        told = (await api.call("GET", f"{path}/cleaned", who="anna")).json
        assert told["grade"] == "careful"
        assert told["text"].strip() == "Pruners: https://greenleaf.example/pruners"
        assert 'href="https://greenleaf.example/pruners"' in told["html"]
        assert (told["images"], told["links"], told["parameters"]) == (1, 3, 3)
        found = [(each["what"], each["removed"], each["why"]) for each in told["findings"]]
        assert found == [
            ("parameter", True, "parameter"),
            ("parameter", True, "parameter"),
            ("link", False, "unsubscribe"),
            ("image", True, "tiny"),
        ]
        original = (await api.call("GET", f"{path}/cleaned?original=1", who="anna")).json
        assert original["grade"] == "off"
        assert PIXEL in original["html"]
        assert original["findings"] == []
        raw = await api.call("GET", f"{path}/raw?original=1", who="anna")
        assert b"mc_eid=3D9f2c41" in raw.body or b"mc_eid=9f2c41" in raw.body
        assert (await api.call("GET", f"{path}/cleaned", who="ben")).status == 404
