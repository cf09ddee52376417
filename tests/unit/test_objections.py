"""Unsubscribe and object: what is sent and kept, what counts as a breach, and the letter."""

import asyncio
import email
import email.policy
import re
import ssl
import tomllib
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from letterbox.adapters.web import HttpCourier
from letterbox.delivery import unsubscribing
from letterbox.feedback.unsubscribing import Mailto, compose_unsubscription, read_mailto
from letterbox.model.address import Address
from letterbox.model.configuration import Configuration, OutboundSection, RetentionSection
from letterbox.model.objection import Asked, Evidence, Objection, is_breach
from letterbox.model.sender import VendorRef
from letterbox.ports.courier import Handed, Letter, NotNow, WebTrouble
from letterbox.ports.store import StoreUnavailable
from letterbox.records import places
from tests.support.api import Api, open_api
from tests.support.house import SPF_HERE, mail
from tests.support.plain import shipment
from tests.support.postoffice import PostOffice, post_office
from tests.support.receiver import receiving
from tests.support.signing import Zone, craft
from tests.support.tls import make_chain
from tests.support.webhost import WebHost

TESTS = Path(__file__).parents[1]
PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example", "greenleaf-deals.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
timezone = "Europe/Amsterdam"
vendor = [{ vendor = "greenleaf", scope = "everything" },
          { domain = "other.example", scope = "everything", accepts = ["newsletter"] }]

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
vendor = [{ vendor = "greenleaf", scope = "everything" }]
"""
NAMES = "from:to:subject:date:message-id:letterbox-kind:list-unsubscribe:list-unsubscribe-post"
OFF = "https://off.greenleaf.example/u/7"
MAILTO = "mailto:off@greenleaf.example?subject=stop%207"
ONE_CLICK = {
    "List_Unsubscribe": f"<{MAILTO}>, <{OFF}>",
    "List_Unsubscribe_Post": "List-Unsubscribe=One-Click",
}
BY_MAIL = {"List_Unsubscribe": f"<{MAILTO}>"}


class Scene(msgspec.Struct):
    """A house, and the others it speaks to."""

    api: Api
    office: PostOffice
    host: WebHost

    async def send(
        self, number: int, kind: str = "newsletter", *, to: str = "anna", **fields: str
    ) -> str:
        """A signed mail of greenleaf's; what it was told."""
        names = fields.pop("names", NAMES)
        said = {"Letterbox_Kind": kind} | fields
        content = craft(mail(f"Letter {number}", number=number, **said), {"h": names})
        sent = await self.api.house.send(content, f"{to}@letterbox.example")
        return sent.outcomes[0].told.line

    async def deliver(self, number: int = 1, *, to: str = "anna", **fields: str) -> str:
        """A newsletter comes into the inbox; its id."""
        await self.send(number, to=to, **(fields or ONE_CLICK))
        return await self.id_of(number, to)

    async def id_of(self, number: int, who: str = "anna") -> str:
        """The id of a letter in the inbox."""
        items = (await self.get("/v1/me/inbox", who))["items"]
        return next(item["id"] for item in items if item["subject"] == f"Letter {number}")

    async def elsewhere(self, number: int, domain: str, **fields: str) -> str:
        """A mail that another domain's server sends."""
        content = mail(f"Letter {number}", number=number, domain=domain, **fields)
        sent = await self.api.house.send(content, "anna@letterbox.example", sender=f"shop@{domain}")
        return sent.outcomes[0].told.line

    async def object_to(self, name: str, word: dict | None = None, who: str = "anna", **how):
        body = {} if word is None else {"json": word}
        return await self.api.call("POST", f"/v1/me/inbox/{name}/object", who=who, **body, **how)

    async def get(self, path: str, who: str = "anna"):
        reply = await self.api.call("GET", path, who=who)
        assert reply.status == 200, reply.body
        return reply.json

    async def objection(self, who: str = "anna") -> dict:
        (item,) = (await self.get("/v1/me/objections", who))["items"]
        return await self.get(f"/v1/me/objections/{item['id']}", who)

    async def types(self, who: str = "anna") -> list[str]:
        """What happened beside decisions, the oldest first."""
        items = (await self.get("/v1/me/activity", who))["items"]
        return [item["type"] for item in reversed(items) if item["type"] != "decision"]

    async def pass_time(self, **by: int) -> None:
        self.api.house.clock.advance(**by)
        await self.api.house.work()

    async def notices(self) -> list[dict]:
        items = (await self.get("/v1/me/inbox"))["items"]
        return [item for item in items if item["vendor"] == "letterbox.example"]


