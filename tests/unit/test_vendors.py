"""Vendors register, prove their domains, lose them, and hold keys; seen through the API."""

import asyncio

import msgspec
import pytest

from letterbox.administration import Failed
from letterbox.intake import Submission
from letterbox.model.configuration import Configuration, HttpSection, LimitsSection, VendorsSection
from letterbox.ports.store import Commit, Put
from letterbox.records.coding import encode
from tests.support.api import PEOPLE, open_api
from tests.support.house import SPF_HERE, mail, signed

OPEN = Configuration(
    public_url="https://letterbox.example",
    vendors=VendorsSection(self_registration=True, registrations_per_network_day=8),
)
NEW = {"id": "newshop", "name": "New Shop", "domains": ["newshop.example"]}
CONTENT = {
    "to": ["anna@letterbox.example"],
    "kind": "service",
    "subject": "Your order",
    "text": "It is on its way.",
}


async def registered(api, **changes):
    """A vendor that has registered by itself; its answer, and its key kept for calls."""
    name = f"The {changes.get('id', 'new')} shop"
    reply = await api.call("POST", "/v1/vendors", json=NEW | {"name": name} | changes)
    assert reply.status == 201, reply.body
    api.credentials[reply.json["id"]] = reply.json["key"]
    return reply.json


def publish(api, item):
    """Put the record of a domain into the DNS, beside what stands there."""
    record = item["record"]
    assert record["type"] == "TXT"
    types = api.house.zone.records.setdefault(record["name"], {})
    types["TXT"] = [*types.get("TXT", ()), record["value"]]


def unpublish(api, item):
    types = api.house.zone.records[item["record"]["name"]]
    types["TXT"] = [text for text in types["TXT"] if text != item["record"]["value"]]


async def claimed(api, who, domain):
    reply = await api.call("POST", "/v1/vendor/domains", who=who, json={"domain": domain})
    assert reply.status == 201, reply.body
    return reply.json


async def verify(api, who, domain):
    return await api.call("POST", f"/v1/vendor/domains/{domain}/verify", who=who)


async def proven(api, who, domain):
    """A domain that a vendor has claimed and proven."""
    item = await claimed(api, who, domain)
    publish(api, item)
    reply = await verify(api, who, domain)
    assert (reply.status, reply.json["state"]) == (200, "proven"), reply.body
    return item


async def domains(api, who):
    reply = await api.call("GET", "/v1/vendor/domains", who=who)
    return {item["domain"]: item["state"] for item in reply.json["items"]}


async def types(api, vendor):
    return [(event.type, event.domain) for event in await api.house.feed(vendor) if event.domain]


# ---- registering


async def test_nobody_registers_unless_the_operator_lets_them():
    async with open_api() as api:
        reply = await api.call("POST", "/v1/vendors", json=NEW)
        assert reply.status == 403
        assert "ask the operator" in reply.json["detail"]


async def test_a_vendor_registers_proves_its_domain_and_sends():
    async with open_api(configuration=OPEN) as api:
        found = await registered(api)
        early = await api.call("POST", "/v1/messages", who="newshop", json=CONTENT)
        assert early.status == 403
        assert "prove a domain first" in early.json["detail"]
        publish(api, found["domains"][0])
        assert (await verify(api, "newshop", "newshop.example")).json["state"] == "proven"
        sent = await api.call("POST", "/v1/messages", who="newshop", json=CONTENT)
        assert sent.status == 200
        assert sent.json["results"][0]["reason"]["code"] == "no-relationship"
        me = (await api.call("GET", "/v1/vendor", who="newshop")).json
        assert [each["domain"] for each in me["domains"]] == ["newshop.example"]
        assert await types(api, "newshop") == [("domain.proven", "newshop.example")]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"domains": ["example"]}, "domains[0]"),
        ({"domains": ["co.uk"]}, "domains[0]"),
        ({"domains": ["new.example", "gmail.com"]}, "domains[1]"),
        ({"domains": ["mail.gmail.com"]}, "domains[0]"),
        ({"domains": ["letterbox.example"]}, "domains[0]"),
        ({"domains": ["shop.letterbox.example"]}, "domains[0]"),
        ({"domains": ["not a domain"]}, "domains[0]"),
        ({"domains": []}, "domains"),
        ({"id": "Not An Id"}, "id"),
        ({"id": "postmaster"}, "id"),
        ({"id": "greenleaf.example"}, "id"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "  "}, "name"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_what_cannot_be_registered_is_named(changes, path):
    async with open_api(configuration=OPEN) as api:
        reply = await api.call("POST", "/v1/vendors", json=NEW | changes)
        assert reply.status == 422
        assert [error["path"] for error in reply.json["errors"]] == [path]
        assert await api.house.app.vendors.get("newshop") is None


