"""Coming back: what a vendor that is locked out may ask, and what both sides learn of it."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from letterbox.ports.store import StoreUnavailable
from tests.support.api import Api, Reply, open_api
from tests.support.counting import Counting
from tests.unit.test_administration import perform

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[vendor]]
id = "voltshop"
name = "Voltshop"
domains = ["voltshop.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example", "second@letterbox.example"]
timezone = "Europe/Amsterdam"
ask_for_days = 7
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  limit = { messages = 20, per = "week" }
  standing = "blocked"
  because = "too-often"
  remedy = { limit = { messages = 1, per = "month" }, accepts = ["service", "offer"] }

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
"""
BLOCKED = {
    "vendor": "greenleaf",
    "scope": "everything",
    "standing": "blocked",
    "because": "too-often",
}
REMEDY = {"limit": {"messages": 1, "per": "month"}, "accepts": ["service", "offer"]}
REPAIRED = {
    "vendor": "greenleaf",
    "accepts": ["service", "offer"],
    "scope": "everything",
    "limit": {"messages": 1, "per": "month"},
}
LEAF = "/v1/me/vendors/greenleaf"


@asynccontextmanager
async def locked_out(tells: str = "remedy"):
    """A house where greenleaf is locked out, and a reference of a refusal that said so."""
    people = PEOPLE
    if tells != "remedy":
        said = 'because = "too-often"'
        people = people.replace(said, f'{said}\n  tells = "{tells}"')
    async with open_api(people) as api:
        yield api, await refused(api)


async def refused(
    api: Api, vendor="greenleaf", to="anna@letterbox.example", subject="Hello"
) -> str:
    message = {"to": [to], "kind": "offer", "subject": subject, "text": "There."}
    reply = await api.call("POST", "/v1/messages", who=vendor, json=message)
    return reply.json["results"][0]["reference"]


async def ask(api: Api, reference: str, *, who="greenleaf", **said) -> Reply:
    path = f"/v1/relations/{reference}/reconnect"
    return await api.call("POST", path, who=who, json={"accept": True} | said)


async def requests(api: Api, who: str = "anna") -> list[dict]:
    return (await api.call("GET", "/v1/me/requests", who=who)).json["items"]


async def say(api: Api, name: str, word: str, *, who: str = "anna", **how) -> Reply:
    return await api.call("POST", f"/v1/me/requests/{name}/{word}", who=who, **how)


async def rule(api: Api) -> dict:
    return (await api.call("GET", LEAF, who="anna")).json


async def put(api: Api, value: dict) -> None:
    reply = await api.call("PUT", LEAF, who="anna", json=value, headers={"If-Match": "*"})
    assert reply.status == 200, reply.body


async def told(api: Api) -> list:
    events = await api.house.feed("greenleaf")
    return [each for each in events if each.type.startswith("relationship.")]


async def happened(api: Api) -> list[str]:
    """The kinds of the consumer's log that are no decisions, oldest first."""
    items = (await api.call("GET", "/v1/me/activity", who="anna")).json["items"]
    return [item["type"] for item in reversed(items) if item["type"] != "decision"]


# ---- the whole way ----------------------------------------------------------------------------


async def test_an_accepted_remedy_becomes_the_relationships_limits():
    async with locked_out() as (api, reference):
        reply = await ask(api, reference, note="Two lists had you.")
        assert reply.status == 200
        # Asked on Monday 23 November: seven days later is the last one.
        assert reply.json == {"reference": reference, "state": "asked", "until": "2026-11-30"}
        (request,) = await requests(api)
        assert request["vendor"] == "greenleaf"
        assert request["accepts"] == ["at most 1 per month, only service mail + offers"]
        assert request["note"] == "Two lists had you."
        assert request["becomes"] == REPAIRED
        assert request["until"] == "2026-11-30T23:00:00Z"
        assert request["sentence"] == (
            "Greenleaf Garden asks to come back. "
            "You can answer up to and including Monday 30 November; no answer is a no."
        )
        assert await told(api) == []
        api.house.clock.advance(seconds=1)
        done = await say(api, request["id"], "accept")
        assert (done.status, done.json["state"], done.json["becomes"]) == (
            200,
            "accepted",
            REPAIRED,
        )
        again = await say(api, request["id"], "accept")
        assert again.json == done.json
        assert await rule(api) == REPAIRED
        (event,) = await told(api)
        assert (event.type, event.verdict, event.reason) == (
            "relationship.reinstated",
            "deliver",
            None,
        )
        assert event.at.isoformat() == "2026-11-23T00:00:00+00:00"
        assert event.recipient == "anna@letterbox.example"
        first, *both = await happened(api)
        assert first == "reconnect.asked"
        assert sorted(both) == ["reconnect.accepted", "relationship.reinstated"]
        await refused(api, subject="The first")
        assert await api.house.inbox("anna") == ["The first"]
        await refused(api, subject="The second")
        assert await api.house.inbox("anna") == ["The first"]
        history = await api.call("GET", "/v1/me/preferences/history", who="anna")
        assert history.json["items"][0]["by"] == "request"


