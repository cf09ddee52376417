"""Writes with an ``Idempotency-Key``: the same again gives the same answer, once.

A vendor's messages have this from intake, in the commit of the message itself. An answer that
holds a secret is not written down: the same call again is told that it was made.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from weakref import WeakValueDictionary

import msgspec
from aiohttp import web

from letterbox.gateways.http.call import KEPT, MOST_DOCUMENT, Call, read_body
from letterbox.gateways.http.problems import Problem
from letterbox.gateways.http.route import Route
from letterbox.model.network import place_of
from letterbox.ports.store import Claim, Commit, Operation, Rejected, StoreUnavailable, Unclaim
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.names import new_reference

_KEPT_FOR = timedelta(days=7)
#: A call whose process was killed may be made again after this time.
_LASTS = timedelta(minutes=1)
#: A longer answer is not kept: such a write is guarded by its ETag.
_LONGEST_ANSWER = 64 * 1024
#: Stands for the status of an answer that was a secret.
_ONCE = 0


class _Recorded(msgspec.Struct, frozen=True):
    """An answer as it was given, and the digest of what was asked.

    ``by`` is the process that makes the call, as long as there is no answer.
    """

    fingerprint: bytes
    status: int
    headers: dict[str, str]
    body: bytes
    by: str = ""


class Repeated:
    """Answers repeated calls from the record.

    That a call is being made is written down before it is, so that no other process makes it.
    """

    def __init__(self) -> None:
        self._name = new_reference()
        # To save work: calls of one process wait for one another, and need not be made again.
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
            if vendor and await call.parts.store.claim(partition, places.idempotency(key)):
                raise Problem("key-reused")  # for a message
            known = await self._begin(call, partition, name, fingerprint)
            if known is not None:
                return _again(known, fingerprint)
            try:
                response = await route.run(call)
            except BaseException:
                with suppress(StoreUnavailable):  # it may be made again in a minute then
                    await _record(call, partition, name, None)
                raise
            await _record(call, partition, name, _answer(response, fingerprint, secret=secret))
            return response

    async def _begin(
        self, call: Call, partition: str, name: str, fingerprint: bytes
    ) -> _Recorded | None:
        """Write down that a call is being made; what is written down already, if anything is."""
        begun = _Recorded(fingerprint, _ONCE, {}, b"", by=self._name)
        claim = Claim(name, encode(begun), expires=call.parts.clock.now() + _LASTS)
        (result,) = await call.parts.store.commit(Commit(partition, (claim,)))
        if not isinstance(result, Rejected):
            return None
        known = decode(result.found, _Recorded)
        # One of ours has ended, and that could not be written down.
        return known if known.by != self._name else None


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


def _answer(response: web.StreamResponse, fingerprint: bytes, *, secret: bool) -> _Recorded | None:
    """An answer as it is written down; None for one that is too long."""
    content = response.body if isinstance(response, web.Response) and not secret else None
    body = content if isinstance(content, bytes) else b""
    if len(body) > _LONGEST_ANSWER:
        return None
    return _Recorded(
        fingerprint=fingerprint,
        status=_ONCE if secret else response.status,
        headers={k: v for k, v in response.headers.items() if k in {"ETag", "Content-Type"}},
        body=body,
    )


def _again(recorded: _Recorded, fingerprint: bytes) -> web.Response:
    if recorded.fingerprint != fingerprint:
        raise Problem("key-reused")
    if recorded.by:
        raise Problem("conflict", "the same call is just being made; make it again in a moment")
    if recorded.status == _ONCE:
        raise Problem("conflict", "it was done, and its answer is shown once; see the list")
    return web.Response(
        status=recorded.status, body=recorded.body or None, headers=recorded.headers
    )


async def _record(call: Call, partition: str, name: str, answer: _Recorded | None) -> None:
    """Write an answer down in place of the word that the call is being made; None for none."""
    operations: list[Operation] = [Unclaim(name=name)]
    if answer is not None:
        expires = call.parts.clock.now() + _KEPT_FOR
        operations.append(Claim(name=name, value=encode(answer), expires=expires))
    await call.parts.store.commit(Commit(partition, tuple(operations)))
