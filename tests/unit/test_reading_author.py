"""Who wrote a message: one way to read it, or none."""

import pytest

from letterbox.reading.header import Ambiguous, Author, author
from letterbox.reading.mail import split
from tests.support.mails import mail, read_file
from tests.support.shared import real_mail, shared

CLEAR = [
    ("joe@shop.example", "joe@shop.example", ""),
    ("<joe@shop.example>", "joe@shop.example", ""),
    ("Joe <joe@shop.example>", "joe@shop.example", "Joe"),
    ("Joe<joe@shop.example>", "joe@shop.example", "Joe"),
    ("  Joe   Doe  < joe@shop.example >  ", "joe@shop.example", "Joe Doe"),
    ('"Doe, Joe" <joe@shop.example>', "joe@shop.example", "Doe, Joe"),
    (r'"Joe \"the\" Doe" <joe@shop.example>', "joe@shop.example", 'Joe "the" Doe'),
    ("Shop.com <joe@shop.example>", "joe@shop.example", "Shop.com"),
    ("joe@shop.example (Joe)", "joe@shop.example", "Joe"),
    ("(Joe) <joe@shop.example>", "joe@shop.example", "Joe"),
    ("Joe <joe@shop.example> (at work)", "joe@shop.example", "Joe"),
    ("joe@shop.example <joe@shop.example>", "joe@shop.example", "joe@shop.example"),
    ('"joe@shop.example" <joe@shop.example>', "joe@shop.example", "joe@shop.example"),
    ('"JOE@Shop.example" <joe@shop.example>', "joe@shop.example", "JOE@Shop.example"),
    ('"Joe @ Shop" <joe@shop.example>', "joe@shop.example", "Joe @ Shop"),
    ("Joe <Joe+News@SHOP.example>", "Joe+News@shop.example", "Joe"),
    ("=?utf-8?q?Jo=C3=ABl?= <joe@shop.example>", "joe@shop.example", "Joël"),
    ("=?utf-8?b?Sm/Dqw==?= =?utf-8?q?_X?= <joe@shop.example>", "joe@shop.example", "Joë X"),
    ("Joë <joe@shop.example>", "joe@shop.example", "Joë"),
    (b"Jo\xeb <joe@shop.example>", "joe@shop.example", "Joë"),
    ("Joe <joe@bücher.example>", "joe@xn--bcher-kva.example", "Joe"),
    ("Joe <joë@shop.example>", "joë@shop.example", "Joe"),
    ("Joe\r\n <joe@shop.example>", "joe@shop.example", "Joe"),
    ("evil\u202eeoj <joe@shop.example>", "joe@shop.example", "evileoj"),
]

TRICKS = [
    ("", "exactly one plain address"),
    ("Joe", "not a plain one"),
    ("Joe Doe", "exactly one plain address"),
    ("<>", "not a plain one"),
    ("Joe <>", "not a plain one"),
    ("Joe <joe>", "not a plain one"),
    ("joe@", "not a plain one"),
    ("@shop.example", "not a plain one"),
    ("joe@@shop.example", "not a plain one"),
    ("joe..doe@shop.example", "not a plain one"),
    ("joe@shop..example", "not a plain one"),
    ("joe@-shop.example", "not a plain one"),
    ("a@shop.example, b@evil.example", "several addresses"),
    ("Joe <a@shop.example>, Eve <b@evil.example>", "several addresses"),
    ("Joe <a@shop.example>,", "several addresses"),
    ("Doe, Joe <joe@shop.example>", "several addresses"),
    ("<a@shop.example> <b@evil.example>", "several addresses"),
    ("a@shop.example <b@evil.example>", "several addresses"),
    ("Joe @ Shop <joe@shop.example>", "several addresses"),
    ("joe @shop.example", "exactly one plain address"),
    ("<joe@shop.example> b@evil.example", "follows the address"),
    ('<joe@shop.example> "Joe"', "follows the address"),
    ("Shop: a@shop.example;", "a group or a route"),
    ("undisclosed-recipients:;", "a group or a route"),
    ("a@shop.example;", "a group"),
    ("<@relay.example:joe@shop.example>", "not a plain one"),
    ("Joe <@a.example,@b.example:joe@shop.example>", "not a plain one"),
    ('"joe"@shop.example', "exactly one plain address"),
    ('"joe@evil.example"@shop.example', "exactly one plain address"),
    ('Joe <"joe"@shop.example>', "not a plain one"),
    ('Joe <"joe@shop.example> <"@evil.example>', "several addresses"),
    ("joe@[192.0.2.1]", "domain literal"),
    ("Joe <joe@[192.0.2.1]>", "not a plain one"),
    ("joe(at)@shop.example", "exactly one plain address"),
    ("joe@shop.example(b@evil.example)", "hides an address"),
    ("Joe (b@evil.example) <joe@shop.example>", "hides an address"),
    ("(<b@evil.example>) joe@shop.example", "hides an address"),
    ("(Joe) joe@shop.example", "exactly one plain address"),
    ("joe@shop.example ((nested))", "comment in From does not close"),
    ("joe@shop.example (open", "comment in From does not close"),
    ('"Joe <joe@shop.example>', "does not end"),
    ("Joe <joe@shop.example", "does not close"),
    ("Joe joe@shop.example>", "stray special"),
    ("Joe \\<joe@shop.example>", "stray special"),
    ('"b@evil.example" <joe@shop.example>', "shows another address"),
    ('"Joe <b@evil.example>" <joe@shop.example>', "shows another address"),
    ("=?utf-8?q?b=40evil.example?= <joe@shop.example>", "shows another address"),
    ('"=?utf-8?b?YkBldmlsLmV4YW1wbGU=?=" <joe@shop.example>', "shows another address"),
    ("b\uff20evil.example <joe@shop.example>", "shows another address"),
    ('"b\u200d@evil.example" <joe@shop.example>', "shows another address"),
    ('"b\u200b@evil.example" <joe@shop.example>', "shows another address"),
    ("=?utf-8?q?joe?=@shop.example", "not a plain one"),
    ("=?utf-8?q?joe=40shop.example?=", "not a plain one"),
    ("Joe <=?utf-8?q?joe=40shop.example?=>", "not a plain one"),
    ("Joe <joe@=?utf-8?q?shop?=.example>", "not a plain one"),
    (b"Joe <jo\xeb@shop.example>", "neither ASCII nor UTF-8"),
    ("joe@shop.example\0@evil.example", "bare CR, LF or NUL"),
    ("joe@shop.example\rFrom: b@evil.example", "bare CR, LF or NUL"),
    ("joe@shop.example\nFrom: b@evil.example", "bare CR, LF or NUL"),
    ("joe@shop.example\x0bb@evil.example", "control characters"),
    ("Joe <joe\u2028@shop.example>", "not a plain one"),
    ("Joe <" + "j" * 65 + "@shop.example>", "not a plain one"),
    ("x" * 17_000 + " <joe@shop.example>", "longer than 16 KiB"),
]