@pytest.mark.parametrize("by", ["a refusal", "an event"])
async def test_who_reads_dutch_is_asked_in_dutch(by):
    people = PEOPLE.replace("timezone =", 'language = "nl"\ntimezone =')
    async with open_api(people) as api:
        reference = await refused(api)
        if by == "an event":
            remedy = {"remedy": {"limit": {"messages": 1, "per": "month"}}}
            await put(api, BLOCKED | remedy)
            reference = (await told(api))[0].reference
        await ask(api, reference)
        (request,) = await requests(api)
        expected = "hoogstens 1 per maand"
        if by == "a refusal":
            expected += ", alleen servicemail + aanbiedingen"
        assert request["accepts"] == [expected]
        assert request["sentence"] == (
            "Greenleaf Garden vraagt om terug te komen. "
            "Je kunt antwoorden tot en met maandag 30 november; geen antwoord is een nee."
        )


async def test_the_reference_of_an_event_serves_as_well():
    async with locked_out() as (api, _):
        await put(api, BLOCKED | {"remedy": {"accepts": ["service"]}})
        (event,) = await told(api)
        assert (await ask(api, event.reference)).status == 200
        (request,) = await requests(api)
        assert request["accepts"] == list(event.reason.remedies) == ["only service mail"]


@pytest.mark.parametrize("how", ["a word", "silence"])
async def test_a_no_is_told_as_final(how):
    async with locked_out() as (api, reference):
        await ask(api, reference)
        (request,) = await requests(api)
        if how == "a word":
            assert (await say(api, request["id"], "decline")).json["state"] == "declined"
            assert (await say(api, request["id"], "decline")).json["state"] == "declined"
        else:
            api.house.clock.advance(days=7)
            await api.house.work()
            assert (await requests(api))[0]["state"] == "waiting"
            api.house.clock.advance(days=1)
            await api.house.work()
            assert (await requests(api))[0]["state"] == "unanswered"
        (event,) = await told(api)
        assert (event.type, event.verdict) == ("relationship.blocked", "refuse")
        assert (event.reason.code, event.reason.final) == ("declined", True)
        assert (await say(api, request["id"], "accept")).status == 409
        assert (await rule(api))["standing"] == "blocked"
        # The vendor is locked out still, and may ask again: not before the period is over.
        assert (await ask(api, event.reference)).status == 409
        api.house.clock.advance(days=31)
        assert (await ask(api, event.reference)).status == 200


async def test_what_is_over_is_forgotten_after_a_while():
    async with locked_out() as (api, reference):
        await ask(api, reference)
        await say(api, (await requests(api))[0]["id"], "decline")
        api.house.clock.advance(days=31)
        await api.house.work()
        assert await requests(api) == []


# ---- how often --------------------------------------------------------------------------------


async def test_a_consumer_is_asked_once_a_period():
    async with locked_out() as (api, reference):
        assert (await ask(api, reference)).status == 200
        again = await ask(api, reference)
        assert again.status == 409
        assert "from 2026-12-24" in again.json["detail"]
        other = await refused(api, subject="Another")
        assert (await ask(api, other)).status == 409
        await say(api, (await requests(api))[0]["id"], "decline")
        assert (await ask(api, reference)).status == 409
        assert len(await requests(api)) == 1
        api.house.clock.advance(days=31)
        assert (await ask(api, reference)).status == 200


