"""What a link of a digest does, once its button is pressed; done twice, it has no second effect."""

from collections.abc import Awaitable, Callable
from typing import Final, Literal, NamedTuple

import msgspec

from letterbox.delivery.relations import Relations
from letterbox.delivery.release import Holds
from letterbox.model.preferences import VendorRule
from letterbox.model.record import DecisionRecord, HeldEntry, InboxEntry
from letterbox.model.verdict import Refuse
from letterbox.ports.clock import Clock
from letterbox.ports.store import Operation, StoreUnavailable
from letterbox.records.actions import Action
from letterbox.records.consumers import Conflict, Consumers
from letterbox.records.mailboxes import Mailboxes

#: ``over``: there is nothing left to do; ``gone``: the message is not kept any more.
Outcome = Literal["done", "over", "gone"]

_ATTEMPTS: Final = 5
_LOCKED_OUT: Final = VendorRule(standing="blocked", because="other")


class About(NamedTuple):
    """What a link is about, as far as its page says it."""

    company: str
    subject: str


class Acting:
    """Does it. ``let_in`` puts a refused message into the inbox."""

    def __init__(
        self,
        *,
        clock: Clock,
        consumers: Consumers,
        mailboxes: Mailboxes,
        holds: Holds,
        relations: Relations,
        let_in: Callable[[str, str], Awaitable[Outcome]],
    ) -> None:
        self._clock = clock
        self._consumers = consumers
        self._mailboxes = mailboxes
        self._holds = holds
        self._relations = relations
        self._let_in = let_in

    async def about(self, action: Action) -> About | None:
        """What a link is about; None where there is nothing left that it could do."""
        if action.act == "off":
            stored = await self._consumers.stored(action.consumer)
            return About("", "") if stored and stored.preferences.digest else None
        row = await self._row(action)
        return About(row.vendor.name or row.sender, row.subject) if row else None

    async def _row(self, action: Action) -> InboxEntry | HeldEntry | DecisionRecord | None:
        consumer, entry = action.consumer, action.entry
        match action.act:
            case "archive":
                return await self._mailboxes.entry(consumer, entry)
            case "yes" | "no":
                return await self._mailboxes.held_entry(consumer, entry)
            case "let-in":
                row = await self._mailboxes.decision(consumer, entry)
                refused = row is not None and isinstance(row.verdict, Refuse)
                return row if row and refused and row.followed_by is None else None
            case _:
                held = await self._mailboxes.held_entry(consumer, entry)
                return held or await self._mailboxes.entry(consumer, entry)

    async def perform(self, action: Action) -> Outcome:
        """Do what a link says. Raises StoreUnavailable where it could not be done."""
        consumer, entry = action.consumer, action.entry
        match action.act:
            case "off":
                done = await self._turn_off(consumer)
            case "archive":
                marked = await self._mailboxes.mark(consumer, entry, read=None, archived=True)
                done = marked is not None
            case "yes" | "no":
                done = await self._holds.answer(consumer, entry, yes=action.act == "yes")
            case "let-in":
                return await self._let_in(consumer, entry)
            case "lock-out":
                done = await self._lock_out(consumer, entry)
        return "done" if done else "over"

    async def _lock_out(self, consumer: str, entry: str) -> bool:
        if await self._mailboxes.held_entry(consumer, entry) is not None:
            rule = await self._relations.answer(consumer, entry, word="no", rule=_LOCKED_OUT)
            return rule is not None
        locked = await self._relations.unwanted(
            consumer, entry, because="other", also=_nothing_else
        )
        return locked is not None

    async def _turn_off(self, consumer: str) -> bool:
        for _ in range(_ATTEMPTS):
            stored = await self._consumers.stored(consumer)
            if stored is None or stored.preferences.digest is None:
                return False
            without = msgspec.structs.replace(stored.preferences, digest=None)
            try:
                await self._consumers.revise(
                    consumer, without, expect=stored.revision, now=self._clock.now()
                )
            except Conflict:
                self._consumers.forget(consumer)
                continue
            return True
        raise StoreUnavailable(f"the preferences of {consumer} keep changing")


async def _nothing_else(_: VendorRule | None) -> tuple[Operation, ...]:
    """Nothing happens beside it."""
    return ()
