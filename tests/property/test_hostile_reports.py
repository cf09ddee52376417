"""Ten thousand hostile values in every field that reaches a report: exactly what we mean comes out.

They are the same at every run: what was found once stays found.
"""

import json
import quopri
import random
import re
from datetime import UTC, datetime

import msgspec
import pytest

from letterbox.configuration import shipped
from letterbox.feedback.arf import compose_complaint
from letterbox.feedback.disclosure import Disclosure, Hearing
from letterbox.feedback.dsn import compose_report
from letterbox.feedback.events import event, feed_item
from letterbox.feedback.sentences import Sentences
from letterbox.feedback.webhooks import body_of
from letterbox.feedback.wording import read_wording
from letterbox.model.reason import read_phrases, read_registry
from letterbox.model.report import Complaint, Report, Reported
from letterbox.model.sender import VendorRef
from letterbox.model.told import Told
from letterbox.model.verdict import Decision, Finding, Refuse
from tests.support.plain import wishes_from
from tests.unit.test_arf import OWED as COMPLAINT
from tests.unit.test_dsn import HEADER, HOST, folded
from tests.unit.test_dsn import OWED as REPORT

COUNT = 10_000
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PIECES = [
    "\r\n", "\n", "\r", "\r\n\r\n", "\r\n.\r\n", "\0", "\x0b", "\x0c", "\x1b[2J", "\x7f", "\x85",
    "\u2028", "\u2029", "\u202e", "\u200b", "\ufeff", "\ud7ff", "\U0001f4ee", "é", "漢",
    "Bcc: victim@example.org", "Content-Type: text/html", "--=_0", "=?utf-8?q?=0D=0ABcc:_x?=",
    "=0D=0A", "%0d%0a", ":", ";", ",", "<", ">", '"', "\\", "(", ")", "@", " ", "\t", "a", "550 ",
    "{vendor}", "{0.__class__}", "%s", "' OR 1=1", "<script>", "data: x\n\nevent: y", "a" * 300,
]  # fmt: skip
DSN_HEAD = [
    b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted", b"In-Reply-To",
    b"References", b"MIME-Version", b"Content-Type",
]  # fmt: skip
UNSAFE = re.compile(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\xff]")


def values(count: int = COUNT) -> list[str]:
    dice = random.Random(6)
    return ["".join(dice.choices(PIECES, k=dice.randint(2, 8))) for _ in range(count)]


VALUES = values()


