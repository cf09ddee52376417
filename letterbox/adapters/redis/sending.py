"""Calls of ``commit`` on their way: those that wait for one place are sent together."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

from letterbox.adapters.redis import encoding
from letterbox.adapters.redis.server import Request
from letterbox.adapters.redis.topology import Topology
from letterbox.ports.store import Commit, Result, StoreUnavailable

#: Sent together: so many calls, or so many octets and the one that goes beyond.
_MOST_TOGETHER: Final = 256
_LARGEST_TOGETHER: Final = 16 * 1024 * 1024


class Call:
    """Commits of one call that go to one place; not sent after ``deadline`` of the loop."""

    def __init__(self, commits: Sequence[Commit], request: Request, deadline: float) -> None:
        self.commits = commits
        self.request = request
        self.deadline = deadline
        self.answer: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()


class _Lane:
    """What waits for one place, and whoever sends it."""

    def __init__(self) -> None:
        self.waiting: deque[Call] = deque()
        self.sending: asyncio.Task[None] | None = None


class Sender:
    """Sends calls in the order they come, one batch at a time to each place.

    ``done`` hears of what was done, whether the caller is still there or not. At most
    ``most_waiting`` calls wait.
    """

    def __init__(
        self,
        topology: Topology,
        done: Callable[[Sequence[Commit], Sequence[Result]], None],
        *,
        replicas: int,
        most_waiting: int,
    ) -> None:
        self._topology = topology
        self._done = done
        self._replicas = replicas
        self._most_waiting = most_waiting
        self._lanes: dict[Hashable, _Lane] = {}
        self._finished = False

    async def send(self, call: Call) -> list[Result]:
        """The results, once they are durable.

        Raises :class:`StoreUnavailable`, its kind ``Refused`` where nothing was done and another
        attempt may be made.
        """
        if self._finished:
            raise StoreUnavailable("the store is closed: nothing was sent")
        if sum(len(lane.waiting) for lane in self._lanes.values()) >= self._most_waiting:
            raise StoreUnavailable(f"{self._most_waiting} commits wait already")
        place = self._topology.place(call.request.key)
        lane = self._lanes.setdefault(place, _Lane())
        lane.waiting.append(call)
        if lane.sending is None:
            lane.sending = asyncio.create_task(self._send(place, lane))
        return await call.answer

    async def finish(self) -> None:
        """Send what waits, and nothing that comes later."""
        self._finished = True
        while sending := [lane.sending for lane in self._lanes.values() if lane.sending]:
            await asyncio.gather(*sending)

    async def _send(self, place: Hashable, lane: _Lane) -> None:
        """Send until nothing waits. Its own task: who leaves stops nobody's commit."""
        calls: list[Call] = []
        try:
            while lane.waiting:
                calls = _together(lane.waiting)
                try:
                    answers = await self._topology.send(
                        [call.request for call in calls],
                        replicas=self._replicas,
                    )
                except StoreUnavailable as error:
                    answers = [error] * len(calls)
                for call, answer in zip(calls, answers, strict=True):
                    self._resolve(call, answer)
        finally:
            # Whatever ends this, nobody is left waiting for an answer.
            for call in (*calls, *lane.waiting):
                if not call.answer.done():
                    call.answer.set_exception(StoreUnavailable("the store stopped answering"))
            del self._lanes[place]

    def _resolve(self, call: Call, answer: Any) -> None:
        if isinstance(answer, StoreUnavailable):
            _fail(call, type(answer)(*answer.args))
            return
        results = encoding.results(call.commits, answer)
        if not call.answer.done():
            call.answer.set_result(results)
        self._done(call.commits, results)


def _together(waiting: deque[Call]) -> list[Call]:
    calls: list[Call] = []
    size, now = 0, asyncio.get_running_loop().time()
    while waiting and len(calls) < _MOST_TOGETHER and size < _LARGEST_TOGETHER:
        call = waiting.popleft()
        if call.deadline <= now:  # those before it took so long
            _fail(call, StoreUnavailable("the store does not answer: nothing was sent"))
            continue
        calls.append(call)
        size += encoding.size(call.request.words)
    return calls


def _fail(call: Call, error: StoreUnavailable) -> None:
    if not call.answer.done():
        call.answer.set_exception(error)
