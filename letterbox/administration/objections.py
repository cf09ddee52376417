"""What a consumer objected to, as the command line shows it."""

from collections.abc import Mapping

from letterbox.administration.failed import Failed
from letterbox.administration.taking import Answer, Arguments, Command, plain, taking
from letterbox.administration.unknown import unknown
from letterbox.delivery.breaches import Breaches
from letterbox.feedback.objecting import Letters
from letterbox.model.preferences import Language
from letterbox.ports.clock import Clock
from letterbox.records.consumers import Consumers
from letterbox.records.objections import Objections

#: So many are listed at once: nobody has that many.
_MOST = 1000


class Asks(Arguments, frozen=True):
    """A consumer; with an ``objection`` what came in spite of it, and the letter that says so."""

    consumer: str
    objection: str | None = None
    language: Language | None = None


class ObjectionCommands:
    """``objections``."""

    def __init__(
        self,
        objections: Objections,
        breaches: Breaches,
        letters: Letters,
        consumers: Consumers,
        clock: Clock,
    ) -> None:
        self._objections = objections
        self._breaches = breaches
        self._letters = letters
        self._consumers = consumers
        self._clock = clock
        self.table: Mapping[str, Command] = {"objections": taking(Asks, self._show)}

    async def _show(self, asked: Asks) -> Answer:
        name = asked.consumer
        if await self._consumers.stored(name) is None:
            raise await unknown(self._consumers, name)
        await self._breaches.look(name)
        if asked.objection is not None:
            return await self._one(name, asked.objection, asked.language)
        page = await self._objections.page(name, after=None, limit=_MOST)
        return {"consumer": name, "items": plain(page.items)}

    async def _one(self, consumer: str, name: str, language: Language | None) -> Answer:
        objection = await self._objections.one(consumer, name)
        if objection is None:
            raise Failed(f"{consumer} has no objection {name!r}; without it, all are listed")
        came = await self._objections.breaches(consumer, name)
        wishes = await self._consumers.wishes(consumer)
        letter = self._letters.letter(
            objection,
            came,
            language or wishes.language,
            now=self._clock.now(),
            local=wishes.times.local,
        )
        answer: Answer = plain(objection)
        return answer | {"came": plain(came), "letter": letter.text}
