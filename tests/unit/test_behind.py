"""Between two mail servers: nothing is acknowledged that is neither behind us nor in custody."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import pytest

from letterbox.adapters.clock import SystemClock
from letterbox.gateways.smtp import SmtpGateway
from letterbox.metrics import Metrics
from letterbox.model.address import parse_address
from letterbox.model.configuration import (
    Configuration,
    FilterSection,
    SmtpSection,
    TrustedPeer,
)
from letterbox.model.envelope import Client, Request
from letterbox.model.record import DecisionRecord
from letterbox.model.verdict import Deliver, Refuse
from letterbox.ports.store import StoreUnavailable
from letterbox.records import places
from tests.support.behind import VANISH, NextHopServer, next_hop
from tests.support.house import HERE, House, mail, open_house, signed
from tests.support.site import open_pages, text_of
from tests.support.wire import StubIntake, StubPaths, connected, greeted

# The clock starts on Monday 23 November 2026, noon UTC.
PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.window]]
  days = ["tue"]
  from = "09:00"
  until = "12:00"
  kinds = ["offer"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["personal", "offer", "newsletter"]

[[consumer]]
id = "bob"
addresses = ["bob@letterbox.example"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["personal"]
  limit = { messages = 1, per = "day" }

[[consumer]]
id = "carl"
addresses = ["carl@letterbox.example"]
"""
ANNA, BOB, CARL = (f"{name}@letterbox.example" for name in ("anna", "bob", "carl"))


@asynccontextmanager
async def between() -> AsyncIterator[tuple[House, NextHopServer]]:
    async with next_hop() as behind:
        section = FilterSection(next_hop=behind.address, hours=24)
        configuration = Configuration(public_url="https://letterbox.example", filter=section)
        async with open_house(PEOPLE, configuration=configuration) as house:
            yield house, behind


@pytest.fixture
async def both():
    async with between() as both:
        yield both


async def send(house: House, content: bytes, *to: str, **said: object) -> list[str]:
    received = await house.send(content, *to, edge="filter", **said)
    return [outcome.told.line for outcome in received.outcomes]


async def decisions(house: House, consumer: str) -> list[DecisionRecord]:
    page = await house.app.mailboxes.decisions(consumer, after=None, limit=100)
    return list(page.items)


async def entries(house: House, consumer: str):
    return list((await house.app.mailboxes.inbox(consumer, after=None, limit=100)).items)


async def test_what_is_delivered_is_handed_on_and_shown(both):
    house, behind = both
    (line,) = await send(house, mail(), ANNA)
    assert line.startswith("250 2.0.0 delivered ")
    (came,) = behind.came
    assert came.to == [ANNA]
    assert f"XFORWARD ADDR={HERE} HELO=mail.greenleaf.example PROTO=ESMTP" in came.said
    trace, _, original = came.content.partition(b"From: Shop")
    assert b"From: Shop" + original == mail()
    assert b"Received: from mail.greenleaf.example ([192.0.2.1])\r\n by letterbox.example" in trace
    assert b"Authentication-Results: letterbox.example" in trace
    assert b"Return-Path" not in trace
    (entry,) = await entries(house, "anna")
    assert entry.handed.taken
    assert entry.handed.said == "250 2.0.0 queued as 1A"
    (decision,) = await decisions(house, "anna")
    assert decision.handed == entry.handed
    await house.work()
    assert len(behind.came) == 1  # it is owed nothing more


async def test_the_answer_comes_after_that_of_the_server_behind(both):
    house, behind = both
    behind.goes_on.clear()
    ended = asyncio.Event()
    behind.at_end = ended.set
    sending = asyncio.create_task(send(house, mail(), ANNA))
    async with asyncio.timeout(20):
        await ended.wait()
    assert not sending.done()
    assert await entries(house, "anna") == []
    behind.goes_on.set()
    assert (await sending)[0].startswith("250 ")


async def test_what_is_refused_is_not_handed_on(both):
    house, behind = both
    newcomer = mail(domain="other.example")
    (line,) = await send(house, newcomer, ANNA, sender="bounces@other.example")
    assert line.startswith("550 5.7.1 no-relationship: ")
    forged = mail(domain="unproven.example")
    assert "not-accepted" in (await send(house, forged, ANNA))[0]
    assert behind.connections == 0


