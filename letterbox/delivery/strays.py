"""Strays: bodies outside the store that no commit names: it never came, or they were dropped.

What is found in one round is removed in the next, if still nobody names it. Between the two lies a
commit of ours, so that whatever waited to be committed before it has been. That, and their age,
keeps safe what is on its way.
"""

from datetime import timedelta
from typing import Final

import msgspec
import structlog

from letterbox.ports.clock import Clock
from letterbox.ports.objects import Objects
from letterbox.ports.store import (
    Bodies,
    Commit,
    Delete,
    Operation,
    Put,
    Schedule,
    Store,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.bodies import OutsideBodies
from letterbox.records.coding import decode, encode
from letterbox.records.names import new_reference

#: A commit follows within seconds, or a connection breaks. A day is for a machine that was asleep.
GRACE: Final = timedelta(days=1)
#: Objects looked at in one round: whoever waits for the worker waits for no more.
_ROUND: Final = 500
#: The object that says whose all of them are.
_OWNER: Final = "owner"

log = structlog.get_logger("letterbox.delivery")


class _Course(msgspec.Struct, frozen=True):
    """How far a sweep has come: where it goes on, and what it suspects."""

    after: str = ""
    suspects: tuple[str, ...] = ()
    #: Everything was looked at; only what is suspected is left.
    ending: bool = False


class Strays:
    """Finds and removes them, a bounded number at a time. Killed anywhere, it goes on.

    ``bodies`` that are in the store are dropped there: of them there are no strays.
    """

    def __init__(self, *, store: Store, clock: Clock, bodies: Bodies) -> None:
        self._store = store
        self._clock = clock
        self._bodies = bodies if isinstance(bodies, OutsideBodies) else None

    async def sweep(self) -> None:
        """One round. The daily sweep begins the first, and each the next."""
        document = await self._store.get(places.DIRECTORY, places.STRAYS)
        course = decode(document.value, _Course) if document else _Course()
        after = await self._round(course)
        operations: tuple[Operation, ...] = (
            Delete(key=places.STRAYS),
            Unschedule(key=places.STRAYS, expect=False),
        )
        if after is not None:
            operations = (
                Put(key=places.STRAYS, value=encode(after)),
                Schedule(key=places.STRAYS, at=self._clock.now()),
            )
        await self._store.commit(Commit(places.DIRECTORY, operations))

    async def _round(self, course: _Course) -> _Course | None:
        bodies = self._bodies
        if bodies is None or (course == _Course() and not await self._is_ours(bodies.objects)):
            return None
        strays = await _unnamed(course.suspects, bodies)
        for name in strays:
            await bodies.objects.remove(name)
        if strays:
            log.info("strays-removed", count=len(strays))
        if course.ending:
            return None
        found = await bodies.objects.older(GRACE, after=course.after, limit=_ROUND)
        names = tuple(name for name in found.names if name != _OWNER)
        suspects = await _unnamed(names, bodies)
        if not suspects and not found.after:
            return None
        return _Course(after=found.after, suspects=suspects, ending=not found.after)

    async def _is_ours(self, objects: Objects) -> bool:
        """Whether they are kept for this store: for another one all of them would be strays.

        A place that is nobody's yet becomes ours.
        """
        document = await self._store.get(places.DIRECTORY, places.BODIES)
        owner = await objects.read(_OWNER)
        if owner is None:
            name = document.value if document else new_reference().encode()
            put = Put(key=places.BODIES, value=name)
            await self._store.commit(Commit(places.DIRECTORY, (put,)))
            await objects.write(_OWNER, name)
            return True
        if document is not None and document.value == owner:
            return True
        log.error(
            "bodies-of-another-store",
            advice="point bodies.url at a place of its own; where this is the right store all the "
            "same, such as an old copy, remove owner.eml there",
        )
        return False


async def _unnamed(names: tuple[str, ...], bodies: OutsideBodies) -> tuple[str, ...]:
    return tuple([name for name in names if not await bodies.has(name)])
