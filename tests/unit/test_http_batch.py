"""Many messages in one call: NDJSON in, NDJSON out."""

import asyncio
import json
import socket
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import aiohttp
import msgspec
import pytest

from letterbox.gateways.http import batch
from letterbox.model.configuration import Configuration, HttpSection
from letterbox.records.rates import Rates
from tests.support.api import PRUNERS, Api, open_api
from tests.support.clock import FakeClock

NDJSON = {"Content-Type": "application/x-ndjson"}
PATIENCE = 20


def line(**changes: object) -> bytes:
    form = {k: v for k, v in (PRUNERS | changes).items() if v is not None}
    return json.dumps(form).encode()


async def post(api: Api, body: object, **headers: str):
    return await api.call(
        "POST", "/v1/messages/batch", who="greenleaf", data=body, headers=NDJSON | headers
    )


def read(body: bytes) -> list[dict]:
    assert body.endswith(b"\n")
    return [json.loads(each) for each in body.splitlines()]


@asynccontextmanager
async def posting(api: Api, body: object):
    """A batch that is open: what it says may be read while it is still being written."""
    headers = NDJSON | {"Authorization": f"Bearer {await api.credential('greenleaf')}"}
    async with api.session.post("/v1/messages/batch", data=body, headers=headers) as response:
        yield response


async def test_each_line_is_answered_in_its_place_and_harms_no_other():
    lines = [
        line(subject="First"),
        b"{not json",
        line(subject="Third", kind="rumour"),
        b"",
        b'"a text"',
        line(to=["nobody@letterbox.example", "ben@letterbox.example"], subject="Fifth"),
        b"\xff\xfe",
        line(subject="Last", surprise=1),
        line(subject="Real last", reference="r9"),
    ]
    async with open_api() as api:
        reply = await post(api, b"\r\n".join(lines))
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "application/x-ndjson"
        found = read(reply.body)
        assert [each.get("status", 200) for each in found] == [
            200, 400, 422, 422, 200, 400, 422, 200,
        ]  # fmt: skip
        verdicts = [[r["verdict"] for r in each.get("results", ())] for each in found]
        assert verdicts == [["deliver"], [], [], [], ["refuse", "deliver"], [], [], ["deliver"]]
        assert found[1]["type"].endswith("#malformed-json")
        assert found[2]["errors"][0]["path"] == "kind"
        assert "surprise" in found[6]["detail"]
        assert found[7]["results"][0]["your_reference"] == "r9"
        subjects = ["First", "Real last"]
        assert sorted(await api.house.inbox("anna")) == subjects
        assert await api.house.inbox("ben") == ["Fifth"]


async def test_the_reference_of_a_line_makes_it_one_message():
    lines = [line(reference=f"spring/{n}", subject=f"Offer {n}") for n in range(20)]
    body = b"\n".join(lines) + b"\n"
    async with open_api() as api:
        first, again = await post(api, body), await post(api, body)
        assert again.body == first.body
        at_once = await asyncio.gather(*(post(api, body) for _ in range(4)))
        assert {each.body for each in at_once} == {first.body}
        # As the call that a line would be by itself.
        alone = await api.call(
            "POST", "/v1/messages", who="greenleaf", data=lines[3],
            headers={"Content-Type": "application/json", "Idempotency-Key": "spring/3"},
        )  # fmt: skip
        assert alone.json == read(first.body)[3]
        assert len(await api.house.inbox("anna")) == 20
        other = await post(api, line(reference="spring/3", subject="Another"))
        (refused,) = read(other.body)
        assert (refused["status"], refused["type"].rpartition("#")[2]) == (422, "key-reused")


@pytest.mark.parametrize("reference", ["with spaces", "é", "x" * 200, "\U0001f331" * 50])
async def test_whatever_a_reference_is_written_in(reference):
    async with open_api() as api:
        body = line(reference=reference)
        first, again = await post(api, body), await post(api, body)
        assert first.body == again.body
        assert len(await api.house.inbox("anna")) == 1


async def test_two_lines_with_one_reference_are_one():
    async with open_api() as api:
        body = b"\n".join([line(reference="r")] * 50)
        found = read((await post(api, body)).body)
        assert len(found) == 50
        assert all(each == found[0] for each in found)
        assert len(await api.house.inbox("anna")) == 1


