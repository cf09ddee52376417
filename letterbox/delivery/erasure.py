"""Erasing a consumer: everything of theirs goes, wherever it is.

It is begun by one commit, and from then on the worker sees it through, a bounded piece at a time;
killed anywhere, it goes on where it was, and whatever is done twice has no second effect. First
they want nothing, nobody is signed in as them, and their addresses are kept from others. What
waited is decided then, so that its senders hear what they would hear had the address never
existed, and the addresses are let go. Decisions, inbox and activity go with the references and
messages that they lead to. Last, once nothing is owed to anybody any more, vendors' feeds forget
the addresses, and the consumer goes from the directory.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from letterbox.delivery.release import Holds
from letterbox.model.address import parse_address
from letterbox.model.objection import Objection
from letterbox.model.record import DecisionRecord, InboxEntry, MessageRecord
from letterbox.model.times import later
from letterbox.model.told import Event, Told
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Announce,
    Claim,
    Commit,
    Delete,
    Document,
    Operation,
    Put,
    Rejected,
    Rewrite,
    Schedule,
    Store,
    StoreUnavailable,
    Unclaim,
    Uncount,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.activity import Activity
from letterbox.records.checks import Owner, owners_of
from letterbox.records.coding import decode, encode
from letterbox.records.consumers import Consumers
from letterbox.records.credentials import Credentials
from letterbox.records.elsewhere import Elsewhere
from letterbox.records.ledger import forget_commit
from letterbox.records.passkeys import Passkeys
from letterbox.records.sessions import Owner as Who
from letterbox.records.sessions import Sessions

#: What was under way when it was begun has ended by then, and left what it leaves.
_SETTLES: Final = timedelta(minutes=1)
#: How soon it is looked at again whether what was owed has been told.
_SOON: Final = timedelta(seconds=10)
_WAITS: Final = timedelta(minutes=10)
#: What is owed to others and cannot be told in so long is told to nobody.
_LONGEST: Final = timedelta(days=7)
#: Rows of one look, looks of one turn, and operations of one commit.
_ROWS: Final = 100
_LOOKS: Final = 20
_FEED: Final = 500
_OPERATIONS: Final = 500
#: What others are still to hear.
_OWED: Final = (places.REPORT, places.OUTCOME)
_PAPERS: Final = (places.DECISION, places.ACTIVITY, places.INBOX, places.OBJECTION)
_Paper = DecisionRecord | Activity | InboxEntry | Objection

log = structlog.get_logger("letterbox.delivery")


class _Course(msgspec.Struct, frozen=True):
    """How far it has come. ``addresses`` are all they had or were written to at, folded.

    The feeds of vendors up to ``vendor`` are done, and the next one up to ``sequence``.
    """

    begun: datetime
    addresses: frozenset[str] = frozenset()
    vendor: str = ""
    sequence: int = 0


class Erasure:
    """Erases consumers. ``kept`` is how long their addresses are given to nobody."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        consumers: Consumers,
        credentials: Credentials,
        sessions: Sessions,
        passkeys: Passkeys,
        elsewhere: Elsewhere,
        holds: Holds,
        kept: timedelta,
    ) -> None:
        self._store = store
        self._clock = clock
        self._consumers = consumers
        self._credentials = credentials
        self._sessions = sessions
        self._passkeys = passkeys
        self._elsewhere = elsewhere
        self._holds = holds
        self._kept = kept

    async def begin(self, consumer: str) -> bool:
        """Erase a consumer: durable at return, and no mail is taken for them any more.

        False where there is none of that id. What is begun already stays begun.
        Raises StoreUnavailable.
        """
        partition, now = places.consumer(consumer), self._clock.now()
        stored = await self._consumers.stored(consumer)
        if stored is None:
            return await self._store.get(partition, places.ERASURE) is not None
        had = {place.removeprefix("address/") for place in owners_of("", stored.preferences)}
        for change in await self._consumers.history(consumer):
            had |= {_folded(each.id) for each in change.pieces if each.piece == "address"}
        course = _Course(begun=now, addresses=await self._theirs(consumer, had))
        begun = (
            Put(key=places.ERASURE, value=encode(course), expect=0),
            Schedule(key=places.ERASURE, at=now),
        )
        await self._store.commit(Commit(partition, begun))
        document = await self._store.get(partition, places.ERASURE)
        if document is not None:
            await self._close(consumer, decode(document.value, _Course))
        return True

    async def go_on(self, consumer: str) -> None:
        """One turn of it."""
        partition = places.consumer(consumer)
        document = await self._store.get(partition, places.ERASURE)
        if document is None:
            gone = Unschedule(key=places.ERASURE, expect=False)
            await self._store.commit(Commit(partition, (gone,)))
            return None
        course = decode(document.value, _Course)
        await self._close(consumer, course)
        if not await self._let_go(consumer):
            return await self._again(consumer, course, _SOON)
        await self._consumers.withdraw(consumer, now=self._clock.now(), addresses=False)
        for prefix in _PAPERS:
            course, whole = await self._papers(consumer, prefix, course)
            if not whole:
                return await self._again(consumer, course)
        if wait := await self._owes(consumer, course):
            return await self._again(consumer, course, wait)
        course, whole = await self._feeds(course)
        if not whole:
            return await self._again(consumer, course)
        return await self._end(consumer, course)

    async def _again(self, consumer: str, course: _Course, wait: timedelta = timedelta(0)) -> None:
        on = (
            Put(key=places.ERASURE, value=encode(course)),
            Schedule(key=places.ERASURE, at=self._clock.now() + wait),
        )
        await self._store.commit(Commit(places.consumer(consumer), on))

    # ---- nobody is there any more --------------------------------------------------------------

    async def _close(self, consumer: str, course: _Course) -> None:
        """Keep the addresses from others, take no more mail, and let nobody in as them."""
        until = later(course.begun, self._kept)
        kept = Claim(name=places.FREED, value=b"", expires=until)
        await self._store.commit(*(
            Commit(places.freed(f"address/{each}"), (kept,)) for each in course.addresses
        ))  # fmt: skip
        # What waits is decided by whose address it is: until then it stays theirs.
        await self._consumers.withdraw(consumer, now=self._clock.now(), addresses=True)
        who = Who("consumer", consumer)
        await self._sessions.forget(who)
        for passkey in await self._passkeys.listed(who):
            await self._passkeys.remove(who, passkey.id)
        await self._store.commit(Commit(who.partition, (Delete(places.PASSWORD),)))
        await self._elsewhere.destinations.forget(consumer)
        for prefix in await self._credentials.prefixes("token", consumer):
            await self._credentials.revoke(prefix)

    async def _theirs(self, consumer: str, addresses: Iterable[str]) -> frozenset[str]:
        """Those of some addresses that nobody else has by now."""
        theirs = set()
        for each in addresses:
            address = parse_address(each)
            if address is not None:
                owner = await self._consumers.owner(address)
                if owner.consumer in {consumer, places.NOBODY}:
                    theirs.add(each)
        return frozenset(theirs)

    # ---- what waits ----------------------------------------------------------------------------

    async def _let_go(self, consumer: str) -> bool:
        """Have what waits decided, now that they want nothing; false where some waits still."""
        rows = await self._store.documents(places.consumer(consumer), places.HELD, limit=_ROWS)
        for row in rows:
            try:
                await self._holds.open(consumer, row.key.removeprefix(places.HELD))
            except LookupError:
                # Its message is gone already: there is nothing to decide, and nobody to tell.
                gone = (Delete(row.key), Unschedule(row.key, expect=False))
                await self._store.commit(Commit(places.consumer(consumer), gone))
        return not rows

    # ---- decisions, activity, inbox ------------------------------------------------------------

    async def _papers(self, consumer: str, prefix: str, course: _Course) -> tuple[_Course, bool]:
        """Forget rows and what they lead to; whether all of them are gone."""
        partition = places.consumer(consumer)
        for _ in range(_LOOKS):
            rows = await self._store.documents(partition, prefix, limit=_ROWS)
            if not rows:
                return course, True
            found = [_read(row) for row in rows]
            written_to = {_folded(each.recipient) for each in found} - course.addresses
            theirs = course.addresses | await self._theirs(consumer, written_to)
            course = msgspec.structs.replace(course, addresses=theirs)
            references = {
                told.reference for each in found for told in _told(each) if told is not None
            }
            await self._store.commit(*(
                Commit(places.reference(each), (Unclaim(places.REFERENCE),))
                for each in references
            ))  # fmt: skip
            await self._elsewhere.onward.forget([
                each.onward.name for each in found if isinstance(each, InboxEntry) and each.onward
            ])  # fmt: skip
            for message in {each.message for each in found if not isinstance(each, Activity)}:
                await self._leave(consumer, message)
            # The addresses are found by these rows: they go by one commit with what knows them.
            noted = Put(key=places.ERASURE, value=encode(course))
            gone = tuple(Delete(row.key) for row in rows)
            await self._store.commit(Commit(partition, (noted, *gone)))
        return course, False

    async def _leave(self, consumer: str, message: str) -> None:
        """Forget a message that nobody else has; of another, that it was to them as well."""
        partition = places.message(message)
        document = await self._store.get(partition, places.MESSAGE)
        record = decode(document.value, MessageRecord) if document else None
        if document is None or record is None:
            await self._store.commit(forget_commit(message))
            return
        others = tuple(each for each in record.recipients if each[0] not in {consumer, ""})
        if not others:
            await self._store.commit(forget_commit(message))
            return
        named = {address for of, address, *_ in record.recipients if of == consumer}
        left = tuple(each for each in record.recipients if each[0] != consumer)
        requests = {to: asked for to, asked in record.requests.items() if to not in named}
        without = msgspec.structs.replace(record, recipients=left, requests=requests)
        put = Put(key=places.MESSAGE, value=encode(without), expect=document.revision)
        (result,) = await self._store.commit(Commit(partition, (put,)))
        if isinstance(result, Rejected):
            raise StoreUnavailable(f"message {message} is changed by somebody else just now")

    # ---- what others hear ----------------------------------------------------------------------

    async def _owes(self, consumer: str, course: _Course) -> timedelta | None:
        """How long to wait for what others are still to hear; None where that is nothing."""
        partition, now = places.consumer(consumer), self._clock.now()
        if now < course.begun + _SETTLES:
            return course.begun + _SETTLES - now
        if now < course.begun + _LONGEST:
            for prefix in _OWED:
                if await self._store.documents(partition, prefix, limit=1):
                    return _WAITS
        entries = await self._store.outbox(limit=1000)
        return _SOON if any(entry.partition == partition for entry in entries) else None

    async def _feeds(self, course: _Course) -> tuple[_Course, bool]:
        """Take the addresses out of the vendors' feeds; whether that is done with all."""
        looks = 0
        while vendor := await self._vendor(course):
            place = places.vendor(vendor)
            page = await self._store.log(place, places.FEED, after=course.sequence, limit=_FEED)
            anew = tuple(
                (entry.sequence, encode(msgspec.structs.replace(event, recipient="")))
                for entry in page
                if _is_of(event := decode(entry.value, Event), course.addresses)
            )
            if anew:
                await self._store.commit(Commit(place, (Rewrite(places.FEED, anew),)))
            if len(page) == _FEED:
                course = msgspec.structs.replace(course, sequence=page[-1].sequence)
            else:
                course = msgspec.structs.replace(course, vendor=vendor, sequence=0)
            looks += 1
            if looks >= _LOOKS:
                return course, False
        return course, True

    async def _vendor(self, course: _Course) -> str | None:
        """The vendor after the last one whose feed was gone through; None where there is none."""
        after = f"vendor/{course.vendor}" if course.vendor else None
        page = await self._store.documents(places.DIRECTORY, "vendor/", after=after, limit=1)
        return page[0].key.removeprefix("vendor/") if page else None

    # ---- the end -------------------------------------------------------------------------------

    async def _end(self, consumer: str, course: _Course) -> None:
        """Forget what is left, what says so last."""
        partition = places.consumer(consumer)
        for each in course.addresses:
            await self._release(f"address/{each}", consumer)
        entry = Delete(key=f"consumer/{consumer}")
        strays = Schedule(key=places.STRAYS, at=self._clock.now())
        await self._store.commit(Commit(places.DIRECTORY, (entry, strays)))
        while True:
            rows = await self._store.documents(partition, "", limit=_OPERATIONS)
            left = [Delete(row.key) for row in rows if row.key != places.ERASURE]
            if not left:
                break
            await self._store.commit(Commit(partition, (*left, Announce())))
        names = await self._store.names(partition)
        gone: list[Operation] = [
            *map(Uncount, names.counters),
            *map(Unclaim, names.claims),
            *(Unschedule(name, expect=False) for name in names.due if name != places.ERASURE),
        ]
        for nth in range(0, len(gone), _OPERATIONS):
            await self._store.commit(Commit(partition, tuple(gone[nth : nth + _OPERATIONS])))
        last = (Delete(places.ERASURE), Unschedule(places.ERASURE, expect=False), Announce())
        await self._store.commit(Commit(partition, last))
        self._consumers.forget(consumer)
        log.info("erased", begun=course.begun.isoformat())

    async def _release(self, place: str, consumer: str) -> None:
        """Forget whose an address was: it is kept from others by what does not name it."""
        document = await self._store.get(place, places.OWNER)
        if document is None or decode(document.value, Owner).consumer in {consumer, ""}:
            gone = (
                Delete(key=places.OWNER),
                Delete(key=places.PASSING),
                Unschedule(key=places.PASSING, expect=False),
                Announce(),
            )
            await self._store.commit(Commit(place, gone))


def _read(row: Document) -> _Paper:
    if row.key.startswith(places.DECISION):
        return decode(row.value, DecisionRecord)
    if row.key.startswith(places.ACTIVITY):
        return decode(row.value, Activity)
    if row.key.startswith(places.OBJECTION):
        return decode(row.value, Objection)
    return decode(row.value, InboxEntry)


def _told(row: _Paper) -> tuple[Told | None, ...]:
    """What was told by a row, each with a reference that leads to the consumer."""
    if isinstance(row, DecisionRecord):
        return row.told, row.heard
    return (row.told,) if isinstance(row, Activity) else ()


def _folded(address: str) -> str:
    """An address as it is compared; empty for none."""
    parsed = parse_address(address)
    return f"{parsed.local.lower()}@{parsed.domain}" if parsed else ""


def _is_of(event: Event, addresses: frozenset[str]) -> bool:
    """Whether an event names one of these addresses, or one below it."""
    parsed = parse_address(event.recipient) if event.recipient else None
    return parsed is not None and not addresses.isdisjoint(
        {_folded(event.recipient), str(parsed.mailbox)}
    )