async def test_two_addresses_are_not_told_to_be_one_persons():
    async with locked_out() as (api, first):
        second = await refused(api, to="second@letterbox.example")
        replies = [await ask(api, each) for each in (first, second)]
        assert [reply.status for reply in replies] == [200, 200]
        assert replies[0].json | {"reference": second} == replies[1].json
        assert len(await requests(api)) == 1
        assert (await ask(api, second)).status == 409


@pytest.mark.parametrize("word", ["accept", "decline"])
async def test_each_address_hears_of_the_outcome(word):
    """Two persons would each have one."""
    async with locked_out() as (api, reference):
        second = await refused(api, to="second@letterbox.example")
        await ask(api, reference)
        await ask(api, second)
        await say(api, (await requests(api))[0]["id"], word)
        await api.house.work()
        # In one breath they would be told to be one's.
        assert [event.recipient for event in await told(api)] == ["anna@letterbox.example"]
        api.house.clock.advance(days=1)
        await api.house.work()
        events = [event for event in await told(api) if event.type.startswith("relationship.")]
        assert sorted(event.recipient for event in events) == [
            "anna@letterbox.example",
            "second@letterbox.example",
        ]
        assert len({(event.type, event.verdict) for event in events}) == 1


async def test_no_answer_comes_when_each_was_told_it_would():
    async with locked_out() as (api, reference):
        await ask(api, reference)
        api.house.clock.advance(days=2)
        second = await refused(api, to="second@letterbox.example")
        assert (await ask(api, second)).json["until"] == "2026-12-02"
        heard = []
        for _ in range(9):
            api.house.clock.advance(days=1)
            await api.house.work()
            heard.append([event.recipient.partition("@")[0] for event in await told(api)])
        before, first, both = [], ["anna"], ["anna", "second"]
        # From the 26th on; on the 1st and the 3rd of December in the consumer's time each was due.
        assert heard == [before] * 5 + [first] * 2 + [both] * 2
        assert {event.reason.code for event in await told(api)} == {"declined"}


async def test_an_answer_is_told_before_the_day_that_was_said():
    async with locked_out() as (api, reference):
        second = await refused(api, to="second@letterbox.example")
        await ask(api, reference)
        await ask(api, second)
        (request,) = await requests(api)
        api.house.clock.advance(days=7, hours=22)
        await say(api, request["id"], "accept")
        api.house.clock.advance(hours=1)
        await api.house.work()
        assert len(await told(api)) == 2


@pytest.mark.parametrize(
    ("after", "kinds"),
    [
        ({"vendor": "greenleaf", "standing": "blocked"}, ["blocked"]),
        ({"vendor": "greenleaf", "tells": "nothing"}, []),
    ],
)
async def test_a_later_outcome_is_what_is_true_by_then(after, kinds):
    async with locked_out() as (api, reference):
        second = await refused(api, to="second@letterbox.example")
        await ask(api, reference)
        await ask(api, second)
        await say(api, (await requests(api))[0]["id"], "accept")
        await put(api, after)
        before = len(await told(api))
        api.house.clock.advance(days=1)
        await api.house.work()
        later = [event.type.removeprefix("relationship.") for event in await told(api)]
        assert later[before:] == kinds


@pytest.mark.parametrize("after", [False, True])
async def test_killed_while_a_later_outcome_is_told_it_is_told_once(after, monkeypatch):
    async with locked_out() as (api, reference):
        second = await refused(api, to="second@letterbox.example")
        await ask(api, reference)
        await ask(api, second)
        await say(api, (await requests(api))[0]["id"], "decline")
        await told(api)
        api.house.clock.advance(days=1)
        store = api.house.app.store
        commit = store.commit

        async def dies(*commits):
            if after:
                await commit(*commits)
            raise StoreUnavailable("killed")

        with monkeypatch.context() as patch:
            patch.setattr(store, "commit", dies)
            with suppress(StoreUnavailable):
                await api.house.app.worker.run_once()
        api.house.clock.advance(minutes=1)
        await api.house.work()
        events = await told(api)
        assert len({event.id for event in events}) == len(events) == 2


