"""Work that is begun as a plain call against asyncio's own way of doing it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from letterbox.identity.waiting import together, within

Work = Coroutine[Any, Any, int]


async def step(name: int, turns: int, log: list[int]) -> None:
    """Go on some turns of the loop later; after none without a wait."""
    for _ in range(turns):
        await asyncio.sleep(0)
    log.append(name)


async def work(name: int, steps: list[int], log: list[int]) -> int:
    """Its own deadlines and tasks are its own business."""
    for turns in steps:
        match turns:
            case 0 | 1 | 2:
                await step(name, turns, log)
            case 3:
                async with asyncio.timeout(100):
                    await step(name, 1, log)
            case 4:
                await asyncio.create_task(step(name, 1, log))
            case 5:
                await within(100, step(name, 0, log))
            case _:
                await within(100, step(name, 2, log))
    return name


STEPS = st.lists(st.lists(st.integers(0, 6), max_size=4), max_size=5)


@given(STEPS)
@example([[], [1], [], [0, 4], [6]])
def test_works_together_come_to_what_they_come_to_beside_one_another(all_: list[list[int]]) -> None:
    def run(way: Callable[..., Any]) -> tuple[list[int], list[int]]:
        log: list[int] = []

        async def running() -> list[int]:
            return list(await way(*(work(n, steps, log) for n, steps in enumerate(all_))))

        return asyncio.run(running()), sorted(log)

    assert run(together) == run(asyncio.gather)


@given(STEPS.filter(bool), st.data())
def test_what_fails_fails_everywhere(all_: list[list[int]], data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, len(all_) - 1))

    async def failing(name: int, steps: list[int]) -> int:
        await work(name, steps, [])
        if name == bad:
            raise ValueError(name)
        return name

    async def running() -> None:
        works = [failing(n, steps) for n, steps in enumerate(all_)]
        # Plainly where nothing has waited before, else in a group, as of a TaskGroup.
        with pytest.raises((ValueError, ExceptionGroup)) as failed:
            await within(100, together(*works))
        error = failed.value
        errors = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        assert [str(each) for each in errors] == [str(bad)]
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(running())


@given(st.integers(1, 5), st.integers(0, 3))
def test_each_may_wait_for_any_other(count: int, before: int) -> None:
    async def meeting(barrier: asyncio.Barrier) -> int:
        await step(0, before, [])
        return await barrier.wait()

    async def running() -> list[int]:
        barrier = asyncio.Barrier(count)
        async with asyncio.timeout(10):
            return sorted(await together(*(meeting(barrier) for _ in range(count))))

    assert asyncio.run(running()) == list(range(count))


def test_what_does_not_wait_needs_no_loop() -> None:
    both = within(1, together(within(1, work(7, [0], [])), work(8, [], [])))
    with pytest.raises(StopIteration) as done:
        both.send(None)
    assert done.value.value == (7, 8)


@pytest.mark.parametrize("turns", [1, 4])
async def test_a_deadline_ends_the_work_that_waits(turns) -> None:
    log: list[str] = []

    async def endless() -> int:
        await work(0, [turns], [])
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.append("given up")
            raise
        return 0

    with pytest.raises(TimeoutError):
        await within(0.01, endless())
    with pytest.raises(TimeoutError):
        await within(0.01, together(endless(), work(1, [1], []), endless()))
    assert log == ["given up"] * 3


async def test_an_inner_deadline_is_told_within_and_the_outer_one_outside() -> None:
    async def patient(seconds: float) -> str:
        try:
            await within(seconds, asyncio.Event().wait())
        except TimeoutError:
            return "inner"
        return "none"

    assert await within(10, patient(0.01)) == "inner"
    with pytest.raises(TimeoutError):
        await within(0.01, patient(10))


async def test_work_may_go_on_where_it_was_to_be_given_up() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "done"

    task = asyncio.create_task(within(10, stubborn()))
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "done"


async def test_who_is_cancelled_gives_up_the_work() -> None:
    async def endless() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(within(10, together(endless(), endless())))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(asyncio.all_tasks()) == 1


async def test_work_that_is_dropped_while_it_waits_is_closed() -> None:
    log: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            log.append("closed")

    dropped = within(10, endless())
    dropped.send(None)
    dropped.close()
    assert log == ["closed"]
