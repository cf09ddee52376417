"""The last day that a text names for what it offers, where there is no doubt."""

from datetime import date

import pytest

from letterbox.reading.validity import sent_on, valid_until

SENT = date(2026, 6, 10)


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("Geldig t/m 14 juni 2026", "2026-06-14"),
        ("geldig tot en met 31-01-2027", "2027-01-31"),
        ("Geldig tot en met zondag 14 juni.", "2026-06-14"),
        ("nog tot 1 juli", "2026-07-01"),
        ("De actie loopt tot en met 5 jan.", "2027-01-05"),
        ("Uiterlijk 2026-06-20 bestellen", "2026-06-20"),
        ("Offers run until Sunday 14 June or while stocks last.", "2026-06-14"),
        ("Offer ends Sunday 14 June 2026 at midnight.", "2026-06-14"),
        ("valid through June 30th, 2026", "2026-06-30"),
        ("Expires 30.06.2026", "2026-06-30"),
        ("ends 10 June", "2026-06-10"),
        ("until 14 June, yes, until 14 June", "2026-06-14"),
        # in doubt: none
        ("until 14 June; sale until 20 June", None),
        ("until 14 May 2026", None),
        ("until Sunday", None),
        ("until 31 June", None),
        ("14 June 2026", None),
        ("Open until 14 June", None),
        ("Retourneren kan tot en met 14 juni", None),
        ("Apply until 14 June", None),
        ("contuntil 14 June", None),
        ("", None),
    ],
)
def test_the_last_day(text, until):
    found = valid_until(text, SENT, day_first=True)
    assert found == (date.fromisoformat(until) if until else None)


@pytest.mark.parametrize(
    ("written", "day_first", "until"),
    [
        ("04/07/2026", True, date(2026, 7, 4)),
        ("04/07/2026", False, None),
        ("07/07/2026", False, date(2026, 7, 7)),
        ("25/07/2026", False, date(2026, 7, 25)),
        ("07/25/2026", True, date(2026, 7, 25)),
        ("07/25/26", True, date(2026, 7, 25)),
        ("25/25/2026", True, None),
    ],
)
def test_numbers_that_may_be_read_in_two_ways(written, day_first, until):
    assert valid_until(f"valid until {written}", SENT, day_first=day_first) == until


def test_without_the_day_of_the_mail_a_year_must_be_said():
    assert valid_until("until 14 June", None, day_first=True) is None
    assert valid_until("until 14 June 2024", None, day_first=True) == date(2024, 6, 14)


@pytest.mark.parametrize(
    ("field", "day"),
    [
        ("Wed, 10 Jun 2026 09:45:12 +0000", SENT),
        ("10 June 2026 09:45", SENT),
        ("Wed, 31 Jun 2026 09:45:12 +0000", None),
        ("10 Foo 2026", None),
        ("2026-06-10", None),
        ("", None),
    ],
)
def test_the_day_a_mail_was_sent(field, day):
    assert sent_on(field) == day


def test_many_ends_cost_little():
    assert valid_until("until " * 100_000, SENT, day_first=True) is None
