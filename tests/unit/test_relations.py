"""What a consumer says of a vendor where its message is seen: with an answer, or after it came."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from letterbox.ports.store import StoreUnavailable
from tests.support.api import Api, open_api
from tests.support.house import SPF_HERE, House, mail, signed

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
addresses = ["anna@letterbox.example"]
timezone = "Europe/Amsterdam"
newcomers = "ask"
ask_for_days = 2

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
"""
ALL = {"scope": "everything"}


@asynccontextmanager
async def asking(people: str = PEOPLE):
    async with open_api(people) as api:
        api.house.zone.records |= {"gmail.com": SPF_HERE, "news.other.example": SPF_HERE}
        yield api


async def send(house: House, number: int = 1, domain: str = "greenleaf.example", **headers: str):
    content = mail(f"Offer {number}", number=number, domain=domain, **headers)
    if domain == "greenleaf.example":
        content = signed(content)
    received = await house.send(content, "anna@letterbox.example", sender=f"shop@{domain}")
    return received.outcomes[0].told


async def offer(house: House, number: int = 1):
    return await send(house, number, Letterbox_Kind="offer")


async def held(api: Api) -> list[dict]:
    """What waits."""
    return (await api.call("GET", "/v1/me/held", who="anna")).json["items"]


async def say(api: Api, name: str, word: str, relationship=None, *, who: str = "anna", **how):
    body = {} if relationship is None else {"json": {"relationship": relationship}}
    return await api.call("POST", f"/v1/me/held/{name}/{word}", who=who, **body, **how)


async def rules(api: Api) -> list[dict]:
    got = await api.call("GET", "/v1/me/preferences", who="anna")
    return got.json.get("vendor", [])


async def types(api: Api, vendor: str = "greenleaf") -> list[str]:
    return [event.type for event in await api.house.feed(vendor)]


def paths(reply) -> list[str]:
    assert reply.status == 422, reply.body
    return [error["path"] for error in reply.json["errors"]]


# ---- with an answer ----------------------------------------------------------------------------


async def test_a_yes_may_set_the_relationship_and_lets_the_others_through() -> None:
    async with asking() as api:
        for number in range(3):
            assert (await offer(api.house, number)).verdict == "hold"
        first = (await held(api))[0]
        reply = await say(api, first["id"], "release", ALL)
        whole = {"vendor": "greenleaf", "scope": "everything"}
        assert reply.json == {"id": first["id"], "answer": "release", "relationship": whole}
        assert await api.house.inbox("anna") == [first["subject"]]
        assert await rules(api) == [whole]
        await api.house.work()
        assert sorted(await api.house.inbox("anna")) == ["Offer 0", "Offer 1", "Offer 2"]
        assert await types(api) == [
            *["message.awaiting"] * 3,
            "relationship.changed",
            *["message.approved"] * 3,
        ]
        assert (await offer(api.house, 4)).verdict == "deliver"
        history = await api.call("GET", "/v1/me/preferences/history", who="anna")
        assert history.json["items"][0]["by"] == "answer"


async def test_a_no_may_lock_the_vendor_out_and_refuses_the_others() -> None:
    async with asking() as api:
        await offer(api.house, 1)
        await offer(api.house, 2)
        first = (await held(api))[0]
        blocked = {"standing": "blocked", "because": "too-often"}
        blocked["remedy"] = {"limit": {"messages": 1, "per": "month"}}
        reply = await say(api, first["id"], "refuse", blocked)
        assert reply.json["relationship"] == {"vendor": "greenleaf", **blocked}
        await api.house.work()
        assert await held(api) == []
        assert await api.house.inbox("anna") == []
        events = await api.house.feed("greenleaf")
        assert [event.type for event in events] == [
            *["message.awaiting"] * 2,
            "relationship.blocked",
            "message.declined",
            "message.refused",
        ]
        said = events[2]
        assert (said.reason.code, said.reason.detail, said.reason.remedies) == (
            "vendor-blocked",
            "Locked out: too often",
            ("at most 1 per month",),
        )
        # A day and no hour, and a reference that leads somewhere.
        assert said.at.isoformat() == "2026-11-23T00:00:00+00:00"
        page = await api.call("GET", f"/r/{said.reference}")
        assert b"too often" in page.body
        assert (await offer(api.house, 3)).line.startswith("550 5.7.1 vendor-blocked: ")


