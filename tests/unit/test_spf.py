"""The public suite for RFC 7208 (openspf.org, release 2014.04), through our own resolver.

The zones of the suite are published on our name server. Of an answer only the result is
compared: we never fetch explanations.
"""

import ipaddress
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import yaml

from letterbox.adapters.dns import DnsResolver
from letterbox.demo.dns import DnsServer
from letterbox.identity.spf import check_host, check_path
from letterbox.model.address import Address
from letterbox.model.envelope import Client
from tests.support.shared import SHARED, shared

SUITE = SHARED / "vectors" / "rfc7208-tests.yml"
ALL = 203


def documents() -> list[dict[str, Any]]:
    if not SUITE.exists():
        return []
    return list(yaml.load_all(SUITE.read_text(encoding="utf-8"), Loader=yaml.BaseLoader))


def cases() -> Iterator[Any]:
    for number, document in enumerate(documents()):
        for name, case in document["tests"].items():
            yield pytest.param(document["zonedata"], case, id=f"{number}-{name}")


def octets(text: str) -> str:
    """The suite writes octets as code points below 256."""
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


def zone(data: dict[str, Any]) -> DnsServer:
    """Publish a zone: TXT takes over SPF where it has none of its own; TIMEOUT is silence."""
    server = DnsServer({})
    for name, entries in data.items():
        records: dict[str, list[str]] = {}
        timeout = False
        for entry in entries:
            if entry == "TIMEOUT":
                timeout = True
                continue
            [(record, value)] = entry.items()
            if record in ("TXT", "SPF"):
                value = octets("".join(value) if isinstance(value, list) else value)
            elif record == "MX":
                value = f"{value[0]} {value[1] or '.'}"
            records.setdefault(record, []).append(value)
        if "TXT" not in records:
            records["TXT"] = records.get("SPF", [])
        records["TXT"] = [text for text in records["TXT"] if text != "NONE"]
        for record, values in records.items():
            if record != "SPF" and values:
                server.publish(name, record, values)
        for record in ("TXT", "A", "AAAA", "MX", "PTR"):
            if timeout and not records.get(record):
                server.fault(name, "silent", record)
    return server


async def ask_suite(data: dict[str, Any], case: dict[str, Any]) -> str:
    server = zone(data)
    resolver = DnsResolver([await server.start()], timeout=0.3)
    local, _, domain = case["mailfrom"].rpartition("@")
    try:
        result, _ = await check_host(
            resolver,
            ipaddress.ip_address(case["host"]),
            domain or case["helo"],
            local=local,
            helo=case["helo"],
        )
    finally:
        await resolver.close()
        await server.close()
    return result


def test_the_suite_is_whole() -> None:
    shared("vectors/rfc7208-tests.yml")
    assert len(list(cases())) == ALL


@pytest.mark.parametrize(("data", "case"), list(cases()))
async def test_suite(data, case) -> None:
    wanted = case["result"]
    assert await ask_suite(data, case) in ([wanted] if isinstance(wanted, str) else wanted)


RECORDS = {
    "greenleaf.example": {"TXT": ["v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"]},
    "mta.greenleaf.example": {"TXT": ["v=spf1 a -all"], "A": ["192.0.2.9"]},
    "broken.example": {"TXT": ["v=spf1 include:silent.example -all"]},
}


@pytest.fixture
async def resolver() -> AsyncIterator[DnsResolver]:
    server = DnsServer(RECORDS)
    server.fault("silent.example", "servfail")
    resolver = DnsResolver([await server.start()], timeout=0.3)
    yield resolver
    await resolver.close()
    await server.close()


PATHS = [
    ("192.0.2.7", "mta.greenleaf.example", "shop@greenleaf.example", "pass", "mailfrom"),
    ("::ffff:192.0.2.7", "mta.greenleaf.example", "shop@greenleaf.example", "pass", "mailfrom"),
    ("2001:db8::7", "mta.greenleaf.example", "shop@greenleaf.example", "pass", "mailfrom"),
    ("198.51.100.1", "mta.greenleaf.example", "shop@greenleaf.example", "fail", "mailfrom"),
    ("192.0.2.9", "mta.greenleaf.example", None, "pass", "helo"),
    ("192.0.2.8", "mta.greenleaf.example", None, "fail", "helo"),
    ("192.0.2.9", "[192.0.2.9]", None, "none", "helo"),
    ("192.0.2.9", "localhost", None, "none", "helo"),
    ("", "mta.greenleaf.example", "shop@greenleaf.example", "none", "mailfrom"),
    ("192.0.2.9", "x", "shop@nowhere.example", "none", "mailfrom"),
    ("192.0.2.9", "x", "shop@broken.example", "temperror", "mailfrom"),
]


@pytest.mark.parametrize(("address", "helo", "path", "result", "identity"), PATHS)
async def test_paths(resolver, address, helo, path, result, identity) -> None:
    reverse = Address(local=path.split("@")[0], domain=path.split("@")[1]) if path else None
    spf = await check_path(resolver, Client(address=address, helo=helo), reverse)
    assert (spf.result, spf.identity) == (result, identity)
