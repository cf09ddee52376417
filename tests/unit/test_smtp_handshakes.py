"""TLS from the first octet: who has not agreed yet counts, and holds nobody up."""

import asyncio
import os
import resource
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from letterbox.adapters.clock import SystemClock
from letterbox.gateways.smtp import SmtpGateway, handshakes
from letterbox.metrics import Metrics
from letterbox.model.configuration import SmtpSection
from tests.support.tls import tls_contexts
from tests.support.wire import HOST, PATIENCE, StubIntake, StubPaths, on_both_loops


async def opened(server: ssl.SSLContext, **limits: int) -> tuple[SmtpGateway, Metrics, int]:
    metrics = Metrics()
    gateway = SmtpGateway(
        StubIntake(),
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