@pytest.mark.parametrize(
    ("domain", "named", "expected"),
    [
        ("greenleaf.example", {}, {"vendor": "greenleaf"}),
        ("greenleaf.example", {"vendor": "Greenleaf"}, {"vendor": "Greenleaf"}),
        ("greenleaf.example", {"domain": "greenleaf.example"}, {"domain": "greenleaf.example"}),
        ("greenleaf.example", {"address": "Shop@greenleaf.example"}, {}),
        ("other.example", {}, {"domain": "other.example"}),
        ("news.other.example", {}, {"domain": "news.other.example"}),
        ("news.other.example", {"domain": "other.example"}, {"domain": "other.example"}),
        ("gmail.com", {}, {"address": "shop@gmail.com"}),
        ("gmail.com", {"address": "shop+x@gmail.com"}, {"address": "shop+x@gmail.com"}),
    ],
)
async def test_whom_it_is_with_comes_from_who_sent_it(domain, named, expected) -> None:
    async with asking() as api:
        assert (await send(api.house, 1, domain)).verdict == "hold"
        (entry,) = await held(api)
        said = {"accepts": ["personal"], "scope": "everything", **named}
        reply = await say(api, entry["id"], "release", said)
        assert reply.status == 200, reply.body
        assert await rules(api) == [
            {"accepts": ["personal"], "scope": "everything"} | named | expected
        ]
        assert (await send(api.house, 2, domain)).verdict == "deliver"


@pytest.mark.parametrize(
    "rule",
    [
        'vendor = "greenleaf"',
        'domain = "greenleaf.example"',
        'address = "shop@greenleaf.example"',
    ],
)
async def test_a_yes_takes_the_place_of_the_relationship_that_asks(rule: str) -> None:
    people = PEOPLE.replace(
        'newcomers = "ask"', f'newcomers = "ask"\nvendor = [{{ {rule}, standing = "ask" }}]'
    )
    async with asking(people) as api:
        await offer(api.house, 1)
        (entry,) = await held(api)
        assert (await say(api, entry["id"], "release", ALL)).status == 200
        (now,) = await rules(api)
        side, _, name = rule.partition(" = ")
        assert now == {side: name.strip('"'), "scope": "everything"}
        assert (await offer(api.house, 2)).verdict == "deliver"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"relationship": {"standing": "friend"}}, "relationship.standing"),
        ({"relationship": {"accepts": []}}, "relationship.accepts"),
        ({"relationship": {"because": "other"}}, "relationship.because"),
        ({"relationship": {"limits": 1}}, "relationship.limits"),
        (
            {"relationship": {"limit": [{"messages": 0, "per": "day"}]}},
            "relationship.limit[0].messages",
        ),
        ({"relationship": {"vendor": "voltshop"}}, "relationship.vendor"),
        ({"relationship": {"domain": "other.example"}}, "relationship.domain"),
        ({"relationship": {"domain": "example"}}, "relationship.domain"),
        ({"relationship": {"address": "other@greenleaf.example"}}, "relationship.address"),
        ({"relationship": {"vendor": "greenleaf", "domain": "greenleaf.example"}}, "relationship"),
        ({"relation": {}}, "relation"),
    ],
)
@pytest.mark.parametrize("word", ["release", "refuse"])
async def test_a_mistake_is_named_and_nothing_happens(word, body, path) -> None:
    async with asking() as api:
        await offer(api.house)
        (entry,) = await held(api)
        reply = await api.call("POST", f"/v1/me/held/{entry['id']}/{word}", who="anna", json=body)
        assert paths(reply) == [path]
        assert await held(api) == [entry]
        assert await rules(api) == []
        assert await types(api) == ["message.awaiting"]


async def test_a_name_that_another_relationship_goes_before_is_refused() -> None:
    people = PEOPLE.replace(
        'newcomers = "ask"',
        'newcomers = "ask"\nvendor = [{ vendor = "greenleaf", standing = "ask" }]',
    )
    async with asking(people) as api:
        await offer(api.house)
        (entry,) = await held(api)
        reply = await say(api, entry["id"], "release", {"domain": "greenleaf.example"})
        assert paths(reply) == ["relationship.domain"]
        assert "goes before it" in reply.json["errors"][0]["mistake"]


