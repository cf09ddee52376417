"""Forgetting: bodies nobody holds on to, and what is written down and past its time."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from letterbox.model.configuration import RetentionSection
from letterbox.model.told import Event
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Commit,
    Delete,
    Document,
    Operation,
    Put,
    Schedule,
    Store,
    Trim,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.changes import Change
from letterbox.records.coding import decode, encode
from letterbox.records.credentials import Credentials
from letterbox.records.ledger import forget_commit
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.names import first_id
from letterbox.records.webhooks import WebhookRecords

_DAILY: Final = timedelta(days=1)
#: Rows of one look and one commit; those of changes may be large.
_BATCH: Final = 500
_CHANGES: Final = 10
#: Looks of one turn of the sweep, and rows forgotten in it: then others have theirs.
_LOOKS: Final = 200
_ROWS: Final = 2_000


class _Course(msgspec.Struct, frozen=True):
    """How far a day's sweep has come: room, partition in it, kind of thing, key of it."""

    room: int = 0
    name: str = ""
    kind: int = 0
    after: str = ""


class _Looked(msgspec.Struct, frozen=True):
    """So many rows were forgotten; ``after`` is where there may be more, None for nowhere."""

    gone: int = 0
    after: str | None = None


#: Looks at one kind of thing in a partition of this name, after a key.
_Look = Callable[[str, str], Awaitable[_Looked]]