@asynccontextmanager
async def opened(**sections):
    async with post_office() as office:
        configuration = Configuration(
            public_url="https://letterbox.example",
            outbound=OutboundSection(relay=office.address),
            **sections,
        )
        async with open_api(PEOPLE, configuration=configuration) as api:
            host = WebHost()
            api.house.app.outgoing.unsubscribing._web = host
            api.house.zone.records["greenleaf-deals.example"] = SPF_HERE
            yield Scene(api, office, host)


@pytest.fixture
async def scene():
    async with opened() as scene:
        yield scene


# ---- the word ---------------------------------------------------------------------------------


async def test_the_whole_story(scene: Scene) -> None:
    name = await scene.deliver()
    reply = await scene.object_to(name)
    assert reply.status == 200, reply.body
    answer = reply.json
    assert answer["made"]
    assert answer["before"] == {"vendor": "greenleaf", "scope": "everything"}
    assert answer["after"] == {
        "vendor": "greenleaf",
        "scope": "everything",
        "accepts": ["service"],
    }
    assert "newsletter" in answer["sentence"]
    await scene.api.house.work()
    (posted,) = scene.host.posted
    assert (posted.url, posted.body) == (OFF, b"List-Unsubscribe=One-Click")
    assert scene.office.came == []
    objection = await scene.objection()
    assert objection["domains"] == ["greenleaf.example", "greenleaf-deals.example"]
    assert objection["asked"] == {
        "way": "one-click",
        "outcome": "taken",
        "to": OFF,
        "answer": "200",
        "at": "2026-11-23T12:00:00Z",
    }
    raw = await scene.api.call("GET", f"/v1/me/inbox/{name}/raw?original=1", who="anna")
    evidence = objection["evidence"]
    assert evidence["sha256"] == sha256(raw.body).hexdigest()
    assert (evidence["how"], evidence["domain"]) == ("dkim", "greenleaf.example")
    assert "dkim=pass" in evidence["results"]
    assert evidence["message_id"] == "1@greenleaf.example"
    # The vendor hears of the change as of any, and not that it is an objection.
    (event,) = await scene.api.house.feed("greenleaf")
    assert event.type == "relationship.changed"
    # Advertising is refused; an invoice comes.
    assert "kind-not-wanted" in await scene.send(2, "offer")
    assert "delivered" in await scene.send(3, "service")
    assert sorted(await scene.types()) == [
        "objection.made",
        "relationship.changed",
        "unwanted.unsubscribed",
    ]
    history = await scene.get("/v1/me/preferences/history")
    assert history["items"][0]["by"] == "objection"


async def test_said_again_it_has_no_second_effect(scene: Scene) -> None:
    first, second = await scene.deliver(), await scene.deliver(2)
    made = (await scene.object_to(first)).json
    for name in (first, second):
        again = (await scene.object_to(name, {"service": False})).json
        assert (again["made"], again["objection"]["id"]) == (False, made["objection"]["id"])
    await scene.api.house.work()
    assert len(scene.host.posted) == 1
    assert (await scene.types()).count("objection.made") == 1


async def test_said_at_the_same_time_there_is_one_for_each_company(scene: Scene) -> None:
    names = [await scene.deliver(), await scene.deliver(2)]
    await scene.elsewhere(3, "other.example", List_Id="<x.other.example>")
    names.append(await scene.id_of(3))
    replies = await asyncio.gather(*map(scene.object_to, names))
    assert [reply.status for reply in replies] == [200] * 3
    made = {reply.json["objection"]["vendor"] for reply in replies if reply.json["made"]}
    assert made == {"greenleaf", "other.example"}
    assert len((await scene.get("/v1/me/objections"))["items"]) == 2
    await scene.api.house.work()
    assert len(scene.host.posted) == 1


@pytest.mark.parametrize(
    ("word", "standing"),
    [({"service": False, "because": "never-asked"}, "blocked"), ({"service": True}, None)],
)
async def test_everything_or_advertising_alone(scene: Scene, word: dict, standing) -> None:
    after = (await scene.object_to(await scene.deliver(), word)).json["after"]
    assert after.get("standing") == standing
    assert after.get("because") == word.get("because")
    line = await scene.send(2, "service")
    assert ("vendor-blocked" in line) is (standing == "blocked")


async def test_who_may_send_nothing_else_is_given_no_right_to_service_mail(scene: Scene) -> None:
    await scene.elsewhere(1, "other.example", List_Id="<x.other.example>")
    name = await scene.id_of(1)
    answer = (await scene.object_to(name)).json
    assert answer["after"]["standing"] == "blocked"
    # SPF proves the path: nothing that such a mail lists is called or written to.
    assert answer["objection"]["asked"] == {"way": "none", "outcome": "none"}
    assert answer["objection"]["domains"] == ["other.example"]


