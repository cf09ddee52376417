"""Where a command goes: to the one server, or to whichever has its key."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from letterbox.adapters.redis import keys
from letterbox.adapters.redis.encoding import Word
from letterbox.adapters.redis.server import Fenced, Request, Script, Server, Unsafe
from letterbox.ports.store import StoreUnavailable

T = TypeVar("T")
#: Seconds between two attempts: the second follows at once, and then they double.
_SHORTEST: Final = 0.01
_LONGEST: Final = 0.2
#: Seconds at least between two looks at what is where: while a server is gone, every call fails.
_LOOKS: Final = 0.1

log = structlog.get_logger()


class Refused(StoreUnavailable):
    """Nothing was done, and it may be otherwise in a moment."""


class Topology(ABC):
    """Commands to the servers of a store. Every failure is a :class:`StoreUnavailable`.

    What was refused, so that nothing was done, is tried again for ``patience`` seconds; what may
    have happened never is.
    """

    #: Whether a call may touch one shard alone.
    sharded: bool = False

    def __init__(self, patience: float) -> None:
        self.patience = patience

    @abstractmethod
    def place(self, key: bytes) -> Hashable:
        """Where a key lies, as far as is known: what has one place is best sent together."""

    @abstractmethod
    async def send(self, requests: Sequence[Request], *, replicas: int = 0) -> list[Any]:
        """One attempt: each request's answer, or the :class:`StoreUnavailable` instead.

        With ``replicas``, so many must have received what was done.
        """

    @abstractmethod
    async def check(self, *, unsafe: bool, replicas: int) -> None:
        """See what the servers are.

        Raises :class:`Unsafe` where one is not to be used, as :meth:`Server.check` says, or holds
        another layout than ours.
        """

    @abstractmethod
    async def nodes(self) -> Sequence[Server]:
        """Every server that has keys of its own, looked for anew, to ask one after another.

        Raises :class:`StoreUnavailable`, also where keys are on their way to another server.
        """

    @abstractmethod
    async def pubsub(self) -> PubSub:
        """Something to listen with, not connected yet; another where the last was cut off.

        Whatever is published through one server of a cluster is heard at all of them, as long as
        they reach each other. Raises :class:`StoreUnavailable`.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let the connections go."""

    async def ask_all(self, requests: Sequence[Request], *, replicas: int = 0) -> list[Any]:
        """All answers. Raises the first failure."""
        answers: list[Any] = [None] * len(requests)
        wanted = list(range(len(requests)))

        async def attempt() -> None:
            nonlocal wanted
            asked = [requests[at] for at in wanted]
            got = await self.send(asked, replicas=replicas)
            for at, answer in zip(wanted, got, strict=True):
                answers[at] = answer
            wanted = [at for at in wanted if isinstance(answers[at], Refused)]
            failed = [answer for answer in got if isinstance(answer, StoreUnavailable)]
            if failed:
                raise next((each for each in failed if not isinstance(each, Refused)), failed[0])

        await patiently(attempt, asyncio.get_running_loop().time() + self.patience)
        return answers

    async def command(self, *words: Any) -> Any:
        """One command's answer. The word after its name is its key."""
        return (await self.ask_all([Request(words[1], words)]))[0]

    async def publish(self, channel: bytes, word: bytes) -> None:
        """Tell whoever listens. In a cluster by each primary in turn."""
        await self.command("PUBLISH", channel, word)

    async def run(self, script: Script, named: Sequence[bytes], *arguments: Word) -> Any:
        """A script's answer; the keys it names lie in one shard where there are several."""
        return (await self.ask_all([script.call(named, arguments)]))[0]

    async def get(self, key: bytes, mark: bytes, *, replicas: int) -> bytes | None:
        """What stands at a key; where something does, so many replicas must have it, too.

        ``mark`` is a key beside it: a connection waits for what was written through it alone, so
        that something is written there once it has been found.
        """
        found: bytes | None
        look = Request(key, ("GET", key))
        (found,) = await self.ask_all([look])
        if found is not None and replicas:
            write = Request(mark, ("SET", mark, b""))
            found, _ = await self.ask_all([look, write], replicas=replicas)
        return found

    async def check_layout(self) -> None:
        """Write down our layout where there is none. Raises :class:`Unsafe` for another."""
        await self.command("SET", keys.LAYOUT_KEY, keys.LAYOUT, "NX")
        layout = int(await self.command("GET", keys.LAYOUT_KEY) or 0)
        if layout != keys.LAYOUT:
            raise Unsafe(
                f"the Redis server holds a letterbox of layout {layout}, this version knows "
                f"{keys.LAYOUT}: use the version that wrote it, or another database"
            )


