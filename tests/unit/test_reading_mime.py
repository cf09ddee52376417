"""The parts of a message, with the standard library as the oracle."""

import email
import tracemalloc
from base64 import b64encode
from email.message import Message
from quopri import encodestring

import msgspec
import pytest

from letterbox.model.configuration import ReadingSection
from letterbox.reading.charset import to_text
from letterbox.reading.mail import DEFAULT_LIMITS, Limits, Malformed, split
from letterbox.reading.mime import check_shape, content, parts
from tests.support.mails import mail, read_file
from tests.support.shared import real_mail, shared

WHOLE = 1 << 30


def texts_by_the_standard_library(raw: bytes) -> list[tuple[str, bytes]]:
    waiting: list[Message] = [email.message_from_bytes(raw)]
    found = []
    while waiting:
        part = waiting.pop()
        if part.get_content_type() == "message/rfc822":
            continue
        if part.is_multipart():
            waiting.extend(reversed(part.get_payload()))
        elif part.get_content_maintype() == "text":
            found.append((part.get_content_type(), part.get_payload(decode=True)))
    return found


def test_the_text_parts_of_real_mail_are_those_the_standard_library_finds():
    shared("mail")
    for path in real_mail():
        raw = read_file(path)
        message = split(raw)
        check_shape(message)
        ours = [
            (part.type, content(message, part, WHOLE))
            for part in parts(message)
            if part.type.startswith("text/")
        ]
        assert ours == texts_by_the_standard_library(raw), path


def multipart(inner: str, kind: str = "mixed", boundary: str = "b") -> list[tuple[str, bytes]]:
    message = mail([f"Content-Type: multipart/{kind}; boundary={boundary}"], inner)
    return [(part.type, content(message, part, WHOLE)) for part in parts(message)]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        pytest.param("--b\n\none\n--b\n\ntwo\n--b--\n", [b"one", b"two"], id="ordinary"),
        pytest.param("before\n--b\n\none\n--b--\nafter\n--b\n\nx", [b"one"], id="around"),
        pytest.param("--b\n\none", [b"one"], id="never closed"),
        pytest.param("--b  \t\n\none\n--b-- \n", [b"one"], id="padded boundary"),
        pytest.param(
            "--b\n\none\n--bb\ntwo\n --b\n--b--", [b"one\r\n--bb\r\ntwo\r\n --b"], id="alike"
        ),
        pytest.param("--b\n--b\n--b--", [b"", b""], id="empty parts"),
        pytest.param("--b\nno field\n--b--", [b"no field"], id="no blank line"),
        pytest.param("no boundary at all", [b"no boundary at all"], id="no boundary"),
        pytest.param("--b--\n", [b"--b--\r\n"], id="closed at once"),
        pytest.param("", [b""], id="empty"),
    ],
)
def test_parts_stand_between_delimiter_lines(body, found):
    assert multipart(body) == [("text/plain", each) for each in found]


@pytest.mark.parametrize(
    ("value", "boundary"),
    [
        ("multipart/mixed; boundary=b", "b"),
        ('MULTIPART/Mixed; Boundary="b b"', "b b"),
        ('multipart/mixed;\r\n\tcharset=x;\r\n\tboundary = "b" ', "b"),
        ('multipart/mixed; boundary="b\\"c"', 'b"c'),
        ('multipart/mixed; boundary="b', "b"),
        ('multipart/mixed; boundary="b   "', "b"),
        ("multipart/mixed; boundary=b; boundary=c", "b"),
        ("multipart/mixed; type=text/html; boundary=----=_Next;x", "----=_Next"),
    ],
)
def test_the_boundary_is_read_however_it_is_written(value, boundary):
    message = mail([f"Content-Type: {value}"], f"--{boundary}\n\none\n--{boundary}--\n")
    assert [content(message, part, WHOLE) for part in parts(message)] == [b"one"]


