"""Signing in and out: links that serve once, sessions that end, forms that are ours."""

from datetime import timedelta

import pytest

from letterbox.model.configuration import Configuration, WebSection
from letterbox.records.sessions import Owner
from tests.support.api import PEOPLE
from tests.support.house import open_house
from tests.support.site import open_pages, text_of

ANNA = Owner("consumer", "anna")
HTTPS = Configuration(public_url="https://letterbox.example")

# ---- links and sessions -----------------------------------------------------------------------


async def test_a_link_serves_once_and_for_a_day():
    async with open_house(PEOPLE) as house:
        sessions = house.app.sessions
        link, late = await sessions.link(ANNA), await sessions.link(ANNA)
        assert await sessions.linked(link) == ANNA
        assert await sessions.use_link(link) == ANNA
        assert await sessions.use_link(link) is None
        assert await sessions.linked(link) is None
        house.clock.advance(hours=24, seconds=1)
        assert await sessions.use_link(late) is None


@pytest.mark.parametrize("spoil", ["", "x", "0" * 65])
async def test_a_wrong_link_signs_nobody_in(spoil):
    async with open_house(PEOPLE) as house:
        link = await house.app.sessions.link(ANNA)
        assert await house.app.sessions.use_link(spoil or link[:-1] + "~") is None
        assert await house.app.sessions.use_link(link[:32] + "A" * 33) is None


async def test_a_session_is_shown_listed_revoked_and_ends_when_it_is_not_used():
    async with open_house(PEOPLE) as house:
        sessions = house.app.sessions
        first = await sessions.start(ANNA, agent="Firefox")
        second = await sessions.start(ANNA, agent="Chrome")
        assert (await sessions.shown(first.cookie)).owner == ANNA
        assert [each.agent for each in await sessions.listed(ANNA)] == ["Firefox", "Chrome"]
        house.clock.advance(days=29)
        seen = await sessions.shown(second.cookie)
        assert seen is not None
        house.clock.advance(days=2)
        assert await sessions.shown(first.cookie) is None
        assert await sessions.shown(second.cookie) is not None
        assert not await sessions.revoke(ANNA, first.session.id)
        assert await sessions.revoke(ANNA, second.session.id)
        assert await sessions.shown(second.cookie) is None
        assert await sessions.listed(ANNA) == ()


async def test_a_session_ends_after_a_year_however_often_it_is_used():
    async with open_house(PEOPLE) as house:
        sessions = house.app.sessions
        who = await sessions.start(ANNA, agent="")
        for _ in range(14):
            house.clock.advance(days=26)
            assert await sessions.shown(who.cookie) is not None
        house.clock.advance(days=2)
        assert await sessions.shown(who.cookie) is None


async def test_the_secret_is_not_in_the_store_and_no_other_opens():
    async with open_house(PEOPLE) as house:
        sessions = house.app.sessions
        who = await sessions.start(ANNA, agent="")
        secret = who.cookie.rpartition(":")[2]
        document = await house.app.store.get("consumer/anna", "sessions")
        assert secret.encode() not in document.value
        for cookie in (
            who.cookie[:-1] + ("A" if who.cookie[-1] != "A" else "B"),
            who.cookie.replace("anna", "ben"),
            who.cookie.replace("consumer", "vendor"),
            "",
            "consumer:anna::",
        ):
            assert await sessions.shown(cookie) is None


async def test_fifty_sessions_are_kept_and_the_one_unused_longest_goes():
    async with open_house(PEOPLE) as house:
        sessions = house.app.sessions
        first = await sessions.start(ANNA, agent="")
        for _ in range(50):
            house.clock.advance(minutes=1)
            await sessions.start(ANNA, agent="")
        assert len(await sessions.listed(ANNA)) == 50
        assert await sessions.shown(first.cookie) is None


# ---- at the door ------------------------------------------------------------------------------


async def test_looking_at_a_link_uses_nothing_up_and_its_button_signs_in():
    async with open_pages() as site:
        anna = site.visitor()
        path = await anna.link("anna")
        for _ in range(3):
            page = await anna.get(path)
            assert page.status == 200
            assert "anna" in text_of(page)
            assert "Set-Cookie" not in page.headers
        done = await anna.post(path)
        assert (done.status, done.headers["Location"]) == (303, "/inbox")
        cookie = done.headers["Set-Cookie"]
        assert cookie.startswith("letterbox=consumer:anna:")
        for word in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="):
            assert word in cookie
        assert (await anna.get("/inbox")).status == 200
        assert (await site.visitor().post(path)).status == 404


async def test_the_same_page_for_a_used_a_late_and_an_invented_link():
    async with open_pages() as site:
        anna = site.visitor()
        used, late = await anna.link("anna"), await anna.link("anna")
        await anna.post(used)
        site.house.clock.advance(hours=25)
        other = site.visitor()
        pages = [await other.get(path) for path in (used, late, "/signin/" + "a" * 65)]
        assert {page.status for page in pages} == {404}
        assert len({page.body for page in pages}) == 1


