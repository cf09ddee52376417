"""A thread for what waits for the disk, with one hop there and one back.

An executor takes several locks and futures for each call, most of them while both threads want
the interpreter: with one, each call cost the event loop 60 us instead of 35.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _Errand(Generic[T]):
    """Something to be done in the thread, and who waits for it on the loop."""

    def __init__(self, what: Callable[[], T], answer: asyncio.Future[T]) -> None:
        self._what = what
        self._answer = answer

    def do(self) -> Callable[[], None]:
        """Do it; what is to be called on the loop then."""
        try:
            return partial(self._succeed, self._what())
        except BaseException as error:  # noqa: BLE001 - who waits for it has to hear of it
            return partial(self._fail, error)

    def _succeed(self, result: T) -> None:
        if not self._answer.done():  # whoever waited may have gone
            self._answer.set_result(result)

    def _fail(self, error: BaseException) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)


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
        self._errands.put(_Errand(partial(what, *arguments, **named), answer))
        return await answer

    def close(self) -> None:
        """Finish what was asked for, and end."""
        self._errands.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (errand := self._errands.get()) is not None:
            told = errand.do()
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                self._loop.call_soon_threadsafe(told)
