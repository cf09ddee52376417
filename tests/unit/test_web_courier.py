"""Posting to servers of others: where it goes, what it follows, how long it waits."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from letterbox.adapters.web import HttpCourier
from letterbox.ports.courier import WebAnswer, WebTrouble
from letterbox.ports.resolver import Answer, ResolverTrouble
from tests.support.nameserver import NameServer, resolving
from tests.support.receiver import receiving
from tests.support.signing import Zone
from tests.support.tls import tls_contexts

#: These stand for the Internet and for our own walls: both are loopback, nothing leaves.
OUTSIDE, INSIDE = "127.0.0.2", "127.0.0.3"
HOST = "hooks.example"


def courier(records=None, *, timeout=10.0, trust=None, resolver=None) -> HttpCourier:
    zone = resolver or Zone({HOST: records or {"A": [OUTSIDE]}})
    return HttpCourier(zone, timeout=timeout, allowed=lambda ip: ip == OUTSIDE, trust=trust)


def at(url: str, host: str = HOST) -> str:
    """The same server by its name."""
    return url.replace(OUTSIDE, host).replace(INSIDE, host)


@asynccontextmanager
async def talking(*said: bytes, address: str = OUTSIDE) -> AsyncIterator[str]:
    """A server that reads a little, says something whatever it was asked, and waits."""
    done = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        for each in said:
            writer.write(each)
        if said:
            await done.wait()
        writer.close()

    server = await asyncio.start_server(talk, address, 0)
    try:
        yield f"http://{address}:{server.sockets[0].getsockname()[1]}/hook"
    finally:
        done.set()
        server.close()
        await server.wait_closed()


async def trouble(courier: HttpCourier, url: str) -> str:
    with pytest.raises(WebTrouble) as raised:
        await courier.post(url, {}, b"{}")
    return raised.value.kind


async def test_it_posts_what_it_is_given():
    async with receiving(OUTSIDE) as receiver:
        receiver.answers = lambda _: web.Response(status=503, headers={"Retry-After": "120"})
        headers = {"webhook-id": "1", "Content-Type": "application/json"}
        answer = await courier().post(at(receiver.url) + "?a=%2F&b", headers, b'{"a":1}')
    assert answer == WebAnswer(status=503, retry_after="120")
    (call,) = receiver.calls
    assert (call.path, call.body) == ("/hook?a=%2F&b", b'{"a":1}')
    assert call.headers["Host"].startswith(HOST)
    assert {name.lower() for name in call.headers} == {
        *("host", "webhook-id", "content-type", "content-length", "user-agent", "connection")
    } - (set() if "Connection" in call.headers else {"connection"})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(status):
    async with receiving(OUTSIDE) as receiver:
        where = {"Location": at(receiver.url) + "/next"}
        receiver.answers = lambda _: web.Response(status=status, headers=where)
        assert (await courier().post(at(receiver.url), {}, b"{}")).status == status
        assert len(receiver.calls) == 1


async def test_no_cookie_and_no_proxy_is_taken(monkeypatch):
    async with receiving(OUTSIDE) as receiver, receiving(INSIDE) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        receiver.answers = lambda _: web.Response(headers={"Set-Cookie": "a=b"})
        post = courier()
        for _ in range(2):
            await post.post(at(receiver.url), {}, b"{}")
        assert "Cookie" not in receiver.calls[1].headers
        assert proxy.calls == []


@pytest.mark.parametrize("named", [True, False], ids=["by name", "as a literal"])
async def test_what_is_not_allowed_is_never_connected_to(named):
    async with receiving(INSIDE) as receiver:
        url = at(receiver.url) if named else receiver.url
        assert await trouble(courier({"A": [INSIDE]}), url) == "address"
        assert receiver.calls == []


async def test_the_last_look_is_at_the_socket():
    class Careless(HttpCourier):
        async def _addresses(self, host: str) -> tuple[str, ...]:
            return (INSIDE,)

    async with receiving(INSIDE) as receiver:
        for url in (at(receiver.url), receiver.url):
            careless = Careless(Zone({}), timeout=10, allowed=lambda ip: ip == OUTSIDE)
            assert await trouble(careless, url) == "connection"
        assert receiver.calls == []


async def test_of_several_addresses_the_allowed_ones_are_tried():
    async with receiving(OUTSIDE) as receiver:
        records = {"A": [INSIDE, OUTSIDE], "AAAA": ["::1"]}
        assert (await courier(records).post(at(receiver.url), {}, b"{}")).status == 204


async def test_a_name_that_changes_its_mind_leads_nowhere_else():
    """Rebinding: whoever asks twice is told something else."""

    class Turncoat:
        asked = 0

        async def ask(self, name: str, record: str) -> Answer:
            if record != "A":
                return Answer(values=())
            self.asked += 1
            return Answer(values=(OUTSIDE if self.asked == 1 else INSIDE,))

    turncoat = Turncoat()
    async with receiving(OUTSIDE) as receiver:
        port = receiver.url.rpartition(":")[2]
        inside = await asyncio.start_server(
            lambda *_: pytest.fail("inside"), INSIDE, int(port[:-5])
        )
        try:
            post = courier(resolver=turncoat)
            await post.post(at(receiver.url), {}, b"{}")
            assert turncoat.asked == 1
            assert await trouble(post, at(receiver.url)) == "address"
        finally:
            inside.close()
            await inside.wait_closed()
    assert len(receiver.calls) == 1


async def test_names_are_asked_of_the_name_servers_that_are_configured():
    server = NameServer({HOST: {"CNAME": ["else.example."]}, "else.example": {"A": [OUTSIDE]}})
    async with resolving(server) as resolver, receiving(OUTSIDE) as receiver:
        post = courier(resolver=resolver)
        assert (await post.post(at(receiver.url), {}, b"{}")).status == 204
        assert await trouble(post, at(receiver.url, "none.example")) == "name"


class Silent:
    """A resolver that has no answer."""

    async def ask(self, name: str, record: str) -> Answer:
        raise ResolverTrouble("no answer")


async def test_without_an_answer_of_the_dns_there_is_no_call():
    assert await trouble(courier(resolver=Silent()), f"http://{HOST}:1/") == "name"


@pytest.mark.parametrize(
    "said",
    [
        (),  # taken, and never answered
        (b"HTTP/1.1 200 OK\r\nX-A: ",),
        (b"HTTP/1.1 100 Continue\r\n\r\n",),
    ],
)
async def test_who_does_not_answer_is_not_waited_for(said):
    done = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.writelines(said)
        await done.wait()
        writer.close()

    server = await asyncio.start_server(hold, OUTSIDE, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        assert await trouble(courier(timeout=0.2), f"http://{HOST}:{port}/") == "timeout"
    finally:
        done.set()
        server.close()
        await server.wait_closed()


async def test_a_body_without_end_is_not_read():
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"4\r\nmore\r\n" * 1000
    async with talking(said) as url:
        assert (await courier().post(at(url), {}, b"{}")).status == 200


@pytest.mark.parametrize(
    "said",
    [
        b"220 mail.example ESMTP\r\n",
        b"\x00\xff\x00",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: a\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
    ],
    ids=["smtp", "octets", "a long field", "many fields", "no status"],
)
async def test_what_is_no_answer(said):
    async with talking(said) as url:
        assert await trouble(courier(), at(url)) == "answer"


async def test_who_hangs_up_has_not_answered():
    async with talking() as url:
        assert await trouble(courier(), at(url)) in {"answer", "connection"}


async def test_nobody_there():
    async with talking(b"") as url:
        pass
    assert await trouble(courier(), at(url)) == "connection"


async def test_certificates_are_checked_by_name(tmp_path):
    server, client = tls_contexts(tmp_path)
    records = {"letterbox.example": {"A": [OUTSIDE]}, HOST: {"A": [OUTSIDE]}}
    async with receiving(OUTSIDE, ssl=server) as receiver:
        trusting = courier(resolver=Zone(records), trust=client)
        good = at(receiver.url, "letterbox.example")
        assert (await trusting.post(good, {}, b"{}")).status == 204
        assert await trouble(trusting, at(receiver.url)) == "tls"
        strict = courier(resolver=Zone(records), trust=ssl.create_default_context())
        assert await trouble(strict, good) == "tls"
        assert len(receiver.calls) == 1


async def test_what_a_receiver_says_is_kept_short():
    async with receiving(OUTSIDE) as receiver:
        receiver.answers = lambda _: web.Response(headers={"Retry-After": "9" * 3000})
        answer = await courier().post(at(receiver.url), {}, b"{}")
    assert len(answer.retry_after) == 100