@pytest.mark.parametrize(
    ("stage", "answer"),
    [("MAIL", "552 5.3.4 too large"), ("RCPT", "550 5.1.1 no such"), ("end", "554 5.7.1 spam")],
)
async def test_what_the_server_behind_refuses_the_client_hears(both, stage, answer):
    house, behind = both
    behind.answers[stage] = answer
    (line,) = await send(house, mail(), ANNA)
    assert line.startswith("554 5.3.0 next-hop-refused: ")
    assert f": {answer}. https://letterbox.example/r/" in line
    assert await entries(house, "anna") == []
    # The consumer sees it, and so does the vendor.
    (decision,) = await decisions(house, "anna")
    assert decision.verdict == Refuse(reason="next-hop-refused")
    (event,) = await house.feed("greenleaf")
    assert (event.type, event.reason.code) == ("message.refused", "next-hop-refused")
    # It is no resend when it comes again, and may be taken then.
    del behind.answers[stage]
    assert (await send(house, mail(), ANNA))[0].startswith("250 ")


async def test_whoever_is_hidden_does_not_hear_what_the_server_behind_says(both):
    house, behind = both
    behind.answers["end"] = "550 5.1.1 no such person"
    hidden = Client(address=HERE, asserts_from=True, inner=True)
    (line,) = await send(house, mail(), ANNA, client=hidden)
    assert line.startswith("550 5.7.1 not-accepted: ")
    assert "person" not in line
    # The vendor itself reads it in its feed.
    (event,) = await house.feed("greenleaf")
    assert "no such person" in event.reason.detail


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "end"])
@pytest.mark.parametrize("answer", ["451 4.3.1 full", VANISH])
async def test_what_is_not_taken_now_is_not_taken_by_us(both, stage, answer):
    house, behind = both
    behind.answers[stage] = answer
    (line,) = await send(house, mail(), ANNA)
    assert line.startswith("451 4.4.0 next-hop-unavailable: ")
    assert (answer in line) is (answer != VANISH)
    assert await entries(house, "anna") == await decisions(house, "anna") == []
    del behind.answers[stage]
    assert (await send(house, mail(), ANNA))[0].startswith("250 ")
    assert len(behind.came) == 1


async def test_a_resend_is_answered_as_before_and_not_handed_on_again(both):
    house, behind = both
    first = await send(house, mail(), ANNA)
    behind.answers["MAIL"] = "550 never"
    assert await send(house, mail(), ANNA) == first
    assert len(behind.came) == 1
    assert len(await entries(house, "anna")) == 1


async def test_each_recipient_has_its_verdict_and_those_delivered_go_on_together(both):
    house, behind = both
    behind.answers[f"RCPT {BOB}"] = "450 4.2.1 later"
    lines = await send(house, mail(), ANNA, BOB, CARL)
    assert [line[:3] for line in lines] == ["250", "451", "550"]
    (came,) = behind.came
    assert came.to == [ANNA, BOB]
    # One message for several: nobody reads there for whom else it is.
    assert b" for <" not in came.content
    del behind.answers[f"RCPT {BOB}"]
    again = await send(house, mail(), ANNA, BOB, CARL)
    assert [line[:3] for line in again] == ["250", "250", "550"]
    assert again[0] == lines[0]
    assert behind.came[1].to == [BOB]


async def test_what_is_held_is_handed_on_when_it_is_released(both):
    house, behind = both
    asked = {parse_address(ANNA): Request(notify=("success", "failure"))}
    offer = signed(mail(Letterbox_Kind="offer"))
    (line,) = await send(house, offer, ANNA, requests=asked, envelope_id="E1", returns="HDRS")
    assert line.startswith("250 2.0.0 held ")
    assert behind.connections == 0
    behind.answers["MAIL"] = "451 4.3.2 not now"
    house.clock.advance(hours=22)
    await house.work()
    (entry,) = await entries(house, "anna")
    assert entry.handed is None
    assert behind.came == []
    del behind.answers["MAIL"]
    await house.work()
    assert behind.came == []  # not before its time
    house.clock.advance(minutes=6)
    await house.work()
    (came,) = behind.came
    assert came.said[-2].endswith("RET=HDRS ENVID=E1")
    # That it was taken the sender has heard: of a delivery it is told no more.
    assert came.said[-1] == f"RCPT TO:<{ANNA}> NOTIFY=FAILURE"
    (entry,) = await entries(house, "anna")
    assert entry.handed.taken
    assert await owed(house, "anna") == []


async def owed(house: House, consumer: str) -> list[str]:
    rows = await house.app.store.documents(places.consumer(consumer), places.BEHIND, limit=10)
    return [row.key for row in rows]


