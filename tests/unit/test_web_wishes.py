"""The pages of interests, times and "what if", through the HTTP edge."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any, NamedTuple

import aiohttp
import pytest

from letterbox.gateways.http import HttpGateway
from letterbox.model.kind import Kind
from letterbox.model.preferences import Window
from letterbox.records.sessions import Owner
from letterbox.web import week
from tests.support.api import PEOPLE, parts_of
from tests.support.house import House, mail, open_house, signed

EVIL = "\"><script>alert(1)</script><img src=x onerror='alert(1)'>"
ANNA = "anna@letterbox.example"


class Shown(NamedTuple):
    """A page, or where one is sent on to."""

    status: int
    text: str
    location: str
    headers: Any

    def revision(self, action: str) -> str:
        """The revision that stands in the form of an action."""
        form = self.text[self.text.index(f'action="{action}"') :]
        return re.search(r'name="revision" value="(\d+)"', form)[1]


class Guest:
    """A browser without scripts."""

    def __init__(self, house: House, session: aiohttp.ClientSession) -> None:
        self.house = house
        self._session = session

    async def get(self, path: str) -> Shown:
        async with self._session.get(path, allow_redirects=False) as answer:
            return await self._shown(answer)

    async def post(self, path: str, *more: tuple[str, str], **fields: str) -> Shown:
        """Send a form of a page; ``more`` are fields that stand there several times."""
        page = await self.get("/interests")
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        data = {"csrf": found[1] if found else "", **fields}
        async with self._session.post(
            path, data=[*data.items(), *more], allow_redirects=False
        ) as answer:
            return await self._shown(answer)

    async def sign_in(self, owner: str) -> None:
        token = await self.house.app.sessions.link(Owner("consumer", owner))
        async with self._session.post(f"/signin/{token}", allow_redirects=False) as answer:
            assert answer.status == 303

    async def wishes(self, consumer: str = "anna"):
        stored = await self.house.app.consumers.stored(consumer)
        return stored.preferences

    @staticmethod
    async def _shown(answer) -> Shown:
        where = answer.headers.get("Location", "")
        return Shown(answer.status, await answer.text(), where, answer.headers)


@asynccontextmanager
async def guest(owner: str | None = "anna", people: str = PEOPLE) -> AsyncIterator[Guest]:
    people = people.replace('language = "nl"', 'language = "en"')
    async with open_house(people) as house:
        gateway = HttpGateway(parts_of(house.app), house.app.pages())
        address = await gateway.start("127.0.0.1:0")
        jar = aiohttp.CookieJar(unsafe=True)
        session = aiohttp.ClientSession(f"http://{address}", cookie_jar=jar)
        try:
            visitor = Guest(house, session)
            if owner:
                await visitor.sign_in(owner)
            yield visitor
        finally:
            await session.close()
            await gateway.drain(5)


def offer(subject: str, number: int, category: str = "home-garden/garden-tools") -> bytes:
    return signed(mail(subject, number=number, Letterbox_Kind="offer", Letterbox_Category=category))


GETS = [
    "/interests", "/interests/~new", "/interests/garden-tools", "/interests/garden-tools/fits",
    "/times", "/times/windows/~new", "/times/letterbox.ics", "/replay",
]  # fmt: skip
POSTS = [
    "/interests/~new", "/interests/garden-tools", "/interests/garden-tools/remove", "/times",
    "/times/pauses", "/times/pauses/remove", "/times/days", "/times/days/remove",
    "/times/windows/~new", "/replay",
]  # fmt: skip


async def test_who_is_not_signed_in_is_shown_the_way():
    async with guest(None) as nobody:
        for path in GETS:
            shown = await nobody.get(path)
            assert (shown.status, shown.location) == (303, "/signin"), path
        for path in POSTS:
            shown = await nobody.post(path)
            assert (shown.status, shown.location) == (303, "/signin"), path


async def test_what_is_anothers_is_not_there():
    async with guest("ben") as ben:
        window = await window_of(ben.house, "anna")
        for path in (
            "/interests/garden-tools",
            "/interests/garden-tools/fits",
            f"/times/windows/{window}",
        ):
            assert (await ben.get(path)).status == 404, path
        for path in (
            "/interests/garden-tools",
            "/interests/garden-tools/remove",
            f"/times/windows/{window}",
            f"/times/windows/{window}/remove",
        ):
            assert (await ben.post(path, revision="1")).status == 404, path
        assert len((await ben.wishes("anna")).interest) == 1


async def test_a_form_that_is_not_ours_changes_nothing():
    async with guest() as anna:
        for path in POSTS:
            assert (await anna.post(path, csrf="x", revision="1")).status == 403, path


async def window_of(house: House, consumer: str) -> str:
    stored = await house.app.consumers.stored(consumer)
    return next(name for sort, name in stored.pieces if sort == "window")


# ---- interests ----


async def test_an_interest_is_a_sentence_with_what_fits_it():
    async with guest() as anna:
        await anna.house.send(offer("Pruners", 1), ANNA)
        await anna.house.send(offer("Boots", 2, "clothing"), ANNA)
        page = await anna.get("/interests")
        assert "Garden tools; at most €150.00." in page.text
        assert "What fits it of the last 30 days" in page.text
        counted = await anna.get("/interests?count=yes")
        assert "Of the last 30 days, 1 fit" in counted.text
        fits = await anna.get("/interests/garden-tools/fits")
        assert "Pruners" in fits.text
        assert "Boots" not in fits.text


async def test_an_interest_is_added_changed_put_back_and_removed():
    async with guest() as anna:
        added = await anna.post(
            "/interests/~new",
            ("category", "clothing"),
            do="save",
            name="Warm Boots!",
            any="boots, laarzen",
            price="90,50",
            currency="eur",
            regions="nl",
            until="2027-02-28",
        )
        assert (added.status, added.location) == (303, "/interests#i-warm-boots")
        page = await anna.get("/interests")
        assert "Saved: warm-boots. Wanted: " in page.text
        assert "with one of the words boots, laarzen; in NL; at most €90.50." in page.text
        assert "until 28 February 2027" in page.text
        form = await anna.get("/interests/warm-boots")
        assert 'value="90.50"' in form.text
        revision = form.revision("/interests/warm-boots")
        changed = await anna.post(
            "/interests/warm-boots", do="save", revision=revision, any="boots"
        )
        assert changed.status == 303
        (boots,) = [each for each in (await anna.wishes()).interest if each.id == "warm-boots"]
        assert (boots.categories, boots.keywords.any, boots.max_price) == ((), ("boots",), None)
        page = await anna.get("/interests")
        back = dict(
            re.findall(r'name="(revision|now)" value="(\d+)"', page.text[: page.text.index("<h1")])
        )
        assert (await anna.post("/rules/put-back", **back)).status == 303
        (boots,) = [each for each in (await anna.wishes()).interest if each.id == "warm-boots"]
        assert boots.keywords.any == ("boots", "laarzen")
        page = await anna.get("/interests")
        action = "/interests/warm-boots/remove"
        assert (await anna.post(action, revision=page.revision(action))).status == 303
        assert [each.id for each in (await anna.wishes()).interest] == ["garden-tools"]
        assert "Removed: warm-boots." in (await anna.get("/interests")).text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "garden tools"),
        ("name", "!?"),
        ("category", "no/such"),
        ("any", "!!!"),
        ("none", EVIL + "x" * 200),
        ("brands", "?"),
        ("price", "-1"),
        ("price", "cheap"),
        ("currency", "€€"),
        ("regions", "holland"),
        ("from", "tomorrow"),
        ("until", "2020-01-01"),
        ("vendors", "nobody-at-all"),
    ],
)
async def test_a_mistake_keeps_what_was_written_and_leads_to_its_field(field, value):
    async with guest() as anna:
        said = {"name": "boots", "from": "2027-01-01", "price": "10", "brands": "Kept"}
        said |= {field: value}
        page = await anna.post("/interests/~new", do="save", **said)
        assert page.status == 422
        assert "<title>Error: Add an interest" in page.text
        assert f'href="#f-{field}"' in page.text
        assert page.text.count(f'id="f-{field}"') == 1
        assert value in unescape(page.text)
        assert "<script>alert" not in page.text
        assert len((await anna.wishes()).interest) == 1


@pytest.mark.parametrize("words", ["snoei", "pruning", "Tuingereedschap", "secateurs"])
async def test_categories_are_found_in_both_languages_without_a_script(words):
    async with guest() as anna:
        page = await anna.post("/interests/~new", do="search", q=words, name="kept")
        assert page.status == 200
        found = page.text[
            page.text.index('class="found"') : page.text.index('<details class="browse')
        ]
        assert 'value="home-garden/garden-tools' in found
        assert "Home and garden \u203a Garden tools" in found
        assert 'value="kept"' in page.text


async def test_what_is_chosen_stays_and_says_how_much_it_covers():
    async with guest() as anna:
        page = await anna.post(
            "/interests/~new",
            ("category", "home-garden"),
            ("category", "health"),
            do="search",
            q=EVIL,
        )
        chips = page.text[page.text.index('class="chips"') : page.text.index('class="find"')]
        assert 'value="home-garden" data-chosen checked' in chips
        assert re.search(r"covers \d+ below", chips)
        assert "sensitive" in chips
        assert "No other category is found" in page.text
        assert "<script>alert" not in page.text


async def test_what_would_fit_is_seen_before_it_is_saved():
    async with guest() as anna:
        await anna.house.send(offer("Boots", 2, "clothing"), ANNA)
        page = await anna.post("/interests/~new", ("category", "clothing"), do="try")
        assert "Of the last 30 days, 1 fit" in page.text
        assert "Greenleaf Garden: Boots" in page.text
        wrong = await anna.post("/interests/~new", ("category", "no/such"), do="try", name="x")
        assert 'href="#f-category"' in wrong.text
        assert len((await anna.wishes()).interest) == 1


async def test_who_was_overtaken_sees_both_versions():
    async with guest() as anna:
        form = await anna.get("/interests/garden-tools")
        revision = form.revision("/interests/garden-tools")
        first = {"do": "save", "revision": revision}
        await anna.post("/interests/garden-tools", any="first", **first)
        page = await anna.post("/interests/garden-tools", any="second", **first)
        assert page.status == 412
        assert "with one of the words first" in page.text
        assert "with one of the words second" in page.text


async def test_many_interests_come_in_pages():
    more = "".join(f'  [[consumer.interest]]\n  id = "x{nth:03}"\n' for nth in range(120))
    people = PEOPLE.replace("  [[consumer.window]]", f"{more}  [[consumer.window]]", 1)
    async with guest(people=people) as anna:
        path, seen = "/interests", []
        while path:
            page = await anna.get(path)
            assert len(page.text) < 150_000
            seen += re.findall(r'<article class="card" id="i-([^"]+)"', page.text)
            found = re.search(r'rel="next" href="([^"]+)"', page.text)
            path = unescape(found[1]) if found else ""
        assert seen == ["garden-tools", *(f"x{nth:03}" for nth in range(120))]


async def test_without_interests_there_are_three_examples():
    async with guest("ben") as ben:
        page = await ben.get("/interests")
        examples = re.findall(r'<li><a href="(/interests/~new\?[^"]+)"', page.text)
        assert len(examples) == 3
        for example in examples:
            assert "data-chosen checked" in (await ben.get(unescape(example))).text


# ---- times ----


def windows(*said: str) -> list[Window]:
    """Windows written as days and times: ``sat 09:00 12:00``."""
    found = []
    for each in said:
        *days, start, end = each.split()
        found.append(Window(from_=start, until=end, days=tuple(days)))
    return found


@pytest.mark.parametrize(
    "said",
    [
        [],
        ["00:00 24:00"],
        ["sat 09:00 12:00"],
        ["mon tue wed thu fri 18:00 21:00", "sat sun 09:00 12:00"],
        ["sat 22:00 02:00"],
        ["sun 22:00 02:00"],
        ["22:00 06:00"],
        ["fri 20:00 24:00", "sat 00:00 24:00", "sun 00:00 03:00"],
    ],
)
def test_hours_are_the_windows_they_are_made_of(said):
    declared = windows(*said)
    assert week.windows(week.cells(declared), (), "hold") == declared


async def test_the_week_is_painted_and_put_back():
    async with guest() as anna:
        page = await anna.get("/times")
        assert "In Europe/Amsterdam it is 13:00 now." in page.text
        assert "newsletters may come Saturday from 09:00 to 12:00" in page.text
        assert re.search(r'value="sat-09" aria-label="Saturday 09.10" checked', page.text)
        assert page.text.count('name="cell"') == 168
        assert '<option value="newsletter" selected>' in page.text
        before = (await anna.wishes()).window
        sent = {"kind": "newsletter", "outside": "hold", "revision": page.revision("/times/pauses")}
        cells = [("cell", name) for name in ("sun-22", "sun-23", "mon-00", "wed-10")]
        saved = await anna.post("/times", *cells, **sent)
        assert saved.location == "/times?kind=newsletter"
        after = (await anna.wishes()).window
        newsletter = (Kind.NEWSLETTER,)
        assert set(after) == {
            Window(from_="22:00", until="01:00", days=("sun",), kinds=newsletter),
            Window(from_="10:00", until="11:00", days=("wed",), kinds=newsletter),
        }
        page = await anna.get("/times")
        assert "Sunday from 22:00 to 01:00, into Monday" in page.text
        assert "newsletters: Wed 25 Nov, 10:00" in page.text
        assert (await anna.post("/times", *cells, **sent)).status == 412
        back = {"revision": sent["revision"], "now": page.revision("/times/pauses")}
        await anna.post("/rules/put-back", **back)
        assert (await anna.wishes()).window == before


async def test_hours_outside_are_refused_where_that_is_said_and_others_stay():
    finer = PEOPLE.replace('from = "09:00"', 'from = "09:15"')
    async with guest(people=finer) as anna:
        page = await anna.get("/times?kind=newsletter")
        assert "Saturday 09\u201310, partly open by another window" in page.text
        revision = page.revision("/times/pauses")
        await anna.post(
            "/times", ("cell", "sat-15"), kind="newsletter", outside="refuse", revision=revision
        )
        kept, painted = (await anna.wishes()).window
        assert (kept.from_, kept.outside) == ("09:15", "hold")
        assert (painted.from_, painted.outside) == ("15:00", "refuse")


async def test_a_window_of_its_own_is_added_changed_and_removed():
    async with guest() as anna:
        added = await anna.post(
            "/times/windows/~new",
            ("day", "mon"),
            ("kind", "offer"),
            **{"from": "18:15", "until": "20:45", "vendors": "greenleaf", "outside": "refuse"},
        )
        assert added.location == "/times"
        page = await anna.get("/times")
        sentence = "offers may come Monday from 18:15 to 20:45; only from greenleaf"
        assert sentence in page.text
        name = re.search(
            r'href="(/times/windows/~[0-9a-f]+)"[^>]*>Change<span class="unseen">: offers',
            page.text,
        )[1]
        form = await anna.get(name)
        changed = await anna.post(
            name, revision=form.revision(name), **{"from": "22:00", "until": "02:00"}
        )
        assert changed.status == 303
        page = await anna.get("/times")
        assert "every day from 22:00 to 02:00, into the next day" in page.text
        action = re.findall(r'action="(/times/windows/[^"]+/remove)"', page.text)[-1]
        assert (await anna.post(action, revision="99")).status == 412
        assert (await anna.post(action, revision=page.revision(action))).status == 303
        assert len((await anna.wishes()).window) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("from", "9 o'clock"), ("from", EVIL), ("until", "09:00"), ("vendors", "nobody-at-all")],
)
async def test_a_mistake_in_a_window_keeps_what_was_written(field, value):
    async with guest() as anna:
        said = {"from": "09:00", "until": "12:00", "vendors": ""} | {field: value}
        page = await anna.post("/times/windows/~new", **said)
        assert page.status == 422
        assert f'href="#f-{field}"' in page.text
        assert value in unescape(page.text)
        assert "<script>alert" not in page.text


async def test_pauses_and_days_apart_come_and_go():
    async with guest() as anna:
        page = await anna.get("/times")
        revision = page.revision("/times/pauses")
        dates = {"from": "2026-12-24", "until": "2026-12-26"}
        assert (await anna.post("/times/pauses", revision=revision, **dates)).status == 303
        assert (await anna.post("/times/pauses", revision=revision, **dates)).status == 412
        page = await anna.get("/times")
        assert "24 December until Saturday 26 December, nothing of this comes" in page.text
        revision = page.revision("/times/days")
        day = {"on": "2026-12-31", "start": "09:00", "end": "12:00"}
        assert (await anna.post("/times/days", revision=revision, **day)).status == 303
        page = await anna.get("/times")
        assert "Thursday 31 December" in page.text
        for what in ("pauses", "days"):
            page = await anna.get("/times")
            action = f"/times/{what}/remove"
            assert (await anna.post(action, nth="7", revision="1")).status == 404
            assert (await anna.post(action, nth="x", revision="1")).status == 400
            done = await anna.post(action, nth="0", revision=page.revision(action))
            assert done.status == 303
        wishes = await anna.wishes()
        assert (wishes.pauses, wishes.exceptions) == ((), ())


@pytest.mark.parametrize(
    ("path", "field", "said"),
    [
        ("pauses", "from", {"from": EVIL, "until": "2026-12-26"}),
        ("pauses", "until", {"from": "2026-12-24", "until": "2026-12-20"}),
        ("days", "on", {"on": EVIL}),
        ("days", "start", {"on": "2026-12-31", "start": "09:00"}),
        ("days", "start", {"on": "2026-12-31", "start": "9", "end": "12:00"}),
    ],
)
async def test_a_mistake_in_days_keeps_what_was_written(path, field, said):
    async with guest() as anna:
        revision = (await anna.get("/times")).revision("/times/pauses")
        page = await anna.post(f"/times/{path}", revision=revision, **said)
        assert page.status == 422
        assert f'href="#f-{field}"' in page.text
        assert all(value in unescape(page.text) for value in said.values())
        assert "<script>alert" not in page.text


async def test_times_go_out_as_a_calendar():
    async with guest() as anna:
        file = await anna.get("/times/letterbox.ics")
        assert file.text.startswith("BEGIN:VCALENDAR")
        assert "attachment" in file.headers["Content-Disposition"]


async def test_a_change_of_the_clock_is_told():
    async with guest() as anna:
        anna.house.clock.advance(days=110)
        await anna.sign_in("anna")
        assert "Sunday 28 March: that day is an hour shorter." in (await anna.get("/times")).text


# ---- what if ----


async def test_what_if_shows_the_differences_and_changes_nothing_until_it_is_used():
    async with guest() as anna:
        await anna.house.send(offer("Pruners", 1), ANNA)
        await anna.house.send(offer("Boots <b>", 2, "clothing"), ANNA)
        before = await anna.wishes()
        form = {"change": "everything", "company": "greenleaf", "days": "7"}
        page = await anna.post("/replay", do="run", **form)
        assert "1 more in, 0 fewer" in page.text
        assert "of 2 messages of the last 7 days." in page.text
        assert "Boots &lt;b&gt;" in page.text
        assert "refused: " in page.text
        assert await anna.wishes() == before
        revision = page.revision("/replay")
        stale = await anna.post("/replay", do="use", revision="0", **form)
        assert stale.status == 412
        used = await anna.post("/replay", do="use", revision=revision, **form)
        assert used.location == "/replay"
        assert (await anna.wishes()).vendor[0].scope == "everything"
        assert (
            "From now on: everything from a company: greenleaf." in (await anna.get("/replay")).text
        )


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"change": "interest-off", "interest": "garden-tools"}, "0 more in, 1 fewer"),
        ({"change": "price", "interest": "garden-tools", "price": "170"}, "0 more in, 0 fewer"),
        ({"change": "service", "company": "greenleaf"}, "0 more in, 1 fewer"),
        ({"change": "out", "company": "greenleaf"}, "0 more in, 1 fewer"),
        ({"change": "times-off"}, "0 more in, 0 fewer"),
        ({"change": "refuse"}, "0 more in, 0 fewer"),
        ({"change": "ask"}, "0 more in, 0 fewer"),
        ({"change": "interests"}, "0 more in, 0 fewer"),
    ],
)
async def test_every_change_can_be_tried(form, said):
    async with guest() as anna:
        await anna.house.send(offer("Pruners", 1), ANNA)
        page = await anna.post("/replay", do="run", **form)
        assert page.status == 200
        assert said in page.text


@pytest.mark.parametrize(
    ("field", "form"),
    [
        ("change", {"change": EVIL}),
        ("interest", {"change": "interest-off", "interest": EVIL}),
        ("company", {"change": "out", "company": "voltshop"}),
        ("price", {"change": "price", "interest": "garden-tools", "price": EVIL}),
    ],
)
async def test_what_cannot_be_tried_is_named(field, form):
    async with guest() as anna:
        page = await anna.post("/replay", do="run", **form)
        assert page.status == 422
        assert f'href="#f-{field}"' in page.text
        assert "<script>alert" not in page.text


async def test_hostile_names_are_shown_as_they_are():
    async with guest() as anna:
        await anna.post("/interests/~new", do="save", name="x", any=f"a{EVIL}", brands=f"b{EVIL}")
        await anna.house.send(offer("Pruners <script>alert(2)</script>", 1), ANNA)
        for path in ("/interests", "/interests/x", "/interests/garden-tools/fits", "/replay"):
            page = await anna.get(path)
            assert page.status == 200
            assert "<script>alert" not in page.text
            assert "onerror='" not in page.text
