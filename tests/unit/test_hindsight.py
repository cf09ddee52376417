"""Refusals let through, the smallest changes of wishes, and what other wishes would have done."""

import asyncio
from datetime import timedelta

import pytest

from letterbox.ports.store import Commit, Delete, DropBody
from letterbox.records import places
from tests.support.api import PEOPLE, open_api

DEAR = {
    "categories": ["home-garden/garden-tools"],
    "price": {"amount": "162.95", "currency": "EUR"},
}


async def get(api, path, who="anna"):
    return await api.call("GET", f"/v1/me/{path}", who=who)


async def post(api, path, json=None, who="anna", **headers):
    body = {} if json is None else {"json": json}
    return await api.call("POST", f"/v1/me/{path}", who=who, headers=headers, **body)


async def refused(api, **changes):
    """Send something that is refused; its decision."""
    api.house.clock.advance(seconds=1)  # what comes in one moment has no order
    sent = await api.send(**changes)
    assert sent.json["results"][0]["verdict"] == "refuse", sent.json
    newest = (await get(api, "decisions?verdict=refuse")).json["items"]
    return newest[0]


async def inbox(api):
    return (await get(api, "inbox")).json["items"]


async def put_wishes(api, **changes):
    whole = (await get(api, "preferences")).json | changes
    done = await api.call(
        "PUT", "/v1/me/preferences", who="anna", json=whole, headers={"If-Match": "*"}
    )
    assert done.status == 200, done.body


# ---- undo -------------------------------------------------------------------------------------


async def test_a_refused_message_is_let_through_once():
    async with open_api() as api:
        item = await refused(api, offer=DEAR)
        done = await post(api, f"decisions/{item['id']}/undo")
        assert done.status == 200, done.body
        assert done.json["decision"]["verdict"] == "deliver"
        assert done.json["decision"]["follows"] == item["id"]
        assert done.json["decision"]["explanation"][0] == "Bezorgd: je hebt het zelf doorgelaten."
        (entry,) = await inbox(api)
        assert entry["subject"] == item["subject"]
        assert (await get(api, f"inbox/{entry['id']}/raw")).status == 200
        after = (await get(api, f"decisions/{item['id']}")).json
        assert after["followed_by"] == done.json["decision"]["id"]
        again = await post(api, f"decisions/{item['id']}/undo")
        assert again.status == 409
        assert done.json["decision"]["id"] in again.json["detail"]
        assert len(await inbox(api)) == 1


async def test_the_vendor_hears_nothing_new():
    async with open_api() as api:
        item = await refused(api, offer=DEAR)
        before = await api.house.feed("greenleaf")
        await post(api, f"decisions/{item['id']}/undo")
        assert await api.house.feed("greenleaf") == before


async def test_of_two_at_once_one_lets_it_through():
    async with open_api() as api:
        item = await refused(api, offer=DEAR)
        path = f"decisions/{item['id']}/undo"
        replies = await asyncio.gather(*(post(api, path) for _ in range(5)))
        assert sorted(reply.status for reply in replies) == [200, 409, 409, 409, 409]
        assert len(await inbox(api)) == 1


async def test_an_undo_said_again_with_its_key_has_the_same_answer():
    async with open_api() as api:
        item = await refused(api, offer=DEAR)
        key = {"Idempotency-Key": "once"}
        first = await post(api, f"decisions/{item['id']}/undo", **key)
        second = await post(api, f"decisions/{item['id']}/undo", **key)
        assert (first.status, first.body) == (second.status, second.body)


async def test_what_was_let_in_by_hand_counts_and_is_kept():
    async with open_api() as api:
        await put_wishes(api, limit={"messages": 1, "per": "week"})
        item = await refused(api, offer=DEAR)
        await post(api, f"decisions/{item['id']}/undo")
        assert (await refused(api))["reason"] == "too-often"
        api.house.clock.advance(days=45)
        await api.house.work()
        (entry,) = await inbox(api)
        assert (await get(api, f"inbox/{entry['id']}/raw")).status == 200


