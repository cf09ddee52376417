"""Unwanted mail: its sender is locked out, hears of it where it asked, and is asked to stop."""

import email
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest

from letterbox.model.configuration import Configuration, OutboundSection
from letterbox.ports.courier import WebTrouble
from letterbox.ports.store import Commit, Put, StoreUnavailable
from letterbox.records import places
from tests.support.api import Api, open_api
from tests.support.house import HERE, mail
from tests.support.postoffice import PostOffice, post_office
from tests.support.signing import craft
from tests.support.webhost import WebHost

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
language = "nl"
vendor = [{ vendor = "greenleaf", scope = "everything" }]

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
newcomers = "interests"
interest = [{ id = "all", open_to = "anyone" }]
"""
NAMES = (
    "from:to:subject:date:message-id:letterbox-kind:list-id:"
    "cfbl-address:cfbl-feedback-id:list-unsubscribe:list-unsubscribe-post"
)
OFF = "https://off.greenleaf.example/u/7"
ONE_CLICK = {"because": "never-asked", "unsubscribe": True}


class Neighbours(msgspec.Struct):
    """A house, and the others it speaks to."""

    api: Api
    office: PostOffice
    host: WebHost

    async def deliver(
        self,
        to: str = "anna",
        number: int = 1,
        names: str = NAMES,
        top: bytes = b"",
        **fields: str,
    ) -> str:
        """A newsletter comes into the inbox; its id. ``top`` is put on after it was signed."""
        said = {
            "Letterbox_Kind": "newsletter",
            "CFBL_Address": "fbl@greenleaf.example; report=arf",
            "CFBL_Feedback_ID": "mailing-7:5a3",
            "List_Unsubscribe": f"<mailto:off@greenleaf.example>, <{OFF}>",
            "List_Unsubscribe_Post": "List-Unsubscribe=One-Click",
        } | fields
        content = craft(mail(f"Letter {number}", number=number, **said), {"h": names})
        await self.api.house.send(
            top + content, f"{to}@letterbox.example", sender="b@greenleaf.example"
        )
        return (await self.api.call("GET", "/v1/me/inbox", who=to)).json["items"][0]["id"]

    async def say(self, name: str, word: dict | None = None, *, who: str = "anna", **how):
        body = {} if word is None else {"json": word}
        return await self.api.call("POST", f"/v1/me/inbox/{name}/unwanted", who=who, **body, **how)

    async def work(self) -> None:
        await self.api.house.work()

    async def activity(self, who: str = "anna") -> list[str]:
        reply = await self.api.call("GET", "/v1/me/activity", who=who)
        return [item["type"] for item in reply.json["items"] if item["type"] != "decision"]


@asynccontextmanager
async def opened():
    async with post_office() as office:
        configuration = Configuration(
            public_url="https://letterbox.example", outbound=OutboundSection(relay=office.address)
        )
        async with open_api(PEOPLE, configuration=configuration) as api:
            host = WebHost()
            api.house.app.outgoing.unsubscribing._web = host
            yield Neighbours(api, office, host)


@pytest.fixture
async def neighbours():
    async with opened() as neighbours:
        yield neighbours


async def test_the_whole_story(neighbours: Neighbours) -> None:
    name = await neighbours.deliver()
    reply = await neighbours.say(name, ONE_CLICK)
    assert reply.status == 200, reply.body
    assert reply.json == {
        "id": name,
        "sentence": "Je sloot Greenleaf Garden buiten: nooit om gevraagd.",
        "before": {"vendor": "greenleaf", "scope": "everything"},
        "after": {
            "vendor": "greenleaf",
            "scope": "everything",
            "standing": "blocked",
            "because": "never-asked",
        },
        "reported": True,
        "unsubscribing": True,
    }
    await neighbours.work()
    (came,) = neighbours.office.came
    assert came.to == ("fbl@greenleaf.example",)
    report = email.message_from_bytes(came.content)
    (fields,) = report.get_payload()[1].get_payload()
    assert fields["Feedback-Type"] == "abuse"
    assert fields["Source-IP"] == HERE
    assert fields["Arrival-Date"] == "Mon, 23 Nov 2026 00:00:00 +0000"
    assert "mailing-7:5a3" in report.get_payload()[2].get_payload()
    assert b"anna" not in came.content.lower()
    (posted,) = neighbours.host.posted
    assert posted.url == OFF
    assert posted.body == b"List-Unsubscribe=One-Click"
    assert posted.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert sorted(await neighbours.activity()) == [
        "relationship.blocked",
        "unwanted.told",
        "unwanted.unsubscribed",
    ]
    (event,) = await neighbours.api.house.feed("greenleaf")
    assert (event.type, event.reason.code) == ("relationship.blocked", "vendor-blocked")
    # What comes after is refused.
    content = craft(mail("More", number=9, Letterbox_Kind="offer"), {"h": NAMES})
    received = await neighbours.api.house.send(content, "anna@letterbox.example")
    assert "vendor-blocked" in received.outcomes[0].told.line


async def test_said_again_it_has_no_second_effect(neighbours: Neighbours) -> None:
    name = await neighbours.deliver()
    first = await neighbours.say(name, ONE_CLICK)
    again = await neighbours.say(name, ONE_CLICK | {"because": "other"})
    assert (first.json["reported"], again.json["reported"]) == (True, False)
    assert again.json["after"]["because"] == "never-asked"
    await neighbours.work()
    assert len(neighbours.office.came) == len(neighbours.host.posted) == 1
    assert len(await neighbours.api.house.feed("greenleaf")) == 1


async def test_who_was_locked_out_before_is_told_all_the_same(neighbours: Neighbours) -> None:
    first, second = await neighbours.deliver(), await neighbours.deliver(number=2)
    await neighbours.say(first, {"report": False})
    await neighbours.work()
    assert neighbours.office.came == []
    assert (await neighbours.say(second, {})).json["reported"]
    await neighbours.work()
    assert len(neighbours.office.came) == 1
    assert neighbours.host.posted == []


@pytest.mark.parametrize(("word", "count"), [({}, 0), ({"report": True}, 1)])
async def test_who_tells_nothing_complains_of_nobody_unless_they_say_so(
    neighbours: Neighbours, word: dict, count: int
) -> None:
    name = await neighbours.deliver()
    rule = {"vendor": "greenleaf", "scope": "everything", "tells": "nothing"}
    path, match = "/v1/me/vendors/greenleaf", {"If-Match": "*"}
    changed = await neighbours.api.call("PUT", path, who="anna", json=rule, headers=match)
    assert changed.status == 200, changed.body
    assert (await neighbours.say(name, word)).json["reported"] is (count == 1)
    await neighbours.work()
    assert len(neighbours.office.came) == count


@pytest.mark.parametrize("standing", ["allowed", "blocked"])
async def test_who_tells_nothing_complains_of_nobody_while_the_wishes_change(
    neighbours: Neighbours, standing: str
) -> None:
    name = await neighbours.deliver()
    rule = {"vendor": "greenleaf", "scope": "everything", "tells": "nothing", "standing": standing}
    path, match = "/v1/me/vendors/greenleaf", {"If-Match": "*"}
    changed = await neighbours.api.call("PUT", path, who="anna", json=rule, headers=match)
    assert changed.status == 200, changed.body
    app = neighbours.api.house.app
    await app.consumers.wishes("anna")
    # Another process writes, and what is remembered here is no longer what is stored.
    place = places.consumer("anna")
    stored = await app.store.get(place, places.PREFERENCES)
    await app.store.commit(Commit(place, (Put(places.PREFERENCES, stored.value),)))
    reply = await neighbours.say(name)
    assert (reply.status, reply.json["reported"]) == (200, False)
    await neighbours.work()
    assert neighbours.office.came == []


async def test_who_tells_nothing_from_this_moment_on_complains_of_nobody(
    neighbours: Neighbours, monkeypatch
) -> None:
    """The wishes change while a complaint is about to be written down."""
    name = await neighbours.deliver()
    rule = {"vendor": "greenleaf", "scope": "everything", "standing": "blocked"}
    how = {"who": "anna", "headers": {"If-Match": "*"}}
    call = ("PUT", "/v1/me/vendors/greenleaf")
    await neighbours.api.call(*call, json=rule, **how)
    store = neighbours.api.house.app.store
    commit = store.commit

    async def a_moment_later(*commits):
        keys = [getattr(each, "key", "") for one in commits for each in one.operations]
        if any(key.startswith(places.COMPLAINT) for key in keys):
            monkeypatch.setattr(store, "commit", commit)
            changed = await neighbours.api.call(*call, json=rule | {"tells": "nothing"}, **how)
            assert changed.status == 200, changed.body
        return await commit(*commits)

    monkeypatch.setattr(store, "commit", a_moment_later)
    reply = await neighbours.say(name)
    assert (reply.status, reply.json["reported"]) == (200, False)
    await neighbours.work()
    assert neighbours.office.came == []


async def test_a_newcomer_is_locked_out_too(neighbours: Neighbours) -> None:
    name = await neighbours.deliver("ben")
    reply = await neighbours.say(name, who="ben")
    assert reply.json["before"] is None
    assert reply.json["after"] == {"vendor": "greenleaf", "standing": "blocked", "because": "other"}
    # No cause was said, and so none is told.
    assert reply.json["sentence"] == "You locked out Greenleaf Garden."


UNPROVEN = {
    "no address": {"names": NAMES.replace("cfbl-address:", "")},
    "another's address": {"CFBL_Address": "victim@other.example"},
}


@pytest.mark.parametrize("fields", UNPROVEN.values(), ids=UNPROVEN)
async def test_nobody_hears_who_did_not_sign_for_it(neighbours: Neighbours, fields: dict) -> None:
    reply = await neighbours.say(await neighbours.deliver(**fields), ONE_CLICK)
    assert (reply.json["reported"], reply.json["unsubscribing"]) == (False, True)
    await neighbours.work()
    assert neighbours.office.came == []


async def test_nothing_is_given_back_that_was_put_on_top(neighbours: Neighbours) -> None:
    """Who sends a signed message on does not have us sign what it puts before it."""
    name = await neighbours.deliver(top=b"CFBL-Feedback-ID: of another\r\n")
    assert (await neighbours.say(name)).json["reported"]
    await neighbours.work()
    (came,) = neighbours.office.came
    assert b"another" not in came.content
    named = email.message_from_bytes(came.content).get_payload()[2].get_payload()
    assert email.message_from_string(named).keys() == [
        "From",
        "Message-ID",
        "CFBL-Address",
    ]


async def test_a_feedback_id_that_was_not_signed_is_not_given_back(neighbours: Neighbours) -> None:
    names = NAMES.replace("cfbl-feedback-id:", "")
    assert (await neighbours.say(await neighbours.deliver(names=names))).json["reported"]
    await neighbours.work()
    (came,) = neighbours.office.came
    assert b"mailing-7" not in came.content
    assert b"Message-ID: <" in came.content


UNSIGNED = {
    "not signed": {"names": NAMES.replace(":list-unsubscribe-post", "")},
    "no one-click": {"List_Unsubscribe_Post": "no"},
    "plain http": {"List_Unsubscribe": "<http://off.greenleaf.example/>"},
    "private": {"List_Unsubscribe": "<https://127.0.0.1/off>"},
}


@pytest.mark.parametrize("fields", UNSIGNED.values(), ids=UNSIGNED)
async def test_nothing_is_called_that_was_not_signed_so(
    neighbours: Neighbours, fields: dict
) -> None:
    reply = await neighbours.say(await neighbours.deliver(**fields), ONE_CLICK)
    assert (reply.json["reported"], reply.json["unsubscribing"]) == (True, False)
    await neighbours.work()
    assert neighbours.host.posted == []


@pytest.mark.parametrize(
    ("answers", "calls", "end"),
    [
        ([503, WebTrouble("timeout"), 429, 204], 4, "unwanted.unsubscribed"),
        ([404], 1, "unwanted.not-unsubscribed"),
        ([302], 1, "unwanted.not-unsubscribed"),
        ([WebTrouble("address")], 1, "unwanted.not-unsubscribed"),
    ],
)
async def test_it_is_asked_until_there_is_an_answer(
    neighbours: Neighbours, answers: list, calls: int, end: str
) -> None:
    neighbours.host.answers = answers
    await neighbours.say(await neighbours.deliver(), ONE_CLICK)
    for _ in range(6):
        await neighbours.work()
        neighbours.api.house.clock.advance(hours=1)
    assert len(neighbours.host.posted) == calls
    assert [each for each in await neighbours.activity() if "subscribed" in each] == [end]


async def test_what_is_never_answered_is_given_up(neighbours: Neighbours) -> None:
    neighbours.host.answers = [500] * 1000
    neighbours.office.answers = ["451 4.3.0 later"] * 1000
    await neighbours.say(await neighbours.deliver(), ONE_CLICK)
    for _ in range(100):
        await neighbours.work()
        neighbours.api.house.clock.advance(hours=1)
    assert 10 < len(neighbours.host.posted) < 30
    ends = [each for each in await neighbours.activity() if each.startswith("unwanted.")]
    assert sorted(ends) == ["unwanted.not-told", "unwanted.not-unsubscribed"]


async def test_a_rule_that_refuses_complains_of_nobody(neighbours: Neighbours) -> None:
    name = await neighbours.deliver()
    await neighbours.say(name, {"report": False})
    for number in range(2, 6):
        content = craft(
            mail(f"Letter {number}", number=number, CFBL_Address="fbl@greenleaf.example"),
            {"h": NAMES},
        )
        await neighbours.api.house.send(content, "anna@letterbox.example")
    neighbours.api.house.clock.advance(days=3)
    await neighbours.work()
    assert neighbours.office.came == []


async def test_another_persons_mail_is_not_there(neighbours: Neighbours) -> None:
    name = await neighbours.deliver()
    assert (await neighbours.say(name, ONE_CLICK, who="ben")).status == 404
    assert (await neighbours.say("0" * 32, ONE_CLICK)).status == 404
    assert (await neighbours.say(name, {"because": "rude"})).status == 422
    assert (await neighbours.say(name, {"complain": True})).status == 422
    await neighbours.work()
    assert neighbours.office.came == []


@pytest.mark.parametrize("step", range(5))
async def test_killed_at_any_step_it_happens_once_or_is_said_anew(
    neighbours: Neighbours, monkeypatch, step: int
) -> None:
    name = await neighbours.deliver()
    store = neighbours.api.house.app.store
    commit, left = store.commit, step

    async def until_killed(*commits):
        nonlocal left
        if not left:
            raise StoreUnavailable("killed")
        left -= 1
        return await commit(*commits)

    monkeypatch.setattr(store, "commit", until_killed)
    monkeypatch.setattr("letterbox.delivery.worker._AFTER_TROUBLE", 0.0)
    status = (await neighbours.say(name, ONE_CLICK)).status
    if status == 200:
        with suppress(StoreUnavailable):
            await neighbours.api.house.app.worker.run_once()
    monkeypatch.setattr(store, "commit", commit)
    neighbours.api.house.app.consumers.forget("anna")
    assert (await neighbours.say(name, ONE_CLICK)).status == 200
    neighbours.api.house.clock.advance(hours=1)
    await neighbours.work()
    assert (
        len({email.message_from_bytes(c.content)["Message-ID"] for c in neighbours.office.came})
        == 1
    )
    assert len(await neighbours.api.house.feed("greenleaf")) == 1
    assert sum(each == "unwanted.told" for each in await neighbours.activity()) == 1
