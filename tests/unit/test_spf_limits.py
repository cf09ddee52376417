"""SPF's limits at one less, exact and one more; what is passing and what is not; addresses."""

import ipaddress
import itertools

import pytest

from letterbox.identity.spf import check_host
from tests.support.nameserver import NameServer, resolving

HERE = "192.0.2.1"


async def check(records, *, ip=HERE, domain="shop.example", modes=None):
    """The result, its cause, and how many questions it took."""
    zone = {name: {"TXT": [v]} if isinstance(v, str) else v for name, v in records.items()}
    server = NameServer(zone)
    for name, mode in (modes or {}).items():
        server.behave(mode, name)
    async with resolving(server, patience=0.3) as resolver:
        result, detail = await check_host(
            resolver, ipaddress.ip_address(ip), domain, local="a", helo="mta.shop.example"
        )
    return result, detail, len(server.asked)


def chain(length: int) -> dict[str, str]:
    """Records that include one another, the last of which lets the client in."""
    names = ["shop.example", *(f"i{n}.example" for n in range(1, length + 1))]
    records = {name: f"v=spf1 include:{after} -all" for name, after in itertools.pairwise(names)}
    return records | {names[-1]: f"v=spf1 ip4:{HERE} -all"}


# RFC 7208, section 4.6.4: a, mx, ptr, include, exists and redirect count, ten in all.
TERMS = [
    ("includes", chain, "pass"),
    ("a", lambda n: {"shop.example": "v=spf1 " + "a:x.example " * n + "?all"}, "neutral"),
    ("mx", lambda n: {"shop.example": "v=spf1 " + "mx:x.example " * n + "?all"}, "neutral"),
    ("exists", lambda n: {"shop.example": "v=spf1 " + "exists:y.example " * n + "?all"}, "pass"),
    ("ptr", lambda n: {"shop.example": "v=spf1 " + "ptr " * n + "?all"}, "neutral"),
    (
        "redirect",
        lambda n: {
            "shop.example": "v=spf1 " + "a:x.example " * (n - 1) + "redirect=r.example",
            "r.example": "v=spf1 ?all",
        },
        "neutral",
    ),
]
TARGETS = {
    "x.example": {"A": ["192.0.2.77"], "MX": ["10 m.example"]},
    "m.example": {"A": ["192.0.2.78"]},
    "y.example": {"A": ["127.0.0.2"]},
}


@pytest.mark.parametrize(("build", "within"), [t[1:] for t in TERMS], ids=[t[0] for t in TERMS])
@pytest.mark.parametrize("terms", [9, 10, 11])
async def test_ten_terms_may_ask(build, within, terms):
    result, detail, _ = await check(TARGETS | build(terms))
    if within == "pass" and build is not chain:
        terms = 1  # the first that matches ends it
    assert result == (within if terms <= 10 else "permerror"), detail
    assert ("more than 10 terms" in detail) == (terms > 10)


@pytest.mark.parametrize("ip", [HERE, "2001:db8::1"])
@pytest.mark.parametrize("voids", [1, 2, 3])
@pytest.mark.parametrize(
    "term", ["a:gone{n}.example", "mx:gone{n}.example", "exists:gone{n}.example"]
)
async def test_two_terms_may_find_nothing(term, voids, ip):
    terms = " ".join(term.format(n=n) for n in range(voids))
    result, detail, _ = await check({"shop.example": f"v=spf1 {terms} ?all"}, ip=ip)
    assert result == ("neutral" if voids <= 2 else "permerror")
    assert ("without an answer" in detail) == (voids > 2)


async def test_a_name_without_such_records_is_void_too():
    records = {"shop.example": "v=spf1 a:t1.example a:t2.example a:t3.example ?all"}
    records |= {f"t{n}.example": "no address" for n in (1, 2, 3)}
    assert (await check(records))[0] == "permerror"


@pytest.mark.parametrize("exchanges", [10, 11])
async def test_ten_exchanges_are_looked_at(exchanges):
    mx = [f"{n} m{n}.example" for n in range(exchanges)]
    hosts = {f"m{n}.example": {"A": ["192.0.2.9"]} for n in range(exchanges)}
    records = {"shop.example": {"TXT": ["v=spf1 mx ?all"], "MX": mx}} | hosts
    assert (await check(records))[0] == ("neutral" if exchanges <= 10 else "permerror")


async def test_of_more_than_ten_names_of_a_client_ten_are_looked_at():
    names = [f"n{n}.shop.example" for n in range(12)]
    hosts = {name: {"A": [HERE]} for name in names}
    reverse = {"1.2.0.192.in-addr.arpa": {"PTR": names}}
    result, _, asked = await check({"shop.example": "v=spf1 ptr -all"} | hosts | reverse)
    assert result == "pass"
    assert asked == 2 + 10


async def test_the_worst_record_takes_a_bounded_number_of_questions():
    mx = [f"{n} m{n}.example" for n in range(10)]
    hosts = {f"m{n}.example": {"A": ["192.0.2.9"]} for n in range(10)}
    records = {"shop.example": {"TXT": ["v=spf1 " + "mx " * 10 + "-all"], "MX": mx}} | hosts
    result, _, asked = await check(records)
    assert (result, asked) == ("fail", 12)  # answers are kept; without, it would be 111


LOOPS = [
    {"shop.example": "v=spf1 include:shop.example -all"},
    {"shop.example": "v=spf1 redirect=shop.example"},
    {"shop.example": "v=spf1 include:b.example -all", "b.example": "v=spf1 redirect=shop.example"},
]


