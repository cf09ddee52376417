"""``GET /v1/feedback``: what a vendor was told, in order, by cursor: pages, or a stream."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web

from letterbox.feedback.events import feed_item
from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call, bad
from letterbox.gateways.http.forms import Items
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.gateways.http.stream import Stream, follow, is_asked_for
from letterbox.wishes import Mistake

_LONGEST_WAIT: Final = 60
#: The ``after`` of the feed.
CURSOR: Final = re.compile(r"[0-9]{1,18}")
_AGAIN: Final = "10"  # seconds

#: How many of each vendor's calls wait for events, or stream them.
READERS: web.AppKey[Counter[str]] = web.AppKey("readers", Counter)


async def list_feedback(call: Call) -> web.StreamResponse:
    """Events after a cursor, oldest first; with ``wait``, as soon as there is one.

    ``after`` is there as long as there are items, so that the feed can be followed from its
    end; it is null where nothing came after the cursor that was asked with.
    """
    after, wait = _cursor(call), call.number("wait", _LONGEST_WAIT)
    if is_asked_for(call.request.headers.get("Accept", "")):
        with _reading(call):
            await _known(call, after)
            return await Stream(call).run(after)
    page = await call.parts.feed.page(call.owner, after=after, limit=call.limit)
    if not page.items:
        await _known(call, after)
    if wait and not page.items:
        with _reading(call):
            page = await follow(call, after, call.limit, wait)
        await call.again()  # a key may be revoked while it waits
    items = tuple(map(feed_item, page.items))
    return answer(Items(items=items, after=str(page.after) if items else None))


def _cursor(call: Call) -> int:
    """Where to go on. A stream that is resumed names its last event, beside the old address."""
    after = call.after(CURSOR) or "0"
    last = call.request.headers.get("Last-Event-ID")
    if last and not CURSOR.fullmatch(last):
        raise mistaken(bad("Last-Event-ID", last, "the id of an event of the stream"))
    return int(last or after)


async def _known(call: Call, after: int) -> None:
    """See that a cursor is of this feed: one beyond its end would pass over what is to come."""
    if await call.parts.feed.is_ahead(call.owner, after):
        resumed = bool(call.request.headers.get("Last-Event-ID"))
        mistake = f"{after} is beyond the newest event: this feed has never given that cursor"
        allowed = "a cursor of this feed; begin with after=0, or without, and skip ids you have"
        raise mistaken(Mistake("Last-Event-ID" if resumed else "after", mistake, allowed))


@contextmanager
def _reading(call: Call) -> Iterator[None]:
    """Count one who stays. Raises a Problem where that would be one too many."""
    section, readers = call.parts.configuration.http, call.request.app[READERS]
    if readers[call.owner] >= section.feed_readers_per_vendor:
        detail = (
            f"{section.feed_readers_per_vendor} calls of this vendor wait for events already; "
            "one that waits tells all there is"
        )
        raise Problem("too-many", detail, headers={"Retry-After": _AGAIN})
    # Those who stay must leave connections to those who come and go.
    if 2 * readers.total() >= section.max_connections:
        detail = "too many wait for events at once; ask without wait"
        raise Problem("too-many", detail, headers={"Retry-After": _AGAIN})
    readers[call.owner] += 1
    try:
        yield
    finally:
        readers[call.owner] -= 1
        if not readers[call.owner]:
            del readers[call.owner]
