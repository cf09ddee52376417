"""Redis Sentinel: it says which server is the primary."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import AuthenticationError, ReadOnlyError

from letterbox.adapters.redis.server import Request, Server
from letterbox.adapters.redis.topology import Changing, Refused, first, unavailable
from letterbox.ports.store import StoreUnavailable

Address = tuple[str, int]

log = structlog.get_logger()


class Sentinel(Changing):
    """The primary ``name``, as one of the ``sentinels`` says; asked anew after every failure.

    The sentinels are shown the password of the servers; where they have none, nothing.
    """

    def __init__(
        self,
        sentinels: Sequence[Address],
        name: str,
        options: Mapping[str, Any],
        patience: float,
    ) -> None:
        super().__init__(patience)
        self._name = name
        self._options = dict(options)
        secret = {"username", "password", "db"}
        plain = {key: value for key, value in self._options.items() if key not in secret}
        shown = {key: value for key, value in self._options.items() if key != "db"}
        self._sentinels = [
            [Server(each | {"host": host, "port": port}, patience) for each in (shown, plain)]
            for host, port in sentinels
        ]
        self._address: Address | None = None
        self._server: Server | None = None

    def place(self, key: bytes) -> Hashable:  # noqa: ARG002 - there is one
        """The one place."""
        return None

    async def check(self, *, unsafe: bool, replicas: int) -> None:
        """See what the primary is."""
        server = await self._primary()
        version = await server.check(unsafe=unsafe, replicas=replicas)
        await self.check_layout()
        log.info("store.opened", redis=version, primary=self._name)

    async def nodes(self) -> Sequence[Server]:
        """The primary."""
        self._is_stale = True
        return [await self._primary()]

    async def pubsub(self) -> PubSub:
        """Something to listen with at the primary."""
        self._is_stale = True
        return (await self._primary()).pubsub()

    async def close(self) -> None:
        """Let the connections go."""
        await super().close()
        servers = [server for pair in self._sentinels for server in pair]
        for server in (*servers, *([self._server] if self._server else [])):
            await server.close()

    async def send(self, requests: Sequence[Request], *, replicas: int = 0) -> list[Any]:
        """One attempt."""
        server = await self._primary()
        try:
            answers = await server.send(requests, replicas=replicas)
        except StoreUnavailable:
            self._is_stale = True
            raise
        return [self._heed(answer) for answer in answers]

    def _heed(self, answer: Any) -> Any:
        if isinstance(answer, ReadOnlyError):
            self._is_stale = True
            return Refused(f"the primary has become a replica: {answer}")
        # Too few replicas are also what a primary has that was replaced and does not know it.
        self._is_stale |= isinstance(answer, StoreUnavailable)
        return unavailable(answer)

    async def _primary(self) -> Server:
        await self._look()
        if self._server is None:  # never: whoever has looked in vain has raised
            raise StoreUnavailable("the store has no primary")
        return self._server

    async def _find(self) -> None:
        address = await first([self._task(self._ask(pair)) for pair in self._sentinels])
        if address == self._address:
            return
        place = self._options | {"host": address[0], "port": address[1]}
        server = Server(place, self.patience)
        try:
            role, *_ = await server.command("ROLE")
        except BaseException:
            await server.close()
            raise
        if role != b"master":
            await server.close()
            raise Refused(f"the primary that Sentinel names for {self._name} is a replica yet")
        if self._server is not None:
            self._task(self._server.close())
        self._address, self._server = address, server

    async def _ask(self, sentinel: Sequence[Server]) -> Address | StoreUnavailable:
        """The address of the primary, from a sentinel, shown the password or not."""
        failed = StoreUnavailable("the store has no Sentinel")
        for server in sentinel:
            try:
                found = await server.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name)
            except StoreUnavailable as error:
                failed = error
                if isinstance(error.__cause__, AuthenticationError):
                    continue
                break
            if found is None:
                return StoreUnavailable(f"Sentinel knows no primary named {self._name}")
            return found[0].decode(), int(found[1])
        return failed
