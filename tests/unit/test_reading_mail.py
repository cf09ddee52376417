"""Splitting a message into its fields and its body."""

import tracemalloc

import pytest

from letterbox.reading.mail import Limits, Malformed, split, with_crlf
from tests.support.mails import raw_mail, read_file
from tests.support.shared import real_mail, shared

SMALL = Limits(header_bytes=100, header_fields=5)


def names(raw: bytes) -> list[str]:
    return [field.name for field in split(raw).fields]


def test_real_mail_is_split_without_changing_a_byte():
    shared("mail")
    for path in real_mail():
        raw = read_file(path)
        mail = split(raw)
        header = b"".join(field.raw for field in mail.fields)
        assert raw.startswith(header), path
        assert raw in {header + b"\r\n" + mail.body, header + mail.body}, path
        assert mail.first("received"), path


@pytest.mark.parametrize(
    ("raw", "fields", "body"),
    [
        pytest.param(b"A: 1\r\nB: 2\r\n\r\nbody", ["a", "b"], b"body", id="ordinary"),
        pytest.param(b"A: 1\r\n\r\n", ["a"], b"", id="empty body"),
        pytest.param(b"A: 1\r\n", ["a"], b"", id="header alone"),
        pytest.param(b"A: 1", ["a"], b"", id="header alone, cut off"),
        pytest.param(b"\r\nbody", [], b"body", id="no header"),
        pytest.param(b"", [], b"", id="nothing at all"),
        pytest.param(b"A: 1\r\n 2\r\n\t3\r\nB: 4\r\n\r\n", ["a", "b"], b"", id="folded"),
        pytest.param(b"A: 1\r\n \r\nB: 4\r\n\r\n", ["a", "b"], b"", id="folded onto space"),
        pytest.param(b"A : 1\r\nB\t: 2\r\n\r\n", ["a", "b"], b"", id="space before the colon"),
        pytest.param(b"From x@y Mon 10:00\r\nA: 1\r\n\r\n", ["", "a"], b"", id="mbox line"),
        pytest.param(b"From : x@y\r\n\r\n", ["from"], b"", id="not an mbox line"),
        pytest.param(b" lost\r\nA: 1\r\n\r\n", ["", "a"], b"", id="folded onto nothing"),
        pytest.param(
            b"A: 1\r\nHello you\r\n\r\nB", ["a"], b"Hello you\r\n\r\nB", id="no blank line"
        ),
        pytest.param(b"Hello you\r\nA: 1\r\n", [], b"Hello you\r\nA: 1\r\n", id="no field at all"),
        pytest.param(b": 1\r\nA: 1\r\n\r\n", [], b": 1\r\nA: 1\r\n\r\n", id="field without a name"),
        pytest.param(b"\xc3\xa9\xff: 1\r\n\r\n", ["ã©ÿ"], b"", id="8-bit name"),
        pytest.param(b"A: 1\r\n\r\n\r\n\r\nbody", ["a"], b"\r\n\r\nbody", id="body begins blank"),
    ],
)
def test_malformed_mail_is_read_as_far_as_it_makes_sense(raw, fields, body):
    assert names(raw) == fields
    assert split(raw).body == body


def test_a_field_keeps_its_bytes_and_its_folding():
    field = split(b"SubJect:  one\r\n\ttwo\xff \r\nB: 1\r\n\r\n").fields[0]
    assert field.name == "subject"
    assert field.raw == b"SubJect:  one\r\n\ttwo\xff \r\n"
    assert field.value == b"  one\r\n\ttwo\xff "


def test_first_is_the_topmost_and_all_are_in_order():
    mail = split(b"X: 1\r\nY: 2\r\nx: 3\r\n\r\n")
    assert mail.first("x") == mail.fields[0]
    assert mail.all("x") == (mail.fields[0], mail.fields[2])
    assert mail.first("z") is None
    assert mail.all("z") == ()


@pytest.mark.parametrize("size", [99, 100])
def test_a_header_up_to_the_limit_is_read(size):
    line = b"A: " + b"x" * (size - 5) + b"\r\n"
    assert len(line) == size
    for raw in (line, line + b"\r\nbody", line + b"\r\n" + b"b" * 1000):
        assert split(raw, SMALL).fields[0].raw == line


@pytest.mark.parametrize("tail", [b"", b"\r\nbody", b"\r\n" + b"b" * 1000, b"B: 2\r\n\r\n"])
def test_a_header_over_the_limit_is_malformed(tail):
    line = b"A: " + b"x" * 96 + b"\r\n"
    with pytest.raises(Malformed) as caught:
        split(line + tail, SMALL)
    assert caught.value.reason == "message-malformed"
    assert caught.value.detail == "the header is larger than 100 bytes"


@pytest.mark.parametrize("rest", range(12))
def test_a_limit_that_lies_in_the_name_of_a_field_is_a_limit(rest):
    line = b"A: " + b"x" * (95 - rest) + b"\r\n"
    with pytest.raises(Malformed, match="larger than 100 bytes"):
        split(line + b"Content-Type: text/html\r\n\r\nbody", SMALL)


def test_fields_up_to_the_limit_are_read_and_one_more_is_malformed():
    assert len(split(raw_mail(["A: 1"] * 5), SMALL).fields) == 5
    with pytest.raises(Malformed, match="more than 5 fields"):
        split(raw_mail(["A: 1"] * 6), SMALL)


@pytest.mark.parametrize("line", [b"A: b\r\n", b" b\r\n", b"\tb\r\n"])
def test_half_a_million_header_lines_are_refused_at_once(line):
    with pytest.raises(Malformed):
        split(b"A: b\r\n" + line * 500_000)


def test_a_long_body_without_any_blank_line_is_no_long_header():
    mail = split(b"A: 1\r\nonce upon a time\r\n" + b"x" * 1000, SMALL)
    assert mail.header.broken
    assert mail.body.startswith(b"once upon")


def test_line_ends_become_crlf_and_stay_so():
    assert with_crlf(b"a\nb\r\nc\r\n\n") == b"a\r\nb\r\nc\r\n\r\n"
    assert with_crlf(b"a\rb\n\r\r\nc") == b"a\r\nb\r\n\r\n\r\nc"


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_nothing_but_line_ends_costs_no_more_than_what_comes_of_it(end):
    raw = end * (8 * 1024 * 1024)
    tracemalloc.start()
    assert len(with_crlf(raw)) == 16 * 1024 * 1024
    assert tracemalloc.get_traced_memory()[1] < 48 * 1024 * 1024
    tracemalloc.stop()
