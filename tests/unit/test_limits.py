"""Limits: exact however much comes at once, by vendor, kind and over all, day by local day."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from letterbox.model.kind import Kind
from letterbox.model.preferences import Limit
from tests.support.api import open_api
from tests.support.house import House, mail, open_house, signed

# Monday 23 November 2026, noon UTC: 13:00 in Amsterdam.
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
OVERALL
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  OURS
  [[consumer.vendor]]
  vendor = "voltshop"
  scope = "everything"
"""
TWO = 'limit = { messages = 2, per = "week" }'
EACH = """limit = [
  { messages = 2, per = "week", kinds = ["offer"] },
  { messages = 1, per = "month", kinds = ["newsletter"] },
]"""


def people(*, overall: str = "", ours: str = "") -> str:
    return PEOPLE.replace("OVERALL", overall).replace("OURS", ours)


async def send(house: House, number: int, domain: str = "greenleaf.example", kind: str = "offer"):
    """An offer of greenleaf's is signed; another's is a newsletter by its list's mark."""
    if domain == "greenleaf.example":
        headers = {"Letterbox_Kind": kind}
        content = signed(mail(f"Mail {number}", number=number, **headers))
    else:
        content = mail(f"Mail {number}", number=number, domain=domain, List_Id="<news.x>")
    sender = f"bounces@{domain}"
    received = await house.send(content, "anna@letterbox.example", sender=sender)
    return received.outcomes[0].told


async def verdicts(house: House, numbers: range, kind: str = "offer") -> list[str]:
    return [(await send(house, number, kind=kind)).verdict for number in numbers]


@pytest.fixture(params=["memory", "file"])
def folder(request, tmp_path: Path) -> Path | None:
    """Where the store's file is, or None for one in memory."""
    return tmp_path if request.param == "file" else None


async def test_of_twenty_at_once_exactly_two_pass(folder) -> None:
    async with open_house(people(ours=TWO), folder=folder) as house:
        told = await asyncio.gather(*(send(house, number) for number in range(20)))
        passed = [each for each in told if each.verdict == "deliver"]
        assert len(passed) == len(await house.inbox("anna")) == 2
        rest = [each for each in told if each.verdict != "deliver"]
        assert all(each.line.startswith("550 5.7.1 too-often: ") for each in rest)


async def test_of_twenty_of_two_vendors_two_pass_a_limit_over_all(folder) -> None:
    async with open_house(people(overall=TWO), folder=folder) as house:
        domains = ("greenleaf.example", "voltshop.example")
        sending = (send(house, number, domains[number % 2]) for number in range(20))
        told = await asyncio.gather(*sending)
        assert sorted(each.verdict for each in told) == ["deliver"] * 2 + ["refuse"] * 18
        assert len(await house.inbox("anna")) == 2


async def test_of_ten_that_come_and_ten_released_two_pass(folder) -> None:
    """Ten wait for Tuesday's window; when it opens they are released while ten others come."""
    window = 'window = [{ days = ["tue"], from = "09:00", until = "12:00" }]'
    text = people(overall=f"{window}\n{TWO}")
    async with open_house(text, folder=folder) as house:
        assert await verdicts(house, range(10)) == ["hold"] * 10
        house.clock.advance(hours=20)
        due = await house.app.store.due(house.clock.now())
        names = [entry.key.removeprefix("held/") for entry in due if entry.key.startswith("held/")]
        assert len(names) == 10
        await asyncio.gather(
            *(house.app.holds.open("anna", name) for name in names),
            *(send(house, number, "voltshop.example") for number in range(10, 20)),
        )
        assert len(await house.inbox("anna")) == 2
        page = await house.app.mailboxes.held("anna", after=None, limit=20)
        assert page.items == ()
        page = await house.app.mailboxes.decisions("anna", after=None, limit=50, verdict="refuse")
        assert [row.verdict.reason for row in page.items] == ["too-often"] * 18


async def test_each_of_several_limits_counts_its_own_kinds() -> None:
    async with open_house(people(ours=EACH)) as house:
        assert await verdicts(house, range(3)) == ["deliver", "deliver", "refuse"]
        assert await verdicts(house, range(3, 5), "newsletter") == ["deliver", "refuse"]
        house.clock.advance(days=6, hours=11)  # Monday 30 November, midnight in Amsterdam
        assert await verdicts(house, range(5, 6)) == ["deliver"]
        assert await verdicts(house, range(6, 7), "newsletter") == ["refuse"]
        house.clock.advance(days=1)
        assert await verdicts(house, range(7, 8), "newsletter") == ["deliver"]