async def test_who_was_locked_out_before_stays_as_it_was(scene: Scene) -> None:
    name = await scene.deliver()
    await scene.api.call("POST", f"/v1/me/inbox/{name}/unwanted", who="anna")
    answer = (await scene.object_to(name)).json
    assert answer["before"] == answer["after"]
    await scene.api.house.work()
    assert (await scene.objection())["asked"]["outcome"] == "taken"


async def test_a_subscription_that_was_ended_is_not_ended_again(scene: Scene) -> None:
    name = await scene.deliver()
    await scene.api.call(
        "POST", f"/v1/me/inbox/{name}/unwanted", who="anna", json={"unsubscribe": True}
    )
    asked = (await scene.object_to(name)).json["objection"]["asked"]
    assert asked == {"way": "one-click", "outcome": "before", "to": OFF}
    await scene.api.house.work()
    assert len(scene.host.posted) == 1


async def test_nobody_sees_or_touches_anothers(scene: Scene) -> None:
    name = await scene.deliver(to="ben")
    assert (await scene.object_to(name)).status == 404
    objection = (await scene.object_to(name, who="ben")).json["objection"]["id"]
    assert (await scene.get("/v1/me/objections"))["items"] == []
    for method, path in (
        ("GET", f"/v1/me/objections/{objection}"),
        ("GET", f"/v1/me/objections/{objection}/letter"),
        ("DELETE", f"/v1/me/objections/{objection}"),
    ):
        assert (await scene.api.call(method, path, who="anna")).status == 404
    assert (await scene.objection("ben"))["id"] == objection
    # What came to anna is no breach of ben's.
    await scene.pass_time(days=6)
    await scene.send(9)
    await scene.pass_time(hours=7)
    assert (await scene.objection("ben"))["breaches"] == 0


@pytest.mark.parametrize("word", [{"because": "rude"}, {"service": "no"}, {"letter": True}])
async def test_what_is_no_such_word_changes_nothing(scene: Scene, word: dict) -> None:
    assert (await scene.object_to(await scene.deliver(), word)).status == 422
    assert (await scene.get("/v1/me/objections"))["items"] == []


async def test_what_we_wrote_ourselves_is_nobodys_advertising(scene: Scene) -> None:
    await scene.elsewhere(1, "other.example", From="Greenleaf Garden <shop@other.example>")
    await scene.object_to(await scene.deliver(2))
    await scene.pass_time(days=6)
    await scene.send(3)
    await scene.pass_time(hours=7)
    (notice,) = await scene.notices()
    assert (await scene.object_to(notice["id"])).status == 409


# ---- what is sent -----------------------------------------------------------------------------


async def test_without_one_click_a_mail_goes_to_the_listed_address(scene: Scene) -> None:
    assert (await scene.object_to(await scene.deliver(**BY_MAIL))).json["objection"]["asked"] == {
        "way": "mail",
        "outcome": "owed",
        "to": "off@greenleaf.example",
    }
    await scene.api.house.work()
    (came,) = scene.office.came
    assert (came.sender, came.to) == ("<>", ("off@greenleaf.example",))
    sent = email.message_from_bytes(came.content, policy=email.policy.default)
    assert sent["From"] == "anna@letterbox.example"
    assert sent["Sender"] == "postmaster@letterbox.example"
    assert (sent["To"], sent["Subject"]) == ("off@greenleaf.example", "stop 7")
    assert sent.get_content().splitlines()[0] == "unsubscribe"
    assert sent["Auto-Submitted"] is None
    asked = (await scene.objection())["asked"]
    assert (asked["outcome"], "2.0.0 taken" in asked["answer"]) == ("taken", True)
    assert "unwanted.mailed" in await scene.types()


UNSIGNED = {
    "not signed": {"names": NAMES.replace(":list-unsubscribe:", ":"), **BY_MAIL},
    "there twice": {"names": NAMES, "List_Unsubscribe": f"<{MAILTO}>\r\nList-Unsubscribe: <{OFF}>"},
    "our own domain": {"List_Unsubscribe": "<mailto:ben@letterbox.example>"},
    "plain http and no address": {"List_Unsubscribe": "<http://off.greenleaf.example/>"},
    "a private address": {**ONE_CLICK, "List_Unsubscribe": "<https://127.0.0.1/off>"},
    "nothing listed": {"X": "y"},
}


