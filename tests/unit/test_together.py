"""Several processes over one store: what one changes the others know, and one alone has a name."""

import asyncio
import itertools
from datetime import timedelta

import msgspec
import pytest

from letterbox.adapters.memory import MemoryStore
from letterbox.intake.receipt import Idempotent, Submission
from letterbox.model.address import parse_address
from letterbox.model.preferences import Interest, Preferences, Vendor, VendorRule
from letterbox.model.vendor import Chosen, Registered, Suspension
from letterbox.model.webhook import Webhook
from letterbox.ports.store import StoreUnavailable
from letterbox.records.categories import Foreign
from letterbox.records.consumers import Conflict, Refused
from letterbox.records.vendors import DomainTaken
from tests.support.api import opened
from tests.support.house import mail
from tests.support.together import (
    Apart,
    at_once,
    house_over,
    two_houses,
    two_houses_of_a_file,
    two_redis_houses,
)

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
vendor = [{ vendor = "greenleaf", accepts = ["personal"] }]

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
vendor = [{ vendor = "greenleaf", accepts = ["personal"] }]
"""
NUMBERS = itertools.count(1)
NEW = "new@letterbox.example"
ANNA = "anna@letterbox.example"


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def houses(request, tmp_path):
    if request.param == "sqlite":
        async with two_houses_of_a_file(PEOPLE, tmp_path / "store.db") as two:
            yield two
    elif request.param == "redis":
        server = request.getfixturevalue("redis_server")
        async with two_redis_houses(PEOPLE, server) as two:
            yield two
    else:
        async with two_houses(PEOPLE) as two:
            yield two


# ---- what one changes, the other knows -----------------------------------------------------------


async def change(house, consumer, **fields):
    stored = await house.app.consumers.stored(consumer)
    changed = msgspec.structs.replace(stored.preferences, **fields)
    await house.app.consumers.replace(consumer, changed, expect=None, now=house.clock.now())


async def block(house):
    await change(house, "anna", vendor=(VendorRule(vendor="greenleaf", standing="blocked"),))


async def take_address(house):
    await change(house, "ben", addresses=("ben@letterbox.example", NEW))


async def pass_address_on(house):
    await change(house, "anna", addresses=("a@letterbox.example",))
    await change(house, "ben", addresses=("ben@letterbox.example", ANNA))


async def suspend(house):
    suspended = Suspension(at=house.clock.now())
    await house.app.vendors.suspend("greenleaf", suspended)


async def prove(house):
    again = house.clock.now() + timedelta(days=1)
    await house.app.vendors.prove("voltshop", "other.example", again)


async def register(house):
    await house.app.vendors.replace(Vendor(id="vinyl", name="Vinyl", domains=("vinyl.example",)))


async def make_webhook(house):
    now = house.clock.now()
    webhook = Webhook(id="w1", url="https://vendor.example/", created=now, signing="hmac", keys=())
    await house.app.webhook_records.add("greenleaf", webhook, cursor=0, now=now)


async def import_categories(house):
    await house.app.categories.replace("google", [Foreign("1604", "Clothing", "clothing")])


async def answer(house, to):
    received = await house.send(mail(number=next(NUMBERS)), to)
    told = received.outcomes[0].told
    return told.reason.code if told.reason else told.verdict


async def holder(house):
    found = await house.app.vendors.holder("other.example")
    directory = await house.app.vendors.directory()
    return found.vendor, directory["voltshop"].own_domains


async def known_vendors(house):
    vendors = house.app.vendors
    return "vinyl" in await vendors.directory(), (await vendors.holder("vinyl.example")).vendor


async def endpoints(house):
    return len((await house.app.webhook_records.listed("greenleaf")).webhooks)


async def category(house):
    return house.app.categories.ours("google:1604")


async def whose(house):
    return (await house.app.consumers.owner(parse_address(ANNA))).consumer


async def revision(house):
    return (await house.app.consumers.wishes("anna")).revision


CHANGES = {
    "wishes": (block, revision, 1, 2),
    "preferences": (block, lambda h: answer(h, ANNA), "deliver", "vendor-blocked"),
    "an address taken": (take_address, lambda h: answer(h, NEW), "no-relationship", "deliver"),
    "an address passed on": (pass_address_on, whose, "anna", "ben"),
    "a suspension": (suspend, lambda h: answer(h, ANNA), "deliver", "vendor-suspended"),
    "a domain": (
        prove,
        holder,
        ("", ("voltshop.example",)),
        ("voltshop", ("voltshop.example", "other.example")),
    ),
    "a vendor": (register, known_vendors, (False, ""), (True, "vinyl")),
    "an endpoint": (make_webhook, endpoints, 0, 1),
    "categories": (import_categories, category, None, "clothing"),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_what_one_changes_the_other_knows(houses, what):
    act, asked, before, after = CHANGES[what]
    first, second = houses
    for house in houses:
        assert await asked(house) == before
    await act(first)
    assert await asked(first) == after
    async with asyncio.timeout(20):
        while await asked(second) != after:  # noqa: ASYNC110 - the news is on its way
            await asyncio.sleep(0.01)


async def test_mail_goes_to_nobody_who_had_the_address_before():
    """News of it is still on the way: the wishes show that it is old, and it is sent again."""
    async with two_houses(PEOPLE) as (first, second):
        consumers = second.app.consumers
        had, wishes = await consumers.addressed(parse_address(ANNA))
        await pass_address_on(first)
        consumers._addresses._owners.put(f"address/{ANNA}", had)
        consumers._wishes.put("anna", wishes)
        assert await answer(second, ANNA) == "busy"
        assert await answer(second, ANNA) == "deliver"
        assert (await second.inbox("anna"), len(await second.inbox("ben"))) == ([], 1)


# ---- who is first ------------------------------------------------------------------------------


def having(*addresses):
    return Preferences(addresses=addresses)


def replacing(house, consumer, *addresses, expect=None):
    now = house.clock.now()
    return house.app.consumers.replace(consumer, having(*addresses), expect=expect, now=now)


async def owner(house, address):
    return (await house.app.consumers.owner(parse_address(address))).consumer


async def addresses_of(house, consumer):
    """Those in a consumer's preferences; of one who is only listed as yet, none."""
    stored = await house.app.consumers.stored(consumer)
    return [each.address for each in stored.preferences.bound_addresses] if stored else []


