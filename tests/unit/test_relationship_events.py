"""What a vendor is told when a consumer changes the relationship, by whatever door."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from letterbox.ports.store import Append
from tests.support.api import Api, open_api

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[vendor]]
id = "voltshop"
name = "Voltshop"
domains = ["voltshop.example", "volt.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example", "other@letterbox.example"]
timezone = "Europe/Amsterdam"
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
"""
RULE = {"vendor": "greenleaf", "scope": "everything"}
BLOCKED = {
    "vendor": "greenleaf",
    "standing": "blocked",
    "because": "too-often",
    "remedy": {"limit": {"messages": 1, "per": "month"}},
}
LEAF = "/v1/me/vendors/greenleaf"


@asynccontextmanager
async def known(people: str = PEOPLE, *, vendor: str = "greenleaf"):
    """A house where the vendor has written to the consumer once."""
    async with open_api(people) as api:
        await write(api, vendor)
        yield api


async def write(api: Api, vendor: str = "greenleaf", to: str = "anna@letterbox.example", **form):
    message = {"to": [to], "kind": "offer", "subject": "Hello", "text": "There.", **form}
    reply = await api.call("POST", "/v1/messages", who=vendor, json=message)
    return reply.json["results"][0]


async def put(api: Api, value: dict, path: str = LEAF):
    reply = await api.call("PUT", path, who="anna", json=value, headers={"If-Match": "*"})
    assert reply.status in {200, 201}, reply.body
    return reply


async def declare(api: Api, *rules: dict):
    """Set all relationships at once."""
    now = (await api.call("GET", "/v1/me/preferences", who="anna")).json
    await put(api, now | {"vendor": rules}, "/v1/me/preferences")


async def told(api: Api, vendor: str = "greenleaf") -> list:
    """The events about the relationship, oldest first."""
    events = await api.house.feed(vendor)
    return [each for each in events if each.type.startswith("relationship.")]


def rule(**changes):
    return RULE | changes


