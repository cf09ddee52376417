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
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Nobody waits a minute for an event here; what is badly formed stays so."""
    wait = (case.query or {}).get("wait")
    if str(wait).isdecimal():
        case.query["wait"] = 0


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context: Any, value: Any) -> bytes:
    """One message, as one line."""
    return json.dumps(value).encode() if not isinstance(value, bytes) else value


@schemathesis.deserializer("application/x-ndjson")
def lines(_context: Any, response: Any) -> Any:
    """The one answer to it."""
    return json.loads(response.content) if response.content else {}


@schemathesis.serializer("application/mbox")
def mbox(_context: Any, value: Any) -> bytes:
    """A file, as it is."""
    return value if isinstance(value, bytes) else str(value).encode()
