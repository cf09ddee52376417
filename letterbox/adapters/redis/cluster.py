"""Redis Cluster: each command to the primary that has its slot."""

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

import structlog
from redis.asyncio.client import PubSub
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    ResponseError,
    TryAgainError,
)

from letterbox.adapters.redis.server import Request, Server, Unsafe
from letterbox.adapters.redis.topology import Changing, Refused, first, unavailable
from letterbox.ports.store import StoreUnavailable

Address = tuple[str, int]
#: What a cluster calls an address that it does not know: it is the one that was asked.
_UNKNOWN: Final = frozenset({"", "?"})

log = structlog.get_logger()


class _View:
    """Which primary has which slot, as one of the servers sees it, and all servers it knows."""

    def __init__(self) -> None:
        self.slots: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self.servers: set[Address] = set()


class Cluster(Changing):
    """The servers of a cluster, found from ``seeds``.

    redis-py's own cluster client raises past its cap of connections instead of waiting for one, and
    cannot ask on the connection that wrote what the replicas have (``WAIT``). So each server has a
    client here, and of redis-py are the slots of keys and the redirections.
    """

    sharded = True

    def __init__(
        self, seeds: Sequence[Address], options: Mapping[str, Any], patience: float
    ) -> None:
        super().__init__(patience)
        self._seeds = tuple(seeds)
        self._options = dict(options)
        self._view = _View()
        self._servers: dict[Address, Server] = {}
        self._asked: dict[Address, asyncio.Task[_View | StoreUnavailable]] = {}
        self._listened = self._published = 0

    def place(self, key: bytes) -> Hashable:
        """The primary that has a key."""
        return self._primary(key)

    async def check(self, *, unsafe: bool, replicas: int) -> None:
        """See what every primary is."""
        await self._look()
        versions = set()
        for address in self._primaries():
            server = self._server(address)
            versions.add(await server.check(unsafe=unsafe, replicas=replicas, clustered=True))
        await self.check_layout()
        log.info(
            "store.opened", redis=", ".join(sorted(versions)), primaries=len(self._primaries())
        )

    async def nodes(self) -> Sequence[Server]:
        """The primaries."""
        await self._find()
        servers = [self._server(address) for address in self._primaries()]
        for server in servers:
            # Of a slot on its way, each of both servers says so of itself.
            said = await server.command("CLUSTER", "NODES")
            if b"->-" in said or b"-<-" in said:
                raise StoreUnavailable("a slot of the cluster is moving: wait until none does")
        return servers

    async def pubsub(self) -> PubSub:
        """Something to listen with at one of the primaries: at each in turn."""
        self._is_stale = True
        await self._look()
        primaries = self._primaries()
        self._listened += 1
        return self._server(primaries[self._listened % len(primaries)]).pubsub()

    async def publish(self, channel: bytes, word: bytes) -> None:
        """Tell whoever listens, wherever, by each primary in turn."""
        await self._look()
        primaries = self._primaries()
        self._published += 1
        server = self._server(primaries[self._published % len(primaries)])
        await server.command("PUBLISH", channel, word)

    async def close(self) -> None:
        """Let the connections go."""
        await super().close()
        for server in self._servers.values():
            await server.close()

    # ---- sending ------------------------------------------------------------------------------

    async def send(self, requests: Sequence[Request], *, replicas: int = 0) -> list[Any]:
        """One attempt; what has gone ahead to another server, as its slot moves, is asked there."""
        await self._look()
        answers: list[Any] = [None] * len(requests)

        async def send_to(address: Address | None, those: list[int], *, asking: bool) -> None:
            asked = [requests[at] for at in those]
            got = await self._send_to(address, asked, replicas, asking=asking)
            for at, answer in zip(those, got, strict=True):
                answers[at] = answer

        places: dict[Address | None, list[int]] = {}
        for at, request in enumerate(requests):
            places.setdefault(self._primary(request.key), []).append(at)
        await asyncio.gather(*(send_to(place, at, asking=False) for place, at in places.items()))
        moving: dict[Address | None, list[int]] = {}
        for place, those in places.items():
            for at in those:
                if _is_ask(answers[at]):
                    moving.setdefault(_named(answers[at], place), []).append(at)
        await asyncio.gather(*(send_to(place, at, asking=True) for place, at in moving.items()))
        return [unavailable(answer) for answer in answers]

    async def _send_to(
        self,
        address: Address | None,
        requests: Sequence[Request],
        replicas: int,
        *,
        asking: bool,
    ) -> list[Any]:
        if address is None:
            self._is_stale = True
            return [Refused("no server of the cluster has this slot now") for _ in requests]
        server = self._server(address)
        try:
            answers = await server.send(requests, replicas=replicas, asking=asking)
        except StoreUnavailable as error:
            self._is_stale = True
            return [StoreUnavailable(*error.args) for _ in requests]
        return [self._heed(answer, address, asking=asking) for answer in answers]

    def _heed(self, answer: Any, asked: Address, *, asking: bool) -> Any:
        """What an answer is to the caller; what it says of the cluster is taken in."""
        if isinstance(answer, MovedError):
            self._view.slots[answer.slot_id] = _named(answer, asked)
        elif isinstance(answer, ClusterDownError | StoreUnavailable):
            self._is_stale = True
        if isinstance(answer, MovedError | ClusterDownError | TryAgainError) or (
            asking and _is_ask(answer)
        ):
            return Refused(f"the cluster does not take it now: {answer}")
        return answer

    def _primary(self, key: bytes) -> Address | None:
        return self._view.slots[key_slot(key)]

    def _primaries(self) -> list[Address]:
        return sorted({address for address in self._view.slots if address})

    def _server(self, address: Address) -> Server:
        server = self._servers.get(address)
        if server is None:
            place = self._options | {"host": address[0], "port": address[1]}
            server = self._servers[address] = Server(place, self.patience)
        return server

    # ---- what is where ------------------------------------------------------------------------

    async def _find(self) -> None:
        for address in (*self._servers, *self._seeds):
            # One that stands still is not asked again before it has answered or been given up.
            if address not in self._asked or self._asked[address].done():
                self._asked[address] = self._task(self._ask(address))
        self._view = view = await first(self._asked.values())
        for address in self._servers.keys() - view.servers - set(self._seeds):
            self._asked.pop(address, None)
            self._task(self._servers.pop(address).close())

    async def _ask(self, address: Address) -> _View | StoreUnavailable:
        try:
            rows = await self._server(address).command("CLUSTER", "SLOTS")
        except StoreUnavailable as error:
            if isinstance(error.__cause__, ResponseError) and "cluster support" in str(error):
                return Unsafe("the Redis server is in no cluster: its URL begins redis://")
            return error
        view = _View()
        for begin, end, *servers in rows:
            addresses = [_address(host, port, address) for host, port, *_ in servers]
            view.servers.update(addresses)
            view.slots[begin : end + 1] = addresses[:1] * (end + 1 - begin)
        return view if rows else StoreUnavailable("the store does not answer: no slots are given")


def _is_ask(answer: Any) -> bool:
    return isinstance(answer, AskError) and not isinstance(answer, MovedError)


def _named(error: AskError, asked: Address | None) -> Address | None:
    """The server that a redirection names."""
    if asked is None or error.host not in _UNKNOWN:
        return error.host, error.port
    return asked[0], error.port


def _address(host: Any, port: int, asked: Address) -> Address:
    name = host.decode() if isinstance(host, bytes) else host
    return (asked[0] if name is None or name in _UNKNOWN else name), port