class Single(Topology):
    """One server, whose address does not change."""

    def __init__(self, place: Mapping[str, Any], patience: float) -> None:
        super().__init__(patience)
        self._server = Server(place, patience)

    def place(self, key: bytes) -> Hashable:  # noqa: ARG002 - there is one
        """The one place."""
        return None

    async def send(self, requests: Sequence[Request], *, replicas: int = 0) -> list[Any]:
        """One attempt."""
        answers = await self._server.send(requests, replicas=replicas)
        return [unavailable(answer) for answer in answers]

    async def check(self, *, unsafe: bool, replicas: int) -> None:
        """See what the server is."""
        version = await self._server.check(unsafe=unsafe, replicas=replicas)
        await self.check_layout()
        log.info("store.opened", redis=version)

    async def nodes(self) -> Sequence[Server]:
        """The one server."""
        return [self._server]

    async def pubsub(self) -> PubSub:
        """Something to listen with."""
        return self._server.pubsub()

    async def close(self) -> None:
        """Let the connections go."""
        await self._server.close()


class Changing(Topology):
    """Servers that change their places: looked for again when something has gone wrong."""

    def __init__(self, patience: float) -> None:
        super().__init__(patience)
        self._is_stale = True
        self._next_look = 0.0
        self._looking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @abstractmethod
    async def _find(self) -> None:
        """Find out what is where. Raises :class:`StoreUnavailable` where nobody says so."""

    async def _look(self) -> None:
        """Find out what is where if that may have changed: once for all who come meanwhile."""
        now = asyncio.get_running_loop().time()
        if self._looking is None:
            if not self._is_stale or now < self._next_look:
                return
            self._next_look = now + _LOOKS
            self._looking = asyncio.create_task(self._find_anew())
            self._looking.add_done_callback(self._looked)
        await asyncio.shield(self._looking)

    async def _find_anew(self) -> None:
        self._is_stale = False  # whoever fails meanwhile says so again
        try:
            await self._find()
        except BaseException:
            self._is_stale = True
            raise

    def _looked(self, looking: "asyncio.Task[None]") -> None:
        self._looking = None
        if not looking.cancelled():
            looking.exception()  # whoever asked for it may have left

    def _task(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Something that is done meanwhile, and waited for when the store closes."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Wait for what is under way: no longer than patience lasts."""
        looking = [self._looking] if self._looking else []
        await asyncio.gather(*self._tasks, *looking, return_exceptions=True)


async def patiently(attempt: Callable[[], Awaitable[T]], deadline: float) -> T:
    """What an attempt gives; while it is refused it is made again, until ``deadline`` of the loop.

    Raises :class:`StoreUnavailable`.
    """
    pause = 0.0
    while True:
        try:
            return await attempt()
        except Refused as refused:
            if asyncio.get_running_loop().time() + pause >= deadline:
                raise StoreUnavailable(*refused.args) from refused
        await asyncio.sleep(pause)
        pause = min(max(2 * pause, _SHORTEST), _LONGEST)


async def first(asked: Iterable["asyncio.Task[T | StoreUnavailable]"]) -> T:
    """The first answer that is one: some of those asked may be gone. Raises the last failure."""
    failed = StoreUnavailable("the store has no server to ask")
    for answered in asyncio.as_completed(asked):
        answer = await answered
        if not isinstance(answer, StoreUnavailable):
            return answer
        failed = answer
    raise failed


def unavailable(answer: Any) -> Any:
    """An answer as it is; the error of a server as :class:`StoreUnavailable`."""
    if isinstance(answer, RedisError):
        kind = Fenced if str(answer).startswith("FENCED") else StoreUnavailable
        return kind(f"the store could not: {answer}")
    return answer