async def listing(house, address):
    """The consumers whose preferences have an address."""
    found = set()
    for consumer in await house.app.consumers.all():
        if address in await addresses_of(house, consumer):
            found.add(consumer)
    return found


async def check_names(house):
    """Every address and every domain is exactly theirs who say so, and nobody else's."""
    documents = house.app.store._documents
    for partition, _ in [name for name in documents if name[1] == "owner"]:
        room, _, name = partition.partition("/")
        if room == "address":
            assert await listing(house, name) == {await owner(house, name)} - {""}
        else:
            held = (await house.app.vendors.holder(name)).vendor
            directory = await house.app.vendors.directory()
            have = {each.id for each in directory.values() if name in each.own_domains}
            assert have == {held} - {""}
    for consumer in await house.app.consumers.all():
        for address in await addresses_of(house, consumer):
            assert await owner(house, address) == consumer


async def rest(house):
    """What was cut short is looked at a minute later."""
    house.clock.advance(minutes=2)
    await house.work()


@pytest.mark.parametrize("kind", [MemoryStore, Apart])
async def test_an_address_goes_to_one_of_two(kind):
    async with two_houses(PEOPLE, kind) as (first, second):
        outcomes = await at_once(
            (first, second),
            replacing(first, "kim", "kim@letterbox.example", NEW),
            replacing(second, "lee", "lee@letterbox.example", NEW),
        )
        assert {type(each) for each in outcomes} == {int, Refused}
        winner = "kim" if outcomes[0] == 1 else "lee"
        for house in (first, second):
            assert await owner(house, NEW) == winner
            assert await listing(house, NEW) == {winner}
        if kind is Apart:
            await rest(first)
        loser = ({"kim", "lee"} - {winner}).pop()
        assert await owner(first, f"{loser}@letterbox.example") == ""
        await check_names(first)
        await replacing(second, loser, f"{loser}@letterbox.example")
        await check_names(second)