async def test_subaddresses_are_no_addresses_more():
    async with locked_out() as (api, reference):
        await ask(api, reference)
        mailbox = [await refused(api, to=f"anna+{n}@letterbox.example") for n in range(2)]
        assert [(await ask(api, each)).status for each in mailbox] == [409, 409]
        second = [await refused(api, to=f"Second+{n}@letterbox.example") for n in range(2)]
        assert [(await ask(api, each)).status for each in second] == [200, 409]


async def test_of_very_many_addresses_each_is_answered_and_twenty_hear_more():
    more = "".join(f', "a{nth}@letterbox.example"' for nth in range(23))
    one = '"second@letterbox.example"'
    async with open_api(PEOPLE.replace(one, one + more)) as api:
        replies = []
        for nth in range(23):
            reference = await refused(api, to=f"a{nth}@letterbox.example")
            replies.append(await ask(api, reference))
        assert {(reply.status, reply.json["until"]) for reply in replies} == {(200, "2026-11-30")}
        await say(api, (await requests(api))[0]["id"], "decline")
        api.house.clock.advance(days=1)
        await api.house.work()
        assert len(await told(api)) == 21


async def test_an_event_of_a_lock_out_serves_whatever_else_is_told():
    async with locked_out("class") as (api, _):
        await put(api, {"vendor": "greenleaf", "tells": "class"})
        await put(api, {"vendor": "greenleaf", "tells": "class", "standing": "blocked"})
        await api.house.work()
        event = (await api.house.feed("greenleaf"))[-1]
        assert event.type == "relationship.blocked"
        assert event.reason.code == "choice"
        assert (await ask(api, event.reference)).status == 200


async def test_many_at_once_ask_once():
    async with locked_out() as (api, reference):
        replies = await asyncio.gather(*(ask(api, reference) for _ in range(8)))
        assert sorted(reply.status for reply in replies) == [200, *[409] * 7]
        assert len(await requests(api)) == 1


async def test_the_same_call_has_one_effect_and_one_answer():
    async with locked_out() as (api, reference):
        path, body = f"/v1/relations/{reference}/reconnect", {"accept": True}
        key = {"headers": {"Idempotency-Key": "one"}}
        replies = [
            await api.call("POST", path, who="greenleaf", json=body, **key) for _ in range(3)
        ]
        assert [(r.status, r.body) for r in replies] == [(200, replies[0].body)] * 3
        name = (await requests(api))[0]["id"]
        first = await say(api, name, "accept")
        second = await say(api, name, "accept")
        assert (first.status, second.status) == (200, 200)
        assert [each.type for each in await told(api)] == ["relationship.reinstated"]


# ---- what leads nowhere -----------------------------------------------------------------------


@pytest.mark.parametrize("tells", ["class", "nothing"])
async def test_what_was_not_told_cannot_be_accepted(tells, monkeypatch):
    """A lock-out that was told by its class, one never told, another's, and an invented one."""
    async with locked_out(tells) as (api, hidden):
        theirs = await refused(api, "voltshop")
        elsewhere = await refused(api, to="ben@letterbox.example")
        names = (hidden, theirs, elsewhere, "0" * 32, "x" * 22)
        replies, costs = [], []
        for name in names:
            with monkeypatch.context() as patch:
                counting = Counting(api.house, patch)
                replies.append(await ask(api, name))
            costs.append(tuple(counting.taken()))
        assert {reply.status for reply in replies} == {404}
        assert len({reply.body for reply in replies}) == 1
        assert len({tuple(sorted(set(r.headers) - {"Date"})) for r in replies}) == 1
        # Counted from the second on: the first reads what is then remembered.
        assert len(set(costs[1:])) == 1
        assert await requests(api) == []


async def test_anothers_reference_is_nobodys():
    async with locked_out() as (api, reference):
        assert (await ask(api, reference, who="voltshop")).status == 404
        assert await requests(api) == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"accept": False}, "accept"),
        ({}, "accept"),
        ({"accept": True, "note": "x" * 281}, "note"),
        ({"accept": True, "more": 1}, "more"),
    ],
)
async def test_mistakes_are_named(body, path):
    async with locked_out() as (api, reference):
        url = f"/v1/relations/{reference}/reconnect"
        reply = await api.call("POST", url, who="greenleaf", json=body)
        assert reply.status == 422
        assert path in {error["path"] for error in reply.json["errors"]}


