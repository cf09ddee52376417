"""When a consumer's next digest comes, and that one is sent now."""

from collections.abc import Mapping

from letterbox.administration.taking import Answer, Arguments, Command, taking
from letterbox.administration.unknown import unknown
from letterbox.delivery.digests import Digests
from letterbox.records.consumers import Consumers


class DigestOf(Arguments, frozen=True):
    """A consumer; ``now``: a digest is to be sent."""

    consumer: str
    now: bool = False


class DigestCommands:
    """The one command."""

    def __init__(self, digests: Digests, consumers: Consumers) -> None:
        self._digests = digests
        self._consumers = consumers
        self.table: Mapping[str, Command] = {"digest": taking(DigestOf, self._digest)}

    async def _digest(self, asked: DigestOf) -> Answer:
        stored = await self._consumers.stored(asked.consumer)
        if stored is None:
            raise await unknown(self._consumers, asked.consumer)
        how = await self._digests.shown(asked.consumer)
        if asked.now:
            return {"outcome": await self._digests.send_now(asked.consumer), "to": how.to}
        planned = how.standing.planned if how.standing and stored.preferences.digest else None
        return {"next": planned.isoformat() if planned else None, "to": how.to}
