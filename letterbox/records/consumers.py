"""Consumers: whose an address is, and what they declared."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo

import msgspec

from letterbox.model.address import Address
from letterbox.model.preferences import Preferences
from letterbox.model.wishes import Wishes
from letterbox.ports.store import (
    Commit,
    Delete,
    Document,
    Operation,
    Put,
    Rejected,
    Schedule,
    Store,
    StoreUnavailable,
)
from letterbox.records import pieces, places
from letterbox.records.cache import Recent
from letterbox.records.changes import (
    By,
    Change,
    Conflict,
    Forgotten,
    Tells,
    differences,
    given_up,
    remembering,
    tells_nobody,
    undone,
)
from letterbox.records.checks import UNKNOWN, Checks, Owner, Refused, owners_of
from letterbox.records.coding import decode, encode
from letterbox.records.pieces import Key, Piece, Sort, Stored, Value
from letterbox.wishes import (
    Domains,
    Mistake,
    Taxonomy,
    Times,
    compile_wishes,
    read_times,
    write_times,
)

__all__ = ["UNKNOWN", "Conflict", "Consumers", "Forgotten", "Owner", "Refused", "Stored"]

_CACHED = 20_000
_PAGE = 500
_ATTEMPTS = 5


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
        is_vendor: Callable[[str], Awaitable[bool]],
        tells: Tells = tells_nobody,
    ) -> None:
        """``zones`` names every time zone; ``ours`` are the domains that addresses are in.

        ``is_vendor`` says whether a vendor of that name is registered, ``tells`` whom a change
        of preferences is told to.
        """
        self._tells = tells
        self._store = store
        self._taxonomy = taxonomy
        self._zone_of = zone_of
        self._checks = Checks(
            taxonomy=taxonomy,
            zone_of=zone_of,
            zones=zones,
            domains=domains,
            ours=ours,
            owner_of=self._exact_owner,
            is_vendor=is_vendor,
        )
        # One change at a time: an address must not get two owners.
        self._changing = asyncio.Lock()
        self._owners: Recent[str, Owner] = Recent(_CACHED)
        self._wishes: Recent[str, Wishes] = Recent(_CACHED)
        self._unknown: Recent[str, Owner] = Recent(_CACHED)
        self._nobody = self.compile(places.NOBODY, Preferences(), 0)

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
            await self.stored(places.NOBODY)
            self._unknown.put(place, owner)
        return owner, self._nobody

    async def _exact_owner(self, address: Address) -> Owner:
        place = places.address(address)
        known = self._owners.get(place)
        if known is not None:
            return known
        drops = self._owners.drops
        document = await self._store.get(place, places.OWNER)
        owner = decode(document.value, Owner) if document else UNKNOWN
        self._owners.put(place, owner, read_at=drops)
        return owner

    async def stored(self, consumer: str) -> Stored | None:
        """A consumer's preferences and their revision; None where there is no such consumer."""
        partition = places.consumer(consumer)
        for _ in range(_ATTEMPTS):
            core = await self._store.get(partition, places.PREFERENCES)
            # Asked whether there is a consumer or not: who exists must not show in the work.
            rows = await self._documents(partition, places.PIECE)
            if core is None:
                return None
            found = pieces.read(core, rows)
            if all(piece.revision <= found.revision for piece in found.pieces.values()):
                return found
        raise StoreUnavailable(f"the preferences of {consumer} change faster than they are read")

    async def _documents(self, partition: str, prefix: str) -> list[Document]:
        found: list[Document] = []
        while True:
            after = found[-1].key if found else None
            page = await self._store.documents(partition, prefix, after=after, limit=_PAGE)
            found += page
            if len(page) < _PAGE:
                return found

    async def wishes(self, consumer: str) -> Wishes:
        """A consumer's compiled wishes; of nobody, those of one who wants nothing."""
        if consumer == places.NOBODY:
            return self._nobody
        known = self._wishes.get(consumer)
        if known is not None:
            return known
        drops = self._wishes.drops
        stored = await self.stored(consumer)
        if stored is None:
            return self._nobody
        wishes = self.compile(consumer, stored.preferences, stored.revision, stored.pieces)
        self._wishes.put(consumer, wishes, read_at=drops)
        return wishes

    def forget(self, consumer: str) -> None:
        """Read the wishes anew the next time: somebody saw that they have changed."""
        self._wishes.drop(consumer)

    def write_times(self, preferences: Preferences) -> bytes:
        """The times of preferences as an iCalendar file."""
        return write_times(preferences, self._zone(preferences.timezone))

    def read_times(self, content: bytes, now: datetime) -> Times:
        """The times of an iCalendar file. Raises :class:`letterbox.wishes.Unsupported`."""
        return read_times(content, self._zone_of, now)

    def _zone(self, name: str) -> tzinfo:
        zone = self._zone_of(name) or self._zone_of("UTC")
        if zone is None:
            raise LookupError("the time zone database is missing; install tzdata")
        return zone

    def compile(
        self,
        consumer: str,
        preferences: Preferences,
        revision: int,
        stands: Mapping[Key, Piece] | None = None,
    ) -> Wishes:
        """Sound preferences in their fast form, whether they are declared or only thought of.

        ``stands`` are the pieces that are declared: what is not among them is thought of now.
        """
        return compile_wishes(
            consumer,
            revision,
            preferences,
            zone=self._zone(preferences.timezone),
            taxonomy=self._taxonomy,
            since=pieces.declared_at(preferences, stands or {}),
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
        return await self._checks.by_operator(consumer, preferences)

    async def own_mistakes(self, consumer: str, preferences: Preferences) -> list[Mistake]:
        """What is wrong with preferences that a consumer gives, or thinks of."""
        stored = await self.stored(consumer)
        before = stored.preferences if stored else Preferences()
        return await self._checks.by_consumer(consumer, preferences, before)

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
            if mistakes := await self._checks.by_operator(consumer, preferences):
                raise Refused(mistakes)
            _guard(before, expect)
            return await self._set(consumer, preferences, before, by="operator", now=now)

    async def revise(
        self,
        consumer: str,
        preferences: Preferences,
        *,
        expect: int,
        now: datetime,
        by: By = "consumer",
    ) -> int:
        """:meth:`replace` by the consumer's own word: new addresses only below those they have."""
        async with self._changing:
            before = await self.stored(consumer)
            had = before.preferences if before else Preferences()
            if mistakes := await self._checks.by_consumer(consumer, preferences, had):
                raise Refused(mistakes)
            _guard(before, expect)
            return await self._set(consumer, preferences, before, by=by, now=now)

    async def revise_piece(
        self,
        consumer: str,
        key: Key | Sort,
        value: Value | None,
        *,
        expect: int | None,
        now: datetime,
        by: By = "consumer",
        also: Sequence[Operation] = (),
        confirms: bool = False,
        anew: bool = True,
    ) -> Piece | None:
        """Change one piece by the consumer's own word; return it as it is then.

        A sort for a ``key`` adds a piece and gives it a name; ``value`` None takes it away.
        ``confirms``: to say the same again is a word, too, which a relationship waits for whose
        vendor's domain has changed hands. ``anew``: what is changed is said anew; false where it
        is but narrowed, which says yes to nobody.
        ``expect`` is the revision of the piece (0: there is none), None for any. What was wrong
        elsewhere before does not stand in the way. ``also`` are operations on the consumer's
        partition that happen with a change or not at all; a failed guard of theirs is a conflict.
        Raises :class:`Refused` with paths within the piece, :class:`Conflict`.
        """
        async with self._changing:
            before = await self.stored(consumer)
            if before is None:
                raise Conflict(0)
            if isinstance(key, str):
                if value is None:
                    raise ValueError("what is taken away has a name")
                key = key, pieces.new_name(value, (name for _, name in before.pieces))
            changed = pieces.with_piece(before, key, value, now, confirms=confirms, anew=anew)
            had = before.pieces.get(key)
            if expect not in {None, had.revision if had else 0}:
                raise Conflict(had.revision if had else 0)
            preferences = pieces.join(pieces.core_of(before.preferences), changed.values())
            await self._look(consumer, before, preferences, key, changed)
            after = pieces.settled(before, preferences, changed)
            await self._write(consumer, before, after, by=by, now=now, also=also)
            return after.pieces.get(key)

    async def history(self, consumer: str) -> list[Change]:
        """The changes that are remembered, the newest first."""
        rows = await self._documents(places.consumer(consumer), places.CHANGE)
        return [decode(row.value, Change) for row in reversed(rows)]

    async def restore(self, consumer: str, revision: int, *, expect: int, now: datetime) -> int:
        """Make the preferences what they were at ``revision``; itself a change like another.

        An address that the consumer gave up since comes back where nobody else has it now.
        Raises :class:`Forgotten` where that is longer ago than is remembered, and what
        :meth:`revise` raises.
        """
        async with self._changing:
            before = await self.stored(consumer)
            if before is None:
                raise Conflict(0)
            _guard(before, expect)
            changes = await self._since(consumer, before, revision)
            preferences = undone(before, changes)
            mistakes = await self._checks.by_consumer(
                consumer, preferences, before.preferences, restored=given_up(changes)
            )
            if mistakes:
                raise Refused(mistakes)
            return await self._set(consumer, preferences, before, by="restore", now=now)

    async def _since(self, consumer: str, before: Stored, revision: int) -> list[Change]:
        """The changes after ``revision``, the newest first. Raises :class:`Forgotten`."""
        known = await self.history(consumer)
        changes = [each for each in known if each.revision > revision]
        if not revision or revision > before.revision or before.revision - revision > len(changes):
            raise Forgotten(max(before.revision - len(known), 1), before.revision)
        return changes

    async def _look(
        self,
        consumer: str,
        before: Stored,
        preferences: Preferences,
        key: Key,
        changed: Mapping[Key, Piece],
    ) -> None:
        """Raise :class:`Refused` for what a change of one piece makes wrong."""
        found = await self._checks.by_consumer(consumer, preferences, before.preferences)
        path = pieces.path_of(key, changed)
        # An address may be written short, and then has no fields.
        seen = {
            m: _within(path, m.path, "address" if key[0] == "address" else "(all)") for m in found
        }
        if not all(seen.values()):
            known = self._checks.of_document(before.preferences)
            said = {(mistake.mistake, mistake.allowed) for mistake in known}
            seen = {m: p for m, p in seen.items() if p or (m.mistake, m.allowed) not in said}
        if seen:
            raise Refused([
                Mistake(path=within or each.path, mistake=each.mistake, allowed=each.allowed)
                for each, within in seen.items()
            ])  # fmt: skip

    async def _set(
        self,
        consumer: str,
        preferences: Preferences,
        before: Stored | None,
        *,
        by: By,
        now: datetime,
    ) -> int:
        # The bytes are compared: an ETag stands for one of them.
        value = msgspec.json.encode(preferences)
        if before and value == msgspec.json.encode(before.preferences):
            return before.revision
        revision = before.revision + 1 if before else 1
        arranged = pieces.arrange(preferences, before.pieces if before else {}, revision, now)
        after = Stored(preferences, revision, pieces=arranged, past=before.past if before else ())
        await self._write(consumer, before, after, by=by, now=now)
        return revision

    async def _write(
        self,
        consumer: str,
        before: Stored | None,
        after: Stored,
        *,
        by: By,
        now: datetime,
        also: Sequence[Operation] = (),
    ) -> None:
        if before is not None and after.revision == before.revision:
            return
        own, *others = await self._commits(consumer, before, after, by=by, now=now)
        told = await self._tells(consumer, before, after, by=by, now=now)
        operations = (*own.operations, *also, *told.own)
        commits = [msgspec.structs.replace(own, operations=operations), *others, *told.others]
        try:
            results = await self._store.commit(*commits)
        finally:  # what fails may be written all the same
            self.forget(consumer)
            for commit in commits:
                self._owners.drop(commit.partition)
        if isinstance(first := results[0], Rejected):
            raise Conflict(int(first.found))

    async def _commits(
        self, consumer: str, before: Stored | None, after: Stored, *, by: By, now: datetime
    ) -> list[Commit]:
        """The commits that set checked preferences: themselves first, then their addresses."""
        partition = places.consumer(consumer)
        change = Change(revision=after.revision, at=now, by=by, pieces=differences(before, after))
        past, remembered = remembering(change, after.past)
        after = msgspec.structs.replace(after, past=past)
        operations = [*pieces.writing(before, after), *remembered]
        held = await self._documents(partition, places.HELD)
        operations += [Schedule(key=document.key, at=now) for document in held]
        commits = [Commit(partition=partition, operations=tuple(operations))]
        if before is None:
            entry = Put(key=f"consumer/{consumer}", value=b"")
            commits.append(Commit(partition=places.DIRECTORY, operations=(entry,)))
        new = owners_of(consumer, after.preferences)
        old = owners_of(consumer, before.preferences) if before else {}
        gone = (Delete(key=places.OWNER),)
        commits += [Commit(partition=place, operations=gone) for place in old.keys() - new.keys()]
        for place, owner in new.items():
            if old.get(place) != owner:
                put = Put(key=places.OWNER, value=encode(owner))
                commits.append(Commit(partition=place, operations=(put,)))
        return commits


def _guard(before: Stored | None, expect: int | None) -> None:
    revision = before.revision if before else 0
    if expect not in {None, revision}:
        raise Conflict(revision)


def _within(path: str, of: str, whole: str) -> str | None:
    """A path as seen from a piece; None for one that leads elsewhere."""
    if of == path:
        return whole
    return of.removeprefix(f"{path}.") if of.startswith(f"{path}.") else None