#: Relationship before, relationship after (None: none), and the event: its type, verdict, reason
#: code, detail and remedies; None where nothing is told.
CHANGES = {
    "locked out": (
        RULE,
        BLOCKED,
        ("blocked", "refuse", "vendor-blocked", "Locked out: too often", ("at most 1 per month",)),
    ),
    "locked out, reasons": (
        RULE,
        BLOCKED | {"tells": "reason"},
        ("blocked", "refuse", "vendor-blocked", "Locked out: too often", ()),
    ),
    "locked out, class": (
        RULE,
        BLOCKED | {"tells": "class"},
        ("blocked", "refuse", "choice", None, ()),
    ),
    "locked out, nothing": (RULE, BLOCKED | {"tells": "nothing"}, None),
    "let back in": (BLOCKED, RULE, ("reinstated", "deliver", None, None, ())),
    "let back in, nothing": (BLOCKED, rule(tells="nothing"), None),
    "another cause": (
        BLOCKED,
        BLOCKED | {"because": "other"},
        ("blocked", "refuse", "vendor-blocked", None, ("at most 1 per month",)),
    ),
    "another cause, class": (
        BLOCKED | {"tells": "class"},
        BLOCKED | {"tells": "class", "because": "other"},
        None,
    ),
    "another remedy, reasons": (
        BLOCKED | {"tells": "reason"},
        BLOCKED | {"tells": "reason", "remedy": {"accepts": ["service"]}},
        None,
    ),
    "told more": (
        BLOCKED | {"tells": "nothing"},
        BLOCKED | {"tells": "reason"},
        ("blocked", "refuse", "vendor-blocked", "Locked out: too often", ()),
    ),
    "asked about": (RULE, rule(standing="ask"), ("changed", None, None, None, ())),
    "fewer kinds": (
        RULE,
        rule(accepts=["service", "offer"]),
        (
            "changed",
            "refuse",
            "kind-not-wanted",
            "No newsletters from you",
            ("send only service mail, offers",),
        ),
    ),
    "fewer kinds, class": (rule(tells="class"), rule(tells="class", accepts=["service"]), None),
    "more kinds": (
        RULE,
        rule(accepts=["service", "offer", "newsletter", "personal"]),
        ("changed", "deliver", None, None, ()),
    ),
    "limits": (RULE, rule(limit={"messages": 1, "per": "week"}), None),
    "interests": (RULE, rule(scope="interests"), None),
    "a basis": (RULE, rule(basis="customer"), None),
    "ended": (RULE, None, ("changed", "refuse", "no-relationship", True, ())),
    "ended, locked out": (BLOCKED, None, ("changed", "refuse", "no-relationship", True, ())),
    "ended, locked out, nothing": (BLOCKED | {"tells": "nothing"}, None, None),
    "ended, nothing": (rule(tells="nothing"), None, None),
    "ended by its day": (
        RULE,
        rule(until="2026-11-01"),
        ("changed", "refuse", "no-relationship", True, ()),
    ),
    "begun": (None, RULE, ("changed", "deliver", None, None, ())),
    "begun, nothing": (None, rule(tells="nothing"), None),
    "locked out at once": (
        None,
        {"vendor": "greenleaf", "standing": "blocked"},
        ("blocked", "refuse", "vendor-blocked", None, ()),
    ),
    "of a domain": (
        None,
        {"domain": "greenleaf.example", "standing": "blocked"},
        ("blocked", "refuse", "vendor-blocked", None, ()),
    ),
    "of one author": (
        RULE,
        [RULE, {"address": "a@greenleaf.example", "standing": "blocked"}],
        None,
    ),
    "of another": (RULE, [RULE, {"vendor": "voltshop", "standing": "blocked"}], None),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_is_told_as_its_level_lets_it(name):
    before, after, expected = CHANGES[name]
    people = PEOPLE.partition("  [[consumer.vendor]]")[0]
    async with known(people) as api:
        if before:
            await declare(api, before)
        first = len(await told(api))
        await declare(api, *(after if isinstance(after, list) else [after] if after else []))
        events = (await told(api))[first:]
        if expected is None:
            assert events == []
            return
        (event,) = events
        kind, verdict, code, detail, remedies = expected
        assert (event.type, event.verdict) == (f"relationship.{kind}", verdict)
        assert (event.recipient, event.message) == ("anna@letterbox.example", "")
        # A day and no hour.
        assert event.at.isoformat() == "2026-11-23T00:00:00+00:00"
        if code is None:
            assert event.reason is None
        else:
            assert event.reason.code == code
            assert event.reason.remedies == remedies
            assert detail is True or event.reason.detail == detail
        page = await api.call("GET", f"/r/{event.reference}")
        assert page.status == 200
        assert b"anna" not in page.body


async def test_what_is_told_is_what_the_next_message_hears():
    async with known() as api:
        await put(api, BLOCKED)
        (event,) = await told(api)
        result = await write(api, subject="Another")
        assert result["reason"]["code"] == event.reason.code
        assert result["reason"]["detail"] == event.reason.detail
        assert result["reason"]["remedies"] == list(event.reason.remedies)


async def piece(api: Api) -> None:
    await put(api, BLOCKED)


async def taken_away(api: Api) -> None:
    reply = await api.call("DELETE", LEAF, who="anna", headers={"If-Match": "*"})
    assert reply.status == 204, reply.body


async def whole(api: Api) -> None:
    await declare(api, BLOCKED)


async def restored(api: Api) -> None:
    await put(api, BLOCKED)
    path = "/v1/me/preferences/history/1/restore"
    reply = await api.call("POST", path, who="anna", headers={"If-Match": "*"})
    assert reply.status == 200, reply.body


async def applied(api: Api) -> None:
    await api.house.people(PEOPLE.replace('scope = "everything"', 'standing = "blocked"'))


async def undone(api: Api) -> None:
    await put(api, BLOCKED)
    await write(api, subject="Refused")
    path = "/v1/me/decisions"
    refused = (await api.call("GET", f"{path}?verdict=refuse", who="anna")).json["items"][0]
    offered = await api.call("GET", f"{path}/{refused['id']}/changes", who="anna")
    change = offered.json["items"][0]["id"]
    undo = f"{path}/{refused['id']}/undo"
    reply = await api.call("POST", undo, who="anna", json={"change": change})
    assert reply.status == 200, reply.body


DOORS = {
    "a piece": (piece, ["blocked"]),
    "a piece taken away": (taken_away, ["changed"]),
    "the whole": (whole, ["blocked"]),
    "a revision restored": (restored, ["blocked", "reinstated"]),
    "a people file": (applied, ["blocked"]),
    "an undo": (undone, ["blocked", "reinstated"]),
}


@pytest.mark.parametrize("door", DOORS)
async def test_every_door_tells_once(door):
    change, expected = DOORS[door]
    async with known() as api:
        await change(api)
        assert [each.type.removeprefix("relationship.") for each in await told(api)] == expected


async def test_one_event_however_many_rules_change():
    names = ("voltshop.example", "volt.example")
    async with known(vendor="voltshop") as api:
        rules = [{"vendor": "voltshop"}, *({"domain": name} for name in names)]
        await declare(api, *(each | {"standing": "blocked"} for each in rules))
        assert [each.type for each in await told(api, "voltshop")] == ["relationship.blocked"]


async def test_who_has_never_written_learns_of_nobody():
    async with open_api(PEOPLE) as api:
        await put(api, BLOCKED)
        await put(api, RULE)
        assert await told(api) == []
        bound = {"address": "anna+garden@letterbox.example", "vendor": "greenleaf"}
        reply = await api.call("POST", "/v1/me/addresses", who="anna", json=bound)
        assert reply.status == 201, reply.body
        await put(api, BLOCKED)
        assert await told(api) == []


async def test_an_address_that_is_the_consumers_no_more_is_not_named():
    async with open_api(PEOPLE) as api:
        await write(api, to="other@letterbox.example")
        path = "/v1/me/addresses/other@letterbox.example"
        await api.call("DELETE", path, who="anna", headers={"If-Match": "*"})
        await put(api, BLOCKED)
        assert await told(api) == []


@pytest.mark.parametrize(("newcomers", "said"), [("refuse", 1), ("ask", 0), ("interests", 0)])
async def test_an_end_is_told_where_that_is_what_newcomers_hear(newcomers, said):
    people = PEOPLE.replace("timezone", f'newcomers = "{newcomers}"\ntimezone')
    async with known(people) as api:
        await taken_away(api)
        assert len(await told(api)) == said


async def test_a_change_that_fails_tells_nobody():
    async with known() as api:
        reply = await api.call(
            "PUT", LEAF, who="anna", json=BLOCKED, headers={"If-Match": '"nothing"'}
        )
        assert reply.status == 412
        assert await told(api) == []


async def test_of_many_changes_at_once_each_that_counts_is_told():
    async with known() as api:
        calls = [put(api, BLOCKED if n % 2 else RULE) for n in range(6)]
        await asyncio.gather(*calls)
        types = [each.type for each in await told(api)]
        assert types == ["relationship.blocked", "relationship.reinstated"] * 2 + types[4:]


async def test_the_event_is_in_the_commit_of_the_change(monkeypatch):
    async with known() as api:
        store, seen = api.house.app.store, []
        commit = store.commit

        async def watched(*commits):
            seen.append(commits)
            return await commit(*commits)

        monkeypatch.setattr(store, "commit", watched)
        await put(api, BLOCKED)
        (change,) = [commits for commits in seen if commits[0].partition == "consumer/anna"]
        kinds = {type(operation).__name__ for operation in change[0].operations}
        assert {"Put", "Emit"} <= kinds
        assert change[1].partition.startswith("reference/")
        assert not any(isinstance(o, Append) for c in change for o in c.operations)


async def test_mail_to_an_address_of_anothers_takes_nothing_away():
    """An address of another vendor's is not theirs to be told of; the one before it is."""
    people = PEOPLE.replace(
        '"other@letterbox.example"]',
        '{ address = "volt@letterbox.example", vendor = "voltshop" }]',
    )
    async with known(people) as api:
        await write(api, to="volt@letterbox.example", subject="Again")
        await put(api, BLOCKED)
        (event,) = await told(api)
        assert (event.type, event.recipient) == ("relationship.blocked", "anna@letterbox.example")
