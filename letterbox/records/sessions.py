"""Who is signed in, in which browser; secrets are stored hashed, compared in constant time."""

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

from letterbox.model.configuration import WebSection
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Claim,
    Commit,
    Delete,
    Done,
    Operation,
    Put,
    Store,
    Unclaim,
)
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.names import new_reference, new_secret

#: Whose pages somebody sees.
Side = Literal["consumer", "vendor"]

_SIDES: Final[dict[str, Side]] = {"consumer": "consumer", "vendor": "vendor"}
#: Of one owner: one more, and the one unused longest ends.
_MOST: Final = 50
#: Links of one owner: the operator makes them one by one, and each lasts for some hours.
_ALL: Final = 10_000
#: That somebody was here is written down once an hour at most.
_HOUR: Final = timedelta(hours=1)
#: However often it is used, a session ends after so long.
_LONGEST: Final = timedelta(days=365)
_COOKIE = re.compile(r"(consumer|vendor):([a-z0-9._-]{1,63}):([0-9a-f]{32}):([0-9A-Za-z]{33})")
_LINK = re.compile(r"([0-9a-f]{32})([0-9A-Za-z]{33})")


class Owner(NamedTuple):
    """A consumer or a vendor, by id."""

    side: Side
    id: str

    @property
    def partition(self) -> str:
        """Where everything of theirs is."""
        return places.consumer(self.id) if self.side == "consumer" else places.vendor(self.id)


class Session(msgspec.Struct, frozen=True):
    """One browser. ``agent`` is its family ("Firefox on Linux"), ``seen`` is to the hour."""

    id: str
    digest: bytes
    at: datetime
    seen: datetime
    agent: str = ""


class SignedIn(NamedTuple):
    """Who somebody is, and the session that says so. ``cookie`` is the whole secret."""

    owner: Owner
    session: Session
    cookie: str

    def token(self, purpose: str) -> str:
        """A token that nobody can make who does not have the cookie; of one for each purpose."""
        return hmac.new(self.cookie.encode(), purpose.encode(), hashlib.sha256).hexdigest()


class _Noted(msgspec.Struct, frozen=True):
    """That there is a link. ``expires`` is when it is none any more."""

    expires: datetime


class _Sessions(msgspec.Struct, frozen=True):
    sessions: tuple[Session, ...] = ()


class _Link(msgspec.Struct, frozen=True):
    side: Side
    owner: str
    digest: bytes
    expires: datetime


def _digest(secret: str) -> bytes:
    # 192 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(secret.encode()).digest()


