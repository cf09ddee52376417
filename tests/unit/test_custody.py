"""How much may wait at one consumer: exact at once, given back in time, told as it may be."""

import asyncio

import msgspec
import pytest

from letterbox.model.configuration import Configuration, LimitsSection, ProbesSection
from letterbox.ports.store import Commit, Put
from letterbox.records import places
from tests.support.api import open_api
from tests.support.house import House, mail, open_house, signed

# Monday 23 November 2026, noon UTC: the window opens on Tuesday morning.
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
language = "nl"
  [[consumer.window]]
  days = ["tue"]
  from = "09:00"
  until = "12:00"
  kinds = ["offer"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  [[consumer.vendor]]
  domain = "voltshop.example"
  scope = "everything"

[[consumer]]
id = "carl"
addresses = ["carl@letterbox.example"]
newcomers = "ask"
ask_for_days = 2
"""
FULL = "550 5.7.1 too-many-waiting: Too much waits for the recipient already; send it again"


def holding(per_vendor: int = 2, per_consumer: int = 3) -> Configuration:
    limits = LimitsSection(held_per_vendor=per_vendor, held_per_consumer=per_consumer)
    return Configuration(public_url="https://letterbox.example", limits=limits)


async def send(house: House, number: int, *, domain: str = "greenleaf.example", to: str = "anna"):
    content = mail(f"Offer {number}", number=number, domain=domain, Letterbox_Kind="offer")
    if domain == "greenleaf.example":
        content = signed(content)
    received = await house.send(content, f"{to}@letterbox.example", sender=f"x@{domain}")
    return received.outcomes[0].told


async def waiting(house: House, consumer: str = "anna") -> list[str]:
    page = await house.app.mailboxes.held(consumer, after=None, limit=100)
    return [entry.id for entry in page.items]


async def counted(house: House, consumer: str = "anna", vendor: str = "greenleaf") -> list[int]:
    names = [places.waiting(vendor), places.WAITING]
    return list((await house.app.store.counters(places.consumer(consumer), names)).values())


async def test_one_too_many_of_a_vendors_is_refused_and_written_down() -> None:
    async with open_house(PEOPLE, configuration=holding()) as house:
        lines = [(await send(house, number)).line for number in range(3)]
        assert [line.split()[2] for line in lines] == ["held", "held", "too-many-waiting:"]
        assert lines[2].startswith(FULL)
        assert len(await waiting(house)) == 2
        page = await house.app.mailboxes.decisions("anna", after=None, limit=1, verdict="refuse")
        (row,) = page.items
        finding = row.findings[0]
        said = [house.app.sentences.person(finding, language) for language in ("en", "nl")]
        assert said == [
            "2 messages wait for you already; there was no room for more of Greenleaf Garden.",
            "Er wachten al 2 berichten op je; er was geen plaats voor meer van Greenleaf Garden.",
        ]
        types = [event.type for event in await house.feed("greenleaf")]
        assert types == ["message.held", "message.held", "message.refused"]


async def test_of_all_vendors_together_only_so_many_wait() -> None:
    async with open_house(PEOPLE, configuration=holding(per_vendor=2, per_consumer=2)) as house:
        for number, domain in enumerate(("greenleaf.example", "other.example", "voltshop.example")):
            told = await send(house, number, domain=domain, to="carl")
            assert told.verdict == ("refuse" if number == 2 else "hold"), told.line
        # Whom the consumer does not know hears no more than at any other refusal.
        assert told.line.startswith("550 5.7.1 no-relationship: ")


@pytest.mark.parametrize("stored", ["memory", "file"])
async def test_of_twenty_at_once_as_many_wait_as_there_is_room(stored: str, tmp_path) -> None:
    folder = tmp_path if stored == "file" else None
    configuration = holding(per_vendor=2, per_consumer=1000)
    async with open_house(PEOPLE, configuration=configuration, folder=folder) as house:
        told = await asyncio.gather(*(send(house, number) for number in range(20)))
        verdicts = [each.verdict for each in told]
        assert (verdicts.count("hold"), verdicts.count("refuse")) == (2, 18)
        assert all(each.line.startswith(FULL) for each in told if each.verdict == "refuse")
        assert len(await waiting(house)) == 2
        assert await counted(house) == [2, 2]


async def test_what_goes_gives_its_place_back_however_it_goes() -> None:
    async with open_house(PEOPLE, configuration=holding()) as house:
        await send(house, 1)
        await send(house, 2)
        assert await counted(house) == [2, 2]
        # At once and twice: the place is given back once.
        first, second = await waiting(house)
        answers = (house.app.holds.answer("anna", first, yes=yes) for yes in (True, False))
        await asyncio.gather(*answers)
        assert await counted(house) == [1, 1]
        await house.app.holds.answer("anna", second, yes=False)
        assert await counted(house) == [0, 0]
        assert (await send(house, 3)).verdict == "hold"
        house.clock.advance(hours=20)
        await house.work()
        assert await waiting(house) == []
        assert await counted(house) == [0, 0]


async def test_what_is_not_answered_in_time_gives_its_place_back() -> None:
    async with open_house(PEOPLE, configuration=holding()) as house:
        await send(house, 1, to="carl")
        assert await counted(house, "carl") == [1, 1]
        house.clock.advance(days=3)
        await house.work()
        assert await counted(house, "carl") == [0, 0]


async def test_waiting_on_after_a_yes_takes_no_second_place() -> None:
    people = PEOPLE.replace('vendor = "greenleaf"', 'vendor = "greenleaf"\n  standing = "ask"', 1)
    async with open_house(people, configuration=holding()) as house:
        await send(house, 1)
        (name,) = await waiting(house)
        await house.app.holds.answer("anna", name, yes=True)
        assert await waiting(house) == [name]
        assert await counted(house) == [1, 1]
        house.clock.advance(hours=20)
        await house.work()
        assert await house.inbox("anna") == ["Offer 1"]
        assert await counted(house) == [0, 0]


async def test_the_counts_outlast_the_longest_wait() -> None:
    """A worker that stood still all the while: what waited gives back what was counted."""
    async with open_house(PEOPLE, configuration=holding()) as house:
        await send(house, 1)
        house.clock.advance(days=300)
        assert await counted(house) == [1, 1]
        await house.work()
        assert await counted(house) == [0, 0]


async def test_what_waited_before_there_was_a_count_gives_nothing_back() -> None:
    async with open_house(PEOPLE, configuration=holding()) as house:
        await send(house, 1)
        await send(house, 2)
        first, second = await waiting(house)
        entry = await house.app.mailboxes.held_entry("anna", first)
        assert entry is not None
        old = msgspec.msgpack.encode(msgspec.structs.replace(entry, counted=False))
        put = Put(key=places.HELD + first, value=old)
        await house.app.store.commit(Commit(partition="consumer/anna", operations=(put,)))
        await house.app.holds.answer("anna", first, yes=True)
        assert await counted(house) == [2, 2]
        await house.app.holds.answer("anna", second, yes=True)
        assert await counted(house) == [1, 1]


@pytest.mark.parametrize(
    ("level", "code"),
    [("class", "timing"), ("reason", "too-many-waiting"), ("nothing", "no-relationship")],
)
async def test_who_is_told_less_hears_less_of_it(level: str, code: str) -> None:
    people = PEOPLE.replace('vendor = "greenleaf"', f'vendor = "greenleaf"\n  tells = "{level}"', 1)
    async with open_house(people, configuration=holding(per_vendor=1)) as house:
        await send(house, 1)
        full = await send(house, 2)
        assert full.line.split()[2] == f"{code}:"
        # The same to the letter as another refusal of that class.
        limited = people.replace('scope = "everything"', 'scope = "everything"\n  limit = LIMIT', 1)
        limited = limited.replace("LIMIT", '{ messages = 1, per = "day" }').replace("tue", "mon")
        limited = limited.replace("09:00", "00:00").replace('"12:00"', '"24:00"')
        await house.people(limited)
        await house.work()
        assert await house.inbox("anna") == ["Offer 1"]
        often = await send(house, 3)
        if level != "reason":
            assert often.line.rpartition("/")[0] == full.line.rpartition("/")[0]


async def test_asking_past_the_room_is_no_probing() -> None:
    configuration = msgspec.structs.replace(holding(per_vendor=1), probes=ProbesSection(per_day=1))
    async with open_house(PEOPLE, configuration=configuration) as house:
        for number, topic in enumerate(("pets", "travel", "hobby", "events")):
            headers = {"Letterbox_Kind": "offer", "Letterbox_Category": topic}
            content = signed(mail(f"Offer {number}", number=number, **headers))
            received = await house.send(content, "anna@letterbox.example")
        assert received.outcomes[0].told.line.startswith(FULL)


async def test_over_http_it_is_one_recipients_result() -> None:
    async with open_api(configuration=holding(per_vendor=1)) as api:
        assert (await api.send(kind="newsletter")).json["results"][0]["verdict"] == "hold"
        (result,) = (await api.send(kind="newsletter")).json["results"]
        assert result["verdict"] == "refuse"
        reason = result["reason"]
        assert (reason["code"], reason["class"], reason["final"]) == (
            "too-many-waiting",
            "timing",
            False,
        )
        assert reason["remedies"] == ["send it again some days later"]
        assert (await api.call("GET", f"/reasons/{reason['code']}")).status == 200
        refused = await api.call("GET", "/v1/me/decisions?verdict=refuse", who="anna")
        (row,) = refused.json["items"]
        assert row["sentence"] == (
            "Er wachten al 1 berichten op je; er was geen plaats voor meer van Greenleaf Garden."
        )
