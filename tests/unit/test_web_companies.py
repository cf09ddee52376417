"""Companies, addresses and activity: what is shown, changed, and put back."""

import re
from urllib.parse import quote

import pytest

from tests.support.api import PEOPLE
from tests.support.house import mail, signed
from tests.support.site import Site, Visitor, open_pages, text_of

ANNA = "anna@letterbox.example"
ENGLISH = PEOPLE.replace('language = "nl"', 'language = "en"', 1)
HOSTILE = '"><script>alert(1)</script>'


def many(count: int) -> str:
    """Anna with so many companies more."""
    rules = "".join(
        f'  [[consumer.vendor]]\n  domain = "shop{n:03}.example"\n' for n in range(count)
    )
    start, ben = ENGLISH.split('\n[[consumer]]\nid = "ben"')
    return f'{start}{rules}\n[[consumer]]\nid = "ben"{ben}'


async def send(site: Site, subject: str, number: int, about: str, to: str = ANNA) -> None:
    fields = {"Letterbox_Kind": "offer", "Letterbox_Category": about}
    site.house.clock.advance(seconds=1)
    await site.house.send(signed(mail(subject, number=number, **fields)), to)


async def two(site: Site) -> None:
    """One message delivered, one refused."""
    await send(site, "Pruners", 1, "home-garden/garden-tools")
    await send(site, "Boots", 2, "fashion/shoes")


async def as_anna(site: Site) -> Visitor:
    anna = site.visitor()
    await anna.sign_in("anna")
    return anna


async def rule_of(site: Site, name: str = "greenleaf"):
    stored = await site.house.app.consumers.stored("anna")
    piece = stored.pieces.get(("vendor", name))
    return piece.value if piece else None


def hidden(reply, name: str) -> str:
    return re.search(rf'name="{name}" value="([^"]*)"', reply.body.decode())[1]


async def revise(anna: Visitor, path: str, action: str, **fields) -> object:
    """Send a form of a page, with the revision that the page has."""
    page = await anna.get(path)
    return await anna.post(action, {"revision": hidden(page, "revision")} | fields)


async def put_back(anna: Visitor, reply) -> None:
    """Follow where a form leads, and press Put back."""
    page = await anna.get(reply.headers["Location"])
    facts = {name: hidden(page, name) for name in ("now", "page")}
    form = page.body.decode().split('action="/rules/put-back"')[1]
    facts["revision"] = re.search(r'name="revision" value="([^"]*)"', form)[1]
    back = await anna.post("/rules/put-back", facts)
    assert (back.status, back.headers["Location"]) == (303, f"/{facts['page']}")


async def test_a_company_is_listed_with_what_it_did():
    async with open_pages(ENGLISH) as site:
        await two(site)
        anna = await as_anna(site)
        page = await anna.get("/vendors")
        said = text_of(page)
        assert "1 company on your list" in said
        assert "Greenleaf Garden" in said
        assert "1 delivered" in said
        assert "1 refused" in said
        assert "the reason and what helps" in said
        # Each number leads to its rows.
        assert "Boots" in text_of(await anna.get("/refused?vendor=greenleaf"))
        inbox = text_of(await anna.get("/inbox?vendor=greenleaf"))
        assert "Pruners" in inbox
        assert "Pruners" not in text_of(await anna.get("/inbox?vendor=voltshop"))
        # What is let in after all is counted as delivered; nothing is counted twice.
        refused = await site.house.app.mailboxes.decisions(
            "anna", after=None, limit=1, verdict="refuse"
        )
        await anna.post(f"/refused/{refused.items[0].id}/let-in", {"change": ""})
        said = text_of(await anna.get("/vendors"))
        assert "2 delivered" in said
        assert "1 refused" not in said


async def test_two_hundred_companies_are_searched_sorted_and_paged():
    async with open_pages(many(200)) as site:
        await two(site)
        anna = await as_anna(site)
        first = await anna.get("/vendors")
        assert "201 companies" in text_of(first)
        assert first.body.count(b'name="id"') == 50
        assert (await anna.get("/vendors?from=200")).body.count(b'name="id"') == 1
        whole = await anna.get("/vendors?all=yes")
        assert whole.body.count(b'name="id"') == 201
        assert len(whole.body) < 150_000
        found = await anna.get("/vendors?q=shop19")
        assert found.body.count(b'name="id"') == 10
        assert "10 fit" in text_of(found)
        by_volume = (await anna.get("/vendors?sort=messages")).body.decode()
        assert by_volume.index("Greenleaf Garden") < by_volume.index("shop000")
        assert 'aria-sort="descending"' in by_volume
        silent = await anna.get("/vendors?silent=yes&all=yes")
        assert b"Greenleaf" not in silent.body
        assert b"shop000" in silent.body
        assert "Nothing here fits" in text_of(await anna.get("/vendors?standing=blocked"))