async def test_what_is_gone_or_was_no_refusal_is_not_let_through():
    async with open_api() as api:
        item = await refused(api, offer=DEAR)
        await api.send()
        (delivered,) = (await get(api, "decisions?verdict=deliver")).json["items"]
        assert (await post(api, f"decisions/{delivered['id']}/undo")).status == 409
        assert (await post(api, f"decisions/{'0' * 32}/undo")).status == 404
        assert (await post(api, f"decisions/{item['id']}/undo", who="ben")).status == 404
        gone = (Delete(key=places.MESSAGE), DropBody(id=item["message"]))
        await api.house.app.store.commit(
            Commit(partition=places.message(item["message"]), operations=gone)
        )
        reply = await post(api, f"decisions/{item['id']}/undo")
        assert (reply.status, reply.json["title"]) == (410, "It is not kept any more")
        assert "only the rule can be changed" in reply.json["detail"]
        # The rule can be: its case is written down.
        assert (await get(api, f"decisions/{item['id']}/changes")).json["items"]


# ---- the smallest change ----------------------------------------------------------------------


async def changes(api, item, language="en"):
    reply = await get(api, f"decisions/{item['id']}/changes?language={language}")
    assert reply.status == 200, reply.body
    return reply.json["items"]


async def test_the_smallest_change_comes_first_and_lets_it_through():
    async with open_api() as api:
        item = await refused(api, offer=DEAR)
        await refused(api, offer=DEAR | {"price": {"amount": "169", "currency": "EUR"}}, text="b")
        await refused(api, offer=DEAR | {"price": {"amount": "900", "currency": "EUR"}}, text="c")
        offered = await changes(api, item)
        best = offered[0]
        assert best["sentence"] == "garden-tools: up to 170 EUR"
        assert (best["others"], best["unjudged"], best["days"]) == (1, 0, 30)
        (piece,) = best["changes"]
        assert (piece["piece"], piece["id"]) == ("interest", "garden-tools")
        assert piece["after"]["max_price"] == {"amount": "170", "currency": "EUR"}
        sentences = [each["sentence"] for each in offered]
        assert "Take everything from Greenleaf Garden of the kinds you accept" in sentences
        assert (await changes(api, item, "nl"))[0]["sentence"] == "garden-tools: tot 170 EUR"
        done = await post(api, f"decisions/{item['id']}/undo", {"change": best["id"]})
        assert done.status == 200, done.body
        wishes = (await get(api, "preferences")).json
        assert wishes["interest"][0]["max_price"]["amount"] == "170"
        assert (await get(api, "preferences/history")).json["items"][0]["by"] == "undo"
        assert (await api.send(offer=DEAR, text="d")).json["results"][0]["verdict"] == "deliver"


#: What is wished (laid over PEOPLE), what is sent, and the first change that is offered.
OFFERED = [
    ({"interest": [{"id": "tools", "brands": ["Felco"]}]},
     {"offer": DEAR | {"brand": "Gardena"}}, "tools: Gardena too"),
    ({"interest": [{"id": "tools", "regions": ["DE"]}]},
     {"offer": DEAR | {"region": "NL"}}, "tools: NL too"),
    ({"interest": [{"id": "tools", "keywords": {"none": ["saw", "good"]}}]},
     {}, 'tools: allow "good"'),
    ({"interest": [{"id": "tools", "from": "2027-03-01"}]}, {},
     "tools: from Monday 23 November"),
    ({"interest": [{"id": "tools", "until": "2026-11-01"}]}, {},
     "tools: until Monday 30 November"),
    ({"interest": [{"id": "tools", "categories": ["home-garden"], "brands": ["Felco"],
                    "max_price": {"amount": "10", "currency": "EUR"}}]},
     {"offer": DEAR | {"brand": "Gardena"}}, "tools: all that this one needs"),
    ({"interest": []}, {}, "A new interest: Garden tools from Greenleaf Garden"),
    ({"vendor": [{"vendor": "greenleaf", "accepts": ["service"], "scope": "everything"}]}, {},
     "Take offers from Greenleaf Garden"),
    ({"vendor": []}, {}, "Allow offers from Greenleaf Garden"),
    ({"vendor": [{"vendor": "greenleaf", "standing": "blocked"}]}, {}, "Unlock Greenleaf Garden"),
    ({"window": [{"from": "20:00", "until": "21:00", "outside": "refuse"}]}, {},
     "Open for offers from 13:00 to 14:00 on Monday"),
]  # fmt: skip


@pytest.mark.parametrize(("wishes", "sent", "first"), OFFERED, ids=[row[2] for row in OFFERED])
async def test_a_change_that_helps_is_offered(wishes, sent, first):
    async with open_api() as api:
        await put_wishes(api, **wishes)
        item = await refused(api, **sent)
        best = (await changes(api, item))[0]
        assert best["sentence"].split("; ")[0] == first
        done = await post(api, f"decisions/{item['id']}/undo", {"change": best["id"]})
        assert done.status == 200, done.body
        again = await api.send(**({"text": "The good ones, once more."} | sent))
        assert again.json["results"][0]["verdict"] in {"deliver", "hold"}