async def test_over_tls_the_cookie_is_bound_to_this_host():
    async with open_pages(configuration=HTTPS) as site:
        anna = site.visitor()
        host = {"Host": "letterbox.example"}
        done = await anna.post(await anna.link("anna"), headers=host)
        cookie = done.headers["Set-Cookie"]
        assert cookie.startswith("__Host-letterbox=")
        assert "Secure" in cookie
        assert "Domain" not in cookie


async def test_signing_in_makes_a_new_session_and_ends_the_old():
    async with open_pages() as site:
        anna = site.visitor()
        await anna.sign_in("anna")
        (before,) = await site.house.app.sessions.listed(ANNA)
        await anna.post(await anna.link("anna"))
        (after,) = await site.house.app.sessions.listed(ANNA)
        assert before.id != after.id


async def test_signing_out_ends_the_session():
    async with open_pages() as site:
        anna = site.visitor()
        await anna.sign_in("anna")
        assert (await anna.post("/signout")).status == 303
        assert await site.house.app.sessions.listed(ANNA) == ()
        page = await anna.get("/inbox")
        assert (page.status, page.headers["Location"]) == (303, "/signin")


async def test_who_fails_too_often_has_to_wait():
    configuration = Configuration(web=WebSection(failures_per_address=3, failure_period=60.0))
    async with open_pages(configuration=configuration) as site:
        anna = site.visitor()
        path = await anna.link("anna")
        for _ in range(3):
            assert (await anna.get("/signin/" + "a" * 65)).status == 404
        page = await anna.post(path)
        assert (page.status, page.headers["Retry-After"]) == (429, "60")
        site.house.clock.advance(seconds=61)
        assert (await anna.post(path)).status == 303


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({"csrf": ""}, {}),
        ({"csrf": "0" * 64}, {}),
        ({"csrf": "ü"}, {}),
        ({}, {"Origin": "https://evil.example"}),
        ({}, {"Origin": "null"}),
        ({}, {"Origin": "http://["}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
        ({}, {"Sec-Fetch-Site": "same-site"}),
    ],
)
async def test_a_form_of_others_changes_nothing(fields, headers):
    async with open_pages() as site:
        anna = site.visitor()
        await anna.sign_in("anna")
        page = await anna.post("/signout", fields, headers=headers)
        assert page.status == 403
        assert "open te lang" not in text_of(page)
        assert "te lang open" in text_of(page)
        assert len(await site.house.app.sessions.listed(ANNA)) == 1


@pytest.mark.parametrize("host", ["[", "[::1", "a b"])
async def test_a_host_that_is_none_is_no_fault_of_ours(host):
    async with open_pages() as site:
        assert (await site.visitor().get("/signin", headers={"Host": host})).status == 200
        page = await site.visitor().post("/signin/passkey/options", headers={"Host": host})
        assert page.status == 200


async def test_the_token_of_another_session_is_none():
    async with open_pages() as site:
        anna, ben = site.visitor(), site.visitor()
        await anna.sign_in("anna")
        await ben.sign_in("ben")
        assert (await anna.post("/signout", {"csrf": ben.csrf})).status == 403


async def test_a_form_that_is_none_is_refused():
    async with open_pages() as site:
        anna = site.visitor()
        await anna.sign_in("anna")
        for body, kind, status in (
            (b"{}", "application/json", 400),
            (b"csrf=%ff", "application/x-www-form-urlencoded", 400),
            (b"x" * 300_000, "application/x-www-form-urlencoded", 413),
        ):
            page = await anna._call("POST", "/signout", data=body, headers={"Content-Type": kind})
            assert page.status == status


async def test_the_command_makes_a_link_for_each_side(tmp_path):
    async with open_house(PEOPLE) as house:
        perform = house.app.administration.perform
        done = await perform("signin", {"owner": "anna"})
        assert done["url"].startswith("https://letterbox.example/signin/")
        token = done["url"].rpartition("/")[2]
        assert await house.app.sessions.linked(token) == ANNA
        done = await perform("signin", {"owner": "greenleaf"})
        token = done["url"].rpartition("/")[2]
        assert await house.app.sessions.linked(token) == Owner("vendor", "greenleaf")


async def test_seen_is_written_once_an_hour():
    async with open_house(PEOPLE) as house:
        sessions = house.app.sessions
        who = await sessions.start(ANNA, agent="")
        house.clock.advance(minutes=59)
        await sessions.shown(who.cookie)
        (row,) = await sessions.listed(ANNA)
        assert row.seen == who.session.seen
        house.clock.advance(minutes=1)
        await sessions.shown(who.cookie)
        (row,) = await sessions.listed(ANNA)
        assert row.seen == who.session.seen + timedelta(hours=1)