async def test_a_key_of_the_whole_counts_for_its_lines():
    async with open_api() as api:
        body = b"\n".join([line(subject="One"), line(subject="Two")])
        key = {"Idempotency-Key": "spring"}
        first, again = await post(api, body, **key), await post(api, body, **key)
        assert first.body == again.body
        assert len(await api.house.inbox("anna")) == 2
        assert (await post(api, body, **{"Idempotency-Key": "a b"})).status == 422
        new = await post(api, body)
        assert new.body != first.body
        assert len(await api.house.inbox("anna")) == 4


async def test_a_line_is_answered_before_the_next_is_sent():
    async with open_api() as api:
        heard = asyncio.Event()

        async def say():
            yield line(subject="One") + b"\n"
            await heard.wait()
            yield line(subject="Two")[:20]
            await asyncio.sleep(0)
            yield line(subject="Two")[20:]

        async with posting(api, say()) as response:
            first = await asyncio.wait_for(response.content.readline(), PATIENCE)
            assert json.loads(first)["results"][0]["verdict"] == "deliver"
            heard.set()
            second = await asyncio.wait_for(response.content.readline(), PATIENCE)
            assert json.loads(second)["results"][0]["verdict"] == "deliver"
            assert await response.content.read() == b""


async def test_too_many_lines(monkeypatch):
    monkeypatch.setattr(batch, "MOST_LINES", 3)
    async with open_api() as api:
        reply = await post(api, b"\n".join(line(subject=str(n)) for n in range(5)))
        found = read(reply.body)
        assert [each.get("status", 200) for each in found] == [200, 200, 200, 413]
        assert len(await api.house.inbox("anna")) == 3
        assert len(read((await post(api, b"\n\n".join([line()] * 3))).body)) == 3


async def test_a_line_that_is_too_long(monkeypatch):
    monkeypatch.setattr(batch, "_LONGEST_LINE", 2000)
    async with open_api() as api:
        body = b"\n".join([line(subject="One"), b"x" * 300_000, line(subject="Three")])
        found = read((await post(api, body)).body)
        assert [each.get("status", 200) for each in found] == [200, 413, 200]
        assert sorted(await api.house.inbox("anna")) == ["One", "Three"]
        end = read((await post(api, line() + b"\n" + b"x" * 300_000)).body)
        assert [each.get("status", 200) for each in end] == [200, 413]


async def test_a_slow_line_is_given_up():
    configuration = Configuration(http=HttpSection(body_timeout=0.2))
    async with open_api(configuration=configuration) as api:

        async def say():
            yield line() + b"\n"
            while True:
                yield b" "
                await asyncio.sleep(0.01)

        reply = await post(api, say())
        found = read(reply.body)
        assert [each.get("status", 200) for each in found] == [200, 408]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Authorization": "Bearer lbk_no"}, 401),
    ],
)
async def test_what_a_batch_may_not_carry(headers, status):
    async with open_api() as api:
        reply = await api.call(
            "POST", "/v1/messages/batch", data=line(),
            headers=NDJSON
            | {"Authorization": f"Bearer {await api.credential('greenleaf')}"}
            | headers,
        )  # fmt: skip
        assert reply.status == status
        assert reply.headers["Content-Type"] == "application/problem+json"


async def test_whoever_reads_no_answers_is_not_read_either(monkeypatch):
    """What is read but not answered stays bounded, and in the end the connection is given up."""
    begun = 0
    answered = batch._answered

    async def counted(*arguments):
        nonlocal begun
        begun += 1
        return await answered(*arguments) + b" " * 100_000 + b"\n"

    monkeypatch.setattr(batch, "_answered", counted)
    configuration = Configuration(http=HttpSection(body_timeout=0.5))
    async with open_api(configuration=configuration) as api:
        given_up = asyncio.Event()

        async def say():
            try:
                for _ in range(1000):
                    yield b"[]\n" * 1000
            finally:
                given_up.set()

        async with posting(api, say()):
            await asyncio.wait_for(given_up.wait(), PATIENCE)
        assert batch._AT_ONCE <= begun < 10 * batch._AT_ONCE
        assert (await api.send()).status == 200


async def test_a_client_may_write_it_all_first_and_read_afterwards():
    """As a blocking program does, which has no other way."""
    async with open_api() as api:
        key = await api.credential("greenleaf")
        lines = 9000
        body = b"[]\n" * lines  # each answered by a line seventy times as long

        def blocking() -> bytes:
            host, _, port = api.address.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=PATIENCE) as link:
                link.sendall(
                    b"POST /v1/messages/batch HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    b"Content-Type: application/x-ndjson\r\nAuthorization: Bearer " + key.encode()
                    + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
                )  # fmt: skip
                link.sendall(body)
                heard = b""
                while more := link.recv(65536):
                    heard += more
                return heard

        heard = await asyncio.to_thread(blocking)
        assert heard.count(b'"status":422') == lines