async def test_an_id_is_given_once_and_a_network_has_its_share():
    async with open_api(configuration=OPEN) as api:
        await registered(api)
        assert (await api.call("POST", "/v1/vendors", json=NEW)).status == 409
        for like in (
            {"id": "greenleaf"},
            {"id": "gr33nleaf"},
            {"id": "garden", "name": "greenleaf  GARDEN"},
            {"id": "garden", "name": "Gr\u0435enleaf Garden"},
        ):
            reply = await api.call("POST", "/v1/vendors", json=NEW | like)
            assert (reply.status, like) == (409, like)
        await registered(api, id="second")
        await registered(api, id="third")
        full = await api.call("POST", "/v1/vendors", json=NEW | {"id": "fourth", "name": "4th"})
        assert full.status == 429
        assert int(full.headers["Retry-After"]) > 0
        api.house.clock.advance(days=1)
        await registered(api, id="fourth")
        assert (await api.call("POST", "/v1/vendors", json=NEW | {"id": "greenleaf"})).status == 409


async def test_a_vendor_that_proves_nothing_is_forgotten_and_its_id_is_free_again():
    async with open_api(configuration=OPEN) as api:
        await registered(api)
        await registered(api, id="honest", domains=["honest.example"])
        await proven(api, "honest", "honest.example")
        api.house.clock.advance(days=8)
        await api.house.work()
        assert (await api.call("GET", "/v1/vendor", who="newshop")).status == 401
        assert (await api.call("GET", "/v1/vendor", who="honest")).status == 200
        await registered(api)


async def test_wishes_speak_of_a_vendor_once_it_has_proven_something():
    async with open_api(configuration=OPEN) as api:
        found = await registered(api)
        rule = {"vendor": "newshop"}
        early = await api.call("POST", "/v1/me/vendors", who="anna", json=rule)
        assert early.status == 422
        publish(api, found["domains"][0])
        await verify(api, "newshop", "newshop.example")
        assert (await api.call("POST", "/v1/me/vendors", who="anna", json=rule)).status == 201


async def test_keys_that_are_over_make_room():
    async with open_api() as api:
        made = await api.call("POST", "/v1/vendor/keys", who="voltshop", json={})
        prefix = made.json["prefix"]
        for _ in range(60):
            path = f"/v1/vendor/keys/{prefix}/rotate"
            rotated = await api.call("POST", path, who="voltshop", json={"overlap_hours": 0})
            assert rotated.status == 201
            prefix = rotated.json["prefix"]
        assert len(await api.house.app.credentials.prefixes("key", "voltshop")) <= 4


# ---- domains


async def test_a_domain_is_proven_by_its_own_record_alone():
    async with open_api() as api:
        item = await claimed(api, "voltshop", "volt.example")
        assert item["state"] == "pending"
        absent = await verify(api, "voltshop", "volt.example")
        assert absent.status == 409
        assert item["record"]["value"] in absent.json["detail"]
        other = await claimed(api, "greenleaf", "volt.example")
        assert other["record"]["value"] != item["record"]["value"]
        publish(api, other)  # somebody else's record proves nothing for voltshop
        assert (await verify(api, "voltshop", "volt.example")).status == 409
        publish(api, item)
        assert (await verify(api, "voltshop", "volt.example")).json["state"] == "proven"
        assert (await api.house.app.vendors.holder("shop.volt.example")).vendor == "voltshop"


async def test_trouble_with_the_dns_decides_nothing():
    async with open_api() as api:
        item = await claimed(api, "voltshop", "volt.example")
        api.house.zone.trouble = frozenset({item["record"]["name"]})
        reply = await verify(api, "voltshop", "volt.example")
        assert reply.status == 503
        assert reply.headers["Retry-After"]
        assert await domains(api, "voltshop") == {
            "volt.example": "pending",
            "voltshop.example": "proven",
        }


