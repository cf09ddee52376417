"""``GET /v1/feedback``: what a vendor was told, in order, by cursor."""

import asyncio
import re

from aiohttp import web

from letterbox.feedback.events import feed_item
from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import LOOK, Call
from letterbox.gateways.http.forms import Items
from letterbox.records.feed import FeedPage

_LONGEST_WAIT = 60
#: The ``after`` of the feed.
CURSOR = re.compile(r"[0-9]{1,18}")


async def list_feedback(call: Call) -> web.Response:
    """Events after a cursor, oldest first; with ``wait``, as soon as there is one.

    ``after`` is there as long as there are items, so that the feed can be followed from its
    end; it is null where nothing came after the cursor that was asked with.
    """
    after = int(call.after(CURSOR) or "0")
    page = await _page(call, after, call.limit, call.number("wait", _LONGEST_WAIT))
    items = tuple(map(feed_item, page.items))
    return answer(Items(items=items, after=str(page.after) if items else None))


async def _page(call: Call, after: int, limit: int, wait: int) -> FeedPage:
    feed = call.parts.feed
    page = await feed.page(call.owner, after=after, limit=limit)
    if page.items or not wait:
        return page
    there = asyncio.ensure_future(feed.page(call.owner, after=after, limit=limit, wait=wait))
    closing = asyncio.ensure_future(call.draining.wait())
    try:
        while not (there.done() or closing.done() or call.has_left):
            await asyncio.wait({there, closing}, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
        return there.result() if there.done() else page
    finally:
        closing.cancel()
        there.cancel()
