"""Values as responses."""

from collections.abc import Mapping

import msgspec
from aiohttp import web

_GUARDS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


def guard(response: web.StreamResponse) -> None:
    """What every answer carries, unless its route has said otherwise."""
    response.headers["Server"] = "letterbox"  # aiohttp's own would name its version
    for name, value in _GUARDS.items():
        response.headers.setdefault(name, value)


def answer(
    value: object, *, headers: Mapping[str, str] | None = None, status: int = 200
) -> web.Response:
    """A value as JSON."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers=dict(headers or {}),
    )


def nothing() -> web.Response:
    """Done, and nothing to say: status 204."""
    return web.Response(status=web.HTTPNoContent.status_code)
