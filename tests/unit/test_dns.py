"""The loopback name server and the resolver, against one another."""

import asyncio
from collections.abc import AsyncIterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from letterbox.adapters.dns import DnsResolver
from letterbox.demo.dns import DnsServer
from letterbox.ports.resolver import Answer, ResolverTrouble

LONG = "v=DKIM1; p=" + "A" * 3000
RECORDS = {
    "greenleaf.example": {
        "TXT": ["v=spf1 -all", "other"],
        "A": ["192.0.2.1", "192.0.2.2"],
        "AAAA": ["2001:db8::1"],
        "MX": ["20 b.greenleaf.example", "10 A.greenleaf.example"],
    },
    "alias.example": {"CNAME": ["greenleaf.example"]},
    "loop.example": {"CNAME": ["loop.example"]},
    "deep.below.greenleaf.example": {"A": ["192.0.2.3"]},
    "1.2.0.192.in-addr.arpa": {"PTR": ["greenleaf.example"]},
    "long._domainkey.greenleaf.example": {"TXT": [LONG]},
}


class Ticks:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    server = DnsServer(RECORDS, ttl=60)
    yield server
    await server.close()


@pytest.fixture
async def resolver(server: DnsServer, ticks: Ticks) -> AsyncIterator[DnsResolver]:
    resolver = DnsResolver([await server.start()], timeout=0.4, monotonic=ticks)
    yield resolver
    await resolver.close()


@pytest.mark.parametrize(
    ("name", "record", "answer"),
    [
        ("greenleaf.example", "A", Answer(values=("192.0.2.1", "192.0.2.2"))),
        ("GreenLeaf.Example.", "AAAA", Answer(values=("2001:db8::1",))),
        ("greenleaf.example", "TXT", Answer(values=(b"v=spf1 -all", b"other"))),
        (
            "greenleaf.example",
            "MX",
            Answer(values=("a.greenleaf.example", "b.greenleaf.example")),
        ),
        ("1.2.0.192.in-addr.arpa", "PTR", Answer(values=("greenleaf.example",))),
        ("alias.example", "AAAA", Answer(values=("2001:db8::1",))),
        ("alias.example", "PTR", Answer(values=())),
        ("greenleaf.example", "PTR", Answer(values=())),
        ("below.greenleaf.example", "A", Answer(values=())),
        ("nowhere.example", "A", Answer(values=(), exists=False)),
        ("empty..label.example", "A", Answer(values=(), exists=False)),
        ("", "A", Answer(values=(), exists=False)),
        ("x" * 64 + ".example", "A", Answer(values=(), exists=False)),
        (".".join(["x" * 50] * 6), "A", Answer(values=(), exists=False)),
        ("odd\\name with space.é.example", "A", Answer(values=(), exists=False)),
        ("long._domainkey.greenleaf.example", "TXT", Answer(values=(LONG.encode(),))),
    ],
)
async def test_answers(resolver: DnsResolver, name, record, answer) -> None:
    found = await resolver.ask(name, record)
    assert sorted(found.values) == sorted(answer.values)
    assert found.exists == answer.exists
    if record == "MX":
        assert found == answer


@pytest.mark.parametrize("kind", ["servfail", "silent"])
async def test_trouble_is_told_and_soon_forgotten(server, resolver, ticks, kind) -> None:
    server.fault("greenleaf.example", kind)
    with pytest.raises(ResolverTrouble, match=r"greenleaf\.example A"):
        await resolver.ask("greenleaf.example", "A")
    asked = len(server.asked)
    with pytest.raises(ResolverTrouble):
        await resolver.ask("greenleaf.example", "A")
    assert len(server.asked) == asked
    server.fault("greenleaf.example", None)
    ticks.now += 1.1
    assert (await resolver.ask("greenleaf.example", "A")).values


async def test_a_fault_may_be_one_types_alone(server, resolver) -> None:
    server.fault("greenleaf.example", "servfail", "TXT")
    server.fault("alias.example", "nxdomain")
    assert (await resolver.ask("greenleaf.example", "A")).values
    assert not (await resolver.ask("alias.example", "A")).exists
    with pytest.raises(ResolverTrouble):
        await resolver.ask("greenleaf.example", "TXT")


