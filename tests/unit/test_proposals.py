"""What old mail suggests, and what becomes of a person's choices."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterbox.model.address import parse_address
from letterbox.model.kind import Kind
from letterbox.model.preferences import Limit, VendorRule
from letterbox.model.proposal import Choice, Found, Sighting
from letterbox.records.consumers import Conflict
from letterbox.wishes.proposals import MOST_FOUND, Whose, tally
from tests.support.api import PEOPLE
from tests.support.house import open_house
from tests.support.plain import shipment

START = datetime(2026, 1, 1, tzinfo=UTC)
DOMAINS = shipment().domains
WHOSE = Whose(DOMAINS.organizational, DOMAINS.is_mailbox_provider)


def seen(author: str, kind: str = "offer", *, day: float = 0, name: str = "", signers=()):
    address = parse_address(author)
    assert address
    return Sighting(address, name, Kind(kind), START + timedelta(days=day), signers)


async def proposed(house, sightings, consumer="anna"):
    found, _ = tally({}, sightings, WHOSE)
    return await house.app.adoption.proposals(consumer, found)


def by_key(proposals):
    return {each.key: each for each in proposals}


async def test_companies_are_found_by_their_registered_domains():
    async with open_house(PEOPLE) as house:
        proposals = await proposed(
            house,
            [
                seen("deals@mail.shoes.example", name="Shoes & Co", signers=("esp.example",)),
                seen("orders@shoes.example", "service", day=61, name="Shoes & Co"),
                seen("deals@mail.shoes.example", day=61, name="SHOES"),
            ],
        )
        (only,) = proposals
        assert (only.key, only.name, only.count) == ("shoes.example", "Shoes & Co", 3)
        assert only.kinds == {Kind.SERVICE: 1, Kind.OFFER: 2}
        assert only.authors == ("deals@mail.shoes.example", "orders@shoes.example")
        assert only.signers == ("esp.example",)
        assert (only.first, only.last) == (START, START + timedelta(days=61))
        assert only.per_month == 1.5
        assert not only.known
        # A signer is told of, and never let speak for the company.
        assert only.rule == VendorRule(
            domain="shoes.example",
            accepts=(Kind.SERVICE, Kind.OFFER),
            scope="everything",
            limit=Limit(messages=1, per="month"),
        )


async def test_people_are_not_companies():
    async with open_house(PEOPLE) as house:
        proposals = by_key(
            await proposed(
                house,
                [
                    seen("jan+x@gmail.com", "newsletter", name="Jan"),
                    seen("mia@family.example", "personal"),
                    seen("shop@store.example", "offer"),
                    seen("piet@store.example", "personal"),
                    seen("anna@letterbox.example", "personal"),
                ],
            )
        )
        assert set(proposals) == {"jan@gmail.com", "mia@family.example", "store.example"}
        assert [key for key, each in proposals.items() if each.is_person] == [
            "jan@gmail.com",
            "mia@family.example",
        ]
        # Who writes for a company is the company's.
        assert proposals["store.example"].count == 2
        assert proposals["jan@gmail.com"].rule.address == "jan@gmail.com"


@pytest.mark.parametrize(
    ("a_month", "limit"),
    [
        (1, Limit(messages=1, per="month")),
        (4, Limit(messages=4, per="month")),
        (8, Limit(messages=2, per="week")),
        (60, Limit(messages=2, per="day")),
    ],
)
async def test_the_limit_is_near_what_came(a_month, limit):
    async with open_house(PEOPLE) as house:
        days = [30.44 * 6 * n / (6 * a_month - 1) for n in range(6 * a_month)]
        (only,) = await proposed(house, [seen("a@shoes.example", day=day) for day in days])
        assert only.rule.limit == limit


async def test_all_domains_of_a_registered_vendor_are_one():
    people = PEOPLE.replace(
        'domains = ["greenleaf.example"]', 'domains = ["greenleaf.example", "leaf.example"]'
    )
    async with open_house(people) as house:
        (only,) = await proposed(house, [seen("a@news.greenleaf.example"), seen("b@leaf.example")])
        assert (only.vendor, only.name, only.count) == ("greenleaf", "Greenleaf Garden", 2)
        assert (only.known, only.standing) == (True, "allowed")


SIGHTINGS = st.lists(
    st.builds(
        seen,
        st.sampled_from(["a@x.example", "b@y.example", "c@gmail.com", "d@n.x.example"]),
        st.sampled_from([kind.value for kind in Kind]),
        day=st.integers(0, 400),
        name=st.sampled_from(["", "X", "Y"]),
        signers=st.sampled_from([(), ("esp.example",)]),
    ),
    max_size=30,
)


@given(SIGHTINGS, st.integers(0, 30))
def test_counting_in_parts_is_counting_at_once(sightings, cut):
    whole, _ = tally({}, sightings, WHOSE)
    first, _ = tally({}, sightings[:cut], WHOSE)
    kept = msgspec.json.decode(msgspec.json.encode(first), type=dict[str, Found])
    assert tally(kept, sightings[cut:], WHOSE)[0] == whole
    assert sum(each.count for each in whole.values()) == len(sightings)


def test_what_is_counted_is_bounded():
    many = [seen(f"a@shop{n}.example") for n in range(MOST_FOUND + 20)]
    found, over = tally({}, many, WHOSE)
    assert (len(found), over) == (MOST_FOUND, 20)
    same = [seen("a@shop1.example", name=f"name {n}" * 50) for n in range(500)]
    one = tally({}, same, WHOSE)[0]["shop1.example"]
    assert one.count == 500
    assert len(msgspec.json.encode(one)) < 4_000


# ---- adoption -----------------------------------------------------------------------------------


async def test_choices_are_one_change_with_one_way_back():
    async with open_house(PEOPLE) as house:
        consumers, now = house.app.consumers, house.clock.now()
        before = await consumers.stored("anna")
        proposals = await proposed(house, [seen(f"a@shop{n}.example") for n in range(250)])
        choices = {
            each.key: Choice(do=("allow", "limit", "lock-out", "leave")[n % 4])
            for n, each in enumerate(proposals)
        }
        done = await house.app.adoption.adopt("anna", proposals, choices, now=now, by="import")
        after = await consumers.stored("anna")
        assert done.revision == after.revision == before.revision + 1
        assert (len(done.changed), len(done.unchanged), done.failed) == (188, 62, ())
        rules = {each.key: each for each in after.preferences.vendor}
        allowed, limited, out = (rules[proposals[n].key] for n in range(3))
        assert (allowed.standing, allowed.limit) == ("allowed", None)
        assert limited.limit == proposals[1].rule.limit
        assert (out.standing, out.limit) == ("blocked", None)
        assert proposals[3].key not in rules
        assert (await consumers.history("anna"))[0].by == "import"
        await consumers.restore("anna", before.revision, expect=after.revision, now=now)
        assert (await consumers.stored("anna")).preferences == before.preferences


async def test_a_relationship_there_is_keeps_what_was_not_chosen():
    async with open_house(PEOPLE) as house:
        consumers, now = house.app.consumers, house.clock.now()
        proposals = await proposed(house, [seen("a@greenleaf.example", "newsletter")])
        was = next(r for r in (await consumers.stored("anna")).preferences.vendor)
        await house.app.adoption.adopt(
            "anna", proposals, {"greenleaf.example": Choice(do="lock-out")}, now=now
        )
        rule = next(r for r in (await consumers.stored("anna")).preferences.vendor)
        assert rule == msgspec.structs.replace(was, standing="blocked")
        choice = Choice(do="limit", accepts=(Kind.SERVICE,), limit=Limit(messages=3, per="day"))
        await house.app.adoption.adopt("anna", proposals, {"greenleaf.example": choice}, now=now)
        rule = next(r for r in (await consumers.stored("anna")).preferences.vendor)
        assert (rule.standing, rule.accepts) == ("allowed", (Kind.SERVICE,))
        assert rule.limit == Limit(messages=3, per="day")
        assert rule.tells == was.tells


async def test_what_cannot_be_is_named_and_the_rest_is_done():
    async with open_house(PEOPLE) as house:
        now = house.clock.now()
        proposals = await proposed(house, [seen("a@co.uk", name="Suffix"), seen("a@shoes.example")])
        choices = {
            "co.uk": Choice(do="allow"),
            "shoes.example": Choice(do="allow"),
            "unheard.example": Choice(do="allow"),
        }
        done = await house.app.adoption.adopt("anna", proposals, choices, now=now)
        assert done.changed == ("shoes.example",)
        assert {each.key for each in done.failed} == {"co.uk", "unheard.example"}
        assert all(each.why for each in done.failed)
        with pytest.raises(Conflict):
            await house.app.adoption.adopt(
                "anna", proposals, {"shoes.example": Choice(do="lock-out")}, now=now, expect=1
            )
