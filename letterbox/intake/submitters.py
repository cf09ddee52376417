"""Who submits: a vendor that shows its id and one of its API keys (RFC 4954, RFC 6409)."""

import hmac
from typing import Literal, NamedTuple

import structlog

from letterbox.metrics import Metrics
from letterbox.model.vendor import Registered
from letterbox.ports.clock import Clock
from letterbox.records.credentials import Credentials
from letterbox.records.guesses import Guesses
from letterbox.records.vendors import Vendors

log = structlog.get_logger("letterbox.submission")


class Shown(NamedTuple):
    """A vendor that has shown a key, by the key's public prefix."""

    vendor: str
    prefix: str


class Wrong(NamedTuple):
    """Nobody's id and key; it is not said which of them. ``seconds`` put the answer off."""

    seconds: float


class Unfit(NamedTuple):
    """The id and the key are right, and do not serve: ``why`` says what is lacking."""

    why: Literal["scope", "domain"]


class Submitters:
    """Checks ids and keys. Whatever is wrong about them costs the same and is told alike."""

    def __init__(
        self,
        *,
        credentials: Credentials,
        vendors: Vendors,
        guesses: Guesses,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._credentials = credentials
        self._vendors = vendors
        self._guesses = guesses
        self._clock = clock
        self._metrics = metrics

    async def authenticate(
        self, name: str, key: str, *, place: str, session: str
    ) -> Shown | Wrong | Unfit | Literal["locked"]:
        """Look at an id and a key shown from ``place``, an address. Raises StoreUnavailable."""
        name = name.lower()
        if self._guesses.locked(place, name):
            self._told("locked", session=session, client=place)
            return "locked"
        row = await self._credentials.shown("key", key, self._clock.now())
        owner = row.owner if row is not None else ""
        same = hmac.compare_digest(owner.encode(), name.encode("utf-8", "surrogateescape"))
        vendor = await self._vendors.get(owner)
        if self._guesses.locked(place, name):
            # Many were looked at at one time: those over the limit learn nothing, right or wrong.
            self._told("locked", session=session, client=place)
            return "locked"
        if row is None or not same or vendor is None:
            self._told("wrong", session=session, client=place)
            return Wrong(self._guesses.failed(place, name))
        # Whoever has the key is no guesser, and may know what it lacks.
        if vendor.is_nobody_yet or not row.serves("send"):
            self._told("unfit", session=session, client=place)
            return Unfit("domain" if vendor.is_nobody_yet else "scope")
        self._guesses.succeeded(place, name)
        self._told("right", session=session, client=place)
        return Shown(vendor.id, row.prefix)

    async def vendor(self, shown: Shown) -> Registered | None:
        """The vendor as it is now; None where its key is not good any more."""
        row = await self._credentials.find(shown.prefix)
        good = row is not None and not row.is_over(self._clock.now()) and row.serves("send")
        vendor = await self._vendors.get(shown.vendor) if good else None
        return None if vendor is None or vendor.is_nobody_yet else vendor

    def _told(self, outcome: str, *, session: str, client: str) -> None:
        """One line for each try: never the name, which may be a mistyped key, nor the key."""
        self._metrics.authentications.labels(outcome).inc()
        log.info("authentication", outcome=outcome, session=session, client=client)
