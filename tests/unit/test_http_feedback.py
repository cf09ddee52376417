"""``GET /v1/feedback``: a vendor's feed, over a real socket."""

import asyncio

import pytest

from letterbox.ports.store import Commit, Trim
from letterbox.records import places
from tests.support.api import open_api

DEAR = {"categories": ["home-garden/garden-tools"], "price": {"amount": "170", "currency": "EUR"}}


async def test_events_come_oldest_first_by_cursor():
    async with open_api() as api:
        for number in range(3):
            await api.send(offer=DEAR, reference=f"mail-{number}")
        await api.house.work()
        seen, after = [], ""
        while after is not None:
            reply = await api.call("GET", f"/v1/feedback?limit=2&after={after}", who="greenleaf")
            seen += reply.json["items"]
            after = reply.json["after"]
        assert [event["your_reference"] for event in seen] == ["mail-0", "mail-1", "mail-2"]
        assert {event["type"] for event in seen} == {"message.refused"}
        assert len({event["id"] for event in seen}) == 3
        assert {
            "id",
            "type",
            "at",
            "message",
            "recipient",
            "verdict",
            "reason",
            "reference",
        } <= seen[0].keys()
        assert seen[0]["reason"]["code"] == "price-above-limit"


async def test_the_feed_is_followed_from_its_end():
    async with open_api() as api:
        await api.send(offer=DEAR)
        await api.house.work()
        first = (await api.call("GET", "/v1/feedback", who="greenleaf")).json
        path = f"/v1/feedback?after={first['after']}"
        assert (await api.call("GET", path, who="greenleaf")).json == {"items": [], "after": None}
        await api.send(offer=DEAR, reference="later")
        await api.house.work()
        later = (await api.call("GET", path, who="greenleaf")).json
        assert [event["your_reference"] for event in later["items"]] == ["later"]


async def test_one_who_waits_is_answered_as_soon_as_something_happens():
    async with open_api() as api:
        waiting = asyncio.ensure_future(api.call("GET", "/v1/feedback?wait=60", who="greenleaf"))
        await api.send(offer=DEAR)
        await api.house.work()
        reply = await asyncio.wait_for(waiting, 10)
        assert len(reply.json["items"]) == 1


async def test_one_whose_key_is_revoked_while_it_waits_hears_nothing(monkeypatch):
    async with open_api() as api:
        follow, waits = api.house.app.store.follow, asyncio.Event()

        async def followed(*arguments, **options):
            waits.set()
            return await follow(*arguments, **options)

        monkeypatch.setattr(api.house.app.store, "follow", followed)
        waiting = asyncio.create_task(api.call("GET", "/v1/feedback?wait=30", who="greenleaf"))
        async with asyncio.timeout(10):
            await waits.wait()
        await api.house.app.credentials.revoke((await api.credential("greenleaf"))[:12])
        del api.credentials["greenleaf"]
        await api.send(offer=DEAR)
        await api.house.work()
        reply = await waiting
        assert reply.status == 401
        assert b"message." not in reply.body


async def test_one_who_waits_is_answered_when_the_house_closes():
    async with open_api() as api:
        await api.credential("greenleaf")
        waiting = asyncio.ensure_future(api.call("GET", "/v1/feedback?wait=60", who="greenleaf"))
        await api.call("GET", "/healthz")  # by then the other request is on its way
        api.gateway.draining.set()
        reply = await asyncio.wait_for(waiting, 10)
        assert reply.json == {"items": [], "after": None}


async def test_a_vendor_reads_its_own_feed_alone():
    async with open_api() as api:
        await api.send(offer=DEAR)
        await api.house.work()
        other = await api.call("GET", "/v1/feedback", who="voltshop")
        assert other.json == {"items": [], "after": None}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("after=0", 200),
        ("after=1", 422),
        ("after=999999999999999999", 422),
        ("after=9999999999999999999", 422),
        ("after=x", 422),
        ("after=-1", 422),
        ("wait=-1", 422),
        ("wait=1.5", 422),
        ("wait=x", 422),
        ("limit=0", 422),
        ("limit=5000", 200),
    ],
)
async def test_what_the_feed_may_be_asked(query, status):
    async with open_api() as api:
        assert (await api.call("GET", f"/v1/feedback?{query}", who="greenleaf")).status == status


async def test_a_cursor_of_another_feed_is_refused_and_says_how_to_begin():
    async with open_api() as api:
        await api.send(offer=DEAR)
        await api.house.work()
        for path in ("/v1/feedback?after=2", "/v1/feedback?after=2&wait=60"):
            reply = await api.call("GET", path, who="greenleaf")
            assert reply.status == 422
            assert reply.headers["Content-Type"] == "application/problem+json"
            (error,) = reply.json["errors"]
            assert error["path"] == "after"
            assert "beyond the newest event" in error["mistake"]
            assert "after=0" in error["allowed"]
        newest = await api.call("GET", "/v1/feedback?after=1", who="greenleaf")
        assert newest.json == {"items": [], "after": None}
        # Another vendor's cursor is as good as any other number.
        other = await api.call("GET", "/v1/feedback?after=1", who="voltshop")
        assert other.status == 422


async def test_a_cursor_stays_good_when_all_of_the_feed_is_past_its_time():
    async with open_api() as api:
        for _ in range(3):
            await api.send(offer=DEAR)
        await api.house.work()
        trim = Trim(places.FEED, through=3)
        await api.house.app.store.commit(Commit(places.vendor("greenleaf"), (trim,)))
        for after in (1, 2, 3):
            path = f"/v1/feedback?after={after}"
            assert (await api.call("GET", path, who="greenleaf")).status == 200


async def test_how_much_may_be_asked_for_is_said_as_it_is():
    async with open_api() as api:
        reply = await api.call("GET", "/v1/feedback?limit=0", who="greenleaf")
        (error,) = reply.json["errors"]
        assert error["allowed"] == "a whole number from 1; more than 1,000 counts as 1,000"
