"""``GET /v1/feedback`` as a stream of server-sent events, over a real socket."""

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest

from letterbox.gateways.http.feedback import READERS
from letterbox.model.configuration import Configuration, HttpSection
from letterbox.model.told import Event
from letterbox.ports.store import Append, Commit
from letterbox.records import places
from letterbox.records.coding import encode
from tests.support.api import open_api

DEAR = {"categories": ["home-garden/garden-tools"], "price": {"amount": "170", "currency": "EUR"}}
URL = "https://letterbox.example"


class Reader:
    """A client that reads a stream event by event."""

    def __init__(self, response):
        self.response = response

    async def block(self):
        """One block of lines, up to the empty one; None at the end of the stream."""
        lines = []
        async with asyncio.timeout(10):
            while line := await self.response.content.readline():
                if line == b"\n":
                    return lines
                lines.append(line.decode().removesuffix("\n"))
        return None

    async def event(self):
        """The next event by its fields; comments and the retry time are passed over."""
        while (lines := await self.block()) is not None:
            fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            if "data" in fields:
                return fields
        return None


@asynccontextmanager
async def streaming(api, path="/v1/feedback", *, who="greenleaf", **headers):
    fields = {"Accept": "text/event-stream", **headers}
    fields["Authorization"] = f"Bearer {await api.credential(who)}"
    async with api.session.get(path, headers=fields) as response:
        assert response.status == 200, await response.text()
        yield Reader(response)


def limited(**http):
    return Configuration(public_url=URL, http=HttpSection(**http))


async def refuse_one(api, reference):
    await api.send(offer=DEAR, reference=reference)
    await api.house.work()


async def test_events_come_as_they_happen_each_with_its_cursor_type_and_json():
    async with open_api() as api:
        await refuse_one(api, "before")
        async with streaming(api) as reader:
            assert reader.response.headers["Content-Type"] == "text/event-stream"
            assert reader.response.headers["Cache-Control"] == "no-store"
            assert reader.response.headers["X-Accel-Buffering"] == "no"
            assert await reader.block() == ["retry: 2000"]
            first = await reader.event()
            await refuse_one(api, "after")
            second = await reader.event()
        page = (await api.call("GET", "/v1/feedback", who="greenleaf")).json
    assert [json.loads(each["data"]) for each in (first, second)] == page["items"]
    assert [each["event"] for each in (first, second)] == ["message.refused"] * 2
    assert second["id"] == page["after"]


@pytest.mark.parametrize("by", ["field", "query", "both"])
async def test_a_stream_is_resumed_after_the_last_event_that_was_seen(by):
    async with open_api() as api:
        for name in ("one", "two", "three"):
            await refuse_one(api, name)
        async with streaming(api) as reader:
            seen = await reader.event()
        path = "/v1/feedback?after=" + {"field": "", "query": seen["id"], "both": "0"}[by]
        fields = {} if by == "query" else {"Last-Event-ID": seen["id"]}
        async with streaming(api, path, **fields) as reader:
            rest = [json.loads((await reader.event())["data"]) for _ in range(2)]
    assert [each["your_reference"] for each in rest] == ["two", "three"]


async def test_what_cannot_be_the_id_of_an_event_is_named():
    async with open_api() as api:
        fields = {"Accept": "text/event-stream", "Last-Event-ID": "x"}
        reply = await api.call("GET", "/v1/feedback", who="greenleaf", headers=fields)
        assert reply.status == 422
        assert reply.json["errors"][0]["path"] == "Last-Event-ID"


@pytest.mark.parametrize(
    ("accept", "type_"),
    [
        ("text/event-stream", "text/event-stream"),
        ("TEXT/Event-Stream;q=0.9, */*;q=0.1", "text/event-stream"),
        ("application/json, text/event-stream;q=0.5", "application/json"),
        ("text/event-stream;q=0", "application/json"),
        ("text/event-stream;q=x", "application/json"),
        ("*/*", "application/json"),
        ("text/*", "application/json"),
        (",;q=,", "application/json"),
    ],
)
async def test_a_stream_is_given_to_who_names_it(accept, type_):
    async with open_api() as api:
        fields = {"Accept": accept, "Authorization": f"Bearer {await api.credential('greenleaf')}"}
        async with api.session.get("/v1/feedback", headers=fields) as response:
            assert response.content_type == type_


async def test_head_tells_the_form_and_no_more():
    async with open_api() as api:
        reply = await api.call(
            "HEAD", "/v1/feedback", who="greenleaf", headers={"Accept": "text/event-stream"}
        )
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/event-stream")


async def test_a_quiet_stream_shows_that_it_lives():
    async with open_api() as api, streaming(api) as reader:
        assert await reader.block() == ["retry: 2000"]
        api.house.clock.advance(seconds=16)
        assert await reader.block() == [":"]


async def drain(api):
    api.gateway.draining.set()


async def revoke(api):
    key = await api.credential("greenleaf")
    await api.house.app.credentials.revoke(key[:12])
    api.house.clock.advance(seconds=16)


async def go_on_for_an_hour(api):
    api.house.clock.advance(hours=1)


@pytest.mark.parametrize("end", [drain, revoke, go_on_for_an_hour])
async def test_a_stream_ends_cleanly(end):
    async with open_api() as api, streaming(api) as reader:
        assert await reader.block() == ["retry: 2000"]
        await end(api)
        while (block := await reader.block()) is not None:
            assert block == [":"]


