"""What we hand on is sealed (RFC 8617), so that others verify it: dkimpy, and our own verifier."""

import dkim
import pytest

from letterbox.identity.arc import Chain
from letterbox.identity.domains import Domains
from letterbox.identity.prover import Prover
from letterbox.identity.signing import OwnSigner
from letterbox.reading.mail import split
from tests.support.clock import FakeClock
from tests.support.plain import shipment
from tests.support.sealing import seal
from tests.support.signing import NOW, Signer, Zone, rsa_key
from tests.unit.test_signing import MAIL, pem

OURS, FIRST, SECOND = (
    Signer(domain=domain, selector=selector)
    for domain, selector in (
        ("letterbox.example", "s1"),
        ("school.example", "a"),
        ("club.example", "b"),
    )
)
SIGNER = OwnSigner("letterbox.example", "s1", pem(rsa_key(2048)))
RESULTS = "letterbox.example; spf=pass smtp.mailfrom=greenleaf.example; dkim=none"
ZONE = Zone(OURS.records | FIRST.records | SECOND.records)


def ask(name: bytes, timeout: int = 5) -> bytes | None:
    found = ZONE.records.get(name.rstrip(b".").decode())
    return found["TXT"][0].encode() if found else None


def theirs(content: bytes) -> tuple[str, int]:
    """What another program says of the chain, and how many sets it has looked at."""
    status, sets, _ = dkim.arc_verify(content, dnsfunc=ask)
    # It gives up on a chain that says of itself that it fails.
    return (status or b"fail").decode(), len(sets or ())


async def chain_of(content: bytes) -> Chain:
    domains: Domains = shipment().domains
    return await Prover(ZONE, domains, "letterbox.example").chain(split(content), NOW)


@pytest.mark.parametrize("hops", [(), (FIRST,), (FIRST, SECOND)])
async def test_another_program_verifies_the_chain_with_our_set(hops) -> None:
    content = MAIL
    for nth, hop in enumerate(hops):
        content = seal(content, hop, f"arc={'pass' if nth else 'none'}; spf=pass")
    before = await chain_of(content)
    assert before.status == ("pass" if hops else "none")
    sealed = SIGNER.seal(content, RESULTS, before, NOW)
    assert sealed.endswith(content)
    assert theirs(sealed) == ("pass", len(hops) + 1)
    assert (await chain_of(sealed)).status == "pass"
    newest = split(sealed).all("arc-authentication-results")[0].value.decode()
    said = " ".join(newest.split())
    assert said == f"i={len(hops) + 1}; {RESULTS}; arc={before.status}"
    assert max(map(len, sealed.split(b"\r\n"))) < 120


async def test_what_is_added_on_the_way_does_not_break_it_and_what_is_changed_does() -> None:
    sealed = SIGNER.sign(MAIL, NOW)
    sealed = SIGNER.seal(sealed, RESULTS, Chain(status="none"), NOW)
    added = b"DKIM-Signature: v=1; a=rsa-sha256; d=x.example\r\nReceived: from y\r\n" + sealed
    assert theirs(added)[0] == "pass"
    assert theirs(sealed.replace(b"Undelivered", b"Delivered"))[0] == "fail"
    assert theirs(sealed + b"More\r\n")[0] == "fail"
    assert theirs(sealed.replace(b"spf=pass", b"spf=fail", 1))[0] == "fail"


async def test_a_chain_that_fails_is_said_to() -> None:
    broken = seal(MAIL, FIRST, "arc=none; spf=pass").replace(b"Undelivered", b"Delivered")
    found = await chain_of(broken)
    assert found.status == "fail"
    sealed = SIGNER.seal(broken, RESULTS, found, NOW)
    assert b"cv=fail" in split(sealed).all("arc-seal")[0].value
    # Nothing is added to a chain that says of itself that it fails (section 5.1.2).
    again = await chain_of(sealed)
    assert SIGNER.seal(sealed, RESULTS, again, NOW) == sealed
    assert theirs(sealed)[0] == "fail"


async def test_sets_that_cannot_be_told_apart_or_read_now_are_left_alone() -> None:
    twice = seal(MAIL, FIRST, "arc=none")
    field = split(twice).all("arc-seal")[0].raw
    assert SIGNER.seal(field + twice, RESULTS, Chain(status="fail"), NOW) == field + twice
    assert SIGNER.seal(twice, RESULTS, Chain(status="temperror"), NOW) == twice


async def test_a_chain_has_fifty_sets_at_most() -> None:
    content = MAIL
    for nth in range(50):
        content = seal(content, FIRST, f"arc={'pass' if nth else 'none'}")
    assert SIGNER.seal(content, RESULTS, Chain(status="pass"), NOW) == content


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ("letterbox.example", "letterbox.example; arc=none"),
        ("letterbox.example; none (a key)", "letterbox.example; arc=none"),
        ("letterbox.example; arc=fail; spf=pass", "letterbox.example; arc=fail; spf=pass"),
    ],
)
async def test_results_say_what_became_of_the_chain_once(results: str, said: str) -> None:
    sealed = SIGNER.seal(MAIL, results, Chain(status="none"), FakeClock().now())
    value = split(sealed).all("arc-authentication-results")[0].value.decode()
    assert " ".join(value.split()) == f"i=1; {said}"
