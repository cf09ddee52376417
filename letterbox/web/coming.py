"""A form whose file is read as it comes: nothing of it is held, and its end may be far away."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import MultiDict

from letterbox.web.failures import Failure

_FORM_IN_PARTS: Final = "multipart/form-data"
_MOST_FIELDS: Final = 10
_LARGEST_FIELD: Final = 4096
_CHUNK: Final = 1 << 18


async def read_to_file(
    request: web.Request, seconds: float
) -> tuple[MultiDict[str], AsyncIterator[bytes] | None]:
    """The fields before the file of a form in parts (RFC 7578), and the file; None for none.

    ``seconds`` is how long each piece may take. Raises :class:`Failure`, also as the file is
    read: what comes behind the file is not read.
    """
    if request.content_type != _FORM_IN_PARTS:
        raise Failure(HTTPStatus.BAD_REQUEST)
    form: MultiDict[str] = MultiDict()
    try:
        reader = await request.multipart()
        while len(form) < _MOST_FIELDS:
            async with asyncio.timeout(seconds):
                part = await reader.next()
            if part is None:
                return form, None
            if not isinstance(part, BodyPartReader):
                break
            if part.filename is not None:
                return form, _pieces(part, seconds)
            async with asyncio.timeout(seconds):
                content = await part.read_chunk(_LARGEST_FIELD)
                if await part.read_chunk():
                    break
            form.add(part.name or "", bytes(content).decode())
    except (TimeoutError, ValueError, web.RequestPayloadError, HttpProcessingError):
        pass
    raise Failure(HTTPStatus.BAD_REQUEST)


async def _pieces(part: BodyPartReader, seconds: float) -> AsyncIterator[bytes]:
    try:
        while True:
            async with asyncio.timeout(seconds):
                chunk = await part.read_chunk(_CHUNK)
            if not chunk:
                return
            yield bytes(chunk)
    except (TimeoutError, ValueError, web.RequestPayloadError, HttpProcessingError):
        raise Failure(HTTPStatus.BAD_REQUEST) from None
