"""An author by way of a platform: proven to whom lets its signature speak, and to nobody else."""

from datetime import UTC, datetime

import msgspec
import pytest

from letterbox.administration import Failed
from letterbox.gateways.smtp import SmtpGateway
from letterbox.identity import Prover
from letterbox.metrics import Metrics
from letterbox.model.address import Address
from letterbox.model.configuration import Configuration, LimitsSection, SmtpSection
from letterbox.model.envelope import Client, Envelope
from letterbox.model.preferences import Preferences, VendorRule
from letterbox.model.record import DecisionRecord
from letterbox.model.sender import Proven, Stranger, Undetermined
from letterbox.reading.mail import split
from letterbox.records import places
from tests.support.api import open_api
from tests.support.house import House, mail, open_house
from tests.support.plain import domains
from tests.support.signing import Signer, Zone, craft
from tests.support.wire import connected

KATJES, SIGNER = "katjes.example", "ksd1.platform.example"
NAMES = "from:to:subject:date:message-id:letterbox-kind"
AWAY = Client(address="198.51.100.7", helo="mta.platform.example")
ALL = ("anna", "ben", "carl", "dora", "nobody")
STRANGE = ALL[1:]
PEOPLE = """
[[vendor]]
id = "katjes"
name = "Katjes"
domains = ["katjes.example"]

[[consumer]]
id = "anna"
addresses = [
  "anna@letterbox.example",
  { address = "volt@letterbox.example", vendor = "voltshop.example" },
]
timezone = "Europe/Amsterdam"
  [[consumer.window]]
  days = ["tue"]
  from = "09:00"
  until = "12:00"
  kinds = ["newsletter"]
  [[consumer.vendor]]
  vendor = "katjes"
  accepts = ["offer", "newsletter"]
  scope = "everything"
  via = ["KSD1.Platform.example"]

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
  [[consumer.vendor]]
  vendor = "katjes"
  scope = "everything"

[[consumer]]
id = "carl"
addresses = ["carl@letterbox.example"]
newcomers = "interests"
  [[consumer.interest]]
  id = "all"
  open_to = "anyone"

[[consumer]]
id = "dora"
addresses = ["dora@letterbox.example"]
newcomers = "ask"
"""


def by(content: bytes, *signers: str, **tags: str) -> bytes:
    """The mail with a signature of each domain, the first one on top."""
    for signer in reversed(signers):
        content = craft(content, {"d": signer, "h": NAMES} | tags)
    return content


def letter(number: int = 1, kind: str = "offer", author: str = KATJES, **more: str) -> bytes:
    return mail(f"Letter {number}", domain=author, number=number, Letterbox_Kind=kind, **more)


def publish(zone: Zone, *signers: str) -> None:
    for signer in signers:
        zone.records |= Signer(domain=signer).records


@pytest.fixture
async def house():
    async with open_house(PEOPLE) as house:
        publish(house.zone, SIGNER, "k2.other.example")
        yield house


async def lines(house: House, content: bytes, *to: str, **how) -> dict[str, str]:
    """What each recipient's line is, without its reference."""
    addresses = [f"{each}@letterbox.example" for each in to]
    how = {"sender": "b@platform.example", "client": AWAY, "edge": "lmtp"} | how
    received = await house.send(content, *addresses, **how)
    return {
        outcome.recipient.local: outcome.told.line.replace(outcome.told.reference, "REF")
        for outcome in received.outcomes
    }


async def line(house: House, content: bytes, to: str = "anna", **how) -> str:
    return (await lines(house, content, to, **how))[to]


async def decisions(house: House, consumer: str = "anna") -> list[DecisionRecord]:
    page = await house.app.mailboxes.decisions(consumer, after=None, limit=10)
    return list(page.items)


async def change(house: House, **fields) -> None:
    """Change anna's relationship with katjes."""
    stored = await house.app.consumers.stored("anna")
    assert stored is not None
    (rule,) = stored.preferences.vendor
    changed = msgspec.structs.replace(rule, **fields)
    preferences: Preferences = msgspec.structs.replace(stored.preferences, vendor=(changed,))
    await house.app.consumers.replace("anna", preferences, expect=None, now=house.clock.now())


