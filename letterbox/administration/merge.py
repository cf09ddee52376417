"""Three-way merge of preferences: what the file says, without undoing what the consumer changed.

The document that was applied last tells whose a difference is: where what stands now differs
from it, the consumer changed that part, and it stays (unless forced).
"""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from letterbox.model.preferences import Interest, Preferences, VendorRule, Window

What = Literal["created", "added", "changed", "removed", "kept"]

_LISTS = ("interest", "window", "vendor")
_NAMES = {"interest": "interest", "window": "window", "vendor": "relationship"}


class PartChange(msgspec.Struct, frozen=True):
    """What became of one part of a document."""

    part: str
    what: What


class Merged(msgspec.Struct, frozen=True):
    """The document to be, and how it differs from the one there is."""

    preferences: Preferences
    changes: tuple[PartChange, ...]


def merge(
    *, applied: Preferences, stored: Preferences, file: Preferences, force: bool = False
) -> Merged:
    """Bring ``stored`` to what ``file`` says; ``applied`` is what was applied last."""
    changes: list[PartChange] = []
    fields: dict[str, Any] = {}
    base = stored if force else applied
    for field in Preferences.__struct_fields__:
        if field in _LISTS:
            fields[field] = _merge_list(field, base, stored, file, changes)
            continue
        old, now, new = (getattr(document, field) for document in (base, stored, file))
        fields[field] = _choose(field, old, now, new, changes)
    return Merged(preferences=Preferences(**fields), changes=tuple(changes))


def _merge_list(
    field: str,
    base: Preferences,
    stored: Preferences,
    file: Preferences,
    changes: list[PartChange],
) -> tuple[Any, ...]:
    old, now, new = (_keyed(getattr(document, field)) for document in (base, stored, file))
    chosen = []
    # In the file's order, then what only the consumer has.
    for key in [*new, *(key for key in now if key not in new)]:
        part = f"{_NAMES[field]} {key}"
        item = _choose(part, old.get(key), now.get(key), new.get(key), changes)
        if item is not None:
            chosen.append(item)
    return tuple(chosen)


def _choose(part: str, old: Any, now: Any, new: Any, changes: list[PartChange]) -> Any:
    """One part as it is to be; None is absence. Whoever changed it last has it."""
    if now == new:
        return new
    if now != old:
        changes.append(PartChange(part=part, what="kept"))
        return now
    what: What = "added" if now is None else "removed" if new is None else "changed"
    changes.append(PartChange(part=part, what=what))
    return new


def _keyed(items: Iterable[Interest | Window | VendorRule]) -> dict[str, Any]:
    return {_key(item): item for item in items}


def _key(item: Interest | Window | VendorRule) -> str:
    """What makes an item the same one in another document."""
    match item:
        case Interest(id=name):
            return name
        case VendorRule():
            return item.key
        case Window(id=str(name)):
            return name
        case Window():
            days = ",".join(item.days) or "every day"
            return f"{days} {item.from_}-{item.until}"