async def test_on_a_server_each_name_goes_to_one_of_two_as_well(redis_server):
    async with two_redis_houses(PEOPLE, redis_server) as houses:
        first, second = houses
        outcomes = await at_once(
            houses, replacing(first, "kim", NEW), replacing(second, "lee", NEW)
        )
        assert {type(each) for each in outcomes} == {int, Refused}
        again = first.clock.now() + timedelta(days=1)
        outcomes = await at_once(
            houses,
            first.app.vendors.prove("greenleaf", "other.example", again),
            second.app.vendors.prove("voltshop", "other.example", again),
        )
        assert {type(each) for each in outcomes} == {type(None), DomainTaken}
        made = Registered(id="vinyl", name="Vinyl", registered="self", at=first.clock.now())
        outcomes = await at_once(houses, *(house.app.vendors.add(made) for house in houses))
        assert sorted(outcomes) == [False, True]


@pytest.mark.parametrize("kind", [MemoryStore, Apart])
async def test_two_take_addresses_crosswise(kind):
    async with two_houses(PEOPLE, kind) as (first, second):
        one, other = "one@letterbox.example", "other@letterbox.example"
        await at_once(
            (first, second),
            replacing(first, "kim", one, other),
            replacing(second, "lee", other, one),
        )
        assert len(await listing(first, one)) <= 1
        assert await listing(first, one) == await listing(second, other)
        await rest(first)
        await check_names(second)


@pytest.mark.parametrize("kind", [MemoryStore, Apart])
async def test_a_revision_is_changed_once(kind):
    async with two_houses(PEOPLE, kind) as (first, second):
        outcomes = await at_once(
            (first, second),
            replacing(first, "anna", ANNA, "a1@letterbox.example", expect=1),
            replacing(second, "anna", ANNA, "a2@letterbox.example", expect=1),
        )
        assert 2 in outcomes
        assert any(isinstance(each, Conflict) for each in outcomes)
        await rest(first)
        await check_names(first)


async def test_two_changes_of_different_pieces_both_count():
    async with two_houses(PEOPLE) as houses:
        now = houses[0].clock.now()
        await at_once(
            houses,
            *(
                house.app.consumers.revise_piece(
                    "anna", ("interest", name), Interest(id=name), expect=None, now=now
                )
                for house, name in zip(houses, ("one", "other"), strict=True)
            ),
        )
        for house in houses:
            stored = await house.app.consumers.stored("anna")
            assert stored.revision == 3
            assert {each.id for each in stored.preferences.interest} == {"one", "other"}
            assert (await house.app.consumers.wishes("anna")).revision == 3


async def test_a_vendors_id_goes_to_one_of_two():
    async with two_houses(PEOPLE) as houses:
        made = [
            Registered(id="vinyl", name=name, registered="self", at=houses[0].clock.now())
            for name in ("Vinyl", "Final")
        ]
        added = [h.app.vendors.add(v) for h, v in zip(houses, made, strict=True)]
        outcomes = await at_once(houses, *added)
        assert sorted(outcomes) == [False, True]
        winner = made[outcomes.index(True)].name
        for house in houses:
            assert (await house.app.vendors.get("vinyl")).name == winner


@pytest.mark.parametrize("kind", [MemoryStore, Apart])
async def test_a_domain_goes_to_one_of_two(kind):
    async with two_houses(PEOPLE, kind) as houses:
        again = houses[0].clock.now() + timedelta(days=1)
        outcomes = await at_once(
            houses,
            *(
                house.app.vendors.prove(vendor, "other.example", again)
                for house, vendor in zip(houses, ("greenleaf", "voltshop"), strict=True)
            ),
        )
        assert {type(each) for each in outcomes} == {type(None), DomainTaken}
        await rest(houses[0])
        for house in houses:
            await check_names(house)
            assert (await house.app.vendors.holder("other.example")).vendor


@pytest.mark.parametrize("kind", [MemoryStore, Apart])
async def test_a_domain_is_given_and_proven_at_once(kind):
    given = Vendor(id="vinyl", name="Vinyl", domains=("other.example",))
    async with two_houses(PEOPLE, kind) as (first, second):
        again = first.clock.now() + timedelta(days=1)
        await at_once(
            (first, second),
            first.app.vendors.replace(given),
            second.app.vendors.prove("voltshop", "other.example", again),
        )
        await rest(first)
        await check_names(first)
        await check_names(second)


