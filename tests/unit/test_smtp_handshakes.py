"""TLS from the first octet: who has not agreed yet counts, and holds nobody up."""

import asyncio
import os
import resource
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from letterbox.adapters.clock import SystemClock
from letterbox.gateways.smtp import SmtpGateway, handshakes
from letterbox.metrics import Metrics
from letterbox.model.configuration import SmtpSection, TrustedPeer
from tests.support.tls import tls_contexts
from tests.support.wire import HOST, PATIENCE, StubIntake, StubPaths, Wire, on_both_loops


async def opened(
    server: ssl.SSLContext, intake: StubIntake | None = None, **limits: Any
) -> tuple[SmtpGateway, Metrics, int]:
    metrics = Metrics()
    gateway = SmtpGateway(
        intake or StubIntake(),
        paths=StubPaths(),
        hostname=HOST,
        domains=frozenset({HOST}),
        section=SmtpSection(**limits),
        clock=SystemClock(),
        metrics=metrics,
        certificate=lambda: server,
        tls=True,
    )
    address = await gateway.start("127.0.0.1:0")
    return gateway, metrics, int(address.rpartition(":")[2])


async def silent(port: int) -> asyncio.StreamWriter:
    """A connection that says nothing."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    return writer


async def greeted(port: int, client: ssl.SSLContext) -> bool:
    """Whether a session begins."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client, server_hostname=HOST
            )
            line = await reader.readline()
            writer.close()
    except (ConnectionError, ssl.SSLError):
        return False
    return line.startswith(b"220 ")


async def until(port: int, client: ssl.SSLContext, *, in_: bool) -> None:
    async with asyncio.timeout(PATIENCE):
        while await greeted(port, client) is not in_:
            pass  # each look is a connection of its own


async def becomes(condition: Callable[[], object]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(0)


@on_both_loops
async def test_who_keeps_silent_is_counted_until_gone(tmp_path):
    server, client = tls_contexts(tmp_path)
    gateway, _, port = await opened(server, sessions_per_address=3)
    try:
        assert await greeted(port, client)
        waiting = [await silent(port) for _ in range(3)]
        await until(port, client, in_=False)
        waiting.pop().close()
        await until(port, client, in_=True)
        for writer in waiting:
            writer.close()
    finally:
        await gateway.close()


@on_both_loops
async def test_it_listens_on_every_address(tmp_path):
    server, client = tls_contexts(tmp_path)
    gateway, _, _ = await opened(server)
    await gateway.close()
    address = await gateway.start(":0")
    port = int(address.rpartition(":")[2])
    try:
        async with asyncio.timeout(PATIENCE):
            assert await greeted(port, client)
            families = {each.family for each in gateway._handshakes._sockets}
        assert socket.AF_INET in families or socket.AF_INET6 in families
        assert len(families) == (2 if socket.has_dualstack_ipv6() else 1)
    finally:
        await gateway.close()


@on_both_loops
async def test_what_is_no_tls_is_let_go(tmp_path):
    server, client = tls_contexts(tmp_path)
    gateway, metrics, port = await opened(server, max_sessions=1)
    try:
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"EHLO client.example\r\n" * 10)
            async with asyncio.timeout(PATIENCE):
                with suppress(ConnectionError):
                    await reader.read()
            writer.close()
            await until(port, client, in_=True)
        assert metrics.registry.get_sample_value("letterbox_sessions", {"edge": "smtp"}) in {0, 1}
    finally:
        await gateway.close()


@on_both_loops
async def test_a_session_counts_once_and_is_over_with_its_client(tmp_path):
    server, client = tls_contexts(tmp_path)
    gateway, metrics, port = await opened(server, max_sessions=2, sessions_per_address=2)
    try:
        for _ in range(10):
            await until(port, client, in_=True)
    finally:
        await gateway.close()
    assert metrics.registry.get_sample_value("letterbox_sessions", {"edge": "smtp"}) == 0


@on_both_loops
async def test_who_has_connected_before_another_process_takes_over_may_agree(tmp_path):
    server, client = tls_contexts(tmp_path)
    gateway, _, port = await opened(server)
    connection = socket.create_connection(("127.0.0.1", port))
    async with asyncio.timeout(PATIENCE):
        await becomes(lambda: gateway._handshakes._shaking)
        draining = asyncio.ensure_future(gateway.drain(1, grace=PATIENCE))
        await becomes(lambda: not gateway._handshakes._sockets)
        reader, writer = await asyncio.open_connection(
            sock=connection, ssl=client, server_hostname=HOST
        )
        assert (await reader.readline()).startswith(b"220 ")
        writer.write(b"QUIT\r\n")
        assert (await reader.readline()).startswith(b"221 ")
        writer.close()
        await draining


@on_both_loops
async def test_it_closes_with_silent_ones_there(tmp_path):
    server, _ = tls_contexts(tmp_path)
    gateway, _, port = await opened(server)
    waiting = [await silent(port) for _ in range(5)]
    async with asyncio.timeout(PATIENCE):
        await gateway.drain(1)
    for writer in waiting:
        writer.close()
    try:
        await silent(port)
    except ConnectionRefusedError:
        return
    raise AssertionError("it listens on")


