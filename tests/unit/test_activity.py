"""Who was told what about a consumer: every word, by every channel, and nothing of another's."""

import msgspec

from letterbox.model.configuration import Configuration, RetentionSection
from letterbox.model.envelope import Client
from tests.support.api import PEOPLE, Api, open_api
from tests.support.house import HERE, mail, signed

DEAR = {
    "categories": ["home-garden/garden-tools"],
    "price": {"amount": "170", "currency": "EUR"},
}


async def activity(api: Api, who: str = "anna", **query) -> list[dict]:
    reply = await api.call("GET", "/v1/me/activity", who=who, params=query)
    assert reply.status == 200, reply.body
    return reply.json["items"]


async def events(api: Api) -> list[dict]:
    await api.house.work()
    return (await api.call("GET", "/v1/feedback", who="greenleaf")).json["items"]


async def test_an_answer_over_http_stands_there_word_for_word():
    async with open_api() as api:
        result = (await api.send(offer=DEAR)).json["results"][0]
        (event,) = await events(api)
        (item,) = await activity(api)
        assert (item["type"], item["vendor"], item["name"]) == (
            "decision",
            "greenleaf",
            "Greenleaf Garden",
        )
        assert item["recipient"] == "anna@letterbox.example"
        reply, feed = item["told"]
        same = {"verdict", "reference", "reason"}
        assert reply == {"channel": "reply"} | {k: v for k, v in result.items() if k in same}
        assert feed == {"channel": "feed"} | {k: v for k, v in event.items() if k in same}
        decision = await api.call("GET", f"/v1/me/decisions/{item['decision']}", who="anna")
        assert decision.json["reason"] == "price-above-limit"


async def test_a_reply_of_smtp_stands_there_as_its_line():
    async with open_api() as api:
        content = signed(mail("Spring", Letterbox_Kind="personal"))
        received = await api.house.send(content, "anna@letterbox.example")
        (item,) = await activity(api)
        assert item["told"][0]["line"] == received.outcomes[0].told.line
        assert item["told"][0]["channel"] == "reply"


async def test_what_a_relay_heard_is_told_apart_from_the_feed():
    async with open_api() as api:
        client = Client(address=HERE, helo="relay.example", inner=True)
        content = signed(mail("Spring", Letterbox_Kind="personal"))
        received = await api.house.send(content, "anna@letterbox.example", client=client)
        (event,) = await events(api)
        (item,) = await activity(api)
        reply, feed = item["told"]
        assert reply["line"] == received.outcomes[0].told.line
        assert "not-accepted" in reply["line"]
        assert feed["reason"] == event["reason"]
        assert feed["reason"]["code"] == "kind-not-wanted"


async def test_a_relationship_that_changed_and_what_was_held_stand_there():
    async with open_api() as api:
        await api.send(kind="newsletter")
        path = "/v1/me/vendors/greenleaf"
        blocked = {"vendor": "greenleaf", "standing": "blocked", "because": "other"}
        api.house.clock.advance(seconds=1)
        await api.call("PUT", path, who="anna", json=blocked, headers={"If-Match": "*"})
        api.house.clock.advance(seconds=1)
        told = await events(api)
        items = await activity(api)
        assert [item["type"] for item in reversed(items)] == [
            "decision",
            "relationship.blocked",
            "decision",
        ]
        said = [words for item in reversed(items) for words in item["told"]]
        assert [words["channel"] for words in said] == ["reply", "feed", "feed", "feed"]
        for words, event in zip(said[1:], told, strict=True):
            assert words.get("reason") == event["reason"]
            assert words["reference"] == event["reference"]


async def test_a_delivery_that_is_shared_was_told_twice():
    people = PEOPLE.replace(
        'scope = "everything"', 'scope = "everything"\n  share_delivered = true'
    )
    async with open_api(people) as api:
        await api.send(to=["ben@letterbox.example"])
        (event,) = await events(api)
        assert event["type"] == "message.delivered"
        (item,) = await activity(api, "ben")
        assert [words["channel"] for words in item["told"]] == ["reply", "feed"]


async def test_what_is_taken_back_was_told_to_nobody():
    async with open_api() as api:
        await api.send(offer=DEAR)
        (item,) = await activity(api)
        undo = f"/v1/me/decisions/{item['decision']}/undo"
        assert (await api.call("POST", undo, who="anna")).status == 200
        assert await activity(api) == [item]


async def test_pages_follow_one_another_without_a_gap():
    async with open_api() as api:
        path = "/v1/me/vendors/greenleaf"
        for number in range(12):
            api.house.clock.advance(seconds=1)
            await api.send(offer=DEAR, subject=f"Number {number}")
            if number % 3 == 0:
                standing = "blocked" if number % 2 else "allowed"
                rule = {"vendor": "greenleaf", "standing": standing, "because": "other"}
                rule = rule if standing == "blocked" else {"vendor": "greenleaf"}
                await api.call("PUT", path, who="anna", json=rule, headers={"If-Match": "*"})
        everything = await activity(api)
        assert len(everything) > 14
        assert [each["at"] for each in everything] == sorted(
            (each["at"] for each in everything), reverse=True
        )
        for limit in (1, 2, 5, 100):
            found, after = [], ""
            while after is not None:
                reply = await api.call(
                    "GET", "/v1/me/activity", who="anna", params={"limit": limit, "after": after}
                )
                assert len(reply.json["items"]) <= limit
                found += reply.json["items"]
                after = reply.json["after"]
            assert found == everything


async def test_nobody_sees_anothers():
    async with open_api() as api:
        await api.send(offer=DEAR)
        assert await activity(api, "ben") == []
        assert (await api.call("GET", "/v1/me/activity", who="greenleaf")).status == 401


async def test_it_is_kept_as_long_as_its_periods():
    retention = msgspec.structs.replace(RetentionSection(), activity=10, decisions=10)
    configuration = Configuration(public_url="https://letterbox.example", retention=retention)
    async with open_api(PEOPLE, configuration=configuration) as api:
        await api.house.app.worker.start()
        await api.house.app.worker.stop()
        await api.send(offer=DEAR)
        path = "/v1/me/vendors/greenleaf"
        blocked = {"vendor": "greenleaf", "standing": "blocked"}
        await api.call("PUT", path, who="anna", json=blocked, headers={"If-Match": "*"})
        assert len(await activity(api)) == 2
        api.house.clock.advance(days=9)
        await api.house.work()
        assert len(await activity(api)) == 2
        api.house.clock.advance(days=3)
        await api.house.work()
        assert await activity(api) == []
