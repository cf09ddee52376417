"""Which arrivals are the same message."""

import pytest

from letterbox.model.address import Address
from letterbox.reading.claim import claim_name, digest
from tests.support.mails import mail, proven

ANNA = Address(local="anna", domain="letterbox.example")
BASE = ["From: a@b.example", "Subject: one two", "X-Trace: 1"]


@pytest.mark.parametrize(
    ("fields", "body", "same"),
    [
        (BASE, "text", True),
        ([*BASE[:2], "X-Trace: 2"], "text", True),
        (["Received: by x", *BASE], "text", True),
        (["From: a@b.example", "Subject: one\r\n\ttwo", "X-Trace: 1"], "text", True),
        (["Subject: one two", "From: a@b.example"], "text", True),
        (["From: a@b.example", "Subject: onetwo"], "text", False),
        (BASE, "text ", False),
        (BASE[:1], "text", False),
        ([*BASE, "Subject: three"], "text", False),
        ([*BASE, "Date: today"], "text", False),
    ],
)
def test_without_a_signature_the_usual_fields_and_the_body_count(fields, body, same):
    assert (
        digest(mail(fields, body), proven().signed) == digest(mail(BASE, "text"), proven().signed)
    ) is same


def test_with_a_signature_the_signed_fields_count():
    sender = proven("dkim", "from", "x-trace")
    base = digest(mail(BASE, "text"), sender.signed)
    assert digest(mail([*BASE[:2], "X-Trace: 2"], "text"), sender.signed) != base
    assert digest(mail([BASE[0], "Subject: other", BASE[2]], "text"), sender.signed) == base


def test_two_fields_never_read_as_one():
    sender = proven("dkim", "a")
    assert digest(mail(["A: x", "A: y"]), sender.signed) != digest(
        mail(["A: x a:1:y"]), sender.signed
    )


def test_a_claim_is_for_one_sender_name_content_and_recipient():
    content = b"\x01" * 32
    names = {
        claim_name("b.example", "1@b", content, ANNA),
        claim_name("c.example", "1@b", content, ANNA),
        claim_name("b.example", None, content, ANNA),
        claim_name("b.example", "1@b", b"\x02" * 32, ANNA),
        claim_name("b.example", "1@b", content, Address(local="bob", domain="letterbox.example")),
    }
    assert len(names) == 5
    assert all(len(name) == 64 and name.isalnum() for name in names)
    assert claim_name("b.example", "1@b", content, ANNA) in names
