"""Where mail goes: the page and the link of the letter, as a browser without scripts meets them."""

import email
import email.policy
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from letterbox.gateways.http import HttpGateway
from letterbox.model.configuration import Configuration, OnwardSection, OutboundSection
from letterbox.model.preferences import OnwardRule, Preferences
from letterbox.records.sessions import Owner
from tests.support.api import PEOPLE, Api, parts_of
from tests.support.house import House, mail, open_house, signed
from tests.support.nexthop import NextHop, next_hop
from tests.unit.test_web_settings import Browser, Pages

ME = "anna@provider.test"


class Place:
    """A house with its pages and its API, and the server that mail goes on to."""

    def __init__(self, house: House, hop: NextHop, api: Api) -> None:
        self.house = house
        self.hop = hop
        self.api = api
        self.pages = Pages(house, api.address)

    async def anna(self) -> Browser:
        return await self.pages.visitor("anna")

    async def link(self) -> str:
        """The path of the link in the newest letter."""
        await self.house.work()
        raw = self.hop.came[-1].removesuffix(b".\r\n")
        letter = email.message_from_bytes(raw, policy=email.policy.default)
        (path,) = re.findall(r"https://letterbox\.example(/confirm/\w+)", letter.get_content())
        return path

    async def wishes(self) -> Preferences:
        stored = await self.house.app.consumers.stored("anna")
        return stored.preferences

    async def onward(self) -> tuple[OnwardRule, ...]:
        return (await self.wishes()).onward


@asynccontextmanager
async def opened(lmtp: str = "") -> AsyncIterator[Place]:
    async with next_hop() as hop:
        configuration = Configuration(
            public_url="https://letterbox.example",
            outbound=OutboundSection(relay=hop.address, timeout=5.0),
            onward=OnwardSection(lmtp=lmtp),
        )
        async with open_house(PEOPLE, configuration=configuration) as house:
            gateway = HttpGateway(parts_of(house.app), house.app.pages())
            address = await gateway.start("127.0.0.1:0")
            api = Api(house, gateway, address)
            place = Place(house, hop, api)
            try:
                yield place
            finally:
                for browser in place.pages.browsers:
                    await browser.client.close()
                await api.session.close()
                await gateway.drain(5)


@pytest.fixture
async def place():
    async with opened() as place:
        yield place


async def test_a_mailbox_is_added_confirmed_and_chosen(place: Place) -> None:
    anna = await place.anna()
    page = await anna.get("/delivery")
    assert "Waar post heen gaat" in page.text
    assert "Alles wat door moest, is door." in page.text
    assert ME not in page.text
    done = await anna.post("/delivery/mailboxes", page="/delivery", address=ME)
    assert (done.status, done.where) == (303, "/delivery")
    link = await place.link()
    page = await anna.get("/delivery")
    assert "niet bevestigd" in page.text
    assert f'<option value="{ME}"' not in page.text
    # Somebody else's browser, where they read their mail; looking confirms nothing.
    phone = place.pages.stranger()
    for _ in range(2):
        shown = await phone.get(link)
        assert shown.status == 200
        assert ME in shown.text
        assert "anna@letterbox.example" in shown.text
    assert await place.house.app.destinations.confirmed("anna") == []
    assert (await phone.post(link, page=link)).status == 200
    (confirmed,) = await place.house.app.destinations.confirmed("anna")
    assert confirmed.address == ME
    assert (await phone.get(link)).status == 404
    page = await anna.get("/delivery")
    assert f'<option value="{ME}"' in page.text
    (revision,) = re.findall(r'name="revision" value="(\d+)"', page.text)
    ways = {f"to-{kind}": "keep" for kind in ("offer", "newsletter", "personal")}
    chosen = {"to-service": ME, "cleaned": "everywhere"} | ways
    done = await anna.post("/delivery", page="/delivery", revision=revision, **chosen)
    assert done.status == 303
    assert await place.onward() == (OnwardRule(to=ME, kinds=("service",)),)
    assert (await place.wishes()).cleaned_onward == "everywhere"
    again = await anna.post("/delivery", page="/delivery", revision=revision, **chosen)
    assert again.status == 412
    page = await anna.get("/delivery")
    (revision,) = re.findall(r'name="revision" value="(\d+)"', page.text)
    everything = dict.fromkeys(chosen, ME) | {"cleaned": "nowhere"}
    await anna.post("/delivery", page="/delivery", revision=revision, **everything)
    assert await place.onward() == (OnwardRule(to=ME),)
    elsewhere = everything | {"to-offer": "x@elsewhere.test"}
    said = await anna.post("/delivery", page="/delivery", revision=revision, **elsewhere)
    assert said.status == 400
    said = await anna.post(
        "/delivery", page="/delivery", revision=revision, **everything | {"cleaned": "here"}
    )
    assert said.status == 400


async def test_who_confirms_and_is_signed_in_goes_on_to_choose(place: Place) -> None:
    anna = await place.anna()
    await anna.post("/delivery/mailboxes", page="/delivery", address=ME)
    link = await place.link()
    done = await anna.post(link, page=link)
    assert (done.status, done.where) == (303, "/delivery")
    ben = await place.pages.visitor("ben")
    (row,) = await place.house.app.destinations.listed("anna")
    for path in ("letter", "remove"):
        theirs = await ben.post(f"/delivery/mailboxes/{row.id}/{path}", page="/delivery")
        assert theirs.status == 404
    done = await anna.post(f"/delivery/mailboxes/{row.id}/remove", page="/delivery")
    assert done.status == 303
    assert await place.house.app.destinations.listed("anna") == ()


