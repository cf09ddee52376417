"""``/v1/me/preferences``: everything a consumer declares, as one document, and its past."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.conditions import changed, etag, guard, unchanged
from letterbox.gateways.http.forms import Items, Nothing
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.gateways.http.route import JSON, Route
from letterbox.model.preferences import Preferences
from letterbox.records.changes import Change
from letterbox.records.consumers import Conflict, Forgotten, Refused, Stored


async def get_preferences(call: Call) -> web.Response:
    """The whole document, with its ETag."""
    stored = await declared(call)
    known = unchanged(call, stored.revision)
    return known or answer(stored.preferences, headers={"ETag": etag(stored.revision)})


async def put_preferences(call: Call) -> web.Response:
    """Replace the whole document, guarded by If-Match."""
    if "If-Match" not in call.request.headers:
        raise Problem("precondition-required")
    preferences = await call.form(Preferences)
    stored = await declared(call)
    guard(call, stored.revision)
    with refusals():
        revision = await call.parts.consumers.revise(
            call.owner, preferences, expect=stored.revision, now=call.parts.clock.now()
        )
    return answer(preferences, headers={"ETag": etag(revision)})


async def get_history(call: Call) -> web.Response:
    """The changes that are remembered, newest first."""
    changes = await call.parts.consumers.history(call.owner)
    return answer(Items(items=tuple(changes), after=None))


async def restore(call: Call) -> web.Response:
    """Make the preferences what they were after a change, guarded by If-Match."""
    await call.bare()
    revision = call.revision
    if "If-Match" not in call.request.headers:
        raise Problem("precondition-required")
    stored = await declared(call)
    guard(call, stored.revision)
    with refusals():
        await call.parts.consumers.restore(
            call.owner, revision, expect=stored.revision, now=call.parts.clock.now()
        )
    stored = await declared(call)
    return answer(stored.preferences, headers={"ETag": etag(stored.revision)})


async def declared(call: Call) -> Stored:
    """What the caller has declared."""
    stored = await call.parts.consumers.stored(call.owner)
    if stored is None:
        raise Problem("not-found")
    return stored


@contextmanager
def refusals() -> Iterator[None]:
    """What stands in the way of a change, as problems."""
    try:
        yield
    except Refused as refused:
        raise mistaken(*refused.mistakes) from None
    except Conflict as conflict:
        raise changed(conflict.revision) from None
    except Forgotten as forgotten:
        raise Problem("not-found", f"{forgotten}") from None


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
    Route(
        "GET",
        "/v1/me/preferences/history",
        "consumer",
        get_history,
        "The last 50 changes of what is declared, newest first",
        gives={JSON: Items[Change]},
    ),
    Route(
        "POST",
        "/v1/me/preferences/history/{revision}/restore",
        "consumer",
        restore,
        "Make everything declared what that change had made it; If-Match guards it",
        takes={JSON: Nothing},
        gives={JSON: Preferences},
        fields=("If-Match", "Idempotency-Key"),
        problems=(404, 408, 412, 413, 415, 422, 428),
    ),
)
