"""Consumers: what they declare is changed here, and the addresses that pass with it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import TypeVar

import msgspec

from letterbox.model.preferences import Preferences
from letterbox.ports.store import (
    Announce,
    Commit,
    Expect,
    Operation,
    Put,
    Schedule,
    Store,
)
from letterbox.records import pieces, places
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
from letterbox.records.declared import Declared
from letterbox.records.news import waking
from letterbox.records.passing import Overtaken, decided, first_rejected, pass_on, settle
from letterbox.records.pieces import Key, Piece, Sort, Stored, Value
from letterbox.wishes import Domains, Mistake, Taxonomy

__all__ = ["UNKNOWN", "Conflict", "Consumers", "Forgotten", "Owner", "Refused", "Stored"]

_Answer = TypeVar("_Answer")


class Consumers(Declared):
    """Consumers over the store. Every change goes through here, and tells who remembers."""

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
        super().__init__(store, taxonomy=taxonomy, zone_of=zone_of)
        self._tells = tells
        self._zones = zones
        self._checks = Checks(
            taxonomy=taxonomy,
            zone_of=zone_of,
            zones=zones,
            domains=domains,
            ours=ours,
            owner_of=self._addresses.taker,
            is_vendor=is_vendor,
        )
        # One change at a time, to save work: what holds is guarded in the store.
        self._changing = asyncio.Lock()

    def zones(self) -> list[str]:
        """The names of all time zones, in order."""
        return sorted(self._zones())

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

        async def deciding() -> int:
            before = await self.stored(consumer)
            if mistakes := await self._checks.by_operator(consumer, preferences):
                raise Refused(mistakes)
            _guard(before, expect)
            return await self._set(consumer, preferences, before, by="operator", now=now)

        return await self._decided(deciding)

    async def withdraw(self, consumer: str, *, now: datetime, addresses: bool) -> None:
        """Have a consumer want nothing; nothing where there is none of that id.

        ``addresses``: whether these are still theirs, where mail is refused as if they were not.
        """

        async def deciding() -> None:
            before = await self.stored(consumer)
            if before is not None:
                kept = before.preferences.addresses if addresses else ()
                nothing = Preferences(addresses=kept)
                await self._set(consumer, nothing, before, by="operator", now=now)

        await self._decided(deciding)

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

        async def deciding() -> int:
            before = await self.stored(consumer)
            had = before.preferences if before else Preferences()
            if mistakes := await self._checks.by_consumer(consumer, preferences, had):
                raise Refused(mistakes)
            _guard(before, expect)
            return await self._set(consumer, preferences, before, by=by, now=now)

        return await self._decided(deciding)

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

        async def deciding() -> Piece | None:
            before = await self.stored(consumer)
            if before is None:
                raise Conflict(0)
            of = _named(key, value, before)
            changed = pieces.with_piece(before, of, value, now, confirms=confirms, anew=anew)
            had = before.pieces.get(of)
            if expect not in {None, had.revision if had else 0}:
                raise Conflict(had.revision if had else 0)
            preferences = pieces.join(pieces.core_of(before.preferences), changed.values())
            await self._look(consumer, before, preferences, of, changed)
            after = pieces.settled(before, preferences, changed)
            await self._write(consumer, before, after, by=by, now=now, also=also)
            return after.pieces.get(of)

        return await self._decided(deciding)

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

        async def deciding() -> int:
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

        return await self._decided(deciding)

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
        own = await self._own(consumer, before, after, by=by, now=now)
        told = await self._tells(consumer, before, after, by=by, now=now)
        operations = (*own.operations, *also, *told.own, Announce())
        names = await self._addresses.passing(
            consumer,
            owners_of(consumer, before.preferences) if before else {},
            owners_of(consumer, after.preferences),
        )
        guard = Expect(key=places.PREFERENCES, revision=before.revision if before else 0)
        commits = pass_on(
            names,
            msgspec.structs.replace(own, operations=operations),
            seen=[Commit(own.partition, (guard,))],
            now=now,
            # Listed first: who is listed and not there yet is passed over.
            before=() if before else (_entry(consumer),),
            after=told.others,
        )
        try:
            failed = first_rejected(await self._store.commit(*commits))
        except BaseException:
            # What fails may be written all the same, so all that was read is read anew.
            for commit in commits:
                self._hear(commit.partition)
                self._addresses.hear(commit.partition)
            raise
        if failed in also:
            raise Conflict(guard.revision)
        if failed is not None:
            self.forget(consumer)
            raise Overtaken

    async def _own(
        self, consumer: str, before: Stored | None, after: Stored, *, by: By, now: datetime
    ) -> Commit:
        """The commit that sets checked preferences."""
        partition = places.consumer(consumer)
        change = Change(revision=after.revision, at=now, by=by, pieces=differences(before, after))
        past, remembered = remembering(change, after.past)
        since = pieces.observing_since(before, after, now)
        after = msgspec.structs.replace(after, past=past, observing=since)
        operations = [*pieces.writing(before, after), *remembered]
        held = await self._documents(partition, places.HELD)
        operations += [Schedule(key=document.key, at=now) for document in held]
        operations += waking(before.preferences if before else None, after.preferences, now)
        return Commit(partition=partition, operations=tuple(operations))

    # ---- addresses that pass ----

    async def settle_address(self, name: str, now: datetime) -> None:
        """See whether an address has passed whose passing may have been cut short.

        It is what its owner's preferences say of it: theirs, or nobody's.
        """
        place = f"address/{name}"

        async def truth(value: bytes) -> bytes:
            name = decode(value, Owner).consumer
            stored = await self.stored(name) if name else None
            listed = owners_of(name, stored.preferences) if stored else {}
            return encode(listed.get(place, UNKNOWN))

        await settle(self._store, place, now, truth)

    async def _decided(self, deciding: Callable[[], Awaitable[_Answer]]) -> _Answer:
        async with self._changing:
            return await decided(deciding)


def _entry(consumer: str) -> Commit:
    """Where the directory names a consumer."""
    return Commit(places.DIRECTORY, (Put(key=f"consumer/{consumer}", value=b""),))


def _named(key: Key | Sort, value: Value | None, before: Stored) -> Key:
    """The key of a piece; of one that is to be added, with a new name."""
    if not isinstance(key, str):
        return key
    if value is None:
        raise ValueError("what is taken away has a name")
    return key, pieces.new_name(value, (name for _, name in before.pieces))


def _guard(before: Stored | None, expect: int | None) -> None:
    revision = before.revision if before else 0
    if expect not in {None, revision}:
        raise Conflict(revision)


def _within(path: str, of: str, whole: str) -> str | None:
    """A path as seen from a piece; None for one that leads elsewhere."""
    if of == path:
        return whole
    return of.removeprefix(f"{path}.") if of.startswith(f"{path}.") else None
