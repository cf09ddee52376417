"""One server: how it is reached, and whether it keeps what it says it keeps."""

import asyncio
import re
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, NamedTuple, cast

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from letterbox.adapters.redis.encoding import Word
from letterbox.ports.store import StoreUnavailable

_OLDEST: Final = (7, 0)
#: So many connections; who needs one more waits for it.
_MOST_CONNECTIONS: Final = 16
#: Seconds between two machines' clocks that do no harm.
_MOST_APART: Final = 2.0
#: What has to be set for an acknowledgement to be worth something.
_SAFE: Final = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
}
#: A cluster that has lost a part takes nothing, rather than half of what belongs together.
_WHOLE: Final = "cluster-require-full-coverage"
#: A primary that is cut off stops by itself, rather than to show what will be lost.
_REACHED: Final = "min-replicas-to-write"

log = structlog.get_logger()


class Unsafe(StoreUnavailable):
    """The server would lose what was acknowledged, or is not one that we can use."""


class Fenced(StoreUnavailable):
    """Another process has taken over what this one was working on; nothing was done."""


class Request(NamedTuple):
    """A command: the key that says where it belongs, its words, the script that it calls."""

    key: bytes
    words: tuple[Any, ...]
    script: "Script | None" = None


class Script:
    """A script of ours, called by its digest: its text travels once."""

    def __init__(self, name: str) -> None:
        self.text = files(__package__).joinpath(f"{name}.lua").read_bytes()
        # Not for security: it is the name that the server gives to a script.
        self.digest = sha1(self.text, usedforsecurity=False).hexdigest()

    def call(self, named: Sequence[bytes], arguments: Sequence[Word]) -> Request:
        """The call. The keys it names, at least one, are all that it touches."""
        words = ("EVALSHA", self.digest, len(named), *named, *arguments)
        return Request(named[0], words, self)