DELIVERED = "250 2.0.0 delivered REF"
STRANGERS = (
    "550 5.7.1 not-accepted: This letterbox does not take the message (dkim-missing). "
    "https://letterbox.example/r/REF"
)

# ---- whose signature is told of ----------------------------------------------------------------

SIGNERS: list[tuple[str, bytes, dict, set[str], list[str]]] = [
    # name, mail, further records, names that give trouble, who signed
    ("a platform", by(letter(), SIGNER), {}, set(), [SIGNER]),
    ("two, in their order", by(letter(), "k2.other.example", SIGNER), {}, set(),
     ["k2.other.example", SIGNER]),
    ("the same twice", by(letter(), SIGNER, SIGNER), {}, set(), [SIGNER]),
    ("five are tried", by(letter(), *(f"p{n}.example" for n in range(7))), {}, set(),
     [f"p{n}.example" for n in range(5)]),
    ("nobody", letter(), {}, set(), []),
    ("one byte changed", by(letter(), SIGNER)[:-3] + b"!\r\n", {}, set(), []),
    ("a part of the body", by(letter(), SIGNER, l="3"), {}, set(), []),
    ("From not covered", by(letter(), SIGNER, h="to:subject"), {}, set(), []),
    ("expired", by(letter(), SIGNER, t="1000", x="2000"), {}, set(), []),
    ("a mailbox provider", by(letter(), "gmail.com"), {}, set(), []),
    ("below one", by(letter(), "x.gmail.com"), {}, set(), []),
    ("a public suffix", by(letter(), "co.uk"), {}, set(), []),
    ("p=none", by(letter(), SIGNER), {KATJES: "p=none"}, set(), [SIGNER]),
    ("p=quarantine", by(letter(), SIGNER), {KATJES: "p=quarantine"}, set(), []),
    ("p=reject", by(letter(), SIGNER), {KATJES: "p=reject"}, set(), []),
    ("p=quarantine, tried out", by(letter(), SIGNER), {KATJES: "p=quarantine; t=y"}, set(),
     [SIGNER]),
    ("sp=reject", by(letter(author=f"news.{KATJES}"), SIGNER), {KATJES: "p=none; sp=reject"},
     set(), []),
    ("np=reject", by(letter(author=f"no.{KATJES}"), SIGNER), {KATJES: "p=none; np=reject"},
     set(), []),
    ("its own signature is broken",
     craft(by(letter(), SIGNER), {"d": KATJES, "bh": "A" * 43 + "="}), {}, set(), [SIGNER]),
    ("two authors", b"From: x@other.example\r\n" + by(letter(), SIGNER), {}, set(), []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "policies", "trouble", "signers"),
    [pytest.param(*case[1:], id=case[0]) for case in SIGNERS],
)
async def test_a_stranger_names_who_signed_and_may_be_trusted(
    content, policies, trouble, signers
) -> None:
    zone = Zone({}, trouble=frozenset(trouble))
    publish(zone, SIGNER, "k2.other.example", "gmail.com", "x.gmail.com", "co.uk", KATJES)
    publish(zone, *(f"p{n}.example" for n in range(7)))
    for domain, policy in policies.items():
        zone.records[f"_dmarc.{domain}"] = {"TXT": [f"v=DMARC1; {policy}"]}
    to = Address(local="anna", domain="letterbox.example")
    envelope = Envelope(session="s", edge="smtp", client=AWAY, reverse_path=None, recipients=(to,))
    prover = Prover(zone, domains(), server="mx.letterbox.example")
    proof = await prover.prove(split(content), envelope, datetime.now(tz=UTC))
    sender = proof.sender
    assert isinstance(sender, Stranger)
    assert [signer.domain for signer in sender.signers] == signers
    assert (sender.author is not None) == bool(signers)
    assert all({"from", "subject"} <= signer.signed for signer in sender.signers)
    if signers:
        assert f"dkim=pass header.d={signers[0]}" in proof.results


