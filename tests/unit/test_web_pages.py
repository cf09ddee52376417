"""What holds for every page: who may see it, what it carries, how it fails."""

import re

import pytest

from letterbox.ports.store import StoreUnavailable
from letterbox.web.navigation import PLACES
from letterbox.web.room import PAGES
from tests.support.api import PEOPLE
from tests.support.house import mail, signed
from tests.support.site import Site, Visitor, open_pages, text_of

#: Those of vendors have a test of their own: ``test_web_vendor.py``.
OWN = [page for page in PAGES if page.who == "consumer"]
OF_ONE = [page for page in OWN if "{" in page.path]
#: What a form has to say before it is looked at whose the thing is.
FIELDS = {
    "/waiting/{id}": {"answer": "yes"},
    "/waiting/requests/{id}": {"answer": "yes"},
    "/inbox/{id}/marks": {"read": "yes"},
}


async def sent(site: Site, subject: str, number: int, about: str, to: str, **fields: str) -> None:
    content = mail(subject, number=number, Letterbox_Category=about, **fields)
    await site.house.send(signed(content), to)


async def bens(site: Site) -> dict[str, str]:
    """What ben has, by the first part of the path it is found at."""
    about = "home-garden/garden-tools"
    ben = "ben@letterbox.example"
    await sent(site, "Pruners", 1, about, ben, Letterbox_Kind="offer")
    await sent(site, "Letter", 2, about, ben, Letterbox_Kind="newsletter")
    await sent(site, "Hello", 3, about, ben, Letterbox_Kind="personal")
    boxes = site.house.app.mailboxes
    inbox = await boxes.inbox("ben", after=None, limit=10)
    held = await boxes.held("ben", after=None, limit=10)
    refused = await boxes.decisions("ben", after=None, limit=10, verdict="refuse")
    said = await site.house.app.objecting.object_to("ben", inbox.items[0].id)
    return {
        "objections": said.objection.id,
        "inbox": inbox.items[0].id,
        "waiting": held.items[0].id,
        "refused": refused.items[0].id,
        "vendors": "voltshop",
        "addresses": "ben@letterbox.example",
        "interests": "bens-wish",
        "times": "bens-time",
    }


def filled(path: str, ids: dict[str, str]) -> str:
    name = ids.get(path.split("/")[1], "")
    return path.replace("{id}", name).replace("{number}", "0")


async def ask(visitor: Visitor, page, path: str):
    if page.method == "GET":
        return await visitor.get(path)
    return await visitor.post(path, FIELDS.get(page.path))


WINDOW = 'vendor = "greenleaf"\n  scope = "everything"'
PEOPLE_BOTH = PEOPLE.replace(
    f"  [[consumer.vendor]]\n  {WINDOW}",
    '  [[consumer.vendor]]\n  vendor = "voltshop"\n'
    '  [[consumer.interest]]\n  id = "bens-wish"\n'
    '  [[consumer.window]]\n  id = "bens-time"\n  days = ["sat"]\n'
    '  from = "09:00"\n  until = "12:00"\n'
    f'  kinds = ["newsletter"]\n  [[consumer.vendor]]\n  {WINDOW}',
)


async def test_what_is_anothers_is_not_there():
    """Every route that names something, with an id of ben's: 404 to anna, and nothing changes."""
    async with open_pages(PEOPLE_BOTH) as site:
        ids = await bens(site)
        anna, ben = site.visitor(), site.visitor()
        await anna.sign_in("anna")
        await ben.sign_in("ben")
        assert len(OF_ONE) >= 9
        before = await site.house.app.store.documents("consumer/ben", "", limit=1000)
        for page in OF_ONE:
            reply = await ask(anna, page, filled(page.path, ids))
            assert reply.status == 404, page
        assert await site.house.app.store.documents("consumer/ben", "", limit=1000) == before
        # They are there: ben's own pages show them.
        for name in ("inbox", "refused", "interests", "objections"):
            assert (await ben.get(f"/{name}/{ids[name]}")).status == 200
        assert (await ben.post(f"/waiting/{ids['waiting']}", {"answer": "yes"})).status == 303


@pytest.mark.parametrize("name", ["x", "0" * 32, "..%2f", "%00", "a" * 500])
async def test_what_is_nothing_is_not_there(name):
    async with open_pages() as site:
        anna = site.visitor()
        await anna.sign_in("anna")
        for page in OF_ONE:
            path = page.path.replace("{id}", name).replace("{number}", "0")
            assert (await ask(anna, page, path)).status == 404


