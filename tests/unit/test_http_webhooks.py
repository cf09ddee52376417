"""``/v1/webhooks``: set up, shown, changed, tested, rotated, taken away."""

import asyncio
from base64 import b64decode
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook as Verifier

from letterbox.model.configuration import Configuration, WebhooksSection
from tests.support.api import PEOPLE, PRUNERS, Api, open_api
from tests.support.receiver import receiving

OPEN = Configuration(
    public_url="https://letterbox.example",
    webhooks=WebhooksSection(allow_private_addresses=True),
)
CLOSED = Configuration(public_url="https://letterbox.example")
DEAR = PRUNERS["offer"] | {"price": {"amount": "999", "currency": "EUR"}}
URL = "https://hooks.greenleaf.example/in"


@pytest.fixture
async def api():
    async with open_api(configuration=CLOSED) as api:
        api.house.zone.records |= {
            "hooks.greenleaf.example": {"A": ["93.184.216.34"]},
            "inside.example": {"A": ["93.184.216.34", "10.0.0.7"]},
            "mapped.example": {"AAAA": ["::ffff:127.0.0.1"]},
        }
        yield api


@asynccontextmanager
async def receiving_api(**said):
    async with receiving() as receiver, open_api(configuration=OPEN) as api:
        made = await add(api, url=receiver.url, **said)
        yield api, receiver, made


async def add(api: Api, *, who="greenleaf", **said):
    reply = await api.call("POST", "/v1/webhooks", who=who, json={"url": URL} | said)
    assert reply.status == 201, reply.body
    return reply.json


async def test_the_secret_is_shown_once(api: Api):
    made = await add(api, events=["message.refused", "message.refused"])
    assert made["secret"].startswith("whsec_")
    assert len(b64decode(made["secret"].removeprefix("whsec_"))) == 32
    assert (made["url"], made["events"], made["signing"]) == (URL, ["message.refused"], "hmac")
    for path in ("/v1/webhooks", f"/v1/webhooks/{made['id']}"):
        reply = await api.call("GET", path, who="greenleaf")
        assert made["secret"] not in reply.body.decode()
        assert b"whsec_" not in reply.body
    assert (await api.call("GET", "/v1/webhooks", who="greenleaf")).json == {
        "items": [{k: v for k, v in made.items() if k != "secret"}],
        "after": None,
    }


async def test_nothing_of_a_private_key_is_shown(api: Api):
    made = await add(api, signing="ed25519")
    assert "secret" not in made
    assert len(b64decode(made["public_key"].removeprefix("whpk_"))) == 32
    (row,) = (await api.house.app.webhook_records.of("greenleaf")).webhooks
    again = await api.call("GET", f"/v1/webhooks/{made['id']}", who="greenleaf")
    assert again.json == made
    assert row.keys[0].secret != b64decode(made["public_key"].removeprefix("whpk_"))


async def test_the_same_call_again_makes_one(api: Api):
    said = {"who": "greenleaf", "json": {"url": URL}, "headers": {"Idempotency-Key": "k"}}
    replies = await asyncio.gather(*(api.call("POST", "/v1/webhooks", **said) for _ in range(20)))
    assert sorted(reply.status for reply in replies) == [201, *[409] * 19]
    assert len((await api.call("GET", "/v1/webhooks", who="greenleaf")).json["items"]) == 1


@pytest.mark.parametrize(
    ("said", "path", "hint"),
    [
        ({}, "url", "missing"),
        ({"url": "http://hooks.greenleaf.example/"}, "url", "https"),
        ({"url": "https://127.0.0.1/"}, "url", "public"),
        ({"url": "https://0x7f.1/"}, "url", "public"),
        ({"url": "https://[::ffff:127.0.0.1]/"}, "url", "public"),
        ({"url": "https://localhost./"}, "url", "public"),
        ({"url": "https://inside.example/"}, "url", "public"),
        ({"url": "https://mapped.example/"}, "url", "public"),
        ({"url": URL, "events": []}, "events", "not valid"),
        ({"url": URL, "events": ["message.refusd"]}, "events[0]", "message.refused"),
        ({"url": URL, "event": ["message.refused"]}, "event", "events"),
        ({"url": URL, "signing": "rsa"}, "signing", "rsa"),
        ({"url": URL, "secret": "whsec_mine"}, "secret", "no such field"),
    ],
)
async def test_what_cannot_be_is_named(api: Api, said, path, hint):
    reply = await api.call("POST", "/v1/webhooks", who="greenleaf", json=said)
    assert reply.status == 422
    assert reply.headers["Content-Type"] == "application/problem+json"
    (error,) = reply.json["errors"]
    assert error["path"] == path
    assert hint in error["mistake"]
    assert (await api.call("GET", "/v1/webhooks", who="greenleaf")).json["items"] == []