@pytest.mark.parametrize("unanswered", [f"s1._domainkey.{SIGNER}", f"_dmarc.{KATJES}"])
async def test_what_cannot_be_looked_up_is_waited_out(unanswered) -> None:
    zone = Zone({}, trouble=frozenset({unanswered}))
    publish(zone, SIGNER, KATJES)
    to = Address(local="anna", domain="letterbox.example")
    envelope = Envelope(session="s", edge="smtp", client=AWAY, reverse_path=None, recipients=(to,))
    prover = Prover(zone, domains(), server="mx.letterbox.example")
    proof = await prover.prove(split(by(letter(), SIGNER)), envelope, datetime.now(tz=UTC))
    assert isinstance(proof.sender, Undetermined)


# ---- who lets it in ----------------------------------------------------------------------------


async def test_only_who_lets_the_platform_speak_gets_the_message(house: House) -> None:
    told = await lines(house, by(letter(), SIGNER), *ALL)
    assert told == {"anna": DELIVERED} | dict.fromkeys(STRANGE, STRANGERS)
    assert await house.inbox("anna") == ["Letter 1"]
    (row,) = await decisions(house)
    assert row.case is not None
    sender = row.case.sender
    assert (sender.how, sender.domain, sender.by) == ("via", KATJES, SIGNER)
    assert (row.vendor.id, row.vendor.registered) == ("katjes", True)
    assert row.kind == "offer"  # the signature covers the mark
    for consumer in ("ben", "carl", "dora", places.NOBODY):
        assert await decisions(house, consumer) == []
        counter = places.strangers(house.clock.now(), "dkim-missing")
        counted = await house.app.store.counters(places.consumer(consumer), [counter])
        assert counted == {counter: 1}


ALLOWED = [
    # rule, author, who signed, whether it comes in
    ({"vendor": "katjes", "via": ["platform.example"]}, KATJES, SIGNER, True),
    ({"domain": KATJES, "via": ["platform.example"]}, f"news.{KATJES}", SIGNER, True),
    ({"address": f"shop@{KATJES}", "via": [SIGNER]}, KATJES, SIGNER, True),
    ({"address": "shop@gmail.com", "via": [SIGNER]}, "gmail.com", SIGNER, True),
    ({"address": "other@gmail.com", "via": [SIGNER]}, "gmail.com", SIGNER, False),
    ({"vendor": "katjes", "via": [f"a.{SIGNER}"]}, KATJES, SIGNER, False),
    ({"vendor": "katjes", "via": ["1.platform.example"]}, KATJES, SIGNER, False),
    ({"vendor": "katjes", "via": [SIGNER]}, KATJES, "k2.other.example", False),
    ({"vendor": "katjes", "via": [SIGNER]}, "other.example", SIGNER, False),
    ({"domain": f"news.{KATJES}", "via": [SIGNER]}, KATJES, SIGNER, False),
    ({"domain": "platform.example", "via": [SIGNER]}, KATJES, SIGNER, False),
    ({"vendor": "katjes", "via": [SIGNER], "until": "2026-11-22"}, KATJES, SIGNER, False),
]


@pytest.mark.parametrize(("rule", "author", "signer", "taken"), ALLOWED)
async def test_a_relationship_says_which_way_it_may_come(rule, author, signer, taken) -> None:
    async with open_house(PEOPLE) as house:
        publish(house.zone, SIGNER, "k2.other.example")
        rules = [{"scope": "everything"} | rule]
        wishes = {"addresses": ["anna@letterbox.example"], "newcomers": "ask", "vendor": rules}
        preferences = msgspec.convert(wishes, Preferences)
        await house.app.consumers.replace("anna", preferences, expect=None, now=house.clock.now())
        told = await line(house, by(letter(author=author), signer), sender=None)
        assert told == (DELIVERED if taken else STRANGERS)


