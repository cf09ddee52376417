"""Names that one alone may have: addresses of consumers, domains of vendors; and how they pass.

Whose a name is stands at the name, in a partition of its own, and in the owner's document as
well. The two are written by one call, which a store may cut short in between. So first the call
looks whether all is as it was seen, and notes at each name that it passes; then the names are
taken, then their owner's document is written, then what is given up is let go and the notes are
removed. Where a note is left, the name is looked at once more (:func:`settle`).
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

import msgspec

from letterbox.ports.store import (
    Announce,
    Commit,
    Delete,
    Expect,
    Operation,
    Put,
    Rejected,
    Result,
    Schedule,
    Store,
    StoreUnavailable,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.coding import decode, encode

_ATTEMPTS: Final = 5
#: No call of ``commit`` is still under way so long after it was begun.
_LASTS: Final = timedelta(minutes=1)
_OVER: Final[tuple[Operation, ...]] = (
    Delete(key=places.PASSING),
    Unschedule(key=places.PASSING, expect=False),
)
Answer = TypeVar("Answer")


class Overtaken(Exception):
    """Another process was faster: what was decided rests on what is no more."""


class _Note(msgspec.Struct, frozen=True):
    begun: datetime


class Passing(NamedTuple):
    """A name that passes. ``revision`` is that of the document that says whose it is, as seen.

    ``owner`` is what it says then, also where it is nobody's: the document stays, so that its
    revision is never again one that somebody has seen. ``taken``: by the one whose call it is,
    who otherwise gives it up.
    """

    place: str
    revision: int
    owner: bytes
    taken: bool

    @property
    def write(self) -> Put:
        """What writes it down."""
        return Put(key=places.OWNER, value=self.owner, expect=self.revision)


def pass_on(
    names: Sequence[Passing],
    own: Commit,
    *,
    seen: Sequence[Commit],
    now: datetime,
    before: Iterable[Commit] = (),
    after: Iterable[Commit] = (),
) -> list[Commit]:
    """The commits of one call: all of it happens, or (but for a crash) nothing.

    ``own`` is the commit of the owner's document, ``seen`` are the guards of all documents that
    are written, ``before`` comes before the names are taken: what others lose by it, and where
    the owner is listed that is new.
    """
    before = list(before)
    if not names and not before:
        return [own, *(_with_all(commit) for commit in after)]
    note = Put(key=places.PASSING, value=encode(_Note(begun=now)))
    look = Schedule(key=places.PASSING, at=now + _LASTS)
    taken = [each for each in names if each.taken]
    given_up = [each for each in names if not each.taken]
    commits = [
        *seen,
        *(
            Commit(each.place, (Expect(places.OWNER, each.revision), note, look))
            for each in names
        ),
        *before,
        *(Commit(each.place, (each.write, Announce())) for each in taken),
        own,
        *after,
        *(Commit(each.place, (each.write, *_OVER, Announce())) for each in given_up),
        *(Commit(each.place, _OVER) for each in taken),
    ]  # fmt: skip
    return [_with_all(commit) for commit in commits]


def _with_all(commit: Commit) -> Commit:
    return msgspec.structs.replace(commit, with_all=True)


def first_rejected(results: Iterable[Result]) -> Operation | None:
    """The guard that failed, if one has."""
    return next((each.operation for each in results if isinstance(each, Rejected)), None)


async def decided(deciding: Callable[[], Awaitable[Answer]]) -> Answer:
    """Decide, and again where another process was faster. May raise StoreUnavailable."""
    for _ in range(_ATTEMPTS):
        try:
            return await deciding()
        except Overtaken:
            continue
    raise StoreUnavailable("too many change the same at once")


async def settle(
    store: Store, place: str, now: datetime, truth: Callable[[bytes], Awaitable[bytes]]
) -> None:
    """See whether a name has passed whose passing may have been cut short.

    ``truth`` is given what says whose it is, and gives back what has to say so.
    """
    note = await store.get(place, places.PASSING)
    until = decode(note.value, _Note).begun + _LASTS if note else now
    operations = _OVER
    if until > now:
        operations = (Schedule(key=places.PASSING, at=until),)
    elif document := await store.get(place, places.OWNER):
        owner = await truth(document.value)
        if owner != document.value:
            # Where it passes at this moment the guard fails, and it is looked at again.
            passes = Passing(place, document.revision, owner, taken=False)
            operations = (passes.write, *_OVER, Announce())
    await store.commit(Commit(place, operations))
