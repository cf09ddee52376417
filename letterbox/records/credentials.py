"""Keys and tokens: shown once, stored hashed, compared in constant time."""

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from letterbox.ports.store import Commit, Delete, Put, Store
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.names import new_secret

Purpose = Literal["key", "token"]

#: What a credential begins with, so that a leaked one is recognised for what it is.
_MARKS: dict[Purpose, str] = {"key": "lbk", "token": "lbt"}
_PREFIX_LENGTH = 8
_LONGEST = 80
_DIRECTORY = "credential"
_PAGE = 500


class Credential(msgspec.Struct, frozen=True):
    """A stored credential. ``owner`` is a vendor's id (key) or a consumer's (token)."""

    prefix: str
    purpose: Purpose
    owner: str
    digest: bytes
    issued: datetime
    expires: datetime | None = None


def _digest(secret: str) -> bytes:
    # 192 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(secret.encode()).digest()


class Credentials:
    """Credentials over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def issue(
        self, purpose: Purpose, owner: str, now: datetime, *, lasts: timedelta | None = None
    ) -> str:
        """Make a credential and return it: the only time it is seen."""
        secret = new_secret()
        prefix = f"{_MARKS[purpose]}_{secret[:_PREFIX_LENGTH]}"
        whole = f"{prefix}_{secret[_PREFIX_LENGTH:]}"
        row = Credential(
            prefix=prefix,
            purpose=purpose,
            owner=owner,
            digest=_digest(whole),
            issued=now,
            expires=now + lasts if lasts else None,
        )
        put = Put(key=places.CREDENTIAL, value=encode(row), expect=0)
        entry = Put(key=f"{_DIRECTORY}/{purpose}/{owner}/{prefix}", value=b"")
        await self._store.commit(
            Commit(partition=places.credential(prefix), operations=(put,)),
            Commit(partition=places.DIRECTORY, operations=(entry,)),
        )
        return whole

    async def owner(self, purpose: Purpose, secret: str, now: datetime) -> str | None:
        """Whose credential this is; None for a wrong, expired or revoked one."""
        row = await self._row(secret)
        # Compared even where there is none: a wrong prefix must not answer sooner.
        expected = row.digest if row else b"\0" * 32
        same = hmac.compare_digest(expected, _digest(secret[:_LONGEST]))
        if row is None or not same or row.purpose != purpose:
            return None
        return None if row.expires and row.expires <= now else row.owner

    async def _row(self, secret: str) -> Credential | None:
        mark, _, rest = secret.partition("_")
        prefix = f"{mark}_{rest.partition('_')[0]}"
        if mark not in _MARKS.values() or len(secret) > _LONGEST or not secret.isascii():
            prefix = "none"  # looked up all the same
        document = await self._store.get(places.credential(prefix), places.CREDENTIAL)
        return decode(document.value, Credential) if document else None

    async def prefixes(self, purpose: Purpose, owner: str) -> list[str]:
        """The public prefixes of an owner's credentials, in order: what :meth:`revoke` takes."""
        place = f"{_DIRECTORY}/{purpose}/{owner}/"
        found: list[str] = []
        after: str | None = None
        while page := await self._store.documents(
            places.DIRECTORY, place, after=after, limit=_PAGE
        ):
            found += [document.key.removeprefix(place) for document in page]
            after = page[-1].key
        return found

    async def revoke(self, prefix: str) -> bool:
        """Revoke by prefix; false where there is none of it. At once: nothing is cached."""
        document = await self._store.get(places.credential(prefix), places.CREDENTIAL)
        if document is None:
            return False
        row = decode(document.value, Credential)
        entry = Delete(key=f"{_DIRECTORY}/{row.purpose}/{row.owner}/{prefix}")
        await self._store.commit(
            Commit(
                partition=places.credential(prefix), operations=(Delete(key=places.CREDENTIAL),)
            ),
            Commit(partition=places.DIRECTORY, operations=(entry,)),
        )
        return True