@pytest.mark.parametrize("policy", ["quarantine", "reject"])
async def test_an_owner_who_asks_not_to_be_spoken_for_is_heard(house: House, policy) -> None:
    house.zone.records[f"_dmarc.{KATJES}"] = {"TXT": [f"v=DMARC1; p={policy}"]}
    told = await lines(house, by(letter(), SIGNER), *ALL)
    assert set(told.values()) == {STRANGERS.replace("dkim-missing", "dmarc-refused")}


async def test_who_signs_for_itself_needs_no_platform(house: House) -> None:
    publish(house.zone, KATJES)
    told = await lines(house, by(letter(), SIGNER, KATJES), "anna", "ben")
    assert told == dict.fromkeys(("anna", "ben"), DELIVERED)
    (row,) = await decisions(house)
    assert row.case is not None
    assert row.case.sender.how == "dkim"


async def test_each_consumer_has_its_own_platform_for_one_message(house: House) -> None:
    await house.people(
        """
[[consumer]]
id = "eva"
addresses = ["eva@letterbox.example"]
  [[consumer.vendor]]
  vendor = "katjes"
  scope = "everything"
  via = ["k2.other.example"]
"""
    )
    content = by(letter(), SIGNER, "k2.other.example")
    told = await lines(house, content, "anna", "ben", "eva", "anna+tag")
    assert told == {
        "anna": DELIVERED, "eva": DELIVERED, "anna+tag": DELIVERED, "ben": STRANGERS
    }  # fmt: skip
    for consumer, signer in (("anna", SIGNER), ("eva", "k2.other.example")):
        (row,) = await decisions(house, consumer)
        message = await house.app.mailboxes.message(row.message)
        assert message is not None
        assert isinstance(message.sender, Proven)
        assert message.sender.by == signer
        assert await house.app.mailboxes.body(row.message) == content


async def test_the_operator_is_reached_beside_them(house: House) -> None:
    told = await lines(house, by(letter(), SIGNER), "postmaster", "anna", "ben")
    assert told == {"postmaster": DELIVERED, "anna": DELIVERED, "ben": STRANGERS}
    page = await house.app.mailboxes.inbox(places.OPERATOR, after=None, limit=10)
    (entry,) = page.items
    message = await house.app.mailboxes.message(entry.message)
    assert message is not None
    assert isinstance(message.sender, Stranger)


async def test_sent_again_it_has_no_second_effect(house: House) -> None:
    content = by(letter(), SIGNER)
    assert await line(house, content) == await line(house, content) == DELIVERED
    assert await house.inbox("anna") == ["Letter 1"]


async def test_what_a_platform_signs_does_not_use_up_the_vendors_own_share() -> None:
    configuration = Configuration(limits=LimitsSection(messages_per_vendor_second=2))
    async with open_house(PEOPLE, configuration=configuration) as house:
        publish(house.zone, SIGNER, KATJES)
        heard = [(await line(house, by(letter(n), SIGNER)))[:3] for n in range(4)]
        assert heard == ["250", "250", "450", "450"]
        assert await line(house, by(letter(9), KATJES), "ben") == DELIVERED


# ---- what is told ------------------------------------------------------------------------------


async def test_a_refusal_tells_the_strangers_text_and_the_feed_all(house: House) -> None:
    content = by(letter(kind="personal"), SIGNER)
    told = await lines(house, content, *ALL)
    assert set(told.values()) == {STRANGERS}
    (row,) = await decisions(house)
    assert [f.verdict.reason for f in row.findings if f.verdict == row.verdict] == [
        "kind-not-wanted"
    ]
    (event,) = await house.feed("katjes")
    assert event.reason.code == "kind-not-wanted"
    assert event.reason.remedies == ("send only offers, newsletters",)


async def test_behind_a_relay_that_hides_its_client_no_more_is_told(house: House) -> None:
    relay = Client(address="192.0.2.1", helo="relay.example", inner=True)
    told = await lines(house, by(letter(kind="personal"), SIGNER), *ALL, client=relay)
    assert set(told.values()) == {STRANGERS.replace(" (dkim-missing)", "")}