async def test_a_fault_of_ours_ends_it_without_a_second_answer(monkeypatch):
    async with open_api() as api:

        async def broken(*_):
            yield line(subject="One")
            raise RuntimeError("secret of the house")

        monkeypatch.setattr(batch, "_lines", broken)
        heard = b""
        with suppress(aiohttp.ClientError):
            async with posting(api, line()) as response:
                heard = await response.read()
        assert b"secret" not in heard
        assert b"our-fault" not in heard
        monkeypatch.undo()
        assert (await api.send()).status == 200


async def test_a_key_that_is_revoked_sends_no_further_line():
    async with open_api() as api:
        heard = asyncio.Event()

        async def say():
            yield line(subject="One") + b"\n"
            await heard.wait()
            yield line(subject="Two") + b"\n"

        key = await api.credential("greenleaf")
        async with posting(api, say()) as response:
            assert json.loads(await response.content.readline())["results"]
            assert await api.house.app.credentials.revoke(key[:12])
            heard.set()
            assert json.loads(await response.content.readline())["status"] == 401
        assert await api.house.inbox("anna") == ["One"]


async def test_so_many_batches_of_a_vendor_may_be_open():
    async with open_api() as api:
        end = asyncio.Event()

        async def say():
            yield line() + b"\n"
            await end.wait()

        async with AsyncExitStack() as stack:
            opened = [
                await stack.enter_async_context(posting(api, say()))
                for _ in range(batch._MOST_OPEN)
            ]
            assert {each.status for each in opened} == {200}
            full = await post(api, line())
            assert (full.status, full.headers["Retry-After"]) == (429, "10")
            end.set()
            for each in opened:
                await asyncio.wait_for(each.read(), PATIENCE)
        assert (await post(api, line())).status == 200


async def test_lines_that_say_nothing_keep_no_batch_open():
    configuration = Configuration(http=HttpSection(body_timeout=0.3))
    async with open_api(configuration=configuration) as api:

        async def say():
            while True:
                yield b"\n"
                await asyncio.sleep(0.01)

        found = read((await post(api, say())).body)
        assert [each["status"] for each in found] == [408]


async def test_a_line_too_long_counts_as_one(monkeypatch):
    monkeypatch.setattr(batch, "MOST_LINES", 2)
    monkeypatch.setattr(batch, "_LONGEST_LINE", 1000)
    async with open_api() as api:
        body = b"\n".join([b"[]", b"x" * 5000, *[b"[]"] * 20])
        found = read((await post(api, body)).body)
        assert [each["status"] for each in found] == [422, 413, 413]


async def test_whoever_waited_and_went_leaves_no_debt():
    clock = FakeClock()
    rates = Rates(clock, 2)
    waiting = [asyncio.ensure_future(rates.turn("greenleaf")) for _ in range(200)]
    await asyncio.sleep(0)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    clock.advance(seconds=1)
    assert rates.take("greenleaf")


async def test_what_comes_faster_than_a_vendor_may_send_waits_its_turn():
    waited = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    clock = FakeClock()
    rates = Rates(clock, 2, pause)
    for _ in range(5):
        await rates.turn("greenleaf")
    assert waited == [0.5, 1.0, 1.5]
    assert not rates.take("greenleaf")
    assert rates.take("voltshop")
    clock.advance(seconds=2)
    assert rates.take("greenleaf")
    assert not rates.take("greenleaf")


async def test_a_house_that_closes_answers_what_it_began():
    async with open_api() as api:
        taken = asyncio.Event()

        async def say():
            yield line(subject="One") + b"\n"
            await taken.wait()
            yield line(subject="Two")
            await asyncio.Event().wait()

        async with posting(api, say()) as response:
            assert json.loads(await response.content.readline())["results"]
            api.gateway.draining.set()
            assert await asyncio.wait_for(response.content.read(), PATIENCE) == b""
            taken.set()
        assert await api.house.inbox("anna") == ["One"]


def test_the_description_names_it():
    description = msgspec.json.decode(api_description())
    operation = description["paths"]["/v1/messages/batch"]["post"]
    assert "application/x-ndjson" in operation["requestBody"]["content"]


def api_description() -> bytes:
    from letterbox.gateways.http.routes import _DESCRIPTION

    return _DESCRIPTION