@pytest.mark.parametrize(
    "domain", ["gmail.com", "co.uk", "example", "letterbox.example", "no domain", ""]
)
async def test_what_is_nobodys_vendor_cannot_be_claimed(domain):
    async with open_api() as api:
        reply = await api.call(
            "POST", "/v1/vendor/domains", who="voltshop", json={"domain": domain}
        )
        assert reply.status == 422
        assert reply.json["errors"][0]["path"] == "domain"


async def test_a_second_claim_waits_for_the_first_ones_record_to_go_and_both_are_told():
    async with open_api() as api:
        first = await proven(api, "greenleaf", "leaf.example")
        second = await claimed(api, "voltshop", "leaf.example")
        publish(api, second)
        contested = await verify(api, "voltshop", "leaf.example")
        assert contested.status == 409
        assert "another vendor's record" in contested.json["detail"]
        assert ("domain.contested", "leaf.example") in await types(api, "greenleaf")
        assert ("domain.contested", "leaf.example") in await types(api, "voltshop")
        assert (await verify(api, "voltshop", "leaf.example")).status == 409  # told once a day
        unpublish(api, first)
        assert (await verify(api, "voltshop", "leaf.example")).json["state"] == "proven"
        assert await types(api, "greenleaf") == [
            ("domain.proven", "leaf.example"),
            ("domain.contested", "leaf.example"),
            ("domain.lost", "leaf.example"),
        ]
        assert (await domains(api, "greenleaf"))["leaf.example"] == "pending"
        assert (await api.house.app.vendors.holder("leaf.example")).vendor == "voltshop"
        assert "leaf.example" not in (await api.house.app.vendors.get("greenleaf")).own_domains


async def test_what_the_operator_gave_no_record_takes_away():
    async with open_api() as api:
        item = await claimed(api, "voltshop", "greenleaf.example")
        publish(api, item)
        reply = await verify(api, "voltshop", "greenleaf.example")
        assert reply.status == 409
        assert "operator" in reply.json["detail"]
        assert (await api.house.app.vendors.holder("greenleaf.example")).vendor == "greenleaf"
        assert ("domain.contested", "greenleaf.example") in await types(api, "greenleaf")


async def test_a_domain_below_anothers_may_be_proven_and_the_other_is_told():
    async with open_api() as api:
        await proven(api, "voltshop", "lights.greenleaf.example")
        vendors = api.house.app.vendors
        assert (await vendors.holder("a.lights.greenleaf.example")).vendor == "voltshop"
        assert (await vendors.holder("greenleaf.example")).vendor == "greenleaf"
        assert await types(api, "greenleaf") == [("domain.contested", "lights.greenleaf.example")]


async def test_a_record_that_goes_missing_costs_the_domain_only_after_a_week():
    async with open_api() as api:
        item = await proven(api, "voltshop", "volt.example")
        house = api.house
        unpublish(api, item)
        house.clock.advance(days=1)
        await house.work()
        assert (await domains(api, "voltshop"))["volt.example"] == "failing"
        assert (await house.app.vendors.holder("volt.example")).vendor == "voltshop"
        publish(api, item)
        house.clock.advance(days=1)
        await house.work()
        assert (await domains(api, "voltshop"))["volt.example"] == "proven"
        unpublish(api, item)
        for _ in range(9):
            house.clock.advance(days=1)
            await house.work()
        assert (await domains(api, "voltshop"))["volt.example"] == "pending"
        assert (await house.app.vendors.holder("volt.example")).vendor == ""
        assert await types(api, "voltshop") == [
            ("domain.proven", "volt.example"),
            ("domain.failing", "volt.example"),
            ("domain.failing", "volt.example"),
            ("domain.lost", "volt.example"),
        ]


async def test_a_resolver_that_fails_costs_no_domain():
    async with open_api() as api:
        item = await proven(api, "voltshop", "volt.example")
        house = api.house
        house.zone.trouble = frozenset({item["record"]["name"]})
        for _ in range(20):
            house.clock.advance(days=1)
            await house.work()
        assert (await domains(api, "voltshop"))["volt.example"] == "proven"