async def test_the_page_of_a_refusal_is_that_of_a_stranger() -> None:
    async with open_api(PEOPLE) as api:
        publish(api.house.zone, SIGNER)
        pages = []
        for to in ("anna", "ben"):
            received = await api.house.send(
                by(letter(kind="personal"), SIGNER), f"{to}@letterbox.example", client=AWAY
            )
            reference = received.outcomes[0].told.reference
            pages.append(await api.call("GET", f"/r/{reference}"))
        assert [page.status for page in pages] == [404, 404]
        assert pages[0].body == pages[1].body
        # The operator finds the decision behind it all the same.
        (row,) = await decisions(api.house)
        found = await api.house.app.administration.perform(
            "explain decision", {"decision": row.told.reference}
        )
        assert found["decision"] == row.id


async def test_an_address_given_to_another_is_closed_this_way_too(house: House) -> None:
    assert await line(house, by(letter(), SIGNER), "volt") == STRANGERS
    (row,) = await decisions(house)
    assert row.findings[0].filter == "address-binding"


@pytest.mark.parametrize("inner", [False, True], ids=["direct", "relayed"])
async def test_who_does_not_allow_it_costs_the_same_known_or_not(
    house: House, monkeypatch, inner
) -> None:
    await house.people(
        """
[[consumer]]
id = "eva"
addresses = ["eva@letterbox.example"]
  [[consumer.vendor]]
  domain = "katjes.example"
  scope = "everything"
  via = ["k2.other.example"]
[[consumer]]
id = "finn"
addresses = ["finn@letterbox.example"]
"""
    )
    client = Client(address="192.0.2.1", helo="relay.example", inner=True) if inner else AWAY
    await line(house, by(letter(), SIGNER), "anna", client=client)
    for hear in (house.app.consumers._addresses.hear, house.app.consumers._hear):
        hear(None)
    calls: list[str] = []

    def counted(name: str, ask):
        async def counting(*arguments, **options):
            size = sum(len(c.operations) for c in arguments) if name == "commit" else ""
            calls.append(f"{name}{size}")
            return await ask(*arguments, **options)

        return counting

    for name in ("get", "commit", "counters", "claim", "documents", "log"):
        monkeypatch.setattr(house.app.store, name, counted(name, getattr(house.app.store, name)))
    work, heard = {}, set()
    for to in ("ben", "eva", "finn", "nobody"):
        for number in range(2):
            content = by(letter(number, To=to), SIGNER)
            heard.add(await line(house, content, to, client=client))
            work[to, number] = tuple(calls)
            calls.clear()
    for number in range(2):
        assert len({work[to, number] for to in ("ben", "eva", "finn", "nobody")}) == 1
        assert "commit1" in work["nobody", number]
    assert len(heard) == 1


async def test_explain_says_what_would_be_done(house: House) -> None:
    for kind, to, verdict, reason in (
        ("offer", "anna", "deliver", None),
        ("personal", "anna", "refuse", "kind-not-wanted"),
        ("offer", "ben", "refuse", "dkim-missing"),
        ("offer", "nobody", "refuse", "dkim-missing"),
    ):
        content = by(letter(kind=kind), SIGNER)
        arguments = {"message": content, "to": f"{to}@letterbox.example", "from_domain": None}
        found = await house.app.administration.perform("explain", arguments)
        assert (found["verdict"], found["reason"]) == (verdict, reason)
        reference = found["told"].rsplit("/", 1)[-1].split()[-1]
        told = await line(house, content, to)
        assert found["told"].replace(reference, "REF") == told
        if to == "anna":
            assert found["sender"] == f"shop@{KATJES} by way of {SIGNER}, which signed it"
            told = [each for each in found["lines"] if SIGNER in each]
            assert told == [
                f"It is from Katjes (shop@{KATJES}) by way of {SIGNER}, which signed it.",
                f"It came by way of {SIGNER}, which speaks for {KATJES}.",
            ]


# ---- what is held ------------------------------------------------------------------------------

HELD = "250 2.0.0 held REF"


