"""The feed as a stream of server-sent events (HTML Living Standard, section 9.2).

One event of the feed is one event of the stream: its ``id`` is the cursor, from which the stream
is resumed by ``Last-Event-ID``; its ``data`` what the page of the feed would hold.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
from aiohttp import web

from letterbox.feedback.events import feed_item
from letterbox.gateways.http.call import LOOK, Call
from letterbox.gateways.http.problems import Problem
from letterbox.ports.store import StoreUnavailable
from letterbox.records.feed import FeedPage

EVENT_STREAM: Final = "text/event-stream"
#: Seconds between comments, where there is nothing to tell: half of what proxies wait at least.
_HEARTBEAT: Final = 15.0
#: After so many seconds a stream ends, whatever it does, and the client resumes it: so that load
#: spreads anew over processes.
_LONGEST: Final = 3600.0
#: Events that are written at once: what a reader that is slow keeps in memory.
_BATCH: Final = 200
#: Milliseconds until a client comes back.
_RETRY: Final = b"retry: 2000\n\n"
_COMMENT: Final = b":\n\n"
_encoder: Final = msgspec.json.Encoder()

log = structlog.get_logger("letterbox.http")


def is_asked_for(accept: str) -> bool:
    """Whether an Accept field (RFC 9110, section 12.5.1) names the stream, and not JSON before."""
    wishes: dict[str, float] = {}
    for part in accept.lower().split(","):
        name, *parameters = (each.strip() for each in part.split(";"))
        wishes[name] = next((_quality(each[2:]) for each in parameters if each[:2] == "q="), 1.0)
    stream = wishes.get(EVENT_STREAM, 0.0)
    return stream > 0.0 and stream >= wishes.get("application/json", 0.0)


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


async def follow(
    call: Call, after: int, limit: int, seconds: float, until: Callable[[], bool] = lambda: False
) -> FeedPage:
    """The page after a cursor as soon as it is there.

    Empty after ``seconds``, where the house closes, where the caller has left, or where ``until``
    says so; all of that is looked at every second. Raises StoreUnavailable.
    """
    feed, loop = call.parts.feed, asyncio.get_running_loop()
    ends = loop.time() + seconds
    with feed.coming(call.owner, after) as coming:
        while not (coming.done() or call.draining.is_set() or call.has_left or until()):
            left = ends - loop.time()
            if left <= 0:
                break
            await asyncio.wait({coming}, timeout=min(left, LOOK))
        if coming.done():
            return feed.came(coming, after, limit)
    return FeedPage(items=(), after=after, more=False)


class Stream:
    """One stream, until the house closes, the key serves no more, or an hour is over."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._clock = call.parts.clock
        self._patience = call.parts.configuration.http.body_timeout
        self._response = web.StreamResponse(
            headers={"Content-Type": EVENT_STREAM, "X-Accel-Buffering": "no"}
        )
        self._ends = self._clock.monotonic() + _LONGEST
        self._beat = self._clock.monotonic() + _HEARTBEAT

    async def run(self, after: int) -> web.StreamResponse:
        """Stream what comes after a cursor."""
        request, response = self._call.request, self._response
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        try:
            await self._write(_RETRY)
            await self._follow(after)
        except Problem:
            pass  # the key serves no more; the answer has begun, and can only end
        except StoreUnavailable as trouble:
            log.warning("stream-ended", session=self._call.session, error=str(trouble))
        except ConnectionError:
            raise  # nobody is there to be told
        except TimeoutError:
            raise self._broken("nobody reads the stream") from None
        except Exception:
            log.exception("stream-failed", session=self._call.session)
            raise self._broken("the stream has failed") from None
        await response.write_eof()
        return response

    def _broken(self, why: str) -> ConnectionResetError:
        """Break off what has begun: there can be no other answer."""
        if self._call.request.transport is not None:
            self._call.request.transport.abort()  # to close it would wait for whoever reads nothing
        return ConnectionResetError(why)

    async def _follow(self, after: int) -> None:
        call = self._call
        page = await call.parts.feed.page(call.owner, after=after, limit=_BATCH)
        while not (call.draining.is_set() or call.has_left or self._is_over):
            if page.items or self._is_quiet:
                # Whoever may not read any more reads no more.
                await call.again()
                await self._write(_events(page) or _COMMENT)
            if page.more:
                page = await call.parts.feed.page(call.owner, after=page.after, limit=_BATCH)
            else:
                page = await self._next(page.after)

    async def _next(self, after: int) -> FeedPage:
        """What comes, or an empty page when it is time to look at all else."""
        return await follow(
            self._call, after, _BATCH, _HEARTBEAT, lambda: self._is_quiet or self._is_over
        )

    @property
    def _is_over(self) -> bool:
        return self._clock.monotonic() >= self._ends

    @property
    def _is_quiet(self) -> bool:
        """Whether nothing was written for so long that it must be seen who is still there."""
        return self._clock.monotonic() >= self._beat

    async def _write(self, chunk: bytes) -> None:
        """Write, and wait until it is read: one batch stays in memory. Raises TimeoutError."""
        async with asyncio.timeout(self._patience):
            await self._response.write(chunk)
        self._beat = self._clock.monotonic() + _HEARTBEAT


def _events(page: FeedPage) -> bytes:
    """A page in the form of the stream. JSON has no line ends of its own."""
    return b"".join(
        b"id: %d\nevent: %s\ndata: %s\n\n"
        % (cursor, event.type.encode(), _encoder.encode(feed_item(event)))
        for cursor, event in zip(page.cursors, page.items, strict=True)
    )