@pytest.mark.parametrize("query", ["sort=x", "from=-1", "from=99999999", "from=7", "kind=x"])
async def test_a_list_asked_for_oddly_is_still_a_page(query):
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        assert (await anna.get(f"/vendors?{query}")).status == 200


CHANGES = [
    ("standing", {"standing": "ask"}, lambda rule: rule.standing == "ask"),
    ("kinds", {"kind": "service"}, lambda rule: rule.accepts == ("service",)),
    ("scope", {"scope": "everything"}, lambda rule: rule.scope == "everything"),
    (
        "limit",
        {"messages": "2", "per": "week", "kinds": "offer"},
        lambda rule: (rule.limit.messages, rule.limit.kinds) == (2, ("offer",)),
    ),
    ("service", {"service": "9", "per": "day"}, lambda rule: rule.service_limit.per == "day"),
    ("unwanted", {"unwanted": "file"}, lambda rule: rule.when_unwanted == "file"),
    ("days", {"from": "2026-01-01"}, lambda rule: str(rule.from_) == "2026-01-01"),
    ("proof", {"proof": "dkim"}, lambda rule: rule.proof == "dkim"),
    ("tells", {"tells": "class"}, lambda rule: rule.tells == "class"),
]


@pytest.mark.parametrize(("what", "fields", "holds"), CHANGES)
async def test_each_rule_is_changed_and_put_back(what, fields, holds):
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        before = await rule_of(site)
        reply = await revise(
            anna, "/vendors/greenleaf", "/vendors/greenleaf/rule", what=what, **fields
        )
        assert (reply.status, reply.headers["Location"]) == (303, "/vendors/greenleaf")
        assert holds(await rule_of(site))
        assert "Changed: Greenleaf Garden." in text_of(await anna.get("/vendors/greenleaf"))
        assert "History" in text_of(await anna.get("/vendors/greenleaf"))
        again = {"revision": "0", "what": what, **fields}
        stale = await anna.post("/vendors/greenleaf/rule", again)
        assert stale.status == 412
        assert await rule_of(site) != before


async def test_a_change_is_put_back():
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        before = await rule_of(site)
        rule = {"what": "scope", "scope": "everything"}
        await put_back(
            anna, await revise(anna, "/vendors/greenleaf", "/vendors/greenleaf/rule", **rule)
        )
        assert await rule_of(site) == before


async def test_a_change_of_what_has_changed_since_shows_both():
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        old = hidden(await anna.get("/vendors/greenleaf"), "revision")
        await revise(
            anna, "/vendors/greenleaf", "/vendors/greenleaf/rule", what="proof", proof="dkim"
        )
        stale = {"revision": old, "what": "scope", "scope": "everything"}
        reply = await anna.post("/vendors/greenleaf/rule", stale)
        assert reply.status == 412
        assert "everything of these kinds" in text_of(reply)
        assert "only what fits my interests" in text_of(reply)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"what": "kinds"}, "Choose at least one kind"),
        ({"what": "limit", "messages": "none", "per": "week", "kinds": ""}, "a number from 1"),
        ({"what": "service", "service": "0", "per": "week"}, "a number from 1"),
        ({"what": "days", "from": HOSTILE}, "Write a day"),
        ({"what": "days", "from": "2026-02-01", "until": "2026-01-01"}, "before the first"),
        ({"what": "tells", "tells": "all"}, "Choose one"),
    ],
)
async def test_a_mistake_is_named_and_what_was_written_is_kept(fields, words):
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        before = await rule_of(site)
        reply = await revise(anna, "/vendors/greenleaf", "/vendors/greenleaf/rule", **fields)
        assert reply.status == 422
        assert words in text_of(reply)
        assert b"<title>Error:" in reply.body
        assert b"<script>alert" not in reply.body
        field = re.search(r'href="#(f-[a-z-]+)"', reply.body.decode())[1]
        assert f'id="{field}"' in reply.body.decode()
        assert await rule_of(site) == before
        if "messages" in fields:
            assert b'value="none"' in reply.body
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        assert (await anna.post("/vendors/greenleaf/rule", {"what": "x"})).status == 400


async def test_what_they_hear_is_shown_word_for_word():
    async with open_pages(ENGLISH) as site:
        await two(site)
        anna = await as_anna(site)
        page = text_of(await anna.get("/vendors/greenleaf"))
        refused = await site.house.app.mailboxes.decisions(
            "anna", after=None, limit=1, verdict="refuse"
        )
        assert refused.items[0].told.line in page
        assert page.count("550 ") >= 3
        activity = text_of(await anna.get("/activity"))
        assert refused.items[0].told.line in activity
        assert "reason: no-matching-interest" in activity


