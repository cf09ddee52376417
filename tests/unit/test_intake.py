"""One message's way in: proof, decision, what is written, what is answered."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from letterbox.intake import Idempotent, KeyReused, Submission
from letterbox.model.configuration import Configuration, LimitsSection, ProbesSection
from letterbox.model.envelope import Client
from letterbox.model.message import Offer
from letterbox.model.money import Money
from letterbox.model.preferences import Vendor
from letterbox.model.record import Declared
from letterbox.ports.store import StoreUnavailable
from letterbox.records import places
from tests.support.counting import Counting
from tests.support.house import HERE, House, mail, open_house, signed
from tests.support.signing import Signer

TOPICS = ("pets", "travel", "hobby", "events", "vehicles")  # nobody is interested in any
PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[consumer]]
id = "anna"
addresses = [
  "anna@letterbox.example",
  { address = "volt@letterbox.example", vendor = "voltshop.example" },
]
  [[consumer.interest]]
  id = "pruners"
  keywords = { any = ["pruner"], none = ["chainsaw"] }
  [[consumer.vendor]]
  vendor = "greenleaf"
  accepts = ["offer", "service", "personal"]
  limit = { messages = 2, per = "week" }
"""
MARKS = {"Letterbox_Kind": "offer"}
SIGNER = Signer(domain="greenleaf.example")
FORGER = Client(address="198.51.100.7", helo="mail.greenleaf.example")


@pytest.fixture
async def house():
    async with open_house(PEOPLE) as house:
        yield house


def offer(subject: str = "Pruner sale", number: int = 1, **more: str) -> bytes:
    return signed(mail(subject, number=number, **MARKS, **more))


async def told(house: House, content: bytes, to: str = "anna@letterbox.example", **how) -> str:
    received = await house.send(content, to, **how)
    (outcome,) = received.outcomes
    return outcome.told.line


async def test_what_is_wanted_is_delivered_and_kept_byte_for_byte(house: House) -> None:
    content = offer()
    line = await told(house, content)
    assert line.startswith("250 2.0.0 delivered ")
    page = await house.app.mailboxes.inbox("anna", after=None, limit=10)
    (entry,) = page.items
    assert (entry.subject, entry.vendor.id, entry.interests) == (
        "Pruner sale",
        "greenleaf",
        ("pruners",),
    )
    assert await house.app.mailboxes.body(entry.message) == content


async def test_a_refusal_is_told_at_its_level_and_written_down(house: House) -> None:
    line = await told(house, offer("Garden gnomes", text="Gnomes.\r\n"))
    assert line.startswith("550 5.7.1 no-matching-interest: ")
    reference = line.rsplit("/", 1)[1]
    assert line.endswith(f" https://letterbox.example/r/{reference}")
    page = await house.app.mailboxes.decisions("anna", after=None, limit=10)
    assert [row.told.reference for row in page.items] == [reference]
    assert page.items[0].preferences_version == 1
    events = await house.feed("greenleaf")
    assert [(e.type, e.reference) for e in events] == [("message.refused", reference)]
    assert await house.inbox("anna") == []


async def test_one_changed_byte_makes_a_stranger(house: House) -> None:
    content = offer().replace(b"Pruner sale", b"Pruner sald")
    assert (await told(house, content, client=FORGER)).startswith(
        "550 5.7.1 not-accepted: This letterbox does not take the message (dkim-failed). "
    )
    assert (await told(house, offer(), client=FORGER)).startswith("250 ")


async def test_strangers_hear_the_same_of_known_and_unknown_addresses(house: House) -> None:
    heard = set()
    for to in ("anna", "nobody", "volt", "anna+tag"):
        line = await told(house, mail(), f"{to}@letterbox.example", client=FORGER)
        heard.add(line.rsplit("/", 1)[0])
    assert len(heard) == 1
    counter = places.strangers(house.clock.now(), "spf-failed")
    for consumer, count in (("anna", 3), (places.NOBODY, 1)):
        counted = await house.app.store.counters(places.consumer(consumer), [counter])
        assert counted == {counter: count}


async def test_strangers_leave_no_body_and_no_record(house: House) -> None:
    await told(house, mail(), client=FORGER)
    assert list(await house.app.store.due(house.clock.now() + timedelta(days=400))) == []
    page = await house.app.mailboxes.decisions("anna", after=None, limit=10)
    assert page.items == ()


