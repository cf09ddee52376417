"""Every way to fail has its own reason (``tests/cases/proof/unproven.toml``), told to all alike."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from letterbox.gateways.smtp.syntax import read_mailbox
from letterbox.identity import Prover
from letterbox.model.address import Address
from letterbox.model.envelope import Client, Envelope
from letterbox.model.sender import Stranger, Undetermined
from letterbox.ports.resolver import Answer, RecordType, Resolver
from letterbox.reading.mail import split
from tests.support.nameserver import NameServer, resolving
from tests.support.plain import domains
from tests.support.proofs import (
    LEGIT,
    Attack,
    Failure,
    Mailroom,
    attacks,
    failures,
    landscape,
    mailroom,
)
from tests.support.signing import Zone

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EACH = pytest.mark.parametrize("failure", failures(), ids=lambda failure: failure.id)
#: A consumer who allows the sender, one who does not, and an address nobody has.
EVERYBODY = ("anna@letterbox.example", "ben@letterbox.example", "nobody@letterbox.example")
_REFERENCE = re.compile(r"/r/[A-Za-z0-9_-]+")


def test_the_table_is_whole():
    assert len(failures()) >= 15
    for key in ("id", "detail"):
        assert len({getattr(failure, key) for failure in failures()}) == len(failures())
    told = {failure.reason for failure in failures()}
    assert told >= {
        "author-ambiguous",
        "dkim-failed",
        "dkim-missing",
        "dmarc-refused",
        "lookup-failed",
        "sender-unproven",
        "spf-failed",
    }


def troubled(failure: Failure) -> NameServer:
    server = NameServer(landscape())
    for name, mode in failure.trouble.items():
        server.behave(mode, name)
    return server


async def why(failure: Failure) -> tuple[str, str]:
    """The reason, and the detail of our own log."""
    envelope = Envelope(
        session="s",
        edge="smtp",
        client=Client(address=failure.address, helo=failure.helo),
        reverse_path=read_mailbox(failure.path) if failure.path else None,
        recipients=(Address(local="anna", domain="letterbox.example"),),
    )
    async with resolving(troubled(failure)) as resolver:
        prover = Prover(resolver, domains(), server="letterbox.example")
        sender = (await prover.prove(split(failure.mail()), envelope, NOW)).sender
    match sender:
        case Stranger(why=why, detail=detail):
            return why, detail
        case Undetermined(detail=detail):
            return "lookup-failed", detail
        case _:
            pytest.fail(f"proven: {sender}")


@EACH
async def test_each_failure_has_its_reason(failure: Failure):
    reason, detail = await why(failure)
    assert reason == failure.reason, detail
    assert failure.detail in detail


async def test_no_two_failures_look_alike_in_our_log():
    found = [await why(failure) for failure in failures()]
    assert len(set(found)) == len(found)


class Changing:
    """A resolver in whose place another may be put, so that one house serves all cases."""

    def __init__(self) -> None:
        self.now: Resolver = Zone({})

    async def ask(self, name: str, record: RecordType) -> Answer:
        return await self.now.ask(name, record)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[tuple[Changing, Mailroom]]:
    changing = Changing()
    async with mailroom(changing) as room:
        yield changing, room


@pytest.mark.asyncio(loop_scope="module")
@EACH
async def test_what_is_told_hangs_on_the_message_alone(house, failure: Failure):
    changing, room = house
    told, asked = [], []
    for to in EVERYBODY:
        server = troubled(failure)
        # What was asked for one recipient is not known for the next.
        async with resolving(server) as changing.now:
            replies = await room.send(
                failure.mail(), to, path=failure.path, helo=failure.helo, source=failure.address
            )
        told.append([_REFERENCE.sub("/r/R", reply) for reply in replies])
        asked.append(sorted(server.asked))
    assert told[0] == told[1] == told[2]
    assert asked[0] == asked[1] == asked[2]
    assert not await room.house.inbox("anna")
    final = told[0][-1]
    if failure.reason == "lookup-failed":
        assert final.startswith("451 4.4.3 lookup-failed: "), final
    else:
        assert final.startswith("550 5.7.1 not-accepted: "), final
        assert f" ({failure.reason})" in final
    assert "plain.example" not in final  # nothing of what the message says is said back


# ---- a black hole -----------------------------------------------------------------------------

HONEST = next(attack for attack in attacks() if attack.id == "C1")
KNOWN, STRANGE = EVERYBODY[0], "a@nowhere.example"


def lost(signatures: int) -> bytes:
    """A message that asks about names nobody asked about before."""
    raw = Attack(id="lost", author=f"<{STRANGE}>", sign=()).mail()
    for number in range(signatures):
        signed = Attack(
            id="lost",
            author=f"<{STRANGE}>",
            sign=({"by": "attacker", "d": "nowhere.example", "s": f"s{number}"},),
        ).mail()
        raw = signed[: signed.index(b"From:")] + raw
    return raw


async def in_a_black_hole(signatures: int, **patience: float) -> None:
    server = NameServer(landscape())
    async with resolving(server, **patience) as resolver, mailroom(resolver) as room:
        known = HONEST.mail()
        again = known.replace(b"C1@mail", b"C1-again@mail")
        assert (await room.send(known, KNOWN, path="", source=LEGIT))[-1].startswith("250 ")
        server.behave("silent", "*")
        waiting = asyncio.create_task(room.send(lost(signatures), KNOWN, path=STRANGE))
        await server.unanswered.wait()
        assert (await room.send(again, KNOWN, path="", source=LEGIT))[-1].startswith("250 ")
        assert not waiting.done()
        async with asyncio.timeout(20):
            assert (await waiting)[-1].startswith("451 4.4.3 lookup-failed: ")
        assert len(await room.house.inbox("anna")) == 2


async def test_a_black_hole_delays_the_message_that_asked_and_no_other():
    await in_a_black_hole(1, patience=2.0)


@pytest.mark.long
async def test_in_a_black_hole_the_answer_comes_in_time_as_shipped():
    await in_a_black_hole(5, patience=5.0)  # dns.timeout as it is shipped
