"""``/v1/me/times``: windows, pauses and days apart as an iCalendar file."""

import asyncio
from collections import Counter
from typing import TypeVar

import msgspec
from aiohttp import web

from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.conditions import etag, guard, unchanged
from letterbox.gateways.http.preferences import declared, refusals
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.gateways.http.route import JSON, Route
from letterbox.model.preferences import DayException, Pause, Preferences, Window
from letterbox.wishes import Unsupported

_CALENDAR = "text/calendar"
_Rule = TypeVar("_Rule", Window, Pause, DayException)


async def get_times(call: Call) -> web.Response:
    """The times declared, for a calendar program; the ETag is that of the whole document."""
    stored = await declared(call)
    if known := unchanged(call, stored.revision):
        return known
    content = await asyncio.to_thread(call.parts.consumers.write_times, stored.preferences)
    return web.Response(
        body=content,
        content_type=_CALENDAR,
        charset="utf-8",
        headers={
            "ETag": etag(stored.revision),
            "Content-Disposition": 'attachment; filename="letterbox.ics"',
        },
    )


async def put_times(call: Call) -> web.Response:
    """Replace windows, pauses and days apart by those of a file; the zone, if it names one."""
    if "If-Match" not in call.request.headers:
        raise Problem("precondition-required")
    content = await call.body(_CALENDAR)
    stored = await declared(call)
    guard(call, stored.revision)
    now = call.parts.clock.now()
    try:
        # Reading one takes a moment, in which the others are served.
        times = await asyncio.to_thread(call.parts.consumers.read_times, content, now)
    except Unsupported as unsupported:
        raise mistaken(*unsupported.mistakes) from None
    preferences = msgspec.structs.replace(
        stored.preferences,
        timezone=times.timezone or stored.preferences.timezone,
        # A calendar has an order of its own, which says nothing.
        window=_same_or(times.windows, stored.preferences.window),
        pauses=_same_or(times.pauses, stored.preferences.pauses),
        exceptions=_same_or(times.exceptions, stored.preferences.exceptions),
    )
    with refusals():
        revision = await call.parts.consumers.revise(
            call.owner, preferences, expect=stored.revision, now=now
        )
    return answer(preferences, headers={"ETag": etag(revision)})


def _same_or(read: tuple[_Rule, ...], before: tuple[_Rule, ...]) -> tuple[_Rule, ...]:
    """What was declared before, where a file says the same in another order."""
    return before if Counter(read) == Counter(before) else read


ROUTES = (
    Route(
        "GET",
        "/v1/me/times",
        "consumer",
        get_times,
        "Windows, pauses and days apart as iCalendar",
        gives={_CALENDAR: None},
        fields=("If-None-Match",),
        problems=(404,),
    ),
    Route(
        "PUT",
        "/v1/me/times",
        "consumer",
        put_times,
        "Replace windows, pauses and days apart by those of an iCalendar file",
        takes={_CALENDAR: None},
        gives={JSON: Preferences},
        fields=("If-Match", "Idempotency-Key"),
        problems=(404, 408, 412, 413, 415, 422, 428),
    ),
)