async def test_who_is_not_signed_in_is_shown_the_way_and_the_other_side_nothing():
    async with open_pages() as site:
        nobody, vendor = site.visitor(), site.visitor()
        await vendor.sign_in("greenleaf", "vendor")
        await vendor.get("/inbox")
        ids = dict.fromkeys((page.path.split("/")[1] for page in OWN), "0" * 32)
        for page in OWN:
            path = filled(page.path, ids)
            reply = await ask(nobody, page, path)
            assert (reply.status, reply.headers["Location"]) == (303, "/signin")
            other = await ask(vendor, page, path)
            assert other.status == 404
        fetched = await nobody.get("/inbox/events", headers={"Sec-Fetch-Mode": "cors"})
        assert fetched.status == 401


async def test_every_page_says_what_browsers_may_do_with_it():
    async with open_pages() as site:
        anna = site.visitor()
        await anna.sign_in("anna")
        lists = [page.path for page in OWN if page.method == "GET" and "{" not in page.path]
        lists.remove("/inbox/events")
        for path in (*lists, "/nope", "/signin/x"):
            page = await anna.get(path)
            policy = page.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert page.headers["Cache-Control"] == "no-store"
            assert page.headers["X-Content-Type-Options"] == "nosniff"
            if page.headers["Content-Type"].partition(";")[0] != "text/html":
                continue
            html = page.body.decode()
            assert not re.search(
                r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:", html
            )
            assert not re.search(r'(?:src|href|action)="(?:https?:)?//', html)
            assert len(page.body) < 150_000


async def test_static_files_are_kept_for_ever_under_their_hash():
    async with open_pages() as site:
        anna = site.visitor()
        html = (await anna.get("/signin")).body.decode()
        paths = set(re.findall(r'"(/static/[^"]+)"', html))
        assert len(paths) == 4
        for path in paths:
            file = await anna.get(path)
            assert file.status == 200
            assert "immutable" in file.headers["Cache-Control"]
            other = re.sub(r"/static/\w{16}/", f"/static/{'0' * 16}/", path)
            assert (await anna.get(other)).status == 404


# ---- failing ----------------------------------------------------------------------------------


async def test_a_person_gets_a_page_and_a_program_a_problem():
    async with open_pages() as site:
        anna = site.visitor()
        page = await anna.get("/nope", headers={"Accept-Language": "nl"})
        assert (page.status, page.headers["Content-Type"].partition(";")[0]) == (404, "text/html")
        assert "Hier is niets" in text_of(page)
        for path, accept in (("/nope", "application/json"), ("/v1/nope", "text/html")):
            problem = await anna.get(path, headers={"Accept": accept})
            assert problem.headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.parametrize(
    ("trouble", "status", "words"),
    [
        (StoreUnavailable("gone"), 503, "Not now"),
        (RuntimeError("secret"), 500, "The fault is ours"),
    ],
)
async def test_a_fault_of_ours_says_so_and_has_a_reference(monkeypatch, trouble, status, words):
    async with open_pages() as site:
        anna = site.visitor()
        await anna.sign_in("anna")

        async def fails(*_, **__):
            raise trouble

        monkeypatch.setattr(site.house.app.mailboxes, "inbox", fails)
        page = await anna.get("/inbox")
        assert page.status == status
        assert words in text_of(page)
        assert re.search(r"<code>[0-9a-f]{32}</code>", page.body.decode())
        assert "secret" not in text_of(page)


async def test_a_rule_that_has_changed_since_is_not_put_back():
    async with open_pages() as site:
        anna = site.visitor()
        await anna.sign_in("anna")
        stored = await site.house.app.consumers.stored("anna")
        for fields, status in (
            ({"revision": str(stored.revision), "now": "99"}, 412),
            ({"revision": "x", "now": "1"}, 404),
            ({}, 404),
        ):
            page = await anna.post("/rules/put-back", fields)
            assert page.status == status


@pytest.mark.parametrize("cookie", ["x", "e30=", "eyJjb2RlIjoiYXJjaGl2ZWQifQ==", "%00", "a" * 9000])
async def test_a_forged_status_says_nothing(cookie):
    async with open_pages() as site:
        anna = site.visitor()
        await anna.sign_in("anna")
        page = await anna.get("/inbox", headers={"Cookie": f"letterbox-said={cookie}"})
        assert page.status in {200, 303, 400}
        assert 'role="status"' not in page.body.decode()


