"""Connections, operators' pages, and the end."""

import asyncio

import msgspec
import pytest

from letterbox.gateways.http import AdminGateway
from letterbox.model.configuration import AdminSection, Configuration, HttpSection
from letterbox.ports.store import StoreUnavailable
from tests.support.api import PRUNERS, open_api, parts_of
from tests.support.house import open_house

NOT_HTTP = [
    b"EHLO there\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 10_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n",
]


@pytest.mark.parametrize("sent", NOT_HTTP, ids=range(len(NOT_HTTP)))
async def test_what_is_no_http_gets_a_problem_document_and_the_door(sent):
    async with open_api() as api:
        answer = await api.raw(sent)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b" 400 " in head.split(b"\r\n")[0]
        assert b"application/problem+json" in head
        assert b"aiohttp" not in answer
        assert body.startswith(b'{"type":')
        # The next one is served as ever.
        assert (await api.call("GET", "/healthz")).status == 200


@pytest.mark.parametrize("name", ["Content-Type", "Host"])
async def test_a_field_that_stands_there_twice_is_named(name):
    async with open_api() as api:
        fields = "Host: x\r\nContent-Type: application/json\r\nContent-Length: 0\r\n"
        sent = f"POST /v1/messages HTTP/1.1\r\n{fields}{name}: 0\r\n\r\n"
        body = (await api.raw(sent.encode())).partition(b"\r\n\r\n")[2]
        problem = msgspec.json.decode(body)
        assert problem["status"] == 400
        assert problem["detail"] == f"there are two fields {name}; send one"


async def test_a_body_that_is_not_framed_is_refused():
    async with open_api() as api:
        key = await api.credential("greenleaf")
        answer = await api.raw(
            f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".encode()
        )
        assert b" 400 " in answer.split(b"\r\n")[0]


async def test_one_who_leaves_in_mid_body_harms_nobody():
    async with open_api() as api:
        key = await api.credential("greenleaf")
        host, _, port = api.address.rpartition(":")
        for _ in range(3):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
                "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
            )
            writer.close()
            await writer.wait_closed()
        assert (await api.send()).status == 200


async def test_a_body_is_asked_for_where_the_client_waits_to_be_asked():
    async with open_api() as api:
        key = await api.credential("greenleaf")
        host, _, port = api.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        assert (await reader.read()).startswith(b"HTTP/1.1 422 ")
        writer.close()
        await writer.wait_closed()


async def test_a_connection_too_many_is_told_so():
    configuration = Configuration(http=HttpSection(max_connections=2))
    async with open_api(configuration=configuration) as api:
        host, _, port = api.address.rpartition(":")
        first = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
        for _, writer in first:
            # An answer shows that the connection has been taken.
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        for reader, _ in first:
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        reader, third = await asyncio.open_connection(host, int(port))
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After" in answer
        for _, writer in (*first, (None, third)):
            writer.close()
            await writer.wait_closed()


# ---- operators --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_operators_ask_from_this_machine_alone(path):
    async with open_api() as api:
        assert (await api.call("GET", path)).status == 200
        for proxied in ({"X-Forwarded-For": "192.0.2.7"}, {"Forwarded": "for=192.0.2.7"}):
            assert (await api.call("GET", path, headers=proxied)).status == 404


async def test_with_an_address_of_their_own_operators_are_not_served_here():
    configuration = Configuration(admin=AdminSection(listen="127.0.0.1:0"))
    async with open_api(configuration=configuration) as api:
        assert (await api.call("GET", "/metrics")).status == 404
        admin = AdminGateway(parts_of(api.house.app))
        address = await admin.start("127.0.0.1:0")
        try:
            async with api.session.get(f"http://{address}/metrics") as reply:
                assert reply.status == 200
                assert "letterbox_sessions" in await reply.text()
            async with api.session.get(f"http://{address}/v1/me/inbox") as reply:
                assert reply.status == 404
        finally:
            await admin.drain(1)


async def test_sessions_are_counted_while_they_are_open():
    async with open_api() as api:
        await api.call("GET", "/healthz")
        text = (await api.call("GET", "/metrics")).body.decode()
        assert 'letterbox_sessions{edge="http"} 1.0' in text


# ---- the end ----------------------------------------------------------------------------------


class Slow:
    """An intake that is in mid-message until told to go on."""

    def __init__(self, real):
        self.real = real
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()

    async def receive(self, envelope, content, submission=None):
        self.began.set()
        await self.go_on.wait()
        return await self.real.receive(envelope, content, submission)


async def test_what_was_begun_is_finished_and_nothing_new_is_taken():
    async with open_api() as api:
        slow = Slow(api.house.app.intake)
        gateway = type(api.gateway)(parts_of(api.house.app, intake=slow))
        address = await gateway.start("127.0.0.1:0")
        headers = {"Authorization": f"Bearer {await api.credential('greenleaf')}"}

        async def post():
            url = f"http://{address}/v1/messages"
            async with api.session.post(url, json=PRUNERS, headers=headers) as reply:
                return reply.status

        sending = asyncio.ensure_future(post())
        await slow.began.wait()
        draining = asyncio.ensure_future(gateway.drain(10))
        await gateway.draining.wait()
        slow.go_on.set()
        assert await sending == 200
        await draining
        host, _, port = address.rpartition(":")
        with pytest.raises(ConnectionError):
            await asyncio.open_connection(host, int(port))


async def test_where_another_process_takes_over_clients_are_told_to_connect_anew():
    async with open_api() as api:
        gateway = type(api.gateway)(parts_of(api.house.app))
        address = await gateway.start("127.0.0.1:0")
        url = f"http://{address}/healthz"
        async with api.session.get(url) as reply:
            assert "Connection" not in reply.headers
        draining = asyncio.ensure_future(gateway.drain(10, grace=20))
        await asyncio.sleep(0)
        # The connection is there still; after this answer nobody is, and no grace is needed.
        async with api.session.get(url) as reply:
            assert (reply.status, reply.headers["Connection"]) == (200, "close")
        async with asyncio.timeout(10):
            await draining


async def test_a_closing_house_is_not_ready():
    async with open_api() as api:
        api.gateway.draining.set()
        assert (await api.call("GET", "/readyz")).status == 503
        assert (await api.call("GET", "/healthz")).status == 200


async def test_a_store_that_cannot_write_is_not_ready(monkeypatch):
    async with open_api() as api:
        assert (await api.call("GET", "/readyz")).status == 200

        async def full(*_):
            raise StoreUnavailable("disk full")

        monkeypatch.setattr(api.house.app.store, "commit", full)
        assert (await api.call("GET", "/readyz")).status == 503


async def test_it_listens_on_ipv6_too():
    async with open_house() as house:
        gateway = AdminGateway(parts_of(house.app))
        address = await gateway.start("[::1]:0")
        assert address.startswith("[::1]:")
        await gateway.drain(1)
