"""Keys and tokens: shown once, stored hashed, compared in constant time."""

import asyncio
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import msgspec

from letterbox.model.vendor import Scope
from letterbox.ports.store import Commit, Delete, Document, Put, Store
from letterbox.records import places
from letterbox.records.cache import Recent
from letterbox.records.coding import decode, encode
from letterbox.records.names import new_secret

Purpose = Literal["key", "token"]

#: What a credential begins with, so that a leaked one is recognised for what it is.
_MARKS: dict[Purpose, str] = {"key": "lbk", "token": "lbt"}
_PREFIX_LENGTH = 8
#: Characters of a credential that are public: a mark, and eight that may be known.
PREFIX = 12
_LONGEST = 80
_DIRECTORY = "credential"
_PAGE = 500
_HOUR = timedelta(hours=1)
_REMEMBERED = 10_000


class Credential(msgspec.Struct, frozen=True):
    """A stored credential. ``owner`` is a vendor's id (key) or a consumer's (token).

    A key serves for its ``scopes``, for all where it has none. ``label`` is its owner's name
    for it.
    """

    prefix: str
    purpose: Purpose
    owner: str
    digest: bytes
    issued: datetime
    expires: datetime | None = None
    scopes: tuple[Scope, ...] = ()
    label: str = ""

    def serves(self, scope: Scope | None) -> bool:
        """Whether it may be used for that; None is for what every one may."""
        return scope is None or not self.scopes or scope in self.scopes

    def is_over(self, now: datetime) -> bool:
        """Whether its time is up."""
        return self.expires is not None and self.expires <= now


class Listed(NamedTuple):
    """A credential as its owner sees it. ``used`` is when it was last used, to the hour."""

    credential: Credential
    used: datetime | None


class _Used(msgspec.Struct, frozen=True):
    at: datetime


def _digest(secret: str) -> bytes:
    # 192 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(secret.encode()).digest()


