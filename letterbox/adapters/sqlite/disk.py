"""A thread for what waits for the disk, with one hop there and one back.

An executor takes several locks and futures for each call, most of them while both threads want
the interpreter: with one, each call cost the event loop 60 us instead of 35.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _Errand(Generic[T]):
    """Something to be done in the thread, and who waits for it on the loop."""

    def __init__(self, do: Callable[[], T], answer: asyncio.Future[T]) -> None:
        self._do = do
        self._answer = answer

    def run(self) -> Callable[[], None]:
        """Do it; what is to be called on the loop then."""
        try:
            done = self._do()
        except BaseException as error:  # noqa: BLE001 - it is whoever waits who has to hear of it
            failure = error
            return lambda: self._answer.done() or self._answer.set_exception(failure)
        return lambda: self._answer.done() or self._answer.set_result(done)


class Disk:
    """Does one thing after the other, in the order asked. Belongs to the event loop."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._errands: SimpleQueue[_Errand[Any] | None] = SimpleQueue()
        # Nothing that it has begun is promised to anybody before it has come back, so that it
        # need not keep a process whose loop has ended.
        self._thread = Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    async def do(self, what: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Do it in the thread."""
        answer: asyncio.Future[T] = self._loop.create_future()
        self._errands.put(_Errand(lambda: what(*arguments, **named), answer))
        return await answer

    def close(self) -> None:
        """Finish what was asked for, and end."""
        self._errands.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (errand := self._errands.get()) is not None:
            come_back = errand.run()
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                self._loop.call_soon_threadsafe(come_back)
