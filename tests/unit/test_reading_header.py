"""Subjects and names of messages, as people see them."""

import pytest

from letterbox.reading.encoded import decode_words, one_line
from letterbox.reading.header import MAX_SUBJECT, message_id, subject
from tests.support.mails import mail


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Spring sale", "Spring sale"),
        ("  Spring\r\n\t sale  ", "Spring sale"),
        ("=?utf-8?q?Snoeischaar_=E2=82=AC10?=", "Snoeischaar €10"),
        ("=?UTF-8?B?U25vZWlzY2hhYXI=?=", "Snoeischaar"),
        ("=?iso-8859-1?q?caf=E9?= open", "café open"),
        ("=?utf-8?q?one?= =?utf-8?q?two?=", "onetwo"),
        ("=?utf-8?q?one?=\r\n =?utf-8?q?two?=", "onetwo"),
        ("=?utf-8?q?one?= and =?utf-8?q?two?=", "one and two"),
        ("=?utf-8?q?=E2=82?= =?utf-8?q?=AC?=", "€"),  # a letter cut in two
        ("=?utf-8?q?a?= =?iso-8859-1?q?=E9?=", "aé"),
        ("=?utf-8*nl?q?hallo?=", "hallo"),  # RFC 2231, section 5
        ("=?utf-8?q?two words?=", "two words"),  # malformed, and common
        ("=?utf-8?b?U25vZWlzY2hhYX?=", "Snoeischaa"),  # cut off
        ("=?utf-8?b?!!!!?=", ""),
        ("=?unheard-of?q?caf=E9?=", "café"),
        ("=?utf-8?x?what?=", "=?utf-8?x?what?="),
        ("=?utf-8?q?open", "=?utf-8?q?open"),
        ("=?punycode?q?a-b?=", "a-b"),
        ("=?utf-8?q?a=0D=0ABcc:_b?=", "a Bcc: b"),
        ("=?utf-8?q?a=00=07=1Bb?=", "a b"),
        ("a\u2028b\u202ec\u200bd", "a bcd"),
        ("caf\u00e9", "café"),
        (b"caf\xe9", "café"),
        (b"\xff\xfe\x81", "ÿþ\ufffd"),
        ("", ""),
    ],
)
def test_a_subject_is_one_safe_line(written, shown):
    raw = written if isinstance(written, bytes) else written.encode()
    assert subject(mail([b"Subject: " + raw])) == shown


def test_a_subject_has_at_most_998_characters():
    assert MAX_SUBJECT == 998
    assert subject(mail(["Subject: " + "x" * 5000])) == "x" * 998
    shown = subject(mail(["Subject: " + " ".join(["=?utf-8?q?=E2=82=AC=E2=82=AC?="] * 1000)]))
    assert set(shown) <= set("€=?utf-8q")
    assert 900 < len(shown) <= 998


def test_without_a_subject_there_is_none():
    assert subject(mail(["To: a@b.example"])) == ""


def test_the_topmost_subject_counts():
    assert subject(mail(["Subject: one", "Subject: two"])) == "one"


def test_words_that_never_end_cost_one_look():
    assert decode_words("=?a?q?" * 2000 + "end").endswith("end")


def test_one_line_has_no_space_at_its_ends_even_where_it_is_cut():
    assert one_line(" ab cd ", 3) == "ab"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (["Message-ID: <a@b>"], "a@b"),
        (["Message-Id:\r\n <a@b>"], "a@b"),
        (["Message-ID: <a@b> (comment)"], "a@b"),
        (["Message-ID: a@b"], None),
        (["Message-ID: <>"], None),
        (["Message-ID: <a b>"], None),
        (["Message-ID: <" + "a" * 2000 + ">"], None),
        (["Message-ID: <a@b>", "Message-ID: <c@d>"], None),
        ([], None),
    ],
)
def test_message_id(fields, name):
    assert message_id(mail(fields)) == name
