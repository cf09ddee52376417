"""Digests and channels over the API, and the command for digests."""

import base64

import msgspec
import pytest

from tests.support.api import open_api
from tests.support.house import mail
from tests.support.webhost import WebHost

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
timezone = "Europe/Amsterdam"
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["personal"]

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
"""
HOOK = "https://hooks.example/x"


async def put(api, **fields):
    got = await api.call("GET", "/v1/me/preferences", who="anna")
    headers = {"If-Match": got.headers["ETag"]}
    form = got.json | fields
    return await api.call("PUT", "/v1/me/preferences", who="anna", json=form, headers=headers)


async def test_when_a_digest_comes_is_declared_and_told():
    async with open_api(PEOPLE) as api:
        got = await api.call("GET", "/v1/me/digest", who="anna")
        assert got.json == {"next": None, "to": None, "last": None}
        assert (await put(api, digest={"at": ["18:00"]})).status == 200
        await api.house.work()
        got = await api.call("GET", "/v1/me/digest", who="anna")
        assert got.json["next"] == "2026-11-23T17:00:00Z"
        asked = await api.call("POST", "/v1/me/digest/send", who="anna")
        assert (asked.status, asked.json) == (202, {"outcome": "nothing"})
        await api.house.send(mail("Lunch?", text="Hi.\r\n"), "anna@letterbox.example")
        asked = await api.call("POST", "/v1/me/digest/send", who="anna")
        assert asked.json == {"outcome": "sent"}
        await api.house.work()
        assert len(await api.house.inbox("anna")) == 2
        got = await api.call("GET", "/v1/me/digest", who="anna")
        assert got.json["last"] == "2026-11-23T12:00:00Z"


WRONG = {
    "no time": {"digest": {"at": []}},
    "no day begins then": {"digest": {"at": ["24:00"]}},
    "twice": {"digest": {"at": ["09:00", "09:00"]}},
    "no list": {"digest": {"at": ["09:00"], "lists": []}},
    "another day": {"digest": {"at": ["09:00"], "days": ["today"]}},
    "an empty quiet time": {"notify": {"quiet": [{"from": "09:00", "until": "09:00"}]}},
    "no minutes": {"notify": {"every_minutes": 0}},
    "about nothing known": {"notify": {"about": ["refused"]}},
    "too much shown": {"notify": {"shows": "text"}},
}


@pytest.mark.parametrize("what", WRONG)
async def test_what_cannot_be_declared(what):
    async with open_api(PEOPLE) as api:
        reply = await put(api, **WRONG[what])
        assert reply.status == 422
        (field,) = WRONG[what]
        assert reply.json["errors"][0]["path"].startswith(field)


async def test_channels_are_added_tried_turned_on_and_removed():
    async with open_api(PEOPLE) as api:
        host = WebHost()
        api.house.app.notifier._courier = host
        form = {"kind": "webhook", "url": HOOK, "label": "the lamp"}
        made = await api.call("POST", "/v1/me/channels", who="anna", json=form)
        assert made.status == 201
        assert made.json["secret"].startswith("whsec_")
        (listed,) = (await api.call("GET", "/v1/me/channels", who="anna")).json["items"]
        assert "secret" not in listed
        path = f"/v1/me/channels/{listed['id']}"
        tried = await api.call("POST", f"{path}/test", who="anna")
        assert tried.json == {"arrived": True, "status": 200}
        assert msgspec.json.decode(host.posted[0].body)["type"] == "notice.test"
        host.answers = [410]
        tried = await api.call("POST", f"{path}/test", who="anna")
        assert tried.json == {"arrived": False, "status": 410, "detail": "410"}
        (listed,) = (await api.call("GET", "/v1/me/channels", who="anna")).json["items"]
        assert listed["off"] == "gone"
        on = await api.call("POST", f"{path}/enable", who="anna")
        assert "off" not in on.json
        # Another's is not there.
        for method, which in (
            ("DELETE", path),
            ("POST", f"{path}/test"),
            ("POST", f"{path}/enable"),
        ):
            assert (await api.call(method, which, who="ben")).status == 404
        # What is taken along opens nothing.
        whole = (await api.call("GET", "/v1/me/export", who="anna")).json
        assert [each["url"] for each in whole["channels"]] == [HOOK]
        assert not {"secret", "token", "key", "auth"} & set(whole["channels"][0])
        assert (await api.call("DELETE", path, who="anna")).status == 204
        assert (await api.call("GET", "/v1/me/channels", who="anna")).json["items"] == []
        assert (await api.call("DELETE", path, who="anna")).status == 404


@pytest.mark.parametrize(
    ("form", "path"),
    [
        ({"kind": "webhook", "url": "http://hooks.example/"}, "url"),
        ({"kind": "ntfy", "url": "https://127.0.0.1/topic"}, "url"),
        ({"kind": "ntfy", "url": "https://ntfy.example/t", "token": "a\nb"}, "token"),
        ({"kind": "push", "url": "https://push.example/x"}, "p256dh"),
        ({"kind": "push", "url": "https://push.example/x", "auth": "é"}, "auth"),
        ({"kind": "mail", "url": HOOK}, "kind"),
    ],
)
async def test_what_cannot_be_a_channel(form, path):
    async with open_api(PEOPLE) as api:
        reply = await api.call("POST", "/v1/me/channels", who="anna", json=form)
        assert reply.status == 422
        assert reply.json["errors"][0]["path"] == path


async def test_the_key_that_a_browser_subscribes_with_stays_the_same():
    async with open_api(PEOPLE) as api:
        keys = {
            (await api.call("GET", "/v1/me/push-key", who=n)).json["key"] for n in ("anna", "ben")
        }
        (key,) = keys
        point = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
        assert len(point) == 65
        assert point[0] == 4


async def test_the_command():
    async with open_api(PEOPLE) as api:
        perform = api.house.app.administration.perform
        assert await perform("digest", {"consumer": "anna"}) == {"next": None, "to": ""}
        assert (await perform("digest", {"consumer": "anna", "now": True}))["outcome"] == "nothing"
        await api.house.send(mail("Lunch?", text="Hi.\r\n"), "anna@letterbox.example")
        assert (await perform("digest", {"consumer": "anna", "now": True}))["outcome"] == "sent"
        await api.house.work()
        assert len(await api.house.inbox("anna")) == 2
        # None was declared, so that none is planned.
        api.house.clock.advance(days=30)
        await api.house.work()
        assert len(await api.house.inbox("anna")) == 2
        with pytest.raises(Exception, match="there is no consumer 'ana'"):
            await perform("digest", {"consumer": "ana"})
