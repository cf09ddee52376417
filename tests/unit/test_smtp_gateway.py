"""Trusted peers, leaving in good order, clients of others, and the replies themselves."""

import asyncio
import re
import smtplib

import pytest

from letterbox.gateways.smtp import replies
from letterbox.gateways.smtp.dialog import Dialog
from letterbox.gateways.smtp.replies import Reply
from letterbox.model.configuration import TrustedPeer
from tests.support.shared import real_mail, shared
from tests.support.wire import connected, greeted, serving

CONSTANTS = {name: value for name, value in vars(replies).items() if isinstance(value, Reply)}
#: RFC 4954, section 4: what PLAIN asks for is an empty challenge.
assert CONSTANTS.pop("SHOW_KEY").octets == b"334 \r\n"


@pytest.mark.parametrize("name", CONSTANTS)
def test_digits_agree(name):
    text = CONSTANTS[name].octets.decode("ascii")
    match = re.fullmatch(r"([2-5])\d\d (?:([245])\.\d{1,3}\.\d{1,3} )?[ -~]+\r\n", text)
    assert match
    assert match[1] == (match[2] or "3")  # RFC 2034, section 4: the classes are the same


PEERS = [
    # edge, what stands in the list, asserts_from, inner
    ("smtp", None, False, False),
    ("smtp", TrustedPeer(address="192.0.2.0/24", asserts="from"), False, False),
    ("smtp", TrustedPeer(address="127.0.0.1"), False, True),
    ("smtp", TrustedPeer(address="127.0.0.0/8", asserts="from"), True, True),
    ("smtp", TrustedPeer(address="127.0.0.1", client="xclient", asserts="from"), False, True),
    ("lmtp", None, False, True),
    ("lmtp", TrustedPeer(address="127.0.0.1", asserts="from"), True, True),
    ("lmtp", TrustedPeer(address="127.0.0.1", client="xforward"), False, True),
]


@pytest.mark.parametrize(("edge", "peer", "asserts_from", "inner"), PEERS)
async def test_whose_word_is_taken(edge, peer, asserts_from, inner):
    peers = (peer,) if peer else ()
    async with (
        serving(lmtp=edge == "lmtp", trusted_peers=peers) as house,
        greeted(house.address) as wire,
    ):
        await wire.begin(verb="LHLO" if edge == "lmtp" else "EHLO")
        await wire.send(b"x\r\n.\r\n")
        await wire.reply()
        envelope, _ = house.intake.taken[0]
        assert envelope.edge == edge
        assert envelope.session
        client = envelope.client
        assert (client.address, client.helo) == ("127.0.0.1", "client.example")
        assert (client.asserts_from, client.inner) == (asserts_from, inner)


async def test_draining():
    async with (
        serving() as house,
        greeted(house.address) as idle,
        greeted(house.address) as begun,
        greeted(house.address) as reading,
        greeted(house.address) as deciding,
    ):
        await begun.say("EHLO client.example")
        await begun.say("MAIL FROM:<>")
        await reading.begin()
        await deciding.begin("slow")
        await deciding.send(b"x\r\n.\r\n")
        await house.intake.entered.wait()
        draining = asyncio.ensure_future(house.gateway.drain(20))
        for wire in (idle, begun):
            assert await wire.line() == "421 4.3.2 busy: Going down; try again soon"
            assert await wire.closed()
        with pytest.raises(ConnectionRefusedError):
            async with connected(house.address):
                pass
        await reading.send(b"x\r\n.\r\n")
        assert await reading.line() == "250 2.0.0 delivered anna"
        assert (await reading.line()).startswith("421 4.3.2")
        house.intake.go_on.set()
        assert await deciding.line() == "250 2.0.0 delivered slow"
        assert (await deciding.line()).startswith("421 4.3.2")
        reading.close()
        deciding.close()
        await draining
        assert house.sessions == 0


async def test_where_another_process_takes_over_no_message_is_interrupted():
    async with (
        serving() as house,
        greeted(house.address) as between,
        greeted(house.address) as begun,
        greeted(house.address) as new,
        greeted(house.address) as mute,
    ):
        for wire in (between, begun):
            await wire.begin()
            await wire.send(b"x\r\n.\r\n")
            assert await wire.line() == "250 2.0.0 delivered anna"
        await begun.say("MAIL FROM:<>")
        draining = asyncio.ensure_future(house.gateway.drain(20, grace=1))
        assert (await between.line()).startswith("421 4.3.2")
        assert await begun.say("RCPT TO:<anna@letterbox.example>") == "250 2.1.5 Recipient taken"
        assert (await begun.say("DATA")).startswith("354 ")
        await begun.send(b"x\r\n.\r\n")
        await new.begin()
        await new.send(b"x\r\n.\r\n")
        for wire in (begun, new):
            assert await wire.line() == "250 2.0.0 delivered anna"
            assert (await wire.line()).startswith("421 4.3.2")
        assert (await mute.line()).startswith("421 4.3.2")
        for wire in (between, begun, new, mute):
            wire.close()
        await draining


async def test_draining_is_bounded():
    async with serving() as house, greeted(house.address) as stuck:
        await stuck.begin("slow")
        await stuck.send(b"x\r\n.\r\n")
        await house.intake.entered.wait()
        await house.gateway.drain(0.05)
        assert await stuck.closed()  # without a word: it was not taken
        assert house.sessions == 0


async def test_a_fault_of_ours_in_a_command(monkeypatch):
    def broken(*_):
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(Dialog, "answer", broken)
    async with serving() as house, greeted(house.address) as wire:
        assert await wire.say("NOOP") == (
            "451 4.3.0 our-fault: Not now, by a fault of ours; try again later"
        )
        assert await wire.closed()


async def test_real_mail_arrives_as_it_is():
    mails = real_mail() or [shared("mail")]
    async with serving() as house:
        for path in mails:
            content = re.sub(rb"\r?\n", b"\r\n", path.read_bytes())
            content += b"" if content.endswith(b"\r\n") else b"\r\n"
            dirty = re.search(rb"\r(?!\n)|\0", content)
            async with greeted(house.address) as wire:
                await wire.begin()
                await wire.send(re.sub(rb"(?m)^\.", b"..", content) + b".\r\n")
                reply = await wire.reply()
                if dirty:
                    assert reply.startswith("554 5.6.0"), path
                else:
                    assert reply == "250 2.0.0 delivered anna", path
                    assert house.intake.taken[-1][1] == content, path


async def test_smtplib_delivers():
    def talk(host: str, port: int) -> dict:
        with smtplib.SMTP(host, port) as client:
            assert client.has_extn("pipelining") is False  # EHLO comes with the first message
            return client.sendmail(
                "shop@vendor.example", ["anna@letterbox.example"], b".Subject: x\r\n\r\n..y\r\n"
            )

    async with serving() as house:
        host, _, port = house.address.rpartition(":")
        assert await asyncio.to_thread(talk, host, int(port)) == {}
        assert house.intake.taken[0][1] == b".Subject: x\r\n\r\n..y\r\n"
