"""Standard Webhooks 1.0: the published vector, and verifiers of others."""

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from letterbox.feedback.events import feed_item
from letterbox.feedback.webhooks import body_of, headers_of, shown, signature, wait_asked
from letterbox.model.told import Event, ToldReason
from letterbox.model.webhook import SigningKey, Webhook

CREATED = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVENT = Event(
    id="019ab0c1f8004c7d93e25b6a1f0d8e42",
    type="message.refused",
    at=datetime(2026, 11, 23, 12, tzinfo=UTC),
    message="m",
    recipient="anna@letterbox.example",
    verdict="refuse",
    reason=ToldReason(
        code="price-above-limit",
        reason_class="choice",
        title="Te duur: é ☂",
        final=False,
        url="https://letterbox.example/r/1",
    ),
    reference="1",
    your_reference='line\r\nwebhook-id: "forged"\u2028',
)


@pytest.fixture
def now() -> datetime:
    """The verifier looks at a clock of its own."""
    return datetime.now(UTC).replace(microsecond=0)


def endpoint(*keys: SigningKey, signing="hmac") -> Webhook:
    return Webhook(id="w", url="https://x.example/", created=CREATED, signing=signing, keys=keys)


#: Those that the specification's libraries and its makers' manual give.
PUBLISHED = [
    (
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    (
        "plJ3nmyCDGBKInavdOK15jsl",
        "msg_loFOjxBNrRLzqYUf",
        1731705121,
        b'{"event_type":"ping","data":{"success":true}}',
        "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
    ),
]


@pytest.mark.parametrize(("secret", "name", "moment", "body", "signed"), PUBLISHED)
def test_the_published_vectors(secret, name, moment, body, signed):
    key = SigningKey(b64decode(secret))
    assert signature("hmac", key, name, moment, body) == signed
    assert shown("hmac", key) == f"whsec_{secret}"


def test_the_package_of_others_verifies_ours(now):
    key = SigningKey(b"k" * 32)
    body = body_of(feed_item(EVENT))
    headers = headers_of(endpoint(key), EVENT.id, now, body)
    told = Verifier(shown("hmac", key)).verify(body, headers)
    assert told["type"] == "message.refused"
    assert told["timestamp"] == "2026-11-23T12:00:00Z"
    assert told["data"] == json.loads(json.dumps(told["data"]))
    assert told["data"]["reason"]["title"] == "Te duur: é ☂"
    assert told["data"]["your_reference"] == EVENT.your_reference
    with pytest.raises(WebhookVerificationError):
        Verifier(shown("hmac", key)).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(shown("hmac", SigningKey(b"o" * 32))).verify(body, headers)


def test_nothing_of_an_event_reaches_the_header(now):
    headers = headers_of(endpoint(SigningKey(b"k" * 32)), EVENT.id, now, body_of(feed_item(EVENT)))
    assert set(headers) == {
        "Content-Type",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }
    assert all(value.isascii() and value.isprintable() for value in headers.values())


def test_ed25519_is_verified_with_the_public_key_alone(now):
    key = SigningKey(bytes(range(32)))
    body = b'{"a":1}'
    headers = headers_of(endpoint(key, signing="ed25519"), "msg_1", now, body)
    public = shown("ed25519", key)
    assert public.startswith("whpk_")
    assert b64encode(key.secret).decode() not in public
    verifier = Ed25519PublicKey.from_public_bytes(b64decode(public.removeprefix("whpk_")))
    version, _, made = headers["webhook-signature"].partition(",")
    assert version == "v1a"
    signed = f"msg_1.{int(now.timestamp())}.".encode() + body
    verifier.verify(b64decode(made), signed)
    with pytest.raises(InvalidSignature):
        verifier.verify(b64decode(made), signed + b" ")


def test_two_keys_sign_while_one_takes_over_from_the_other(now):
    old, new = SigningKey(b"o" * 32, until=now + timedelta(hours=1)), SigningKey(b"n" * 32)
    body = b"{}"
    during = headers_of(endpoint(new, old), "msg_1", now, body)
    for key in (old, new):
        Verifier(shown("hmac", key)).verify(body, during)
    after = headers_of(endpoint(new, old), "msg_1", now + timedelta(hours=1), body)
    assert during["webhook-signature"].startswith(
        signature("hmac", new, "msg_1", int(now.timestamp()), body)
    )
    assert len(after["webhook-signature"].split()) == 1


def test_a_key_does_not_show_itself():
    key = SigningKey(b"secret-secret-secret-secret-secr")
    assert "secret-" not in repr(key)
    assert "secret-" not in repr(endpoint(key))
    assert "secret-" not in f"{endpoint(key)}"


AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("99999999999999999999", 86_400),
        ("Mon, 23 Nov 2026 12:10:00 GMT", 600),
        ("Monday, 23-Nov-26 12:10:00 GMT", 600),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
        ("Mon, 23 Nov 2099 11:00:00 GMT", 86_400),
        ("Mon, 23 Nov 2026 12:10:00 -0000", 600),
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("1.5", 0),
        ("١٢٠", 0),
        ("Mon, 99 Nov 2026 12:10:00 GMT", 0),
        ("Mon, 23 Nov 99999 12:10:00 GMT", 0),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", 0),
        ("Mon, 31 Dec 9999 23:59:59 -2359", 86_400),
    ],
)
def test_how_long_a_receiver_asks_to_wait(field, seconds):
    assert wait_asked(field, AT) == timedelta(seconds=seconds)
