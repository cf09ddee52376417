"""Our resolver against a name server that misbehaves in every way there is."""

import asyncio

import pytest

from letterbox.ports.resolver import Answer, ResolverTrouble
from tests.support.nameserver import NameServer, resolving

LONG = "v=DKIM1; p=" + "A" * 3000
RECORDS = {
    "shop.example": {"TXT": ["v=spf1 -all"], "A": ["192.0.2.1"]},
    "long.example": {"TXT": [LONG]},
    "alias.example": {"CNAME": ["second.example"]},
    "second.example": {"CNAME": ["shop.example"]},
    "loop.example": {"CNAME": ["pool.example"]},
    "pool.example": {"CNAME": ["loop.example"]},
    "lost.example": {"CNAME": ["gone.example"]},
    "below.there.example": {"A": ["192.0.2.2"]},
    "*.wide.example": {"TXT": ["v=spf1 +all"]},
}
SPF = Answer(values=(b"v=spf1 -all",))


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("shop.example", SPF),
        ("alias.example", SPF),
        ("long.example", Answer(values=(LONG.encode(),))),
        ("a.b.wide.example", Answer(values=(b"v=spf1 +all",))),
        ("there.example", Answer(values=())),
        ("gone.example", Answer(values=(), exists=False)),
        ("lost.example", Answer(values=(), exists=False)),
    ],
)
async def test_what_is_answered(name, answer):
    async with resolving(NameServer(RECORDS)) as resolver:
        assert await resolver.ask(name, "TXT") == answer


@pytest.mark.parametrize(
    ("mode", "answer"),
    [
        ("nxdomain", Answer(values=(), exists=False)),
        ("nodata", Answer(values=())),
        ("truncated", SPF),
        ("forged", SPF),
        ("servfail", None),
        ("refused", None),
        ("silent", None),
        ("lying", None),
        ("garbage", None),
    ],
)
async def test_modes(mode, answer):
    server = NameServer(RECORDS)
    server.behave(mode, "shop.example")
    async with resolving(server, patience=0.3) as resolver:
        if answer is None:
            with pytest.raises(ResolverTrouble, match=r"shop\.example TXT"):
                await resolver.ask("shop.example", "TXT")
        else:
            assert await resolver.ask("shop.example", "TXT") == answer
        assert bool(server.over_tcp) == (mode == "truncated")
        server.behave(None, "shop.example")
        assert (await resolver.ask("shop.example", "A")).values == ("192.0.2.1",)


async def test_a_loop_of_aliases_comes_to_an_end():
    async with resolving(NameServer(RECORDS), patience=0.5) as resolver:
        try:
            assert not (await resolver.ask("loop.example", "TXT")).values
        except ResolverTrouble as trouble:
            assert "loop.example" in str(trouble)  # noqa: PT017 - either is well


async def test_who_is_slow_keeps_nobody_else_waiting():
    server = NameServer(RECORDS)
    server.behave("slow", "shop.example")
    async with resolving(server, patience=20) as resolver:
        waiting = asyncio.create_task(resolver.ask("shop.example", "TXT"))
        assert (await resolver.ask("x.wide.example", "TXT")).values
        assert not waiting.done()
        server.release.set()
        assert await waiting == SPF