def names(block: bytes) -> list[bytes]:
    """The names of the fields of a header, which must be whole and end in CRLF alone."""
    assert b"\n" not in block.replace(b"\r\n", b"")
    assert b"\r" not in block.replace(b"\r\n", b"")
    lines = [line for line in block.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    return [line.partition(b":")[0] for line in lines]


def parts_of(content: bytes, boundary: str) -> list[bytes]:
    """The parts of a multipart, told apart by its boundary alone."""
    assert not UNSAFE.search(content.replace(b"\t", b" "))  # returned headers have it
    pieces = content.split(f"--{boundary}".encode())
    assert pieces[-1] == b"--\r\n"
    return pieces[:1] + [
        piece.removeprefix(b"\r\n").removesuffix(b"\r\n") for piece in pieces[1:-1]
    ]


def told(value: str) -> Told:
    """A refusal whose every fact is hostile, as disclosure renders it."""
    facts = {"kind": value, "kinds": [value, value], "vendor": value, "value": value}
    facts |= {"because": value, "remedy": value, "limit": value, "date": value}
    code = CODES[len(value) % len(CODES)]
    finding = Finding(filter="f", verdict=Refuse(reason=code), facts=facts)
    return DISCLOSURE.tell(Decision(finding.verdict, (finding,)), HEARING, "0" * 32)


REASONS = shipped("reasons.toml")
REGISTRY = read_registry(REASONS)
SENTENCES = Sentences(REGISTRY, read_phrases(REASONS), read_wording(shipped("wording.toml")))
DISCLOSURE = Disclosure(REGISTRY, SENTENCES, lambda: "https://letterbox.example")
CODES = ["kind-not-wanted", "vendor-blocked", "price-above-limit", "brand-not-wanted"]
WISHES = wishes_from(vendor=[{"vendor": "greenleaf", "tells": "remedy"}])
HEARING = Hearing(
    vendor=VendorRef(id="greenleaf", name="Greenleaf", registered=True),
    relationship=WISHES.vendors["greenleaf"],
    newcomers="refuse",
    times=WISHES.times,
)


def test_replies_are_one_line() -> None:
    for value in VALUES:
        line = told(value).line
        assert line.isascii()
        assert not UNSAFE.search(line.encode())
        assert b"\n" not in line.encode()
        assert len(line) <= 510
        assert re.fullmatch(r"550 5\.7\.1 [a-z-]+: .*\. https://letterbox\.example/r/0{32}", line)


def test_reports_have_the_fields_we_mean() -> None:
    for value in VALUES:
        owed = msgspec.structs.replace(
            REPORT,
            envelope_id=value,
            helo=value,
            recipients=(Reported(recipient=value, told=told(value), original=f"rfc822;{value}"),),
        )
        content = compose_report(owed, hostname=HOST, message_id=value)
        head, text, status, returned = parts_of(content, f"=_{owed.id}")
        header = head.partition(b"\r\n\r\n")[0]
        assert [n for n in DSN_HEAD if n in names(header)] == names(header)
        assert set(DSN_HEAD) - set(names(header)) <= {b"In-Reply-To", b"References"}
        assert names(text.partition(b"\r\n\r\n")[0]) == PART
        fields, about, group = status.split(b"\r\n\r\n")
        assert names(fields) == PART
        assert names(about) == [
            b"Original-Envelope-Id", b"Reporting-MTA", b"Received-From-MTA", b"Arrival-Date",
        ]  # fmt: skip
        assert [n for n in names(group) if n] in (GROUP, GROUP[1:])
        assert returned.partition(b"\r\n\r\n")[2] == HEADER


PART = [b"Content-Type", b"Content-Transfer-Encoding"]
GROUP = [b"Original-Recipient", b"Final-Recipient", b"Action", b"Status", b"Diagnostic-Code"]


def test_a_hostile_header_goes_back_as_it_came() -> None:
    for value in VALUES[:2000]:
        hostile = b"X: " + value.replace("\n", "").replace("\r", "").encode() + b"\r\n"
        owed = msgspec.structs.replace(REPORT, header=hostile)
        content = compose_report(owed, hostname=HOST, message_id=None)
        returned = parts_of(content, f"=_{owed.id}")[3]
        fields, _, body = returned.partition(b"\r\n\r\n")
        assert names(fields) == PART
        if b"quoted-printable" in fields:
            body = quopri.decodestring(body)
        assert body == hostile


def test_complaints_have_the_fields_we_mean() -> None:
    for value in VALUES:
        owed = msgspec.structs.replace(COMPLAINT, domain=value, client=value, header=HEADER)
        content = compose_complaint(owed, hostname=HOST, product=value)
        head, _, report, _ = parts_of(content, f"=_{owed.id}")
        assert names(head.partition(b"\r\n\r\n")[0]) == [
            *DSN_HEAD[:6], b"MIME-Version", b"Content-Type",
        ]  # fmt: skip
        assert [n for n in names(report.partition(b"\r\n\r\n")[2]) if n] == [
            b"Feedback-Type", b"User-Agent", b"Version", b"Arrival-Date", b"Reported-Domain",
            b"Source-IP", b"Reporting-MTA", b"Incidents",
        ]  # fmt: skip


def test_folded_notices_have_the_fields_we_mean() -> None:
    for value in VALUES:
        content = folded({value: 3})
        assert not UNSAFE.search(content)
        header, _, _ = content.partition(b"\r\n\r\n")
        assert names(header) == [*DSN_HEAD[:6], b"MIME-Version", *PART]


def test_events_are_one_document_and_one_line() -> None:
    for value in VALUES:
        said = event(
            "message.refused",
            told(value),
            name="0" * 32,
            at=NOW,
            message="1" * 32,
            recipient=value,
            your_reference=value,
        )
        body = body_of(feed_item(said))
        # One line: so it can be no second field of an event stream, or line of a log.
        assert b"\n" not in body
        assert b"\r" not in body
        document = json.loads(body)
        assert set(document) == {"type", "timestamp", "data"}
        assert document["data"]["your_reference"] == value
        assert document["data"]["recipient"] == value


@pytest.mark.parametrize(
    "to", ["a b@x.example", "a@x.example\r\nBcc: v@x.example", '"a"@x.example']
)
def test_what_is_no_plain_address_is_written_to_nobody(to: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        compose_report(msgspec.structs.replace(REPORT, to=to), hostname=HOST, message_id=None)


def test_they_are_what_they_seem() -> None:
    """The types stay as narrow as these tests take them to be."""
    assert len(set(VALUES)) > 9_000
    assert isinstance(REPORT, Report)
    assert isinstance(COMPLAINT, Complaint)