# ---- lists ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["9" * 5000, "²", "-1", ""])
async def test_a_revision_that_is_none_is_not_there(number):
    async with open_pages() as site:
        anna = site.visitor()
        await anna.sign_in("anna")
        assert (await anna.post("/rules/put-back", {"revision": number, "now": "1"})).status == 404
        assert (await anna.post("/rules/put-back", {"revision": "1", "now": number})).status == 404


async def test_lists_have_fifty_rows_and_go_on_with_their_filters():
    async with open_pages() as site:
        for number in range(55):
            site.house.clock.advance(seconds=1)
            about = "home-garden/garden-tools"
            subject = f"Pruners {number}"
            to = "anna@letterbox.example"
            await sent(site, subject, number, about, to, Letterbox_Kind="offer")
        anna = site.visitor()
        await anna.sign_in("anna")
        first = (await anna.get("/inbox?kind=offer")).body.decode()
        assert first.count('<tr role="row" id="m-') == 50
        (following,) = re.findall(r'rel="next" href="([^"]+)"', first)
        assert "kind=offer" in following
        rest = (await anna.get(following.replace("&amp;", "&"))).body.decode()
        assert rest.count('<tr role="row" id="m-') == 5
        found = (await anna.get("/inbox?q=prüners+54")).body.decode()
        assert found.count('<tr role="row" id="m-') == 1
        assert (await anna.get("/inbox?kind=service")).body.decode().count("m-") == 0


async def test_a_number_beside_the_navigation_is_of_so_many_rows():
    async with open_pages() as site:
        to = "anna@letterbox.example"
        for number in range(3):
            await sent(site, "Boots", number, "fashion/shoes", to, Letterbox_Kind="offer")
        await sent(site, "Letter", 9, "home-garden/garden-tools", to, Letterbox_Kind="newsletter")
        anna = site.visitor()
        await anna.sign_in("anna")
        for _ in range(2):
            refused = (await anna.get("/refused")).body.decode()
            shown = refused.count('<tr role="row" id="m-')
            assert f'data-count="refused">{shown}<' in refused
            (name, *_) = re.findall(r'href="/refused/([0-9a-f]{32})"', refused)
            assert (await anna.post(f"/refused/{name}/let-in")).status == 303
        waiting = (await anna.get("/waiting")).body.decode()
        assert waiting.count('<tr role="row" id="m-') == 1
        assert 'data-count="waiting">1<' in waiting


@pytest.mark.parametrize(("side", "who"), [("consumer", "anna"), ("vendor", "greenleaf")])
async def test_every_place_is_in_both_menus_once(side, who):
    async with open_pages() as site:
        visitor = site.visitor()
        await visitor.sign_in(who, side)
        places = [each for each in PLACES[side] if each.path in {page.path for page in PAGES}]
        page = (await visitor.get(places[0].path)).body.decode()
        menus = re.findall(r"<nav.*?</nav>", page, re.DOTALL)
        assert len(menus) == 2
        for menu in menus:
            leads = re.findall(r'href="([^"]+)"', menu)
            assert sorted(leads) == sorted(place.path for place in places)
            assert menu.count("<p ") == len({place.group for place in places} - {""})


async def test_a_change_of_rules_lets_in_and_is_put_back():
    async with open_pages() as site:
        to = "anna@letterbox.example"
        await sent(site, "Boots", 1, "fashion/shoes", to, Letterbox_Kind="offer")
        anna = site.visitor()
        await anna.sign_in("anna")
        before = await site.house.app.consumers.stored("anna")
        (name,) = re.findall(
            r'href="/refused/([0-9a-f]{32})"', (await anna.get("/refused")).body.decode()
        )
        offered = re.findall(
            r'name="change" value="([0-9a-f]+)"',
            (await anna.get(f"/refused/{name}")).body.decode(),
        )
        done = await anna.post(f"/refused/{name}/let-in", {"change": offered[0]})
        assert done.status == 303
        after = await site.house.app.consumers.stored("anna")
        assert after.preferences != before.preferences
        page = (await anna.get("/refused")).body.decode()
        fields = dict(re.findall(r'name="(revision|now)" value="(\d+)"', page))
        assert (await anna.post("/rules/put-back", fields)).status == 303
        again = await site.house.app.consumers.stored("anna")
        assert again.preferences == before.preferences
        assert await site.house.inbox("anna") == ["Boots"]
        assert (await anna.post(f"/refused/{name}/let-in")).status == 409