@pytest.mark.parametrize(
    ("address", "said"),
    [("x", "Schrijf een mailadres"), ("ben@letterbox.example", "van deze brievenbus zelf")],
)
async def test_what_cannot_be_a_mailbox_is_said(place: Place, address: str, said: str) -> None:
    anna = await place.anna()
    page = await anna.post("/delivery/mailboxes", page="/delivery", address=address)
    assert page.status == 422
    assert said in page.text
    assert f'value="{address}"' in page.text


async def test_the_operators_mailbox_is_offered_where_there_is_one() -> None:
    async with opened("127.0.0.1:24") as place:
        page = await (await place.anna()).get("/delivery")
        assert '<option value="mailbox">de mailbox die je beheerder bijhoudt</option>' in page.text
    async with opened() as place:
        page = (await (await place.anna()).get("/delivery")).text
        assert "Alles blijft hier" in page
        assert 'name="to-service"' not in page  # where there is nothing to choose


async def stays(place: Place, said: str = "550 5.2.2 <b>full</b>"):
    """Have a message stay here."""
    destinations = place.house.app.destinations
    row = await destinations.add("anna", ME)
    token = await destinations.link("anna", row.id)
    await destinations.confirm(token)
    stored = await place.house.app.consumers.stored("anna")
    after = type(stored.preferences)(
        **{
            name: getattr(stored.preferences, name)
            for name in stored.preferences.__struct_fields__
            if name != "onward"
        },
        onward=(OnwardRule(to=ME),),
    )
    now = place.house.clock.now()
    await place.house.app.consumers.replace("anna", after, expect=None, now=now)
    place.hop.says["content"] = said
    content = signed(mail("Your order", Letterbox_Kind="service"))
    await place.house.send(content, "anna@letterbox.example")
    await place.house.work()
    page = await place.house.app.mailboxes.inbox("anna", after=None, limit=9)
    (entry,) = [each for each in page.items if not each.is_ours]
    return entry


async def test_what_stayed_here_says_why_and_is_tried_again(place: Place) -> None:
    entry = await stays(place)
    anna = await place.anna()
    for path in ("/delivery", "/inbox", f"/inbox/{entry.id}"):
        page = await anna.get(path)
        assert "weigerde het" in page.text
        assert "550 5.2.2 <b>full</b>" in page.text  # unescaped by the browser of this test
    ben = await place.pages.visitor("ben")
    path = f"/delivery/messages/{entry.id}/retry"
    assert (await ben.post(path, page="/delivery")).status == 404
    place.hop.says.clear()
    assert (await anna.post(path, page="/delivery")).status == 303
    await place.house.work()
    assert len(place.hop.came) == 2
    assert "Alles wat door moest, is door." in (await anna.get("/delivery")).text
    assert f"Het is doorgegeven aan {ME}." in (await anna.get(f"/inbox/{entry.id}")).text
    assert (await anna.post(path, page="/delivery")).status == 409


async def test_programs_add_see_and_try_again(place: Place) -> None:
    call = place.api.call
    made = await call("POST", "/v1/me/destinations", who="anna", json={"address": "me@club.test"})
    assert made.status == 201
    assert made.json["confirmed_at"] is None
    assert made.json["letter"] == "owed"
    path = f"/v1/me/destinations/{made.json['id']}"
    assert (await call("GET", path, who="anna")).json == made.json
    assert (await call("GET", "/v1/me/destinations", who="anna")).json["items"] == [made.json]
    for method, where in (("GET", path), ("DELETE", path), ("POST", f"{path}/letter")):
        assert (await call(method, where, who="ben")).status == 404
    ours = {"address": "x@letterbox.example"}
    refused = await call("POST", "/v1/me/destinations", who="anna", json=ours)
    assert refused.status == 422
    assert refused.json["errors"][0]["path"] == "address"
    for _ in range(2):
        assert (await call("POST", f"{path}/letter", who="anna")).status == 200
    enough = await call("POST", f"{path}/letter", who="anna")
    assert enough.status == 429
    assert enough.headers["Retry-After"] == "43201"
    assert (await call("DELETE", path, who="anna")).status == 204

    entry = await stays(place)
    item = (await call("GET", f"/v1/me/inbox/{entry.id}", who="anna")).json
    onward = item["onward"]
    assert (onward["to"], onward["state"], onward["why"]) == (ME, "failed", "refused")
    assert onward["detail"] == "550 5.2.2 <b>full</b>"
    assert onward["detail"] in onward["sentence"]
    stuck = (await call("GET", "/v1/me/onward", who="anna")).json
    assert stuck == {"items": [item], "after": None}
    again = f"/v1/me/inbox/{entry.id}/onward"
    assert (await call("POST", again, who="ben")).status == 404
    place.hop.says.clear()
    tried = await call("POST", again, who="anna")
    assert tried.json["onward"]["state"] == "owed"
    await place.house.work()
    assert (await call("POST", again, who="anna")).status == 409
    assert (await call("GET", "/v1/me/onward", who="anna")).json["items"] == []


async def test_all_of_it_is_taken_along_and_erased(place: Place) -> None:
    await stays(place)
    app = place.house.app
    rows = await app.exporting.page("anna", "destinations")
    assert [row["address"] for row in rows.items] == [ME]
    inbox = await app.exporting.page("anna", "inbox")
    assert {row["onward"]["why"] for row in inbox.items if row["onward"]} == {"refused"}
    await app.erasure.begin("anna")
    for _ in range(60):
        place.house.clock.advance(minutes=2)
        await place.house.work()
    store = app.store
    kept = [
        repr(pair)
        for table in (store._documents, store._claims, store._due)
        for pair in table.items()
    ]
    assert not [row for row in kept if ME in row or "'anna'" in row or "consumer/anna" in row]
    assert Owner("consumer", "anna").partition == "consumer/anna"
