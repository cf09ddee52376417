"""``/openapi.json``: the table of routes as OpenAPI 3.1, with the types they take and give."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from letterbox.gateways.http.batch import NDJSON
from letterbox.gateways.http.call import IDEMPOTENCY_KEY, MOST_ITEMS, MOST_NUMBER
from letterbox.gateways.http.examples import EXAMPLES
from letterbox.gateways.http.forms import Answer, HeldWord, Nothing
from letterbox.gateways.http.keys import NewKey, Rotation
from letterbox.gateways.http.problems import KINDS, ProblemDocument
from letterbox.gateways.http.route import JSON, Route
from letterbox.gateways.http.webhooks import WebhookRotation

_IN_PATH = re.compile(r"\{(\w+)\}")
_SCHEMA = "#/components/schemas/{name}"

#: Bodies that may say nothing, and so may be left out.
_MAY_BE_BARE = frozenset({Nothing, HeldWord, NewKey, Rotation, WebhookRotation})
#: Whatever the call, these may happen.
_ALWAYS = (400, 500, 503)

_TEXT: dict[str, Any] = {"type": "string"}
_QUERY: dict[str, tuple[dict[str, Any], str]] = {
    "to": (
        {"type": "array", "items": _TEXT, "maxItems": 100},
        "A recipient of a message/rfc822 body; repeated for each",
    ),
    "after": (_TEXT, "The after of an answer before"),
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": MOST_NUMBER, "default": 100},
        f"How many items; more than {MOST_ITEMS:,} counts as {MOST_ITEMS:,}",
    ),
    "wait": (
        {"type": "integer", "minimum": 0, "maximum": MOST_NUMBER, "default": 0},
        "Seconds to wait for the first item; more than 60 counts as 60",
    ),
    "ip": (_TEXT, "The address a message/rfc822 body would be sent from over SMTP"),
    "mail_from": (_TEXT, "Its return path"),
    "verdict": (
        {"type": "string", "enum": ["deliver", "hold", "refuse", "defer"]},
        "Only decisions of this verdict",
    ),
    "language": (
        {"type": "string", "enum": ["en", "nl"]},
        "The language of sentences; the consumer's, unless told",
    ),
    "lang": (_TEXT, "The language of the page, en or nl; else that of Accept-Language"),
    "tells": (
        {"type": "string", "enum": ["nothing", "class", "reason", "remedy"]},
        "How much is told; as much as was told, unless named",
    ),
    "people": (
        {"type": "integer", "enum": [0, 1], "default": 0},
        "1: those who write as persons, too",
    ),
    "original": (
        {"type": "integer", "enum": [0, 1], "default": 0},
        "1: as received, with nothing added or taken out",
    ),
}
#: Where "from" and "to" are days.
_DAYS: dict[str, tuple[dict[str, Any], str]] = {
    "from": (
        {"type": "string", "format": "date"},
        "The first day (UTC); 29 days before the last, unless told",
    ),
    "to": ({"type": "string", "format": "date"}, "The last day (UTC); today, unless told"),
}
_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "If-Match": (_TEXT, "The ETag of the document the change was made in"),
    "If-None-Match": (_TEXT, "An ETag: 304 where it is that still; in a PUT *: only if not there"),
    "Last-Event-ID": (
        {"type": "string", "pattern": "^([0-9]{1,18})?$"},
        "The id of the last event of a stream, to resume it; counts before after",
    ),
    "Accept-Language": (_TEXT, "The languages of who reads, the dearest first or by weight"),
    "Idempotency-Key": (
        {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY.pattern}$"},
        "The same key and request: the same answer, one effect",
    ),
}


def describe(routes: Sequence[Route], version: str) -> bytes:
    """The whole document. Its paths are relative to where it was got from."""
    bodies = [kind for route in routes for kind in (*route.takes.values(), *route.gives.values())]
    unique = list(dict.fromkeys([*filter(None, bodies), ProblemDocument]))
    schemas, components = msgspec.json.schema_components(unique, ref_template=_SCHEMA)
    references = dict(zip(unique, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, references)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "letterbox",
            "version": version,
            "summary": "A broker between vendors and consumers",
            "description": "Vendors send and read their feed; consumers say what they want.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "vendor": _bearer("A vendor's API key: lbk_…"),
                "consumer": _bearer("A consumer's token: lbt_…"),
            },
        },
    }
    return msgspec.json.encode(document)


def _bearer(description: str) -> dict[str, str]:
    return {"type": "http", "scheme": "bearer", "description": description}


def _operation(route: Route, references: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.run.__name__,
        "parameters": _parameters(route),
        "responses": _responses(route, references),
    }
    if route.takes:
        operation["requestBody"] = {
            # What may say nothing may come without a body.
            "required": route.takes.get(JSON) not in _MAY_BE_BARE,
            "content": _content(route.takes, references),
        }
    if route.who in {"vendor", "consumer"}:
        operation["security"] = [{route.who: []}]
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT}
        for name in _IN_PATH.findall(route.path)
    ]
    forms = _QUERY | _DAYS if "from" in route.query else _QUERY
    named = [("query", name, *forms[name]) for name in route.query]
    named += [("header", name, *_FIELDS[name]) for name in route.fields]
    for where, name, form, description in named:
        schema = form | {"pattern": f"^({route.cursor})?$"} if name == "after" else form
        parameters.append(
            {
                "name": name,
                "in": where,
                "required": name == "If-Match",
                "schema": schema,
                "description": description,
            }
        )
    return parameters


def _content(types: Mapping[str, Any], references: dict[Any, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for media_type, kind in types.items():
        schema: dict[str, Any]
        if kind is None:
            schema = {} if media_type == "application/json" else {"type": "string"}
            content[media_type] = {"schema": schema}
        else:
            schema = references[kind]
            if media_type == NDJSON and kind is Answer:
                # Of one line: each may have failed by itself.
                schema = {"anyOf": [schema, references[ProblemDocument]]}
            content[media_type] = {"schema": schema, "example": EXAMPLES[kind]}
    return content


def _responses(route: Route, references: dict[Any, Any]) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "Done"}
    if route.gives:
        done["content"] = _content(route.gives, references)
    if "application/json" in route.gives and "/preferences" in route.path:
        done["headers"] = {"ETag": {"schema": _TEXT}}
    responses = {str(route.status): done}
    if "If-None-Match" in route.fields:
        responses["304"] = {"description": "It has not changed"}
    credentials = (401,) if route.who in {"vendor", "consumer"} else ()
    problem = {"application/problem+json": {"schema": references[ProblemDocument]}}
    invalid = (422,) if "Idempotency-Key" in route.fields else ()
    counted = () if route.who == "operator" else (429,)
    for status in sorted({*_ALWAYS, *counted, *credentials, *route.problems, *invalid}):
        # People who come to a page find a page that says so.
        page = status in route.problems and "text/html" in route.gives
        content = {"text/html": {"schema": _TEXT}} if page else problem
        responses[str(status)] = {"description": _titles(status), "content": content}
    return responses


def _titles(status: int) -> str:
    titles = [kind.title for kind in KINDS.values() if kind.status == status]
    return "; ".join(titles)