async def hold(house: House, number: int = 1) -> str:
    assert await line(house, by(letter(number, "newsletter"), SIGNER)) == HELD
    page = await house.app.mailboxes.held("anna", after=None, limit=10)
    return page.items[0].id


async def test_what_is_held_comes_in_its_time(house: House) -> None:
    await hold(house)
    house.clock.advance(hours=21)  # Tuesday at ten
    await house.work()
    assert await house.inbox("anna") == ["Letter 1"]


async def test_what_is_held_is_refused_once_the_platform_may_not_speak(house: House) -> None:
    await hold(house)
    house.clock.advance(seconds=1)
    await change(house, via=("k2.other.example",))
    await house.work()  # a change of wishes has it looked at anew
    assert await house.inbox("anna") == []
    assert (await house.app.mailboxes.held("anna", after=None, limit=10)).items == ()
    row = (await decisions(house))[0]
    assert [f.verdict.reason for f in row.findings if f.verdict == row.verdict] == [
        "sender-unproven"
    ]
    assert row.told.reason is not None
    assert row.told.reason.code == "not-accepted"
    events = await house.feed("katjes")
    assert (events[-1].type, events[-1].reason.code) == ("message.refused", "sender-unproven")


async def test_what_was_accepted_stays_accepted(house: House) -> None:
    await change(house, tells="nothing")
    assert await line(house, by(letter(1, "newsletter"), SIGNER)) == "250 2.0.0 accepted REF"
    house.clock.advance(seconds=1)
    await change(house, tells="nothing", via=())
    await house.work()
    assert await house.inbox("anna") == []
    assert [row.told.verdict for row in await decisions(house)] == ["accepted", "accepted"]
    assert "message.refused" not in [event.type for event in await house.feed("katjes")]


async def test_a_yes_with_a_relationship_keeps_the_way_the_message_came(house: House) -> None:
    await change(house, standing="ask")
    assert await line(house, by(letter(), SIGNER)) == HELD
    (entry,) = (await house.app.mailboxes.held("anna", after=None, limit=10)).items
    rule = VendorRule(scope="everything")
    whole = await house.app.relations.answer("anna", entry.id, word="yes", rule=rule)
    assert whole is not None
    assert (whole.vendor, whole.standing, whole.via) == (
        "katjes",
        "allowed",
        ("KSD1.Platform.example",),
    )
    house.clock.advance(seconds=1)
    assert await line(house, by(letter(2), SIGNER)) == DELIVERED
    assert await house.inbox("anna") == ["Letter 2", "Letter 1"]


# ---- looked back upon --------------------------------------------------------------------------


async def test_a_refusal_is_undone_and_replayed_with_its_way() -> None:
    async with open_api(PEOPLE) as api:
        publish(api.house.zone, SIGNER)
        assert await line(api.house, by(letter(kind="personal"), SIGNER)) == STRANGERS
        item = (await api.call("GET", "/v1/me/decisions", who="anna")).json["items"][0]
        path = f"/v1/me/decisions/{item['id']}"
        changes = (await api.call("GET", f"{path}/changes", who="anna")).json["items"]
        assert changes
        rules = [piece["after"] for change in changes for piece in change["changes"]]
        assert all(rule["via"] == ["KSD1.Platform.example"] for rule in rules)
        rule = {"vendor": "katjes", "scope": "everything", "accepts": ["personal"]}
        for via, more in (([SIGNER], 1), ([], 0)):
            wanted = [{"piece": "vendor", "id": "katjes", "after": rule | {"via": via}}]
            done = await api.call(
                "POST", "/v1/me/replay", who="anna", json={"days": 7, "changes": wanted}
            )
            assert done.status == 200, done.body
            assert done.json["more_in"] == more
        chosen = {"change": changes[0]["id"]}
        done = await api.call("POST", f"{path}/undo", who="anna", json=chosen)
        assert done.status == 200, done.body
        assert await api.house.inbox("anna") == ["Letter 1"]
        assert await line(api.house, by(letter(2, "personal"), SIGNER)) == DELIVERED


