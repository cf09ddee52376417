"""Clients that go in the midst of things, and programs nobody here wrote."""

import asyncio
import os
import re
import socket
import struct
from shutil import which

import pytest

from letterbox.model.configuration import TrustedPeer
from tests.support.wire import greeted, on_both_loops, serving

PLACES = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"


async def run(name: str, *arguments: str) -> str:
    """Run a program of the distribution; what it printed."""
    path = which(name, path=PLACES)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is missing; under CI nothing is skipped")
        pytest.skip(f"needs {name}")
    process = await asyncio.create_subprocess_exec(
        path, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, printed.decode()
    return printed.decode()


@on_both_loops
async def test_gone_in_the_midst_of_content():
    async with serving() as house:
        async with greeted(house.address) as wire:
            await wire.begin()
            await wire.send(b"Subject: x\r\n\r\n.\r")
        async with greeted(house.address) as wire:
            assert await wire.say("NOOP") == "250 2.0.0 OK"
        assert not house.intake.taken


@on_both_loops
async def test_gone_while_it_is_decided():
    async with serving() as house:
        async with greeted(house.address) as wire:
            await wire.begin("slow")
            await wire.send(b"x\r\n.\r\n")
            await house.intake.entered.wait()
            link = wire.writer.get_extra_info("socket")
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
        (session,) = house.gateway._sessions
        async with asyncio.timeout(20):
            while not session._lost:  # noqa: ASYNC110 - the server is to know that it has gone
                await asyncio.sleep(0.01)
        assert not house.intake.finished
        house.intake.go_on.set()
        await session.task  # ended by itself: what was begun was not cut short
        assert house.intake.finished
        async with greeted(house.address) as wire:
            assert await wire.say("NOOP") == "250 2.0.0 OK"


@on_both_loops
async def test_half_closed_after_the_content():
    # The client says no more, and still hears what became of its message.
    async with serving() as house, greeted(house.address) as wire:
        await wire.begin()
        await wire.send(b"x\r\n.\r\nQUIT\r\n")
        wire.writer.write_eof()
        assert await wire.line() == "250 2.0.0 delivered anna"
        assert (await wire.line()).startswith("221")
        assert await wire.closed()


@on_both_loops
async def test_half_closed_before_the_content():
    async with serving() as house:
        async with greeted(house.address) as wire:
            await wire.say("EHLO client.example")
            await wire.say("MAIL FROM:<>")
            await wire.say("RCPT TO:<anna@letterbox.example>")
            await wire.send(b"DATA\r\n")
            wire.writer.write_eof()
            assert await wire.line() in ("", "354 Go ahead; end with <CR><LF>.<CR><LF>")
            assert await wire.closed()
        assert not house.intake.taken


@on_both_loops
async def test_an_honest_client_among_slow_ones():
    async with serving(sessions_per_address=1, max_sessions=400) as house:
        slow = []
        for number in range(200):
            source = (f"127.1.0.{number + 1}", 0)
            host, _, port = house.address.rpartition(":")
            pair = await asyncio.open_connection(host, int(port), local_addr=source)
            pair[1].write(b"E")
            slow.append(pair[1])
        async with greeted(house.address) as wire:
            await wire.begin()
            await wire.send(b"x\r\n.\r\n")
            assert await wire.line() == "250 2.0.0 delivered anna"
        for writer in slow:
            writer.transport.abort()


@on_both_loops
@pytest.mark.parametrize("edge", ["smtp", "lmtp"])
async def test_swaks_delivers(edge):
    async with serving(lmtp=edge == "lmtp") as house:
        host, _, port = house.address.rpartition(":")
        server = ("--server", host, "--port", port, "--protocol", edge.upper())
        addresses = ("--from", "shop@vendor.example", "--to", "anna@letterbox.example")
        printed = await run("swaks", *server, *addresses, "--pipeline")
        assert "250 2.0.0 delivered anna" in printed
        content = house.intake.taken[0][1]
        assert b"Subject: test" in content
        assert content.endswith(b"\r\n")


PROXIED = [
    *("--proxy-source", "192.0.2.7", "--proxy-source-port", "4242"),
    *("--proxy-dest", "198.51.100.1", "--proxy-dest-port", "25"),
]
BEHIND = {
    "proxy-1": ("proxy", ["--proxy-version", "1", "--proxy-family", "TCP4", *PROXIED]),
    "proxy-2": ("proxy", ["--proxy-version", "2", "--proxy-family", "AF_INET", *PROXIED]),
    "xclient": ("xclient", ["--xclient-addr", "192.0.2.7", "--xclient-name", "[UNAVAILABLE]"]),
}


@on_both_loops
@pytest.mark.parametrize("how", BEHIND)
async def test_swaks_says_whose_mail_it_brings(how):
    client, options = BEHIND[how]
    peers = (TrustedPeer(address="127.0.0.1", client=client),)
    async with serving(trusted_peers=peers) as house:
        host, _, port = house.address.rpartition(":")
        addresses = ("--from", "shop@vendor.example", "--to", "anna@letterbox.example")
        await run("swaks", "--server", host, "--port", port, *addresses, *options)
        found = house.intake.taken[0][0].client
        assert (found.address, found.inner, found.trusted) == ("192.0.2.7", False, False)


@on_both_loops
async def test_swaks_hears_an_answer_for_each_recipient():
    async with serving() as house:
        host, _, port = house.address.rpartition(":")
        to = "anna@letterbox.example,refused@letterbox.example,ben@letterbox.example"
        addresses = ("--from", "shop@vendor.example", "--to", to)
        printed = await run("swaks", "--server", host, "--port", port, *addresses, "--prdr")
        heard = re.findall(r"^<\S+ +(\d{3})", printed, re.MULTILINE)
        assert heard[-6:] == ["353", "250", "550", "250", "250", "221"]


@on_both_loops
@pytest.mark.parametrize("edge", ["smtp", "lmtp"])
@pytest.mark.parametrize("kept", [True, False])
async def test_smtp_source_delivers(edge, kept):
    async with serving(lmtp=edge == "lmtp") as house:
        options = ["-s", "5", "-m", "50", "-l", "20000", *(["-d"] if kept else [])]
        options += ["-L"] if edge == "lmtp" else []
        addresses = ("-f", "shop@vendor.example", "-t", "anna@letterbox.example")
        await run("smtp-source", *options, *addresses, f"inet:{house.address}")
        assert len(house.intake.taken) == 50
        assert all(len(content) > 19_000 for _, content in house.intake.taken)