@on_both_loops
async def test_where_no_descriptor_is_left_it_goes_on_when_there_is_one(tmp_path, monkeypatch):
    server, client = tls_contexts(tmp_path)
    gateway, _, port = await opened(server)
    (soft, hard), taken = resource.getrlimit(resource.RLIMIT_NOFILE), []
    monkeypatch.setattr(handshakes, "_PAUSE", 0.01)
    try:
        connection = socket.socket()
        connection.settimeout(0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", port))
        async with asyncio.timeout(PATIENCE):
            await becomes(lambda: gateway._handshakes._resuming)
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        connection.close()
        await until(port, client, in_=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await gateway.close()


# ---- behind a balancer, whose words stand before the handshake ----

BALANCER = (TrustedPeer(address="127.0.0.1", client="proxy"),)
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4242 465\r\n"
V2 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0f"  # with a note behind the addresses that nobody reads
    + bytes([192, 0, 2, 7, 198, 51, 100, 1])
    + b"\x10\x92\x01\xd1"
    + b"\x04\0\0"
)
V2_LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"


async def through(
    port: int, client: ssl.SSLContext, header: bytes, *, source: str = "127.0.0.1"
) -> Wire | None:
    """A session under TLS, whose connection began with this; None where there is none."""
    try:
        async with asyncio.timeout(PATIENCE):
            loop = asyncio.get_running_loop()
            connection = socket.socket()
            connection.settimeout(0)
            connection.bind((source, 0))
            await loop.sock_connect(connection, ("127.0.0.1", port))
            for at in range(0, len(header), 7):  # it comes in pieces
                await loop.sock_sendall(connection, header[at : at + 7])
            reader, writer = await asyncio.open_connection(
                sock=connection, ssl=client, server_hostname=HOST
            )
            wire = Wire(reader, writer)
            return wire if (await wire.reply()).startswith("220 ") else None
    except (ConnectionError, ssl.SSLError):
        return None


@on_both_loops
async def test_a_balancer_says_before_tls_whom_it_has_connected(tmp_path):
    server, client = tls_contexts(tmp_path)
    intake = StubIntake()
    gateway, metrics, port = await opened(server, intake, trusted_peers=BALANCER)
    try:
        for header in (V1, V2, V2_LOCAL):
            wire = await through(port, client, header)
            assert wire is not None
            await wire.begin()
            await wire.send(b"Subject: x\r\n\r\nHi\r\n.\r\n")
            assert (await wire.reply()).startswith("250 ")
            assert (await wire.say("QUIT")).startswith("221 ")
            wire.close()
        addresses = [envelope.client.address for envelope, _ in intake.taken]
        assert addresses == ["192.0.2.7", "192.0.2.7", "127.0.0.1"]
    finally:
        await gateway.close()
    assert metrics.registry.get_sample_value("letterbox_sessions", {"edge": "smtp"}) == 0


@on_both_loops
async def test_without_a_header_or_with_a_wrong_one_there_is_no_session(tmp_path):
    server, client = tls_contexts(tmp_path)
    gateway, _, port = await opened(server, trusted_peers=BALANCER, max_sessions=1)
    try:
        for header in (
            b"",
            b"PROXY TCP4 nobody\r\n",
            b"PROXY " + b"x" * 200,
            V2[:12] + b"\xff" * 99,
        ):
            assert await through(port, client, header) is None
            # Whoever did not get in is not counted.
            async with asyncio.timeout(PATIENCE):
                while (wire := await through(port, client, V1)) is None:
                    pass
            wire.close()
            await wire.writer.wait_closed()
            async with asyncio.timeout(PATIENCE):
                await becomes(lambda: not gateway._sessions)
    finally:
        await gateway.close()


@on_both_loops
async def test_who_is_no_balancer_cannot_say_who_it_is(tmp_path):
    server, client = tls_contexts(tmp_path)
    intake = StubIntake()
    gateway, _, port = await opened(server, intake, trusted_peers=BALANCER)
    try:
        assert await through(port, client, V1, source="127.0.0.2") is None
        assert await through(port, client, V2, source="127.0.0.2") is None
        wire = await through(port, client, b"", source="127.0.0.2")
        assert wire is not None
        await wire.begin()
        await wire.send(b"Hi\r\n.\r\n")
        await wire.reply()
        wire.close()
        assert intake.taken[0][0].client.address == "127.0.0.2"
    finally:
        await gateway.close()


@on_both_loops
async def test_behind_a_balancer_each_client_is_counted_for_itself(tmp_path):
    server, client = tls_contexts(tmp_path)
    other = V1.replace(b"192.0.2.7", b"192.0.2.8")
    gateway, _, port = await opened(server, trusted_peers=BALANCER, sessions_per_address=2)
    try:
        inside = [await through(port, client, header) for header in (V1, V1, other)]
        assert all(inside)
        assert await through(port, client, V1) is None
        inside[0].close()
        await inside[0].writer.wait_closed()
        async with asyncio.timeout(PATIENCE):
            while (wire := await through(port, client, V1)) is None:
                pass  # each look is a connection of its own
        inside[0] = wire
        for each in inside:
            each.close()
            await each.writer.wait_closed()
    finally:
        await gateway.close()


@on_both_loops
async def test_a_balancer_that_says_nothing_is_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(handshakes, "_SECONDS", 0.05)
    server, _ = tls_contexts(tmp_path)
    gateway, _, port = await opened(server, trusted_peers=BALANCER)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(V1[:20])
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        writer.close()
        assert not gateway._handshakes._shaking
    finally:
        await gateway.close()