async def test_two_changes_of_a_vendor_both_count():
    async with two_houses(PEOPLE) as houses:
        now = houses[0].clock.now()
        suspended, chosen = Suspension(at=now), Chosen(reply="report", at=now, by="lbk_1")
        await at_once(
            houses,
            houses[0].app.vendors.suspend("greenleaf", suspended),
            houses[1].app.vendors.choose("greenleaf", chosen),
        )
        for house in houses:
            vendor = await house.app.vendors.get("greenleaf")
            assert (vendor.suspended, vendor.chosen) == (suspended, chosen)


async def test_of_all_vendors_only_those_that_changed_are_read_again(monkeypatch):
    async with two_houses(PEOPLE) as (first, second):
        await second.app.vendors.directory()
        await suspend(first)
        asked = []
        for name in ("get", "documents"):
            ask = getattr(second.app.store, name)

            async def counted(partition, *said, _ask=ask, **more):
                asked.append(partition)
                return await _ask(partition, *said, **more)

            monkeypatch.setattr(second.app.store, name, counted)
        assert (await second.app.vendors.directory())["greenleaf"].suspended is not None
        assert asked == ["vendor/greenleaf"]
        await second.app.vendors.directory()
        assert len(asked) == 1


async def test_two_endpoints_and_two_imports_at_once_both_count():
    async with two_houses(PEOPLE) as houses:
        now = houses[0].clock.now()
        hooks = [
            Webhook(id=f"w{n}", url="https://v.example/", created=now, signing="hmac", keys=())
            for n in range(2)
        ]
        await at_once(
            houses,
            *(
                house.app.webhook_records.add("greenleaf", hook, cursor=0, now=now)
                for house, hook in zip(houses, hooks, strict=True)
            ),
        )
        for house in houses:
            listed = await house.app.webhook_records.listed("greenleaf")
            assert {hook.id for hook in listed.webhooks} == {"w0", "w1"}
        long = [Foreign(str(nth), f"Thing {nth}", "pets") for nth in range(1500)]
        await at_once(
            houses,
            houses[0].app.categories.replace("google", long),
            houses[1].app.categories.replace("google", [Foreign("1604", "Clothing", "clothing")]),
        )
        await houses[0].app.categories.replace("google", long[:501])
        page, after = await houses[0].app.categories.page("google", 1)
        assert (len(page), await houses[0].app.categories.page("google", after)) == (1, ((), None))


async def test_a_call_with_one_key_is_made_by_one_of_two():
    path, how = "/v1/webhooks", {"Idempotency-Key": "k"}
    said = {"who": "greenleaf", "json": {"url": "https://v.example/"}, "headers": how}
    async with two_houses(PEOPLE) as houses, opened(houses[0]) as one, opened(houses[1]) as other:
        await one.credential("greenleaf")
        other.credentials |= one.credentials
        for api in (one, other):  # that a key is used is written down the first time
            assert (await api.call("GET", path, who="greenleaf")).json["items"] == []
        replies = await at_once(
            houses, one.call("POST", path, **said), other.call("POST", path, **said)
        )
        assert sorted(reply.status for reply in replies) == [201, 409]
        assert "just being made" in max(replies, key=lambda reply: reply.status).json["detail"]
        for api in (one, other):
            assert len((await api.call("GET", path, who="greenleaf")).json["items"]) == 1
            again = await api.call("POST", path, **said)
            assert "its answer is shown once" in again.json["detail"]


async def test_a_call_whose_process_was_killed_is_made_again_by_another(monkeypatch):
    path, how = "/v1/webhooks", {"Idempotency-Key": "k"}
    said = {"who": "greenleaf", "json": {"url": "https://v.example/"}, "headers": how}
    async with two_houses(PEOPLE) as houses, opened(houses[0]) as one, opened(houses[1]) as other:
        await one.credential("greenleaf")
        other.credentials |= one.credentials
        count, commit = itertools.count(), one.house.app.store.commit

        async def dies(*commits):
            if next(count) > 1:  # that the key is used, and that the call is made
                raise StoreUnavailable("killed")
            return await commit(*commits)

        monkeypatch.setattr(one.house.app.store, "commit", dies)
        assert (await one.call("POST", path, **said)).status == 503
        assert (await other.call("POST", path, **said)).status == 409
        other.house.clock.advance(minutes=2)
        assert (await other.call("POST", path, **said)).status == 201


