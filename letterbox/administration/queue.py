"""What is still to be handed on, for the operator: whose, to which server, and why it waits."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from letterbox.administration.taking import Answer, Arguments, Command, plain, taking
from letterbox.model.preferences import MAILBOX
from letterbox.model.record import InboxEntry
from letterbox.ports.store import Store
from letterbox.records import places
from letterbox.records.consumers import Consumers
from letterbox.records.elsewhere import Elsewhere

#: Of one consumer so many are named; the others are counted.
_MOST: Final = 100


class Queue(Arguments, frozen=True):
    """Which consumers: the next ones after an id, so many at once."""

    after: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class QueueCommands:
    """``queue``. Subjects and addresses are the consumers' own, and are not shown."""

    def __init__(self, store: Store, consumers: Consumers, elsewhere: Elsewhere) -> None:
        self._store = store
        self._consumers = consumers
        self._onward = elsewhere.onward
        self.table: Mapping[str, Command] = {"queue": taking(Queue, self._queue)}

    async def _queue(self, asked: Queue) -> Answer:
        names = sorted(each for each in await self._consumers.all() if each > asked.after)
        page = names[: asked.limit]
        items = [item for name in page for item in await self._of(name)]
        return {"items": items, "after": page[-1] if len(names) > len(page) else None}

    async def _of(self, consumer: str) -> list[dict[str, Any]]:
        """What is owed to one of them, the oldest first."""
        due = (await self._store.names(places.consumer(consumer))).due
        owed = sorted(name for name in due if name.startswith(places.ONWARD))
        found = []
        for name in owed[:_MOST]:
            entry = await self._onward.entry(consumer, name.removeprefix(places.ONWARD))
            if entry is not None and entry.onward is not None:
                found.append(_shown(consumer, entry))
        if len(owed) > _MOST:
            found.append({"consumer": consumer, "more": len(owed) - _MOST})
        return found


def _shown(consumer: str, entry: InboxEntry) -> dict[str, Any]:
    onward = entry.onward
    if onward is None:
        return {}
    to = MAILBOX if onward.to == MAILBOX else onward.to.rpartition("@")[2]
    row: dict[str, Any] = plain({
        "consumer": consumer,
        "id": entry.id,
        "message": entry.message,
        "to": to,
        "since": onward.since,
        "attempts": onward.attempts,
        "next": onward.next,
        "detail": onward.detail,
    })  # fmt: skip
    return row


def queue_lines(items: list[dict[str, Any]]) -> list[str]:
    """One line for each."""
    lines = [
        f"{row['consumer']}: and {row['more']} more"
        if "more" in row
        else f"{row['since']}  {row['consumer']}  to {row['to']}  tried {row['attempts']} times  "
        f"{row['detail'] or 'not tried yet'}"
        for row in items
    ]
    return lines or ["nothing waits to be handed on"]