@pytest.mark.parametrize("answer", ["550 5.7.1 never", "451 4.3.2 not now"])
async def test_what_the_server_behind_never_takes_stays_in_the_letterbox(both, answer):
    house, behind = both
    await send(house, signed(mail(Letterbox_Kind="offer")), ANNA)
    behind.answers["end"] = answer
    house.clock.advance(hours=22)
    for _ in range(40):
        await house.work()
        house.clock.advance(hours=1)
    (entry,) = await entries(house, "anna")
    assert (entry.handed.taken, entry.handed.said) == (False, answer)
    assert await owed(house, "anna") == []


async def test_what_its_owner_has_removed_is_not_handed_on(both):
    house, behind = both
    await send(house, signed(mail(Letterbox_Kind="offer")), ANNA)
    behind.answers["MAIL"] = "451 4.3.2 not now"
    house.clock.advance(hours=22)
    await house.work()
    (entry,) = await entries(house, "anna")
    await house.app.mailboxes.remove("anna", entry.id)
    del behind.answers["MAIL"]
    house.clock.advance(hours=1)
    await house.work()
    assert behind.came == []
    assert await owed(house, "anna") == []


async def test_what_its_owner_lets_through_after_all_is_handed_on(both):
    house, behind = both
    stranger = "bounces@other.example"
    await send(house, mail(domain="other.example"), ANNA, sender=stranger)
    (refused,) = await decisions(house, "anna")
    await house.app.undo.let_through("anna", refused.id)
    await house.work()
    assert [came.to for came in behind.came] == [[ANNA]]
    assert (await entries(house, "anna"))[0].handed.taken


async def test_where_wishes_change_meanwhile_it_is_decided_anew_and_handed_on_once(both):
    house, behind = both
    behind.goes_on.clear()
    ended = asyncio.Event()
    behind.at_end = ended.set
    sending = asyncio.create_task(send(house, mail(), ANNA))
    async with asyncio.timeout(20):
        await ended.wait()
    await block(house, "anna")
    behind.goes_on.set()
    assert (await sending)[0].startswith("250 2.0.0 ")
    assert len(behind.came) == 1
    # It has been delivered, and so it is written down: under the wishes of that moment.
    (decision,) = await decisions(house, "anna")
    assert isinstance(decision.verdict, Deliver)
    assert decision.findings[0].filter == "next-hop"
    lines = house.app.explanations.lines(decision, "en")
    assert any(line.startswith("Your mail server had it already, when this ") for line in lines)
    assert (await entries(house, "anna"))[0].handed.taken
    assert "550" in (await send(house, mail(number=2), ANNA))[0]


async def block(house: House, consumer: str) -> None:
    stored = await house.app.consumers.stored(consumer)
    (rule,) = stored.preferences.vendor
    preferences = msgspec.structs.replace(
        stored.preferences, vendor=(msgspec.structs.replace(rule, standing="blocked"),)
    )
    await house.app.consumers.replace(
        consumer, preferences, expect=stored.revision, now=house.clock.now()
    )


async def test_two_at_once_towards_a_limit_are_both_told_the_truth(both):
    house, behind = both
    behind.goes_on.clear()
    sending = [asyncio.create_task(send(house, mail(number=number), BOB)) for number in (1, 2)]
    async with asyncio.timeout(20):
        await behind.has(2)
    behind.goes_on.set()
    lines = [line for each in await asyncio.gather(*sending) for line in each]
    # Both are behind us: the limit was met between them, and holds from the next one on.
    assert [line[:3] for line in lines] == ["250", "250"]
    assert len(await entries(house, "bob")) == len(behind.came) == 2
    assert "550" in (await send(house, mail(number=3), BOB))[0]


async def test_a_store_that_fails_after_it_was_handed_on_loses_nothing(both, monkeypatch):
    house, behind = both

    async def fails(*_commits):
        raise StoreUnavailable("cut")

    with monkeypatch.context() as cut:
        behind.at_end = lambda: cut.setattr(house.app.store, "commit", fails)
        (line,) = await send(house, mail(), ANNA)
    behind.at_end = lambda: None
    assert line.startswith("451 ")
    (line,) = await send(house, mail(), ANNA)
    assert line.startswith("250 ")
    # Twice behind us, which is the worst; once here.
    assert len(behind.came) == 2
    assert len(await entries(house, "anna")) == 1


