"""A Sieve script becomes relationships, where its lines map."""

from datetime import datetime
from typing import Final

import msgspec

from letterbox.model.kind import Kind
from letterbox.model.proposal import Choice, Found
from letterbox.reading.sieve import Mapped, Unmapped, read_sieve
from letterbox.starting.adoption import Adopted, Adoption

#: A script that keeps a company's mail keeps all of it.
_ALL: Final = (Kind.SERVICE, Kind.OFFER, Kind.NEWSLETTER)


class SieveRead(msgspec.Struct, frozen=True):
    """What a script maps to, what of it does not, and what became of it; None: it was only read."""

    mapped: tuple[Mapped, ...]
    unmapped: tuple[Unmapped, ...]
    adopted: Adopted | None = None


class Sieve:
    """Reads scripts for consumers."""

    def __init__(self, adoption: Adoption) -> None:
        self._adoption = adoption

    async def adopt(
        self, consumer: str, script: str, *, now: datetime, dry_run: bool = False
    ) -> SieveRead:
        """Carry out what a script says of senders: one change. ``dry_run``: only say what.

        Raises :class:`letterbox.reading.sieve.NoSieve`, and what :meth:`Adoption.adopt` does.
        """
        mapped, unmapped = read_sieve(script)
        if dry_run:
            return SieveRead(mapped, unmapped)
        named = {each.key: Found() for each in mapped}
        proposals = await self._adoption.proposals(consumer, named, apart=True)
        choices = {each.key: self._choice(each) for each in mapped}
        adopted = await self._adoption.adopt(consumer, proposals, choices, now=now, by="import")
        return SieveRead(mapped, unmapped, adopted)

    def _choice(self, each: Mapped) -> Choice:
        accepts = (*_ALL, Kind.PERSONAL) if "@" in each.key else _ALL
        return Choice(do=each.do, accepts=accepts)
