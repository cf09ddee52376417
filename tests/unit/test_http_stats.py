"""``GET /v1/stats``: what a vendor was told, in numbers, and nothing that it was not told."""

from collections import Counter

import pytest

from tests.support.api import open_api
from tests.support.counting import Counting

ANNA, BEN = "anna@letterbox.example", "ben@letterbox.example"
DEAR = {"categories": ["home-garden/garden-tools"], "price": {"amount": "170", "currency": "EUR"}}
PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[vendor]]
id = "voltshop"
name = "Voltshop"

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.interest]]
  id = "garden-tools"
  categories = ["home-garden/garden-tools"]
  max_price = { amount = "150.00", currency = "EUR" }
  [[consumer.window]]
  days = ["tue"]
  from = "09:00"
  until = "12:00"
  kinds = ["newsletter"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  tells = "{tells}"

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
"""


def api_of(tells="remedy"):
    return open_api(PEOPLE.replace("{tells}", tells))


async def stats(api, query="", who="greenleaf"):
    reply = await api.call("GET", f"/v1/stats{query}", who=who)
    assert reply.status == 200, reply.body
    return reply.json


def rows(found):
    return {
        (each["day"], each["of"], each["verdict"], each["class"], each["reason"]): each["count"]
        for each in found["items"]
    }


async def send_some(api):
    """One of each: what was answered, by verdict and code."""
    told = Counter()
    for number, changes in enumerate(
        [{}, {}, {"offer": DEAR}, {"offer": DEAR}, {"kind": "newsletter"}, {"to": [BEN]}]
    ):
        reply = await api.send(subject=f"Pruners {number}", **changes)
        for result in reply.json["results"]:
            told[result["verdict"], result.get("reason", {}).get("code")] += 1
    return told


async def test_every_answer_counts_once_by_day_verdict_class_and_reason():
    async with api_of() as api:
        await send_some(api)
        day = "2026-11-23"
        found = await stats(api)
        assert rows(found) == {
            (day, "answer", "deliver", None, None): 2,
            (day, "answer", "hold", "timing", "window-closed"): 1,
            (day, "answer", "refuse", "choice", "price-above-limit"): 2,
            (day, "answer", "refuse", "choice", "no-relationship"): 1,
        }
        assert (found["from"], found["to"]) == ("2026-10-25", day)
        assert found["answers"] == {"deliver": 2, "hold": 1, "refuse": 3}
        assert found["held"] == {}


@pytest.mark.parametrize("tells", ["nothing", "class", "reason", "remedy"])
async def test_the_numbers_say_what_the_answers_and_the_feed_said(tells):
    async with api_of(tells) as api:
        told = await send_some(api)
        await api.house.work()
        found = await stats(api)
        counted = Counter()
        for each in found["items"]:
            counted[each["verdict"], each["reason"]] += each["count"]
        assert counted == told
        events = (await api.call("GET", "/v1/feedback", who="greenleaf")).json["items"]
        seen = Counter(event["verdict"] for event in events)
        assert seen == {v: n for v, n in found["answers"].items() if v in {"hold", "refuse"}}


async def test_what_became_of_what_was_held_counts_on_the_day_it_is_told():
    async with api_of() as api:
        await send_some(api)
        api.house.clock.advance(hours=22)
        await api.house.work()
        api.house.clock.advance(days=3)
        found = await stats(api, "?from=2026-11-24&to=2026-11-24")
        assert rows(found) == {("2026-11-24", "held", "deliver", None, None): 1}
        assert (found["answers"], found["held"]) == ({}, {"deliver": 1})


async def test_a_message_that_comes_again_counts_once():
    async with api_of() as api:
        for _ in range(3):
            await api.send(offer=DEAR)
        before = (await stats(api))["answers"]
        key = {"Idempotency-Key": "spring"}
        for _ in range(3):
            reply = await api.call(
                "POST", "/v1/messages", who="greenleaf", headers=key,
                json={"to": [ANNA], "kind": "service", "subject": "Your order", "text": "Sent."},
            )  # fmt: skip
            assert reply.status == 200
        assert (await stats(api))["answers"] == before | {"deliver": 1}


@pytest.mark.parametrize("one", [{"kind": "newsletter"}, {"kind": "service"}])
async def test_at_level_nothing_what_is_held_counts_as_what_is_delivered_for_good(one):
    async with api_of("nothing") as api:
        await api.send(**one)
        api.house.clock.advance(hours=22)
        await api.house.work()
        found = await stats(api)
        assert rows(found) == {("2026-11-23", "answer", "accepted", None, None): 1}


@pytest.mark.parametrize("to", [BEN, "nobody@letterbox.example"])
async def test_an_address_that_is_nobodys_counts_as_one_that_knows_no_vendor(to):
    async with api_of() as api:
        await api.send(to=[to])
        found = await stats(api)
        assert rows(found) == {("2026-11-23", "answer", "refuse", "choice", "no-relationship"): 1}


async def test_a_vendor_has_its_own_numbers_alone():
    async with api_of() as api:
        await send_some(api)
        assert (await stats(api, who="voltshop"))["items"] == []


async def test_the_numbers_are_forgotten_with_the_feed():
    async with api_of() as api:
        await send_some(api)
        api.house.clock.advance(days=89)
        assert (await stats(api, "?from=2026-11-23&to=2026-11-23"))["items"]
        api.house.clock.advance(days=3)
        assert (await stats(api, "?from=2026-11-23&to=2026-11-23"))["items"] == []


async def test_numbers_of_days_that_are_over_are_asked_of_the_store_once(monkeypatch):
    async with api_of() as api:
        await send_some(api)
        api.house.clock.advance(days=40)
        await api.send()
        counting = Counting(api.house, monkeypatch)
        first = await stats(api, "?from=2026-10-15&to=2027-01-02")
        asked = counting.taken().count("counters")
        assert await stats(api, "?from=2026-10-15&to=2027-01-02") == first
        assert counting.taken().count("counters") == 2 < asked
        assert first["answers"] == {"deliver": 3, "hold": 1, "refuse": 3}


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("from=yesterday", "from"),
        ("to=20261123", "to"),
        ("from=", "from"),
        ("to=2026-02-30", "to"),
        ("from=2026-11-24&to=2026-11-23", "from"),
        ("from=2026-08-01&to=2026-11-23", "from"),
        ("to=2026-11-23&to=2026-11-24", "to"),
        ("day=2026-11-23", "day"),
    ],
)
async def test_what_days_may_be_asked_for(query, path):
    async with api_of() as api:
        reply = await api.call("GET", f"/v1/stats?{query}", who="greenleaf")
        assert reply.status == 422
        assert [error["path"] for error in reply.json["errors"]] == [path]


@pytest.mark.parametrize("query", ["to=0001-01-01", "from=9999-12-31&to=9999-12-31"])
async def test_the_ends_of_the_calendar_are_days_like_others(query):
    async with api_of() as api:
        assert (await stats(api, f"?{query}"))["items"] == []


async def test_numbers_take_a_key_that_may_read_the_feed():
    async with api_of() as api:
        now = api.house.clock.now()
        key = await api.house.app.credentials.issue("key", "greenleaf", now, scopes=("send",))
        fields = {"Authorization": f"Bearer {key}"}
        assert (await api.call("GET", "/v1/stats", headers=fields)).status == 403


async def test_days_that_run_backwards_are_said_to():
    async with api_of() as api:
        path = "/v1/stats?from=2026-11-24&to=2026-11-23"
        reply = await api.call("GET", path, who="greenleaf")
        (error,) = reply.json["errors"]
        assert error["mistake"] == "to, 2026-11-23, is before from, 2026-11-24"
