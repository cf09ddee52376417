"""Telling an open page that there is something new (server-sent events).

An event only says that something has come; the page fetches its rows itself, as it would
without a script. What is shown is looked at every second, in one read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from aiohttp import web

from letterbox.ports.store import StoreUnavailable
from letterbox.web.failures import Failure
from letterbox.web.visit import Visit

_LOOK: Final = 1.0
#: Seconds between comments, where there is nothing to tell: half of what proxies wait at least.
_HEARTBEAT: Final = 15.0
#: After so many seconds a stream ends, and the page comes back: who may see it is asked anew.
_LONGEST: Final = 900.0
_RETRY: Final = b"retry: 2000\n\n"
#: All streams take so small a part of the connections at most.
_PART: Final = 4
_AGAIN: Final = 60  # seconds


async def stream(visit: Visit, newest: Callable[[], Awaitable[str]]) -> web.StreamResponse:
    """Send an event whenever ``newest`` names another than ``?after=``, or than before.

    Raises :class:`Failure` where as many are open as may be.
    """
    with _counted(visit):
        return await _sent(visit, newest)


@contextmanager
def _counted(visit: Visit) -> Iterator[None]:
    streams, configuration = visit.inside.streams, visit.parts.configuration
    mine = streams[visit.owner] >= configuration.web.streams_per_owner
    if mine or _PART * streams.total() >= configuration.http.max_connections:
        raise Failure(HTTPStatus.TOO_MANY_REQUESTS, retry_after=_AGAIN)
    streams[visit.owner] += 1
    try:
        yield
    finally:
        streams[visit.owner] -= 1
        if not streams[visit.owner]:
            del streams[visit.owner]


async def _sent(visit: Visit, newest: Callable[[], Awaitable[str]]) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    await response.prepare(visit.request)
    if visit.request.method == "HEAD":
        return response
    try:
        await response.write(_RETRY)
        await _tell(visit, response, newest)
    except StoreUnavailable:
        pass  # the answer has begun, and can only end; the page comes back
    await response.write_eof()
    return response


async def _tell(
    visit: Visit, response: web.StreamResponse, newest: Callable[[], Awaitable[str]]
) -> None:
    loop = asyncio.get_running_loop()
    ends = loop.time() + _LONGEST
    beat = loop.time() + _HEARTBEAT
    known = visit.asked("after")
    while not (visit.draining.is_set() or visit.has_left or loop.time() > ends):
        name = await newest()
        chunk = b""
        if name != known:
            known = name
            chunk = b"event: changed\ndata: %s\n\n" % name.encode()
        elif loop.time() > beat:
            chunk = b":\n\n"
        if chunk:
            if not await _is_still_there(visit):
                return
            beat = loop.time() + _HEARTBEAT
            await response.write(chunk)
        try:
            await asyncio.wait_for(visit.draining.wait(), _LOOK)
        except TimeoutError:
            continue


async def _is_still_there(visit: Visit) -> bool:
    """Whether the one who opened the page is signed in yet."""
    cookie = visit.who.cookie if visit.who else ""
    return await visit.parts.sessions.shown(cookie) is not None
