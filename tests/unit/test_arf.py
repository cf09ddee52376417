"""Complaints by mail, and one-click unsubscription: only where the sender's signature says so."""

import email
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterbox.configuration import shipped
from letterbox.feedback.arf import (
    complaint_address,
    compose_complaint,
    day_of,
    naming_fields,
    one_click,
)
from letterbox.identity.domains import Domains
from letterbox.model.address import Address
from letterbox.model.report import Complaint
from letterbox.model.sender import Proven, VendorRef
from letterbox.reading.mail import split
from tests.support.clock import FakeClock

GOLDEN = Path(__file__).parents[1] / "golden"
NOW = FakeClock().now()
ORGANIZATIONAL = Domains(shipped("mailbox_providers.toml")).organizational
ALL = frozenset(
    {
        "from",
        "message-id",
        "cfbl-address",
        "cfbl-feedback-id",
        "list-unsubscribe",
        "list-unsubscribe-post",
    }
)
MAIL = (
    b"From: Shop <shop@news.greenleaf.example>\r\n"
    b"To: anna@letterbox.example\r\n"
    b"Subject: For Anna\r\n"
    b"Message-ID: <1@greenleaf.example>\r\n"
    b"CFBL-Address: fbl@greenleaf.example; report=arf\r\n"
    b"CFBL-Feedback-ID: mailing:7:\r\n 5a3\r\n"
    b"List-Unsubscribe: <mailto:off@greenleaf.example>,\r\n <https://greenleaf.example/off?u=7>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"\r\nText\r\n"
)


def sender(how="dkim", signed=ALL, domain: str = "news.greenleaf.example") -> Proven:
    author = Address("shop", domain)
    return Proven(domain=domain, how=how, author=author, signed=frozenset(signed))


def address(content: bytes, by: Proven) -> str | None:
    found = complaint_address(split(content), by, ORGANIZATIONAL)
    return str(found) if found else None


def changed(field: bytes, value: bytes) -> bytes:
    """The mail with other lines in place of a field."""
    head, _, body = MAIL.partition(b"\r\n\r\n")
    kept = [
        value if each.startswith(field + b":") else each.replace(b"\n ", b"\r\n ")
        for each in head.replace(b"\r\n ", b"\n ").split(b"\r\n")
    ]
    return b"\r\n".join(kept) + b"\r\n\r\n" + body


def test_who_asked_and_signed_hears_of_it() -> None:
    assert address(MAIL, sender()) == "fbl@greenleaf.example"


@pytest.mark.parametrize(
    ("value", "by"),
    [
        (b"CFBL-Address: fbl@greenleaf.example", sender(how="spf")),
        (b"CFBL-Address: fbl@greenleaf.example", sender(how="peer")),
        (b"CFBL-Address: fbl@greenleaf.example", sender(how="via")),
        (b"CFBL-Address: fbl@greenleaf.example", sender(signed=ALL - {"cfbl-address"})),
        (b"CFBL-Address: fbl@other.example", sender()),
        (b"CFBL-Address: victim@example", sender()),
        (b"CFBL-Address: fbl@greenleaf.example\r\nCFBL-Address: a@greenleaf.example", sender()),
        (b"CFBL-Address: fbl@greenleaf.example, b@greenleaf.example", sender()),
        (b"CFBL-Address: no address", sender()),
        (b"CFBL-Address:", sender()),
        (b"X-Other: none", sender()),
    ],
)
def test_nobody_else_does(value: bytes, by: Proven) -> None:
    assert address(changed(b"CFBL-Address", value), by) is None


def test_a_domain_above_that_is_everybodys_is_nobodys_organization() -> None:
    content = changed(b"CFBL-Address", b"CFBL-Address: fbl@co.uk")
    assert address(content, sender(domain="shop.co.uk")) is None


def test_a_signed_one_click_is_found() -> None:
    for how in ("dkim", "via"):
        assert one_click(split(MAIL), sender(how=how)) == "https://greenleaf.example/off?u=7"


