"""Stylesheet and modules, under addresses that change with what is in them."""

import asyncio
import hashlib
from importlib import resources
from typing import Final, NamedTuple

from aiohttp import web

_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_DIGITS: Final = 16


class _File(NamedTuple):
    content: bytes
    media_type: str
    digest: str


class Statics:
    """The files of ``static/``, in memory. An address with another hash is not there (404)."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        for entry in (resources.files(__package__) / "static").iterdir():
            kind = _TYPES.get(entry.name.rpartition(".")[2])
            if kind is not None:
                content = entry.read_bytes()
                digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
                self._files[entry.name] = _File(content, kind, digest)

    def url(self, name: str) -> str:
        """The address of a file. Raises KeyError where there is none of that name."""
        return f"/static/{self._files[name].digest}/{name}"

    method: Final = "GET"
    path: Final = "/static/{digest}/{name}"

    async def serve(
        self, request: web.Request, *, client: str, draining: asyncio.Event
    ) -> web.StreamResponse:
        """A file, whoever asks. Raises HTTPNotFound."""
        del client, draining
        file = self._files.get(request.match_info["name"])
        if file is None or file.digest != request.match_info["digest"]:
            raise web.HTTPNotFound
        return web.Response(
            body=file.content,
            content_type=file.media_type,
            charset="utf-8",
            headers={"Cache-Control": _FOR_EVER},
        )
