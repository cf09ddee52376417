"""Messages of our own into a consumer's inbox."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from letterbox.feedback.own import compose
from letterbox.model.record import InboxEntry, MessageRecord
from letterbox.model.sender import Stranger, VendorRef
from letterbox.model.times import later
from letterbox.ports.clock import Clock
from letterbox.ports.store import Add, Bodies, Commit, Operation, Put, Rejected, Store
from letterbox.records import places
from letterbox.records.coding import encode
from letterbox.records.ledger import forget_commit, message_commit
from letterbox.records.names import new_id
from letterbox.records.onward import owing, with_onward

_WEEK: Final = timedelta(days=7)
#: So many a week (UTC) in all: whoever has many domains must not fill an inbox.
_MOST: Final = 10
_HERE: Final[Mapping[str, str]] = {}


class InboxLetter(NamedTuple):
    """What is told, and at which of the consumer's addresses.

    ``noted`` are operations that go with it: a claim among them has it told once. ``onward`` says
    where mail of each kind goes.
    """

    consumer: str
    recipient: str
    subject: str
    text: str
    noted: tuple[Operation, ...]
    onward: Mapping[str, str] = _HERE


class InboxLetters:
    """Puts them there, so many a week. ``retention`` is how long one is kept that nobody has."""

    def __init__(
        self,
        store: Store,
        bodies: Bodies,
        clock: Clock,
        *,
        hostname: str,
        retention: timedelta,
    ) -> None:
        self._store = store
        self._bodies = bodies
        self._clock = clock
        self._hostname = hostname
        self._retention = retention

    async def put(self, letter: InboxLetter) -> bool:
        """Put a letter into its consumer's inbox; false where it was told before, or too often.

        What was told too often this week is noted all the same.
        """
        now = self._clock.now()
        name = new_id(now)
        content = compose(letter.subject, letter.text, name=name, hostname=self._hostname, at=now)
        entry = InboxEntry(
            id=name,
            at=now,
            message=name,
            decision=name,
            vendor=VendorRef(id=self._hostname, name=self._hostname, registered=False),
            sender=f"postmaster@{self._hostname}",
            recipient=letter.recipient,
            subject=letter.subject,
            kind="service",
            interests=(),
            size=len(content),
        )
        entry = with_onward(entry, letter.onward)
        week = Add(counter=places.notices(now), expires=later(now, _WEEK), limit=_MOST)
        put = Put(key=places.INBOX + name, value=encode(entry))
        body = await self._bodies.prepare(name, content)
        row = written_here(entry, letter.consumer)
        message = message_commit(row, body, later(now, self._retention))
        partition = places.consumer(letter.consumer)
        mailbox = Commit(partition, (*letter.noted, week, put, owing(entry)))
        # The message first: a store that is cut off in between must leave no entry without it.
        _, result = await self._store.commit(message, mailbox)
        if not isinstance(result, Rejected):
            return True
        await self._store.commit(forget_commit(name))
        if result.operation == week:
            await self._store.commit(Commit(partition, letter.noted))
        return False


def written_here(entry: InboxEntry, consumer: str) -> MessageRecord:
    """The letter as a message: written here, it is proven by nobody."""
    return MessageRecord(
        id=entry.message,
        at=entry.at,
        edge="http",
        client="",
        helo="",
        reverse_path=None,
        sender=Stranger(why="not-accepted", detail="written here"),
        vendor=entry.vendor,
        size=entry.size,
        recipients=((consumer, entry.recipient, entry.decision, ""),),
    )
