"""``share_delivered``: a vendor's feed tells of deliveries where the consumer shares them."""

import pytest

from letterbox.model.envelope import Client
from tests.support.api import open_api
from tests.support.house import HERE, mail, open_house, signed

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
timezone = "Europe/Amsterdam"
  [[consumer.window]]
  days = ["tue"]
  from = "09:00"
  until = "12:00"
  kinds = ["newsletter"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  {rule}
"""
SHARED = "share_delivered = true"
ANNA = "anna@letterbox.example"


async def send(house, kind, number=1, **options):
    content = signed(mail(number=number, Letterbox_Kind=kind))
    (outcome,) = (await house.send(content, ANNA, **options)).outcomes
    return outcome.told


async def types(house):
    return [event.type for event in await house.feed("greenleaf")]


def house_of(rule):
    return open_house(PEOPLE.replace("{rule}", rule))


async def test_a_delivery_is_told_with_the_reference_of_its_answer():
    async with house_of(SHARED) as house:
        told = await send(house, "offer")
        (event,) = await house.feed("greenleaf")
        assert (event.type, event.verdict, event.reason) == ("message.delivered", "deliver", None)
        assert event.reference == told.reference
        assert event.recipient == ANNA
        # Sent again it is the same delivery.
        await send(house, "offer")
        assert await types(house) == ["message.delivered"]


@pytest.mark.parametrize("tells", ["class", "reason", "remedy"])
async def test_a_release_that_delivers_is_told_as_both_by_the_day_alone(tells):
    async with house_of(f'{SHARED}\ntells = "{tells}"') as house:
        await send(house, "newsletter")
        house.clock.advance(hours=20)
        held, released, delivered = await house.feed("greenleaf")
        kinds = ["message.held", "message.released", "message.delivered"]
        assert [held.type, released.type, delivered.type] == kinds
        assert delivered.at == released.at
        assert delivered.at.isoformat() == "2026-11-24T00:00:00+00:00"
        assert delivered.id != released.id
        assert delivered.id[:8] != held.id[:8]  # an id that sorts by time would tell the hour


@pytest.mark.parametrize("rule", ["", "share_delivered = false", f'{SHARED}\ntells = "nothing"'])
@pytest.mark.parametrize("kind", ["offer", "newsletter"])
async def test_nothing_is_told_where_it_is_not_shared_or_nothing_is_to_be_told(rule, kind):
    async with house_of(rule) as house:
        await send(house, kind)
        house.clock.advance(hours=20)
        await house.work()
        assert await house.inbox("anna") == ["Spring sale"]
        assert "message.delivered" not in await types(house)
        if "nothing" in rule:
            assert await types(house) == []


async def test_a_relay_that_hides_its_client_does_not_stand_before_the_feed():
    async with house_of(SHARED) as house:
        await send(house, "offer", client=Client(address=HERE, helo="relay.example", inner=True))
        assert await types(house) == ["message.delivered"]


async def test_a_vendor_that_is_not_registered_has_no_feed_to_tell_it():
    people = PEOPLE.replace("{rule}", SHARED).partition("[[consumer]]")
    people = people[1] + people[2].replace('vendor = "greenleaf"', 'domain = "greenleaf.example"')
    async with open_house(people) as house:
        await send(house, "offer")
        assert await house.inbox("anna") == ["Spring sale"]
        assert await house.app.store.outbox() == []


async def test_a_consumer_shares_it_over_http():
    async with open_api() as api:
        path = "/v1/me/vendors/greenleaf"
        before = await api.call("GET", path, who="anna")
        assert "share_delivered" not in before.json
        await api.send()
        form = before.json | {"share_delivered": True}
        headers = {"If-Match": before.headers["ETag"]}
        reply = await api.call("PUT", path, who="anna", json=form, headers=headers)
        assert reply.status == 200
        await api.send(reference="shared")
        await api.house.work()
        events = (await api.call("GET", "/v1/feedback", who="greenleaf")).json["items"]
        assert [(e["type"], e["your_reference"]) for e in events] == [
            ("message.delivered", "shared")
        ]
