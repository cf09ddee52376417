"""Passwords: stored as Argon2id makes them, compared in as much time for a name that nobody has."""

import asyncio
from datetime import datetime
from typing import Final

import argon2
import msgspec

from letterbox.ports.clock import Clock
from letterbox.ports.store import Commit, Delete, Put, Store
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.names import new_secret
from letterbox.records.sessions import Owner

#: Characters of a password (NIST SP 800-63B-4, 3.1.1.2: 15 where it is all that is asked for).
SHORTEST: Final = 15
LONGEST: Final = 200
#: Each takes 64 MiB for a moment: so many at once in one process.
_AT_ONCE: Final = 2


class _Password(msgspec.Struct, frozen=True):
    hash: str
    at: datetime


class Passwords:
    """Passwords over the store, one for each owner at most."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._hasher = argon2.PasswordHasher()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._nobodys: str | None = None

    async def since(self, owner: Owner) -> datetime | None:
        """When an owner's password was set; None where there is none."""
        row = await self._row(owner)
        return row.at if row else None

    async def set(self, owner: Owner, password: str) -> None:
        """Set or change it. Its length is the caller's to look at."""
        hashed = await self._hashed(password)
        put = Put(places.PASSWORD, encode(_Password(hashed, self._clock.now())))
        await self._store.commit(Commit(owner.partition, (put,)))

    async def remove(self, owner: Owner) -> None:
        """Take it away; nothing where there is none."""
        await self._store.commit(Commit(owner.partition, (Delete(places.PASSWORD),)))

    async def verify(self, owner: Owner, password: str) -> bool:
        """Whether this is an owner's password. It costs as much where there is none."""
        row = await self._row(owner)
        if self._nobodys is None:
            self._nobodys = await self._hashed(new_secret())
        hashed = row.hash if row else self._nobodys
        async with self._turns:
            same = await asyncio.to_thread(self._same, hashed, password)
        if row is None or not same:
            return False
        if self._hasher.check_needs_rehash(row.hash):
            await self.set(owner, password)
        return True

    async def _row(self, owner: Owner) -> _Password | None:
        document = await self._store.get(owner.partition, places.PASSWORD)
        return decode(document.value, _Password) if document else None

    async def _hashed(self, password: str) -> str:
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    def _same(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password[: LONGEST + 1])
        except argon2.exceptions.VerificationError:
            return False