async def test_a_key_that_may_only_send_agrees_to_nothing():
    async with locked_out() as (api, reference):
        app = api.house.app
        now = api.house.clock.now()
        api.credentials["greenleaf"] = await app.credentials.issue(
            "key", "greenleaf", now, scopes=("send",)
        )
        assert (await ask(api, reference)).status == 403


async def test_a_hostile_note_is_one_line_of_text():
    async with locked_out() as (api, reference):
        await ask(api, reference, note="a\r\nSubject: b\u202ec\u2028d\x00e")
        (request,) = await requests(api)
        assert request["note"] == "a Subject: b c d e"


async def test_requests_are_their_consumers_alone():
    async with locked_out() as (api, reference):
        await ask(api, reference)
        name = (await requests(api))[0]["id"]
        assert await requests(api, "ben") == []
        for word in ("accept", "decline"):
            assert (await say(api, name, word, who="ben")).status == 404
            assert (await say(api, "0" * 32, word)).status == 404
        assert (await requests(api))[0]["state"] == "waiting"


# ---- what changes in between ------------------------------------------------------------------


async def test_who_is_let_back_in_meanwhile_waits_no_longer():
    async with locked_out() as (api, reference):
        await ask(api, reference)
        name = (await requests(api))[0]["id"]
        await put(api, {"vendor": "greenleaf"})
        assert [each.type for each in await told(api)] == ["relationship.reinstated"]
        assert (await requests(api))[0]["state"] == "settled"
        assert (await say(api, name, "accept")).status == 409
        assert (await say(api, name, "decline")).status == 409
        assert await rule(api) == {"vendor": "greenleaf"}
        api.house.clock.advance(days=10)
        await api.house.work()
        assert [each.type for each in await told(api)] == ["relationship.reinstated"]
        assert "reconnect.settled" in await happened(api)


async def test_a_remedy_that_has_changed_is_the_one_that_counts():
    async with locked_out() as (api, reference):
        await ask(api, reference)
        await put(api, BLOCKED | {"remedy": {"accepts": ["service"]}})
        (request,) = await requests(api)
        assert request["accepts"] != request["becomes"]["accepts"] == ["service"]
        await say(api, request["id"], "accept")
        assert await rule(api) == {
            "vendor": "greenleaf",
            "accepts": ["service"],
            "scope": "everything",
        }


@pytest.mark.parametrize(
    ("after", "events"),
    [
        ({"vendor": "greenleaf"}, ["relationship.reinstated"] * 2),
        ({"vendor": "greenleaf", "tells": "nothing"}, []),
        (BLOCKED | {"tells": "nothing"}, []),
        (BLOCKED | {"tells": "class"}, ["relationship.blocked"]),
    ],
)
async def test_the_answer_is_the_same_whatever_has_become_of_it(after, events):
    async with locked_out() as (api, reference):
        await put(api, after)
        reply = await ask(api, reference)
        assert reply.status == 200
        assert reply.json == {"reference": reference, "state": "asked", "until": "2026-11-30"}
        waits = after.get("standing") == "blocked"
        assert len(await requests(api)) == waits
        assert [each.type for each in await told(api)] == events
        for request in await requests(api):
            await say(api, request["id"], "decline")
        level = after.get("tells")
        declined = (await told(api))[len(events) :]
        assert [each.reason.code for each in declined] == (["choice"] if level == "class" else [])


async def test_an_end_that_was_not_told_is_not_measured(monkeypatch):
    """Locked out still, or gone where newcomers are asked about: equal bytes and equal work."""
    replies, costs = [], []
    for ended in (False, True):
        async with locked_out() as (api, reference):
            now = (await api.call("GET", "/v1/me/preferences", who="anna")).json
            after = {"newcomers": "ask"} | ({"vendor": []} if ended else {})
            body, guard = now | after, {"If-Match": "*"}
            await api.call("PUT", "/v1/me/preferences", who="anna", json=body, headers=guard)
            assert await told(api) == []
            await api.credential("greenleaf")
            with monkeypatch.context() as patch:
                counting = Counting(api.house, patch)
                reply = await ask(api, reference)
            replies.append(reply.json | {"reference": ""})
            costs.append(counting.taken())
            assert len(await requests(api)) == (not ended)
    assert replies[0] == replies[1]
    assert costs[0] == costs[1]