@pytest.mark.parametrize("fields", UNSIGNED.values(), ids=UNSIGNED)
async def test_nothing_is_sent_that_was_not_signed_so_and_it_says_so(
    scene: Scene, fields: dict
) -> None:
    objection = (await scene.object_to(await scene.deliver(**fields))).json["objection"]
    assert objection["asked"] == {"way": "none", "outcome": "none"}
    await scene.api.house.work()
    assert scene.host.posted == []
    assert scene.office.came == []
    letter = await scene.api.call("GET", f"/v1/me/objections/{objection['id']}/letter", who="anna")
    assert b"no signed way of unsubscribing" in letter.body


@pytest.mark.parametrize(
    ("answers", "calls", "outcome", "answer"),
    [
        ([503, WebTrouble("timeout"), 204], 3, "taken", "204"),
        ([404], 1, "refused", "404"),
        ([302], 1, "refused", "302"),
        ([WebTrouble("address")], 1, "unanswered", "no connection (address)"),
        ([500] * 1000, None, "unanswered", "500"),
    ],
)
async def test_the_answer_of_one_click_is_kept(
    scene: Scene, answers: list, calls: int | None, outcome: str, answer: str
) -> None:
    scene.host.answers = answers
    await scene.object_to(await scene.deliver())
    for _ in range(60):
        await scene.pass_time(hours=1)
    assert calls is None or len(scene.host.posted) == calls
    asked = (await scene.objection())["asked"]
    assert (asked["outcome"], asked["answer"]) == (outcome, answer)


@pytest.mark.parametrize(
    ("answers", "outcome", "answer"),
    [
        (["451 4.3.0 later"], "taken", "2.0.0 taken"),
        (["550 5.1.1 nobody here"], "refused", "550 5.1.1 nobody here"),
        (["451 4.3.0 later"] * 1000, "unanswered", "451 4.3.0 later"),
    ],
)
async def test_the_answer_to_a_mail_is_kept(
    scene: Scene, answers: list, outcome: str, answer: str
) -> None:
    scene.office.answers = answers
    await scene.object_to(await scene.deliver(**BY_MAIL))
    for _ in range(60):
        await scene.pass_time(hours=1)
    asked = (await scene.objection())["asked"]
    assert asked["outcome"] == outcome
    assert answer in asked["answer"]
    names = {email.message_from_bytes(each.content)["Message-ID"] for each in scene.office.came}
    assert len(names) <= 1


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "taken"), (307, "refused"), (500, "owed"), (None, "owed")]
)
async def test_a_real_server_is_called_through_the_guarded_courier(
    status: int | None, outcome: str, tmp_path
) -> None:
    """None: it is slow, and answers nothing."""
    chain = make_chain(tmp_path, host="off.greenleaf.example")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    trust = ssl.create_default_context(cafile=str(chain))
    async with receiving("127.0.0.2", ssl=server) as receiver, opened() as scene:
        if status is None:
            receiver.gate.clear()
        receiver.answers = lambda _: status or 200
        courier = HttpCourier(
            Zone({"off.greenleaf.example": {"A": ["127.0.0.2"]}}),
            timeout=10.0 if status else 0.5,
            allowed=lambda ip: ip == "127.0.0.2",
            trust=trust,
        )
        scene.api.house.app.outgoing.unsubscribing._web = courier
        url = receiver.url.replace("127.0.0.2", "off.greenleaf.example")
        fields = ONE_CLICK | {"List_Unsubscribe": f"<{url}>"}
        await scene.object_to(await scene.deliver(**fields))
        await scene.api.house.work()
        (call,) = receiver.calls
        assert call.body == b"List-Unsubscribe=One-Click"
        assert "Cookie" not in call.headers
        assert (await scene.objection())["asked"]["outcome"] == outcome


async def test_who_lists_a_victim_has_it_written_to_so_often_and_no_more(
    scene: Scene, monkeypatch
) -> None:
    monkeypatch.setattr(unsubscribing, "PER_ADDRESS", 1)
    victim = {"List_Unsubscribe": "<mailto:victim@another.example>"}
    for who in ("anna", "ben"):
        await scene.object_to(await scene.deliver(to=who, **victim), who=who)
    await scene.api.house.work()
    assert len(scene.office.came) == 1
    # On another day there is room again.
    await scene.pass_time(days=1)
    assert len(scene.office.came) == 2