async def test_a_domain_is_given_up():
    async with open_api() as api:
        await proven(api, "voltshop", "volt.example")
        gone = await api.call("DELETE", "/v1/vendor/domains/volt.example", who="voltshop")
        assert gone.status == 204
        assert (await api.house.app.vendors.holder("volt.example")).vendor == ""
        again = await api.call("DELETE", "/v1/vendor/domains/volt.example", who="voltshop")
        assert again.status == 404
        api.house.clock.advance(days=3)
        await api.house.work()  # nothing is left to look at


async def test_another_vendors_claim_looks_like_none():
    async with open_api() as api:
        await claimed(api, "voltshop", "volt.example")
        assert (await verify(api, "greenleaf", "volt.example")).status == 404
        gone = await api.call("DELETE", "/v1/vendor/domains/volt.example", who="greenleaf")
        assert gone.status == 404


async def test_an_idempotent_claim_is_made_once():
    async with open_api() as api:
        calls = [
            await api.call(
                "POST",
                "/v1/vendor/domains",
                who="voltshop",
                json={"domain": "volt.example"},
                headers={"Idempotency-Key": "claim-1"},
            )
            for _ in range(2)
        ]
        assert [call.status for call in calls] == [201, 201]
        assert calls[0].body == calls[1].body


async def test_a_key_of_a_message_is_not_one_for_another_call():
    async with open_api() as api:
        again = {"Idempotency-Key": "same"}
        content = CONTENT | {"to": ["nobody@letterbox.example"]}
        sent = await api.call("POST", "/v1/messages", who="voltshop", json=content, headers=again)
        assert sent.status == 200
        reused = await api.call("POST", "/v1/vendor/keys", who="voltshop", json={}, headers=again)
        assert reused.status == 422
        made = await api.call(
            "POST", "/v1/vendor/keys", who="voltshop", json={}, headers={"Idempotency-Key": "new"}
        )
        assert made.status == 201


async def test_many_name_servers_that_do_not_answer_hold_nobody_up():
    async with open_api() as api:
        house, waiting = api.house, []
        for number in range(30):
            await proven(api, "voltshop", f"v{number}.example")
        ask, most = house.zone.ask, 0

        async def slow(name, record):
            nonlocal most
            waiting.append(name)
            most = max(most, len(waiting))
            await asyncio.sleep(0)
            waiting.remove(name)
            return await ask(name, record)

        house.zone.ask = slow
        house.clock.advance(days=1)
        await house.work()
        assert most == 30


async def test_applying_a_people_file_leaves_what_was_proven():
    async with open_api() as api:
        await proven(api, "voltshop", "volt.example")
        await api.house.people(PEOPLE)
        assert (await api.house.app.vendors.get("voltshop")).own_domains == (
            "voltshop.example",
            "volt.example",
        )


# ---- changing hands


ALLOWS_DOMAIN = """
[[vendor]]
id = "oldshop"
name = "Old Shop"

[[vendor]]
id = "newowner"
name = "New Owner"

[[consumer]]
id = "cor"
addresses = ["cor@letterbox.example"]
  [[consumer.vendor]]
  {side}
  scope = "everything"
  accepts = ["service", "offer", "newsletter", "personal"]
"""


def to_cor(number):
    return mail(domain="other.example", number=number, To="cor@letterbox.example")


async def arrive(api, number):
    sent = await api.house.send(to_cor(number), "cor@letterbox.example", sender="b@other.example")
    return sent.outcomes[0].told


async def kept(api):
    """The relationship as it stands."""
    return (await api.call("GET", "/v1/me/vendors/other.example", who="cor")).json


