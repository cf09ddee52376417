"""Mailboxes of consumers' elsewhere: added, confirmed by whoever reads them, removed."""

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from letterbox.model.address import Address, parse_address
from letterbox.model.destination import Destination, LetterState
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Add,
    Claim,
    Commit,
    Delete,
    Done,
    Operation,
    Put,
    Rejected,
    Schedule,
    Store,
    Unclaim,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.names import new_reference, new_secret

#: Mailboxes of one consumer.
MOST: Final = 10
#: How long a link confirms.
LINK_LASTS: Final = timedelta(days=3)
_DAY: Final = timedelta(days=1)
#: Letters that ask, on one day (UTC): of one consumer's, and to one address, whoever asks.
_LETTERS: Final = 10
_LETTERS_TO: Final = 3
_ATTEMPTS: Final = 5
_TOKEN = re.compile(r"([0-9a-f]{32})([0-9A-Za-z]{33})")


class Unfit(Exception):
    """An address that mail cannot be handed on to; the text says why."""


class OwnAddress(Unfit):
    """It lies in a domain of ours: mail would come back to us."""


class TooMany(Exception):
    """One consumer has as many mailboxes as there may be."""


class AskedEnough(Exception):
    """So many letters were sent today, by this consumer or to this address."""


class _Destinations(msgspec.Struct, frozen=True):
    destinations: tuple[Destination, ...] = ()


class _Link(msgspec.Struct, frozen=True):
    """What confirms a mailbox: whose it is, and the digest of the secret half."""

    consumer: str
    destination: str
    digest: bytes


class Confirmable(NamedTuple):
    """What a link would confirm."""

    consumer: str
    destination: Destination


Change = Callable[[tuple[Destination, ...]], tuple[Destination, ...] | None]


def _digest(secret: str) -> bytes:
    # 192 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(secret.encode()).digest()