async def test_an_alias_that_goes_in_circles_is_trouble(resolver) -> None:
    with pytest.raises(ResolverTrouble):
        await resolver.ask("loop.example", "A")


@pytest.mark.parametrize("name", ["greenleaf.example", "nowhere.example"])
async def test_answers_are_kept_for_their_time(server, resolver, ticks, name) -> None:
    first = await resolver.ask(name, "A")
    ticks.now += 59
    assert await resolver.ask(name, "A") == first
    assert len(server.asked) == 1
    server.publish(name, "A", ["192.0.2.99"])
    ticks.now += 2
    assert (await resolver.ask(name, "A")).values == ("192.0.2.99",)


async def test_equal_questions_go_out_once(server, resolver) -> None:
    answers = await asyncio.gather(*(resolver.ask("greenleaf.example", "A") for _ in range(50)))
    assert len(server.asked) == 1
    assert len({answer.values for answer in answers}) == 1


async def test_an_asker_that_gives_up_leaves_the_question_to_others(server, resolver) -> None:
    server.fault("greenleaf.example", "silent")
    first = asyncio.create_task(resolver.ask("greenleaf.example", "A"))
    second = asyncio.create_task(resolver.ask("greenleaf.example", "A"))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(ResolverTrouble):
        await second
    assert first.cancelled()


async def test_the_cache_is_bounded(server, ticks) -> None:
    resolver = DnsResolver([await server.start()], capacity=2, monotonic=ticks)
    for name in ("a.example", "b.example", "a.example", "c.example", "a.example", "b.example"):
        await resolver.ask(name, "A")
    assert [name for name, _ in server.asked] == [
        "a.example",
        "b.example",
        "c.example",
        "b.example",
    ]


async def test_a_dead_server_is_stepped_over(server, ticks) -> None:
    silent = DnsServer({})
    silent.fault("greenleaf.example", "silent")
    resolver = DnsResolver([await silent.start(), await server.start()], timeout=1, monotonic=ticks)
    assert (await resolver.ask("greenleaf.example", "A")).values
    await silent.close()


class Plain(DnsServer):
    """Answers as it is told: with a rcode, records as in a zone file, and an SOA or none."""

    def __init__(self, rcode: str, answer: list[str], soa: str = "") -> None:
        super().__init__({})
        self.said = rcode, answer, soa

    def respond(self, wire: bytes, *, udp: bool) -> bytes:
        query = dns.message.from_wire(wire)
        self.asked.append((query.question[0].name.to_text(omit_final_dot=True), "A"))
        rcode, answer, soa = self.said
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        response.set_rcode(dns.rcode.from_text(rcode))
        for line in answer:
            name, ttl, kind, value = line.split()
            response.answer.append(dns.rrset.from_text(name, int(ttl), "IN", kind, value))
        if soa:
            name, ttl, least = soa.split()
            text = f"ns.invalid. nobody.invalid. 1 3600 600 86400 {least}"
            response.authority.append(dns.rrset.from_text(name, int(ttl), "IN", "SOA", text))
        return response.to_wire()


