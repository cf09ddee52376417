"""JSON messages as mail: whatever the words, the standard library reads the same words back."""

from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import compat32
from email.utils import parseaddr

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from letterbox.gateways.http.call import read_form
from letterbox.gateways.http.compose import compose
from letterbox.gateways.http.forms import Marks, NewMessage
from letterbox.gateways.http.problems import Problem
from letterbox.model.address import Address
from letterbox.model.kind import Kind
from letterbox.model.preferences import Preferences, Vendor
from letterbox.reading.encoded import one_line
from letterbox.reading.header import Author, author
from letterbox.reading.header import subject as read_subject
from letterbox.reading.mail import DEFAULT_LIMITS, split
from letterbox.records.content import read_content

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=2000)
LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=300)
NAMES = ["From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type"]
ANNA = Address(local="anna", domain="letterbox.example")


def made(subject="Sale", text="Hello", html=None, name="Greenleaf", to=ANNA):
    form = NewMessage(to=(str(ANNA),), kind=Kind.OFFER, subject=subject, text=text, html=html)
    vendor = Vendor(id="greenleaf", name=name)
    mail = compose(form, vendor, hostname="letterbox.example", name="n1", to=to)
    # It is what whoever reads it anew finds in it.
    assert mail == read_content("http", mail.raw, DEFAULT_LIMITS)
    return mail.raw


def lines(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


def content(part):
    return lines(part.get_payload(decode=True).decode()).removesuffix("\n")


@given(subject=LINE, name=LINE.filter(bool), text=TEXT)
def test_the_words_come_back(subject, name, text):
    sent = made(subject, text, name=name)
    message = message_from_bytes(sent, policy=compat32)
    assert str(make_header(decode_header(message["Subject"]))) == subject
    assert message.keys() == [*NAMES, "Content-Transfer-Encoding"]
    assert content(message) == lines(text).removesuffix("\n")
    assert parseaddr(message["From"])[1] == "greenleaf@letterbox.example"
    found = author(split(sent))
    assert isinstance(found, Author)
    assert str(found.address) == "greenleaf@letterbox.example"
    # What nobody sees is left out of what people read.
    assert read_subject(split(sent)) == one_line(subject, 998)


@given(text=TEXT, html=TEXT)
def test_both_forms_come_back(text, html):
    message = message_from_bytes(made(text=text, html=html), policy=compat32)
    assert message.keys() == NAMES
    plain, rich = message.get_payload()
    assert (plain.get_content_type(), rich.get_content_type()) == ("text/plain", "text/html")
    assert content(plain) == lines(text).removesuffix("\n")
    assert content(rich) == lines(html).removesuffix("\n")


@given(subject=LINE, name=LINE.filter(bool), text=TEXT, html=st.none() | TEXT)
def test_it_is_mail_that_any_server_takes(subject, name, text, html):
    sent = made(subject, text, html, name)
    assert b"\0" not in sent
    assert sent.endswith(b"\r\n")
    assert all(len(line) <= 998 for line in sent.split(b"\r\n"))
    assert b"\n" not in sent.replace(b"\r\n", b"")
    assert b"\r" not in sent.replace(b"\r\n", b"")
    head = sent.partition(b"\r\n\r\n")[0]
    assert all(0x20 <= octet < 0x7F for octet in head.replace(b"\r\n", b""))
    assert sent == made(subject, text, html, name)


def test_many_recipients_do_not_see_one_another():
    assert b"To: undisclosed-recipients:;\r\n" in made(to=None)


def outcome(body, kind):
    """The form, or the problem that was found."""
    try:
        return read_form(body, kind)
    except Problem as problem:
        return problem


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_body_is_a_form_or_a_problem(body):
    for kind in (NewMessage, Preferences, Marks):
        found = outcome(body, kind)
        assert isinstance(found, kind) or found.name in {"invalid", "malformed-json"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["to", "kind", "subject", "text", "offer", "price", "vendor", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_json_is_a_form_or_names_its_mistakes(document):
    body = msgspec.json.encode(document)
    for kind in (NewMessage, Preferences, Marks):
        found = outcome(body, kind)
        assert isinstance(found, kind) or found.name == "invalid"
        assert isinstance(found, kind) or all(e.path and e.mistake for e in found.errors)