@pytest.mark.parametrize(
    ("field", "value", "by"),
    [
        (b"X", b"", sender(how="spf")),
        (b"X", b"", sender(how="key")),
        (b"X", b"", sender(signed=ALL - {"list-unsubscribe"})),
        (b"X", b"", sender(signed=ALL - {"list-unsubscribe-post"})),
        (b"List-Unsubscribe-Post", b"X-Other: 1", sender()),
        (b"List-Unsubscribe-Post", b"List-Unsubscribe-Post: no", sender()),
        (b"List-Unsubscribe", b"List-Unsubscribe: <http://greenleaf.example/off>", sender()),
        (b"List-Unsubscribe", b"List-Unsubscribe: <mailto:off@greenleaf.example>", sender()),
        (b"List-Unsubscribe", b"List-Unsubscribe: <https://u:p@greenleaf.example/off>", sender()),
        (b"List-Unsubscribe", b"List-Unsubscribe: <https:///off>", sender()),
        (b"List-Unsubscribe", b"List-Unsubscribe: <https://[::1/off>", sender()),
        (
            b"List-Unsubscribe",
            b"List-Unsubscribe: <https://a.example/>\r\nList-Unsubscribe: <https://b.example/>",
            sender(),
        ),
    ],
)
def test_what_is_not_signed_so_is_never_clicked(field: bytes, value: bytes, by: Proven) -> None:
    content = changed(field, value)
    # The field whose name another begins with is left alone by the change.
    assert one_click(split(content), by) is None


VENDOR = VendorRef(id="greenleaf", name="Greenleaf Garden", registered=True)
OWED = Complaint(
    id="0" * 31 + "1",
    to="fbl@greenleaf.example",
    vendor=VENDOR,
    recipient="anna@letterbox.example",
    received=day_of(NOW),
    owed=NOW,
    client="192.0.2.1",
    domain="news.greenleaf.example",
    header=naming_fields(split(MAIL), sender()),
)


def composed(owed: Complaint = OWED) -> bytes:
    return compose_complaint(owed, hostname="letterbox.example", product="letterbox/1")


def test_it_is_as_it_was_agreed() -> None:
    assert composed().decode().replace("\r\n", "\n") == (GOLDEN / "complaint.eml").read_text(
        "utf-8"
    )


def test_others_read_it_and_find_nobody_in_it() -> None:
    message = email.message_from_bytes(composed())
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "feedback-report"
    text, report, header = message.get_payload()
    assert report.get_content_type() == "message/feedback-report"
    (fields,) = report.get_payload()
    assert dict(fields.items()) == {
        "Feedback-Type": "abuse",
        "User-Agent": "letterbox/1",
        "Version": "1",
        "Arrival-Date": "Mon, 23 Nov 2026 00:00:00 +0000",
        "Reported-Domain": "news.greenleaf.example",
        "Source-IP": "192.0.2.1",
        "Reporting-MTA": "dns; letterbox.example",
        "Incidents": "1",
    }
    named = email.message_from_bytes(header.get_payload(decode=True))
    assert named.keys() == ["From", "Message-ID", "CFBL-Address", "CFBL-Feedback-ID"]
    assert b"anna" not in composed().lower()
    assert text.get_content_type() == "text/plain"


def test_the_message_is_named_whatever_was_signed() -> None:
    header = naming_fields(split(MAIL), sender(signed={"from"}))
    assert b"Message-ID: <1@greenleaf.example>" in header
    assert b"CFBL-Feedback-ID" not in header


@pytest.mark.parametrize("name", [b"Message-ID", b"CFBL-Feedback-ID"])
def test_of_two_fields_none_names_the_message(name: bytes) -> None:
    assert b"another" not in naming_fields(split(name + b": another\r\n" + MAIL), sender())


@given(st.binary(max_size=300), st.text(max_size=100))
def test_exactly_the_fields_that_we_mean(value: bytes, domain: str) -> None:
    clean = value.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")
    hostile = changed(b"CFBL-Feedback-ID", b"CFBL-Feedback-ID: " + clean)
    header = naming_fields(split(hostile), sender())
    owed = Complaint(
        id="0" * 32,
        to="fbl@greenleaf.example",
        vendor=VENDOR,
        recipient="anna@letterbox.example",
        received=NOW,
        owed=NOW,
        client="192.0.2.1",
        domain=domain or "d",
        header=header,
    )
    content = composed(owed)
    assert content.isascii()
    message = email.message_from_bytes(content)
    assert message.keys() == [
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
        *("MIME-Version", "Content-Type"),
    ]
    (fields,) = message.get_payload()[1].get_payload()
    assert len(fields.keys()) == 8
    assert message.get_payload()[2].get_payload(decode=True) == header
