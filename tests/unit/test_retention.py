"""What is kept how long: each kind goes after its period and not before, and none is left out."""

import inspect
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec import structs

from letterbox.delivery import forget
from letterbox.model.address import Address
from letterbox.model.configuration import Configuration, RetentionSection
from letterbox.model.preferences import Preferences
from letterbox.model.sender import VendorRef
from letterbox.model.told import Event, Told
from letterbox.ports.store import Append, Commit, Emit, Put
from letterbox.records import places
from letterbox.records.activity import activity
from letterbox.records.coding import encode
from letterbox.records.names import new_id
from letterbox.records.strangers import StrangerCounts
from letterbox.records.tallies import Tally
from tests.support.house import House, mail, open_house

TABLE = "## What is kept how long"
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf"
domains = ["greenleaf.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["personal"]
"""
ANNA, GREENLEAF = places.consumer("anna"), places.vendor("greenleaf")
REF = VendorRef(id="greenleaf", name="Greenleaf", registered=True)
#: Each its own, so that it is seen which one is kept to.
RETENTION = RetentionSection(
    claims=8,
    decisions=20,
    activity=30,
    changes=40,
    feedback=50,
    webhook_calls=60,
    refused=70,
    held=80,
    requests=90,
    strangers=100,
    operator=110,
    credentials=120,
    imports=45,
)


async def write(house: House, partition: str, *operations) -> None:
    await house.app.store.commit(Commit(partition, operations))


async def has(house: House, partition: str, key: str) -> bool:
    return await house.app.store.get(partition, key) is not None


async def refused(house: House) -> None:
    content = mail(domain="voltshop.example")
    await house.send(content, "anna@letterbox.example", sender="bounces@voltshop.example")


async def delivered(house: House) -> None:
    await house.send(mail("Lunch?", text="See you.\r\n"), "anna@letterbox.example")


async def first_decision(house: House) -> str:
    (row,) = (await house.app.mailboxes.decisions("anna", after=None, limit=10)).items
    return row.id


# ---- one kind after another -------------------------------------------------------------------


async def decision(house):
    await refused(house)
    key = places.DECISION + await first_decision(house)
    return lambda: has(house, ANNA, key)


async def happened(house):
    await write(house, ANNA, activity(house.clock.now(), "reconnect.asked", "request", REF))

    async def there():
        return bool((await house.app.activity.entries("anna", after=None, limit=9)).items)

    return there


async def change(house):
    now = house.clock.now()
    wishes = (await house.app.consumers.stored("anna")).preferences
    other = structs.replace(wishes, language="nl")
    assert isinstance(other, Preferences)
    await house.app.consumers.replace("anna", other, expect=None, now=now)

    async def there():
        return bool(await house.app.consumers.history("anna"))

    return there


async def became(house):
    await delivered(house)
    (entry,) = (await house.app.mailboxes.inbox("anna", after=None, limit=10)).items
    held = new_id(house.clock.now())
    await write(house, ANNA, Put(key=places.kept(held), value=entry.id.encode()))
    house.clock.advance(days=300)
    await house.work()
    # As long as it is in the inbox it is needed.
    assert await has(house, ANNA, places.kept(held))
    await house.app.mailboxes.remove("anna", entry.id)
    held = new_id(house.clock.now())
    await write(house, ANNA, Put(key=places.kept(held), value=entry.id.encode()))
    return lambda: has(house, ANNA, places.kept(held))


async def event(house):
    old = Event(id="old", type="message.refused", at=house.clock.now())
    # The newest stays, so that cursors go on counting where they were.
    new = structs.replace(old, id="new", at=house.clock.now() + timedelta(days=999))
    await write(house, GREENLEAF, *(Append(places.FEED, encode(each)) for each in (old, new)))

    async def there():
        # Whoever comes with a cursor from before goes on from the oldest that is kept.
        page = await house.app.feed.page("greenleaf", after=0, limit=9)
        assert page.items[-1].id == "new"
        return page.items[0].id == "old"

    return there


async def tally(house):
    # A day's sum goes when the whole of the day is past its time.
    house.clock.advance(hours=12)
    today = house.clock.now().date() - timedelta(days=1)
    told = Told(verdict="deliver", reference="", reply=250, enhanced="2.0.0", text="")
    counted = house.app.tallies.commit(Tally("greenleaf", "answer", told, today))
    await house.app.store.commit(structs.replace(counted, with_previous=False))
    name = places.told(today, "answer", "deliver", "")

    async def there():
        return bool((await house.app.store.counters(GREENLEAF, [name]))[name])

    return there


async def body(house):
    await refused(house)
    row = await house.app.mailboxes.decision("anna", await first_decision(house))

    async def there():
        record = await house.app.mailboxes.message(row.message)
        assert (record is None) == (await house.app.mailboxes.body(row.message) is None)
        return record is not None

    return there


async def strangers(house):
    counts = StrangerCounts(house.app.store, house.app.registry, days=RETENTION.strangers)
    await house.send(mail(domain="nobody.example"), "anna@letterbox.example", sender=None)

    async def there():
        return bool(await counts.of("anna", house.clock.now()))

    return there


async def postmaster(house):
    await house.send(mail("Help"), "postmaster@letterbox.example")

    async def there():
        return bool(await house.inbox(places.OPERATOR))

    return there


async def key(house):
    lasts = timedelta(days=5)
    for purpose, owner in (("key", "greenleaf"), ("token", "anna"), ("token", places.OPERATOR)):
        await house.app.credentials.issue(purpose, owner, house.clock.now(), lasts=lasts)
        await house.app.credentials.issue(purpose, owner, house.clock.now())
    house.clock.advance(days=5)

    async def there():
        numbers = {
            len(await house.app.credentials.listed(purpose, owner))
            for purpose, owner in (("key", "greenleaf"), ("token", "anna"), ("token", "operator"))
        }
        assert numbers in ({1}, {2})
        return numbers == {2}

    return there


async def imported(house):
    await house.app.imports.begin("anna", "0" * 64, "mbox", 1)
    house.clock.advance(days=9)
    # As long as somebody goes on with it.
    await house.app.imports.begin("anna", "0" * 64, "mbox", 1)

    async def there():
        return await house.app.imports.of("anna") is not None

    return there


async def resend(house):
    await delivered(house)

    async def there():
        await delivered(house)
        return len(await house.inbox("anna")) == 1

    return there


async def reference(house):
    await refused(house)
    row = await house.app.mailboxes.decision("anna", await first_decision(house))
    partition = places.reference(row.told.reference)

    async def there():
        return await house.app.store.claim(partition, places.REFERENCE) is not None

    return there


async def broken(house):
    await write(house, ANNA, Emit(b"nonsense"))
    await house.work()
    (row,) = await house.app.store.documents(ANNA, places.BROKEN)
    return lambda: has(house, ANNA, row.key)


class Kind(NamedTuple):
    arrange: Callable[[House], Awaitable[Callable[[], Awaitable[bool]]]]
    days: int


KINDS = {
    "decision": Kind(decision, RETENTION.decisions),
    "reference": Kind(reference, RETENTION.decisions),
    "what a held message became": Kind(became, RETENTION.decisions),
    "activity": Kind(happened, RETENTION.activity),
    "change": Kind(change, RETENTION.changes),
    "event": Kind(event, RETENTION.feedback),
    "tally": Kind(tally, RETENTION.feedback),
    "broken": Kind(broken, RETENTION.feedback),
    "body": Kind(body, RETENTION.refused),
    "strangers": Kind(strangers, RETENTION.strangers),
    "postmaster": Kind(postmaster, RETENTION.operator),
    "credential": Kind(key, RETENTION.credentials),
    "import": Kind(imported, RETENTION.imports),
    "resend": Kind(resend, RETENTION.claims),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_it_goes_after_its_period_and_not_before(kind: Kind) -> None:
    configuration = Configuration(public_url="https://letterbox.example", retention=RETENTION)
    async with open_house(PEOPLE, configuration=configuration) as house:
        await house.app.worker.start()
        await house.app.worker.stop()
        there = await kind.arrange(house)
        house.clock.advance(days=kind.days - 1)
        await house.work()
        assert await there()
        # The sweep comes once a day, and a day is counted to its end.
        house.clock.advance(days=2, minutes=1)
        await house.work()
        assert not await there()


async def test_a_sweep_has_bounded_turns_and_goes_on_when_it_is_killed(monkeypatch) -> None:
    monkeypatch.setattr(forget, "_BATCH", 10)
    monkeypatch.setattr(forget, "_LOOKS", 3)
    names = [f"consumer{number}" for number in range(7)]
    people = "".join(
        f'[[consumer]]\nid = "{name}"\naddresses = ["{name}@letterbox.example"]\n' for name in names
    )
    async with open_house(PEOPLE + people) as house:
        for name in names:
            for _ in range(25):
                entry = activity(house.clock.now(), "reconnect.asked", "request", REF)
                await write(house, places.consumer(name), entry)
        house.clock.advance(days=500)

        async def left() -> int:
            entries = [
                await house.app.store.documents(places.consumer(name), places.ACTIVITY)
                for name in names
            ]
            return sum(map(len, entries))

        turns, before = 0, await left()
        while before:
            # Whoever does the next turn knows nothing but what is in the store.
            upkeep = house.app.upkeep
            await upkeep.forgetting.sweep()
            now = await left()
            assert before - now <= 3 * 10
            turns, before = turns + 1, now
            assert turns < 200
        assert turns > 7 * 25 / 30


# ---- none is left out -------------------------------------------------------------------------


def rows() -> list[list[str]]:
    """The table of the guide, cell by cell."""
    text = OPERATIONS.read_text().partition(TABLE)[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def families() -> dict[str, str]:
    """What every partition, key, log, counter and claim begins with, by its name in places."""
    dummy = {
        "datetime": datetime(2026, 11, 23, tzinfo=UTC),
        "date": date(2026, 11, 23),
        "Address": Address(local="x", domain="x"),
        "str": "x",
        "int": 1,
        "bytes": b"x",
    }
    found = {}
    for name, value in vars(places).items():
        if name.startswith("_"):
            continue
        if isinstance(value, str):
            found[name] = value
        elif inspect.isfunction(value):
            parameters = inspect.signature(value).parameters.values()
            given = [
                dummy[getattr(each.annotation, "__name__", each.annotation)]
                for each in parameters
                if each.kind is not each.KEYWORD_ONLY
            ]
            found[name] = value(*given)
    found["wrote elsewhere"] = places.wrote("x", elsewhere=True)
    keys = {name: value for name, value in found.items() if isinstance(value, str) and value}
    return {name: value.partition("/")[0] for name, value in keys.items()}


def test_every_kind_of_thing_that_is_written_stands_in_the_table() -> None:
    named = {word for row in rows() for word in re.findall(r"`([a-z-]+)/?`", row[1])}
    # What is said once of a message is named by who says it.
    wanted = {family for name, family in families().items() if name != "said_once"}
    assert wanted - named == set()
    # And nothing that is not: these are named elsewhere.
    assert named - wanted == {"complained", "unsubscribed", "event", "sent", "usage"}


def test_every_period_stands_in_the_table_with_its_default() -> None:
    said = {}
    for row in rows():
        said |= dict(re.findall(r"`retention\.([a-z_]+)` \((\d+)\)", row[2]))
    assert {name: int(days) for name, days in said.items()} == structs.asdict(RetentionSection())


def test_every_row_says_who_removes_it() -> None:
    assert len(rows()) > 20
    assert all(len(row) == 4 and all(row) for row in rows())