@pytest.mark.parametrize("records", LOOPS)
async def test_loops_come_to_an_end(records):
    assert (await check(records))[0] == "permerror"


# What passes (temperror: nothing may be concluded) and what does not (permerror: a fault of the
# record's): sections 2.6.6 and 2.6.7.
ERRORS = [
    ("no answer", {"shop.example": "v=spf1 -all"}, {"shop.example": "silent"}, "temperror"),
    ("SERVFAIL", {"shop.example": "v=spf1 -all"}, {"shop.example": "servfail"}, "temperror"),
    ("REFUSED", {"shop.example": "v=spf1 -all"}, {"shop.example": "refused"}, "temperror"),
    ("another id", {"shop.example": "v=spf1 -all"}, {"shop.example": "lying"}, "temperror"),
    ("a forged answer first", {"shop.example": "v=spf1 -all"}, {"shop.example": "forged"}, "fail"),
    ("over TCP", {"shop.example": "v=spf1 -all"}, {"shop.example": "truncated"}, "fail"),
    ("no such name", {}, {}, "none"),
    ("no record", {"shop.example": "hello"}, {}, "none"),
    (
        "trouble with an include",
        {"shop.example": "v=spf1 include:i.example -all"},
        {"i.example": "servfail"},
        "temperror",
    ),
    (
        "trouble with an address",
        {"shop.example": "v=spf1 a:i.example -all"},
        {"i.example": "servfail"},
        "temperror",
    ),
    (
        "trouble behind what matches",
        {"shop.example": f"v=spf1 ip4:{HERE} include:i.example -all"},
        {"i.example": "servfail"},
        "pass",
    ),
    (
        "trouble with a client's names is no match",
        {"shop.example": "v=spf1 ptr -all"},
        {"1.2.0.192.in-addr.arpa": "servfail"},
        "fail",
    ),
    ("an include of nothing", {"shop.example": "v=spf1 include:i.example -all"}, {}, "permerror"),
    ("a redirect to nothing", {"shop.example": "v=spf1 redirect=i.example"}, {}, "permerror"),
    ("no term", {"shop.example": "v=spf1 nonsense -all"}, {}, "permerror"),
    (
        "a fault behind what matches",
        {"shop.example": f"v=spf1 ip4:{HERE} nonsense"},
        {},
        "permerror",
    ),
    (
        "a fault in an include",
        {"shop.example": "v=spf1 include:i.example -all", "i.example": "v=spf1 ip4:1 -all"},
        {},
        "permerror",
    ),
    (
        "two records",
        {"shop.example": {"TXT": ["v=spf1 -all", "v=spf1 ?all"]}},
        {},
        "permerror",
    ),
    (
        "an alias",
        {"shop.example": {"CNAME": ["o.example"]}, "o.example": "v=spf1 -all"},
        {},
        "fail",
    ),
]


@pytest.mark.parametrize(
    ("records", "modes", "wanted"), [case[1:] for case in ERRORS], ids=[case[0] for case in ERRORS]
)
async def test_what_passes_and_what_does_not(records, modes, wanted):
    result, detail, _ = await check(records, modes=modes)
    assert result == wanted, detail
    assert bool(detail) == (wanted in ("temperror", "permerror"))


ADDRESSES = [
    ("ip6:2001:db8::/32", "2001:db8::1", "pass"),
    ("ip6:2001:db8::/32", "2001:db9::1", "fail"),
    ("ip6:2001:db8::1", "2001:db8:0:0:0:0:0:1", "pass"),
    ("ip6:::ffff:192.0.2.1", "192.0.2.1", "fail"),  # IPv4 is never compared as IPv6
    ("ip4:192.0.2.1", "::ffff:192.0.2.1", "pass"),  # section 5: mapped addresses are IPv4
    ("ip4:192.0.2.1", "::ffff:c000:201", "pass"),
    ("a", "::ffff:192.0.2.1", "pass"),
    ("ip4:0.0.0.0/0", "2001:db8::1", "fail"),
    ("ip6:::/0", "192.0.2.1", "fail"),
    ("ip4:192.0.2.0/24", "192.0.2.255", "pass"),
    ("ip4:192.0.2.0/25", "192.0.2.255", "fail"),
    ("a", "192.0.2.1", "pass"),
    ("a", "2001:db8::a", "pass"),
    ("a//64", "2001:db8::b", "pass"),
    ("a//128", "2001:db8::b", "fail"),
    ("a/24//128", "192.0.2.200", "pass"),
    ("a/0", "203.0.113.9", "pass"),
    ("mx//64", "2001:db8::b", "pass"),
    ("mx", "192.0.2.3", "fail"),
    ("exists:%{ir}.%{v}.list.example", "192.0.2.1", "pass"),
    ("exists:%{i}.list.example", "2001:db8::1", "fail"),
]


@pytest.mark.parametrize(("term", "ip", "wanted"), ADDRESSES)
async def test_addresses(term, ip, wanted):
    records = {
        "shop.example": {
            "TXT": [f"v=spf1 {term} -all"],
            "A": ["192.0.2.1"],
            "AAAA": ["2001:db8::a"],
            "MX": ["10 m.example"],
        },
        "m.example": {"AAAA": ["2001:db8::c"], "A": ["192.0.2.2"]},
        "1.2.0.192.in-addr.list.example": {"A": ["127.0.0.2"]},
    }
    assert (await check(records, ip=ip))[0] == wanted
