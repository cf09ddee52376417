"""What a consumer takes along, and that everything of theirs goes."""

from collections.abc import Mapping

from letterbox.administration.export import Exporting, Section
from letterbox.administration.failed import Failed
from letterbox.administration.shape import nearest
from letterbox.administration.taking import Answer, Arguments, Command, taking
from letterbox.delivery.erasure import Erasure
from letterbox.records import places
from letterbox.records.consumers import Consumers


class Export(Arguments, frozen=True):
    """One page of one section of what there is about a consumer."""

    consumer: str
    section: Section
    after: str | None = None


class Erase(Arguments, frozen=True):
    """A consumer."""

    consumer: str


class LeavingCommands:
    """``export`` and ``erase``."""

    def __init__(self, exporting: Exporting, erasure: Erasure, consumers: Consumers) -> None:
        self._exporting = exporting
        self._erasure = erasure
        self._consumers = consumers
        self.table: Mapping[str, Command] = {
            "export": taking(Export, self._export),
            "erase": taking(Erase, self._erase),
        }

    async def _export(self, asked: Export) -> Answer:
        name = asked.consumer
        if name != places.OPERATOR and await self._consumers.stored(name) is None:
            raise await self._unknown(name)
        rows = await self._exporting.page(name, asked.section, asked.after)
        return {"consumer": name, "items": rows.items, "after": rows.after}

    async def _erase(self, asked: Erase) -> Answer:
        if not await self._erasure.begin(asked.consumer):
            raise await self._unknown(asked.consumer)
        return {"consumer": asked.consumer, "erasing": True}

    async def _unknown(self, name: str) -> Failed:
        known = await self._consumers.all()
        return Failed(f"there is no consumer {name!r}" + nearest(name, known))
