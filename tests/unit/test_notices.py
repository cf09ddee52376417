"""What went wrong in a consumer's name is told to the consumer, and to nobody else."""

import email
import email.policy
from contextlib import asynccontextmanager

import msgspec
import pytest

from letterbox.ports.store import StoreUnavailable
from letterbox.records import places
from tests.support.api import Api, open_api
from tests.support.counting import Counting
from tests.support.house import SPF_HERE, mail

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
addresses = ["anna@letterbox.example",
             { address = "garden@letterbox.example", vendor = "greenleaf" }]
timezone = "Europe/Amsterdam"
language = "LANGUAGE"
newcomers = "refuse"
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  [[consumer.vendor]]
  domain = "other.example"
  standing = "blocked"
  because = "too-often"
"""
OURS = "letterbox.example"


@asynccontextmanager
async def house(people: str = PEOPLE, language: str = "en"):
    async with open_api(people.replace("LANGUAGE", language)) as api:
        yield api


async def leak(api: Api, number: int = 1, domain: str = "voltshop.example"):
    """A mail to the address that was given to greenleaf, by another."""
    return await send(api, number, domain, "garden@letterbox.example")


async def nag(api: Api, number: int = 1):
    """A mail of one who is locked out."""
    return await send(api, number, "other.example")


async def mimic(api: Api, number: int = 1, domain: str = "voltshop.example"):
    """A mail of one who calls itself a vendor of the consumer's, and is another."""
    author = f"Greenleaf Garden <shop@{domain}>"
    return await send(api, number, domain, From=author)


async def send(api: Api, number: int, domain: str, to: str = "anna@letterbox.example", **fields):
    content = mail(f"Offer {number}", number=number, domain=domain, **fields)
    received = await api.house.send(content, to, sender=f"shop@{domain}")
    return received.outcomes[0].told


async def notices(api: Api) -> list[dict]:
    """What we wrote into the inbox, oldest first."""
    await api.house.work()
    items = (await api.call("GET", "/v1/me/inbox", who="anna")).json["items"]
    return [item for item in reversed(items) if item["vendor"] == OURS]


async def raw(api: Api, item: dict):
    reply = await api.call("GET", f"/v1/me/inbox/{item['id']}/raw?original=1", who="anna")
    return email.message_from_bytes(reply.body, policy=email.policy.default)


async def logged(api: Api) -> list[str]:
    items = (await api.call("GET", "/v1/me/activity", who="anna")).json["items"]
    return [item["type"] for item in reversed(items) if item["type"].startswith("notice.")]


#: What goes wrong, how often until it is told, the subject of what is then told in both
#: languages, and the kind of entry in the log.
CAUSES = {
    "address": (
        leak,
        1,
        "Voltshop uses an address you gave to Greenleaf Garden",
        "Voltshop gebruikt een adres dat je aan Greenleaf Garden gaf",
        "notice.address",
    ),
    "locked out": (
        nag,
        3,
        "other.example goes on writing though you locked it out",
        "other.example blijft schrijven, ook al sloot je het buiten",
        "notice.locked-out",
    ),
    "lookalike": (
        mimic,
        1,
        "Voltshop looks like your vendor Greenleaf Garden",
        "Voltshop lijkt op je winkel Greenleaf Garden",
        "notice.lookalike",
    ),
}


@pytest.mark.parametrize("language", ["en", "nl"])
@pytest.mark.parametrize("cause", CAUSES)
async def test_a_consumer_is_told_once_a_week(cause, language):
    goes_wrong, times, english, dutch, kind = CAUSES[cause]
    async with house(language=language) as api:
        for number in range(times - 1):
            await goes_wrong(api, number)
        assert await notices(api) == []
        for number in range(times - 1, times + 3):
            await goes_wrong(api, number)
            (item,) = await notices(api)
        assert item["subject"] == {"en": english, "nl": dutch}[language]
        assert (item["kind"], item["read"]) == ("service", False)
        assert await logged(api) == [kind]
        written = await raw(api, item)
        assert written["Subject"] == item["subject"]
        assert written["From"] == f"letterbox <postmaster@{OURS}>"
        assert written["Auto-Submitted"] == "auto-generated"
        text = written.get_content().replace("\r\n", "\n")
        assert text.startswith(f"{item['subject']}.\n")
        assert "{" not in text
        activity = (await api.call("GET", "/v1/me/activity", who="anna")).json["items"]
        noted = next(each for each in activity if each["type"] == kind)
        assert noted["decision"] in text
        got = await api.call("GET", f"/v1/me/decisions/{noted['decision']}", who="anna")
        assert got.status == 200
        api.house.clock.advance(days=7, seconds=1)
        await goes_wrong(api, 99)
        assert len(await notices(api)) == 2


async def test_the_message_stays_while_it_lies_in_the_inbox():
    async with house() as api:
        await leak(api)
        (item,) = await notices(api)
        api.house.clock.advance(days=31)
        await api.house.work()
        assert (await raw(api, item))["Subject"] == item["subject"]
        assert (await api.call("DELETE", f"/v1/me/inbox/{item['id']}", who="anna")).status == 204
        api.house.clock.advance(days=31)
        await api.house.work()
        assert await api.house.app.mailboxes.body(item["id"]) is None