@pytest.mark.parametrize("confirm", ["call", "answer", "again"])
async def test_a_domain_that_changes_hands_suspends_what_allowed_it(confirm):
    people = ALLOWS_DOMAIN.format(side='domain = "other.example"')
    async with open_api(people) as api:
        house = api.house
        first = await proven(api, "oldshop", "other.example")
        assert (await arrive(api, 1)).text.startswith("delivered")
        house.clock.advance(hours=1)
        unpublish(api, first)
        await proven(api, "newowner", "other.example")
        told = await arrive(api, 2)
        assert told.text.startswith("held")
        held = (await api.call("GET", "/v1/me/held", who="cor")).json["items"]
        assert [item["why"] for item in held] == ["awaiting-consumer"]
        listed = (await api.call("GET", "/v1/me/vendors", who="cor")).json["items"]
        assert [bool(item.get("unconfirmed")) for item in listed] == [True]
        decision = await api.call("GET", f"/v1/me/decisions/{held[0]['id']}", who="cor")
        assert any("other hands" in line for line in decision.json["explanation"])
        assert [flag["code"] for flag in held[0]["flags"]] == ["changed-hands"]
        assert "other hands" in held[0]["flags"][0]["sentence"]
        house.clock.advance(hours=1)
        match confirm:
            case "call":
                done = await api.call("POST", "/v1/me/vendors/other.example/confirm", who="cor")
            case "answer":
                done = await api.call(
                    "POST",
                    f"/v1/me/held/{held[0]['id']}/release",
                    who="cor",
                    json={"relationship": (await kept(api))},
                )
            case _:
                one = await api.call("GET", "/v1/me/vendors/other.example", who="cor")
                done = await api.call(
                    "PUT",
                    "/v1/me/vendors/other.example",
                    who="cor",
                    json=one.json | {"basis": "customer"},
                    headers={"If-Match": one.headers["ETag"]},
                )
        assert done.status == 200, done.body
        await house.work()
        assert len(await house.inbox("cor")) == 2
        assert (await arrive(api, 3)).text.startswith("delivered")
        listed = (await api.call("GET", "/v1/me/vendors", who="cor")).json["items"]
        assert not any(item.get("unconfirmed") for item in listed)


async def test_a_proof_that_lapses_suspends_what_allowed_the_domain():
    people = ALLOWS_DOMAIN.format(side='domain = "other.example"')
    async with open_api(people) as api:
        item = await proven(api, "oldshop", "other.example")
        unpublish(api, item)
        for _ in range(10):
            api.house.clock.advance(days=1)
            await api.house.work()
        assert (await api.house.app.vendors.holder("other.example")).vendor == ""
        assert (await arrive(api, 1)).text.startswith("held")


async def test_who_has_a_domain_back_before_anybody_else_has_changed_nothing():
    people = ALLOWS_DOMAIN.format(side='vendor = "oldshop"')
    async with open_api(people) as api:
        item = await proven(api, "oldshop", "other.example")
        api.house.clock.advance(hours=1)
        await api.call("DELETE", "/v1/vendor/domains/other.example", who="oldshop")
        assert "no-relationship" in (await arrive(api, 1)).text
        api.house.clock.advance(hours=1)
        unpublish(api, item)
        await proven(api, "oldshop", "other.example")
        assert (await arrive(api, 2)).text.startswith("delivered")


async def test_the_first_to_register_an_allowed_domain_changes_nothing():
    people = ALLOWS_DOMAIN.format(side='domain = "other.example"')
    async with open_api(people) as api:
        assert (await arrive(api, 1)).text.startswith("delivered")
        api.house.clock.advance(hours=1)
        await proven(api, "newowner", "other.example")
        assert (await arrive(api, 2)).text.startswith("delivered")


async def test_nor_does_the_new_owner_get_round_it_by_its_key():
    people = ALLOWS_DOMAIN.format(side='domain = "other.example"')
    async with open_api(people) as api:
        first = await proven(api, "oldshop", "other.example")
        api.house.clock.advance(hours=1)
        unpublish(api, first)
        await proven(api, "newowner", "other.example")
        content = CONTENT | {"to": ["cor@letterbox.example"]}
        sent = await api.call("POST", "/v1/messages", who="newowner", json=content)
        assert sent.json["results"][0]["verdict"] == "hold"
        await api.call("POST", "/v1/me/vendors/other.example/confirm", who="cor")
        again = await api.call(
            "POST", "/v1/messages", who="newowner", json=content | {"subject": "Another"}
        )
        assert again.json["results"][0]["verdict"] == "deliver"


async def test_a_vendor_that_is_blocked_under_one_domain_is_under_all_by_its_key():
    people = ALLOWS_DOMAIN.format(side='domain = "one.example"') + (
        '  [[consumer.vendor]]\n  domain = "two.example"\n  standing = "blocked"\n'
    )
    async with open_api(people) as api:
        await proven(api, "newowner", "one.example")
        await proven(api, "newowner", "two.example")
        content = CONTENT | {"to": ["cor@letterbox.example"]}
        sent = await api.call("POST", "/v1/messages", who="newowner", json=content)
        assert sent.json["results"][0]["reason"]["code"] == "vendor-blocked"