@pytest.mark.parametrize("answer", [Handed("2.0.0 taken"), NotNow("451 not now")])
async def test_of_who_is_erased_meanwhile_nothing_is_written_down(scene: Scene, answer) -> None:
    """Their list server takes its time, and they have gone before it answers."""
    house = scene.api.house

    class Slow:
        async def hand_on(self, letter: Letter):
            await house.app.erasure.begin("anna")
            for _ in range(30):
                house.clock.advance(minutes=1)
                await house.app.erasure.go_on("anna")
                await house.app.worker._relay.run()
            assert await house.app.store.documents(partition, "", limit=9) == []
            return answer

    partition = places.consumer("anna")
    await scene.object_to(await scene.deliver(**BY_MAIL))
    house.app.outgoing.unsubscribing._mail = Slow()
    (row,) = await house.app.store.documents(partition, places.UNSUBSCRIPTION, limit=9)
    await house.app.outgoing.unsubscribing.send("anna", row.key.removeprefix(places.UNSUBSCRIPTION))
    assert await house.app.store.documents(partition, "", limit=9) == []


async def test_one_consumer_has_so_many_mails_sent_in_a_day(scene: Scene, monkeypatch) -> None:
    monkeypatch.setattr(unsubscribing, "PER_CONSUMER", 0)
    await scene.object_to(await scene.deliver(**BY_MAIL))
    for _ in range(60):
        await scene.pass_time(hours=1)
    assert scene.office.came == []
    assert (await scene.objection())["asked"]["answer"] == "too many mails of this kind today"


CASES = tomllib.loads((TESTS / "cases" / "unsubscribing" / "mailto.toml").read_text())["case"]


def enlarged(uri: str) -> str:
    return re.sub(r"\{(\d+) x\}", lambda match: "x" * int(match[1]), uri)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_listed_address_is_read_as_hostile(case: dict) -> None:
    found = read_mailto(enlarged(case["uri"]), {"letterbox.example"})
    wanted = (case["to"], case["subject"], case["body"]) if "to" in case else None
    assert (found and (str(found.to), found.subject, found.body)) == wanted


_PIECES = [
    *'abc@.,?&=%;:<>" +',
    "%0D",
    "%0A",
    "%0D%0A",
    "%00",
    "%2C",
    "é",
    "\r",
    "\n",
    "@x.example",
]
ANYTHING = st.lists(st.sampled_from(_PIECES), max_size=20).map("".join)


@given(ANYTHING, ANYTHING, ANYTHING)
def test_nothing_that_is_listed_breaks_out_of_its_field(to: str, subject: str, body: str) -> None:
    uri = f"mailto:{to or 'off@greenleaf.example'}?subject={subject}&body={body}"
    found = read_mailto(uri, {"letterbox.example"})
    found = found or Mailto(Address("off", "greenleaf.example"), "x", "y")
    content = compose_unsubscription(
        found,
        name="5f",
        recipient="anna@letterbox.example",
        hostname="letterbox.example",
        at=datetime(2026, 11, 23, tzinfo=UTC),
    )
    header, _, _ = content.partition(b"\r\n\r\n")
    sent = email.message_from_bytes(content)
    assert sent.keys() == [
        "From",
        "Sender",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    ]
    assert sent["To"] == str(found.to)
    assert b"\r" not in header.replace(b"\r\n", b"")
    assert b"\n" not in header.replace(b"\r\n", b"")


# ---- killed anywhere --------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [ONE_CLICK, BY_MAIL], ids=["one-click", "mail"])
@pytest.mark.parametrize("step", range(6))
async def test_killed_at_any_step_there_is_one_record_and_one_request(
    scene: Scene, monkeypatch, step: int, fields: dict
) -> None:
    name = await scene.deliver(**fields)
    store = scene.api.house.app.store
    commit, left = store.commit, step

    async def until_killed(*commits):
        nonlocal left
        if not left:
            raise StoreUnavailable("killed")
        left -= 1
        return await commit(*commits)

    monkeypatch.setattr(store, "commit", until_killed)
    monkeypatch.setattr("letterbox.delivery.worker._AFTER_TROUBLE", 0.0)
    if (await scene.object_to(name)).status == 200:
        with suppress(StoreUnavailable):
            await scene.api.house.app.worker.run_once()
    monkeypatch.setattr(store, "commit", commit)
    scene.api.house.app.consumers.forget("anna")
    assert (await scene.object_to(name)).status == 200
    await scene.pass_time(hours=1)
    objection = await scene.objection()
    assert objection["asked"]["outcome"] == "taken"
    assert (await scene.types()).count("objection.made") == 1
    # What was sent and not written down is sent again: the same call, or the same mail.
    sent = {email.message_from_bytes(each.content)["Message-ID"] for each in scene.office.came}
    assert len({each.url for each in scene.host.posted}) + len(sent) == 1


# ---- breaches ---------------------------------------------------------------------------------