class Credentials:
    """Credentials over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._used: Recent[str, datetime] = Recent(_REMEMBERED)
        #: What was looked up in this turn of the loop, by prefix; None before the first look.
        self._seen: dict[str, Credential | None] | None = None

    async def issue(
        self,
        purpose: Purpose,
        owner: str,
        now: datetime,
        *,
        lasts: timedelta | None = None,
        scopes: tuple[Scope, ...] = (),
        label: str = "",
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
            scopes=scopes,
            label=label,
        )
        put = Put(key=places.CREDENTIAL, value=encode(row), expect=0)
        entry = Put(key=_entry(row), value=b"")
        await self._store.commit(
            Commit(partition=places.credential(prefix), operations=(put,)),
            Commit(partition=places.DIRECTORY, operations=(entry,)),
        )
        return whole

    async def owner(
        self, purpose: Purpose, secret: str, now: datetime, *, scope: Scope | None = None
    ) -> str | None:
        """Whose credential this is; None for one that is wrong, over, revoked or not for that."""
        row = await self.shown(purpose, secret, now)
        return row.owner if row is not None and row.serves(scope) else None

    async def shown(self, purpose: Purpose, secret: str, now: datetime) -> Credential | None:
        """The credential that somebody shows; None for a wrong, expired or revoked one.

        That it was used is written down, once an hour at most.
        """
        row = await self._row(secret)
        # Compared even where there is none: a wrong prefix must not answer sooner.
        expected = row.digest if row else b"\0" * 32
        same = hmac.compare_digest(expected, _digest(secret[:_LONGEST]))
        if row is None or not same or row.purpose != purpose or row.is_over(now):
            return None
        await self._note_use(row.prefix, now)
        return row

    async def _note_use(self, prefix: str, now: datetime) -> None:
        """Write down a use. Who loses the last hour of it in a crash has lost nothing."""
        noted = self._used.get(prefix)
        if noted is not None and abs(now - noted) < _HOUR:
            return
        self._used.put(prefix, now)
        hour = now.replace(minute=0, second=0, microsecond=0)
        used = Put(key=places.USED, value=encode(_Used(at=hour)))
        await self._store.commit(Commit(partition=places.credential(prefix), operations=(used,)))

    async def _row(self, secret: str) -> Credential | None:
        mark, _, rest = secret.partition("_")
        prefix = f"{mark}_{rest.partition('_')[0]}"
        if mark not in _MARKS.values() or len(secret) > _LONGEST or not secret.isascii():
            prefix = "none"  # looked up all the same
        seen = self._seen
        if seen is None:
            # Calls that come in one turn of the loop, of ten busy connections some six, share one
            # look: nobody can have heard of a change since. What is read while the loop goes round
            # serves its own call alone.
            seen = self._seen = {}
            asyncio.get_running_loop().call_soon(self._forget)
        elif prefix in seen:
            return seen[prefix]
        row = await self.find(prefix)
        if seen is self._seen:
            seen[prefix] = row
        return row

    def _forget(self) -> None:
        self._seen = None

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

    async def listed(self, purpose: Purpose, owner: str) -> list[Listed]:
        """An owner's credentials, the oldest first."""
        found = []
        for prefix in await self.prefixes(purpose, owner):
            partition = places.credential(prefix)
            document = await self._store.get(partition, places.CREDENTIAL)
            used = await self._store.get(partition, places.USED)
            if document is not None:
                row = decode(document.value, Credential)
                found.append(Listed(row, decode(used.value, _Used).at if used else None))
        return sorted(found, key=lambda each: (each.credential.issued, each.credential.prefix))

    async def find(self, prefix: str) -> Credential | None:
        """A credential by its public prefix."""
        document = await self._store.get(places.credential(prefix), places.CREDENTIAL)
        return decode(document.value, Credential) if document else None

    async def rotate(self, prefix: str, now: datetime, *, overlap: timedelta) -> str | None:
        """Issue another of the same kind, which lasts as long; the old serves for ``overlap`` more.

        None where there is no such credential, or its time is up.
        """
        document = await self._store.get(places.credential(prefix), places.CREDENTIAL)
        row = decode(document.value, Credential) if document else None
        if document is None or row is None or row.is_over(now):
            return None
        lasts = row.expires - row.issued if row.expires else None
        whole = await self.issue(
            row.purpose, row.owner, now, lasts=lasts, scopes=row.scopes, label=row.label
        )
        ends = now + overlap
        if row.expires is None or row.expires > ends:
            over = msgspec.structs.replace(row, expires=ends)
            await self._replace(document, over)
        return whole

    async def _replace(self, document: Document, row: Credential) -> None:
        put = Put(key=places.CREDENTIAL, value=encode(row), expect=document.revision)
        await self._store.commit(Commit(partition=places.credential(row.prefix), operations=(put,)))
        self._forget()

    async def revoke(self, prefix: str) -> bool:
        """Revoke by prefix; false where there is none of it. At once: the next turn looks anew."""
        row = await self.find(prefix)
        if row is None:
            return False
        gone = (Delete(key=places.CREDENTIAL), Delete(key=places.USED))
        await self._store.commit(
            Commit(partition=places.credential(prefix), operations=gone),
            Commit(partition=places.DIRECTORY, operations=(Delete(key=_entry(row)),)),
        )
        self._forget()
        return True

    async def sweep(self, purpose: Purpose, owner: str, before: datetime) -> int:
        """Forget an owner's credentials whose time was up before then; returns how many."""
        rows = [listed.credential for listed in await self.listed(purpose, owner)]
        over = [row.prefix for row in rows if row.is_over(before)]
        for prefix in over:
            await self.revoke(prefix)
        return len(over)


def _entry(row: Credential) -> str:
    """Where the directory names a credential."""
    return f"{_DIRECTORY}/{row.purpose}/{row.owner}/{row.prefix}"