async def test_a_limit_is_raised_by_what_is_needed():
    async with open_api() as api:
        rule = {"vendor": "greenleaf", "limit": {"messages": 2, "per": "week"}}
        await put_wishes(api, vendor=[rule])
        await api.send(text="a")
        await api.send(text="b")
        item = await refused(api, text="c")
        assert item["sentence"] == (
            "Greenleaf Garden mag twee berichten per week sturen; dit was de derde."
        )
        best = (await changes(api, item))[0]
        assert best["sentence"] == "Greenleaf Garden: at most three messages per week"
        assert best["changes"][0]["after"]["limit"] == {"messages": 3, "per": "week"}


async def test_of_several_limits_the_one_in_the_way_is_raised_alone():
    async with open_api() as api:
        limits = [
            {"messages": 20, "per": "week"},
            {"messages": 2, "per": "week", "kinds": ["offer"]},
        ]
        await put_wishes(api, vendor=[{"vendor": "greenleaf", "limit": limits}])
        await api.send(text="a")
        await api.send(text="b")
        best = (await changes(api, await refused(api, text="c")))[0]
        assert best["sentence"] == "Greenleaf Garden: at most three offers per week"
        raised = [limits[0], {"messages": 3, "per": "week", "kinds": ["offer"]}]
        assert best["changes"][0]["after"]["limit"] == raised


# The clock stands at Monday 23 November, 13:00 in Amsterdam.
TODAY = {"on": "2026-11-23", "outside": "refuse"}


async def test_a_day_apart_goes_and_no_window_takes_its_place():
    async with open_api() as api:
        other = {**TODAY, "kinds": ["newsletter"]}
        await put_wishes(api, window=[], exceptions=[{**TODAY, "kinds": ["offer"]}, other])
        found = await changes(api, await refused(api))
        assert [each["sentence"] for each in found] == [
            "No exception for offers on Monday 23 November"
        ]
        item = (await get(api, "decisions?verdict=refuse")).json["items"][0]
        await post(api, f"decisions/{item['id']}/undo", {"change": found[0]["id"]})
        now = (await get(api, "preferences")).json
        assert (now.get("window", []), now["exceptions"]) == ([], [other])


async def test_a_day_apart_for_all_kinds_stays_for_the_others():
    async with open_api() as api:
        await put_wishes(api, window=[], exceptions=[TODAY])
        (found,) = await changes(api, await refused(api))
        after = [change["after"] for change in found["changes"]]
        assert after == [[{**TODAY, "kinds": ["newsletter", "personal"]}]]


async def test_a_window_is_opened_for_whom_the_ruling_one_names():
    window = {"from": "09:00", "until": "10:00", "outside": "refuse", "vendors": ["greenleaf"]}
    async with open_api() as api:
        await put_wishes(api, window=[window])
        best = (await changes(api, await refused(api)))[0]
        assert best["changes"][0]["after"]["vendors"] == ["greenleaf"]


@pytest.mark.parametrize("newcomers", ["refuse", "interests"])
@pytest.mark.parametrize("bounds", [{"until": "2026-11-22"}, {"from": "2026-11-24"}])
async def test_a_relationship_outside_its_days_is_made_to_run(newcomers, bounds):
    async with open_api() as api:
        rule = {"vendor": "greenleaf", "scope": "everything", **bounds}
        await put_wishes(api, newcomers=newcomers, vendor=[rule])
        item = await refused(api)
        found = await changes(api, item)
        running = [
            e for e in found if e["sentence"] == "Let the relationship with Greenleaf Garden run"
        ]
        assert running, found
        done = await post(api, f"decisions/{item['id']}/undo", {"change": running[0]["id"]})
        assert done.status == 200, done.body
        now = (await get(api, "preferences")).json
        assert now["vendor"] == [{"vendor": "greenleaf", "scope": "everything"}]