@pytest.mark.parametrize(("value", "address", "name"), CLEAR)
def test_one_address_is_the_author(value, address, name):
    found = author(mail([b"From: " + (value if isinstance(value, bytes) else value.encode())]))
    assert isinstance(found, Author), found
    assert (str(found.address), found.name) == (address, name)


@pytest.mark.parametrize(("value", "why"), TRICKS)
def test_what_programs_read_differently_is_ambiguous(value, why):
    found = author(mail([b"From: " + (value if isinstance(value, bytes) else value.encode())]))
    assert isinstance(found, Ambiguous), found
    assert why in found.why


@pytest.mark.parametrize(
    ("header", "why"),
    [
        pytest.param(b"To: a@x.example\r\n\r\n", "no From field", id="none"),
        pytest.param(b"", "no From field", id="nothing"),
        pytest.param(b"X-From: a@x.example\r\n\r\n", "no From field", id="another field"),
        pytest.param(
            b"From: a@x.example\r\nFrom: a@x.example\r\n\r\n", "several From", id="the same twice"
        ),
        pytest.param(
            b"From: a@x.example\r\nfROM : b@y.example\r\n\r\n", "several From", id="obsolete form"
        ),
        pytest.param(
            b"From: a@x.example\r\nFrom\x0b: b@y.example\r\n\r\n",
            "several From",
            id="hidden control",
        ),
        pytest.param(
            b" From: b@y.example\r\nFrom: a@x.example\r\n\r\n",
            "several From",
            id="folded first line",
        ),
        pytest.param(
            b"From \x0b: b@y.example\r\nFrom: a@x.example\r\n\r\n",
            "several From",
            id="no mbox line",
        ),
        pytest.param(b"From\xa0: a@x.example\r\n\r\n", "not written plainly", id="odd name"),
        pytest.param(
            b"From: a@x.example\r\nbroken\r\nFrom: b@y.example\r\n\r\n",
            "is broken",
            id="past a break",
        ),
    ],
)
def test_the_from_field_itself_must_be_plain(header, why):
    found = author(split(header))
    assert isinstance(found, Ambiguous), found
    assert why in found.why


def test_a_quoted_from_in_the_body_is_no_author():
    text = b"From: a@x.example\r\n\r\nHe wrote:\r\n\r\nFrom: b@y.example\r\n"
    found = author(split(text))
    assert isinstance(found, Author)
    assert found.address.domain == "x.example"


def test_the_authors_of_real_mail_are_clear_but_for_two_that_deceive():
    shared("mail")
    unclear = {
        f"{path.parent.name}/{path.name}": found.why
        for path in real_mail()
        if isinstance(found := author(split(read_file(path))), Ambiguous)
    }
    deceiving = "the name in From shows another address"
    assert unclear == {"spam/02.eml": deceiving, "spam/12.eml": deceiving}
