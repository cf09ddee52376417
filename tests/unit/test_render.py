"""Raw mail as its recipient reads it."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import compat32

import msgspec
import pytest

from letterbox.delivery.render import with_trace
from letterbox.model.address import Address
from letterbox.model.record import InboxEntry, MessageRecord
from letterbox.model.sender import Proven, VendorRef

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
VENDOR = VendorRef(id="greenleaf", name="Greenleaf", registered=True)
HOST = "letterbox.example"
RECORD = MessageRecord(
    id="m1",
    at=AT,
    edge="smtp",
    client="192.0.2.1",
    helo="mail.greenleaf.example",
    reverse_path="bounces@greenleaf.example",
    sender=Proven(
        domain="greenleaf.example",
        how="spf",
        author=Address(local="shop", domain="greenleaf.example"),
    ),
    vendor=VENDOR,
    size=100,
    recipients=(),
    results="letterbox.example; spf=pass smtp.mailfrom=greenleaf.example; dkim=none",
)
ENTRY = InboxEntry(
    id="e1",
    at=AT,
    message="m1",
    decision="d1",
    vendor=VENDOR,
    sender="shop@greenleaf.example",
    recipient="anna@letterbox.example",
    subject="Sale",
    kind="offer",
    interests=("garden-tools", "tulips"),
    size=100,
)


def render(header: bytes, *, body: bytes = b"\r\nHello.\r\n", **changes) -> bytes:
    record = msgspec.structs.replace(RECORD, **changes)
    return with_trace(record, ENTRY, header + body, HOST)


def test_the_trace_stands_before_the_message():
    traced = render(b"Date: Mon, 23 Nov 2026 11:00:00 +0000\r\nSubject: Sale\r\n")
    assert traced == (
        b"Return-Path: <bounces@greenleaf.example>\r\n"
        b"Delivered-To: anna@letterbox.example\r\n"
        b"Received: from mail.greenleaf.example ([192.0.2.1])\r\n"
        b" by letterbox.example with ESMTP id m1\r\n"
        b" for <anna@letterbox.example>; Mon, 23 Nov 2026 12:00:00 +0000\r\n"
        b"Authentication-Results: letterbox.example;\r\n"
        b" spf=pass smtp.mailfrom=greenleaf.example;\r\n"
        b" dkim=none\r\n"
        b"Letterbox-Decision: deliver; id=d1; message=m1;\r\n"
        b" interest=garden-tools;\r\n"
        b" interest=tulips\r\n"
        b"Date: Mon, 23 Nov 2026 11:00:00 +0000\r\n"
        b"Subject: Sale\r\n"
        b"\r\nHello.\r\n"
    )


# A field as it came, and whether it is masked.
CLAIMS = [
    (b"Authentication-Results: letterbox.example; dkim=pass", True),
    (b"authentication-results : LETTERBOX.example 1; dkim=pass", True),
    (b"Authentication-Results:\r\n letterbox.example;\r\n dkim=pass", True),
    (b'Authentication-Results: "letterbox.example"; dkim=pass', True),
    (b'Authentication-Results: "letter\\box.example"; dkim=pass', True),
    (b"Authentication-Results: (a;b) letterbox.example; dkim=pass", True),
    (b"Authentication-Results: letterbox.\r\n example; dkim=pass", True),
    (b"Authentication-Results: letterbox . example; dkim=pass", True),
    (b"Authentication-Results: letterbox(a).(b (c))example 1; dkim=pass", True),
    (b"Authentication-Results: (\\)) letterbox.example; dkim=pass", True),
    (b"Authentication-Results: letter(\\))box.example; dkim=pass", True),
    (b"Authentication-Results: letter(\\()box.example; dkim=pass", True),
    (b"Authentication-Results: letter" + b"(" * 40 + b")" * 40 + b"box.example; dkim=pass", True),
    (b"Authentication-Results\t: letterbox.example.; dkim=pass", True),
    (b"Authentication-Results: relay.example; dkim=pass (fits) header.d=a.example", False),
    (b"Authentication-Results: relay.example; dkim=pass header.d=letterbox.example", False),
    (b"Authentication-Results: relay.example; spf=pass", False),
    (b"Letterbox-Decision: deliver", True),
    (b"Letterbox-Removed: 3", True),
    (b"LETTERBOX-DECISION:deliver", True),
    (b"Return-Path: <ceo@bank.example>", True),
    (b"Received: from relay.example by letterbox.example; Mon, 23 Nov 2026", False),
    (b"Delivered-To: anna@letterbox.example", False),
    (b"Letterbox-Kind: offer", False),
    (b"X-Authentication-Results: letterbox.example; dkim=pass", False),
    (b"Subject: Return-Path: <a@b.example>", False),
    (b"Subject: folded\r\n Letterbox-Decision: deliver", False),
]


@pytest.mark.parametrize(("field", "masked"), CLAIMS)
def test_claims_to_be_us_are_masked_where_they_stand(field, masked):
    header = b"Date: Mon, 23 Nov 2026 11:00:00 +0000\r\n" + field + b"\r\nSubject: x\r\n"
    traced = render(header)
    expected = b"X-Masked-" + field if masked else field
    assert traced.endswith(
        b"Date: Mon, 23 Nov 2026 11:00:00 +0000\r\n"
        + expected
        + b"\r\nSubject: x\r\n\r\nHello.\r\n"
    )


@pytest.mark.parametrize(
    ("server", "masked"),
    [("bücher.example", True), ("xn--bcher-kva.example", True), ("b.a", False)],
)
def test_results_under_a_name_of_ours_that_is_no_ascii_are_masked(server, masked):
    field = f"Authentication-Results: {server}; dkim=pass\r\n".encode()
    traced = with_trace(RECORD, ENTRY, field + b"\r\nHello.\r\n", "xn--bcher-kva.example")
    assert (b"X-Masked-" + field in traced) is masked


@pytest.mark.parametrize(
    "server", ["letterbox\u3002example", "\uff4cetterbox.example", "letter\u00adbox.example"]
)
def test_results_under_our_name_in_other_letters_are_masked(server):
    field = f"Authentication-Results: {server}; dkim=pass\r\n".encode()
    assert b"X-Masked-" + field in render(field)


def test_the_content_is_never_touched():
    content = b"\r\nReturn-Path: <a@b.example>\r\nAuthentication-Results: letterbox.example;\r\n"
    assert render(b"Date: x\r\n", body=content).endswith(content)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\r\n",
        b"\r\nonly a body\r\n\r\nDate: none\r\n",
        b"Subject: only a header\r\n",
        b"Subject: no line end",
        b"From shop@greenleaf.example Mon Nov 23 12:00:00 2026\r\nSubject: mbox\r\n\r\nx\r\n",
        b">From shop\r\nSubject: mbox\r\n\r\nx\r\n",
    ],
)
def test_odd_messages_keep_the_trace_in_the_header(message):
    traced = with_trace(RECORD, ENTRY, message, HOST)
    header = message_from_bytes(traced, policy=compat32)
    assert header["Letterbox-Decision"].startswith("deliver")
    assert header["Date"] == "Mon, 23 Nov 2026 12:00:00 +0000"
    if b"mbox" in message:
        assert header["Subject"] == "mbox"


def test_an_old_way_of_writing_from_is_no_mbox_line():
    assert b"X-Masked" not in render(b"From : Shop <shop@greenleaf.example>\r\n")


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        ({"edge": "lmtp"}, b" with LMTP id m1"),
        ({"client": "2001:db8::1"}, b"([IPv6:2001:db8::1])"),
        ({"reverse_path": None}, b"Return-Path: <>\r\n"),
        ({"helo": "evil\r\nBcc: x"}, b"Received: from unknown ([192.0.2.1])"),
        ({"helo": "x" * 300}, b"Received: from unknown ("),
        ({"helo": "[192.0.2.1]"}, b"Received: from [192.0.2.1] ("),
        ({"client": ""}, b"Received: from mail.greenleaf.example\r\n by"),
        ({"results": ""}, b"Letterbox-Decision"),
    ],
)
def test_what_the_trace_is_made_of(changes, there):
    traced = render(b"Subject: x\r\n", **changes)
    assert there in traced
    assert b"\r\nBcc" not in traced


def test_what_came_over_http_gets_crlf_and_is_masked_however_its_lines_end():
    for end in (b"\n", b"\r", b"\r\n"):
        message = b"Letterbox-Decision: deliver" + end + b"Subject: x" + end + end + b"Hi" + end
        traced = with_trace(msgspec.structs.replace(RECORD, edge="http"), ENTRY, message, HOST)
        assert b"X-Masked-Letterbox-Decision: deliver\r\nSubject: x\r\n\r\nHi\r\n" in traced


def test_a_long_header_is_rendered_in_linear_time():
    # A quadratic reading of these would take minutes.
    for field in (b"Authentication-Results: ((((", b"Return-Path:\r\n \r\n ", b"\r\n \t"):
        assert render(b"Subject: x\r\n" + field * 60_000 + b"\r\n")
