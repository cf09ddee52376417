"""A consumer's writes with an ``Idempotency-Key``: the same again gives the same answer, once.

A vendor's messages have this from intake, in the commit of the message itself.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from hashlib import sha256
from weakref import WeakValueDictionary

import msgspec
from aiohttp import web

from letterbox.gateways.http.call import KEPT, MOST_DOCUMENT, Call, read_body
from letterbox.gateways.http.problems import Problem
from letterbox.ports.store import Claim, Commit
from letterbox.records import places
from letterbox.records.coding import decode, encode

_KEPT_FOR = timedelta(days=7)
#: A longer answer is not kept: such a write is guarded by its ETag.
_LONGEST_ANSWER = 64 * 1024


class _Recorded(msgspec.Struct, frozen=True):
    """An answer as it was given, and the digest of what was asked."""

    fingerprint: bytes
    status: int
    headers: dict[str, str]
    body: bytes


class Repeated:
    """Answers repeated calls from the record."""

    def __init__(self) -> None:
        self._calls: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def run(
        self, call: Call, answer: Callable[[Call], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """The recorded answer of the same call, or a new one, which is then recorded."""
        key = call.idempotency_key
        if key is None:
            return await answer(call)
        body = await read_body(
            call.request, MOST_DOCUMENT, call.parts.configuration.http.body_timeout
        )
        call.request[KEPT] = body
        fingerprint = _fingerprint(call.request, body)
        async with self._calls.setdefault((call.owner, key), asyncio.Lock()):
            value = await call.parts.store.claim(
                places.consumer(call.owner), places.idempotency(key)
            )
            if value is not None:
                return _again(decode(value, _Recorded), fingerprint)
            response = await answer(call)
            await _record(call, key, fingerprint, response)
            return response


def _fingerprint(request: web.Request, body: bytes) -> bytes:
    said = f"{request.method}\0{request.path_qs}\0"
    return sha256(said.encode("utf-8", "surrogateescape") + body).digest()


def _again(recorded: _Recorded, fingerprint: bytes) -> web.Response:
    if recorded.fingerprint != fingerprint:
        raise Problem("key-reused")
    return web.Response(
        status=recorded.status, body=recorded.body or None, headers=recorded.headers
    )


async def _record(call: Call, key: str, fingerprint: bytes, response: web.StreamResponse) -> None:
    body = response.body if isinstance(response, web.Response) else None
    content = body if isinstance(body, bytes) else b""
    if len(content) > _LONGEST_ANSWER:
        return
    row = _Recorded(
        fingerprint=fingerprint,
        status=response.status,
        headers={k: v for k, v in response.headers.items() if k in {"ETag", "Content-Type"}},
        body=content,
    )
    claim = Claim(
        name=places.idempotency(key),
        value=encode(row),
        expires=call.parts.clock.now() + _KEPT_FOR,
    )
    await call.parts.store.commit(
        Commit(partition=places.consumer(call.owner), operations=(claim,))
    )
