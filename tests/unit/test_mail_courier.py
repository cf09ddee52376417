"""Handing mail on: to a relay, or to the servers the DNS names, never into private networks."""

import asyncio
from contextlib import suppress

import pytest

from letterbox.adapters.mail import SmtpCourier
from letterbox.model.address import Address
from letterbox.model.network import is_public
from letterbox.ports.courier import Handed, Letter, Never, NotNow
from tests.support.nexthop import next_hop
from tests.support.postoffice import post_office
from tests.support.signing import Zone
from tests.support.tls import tls_contexts

TO = Address("shop", "greenleaf.example")
LETTER = Letter(to=TO, content=b"From: postmaster@letterbox.example\r\n\r\nHello\r\n.dot\r\n")


def courier(zone: Zone | None = None, *, relay: str = "", seconds: float = 10.0) -> SmtpCourier:
    return SmtpCourier(zone or Zone({}), hostname="letterbox.example", relay=relay, seconds=seconds)


async def test_a_relay_takes_it_with_a_null_path() -> None:
    async with post_office() as office:
        assert await courier(relay=office.address).hand_on(LETTER) == Handed("2.0.0 taken")
        (came,) = office.came
        assert came.sender in {"", "<>", None}
        assert came.to == ("shop@greenleaf.example",)
        assert came.content == LETTER.content


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("451 4.3.0 not now", NotNow),
        ("421 4.3.2 closing", NotNow),
        ("550 5.7.1 go away", Never),
        ("554 5.6.0 no", Never),
    ],
)
async def test_what_it_answers_counts(answer: str, kind: type) -> None:
    async with post_office() as office:
        office.answers.append(answer)
        handover = await courier(relay=office.address).hand_on(LETTER)
        assert isinstance(handover, kind)
        assert handover.detail.startswith(answer[:3])
        assert office.came == []


@pytest.mark.parametrize(
    ("path", "recipient", "content", "alone"),
    [
        ("", "450 4.2.1 come again", "", True),
        ("", "", "451 4.7.1 come again", True),
        ("", "421 4.3.2 closing", "", False),
        ("", "", "421 4.3.2 closing", False),
        ("451 4.3.2 too busy", "", "", False),
    ],
)
async def test_what_is_put_off_alone_is_told_apart(
    path: str, recipient: str, content: str, *, alone: bool
) -> None:
    async with post_office() as office:
        office.paths += [path] if path else []
        office.recipients |= {str(TO): recipient} if recipient else {}
        office.answers += [content] if content else []
        handover = await courier(relay=office.address).hand_on(LETTER)
        assert isinstance(handover, NotNow)
        assert handover.detail == (path or recipient or content)
        assert handover.alone is alone
    nobody = await courier(relay=office.address).hand_on(LETTER)
    assert isinstance(nobody, NotNow)
    assert not nobody.alone


async def test_nobody_there_is_for_now() -> None:
    async with post_office() as office:
        address = office.address
    assert isinstance(await courier(relay=address).hand_on(LETTER), NotNow)


async def test_who_keeps_silent_is_left_in_time() -> None:
    async with post_office() as office:
        office.open.clear()
        handover = await courier(relay=office.address, seconds=0.2).hand_on(LETTER)
        assert isinstance(handover, NotNow)


async def test_what_a_server_does_not_read_is_not_kept_for_it() -> None:
    """It asks for the content and reads no more: what is left of it goes at once."""
    left: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 next.example\r\n")
        for _ in range(3):
            await reader.readline()
            writer.write(b"250 go on\r\n")
        await reader.readline()
        writer.transport.pause_reading()
        writer.write(b"354 go on\r\n")
        await over.wait()
        writer.transport.resume_reading()
        octets = 0
        with suppress(ConnectionError):
            while block := await reader.read(1 << 20):
                octets += len(block)
        writer.close()
        left.set_result(octets)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()[:2]
        letter = Letter(to=TO, content=b"Subject: large\r\n\r\n" + b"x" * 20_000_000 + b"\r\n")
        handover = await courier(relay=f"{host}:{port}", seconds=2.0).hand_on(letter)
        assert isinstance(handover, NotNow)
        over.set()
        async with asyncio.timeout(20):
            assert await left < len(letter.content)


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        (b"a: b\r\n\r\n.\r\n..x\r\n", b"a: b\r\n\r\n..\r\n...x\r\n.\r\n"),
        (b".a\r\n\r\n", b"..a\r\n\r\n.\r\n"),
        (b"a: b\n\n.\nx\ry", b"a: b\r\n\r\n..\r\nx\r\ny\r\n.\r\n"),
        (b"a: b\r\n\r\nx\n.\r\nMAIL", b"a: b\r\n\r\nx\r\n..\r\nMAIL\r\n.\r\n"),
        (b"a: b\r\n\r\nx\r.\r\n", b"a: b\r\n\r\nx\r\n..\r\n.\r\n"),
        (b"a: b", b"a: b\r\n.\r\n"),
    ],
)
async def test_no_line_of_a_content_ends_it(content: bytes, sent: bytes) -> None:
    async with next_hop() as hop:
        letter = Letter(to=TO, content=content)
        assert isinstance(await courier(relay=hop.address).hand_on(letter), Handed)
        assert hop.came == [sent]


async def test_it_says_goodbye() -> None:
    async with next_hop() as hop:
        assert isinstance(await courier(relay=hop.address).hand_on(LETTER), Handed)
        async with asyncio.timeout(20):
            await hop.left.wait()
        assert hop.commands[-1] == "QUIT"


