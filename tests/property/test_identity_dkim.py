"""DKIM against dkimpy: whatever is changed, both say the same."""

import asyncio
import base64
import hashlib
import re

import dkim
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from letterbox.identity.canon import (
    Signable,
    canonical_body,
    relaxed_body,
    relaxed_field,
    simple_body,
)
from letterbox.identity.dkim import BadSignature, DkimVerifier, covered, read_signature
from letterbox.reading.mail import Field, Malformed, split
from tests.support.signing import NOW, Signer, Zone

SIGNER = Signer(domain="greenleaf.example")
MAIL = (
    b"From: Greenleaf <shop@greenleaf.example>\r\nTo: anna@letterbox.example\r\n"
    b"Subject: Shears\r\nDate: Mon, 23 Nov 2026 11:00:00 +0000\r\n\r\nSharp  and cheap. \r\n\r\n"
)
FORMS = ["simple/simple", "relaxed/relaxed", "simple/relaxed", "relaxed/simple"]
SIGNED = {form: SIGNER.sign(MAIL, form) for form in FORMS}


def ours(raw: bytes) -> bool:
    try:
        mail = split(raw)
        field = mail.first("dkim-signature")
        signature = read_signature(field) if field else None
    except (BadSignature, Malformed):
        return False
    if signature is None:
        return False
    check = DkimVerifier().verify(Zone(SIGNER.records), Signable(mail), signature, NOW)
    # dkimpy has no word for a signature that fits and leaves room for others.
    return asyncio.run(check).status in {"pass", "policy"}


def theirs(raw: bytes) -> bool:
    def txt(name: bytes, **_: object) -> bytes | None:
        wanted = name.decode("latin-1").removesuffix(".").lower()
        return SIGNER.record.encode() if wanted == SIGNER.name else None

    try:
        return bool(dkim.DKIM(raw).verify(dnsfunc=txt))
    except Exception:  # noqa: BLE001 - dkimpy raises much for mail that is no mail
        return False


@settings(max_examples=400)
@given(st.sampled_from(FORMS), st.data())
def test_one_byte_changed(form: str, data: st.DataObject) -> None:
    signed = bytearray(SIGNED[form])
    at = data.draw(st.integers(0, len(signed) - 1))
    signed[at] = data.draw(st.integers(0, 255))
    raw = bytes(signed)
    lines = raw.count(b"\r\n")
    if not raw.count(b"\r") == raw.count(b"\n") == lines:
        return  # no edge lets a bare CR or LF in, and dkimpy takes them for line ends
    if at >= len(signed) - len(MAIL):
        assert ours(raw) == theirs(raw)
    else:  # within the signature itself we may be stricter than dkimpy, never laxer
        assert theirs(raw) or not ours(raw)
    if raw == SIGNED[form]:
        assert ours(raw)


CONTENT = st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"x", b"yz", b"\0", b"."])).map(b"".join)


@given(CONTENT)
@example(b"")
@example(b" \r\n")
@example(b"\t")
def test_bodies_take_dkimpys_forms(body: bytes) -> None:
    from dkim.canonicalization import Relaxed, Simple

    ended = body if not body or body.endswith(b"\r\n") else body + b"\r\n"
    assert relaxed_body(body) == Relaxed.canonicalize_body(ended)
    assert simple_body(body) == Simple.canonicalize_body(ended)


ANYTHING = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b"\t", b"  ", b"x", b"\0"]), max_size=30
).map(b"".join)


@given(ANYTHING)
def test_ends_of_any_sort_are_taken_off_by_pairs(body: bytes) -> None:
    ended = body if body.endswith(b"\r\n") else body + b"\r\n"
    while ended.endswith(b"\r\n"):
        ended = ended[:-2]
    assert simple_body(body) == ended + b"\r\n"


