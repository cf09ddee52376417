"""Standard Webhooks 1.0: what is sent about an event, and how it is signed. Pure."""

import hashlib
import hmac
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from letterbox.feedback.events import FeedItem
from letterbox.model.webhook import Signing, SigningKey, Webhook

#: Longer than any honest wait; a mistaken one would silence an endpoint for good.
_LONGEST_WAIT = timedelta(days=1)
_MOST_DIGITS = 9
#: The type of a call that is only to be tried.
TEST: Final = "webhook.test"


class _Body(msgspec.Struct, frozen=True):
    type: str
    timestamp: datetime
    data: FeedItem


def body_of(item: FeedItem) -> bytes:
    """The body that tells an event: the same bytes at every attempt, as the feed tells it."""
    return msgspec.json.encode(_Body(type=item.type, timestamp=item.at, data=item))


def trial_body(name: str, at: datetime) -> bytes:
    """The body of a test call, which tells no event."""
    data = {"id": name, "type": TEST, "at": at}
    return msgspec.json.encode({"type": TEST, "timestamp": at, "data": data})


def headers_of(webhook: Webhook, name: str, at: datetime, body: bytes) -> dict[str, str]:
    """The header of a call: ``name`` is the event's id, ``at`` the time of this attempt."""
    moment = int(at.timestamp())
    signatures = (
        signature(webhook.signing, key, name, moment, body) for key in webhook.keys_at(at)
    )
    return {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(moment),
        "webhook-signature": " ".join(signatures),
    }


def signature(signing: Signing, key: SigningKey, name: str, moment: int, body: bytes) -> str:
    """One signature over id, time (whole seconds since 1970) and body, with its version."""
    content = f"{name}.{moment}.".encode() + body
    if signing == "ed25519":
        return "v1a," + _text(Ed25519PrivateKey.from_private_bytes(key.secret).sign(content))
    return "v1," + _text(hmac.digest(key.secret, content, hashlib.sha256))


def shown(signing: Signing, key: SigningKey) -> str:
    """What the receiver verifies with: the shared secret, or the public key of Ed25519."""
    if signing == "hmac":
        return "whsec_" + _text(key.secret)
    public = Ed25519PrivateKey.from_private_bytes(key.secret).public_key()
    return "whpk_" + _text(public.public_bytes(Encoding.Raw, PublicFormat.Raw))


def _text(octets: bytes) -> str:
    return b64encode(octets).decode()


def wait_asked(field: str, now: datetime) -> timedelta:
    """How long a Retry-After asks to wait, a day at most (RFC 9110, section 10.2.3).

    Nothing where it says nothing that can be read.
    """
    text = field.strip()
    if text.isascii() and text.isdecimal():
        seconds = int(text[:_MOST_DIGITS])
        return min(timedelta(seconds=seconds), _LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return timedelta(0)
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max(until - now, timedelta(0)), _LONGEST_WAIT)