@pytest.mark.parametrize(("word", "subjects"), [("release", ["Offer 1"]), ("refuse", [])])
async def test_said_twice_it_happens_once(word: str, subjects: list[str]) -> None:
    async with asking() as api:
        await offer(api.house)
        (entry,) = await held(api)
        first = await say(api, entry["id"], word, ALL)
        again = await say(api, entry["id"], word, ALL)
        assert (again.status, again.body) == (200, first.body)
        # Something else was not said before.
        assert (await say(api, entry["id"], word, {"scope": "interests"})).status == 404
        other = "refuse" if word == "release" else "release"
        assert (await say(api, entry["id"], other, ALL)).status == 404
        assert await api.house.inbox("anna") == subjects
        done = "message.approved" if subjects else "message.declined"
        assert await types(api) == ["message.awaiting", "relationship.changed", done]


async def test_what_is_somebody_elses_is_not_there() -> None:
    async with asking() as api:
        await offer(api.house)
        (entry,) = await held(api)
        assert (await say(api, entry["id"], "release", ALL, who="ben")).status == 404
        assert (await say(api, entry["id"][::-1], "release", ALL)).status == 404
        assert await rules(api) == []


@pytest.mark.parametrize(("word", "subjects"), [("release", ["Offer 1"]), ("refuse", [])])
async def test_a_word_that_was_cut_off_is_acted_on(word, subjects, monkeypatch) -> None:
    """The relationship is written, and then the server falls: the message does not go its own way.

    By the relationship alone it would be refused where the word was yes (it matches no interest),
    and delivered where it was no.
    """
    async with asking() as api:
        await offer(api.house)
        (entry,) = await held(api)
        rule = {"scope": "interests" if word == "release" else "everything"}

        async def falls(*_: object, **__: object) -> bool:
            raise StoreUnavailable("the server fell")

        with monkeypatch.context() as patch:
            patch.setattr(api.house.app.holds, "answer", falls)
            assert (await say(api, entry["id"], word, rule)).status == 503
        assert len(await rules(api)) == 1
        assert len(await held(api)) == 1
        await api.house.work()
        assert await held(api) == []
        assert await api.house.inbox("anna") == subjects
        assert (await say(api, entry["id"], word, rule)).status == 200


async def test_a_word_noted_while_the_worker_looks_is_not_overlooked(monkeypatch) -> None:
    """The worker has read what waits, not yet the wishes, when the word and they are written."""
    async with asking() as api:
        await offer(api.house)
        (entry,) = await held(api)
        app = api.house.app
        body, answer = app.mailboxes.body, app.holds.answer

        async def falls(*_: object, **__: object) -> bool:
            raise StoreUnavailable("the server fell")

        async def meanwhile(message: str) -> bytes | None:
            monkeypatch.setattr(app.mailboxes, "body", body)
            monkeypatch.setattr(app.holds, "answer", falls)
            assert (await say(api, entry["id"], "release", {})).status == 503
            monkeypatch.setattr(app.holds, "answer", answer)
            return await body(message)

        monkeypatch.setattr(app.mailboxes, "body", meanwhile)
        await app.holds.open("anna", entry["id"])
        await api.house.work()
        assert await api.house.inbox("anna") == ["Offer 1"]


async def test_where_the_message_went_in_between_no_relationship_is_set(monkeypatch) -> None:
    async with asking() as api:
        await offer(api.house)
        (entry,) = await held(api)
        revise = api.house.app.consumers.revise_piece

        async def after_a_no(*given, **options):
            await api.house.app.holds.answer("anna", entry["id"], yes=False)
            return await revise(*given, **options)

        monkeypatch.setattr(api.house.app.consumers, "revise_piece", after_a_no)
        assert (await say(api, entry["id"], "release", ALL)).status == 404
        assert await rules(api) == []
        assert await api.house.inbox("anna") == []


async def test_yes_and_no_at_once_decide_once() -> None:
    async with asking() as api:
        await offer(api.house)
        (entry,) = await held(api)
        blocked = {"standing": "blocked", "because": "other"}
        replies = await asyncio.gather(
            say(api, entry["id"], "release", ALL), say(api, entry["id"], "refuse", blocked)
        )
        assert {reply.status for reply in replies} <= {200, 404}
        await api.house.work()
        done = [t for t in await types(api) if t in {"message.approved", "message.declined"}]
        assert len(done) == 1
        assert (done == ["message.approved"]) == (await api.house.inbox("anna") == ["Offer 1"])
        (now,) = await rules(api)
        assert now["vendor"] == "greenleaf"


