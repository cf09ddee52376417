"""For operators: health and metrics, on their own address or for loopback peers alone."""

import asyncio
import ipaddress

from aiohttp import web

from letterbox.gateways.http.call import Call
from letterbox.gateways.http.problems import Problem
from letterbox.ports.store import Commit, Put, StoreUnavailable
from letterbox.records import places

_READY_WITHIN = 2.0
_PROBE = Commit(partition=places.DIRECTORY, operations=(Put(key="ready", value=b""),))


def is_local(request: web.Request) -> bool:
    """Whether the caller is on this machine, and not somebody behind a proxy on it."""
    if "Forwarded" in request.headers or "X-Forwarded-For" in request.headers:
        return False
    try:
        peer = ipaddress.ip_address(request.remote or "")
    except ValueError:
        return False
    mapped = peer.ipv4_mapped if isinstance(peer, ipaddress.IPv6Address) else None
    return (mapped or peer).is_loopback


async def health(call: Call) -> web.Response:
    """Whether the process answers at all."""
    del call
    return web.Response(text="ok\n")


async def ready(call: Call) -> web.Response:
    """Whether messages are taken now: they can be written, and the house is not closing."""
    if call.draining.is_set():
        raise Problem("unavailable", "the house is closing", headers={"Retry-After": "30"})
    try:
        async with asyncio.timeout(_READY_WITHIN):
            # Written, not only read: a full disk is the trouble to be told of.
            await call.parts.store.commit(_PROBE)
            # Where bodies lie outside, they are written before any commit. Nobody names this one.
            await call.parts.bodies.prepare("ready", b"ready")
    except (StoreUnavailable, TimeoutError):
        raise Problem(
            "unavailable", "the store cannot write", headers={"Retry-After": "10"}
        ) from None
    return web.Response(text="ready\n")


async def metrics(call: Call) -> web.Response:
    """Everything that is counted, in the Prometheus text format."""
    return web.Response(
        body=call.parts.metrics.text(),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )
