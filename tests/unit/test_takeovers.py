"""Ways in under another's name: by an id, a key, a domain or a word that was somebody else's."""

import asyncio

import msgspec
import pytest

from letterbox.administration.failed import Failed
from letterbox.model.configuration import Configuration
from letterbox.model.vendor import Suspension
from letterbox.ports.store import Commit, StoreUnavailable
from tests.support.api import PEOPLE, open_api
from tests.support.house import SPF_HERE, mail
from tests.unit.test_administration_apply import apply
from tests.unit.test_vendors import (
    ALLOWS_DOMAIN,
    CONTENT,
    NEW,
    OPEN,
    arrive,
    claimed,
    domains,
    proven,
    publish,
    registered,
    unpublish,
    verify,
)

SQUATTED = """
[[vendor]]
id = "newshop"
name = "New Shop"
domains = {given}
"""


@pytest.mark.parametrize("given", ['["newshop.example"]', "[]"])
async def test_the_operator_gives_nothing_to_whoever_took_the_id_first(given):
    async with open_api(configuration=OPEN) as api:
        await registered(api, domains=["evil.example"])
        with pytest.raises(Failed):
            await apply(api.house, SQUATTED.format(given=given))
        assert (await api.call("POST", "/v1/messages", who="newshop", json=CONTENT)).status == 403


async def test_an_id_that_was_somebodys_is_nobody_elses():
    async with open_api(configuration=OPEN) as api:
        found = await registered(api)
        publish(api, found["domains"][0])
        await verify(api, "newshop", "newshop.example")
        await api.call("DELETE", "/v1/vendor/domains/newshop.example", who="newshop")
        api.house.clock.advance(days=8)
        await api.house.work()
        again = await api.call("POST", "/v1/vendors", json=NEW | {"domains": ["evil.example"]})
        assert again.status == 409


async def test_a_changed_domain_suspends_what_comes_with_a_key_too():
    people = ALLOWS_DOMAIN.format(side='domain = "other.example"')
    async with open_api(people) as api:
        first = await proven(api, "oldshop", "other.example")
        api.house.clock.advance(hours=1)
        unpublish(api, first)
        await proven(api, "newowner", "other.example")
        sent = await api.call(
            "POST",
            "/v1/messages",
            who="newowner",
            json=CONTENT | {"to": ["cor@letterbox.example"]},
        )
        assert [each["verdict"] for each in sent.json["results"]] == ["hold"]


async def test_who_has_the_domain_above_ours_neither_bars_nor_is_the_other_vendors():
    people = PEOPLE.replace('domains = ["voltshop.example"]', 'domains = ["house.example"]')
    configuration = Configuration(
        hostname="mail.house.example",
        domains=("letterbox.example",),
        public_url="https://letterbox.example",
    )
    async with open_api(people, configuration=configuration) as api:
        assert (await api.send()).status == 200
        foreign = mail(domain="mail.house.example", From="Greenleaf <greenleaf@mail.house.example>")
        sent = await api.call(
            "POST",
            "/v1/messages?to=anna@letterbox.example",
            who="voltshop",
            data=foreign,
            headers={"Content-Type": "message/rfc822"},
        )
        assert sent.status == 422


async def test_one_idempotency_key_on_two_routes_is_told_so():
    async with open_api() as api:
        headers = {"Idempotency-Key": "same"}
        form = {"domain": "volt.example"}
        content = CONTENT | {"to": ["ben@letterbox.example"]}
        for first, second in (
            (("/v1/vendor/domains", form), ("/v1/messages", content)),
            (("/v1/messages", content), ("/v1/vendor/domains", form)),
        ):
            replies = [
                await api.call("POST", path, who="voltshop", json=body, headers=headers)
                for path, body in (first, second)
            ]
            assert [reply.status for reply in replies[1:]] == [422]
            headers = {"Idempotency-Key": "other"}