async def test_a_revoked_key_hears_of_nothing_more():
    async with open_api() as api, streaming(api) as reader:
        assert await reader.block() == ["retry: 2000"]
        other = await api.house.app.credentials.issue("key", "greenleaf", api.house.clock.now())
        await api.house.app.credentials.revoke((await api.credential("greenleaf"))[:12])
        api.credentials["greenleaf"] = other
        await refuse_one(api, "later")
        assert await reader.event() is None


async def test_a_vendor_streams_its_own_feed_alone():
    async with open_api() as api, streaming(api, who="voltshop") as reader:
        assert await reader.block() == ["retry: 2000"]
        await refuse_one(api, "greenleaf's")
        api.house.clock.advance(seconds=16)
        assert await reader.block() == [":"]


async def test_a_key_for_sending_reads_no_stream():
    async with open_api() as api:
        now = api.house.clock.now()
        key = await api.house.app.credentials.issue("key", "greenleaf", now, scopes=("send",))
        fields = {"Accept": "text/event-stream", "Authorization": f"Bearer {key}"}
        reply = await api.call("GET", "/v1/feedback", headers=fields)
        assert reply.status == 403


@pytest.mark.parametrize("how", ["stream", "wait"])
async def test_so_many_may_stay_and_one_more_when_one_has_left(how):
    async with (
        open_api(configuration=limited(feed_readers_per_vendor=2)) as api,
        streaming(api) as first,
        streaming(api) as second,
    ):
        assert await first.block() == await second.block() == ["retry: 2000"]
        path = "/v1/feedback" + ("?wait=60" if how == "wait" else "")
        fields = {"Accept": "text/event-stream"} if how == "stream" else {}
        reply = await api.call("GET", path, who="greenleaf", headers=fields)
        assert (reply.status, reply.headers["Retry-After"]) == (429, "10")
        # Who does not stay is not one of them, and neither is another vendor.
        assert (await api.call("GET", "/v1/feedback", who="greenleaf")).status == 200
        async with streaming(api, who="voltshop") as other:
            assert await other.block() == ["retry: 2000"]
        first.response.close()
        await readers(api, "greenleaf", lambda count: count < 2)
        async with streaming(api) as third:
            assert await third.block() == ["retry: 2000"]


async def readers(api, vendor, wanted):
    """Wait until the gateway counts as many as are wanted."""
    app = api.gateway._listener._runner.app
    async with asyncio.timeout(10):
        while not wanted(app[READERS][vendor]):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def test_all_who_stay_leave_half_of_the_connections():
    async with (
        open_api(configuration=limited(max_connections=4)) as api,
        streaming(api),
        streaming(api, who="voltshop"),
    ):
        reply = await api.call("GET", "/v1/feedback?wait=60", who="greenleaf")
        assert reply.status == 429


async def test_who_reads_nothing_is_cut_off():
    async with open_api(configuration=limited(body_timeout=0.2)) as api:
        key = await api.credential("greenleaf")
        events = tuple(
            Append(places.FEED, encode(event(n, your_reference="x" * 50_000))) for n in range(400)
        )
        await api.house.app.store.commit(Commit(places.vendor("greenleaf"), events))
        host, _, port = api.address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1024)
        head = "GET /v1/feedback HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
        writer.write(f"{head}Authorization: Bearer {key}\r\n\r\n".encode())
        await writer.drain()
        await readers(api, "greenleaf", lambda count: count)
        await readers(api, "greenleaf", lambda count: not count)
        writer.close()


def event(number, **fields):
    at = "2026-11-23T12:00:00Z"
    return msgspec.convert(
        {"id": f"{number:032x}", "type": "message.refused", "at": at, **fields}, Event
    )


async def test_however_many_wait_the_log_is_looked_at_as_often():
    looks = []
    for most in (1, 20):
        async with open_api() as api:
            await refuse_one(api, "before")
            waiting = [
                asyncio.ensure_future(
                    api.call("GET", "/v1/feedback?after=1&wait=60", who="greenleaf")
                )
                for _ in range(most)
            ]
            await readers(api, "greenleaf", lambda count, most=most: count == most)
            store, counted = api.house.app.store, Counter()
            read = store.log

            async def log(partition, name, *, after=0, limit=100, read=read, counted=counted):
                counted[partition] += 1
                return await read(partition, name, after=after, limit=limit)

            store.log = log
            await refuse_one(api, "after")
            replies = await asyncio.wait_for(asyncio.gather(*waiting), 10)
            assert {reply.json["items"][0]["your_reference"] for reply in replies} == {"after"}
            looks.append(counted[places.vendor("greenleaf")])
    assert looks[0] == looks[1]


async def test_a_stream_that_meets_what_it_cannot_read_breaks_off():
    async with open_api() as api, streaming(api) as reader:
        assert await reader.block() == ["retry: 2000"]
        broken = Append(places.FEED, b"\xc1")
        await api.house.app.store.commit(Commit(places.vendor("greenleaf"), (broken,)))
        with pytest.raises(aiohttp.ClientError):
            await reader.block()


async def test_a_stream_from_a_cursor_that_was_never_given_is_refused():
    async with open_api() as api:
        await refuse_one(api, "one")
        for field in ("99999", "2"):
            headers = {"Accept": "text/event-stream", "Last-Event-ID": field}
            reply = await api.call("GET", "/v1/feedback", who="greenleaf", headers=headers)
            assert reply.status == 422
            (error,) = reply.json["errors"]
            assert error["path"] == "Last-Event-ID"
            assert "after=0" in error["allowed"]