async def test_a_yes_and_a_no_at_once_are_one_outcome():
    async with locked_out() as (api, reference):
        await ask(api, reference)
        name = (await requests(api))[0]["id"]
        words = ["accept", "decline"] * 4
        replies = await asyncio.gather(*(say(api, name, word) for word in words))
        state = (await requests(api))[0]["state"]
        won = {"accepted": "accept", "declined": "decline"}[state]
        for word, reply in zip(words, replies, strict=True):
            assert reply.status == (200 if word == won else 409)
        assert len(await told(api)) == 1


async def test_a_remedy_with_a_day_counts_from_that_day():
    async with locked_out() as (api, _):
        await put(api, BLOCKED | {"remedy": {"from": "2026-12-24"}})
        reference = (await told(api))[0].reference
        await ask(api, reference)
        (request,) = await requests(api)
        await say(api, request["id"], "accept")
        assert (await rule(api))["from"] == "2026-12-24"
        assert [each.type for each in await told(api)][1:] == ["relationship.reinstated"]


# ---- a crash ----------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("word", ["accept", "decline"])
async def test_killed_before_or_after_any_commit_there_is_one_outcome(word, after, monkeypatch):
    """The process dies at the nth commit of the answer; the consumer says it again."""
    for nth in range(3):
        async with locked_out() as (api, reference):
            await ask(api, reference)
            name = (await requests(api))[0]["id"]
            store = api.house.app.store
            commit, count = store.commit, iter(range(100))

            async def dies(*commits, _commit=commit, _count=count, _nth=nth):
                if next(_count) != _nth:
                    return await _commit(*commits)
                if after:
                    await _commit(*commits)
                raise StoreUnavailable("killed")

            with monkeypatch.context() as patch:
                patch.setattr(store, "commit", dies)
                await say(api, name, word)
            assert (await say(api, name, word)).status == 200
            expected = {"accept": "accepted", "decline": "declined"}[word]
            assert (await requests(api))[0]["state"] == expected
            assert len(await told(api)) == 1
            assert ((await rule(api)).get("standing") == "blocked") == (word == "decline")


@pytest.mark.parametrize("after", [False, True])
async def test_asking_is_repeated_with_its_key_after_a_crash(after, monkeypatch):
    """The process dies at any commit of the call; the vendor makes it again."""
    for nth in range(2):
        async with locked_out() as (api, reference):
            await api.credential("greenleaf")
            store = api.house.app.store
            commit, count = store.commit, iter(range(100))

            async def dies(*commits, _commit=commit, _count=count, _nth=nth):
                if next(_count) != _nth:
                    return await _commit(*commits)
                if after:
                    await _commit(*commits)
                raise StoreUnavailable("killed")

            path, how = f"/v1/relations/{reference}/reconnect", {"Idempotency-Key": "one"}
            call = ("POST", path)
            with monkeypatch.context() as patch:
                patch.setattr(store, "commit", dies)
                await api.call(*call, who="greenleaf", json={"accept": True}, headers=how)
            again = await api.call(*call, who="greenleaf", json={"accept": True}, headers=how)
            assert (again.status, again.json["until"]) == (200, "2026-11-30")
            assert len(await requests(api)) == 1
            other = {"Idempotency-Key": "two"}
            reply = await api.call(*call, who="greenleaf", json={"accept": True}, headers=other)
            assert reply.status == 409


async def test_an_export_has_who_asked_and_what_was_told():
    async with locked_out() as (api, reference):
        await ask(api, reference, note="Two lists had you.")
        found = {
            section: await perform(api.house, "export", consumer="anna", section=section)
            for section in ("requests", "activity")
        }
        (request,) = found["requests"]["items"]
        assert (request["state"], request["note"]) == ("waiting", "Two lists had you.")
        assert [each["type"] for each in found["activity"]["items"]] == ["reconnect.asked"]
        after = found["activity"]["items"][0]["id"]
        rest = await perform(api.house, "export", consumer="anna", section="activity", after=after)
        assert rest == {"consumer": "anna", "items": [], "after": None}