def test_a_boundary_may_be_folded_at_its_space():
    message = mail(['Content-Type: multipart/mixed; boundary="a\r\n b"'], "--a b\n\none\n--a b--")
    assert [content(message, part, WHOLE) for part in parts(message)] == [b"one"]


def test_an_outer_boundary_ends_what_is_open_within():
    inner = "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--b\n\ntwo\n--b--"
    assert multipart(inner) == [("text/plain", b"one"), ("text/plain", b"two")]


def test_an_enclosed_message_is_one_part():
    enclosed = "Content-Type: multipart/mixed; boundary=c\n\n--c\n\nhidden\n--c--"
    found = multipart(f"--b\nContent-Type: message/rfc822\n\n{enclosed}\n--b--")
    assert [kind for kind, _ in found] == ["message/rfc822"]
    found = multipart(f"--b\n\n{enclosed}\n--b--", kind="digest")
    assert [kind for kind, _ in found] == ["message/rfc822"]


def test_alternatives_are_known_by_their_group():
    body = (
        "--b\nContent-Type: multipart/alternative; boundary=c\n\n"
        "--c\n\nplain\n--c\nContent-Type: multipart/related; boundary=d\n\n"
        "--d\nContent-Type: text/html\n\nhtml\n--d--\n--c--\n"
        "--b\nContent-Disposition: attachment; filename=x\n\nfooter\n--b--"
    )
    message = mail(["Content-Type: multipart/mixed; boundary=b"], body)
    plain, html, footer = parts(message)
    assert plain.alternative == html.alternative != footer.alternative
    assert (plain.attached, html.attached, footer.attached) == (False, False, True)


def test_what_is_attached_is_so_with_all_it_holds():
    attached = "Content-Disposition: attachment\nContent-Type: multipart/mixed; boundary=c"
    body = f"--b\n\nseen\n--b\n{attached}\n\n--c\n\none\n--c\n\ntwo\n--c--\n--b\n\nseen\n--b--"
    message = mail(["Content-Type: multipart/mixed; boundary=b"], body)
    assert [part.attached for part in parts(message)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("encoding", "body", "text"),
    [
        ("base64", b64encode(b"hello there"), b"hello there"),
        ("BASE64 ", b"aGVs\r\nbG8=\r\n", b"hello"),
        ("base64", b"aGVsbG8", b"hello"),  # padding cut off
        ("base64", b"aG*Vs bG8=", b"hello"),
        ("base64", b"aGVsbG8=\r\n-- \r\nfooter", b"hello"),
        ("base64", b"a", b""),
        ("quoted-printable", encodestring("café =".encode()), "café =".encode()),
        ("quoted-printable", b"a=\r\nb=3Dc=zz=", b"ab=c=zz"),
        ("quoted-printable", b"a= \t\r\nb=  c=\t", b"ab=  c"),  # a relay padded the lines
        ("8bit", b"\xff\x00", b"\xff\x00"),
        ("x-unheard-of", b"a=3D", b"a=3D"),
        ("", b"a=3D", b"a=3D"),
    ],
)
def test_transfer_encodings_are_undone_as_far_as_they_go(encoding, body, text):
    message = split(b"Content-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n" + body)
    (part,) = parts(message)
    assert content(message, part, WHOLE).startswith(text)
    assert len(content(message, part, 2)) <= 2


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (b"caf\xc3\xa9", "", "café"),
        (b"caf\xe9", "", "café"),
        (b"caf\xe9", "us-ascii", "café"),
        (b"caf\xe9", "utf-8", "caf\ufffd"),
        (b"\x93a\x94", "ISO-8859-1", "“a”"),
        (b"\xa4", "iso-8859-15", "€"),
        (b"\x80", "windows-1252", "€"),
        (b"\xc4\xe3", "gb2312", "你"),
        (b"\x82\xa0", "Shift_JIS", "あ"),
        (b"\xb0\xa1", "ks_c_5601-1987", "가"),
        (b"a\x00", "utf-16-le", "a"),
        (b"\xe9", "iso-8859-8-i", "\u05d9"),
        (b"abc", "idna", "abc"),
        (b"abc", "rot13", "abc"),
        (b"abc", "../../etc", "abc"),
        (b"abc", "x" * 1000, "abc"),
        (b"+AGEAYg-", "utf-7", "ab"),
        (b"\x1b$B\xff", "iso-2022-jp", None),
    ],
)
def test_bytes_become_text_whatever_they_are(raw, charset, text):
    read = to_text(raw, charset)
    assert read == text if text is not None else isinstance(read, str)