WINDOW = PEOPLE.replace(
    'newcomers = "ask"',
    'newcomers = "ask"\nwindow = [{ days = ["tue"], from = "09:00", until = "12:00" }]',
)


async def test_a_yes_while_the_window_is_shut_waits_on_for_the_window() -> None:
    async with asking(WINDOW) as api:
        await offer(api.house)
        (entry,) = await held(api)
        assert entry["why"] == "awaiting-consumer"
        await say(api, entry["id"], "release", ALL)
        (entry,) = await held(api)
        assert (entry["why"], entry["until"]) == ("window-closed", "2026-11-24T08:00:00Z")
        api.house.clock.advance(hours=20)
        await api.house.work()
        assert await api.house.inbox("anna") == ["Offer 1"]
        events = await api.house.feed("greenleaf")
        assert [(event.type, event.verdict) for event in events] == [
            ("message.awaiting", "hold"),
            ("relationship.changed", "deliver"),
            ("message.approved", "hold"),
            ("message.released", "deliver"),
        ]
        assert str(events[2].until) == "2026-11-24"


@pytest.mark.parametrize(
    ("tells", "expected"),
    [
        ("nothing", None),
        ("class", ("choice", None, ())),
        ("reason", ("vendor-blocked", "Locked out: not relevant", ())),
        ("remedy", ("vendor-blocked", "Locked out: not relevant", ("only service mail",))),
    ],
)
async def test_the_vendor_hears_of_it_as_its_level_lets_it(tells, expected) -> None:
    async with asking() as api:
        await offer(api.house)
        (entry,) = await held(api)
        rule = {"standing": "blocked", "because": "not-relevant", "tells": tells}
        rule["remedy"] = {"accepts": ["service"]}
        assert (await say(api, entry["id"], "refuse", rule)).status == 200
        heard = [e for e in await api.house.feed("greenleaf") if e.type == "relationship.blocked"]
        told = [(e.reason.code, e.reason.detail, e.reason.remedies) for e in heard]
        assert told == ([expected] if expected else [])


async def test_who_was_locked_out_hears_that_it_is_not_any_more() -> None:
    async with asking() as api:
        await offer(api.house)
        (entry,) = await held(api)
        stored = await api.house.app.consumers.stored("anna")
        put = await api.call(
            "PUT",
            "/v1/me/vendors/greenleaf",
            who="anna",
            json={"vendor": "greenleaf", "standing": "blocked"},
            headers={"If-None-Match": "*"},
        )
        assert (stored.revision, put.status) == (1, 200)
        # Before the worker has come to it.
        assert (await say(api, entry["id"], "release", ALL)).status == 200
        assert await types(api) == [
            "message.awaiting",
            "relationship.blocked",
            "relationship.reinstated",
            "message.approved",
        ]


async def test_who_is_not_registered_has_no_feed_and_nothing_is_sent() -> None:
    async with asking() as api:
        await send(api.house, 1, "other.example")
        (entry,) = await held(api)
        rule = {"accepts": ["personal"], "scope": "everything"}
        assert (await say(api, entry["id"], "release", rule)).status == 200
        await api.house.work()
        assert await api.house.app.store.outbox() == []
        assert await api.house.inbox("anna") == ["Offer 1"]


# ---- this was advertising ----------------------------------------------------------------------

KNOWN = PEOPLE.replace('newcomers = "ask"', 'newcomers = "refuse"\nvendor = [{ RULE }]')
SERVICE = {"Letterbox_Kind": "service"}


async def advertise(api: Api, name: str, *, who: str = "anna"):
    return await api.call("POST", f"/v1/me/inbox/{name}/advertising", who=who)


async def arrived(api: Api) -> str:
    return (await api.call("GET", "/v1/me/inbox", who="anna")).json["items"][0]["id"]