class Forgetting:
    """Keeps to the retention of the configuration."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        mailboxes: Mailboxes,
        webhooks: WebhookRecords,
        credentials: Credentials,
        retention: RetentionSection,
    ) -> None:
        self._store = store
        self._clock = clock
        self._mailboxes = mailboxes
        self._webhooks = webhooks
        self._credentials = credentials
        self._retention = retention
        #: What is looked at in each room, in this order: a course counts on it.
        self._rooms: Sequence[tuple[str, Sequence[_Look]]] = (
            (
                "consumer",
                (self._decisions, self._activity, self._kept, self._changes, self._tokens),
            ),
            (places.OPERATOR, (self._operators, self._tokens)),
            ("vendor", (self._feed, self._calls, self._keys)),
        )

    async def collect(self, message: str) -> None:
        """Forget a message and its body, unless somebody has it: in an inbox, held, as evidence."""
        record = await self._mailboxes.message(message)
        commit = forget_commit(message)
        if record is not None and any(
            [
                await self._has(consumer, decision, message)
                for consumer, _, decision, _ in record.recipients
            ]
        ):
            later = self._clock.now() + timedelta(days=self._retention.refused)
            again = Schedule(key=places.COLLECT, at=later)
            commit = Commit(partition=places.message(message), operations=(again,))
        await self._store.commit(commit)

    async def _has(self, consumer: str, decision: str, message: str) -> bool:
        if await self._store.get(places.consumer(consumer), places.evidence(message)):
            return True
        if await self._mailboxes.held_entry(consumer, decision):
            return True
        if await self._mailboxes.entry(consumer, decision):
            return True
        kept = await self._store.get(places.consumer(consumer), places.kept(decision))
        return kept is not None and (
            await self._mailboxes.entry(consumer, kept.value.decode()) is not None
        )

    async def sweep(self) -> None:
        """One turn of what is done once a day. Killed anywhere, it goes on where it was."""
        document = await self._store.get(places.DIRECTORY, places.SWEEP)
        course: _Course | None = decode(document.value, _Course) if document else _Course()
        looks = rows = 0
        while course is not None and looks < _LOOKS and rows < _ROWS:
            course, gone = await self._step(course)
            looks, rows = looks + 1, rows + gone
        now = self._clock.now()
        operations: tuple[Operation, ...] = (
            Delete(key=places.SWEEP),
            Schedule(key=places.SWEEP, at=now + _DAILY),
            # What has lost its last reference lies outside the store still.
            Schedule(key=places.STRAYS, at=now),
        )
        if course is not None:
            operations = (
                Put(key=places.SWEEP, value=encode(course)),
                Schedule(key=places.SWEEP, at=now),
            )
        await self._store.commit(Commit(partition=places.DIRECTORY, operations=operations))

    async def _step(self, course: _Course) -> tuple[_Course | None, int]:
        """One look; where the next one is (None at the end), and how many rows were forgotten."""
        room, kinds = self._rooms[course.room]
        if course.kind == 0 and not course.after:
            name = await self._next(room, course.name)
            if name is None:
                last = course.room + 1 == len(self._rooms)
                return None if last else _Course(room=course.room + 1), 0
            course = msgspec.structs.replace(course, name=name)
        looked = await kinds[course.kind](course.name, course.after)
        if looked.after is not None:
            return msgspec.structs.replace(course, after=looked.after), looked.gone
        kind = (course.kind + 1) % len(kinds)
        return msgspec.structs.replace(course, kind=kind, after=""), looked.gone

    async def _next(self, room: str, after: str) -> str | None:
        """The partition of a room after one, by name; None after the last."""
        if room == places.OPERATOR:
            return None if after else places.OPERATOR
        key = f"{room}/{after}" if after else None
        page = await self._store.documents(places.DIRECTORY, f"{room}/", after=key, limit=1)
        return page[0].key.removeprefix(f"{room}/") if page else None

    # ---- what is looked at --------------------------------------------------------------------

    async def _decisions(self, consumer: str, after: str) -> _Looked:
        return await self._by_time(consumer, places.DECISION, after, self._retention.decisions)

    async def _activity(self, consumer: str, after: str) -> _Looked:
        return await self._by_time(consumer, places.ACTIVITY, after, self._retention.activity)

    async def _operators(self, operator: str, after: str) -> _Looked:
        return await self._by_time(operator, places.INBOX, after, self._retention.operator)

    async def _by_time(self, consumer: str, prefix: str, after: str, days: int) -> _Looked:
        """Documents whose ids sort by time."""
        return await self._documents(consumer, prefix, after, self._first_kept(prefix, days))

    async def _kept(self, consumer: str, after: str) -> _Looked:
        """What a held message became, where it is not in the inbox any more."""

        async def gone(document: Document) -> bool:
            return await self._mailboxes.entry(consumer, document.value.decode()) is None

        end = self._first_kept(places.KEPT, self._retention.decisions)
        return await self._documents(consumer, places.KEPT, after, end, gone)

    async def _changes(self, consumer: str, after: str) -> _Looked:
        before = self._before(self._retention.changes)

        async def gone(document: Document) -> bool:
            return decode(document.value, Change).at < before

        # No key begins so: all of them are read, from the oldest on, until one is to stay.
        end = places.CHANGE + "~"
        return await self._documents(
            consumer, places.CHANGE, after, end, gone, limit=_CHANGES, stops=True
        )

    def _before(self, days: int) -> datetime:
        return self._clock.now() - timedelta(days=days)

    def _first_kept(self, prefix: str, days: int) -> str:
        return prefix + first_id(self._before(days))

    async def _documents(
        self,
        consumer: str,
        prefix: str,
        after: str,
        end: str,
        gone: Callable[[Document], Awaitable[bool]] | None = None,
        *,
        limit: int = _BATCH,
        stops: bool = False,
    ) -> _Looked:
        """Forget documents before a key, those of them that are ``gone``.

        ``stops``: from the first one on that is not, none is.
        """
        partition = places.consumer(consumer)
        page = await self._store.documents(partition, prefix, after=after or None, limit=limit)
        old = [document for document in page if document.key < end]
        forgotten: list[Operation] = []
        for document in old:
            if gone is None or await gone(document):
                forgotten.append(Delete(key=document.key))
            elif stops:
                old = []
                break
        if forgotten:
            await self._store.commit(Commit(partition=partition, operations=tuple(forgotten)))
        return _Looked(len(forgotten), old[-1].key if len(old) == limit else None)

    async def _feed(self, vendor: str, after: str) -> _Looked:
        partition, before = places.vendor(vendor), self._before(self._retention.feedback)
        page = await self._store.log(partition, places.FEED, after=int(after or "0"), limit=_BATCH)
        old = [entry.sequence for entry in page if decode(entry.value, Event).at < before]
        if not old:
            return _Looked()
        trim = Trim(log=places.FEED, through=old[-1])
        await self._store.commit(Commit(partition=partition, operations=(trim,)))
        return _Looked(len(old), str(old[-1]) if len(old) == _BATCH else None)

    async def _calls(self, vendor: str, after: str) -> _Looked:
        del after  # there are at most some hundreds
        await self._webhooks.sweep(vendor, self._before(self._retention.webhook_calls))
        return _Looked()

    async def _keys(self, vendor: str, after: str) -> _Looked:
        del after  # there are at most some tens
        before = self._before(self._retention.credentials)
        return _Looked(await self._credentials.sweep("key", vendor, before))

    async def _tokens(self, consumer: str, after: str) -> _Looked:
        del after
        before = self._before(self._retention.credentials)
        return _Looked(await self._credentials.sweep("token", consumer, before))

    # ---- what could not be carried ------------------------------------------------------------

    async def lay_off(self, partition: str, key: str) -> None:
        """Forget an entry of the outbox that could not be read, and that nobody has looked at."""
        gone = (Delete(key=key), Unschedule(key=key, expect=False))
        await self._store.commit(Commit(partition=partition, operations=gone))
