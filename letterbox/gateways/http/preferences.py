"""``/v1/me/preferences``: everything a consumer declares, as one document."""

from aiohttp import web

from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.gateways.http.route import JSON, Route
from letterbox.model.preferences import Preferences
from letterbox.records.consumers import Conflict, Refused, Stored

_NOT_MODIFIED = 304


async def get_preferences(call: Call) -> web.Response:
    """The whole document, with its ETag."""
    stored = await _stored(call)
    etag = _etag(stored.revision)
    if etag in _tags(call.request.headers.get("If-None-Match", "")):
        return web.Response(status=_NOT_MODIFIED, headers={"ETag": etag})
    return answer(stored.preferences, headers={"ETag": etag})


async def put_preferences(call: Call) -> web.Response:
    """Replace the whole document, guarded by If-Match (RFC 9110, section 13.1.1)."""
    expected = call.request.headers.get("If-Match")
    if expected is None:
        raise Problem("precondition-required")
    preferences = await call.form(Preferences)
    stored = await _stored(call)
    if expected.strip() != "*" and _etag(stored.revision) not in _tags(expected):
        raise _changed(stored.revision)
    try:
        revision = await call.parts.consumers.revise(
            call.owner, preferences, expect=stored.revision, now=call.parts.clock.now()
        )
    except Refused as refused:
        raise mistaken(*refused.mistakes) from None
    except Conflict as conflict:
        raise _changed(conflict.revision) from None
    return answer(preferences, headers={"ETag": _etag(revision)})


async def _stored(call: Call) -> Stored:
    stored = await call.parts.consumers.stored(call.owner)
    if stored is None:
        raise Problem("not-found")
    return stored


def _etag(revision: int) -> str:
    return f'"{revision}"'


def _tags(field: str) -> set[str]:
    """The strong tags of a list; ours hold no comma."""
    return {tag.strip() for tag in field.split(",")}


def _changed(revision: int) -> Problem:
    tag = _etag(revision)
    return Problem("changed", f"its ETag is {tag} now", headers={"ETag": tag})


ROUTES = (
    Route(
        "GET",
        "/v1/me/preferences",
        "consumer",
        get_preferences,
        "Everything declared, as one document with its ETag",
        gives={JSON: Preferences},
        fields=("If-None-Match",),
        problems=(404,),
    ),
    Route(
        "PUT",
        "/v1/me/preferences",
        "consumer",
        put_preferences,
        "Replace everything declared; If-Match guards it",
        takes={JSON: Preferences},
        gives={JSON: Preferences},
        fields=("If-Match", "Idempotency-Key"),
        problems=(404, 408, 412, 413, 415, 422, 428),
    ),
)
