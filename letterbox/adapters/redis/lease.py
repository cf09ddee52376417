"""One letterbox has the store at a time, and one that was thought dead can write no more."""

import asyncio
from contextlib import suppress
from secrets import token_hex
from typing import Final

import structlog

from letterbox.adapters.redis import keys
from letterbox.adapters.redis.server import Script
from letterbox.adapters.redis.topology import Topology
from letterbox.ports.store import SHARDS, StoreInUse, StoreUnavailable

#: Milliseconds after which the lease of a letterbox that is gone ends, and between renewals.
_LASTS: Final = 9_000
_RENEWED: Final = 3_000
_LOOKED_AT: Final = 0.25

_TAKE: Final = Script("take")
_RENEW: Final = Script("renew")
_OWN: Final = Script("own")
_KEYS: Final = (keys.LEASE, keys.owner(0))

log = structlog.get_logger()


class Lease:
    """Held until ``release``. ``name`` goes with every commit: only the last owner's are taken.

    Names are drawn and not counted: a replica that takes over may not know of the last count.
    """

    def __init__(self, server: Topology, name: bytes) -> None:
        self.name = name
        self._server = server
        self._over = asyncio.Event()
        self._renewing = asyncio.create_task(self._renew())

    @classmethod
    async def take(cls, server: Topology) -> "Lease":
        """Take the store; the lease of one that was killed is waited for.

        Raises :class:`StoreInUse` where another letterbox goes on holding it.
        """
        name = token_hex(16).encode()
        deadline = asyncio.get_running_loop().time() + (_LASTS + _RENEWED) / 1000
        while not await server.run(_TAKE, _KEYS, name, _LASTS):
            if asyncio.get_running_loop().time() >= deadline:
                raise StoreInUse(
                    "another letterbox has this Redis store; stop it first, or set admin.socket "
                    "alike for both, so that commands find the one that runs"
                )
            await asyncio.sleep(_LOOKED_AT)
        owned = [_OWN.call((keys.owner(shard),), (name,)) for shard in range(SHARDS)]
        await server.ask_all(owned)
        return cls(server, name)

    async def _renew(self) -> None:
        while not await self._is_over():
            with suppress(StoreUnavailable):  # it comes back, or another has taken the store
                if not await self._server.run(_RENEW, _KEYS, self.name, _LASTS):
                    log.error("store.taken", hint="another letterbox has it: this one is to stop")
                    return

    async def _is_over(self) -> bool:
        """Whether it is let go, before it has to be renewed."""
        try:
            async with asyncio.timeout(_RENEWED / 1000):
                return await self._over.wait()
        except TimeoutError:
            return False

    async def release(self) -> None:
        """Let another have it. What is on its way is waited for: no longer than patience lasts."""
        self._over.set()
        await self._renewing
        with suppress(StoreUnavailable):
            await self._server.run(_RENEW, _KEYS, self.name, 0)
