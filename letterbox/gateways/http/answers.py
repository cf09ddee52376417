"""Values as responses."""

from collections.abc import Mapping

import msgspec
from aiohttp import web


def answer(value: object, *, headers: Mapping[str, str] | None = None) -> web.Response:
    """A value as JSON, with status 200."""
    return web.Response(
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers=dict(headers or {}),
    )


def nothing() -> web.Response:
    """Done, and nothing to say: status 204."""
    return web.Response(status=web.HTTPNoContent.status_code)