async def test_a_company_is_locked_out_as_it_was_shown_and_let_back_in():
    async with open_pages(ENGLISH) as site:
        await two(site)
        anna = await as_anna(site)
        form = {
            "what": "everything",
            "because": "too-often",
            "remedy-messages": "1",
            "remedy-per": "month",
            "remedy-kind": "service",
        }
        path = "/vendors/greenleaf/lock-out"
        assert "only its advertising" in text_of(await anna.get(path))
        shown = await revise(anna, path, path, act="preview", **form)
        assert shown.status == 200
        assert (await rule_of(site)).standing == "allowed"
        line = re.search(r"<code>(550 [^<]*)</code>", shown.body.decode())[1]
        assert "too often" in line
        done = await revise(anna, path, path, act="do", **form)
        assert done.status == 303
        rule = await rule_of(site)
        assert (rule.standing, rule.because) == ("blocked", "too-often")
        # The next one hears these very words.
        await send(site, "Pruners again", 3, "home-garden/garden-tools")
        last = await site.house.app.mailboxes.decisions("anna", after=None, limit=1)
        told = last.items[0].told
        assert told.line.replace(told.reference, "0" * 32) == line.replace("&#39;", "'")
        assert "You locked it out" in text_of(await anna.get("/activity"))
        back = await revise(anna, "/vendors/greenleaf", "/vendors/greenleaf/unlock", how="repaired")
        assert back.status == 303
        rule = await rule_of(site)
        assert (rule.standing, rule.accepts, rule.limit.messages) == ("allowed", ("service",), 1)
        again = await anna.post("/vendors/greenleaf/unlock", {"revision": "1"})
        assert again.status == 409


async def test_only_advertising_stops_where_nothing_more_is_said():
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        path = "/vendors/greenleaf/lock-out"
        done = await revise(anna, path, path, act="do", what="advertising")
        assert done.status == 303
        assert (await rule_of(site)).accepts == ("service",)
        await put_back(anna, done)
        assert "offer" in (await rule_of(site)).accepts
        wrong = await revise(
            anna, path, path, act="do", what="everything", **{"remedy-messages": HOSTILE}
        )
        assert wrong.status == 422
        assert b"<script>alert" not in wrong.body


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("other.example", "other.example"),
        ("https://Other.example/", "other.example"),
        ("voltshop.example", "voltshop"),
        ("voltshop", "voltshop"),
        ("tim@gmail.com", "tim@gmail.com"),
    ],
)
async def test_a_company_is_added(name, key):
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        assert (await anna.get("/vendors/~new")).status == 200
        reply = await anna.post("/vendors/~new", {"name": name, "kind": "offer"})
        assert (reply.status, reply.headers["Location"]) == (303, f"/vendors/{quote(key, safe='')}")
        assert (await rule_of(site, key)).accepts == ("offer",)
        assert (await anna.get(reply.headers["Location"])).status == 200
        page = await anna.get(reply.headers["Location"])
        gone = await anna.post(
            f"{reply.headers['Location']}/remove", {"revision": hidden(page, "revision")}
        )
        assert gone.headers["Location"] == "/vendors"
        assert await rule_of(site, key) is None
        await put_back(anna, gone)
        assert await rule_of(site, key)


@pytest.mark.parametrize(
    "name", ["", "x", "a b", "co.uk", "gmail.com", HOSTILE, "greenleaf.example"]
)
async def test_what_is_no_company_is_not_added(name):
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        await anna.get("/vendors/~new")
        reply = await anna.post("/vendors/~new", {"name": name, "kind": "offer"})
        assert reply.status == 422
        assert b"<script>alert" not in reply.body
        stored = await site.house.app.consumers.stored("anna")
        assert len(stored.preferences.vendor) == 1


async def test_many_are_changed_at_once_and_put_back_at_once():
    async with open_pages(many(60)) as site:
        anna = await as_anna(site)
        await anna.get("/vendors")
        before = (await site.house.app.consumers.stored("anna")).preferences
        plan = await anna.post("/vendors/~bulk", {"action": "out", "every": "yes", "q": "shop"})
        assert plan.status == 200
        assert "60 companies change" in text_of(plan)
        assert (await site.house.app.consumers.stored("anna")).preferences == before
        of = re.findall(r'name="of" value="([^"]*)"', plan.body.decode())
        assert len(of) == 60
        form = [("csrf", anna.csrf), ("action", "out"), *(("of", each) for each in of)]
        # One of them changes meanwhile: it is named, and left alone.
        await revise(
            anna, "/vendors/shop001.example", "/vendors/shop001.example/rule",
            what="proof", proof="dkim",
        )  # fmt: skip
        async with anna.session.post(
            "/vendors/~bulk/do", data=form, allow_redirects=False
        ) as reply:
            assert reply.status == 303
        page = await anna.get("/vendors?all=yes")
        assert "Changed: 59." in text_of(page)
        assert "shop001.example" in text_of(page)
        rules = (await site.house.app.consumers.stored("anna")).preferences.vendor
        assert sum(rule.standing == "blocked" for rule in rules) == 59
        facts = {
            name: re.search(rf'name="{name}" value="(\d+)"', page.body.decode())[1]
            for name in ("revision", "now")
        }
        assert (await anna.post("/rules/put-back", facts)).status == 303
        rules = (await site.house.app.consumers.stored("anna")).preferences.vendor
        assert not any(rule.standing == "blocked" for rule in rules)