def in_words_of_the_rfc(body: bytes) -> bytes:
    """Section 3.4.4, step by step; only CRLF ends a line."""
    lines = [re.sub(rb"[ \t]+", b" ", line).removesuffix(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


@given(ANYTHING)
@example(b"x \r \r\n")
@example(b"\r\n \r\n\t\r\n")
def test_relaxed_bodies_are_what_the_rfc_says(body: bytes) -> None:
    assert relaxed_body(body) == in_words_of_the_rfc(body)


@given(ANYTHING, st.integers(1, 4000), ANYTHING)
@example(b"a  ", 4000, b" " * 5000)
@example(b"a  \t \r\n", 4000, b"\r\n")
def test_so_are_those_full_of_runs(unit: bytes, count: int, rest: bytes) -> None:
    body = unit * count + rest
    assert relaxed_body(body) == in_words_of_the_rfc(body)


@given(ANYTHING, st.integers(1, 7), ANYTHING)
@example(b"x" + b" " * 20 + b"\r\nx", 4, b"")
@example(b"x" + b"\r\n" * 20 + b"x" + b"\r\n" * 20, 4, b"")
def test_a_body_worked_over_in_pieces_is_the_same(body: bytes, size: int, before: bytes) -> None:
    raw, start = before + body, len(before)
    for form, whole in (("relaxed", relaxed_body(body)), ("simple", simple_body(body))):
        pieces = list(canonical_body(form, raw, start, size=size))
        assert b"".join(pieces) == whole


@given(CONTENT.filter(bool))
def test_what_is_hashed_is_what_is_shown(body: bytes) -> None:
    message = Signable(split(MAIL.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body))
    for form in ("simple", "relaxed"):
        whole = message.body(form)
        assert whole == (simple_body(body) if form == "simple" else relaxed_body(body))
        assert message.body_length(form) == len(whole)
        assert message.body_digest(form, None) == hashlib.sha256(whole).digest()
        assert message.body_digest(form, 3) == hashlib.sha256(whole[:3]).digest()


VALUE = st.lists(st.sampled_from([b" ", b"\t", b"\r\n ", b"x", b"yz:", b";"])).map(b"".join)


@given(VALUE)
def test_fields_take_dkimpys_form(value: bytes) -> None:
    from dkim.canonicalization import Relaxed

    [(name, text)] = Relaxed.canonicalize_headers([(b"Subject ", value + b"\r\n")])
    assert relaxed_field(b"Subject :" + value + b"\r\n") == name + b":" + text


EDGES = [
    b"X:",
    b"X: ",
    b"X:\t\r\n",
    b"X:\r\n \r\n",
    b"X :\r\n\t\r\n a",
    b"X:a\r\n b\r\n\tc",
]


@pytest.mark.parametrize("raw", EDGES)
def test_fields_with_nothing_in_them_take_dkimpys_form(raw: bytes) -> None:
    from dkim.canonicalization import Relaxed

    name, _, value = raw.partition(b":")
    [(relaxed, text)] = Relaxed.canonicalize_headers(
        [(name, value.removesuffix(b"\r\n") + b"\r\n")]
    )
    assert relaxed_field(raw) == relaxed + b":" + text


FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["Subject", "SUBJECT", "To", "X-A", "Letterbox-Kind"]),
        st.sampled_from(["", " ", " a", "a  b", "\ta\r\n\tb ", " \r\n x", ":", " ;b= "]),
    ),
    max_size=8,
)
NAMES = st.lists(
    st.sampled_from(["subject", "Subject", "to", "x-a", "letterbox-kind", "gone"]), max_size=8
)


LISTED = st.lists(
    st.sampled_from(["from", "From", "to", "x-a", "", "a b", "é", "\v", ";", " ", "\t", "\r\n "])
).map(":".join)


@given(LISTED)
@example(" from :\r\n to:from")
def test_names_are_listed_between_colons(listed: str) -> None:
    names = tuple(name.strip(" \t\r\n").lower() for name in listed.split(":"))
    fit = all(re.fullmatch("[!-9<-~]+", name) for name in names) and "from" in names
    raw = b"DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s1; b=AAAA; bh="
    raw += base64.b64encode(bytes(32)) + f"; h={listed}\r\n".encode()
    try:
        read = read_signature(Field(name="dkim-signature", raw=raw)).names
    except BadSignature:
        read = ()
    assert read == (names if fit and ";" not in listed else ())


@given(FIELDS, NAMES)
def test_what_stands_as_often_as_it_is_signed_is_covered(fields, names) -> None:
    header = "".join(f"{name}:{value}\r\n" for name, value in fields).encode()
    message = Signable(split(b"From: a@greenleaf.example\r\n" + header + b"\r\nx\r\n"))
    names = tuple(name.lower() for name in ["from", *names])
    covered_ = {name for name in names if names.count(name) >= message.count(name)}
    assert covered(message, names) == covered_


@settings(max_examples=60)  # each signs anew
@given(FIELDS, NAMES, st.sampled_from(FORMS))
def test_headers_of_any_make_are_signed_alike(fields, names, form: str) -> None:
    """dkimpy signs, over names that stand often, never or in another order, and we verify."""
    header = "".join(f"{name}:{value}\r\n" for name, value in fields).encode()
    listed = [b"from", *(name.encode() for name in names)]
    raw = SIGNER.sign(
        b"From: a@greenleaf.example\r\n" + header + b"\r\nx\r\n", form, include_headers=listed
    )
    assert ours(raw)
    second = raw.replace(b"From: a", b"From: b@other.example\r\nFrom: a")
    assert not ours(second)