class Server:
    """Commands to a server at ``place``, the arguments of a connection.

    Nothing is ever sent a second time by itself: what failed may have happened.
    """

    def __init__(self, place: Mapping[str, Any], patience: float) -> None:
        pool = BlockingConnectionPool(
            max_connections=_MOST_CONNECTIONS,
            timeout=patience,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            retry=Retry(NoBackoff(), 0),
            # With them, a connection that the server has closed is handed out as if it were good.
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
            **place,
        )
        self._client = Redis.from_pool(pool)
        self._place = dict(place)
        self._patience = patience
        # The answer of WAIT must come before the connection is given up.
        self._within = int(patience * 500)

    async def check(self, *, unsafe: bool, replicas: int, clustered: bool = False) -> str:
        """See what the server is; its version.

        Raises :class:`Unsafe` where it is too old or of another kind than the URL says, and, unless
        ``unsafe``, where it would lose what it has confirmed, or its clock is another than ours.
        A server that does not tell its settings, as hosted ones do, is taken as it is, with a
        warning.
        """
        about = await self._ask(self._client.info("server"))
        version = str(about.get("redis_version", "0"))
        if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
            raise Unsafe(f"the Redis server is {version}; 7.0 or newer is needed")
        mode = about.get("redis_mode", about.get("server_mode"))  # as Valkey calls it
        if not clustered and mode == "cluster":
            raise Unsafe("the Redis server is one of a cluster: its URL begins redis+cluster://")
        try:
            settings = await self._ask(self._client.config_get(*_SAFE, _WHOLE, _REACHED))
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, ResponseError):
                raise
            log.warning("store.settings-unknown", hint="see that it has: " + _said(_SAFE))
            await self._check_clock(unsafe=unsafe)
            return version
        wrong = {name: want for name, want in _SAFE.items() if settings.get(name) != want}
        if wrong and not unsafe:
            raise Unsafe(
                "the Redis server would lose mail that was acknowledged; set in its configuration: "
                f"{_said(wrong)} (store.unsafe = true takes it all the same)"
            )
        if wrong:
            log.warning("store.unsafe", missing=_said(wrong))
        await self._check_clock(unsafe=unsafe)
        better = {_WHOLE: "yes"} if clustered and settings.get(_WHOLE) != "yes" else {}
        if int(settings.get(_REACHED, 0)) < replicas:
            better[_REACHED] = str(replicas)
        if better:
            log.warning("store.better-set", missing=_said(better))
        if replicas:
            await self._check_replicas()
        return version

    async def _check_clock(self, *, unsafe: bool) -> None:
        """Our clock against the server's, which all its processes have in common."""
        asked = time.time()
        seconds, microseconds = await self._ask(self._client.time())
        theirs = seconds + microseconds / 1e6
        # Whatever time the answer took, it was given in between.
        apart = max(asked - theirs, theirs - time.time(), 0.0)
        if apart <= _MOST_APART:
            return
        if not unsafe:
            raise Unsafe(
                f"the clocks of this machine and of the Redis server are {apart:.1f} s apart: "
                "windows would open at other times here than elsewhere; have both keep the time "
                "(NTP), or set store.unsafe = true"
            )
        log.warning("store.clocks-apart", seconds=round(apart, 1))

    async def _check_replicas(self) -> None:
        """Warn of those that may not have on their disk what they confirm."""
        about = await self._ask(self._client.info("replication"))
        found = [each for name, each in about.items() if re.fullmatch(r"slave\d+", name)]
        await asyncio.gather(*(self._check_replica(each["ip"], each["port"]) for each in found))

    async def _check_replica(self, host: str, port: int) -> None:
        place = {name: value for name, value in self._place.items() if name != "path"}
        if "path" in self._place:  # a socket here is no way there
            place.pop("connection_class", None)
        replica = Server(place | {"host": host, "port": port}, self._patience)
        try:
            settings = await replica._ask(replica._client.config_get(*_SAFE))
        except StoreUnavailable:
            log.warning("store.replica-unseen", replica=f"{host}:{port}", hint=_said(_SAFE))
        else:
            wrong = {name: want for name, want in _SAFE.items() if settings.get(name) != want}
            if wrong:
                log.warning("store.replica-unsafe", replica=f"{host}:{port}", missing=_said(wrong))
        finally:
            await replica.close()

    async def command(self, *words: Any) -> Any:
        """One command's answer. Raises :class:`StoreUnavailable`, the server's error its cause."""
        return await self._ask(self._client.execute_command(*words))  # type: ignore[no-untyped-call]

    async def send(
        self,
        requests: Sequence[Request],
        *,
        replicas: int = 0,
        asking: bool = False,
    ) -> list[Any]:
        """Answers to several requests, sent together: each an answer, or the error instead.

        With ``replicas``, so many must have received what was done.
        ``asking`` takes from a slot that is on its way here. Raises :class:`StoreUnavailable` where
        nobody knows what happened.
        """
        answers = await self._send(requests, (), replicas, asking)
        # A server that was restarted has forgotten the scripts, and has done nothing.
        again = [at for at, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if again:
            unknown = [requests[at] for at in again]
            texts = {each.script.text: None for each in unknown if each.script}
            got = await self._send(unknown, tuple(texts), replicas, asking)
            for at, answer in zip(again, got, strict=True):
                answers[at] = answer
        return answers

    async def _send(
        self,
        requests: Sequence[Request],
        texts: Sequence[bytes],
        replicas: int,
        asking: bool,  # noqa: FBT001 - ours alone
    ) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for text in texts:
            pipeline.script_load(text)
        for request in requests:
            if asking:
                pipeline.execute_command("ASKING")
            pipeline.execute_command(*request.words)
        if replicas:
            # Not WAITAOF: a replica tells once a second what is on its disk. One with our settings
            # answers WAIT, as everything, once what came before is on its disk.
            pipeline.wait(replicas, self._within)
        got = await self._ask(pipeline.execute(raise_on_error=False))
        reached = got.pop() if replicas else 0
        answers: list[Any] = got[len(texts) :][int(asking) :: 1 + asking]
        if any(isinstance(answer, ReadOnlyError) for answer in answers):
            # It is no primary any more, and would go on saying so: who is stands at the address.
            await self._client.connection_pool.disconnect()
        if not isinstance(reached, int) or reached < replicas:
            # An error has done nothing.
            return [
                answer
                if isinstance(answer, Exception)
                else StoreUnavailable(
                    f"{reached} of {replicas} replicas have it; it may count all the same"
                )
                for answer in answers
            ]
        return answers

    def pubsub(self) -> PubSub:
        """Something to listen with: a connection of its own, not connected yet."""
        return self._client.pubsub()

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()
        await self._client.connection_pool.disconnect()

    async def _ask(self, answer: "Awaitable[Any] | Any") -> Any:
        # Whoever gives up waiting leaves the command to its end: a connection that is cancelled in
        # the middle of one may keep the cancellation to itself.
        asked = asyncio.ensure_future(cast("Awaitable[Any]", answer))
        asked.add_done_callback(_heard)
        with _failing():
            return await asyncio.shield(asked)


def _heard(asked: "asyncio.Future[Any]") -> None:
    """Nobody may be there any more to hear how it failed."""
    if not asked.cancelled():
        asked.exception()


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"the store does not answer: {error}") from error


def _said(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())