@pytest.mark.parametrize("to", [ANNA, "nobody@letterbox.example"])
async def test_a_message_with_one_key_has_one_answer(to):
    async with two_houses(PEOPLE) as houses:
        vendor = await houses[0].app.vendors.get("greenleaf")
        submission = Submission(vendor, idempotent=Idempotent(key="k", fingerprint=b"f"))
        content = mail(number=next(NUMBERS))
        received = await at_once(
            houses, *(house.send(content, to, submission=submission) for house in houses)
        )
        again = await houses[0].send(content, to, submission=submission)
        assert received == [again, again]
        assert len(await houses[0].inbox("anna")) == (to == ANNA)


async def test_a_claim_of_a_domain_has_one_token():
    async with two_houses(PEOPLE) as houses:
        now = houses[0].clock.now()
        claims = await at_once(
            houses, *(house.app.claims.ask("greenleaf", "other.example", now) for house in houses)
        )
        assert (
            claims[0] == claims[1] == await houses[0].app.claims.find("greenleaf", "other.example")
        )


# ---- cut short ---------------------------------------------------------------------------------

ADDRESS_CHANGES = {
    "a new consumer": ("kim", (NEW, "kim@letterbox.example")),
    "one more": ("anna", (ANNA, NEW)),
    "another": ("anna", (NEW,)),
}


@pytest.mark.parametrize("what", ADDRESS_CHANGES)
async def test_a_change_of_addresses_that_is_cut_short_is_made_again(what):
    consumer, addresses = ADDRESS_CHANGES[what]
    left, done = 0, False
    while not done:
        async with two_houses(PEOPLE, Apart) as (first, second):
            store = first.app.store._store
            store.left = left
            try:
                await replacing(first, consumer, *addresses)
                done = True
            except StoreUnavailable:
                left += 1
            store.left = None
            # Whoever comes meanwhile cannot have what is being taken as well.
            await asyncio.gather(replacing(second, "ben", NEW), return_exceptions=True)
            for address in (*addresses, ANNA):
                assert len(await listing(second, address)) <= 1
            late = house_over(store, first.clock)
            await asyncio.gather(replacing(late, consumer, *addresses), return_exceptions=True)
            await rest(late)
            for house in (first, second, late):
                await check_names(house)
            if await owner(late, NEW) != "ben":
                assert await listing(late, NEW) == {consumer}
    assert left > 3, "a call of so many commits"


async def test_what_is_under_way_is_left_alone():
    async with two_houses(PEOPLE, Apart) as (first, second):
        store, clock = first.app.store._store, first.clock
        store.left = 3  # the address is taken, and the preferences not yet written
        await asyncio.gather(replacing(first, "anna", ANNA, NEW), return_exceptions=True)
        store.left = None
        assert (await owner(second, NEW), await listing(second, NEW)) == ("anna", set())
        clock.advance(seconds=40)
        await second.app.consumers.settle_address(NEW, clock.now())  # a look of an earlier time
        assert await owner(second, NEW) == "anna"
        await rest(second)
        assert await owner(second, NEW) == ""


@pytest.mark.parametrize("act", ["take", "pass", "lose"])
async def test_a_passing_of_a_domain_that_is_cut_short_is_made_again(act):
    left, done = 0, False
    while not done:
        async with two_houses(PEOPLE, Apart) as (first, second):
            store, again = first.app.store._store, first.clock.now() + timedelta(days=1)

            async def passing(house, again=again):
                vendors = house.app.vendors
                match act:
                    case "take":
                        await vendors.prove("voltshop", "other.example", again)
                    case "pass":
                        await vendors.prove(
                            "greenleaf", "other.example", again, taken_from="voltshop"
                        )
                    case "lose":
                        await vendors.disprove("voltshop", "other.example")

            if act != "take":
                await second.app.vendors.prove("voltshop", "other.example", again)
            store.left = left
            try:
                await passing(first)
                done = True
            except StoreUnavailable:
                left += 1
            store.left = None
            late = house_over(store, first.clock)
            await passing(late)
            await rest(late)
            for house in (first, second, late):
                await check_names(house)
            held = (await late.app.vendors.holder("other.example")).vendor
            assert held == {"take": "voltshop", "pass": "greenleaf", "lose": ""}[act]
    assert left > 3, "a call of so many commits"