async def test_what_comes_after_the_grace_is_a_breach_and_nothing_before(scene: Scene) -> None:
    await scene.object_to(await scene.deliver())
    await scene.pass_time(days=4, hours=23)
    await scene.send(2, "offer")
    await scene.pass_time(hours=2)
    assert "550" in await scene.send(3, "offer")
    await scene.send(4, "service")
    await scene.pass_time(minutes=5)
    objection = await scene.objection()
    assert objection["breaches"] == 1
    (came,) = objection["came"]
    assert (came["subject"], came["kind"], came["how"]) == ("Letter 3", "offer", "dkim")
    assert (came["message_id"], len(came["sha256"])) == ("3@greenleaf.example", 64)
    assert objection["last"] == came["received"]


async def test_every_domain_of_a_vendor_counts_and_no_other(scene: Scene) -> None:
    await scene.object_to(await scene.deliver())
    await scene.pass_time(days=6)
    await scene.elsewhere(2, "greenleaf-deals.example", List_Id="<deals>")
    await scene.elsewhere(3, "voltshop.example", List_Id="<volt>")
    await scene.elsewhere(4, "other.example", List_Id="<other.other.example>")
    await scene.pass_time(hours=7)
    (came,) = (await scene.objection())["came"]
    assert (came["domain"], came["how"]) == ("greenleaf-deals.example", "spf")


SHOP = VendorRef(id="shop.example", name="shop.example", registered=False)
REGISTERED = VendorRef(id="shop", name="Shop", registered=True)
HANDS = {
    "itself": (SHOP, SHOP, "shop.example", True),
    "below its domain": (SHOP, SHOP, "news.shop.example", True),
    "registered since": (SHOP, REGISTERED, "shop.example", True),
    "registered, by another id": (
        REGISTERED,
        structs.replace(REGISTERED, id="another"),
        "shop.example",
        False,
    ),
    "changed hands before": (
        SHOP,
        structs.replace(REGISTERED, changed=datetime(2026, 11, 1, tzinfo=UTC)),
        "shop.example",
        True,
    ),
    "changed hands since": (
        SHOP,
        structs.replace(REGISTERED, changed=datetime(2026, 11, 24, tzinfo=UTC)),
        "shop.example",
        False,
    ),
    "somebody else": (SHOP, structs.replace(SHOP, id="myshop.example"), "myshop.example", False),
}


@pytest.mark.parametrize(("mine", "theirs", "domain", "is_one"), HANDS.values(), ids=HANDS)
async def test_a_breach_is_of_the_same_company(scene: Scene, mine, theirs, domain, is_one) -> None:
    await scene.send(1)
    (row,) = (await scene.api.house.app.mailboxes.decisions("anna", after=None, limit=9)).items
    sender = structs.replace(row.case.sender, domain=domain)
    record = structs.replace(
        row,
        at=AT + timedelta(days=3),
        vendor=theirs,
        case=structs.replace(row.case, sender=sender),
    )
    objection = structs.replace(OBJECTION, at=AT, vendor=mine, domains=("shop.example",))
    assert is_breach(objection, record, timedelta(days=3)) is is_one
    # Neither too early, nor the end of a hold, nor a letter of a person's.
    for fields in (
        {"at": record.at - timedelta(seconds=1)},
        {"follows": "x"},
        {"kind": "personal"},
    ):
        assert not is_breach(objection, structs.replace(record, **fields), timedelta(days=3))


async def test_the_person_is_told_once_a_week_and_the_log_says_so(scene: Scene) -> None:
    await scene.object_to(await scene.deliver(), {"service": False})
    await scene.pass_time(days=6)
    for number in range(2, 7):
        await scene.send(number)
        await scene.pass_time(hours=7)
    (notice,) = await scene.notices()
    assert notice["subject"] == "Greenleaf Garden goes on advertising though you objected"
    raw = await scene.api.call("GET", f"/v1/me/inbox/{notice['id']}/raw?original=1", who="anna")
    assert b"Monday 23 November" in raw.body
    # Nobody is told of a lock-out besides: it is one and the same.
    types = await scene.types()
    assert types.count("notice.objection") == 1
    assert "notice.locked-out" not in types
    assert types.count("objection.breached") == 5
    await scene.pass_time(days=7)
    await scene.send(8)
    await scene.pass_time(hours=7)
    assert len(await scene.notices()) == 2
    assert (await scene.objection())["breaches"] == 6


