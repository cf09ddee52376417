"""What a notice says, and how each kind of channel is told it.

A webhook gets JSON that is signed as Standard Webhooks 1.0 has it; a topic of ntfy a line of
text; a browser a message that only it can read (RFC 8291), signed by us (RFC 8292).
"""

from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import http_ece
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from letterbox.feedback.sentences import Sentences, safe
from letterbox.feedback.webhooks import signature
from letterbox.model.channel import MOST_TOLD, Channel, Summary
from letterbox.model.preferences import Shows
from letterbox.model.webhook import SigningKey

#: How long a notice is of use; a push service keeps it no longer, either.
LASTS: Final = timedelta(hours=1)
#: What a browser's subscription is made of (RFC 8291, section 3.1).
KEY_OCTETS: Final = 65
AUTH_OCTETS: Final = 16
_NAMED: Final = 3
_LONGEST: Final = 120
_JWT_LASTS: Final = timedelta(hours=12)


class Said(NamedTuple):
    """A notice in words: ``lines`` below a ``title``, and the page it leads to."""

    id: str
    at: datetime
    title: str
    lines: tuple[str, ...]
    url: str
    summary: Summary
    trial: bool = False


class Request(NamedTuple):
    """What is posted."""

    headers: dict[str, str]
    body: bytes


def shown(summary: Summary, shows: Shows) -> Summary:
    """As much of a summary as may be shown to whoever carries it."""
    companies = summary.companies[:_NAMED] if shows != "count" else ()
    subjects = summary.subjects[:MOST_TOLD] if shows == "subject" else ()
    return Summary(summary.new, summary.waiting, companies, subjects)


def lines(sentences: Sentences, summary: Summary, language: str) -> tuple[str, ...]:
    """A summary in words: what came and what waits, and what about where that is shown."""

    def said(name: str, **facts: object) -> str:
        plain = {
            key: list(each) if isinstance(each, tuple) else each for key, each in facts.items()
        }
        return sentences.line("own", name, plain, language)  # type: ignore[arg-type]

    counted = [
        said(name if n > 1 else f"{name}-one", n=n)
        for name, n in (("new", summary.new), ("waiting", summary.waiting))
        if n
    ]
    first = "; ".join(counted)
    if summary.companies:
        companies = tuple(safe(each, _LONGEST) for each in summary.companies)
        first = said("of", text=first, companies=companies) or first
    return (first, *(safe(each, _LONGEST) for each in summary.subjects))


def webhook(said: Said, secret: bytes) -> Request:
    """The call of a webhook."""
    body = msgspec.json.encode({
        "type": "notice.test" if said.trial else "notice",
        "timestamp": said.at,
        "data": {
            "id": said.id,
            "text": "\n".join(said.lines),
            "url": said.url,
            **msgspec.to_builtins(said.summary),
        },
    })  # fmt: skip
    moment = int(said.at.timestamp())
    return Request(
        {
            "Content-Type": "application/json",
            "webhook-id": said.id,
            "webhook-timestamp": str(moment),
            "webhook-signature": signature("hmac", SigningKey(secret), said.id, moment, body),
        },
        body,
    )


def ntfy(said: Said, token: str) -> Request:
    """A message to a topic of ntfy, whose URL it is posted to."""
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Title": said.title,
        "Tags": "envelope",
        "Click": said.url,
    }
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return Request(headers, "\n".join(said.lines).encode())


def push(
    said: Said, channel: Channel, key: ec.EllipticCurvePrivateKey, *, subject: str, now: datetime
) -> Request:
    """A message to a browser. ``subject`` is where its push service can reach us (RFC 8292)."""
    content = msgspec.json.encode(
        {"title": said.title, "body": "\n".join(said.lines), "url": said.url, "tag": said.id}
    )
    body = http_ece.encrypt(
        content,
        private_key=ec.generate_private_key(ec.SECP256R1()),
        dh=channel.key,
        auth_secret=channel.auth,
        version="aes128gcm",
    )
    place = urlsplit(channel.url)
    claims = {
        "aud": f"{place.scheme}://{place.netloc}",
        "exp": int((now + _JWT_LASTS).timestamp()),
        "sub": subject,
    }
    token = jwt.encode(claims, key, algorithm="ES256")
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Encoding": "aes128gcm",
        "TTL": str(int(LASTS.total_seconds())),
        "Urgency": "normal",
        "Authorization": f"vapid t={token}, k={public_key(key)}",
    }
    return Request(headers, body)


def public_key(key: ec.EllipticCurvePrivateKey) -> str:
    """The key as a browser takes it: the point, uncompressed, in base64url without padding."""
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return urlsafe_b64encode(point).decode().rstrip("=")
