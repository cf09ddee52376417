"""What a consumer is shown beside a decision, and what no sender learns of it."""

import itertools

import msgspec
import pytest

from letterbox.model.flag import Flag, together
from letterbox.model.record import DecisionRecord, HeldEntry, InboxEntry
from letterbox.model.sender import Proven
from letterbox.reading.addressees import MOST, read_addressees
from letterbox.reading.mail import split
from letterbox.wishes.provenance import flags_of
from tests.support.api import open_api
from tests.support.house import mail, signed
from tests.support.plain import PlainMessage, address, wishes_from

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
addresses = ["anna@letterbox.example", "a.visser@letterbox.example",
             { address = "anna+volt@letterbox.example", vendor = "voltshop" }]
language = "nl"
newcomers = "ask"
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["service", "offer", "newsletter", "personal"]

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
newcomers = "interests"
  [[consumer.interest]]
  id = "tools"
  keywords = { any = ["pruners"] }
  open_to = "anyone"
  [[consumer.vendor]]
  vendor = "greenleaf"

[[consumer]]
id = "carl"
addresses = ["carl@letterbox.example"]
newcomers = "interests"
  [[consumer.interest]]
  id = "tools"
  keywords = { any = ["lamps"] }
  open_to = "anyone"

[[consumer]]
id = "dora"
addresses = ["dora@letterbox.example"]
newcomers = "ask"

[[consumer]]
id = "eva"
addresses = ["eva@letterbox.example"]
newcomers = "refuse"
  [[consumer.vendor]]
  vendor = "greenleaf"
  [[consumer.vendor]]
  domain = "fietsenwinkel.example"
  [[consumer.vendor]]
  domain = "zuivel.example"
  [[consumer.vendor]]
  domain = "volle.example"
  [[consumer.vendor]]
  address = "lot@kaasboer.example"