async def test_a_domain_that_changes_hands_does_not_open_what_is_blocked():
    people = ALLOWS_DOMAIN.format(side='domain = "other.example"\n  standing = "blocked"')
    async with open_api(people) as api:
        item = await proven(api, "oldshop", "other.example")
        api.house.clock.advance(hours=1)
        unpublish(api, item)
        await proven(api, "newowner", "other.example")
        assert "vendor-blocked" in (await arrive(api, 1)).text


# ---- keys


async def test_keys_are_issued_rotated_and_revoked():
    async with open_api() as api:
        made = await api.call(
            "POST", "/v1/vendor/keys", who="voltshop", json={"label": "till", "scopes": ["send"]}
        )
        assert made.status == 201
        old = made.json["key"]
        api.credentials["till"] = old
        rotated = await api.call(
            "POST",
            f"/v1/vendor/keys/{made.json['prefix']}/rotate",
            who="voltshop",
            json={"overlap_hours": 2},
        )
        assert rotated.status == 201
        assert rotated.json["label"] == "till"
        assert rotated.json["scopes"] == ["send"]
        api.credentials["till2"] = rotated.json["key"]
        content = CONTENT | {"to": ["nobody@letterbox.example"]}
        for who in ("till", "till2"):
            sent = await api.call("POST", "/v1/messages", who=who, json=content)
            assert sent.status == 200
        api.house.clock.advance(hours=2)
        assert (await api.call("POST", "/v1/messages", who="till", json=content)).status == 401
        assert (await api.call("POST", "/v1/messages", who="till2", json=content)).status == 200
        listed = (await api.call("GET", "/v1/vendor/keys", who="voltshop")).json["items"]
        assert old not in str(listed)
        assert {item["prefix"] for item in listed if item["label"] == "till"} == {
            rotated.json["prefix"]
        }
        gone = await api.call("DELETE", f"/v1/vendor/keys/{rotated.json['prefix']}", who="voltshop")
        assert gone.status == 204
        assert (await api.call("POST", "/v1/messages", who="till2", json=content)).status == 401


async def test_a_rotated_key_lasts_as_long_as_the_one_before():
    async with open_api() as api:
        made = await api.call("POST", "/v1/vendor/keys", who="voltshop", json={"days": 30})
        api.house.clock.advance(days=10)
        path = f"/v1/vendor/keys/{made.json['prefix']}/rotate"
        rotated = await api.call("POST", path, who="voltshop")
        assert rotated.json["expires"] == "2027-01-02T12:00:00Z"


async def test_no_scopes_are_a_mistake_and_no_body_is_a_key_for_all():
    async with open_api() as api:
        none = await api.call("POST", "/v1/vendor/keys", who="voltshop", json={"scopes": []})
        assert none.status == 422
        bare = await api.call("POST", "/v1/vendor/keys", who="voltshop")
        assert bare.json["scopes"] == ["send", "feedback", "manage"]


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        ("send", "GET", "/v1/feedback", 403),
        ("send", "GET", "/v1/vendor/keys", 403),
        ("send", "GET", "/v1/vendor", 200),
        ("feedback", "GET", "/v1/feedback", 200),
        ("feedback", "POST", "/v1/messages", 403),
        ("feedback", "POST", "/v1/vendor/domains", 403),
        ("manage", "GET", "/v1/vendor/keys", 200),
        ("manage", "POST", "/v1/messages", 403),
    ],
)
async def test_a_key_serves_for_its_scopes_alone(scope, method, path, status):
    async with open_api() as api:
        made = await api.call("POST", "/v1/vendor/keys", who="voltshop", json={"scopes": [scope]})
        api.credentials["narrow"] = made.json["key"]
        reply = await api.call(method, path, who="narrow")
        assert reply.status == status
        if status == 403:
            assert "scope" in reply.json["detail"]


async def test_when_a_key_was_last_used_is_shown_to_the_hour():
    async with open_api() as api:
        made = await api.call("POST", "/v1/vendor/keys", who="voltshop", json={})
        api.credentials["other"] = made.json["key"]

        async def used():
            listed = (await api.call("GET", "/v1/vendor/keys", who="voltshop")).json["items"]
            return next(i.get("used") for i in listed if i["prefix"] == made.json["prefix"])

        assert await used() is None
        api.house.clock.advance(minutes=90)
        await api.call("GET", "/v1/vendor", who="other")
        assert await used() == "2026-11-23T13:00:00Z"
        api.house.clock.advance(days=2)
        await api.call("GET", "/v1/vendor", who="other")
        assert await used() == "2026-11-25T13:00:00Z"


