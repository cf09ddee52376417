"""Having a store for oneself while it is copied."""

from letterbox.adapters.redis import keys
from letterbox.adapters.redis.lease import Lease
from letterbox.adapters.redis.server import Server
from letterbox.ports.store import StoreInUse


class Alone:
    """No letterbox serves the store until ``release``. Made by :meth:`take`."""

    def __init__(self, server: Server, lease: Lease) -> None:
        self._server = server
        self._lease = lease

    @classmethod
    async def take(cls, server: Server) -> "Alone":
        """Raises :class:`StoreInUse` where a letterbox serves it."""
        return cls(server, await Lease.take(server))

    async def check(self) -> None:
        """See that nobody took the store since. Raises :class:`StoreInUse`."""
        if await self._server.command("GET", keys.OWNER) != self._lease.name:
            raise StoreInUse("another letterbox took the store while it was copied; stop that one")

    async def release(self) -> None:
        """Let others have it."""
        await self._lease.release()