async def test_advertising_takes_the_right_to_service_mail_away() -> None:
    people = KNOWN.replace("RULE", 'vendor = "greenleaf", accepts = ["service", "offer"]')
    async with asking(people) as api:
        assert (await send(api.house, 1, **SERVICE)).verdict == "deliver"
        name = await arrived(api)
        reply = await advertise(api, name)
        assert reply.json == {
            "id": name,
            "sentence": "You take no service mail from Greenleaf Garden.",
            "before": {"vendor": "greenleaf", "accepts": ["service", "offer"]},
            "after": {"vendor": "greenleaf", "accepts": ["offer"]},
        }
        assert (await send(api.house, 2, **SERVICE)).line.startswith("550 5.7.1 kind-not-wanted: ")
        event = (await api.house.feed("greenleaf"))[0]
        assert (event.type, event.reason.code, event.reason.remedies) == (
            "relationship.changed",
            "kind-not-wanted",
            ("send only offers",),
        )
        # Said again it changes nothing, and nobody hears of it.
        again = (await advertise(api, name)).json
        assert again["before"] == again["after"] == reply.json["after"]
        assert again["sentence"] == reply.json["sentence"]
        assert await types(api) == ["relationship.changed", "message.refused"]


async def test_what_advertising_changed_can_be_put_back() -> None:
    async with asking(KNOWN.replace("RULE", 'vendor = "greenleaf"')) as api:
        await send(api.house, 1, **SERVICE)
        await advertise(api, await arrived(api))
        history = (await api.call("GET", "/v1/me/preferences/history", who="anna")).json["items"]
        assert (history[0]["by"], history[0]["revision"]) == ("advertising", 2)
        back = await api.call(
            "POST",
            "/v1/me/preferences/history/1/restore",
            who="anna",
            headers={"If-Match": '"2"'},
        )
        assert back.status == 200
        assert (await send(api.house, 2, **SERVICE)).verdict == "deliver"


async def test_a_vendor_that_may_then_send_nothing_is_locked_out() -> None:
    people = KNOWN.replace("RULE", 'domain = "greenleaf.example", accepts = ["service"]')
    async with asking(people) as api:
        await send(api.house, 1, **SERVICE)
        reply = await advertise(api, await arrived(api))
        assert reply.json["sentence"] == "You locked out Greenleaf Garden: not relevant."
        assert reply.json["after"] == {
            "domain": "greenleaf.example",
            "standing": "blocked",
            "accepts": ["service"],
            "because": "not-relevant",
        }
        assert (await send(api.house, 2, **SERVICE)).line.startswith("550 5.7.1 vendor-blocked: ")
        assert await types(api) == ["relationship.blocked", "message.refused"]


@pytest.mark.parametrize(
    ("tells", "code"), [("nothing", None), ("class", "choice"), ("reason", "kind-not-wanted")]
)
async def test_advertising_is_told_as_the_level_lets_it(tells, code) -> None:
    async with asking(KNOWN.replace("RULE", f'vendor = "greenleaf", tells = "{tells}"')) as api:
        await send(api.house, 1, **SERVICE)
        await advertise(api, await arrived(api))
        assert [e.reason.code for e in await api.house.feed("greenleaf")] == (
            [code] if code else []
        )


async def test_a_newcomers_advertising_makes_no_relationship() -> None:
    people = PEOPLE.replace(
        'newcomers = "ask"',
        'newcomers = "interests"\nlanguage = "nl"\ninterest = [{ id = "all", open_to = "anyone" }]',
    )
    async with asking(people) as api:
        assert (await offer(api.house)).verdict == "deliver"
        reply = await advertise(api, await arrived(api))
        assert (reply.status, reply.json["before"], reply.json["after"]) == (200, None, None)
        assert reply.json["sentence"] == "Greenleaf Garden staat niet op je lijst."
        assert await rules(api) == []


async def test_advertising_is_ones_own_to_say() -> None:
    async with asking(KNOWN.replace("RULE", 'vendor = "greenleaf"')) as api:
        await send(api.house, 1, **SERVICE)
        name = await arrived(api)
        for reply in (
            await advertise(api, name, who="ben"),
            await advertise(api, name[::-1]),
            await advertise(api, "x"),
        ):
            assert reply.status == 404
        reply = await api.call(
            "POST", f"/v1/me/inbox/{name}/advertising", who="anna", json={"why": "x"}
        )
        assert paths(reply) == ["why"]
        assert await rules(api) == [{"vendor": "greenleaf"}]


async def test_the_operators_mail_is_under_no_relationship() -> None:
    async with asking() as api:
        await api.house.send(mail("Help"), "postmaster@letterbox.example")
        page = await api.house.app.mailboxes.inbox("operator", after=None, limit=1)
        done = await api.house.app.relations.advertising("operator", page.items[0].id)
        assert done is not None
        assert (done.before, done.after) == (None, None)