class Destinations:
    """Mailboxes over the store. ``ours`` are the domains that we take mail for.

    What a link carries is random, and its digest is kept: nobody makes one who has not read ours.
    It serves once, for :data:`LINK_LASTS`, and until another is made for the same mailbox.
    """

    def __init__(self, store: Store, clock: Clock, *, ours: frozenset[str]) -> None:
        self._store = store
        self._clock = clock
        self._ours = ours

    # ---- what there is ----

    async def listed(self, consumer: str) -> tuple[Destination, ...]:
        """All of a consumer's mailboxes, the oldest first."""
        return (await self._read(consumer))[1]

    async def confirmed(self, consumer: str) -> list[Destination]:
        """Those that mail may go to."""
        return [each for each in await self.listed(consumer) if each.confirmed_at is not None]

    async def get(self, consumer: str, name: str) -> Destination | None:
        """One of them, by id."""
        return next((each for each in await self.listed(consumer) if each.id == name), None)

    async def reached(self, consumer: str, text: str) -> Address | None:
        """Where mail to an address of theirs goes: as it was confirmed; None where it does not."""
        address = parse_address(text)
        for each in await self.confirmed(consumer) if address else ():
            confirmed = parse_address(each.address)
            if address and confirmed and _same(each, address) and not self.unfit(confirmed):
                return confirmed
        return None

    def unfit(self, address: Address) -> bool:
        """Whether mail to an address would come back to us."""
        return address.domain in self._ours

    # ---- adding and removing ----

    async def add(self, consumer: str, text: str) -> Destination:
        """Add a mailbox, and owe it the letter that asks for a confirmation.

        One that is there already is returned as it is. Raises :class:`Unfit`, :class:`TooMany`,
        :class:`AskedEnough`.
        """
        address = parse_address(text)
        if address is None:
            raise Unfit(f"{text[:100]!r} is no mail address")
        if self.unfit(address):
            raise OwnAddress(f"{address.domain} is this letterbox's own: mail would go in circles")
        for _ in range(_ATTEMPTS):
            revision, rows = await self._read(consumer)
            known = next((row for row in rows if _same(row, address)), None)
            if known is not None:
                return known
            if len(rows) >= MOST:
                raise TooMany
            now = self._clock.now()
            row = Destination(id=new_reference(), address=str(address), added_at=now, asked_at=now)
            if await self._owe(consumer, row, (*rows, row), revision, address):
                return row
        raise AskedEnough

    async def ask_again(self, consumer: str, name: str) -> Destination | None:
        """Owe a mailbox another letter; None where there is none that waits for one.

        Raises :class:`AskedEnough`.
        """
        for _ in range(_ATTEMPTS):
            revision, rows = await self._read(consumer)
            row = next((each for each in rows if each.id == name), None)
            address = parse_address(row.address) if row else None
            if row is None or address is None or row.confirmed_at is not None:
                return None
            now = self._clock.now()
            asked = msgspec.structs.replace(row, letter="owed", detail="", attempts=0, asked_at=now)
            after = tuple(asked if each.id == name else each for each in rows)
            if await self._owe(consumer, asked, after, revision, address):
                return asked
        raise AskedEnough

    async def _owe(
        self,
        consumer: str,
        row: Destination,
        rows: tuple[Destination, ...],
        revision: int,
        address: Address,
    ) -> bool:
        """Write the list with a letter owed; false where it has changed meanwhile."""
        now, own = self._clock.now(), places.consumer(consumer)
        counter, expires = places.confirmations(now), now + _DAY
        if (await self._store.counters(own, [counter]))[counter] >= _LETTERS:
            raise AskedEnough  # and the address has not been asked: others may be heard there
        to = Add(counter=counter, expires=expires, limit=_LETTERS_TO)
        mine = Add(counter=counter, expires=expires, limit=_LETTERS)
        operations = (
            Put(key=places.DESTINATIONS, value=encode(_Destinations(rows)), expect=revision),
            mine,
            Schedule(key=places.CONFIRMING + row.id, at=now),
        )
        # The address first, below whatever name: whoever asks too often for a stranger's is
        # stopped there.
        results = await self._store.commit(
            Commit(places.elsewhere(str(address.mailbox)), (to,)),
            Commit(own, operations, with_all=True),
        )
        failed = next((each for each in results if isinstance(each, Rejected)), None)
        if failed is not None and failed.operation in {to, mine}:
            raise AskedEnough
        return failed is None

    async def remove(self, consumer: str, name: str) -> bool:
        """Forget a mailbox; false where there is none of that id.

        The links of digests end with it: whoever reads it now is to do nothing by those it holds.
        """
        gone: list[Destination] = []

        def without(rows: tuple[Destination, ...]) -> tuple[Destination, ...] | None:
            gone[:] = [row for row in rows if row.id == name]
            return tuple(row for row in rows if row.id != name) if gone else None

        stop = Unschedule(places.CONFIRMING + name, expect=False)
        if not await self._change(consumer, without, stop, Delete(places.ACTION_KEY)):
            return False
        await self._unlink(gone)
        return True

    async def forget(self, consumer: str) -> None:
        """Forget all of them, and every link that could confirm one."""
        rows = await self.listed(consumer)
        await self._unlink(rows)
        gone: list[Operation] = [Delete(places.DESTINATIONS)]
        gone += [Unschedule(places.CONFIRMING + row.id, expect=False) for row in rows]
        await self._store.commit(Commit(places.consumer(consumer), tuple(gone)))

    async def _unlink(self, rows: Sequence[Destination]) -> None:
        links = [row.link for row in rows if row.link]
        if links:
            gone = (Unclaim(places.CONFIRMATION),)
            await self._store.commit(*(Commit(places.confirmation(link), gone) for link in links))

    # ---- confirming ----

    async def link(self, consumer: str, name: str) -> str | None:
        """Make the token that confirms a mailbox: the only time it is seen.

        An earlier one confirms no more. None where there is no mailbox that waits for one.
        """
        row = await self.get(consumer, name)
        if row is None or row.confirmed_at is not None:
            return None
        public, secret = new_reference(), new_secret()
        value = encode(_Link(consumer, name, _digest(secret)))
        claim = Claim(places.CONFIRMATION, value, self._clock.now() + LINK_LASTS)
        await self._store.commit(Commit(places.confirmation(public), (claim,)))
        await self._unlink([row])
        if not await self._set(consumer, name, link=public):
            return None
        return public + secret

    async def confirmable(self, token: str) -> Confirmable | None:
        """What a token would confirm; None where it is wrong, over or used."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        value = await self._store.claim(places.confirmation(match[1]), places.CONFIRMATION)
        link = decode(value, _Link) if value else None
        expected = link.digest if link else b"\0" * 32
        if not hmac.compare_digest(expected, _digest(match[2])) or link is None:
            return None
        row = await self.get(link.consumer, link.destination)
        if row is None or row.link != match[1]:
            return None
        return Confirmable(link.consumer, row)

    async def confirm(self, token: str) -> Confirmable | None:
        """Confirm a mailbox, and use the token up. Of two at once one gets None."""
        found = await self.confirmable(token)
        if found is None:
            return None
        now, link = self._clock.now(), found.destination.link

        def confirmed(rows: tuple[Destination, ...]) -> tuple[Destination, ...] | None:
            if all(row.link != link for row in rows):
                return None
            return tuple(
                msgspec.structs.replace(row, confirmed_at=now, link="", detail="")
                if row.link == link
                else row
                for row in rows
            )

        stop = Unschedule(places.CONFIRMING + found.destination.id, expect=False)
        if not await self._change(found.consumer, confirmed, stop):
            return None
        await self._unlink([found.destination])
        return found

    async def note(
        self, consumer: str, name: str, letter: LetterState, detail: str = "", *, tried: int = 0
    ) -> None:
        """Write down what became of a letter."""
        await self._set(consumer, name, letter=letter, detail=detail, attempts=tried)

    # ---- the document ----

    async def _set(self, consumer: str, name: str, **fields: object) -> bool:
        def changed(rows: tuple[Destination, ...]) -> tuple[Destination, ...] | None:
            if all(row.id != name for row in rows):
                return None
            return tuple(
                msgspec.structs.replace(row, **fields) if row.id == name else row for row in rows
            )

        return await self._change(consumer, changed)

    async def _change(self, consumer: str, change: Change, *also: Operation) -> bool:
        """Change the list; false where there is nothing to change."""
        while True:
            revision, rows = await self._read(consumer)
            after = change(rows)
            if after is None:
                return False
            put = Put(places.DESTINATIONS, encode(_Destinations(after)), expect=revision)
            (result,) = await self._store.commit(Commit(places.consumer(consumer), (put, *also)))
            if isinstance(result, Done):
                return True

    async def _read(self, consumer: str) -> tuple[int, tuple[Destination, ...]]:
        document = await self._store.get(places.consumer(consumer), places.DESTINATIONS)
        if document is None:
            return 0, ()
        return document.revision, decode(document.value, _Destinations).destinations


def _same(row: Destination, address: Address) -> bool:
    """Whether a mailbox has this address; whether a local part minds case is its host's affair."""
    return row.address.lower() == str(address).lower()


def is_due(row: Destination, now: datetime) -> bool:
    """Whether the letter to a mailbox may still be sent: its link would confirm for a while."""
    return row.asked_at is None or now - row.asked_at < LINK_LASTS