async def test_many_vendors_do_not_fill_an_inbox():
    async with house() as api:
        for number in range(15):
            domain = f"shop{number}.example"
            api.house.zone.records |= {domain: SPF_HERE}
            await leak(api, number, domain)
        assert len(await notices(api)) == 10
        assert await logged(api) == ["notice.address"] * 15
        rows = await api.house.app.store.documents(places.consumer("anna"), prefix="noticed/")
        assert list(rows) == []  # nor the store, with what has been looked at


HOSTILE = [
    "Evil\r\nBcc: x@y.example",
    "=?utf-8?q?Evil=0d=0aBcc:x@y.example?=",
    "=?utf-8?b?RXZpbA0KQmNjOiB4?=",
    "\u202eevil\u2028\x00",
    "a" * 200,
    "{address} {decision}",
    "Zaad & Ström, 種",
]


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_is_a_name_and_no_more(name):
    async with house() as api:
        vendors = api.house.app.vendors
        await vendors.replace(msgspec.structs.replace(await vendors.get("voltshop"), name=name))
        await leak(api)
        (item,) = await notices(api)
        written = await raw(api, item)
        assert sorted(written.keys()) == [
            "Auto-Submitted",
            "Content-Transfer-Encoding",
            "Content-Type",
            "Date",
            "From",
            "MIME-Version",
            "Message-ID",
            "Subject",
        ]
        assert not {"\u202e", "\u2028", "\r", "\n"} & set(str(written["Subject"]))
        if name.isprintable() and len(name) < 100 and "=?" not in name:
            assert name in str(written["Subject"])
        assert len(written.get_content().splitlines()) == 9


async def test_strangers_and_the_consumers_own_vendors_are_no_cause():
    async with house() as api:
        await send(api, 1, "unknown.example", "garden@letterbox.example")
        await send(api, 2, "greenleaf.example", "garden@letterbox.example")
        await send(api, 3, "greenleaf.example", From="Greenleaf Garden <shop@greenleaf.example>")
        await nag(api)
        await nag(api, 2)
        assert await notices(api) == []
        assert await logged(api) == []


PAIRS = {
    "an address of another's": (
        leak,
        lambda api: send(api, 1, "voltshop.example", "anna@letterbox.example"),
    ),
    "a lookalike": (
        mimic,
        lambda api: send(
            api, 1, "voltshop.example", From="Quite Another Shop <shop@voltshop.example>"
        ),
    ),
    "an address that nobody has": (
        leak,
        lambda api: send(api, 1, "voltshop.example", "nobody@letterbox.example"),
    ),
    "one who is locked out and told nothing": (
        lambda api: send(api, 1, "other.example"),
        lambda api: send(api, 1, "shop.example"),
    ),
}


@pytest.mark.parametrize("pair", PAIRS)
async def test_the_sender_hears_and_measures_nothing_of_it(pair, monkeypatch):
    answers, costs = [], []
    people = PEOPLE.replace('because = "too', 'tells = "nothing"\n  because = "too')
    for act in PAIRS[pair]:
        async with house(people) as api:
            api.house.zone.records |= {"shop.example": SPF_HERE}
            for domain in ("voltshop.example", "other.example", "shop.example"):
                await send(api, 0, domain, "elsewhere@letterbox.example")
            with monkeypatch.context() as patch:
                counting = Counting(api.house, patch)
                told = await act(api)
            costs.append(counting.taken())
            answers.append(told.line.replace(told.reference, "REF"))
            events = await api.house.feed("voltshop")
            answers.append(str([(e.type, e.verdict, e.reason and e.reason.code) for e in events]))
    assert answers[:2] == answers[2:]
    assert costs[0] == costs[1]


@pytest.mark.parametrize("after", [False, True])
async def test_killed_at_any_commit_it_is_told_once(after, monkeypatch):
    for nth in range(3):
        async with house() as api:
            await leak(api)
            store = api.house.app.store
            commit, count = store.commit, iter(range(1000))

            async def dies(*commits, _commit=commit, _count=count, _nth=nth):
                if next(_count) != _nth:
                    return await _commit(*commits)
                if after:
                    await _commit(*commits)
                raise StoreUnavailable("killed")

            with monkeypatch.context() as patch:
                patch.setattr(store, "commit", dies)
                for _ in range(3):
                    try:
                        await api.house.work()
                    except StoreUnavailable:
                        continue
                    finally:
                        api.house.clock.advance(seconds=10)
            assert len(await notices(api)) == 1
            assert await logged(api) == ["notice.address"]


@pytest.mark.parametrize("word", ["unwanted", "advertising"])
async def test_what_we_wrote_ourselves_has_no_sender_to_be_told(word):
    async with house() as api:
        await leak(api)
        (item,) = await notices(api)
        reply = await api.call("POST", f"/v1/me/inbox/{item['id']}/{word}", who="anna")
        assert reply.status == 409
        assert "letterbox wrote this itself" in reply.json["detail"]
