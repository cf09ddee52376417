"""Limits at one less, exact and one more; deadlines; how many may come in."""

import asyncio
import socket
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from letterbox.gateways.smtp import connection
from letterbox.model.configuration import TrustedPeer
from tests.support.clock import FakeClock
from tests.support.wire import Serving, Wire, connected, greeted, on_both_loops, serving


@pytest.mark.parametrize("edge", ["smtp", "lmtp"])
@pytest.mark.parametrize("stuffed", [False, True])
@pytest.mark.parametrize("limit", [300, 1_500_000])
async def test_size_at_its_limit(edge, stuffed, limit):
    line = b".a\r\n" if stuffed else b"abc\r\n"
    async with (
        serving(lmtp=edge == "lmtp", max_size=limit) as house,
        greeted(house.address) as wire,
    ):
        for off, code in ((-1, "250"), (0, "250"), (1, "552")):
            size = limit + off
            content = (line * (size // len(line)))[: -len(line)]
            content += b"x" * (size - len(content) - 2) + b"\r\n"
            assert len(content) == size
            await wire.begin(verb="LHLO" if edge == "lmtp" else "EHLO")
            sent = content.replace(b"\r\n.", b"\r\n..")
            sent = b"." + sent if sent.startswith(b".") else sent
            await wire.send(sent + b".\r\n")
            assert (await wire.reply()).startswith(code)
            if code == "250":
                assert house.intake.taken[-1][1] == content
        assert len(house.intake.taken) == 2


@pytest.mark.parametrize("stray", [b"\n", b"\r", b"\0"])
async def test_a_stray_at_any_place_of_a_large_content(stray):
    # Also between the blocks in which it is read.
    for place in (1, 524_287, 524_288, 524_289, 1_200_000):
        async with serving(max_size=2_000_000) as house, greeted(house.address) as wire:
            await wire.begin()
            content = bytearray(b"x" * 998 + b"\r\n") * 1300
            content[place : place + 1] = stray if place % 1000 < 900 else b"x" + stray + b"x"
            await wire.send(bytes(content) + b".\r\n")
            assert (await wire.reply()).startswith("554 5.6.0 message-malformed")
            assert await wire.closed()


async def test_a_large_message_and_the_next():
    async with serving() as house, greeted(house.address) as wire:
        for content in (b"y" * 70 + b"\r\n") * 40_000, b"short\r\n":
            await wire.begin()
            await wire.send(content + b".\r\n")
            assert (await wire.reply()).startswith("250 2.0.0")
            assert house.intake.taken[-1][1] == content


async def test_large_messages_find_no_room_before_small_ones_do():
    large, small = (b"z" * 70 + b"\r\n") * 14_000, b"Subject: small\r\n"
    room = {"max_size": 1024 * 1024, "max_buffered": 3 * 1024 * 1024}
    async with serving(**room) as house, AsyncExitStack() as open_ones:
        holding = [await open_ones.enter_async_context(greeted(house.address)) for _ in range(2)]
        for wire in holding:
            house.intake.entered.clear()
            await wire.begin("slow")
            await wire.send(large + b".\r\n")
            await house.intake.entered.wait()
        async with greeted(house.address) as late:
            for content, answer in (
                (large, "452 4.3.1 busy: Too much mail"),
                (small, "250 2.0.0 delivered"),
            ):
                await late.begin()
                await late.send(content + b".\r\n")
                assert (await late.reply()).startswith(answer)
            house.intake.go_on.set()
            for wire in holding:
                assert (await wire.reply()).startswith("250 ")
            # What was held is given back, also by the one that found no room.
            await late.begin()
            await late.send(large + b".\r\n")
            assert (await late.reply()).startswith("250 ")
        sizes = [len(content) for _, content in house.intake.taken]
        assert sizes == [len(large), len(large), len(small), len(large)]


async def test_a_client_that_goes_in_the_midst_gives_its_room_back():
    room = {"max_size": 1024 * 1024, "max_buffered": 3 * 1024 * 1024}
    large = (b"z" * 70 + b"\r\n") * 14_000
    async with serving(**room) as house:
        for _ in range(6):
            async with greeted(house.address) as wire:
                await wire.begin()
                await wire.send(large)
                wire.writer.write_eof()
                assert await wire.closed()
        async with greeted(house.address) as wire:
            await wire.begin()
            await wire.send(large + b".\r\n")
            assert (await wire.reply()).startswith("250 ")


async def test_the_largest_message_finds_room_whatever_little_is_configured():
    content = (b".\r\n" * 400_000)[:-3] + b"a\r\n"
    async with (
        serving(max_size=len(content), max_buffered=1) as house,
        greeted(house.address) as wire,
    ):
        await wire.begin()
        await wire.send(content.replace(b".\r\n", b"..\r\n") + b".\r\n")
        assert (await wire.reply()).startswith("250 ")
        assert house.intake.taken[0][1] == content


@pytest.mark.parametrize("edge", ["smtp", "lmtp"])
async def test_a_message_answered_with_421_ends_the_session(edge):
    async with serving(lmtp=edge == "lmtp") as house, greeted(house.address) as wire:
        recipients = ("anna", "busy", "ben") if edge == "lmtp" else ("busy",)
        await wire.begin(*recipients, verb="LHLO" if edge == "lmtp" else "EHLO")
        await wire.send(b"Subject: one\r\n.\r\n")
        told = [(await wire.line())[:3] for _ in recipients]
        assert told == (["250", "421", "250"] if edge == "lmtp" else ["421"])
        assert await wire.closed()


async def test_a_command_that_takes_too_long():
    async with serving(command_timeout=0.05) as house, greeted(house.address) as wire:
        await wire.send(b"NOO")
        assert await wire.line() == "421 4.4.2 Waited too long"
        assert await wire.closed()


async def test_content_that_takes_too_long():
    async with (
        serving(content_timeout=0.05, command_timeout=60) as house,
        greeted(house.address) as wire,
    ):
        await wire.begin()
        await wire.send(b"Subject: slow\r\n")
        assert await wire.line() == "421 4.4.2 Waited too long"
        assert await wire.closed()
        assert not house.intake.taken


@pytest.mark.parametrize("how", ["data", "bdat", "bdat-refused"])
async def test_content_that_trickles(how):
    """However often an octet comes: the pace is counted."""
    async with (
        serving(rate_period=0.1, min_rate=10_000) as house,
        greeted(house.address) as wire,
    ):
        if how == "data":
            await wire.begin()
        else:
            await wire.say("EHLO client.example")
            if how == "bdat":
                await wire.say("MAIL FROM:<>")
                await wire.say("RCPT TO:<anna@letterbox.example>")
            await wire.send(b"BDAT 100000 LAST\r\n")
        heard = asyncio.ensure_future(wire.line())
        while not heard.done():
            await wire.send(b"x")
            await asyncio.wait([heard], timeout=0.01)
        assert await heard == "421 4.4.2 Waited too long"
        assert not house.intake.taken


async def test_content_that_keeps_its_pace():
    async with (
        serving(rate_period=0.1, min_rate=10_000) as house,
        greeted(house.address) as wire,
    ):
        await wire.begin()
        loop = asyncio.get_running_loop()
        end = loop.time() + 0.5
        line = b"y" * 998 + b"\r\n"
        sent = 0
        while loop.time() < end:
            await wire.send(line * 10)
            sent += 10
            await asyncio.sleep(0.01)
        await wire.send(b".\r\n")
        assert await wire.reply() == "250 2.0.0 delivered anna"
        assert house.intake.taken[0][1] == line * sent


async def test_a_session_has_an_end():
    """After the message in hand, however busy it is."""
    clock = FakeClock()
    async with (
        serving(session_timeout=60, clock=clock) as house,
        greeted(house.address) as wire,
    ):
        await wire.begin()
        clock.advance(seconds=61)
        await wire.send(b"x\r\n.\r\n")
        assert await wire.line() == "250 2.0.0 delivered anna"
        assert await wire.line() == "421 4.4.2 Enough for one session; go on in another"
        assert await wire.closed()
        assert len(house.intake.taken) == 1


async def test_chunks_have_one_time_for_all():
    async with (
        serving(content_timeout=0.3, command_timeout=60) as house,
        greeted(house.address) as wire,
    ):
        await wire.say("EHLO client.example")
        await wire.say("MAIL FROM:<>")
        await wire.say("RCPT TO:<anna@letterbox.example>")
        heard = ""
        while heard in {"", "250 2.0.0 1 octets taken"}:
            await wire.send(b"BDAT 1\r\nx")
            heard = await wire.reply()
            await asyncio.sleep(0.01)
        assert heard == "421 4.4.2 Waited too long"
        assert not house.intake.taken


async def test_a_chunk_finds_room_as_it_comes():
    """Not as it is announced: announcing costs a client nothing."""
    async with (
        serving(max_size=1_000_000, max_buffered=3_000_000) as house,
        AsyncExitStack() as stack,
    ):
        for _ in range(20):
            wire = await stack.enter_async_context(greeted(house.address))
            await wire.say("EHLO client.example")
            await wire.say("MAIL FROM:<>")
            await wire.say("RCPT TO:<anna@letterbox.example>")
            await wire.send(b"BDAT 1000000 LAST\r\nx")
        async with greeted(house.address) as wire:
            await wire.begin()
            await wire.send(b"y" * 60_000 + b"\r\n.\r\n")
            assert (await wire.reply()).startswith("250")


async def test_small_chunks_cost_no_more_than_large_ones():
    async with serving() as house, greeted(house.address) as wire:
        await wire.say("EHLO client.example")
        await wire.say("MAIL FROM:<>")
        await wire.say("RCPT TO:<anna@letterbox.example>")
        await wire.send(b"BDAT 0\r\nBDAT 2\r\n\r\n" * 500)
        replies = [await wire.reply() for _ in range(1000)]
        assert replies[-2:] == ["250 2.0.0 0 octets taken", "250 2.0.0 2 octets taken"]
        (session,) = house.gateway._sessions
        assert sys.getsizeof(session._chunks._kept) < 2000
        await wire.send(b"BDAT 0 LAST\r\n")
        assert await wire.reply() == "250 2.0.0 delivered anna"
        assert house.intake.taken[0][1] == b"\r\n" * 500


@pytest.mark.parametrize("limit", ["command_timeout", "session_timeout"])
async def test_who_reads_nothing_is_cut_off(limit, monkeypatch):
    """However much is still to be told: the connection would else stay, and count, for ever."""
    monkeypatch.setattr(connection, "_LINGER_SECONDS", 0.2)
    async with serving(**{limit: 1.0}) as house:
        loop = asyncio.get_running_loop()
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        link.setblocking(False)
        host, _, port = house.address.rpartition(":")
        await loop.sock_connect(link, (host, int(port)))
        await loop.sock_recv(link, 1024)
        await loop.sock_sendall(link, b"EHLO client.example\r\n")
        await loop.sock_recv(link, 1024)
        # More replies than the system keeps, and none of them is read.
        sent = asyncio.ensure_future(loop.sock_sendall(link, b"HELP\r\n" * 500_000))
        assert await until(lambda: house.sessions == 1)
        assert await until(lambda: not house.sessions)
        sent.cancel()
        await asyncio.wait([sent])
        assert not house.gateway._sessions
        link.close()


async def test_a_client_of_a_proxy_counts_for_itself():
    """It says so by XCLIENT, in the midst of a session; the proxy's own sessions are no limit."""
    proxy = TrustedPeer(address="127.0.0.1", client="xclient")
    async with (
        serving(trusted_peers=(proxy,), sessions_per_address=1) as house,
        AsyncExitStack() as stack,
    ):

        async def come(client: str) -> str:
            wire = await stack.enter_async_context(greeted(house.address))
            await wire.say("EHLO proxy.example")
            return (await wire.say(f"XCLIENT ADDR={client}"))[:3]

        assert [await come(f"192.0.2.{n}") for n in (1, 2, 3, 1)] == ["220", "220", "220", "421"]
        await stack.aclose()
        assert await until(lambda: not house.sessions)
        assert await come("192.0.2.1") == "220"


async def chunk(wire: Wire, command: bytes, octets: bytes) -> str:
    await wire.send(command + b"\r\n" + octets)
    return await wire.reply()


async def until(so: Callable[[], bool]) -> bool:
    async with asyncio.timeout(20):
        while not so():  # noqa: ASYNC110 - it is the server's to say, and it does not
            await asyncio.sleep(0.01)
    return True


async def test_chunks_find_room_as_other_content_does():
    """And give it back when they are given up, refused, taken or left."""

    async def begun(wire: Wire) -> Wire:
        await wire.say("EHLO client.example")
        await wire.say("MAIL FROM:<>")
        await wire.say("RCPT TO:<anna@letterbox.example>")
        assert (await chunk(wire, b"BDAT 90", b"x" * 90)) == "250 2.0.0 90 octets taken"
        return wire

    async def largest(house: Serving) -> str:
        async with greeted(house.address) as wire:
            await wire.begin()
            await wire.send(b"y" * 98 + b"\r\n.\r\n")
            return (await wire.reply())[:3]

    async with serving(max_size=100, max_buffered=300) as house:
        async with greeted(house.address) as one, greeted(house.address) as two:
            await begun(one)
            await begun(two)
            assert await largest(house) == "452"
            assert await one.say("RSET") == "250 2.0.0 OK"
            assert (await chunk(two, b"BDAT 90 LAST", b"x" * 90)).startswith("552")
            assert await largest(house) == "250"
            await begun(one)
            assert (await chunk(one, b"BDAT 2 LAST", b"\r\n")).startswith("250 2.0.0 delivered")
            await begun(two)
            await begun(one)
        assert await until(lambda: not house.sessions)
        assert await largest(house) == "250"


async def test_each_command_has_its_own_time():
    # Longer in all than one command may take; each within it.
    async with serving(command_timeout=0.5) as house, greeted(house.address) as wire:
        loop = asyncio.get_running_loop()
        end = loop.time() + 0.8
        while loop.time() < end:
            assert await wire.say("NOOP") == "250 2.0.0 OK"


async def test_the_intake_may_take_longer_than_the_client():
    async with (
        serving(content_timeout=0.05, command_timeout=0.05) as house,
        greeted(house.address) as wire,
    ):
        await wire.begin("slow")
        await wire.send(b"x\r\n.\r\n")
        await house.intake.entered.wait()
        async with greeted(house.address) as other:
            assert (await other.line()).startswith("421 4.4.2")  # its time is over, not the first's
        house.intake.go_on.set()
        assert await wire.reply() == "250 2.0.0 delivered slow"


async def test_sessions_for_each_address_and_in_all():
    async with (
        serving(sessions_per_address=2, max_sessions=3) as house,
        greeted(house.address) as first,
        greeted(house.address),
        connected(house.address) as crowded,
    ):
        assert (await crowded.line()).startswith("421 4.7.0 busy")
        assert await crowded.closed()
        async with (
            greeted(house.address, "127.0.0.2"),
            connected(house.address, "127.0.0.3") as over,
        ):
            assert (await over.line()).startswith("421 4.3.2 busy")
            assert await over.closed()
            assert house.sessions == 3
        assert (await first.say("QUIT")).startswith("221")
        assert await first.closed()
        async with greeted(house.address):  # what has gone is not counted
            pass


async def test_clients_of_a_balancer_count_each_for_itself():
    balancer = TrustedPeer(address="127.0.0.1", client="proxy")
    async with (
        serving(trusted_peers=(balancer,), sessions_per_address=1, max_sessions=4) as house,
        AsyncExitStack() as stack,
    ):

        async def come(client: str) -> str:
            wire = await stack.enter_async_context(connected(house.address))
            await wire.send(f"PROXY TCP4 {client} 198.51.100.1 4242 25\r\n".encode())
            return await wire.line()

        assert (await come("192.0.2.1")).startswith("220 ")
        assert (await come("192.0.2.1")).startswith("421 4.7.0")
        assert (await come("192.0.2.2")).startswith("220 ")
        assert await until(lambda: house.sessions == 2)
        assert (await come("192.0.2.3")).startswith("220 ")
        assert (await come("192.0.2.4")).startswith("220 ")
        async with connected(house.address) as wire:  # full, and told so at once
            assert (await wire.line()).startswith("421 4.3.2 busy")
        await stack.aclose()
        assert await until(lambda: not house.sessions)
        assert (await come("192.0.2.1")).startswith("220 ")


async def test_ipv6_counts_by_its_subnet():
    async with serving(listen="[::1]:0", sessions_per_address=1) as house:
        assert house.address.startswith("[::1]:")
        async with greeted(house.address), connected(house.address) as second:
            assert (await second.line()).startswith("421 4.7.0")


async def test_speaking_before_the_greeting():
    async with serving() as house:
        host, _, port = house.address.rpartition(":")
        # Before the server has had its turn: connected by the kernel, spoken, then accepted.
        early = socket.create_connection((host, int(port)))
        early.sendall(b"EHLO client.example\r\nMAIL FROM:<>\r\n")
        reader, writer = await asyncio.open_connection(sock=early)
        assert await reader.read() == b"554 5.5.0 You spoke before the greeting\r\n"
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_reads_no_reply_stops_being_heard():
    async with serving() as house, greeted(house.address) as wire:
        await wire.begin()
        await wire.send(b".\r\n")
        assert (await wire.reply()).startswith("250")
        asked = 0
        group = b"HELP\r\n" * 2000
        try:
            while asked < 500:  # 12 MB of commands, 60 MB of replies
                wire.writer.write(group)
                await asyncio.wait_for(wire.writer.drain(), 0.2)
                asked += 1
        except TimeoutError:
            pass
        assert asked < 500
        wire.writer.transport.abort()


async def test_a_client_that_stays_after_its_refusal_is_let_go(monkeypatch):
    monkeypatch.setattr(connection, "_LINGER_SECONDS", 0.05)
    async with serving() as house, greeted(house.address) as wire:
        await wire.send(b"NOOP\n")
        assert (await wire.line()).startswith("500 5.5.2")
        assert await wire.closed()
        tasks = [session.task for session in house.gateway._sessions]
        await asyncio.gather(*tasks)
        assert house.sessions == 0


@pytest.mark.parametrize(
    "listen", ["", "localhost", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536"]
)
async def test_no_address_to_listen_on(listen):
    with pytest.raises(ValueError, match="host:port"):
        async with serving(listen=listen):
            pass


@on_both_loops
async def test_who_sends_on_while_a_message_is_decided_is_stopped():
    """What nobody reads yet waits at the client, and is answered afterwards."""
    async with serving() as house, greeted(house.address) as wire:
        await wire.begin("slow")
        await wire.send(b"x\r\n.\r\n")
        await house.intake.entered.wait()
        commands = 50_000
        sending = asyncio.ensure_future(wire.send((b"NOOP" + b" " * 200 + b"\r\n") * commands))
        (session,) = house.gateway._sessions
        assert await until(lambda: session._incoming.waiting)
        await asyncio.sleep(0.2)
        assert not sending.done()
        assert len(session._incoming.waiting) < 1024 * 1024
        house.intake.go_on.set()
        assert await wire.line() == "250 2.0.0 delivered slow"
        for _ in range(commands):
            assert await wire.line() == "250 2.0.0 OK"
        await sending