async def test_looked_at_twice_and_killed_between_each_counts_once(
    scene: Scene, monkeypatch
) -> None:
    monkeypatch.setattr("letterbox.delivery.breaches._ROWS", 2)
    monkeypatch.setattr("letterbox.delivery.breaches._LOOKS", 1)
    await scene.object_to(await scene.deliver())
    await scene.pass_time(days=6)
    for number in range(2, 9):
        await scene.send(number)
    scene.api.house.clock.advance(minutes=5)
    store, breaches = scene.api.house.app.store, scene.api.house.app.breaches
    commit = store.commit

    async def killed(*commits):
        raise StoreUnavailable("killed")

    for _ in range(10):
        monkeypatch.setattr(store, "commit", killed)
        with suppress(StoreUnavailable):
            await breaches.look("anna")
        monkeypatch.setattr(store, "commit", commit)
        await breaches.look("anna")
    objection = await scene.objection()
    assert objection["breaches"] == len(objection["came"]) == 7


async def test_a_text_that_is_damaged_keeps_no_breach_from_being_counted(
    scene: Scene, monkeypatch
) -> None:
    await scene.object_to(await scene.deliver())
    await scene.pass_time(days=6)
    await scene.send(2)
    scene.api.house.clock.advance(minutes=5)

    async def damaged(_: str) -> bytes:
        raise StoreUnavailable("body is not what was written: it is damaged")

    monkeypatch.setattr(scene.api.house.app.mailboxes, "body", damaged)
    (came,) = (await scene.objection())["came"]
    assert (came["subject"], came["sha256"]) == ("Letter 2", "")


# ---- kept, let go, taken along ----------------------------------------------------------------


async def test_the_message_is_kept_while_the_objection_stands() -> None:
    async with opened(retention=RetentionSection(refused=5)) as scene:
        name = await scene.deliver()
        objection = (await scene.object_to(name)).json["objection"]["id"]
        message = (await scene.api.house.app.mailboxes.entry("anna", name)).message
        body = scene.api.house.app.mailboxes.body
        assert (await scene.api.call("DELETE", f"/v1/me/inbox/{name}", who="anna")).status == 204
        await scene.pass_time(days=20)
        assert await body(message) is not None
        exported = (await scene.get("/v1/me/export"))["objections"]
        assert (exported[0]["id"], bool(exported[0]["raw"])) == (objection, True)
        gone = await scene.api.call("DELETE", f"/v1/me/objections/{objection}", who="anna")
        assert gone.status == 204
        await scene.pass_time(days=6)
        assert await body(message) is None
        left = await scene.api.house.app.store.documents(places.consumer("anna"), "", limit=1000)
        keys = {each.key.partition("/")[0] for each in left}
        assert not keys & {"objection", "objected", "objecting", "evidence", "breach"}
        # The rules stay as they are.
        assert "kind-not-wanted" in await scene.send(9)
        assert "objection.withdrawn" in await scene.types()


async def test_withdrawn_nothing_counts_and_one_may_object_anew(scene: Scene) -> None:
    name = await scene.deliver()
    first = (await scene.object_to(name)).json["objection"]["id"]
    await scene.api.call("DELETE", f"/v1/me/objections/{first}", who="anna")
    assert (await scene.api.call("DELETE", f"/v1/me/objections/{first}", who="anna")).status == 404
    await scene.pass_time(days=6)
    await scene.send(2)
    await scene.pass_time(hours=7)
    assert await scene.notices() == []
    again = (await scene.object_to(name)).json
    assert again["made"]
    assert again["objection"]["id"] != first
    assert (await scene.objection())["breaches"] == 0


async def test_erasure_takes_the_evidence_along(scene: Scene) -> None:
    name = await scene.deliver()
    await scene.object_to(name)
    message = (await scene.api.house.app.mailboxes.entry("anna", name)).message
    await scene.api.call("DELETE", f"/v1/me/inbox/{name}", who="anna")
    # The decision goes first, so that only the objection leads to the message.
    await scene.pass_time(days=401)
    await scene.api.house.app.erasure.begin("anna")
    for _ in range(20):
        await scene.pass_time(minutes=10)
    assert await scene.api.house.app.mailboxes.body(message) is None
    assert not await scene.api.house.app.store.documents(places.consumer("anna"), "", limit=9)


# ---- the letter -------------------------------------------------------------------------------

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVIDENCE = Evidence(
    decision="d1",
    message="m1",
    received=AT - timedelta(hours=2),
    sender="news@greenleaf.example",
    recipient="anna@letterbox.example",
    subject="Spring {is} here",
    kind="newsletter",
    domain="greenleaf.example",
    how="dkim",
    message_id="1@greenleaf.example",
    results="letterbox.example; dkim=pass header.d=greenleaf.example",
    sha256=sha256(b"1").hexdigest(),
)
OBJECTION = Objection(
    id="o1",
    at=AT,
    vendor=VendorRef(id="greenleaf", name="Greenleaf Garden", registered=True),
    domains=("greenleaf.example", "greenleaf-deals.example"),
    evidence=EVIDENCE,
    asked=Asked("one-click", OFF, "taken", "200", AT),
    breaches=2,
    last=AT + timedelta(days=7),
)
CAME = [
    structs.replace(EVIDENCE, received=AT + timedelta(days=5), subject="More spring"),
    structs.replace(
        EVIDENCE,
        received=AT + timedelta(days=7),
        subject="Summer\u2028is here",
        how="spf",
        domain="greenleaf-deals.example",
        message_id="",
        sha256="",
    ),
]


