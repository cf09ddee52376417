"""Handing on to the mail server behind: every answer at every stage, and none."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from letterbox.adapters.next_hop import SmtpNextHop
from letterbox.model.address import Address
from letterbox.model.envelope import Request
from letterbox.model.record import MessageRecord
from letterbox.model.sender import Stranger, VendorRef
from letterbox.ports.courier import Handed, Never, NotNow
from tests.support.behind import SILENT, VANISH, NextHopServer, next_hop

ANNA = Address(local="anna", domain="letterbox.example")
BOB = Address(local="bob", domain="letterbox.example")
CONTENT = b"Subject: Hello\r\n\r\n.hidden\r\nHi\r\n"
RECORD = MessageRecord(
    id="m",
    at=datetime(2026, 11, 23, tzinfo=UTC),
    edge="filter",
    client="192.0.2.7",
    helo="mail.greenleaf.example",
    reverse_path="news@greenleaf.example",
    sender=Stranger(why="dkim-missing"),
    vendor=VendorRef(id="greenleaf.example", name="Greenleaf", registered=False),
    size=len(CONTENT),
    recipients=(),
)


def hop(behind: NextHopServer, **said: float) -> SmtpNextHop:
    terms = {"connections": 4, "connect_seconds": 20, "command_seconds": 20, "seconds": 20} | said
    return SmtpNextHop(behind.address, hostname="letterbox.example", **terms)


def told(passed):
    return [type(each).__name__ for each in passed.outcomes]


async def test_a_message_is_handed_on_as_it_came():
    record = msgspec.structs.replace(
        RECORD,
        returns="FULL",
        envelope_id="news+1",
        requests={
            str(ANNA): Request(original="rfc822;anna+tag@old.example", notify=("failure", "delay")),
            str(BOB): Request(notify=()),
        },
    )
    async with next_hop() as behind:
        passed = await hop(behind).pass_on(record, [ANNA, BOB], CONTENT)
    assert passed.outcomes == (Handed("250 2.0.0 queued as 1A"),) * 2
    assert passed.reports
    (came,) = behind.came
    assert came.content == CONTENT
    assert list(came.said[-4:]) == [
        "XFORWARD ADDR=192.0.2.7 HELO=mail.greenleaf.example PROTO=ESMTP",
        f"MAIL FROM:<news@greenleaf.example> SIZE={len(CONTENT)} RET=FULL ENVID=news+2B1",
        "RCPT TO:<anna@letterbox.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;anna+2Btag@old.example",
        "RCPT TO:<bob@letterbox.example> NOTIFY=NEVER",
    ]


async def test_nothing_is_said_that_is_not_offered():
    asked = {str(ANNA): Request(notify=("success",))}
    record = msgspec.structs.replace(RECORD, returns="HDRS", envelope_id="1", requests=asked)
    async with next_hop() as behind:
        behind.offers = ("HELP",)
        passed = await hop(behind).pass_on(record, [ANNA], CONTENT)
    assert told(passed) == ["Handed"]
    assert not passed.reports
    assert list(behind.came[0].said[-2:]) == [
        "MAIL FROM:<news@greenleaf.example>",
        "RCPT TO:<anna@letterbox.example>",
    ]


async def test_what_is_beyond_ascii_is_announced_or_refused():
    greek = Address(local="άννα", domain="letterbox.example")
    path = msgspec.structs.replace(RECORD, reverse_path=None, client="2001:db8::1")
    content = "Subject: Καλημέρα\r\n\r\n".encode()
    async with next_hop() as behind:
        through = hop(behind)
        assert told(await through.pass_on(path, [greek], content)) == ["Handed"]
        said = behind.came[0].said
        assert f"MAIL FROM:<> SIZE={len(content)} BODY=8BITMIME SMTPUTF8" in said
        assert "RCPT TO:<άννα@letterbox.example>" in said
        assert "XFORWARD ADDR=IPV6:2001:db8::1 HELO=mail.greenleaf.example PROTO=ESMTP" in said
        through.close()
        behind.offers = ("8BITMIME",)
        (said,) = (await through.pass_on(path, [greek], content)).outcomes
        assert said == Never("it does not offer SMTPUTF8")
        through.close()
        behind.offers = ("HELP",)
        (said,) = (await through.pass_on(path, [ANNA], content)).outcomes
        assert said == Never("it does not offer 8BITMIME")
    assert len(behind.came) == 1


STAGES = ["greeting", "EHLO", "XFORWARD", "MAIL", "RCPT", "DATA", "end"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("450 4.2.1 later", "NotNow"),
        ("421 4.3.2 going down", "NotNow"),
        ("550 5.7.1 never", "Never"),
        (VANISH, "NotNow"),
    ],
)
async def test_each_answer_at_each_stage(stage, answer, outcome):
    if stage in {"greeting", "EHLO"}:
        outcome = "NotNow"  # it has seen nothing of the message
    if stage == "XFORWARD" and answer[:3] in {"450", "550"}:
        outcome = "Handed"  # nor is that about the message
    async with next_hop() as behind:
        behind.answers[stage] = answer
        through = hop(behind)
        passed = await through.pass_on(RECORD, [ANNA, BOB], CONTENT)
        assert told(passed) == [outcome] * 2
        if answer != VANISH and outcome != "Handed" and stage not in {"greeting", "EHLO"}:
            assert passed.outcomes[0].detail == answer
        # What went wrong with one message stands in no other's way.
        del behind.answers[stage]
        assert told(await through.pass_on(RECORD, [BOB], CONTENT)) == ["Handed"]
    assert behind.came[-1].to == ["bob@letterbox.example"]
    assert len(behind.came) == (2 if outcome == "Handed" else 1)


@pytest.mark.parametrize("stage", STAGES)
async def test_silence_at_each_stage_has_an_end(stage):
    async with next_hop() as behind:
        behind.answers[stage] = SILENT
        quick = {"connect_seconds": 0.2, "command_seconds": 0.2, "seconds": 0.4}
        passed = await hop(behind, **quick).pass_on(RECORD, [ANNA], CONTENT)
        assert told(passed) == ["NotNow"]
        assert behind.reached.is_set()


async def test_one_recipient_is_refused_and_the_other_taken():
    async with next_hop() as behind:
        behind.answers["RCPT bob@letterbox.example"] = "552 5.2.2 full"
        passed = await hop(behind).pass_on(RECORD, [BOB, ANNA], CONTENT)
        assert passed.outcomes == (Never("552 5.2.2 full"), Handed("250 2.0.0 queued as 1A"))


async def test_what_it_says_can_harm_nobody():
    async with next_hop() as behind:
        behind.answers["end"] = "550-one\r\n550 \x1b[2J\x07 " + "x" * 400
        (said,) = (await hop(behind).pass_on(RECORD, [ANNA], CONTENT)).outcomes
    assert isinstance(said, Never)
    assert said.detail.isprintable()
    assert len(said.detail) <= 200


async def test_nobody_there_is_not_now():
    async with next_hop() as behind:
        pass
    (said,) = (await hop(behind).pass_on(RECORD, [ANNA], CONTENT)).outcomes
    assert isinstance(said, NotNow)


async def test_a_connection_is_kept_and_one_that_has_gone_is_made_anew():
    async with next_hop() as behind:
        through = hop(behind)
        for _ in range(3):
            assert told(await through.pass_on(RECORD, [ANNA], CONTENT)) == ["Handed"]
        assert behind.connections == 1
        # It says goodbye in the midst of nothing, as a server does that was left alone too long:
        # the next message meets it, and is handed on over another.
        behind.answers["XFORWARD"] = [VANISH]
        assert told(await through.pass_on(RECORD, [ANNA], CONTENT)) == ["Handed"]
        assert behind.connections == 2
    assert len(behind.came) == 4


async def test_what_was_said_too_often_is_no_answer_to_the_next_message():
    async with next_hop() as behind:
        through = hop(behind)
        behind.answers["end"] = ["250 2.0.0 taken\r\n250 2.0.0 taken"]
        assert told(await through.pass_on(RECORD, [ANNA], CONTENT)) == ["Handed"]
        behind.answers["RCPT bob@letterbox.example"] = "550 5.1.1 nobody"
        passed = await through.pass_on(RECORD, [ANNA, BOB], CONTENT)
        assert told(passed) == ["Handed", "Never"]


async def test_so_many_connections_at_once_and_no_more():
    async with next_hop() as behind:
        through = hop(behind, connections=2)
        behind.goes_on.clear()
        sending = [asyncio.create_task(through.pass_on(RECORD, [ANNA], CONTENT)) for _ in range(5)]
        async with asyncio.timeout(20):
            await behind.has(2)
            assert behind.connections == 2
            behind.goes_on.set()
            passed = await asyncio.gather(*sending)
        assert [told(each) for each in passed] == [["Handed"]] * 5
        assert behind.connections == 2
