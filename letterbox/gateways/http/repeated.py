"""Writes with an ``Idempotency-Key``: the same again gives the same answer, once.

A vendor's messages have this from intake, in the commit of the message itself. An answer that
holds a secret is not written down: the same call again is told that it was made.
"""

import asyncio
from datetime import timedelta
from hashlib import sha256
from weakref import WeakValueDictionary

import msgspec
from aiohttp import web

from letterbox.gateways.http.call import KEPT, MOST_DOCUMENT, Call, read_body
from letterbox.gateways.http.problems import Problem
from letterbox.gateways.http.route import Route
from letterbox.model.network import place_of
from letterbox.ports.store import Claim, Commit
from letterbox.records import places
from letterbox.records.coding import decode, encode

_KEPT_FOR = timedelta(days=7)
#: A longer answer is not kept: such a write is guarded by its ETag.
_LONGEST_ANSWER = 64 * 1024
#: Stands for the status of an answer that was a secret.
_ONCE = 0


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

    async def run(self, call: Call, route: Route) -> web.StreamResponse:
        """The recorded answer of the same call, or a new one, which is then recorded."""
        key = call.idempotency_key
        if key is None:
            return await route.run(call)
        vendor, secret = route.who == "vendor", route.once == "secret"
        partition = _caller(call, route)
        name = places.call(key) if vendor else places.idempotency(key)
        body = await read_body(
            call.request, MOST_DOCUMENT, call.parts.configuration.http.body_timeout
        )
        call.request[KEPT] = body
        fingerprint = _fingerprint(call.request, body)
        async with self._calls.setdefault((partition, key), asyncio.Lock()):
            value = await call.parts.store.claim(partition, name)
            if value is not None:
                return _again(value, fingerprint)
            if vendor and await call.parts.store.claim(partition, places.idempotency(key)):
                raise Problem("key-reused")  # for a message
            response = await route.run(call)
            content = response.body if isinstance(response, web.Response) else None
            row = _Recorded(
                fingerprint=fingerprint,
                status=_ONCE if secret else response.status,
                headers={
                    k: v for k, v in response.headers.items() if k in {"ETag", "Content-Type"}
                },
                body=content if isinstance(content, bytes) and not secret else b"",
            )
            await _record(call, partition, name, row)
            return response


def _caller(call: Call, route: Route) -> str:
    """Whose key it is: what others call the same is another."""
    match route.who:
        case "vendor":
            return places.vendor(call.owner)
        case "consumer":
            return places.consumer(call.owner)
        case _:
            return places.caller(str(place_of(call.client)) if call.client else "")


def _fingerprint(request: web.Request, body: bytes) -> bytes:
    said = f"{request.method}\0{request.path_qs}\0"
    return sha256(said.encode("utf-8", "surrogateescape") + body).digest()


def _again(value: bytes, fingerprint: bytes) -> web.Response:
    recorded = decode(value, _Recorded)
    if recorded.fingerprint != fingerprint:
        raise Problem("key-reused")
    if recorded.status == _ONCE:
        raise Problem("conflict", "it was done, and its answer is shown once; see the list")
    return web.Response(
        status=recorded.status, body=recorded.body or None, headers=recorded.headers
    )


async def _record(call: Call, partition: str, name: str, row: _Recorded) -> None:
    if len(row.body) > _LONGEST_ANSWER:
        return
    claim = Claim(
        name=name,
        value=encode(row),
        expires=call.parts.clock.now() + _KEPT_FOR,
    )
    await call.parts.store.commit(Commit(partition=partition, operations=(claim,)))