class Sessions:
    """Sessions and sign-in links over the store.

    A session ends when it was not used for ``lasts``; a link serves once, and for some hours.
    """

    def __init__(self, store: Store, clock: Clock, section: WebSection) -> None:
        self._store = store
        self._clock = clock
        self.lasts = timedelta(days=section.session_days)
        self._link_lasts = timedelta(hours=section.link_hours)

    # ---- links ----

    async def link(self, owner: Owner) -> str:
        """Make the token of a sign-in link: the only time it is seen."""
        name, secret = new_reference(), new_secret()
        expires = self._clock.now() + self._link_lasts
        row = _Link(owner.side, owner.id, _digest(secret), expires)
        claim = Claim(name=places.LINK, value=encode(row), expires=expires)
        noted = Put(key=places.LINKS + name, value=encode(_Noted(expires)))
        await self._store.commit(
            Commit(owner.partition, (*await self._over(owner), noted)),
            Commit(places.link(name), (claim,), with_all=True),
        )
        return name + secret

    async def _over(self, owner: Owner) -> list[Operation]:
        """What forgets links of an owner's whose time is up."""
        rows = await self._store.documents(owner.partition, places.LINKS, limit=_MOST)
        now = self._clock.now()
        return [Delete(row.key) for row in rows if decode(row.value, _Noted).expires <= now]

    async def forget(self, owner: Owner) -> None:
        """End every session of an owner's, and every link that could begin another."""
        rows = await self._store.documents(owner.partition, places.LINKS, limit=_ALL)
        for row in rows:
            link = places.link(row.key.removeprefix(places.LINKS))
            gone = (Unclaim(places.LINK), Unclaim(places.LINK_USED))
            await self._store.commit(
                Commit(link, gone), Commit(owner.partition, (Delete(row.key),))
            )
        await self._store.commit(Commit(owner.partition, (Delete(places.SESSIONS),)))

    async def linked(self, token: str) -> Owner | None:
        """Whom a link would sign in; None where it is wrong, over or used."""
        found = await self._find_link(token)
        return Owner(found[1].side, found[1].owner) if found else None

    async def use_link(self, token: str) -> Owner | None:
        """Use a link up; whom it signs in. Of two at once one gets None."""
        found = await self._find_link(token)
        if found is None:
            return None
        name, row = found
        used = Claim(name=places.LINK_USED, value=b"", expires=row.expires)
        (result,) = await self._store.commit(
            Commit(partition=places.link(name), operations=(used,))
        )
        return Owner(row.side, row.owner) if isinstance(result, Done) else None

    async def _find_link(self, token: str) -> tuple[str, _Link] | None:
        match = _LINK.fullmatch(token)
        if match is None:
            return None
        partition = places.link(match[1])
        value = await self._store.claim(partition, places.LINK)
        row = decode(value, _Link) if value else None
        expected = row.digest if row else b"\0" * 32
        if not hmac.compare_digest(expected, _digest(match[2])) or row is None:
            return None
        if await self._store.claim(partition, places.LINK_USED) is not None:
            return None
        return match[1], row

    # ---- sessions ----

    async def start(self, owner: Owner, *, agent: str, instead_of: str | None = None) -> SignedIn:
        """Sign an owner in, in a new session; the one of the cookie ``instead_of`` ends."""
        if instead_of is not None:
            await self.end(instead_of)
        secret, now = new_secret(), self._clock.now()
        row = Session(new_reference(), _digest(secret), at=now, seen=now, agent=agent)

        def added(rows: tuple[Session, ...]) -> tuple[Session, ...]:
            kept = sorted(rows, key=lambda each: each.seen)[-(_MOST - 1) :]
            return (*kept, row)

        await self._change(owner, added)
        return SignedIn(owner, row, f"{owner.side}:{owner.id}:{row.id}:{secret}")

    async def shown(self, cookie: str) -> SignedIn | None:
        """Who shows a cookie; None for one that is wrong, over or revoked."""
        match = _COOKIE.fullmatch(cookie)
        if match is None:
            return None
        owner = Owner(_SIDES[match[1]], match[2])
        rows, now = await self.listed(owner), self._clock.now()
        row = next((each for each in rows if each.id == match[3]), None)
        expected = row.digest if row else b"\0" * 32
        if not hmac.compare_digest(expected, _digest(match[4])) or row is None:
            return None
        if now - row.seen >= _HOUR:
            await self._change(
                owner,
                lambda rows: tuple(
                    msgspec.structs.replace(each, seen=now) if each.id == row.id else each
                    for each in rows
                ),
            )
        return SignedIn(owner, row, cookie)

    async def listed(self, owner: Owner) -> tuple[Session, ...]:
        """An owner's sessions, the oldest first."""
        _, rows = await self._read(owner)
        return self._on(rows)

    async def revoke(self, owner: Owner, session: str) -> bool:
        """End one of an owner's sessions; false where there is none of that id."""
        if all(row.id != session for row in await self.listed(owner)):
            return False
        await self._change(owner, lambda rows: tuple(row for row in rows if row.id != session))
        return True

    async def end(self, cookie: str) -> None:
        """Sign out whoever shows a cookie; nothing where it is nobody's."""
        who = await self.shown(cookie)
        if who is not None:
            await self.revoke(who.owner, who.session.id)

    def _on(self, rows: tuple[Session, ...]) -> tuple[Session, ...]:
        """Those that are not over."""
        now = self._clock.now()
        return tuple(row for row in rows if now - row.seen < self.lasts and now - row.at < _LONGEST)

    async def _read(self, owner: Owner) -> tuple[int, tuple[Session, ...]]:
        document = await self._store.get(owner.partition, places.SESSIONS)
        if document is None:
            return 0, ()
        return document.revision, decode(document.value, _Sessions).sessions

    async def _change(
        self,
        owner: Owner,
        change: Callable[[tuple[Session, ...]], tuple[Session, ...]],
    ) -> None:
        """Change the list of an owner's; what is over goes with it."""
        while True:
            revision, rows = await self._read(owner)
            after = change(self._on(rows))
            put = Put(key=places.SESSIONS, value=encode(_Sessions(after)), expect=revision)
            (result,) = await self._store.commit(
                Commit(partition=owner.partition, operations=(put,))
            )
            if isinstance(result, Done):
                return
