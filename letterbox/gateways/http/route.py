"""What a route is."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from aiohttp import web

from letterbox.gateways.http.call import Call

JSON = "application/json"
PAGED = ("after", "limit")

Who = Literal["vendor", "consumer", "anyone", "operator"]


class Route(NamedTuple):
    """One call. ``takes`` and ``gives`` are types by media type; None is bytes or text.

    ``query`` and ``fields`` name what is read of the query and the header, ``problems`` those
    beside the ever possible.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    who: Who
    run: Callable[[Call], Awaitable[web.StreamResponse]]
    summary: str
    gives: Mapping[str, Any]
    takes: Mapping[str, Any] = MappingProxyType({})
    query: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    problems: tuple[int, ...] = ()
    status: int = 200
