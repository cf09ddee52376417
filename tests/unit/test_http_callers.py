"""How much one address and one key may ask, and whom a proxy speaks for."""

import asyncio

import pytest

from letterbox.model.configuration import Configuration, HttpSection
from tests.support.api import Api, open_api


def section(**limits) -> Configuration:
    return Configuration(http=HttpSection(**limits))


async def ask(api: Api, *, who: str | None = None, path: str = "/", **headers: str) -> int:
    reply = await api.call("GET", path, who=who, headers=headers)
    if reply.status == 429:
        assert reply.headers["Retry-After"] == "1"
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert reply.json["type"].endswith("#too-many")
    return reply.status


async def test_an_address_may_ask_so_often_in_a_second():
    async with open_api(configuration=section(requests_per_address=5)) as api:
        assert [await ask(api) for _ in range(7)] == [200] * 5 + [429] * 2
        # Whatever it asks, and whoever it says it is.
        assert await ask(api, path="/v1/me/inbox", who="anna") == 429
        assert await ask(api, **{"X-Forwarded-For": "192.0.2.1"}) == 429
        api.house.clock.advance(seconds=1)
        assert [await ask(api) for _ in range(6)] == [200] * 5 + [429]


async def test_what_leads_nowhere_counts_too():
    async with open_api(configuration=section(requests_per_address=3)) as api:
        paths = ["/nowhere", "/v1/nothing", "/"]
        assert [await ask(api, path=path) for path in paths] == [404, 404, 200]
        assert [await ask(api, path=path) for path in paths] == [429] * 3


async def test_what_operators_ask_is_not_counted():
    async with open_api(configuration=section(requests_per_address=1)) as api:
        assert await ask(api) == 200
        assert [await ask(api, path="/healthz") for _ in range(5)] == [200] * 5


async def test_a_key_may_be_used_so_often_wherever_it_is_shown():
    configuration = section(requests_per_key=3, proxies=("127.0.0.0/8",))
    async with open_api(configuration=configuration) as api:
        path = "/v1/me/inbox"
        asked = [
            await ask(api, path=path, who="anna", **{"X-Forwarded-For": f"192.0.2.{nth}"})
            for nth in range(5)
        ]
        assert asked == [200] * 3 + [429] * 2
        assert await ask(api, path=path, who="ben") == 200


async def test_a_wrong_key_counts_for_many():
    async with open_api(configuration=section(requests_per_address=41)) as api:
        wrong = {"Authorization": "Bearer lbk_00000000_nothing"}
        asked = [await ask(api, path="/v1/vendor", **wrong) for _ in range(4)]
        assert asked == [401, 401, 429, 429]


#: What a proxy says, and who is counted.
HOPS = [
    ("192.0.2.1", "192.0.2.1"),
    ("192.0.2.1:4242", "192.0.2.1"),
    ("[2001:db8::1]:4242", "2001:db8::1"),
    ("nobody", "127.0.0.1"),
    ("", "127.0.0.1"),
    ("198.51.100.9, 192.0.2.1", "192.0.2.1"),  # what the caller wrote itself stands first
    ("198.51.100.9, 192.0.2.1, 10.0.0.7", "192.0.2.1"),  # through a second proxy of ours
    ("10.0.0.7", "10.0.0.7"),
    ("nonsense, 10.0.0.7", "10.0.0.7"),
    ("2001:db8::1", "2001:db8::1"),
    ("[2001:db8::1]", "2001:db8::1"),
    ("::ffff:192.0.2.1", "192.0.2.1"),
    ("192.0.2.1," * 400, "127.0.0.1"),
]


@pytest.mark.parametrize(("said", "client"), HOPS)
async def test_whom_a_proxy_speaks_for(said, client, capsys):
    configuration = section(proxies=("127.0.0.1", "10.0.0.0/8"))
    async with open_api(configuration=configuration) as api:
        await ask(api, **{"X-Forwarded-For": said})
        assert f"client={client} " in capsys.readouterr().out


async def test_nobody_else_speaks_for_anybody(capsys):
    async with open_api(configuration=section(proxies=("10.0.0.7",))) as api:
        await ask(api, **{"X-Forwarded-For": "192.0.2.1"})
        assert "client=127.0.0.1 " in capsys.readouterr().out


async def test_addresses_of_one_subnet_are_one():
    configuration = section(requests_per_address=1, proxies=("127.0.0.1",))
    async with open_api(configuration=configuration) as api:
        asked = [
            await ask(api, **{"X-Forwarded-For": said})
            for said in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "192.0.2.1", "192.0.2.2")
        ]
        assert asked == [200, 429, 200, 200, 200]


async def test_a_hundred_at_once_are_counted_one_by_one():
    async with open_api(configuration=section(requests_per_address=40)) as api:
        asked = await asyncio.gather(*(ask(api) for _ in range(100)))
        assert sorted(asked) == [200] * 40 + [429] * 60
