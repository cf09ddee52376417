"""Return paths of ours: only those that we wrote, of late, lead anywhere."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterbox.identity.srs import DAYS, Srs
from letterbox.model.address import Address, parse_address
from tests.support.clock import FakeClock

NOW = FakeClock().now()
SRS = Srs(b"k" * 32, "letterbox.example")
NAME = "abcdefgh234567ij"
SENDER = "greenleaf.example"


def test_it_has_the_published_form_and_leads_back() -> None:
    path = SRS.write(SENDER, NAME, NOW)
    tag, mark, stamp, domain, name = path.local.split("=")
    assert (tag, domain, name, path.domain) == (
        "SRS0",
        "greenleaf.example",
        NAME,
        "letterbox.example",
    )
    assert (len(mark), len(stamp)) == (10, 2)
    assert SRS.read(path, NOW) == NAME
    assert parse_address(str(path)) == path
    # Servers on the way may fold it.
    assert SRS.read(Address(path.local.lower(), path.domain), NOW) == NAME


@given(
    domain=st.sampled_from(["a.example", f"{'x' * 60}.example", "[192.0.2.1]", "b-\u00e9.example"]),
    more=st.integers(0, 4),
)
def test_however_long_its_sender_it_is_a_local_part(domain: str, more: int) -> None:
    path = SRS.write("sub." * more * 5 + domain, NAME, NOW)
    assert len(path.local) <= 64
    assert parse_address(str(path)) == path
    assert SRS.read(path, NOW) == NAME


@pytest.mark.parametrize("days", [-1, 0, 1, DAYS, DAYS + 1, 500, 1023, 1024])
def test_it_is_good_for_some_days(days: int) -> None:
    path = SRS.write(SENDER, NAME, NOW)
    known = SRS.read(path, NOW + timedelta(days=days))
    # A timestamp comes round again after 1,024 days: what it names is forgotten by then.
    assert known == (NAME if 0 <= days <= DAYS or days == 1024 else None)


@given(at=st.integers(0, 62), letter=st.sampled_from("abz27=-."))
def test_whatever_is_changed_it_is_not_ours(at: int, letter: str) -> None:
    path = SRS.write(SENDER, NAME, NOW)
    at %= len(path.local)
    changed = path.local[:at] + letter + path.local[at + 1 :]
    # What stands between SRS0 and the hash may be = + or -, and case is not minded.
    same = changed.lower() == path.local.lower() or at == len("SRS0")
    assert (SRS.read(Address(changed, path.domain), NOW) == NAME) == (same and changed[4] in "=+-")


def test_another_secret_or_domain_is_not_ours() -> None:
    path = SRS.write(SENDER, NAME, NOW)
    assert Srs(b"l" * 32, "letterbox.example").read(path, NOW) is None
    assert SRS.read(Address(path.local, "other.example"), NOW) is None
    for local in ("srs0", "SRS0=", "anna", "", "SRS0=" + "a" * 59):
        assert SRS.read(Address(local, "letterbox.example"), NOW) is None
