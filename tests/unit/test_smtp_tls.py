"""STARTTLS (RFC 3207), with a certificate made for the test."""

import asyncio
import ssl

import pytest

from tests.support.tls import tls_contexts
from tests.support.wire import HOST, Wire, greeted, on_both_loops, serving


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    """The server's and the client's."""
    return tls_contexts(tmp_path_factory.mktemp("tls"))


async def secured(wire: Wire, context: ssl.SSLContext) -> Wire:
    assert (await wire.say("STARTTLS")).startswith("220 2.0.0")
    await wire.writer.start_tls(context, server_hostname=HOST)
    return wire


@on_both_loops
@pytest.mark.parametrize("edge", ["smtp", "lmtp"])
async def test_a_message_under_tls(contexts, edge):
    verb = "LHLO" if edge == "lmtp" else "EHLO"
    server, client = contexts
    content = b"z" * 78 + b"\r\n"
    async with (
        serving(lmtp=edge == "lmtp", tls_context=server) as house,
        greeted(house.address) as wire,
    ):
        assert any("STARTTLS" in line for line in await wire.lines(f"{verb} before.example"))
        await wire.say("MAIL FROM:<before@vendor.example>")
        await secured(wire, client)
        # RFC 3207, section 4.2: what was said in the clear is forgotten.
        assert (await wire.say("RCPT TO:<anna@letterbox.example>")).startswith("503")
        assert (await wire.say("MAIL FROM:<>")).startswith("503")
        assert (await wire.say("STARTTLS")).startswith("503")
        await wire.begin(verb=verb)
        await wire.send(content * 20_000 + b".\r\n")
        assert (await wire.reply()).startswith("250 2.0.0")
        assert house.intake.taken[0][1] == content * 20_000
        assert house.intake.taken[0][0].client.helo == "client.example"
        assert (await wire.say("QUIT")).startswith("221")
        assert await wire.closed()


@on_both_loops
async def test_nothing_is_injected_before_tls(contexts):
    server, _ = contexts
    async with serving(tls_context=server) as house, greeted(house.address) as wire:
        await wire.say("EHLO client.example")
        await wire.send(b"STARTTLS\r\nMAIL FROM:<evil@vendor.example>\r\n")
        assert await wire.line() == "554 5.5.0 You spoke ahead of a reply"
        assert await wire.closed()


@on_both_loops
async def test_no_tls_behind_the_220(contexts):
    server, _ = contexts
    async with serving(tls_context=server) as house:
        async with greeted(house.address) as wire:
            await wire.say("EHLO client.example")
            assert (await wire.say("STARTTLS")).startswith("220")
            await wire.send(b"EHLO client.example\r\n" * 3)
            try:
                alert = await asyncio.wait_for(wire.reader.read(), 20)
            except ConnectionResetError:
                alert = b""
            assert b"250" not in alert
        async with greeted(house.address) as wire:
            assert await wire.say("NOOP") == "250 2.0.0 OK"
        assert house.sessions <= 1