def letter(language: str, objection: Objection = OBJECTION, came=CAME):
    zone = ZoneInfo("Europe/Amsterdam")
    return shipment().letters.letter(
        objection,
        came,
        language,
        now=AT + timedelta(days=8),
        local=lambda at: at.astimezone(zone),
    )


@pytest.mark.parametrize("language", ["en", "nl"])
def test_the_letter_reads_so(language: str) -> None:
    golden = TESTS / "golden" / f"objection-{language}.txt"
    assert letter(language).text == golden.read_text()


def test_both_languages_have_the_same_words() -> None:
    words = shipment().letters._words
    assert {*words} == {"en", "nl"}
    assert words["en"].keys() == words["nl"].keys()
    for name, text in words["en"].items():
        places_of = re.compile(r"\{(\w+)\}")
        assert {*places_of.findall(text)} == {*places_of.findall(words["nl"][name])}, name


ASKED = [
    Asked("none"),
    Asked("mail", "off@greenleaf.example", "owed"),
    Asked("mail", "off@greenleaf.example", "refused", "550 no", AT),
    Asked("one-click", OFF, "unanswered", "500", AT),
    Asked("one-click", OFF, "before"),
]


@pytest.mark.parametrize("language", ["en", "nl"])
@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: f"{asked.way}-{asked.outcome}")
def test_every_way_and_outcome_has_its_sentence(asked: Asked, language: str) -> None:
    said = letter(language, structs.replace(OBJECTION, asked=asked, breaches=0, last=None), [])
    assert said.breaches == ()
    assert asked.to in said.text
    assert asked.answer in said.text
    assert "{" not in said.text.replace("{is}", "")


@pytest.mark.parametrize(("language", "reminder"), [("en", "reminder"), ("nl", "herinnering")])
@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: f"{asked.way}-{asked.outcome}")
def test_nobody_is_reminded_of_what_did_not_reach_them(asked, language, reminder) -> None:
    said = letter(language, structs.replace(OBJECTION, asked=asked))
    assert (reminder in said.text) is (asked.outcome == "before")
    says_so = {"en": "I object to the processing", "nl": "Ik maak bezwaar tegen"}[language]
    assert (says_so in said.text) is (asked.outcome != "before")


def test_what_is_too_much_for_a_letter_is_counted() -> None:
    many = structs.replace(OBJECTION, breaches=1234)
    said = letter("en", many, [CAME[0]] * 1000)
    assert (len(said.breaches), said.more) == (50, "and 1184 more")


async def test_the_letter_comes_in_the_consumers_language_or_another(scene: Scene) -> None:
    name = (await scene.object_to(await scene.deliver())).json["objection"]["id"]
    path = f"/v1/me/objections/{name}/letter"
    reply = await scene.api.call("GET", path, who="anna")
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert "Objection to direct marketing" in reply.body.decode()
    dutch = await scene.api.call("GET", f"{path}?language=nl", who="anna")
    assert "Bezwaar tegen direct marketing" in dutch.body.decode()
    assert (await scene.api.call("GET", f"{path}?language=fr", who="anna")).status == 422


async def test_the_command_line_lists_them_and_prints_the_letter(scene: Scene) -> None:
    from letterbox.administration.failed import Failed
    from letterbox.administration.shown import LINES

    perform = scene.api.house.app.administration.perform
    assert LINES["objections"](await perform("objections", {"consumer": "anna"})) == [
        "anna has objected to nobody"
    ]
    name = (await scene.object_to(await scene.deliver())).json["objection"]["id"]
    (line,) = LINES["objections"](await perform("objections", {"consumer": "anna"}))
    assert name in line
    assert "Greenleaf Garden" in line
    asked = {"consumer": "anna", "objection": name, "language": "nl"}
    lines = LINES["objections"](await perform("objections", asked))
    assert lines[0] == "[je naam]"
    for wrong in ({"consumer": "ana"}, {"consumer": "ben", "objection": name}):
        with pytest.raises(Failed):
            await perform("objections", wrong)
