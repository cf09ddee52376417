"""Whatever bytes come in, reading ends in facts or in one registered refusal."""

from hypothesis import given
from hypothesis import strategies as st

from letterbox.model.kind import Kind
from letterbox.reading.charset import to_text
from letterbox.reading.claim import digest
from letterbox.reading.encoded import decode_words, one_line
from letterbox.reading.header import Ambiguous, Author, author, message_id, subject
from letterbox.reading.html import structured_in, text_of
from letterbox.reading.mail import DEFAULT_LIMITS, Limits, Mail, Malformed, split
from letterbox.reading.mime import check_shape, content, may_hold_plus, parts
from letterbox.reading.prices import MAX_PRICES
from letterbox.reading.structured import understand_markup
from letterbox.reading.topics import MAX_IDS
from letterbox.reading.words import TextWords, keyword
from tests.support.mails import proven
from tests.support.plain import reader

TIGHT = Limits(header_bytes=300, header_fields=8, mime_depth=3, mime_parts=6, text_chars=200)
PIECES = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\x00",
    b" ",
    b"\t",
    b":",
    b";",
    b'"',
    b"--b",
    b"--b--",
    b"--c",
    b"From: ",
    b"From ",
    b"Subject: ",
    b"a@b.example",
    b"<",
    b">",
    b"(",
    b")",
    b",",
    b"=?utf-8?q?",
    b"?=",
    b"=?iso-2022-jp?b?",
    b"Content-Type: multipart/mixed; boundary=b",
    b"List-Id: x",
    b"\xff",
    b"\xc3\xa9",
    b"Content-Type: multipart/alternative; boundary=c",
    b"Content-Type: text/html; charset=utf-16",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b'<script type="application/ld+json">',
    b'{"@type": "Offer", "price": 1}',
    b"</script>",
    b"<!--",
    b"-->",
    b"&amp;",
    b"&#",
    b"=3D",
    b"=",
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    b"Letterbox-Kind: service",
    b"Letterbox-Offer-Until: 2026",
]
JUMBLE = st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=40).map(b"".join)
BYTES = JUMBLE | st.binary(max_size=300)


def read(raw: bytes, limits: Limits = DEFAULT_LIMITS) -> Mail | Malformed:
    """The message if its shape is within the limits, else the refusal."""
    try:
        mail = split(raw, limits)
        check_shape(mail, limits)
    except Malformed as malformed:
        return malformed
    return mail


@given(BYTES)
def test_any_bytes_are_split_into_the_bytes_they_were(raw):
    mail = read(raw, TIGHT)
    if isinstance(mail, Malformed):
        assert (mail.reason, bool(mail.detail)) == ("message-malformed", True)
        return
    header = b"".join(field.raw for field in mail.fields)
    assert raw in {header + mail.body, header + b"\r\n" + mail.body}
    assert len(header) <= TIGHT.header_bytes
    assert len(mail.fields) <= TIGHT.header_fields


@given(BYTES)
def test_any_bytes_give_facts_or_are_malformed(raw):
    mail = read(raw)
    if isinstance(mail, Malformed):
        assert mail.detail
        return
    found = parts(mail)
    assert found
    assert all(0 <= part.start <= part.end <= len(raw) for part in found)
    facts = reader().read(mail, proven())
    assert facts.kind in Kind
    assert len(facts.subject) <= 998
    assert facts.words.has(keyword("nowheretobefound")) is False
    assert len(facts.categories.ids) <= MAX_IDS
    assert len(facts.offers) <= MAX_PRICES
    assert isinstance(facts.offers, tuple)
    assert len(digest(mail, proven().signed)) == 32


@given(BYTES)
def test_parts_keep_to_the_limits(raw):
    mail = read(raw, TIGHT)
    most = 0 if isinstance(mail, Malformed) else len(parts(mail, TIGHT))
    assert most <= TIGHT.mime_parts + 1


@given(BYTES)
def test_an_author_is_one_address_or_none(raw):
    value = raw.replace(b"\r", b"").replace(b"\n", b"")
    mail = split(b"From: " + value + b"\r\n\r\n")
    match author(mail):
        case Author(address=address, name=name):
            assert str(address).count("@") == 1
            assert name == one_line(name, 200)
        case Ambiguous(why=why):
            assert why
    assert message_id(mail) is None
    assert subject(mail) == ""


@given(
    st.lists(
        st.sampled_from(['"', "<", ">", "(", ")", ",", "@", ":", ";", "\\", " ", "a", "b.example"])
    )
)
def test_an_author_in_angle_brackets_is_the_only_address_that_stands_there(tokens):
    written = "".join(tokens) + "<joe@shop.example>"
    found = author(split(b"From: " + written.encode() + b"\r\n\r\n"))
    if isinstance(found, Author):
        assert str(found.address) == "joe@shop.example"


@given(st.text(max_size=200))
def test_one_line_is_one_line_and_stays_so(text):
    line = one_line(decode_words(text), 50)
    assert len(line) <= 50
    assert line == line.strip()
    assert all(character.isprintable() or ord(character) > 0x7F for character in line)
    assert len(line.splitlines()) <= 1
    assert one_line(line, 50) == line
    line.encode()


@given(
    st.binary(max_size=100),
    st.text(max_size=20) | st.sampled_from(["hz", "utf-7", "johab", "big5"]),
)
def test_any_bytes_are_text_in_any_character_set(raw, charset):
    to_text(raw, charset).encode("utf-8", "replace")
    assert isinstance(to_text(raw, charset), str)


@given(BYTES)
def test_any_html_gives_text_and_markup(html):
    assert len(text_of(html)) <= len(html) + 1
    assert len(understand_markup(structured_in(html + b"ld+json")).offers) <= 50


@given(
    st.binary(max_size=200),
    st.integers(0, 50),
    st.sampled_from(["base64", "quoted-printable", "7bit"]),
)
def test_content_is_never_more_than_was_asked_for(body, most, encoding):
    mail = split(b"Content-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n" + body)
    (part,) = parts(mail)
    assert len(content(mail, part, most)) <= most


@given(
    st.lists(
        st.sampled_from(
            [b"+", b"=2B", b"=2b", b"=2", b"=\r\n", b"B", b"Kw", b"\x1b$B", b"AC", b"-"]
        )
        | st.binary(max_size=3),
        max_size=12,
    ).map(b"".join),
    st.sampled_from(["base64", "quoted-printable", "7bit"]),
    st.sampled_from(["", "utf-8", "utf-7", "utf-16", "hz", "iso-2022-jp", "gb18030", "cp437"]),
)
def test_no_plus_sign_is_overlooked(body, encoding, charset):
    mail = split(b"Content-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n" + body)
    (part,) = parts(mail)
    if "+" in to_text(content(mail, part, 100), charset):
        assert may_hold_plus(mail, part)


def test_what_is_no_character_does_not_stop_reading():
    mail = split(b"Content-Type: text/plain; charset=utf-7\r\n\r\nHi +2AA- unsubscribe +2AA-")
    facts = reader().read(mail, proven())
    assert facts.kind is Kind.NEWSLETTER
    assert facts.words.has(keyword("unsubscribe"))


SAID = st.text("aAbB sS'-_.\u00e9\u0130\u00df\u00a0\u00ad1\n", max_size=12)


@given(SAID, SAID)
def test_a_keyword_is_found_alike_whether_asked_for_first_or_later(text, wanted):
    first, later = TextWords(text), TextWords(text)
    assert not later.has(keyword("never said"))
    assert first.has(keyword(wanted)) == later.has(keyword(wanted))
