"""Deadlines and company for work that mostly has nothing to wait for.

Of most proofs every DNS answer is at hand, so that they run through without a pause. A timer costs
4 us and a task 15 then, of the hundred that proving a small message takes. So work is begun as a
plain call, and only what waits is given a deadline, and other work goes on beside it.
"""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar, cast, overload

_A = TypeVar("_A")
_B = TypeVar("_B")


class _Begun(Generic[_A]):
    """Work that is done until it would wait; whoever awaits it does the rest.

    That must be in the task that began it: timers and locks within the work may know it.
    """

    def __init__(self, work: Coroutine[Any, Any, _A]) -> None:
        self._work = work
        self.waits = True
        try:
            self._awaited = work.send(None)
        except StopIteration as done:
            self.waits = False
            self.result = cast(_A, done.value)

    def __await__(self) -> Generator[Any, Any, _A]:
        """What ``await`` does (PEP 380), but for the first step."""
        try:
            while True:
                try:
                    answer = yield self._awaited
                except GeneratorExit:
                    self._work.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - it is for the work to say
                    self._awaited = self._work.throw(error)
                else:
                    self._awaited = self._work.send(answer)
        except StopIteration as done:
            return cast(_A, done.value)


async def within(seconds: float, work: Coroutine[Any, Any, _A]) -> _A:
    """Do work within so many seconds of its first wait. Raises TimeoutError."""
    begun = _Begun(work)
    if not begun.waits:
        return begun.result
    async with asyncio.timeout(seconds):
        return await begun


@overload
async def together(
    first: Coroutine[Any, Any, _A], second: Coroutine[Any, Any, _B], /
) -> tuple[_A, _B]: ...
@overload
async def together(*works: Coroutine[Any, Any, _A]) -> tuple[_A, ...]: ...
async def together(*works: Coroutine[Any, Any, Any]) -> tuple[Any, ...]:
    """Do all of the works, and none of them waits for another: from the first wait on all go on.

    Where one fails the others are given up.
    """
    results: list[Any] = []
    left = iter(works)
    try:
        for work in left:
            begun = _Begun(work)
            if begun.waits:
                async with asyncio.TaskGroup() as tasks:
                    beside = [tasks.create_task(other) for other in left]
                    results.append(await begun)
                results += [task.result() for task in beside]
            else:
                results.append(begun.result)
    finally:
        for work in works:
            work.close()  # those that were never begun; the others have ended
    return tuple(results)
