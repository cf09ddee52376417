"""Which messages of the last days each interest fits, whatever else the rules say of them."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from letterbox.hindsight.cases import PastCases, Unjudged
from letterbox.model.preferences import Preferences
from letterbox.model.record import DecisionRecord
from letterbox.ports.clock import Clock
from letterbox.records.consumers import Consumers, Stored
from letterbox.records.mailboxes import Mailboxes

#: The days that are looked at, and the messages of them: the newest.
DAYS: Final = 30
MOST_LOOKED_AT: Final = 300


class Fitting(NamedTuple):
    """The messages that fit, by interest, the newest first.

    ``unjudged`` cannot be told, because their text is gone; ``truncated`` where there were more
    messages than are looked at.
    """

    by_interest: Mapping[str, tuple[DecisionRecord, ...]]
    unjudged: int
    truncated: bool


class Fits:
    """Asks interests about recorded messages. It reads, and changes nothing."""

    def __init__(
        self, cases: PastCases, consumers: Consumers, mailboxes: Mailboxes, clock: Clock
    ) -> None:
        """``cases`` judge by the rule of interests alone."""
        self._cases = cases
        self._consumers = consumers
        self._mailboxes = mailboxes
        self._clock = clock

    async def of(self, consumer: str, preferences: Preferences, stored: Stored) -> Fitting:
        """What fits the interests of sound ``preferences``; what of them stands is ``stored``.

        Messages of companies from whom everything is taken are not asked about.
        """
        wishes = self._consumers.compile(consumer, preferences, stored.revision, stored.pieces)
        page = await self._mailboxes.decisions(consumer, after=None, limit=MOST_LOOKED_AT)
        oldest = self._clock.now() - timedelta(days=DAYS)
        found: defaultdict[str, list[DecisionRecord]] = defaultdict(list)
        unjudged = 0
        for record in page.items:
            if record.at < oldest or record.follows is not None:
                continue
            await asyncio.sleep(0)  # others are served meanwhile
            try:
                decision = await self._cases.decide(self._cases.recall(record), wishes)
            except Unjudged:
                unjudged += 1
                continue
            for interest in decision.interests:
                found[interest].append(record)
        more = page.after is not None and page.items[-1].at >= oldest
        return Fitting({name: tuple(rows) for name, rows in found.items()}, unjudged, more)