async def test_no_key_outlives_a_forgotten_vendor():
    async with open_api(configuration=OPEN) as api:
        await registered(api)
        api.house.clock.advance(days=8)
        app = api.house.app
        revoke = app.credentials.revoke

        async def killed(prefix):
            raise asyncio.CancelledError

        app.credentials.revoke = killed
        with pytest.raises(asyncio.CancelledError):
            await api.house.work()
        app.credentials.revoke = revoke
        await api.house.work()
        old = api.credentials["newshop"]
        reply = await api.call("POST", "/v1/vendors", json=NEW)
        assert reply.status == 201
        me = await api.call("GET", "/v1/vendor", headers={"Authorization": f"Bearer {old}"})
        assert me.status == 401


async def test_a_forgotten_vendor_leaves_no_claims():
    async with open_api(configuration=OPEN) as api:
        await registered(api, domains=["evil.example", "newshop.example"])
        api.house.clock.advance(days=8)
        await api.house.work()
        await registered(api)
        assert set(await domains(api, "newshop")) == {"newshop.example"}


FRIEND = """
[[consumer]]
id = "cor"
addresses = ["cor@letterbox.example"]
  [[consumer.vendor]]
  address = "cees@letterbox.example"
  scope = "everything"
"""


async def test_a_vendor_that_calls_itself_as_a_person_is_not_that_person():
    async with open_api(FRIEND, configuration=OPEN) as api:
        await registered(api, id="cees", name="Cees", domains=["other.example"])
        await proven(api, "cees", "third.example")
        content = CONTENT | {"to": ["cor@letterbox.example"]}
        sent = await api.call("POST", "/v1/messages", who="cees", json=content)
        assert sent.json["results"][0]["verdict"] == "refuse"


ASKS = PEOPLE.replace('language = "nl"', 'language = "nl"\nnewcomers = "ask"')


async def test_a_vendor_registered_under_anothers_name_is_flagged():
    people = ASKS.replace('name = "Voltshop"', 'name = "Greenleaf Garden"')
    async with open_api(people) as api:
        content = mail(domain="voltshop.example", From="News <news@voltshop.example>")
        sent = await api.call(
            "POST",
            "/v1/messages?to=anna@letterbox.example",
            who="voltshop",
            data=content,
            headers={"Content-Type": "message/rfc822"},
        )
        assert sent.status == 200, sent.body
        held = (await api.call("GET", "/v1/me/held", who="anna")).json["items"]
        assert [flag["code"] for flag in held[0].get("flags", ())] == ["lookalike-name"]


@pytest.mark.parametrize("how", ["gives up", "moves", "lapses"])
async def test_a_suspended_vendor_does_not_shed_its_suspension_with_its_domain(how):
    async with open_api() as api:
        house = api.house
        item = await proven(api, "voltshop", "volt.example")
        house.zone.records["volt.example"] = SPF_HERE
        await house.app.administration.perform("vendor suspend", {"vendor": "voltshop"})
        if how == "gives up":
            gone = await api.call("DELETE", "/v1/vendor/domains/volt.example", who="voltshop")
            assert gone.status == 409
        elif how == "moves":
            unpublish(api, item)
            other = await claimed(api, "greenleaf", "volt.example")
            publish(api, other)
            assert (await verify(api, "greenleaf", "volt.example")).status == 409
        else:
            unpublish(api, item)
            for _ in range(10):
                house.clock.advance(days=1)
                await house.work()
        content = mail(domain="volt.example", To="anna@letterbox.example")
        told = (
            (await house.send(content, "anna@letterbox.example", sender="b@volt.example"))
            .outcomes[0]
            .told
        )
        assert told.reason.code == "vendor-suspended"


async def test_looking_for_ids_that_are_taken_is_counted():
    async with open_api(configuration=OPEN) as api:
        tries = [
            (await api.call("POST", "/v1/vendors", json=NEW | {"id": "greenleaf"})).status
            for _ in range(10)
        ]
        assert tries == [409] * 8 + [429] * 2


