"""What the links of a digest may do: each signed for one consumer, one entry and one thing to do.

A link says no more than that; it signs nobody in. The key is the consumer's own, made at random
when it is first needed, so that what is signed for one opens nothing of another's. All links end
with the consumer, and with each mailbox that is removed.
"""

import hashlib
import os
import re
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple, get_args

from itsdangerous import BadData, URLSafeSerializer

from letterbox.ports.clock import Clock
from letterbox.ports.store import Claim, Commit, Put, Store
from letterbox.records import places

#: ``off`` ends the digests; it speaks of no entry.
Act = Literal["archive", "yes", "no", "let-in", "lock-out", "off"]

_ACTS: Final[frozenset[str]] = frozenset(get_args(Act))
_KEY_OCTETS: Final = 32
_TOKEN = re.compile(r"([a-z0-9][a-z0-9._-]{0,62})~([A-Za-z0-9_.-]{20,400})")
_ENTRY = re.compile(r"(?:[0-9a-f]{32})?")
#: Takes as long as a key that there is.
_NO_KEY: Final = b"\0" * _KEY_OCTETS


class Action(NamedTuple):
    """What a link does: ``entry`` is the id of what it is about, empty for none."""

    consumer: str
    act: Act
    entry: str
    expires: datetime


class Signing(NamedTuple):
    """Signs the links of one consumer."""

    consumer: str
    key: bytes

    def token(self, act: Act, entry: str, expires: datetime) -> str:
        """The token of a link: letters, digits and ``-._~``."""
        said = [act, entry, int(expires.timestamp())]
        signed = _serializer(self.consumer, self.key).dumps(said)
        return f"{self.consumer}~{signed}"


class Actions:
    """Links over the store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def signing(self, consumer: str) -> Signing:
        """What signs a consumer's links."""
        while True:
            key = await self._key(consumer)
            if key is not None:
                return Signing(consumer, key)
            # Of two who make one at once the first counts.
            put = Put(places.ACTION_KEY, os.urandom(_KEY_OCTETS), expect=0)
            await self._store.commit(Commit(places.consumer(consumer), (put,)))

    async def read(self, token: str) -> Action | None:
        """What a token is for, whether it still :meth:`serves` or not; None for none of ours."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        consumer = match[1]
        key = await self._key(consumer)
        try:
            said = _serializer(consumer, key or _NO_KEY).loads(match[2])
        except BadData:
            return None
        return _action(consumer, said) if key is not None else None

    async def serves(self, action: Action) -> bool:
        """Whether a link still does something: its time is not over, and it was not used."""
        if action.expires <= self._clock.now():
            return False
        partition = places.consumer(action.consumer)
        return await self._store.claim(partition, _used(action)) is None

    async def use(self, action: Action) -> None:
        """Use a link up. It comes after what it does, which has no second effect."""
        claim = Claim(_used(action), b"", expires=action.expires)
        await self._store.commit(Commit(places.consumer(action.consumer), (claim,)))

    async def _key(self, consumer: str) -> bytes | None:
        document = await self._store.get(places.consumer(consumer), places.ACTION_KEY)
        return document.value if document else None


def _used(action: Action) -> str:
    """The claim of having used a link: of what it says, which may be spelled in several ways."""
    return places.acted(f"{action.act}/{action.entry}/{action.expires.isoformat()}")


def _serializer(consumer: str, key: bytes) -> URLSafeSerializer:
    return URLSafeSerializer(
        key,
        salt=f"letterbox digest {consumer}",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )


def _action(consumer: str, said: Any) -> Action | None:
    """What was signed, as far as it is of a form that we sign."""
    match said:
        case [str(act), str(entry), int(expires)] if act in _ACTS and _ENTRY.fullmatch(entry):
            at = datetime.fromtimestamp(expires, UTC)
            return Action(consumer, act, entry, at)  # type: ignore[arg-type]
        case _:
            return None
