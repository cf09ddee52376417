"""What schemathesis has to know of this API that no description says; it loads this by itself."""

import itertools
import json
from typing import Any

import schemathesis

_calls = itertools.count()


@schemathesis.hook
def map_headers(_context: Any, headers: dict[str, Any] | None) -> dict[str, Any] | None:
    """An Idempotency-Key is new for each new request; what is badly formed stays so."""
    key = (headers or {}).get("Idempotency-Key")
    if headers is None or not isinstance(key, str) or not key.isalnum() or not key.isascii():
        return headers
    return headers | {"Idempotency-Key": f"{key[:200]}-{next(_calls)}"}


@schemathesis.hook
def map_query(_context: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """Nobody waits a minute for an event here."""
    if query and isinstance(query.get("wait"), int):
        return query | {"wait": min(query["wait"], 0)}
    return query


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context: Any, value: Any) -> bytes:
    """One message, as one line."""
    return json.dumps(value).encode() if not isinstance(value, bytes) else value


@schemathesis.deserializer("application/x-ndjson")
def lines(_context: Any, response: Any) -> Any:
    """The one answer to it."""
    return json.loads(response.content) if response.content else {}
