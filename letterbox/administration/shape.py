"""Documents written by people, read into their types: every mistake by its place, in plain words.

Decoding alone stops at the first mistake and speaks of the code's types; whoever wrote the file
wants all of them, and what to write instead.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import inspect

from letterbox.wishes import Mistake

Document = TypeVar("Document", bound=msgspec.Struct)

_LONGEST_SHOWN = 60
_MOST_NAMED = 12


class Misshapen(Exception):
    """A document that does not have the shape of its type. ``mistakes`` is never empty."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("; ".join(map(str, mistakes)))
        self.mistakes = mistakes


def read_toml(content: bytes) -> dict[str, Any]:
    """The tables of a TOML document. Raises :class:`Misshapen` naming line and column."""
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _unreadable(f"line {line}", "this is not UTF-8", "text in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        text, _, place = str(error).removesuffix(")").rpartition(" (at ")
        if not text:
            text, place = place, ""
        place = place.replace("end of document", "the end of the file") or "the file"
        raise _unreadable(place, text, "TOML, see https://toml.io") from error
    except RecursionError as error:
        raise _unreadable("the file", "nested too deeply", "a few levels") from error


def _unreadable(path: str, mistake: str, allowed: str) -> Misshapen:
    return Misshapen((Mistake(path=path, mistake=mistake, allowed=allowed),))


def shape(document: Mapping[str, Any], kind: type[Document]) -> Document:
    """A decoded document as its type. Raises :class:`Misshapen` with every mistake in it."""
    try:
        return msgspec.convert(document, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        mistakes = tuple(_struct("", document, kind))
        # What only the whole can tell is wrong has no place within it.
        raise Misshapen(
            mistakes or (Mistake(path="the file", mistake=str(error), allowed=describe(kind)),)
        ) from error


def describe(kind: Any) -> str:
    """What may stand where a value of this type is expected, as people say it."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return " or ".join(describe(part) for part in parts if part is not NoneType)
    if origin is Literal:
        return ", ".join(map(str, parts))
    if origin is tuple:
        return f"a list of: {describe(parts[0])}"
    return _described(inspect.type_info(kind))


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` where something known is like the word, else nothing."""
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


# ---- finding every mistake --------------------------------------------------------------------


def _mistakes(path: str, value: Any, kind: Any) -> Iterator[Mistake]:
    """What is wrong with a value, as deep down as it can be named."""
    if isinstance(value, Mapping) and (struct := _struct_in(kind)):
        yield from _struct(path, value, struct)
        return
    items = _items_of(kind)
    if isinstance(value, list) and items is not None:
        for nth, item in enumerate(value):
            yield from _mistakes(f"{path}[{nth}]", item, items)
        return
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError):
        yield Mistake(path=path, mistake=_shown(value), allowed=describe(kind))


def _struct(path: str, value: Mapping[str, Any], kind: type[msgspec.Struct]) -> Iterator[Mistake]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    sound = True
    for name in (name for name in value if name not in fields):
        sound = False
        known = sorted(fields)
        yield Mistake(
            path=_join(path, str(name)),
            mistake="there is no such field" + nearest(str(name), known),
            allowed=", ".join(known[:_MOST_NAMED])
            + (" and others" if len(known) > _MOST_NAMED else ""),
        )
    for name, field in fields.items():
        place = _join(path, name)
        if name not in value:
            if field.required:
                sound = False
                yield Mistake(path=place, mistake="it is missing", allowed=describe(field.type))
            continue
        for mistake in _mistakes(place, value[name], field.type):
            sound = False
            yield mistake
    if sound:
        try:
            msgspec.convert(value, kind)
        except (msgspec.ValidationError, RecursionError) as error:
            allowed = str(error).partition(" - at ")[0].removeprefix("Expected ")
            yield Mistake(path=path or "the file", mistake=_shown(value), allowed=allowed)


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    if get_origin(kind) in {Union, UnionType}:
        return next(filter(None, map(_struct_in, get_args(kind))), None)
    return None


def _items_of(kind: Any) -> Any:
    """The type of the items where a list is expected."""
    return get_args(kind)[0] if get_origin(kind) is tuple else None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str:
    """What stands there, so that it is found again."""
    match value:
        case bool():
            return f"{str(value).lower()} stands there"
        case Mapping():
            return "a table stands there"
        case list():
            return "a list stands there"
        case str():
            text = repr(value)
        case _:
            text = str(value)
    return (text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…") + " stands there"


# ---- types in plain words ---------------------------------------------------------------------


def _described(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata(extra_json_schema=extra) if extra and "description" in extra:
            return str(extra["description"])
        case inspect.Metadata(type=inner):
            return _described(inner)
        case inspect.EnumType(cls=cls):
            return ", ".join(str(member.value) for member in cls if isinstance(member, Enum))
        case inspect.StructType(fields=fields):
            return "a table of " + ", ".join(field.encode_name for field in fields[:_MOST_NAMED])
        case inspect.IntType() | inspect.FloatType():
            return _number(kind)
        case inspect.StrType(min_length=least, max_length=most):
            limits = (f"at least {least}" if least else "", f"at most {most}" if most else "")
            bounds = " and ".join(filter(None, limits))
            return f"text of {bounds} characters" if bounds else "text"
        case _:
            return _PLAIN.get(type(kind), "something else")


def _number(kind: inspect.IntType | inspect.FloatType) -> str:
    words = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
    least, above, most = kind.ge, kind.gt, kind.le
    if least is not None and most is not None:
        return f"{words} from {least:,} to {most:,}"
    if least is not None:
        return f"{words} of at least {least:,}"
    return f"{words} above {above:,}" if above is not None else words


_PLAIN: dict[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.DateType: "a day such as 2026-12-24",
    inspect.DateTimeType: "an instant such as 2026-12-24T12:00:00Z",
    inspect.DecimalType: 'an amount such as "150.00"',
    inspect.BytesType: "base64",
}