async def test_a_name_that_is_not_there_yet_may_come(api: Api):
    assert (await add(api, url="https://soon.greenleaf.example/"))["id"]


async def test_a_changed_url_is_looked_at_as_well(api: Api):
    made = await add(api, events=["message.held"])
    path = f"/v1/webhooks/{made['id']}"
    bad = await api.call("PATCH", path, who="greenleaf", json={"url": "https://inside.example/"})
    assert bad.status == 422
    moved = await api.call("PATCH", path, who="greenleaf", json={"url": URL + "?x=1"})
    assert (moved.json["url"], moved.json["events"]) == (URL + "?x=1", ["message.held"])
    wide = await api.call("PATCH", path, who="greenleaf", json={"events": None})
    assert (wide.json["url"], wide.json["events"]) == (URL + "?x=1", None)
    same = await api.call("PATCH", path, who="greenleaf", json={})
    assert same.json == wide.json


async def test_there_are_twenty_at_most(api: Api):
    for _ in range(20):
        last = await add(api)
    reply = await api.call("POST", "/v1/webhooks", who="greenleaf", json={"url": URL})
    assert reply.status == 409
    gone = await api.call("DELETE", f"/v1/webhooks/{last['id']}", who="greenleaf")
    assert gone.status == 204
    await add(api)


async def test_many_at_once_are_all_there(api: Api):
    made = await asyncio.gather(*(add(api) for _ in range(5)))
    listed = (await api.call("GET", "/v1/webhooks", who="greenleaf")).json["items"]
    assert {each["id"] for each in listed} == {each["id"] for each in made}


CALLS = [
    ("GET", "", None),
    ("PATCH", "", {}),
    ("DELETE", "", None),
    ("POST", "/test", None),
    ("POST", "/rotate", None),
    ("POST", "/enable", None),
    ("GET", "/deliveries", None),
]


@pytest.mark.parametrize(("method", "path", "json"), CALLS)
async def test_another_vendors_is_not_there(api: Api, method, path, json):
    made = await add(api)
    said = {"who": "voltshop", "json": json} if json is not None else {"who": "voltshop"}
    theirs = await api.call(method, f"/v1/webhooks/{made['id']}{path}", **said)
    nobodys = await api.call(method, f"/v1/webhooks/{'0' * 32}{path}", **said)
    assert theirs.status == nobodys.status == 404
    assert theirs.body == nobodys.body
    assert (await api.call("GET", "/v1/webhooks", who="voltshop")).json["items"] == []
    assert (await api.call("GET", f"/v1/webhooks/{made['id']}", who="greenleaf")).status == 200
    assert (await api.call(method, f"/v1/webhooks/{made['id']}{path}")).status == 401
    assert (await api.call(method, f"/v1/webhooks/..%2f{path}", who="greenleaf")).status == 404


async def test_a_key_needs_the_scope(api: Api):
    key = await api.house.app.credentials.issue(
        "key", "greenleaf", api.house.clock.now(), scopes=("send", "feedback")
    )
    said = {"headers": {"Authorization": f"Bearer {key}"}}
    assert (await api.call("GET", "/v1/webhooks", **said)).status == 403
    assert (await api.call("POST", "/v1/webhooks", json={"url": URL}, **said)).status == 403


async def test_a_test_call_says_what_came_of_it():
    async with receiving_api() as (api, receiver, made):
        assert receiver.calls == []
        path = f"/v1/webhooks/{made['id']}/test"
        good = await api.call("POST", path, who="greenleaf")
        assert good.json == {"delivered": True, "status": 204, "milliseconds": 0}
        (call,) = receiver.calls
        assert call.json["type"] == "webhook.test"
        assert call.json["data"]["id"] == call.id
        receiver.answers = lambda _: web.Response(status=307, headers={"Location": "/x"})
        bad = await api.call("POST", path, who="greenleaf")
        assert (bad.status, bad.json["delivered"], bad.json["status"]) == (200, False, 307)
        assert "redirect" in bad.json["detail"]
        await api.call("PATCH", path[:-5], who="greenleaf", json={"url": "http://nobody.example/"})
        none = await api.call("POST", path, who="greenleaf")
        assert none.json["status"] is None
        assert "name" in none.json["detail"]