"""

OTHER = {"domain": "other.example"}
IMPOSTOR = {"From": "Greenleaf Garden <shop@other.example>", "List-Id": "<offers.other.example>"}


async def get(api, what, who="anna"):
    return (await api.call("GET", f"/v1/me/{what}", who=who)).json["items"]


async def test_a_lookalike_is_held_with_its_flag_which_survives_its_release() -> None:
    async with open_api(PEOPLE) as api:
        await api.house.send(
            mail(**OTHER, **IMPOSTOR), "anna@letterbox.example", sender="x@other.example"
        )
        (held,) = await get(api, "held")
        (flag,) = held["flags"]
        assert flag["code"] == "lookalike-name"
        assert flag["facts"]["resembles"] == "Greenleaf Garden"
        assert flag["sentence"] == (
            "De afzender noemt zich Greenleaf Garden, maar is other.example en niet je winkel "
            "Greenleaf Garden."
        )
        (decision,) = await get(api, "decisions")
        assert decision["flags"] == [flag]
        told = await api.call("GET", f"/v1/me/decisions/{decision['id']}", who="anna")
        assert flag["sentence"] in told.json["explanation"]
        # A relationship that is set with the yes does not take away what was seen.
        word = {"relationship": {"domain": "other.example", "scope": "everything"}}
        reply = await api.call("POST", f"/v1/me/held/{held['id']}/release", who="anna", json=word)
        assert reply.status == 200
        await api.house.work()
        # Beside the notice that tells of it.
        (entry,) = [each for each in await get(api, "inbox") if each["vendor"] == "other.example"]
        assert entry["flags"] == [flag]


async def test_who_has_a_relationship_is_not_flagged() -> None:
    async with open_api(PEOPLE) as api:
        await api.house.send(
            mail(From="Voltshop <shop@greenleaf.example>"), "anna@letterbox.example"
        )
        (entry,) = await get(api, "inbox")
        assert "flags" not in entry


@pytest.mark.parametrize(
    ("name", "resembles"),
    [
        ("Fietsenwinkel", "fietsenwinkel.example"),
        ("De Fietsen Winkel | uw bestelling", "fietsenwinkel.example"),
        ("Zuivel vers", "zuivel.example"),
        ("De Kaasboer", "lot@kaasboer.example"),
        ("Volle melk", None),  # five letters: too often a word of another's name
        ("Winkel", None),
    ],
)
async def test_a_vendor_known_by_its_domain_alone_goes_by_its_label(
    name: str, resembles: str | None
) -> None:
    async with open_api(PEOPLE) as api:
        content = mail(**OTHER, **IMPOSTOR | {"From": f"{name} <shop@other.example>"})
        await api.house.send(content, "eva@letterbox.example", sender="x@other.example")
        (decision,) = await get(api, "decisions", "eva")
        flags = [(each["code"], each["facts"]["resembles"]) for each in decision.get("flags", ())]
        assert flags == ([("lookalike-name", resembles)] if resembles else [])


async def test_by_trying_names_nobody_learns_whose_customer_one_is() -> None:
    async with open_api(PEOPLE) as api:
        told = {}
        tries = itertools.product(("ben", "carl"), ("Shop", "Greenleaf Garden"))
        for number, (who, name) in enumerate(tries):
            content = mail(
                "Pruners: 10% off", number=number, domain="other.example",
                **IMPOSTOR | {"From": f"{name} <shop@other.example>"},
            )  # fmt: skip
            received = await api.house.send(
                content, f"{who}@letterbox.example", sender="x@other.example"
            )
            (outcome,) = received.outcomes
            line = outcome.told.line.replace(outcome.told.reference, "")
            told[who, name] = outcome.told.verdict, line
        for who, verdict in (("ben", "deliver"), ("carl", "refuse")):
            assert told[who, "Greenleaf Garden"] == told[who, "Shop"]
            assert told[who, "Shop"][0] == verdict
        entries = await get(api, "inbox", "ben")
        flags = sorted([flag["code"] for flag in each.get("flags", ())] for each in entries)
        assert flags == [[], ["lookalike-name"]]


async def test_an_impostor_is_refused_as_a_stranger_and_its_flag_survives_an_undo() -> None:
    async with open_api(PEOPLE) as api:
        content = mail("Pruners: 10% off", **OTHER, **IMPOSTOR)
        await api.house.send(content, "eva@letterbox.example", sender="x@other.example")
        (refused,) = await get(api, "decisions?verdict=refuse", "eva")
        assert refused["reason"] == "vendor-not-allowed"
        assert refused["sentence"] == (
            "other.example is not on your list, and looks like Greenleaf Garden, which it is not."
        )
        # Decided again from what was written down, it is the same.
        record = await api.house.app.mailboxes.decision("eva", refused["id"])
        cases = api.house.app.cases
        wishes = await api.house.app.consumers.wishes("eva")
        again = await cases.decide(cases.recall(record), wishes)
        assert (again.verdict, again.findings) == (record.verdict, record.findings)
        # Undone by hand, it is let in with its flag.
        undo = f"/v1/me/decisions/{refused['id']}/undo"
        assert (await api.call("POST", undo, who="eva", json={})).status == 200
        (entry,) = await get(api, "inbox", "eva")
        assert [flag["code"] for flag in entry["flags"]] == ["lookalike-name"]


async def test_no_sender_learns_of_a_flag() -> None:
    async with open_api(PEOPLE) as api:
        heard = []
        for number, who in enumerate(("anna", "dora")):  # flagged, and not
            received = await api.house.send(
                mail(number=number, **OTHER, **IMPOSTOR),
                f"{who}@letterbox.example",
                sender="x@other.example",
            )
            told = received.outcomes[0].told
            page = await api.call("GET", f"/r/{told.reference}")
            heard.append((
                msgspec.json.encode(told).replace(told.reference.encode(), b""),
                page.body.replace(told.reference.encode(), b""),
            ))  # fmt: skip
        assert heard[0] == heard[1]
        assert "flags" in (await get(api, "held"))[0]
        assert "flags" not in (await get(api, "held", "dora"))[0]


async def test_a_vendors_new_name_counts_at_once() -> None:
    async with open_api(PEOPLE) as api:
        for number, name in enumerate(("", "Bloemenhof")):
            if name:
                await api.house.people(
                    '[[vendor]]\nid = "greenleaf"\nname = "Bloemenhof"\n'
                    'domains = ["greenleaf.example"]\n'
                )
            await api.house.send(
                mail(
                    name or "Before", number=number, **OTHER, From="Bloemenhof <shop@other.example>"
                ),
                "anna@letterbox.example",
                sender="x@other.example",
            )
        seen = {each["subject"]: "flags" in each for each in await get(api, "held")}
        assert seen == {"Before": False, "Bloemenhof": True}


@pytest.mark.parametrize("language", ["en", "nl"])
async def test_who_leaked_an_address_is_named(language: str) -> None:
    async with open_api(PEOPLE) as api:
        reply = await api.send(to=["anna+volt@letterbox.example"])
        (result,) = reply.json["results"]
        assert (result["verdict"], result["reason"]["code"]) == ("refuse", "no-relationship")
        assert b"oltshop" not in reply.body
        (row,) = await get(api, "decisions")
        one = await api.call("GET", f"/v1/me/decisions/{row['id']}?language={language}", who="anna")
        assert one.json["reason"] == "address-of-another"
        said = {
            "en": "used anna+volt@letterbox.example, which you gave to Voltshop.",
            "nl": "gebruikte anna+volt@letterbox.example, dat je aan Voltshop gaf.",
        }
        assert one.json["sentence"] == f"Greenleaf Garden {said[language]}"


# ---- replay -----------------------------------------------------------------------------------

REPLAYED = [
    ("anna@letterbox.example", {}, False),
    ("ANNA+shop@Letterbox.Example", {}, False),
    ("a.visser@letterbox.example", {}, False),
    ("Anna <anna@letterbox.example>, ben@x.example", {}, False),
    ('"Visser, Anna" <anna@letterbox.example>', {}, False),
    ("friends: ben@x.example, <anna@letterbox.example>;", {}, False),
    ("ben@x.example", {}, True),
    ("undisclosed-recipients:;", {}, True),
    ('"anna@letterbox.example" <ben@x.example>', {}, True),
    ("ben@x.example (anna@letterbox.example)", {}, True),
    ("ben@x.example", {"Cc": "anna@letterbox.example"}, True),  # Cc is not signed
]


@pytest.mark.parametrize(("to", "more", "flagged"), REPLAYED)
async def test_signed_mail_that_names_others_alone(
    to: str, more: dict[str, str], flagged: bool
) -> None:
    async with open_api(PEOPLE) as api:
        await api.house.send(signed(mail(To=to, **more)), "anna@letterbox.example")
        (entry,) = await get(api, "inbox")
        codes = [flag["code"] for flag in entry.get("flags", ())]
        assert codes == ["not-addressed"] * flagged


async def test_signed_mail_that_names_nobody_says_so_too() -> None:
    async with open_api(PEOPLE) as api:
        content = mail().replace(b"To: anna@letterbox.example\r\n", b"")
        await api.house.send(signed(content), "anna@letterbox.example")
        (entry,) = await get(api, "inbox")
        (flag,) = entry["flags"]
        assert flag["code"] == "not-addressed"
        assert flag["sentence"].startswith("Het is ondertekend zonder jou te noemen")


async def test_unsigned_mail_that_names_others_is_not_flagged() -> None:
    async with open_api(PEOPLE) as api:
        await api.house.send(mail(To="ben@x.example"), "anna@letterbox.example")
        assert "flags" not in (await get(api, "inbox"))[0]


def test_so_many_addressees_say_nothing() -> None:
    header = "To: " + ",\r\n ".join(f"x{n}@x.example" for n in range(MOST + 1)) + "\r\n\r\n"
    found = read_addressees(split(header.encode()).fields)
    assert (len(found.mailboxes), found.whole) == (MOST, False)
    assert len(found.shown) <= 100


@pytest.mark.parametrize(
    "piece", ["(", '"', "<", "\\", ",", '"\\', "(\\", "<,", "a@", "@", "\x00é"]
)
def test_any_addressees_are_read_in_bounds(piece: str) -> None:
    header = ("To: " + piece * 40_000).encode() + b"\r\n\r\n"
    found = read_addressees(split(header).fields)
    assert found.mailboxes == frozenset()
    assert not any(ord(character) < 32 for character in found.shown)


@pytest.mark.parametrize(
    ("how", "code"),
    [("via", "by-way-of"), ("arc", "forwarded"), ("results", "forwarded"), ("spf", None)],
)
def test_how_the_author_was_proven(how, code) -> None:
    author = address("shop@greenleaf.example")
    # A sealer signs To as it came: it names the address that forwards.
    signed = frozenset({"from", "to"} if how == "arc" else ())
    sender = Proven(
        domain="greenleaf.example", how=how, author=author, by="esp.example", signed=signed
    )
    recipient = address("anna@letterbox.example")
    flags = flags_of(sender, PlainMessage(), recipient, wishes_from())
    assert [flag.code for flag in flags] == [code] * bool(code)
    assert all(flag.facts["by"] == "esp.example" for flag in flags)


def test_what_was_seen_first_stays() -> None:
    one, other = Flag(code="forwarded", facts={"by": "a"}), Flag(code="forwarded")
    assert together((one,), (other, Flag(code="by-way-of"))) == (one, Flag(code="by-way-of"))


@pytest.mark.parametrize("stored", [DecisionRecord, InboxEntry, HeldEntry])
def test_rows_of_old_have_no_flags(stored) -> None:
    fields = {field.name: field for field in msgspec.structs.fields(stored)}
    assert fields["flags"].default == ()