async def test_another_vendors_key_looks_like_none():
    async with open_api() as api:
        made = await api.call("POST", "/v1/vendor/keys", who="voltshop", json={})
        prefix = made.json["prefix"]
        for method, path in (
            ("DELETE", f"/v1/vendor/keys/{prefix}"),
            ("POST", f"/v1/vendor/keys/{prefix}/rotate"),
        ):
            assert (await api.call(method, path, who="greenleaf")).status == 404


async def test_a_secret_is_shown_once_even_to_a_repeated_call():
    async with open_api() as api:
        calls = [
            await api.call(
                "POST",
                "/v1/vendor/keys",
                who="voltshop",
                json={"label": "once"},
                headers={"Idempotency-Key": "key-1"},
            )
            for _ in range(2)
        ]
        assert [call.status for call in calls] == [201, 409]
        assert calls[0].json["key"] not in calls[1].body.decode()
        listed = (await api.call("GET", "/v1/vendor/keys", who="voltshop")).json["items"]
        assert sum(item["label"] == "once" for item in listed) == 1
        claim = await api.house.app.store.claim("vendor/voltshop", "call/key-1")
        assert calls[0].json["key"].encode() not in claim


async def test_a_registration_is_made_once_by_who_says_so():
    behind = msgspec.structs.replace(OPEN, http=HttpSection(proxies=("127.0.0.1",)))
    async with open_api(configuration=behind) as api:
        once = {"Idempotency-Key": "first"}
        first = await api.call("POST", "/v1/vendors", json=NEW, headers=once)
        again = await api.call("POST", "/v1/vendors", json=NEW, headers=once)
        assert [first.status, again.status] == [201, 409]
        assert "shown once" in again.json["detail"]
        assert first.json["key"] not in again.body.decode()
        other = NEW | {"id": "second", "name": "Second"}
        reused = await api.call("POST", "/v1/vendors", json=other, headers=once)
        assert reused.status == 422
        # What somebody elsewhere calls the same is another call.
        elsewhere = once | {"X-Forwarded-For": "192.0.2.7"}
        assert (await api.call("POST", "/v1/vendors", json=other, headers=elsewhere)).status == 201


# ---- the operator's hand


async def test_nothing_of_a_suspended_vendor_is_taken_until_it_goes_on():
    async with open_api() as api:
        run = api.house.app.administration.perform
        await run("vendor suspend", {"vendor": "greenleaf", "because": "complaints"})
        over_http = await api.send()
        assert over_http.status == 403
        assert "complaints" in over_http.json["detail"]
        addresses = ("anna@letterbox.example", "nobody@letterbox.example")
        by_mail = [
            (await api.house.send(signed(mail(number=nth)), address)).outcomes[0].told
            for nth, address in enumerate(addresses)
        ]
        assert {(told.reply, told.reason.code) for told in by_mail} == {(550, "vendor-suspended")}
        assert (await api.call("GET", "/v1/vendor", who="greenleaf")).json["suspended"]
        assert (await api.call("GET", "/v1/feedback", who="greenleaf")).status == 200
        await run("vendor suspend", {"vendor": "greenleaf"})
        assert (await api.call("GET", "/v1/vendor", who="greenleaf")).json["suspended"]
        await run("vendor resume", {"vendor": "greenleaf"})
        assert (await api.send()).status == 200
        told = [event.type for event in await api.house.feed("greenleaf")]
        assert told[-1] == "vendor.resumed"
        assert "vendor.suspended" in told


async def test_the_operator_takes_a_domain_away_and_gives_it_to_another():
    async with open_api() as api:
        await proven(api, "voltshop", "volt.example")
        run = api.house.app.administration.perform
        with pytest.raises(Failed, match=r"no domain 'vlt.example'; did you mean volt.example"):
            await run("vendor drop", {"vendor": "voltshop", "domain": "vlt.example"})
        with pytest.raises(Failed, match="people file"):
            await run("vendor drop", {"vendor": "voltshop", "domain": "voltshop.example"})
        await run("vendor drop", {"vendor": "voltshop", "domain": "volt.example"})
        assert (await api.house.app.vendors.holder("volt.example")).vendor == ""
        given = PEOPLE.replace('["greenleaf.example"]', '["greenleaf.example", "volt.example"]')
        await api.house.people(given)
        assert (await api.house.app.vendors.holder("volt.example")).vendor == "greenleaf"


