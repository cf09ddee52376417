"""The server behind the store: how it is reached, and whether it keeps what it says it keeps."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, cast

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from letterbox.adapters.redis import keys
from letterbox.adapters.redis.encoding import Word
from letterbox.ports.store import StoreUnavailable

_OLDEST: Final = (7, 0)
#: So many connections; who needs one more waits for it.
_MOST_CONNECTIONS: Final = 16
#: What has to be set for an acknowledgement to be worth something.
_SAFE: Final = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
}

log = structlog.get_logger()


class Unsafe(StoreUnavailable):
    """The server would lose what was acknowledged, or is not one that we can use."""


class Script:
    """A script of ours, called by its digest: its text travels once."""

    def __init__(self, name: str) -> None:
        self.text = files(__package__).joinpath(f"{name}.lua").read_bytes()
        # Not for security: it is the name that the server gives to a script.
        self.digest = sha1(self.text, usedforsecurity=False).hexdigest()

    def call(self, named: Sequence[bytes], arguments: Sequence[Word]) -> tuple[Any, ...]:
        """The command."""
        return "EVALSHA", self.digest, len(named), *named, *arguments


class Server:
    """Commands to a server. Every failure is a :class:`StoreUnavailable`.

    Nothing is ever sent a second time by itself: what failed may have happened.
    """

    def __init__(self, url: str, patience: float) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_MOST_CONNECTIONS,
            timeout=patience,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            retry=Retry(NoBackoff(), 0),
        )
        self._client = Redis.from_pool(pool)

    async def check(self, *, unsafe: bool) -> None:
        """See what the server is.

        Raises :class:`Unsafe` where it is too old or of a later layout, and, unless ``unsafe``,
        where it would lose what it has confirmed. A server that does not tell its settings, as
        hosted ones do, is taken as it is, with a warning.
        """
        about = await self._ask(self._client.info("server"))
        version = str(about.get("redis_version", "0"))
        if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
            raise Unsafe(f"the Redis server is {version}; 7.0 or newer is needed")
        try:
            settings = await self._ask(self._client.config_get(*_SAFE))
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, ResponseError):
                raise
            log.warning("store.settings-unknown", hint="see that it has: " + _said(_SAFE))
            settings = _SAFE
        wrong = {name: want for name, want in _SAFE.items() if settings.get(name) != want}
        if wrong and not unsafe:
            raise Unsafe(
                "the Redis server would lose mail that was acknowledged; set in its configuration: "
                f"{_said(wrong)} (store.unsafe = true takes it all the same)"
            )
        if wrong:
            log.warning("store.unsafe", missing=_said(wrong))
        await self._check_layout()
        log.info("store.opened", redis=version)

    async def _check_layout(self) -> None:
        await self._ask(self._client.set(keys.LAYOUT_KEY, keys.LAYOUT, nx=True))
        layout = int(await self._ask(self._client.get(keys.LAYOUT_KEY)) or 0)
        if layout != keys.LAYOUT:
            raise Unsafe(
                f"the Redis server holds a letterbox of layout {layout}, this version knows "
                f"{keys.LAYOUT}: use the version that wrote it, or another database"
            )

    async def command(self, *words: Any) -> Any:
        """One command's answer."""
        return await self._ask(self._client.execute_command(*words))  # type: ignore[no-untyped-call]

    async def commands(self, calls: Sequence[Sequence[Any]]) -> list[Any]:
        """The answers to commands that are sent together. Raises where one could not be done."""
        pipeline = self._client.pipeline(transaction=False)
        for words in calls:
            pipeline.execute_command(*words)
        answers = await self._execute(pipeline, 0, 0, needed=_anything)
        for answer in answers:
            if isinstance(answer, Exception):
                raise StoreUnavailable(f"the store could not: {answer}") from answer
        return answers

    async def run(self, script: Script, named: Sequence[bytes] = (), *arguments: Word) -> Any:
        """A script's answer."""
        (answer,) = await self.run_all(script, [(named, arguments)])
        if isinstance(answer, StoreUnavailable):
            raise answer
        return answer

    async def run_all(
        self,
        script: Script,
        calls: Sequence[tuple[Sequence[bytes], Sequence[Word]]],
        *,
        replicas: int = 0,
        within: int = 0,
    ) -> list[Any]:
        """A script's answers to several calls, sent together; each an answer or an error.

        With ``replicas``, so many must have received it ``within`` so many milliseconds.
        """
        answers: list[Any] = [None] * len(calls)
        wanted = list(range(len(calls)))
        for first in (True, False):
            pipeline = self._client.pipeline(transaction=False)
            if not first:
                pipeline.script_load(script.text)
            for at in wanted:
                pipeline.execute_command(*script.call(*calls[at]))
            got = await self._execute(pipeline, replicas, within, needed=_anything)
            for at, answer in zip(wanted, got[0 if first else 1 :], strict=True):
                answers[at] = answer
            # A server that was restarted has forgotten the script, and has done nothing.
            wanted = [at for at in wanted if isinstance(answers[at], NoScriptError)]
            if not wanted:
                break
        for at, answer in enumerate(answers):
            if isinstance(answer, Exception):
                answers[at] = StoreUnavailable(f"the store could not: {answer}")
        return answers

    async def get(self, key: bytes, *, replicas: int, within: int) -> bytes | None:
        """What stands at a key; where something does, so many replicas must have it, too."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.get(key)
        (found,) = await self._execute(pipeline, replicas, within, needed=lambda got: bool(got[0]))
        if isinstance(found, Exception):
            raise StoreUnavailable(f"the store could not: {found}") from found
        return cast("bytes | None", found)

    async def _execute(
        self,
        pipeline: Pipeline,
        replicas: int,
        within: int,
        *,
        needed: Callable[[list[Any]], bool],
    ) -> list[Any]:
        """The answers; where they need it, what was written before has reached the replicas."""
        if replicas:
            pipeline.wait(replicas, within)
        got: list[Any] = await self._ask(pipeline.execute(raise_on_error=False))
        reached = got.pop() if replicas else 0
        if any(isinstance(answer, ReadOnlyError) for answer in got):
            # It is no primary any more, and would go on saying so: who is stands at the address.
            await self._client.connection_pool.disconnect()
        if needed(got) and (not isinstance(reached, int) or reached < replicas):
            raise StoreUnavailable(
                f"{reached} of {replicas} replicas have it; it may count all the same"
            )
        return got

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


def _anything(answers: list[Any]) -> bool:
    """Whether anything was done: a server that has not the script has done nothing."""
    return not all(isinstance(answer, NoScriptError) for answer in answers)


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


def _said(settings: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())
