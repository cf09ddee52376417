"""Whose a domain is, whatever vendors claim, publish, withdraw and verify, in whatever order."""

import asyncio
from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from letterbox.registration.domains import record_name, record_value
from tests.support.house import House, open_house

VENDORS = ("a", "b", "c")
DOMAINS = ("one.example", "sub.one.example", "two.example")
PEOPLE = "".join(f'[[vendor]]\nid = "{name}"\nname = "{name}"\n' for name in VENDORS)

steps = st.lists(
    st.tuples(
        st.sampled_from(("claim", "publish", "withdraw", "verify", "give_up", "days")),
        st.sampled_from(VENDORS),
        st.sampled_from(DOMAINS),
    ),
    max_size=25,
)


async def step(house: House, what: str, vendor: str, domain: str) -> None:
    app = house.app
    claim = await app.claims.find(vendor, domain)
    published = house.zone.records.setdefault(record_name(domain), {}).setdefault("TXT", [])
    match what:
        case "claim":
            await app.claims.ask(vendor, domain, house.clock.now())
        case "publish" if claim and record_value(claim) not in published:
            published.append(record_value(claim))
        case "withdraw" if claim and record_value(claim) in published:
            published.remove(record_value(claim))
        case "verify" if claim:
            found = await app.domain_proofs.verify(vendor, claim)
            there = record_value(claim) in published
            assert (found.outcome == "absent") is not there
        case "give_up":
            await app.domain_proofs.give_up(vendor, domain)
        case "days":
            house.clock.advance(days=9)
            await house.work()
            await house.work()


async def check(house: House) -> None:
    """One holder each, in all the places that say so; nobody without a claim of its own."""
    holders = defaultdict(set)
    for name in VENDORS:
        vendor = await house.app.vendors.get(name)
        assert vendor is not None
        for domain in vendor.own_domains:
            holders[domain].add(name)
            claim = await house.app.claims.find(name, domain)
            assert claim is not None
            assert claim.state in {"proven", "failing"}
        for claim in await house.app.claims.of(name):
            assert (claim.state == "pending") is (claim.domain not in vendor.own_domains)
    for domain in DOMAINS:
        holder = await house.app.vendors.holder(domain)
        exact = holder.vendor if holder.domain == domain else ""
        assert holders[domain] == ({exact} if exact else set())


@settings(deadline=None, max_examples=60)
@given(steps)
def test_a_domain_has_one_holder_who_has_proven_it(steps):
    async def run() -> None:
        async with open_house(PEOPLE) as house:
            for one in steps:
                await step(house, *one)
                await check(house)

    asyncio.run(run())


@settings(deadline=None, max_examples=40)
@given(steps)
def test_a_change_of_hands_is_noted_whenever_another_has_a_domain(steps):
    async def run() -> None:
        async with open_house(PEOPLE) as house:
            last: dict[str, str] = {}
            for one in steps:
                before = house.clock.now()
                await step(house, *one)
                for domain in DOMAINS:
                    holder = await house.app.vendors.holder(domain)
                    had = last.get(domain, "")
                    if had and holder.vendor != had:
                        assert holder.changed is not None
                        assert holder.changed >= before
                    last[domain] = holder.vendor

    asyncio.run(run())