async def test_test_calls_are_bounded():
    async with receiving_api() as (api, receiver, made):
        path = f"/v1/webhooks/{made['id']}/test"
        replies = [await api.call("POST", path, who="greenleaf") for _ in range(12)]
        assert [reply.status for reply in replies] == [200] * 10 + [429] * 2
        assert replies[-1].headers["Retry-After"] == "60"
        assert len(receiver.calls) == 10
        api.house.clock.advance(minutes=1)
        assert (await api.call("POST", path, who="greenleaf")).status == 200


async def test_a_refusal_is_told_as_in_the_feed():
    async with receiving_api() as (api, receiver, made):
        await api.send(offer=DEAR)
        await api.house.work()
        feed = (await api.call("GET", "/v1/feedback", who="greenleaf")).json["items"]
        (call,) = receiver.calls
        assert call.json["data"] == feed[0]
        assert (call.id, call.json["type"]) == (feed[0]["id"], "message.refused")
        assert call.json["timestamp"] == feed[0]["at"]
        assert call.headers["Content-Type"] == "application/json"
        rows = await api.call("GET", f"/v1/webhooks/{made['id']}/deliveries", who="greenleaf")
        assert rows.json == {
            "items": [
                {
                    "at": "2026-11-23T12:00:00Z",
                    "event": call.id,
                    "type": "message.refused",
                    "attempt": 1,
                    "outcome": "delivered",
                    "status": 204,
                    "milliseconds": 0,
                }
            ],
            "after": None,
        }


async def test_what_the_operator_says_is_told_as_well():
    async with receiving_api(events=["vendor.suspended"]) as (api, receiver, _):
        perform = api.house.app.administration.perform
        await perform("vendor suspend", {"vendor": "greenleaf", "because": "complaints"})
        await perform("vendor resume", {"vendor": "greenleaf"})
        await api.house.work()
        assert [call.json["type"] for call in receiver.calls] == ["vendor.suspended"]
        feed = (await api.call("GET", "/v1/feedback", who="greenleaf")).json["items"]
        assert [item["type"] for item in feed] == ["vendor.suspended", "vendor.resumed"]
        # The cause, as a message of the vendor's would be told it.
        assert feed[0]["reason"]["code"] == "vendor-suspended"
        assert feed[0]["reason"]["detail"].endswith("takes nothing of yours for now: complaints")
        page = feed[0]["reason"]["url"].removeprefix("https://letterbox.example")
        assert (await api.call("GET", page)).status == 200
        assert feed[1]["reason"] is None


async def test_rotated_both_sign_for_a_while():
    async with receiving_api() as (api, receiver, made):
        path = f"/v1/webhooks/{made['id']}"
        rotated = await api.call(
            "POST", f"{path}/rotate", who="greenleaf", json={"overlap_hours": 2}
        )
        assert rotated.status == 201
        assert rotated.json["secret"] != made["secret"]
        assert rotated.json["old_key_until"] == "2026-11-23T14:00:00Z"

        async def verified() -> list[bool]:
            receiver.calls.clear()
            await api.call("POST", f"{path}/test", who="greenleaf")
            (call,) = receiver.calls
            return [_signs(secret, call) for secret in (made["secret"], rotated.json["secret"])]

        assert await verified() == [True, True]
        api.house.clock.advance(hours=2)
        assert await verified() == [False, True]
        shown = await api.call("GET", path, who="greenleaf")
        assert "old_key_until" not in shown.json


def _signs(secret: str, call) -> bool:
    from datetime import UTC, datetime

    verifier = Verifier(secret)
    moment = datetime.fromtimestamp(int(call.headers["webhook-timestamp"]), tz=UTC)
    wanted = verifier.sign(call.id, moment, call.body.decode())
    return wanted in call.headers["webhook-signature"].split(" ")


async def test_too_many_keys_are_refused(api: Api):
    path = f"/v1/webhooks/{(await add(api))['id']}/rotate"
    statuses = [(await api.call("POST", path, who="greenleaf")).status for _ in range(5)]
    assert statuses == [201, 201, 201, 409, 409]
    api.house.clock.advance(hours=24)
    assert (await api.call("POST", path, who="greenleaf")).status == 201