async def test_this_was_advertising_confirms_nobody():
    people = ALLOWS_DOMAIN.format(side='domain = "other.example"')
    async with open_api(people) as api:
        house = api.house
        first = await proven(api, "oldshop", "other.example")
        service = mail(
            domain="other.example",
            number=1,
            To="cor@letterbox.example",
            Subject="Your order 12345 has been shipped",
        )
        await house.send(service, "cor@letterbox.example", sender="b@other.example")
        house.clock.advance(hours=1)
        unpublish(api, first)
        await proven(api, "newowner", "other.example")
        house.clock.advance(hours=1)
        inbox = (await api.call("GET", "/v1/me/inbox", who="cor")).json["items"]
        assert len(inbox) == 1
        done = await api.call("POST", f"/v1/me/inbox/{inbox[0]['id']}/advertising", who="cor")
        assert done.status == 200, done.body
        assert (await arrive(api, 2)).text.startswith("held")


async def test_two_claims_verified_at_once_are_a_dispute(monkeypatch):
    async with open_api() as api:
        items = [await claimed(api, who, "volt.example") for who in ("voltshop", "greenleaf")]
        for item in items:
            publish(api, item)
        holder, both, asked = api.house.app.vendors.holder, asyncio.Barrier(2), []

        async def together(domain):
            found = await holder(domain)
            asked.append(domain)
            if len(asked) <= both.parties:
                await both.wait()  # neither has anything in its hands yet
            return found

        monkeypatch.setattr(api.house.app.vendors, "holder", together)
        async with asyncio.timeout(20):
            replies = await asyncio.gather(
                *(verify(api, who, "volt.example") for who in ("voltshop", "greenleaf"))
            )
        assert sorted(reply.status for reply in replies) == [200, 409]


async def test_name_servers_that_do_not_answer_do_not_add_up(monkeypatch):
    async with open_api() as api:
        house = api.house
        for name in ("a.example", "b.example", "c.example"):
            await proven(api, "voltshop", name)
        house.clock.advance(days=2)
        recheck, all_three = house.app.domain_proofs.recheck, asyncio.Barrier(3)

        async def slow(domain):
            await all_three.wait()  # each waits for the others: one after another never ends
            await recheck(domain)

        monkeypatch.setattr(house.app.domain_proofs, "recheck", slow)
        async with asyncio.timeout(20):
            await house.app.worker.run_once()


async def test_a_domain_too_deep_to_be_found_again_is_not_taken():
    async with open_api() as api:
        deep = "a.b.c.d.e.f.g.h.volt.example"
        reply = await api.call("POST", "/v1/vendor/domains", who="voltshop", json={"domain": deep})
        assert reply.status == 422


async def test_what_was_written_counts_though_the_store_did_not_say_so(monkeypatch) -> None:
    """Not what was remembered before: a suspended vendor would go on."""
    async with open_api(PEOPLE) as api:
        store = api.house.app.store
        commit = store.commit
        assert (await api.send()).status == 200

        async def unanswered(*commits: Commit) -> None:
            await commit(*commits)
            raise StoreUnavailable("no answer in time")

        with monkeypatch.context() as patch:
            patch.setattr(store, "commit", unanswered)
            with pytest.raises(StoreUnavailable):
                await api.house.app.vendors.suspend(
                    "greenleaf", Suspension(at=api.house.clock.now(), because="complaints")
                )
            anna = api.house.app.consumers
            before = await anna.stored("anna")
            wishes = msgspec.structs.replace(before.preferences, language="en")
            with pytest.raises(StoreUnavailable):
                await anna.revise("anna", wishes, expect=before.revision, now=api.house.clock.now())
        assert (await api.send(subject="Another")).status == 403
        assert (await anna.wishes("anna")).language == "en"