async def test_newcomers_cannot_tell_a_known_address_from_an_unknown_one(house: House) -> None:
    heard = set()
    for number, to in enumerate(("anna", "nobody", "volt")):
        content = mail(domain="other.example", number=number)
        line = await told(house, content, f"{to}@letterbox.example", sender="x@other.example")
        heard.add(line.rsplit("/", 1)[0])
    assert len(heard) == 1
    assert heard.pop().startswith("550 5.7.1 no-relationship: ")


async def test_an_address_given_to_one_vendor_is_closed_to_another(house: House) -> None:
    line = await told(house, offer(), "volt@letterbox.example")
    assert line.startswith("550 5.7.1 no-relationship: ")
    page = await house.app.mailboxes.decisions("anna", after=None, limit=10)
    (row,) = page.items
    assert next(f.filter for f in row.findings if f.verdict == row.verdict) == "address-binding"
    assert row.findings[0].facts["other"] == "voltshop.example"


async def test_the_consumer_reads_whose_address_it_was_by_name(house: House) -> None:
    await house.people("""
[[vendor]]
id = "voltshop"
name = "Volt & Co"
domains = ["voltshop.example"]

[[consumer]]
id = "bram"
language = "nl"
addresses = [{ address = "stroom@letterbox.example", vendor = "voltshop" }]
""")
    line = await told(house, offer(), "stroom@letterbox.example")
    assert line.startswith("550 5.7.1 no-relationship: ")
    (row,) = (await house.app.mailboxes.decisions("bram", after=None, limit=10)).items
    assert house.app.sentences.person(row.findings[0], "nl") == (
        "Greenleaf Garden gebruikte stroom@letterbox.example, dat je aan Volt & Co gaf."
    )


async def test_trouble_with_names_is_temporary(house: House) -> None:
    house.zone.trouble = frozenset({"greenleaf.example", SIGNER.name})
    line = await told(house, offer())
    assert line.startswith("451 4.4.3 lookup-failed: ")
    assert await house.inbox("anna") == []


async def test_a_resend_gets_the_recorded_answer_and_has_one_effect(house: House) -> None:
    content = offer()
    first = await told(house, content)
    again = await told(house, content)
    assert first == again
    assert await house.inbox("anna") == ["Pruner sale"]
    # The copy that nobody took is not kept.
    due = await house.app.store.due(house.clock.now().replace(year=2030), limit=10)
    assert len(due) == 1


async def test_a_resend_is_answered_as_before_whatever_has_changed(house: House) -> None:
    """The first copy used up the limit, then the vendor was locked out: the answer stands."""
    content = offer(number=1)
    first = await told(house, content)
    assert (await told(house, offer(number=2))).startswith("250 ")
    assert (await told(house, offer(number=3))).startswith("550 5.7.1 too-often: ")
    assert await told(house, content) == first
    await house.people(
        PEOPLE.replace('accepts = ["offer"', 'standing = "blocked"\naccepts = ["offer"')
    )
    assert (await told(house, offer(number=4))).startswith("550 5.7.1 vendor-blocked: ")
    assert await told(house, content) == first
    assert len(await house.inbox("anna")) == 2


@pytest.mark.parametrize(
    "spellings",
    [("anna", "Anna", "anna+garden"), ("anna+a", "anna+b"), ("anna", "anna")],
)
async def test_one_mailbox_gets_one_copy_however_it_is_written(house: House, spellings) -> None:
    received = await house.send(offer(), *(f"{s}@letterbox.example" for s in spellings))
    lines = {outcome.told.line for outcome in received.outcomes}
    assert len(received.outcomes) == len(spellings)
    assert len(lines) == 1
    assert lines.pop().startswith("250 2.0.0 delivered ")
    assert await house.inbox("anna") == ["Pruner sale"]


async def test_a_decision_taken_anew_keeps_its_message(house: House, monkeypatch) -> None:
    """Wishes that change between judging and writing must not leave a delivery without a body."""
    commit = house.app.store.commit
    changes = iter(range(3))

    async def meanwhile(*commits):
        if any(c.partition.startswith("message/") for c in commits) and next(changes, None) == 0:
            stored = await house.app.consumers.stored("anna")
            assert stored is not None
            busier = msgspec.structs.replace(stored.preferences, ask_for_days=3)
            await house.app.consumers.replace("anna", busier, expect=None, now=house.clock.now())
        return await commit(*commits)

    monkeypatch.setattr(house.app.store, "commit", meanwhile)
    assert (await told(house, offer())).startswith("250 2.0.0 delivered ")
    page = await house.app.mailboxes.decisions("anna", after=None, limit=10)
    (row,) = page.items
    assert row.preferences_version == 2
    house.clock.advance(days=31)
    await house.work()
    (entry,) = (await house.app.mailboxes.inbox("anna", after=None, limit=10)).items
    assert await house.app.mailboxes.body(entry.message) is not None


