"""Delivery status notifications: what they say, and that nothing breaks out of a field."""

import email
import email.policy
import re
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest
from flufl.bounce import all_failures, scan_message
from hypothesis import given
from hypothesis import strategies as st

from letterbox.feedback.dsn import compose_folded, compose_report
from letterbox.feedback.letters import report, seven_bit
from letterbox.model.report import Report, Reported
from letterbox.model.told import Told, ToldReason

GOLDEN = Path(__file__).parents[1] / "golden"
HOST = "letterbox.example"
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
URL = "https://letterbox.example/r/5f"
HEADER = (
    b"From: Shop <shop@greenleaf.example>\r\n"
    b"Subject: Spring sale\r\n"
    b"Message-ID: <1@greenleaf.example>\r\n"
)


def refusal(
    code: str = "price-above-limit", text: str = "The price is above the limit", *, final=False
) -> Told:
    reason = ToldReason(
        code=code,
        reason_class="choice",
        title=text,
        final=final,
        url=URL,
        retry_after=date(2026, 12, 1),
    )
    return Told(
        verdict="refuse",
        reference="5f",
        reply=550,
        enhanced="5.7.1",
        text=f"{code}: {text}. {URL}",
        reason=reason,
    )


OWED = Report(
    id="0" * 31 + "1",
    to="bounces@greenleaf.example",
    author="greenleaf.example",
    client="192.0.2.1",
    helo="mail.greenleaf.example",
    received=AT,
    owed=AT,
    header=HEADER,
    digest="d",
    envelope_id="mailing-7",
    recipients=(
        Reported(
            recipient="anna@letterbox.example",
            told=refusal(),
            original="rfc822;Anna@letterbox.example",
        ),
        Reported(
            recipient="ben@letterbox.example",
            told=refusal(
                "no-relationship", "This address has no relationship with you", final=True
            ),
        ),
    ),
)
RELAYED = msgspec.structs.replace(
    OWED,
    action="relayed",
    recipients=(
        Reported(
            recipient="anna@letterbox.example",
            told=Told(
                verdict="accepted", reference="5f", reply=250, enhanced="2.0.0", text="accepted 5f"
            ),
        ),
    ),
)
BEYOND_ASCII = msgspec.structs.replace(
    OWED,
    header=b"Subject: caf\xc3\xa9\r\nX-Long: " + b"x" * 2000 + b"\r\n",
    recipients=(
        Reported(
            recipient="zoë+a@letterbox.example",
            told=refusal(text="Niet gewenst: café"),
            original="utf-8;zoë+a@letterbox.example",
        ),
    ),
)
FOLDED = {"no-relationship": 140, "kind-not-wanted": 3}


def composed(owed: Report) -> bytes:
    return compose_report(owed, hostname=HOST, message_id="1@greenleaf.example")


def folded(codes: dict[str, int]) -> bytes:
    return compose_folded("b@greenleaf.example", AT, codes, "2" * 32, AT, hostname=HOST)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dsn-failed", composed(OWED)),
        ("dsn-relayed", composed(RELAYED)),
        ("dsn-beyond-ascii", composed(BEYOND_ASCII)),
        ("dsn-folded", folded(FOLDED)),
    ],
)
def test_each_is_as_it_was_agreed(name: str, content: bytes) -> None:
    assert content.decode().replace("\r\n", "\n") == (GOLDEN / f"{name}.eml").read_text("utf-8")
    assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998


def groups(content: bytes) -> list[dict[str, str]]:
    """The fields of the status part, as the standard library reads them."""
    message = email.message_from_bytes(content)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    parts = message.get_payload()
    assert [part.get_content_type() for part in parts] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    return [dict(group.items()) for group in parts[1].get_payload()]


def test_others_read_what_we_say() -> None:
    about, anna, ben = groups(composed(OWED))
    assert about == {
        "Original-Envelope-Id": "mailing-7",
        "Reporting-MTA": "dns; letterbox.example",
        "Received-From-MTA": "dns; mail.greenleaf.example",
        "Arrival-Date": "Mon, 23 Nov 2026 12:00:00 +0000",
    }
    assert anna == {
        "Original-Recipient": "rfc822;Anna@letterbox.example",
        "Final-Recipient": "rfc822;anna@letterbox.example",
        "Action": "failed",
        "Status": "5.7.1",
        "Diagnostic-Code": f"smtp; {refusal().line}",
    }
    assert "Original-Recipient" not in ben
    message = email.message_from_bytes(composed(OWED))
    assert scan_message(message) == {b"Anna@letterbox.example", b"ben@letterbox.example"}
    assert not all_failures(email.message_from_bytes(composed(RELAYED)))[1]
    assert message["In-Reply-To"] == "<1@greenleaf.example>"
    assert message["Auto-Submitted"] == "auto-replied"


def test_the_header_alone_goes_back() -> None:
    message = email.message_from_bytes(composed(BEYOND_ASCII))
    part = message.get_payload()[2]
    assert part.get_payload(decode=True) == BEYOND_ASCII.header


def test_a_success_is_relayed_at_most() -> None:
    _, anna = groups(composed(RELAYED))
    assert anna["Action"] == "relayed"
    assert anna["Status"] == "2.0.0"
    assert "Diagnostic-Code" not in anna


def test_an_address_beyond_ascii_is_written_as_its_rfc_has_it() -> None:
    _, zoe = groups(composed(BEYOND_ASCII))
    assert zoe["Final-Recipient"] == r"utf-8;zo\x{EB}\x{2B}a@letterbox.example"


def test_a_boundary_in_a_part_is_found_out() -> None:
    with pytest.raises(ValueError, match="boundary"):
        report("delivery-status", "=_b", b"", [seven_bit("text/plain", b"--=_b")])


# ---- hostile values ----------------------------------------------------------------------------

FIELDS = [
    "Original-Envelope-Id",
    "Reporting-MTA",
    "Received-From-MTA",
    "Arrival-Date",
    "Original-Recipient",
    "Final-Recipient",
    "Action",
    "Status",
    "Diagnostic-Code",
]
HEAD = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
]
hostile = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.sampled_from(
            [
                "\r\n",
                "\n",
                "\r",
                "\0",
                "\u2028",
                "\x85",
                "Bcc: x@y",
                "=?utf-8?q?=0A?=",
                "--=_",
                " ",
                ";",
                "a",
            ]
        ),
        max_size=12,
    ).map("".join),
)


@given(hostile, hostile, hostile, hostile, hostile, hostile)
def test_exactly_the_fields_that_we_mean(envelope, helo, original, text, code, message_id) -> None:
    told = msgspec.structs.replace(refusal(code or "c", text), text=text)
    owed = msgspec.structs.replace(
        OWED,
        envelope_id=envelope,
        helo=helo or "h",
        header=HEADER,
        recipients=(
            Reported(
                recipient="anna@letterbox.example", told=told, original=f"rfc822;{original or 'o'}"
            ),
        ),
    )
    content = compose_report(owed, hostname=HOST, message_id=message_id)
    header, _, _ = content.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].decode() for line in header.split(b"\r\n")]
    assert names in (HEAD, [name for name in HEAD if name not in {"In-Reply-To", "References"}])
    about, anna = groups(content)
    assert [*about, *anna] == FIELDS
    assert content.isascii()
    assert not re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]", content)
    returned = email.message_from_bytes(content).get_payload()[2]
    assert returned.get_payload(decode=True) == HEADER