async def test_a_decision_taken_again_says_what_has_changed(house: House) -> None:
    await line(house, by(letter(), SIGNER))
    (row,) = await decisions(house)
    found = await house.app.administration.perform("explain decision", {"decision": row.id})
    assert found["replay"]["same"]
    await change(house, via=())
    found = await house.app.administration.perform("explain decision", {"decision": row.id})
    assert (found["replay"]["verdict"], found["replay"]["reason"]) == (
        "refuse",
        "sender-unproven",
    )


# ---- over the wire -----------------------------------------------------------------------------


@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
async def test_over_the_wire_each_recipient_hears_its_own(house: House, lmtp) -> None:
    gateway = SmtpGateway(
        house.app.intake,
        paths=house.app.prover,
        hostname="letterbox.example",
        domains=frozenset({"letterbox.example"}),
        section=SmtpSection(),
        lmtp=lmtp,
        clock=house.clock,
        metrics=Metrics(),
    )
    address = await gateway.start("127.0.0.1:0")
    content = by(letter(), SIGNER)
    heard = {}
    try:
        async with connected(address) as wire:
            await wire.reply()
            await wire.say(f"{'LHLO' if lmtp else 'EHLO'} mta.platform.example")
            for batch in [ALL] if lmtp else [(each,) for each in ALL]:
                assert (await wire.say("MAIL FROM:<b@platform.example>")).startswith("250")
                for to in batch:
                    said = await wire.say(f"RCPT TO:<{to}@letterbox.example>")
                    assert said.startswith("250"), said
                await wire.say("DATA")
                await wire.send(content + b".\r\n")
                for to in batch:
                    heard[to] = await wire.reply()
    finally:
        await gateway.close()
    assert heard["anna"].startswith("250 2.0.0 delivered ")
    # Over LMTP a server of ours stands between, and nothing is told of the message.
    text = STRANGERS.replace(" (dkim-missing)", "") if lmtp else STRANGERS
    assert {heard[to].rpartition("/")[0] for to in STRANGE} == {text.rpartition("/")[0]}
    assert await house.inbox("anna") == ["Letter 1"]


# ---- how it is declared ------------------------------------------------------------------------


async def test_a_people_file_and_the_api_speak_of_the_same() -> None:
    async with open_api(PEOPLE) as api:
        reply = await api.call("GET", "/v1/me/vendors/katjes", who="anna")
        assert reply.json["via"] == ["KSD1.Platform.example"]
        changed = reply.json | {"via": ["platform.example"]}
        headers = {"If-Match": reply.headers["ETag"]}
        done = await api.call(
            "PUT", "/v1/me/vendors/katjes", who="anna", json=changed, headers=headers
        )
        assert done.status == 200, done.body
        assert done.json["via"] == ["platform.example"]
        schema = (await api.call("GET", "/openapi.json")).json["components"]["schemas"]
        assert schema["VendorRule"]["properties"]["via"]["type"] == "array"
        perform = api.house.app.administration.perform
        file = {"name": "people.toml", "content": PEOPLE.encode()}
        await perform("apply", {"files": [file], "force": True})
        reply = await api.call("GET", "/v1/me/vendors/katjes", who="anna")
        assert reply.json["via"] == ["KSD1.Platform.example"]
        file["content"] = (
            PEOPLE.replace("KSD1.Platform", "co").replace("co.example", "co.uk").encode()
        )
        with pytest.raises(Failed) as raised:
            await perform("apply", {"files": [file], "force": True})
        (mistake,) = raised.value.mistakes
        assert mistake.startswith("people.toml: consumer[0].vendor[0].via[0]"), mistake


def test_a_rule_that_was_stored_before_lets_nobody_speak() -> None:
    rule = msgspec.json.decode(b'{"vendor":"katjes"}', type=VendorRule)
    assert rule.via == ()
    assert not rule.lets_speak(SIGNER)
    assert not msgspec.structs.replace(rule, via=("..", "platform")).lets_speak(SIGNER)
