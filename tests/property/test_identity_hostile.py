"""Whatever stands in mail and DNS, reading it ends well and proves nothing by accident."""

import asyncio
import ipaddress
from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st

from letterbox.identity.dkim import BadSignature, read_signature
from letterbox.identity.dkim_key import BadKey, read_key
from letterbox.identity.dmarc import read_policy
from letterbox.identity.spf import check_host
from letterbox.identity.spf_record import BadRecord, is_spf, parse_record
from letterbox.reading.mail import Field
from tests.support.signing import Zone

WORDS = (
    "a mx ptr all -all ~all ?all include: exists: redirect= exp= ip4: ip6: a: mx/ / // 24 0 33 "
    "192.0.2.0 ::1 %{s} %{l1r-} %{p} %{D} %{x} % %% evil.example %{i}.evil.example . = : é \0"
)
TERMS = st.sampled_from(WORDS.split())
SPF = st.lists(TERMS, max_size=12).map(lambda terms: ("v=spf1 " + "".join(terms)).encode())
SPACED = st.lists(TERMS, max_size=12).map(lambda terms: ("v=spf1 " + " ".join(terms)).encode())
RESULTS = {"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"}


@given(st.one_of(SPF, SPACED, st.binary(max_size=80).map(lambda tail: b"v=spf1 " + tail)))
def test_any_spf_record_is_read_or_refused(record: bytes) -> None:
    assert is_spf(record)
    with suppress(BadRecord):
        assert parse_record(record) is not None


@given(st.lists(SPACED, min_size=1, max_size=3), st.sampled_from(["192.0.2.1", "2001:db8::1"]))
def test_any_spf_record_comes_to_an_end(records: list[bytes], ip: str) -> None:
    texts = [record.decode("utf-8") for record in records]
    zone = Zone({"evil.example": {"TXT": texts[:1], "MX": ["evil.example"], "A": [ip]}})
    check = check_host(
        zone, ipaddress.ip_address(ip), "evil.example", local="a.b-c", helo="mta.evil.example"
    )
    result, detail = asyncio.run(check)
    assert result in RESULTS
    assert len(detail) <= 200
    assert len(zone.asked) < 130


ADDRESSES = st.one_of(st.ip_addresses(), st.sampled_from(["10.0.0.0", "::ffff:10.0.0.1", "::"]))


@given(ADDRESSES, ADDRESSES, st.integers(0, 128))
def test_networks_are_those_of_the_library(address, client, bits: int) -> None:
    address, client = (ipaddress.ip_address(str(each)) for each in (address, client))
    bits = min(bits, address.max_prefixlen)
    network = ipaddress.ip_network(f"{address}/{bits}", strict=False)
    zone = Zone({"a.example": {"TXT": [f"v=spf1 ip{address.version}:{network} -all"]}})
    check = check_host(zone, client, "a.example", local="a", helo="mta.a.example")
    seen = getattr(client, "ipv4_mapped", None) or client
    assert asyncio.run(check) == ("pass" if seen in network else "fail", "")


LABELS = st.lists(st.sampled_from(["", "a", "é" * 31, "é" * 32, "a" * 63, "a" * 64, "[a", "\n"]))


@given(LABELS)
@example(["a", "b", ""])
@example(["a", "b", "", ""])
def test_only_a_domain_is_asked_about(labels: list[str]) -> None:
    name = ".".join(labels)
    octets = [label.encode() for label in (labels[:-1] if labels[-1:] == [""] else labels)]
    is_domain = len(octets) > 1 and all(0 < len(each) <= 63 for each in octets)
    zone = Zone({})
    client = ipaddress.ip_address("192.0.2.1")
    asyncio.run(check_host(zone, client, name, local="a", helo="mta.a.example"))
    assert bool(zone.asked) == (is_domain and not name.startswith("["))


@given(st.binary(max_size=200))
def test_any_policy_is_read(record: bytes) -> None:
    policy = read_policy(record)
    assert policy is None or record.lstrip()[:1].lower() == b"v"


@given(st.binary(max_size=200))
def test_any_key_is_read_or_refused(record: bytes) -> None:
    with suppress(BadKey):
        assert read_key(record).kind in ("rsa", "ed25519")


FIELDS = (
    "v=1 a=rsa-sha256 d=evil.example d=é s=s1 h=from h=from:to b=AAAA i=@evil.example i=@é l=5 x=1 "
    "t=2 c=relaxed q=dns/txt z=a|b = \0 bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
)
TAGS = st.lists(
    st.sampled_from([*FIELDS.encode("latin-1").split(), b"", b"d=\xc3\xa9"]), max_size=14
)


@given(TAGS)
def test_any_signature_field_is_read_or_refused(tags: list[bytes]) -> None:
    raw = b"DKIM-Signature: " + b";\r\n ".join(tags) + b"\r\n"
    with suppress(BadSignature):
        signature = read_signature(Field(name="dkim-signature", raw=raw))
        assert signature.domain == "evil.example"
        assert "from" in signature.names