# ---- limits -----------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=%db\r\n\r\n--%db\r\n" % (n, n)
        for n in range(depth)
    )


def flat(count: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + b"\r\nx\r\n--b\r\n" * count


SMALL = Limits(mime_depth=3, mime_parts=5)


def test_depth_up_to_the_limit_is_read_and_one_more_is_malformed():
    assert len(parts(split(nested(3)), SMALL)) == 1
    with pytest.raises(Malformed, match="nested more than 3 deep") as caught:
        check_shape(split(nested(4)), SMALL)
    assert caught.value.reason == "message-malformed"


def test_parts_up_to_the_limit_are_read_and_one_more_is_malformed():
    assert len(parts(split(flat(4)), SMALL)) == 5
    with pytest.raises(Malformed, match="more than 5 parts"):
        check_shape(split(flat(5)), SMALL)


@pytest.mark.parametrize("depth", [51, 1_000, 40_000])
def test_bombs_of_depth_are_refused_at_the_limit(depth):
    with pytest.raises(Malformed, match="50 deep"):
        check_shape(split(nested(depth)))


def test_bombs_of_parts_are_refused_at_the_limit():
    with pytest.raises(Malformed, match="more than 1000 parts"):
        check_shape(split(flat(100_000)))


def part_headers(parts: int, field: bytes, fields: int) -> bytes:
    """A message whose parts are hardly more than their headers."""
    part = b"--b\r\n" + (field + b"\r\n") * fields + b"\r\n.\r\n"
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * parts + b"--b--\r\n"


@pytest.mark.parametrize(
    ("parts_", "field", "fields"),
    [(5, b"A: b", 10), (1, b"A: b", 50), (5, b"A: " + b"x" * 1017, 1)],
)
def test_headers_of_parts_are_counted_together(parts_, field, fields):
    assert len(parts(split(part_headers(parts_, field, fields)), SMALL)) == parts_
    with pytest.raises(Malformed, match="50 fields or 5120 bytes together"):
        parts(split(part_headers(parts_, field + b"x", fields + 1)), SMALL)


@pytest.mark.parametrize("field", [b"a:", b"A: " + b"x" * 200])
def test_bombs_of_headers_within_parts_are_refused_at_once(field):
    mail = split(part_headers(999, field, 999))
    tracemalloc.start()
    with pytest.raises(Malformed, match="together"):
        check_shape(mail)
    assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    tracemalloc.stop()


def test_the_limits_are_those_that_are_configured_where_nobody_configures_any():
    configured = msgspec.structs.asdict(ReadingSection())
    assert configured.items() <= msgspec.structs.asdict(DEFAULT_LIMITS).items()


@pytest.mark.parametrize("count", [1, 5])
def test_the_end_of_the_last_part_is_no_line_too_many(count):
    flat_ = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * count
    assert len(parts(split(flat_ + b"--b--"), Limits(mime_depth=1, mime_parts=count))) == count


def test_lines_that_look_like_boundaries_are_counted():
    body = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + b"\r\n--bx" * 31
    with pytest.raises(Malformed, match="look like boundaries"):
        check_shape(split(body), SMALL)


def test_a_large_part_is_decoded_only_as_far_as_it_is_asked_for():
    message = split(
        b"Content-Transfer-Encoding: base64\r\n\r\n" + (b"QUFB" * 19 + b"\r\n") * 100_000
    )
    (part,) = parts(message)
    assert content(message, part, 1000) == b"A" * 1000
