"""DKIM against dkimpy: whatever is changed, both say the same."""

import asyncio
from datetime import UTC, datetime

import dkim
from hypothesis import example, given, settings
from hypothesis import strategies as st

from letterbox.identity.canon import Signable, relaxed_body, relaxed_field, simple_body
from letterbox.identity.dkim import BadSignature, DkimVerifier, read_signature
from letterbox.reading.mail import Malformed, split
from tests.support.signing import Signer, Zone

SIGNER = Signer(domain="greenleaf.example")
MAIL = (
    b"From: Greenleaf <shop@greenleaf.example>\r\nTo: anna@letterbox.example\r\n"
    b"Subject: Shears\r\nDate: Mon, 23 Nov 2026 11:00:00 +0000\r\n\r\nSharp  and cheap. \r\n\r\n"
)
FORMS = ["simple/simple", "relaxed/relaxed", "simple/relaxed", "relaxed/simple"]
SIGNED = {form: SIGNER.sign(MAIL, form) for form in FORMS}
NOW = datetime.now(tz=UTC)


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
    return asyncio.run(check).status == "pass"


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


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"x", b" "])).map(b"".join))
def test_ends_of_any_sort_are_taken_off_by_pairs(body: bytes) -> None:
    ended = body if body.endswith(b"\r\n") else body + b"\r\n"
    while ended.endswith(b"\r\n"):
        ended = ended[:-2]
    assert simple_body(body) == ended + b"\r\n"


VALUE = st.lists(st.sampled_from([b" ", b"\t", b"\r\n ", b"x", b"yz:", b";"])).map(b"".join)


@given(VALUE)
def test_fields_take_dkimpys_form(value: bytes) -> None:
    from dkim.canonicalization import Relaxed

    [(name, text)] = Relaxed.canonicalize_headers([(b"Subject ", value + b"\r\n")])
    assert relaxed_field(b"Subject :" + value + b"\r\n") == name + b":" + text