async def test_a_leaked_key_ends_at_once(api: Api):
    path = f"/v1/webhooks/{(await add(api))['id']}/rotate"
    reply = await api.call("POST", path, who="greenleaf", json={"overlap_hours": 0})
    assert "old_key_until" not in reply.json
    (row,) = (await api.house.app.webhook_records.of("greenleaf")).webhooks
    assert len(row.keys_at(api.house.clock.now())) == 1


async def test_a_disabled_one_says_why_and_is_enabled():
    async with receiving_api() as (api, receiver, made):
        receiver.answers = lambda _: 410
        await api.send(offer=DEAR)
        await api.house.work()
        path = f"/v1/webhooks/{made['id']}"
        shown = await api.call("GET", path, who="greenleaf")
        assert shown.json["disabled"] == {"at": "2026-11-23T12:00:00Z", "because": "gone"}
        receiver.up()
        enabled = await api.call("POST", f"{path}/enable", who="greenleaf")
        assert enabled.status == 200
        assert "disabled" not in enabled.json
        await api.house.work()
        assert len(receiver.calls) == 2
        again = await api.call("POST", f"{path}/enable", who="greenleaf")
        assert again.json == enabled.json


async def test_one_that_fails_says_so_and_when_it_is_tried_again():
    async with receiving_api() as (api, receiver, made):
        path = f"/v1/webhooks/{made['id']}"
        receiver.down()
        await api.send(offer=DEAR)
        await api.house.work()
        failing = (await api.call("GET", path, who="greenleaf")).json["failing"]
        assert failing["since"] == "2026-11-23T12:00:00Z"
        assert failing["attempts"] == 1
        assert failing["next"] > failing["since"]
        receiver.up()
        api.house.clock.advance(seconds=10)
        await api.house.work()
        assert "failing" not in (await api.call("GET", path, who="greenleaf")).json


async def test_what_a_receiver_asks_to_wait_is_in_when_it_is_tried_again():
    async with receiving_api() as (api, receiver, made):
        path = f"/v1/webhooks/{made['id']}"
        receiver.answers = lambda _: web.Response(status=503, headers={"Retry-After": "7200"})
        await api.send(offer=DEAR)
        await api.house.work()
        failing = (await api.call("GET", path, who="greenleaf")).json["failing"]
        assert failing["next"] == "2026-11-23T14:00:00Z"


async def test_nobody_has_others_called_by_enabling():
    async with receiving_api() as (api, receiver, made):
        receiver.answers = lambda _: 410
        await api.send(offer=DEAR)
        path = f"/v1/webhooks/{made['id']}/enable"
        statuses = []
        for _ in range(12):
            await api.house.work()
            statuses.append((await api.call("POST", path, who="greenleaf")).status)
        assert statuses == [200] * 10 + [429] * 2
        assert len(receiver.calls) == 11
        # One that fails is tried again at once, within the same bound; one that is well is not.
        receiver.down()
        api.house.clock.advance(minutes=1)
        for _ in range(3):
            assert (await api.call("POST", path, who="greenleaf")).status == 200
            await api.house.work()
        assert len(receiver.calls) == 14
        receiver.up()
        for _ in range(12):
            assert (await api.call("POST", path, who="greenleaf")).status == 200
            await api.house.work()
        assert len(receiver.calls) == 15


@pytest.mark.parametrize("level", ["nothing", "class", "reason", "remedy"])
async def test_an_endpoint_is_told_no_more_than_the_level_allows(level: str):
    people = PEOPLE.replace(
        '  vendor = "greenleaf"\n  accepts',
        f'  vendor = "greenleaf"\n  tells = "{level}"\n  accepts',
    )
    async with receiving() as receiver, open_api(people, configuration=OPEN) as api:
        await add(api, url=receiver.url)
        await api.send(offer=DEAR)
        await api.send(kind="newsletter", offer=None)
        await api.house.work()
        feed = (await api.call("GET", "/v1/feedback", who="greenleaf")).json["items"]
        assert [call.json["data"] for call in receiver.calls] == feed
        told = b"".join(call.body for call in receiver.calls)
        assert (b"150.00" in told) == (level == "remedy")
        assert (b"price-above-limit" in told) == (level in {"reason", "remedy"})
