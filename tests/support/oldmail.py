"""Mailboxes of old mail, made up and real, for tests and measurements."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from tests.support.shared import real_mail

_START = datetime(2025, 1, 1, 8, tzinfo=UTC)
_OFFER = "Sale: 30% off all pruners, now only EUR 9.95 in our shop. Order today, free shipping!\n"
_NEWS = "In this issue of our newsletter: what to plant in May, and an interview with a gardener.\n"
_SERVICE = "Your order 2026-4711 has been shipped. Your invoice is attached to this message.\n"
_SORTS = (
    ("Sale: 30% off", _OFFER * 8),
    ("Our newsletter of this month", _NEWS * 30),
    ("Your order 2026-4711 has been shipped", _SERVICE * 4),
)


def made_up(count: int, *, vendors: int = 200) -> Iterator[bytes]:
    """So many mails of so many vendors: each is of one sort."""
    for nth in range(count):
        vendor = nth % vendors
        subject, text = _SORTS[vendor % len(_SORTS)]
        sent = format_datetime(_START + timedelta(minutes=20 * nth))
        fields = (
            f"From: Shop {vendor} <news@mail.shop{vendor}.example>\nTo: anna@home.example\n"
            f"Subject: {subject}\nDate: {sent}\nMessage-ID: <{nth}@shop{vendor}.example>\n"
        )
        bulk = "" if vendor % len(_SORTS) == 2 else "List-Unsubscribe: <https://shop.example/u>\n"
        yield f"{fields}{bulk}\n{text}".encode()


def real(count: int) -> Iterator[bytes]:
    """So many mails of the shared collection, over and over; none where it is absent."""
    mails = [path.read_bytes() for path in real_mail()]
    for nth in range(count if mails else 0):
        yield mails[nth % len(mails)]


def mixed(count: int) -> Iterator[bytes]:
    """Half of them made up, the other half real, where there are any."""
    made, others = made_up(count), real(count)
    for nth in range(count):
        yield (nth % 2 and next(others, None)) or next(made)


def write_mbox(path: Path, mails: Iterable[bytes]) -> int:
    """Write them as an mbox; how many there are."""
    count = 0
    with path.open("wb") as file:
        for mail in mails:
            count += 1
            file.write(b"From MAILER-DAEMON Thu Aug 22 12:36:23 2002\n")
            text = mail.replace(b"\r\n", b"\n").rstrip(b"\n")
            file.write(text.replace(b"\nFrom ", b"\n>From ") + b"\n\n")
    return count
