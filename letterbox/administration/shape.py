"""Documents written by people, read into their types: every mistake by its place, in plain words.

Decoding alone stops at the first mistake and speaks of the code's types; whoever wrote the file
wants all of them, and what to write instead.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import inspect

from letterbox.wishes import Mistake

Document = TypeVar("Document", bound=msgspec.Struct)

_LONGEST_SHOWN = 60
_MOST_NAMED = 12


class Words(NamedTuple):
    """What a format calls its things: the document as a whole, and what has fields."""

    whole: str
    table: str


TOML = Words(whole="the file", table="a table")
JSON = Words(whole="the body", table="an object")


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


def shape(document: Any, kind: type[Document], words: Words = TOML) -> Document:
    """A decoded document as its type. Raises :class:`Misshapen` with every mistake in it."""
    try:
        return msgspec.convert(document, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        reading = _Reading(words)
        if not isinstance(document, Mapping):
            whole = reading.invalid(words.whole, document, reading.described(kind))
            raise Misshapen((whole,)) from error
        mistakes = tuple(reading.struct("", document, kind))
        # What only the whole can tell is wrong has no place within it.
        unplaced = Mistake(path=words.whole, mistake=str(error), allowed=words.table)
        raise Misshapen(mistakes or (unplaced,)) from error


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` where something known is like the word, else nothing."""
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


# ---- finding every mistake --------------------------------------------------------------------


class _Reading(NamedTuple):
    """How a document is gone through."""

    words: Words

    def mistakes(self, path: str, value: Any, kind: Any) -> Iterator[Mistake]:
        """What is wrong with a value, as deep down as it can be named."""
        if isinstance(value, Mapping) and (struct := _struct_in(kind)):
            yield from self.struct(path, value, struct)
            return
        items = _items_of(kind)
        if isinstance(value, list) and items is not None:
            sound = True
            for nth, item in enumerate(value):
                for mistake in self.mistakes(f"{path}[{nth}]", item, items):
                    sound = False
                    yield mistake
            if not sound:
                return
        try:
            msgspec.convert(value, kind)
        except (msgspec.ValidationError, RecursionError):
            yield self.invalid(path, value, self.described(kind))

    def struct(
        self, path: str, value: Mapping[str, Any], kind: type[msgspec.Struct]
    ) -> Iterator[Mistake]:
        """What is wrong with something that has fields."""
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        sound = True
        for name in (name for name in value if name not in fields):
            sound = False
            yield _no_field(_join(path, str(name)), str(name), sorted(fields))
        for name, field in fields.items():
            place = _join(path, name)
            if name not in value:
                if field.required:
                    sound = False
                    allowed = self.described(field.type)
                    yield Mistake(path=place, mistake="it is missing", allowed=allowed)
                continue
            for mistake in self.mistakes(place, value[name], field.type):
                sound = False
                yield mistake
        if sound:
            yield from self._together(path, value, kind)

    def _together(
        self, path: str, value: Mapping[str, Any], kind: type[msgspec.Struct]
    ) -> Iterator[Mistake]:
        """What a type found wrong itself, in fields that are each well formed.

        Where its error is of the form ``field: what is allowed``, that field is to blame.
        """
        try:
            msgspec.convert(value, kind)
        except (msgspec.ValidationError, RecursionError) as error:
            said = str(error).partition(" - at ")[0]
            name, colon, allowed = said.partition(": ")
            if colon and name in value:
                yield self.invalid(_join(path, name), value[name], allowed)
            else:
                yield self.invalid(path or self.words.whole, value, said)

    def invalid(self, path: str, value: Any, allowed: str) -> Mistake:
        """A value that cannot stand where it does."""
        match value:
            case None:
                shown = "null"
            case bool():
                shown = str(value).lower()
            case Mapping():
                shown = self.words.table
            case list():
                shown = f"a list of {len(value)}"
            case str():
                shown = _short(repr(value))
            case _:
                shown = _short(str(value))
        return Mistake(path=path, mistake=f"{shown} is not valid here", allowed=allowed)

    def described(self, kind: Any) -> str:
        """What may stand where a value of this type is expected, as people say it."""
        origin, parts = get_origin(kind), get_args(kind)
        if origin in {Union, UnionType}:
            return " or ".join(self.described(part) for part in parts if part is not NoneType)
        if origin is Literal:
            return ", ".join(map(str, parts))
        if origin is tuple:
            return f"a list of: {self.described(parts[0])}"
        return _described(inspect.type_info(kind), self.words)


def _no_field(path: str, name: str, known: list[str]) -> Mistake:
    others = " and others" if len(known) > _MOST_NAMED else ""
    return Mistake(
        path=path,
        mistake="there is no such field" + nearest(name, known),
        allowed=", ".join(known[:_MOST_NAMED]) + others,
    )


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    if get_origin(kind) in {Union, UnionType}:
        return next(filter(None, map(_struct_in, get_args(kind))), None)
    return None


def _items_of(kind: Any) -> Any:
    """The type of the items where a list is expected."""
    if get_origin(kind) in {Union, UnionType}:
        return next(filter(None, map(_items_of, get_args(kind))), None)
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return get_args(kind)[0] if get_origin(kind) is tuple else None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


# ---- types in plain words ---------------------------------------------------------------------


def _described(kind: inspect.Type, words: Words) -> str:
    match kind:
        case inspect.Metadata(extra_json_schema=extra) if extra and "description" in extra:
            return str(extra["description"])
        case inspect.Metadata(type=inner):
            return _described(inner, words)
        case inspect.EnumType(cls=cls):
            return ", ".join(str(member.value) for member in cls if isinstance(member, Enum))
        case inspect.StructType(fields=fields):
            names = ", ".join(field.encode_name for field in fields[:_MOST_NAMED])
            return f"{words.table} of {names}"
        case inspect.VarTupleType(item_type=item, max_length=most):
            size = f" of at most {most:,}" if most is not None else " of"
            return f"a list{size}: {_described(item, words)}"
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