@pytest.mark.parametrize(
    "action",
    ["service", "fits", "week", "month", "tell-nothing", "tell-class", "out", "back"],
)
async def test_what_is_done_to_several_is_shown_before(action):
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        await anna.get("/vendors")
        plan = await anna.post("/vendors/~bulk", {"action": action, "id": "greenleaf"})
        assert plan.status == 200
        of = re.findall(r'name="of" value="([^"]*)"', plan.body.decode())
        before = await rule_of(site)
        done = await anna.post(
            "/vendors/~bulk/do", {"action": action} | ({"of": of[0]} if of else {})
        )
        assert done.status == 303
        assert (await rule_of(site) != before) is bool(of)
        assert (await anna.post("/vendors/~bulk", {"action": "x"})).status == 400
        assert (await anna.post("/vendors/~bulk/do", {"action": "x"})).status == 400


async def test_an_address_is_made_for_one_company_and_others_are_seen_to_use_it():
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        page = await anna.get("/addresses")
        assert ANNA in text_of(page)
        fields = {"base": ANNA, "word": "volt", "given": "voltshop"}
        assert (await anna.post("/addresses", fields)).status == 422  # no company of hers
        await anna.post("/vendors/~new", {"name": "voltshop", "kind": "offer"})
        made = await anna.post("/addresses", fields)
        assert (made.status, made.headers["Location"]) == (303, "/addresses")
        assert (await anna.post("/addresses", fields)).status == 422
        await send(site, "Pruners", 1, "home-garden/garden-tools", "anna+volt@letterbox.example")
        said = text_of(await anna.get("/addresses"))
        assert re.search(r"another:\s+Greenleaf Garden", said)
        assert "Voltshop" in said
        path = f"/addresses/{quote('anna+volt@letterbox.example', safe='')}/remove"
        removal = await anna.get(path)
        assert "Greenleaf Garden" in text_of(removal)
        own = f"/addresses/{quote(ANNA, safe='')}/remove"
        assert "First give up those below it" in text_of(await anna.get(own))
        assert (await anna.post(own)).status == 409
        gone = await anna.post(path, {"revision": hidden(removal, "revision")})
        assert gone.status == 303
        await put_back(anna, gone)
        assert "anna+volt@" in text_of(await anna.get("/addresses"))


@pytest.mark.parametrize("word", ["", "a b", "x@y", HOSTILE, "é" * 80])
async def test_a_word_that_makes_no_address_is_named(word):
    async with open_pages(ENGLISH) as site:
        anna = await as_anna(site)
        await anna.get("/addresses")
        reply = await anna.post("/addresses", {"base": ANNA, "word": word})
        assert reply.status == 422
        assert b"<script>alert" not in reply.body
        other = await anna.post("/addresses", {"base": "ben@letterbox.example", "word": "x"})
        assert other.status == 400


async def test_hostile_names_and_subjects_are_text():
    people = ENGLISH.replace("Greenleaf Garden", HOSTILE.replace('"', "'"))
    async with open_pages(people) as site:
        await send(site, HOSTILE, 1, "fashion/shoes")
        anna = await as_anna(site)
        paths = ("/vendors", "/vendors/greenleaf", "/vendors/greenleaf/lock-out", "/addresses",
                 "/activity", f"/vendors?q={quote(HOSTILE)}")  # fmt: skip
        for path in paths:
            page = await anna.get(path)
            assert page.status == 200
            assert b"<script>alert" not in page.body
        plan = await anna.post("/vendors/~bulk", {"action": "out", "id": "greenleaf"})
        assert b"<script>alert" not in plan.body


async def test_activity_goes_on_in_pages():
    async with open_pages(ENGLISH) as site:
        for number in range(52):
            await send(site, f"Boots {number}", number, "fashion/shoes")
        anna = await as_anna(site)
        first = await anna.get("/activity")
        assert len(first.body) < 150_000
        following = re.search(r'rel="next" href="([^"]*)"', first.body.decode())[1]
        second = text_of(await anna.get(following))
        assert "Boots 0" in second
        assert "Boots 51" not in second
