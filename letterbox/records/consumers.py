"""Consumers: whose an address is, and what they declared."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, tzinfo

import msgspec

from letterbox.model.address import Address, parse_address
from letterbox.model.preferences import Preferences
from letterbox.model.wishes import Wishes
from letterbox.ports.store import (
    Commit,
    Delete,
    Operation,
    Put,
    Rejected,
    Schedule,
    Store,
)
from letterbox.records import places
from letterbox.records.cache import Recent
from letterbox.records.coding import decode, encode
from letterbox.wishes import MOST, Domains, Mistake, Taxonomy, check, compile_wishes

_CACHED = 20_000
_PAGE = 500


class Owner(msgspec.Struct, frozen=True):
    """Whose an address is, and the vendor it was given to, if to one alone."""

    consumer: str
    binding: str | None = None


#: An address nobody has: it is treated as a consumer who wants nothing.
UNKNOWN = Owner(consumer=places.NOBODY)


class Stored(msgspec.Struct, frozen=True):
    """Preferences as they stand. ``revision`` is also the ETag of the document."""

    preferences: Preferences
    revision: int


class Conflict(Exception):
    """Somebody changed the preferences in between; ``revision`` is the one they have now."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"the preferences have changed: they are at revision {revision} now")
        self.revision = revision


class Refused(Exception):
    """Preferences that cannot be: nothing was changed. ``mistakes`` says where and why."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(f"{m.path}: {m.mistake}" for m in mistakes))
        self.mistakes = tuple(mistakes)


class Consumers:
    """Consumers over the store. Every change goes through here, so what is cached holds."""

    def __init__(
        self,
        store: Store,
        *,
        taxonomy: Taxonomy,
        zone_of: Callable[[str], tzinfo | None],
        zones: Callable[[], Iterable[str]],
        domains: Domains,
        ours: frozenset[str],
    ) -> None:
        """``zones`` names every time zone; ``ours`` are the domains that addresses are in."""
        self._store = store
        self._taxonomy = taxonomy
        self._zone_of = zone_of
        self._zones = zones
        self._domains = domains
        self._ours = ours
        # One change at a time: an address must not get two owners.
        self._changing = asyncio.Lock()
        self._owners: Recent[str, Owner] = Recent(_CACHED)
        self._wishes: Recent[str, Wishes] = Recent(_CACHED)
        self._unknown: Recent[str, Owner] = Recent(_CACHED)
        self._nobody = self._compile(places.NOBODY, Stored(preferences=Preferences(), revision=0))

    async def owner(self, address: Address) -> Owner:
        """Whose an address is; a subaddress that is nobody's own belongs to its mailbox."""
        return (await self.owned(address))[0]

    async def owned(self, address: Address) -> tuple[Owner, Address]:
        """Whose an address is, and the one address that all its spellings come down to."""
        exact = Address(local=address.local.lower(), domain=address.domain)
        owner = await self._exact_owner(exact)
        if owner.consumer == places.NOBODY and "+" in exact.local:
            return await self._exact_owner(exact.mailbox), exact.mailbox
        return owner, exact

    async def addressed(self, address: Address) -> tuple[Owner, Wishes]:
        """Whose an address is, and what they wish.

        An address nobody has costs what one costs that somebody has: the same questions to the
        store the first time, and none the next.
        """
        owner, exact = await self.owned(address)
        if owner.consumer != places.NOBODY:
            return owner, await self.wishes(owner.consumer)
        place = places.address(exact)
        if self._unknown.get(place) is None:
            await self._store.get(places.consumer(places.NOBODY), places.PREFERENCES)
            self._unknown.put(place, owner)
        return owner, self._nobody

    async def _exact_owner(self, address: Address) -> Owner:
        place = places.address(address)
        known = self._owners.get(place)
        if known is not None:
            return known
        document = await self._store.get(place, places.OWNER)
        owner = decode(document.value, Owner) if document else UNKNOWN
        self._owners.put(place, owner)
        return owner

    async def stored(self, consumer: str) -> Stored | None:
        """A consumer's preferences and their revision; None where there is no such consumer."""
        document = await self._store.get(places.consumer(consumer), places.PREFERENCES)
        if document is None:
            return None
        return Stored(
            preferences=msgspec.json.decode(document.value, type=Preferences),
            revision=document.revision,
        )

    async def wishes(self, consumer: str) -> Wishes:
        """A consumer's compiled wishes; of nobody, those of one who wants nothing."""
        if consumer == places.NOBODY:
            return self._nobody
        known = self._wishes.get(consumer)
        if known is not None:
            return known
        stored = await self.stored(consumer)
        if stored is None:
            return self._nobody
        wishes = self._compile(consumer, stored)
        self._wishes.put(consumer, wishes)
        return wishes

    def forget(self, consumer: str) -> None:
        """Read the wishes anew the next time: somebody saw that they have changed."""
        self._wishes.drop(consumer)

    def _compile(self, consumer: str, stored: Stored) -> Wishes:
        zone = self._zone_of(stored.preferences.timezone) or self._zone_of("UTC")
        if zone is None:
            raise LookupError("the time zone database is missing; install tzdata")
        return compile_wishes(
            consumer, stored.revision, stored.preferences, zone=zone, taxonomy=self._taxonomy
        )

    async def all(self) -> list[str]:
        """The ids of all consumers, in order."""
        names: list[str] = []
        after: str | None = None
        while page := await self._store.documents(
            places.DIRECTORY, "consumer/", after=after, limit=_PAGE
        ):
            names += [document.key.removeprefix("consumer/") for document in page]
            after = page[-1].key
        return names

    # ---- changing ----

    async def mistakes(self, consumer: str, preferences: Preferences) -> list[Mistake]:
        """What is wrong with preferences that the operator gives; empty where nothing is."""
        found = self._mistakes(preferences)
        listed = _owners(consumer, preferences)
        for path, address in _addresses(preferences):
            wrong = await self._unfit(consumer, address, listed)
            if wrong is not None:
                mistake, allowed = wrong
                found.append(Mistake(path=path, mistake=mistake, allowed=allowed))
        return found

    async def _unfit(
        self, consumer: str, address: Address, listed: Iterable[str]
    ) -> tuple[str, str] | None:
        """Why the operator cannot give an address, and what can be given."""
        if address.domain not in self._ours:
            allowed = f"an address in {', '.join(sorted(self._ours))}"
            return f"{address.domain} is not a domain of this letterbox", allowed
        if address.mailbox.local in {"postmaster", "abuse"}:
            return f"{address} is the operator's", "any other address"
        if places.address(address.mailbox) not in listed:
            allowed = f"{address.mailbox} with it, or an address without +"
            return f"{address} lies below {address.mailbox}", allowed
        owner = await self._exact_owner(address)
        if owner.consumer not in {places.NOBODY, consumer}:
            return f"{address} is taken", "an address nobody has yet"
        return None

    async def _own_mistakes(
        self, consumer: str, preferences: Preferences, before: Preferences
    ) -> list[Mistake]:
        """What is wrong with preferences that the consumer gives, who had those ``before``.

        An address that is new and not below one they had gets one answer, whoever has it: what
        others have is not theirs to find out.
        """
        found = self._mistakes(preferences)
        held, listed = (_owners("", each) for each in (before, preferences))
        example = next((a.mailbox for _, a in _addresses(before)), None)
        for path, address in _addresses(preferences):
            place, mailbox = places.address(address), places.address(address.mailbox)
            below = mailbox != place and mailbox in listed and mailbox in held
            if below and place not in held:
                # Somebody may have kept it who gave up the mailbox above it.
                below = (await self._exact_owner(address)).consumer in {places.NOBODY, consumer}
            if place not in held and not below:
                allowed = "only addresses below your own"
                if example is not None:
                    allowed += f", such as {example.local}+shop@{example.domain}"
                allowed += "; the operator gives others"
                mistake = f"{address} is not an address of yours"
                found.append(Mistake(path=path, mistake=mistake, allowed=allowed))
        return found

    def _mistakes(self, preferences: Preferences) -> list[Mistake]:
        return list(
            check(
                preferences,
                zone_of=self._zone_of,
                zones=self._zones,
                taxonomy=self._taxonomy,
                domains=self._domains,
            )
        )

    async def replace(
        self, consumer: str, preferences: Preferences, *, expect: int | None, now: datetime
    ) -> int:
        """Set a consumer's preferences by the operator's word; return the revision.

        What is held is decided again. The same preferences change nothing. ``expect`` is the
        revision they must have now (0: a new consumer), None for any.
        Raises :class:`Refused`, :class:`Conflict`.
        """
        async with self._changing:
            before = await self.stored(consumer)
            if mistakes := await self.mistakes(consumer, preferences):
                raise Refused(mistakes)
            return await self._set(consumer, preferences, before=before, expect=expect, now=now)

    async def revise(
        self, consumer: str, preferences: Preferences, *, expect: int, now: datetime
    ) -> int:
        """:meth:`replace` by the consumer's own word: new addresses only below those they have."""
        async with self._changing:
            before = await self.stored(consumer)
            had = before.preferences if before else Preferences()
            if mistakes := await self._own_mistakes(consumer, preferences, had):
                raise Refused(mistakes)
            return await self._set(consumer, preferences, before=before, expect=expect, now=now)

    async def _set(
        self,
        consumer: str,
        preferences: Preferences,
        *,
        before: Stored | None,
        expect: int | None,
        now: datetime,
    ) -> int:
        revision = before.revision if before else 0
        if expect not in {None, revision}:
            raise Conflict(revision)
        value = msgspec.json.encode(preferences)
        # The bytes are compared: an ETag stands for one of them.
        if before and value == msgspec.json.encode(before.preferences):
            return revision
        commits = await self._commits(consumer, preferences, value, before=before, now=now)
        results = await self._store.commit(*commits)
        self.forget(consumer)
        for commit in commits:
            self._owners.drop(commit.partition)
        first = results[0]
        if isinstance(first, Rejected):
            raise Conflict(int(first.found))
        return first.numbers[0]

    async def _commits(
        self,
        consumer: str,
        preferences: Preferences,
        value: bytes,
        *,
        before: Stored | None,
        now: datetime,
    ) -> list[Commit]:
        """The commits that set checked preferences: the document first, then its addresses."""
        expect = before.revision if before else 0
        operations: list[Operation] = [Put(key=places.PREFERENCES, value=value, expect=expect)]
        after: str | None = None
        while page := await self._store.documents(
            places.consumer(consumer), places.HELD, after=after, limit=_PAGE
        ):
            operations += [Schedule(key=document.key, at=now) for document in page]
            after = page[-1].key
        commits = [Commit(partition=places.consumer(consumer), operations=tuple(operations))]
        if before is None:
            entry = Put(key=f"consumer/{consumer}", value=b"")
            commits.append(Commit(partition=places.DIRECTORY, operations=(entry,)))
        new = _owners(consumer, preferences)
        old = _owners(consumer, before.preferences) if before else {}
        gone = (Delete(key=places.OWNER),)
        commits += [Commit(partition=place, operations=gone) for place in old.keys() - new.keys()]
        for place, owner in new.items():
            if old.get(place) != owner:
                put = Put(key=places.OWNER, value=encode(owner))
                commits.append(Commit(partition=place, operations=(put,)))
        return commits


def _addresses(preferences: Preferences) -> Iterator[tuple[str, Address]]:
    """Every address that is one, with its place; no more than may be declared."""
    for nth, entry in enumerate(preferences.bound_addresses[: MOST["addresses"]]):
        address = parse_address(entry.address)
        if address is not None:  # what is none has been named by the check
            yield f"addresses[{nth}]", address


def _owners(consumer: str, preferences: Preferences) -> dict[str, Owner]:
    """Who has what, by the address's place in the store."""
    bound = preferences.bound_addresses[: MOST["addresses"]]
    return {
        places.address(address): Owner(consumer=consumer, binding=entry.vendor)
        for entry in bound
        if (address := parse_address(entry.address)) is not None
    }
