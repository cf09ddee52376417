"""What a route is."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from aiohttp import web

from letterbox.gateways.http.call import IDENTIFIER, Call
from letterbox.model.vendor import Scope

JSON = "application/json"
PAGED = ("after", "limit")

Who = Literal["vendor", "consumer", "anyone", "operator"]

#: Where it is written down that a call with an Idempotency-Key was made: by the gateway with its
#: answer, by the intake with the message, or by the gateway without an answer that is a secret.
Once = Literal["answer", "message", "secret"]


class Route(NamedTuple):
    """One call. ``takes`` and ``gives`` are types by media type; None is bytes or text.

    ``query`` and ``fields`` name what is read of the query and the header, ``problems`` those
    beside the ever possible. A vendor's key needs the ``scope``; ``after`` has the form ``cursor``.
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
    scope: Scope | None = None
    once: Once = "answer"
    cursor: str = IDENTIFIER.pattern