async def test_a_limit_on_some_kinds_stands_beside_one_over_all() -> None:
    ours = 'limit = { messages = 1, per = "day", kinds = ["offer"] }'
    async with open_house(
        people(overall='limit = { messages = 3, per = "week" }', ours=ours)
    ) as house:
        assert await verdicts(house, range(2)) == ["deliver", "refuse"]
        # What was refused counts towards nothing.
        assert await verdicts(house, range(2, 5), "newsletter") == ["deliver", "deliver", "refuse"]
        house.clock.advance(days=1)
        assert await verdicts(house, range(5, 6)) == ["refuse"]
        told = await send(house, 6, kind="service")
        assert told.verdict == "deliver"


@pytest.mark.parametrize(
    ("messages", "expected"), [(1, ["refuse"]), (2, ["refuse"]), (3, ["deliver", "refuse"])]
)
async def test_a_limit_changed_within_its_period_goes_on_counting(messages, expected) -> None:
    async with open_house(people(ours=TWO)) as house:
        assert await verdicts(house, range(2)) == ["deliver", "deliver"]
        await house.people(people(ours=TWO.replace("2", str(messages))))
        assert await verdicts(house, range(2, 2 + len(expected))) == expected


async def test_a_single_limit_put_into_a_list_goes_on_counting() -> None:
    async with open_house(people(ours=TWO)) as house:
        assert await verdicts(house, range(2)) == ["deliver", "deliver"]
        listed = f"limit = [{TWO.removeprefix('limit = ')}]"
        await house.people(people(ours=listed))
        assert await verdicts(house, range(2, 3)) == ["refuse"]


@pytest.mark.parametrize(
    ("per", "last", "first"),
    [
        # The last minute of the period and the first of the next, in Amsterdam.
        ("day", {"hours": 10, "minutes": 59}, {"minutes": 1}),
        ("week", {"days": 6, "hours": 10, "minutes": 59}, {"minutes": 1}),
        ("month", {"days": 7, "hours": 10, "minutes": 59}, {"minutes": 1}),
    ],
)
async def test_a_period_is_the_consumers_own_calendars(per, last, first) -> None:
    ours = f'limit = {{ messages = 1, per = "{per}" }}'
    async with open_house(people(ours=ours)) as house:
        assert await verdicts(house, range(1)) == ["deliver"]
        house.clock.advance(**last)
        assert await verdicts(house, range(1, 2)) == ["refuse"]
        house.clock.advance(**first)
        assert await verdicts(house, range(2, 4)) == ["deliver", "refuse"]


async def test_several_limits_are_said_and_read_again_through_the_api() -> None:
    limits = [
        {"messages": 2, "per": "week", "kinds": ["offer"]},
        {"messages": 1, "per": "month", "kinds": ["newsletter"]},
    ]
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/vendors/greenleaf", who="anna")
        rule = got.json | {"limit": limits, "scope": "everything"}
        headers = {"If-Match": got.headers["ETag"]}
        path = "/v1/me/vendors/greenleaf"
        put = await api.call("PUT", path, who="anna", json=rule, headers=headers)
        assert (put.status, put.json["limit"]) == (200, limits)
        document = (await api.call("GET", "/v1/me/preferences", who="anna")).json
        document["limit"] = [{"messages": 20, "per": "week"}, {"messages": 5, "per": "day"}]
        headers = {"If-Match": "*"}
        put = await api.call(
            "PUT", "/v1/me/preferences", who="anna", json=document, headers=headers
        )
        assert (put.status, put.json["limit"]) == (200, document["limit"])
        again = (await api.call("GET", "/v1/me/preferences", who="anna")).json
        assert again == document
        results = [(await api.send(offer=None)).json["results"][0] for _ in range(3)]
        assert [result["verdict"] for result in results] == ["deliver", "deliver", "refuse"]
        assert results[2]["reason"]["code"] == "too-often"
        # One limit alone stays as it was written.
        stored = await api.house.app.consumers.stored("ben")
        assert stored is not None
        one = Limit(messages=1, per="day", kinds=(Kind.OFFER,))
        changed = msgspec.structs.replace(stored.preferences, limit=one)
        await api.house.app.consumers.revise("ben", changed, expect=1, now=api.house.clock.now())
        document = (await api.call("GET", "/v1/me/preferences", who="ben")).json
        assert document["limit"] == {"messages": 1, "per": "day", "kinds": ["offer"]}
