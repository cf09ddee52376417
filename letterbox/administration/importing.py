"""What the command line does about old mail: count what it has read, show and carry out."""

from collections.abc import Mapping

from letterbox.administration.failed import Failed
from letterbox.administration.shape import nearest
from letterbox.administration.taking import Answer, Arguments, Command, plain, taking
from letterbox.model.proposal import Choice
from letterbox.ports.clock import Clock
from letterbox.reading.sieve import NoSieve
from letterbox.records.consumers import Conflict, Consumers, Refused
from letterbox.records.imports import (
    MOST_SOURCES,
    Amount,
    Batch,
    Elsewhere,
    Imported,
    Imports,
    Sort,
    SourceName,
    TooManySources,
)
from letterbox.starting.adoption import Adoption
from letterbox.starting.sieve import Sieve


class Begin(Arguments, frozen=True):
    """A mailbox that is to be read."""

    consumer: str
    source: SourceName
    sort: Sort
    total: Amount


class Take(Arguments, frozen=True):
    """Mails of it that were read."""

    consumer: str
    source: SourceName
    batch: Batch


class Whose(Arguments, frozen=True):
    """A consumer."""

    consumer: str


class Show(Whose, frozen=True):
    """``people``: those who write as persons, too."""

    people: bool = False


class Choose(Whose, frozen=True):
    """What becomes of suggestions, by their keys."""

    choices: dict[str, Choice]


class Script(Whose, frozen=True):
    """A Sieve script. ``dry_run``: only say what it maps to."""

    script: str
    dry_run: bool = False


class ImportCommands:
    """``import …``."""

    def __init__(
        self,
        imports: Imports,
        adoption: Adoption,
        sieve: Sieve,
        consumers: Consumers,
        clock: Clock,
    ) -> None:
        self._imports = imports
        self._adoption = adoption
        self._sieve = sieve
        self._consumers = consumers
        self._clock = clock
        self.table: Mapping[str, Command] = {
            "import begin": taking(Begin, self._begin),
            "import take": taking(Take, self._take),
            "import show": taking(Show, self._show),
            "import choose": taking(Choose, self._choose),
            "import sieve": taking(Script, self._script),
            "import forget": taking(Whose, self._forget),
        }

    async def _begin(self, asked: Begin) -> Answer:
        await self._known(asked.consumer)
        try:
            source = await self._imports.begin(
                asked.consumer, asked.source, asked.sort, asked.total
            )
        except TooManySources:
            raise Failed(
                f"{MOST_SOURCES} mailboxes were read already; letterbox import forget "
                f"{asked.consumer} begins anew"
            ) from None
        answer: Answer = plain(source)
        return _defaults | answer

    async def _take(self, asked: Take) -> Answer:
        try:
            source = await self._imports.take(asked.consumer, asked.source, asked.batch)
        except Elsewhere:
            raise Failed(
                "somebody else reads this mailbox, or the import was forgotten; start again"
            ) from None
        answer: Answer = plain(source)
        return _defaults | answer

    async def _show(self, asked: Show) -> Answer:
        imported = await self._of(asked.consumer)
        proposals = await self._adoption.proposals(asked.consumer, imported.found)
        shown = [each for each in proposals if asked.people or not each.is_person]
        return {
            "consumer": asked.consumer,
            "read": imported.read,
            "unread": imported.unread,
            "over": imported.over,
            "people": sum(each.is_person for each in proposals),
            "items": [plain(each) | {"key": each.key} for each in shown],
        }

    async def _choose(self, asked: Choose) -> Answer:
        imported = await self._of(asked.consumer)
        proposals = await self._adoption.proposals(asked.consumer, imported.found)
        try:
            adopted = await self._adoption.adopt(
                asked.consumer, proposals, asked.choices, now=self._clock.now(), by="import"
            )
        except Conflict as conflict:
            raise Failed(f"{conflict}; try again") from conflict
        answer: Answer = plain(adopted)
        return answer

    async def _script(self, asked: Script) -> Answer:
        await self._known(asked.consumer)
        try:
            done = await self._sieve.adopt(
                asked.consumer, asked.script, now=self._clock.now(), dry_run=asked.dry_run
            )
        except (Conflict, NoSieve, Refused) as error:
            raise Failed(str(error)) from error
        answer: Answer = plain(done)
        return answer

    async def _forget(self, asked: Whose) -> Answer:
        await self._known(asked.consumer)
        return {"consumer": asked.consumer, "forgotten": await self._imports.forget(asked.consumer)}

    async def _of(self, consumer: str) -> Imported:
        await self._known(consumer)
        imported = await self._imports.of(consumer)
        if imported is None:
            raise Failed(
                f"no old mail of {consumer}'s was read; letterbox import mbox FILE "
                f"--consumer {consumer} reads it"
            )
        return imported

    async def _known(self, name: str) -> None:
        if await self._consumers.stored(name) is None:
            known = await self._consumers.all()
            raise Failed(f"there is no consumer {name!r}" + nearest(name, known))


#: Fields that are left out of a stored form where they say nothing.
_defaults: Answer = {
    "position": "",
    "done": 0,
    "total": 0,
    "read": 0,
    "unread": 0,
    "ended": False,
}