async def test_a_change_that_is_not_offered_changes_nothing():
    async with open_api() as api:
        item = await refused(api, offer=DEAR)
        best = (await changes(api, item))[0]
        path = f"decisions/{item['id']}/undo"
        assert (await post(api, path, {"change": "0" * 12})).status == 412
        # One that was offered for other wishes than those of now is none.
        price = {"amount": "155", "currency": "EUR"}
        interest = {"id": "garden-tools", "max_price": price}
        await put_wishes(api, interest=[interest])
        assert (await post(api, path, {"change": best["id"]})).status == 412
        assert await inbox(api) == []
        assert (await get(api, "preferences")).json["interest"] == [interest]


# ---- replay -----------------------------------------------------------------------------------


async def replayed(api, **asked):
    reply = await post(api, "replay", asked)
    assert reply.status == 200, reply.body
    return reply.json


async def test_under_the_same_wishes_everything_would_be_as_it_was():
    async with open_api() as api:
        await api.send()
        await refused(api, offer=DEAR)
        await api.send(kind="newsletter")
        found = await replayed(api, days=7)
        assert found["messages"] == 3
        assert found["then"] == found["now"] == {"deliver": 1, "refuse": 1, "hold": 1}
        assert (found["more_in"], found["fewer_in"], found["unjudged"]) == (0, 0, 0)
        assert found["differences"] == []


async def test_other_wishes_would_have_done_otherwise_and_nothing_is_touched():
    async with open_api() as api:
        await api.send()
        item = await refused(api, offer=DEAR)
        before = (await get(api, "preferences")).body, (await get(api, "decisions")).body
        wish = {"id": "garden-tools", "max_price": {"amount": "170", "currency": "EUR"}}
        change = {"piece": "interest", "id": "garden-tools", "after": wish}
        found = await replayed(api, days=7, changes=[change])
        assert (found["more_in"], found["fewer_in"]) == (1, 0)
        (difference,) = found["differences"]
        assert difference["decision"] == item["id"]
        assert difference["then"] == {"verdict": "refuse", "reason": "price-above-limit"}
        assert difference["now"] == {"verdict": "deliver", "reason": None}
        assert ((await get(api, "preferences")).body, (await get(api, "decisions")).body) == before
        assert len(await inbox(api)) == 1


async def test_limits_count_what_would_have_been_let_in():
    async with open_api() as api:
        for nth in range(5):
            await api.send(text=f"number {nth}")
            api.house.clock.advance(minutes=1)
        found = await replayed(
            api, days=7, changes=[{"piece": "core", "id": "limit",
                                   "after": {"messages": 2, "per": "day"}}]
        )  # fmt: skip
        assert found["then"] == {"deliver": 5}
        assert found["now"] == {"deliver": 2, "refuse": 3}
        assert {each["now"]["reason"] for each in found["differences"]} == {"too-often"}


async def test_what_would_have_been_held_comes_at_its_time():
    async with open_api() as api:
        await api.send(text="on Monday")
        api.house.clock.advance(days=2)
        window = {"piece": "window", "id": "evening",
                  "after": {"id": "evening", "from": "18:00", "until": "20:00"}}  # fmt: skip
        found = await replayed(api, days=7, changes=[window])
        assert found["now"] == {"deliver": 1}
        await api.send(text="just now")
        found = await replayed(api, days=7, changes=[window])
        assert found["now"] == {"deliver": 1, "hold": 1}


async def test_what_rests_on_a_text_that_is_gone_is_unjudged():
    async with open_api() as api:
        item = await refused(api, offer=DEAR)
        gone = (Delete(key=places.MESSAGE), DropBody(id=item["message"]))
        await api.house.app.store.commit(
            Commit(partition=places.message(item["message"]), operations=gone)
        )
        words = {"id": "garden-tools", "keywords": {"any": ["good"]}}
        change = {"piece": "interest", "id": "garden-tools", "after": words}
        found = await replayed(api, days=7, changes=[change])
        assert (found["messages"], found["unjudged"], found["now"]) == (1, 1, {})


async def test_what_was_said_by_hand_is_no_wish():
    async with open_api() as api:
        item = await refused(api, offer=DEAR)
        await post(api, f"decisions/{item['id']}/undo")
        found = await replayed(api, days=7)
        assert (found["messages"], found["unjudged"]) == (1, 1)


async def test_what_was_let_in_by_hand_has_taken_its_place_under_the_limit():
    async with open_api() as api:
        await put_wishes(api, limit={"messages": 2, "per": "week"})
        item = await refused(api, offer=DEAR)
        await post(api, f"decisions/{item['id']}/undo")
        api.house.clock.advance(minutes=1)
        await api.send(text="the second")
        assert (await refused(api, text="the third"))["reason"] == "too-often"
        found = await replayed(api, days=7)
        assert (found["unjudged"], found["differences"]) == (1, [])
        assert found["then"] == found["now"] == {"deliver": 1, "refuse": 1}


