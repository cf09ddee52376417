"""ARC and Authentication-Results: nothing changed and nothing made up proves anything."""

import asyncio
import functools

from hypothesis import given
from hypothesis import strategies as st

from letterbox.identity.arc import BadChain, read_chain, validate
from letterbox.identity.canon import Signable
from letterbox.identity.dkim import DkimVerifier
from letterbox.identity.results_field import read_results, read_sealed_results
from letterbox.reading.mail import split
from tests.support.sealing import Hop, forward
from tests.support.signing import NOW, Signer, Zone

HOPS = [Signer(domain=f"hop{number}.example") for number in range(5)]
ZONE = Zone({name: record for hop in HOPS for name, record in hop.records.items()})
MAIL = (
    b"From: Shop <shop@greenleaf.example>\r\nTo: anna@letterbox.example\r\nSubject: Shears\r\n"
    b"Date: Mon, 23 Nov 2026 11:00:00 +0000\r\nMessage-ID: <1@greenleaf.example>\r\n"
    b"\r\nSharp and cheap.\r\n"
)
BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@functools.cache
def chain(count: int) -> bytes:
    found = "dkim=pass header.d=greenleaf.example"
    return forward(MAIL, [Hop(hop, found) for hop in HOPS[:count]])


def status(raw: bytes) -> str:
    mail = split(raw)
    try:
        sets = read_chain(mail)
    except BadChain:
        return "fail"
    return asyncio.run(validate(DkimVerifier(), ZONE, Signable(mail), sets, NOW)).status


def visible(raw: bytes) -> list[int]:
    """Where a changed octet changes what is signed: no space, no padding, no bits unused."""
    return [
        at
        for at, octet in enumerate(raw)
        if 33 <= octet <= 126 and octet != ord("=") and raw[at + 1 : at + 2] != b"="
    ]


@given(st.integers(1, 5), st.data())
def test_a_changed_octet_breaks_a_chain(count: int, data: st.DataObject) -> None:
    raw = chain(count)
    assert status(raw) == "pass"
    at = data.draw(st.sampled_from(visible(raw)))
    other = data.draw(st.sampled_from([octet for octet in BASE64 if octet != raw[at]]))
    changed = raw[:at] + bytes([other]) + raw[at + 1 :]
    if changed.lower() == raw.lower() and split(changed).fields != split(raw).fields:
        return  # the letter case of a field's name, which is nothing
    assert status(changed) != "pass"


WORDS = (
    'r.example ; = . / ( ) \\ , " @ 1 2 i=1; none dkim dkim=pass spf=fail header.d=a.example '
    "reason=x smtp.mailfrom=a@b.example header . d é"
)
VALUES = st.lists(st.sampled_from([*WORDS.split(" "), " ", "\r\n ", "\r\n", "\0"]), max_size=14)


@given(st.one_of(st.binary(max_size=120), VALUES.map(lambda words: "".join(words).encode())))
def test_any_results_are_read_or_passed_over(value: bytes) -> None:
    results = read_results(value)
    assert results == read_sealed_results(b"i=1;" + value)
    for result in results.results if results else ():
        assert result.method == result.method.lower()
        assert result.result


SEALS = (
    "i=1 i=2 i=0 i=51 cv=none cv=pass cv=fail a=rsa-sha256 d=a.example s=s h=from h=arc-seal "
    "b=AAAA bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= = é \0"
)
TAGS = st.lists(st.sampled_from(SEALS.split(" ")), max_size=10)
NAMES = st.sampled_from(["ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"])


@given(st.lists(st.tuples(NAMES, TAGS), max_size=8))
def test_any_sets_are_read_or_refused(fields: list[tuple[str, list[str]]]) -> None:
    header = "".join(f"{name}: {'; '.join(tags)}\r\n" for name, tags in fields)
    assert status(header.encode() + MAIL) == ("fail" if fields else "none")
