"""Mail that is expected: openings that end by themselves, and addresses that find their user."""

import asyncio
from datetime import timedelta

import pytest

from letterbox.model.preferences import BoundAddress
from letterbox.records import places
from letterbox.records.consumers import Refused
from letterbox.starting import NotThere
from tests.support.api import PEOPLE
from tests.support.house import House, mail, open_house

ANNA = "anna@letterbox.example"
#: Nothing comes in but on Saturdays, and no more than one a month.
STRICT = PEOPLE.replace(
    'timezone = "Europe/Amsterdam"\n',
    'timezone = "Europe/Amsterdam"\nlimit = { messages = 1, per = "month" }\n',
    1,
).replace('kinds = ["newsletter"]', "", 1)


async def send(house: House, subject: str, domain: str, to: str = ANNA, kind: str = "newsletter"):
    """Send; whether it was delivered, or the reason why not, as the consumer sees it."""
    house.clock.advance(seconds=1)
    raw = mail(subject, domain=domain, number=hash(subject) % 10**9, List_Id=f"<x.{domain}>")
    await house.send(raw, to, sender=f"bounces@{domain}")
    page = await house.app.mailboxes.decisions("anna", after=None, limit=1)
    verdict = page.items[0].verdict
    return getattr(verdict, "reason", None) or type(verdict).__name__.lower()


async def test_all_of_one_company_comes_for_a_time():
    async with open_house(STRICT) as house:
        expectations = house.app.expectations
        assert await send(house, "before", "other.example") == "vendor-not-allowed"
        opened = await expectations.open("anna", vendor="https://Other.example/")
        assert opened.expecting.vendor == "other.example"
        # Neither times nor limits stand in its way.
        assert [await send(house, f"{n}", "other.example") for n in range(3)] == ["deliver"] * 3
        assert await send(house, "another", "voltshop.example") == "vendor-not-allowed"
        house.clock.advance(hours=24)
        assert await send(house, "after", "other.example") == "vendor-not-allowed"
        # It stays on the list until the person says what comes after it.
        assert [each.vendor for each in await expectations.of("anna")] == ["other.example"]


async def test_a_relationship_that_there_is_stays_as_it_is():
    async with open_house(PEOPLE) as house:
        stored = await house.app.consumers.stored("anna")
        (rule,) = stored.preferences.vendor
        assert await send(house, "1", "greenleaf.example") != "deliver"
        opened = await house.app.expectations.open("anna", vendor="greenleaf.example")
        assert opened.expecting.vendor == "greenleaf"
        assert await send(house, "2", "greenleaf.example") == "deliver"
        assert (await house.app.consumers.stored("anna")).preferences.vendor == (rule,)
        house.clock.advance(hours=25)
        assert await send(house, "3", "greenleaf.example") != "deliver"
        await house.app.expectations.keep("anna", "greenleaf")
        assert (await house.app.consumers.stored("anna")).preferences.vendor == (rule,)


async def test_what_was_expected_is_kept_or_let_go():
    async with open_house(PEOPLE) as house:
        expectations = house.app.expectations
        for vendor in ("other.example", "third.example"):
            await expectations.open("anna", vendor=vendor, lasts=timedelta(hours=1))
        house.clock.advance(hours=2)
        assert await expectations.keep("anna", "other.example") == "other.example"
        await expectations.close("anna", "third.example")
        assert await expectations.of("anna") == ()
        assert await send(house, "kept", "other.example", kind="service") != "vendor-not-allowed"
        for call in (expectations.keep, expectations.close):
            with pytest.raises(NotThere):
                await call("anna", "other.example")


async def test_an_address_is_given_to_whoever_uses_it_first():
    async with open_house(STRICT) as house:
        opened = await house.app.expectations.open("anna", address=True)
        to = opened.address
        assert to.startswith("anna+")
        assert await send(house, "welcome", "other.example", to) == "deliver"
        # At once, before anything was written down.
        assert await send(house, "me, too", "voltshop.example", to) == "address-of-another"
        await house.work()
        stored = await house.app.consumers.stored("anna")
        bound = BoundAddress(address=to, vendor="other.example")
        assert bound in stored.preferences.addresses
        assert [each.vendor for each in stored.preferences.expecting] == ["other.example"]
        assert (await house.app.consumers.history("anna"))[0].by == "expecting"
        assert await send(house, "and more", "other.example", to) == "deliver"
        assert await send(house, "me again", "voltshop.example", to) == "address-of-another"
        house.clock.advance(hours=24)
        assert await send(house, "later", "other.example", to) == "vendor-not-allowed"
        await house.app.expectations.keep("anna", "other.example")
        partition = places.consumer("anna")
        due = (await house.app.store.names(partition)).due
        assert not [each for each in due if each.startswith(places.BINDING)]
        assert await house.app.store.claim(partition, places.bound(to)) is None


async def test_of_two_at_once_one_has_the_address():
    async with open_house(PEOPLE) as house:
        to = (await house.app.expectations.open("anna", address=True)).address
        sent = (
            house.send(mail(domain=domain, number=n), to, sender=f"bounces@{domain}")
            for n, domain in enumerate(("other.example", "voltshop.example"))
        )
        await asyncio.gather(*sent)
        page = await house.app.mailboxes.decisions("anna", after=None, limit=9)
        verdicts = sorted(getattr(row.verdict, "reason", "deliver") for row in page.items)
        assert verdicts == ["address-of-another", "deliver"]
        await house.work()
        (first,) = (row.vendor.id for row in page.items if row.told.verdict == "deliver")
        addresses = (await house.app.consumers.stored("anna")).preferences.addresses
        assert BoundAddress(address=to, vendor=first) in addresses


async def test_an_address_for_one_company_is_theirs_from_the_start():
    async with open_house(PEOPLE) as house:
        expectations = house.app.expectations
        to = (await expectations.open("anna", vendor="other.example", address=True)).address
        assert await send(house, "x", "voltshop.example", to) == "address-of-another"
        assert await send(house, "y", "other.example", to) == "deliver"


async def test_nobody_has_an_address_after_its_time_and_no_stranger_within_it():
    async with open_house(PEOPLE) as house:
        expectations = house.app.expectations
        to = (await expectations.open("anna", address=True)).address
        await house.send(mail(domain="unproven.example"), to, sender=None)
        assert await house.inbox("anna") == []
        house.clock.advance(hours=25)
        assert await send(house, "late", "other.example", to) == "vendor-not-allowed"
        await house.work()
        assert to in (await house.app.consumers.stored("anna")).preferences.addresses
        # The consumer's later word counts: what is expected no longer is given to nobody.
        again = (await expectations.open("anna", address=True)).address
        assert await send(house, "first", "other.example", again) == "deliver"
        await expectations.close("anna", again)
        await house.work()
        assert again in (await house.app.consumers.stored("anna")).preferences.addresses


async def test_what_cannot_be_expected_is_named():
    async with open_house(PEOPLE) as house:
        for vendor in ("gmail.com", "co.uk", "no such shop"):
            with pytest.raises(Refused):
                await house.app.expectations.open("anna", vendor=vendor)


async def test_a_block_gives_way_while_mail_is_expected():
    people = PEOPLE.replace(
        'accepts = ["service", "offer", "newsletter"]', 'standing = "blocked"', 1
    )
    async with open_house(people) as house:
        assert await send(house, "1", "greenleaf.example") == "vendor-blocked"
        await house.app.expectations.open("anna", vendor="greenleaf")
        assert await send(house, "2", "greenleaf.example") == "deliver"
