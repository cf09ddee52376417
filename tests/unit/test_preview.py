"""What a vendor would be told, shown before it is: the same bytes that it then gets."""

from contextlib import asynccontextmanager
from typing import Any

import pytest

from letterbox.model.configuration import Configuration, ProbesSection
from letterbox.model.envelope import Client
from tests.support.api import Api, open_api
from tests.support.house import HERE, mail, signed

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]
REPLY

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
timezone = "Europe/Amsterdam"
  [[consumer.interest]]
  id = "garden-tools"
  categories = ["home-garden/garden-tools"]
  max_price = { amount = "150.00", currency = "EUR" }
  [[consumer.interest]]
  id = "faith"
  categories = ["religion"]
  max_price = { amount = "10.00", currency = "EUR" }
  [[consumer.window]]
  days = ["sat"]
  from = "09:00"
  until = "12:00"
  kinds = ["newsletter"]
  RELATIONSHIP
"""
ALLOWED = """
  [[consumer.vendor]]
  vendor = "greenleaf"
  accepts = ["service", "offer", "newsletter"]
  """
TOOLS = ["home-garden/garden-tools"]
DEAR = {"categories": TOOLS, "price": {"amount": "170", "currency": "EUR"}}
CHEAP = {"categories": TOOLS, "price": {"amount": "17", "currency": "EUR"}}
FAITH = {"categories": ["religion"], "price": {"amount": "17", "currency": "EUR"}}
LEVELS = ("nothing", "class", "reason", "remedy")
#: The message, the relationship beside its level, and what else is declared of the vendor.
CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "delivered": ({"kind": "offer", "offer": CHEAP}, ALLOWED, ""),
    "delivered, shared": (
        {"kind": "offer", "offer": CHEAP},
        f"{ALLOWED}share_delivered = true\n",
        "",
    ),
    "too dear": ({"kind": "offer", "offer": DEAR}, ALLOWED, ""),
    "reported": ({"kind": "offer", "offer": DEAR}, ALLOWED, 'reply = "report"'),
    "filed": ({"kind": "offer", "offer": DEAR}, f'{ALLOWED}when_unwanted = "file"\n', ""),
    "sensitive": ({"kind": "offer", "offer": FAITH}, ALLOWED, ""),
    "held": ({"kind": "newsletter", "offer": CHEAP}, ALLOWED, ""),
    "held, shared": (
        {"kind": "newsletter", "offer": CHEAP},
        f"{ALLOWED}share_delivered = true\n",
        "",
    ),
    "locked out": (
        {"kind": "offer", "offer": CHEAP},
        f'{ALLOWED}standing = "blocked"\nbecause = "other"\nremedy = {{ accepts = ["service"] }}\n',
        "",
    ),
    "asked about": ({"kind": "offer", "offer": CHEAP}, f'{ALLOWED}standing = "ask"\n', ""),
    "a newcomer": ({"kind": "offer", "offer": CHEAP}, "", ""),
}


@asynccontextmanager
async def house(case: str, level: str, **more: Any):
    _, relationship, vendor = CASES[case]
    if relationship:
        relationship += f'tells = "{level}"\n'
    people = PEOPLE.replace("RELATIONSHIP", relationship).replace("REPLY", vendor)
    async with open_api(people, **more) as api:
        yield api


async def send(api: Api, case: str) -> dict:
    form = {"to": ["anna@letterbox.example"], "subject": "Hello", "text": "There."}
    form |= {"reference": "ours/1", **CASES[case][0]}
    reply = await api.call("POST", "/v1/messages", who="greenleaf", json=form)
    return reply.json["results"][0]


async def preview(api: Api, tells: str | None = None, nth: int = 0) -> dict:
    items = (await api.call("GET", "/v1/me/decisions", who="anna")).json["items"]
    query = f"?tells={tells}" if tells else ""
    path = f"/v1/me/decisions/{items[nth]['id']}/told{query}"
    reply = await api.call("GET", path, who="anna")
    assert reply.status == 200, reply.body
    return reply.json


async def events(api: Api) -> list[dict]:
    await api.house.work()
    return (await api.call("GET", "/v1/feedback", who="greenleaf")).json["items"]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", CASES)
async def test_what_is_shown_is_what_was_told(case, level):
    async with house(case, level) as api:
        result = await send(api, case)
        for shown in (await preview(api), await preview(api, level)):
            assert shown["result"] == result
            assert shown["events"] == await events(api)
            assert shown["tells"] == (level if CASES[case][1] else None)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", CASES)
async def test_what_is_shown_of_another_level_is_what_it_tells(case, level):
    """Decided at one level, shown at the other, and decided at the other: equal bytes."""
    found = []
    async with house(case, level) as api:
        result = await send(api, case)
        there = await events(api)
        found.append((anonymous(result), [anonymous(each) for each in there]))
    for other in LEVELS:
        async with house(case, other) as api:
            await send(api, case)
            shown = await preview(api, level)
            said = [anonymous(each) for each in shown["events"]]
            found.append((anonymous(shown["result"]), said))
    assert found == [found[0]] * (1 + len(LEVELS))


def anonymous(said: dict) -> dict:
    """Without what is new each time."""
    said = said | {"reference": "", "id": "", "message": ""}
    if reason := said.get("reason"):
        said["reason"] = reason | {"url": ""}
    return said


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("level", LEVELS)
async def test_the_line_is_the_reply_of_the_session(level, inner):
    """Also where a relay stands between, which hears less than the feed."""
    async with house("locked out", level) as api:
        client = Client(address=HERE, helo="relay.example", inner=inner)
        content = signed(mail())
        received = await api.house.send(content, "anna@letterbox.example", client=client)
        shown = await preview(api)
        assert shown["line"] == received.outcomes[0].told.line
        assert shown["events"] == await events(api)


async def test_past_the_bound_on_probes_as_little_is_shown_as_was_told():
    configuration = Configuration(
        public_url="https://letterbox.example", probes=ProbesSection(per_day=1)
    )
    async with house("too dear", "remedy", configuration=configuration) as api:
        await send(api, "too dear")
        api.house.clock.advance(seconds=1)
        dearer = DEAR | {"price": {"amount": "171", "currency": "EUR"}}
        result = (await api.send(offer=dearer)).json["results"][0]
        assert result["reason"]["code"] == "choice"
        assert (await preview(api))["result"]["reason"] == result["reason"]
        assert (await preview(api, "remedy"))["result"]["reason"] == result["reason"]


@pytest.mark.parametrize("how", ["in its time", "by a yes", "by a no"])
@pytest.mark.parametrize("case", ["held", "held, shared"])
@pytest.mark.parametrize("level", LEVELS)
async def test_what_became_of_a_hold_is_shown_as_the_feed_says_it(how, level, case):
    async with house(case, level) as api:
        await send(api, case)
        api.house.clock.advance(seconds=1)
        if how == "in its time":
            api.house.clock.advance(days=5)
            await api.house.work()
        else:
            (held,) = (await api.call("GET", "/v1/me/held", who="anna")).json["items"]
            word = "release" if how == "by a yes" else "refuse"
            await api.call("POST", f"/v1/me/held/{held['id']}/{word}", who="anna")
        shown = await preview(api)
        assert (shown["line"], shown["result"]) == (None, None)
        told = [each | {"id": "0" * 32} for each in (await events(api))[1:]]
        assert shown["events"] == told


async def test_what_is_taken_back_is_told_to_nobody():
    async with house("too dear", "remedy") as api:
        await send(api, "too dear")
        (item,) = (await api.call("GET", "/v1/me/decisions", who="anna")).json["items"]
        api.house.clock.advance(seconds=1)
        await api.call("POST", f"/v1/me/decisions/{item['id']}/undo", who="anna")
        shown = await preview(api)
        assert (shown["line"], shown["result"], shown["events"]) == (None, None, [])


async def test_a_preview_leaves_no_trace():
    async with house("too dear", "remedy") as api:
        result = await send(api, "too dear")
        before = [await api.call("GET", path, who="anna") for path in TRACES]
        page = await api.call("GET", f"/r/{result['reference']}")
        for level in LEVELS:
            await preview(api, level)
        assert [await api.call("GET", path, who="anna") for path in TRACES] == [
            reply._replace(headers=after.headers)
            for reply, after in zip(
                before, [await api.call("GET", path, who="anna") for path in TRACES], strict=True
            )
        ]
        assert (await api.call("GET", f"/r/{result['reference']}")).body == page.body
        assert len(await events(api)) == 1


TRACES = ("/v1/me/decisions", "/v1/me/activity", "/v1/me/inbox")


async def test_mistakes_and_others_decisions():
    async with house("too dear", "remedy") as api:
        await send(api, "too dear")
        (item,) = (await api.call("GET", "/v1/me/decisions", who="anna")).json["items"]
        path = f"/v1/me/decisions/{item['id']}/told"
        assert (await api.call("GET", f"{path}?tells=all", who="anna")).status == 422
        assert (await api.call("GET", path, who="greenleaf")).status == 401
        assert (await api.call("GET", path.replace(item["id"], "0" * 32), who="anna")).status == 404