async def test_a_vendor_has_its_own_rate():
    configuration = Configuration(
        public_url="https://letterbox.example", limits=LimitsSection(messages_per_vendor_second=2)
    )
    faster = PEOPLE.replace('name = "Voltshop"', 'name = "Voltshop"\nmessages_per_second = 5')
    async with open_api(faster, configuration=configuration) as api:
        assert (await api.call("GET", "/v1/vendor", who="voltshop")).json[
            "messages_per_second"
        ] == 5
        content = CONTENT | {"to": ["nobody@letterbox.example"]}
        taken = {}
        for who in ("voltshop", "greenleaf"):
            replies = [
                await api.call("POST", "/v1/messages", who=who, json=content | {"subject": str(n)})
                for n in range(7)
            ]
            taken[who] = sum(reply.status == 200 for reply in replies)
        assert taken == {"voltshop": 5, "greenleaf": 2}


async def test_a_key_writes_as_a_domain_its_vendor_has_just_proven():
    async with open_api() as api:
        house = api.house
        house.zone.records["volt.example"] = SPF_HERE
        content = mail(domain="volt.example", To="anna@letterbox.example")
        vendor = await house.app.vendors.get("voltshop")
        before = await house.send(
            content, "anna@letterbox.example", edge="http", submission=Submission(vendor=vendor)
        )
        assert before.outcomes[0].told.reason.code == "author-not-yours"
        await proven(api, "voltshop", "volt.example")
        vendor = await house.app.vendors.get("voltshop")
        after = await house.send(
            content, "anna@letterbox.example", edge="http", submission=Submission(vendor=vendor)
        )
        assert after.outcomes[0].told.reason.code == "no-relationship"


async def test_what_passed_on_while_the_names_were_asked_is_not_taken():
    async with open_api() as api:
        first = await proven(api, "greenleaf", "leaf.example")
        second = await claimed(api, "voltshop", "leaf.example")
        publish(api, second)
        unpublish(api, first)
        ask = api.house.zone.ask

        async def meanwhile(name, record):
            answer = await ask(name, record)
            if name.startswith("_letterbox-challenge"):
                api.house.zone.ask = ask
                await api.house.app.administration.perform(
                    "vendor drop", {"vendor": "greenleaf", "domain": "leaf.example"}
                )
                given = PEOPLE.replace(
                    '["greenleaf.example"]', '["greenleaf.example", "leaf.example"]'
                )
                await api.house.people(given)
            return answer

        api.house.zone.ask = meanwhile
        assert (await verify(api, "voltshop", "leaf.example")).status == 409
        assert (await api.house.app.vendors.holder("leaf.example")).vendor == "greenleaf"


async def test_rows_of_old_are_read():
    async with open_api() as api:
        store, now = api.house.app.store, api.house.clock.now()
        old = {"id": "old", "name": "Old", "domains": ["old.example"], "reply": "report"}
        key = {"prefix": "lbk_aaaaaaaa", "purpose": "key", "owner": "old"}
        key |= {"digest": b"\0" * 32, "issued": now, "expires": None}
        await store.commit(
            Commit("vendor/old", (Put("vendor", msgspec.json.encode(old)),)),
            Commit("directory", (Put("vendor/old", b""),)),
            Commit(
                "domain/old.example", (Put("owner", msgspec.msgpack.encode({"vendor": "old"})),)
            ),
            Commit("credential/lbk_aaaaaaaa", (Put("credential", encode(key)),)),
            Commit("directory", (Put("credential/key/old/lbk_aaaaaaaa", b""),)),
        )
        vendors = api.house.app.vendors
        assert (await vendors.holder("shop.old.example")).vendor == "old"
        assert (await vendors.get("old")).own_domains == ("old.example",)
        assert (await vendors.directory())["old"].name == "Old"
        (listed,) = await api.house.app.credentials.listed("key", "old")
        assert (listed.credential.scopes, listed.used) == ((), None)