@pytest.mark.parametrize("dsn", [True, False])
async def test_a_delivery_is_reported_by_one_alone(both, dsn):
    house, behind = both
    if not dsn:
        behind.offers = ("8BITMIME",)
    asked = {parse_address(ANNA): Request(notify=("success",))}
    await send(house, mail(), ANNA, requests=asked)
    due = await house.app.store.due(house.clock.now() + timedelta(days=1), limit=100)
    reports = [entry for entry in due if entry.key.startswith(places.REPORT)]
    assert len(reports) == (0 if dsn else 1)
    assert behind.came[0].said[-1].endswith("NOTIFY=SUCCESS") is dsn


async def test_mail_by_other_doors_is_not_handed_on(both):
    house, behind = both
    await house.send(mail(), ANNA)
    await house.send(mail(number=2), ANNA, edge="lmtp", client=Client(address=HERE))
    await house.work()
    assert len(await entries(house, "anna")) == 2
    assert behind.connections == 0


async def test_postmaster_is_the_operators_still(both):
    house, behind = both
    (line,) = await send(house, mail(domain="unproven.example"), "postmaster@letterbox.example")
    assert line.startswith("250 ")
    assert behind.connections == 0


async def test_its_owner_reads_what_the_server_behind_said():
    async with next_hop() as behind:
        section = FilterSection(next_hop=behind.address)
        configuration = Configuration(public_url="https://letterbox.example", filter=section)
        async with open_pages(PEOPLE, configuration=configuration) as site:
            await send(site.house, mail("Taken"), ANNA)
            behind.answers["end"] = "550 5.7.1 <b>spam</b>"
            await send(site.house, mail("Refused", number=2), ANNA)
            anna = site.visitor()
            await anna.sign_in("anna")
            (entry,) = await entries(site.house, "anna")
            kinds = {type(row.verdict): row for row in await decisions(site.house, "anna")}
            refused = kinds[Refuse]
            page = text_of(await anna.get(f"/inbox/{entry.id}"))
            assert "Handed on to your mail server." in page
            page = text_of(await anna.get(f"/refused/{refused.id}"))
            assert "Your mail server refused it: 550 5.7.1 <b>spam</b>" in page


# ---- the door ----


@asynccontextmanager
async def door(*peers: TrustedPeer) -> AsyncIterator[tuple[str, StubIntake]]:
    intake = StubIntake()
    gateway = SmtpGateway(
        intake,
        paths=StubPaths(),
        hostname="letterbox.example",
        domains=frozenset({"letterbox.example"}),
        section=SmtpSection(trusted_peers=peers),
        clock=SystemClock(),
        metrics=Metrics(),
        between=True,
    )
    try:
        yield await gateway.start("127.0.0.1:0"), intake
    finally:
        await gateway.close()


async def test_the_door_is_for_trusted_mail_servers_alone():
    mine = TrustedPeer(address="127.0.0.1", client="xforward")
    balancer = TrustedPeer(address="127.0.0.2", client="proxy")
    async with door(mine, balancer) as (address, _):
        for source in ("127.0.0.2", "127.0.0.3"):
            async with connected(address, source) as wire:
                told = await wire.line()
                assert told == "554 5.7.1 Mail is taken here from smtp.trusted_peers alone"
                assert await wire.closed()
        async with greeted(address) as wire:
            assert (await wire.say("NOOP")).startswith("250 ")


async def test_what_was_said_at_mail_and_rcpt_is_kept_for_the_server_behind():
    mine = TrustedPeer(address="127.0.0.1", client="xforward")
    async with door(mine) as (address, intake), greeted(address) as wire:
        await wire.say("EHLO front.example")
        await wire.say("XFORWARD ADDR=192.0.2.7 HELO=mail.greenleaf.example")
        terms = "BODY=8BITMIME SMTPUTF8 RET=hdrs ENVID=x"
        assert (await wire.say(f"MAIL FROM:<news@greenleaf.example> {terms}"))[:3] == "250"
        assert (await wire.say(f"RCPT TO:<{ANNA}> NOTIFY=NEVER"))[:3] == "250"
        await wire.say("DATA")
        await wire.send(b"Hi\r\n.\r\n")
        assert (await wire.reply())[:3] == "250"
    ((envelope, _),) = intake.taken
    assert envelope.edge == "filter"
    assert (envelope.utf8, envelope.returns, envelope.envelope_id) == (True, "HDRS", "x")
    assert envelope.client == Client(
        address="192.0.2.7", helo="mail.greenleaf.example", trusted=True
    )