NAME = "greenleaf.example."
# what is answered; how many seconds it is kept
KEPT = [
    ("NOERROR", [f"{NAME} 60 A 192.0.2.1"], "", 60),
    ("NOERROR", [f"{NAME} 1 A 192.0.2.1"], "", 1),
    ("NOERROR", [f"{NAME} 0 A 192.0.2.1"], "", 0),
    ("NOERROR", [f"{NAME} 90000 A 192.0.2.1"], "", 3600),
    ("NOERROR", [f"{NAME} 20 CNAME x.example.", "x.example. 60 A 192.0.2.1"], "", 20),
    ("NOERROR", [f"{NAME} 0 CNAME x.example.", "x.example. 60 A 192.0.2.1"], "", 0),
    # RFC 2308, section 5: the lesser of the SOA's time to live and its minimum
    ("NXDOMAIN", [], f"{NAME} 60 200", 60),
    ("NXDOMAIN", [], f"{NAME} 200 60", 60),
    ("NOERROR", [], "example. 60 60", 60),
    ("NOERROR", [], ". 60 60", 60),
    ("NXDOMAIN", [], f"{NAME} 90000 90000", 300),
    ("NXDOMAIN", [], f"{NAME} 0 60", 0),
    ("NXDOMAIN", [f"{NAME} 20 CNAME x.example."], "example. 60 60", 20),
    # nothing bounds these
    ("NXDOMAIN", [], "", 0),
    ("NOERROR", [], "", 0),
    ("NXDOMAIN", [], "other.example. 60 60", 0),
    ("NXDOMAIN", [f"{NAME} 60 CNAME x.example."], "", 0),
    # RFC 9520, section 3.2
    ("SERVFAIL", [], "", 1),
    ("REFUSED", [], "", 1),
]


@pytest.mark.parametrize(("rcode", "answer", "soa", "seconds"), KEPT)
async def test_how_long_an_answer_is_kept(ticks, rcode, answer, soa, seconds) -> None:
    server = Plain(rcode, answer, soa)
    resolver = DnsResolver([await server.start()], timeout=5, monotonic=ticks)

    async def ask() -> bool:
        """Whether it had to ask."""
        before = len(server.asked)
        try:
            await resolver.ask("greenleaf.example", "A")
        except ResolverTrouble:
            assert rcode not in ("NOERROR", "NXDOMAIN")
        return len(server.asked) > before

    assert await ask()
    ticks.now += max(seconds - 0.1, 0)
    assert await ask() is not bool(seconds)
    ticks.now += 0.2
    assert await ask()
    await resolver.close()
    await server.close()


async def test_what_may_not_be_kept_takes_no_room(server, ticks) -> None:
    passing = Plain("NXDOMAIN", [])
    resolver = DnsResolver([await passing.start()], capacity=1, monotonic=ticks)
    passing.said = "NOERROR", ["kept.example. 60 A 192.0.2.1"], ""
    await resolver.ask("kept.example", "A")
    passing.said = "NXDOMAIN", [], ""
    await resolver.ask("gone.example", "A")
    assert (await resolver.ask("kept.example", "A")).values
    assert [name for name, _ in passing.asked] == ["kept.example", "gone.example"]
    await passing.close()


async def test_names_that_never_answer_do_not_keep_others_waiting(server, ticks) -> None:
    silent = [f"{number}.silent.example" for number in range(20)]
    for name in silent:
        server.fault(name, "silent")
    resolver = DnsResolver([await server.start()], timeout=60, most=4, fair=0.02, monotonic=ticks)
    waiting = [asyncio.create_task(resolver.ask(name, "A")) for name in silent]
    await asyncio.sleep(0)  # they ask first
    assert (await resolver.ask("greenleaf.example", "A")).values
    # The good one came last; four slow ones at most still have a place, the first gave theirs up.
    assert {name for name, _ in server.asked} == {*silent, "greenleaf.example"}
    given_up, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in given_up:
        with pytest.raises(ResolverTrouble, match="needed its place"):
            task.result()
    await resolver.close()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_slow_names_are_waited_for_where_there_is_room(server, ticks) -> None:
    silent = [f"{number}.silent.example" for number in range(3)]
    for name in silent:
        server.fault(name, "silent")
    resolver = DnsResolver([await server.start()], timeout=0.5, most=4, fair=0, monotonic=ticks)
    waiting = [asyncio.create_task(resolver.ask(name, "A")) for name in silent]
    for number in range(8):
        await resolver.ask(f"{number}.greenleaf.example", "A")
    for said in await asyncio.gather(*waiting, return_exceptions=True):
        assert "no answer within 0.5 s" in str(said)
    await resolver.close()


@pytest.mark.parametrize("server_text", ["127.0.0.1", "127.0.0.1:", "resolver:domain"])
def test_a_server_without_a_port_is_named(server_text) -> None:
    with pytest.raises(ValueError, match="host:port"):
        DnsResolver([server_text])
