"""Handing on, as it is written down: with the entry of the inbox, in its consumer's partition."""

import base64
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from letterbox.model.onward import STUCK, HandingOn
from letterbox.model.record import InboxEntry
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Claim,
    Commit,
    Delete,
    Done,
    Operation,
    Put,
    Schedule,
    Store,
    StoreUnavailable,
    Unclaim,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.coding import decode, encode

#: Somebody else may change an entry meanwhile (its marks): so often it is tried anew.
_ATTEMPTS: Final = 10
_NAME_OCTETS: Final = 10


def with_onward(entry: InboxEntry, onward: Mapping[str, str]) -> InboxEntry:
    """An entry with what is owed of it; ``onward`` says where mail of each kind goes."""
    to = onward.get(entry.kind)
    if to is None:
        return entry
    return msgspec.structs.replace(entry, onward=HandingOn(to=to, since=entry.at))


def owing(entry: InboxEntry) -> Operation:
    """What goes with an entry into its commit, so that it is handed on if it is to be.

    One operation either way: nobody who sends can measure whether it is.
    """
    key = places.ONWARD + entry.id
    if entry.onward is None:
        return Unschedule(key=key, expect=False)
    return Schedule(key=key, at=entry.onward.since)


class Handed(msgspec.Struct, frozen=True):
    """What a name leads to: whose entry was handed on under it."""

    consumer: str
    entry: str


class Stuck(NamedTuple):
    """A page of entries that were not handed on. ``after`` is None at the end."""

    items: tuple[InboxEntry, ...]
    after: str | None


class NothingToRetry(Exception):
    """The message was handed on, or never to be."""