async def test_a_limit_holds_when_everything_comes_at_once(house: House) -> None:
    lines = await asyncio.gather(*(told(house, offer(f"Pruner {n}", number=n)) for n in range(12)))
    assert sum(line.startswith("250 ") for line in lines) == 2
    assert sum(line.startswith("550 5.7.1 too-often: ") for line in lines) == 10
    assert len(await house.inbox("anna")) == 2


async def test_preferences_that_change_meanwhile_decide(house: House) -> None:
    """The decision is taken anew when it rested on wishes that are no longer."""
    app = house.app
    stored = await app.consumers.stored("anna")
    assert stored is not None
    await app.consumers.wishes("anna")
    kept = app.consumers._wishes.get("anna")
    assert kept is not None
    changed = msgspec.structs.replace(stored.preferences, vendor=())
    await app.consumers.replace("anna", changed, expect=1, now=house.clock.now())
    app.consumers._wishes.put("anna", kept)  # as another process would still see them
    assert (await told(house, offer())).startswith("550 5.7.1 no-relationship: ")
    assert await house.inbox("anna") == []


async def test_a_store_that_fails_defers_and_recovers(house: House, monkeypatch) -> None:
    async def fail(*commits: object) -> None:
        raise StoreUnavailable("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(house.app.store, "commit", fail)
        assert (await told(house, offer())).startswith("451 4.3.0 store-unavailable: ")
    assert (await told(house, offer())).startswith("250 2.0.0 delivered ")


async def test_a_filter_that_raises_defers(house: House, monkeypatch) -> None:
    def broken(case: object) -> None:
        raise RuntimeError("secret detail")

    rule = house.app.judge._filters[3]
    monkeypatch.setattr(house.app.judge, "_filters", (msgspec.structs.replace(rule, apply=broken),))
    line = await told(house, offer())
    assert line.startswith("451 4.3.0 our-fault: ")
    assert "secret" not in line


async def test_our_own_fault_is_temporary_and_tells_nothing(house: House, monkeypatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(house.app.prover, "prove", broken)
    line = await told(house, offer())
    assert line.startswith("451 4.3.0 our-fault: ")
    assert "secret" not in line


async def test_a_message_that_goes_in_circles_is_refused(house: House) -> None:
    trace = b"Received: from a by b; Mon, 23 Nov 2026 12:00:00 +0000\r\n" * 101
    assert (await told(house, trace + offer())).startswith("554 5.4.6 mail-loop: ")


async def test_too_many_fields_are_malformed(house: House) -> None:
    line = await told(house, b"X: y\r\n" * 2000 + offer())
    assert line.startswith("554 5.6.0 message-malformed: ")


@pytest.mark.parametrize("local", ["postmaster", "Postmaster", "abuse", "abuse+x"])
async def test_the_operator_is_always_reached(house: House, local: str) -> None:
    line = await told(house, mail("Help"), f"{local}@letterbox.example", sender=None, client=FORGER)
    assert line.startswith("250 2.0.0 delivered ")
    assert await house.inbox(places.OPERATOR) == ["Help"]


async def test_the_hosts_own_postmaster_is_the_operator_too() -> None:
    """``RCPT TO:<postmaster>`` is written to the host, which may not be one of our domains."""
    configuration = Configuration(hostname="mx.letterbox.example", domains=("letterbox.example",))
    async with open_house(configuration=configuration) as house:
        line = await told(house, mail("Help"), "postmaster@mx.letterbox.example", client=FORGER)
        assert line.startswith("250 2.0.0 delivered ")


async def test_the_operator_gets_one_copy_and_keeps_it(house: House) -> None:
    """Together with somebody else, and sent twice: neither touches the operator's copy."""
    both = ("postmaster@letterbox.example", "anna@letterbox.example", "abuse@letterbox.example")
    first = await house.send(offer(), *both, edge="lmtp")
    again = await house.send(offer(), *both, edge="lmtp")
    assert [o.told.line for o in first.outcomes] == [o.told.line for o in again.outcomes]
    house.clock.advance(days=31)
    await house.work()
    for consumer in (places.OPERATOR, "anna"):
        (entry,) = (await house.app.mailboxes.inbox(consumer, after=None, limit=10)).items
        assert await house.app.mailboxes.body(entry.message) == offer()


async def test_only_our_postmaster_is_the_operator(house: House) -> None:
    line = await told(house, offer(), "postmaster@elsewhere.example", edge="http")
    assert line.startswith("550 5.7.1 no-relationship: ")
    assert await house.inbox(places.OPERATOR) == []


async def test_a_vendor_in_a_hurry_is_told_how_fast_it_may_go() -> None:
    configuration = Configuration(limits=LimitsSection(messages_per_vendor_second=2))
    async with open_house(PEOPLE, configuration=configuration) as house:
        lines = [await told(house, offer(f"Pruner {n}", number=n)) for n in range(3)]
        assert [line[:3] for line in lines] == ["250", "250", "450"]
        assert lines[2].startswith(
            "450 4.7.1 rate-limited: Not now: at most 2 messages a second. http://"
        )
        house.clock.advance(seconds=1)
        assert (await told(house, offer(number=3))).startswith("550 5.7.1 too-often: ")


async def test_the_operator_takes_only_so_much_an_hour(house: House) -> None:
    lines = [
        await told(house, mail(f"Help {n}", number=n), "abuse@letterbox.example", client=FORGER)
        for n in range(102)
    ]
    assert sum(line.startswith("250 ") for line in lines) == 100
    assert lines[-1].startswith("450 4.7.1 rate-limited: Not now: at most 100 messages an hour. ")
    house.clock.advance(hours=1)
    line = await told(house, mail("Help again"), "abuse@letterbox.example", client=FORGER)
    assert line.startswith("250 ")


async def test_a_relay_that_hides_its_client_hears_the_strangers_text(house: House) -> None:
    relay = Client(address=HERE, helo="relay.example", inner=True)
    for content in (offer("Gnomes", text="Gnomes\r\n"), mail(domain="unknown.example")):
        line = await told(house, content, client=relay)
        assert line.startswith(
            "550 5.7.1 not-accepted: This letterbox does not take the message. http"
        )


async def test_the_feed_tells_what_a_relay_that_hides_its_client_must_not(house: House) -> None:
    relay = Client(address=HERE, helo="relay.example", inner=True)
    line = await told(house, offer("Gnomes", text="Gnomes\r\n"), client=relay)
    assert line.startswith("550 5.7.1 not-accepted: ")
    (event,) = await house.feed("greenleaf")
    assert event.reason.code == "no-matching-interest"
    assert event.reference == line.rsplit("/", 1)[1]
    # An unregistered vendor has no feed, and so learns nothing more.
    await house.people(PEOPLE.replace('domains = ["greenleaf.example"]', "domains = []"))
    await told(house, offer("Gnomes", number=2, text="Gnomes\r\n"), client=relay)
    assert len(await house.feed("greenleaf")) == 1


async def test_what_the_feed_tells_behind_a_relay_is_a_probe() -> None:
    relay = Client(address=HERE, helo="relay.example", inner=True)
    configuration = Configuration(probes=ProbesSection(per_day=2))
    async with open_house(PEOPLE, configuration=configuration) as house:
        for n in range(3):
            content = offer("Gnomes", number=n, text="Gnomes\r\n", Letterbox_Category=TOPICS[n])
            await told(house, content, client=relay)
        codes = [event.reason.code for event in await house.feed("greenleaf")]
        assert codes == ["no-matching-interest", "no-matching-interest", "choice"]


async def test_probing_falls_back_to_the_class() -> None:
    configuration = Configuration(probes=ProbesSection(per_day=3))
    async with open_house(PEOPLE, configuration=configuration) as house:
        heard = []
        for n in range(5):
            content = offer("Gnomes", number=n, text="Gnomes\r\n", Letterbox_Category=TOPICS[n])
            heard.append(await told(house, content))
        codes = [line.split()[2] for line in heard]
        assert codes == ["no-matching-interest:"] * 3 + ["choice:"] * 2
        # The same question again is no new one.
        content = offer("Gnomes", number=9, text="Gnomes\r\n", Letterbox_Category=TOPICS[1])
        assert "no-matching-interest" in await told(house, content)


async def test_a_newcomer_that_tries_too_often_is_shut_out_for_the_day() -> None:
    people = PEOPLE.replace("[[consumer.vendor]]", "#").replace('vendor = "greenleaf"', "#")
    people = people[: people.index("  #")].replace(
        'id = "anna"', 'id = "anna"\nnewcomers = "interests"'
    )
    people += '  open_to = "anyone"\n  max_price = { amount = "100", currency = "EUR" }\n'
    configuration = Configuration(probes=ProbesSection(per_day=3))
    async with open_house(people, configuration=configuration) as house:

        async def ask(amount: int, number: int) -> str:
            price = Money(amount=Decimal(amount), currency="EUR")
            how = submission(offer=Offer(origin="declared", price=price))
            content = mail("Pruner", number=number)
            return (await told(house, content, edge="http", submission=how))[:3]

        assert await ask(90, 1) == "250"
        assert [await ask(amount, amount) for amount in (200, 150, 125)] == ["550"] * 3
        assert await ask(95, 2) == "550"
        house.clock.advance(days=1)
        assert await ask(95, 3) == "250"


# ---- what differs must not show ---------------------------------------------------------------


@pytest.mark.parametrize("proven", [False, True], ids=["stranger", "newcomer"])
async def test_known_and_unknown_addresses_cost_the_same(house: House, monkeypatch, proven) -> None:
    await house.people(
        """
[[consumer]]
id = "bram"
addresses = ["bram@letterbox.example"]
limit = { messages = 9, per = "week" }
  [[consumer.interest]]
  id = "all"
"""
    )
    # Consumers and vendor as a server finds them that has just started.
    for hear in (house.app.consumers._addresses.hear, house.app.consumers._hear):
        hear(None)
    await told(house, mail(domain="other.example"), "x@letterbox.example", sender="x@other.example")
    counting = Counting(house, monkeypatch)
    work = {}
    for to in ("bram", "nobody", "volt"):
        for number in range(2):
            content = mail(domain="other.example", number=number, To=to)
            how = {} if proven else {"client": FORGER}
            await told(house, content, f"{to}@letterbox.example", sender="x@other.example", **how)
            work[to, number] = counting.taken()
    for number in range(2):
        assert work["bram", number] == work["nobody", number] == work["volt", number]
        assert "commit" in "".join(work["nobody", number])


# ---- with a vendor's key -----------------------------------------------------------------------

GREENLEAF = Vendor(id="greenleaf", name="Greenleaf Garden", domains=("greenleaf.example",))


def submission(key: str | None = None, fingerprint: bytes = b"1", **declared) -> Submission:
    return Submission(
        vendor=GREENLEAF,
        declared=Declared(kind="offer", **declared),
        your_reference="order-7",
        idempotent=Idempotent(key=key, fingerprint=fingerprint) if key else None,
    )


async def test_a_key_proves_the_vendors_own_authors_alone(house: House) -> None:
    assert (await told(house, mail("Pruner"), edge="http", submission=submission())).startswith(
        "250 "
    )
    line = await told(
        house, mail("Pruner", domain="other.example"), edge="http", submission=submission()
    )
    assert line.startswith(
        "550 5.7.1 author-not-yours: "
        "The author is of other.example, which is not a proven domain of yours. https://"
    )


DOMAIN_ONLY = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["garten.example", "Grünblatt.example"]

[[consumer]]
id = "anna"
addresses = [{ address = "anna@letterbox.example", vendor = "grünblatt.example" }]
  [[consumer.vendor]]
  domain = "grünblatt.example"
  [[consumer.interest]]
  id = "pruners"
  keywords = { any = ["pruner"] }
  vendors = ["grünblatt.example"]
"""


@pytest.mark.parametrize("domain", ["letterbox.example", "garten.example"])
async def test_a_key_makes_a_vendor_known_by_all_its_domains(domain: str) -> None:
    async with open_house(DOMAIN_ONLY) as house:
        vendor = await house.app.vendors.get("greenleaf")
        assert vendor is not None
        content = mail("Pruner", domain=domain, From=f"Greenleaf <greenleaf@{domain}>")
        shown = msgspec.structs.replace(submission(), vendor=vendor)
        line = await told(house, content, edge="http", submission=shown)
        assert line.startswith("250 2.0.0 delivered"), line


async def test_a_vendor_hears_why_its_author_is_not_clear(house: House) -> None:
    content = mail("Pruner", From="a@greenleaf.example, b@greenleaf.example")
    assert (await told(house, content, edge="http", submission=submission())).startswith(
        "550 5.7.1 author-ambiguous: "
        "The author is not clear: From names several addresses. https://"
    )
    # A stranger hears the reason alone.
    assert (await told(house, content, client=FORGER)).startswith(
        "550 5.7.1 not-accepted: This letterbox does not take the message (author-ambiguous). "
    )


async def test_a_key_does_not_speak_for_anothers_domain_below_ones_own(house: House) -> None:
    await house.people('[[vendor]]\nid = "sub"\nname = "Sub"\ndomains = ["sub.greenleaf.example"]')
    content = mail("Pruner", domain="sub.greenleaf.example")
    line = await told(house, content, edge="http", submission=submission())
    assert line.startswith("550 5.7.1 author-not-yours: ")


@pytest.mark.parametrize(
    ("domain", "reply"), [("greenleaf.example", "250 "), ("letterbox.example", "550 ")]
)
async def test_api_mail_is_known_by_its_vendors_domains_and_not_by_ours(
    house: House, domain: str, reply: str
) -> None:
    """It is written under our host name, which would be every vendor's."""
    await house.people(
        f"""
[[consumer]]
id = "bram"
addresses = ["bram@letterbox.example"]
  [[consumer.vendor]]
  domain = "{domain}"
  scope = "everything"
"""
    )
    content = mail("Pruner").replace(b"shop@greenleaf.example", b"greenleaf@letterbox.example")
    line = await told(
        house, content, "bram@letterbox.example", edge="http", submission=submission()
    )
    assert line.startswith(reply)


async def test_a_full_mailbox_of_the_operators_writes_no_body(house: House, monkeypatch) -> None:
    prepared = []
    prepare = house.app.store.prepare

    async def noted(*arguments):
        prepared.append(arguments[0])
        return await prepare(*arguments)

    monkeypatch.setattr(house.app.store, "prepare", noted)
    for number in range(103):
        content = mail("Help", number=number % 102)
        await told(house, content, "abuse@letterbox.example", client=FORGER)
    assert len(prepared) == 100


async def test_an_idempotent_call_to_the_operator_has_one_effect(house: House) -> None:
    async def call(number: int):
        to = ("abuse@letterbox.example", "anna@letterbox.example")
        return await house.send(
            mail("Pruner", number=number), *to, edge="http", submission=submission("k3")
        )

    assert await call(1) == await call(2)
    assert len(await house.inbox(places.OPERATOR)) == 1


async def test_an_idempotent_call_has_one_effect_at_once_and_later(house: House) -> None:
    async def call(number: int, fingerprint: bytes = b"1"):
        content = mail("Pruner", number=number)
        how = submission("k1", fingerprint)
        return await house.send(
            content,
            "anna@letterbox.example",
            "nobody@letterbox.example",
            edge="http",
            submission=how,
        )

    answers = await asyncio.gather(*(call(n) for n in range(20)))
    assert len({msgspec.json.encode(answer) for answer in answers}) == 1
    assert len(await house.inbox("anna")) == 1
    assert await call(99) == answers[0]
    with pytest.raises(KeyReused):
        await call(99, b"2")


async def test_what_is_deferred_is_not_recorded_as_the_answer(house: House, monkeypatch) -> None:
    async def broken(*_: object) -> None:
        raise StoreUnavailable("away")

    how = submission("k2")
    with monkeypatch.context() as patch:
        patch.setattr(house.app.store, "commit", broken)
        assert (await told(house, mail("Pruner"), edge="http", submission=how)).startswith("451 ")
    assert (await told(house, mail("Pruner"), edge="http", submission=how)).startswith("250 ")


async def test_declared_facts_count(house: House) -> None:
    price = Money(amount=Decimal(200), currency="EUR")
    how = submission(offer=Offer(origin="declared", price=price))
    await house.people(
        PEOPLE.replace(
            'id = "pruners"', 'id = "pruners"\nmax_price = { amount = "150", currency = "EUR" }'
        )
    )
    line = await told(house, mail("Pruner"), edge="http", submission=how)
    assert line.startswith("550 5.7.1 price-above-limit: ")
    (event,) = await house.feed("greenleaf")
    assert event.your_reference == "order-7"
