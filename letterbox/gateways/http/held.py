"""``/v1/me/held``: what waits in a consumer's custody."""

from aiohttp import web

from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.forms import HeldAnswer, HeldItem, Items, Nothing, held_item
from letterbox.gateways.http.problems import Problem
from letterbox.gateways.http.route import JSON, PAGED, Route


async def list_held(call: Call) -> web.Response:
    """What waits, newest first."""
    page = await call.parts.mailboxes.held(call.owner, after=call.after(), limit=call.limit)
    return answer(Items(items=tuple(map(held_item, page.items)), after=page.after))


async def release(call: Call) -> web.Response:
    """Let a held message through."""
    await _say(call, yes=True)
    return answer(HeldAnswer(id=call.item, answer="release"))


async def refuse(call: Call) -> web.Response:
    """Refuse a held message."""
    await _say(call, yes=False)
    return answer(HeldAnswer(id=call.item, answer="refuse"))


async def _say(call: Call, *, yes: bool) -> None:
    await call.bare()
    if not await call.parts.holds.answer(call.owner, call.item, yes=yes):
        raise Problem("not-found")


ROUTES = (
    Route(
        "GET",
        "/v1/me/held",
        "consumer",
        list_held,
        "What waits for its time or for a yes, newest first",
        gives={JSON: Items[HeldItem]},
        query=PAGED,
        problems=(422,),
    ),
    Route(
        "POST",
        "/v1/me/held/{id}/release",
        "consumer",
        release,
        "Let a held message through",
        takes={JSON: Nothing},
        gives={JSON: HeldAnswer},
        fields=("Idempotency-Key",),
        problems=(404, 408, 413, 415, 422),
    ),
    Route(
        "POST",
        "/v1/me/held/{id}/refuse",
        "consumer",
        refuse,
        "Refuse a held message",
        takes={JSON: Nothing},
        gives={JSON: HeldAnswer},
        fields=("Idempotency-Key",),
        problems=(404, 408, 413, 415, 422),
    ),
)
