"""An mbox cut into its mails: however it comes, whatever it holds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterbox.reading.mbox import Cut, Mbox, NotAnMbox

LINE = b"From a@shop.example Thu Aug 22 12:36:23 2002\n"
THREE = (
    LINE + b"From: a@shop.example\nSubject: 1\n\nFrom here on it is text.\n>From me\n\n"
    b"From - Fri, 23 Aug 2002\r\nFrom: b@shop.example\r\n\r\nText\r\n\r\n"
    + LINE
    + b"Subject: 3\n\nLast"
)


def cuts(data: bytes, *, by: int = 1 << 20, at: int = 0, most: int = 1 << 20) -> list[Cut]:
    mbox = Mbox(at=at, most=most)
    found = []
    for nth in range(at, len(data), by):
        found += mbox.feed(data[nth : nth + by])
    return [*found, *mbox.feed(b"", last=True)]


def test_mails_are_cut_at_their_separators():
    one, two, three = cuts(THREE)
    assert one.raw == b"From: a@shop.example\nSubject: 1\n\nFrom here on it is text.\n>From me\n\n"
    assert two.raw == b"From: b@shop.example\r\n\r\nText\r\n\r\n"
    assert three.raw == b"Subject: 3\n\nLast"
    assert THREE[one.ends :].startswith(b"From - Fri")
    assert three.ends == len(THREE)


@given(st.integers(1, 90))
def test_however_it_comes_it_is_the_same(by):
    assert cuts(THREE, by=by) == cuts(THREE)


def test_it_goes_on_where_it_was():
    whole = cuts(THREE)
    for nth, each in enumerate(whole):
        assert cuts(THREE, at=each.ends, by=7) == whole[nth + 1 :]


PIECES = st.sampled_from(
    [b"From ", LINE, b"\n", b"\r\n", b"a@b.example", b" 2002", b"x" * 700, b":"]
)


@given(st.lists(PIECES, max_size=30), st.integers(1, 300))
def test_hostile_ones_are_cut_alike(pieces, by):
    data = LINE + b"".join(pieces)
    assert cuts(data, by=by) == cuts(data)
    ends = [each.ends for each in cuts(data)]
    assert ends == sorted(ends)
    assert ends[-1] == len(data)


def test_what_is_kept_is_bounded():
    mbox = Mbox(most=1000)
    found = list(mbox.feed(LINE))
    for _ in range(200):
        found += mbox.feed(b"y" * 100_000)
        assert len(mbox._rest) < 1100
    found += mbox.feed(b"\n" + LINE + b"Subject: next\n")
    (one,) = found
    assert one.raw == b"y" * 1000
    assert [each.raw for each in mbox.feed(b"", last=True)] == [b"Subject: next\n"]


@pytest.mark.parametrize("data", [b"Subject: a mail\n\nText\n", b"\x7fELF" * 500, b"PK\x03\x04\n"])
def test_what_is_no_mbox_is_named(data):
    with pytest.raises(NotAnMbox):
        cuts(data)


def test_an_empty_one_holds_nothing():
    assert cuts(b"") == cuts(b"\n\n") == []


def test_a_separator_after_text_without_a_blank_line_counts_where_it_is_exact():
    data = LINE + b"Subject: 1\n\nText\n" + LINE + b"Subject: 2\n"
    assert [re.findall(rb"\d", each.raw)[:1] for each in cuts(data)] == [[b"1"], [b"2"]]