async def test_tls_is_used_where_it_is_offered(tmp_path) -> None:
    async with post_office(tls_contexts(tmp_path)[0]) as office:
        assert isinstance(await courier(relay=office.address).hand_on(LETTER), Handed)
        assert office.came[0].secure


async def test_an_address_beyond_ascii_needs_a_server_that_speaks_it() -> None:
    letter = Letter(to=Address("zoë", "greenleaf.example"), content="To: zoë\r\n\r\n".encode())
    async with post_office() as office:
        assert isinstance(await courier(relay=office.address).hand_on(letter), Handed)
        assert office.came[0].to == ("zoë@greenleaf.example",)
    async with post_office(utf8=False) as office:
        assert isinstance(await courier(relay=office.address).hand_on(letter), Never)
        assert office.came == []


PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "::",
    "::1",
    "::7f00:1",
    "fe80::1",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:db8::1",
    "2001:0:7f00:1::",
    "",
    "localhost",
    "127.1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_none_of_the_open_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "193.0.0.1"])
def test_a_public_address_is(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ({}, "takes no mail"),
        ({"greenleaf.example": {"MX": ["."]}}, "takes no mail"),
        ({"greenleaf.example": {"TXT": ["x"]}}, "public address"),
        ({"greenleaf.example": {"A": ["127.0.0.1"]}}, "public address"),
        (
            {
                "greenleaf.example": {"MX": ["mx.greenleaf.example"]},
                "mx.greenleaf.example": {"A": ["10.0.0.1"], "AAAA": ["::ffff:127.0.0.1"]},
            },
            "public address",
        ),
    ],
)
async def test_a_domain_whose_servers_are_private_gets_nothing(records: dict, why: str) -> None:
    handover = await courier(Zone(records)).hand_on(LETTER)
    assert isinstance(handover, Never)
    assert why in handover.detail


async def test_trouble_in_the_dns_is_for_now() -> None:
    zone = Zone({}, trouble=frozenset({"greenleaf.example"}))
    assert isinstance(await courier(zone).hand_on(LETTER), NotNow)


async def test_the_servers_are_tried_in_their_order(monkeypatch) -> None:
    # No test may leave this machine: what would be connected to is looked at instead.
    records = {
        "greenleaf.example": {"MX": ["mx1.greenleaf.example", "mx2.greenleaf.example"]},
        "mx1.greenleaf.example": {"A": ["8.8.8.1"]},
        "mx2.greenleaf.example": {"A": ["8.8.8.2"], "AAAA": ["2606:4700::2"]},
    }
    subject, tried = courier(Zone(records)), []

    async def speak(host: str, port: int, letter: Letter):
        tried.append((host, port))
        return NotNow("busy") if len(tried) < 3 else Handed()

    monkeypatch.setattr(subject, "_speak", speak)
    assert await subject.hand_on(LETTER) == Handed()
    assert tried == [("8.8.8.1", 25), ("8.8.8.2", 25), ("2606:4700::2", 25)]


async def test_trouble_with_one_host_keeps_from_none_of_the_others(monkeypatch) -> None:
    records = {
        "greenleaf.example": {"MX": ["mx1.greenleaf.example", "mx2.greenleaf.example"]},
        "mx2.greenleaf.example": {"A": ["8.8.8.2"]},
    }
    subject = courier(Zone(records, trouble=frozenset({"mx1.greenleaf.example"})))

    async def speak(host: str, port: int, letter: Letter):
        return Handed(host)

    monkeypatch.setattr(subject, "_speak", speak)
    assert await subject.hand_on(LETTER) == Handed("8.8.8.2")


async def test_a_mute_server_leaves_time_for_the_next(monkeypatch) -> None:
    records = {
        "greenleaf.example": {"MX": ["mx1.greenleaf.example", "mx2.greenleaf.example"]},
        "mx1.greenleaf.example": {"A": ["8.8.8.1"], "AAAA": ["2606:4700::1"]},
        "mx2.greenleaf.example": {"A": ["8.8.8.2"]},
    }
    subject = courier(Zone(records), seconds=1.0)

    async def speak(host: str, port: int, letter: Letter):
        if host != "8.8.8.2":
            await asyncio.Event().wait()
        return Handed(host)

    monkeypatch.setattr(subject, "_speak", speak)
    assert await subject.hand_on(LETTER) == Handed("8.8.8.2")


async def test_one_server_that_listens_is_enough(monkeypatch) -> None:
    names = [f"mx{number}.greenleaf.example" for number in (1, 2, 3)]
    records = {
        "greenleaf.example": {"MX": names},
        names[0]: {"A": ["8.8.8.1"], "AAAA": ["2606:4700::1"]},
        names[2]: {"A": ["8.8.8.3"]},
    }
    zone = Zone(records, trouble=frozenset({names[1]}))
    subject, tried = courier(zone, seconds=0.2), []

    async def speak(host: str, port: int, letter: Letter):
        tried.append(host)
        if host == "8.8.8.3":
            await asyncio.Event().wait()
        return NotNow(host, alone=host == "8.8.8.1")

    monkeypatch.setattr(subject, "_speak", speak)
    assert await subject.hand_on(LETTER) == NotNow("8.8.8.1", alone=True)
    assert tried == ["8.8.8.1", "2606:4700::1", "8.8.8.3"]


async def test_letters_go_at_once_over_connections_of_their_own() -> None:
    async with post_office() as office:
        subject = courier(relay=office.address)
        handovers = await asyncio.gather(*(subject.hand_on(LETTER) for _ in range(5)))
        assert all(isinstance(each, Handed) for each in handovers)
        assert len(office.came) == 5
