"""What was changed in preferences: the last changes as differences, and the way back."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple, Protocol

import msgspec

from letterbox.model.address import parse_address
from letterbox.model.preferences import BoundAddress, Interest, Preferences, VendorRule, Window
from letterbox.ports.store import Commit, Delete, Operation, Put
from letterbox.records import places
from letterbox.records.coding import encode
from letterbox.records.pieces import (
    FIELDS,
    Key,
    Past,
    Piece,
    Sort,
    Stored,
    Value,
    arrange,
    core_of,
    join,
    name_of_piece,
)

#: Changes that are remembered, and the octets they may take together.
MOST_CHANGES: Final = 50
_MOST_OCTETS: Final = 8 * 1024 * 1024

#: Who made a change: the consumer, the operator, or by which act of the consumer's.
By = Literal[
    "consumer",
    "operator",
    "answer",
    "advertising",
    "unwanted",
    "objection",
    "undo",
    "restore",
    "confirm",
    "request",
    "import",
    "expecting",
    "suggestion",
]

_NOTHING: Final = Preferences()
_TYPES: Final[Mapping[Sort, Any]] = {
    "address": str | BoundAddress,
    "interest": Interest,
    "window": Window,
    "vendor": VendorRule,
}


#: A sort of piece, or ``core`` for the fields of the core document.
PieceSort = Literal["core", "address", "interest", "window", "vendor"]
#: Fields of the preferences that are no lists of pieces.
_CORE: Final = tuple(n for n in Preferences.__struct_fields__ if n not in FIELDS.values())
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Conflict(Exception):
    """Somebody changed the preferences in between; ``revision`` is the one they have now."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"the preferences have changed: they are at revision {revision} now")
        self.revision = revision


class Forgotten(Exception):
    """So long ago nothing is remembered: from ``oldest`` to ``newest`` there is a way back."""

    def __init__(self, oldest: int, newest: int) -> None:
        super().__init__(f"the revisions {oldest} to {newest} are remembered")
        self.oldest = oldest
        self.newest = newest


class Telling(NamedTuple):
    """What is written with a change of preferences because somebody is told of it.

    ``own`` are operations on the consumer's partition, ``others`` commits on other ones.
    """

    own: tuple[Operation, ...] = ()
    others: tuple[Commit, ...] = ()


class Tells(Protocol):
    """Says who is told what of a change. ``before`` is None for a new consumer."""

    async def __call__(
        self, consumer: str, before: Stored | None, after: Stored, *, by: By, now: datetime
    ) -> Telling:
        """What is written with the change."""
        ...


async def tells_nobody(
    consumer: str, before: Stored | None, after: Stored, *, by: By, now: datetime
) -> Telling:
    """Of a change that nobody is told of."""
    del consumer, before, after, by, now
    return Telling()


class PieceChange(msgspec.Struct, frozen=True):
    """One piece as it was and as it became; None where there was none, or is none any more.

    ``piece`` is the sort of piece, or ``core`` for a field of the core document by its name.
    """

    piece: PieceSort
    id: str
    before: Any
    after: Any


class Change(msgspec.Struct, frozen=True):
    """One change. ``revision`` is what it made of the preferences."""

    revision: int
    at: datetime
    by: By
    pieces: tuple[PieceChange, ...]


def differences(before: Stored | None, after: Stored) -> tuple[PieceChange, ...]:
    """Every piece and every field of the core that differs."""
    old: Mapping[Key, Piece] = before.pieces if before else {}
    pieces = [
        PieceChange(
            piece=key[0],
            id=key[1],
            before=_plain(old.get(key)),
            after=_plain(after.pieces.get(key)),
        )
        for key in dict.fromkeys((*old, *after.pieces))
        if _said(old.get(key)) != _said(after.pieces.get(key))
    ]
    was = core_of(before.preferences if before else Preferences())
    is_ = core_of(after.preferences)
    fields = [
        PieceChange(piece="core", id=name, before=plain(one), after=plain(other))
        for name in Preferences.__struct_fields__
        if (one := getattr(was, name)) != (other := getattr(is_, name))
    ]
    return (*fields, *pieces)


