"""``/v1/me``: everything there is about a consumer, to take along; and that it goes."""

from aiohttp import web

from letterbox.gateways.http.answers import answer, guard
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.forms import Erasing
from letterbox.gateways.http.problems import Problem
from letterbox.gateways.http.route import JSON, Route


async def export(call: Call) -> web.StreamResponse:
    """Everything, as one JSON document that is written as it is read."""
    response = web.StreamResponse(headers={
        "Content-Disposition": 'attachment; filename="letterbox-export.json"',
    })  # fmt: skip
    response.content_type = JSON
    guard(response)
    await response.prepare(call.request)
    async for piece in call.parts.exporting.document(call.owner):
        await response.write(piece)
    await response.write_eof()
    return response


async def erase(call: Call) -> web.Response:
    """Erase the caller: durable at the answer, and seen through from then on."""
    await call.bare()
    if not await call.parts.erasure.begin(call.owner):
        raise Problem("not-found")
    return answer(Erasing(), status=202)


ROUTES = (
    Route(
        "GET",
        "/v1/me/export",
        "consumer",
        export,
        "Everything there is about you, as one JSON document",
        gives={JSON: None},
    ),
    Route(
        "DELETE",
        "/v1/me",
        "consumer",
        erase,
        "Erase everything there is about you; this token serves no more",
        gives={JSON: Erasing},
        problems=(404,),
        status=202,
    ),
)