async def test_an_answer_that_was_given_is_given_again():
    async with open_api() as api:
        await put_wishes(api, vendor=[{"vendor": "greenleaf", "standing": "ask"}], ask_for_days=3)
        await api.send(text="yes, please")
        api.house.clock.advance(minutes=1)
        await api.send(text="nobody answers")
        held = (await get(api, "held")).json["items"]
        entry = min(held, key=lambda each: each["at"])
        api.house.clock.advance(minutes=1)
        assert (await post(api, f"held/{entry['id']}/release")).status in {200, 204}
        api.house.clock.advance(minutes=1)
        found = await replayed(api, days=7)
        assert found["then"] == found["now"] == {"deliver": 1, "hold": 1}
        api.house.clock.advance(days=4)
        await api.house.work()
        found = await replayed(api, days=7)
        assert found["then"] == found["now"] == {"deliver": 1, "refuse": 1}
        assert found["differences"] == []
        blocked = {"vendor": "greenleaf", "standing": "blocked"}
        found = await replayed(
            api, days=7, changes=[{"piece": "vendor", "id": "greenleaf", "after": blocked}]
        )
        assert (found["now"], found["fewer_in"]) == ({"refuse": 2}, 1)


async def test_what_would_have_been_asked_about_waits():
    async with open_api() as api:
        await api.send()
        api.house.clock.advance(days=20)
        ask = {"vendor": "greenleaf", "standing": "ask"}
        found = await replayed(
            api, days=30, changes=[{"piece": "vendor", "id": "greenleaf", "after": ask}]
        )
        assert (found["then"], found["now"]) == ({"deliver": 1}, {"hold": 1})
        assert found["differences"][0]["now"]["reason"] == "awaiting-consumer"


async def test_only_the_days_asked_for_are_replayed():
    async with open_api() as api:
        await api.send()
        api.house.clock.at += timedelta(days=10)
        assert (await replayed(api, days=7))["messages"] == 0
        assert (await replayed(api, days=11))["messages"] == 1


BAD = [
    ({"days": 0}, "days"),
    ({"days": 91}, "days"),
    ({"changes": [{"piece": "core", "id": "colour", "after": "red"}]}, "changes[0]"),
    ({"changes": [{"piece": "interest", "id": "a", "after": {"id": 7}}]}, "changes[0]"),
    ({"changes": [{"piece": "interest", "id": "a", "after": {"id": "a"}},
                  {"piece": "interest", "id": "a", "after": {"id": "b"}}]}, "changes[1]"),
    ({"changes": [{"piece": "interest", "id": "nowhere", "after": None}]}, "changes[0]"),
    ({"changes": [{"piece": "wish", "id": "a", "after": {}}]}, "changes[0].piece"),
    ({"changes": [{"piece": "interest", "id": "a",
                   "after": {"id": "a", "categories": ["moon"]}}]}, "interest[1].categories[0]"),
    ({"preferences": {"addresses": ["anna@letterbox.example"], "timezone": "Mars"}}, "timezone"),
    ({"preferences": {"addresses": ["ben@letterbox.example"]}}, "addresses[0]"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "path"), BAD)
async def test_wishes_that_cannot_be_are_not_tried(asked, path):
    async with open_api() as api:
        reply = await post(api, "replay", asked)
        assert reply.status == 422
        assert path in [error["path"] for error in reply.json["errors"]]


async def test_newcomers_are_allowed_by_the_name_they_have():
    people = PEOPLE.replace('timezone = "Europe/Amsterdam"', 'newcomers = "refuse"', 1)
    async with open_api(people) as api:
        sent = await api.call(
            "POST",
            "/v1/messages",
            who="voltshop",
            json={"to": ["anna@letterbox.example"], "kind": "offer", "subject": "Bulbs",
                  "text": "Bright.", "offer": {"categories": ["electronics"]}},
        )  # fmt: skip
        assert sent.json["results"][0]["verdict"] == "refuse"
        (item,) = (await get(api, "decisions?verdict=refuse")).json["items"]
        best = (await changes(api, item))[0]
        rule = next(piece for piece in best["changes"] if piece["piece"] == "vendor")
        assert (rule["id"], rule["before"]) == ("voltshop", None)
        assert rule["after"]["accepts"] == ["offer"]