def remembering(change: Change, past: Iterable[Past]) -> tuple[tuple[Past, ...], list[Operation]]:
    """What is remembered with one change more, and the operations for it."""
    value = encode(change)
    kept = [*past, Past(revision=change.revision, size=len(value))]
    operations: list[Operation] = [Put(key=places.change(change.revision), value=value)]
    while len(kept) > MOST_CHANGES or (
        len(kept) > 1 and sum(each.size for each in kept) > _MOST_OCTETS
    ):
        operations.append(Delete(key=places.change(kept.pop(0).revision)))
    return tuple(kept), operations


def given_up(changes: Iterable[Change]) -> frozenset[str]:
    """The places of addresses that the consumer gave up in some changes, the newest first.

    Not of those that the operator took away: they are not the consumer's to take back.
    """
    last: dict[str, By] = {}
    for change in changes:
        for each in change.pieces:
            if each.piece == "address" and each.after is None:
                last.setdefault(each.id, change.by)
    own = (parse_address(name) for name, by in last.items() if by != "operator")
    return frozenset(places.address(address) for address in own if address is not None)


def undone(stored: Stored, changes: Iterable[Change]) -> Preferences:
    """Preferences as they were before some changes, of which the newest comes first."""
    core = core_of(stored.preferences)
    pieces = dict(stored.pieces)
    for change in changes:
        fields: dict[str, Any] = {}
        for each in change.pieces:
            if each.piece == "core":
                fields[each.id] = each.before
                continue
            key = (each.piece, each.id)
            gone = pieces.pop(key, None)
            if each.before is not None:
                place = (
                    gone.place if gone else 1 + max((p.place for p in pieces.values()), default=0)
                )
                value = value_of(each.piece, each.before)
                pieces[key] = Piece(each.piece, each.id, value, revision=0, place=place)
        if fields:
            given = {name: value for name, value in fields.items() if value is not None}
            core = msgspec.convert({**plain(core), **given}, Preferences)
            absent = {name: getattr(_NOTHING, name) for name in fields.keys() - given.keys()}
            core = msgspec.structs.replace(core, **absent)
    return join(core, pieces.values())


def imagined(preferences: Preferences, wishes: Iterable[tuple[str, str, Any]]) -> Preferences:
    """Preferences with some pieces otherwise: sort (or ``core``), id, and what it would be.

    None takes a piece away. Raises :class:`Unimaginable` for what is no such piece.
    """
    stored = Stored(preferences, 0, arrange(preferences, {}, 0))
    changes = []
    for nth, (sort, name, after) in enumerate(wishes):
        try:
            changes.append(_imagined(stored, sort, name, after))
        except msgspec.ValidationError as error:
            raise Unimaginable(nth, str(error)) from None
    return undone(stored, [Change(revision=0, at=_LONG_AGO, by="consumer", pieces=tuple(changes))])


class Unimaginable(Exception):
    """A wish that no preferences can have: ``nth`` of those that were given, and why."""

    def __init__(self, nth: int, why: str) -> None:
        super().__init__(why)
        self.nth = nth


def _imagined(stored: Stored, sort: str, name: str, after: Any) -> PieceChange:
    """One wish as a change that is undone. Raises msgspec.ValidationError."""
    piece = msgspec.convert(sort, PieceSort)
    if piece == "core":
        if name not in _CORE:
            raise msgspec.ValidationError(f"core has no field {name!r}, but {', '.join(_CORE)}")
    elif after is None:
        if (piece, name) not in stored.pieces:
            raise msgspec.ValidationError(f"there is no {sort} {name!r} to take away")
    elif (own := name_of_piece(value_of(piece, after))) and own != name:
        raise msgspec.ValidationError(f"it says of itself that it is {own!r}, not {name!r}")
    return PieceChange(piece=piece, id=name, before=after, after=None)


def value_of(sort: Sort, plain: Any) -> Value:
    """A piece from plain data. Raises msgspec.ValidationError."""
    value: Value = msgspec.convert(plain, _TYPES[sort])
    return value


def plain(value: object) -> Any:
    """Data as JSON has it."""
    return msgspec.to_builtins(value)


def _plain(piece: Piece | None) -> Any:
    return None if piece is None else plain(piece.value)


def _said(piece: Piece | None) -> Value | None:
    return None if piece is None else piece.value
