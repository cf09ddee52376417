"""What a command is: arguments that are read first, plain data in, plain data out."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from letterbox.administration.failed import Failed

Answer = dict[str, Any]
Command = Callable[[Mapping[str, Any]], Awaitable[Answer]]
Kind = TypeVar("Kind", bound=msgspec.Struct)


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a command takes."""


class Nothing(Arguments, frozen=True):
    """No arguments."""


def plain(rows: object) -> Any:
    """As the socket carries it, so that a command gives the same with and without a server."""
    return msgspec.json.decode(msgspec.json.encode(rows))


def taking(kind: type[Kind], command: Callable[[Kind], Awaitable[Answer]]) -> Command:
    """A command that reads its arguments first."""

    async def perform(arguments: Mapping[str, Any]) -> Answer:
        try:
            read = msgspec.convert(arguments, kind)
        except msgspec.ValidationError as error:
            raise Failed(f"wrong arguments: {error}") from error
        return await command(read)

    return perform
