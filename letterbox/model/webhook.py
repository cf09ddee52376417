"""Webhooks: where a vendor has its events sent, and how far that has come."""

from datetime import datetime
from typing import Literal

import msgspec

#: Standard Webhooks 1.0: ``v1`` is an HMAC with SHA-256, ``v1a`` a signature of Ed25519.
Signing = Literal["hmac", "ed25519"]

#: Why an endpoint is called no more: it answered 410, or nothing has arrived for three days.
DisabledBecause = Literal["gone", "failing"]

#: What came of a call. ``set-aside`` and ``given-up`` are failures, too.
DeliveryOutcome = Literal["delivered", "failed", "set-aside", "given-up", "disabled"]


class SigningKey(msgspec.Struct, frozen=True):
    """32 random bytes: the key of an HMAC, or the private key of Ed25519 (RFC 8032).

    One that was replaced signs beside the new one ``until`` then.
    """

    secret: bytes
    until: datetime | None = None

    def __repr__(self) -> str:
        return f"SigningKey(until={self.until})"


class Disabled(msgspec.Struct, frozen=True):
    """Since when an endpoint is called no more, and why."""

    at: datetime
    because: DisabledBecause


class Webhook(msgspec.Struct, frozen=True):
    """An endpoint as its vendor has set it up. No ``events``: all types. The newest key first."""

    id: str
    url: str
    created: datetime
    signing: Signing
    keys: tuple[SigningKey, ...]
    events: tuple[str, ...] = ()
    disabled: Disabled | None = None

    def wants(self, kind: str) -> bool:
        """Whether events of a type are sent there."""
        return not self.events or kind in self.events

    def keys_at(self, now: datetime) -> tuple[SigningKey, ...]:
        """The keys that sign now."""
        return tuple(key for key in self.keys if key.until is None or key.until > now)


class Aside(msgspec.Struct, frozen=True):
    """An event that kept the others waiting, and is tried by itself: its place in the feed.

    ``failing`` is since when it has failed, ``next`` when it is tried again.
    """

    sequence: int
    failing: datetime
    next: datetime
    failures: int


class Progress(msgspec.Struct, frozen=True):
    """How far an endpoint has come in its vendor's feed: up to and including ``cursor``.

    The event after it has failed ``failures`` times since ``failing``, and is tried again at
    ``next``. ``silent``: since when nothing has arrived, of whatever was tried. ``not_before``:
    what the endpoint has asked for. ``lines`` counts what was written in the log of deliveries.
    """

    cursor: int
    failures: int = 0
    failing: datetime | None = None
    next: datetime | None = None
    asides: tuple[Aside, ...] = ()
    may_set_aside: bool = True
    silent: datetime | None = None
    not_before: datetime | None = None
    lines: int = 0

    @property
    def again(self) -> datetime | None:
        """When the event that failed is tried again: no sooner than the endpoint has asked for."""
        if self.next is None or self.not_before is None:
            return self.next
        return max(self.next, self.not_before)


class Delivery(msgspec.Struct, frozen=True):
    """One call of an endpoint. ``status`` is that of its answer, 0 where there was none."""

    at: datetime
    number: int
    event: str
    type: str
    attempt: int
    outcome: DeliveryOutcome
    status: int
    milliseconds: int
    detail: str = ""
