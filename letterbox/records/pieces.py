"""Preferences as they are stored: a core document, and every entry of their lists apart.

One relationship is changed without writing the other 10,000. The core document is put anew with
every change, so that its revision is the one revision of it all; each piece keeps the revision
of its own last change, and its place in the order it was declared in.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Generic, Literal, TypeVar

import msgspec

from letterbox.model.address import parse_address
from letterbox.model.preferences import BoundAddress, Interest, Preferences, VendorRule, Window
from letterbox.ports.store import Delete, Document, Operation, Put
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.wishes import mailbox_of, name_of, other_side

Sort = Literal["address", "interest", "window", "vendor"]
Value = str | BoundAddress | Interest | Window | VendorRule
Key = tuple[Sort, str]

#: The list of the preferences that each sort of piece is an entry of.
FIELDS: Final[Mapping[Sort, str]] = {
    "address": "addresses",
    "interest": "interest",
    "window": "window",
    "vendor": "vendor",
}
#: The first byte of a document of old: JSON, everything in one.
_WHOLE: Final = b"{"
_Value = TypeVar("_Value")


#: When a piece was declared of which that was not written down.
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Piece(msgspec.Struct, frozen=True):
    """One entry of a list. ``revision`` is that of its last change: its ETag.

    ``at`` is when it was last declared, or confirmed as it stood.
    """

    sort: Sort
    id: str
    value: Value
    revision: int
    place: int
    at: datetime = LONG_AGO

    @property
    def key(self) -> Key:
        """What makes it this piece and no other."""
        return self.sort, self.id


class Past(msgspec.Struct, frozen=True):
    """A change that is remembered: the revision it made, and the octets it takes."""

    revision: int
    size: int


class Stored(msgspec.Struct, frozen=True):
    """Preferences as they stand. ``revision`` is also the ETag of the whole."""

    preferences: Preferences
    revision: int
    pieces: Mapping[Key, Piece] = {}
    past: tuple[Past, ...] = ()
    #: False for a document of old, which holds everything.
    apart: bool = True
    #: Since when the consumer only watches; None where mail is filtered.
    observing: datetime | None = None


class _Core(msgspec.Struct, frozen=True):
    preferences: Preferences
    past: tuple[Past, ...] = ()
    observing: datetime | None = None


class _Row(msgspec.Struct, Generic[_Value], frozen=True):
    value: _Value
    revision: int
    place: int
    at: datetime = LONG_AGO


_ROWS: Final[Mapping[str, Any]] = {
    "address": _Row[str | BoundAddress],
    "interest": _Row[Interest],
    "window": _Row[Window],
    "vendor": _Row[VendorRule],
}


def read(core: Document, rows: Iterable[Document]) -> Stored:
    """What the documents of a consumer say."""
    if core.value.startswith(_WHOLE):
        preferences = msgspec.json.decode(core.value, type=Preferences)
        pieces = arrange(preferences, {}, core.revision)
        return Stored(preferences, core.revision, pieces, apart=False)
    found = decode(core.value, _Core)
    pieces = {piece.key: piece for piece in map(_piece, rows)}
    preferences = join(found.preferences, pieces.values())
    return Stored(preferences, core.revision, pieces, found.past, observing=found.observing)


def _piece(row: Document) -> Piece:
    sort, _, name = row.key.removeprefix(places.PIECE).partition("/")
    found = msgspec.msgpack.decode(row.value, type=_ROWS[sort])
    return Piece(
        sort=msgspec.convert(sort, Sort),
        id=name,
        value=found.value,
        revision=found.revision,
        place=found.place,
        at=found.at,
    )


def join(core: Preferences, pieces: Iterable[Piece]) -> Preferences:
    """The whole document: the pieces put into the lists of the core, in their order."""
    lists: dict[str, list[Any]] = {field: [] for field in FIELDS.values()}
    for piece in sorted(pieces, key=lambda piece: (piece.place, piece.id)):
        lists[FIELDS[piece.sort]].append(piece.value)
    return msgspec.structs.replace(core, **{name: tuple(list_) for name, list_ in lists.items()})


def core_of(preferences: Preferences) -> Preferences:
    """The document without its lists."""
    return msgspec.structs.replace(preferences, **dict.fromkeys(FIELDS.values(), ()))


def arrange(
    preferences: Preferences,
    before: Mapping[Key, Piece],
    revision: int,
    now: datetime = LONG_AGO,
) -> dict[Key, Piece]:
    """The pieces of a whole document; what says what it said ``before`` keeps its revision.

    ``now`` is when the document is declared.
    """
    pieces: dict[Key, Piece] = {}
    for sort, field in FIELDS.items():
        last = -1
        for name, value in _named(sort, getattr(preferences, field), before):
            old = before.get((sort, name))
            place = old.place if old is not None and old.place > last else last + 1
            last = place
            if old is not None and old.value == value and old.place == place:
                pieces[old.key] = old
                continue
            # Another place alone is no change: a piece is what it says.
            if old is not None and old.value == value:
                piece = msgspec.structs.replace(old, place=place)
            else:
                piece = Piece(sort, name, value, revision=revision, place=place, at=now)
            pieces[piece.key] = piece
    return pieces


def key_in_path(sort: Sort, text: str) -> str:
    """The id of a piece as a path may write it: domains and addresses in any case."""
    if sort == "vendor":
        return mailbox_of(text) if "@" in text else name_of(text)
    return name_of_piece(text) if sort == "address" else text


def with_piece(
    before: Stored,
    key: Key,
    value: Value | None,
    now: datetime,
    *,
    confirms: bool = False,
    anew: bool = True,
) -> dict[Key, Piece]:
    """The pieces with one changed, added (at the end) or taken away.

    It gets a new revision where it says something else. ``confirms``: what says the same is
    declared anew all the same. ``anew`` false: what is changed is as old as it was.
    """
    changed = dict(before.pieces)
    old = changed.get(key)
    if value is None:
        changed.pop(key, None)
    elif old is None or old.value != value:
        last = max((piece.place for piece in changed.values() if piece.sort == key[0]), default=-1)
        place = old.place if old else last + 1
        at = old.at if old and not anew else now
        changed[key] = Piece(*key, value, revision=before.revision + 1, place=place, at=at)
    elif confirms:
        changed[key] = msgspec.structs.replace(old, at=now)
    return changed


def declared_at(preferences: Preferences, pieces: Mapping[Key, Piece]) -> dict[str, datetime]:
    """When each relationship of some preferences was declared that stands so among the pieces."""
    found = {}
    for rule in preferences.vendor:
        piece = pieces.get(("vendor", other_side(rule)))
        if piece is not None and piece.value == rule:
            found[piece.id] = piece.at
    return found


def path_of(key: Key, pieces: Mapping[Key, Piece]) -> str:
    """Where a piece stands in the whole document, as mistakes name it."""
    in_order = sorted(
        (piece for piece in pieces.values() if piece.sort == key[0]),
        key=lambda piece: (piece.place, piece.id),
    )
    nth = next((nth for nth, piece in enumerate(in_order) if piece.key == key), len(in_order))
    return f"{FIELDS[key[0]]}[{nth}]"


def settled(before: Stored, preferences: Preferences, changed: Mapping[Key, Piece]) -> Stored:
    """What stands when one piece has changed; ``before`` itself where it says the same."""
    if changed == before.pieces:
        return before
    return Stored(preferences, before.revision + 1, changed, before.past)


def _named(
    sort: Sort, values: Iterable[Value], before: Mapping[Key, Piece]
) -> Iterator[tuple[str, Value]]:
    """Each value with its id. A window without one is known again by what it says."""
    free: dict[Value, list[str]] = {}
    if sort == "window":
        for piece in before.values():
            if piece.sort == sort and piece.id.startswith("~"):
                free.setdefault(piece.value, []).append(piece.id)
    taken = {name for names in free.values() for name in names}
    for value in values:
        if not isinstance(value, Window) or value.id is not None:
            yield name_of_piece(value), value
        elif names := free.get(value):
            yield names.pop(0), value
        else:
            name = new_name(value, taken)
            taken.add(name)
            yield name, value


def name_of_piece(value: Value) -> str:
    """The id of a piece, by what it says; of a window without an id, the empty text."""
    match value:
        case Interest(id=name):
            return name
        case Window():
            return value.id or ""
        case VendorRule():
            return other_side(value)
        case _:
            text = value if isinstance(value, str) else value.address
            address = parse_address(text)
            return f"{address.local.lower()}@{address.domain}" if address else text


def new_name(window: Value, taken: Iterable[str]) -> str:
    """A name for a window that has none. No declared id begins with ``~``."""
    digest = hashlib.sha256(msgspec.json.encode(window)).hexdigest()[:12]
    count = Counter(name.partition(".")[0] for name in taken)[f"~{digest}"]
    return f"~{digest}.{count}" if count else f"~{digest}"


def writing(before: Stored | None, after: Stored) -> Sequence[Operation]:
    """The operations that make ``before`` what ``after`` is, guarded by its revision."""
    core = _Core(core_of(after.preferences), past=after.past, observing=after.observing)
    expect = before.revision if before else 0
    operations: list[Operation] = [Put(key=places.PREFERENCES, value=encode(core), expect=expect)]
    old = before.pieces if before is not None and before.apart else {}
    operations += [Delete(key=_place(key)) for key in old.keys() - after.pieces.keys()]
    for key, piece in after.pieces.items():
        if old.get(key) != piece:
            row = _Row(piece.value, piece.revision, piece.place, piece.at)
            operations.append(Put(key=_place(key), value=encode(row)))
    return operations


def observing_since(before: Stored | None, after: Stored, now: datetime) -> datetime | None:
    """Since when the consumer only watches, once ``after`` stands; None where they do not."""
    if after.preferences.mode != "observe":
        return None
    return (before.observing if before else None) or now


def _place(key: Key) -> str:
    return f"{places.PIECE}{key[0]}/{key[1]}"