class OnwardRecords:
    """Handing on over the store. ``comes_back`` is how long a name is known."""

    def __init__(self, store: Store, clock: Clock, *, comes_back: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._comes_back = comes_back

    async def owed(self, consumer: str, name: str) -> InboxEntry | None:
        """An entry that is still to be handed on; else what reminds of it goes."""
        entry = await self.entry(consumer, name)
        if entry is not None and entry.onward is not None and entry.onward.state == "owed":
            return entry
        gone = Unschedule(key=places.ONWARD + name, expect=False)
        await self._store.commit(Commit(places.consumer(consumer), (gone,)))
        return None

    async def named(self, consumer: str, entry: InboxEntry) -> InboxEntry | None:
        """The entry with a name that it may come back by, durable; None where it has gone.

        It keeps the name for as often as it is tried: what comes back of any attempt is its.
        """
        onward = entry.onward
        if onward is None or onward.name:
            return entry
        name = base64.b32encode(os.urandom(_NAME_OCTETS)).decode().lower()
        expires = self._clock.now() + self._comes_back
        claim = Claim(places.HANDED, encode(Handed(consumer, entry.id)), expires)
        await self._store.commit(Commit(places.handed(name), (claim,)))
        named = await self._change(
            consumer, entry.id, lambda had: msgspec.structs.replace(had, name=name)
        )
        if named is None:
            await self.forget([name])
        return named

    async def put_off(self, consumer: str, name: str, at: datetime) -> None:
        """It has not had its turn: look at it again then."""
        again = Schedule(key=places.ONWARD + name, at=at)
        await self._store.commit(Commit(places.consumer(consumer), (again,)))

    async def note(self, consumer: str, name: str, after: HandingOn) -> InboxEntry | None:
        """Write down what has become of an entry that is owed, and when it is looked at again.

        None where the entry has gone, or is owed to another place by now.
        """
        key = places.ONWARD + name
        if after.state == "owed" and after.next is not None:
            due: Operation = Schedule(key=key, at=after.next)
        else:
            due = Unschedule(key=key, expect=False)

        def noted(had: HandingOn) -> HandingOn | None:
            return after if had.state == "owed" and had.to == after.to else None

        return await self._change(consumer, name, noted, due)

    async def retry(self, consumer: str, name: str, to: str | None) -> InboxEntry | None:
        """Owe it anew, from now on; None where there is no such entry.

        ``to`` is where mail of its kind goes by now; None: where it was to go before.
        Raises :class:`NothingToRetry`.
        """
        now = self._clock.now()
        entry = await self.entry(consumer, name)
        if entry is None:
            return None

        def anew(had: HandingOn) -> HandingOn | None:
            if had.state == "done":
                return None
            kept = had.name if had.state == "owed" else ""
            return HandingOn(to=to or had.to, since=now, at=now, next=now, name=kept)

        due = Schedule(key=places.ONWARD + name, at=now)
        changed = await self._change(consumer, name, anew, due)
        if changed is not None and entry.onward is not None and entry.onward.state != "owed":
            await self.forget([entry.onward.name])
        if changed is None and await self.entry(consumer, name) is not None:
            raise NothingToRetry
        return changed

    async def came_back(self, name: str, detail: str) -> InboxEntry | None:
        """What was handed on under a name has come back; None where that is nobody's any more."""
        value = await self._store.claim(places.handed(name), places.HANDED)
        if value is None:
            return None
        handed, now = decode(value, Handed), self._clock.now()

        def bounced(had: HandingOn) -> HandingOn | None:
            if had.name != name or had.state in STUCK:
                return None
            return msgspec.structs.replace(had, state="bounced", detail=detail, at=now, next=None)

        due = Unschedule(key=places.ONWARD + handed.entry, expect=False)
        return await self._change(handed.consumer, handed.entry, bounced, due)

    async def whose(self, name: str) -> str | None:
        """Whose mail was handed on under a name."""
        value = await self._store.claim(places.handed(name), places.HANDED)
        return decode(value, Handed).consumer if value else None

    async def forget(self, names: list[str]) -> None:
        """Forget what names lead to."""
        gone = (Unclaim(places.HANDED),)
        commits = [Commit(places.handed(name), gone) for name in names if name]
        if commits:
            await self._store.commit(*commits)

    async def stuck(self, consumer: str, *, after: str | None, limit: int) -> Stuck:
        """Entries that wait for another try, or stayed here: the newest first."""
        key = places.STUCK + after if after else None
        rows = await self._store.documents(
            places.consumer(consumer), places.STUCK, after=key, limit=limit + 1, descending=True
        )
        found = []
        for row in rows[:limit]:
            entry = await self.entry(consumer, row.key.removeprefix(places.STUCK))
            if entry is not None:
                found.append(entry)
        more = rows[limit - 1].key.removeprefix(places.STUCK) if len(rows) > limit else None
        return Stuck(tuple(found), more)

    async def told(self, consumer: str, claim: str) -> bool:
        """Whether the consumer was told of something already, by the claim of having told it."""
        return await self._store.claim(places.consumer(consumer), claim) is not None

    async def entry(self, consumer: str, name: str) -> InboxEntry | None:
        """One entry of an inbox."""
        document = await self._store.get(places.consumer(consumer), places.INBOX + name)
        return decode(document.value, InboxEntry) if document else None

    async def _change(
        self,
        consumer: str,
        name: str,
        change: Callable[[HandingOn], HandingOn | None],
        *also: Operation,
    ) -> InboxEntry | None:
        """Change the handing on of an entry; None where there is nothing to change."""
        partition, key = places.consumer(consumer), places.INBOX + name
        for _ in range(_ATTEMPTS):
            document = await self._store.get(partition, key)
            entry = decode(document.value, InboxEntry) if document else None
            after = change(entry.onward) if entry is not None and entry.onward else None
            if document is None or entry is None or after is None:
                return None
            entry = msgspec.structs.replace(entry, onward=after)
            index = places.STUCK + name
            operations: tuple[Operation, ...] = (
                Put(key=key, value=encode(entry), expect=document.revision),
                Put(key=index, value=b"") if after.stuck else Delete(key=index),
                *also,
            )
            (result,) = await self._store.commit(Commit(partition, operations))
            if isinstance(result, Done):
                return entry
        raise StoreUnavailable(f"entry {name} keeps changing")
