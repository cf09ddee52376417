"""One store copied into another, and both counted anew.

The target says how far it has come, so that a copy that was killed goes on where it was. It is
whole only when all that both hold has been read again and found equal.
"""

from collections.abc import Callable
from contextlib import aclosing

import msgspec

from letterbox.administration import Failed
from letterbox.moving.tally import Tallies, count, differing, live
from letterbox.ports.clock import Clock
from letterbox.ports.copying import Source, Tally, Target, Unfinished

#: Hears what is being done ("copied"), and with how many rows so far.
Report = Callable[[str, int], None]


class Copied(msgspec.Struct, frozen=True):
    """What is in the target now. ``gone`` bodies had lost their files in the source.

    Of ``outside`` bodies it has references, as the source has; they lie where they lay.
    """

    source: str
    target: str
    rows: dict[str, Tally]
    gone: int
    outside: int
    resumed: bool


class Unequal(Failed):
    """What was copied is not what was read."""


async def copy(source: Source, target: Target, clock: Clock, report: Report) -> Copied:
    """Copy all that has not expired, or go on with that, and compare.

    Raises :class:`Failed` where the target is not empty or another copy's, :class:`Unequal` where
    the stores differ in the end, and StoreUnavailable.
    """
    state, resumed = await _begin(source, target)
    now, rows = clock.now(), 0
    async with aclosing(source.pieces(state.position)) as pieces:
        async for piece in pieces:
            state = msgspec.structs.replace(state, position=piece.position)
            await target.write(live(piece, now), state)
            rows += len(piece.rows)
            report("copied", rows)
    found = await _compare(source, target, clock, report)
    await target.finish(state)
    rows_of = found.by_kind
    return Copied(source.name, target.name, rows_of, found.gone, found.outside, resumed)


async def _begin(source: Source, target: Target) -> tuple[Unfinished, bool]:
    """Where to begin; and whether something was copied before."""
    if source.name == target.name:
        raise Failed(f"{source.name} is both: name two stores")
    state = await target.unfinished()
    if state is None:
        if not await target.empty():
            raise Failed(f"{target.name} is not empty: name an empty store")
        state = Unfinished(source.name, await source.newest())
        # It is nobody's store from now on.
        await target.write((), state)
        return state, False
    if state.source != source.name:
        raise Failed(
            f"{target.name} is an unfinished copy of {state.source}: go on with that one, "
            "or empty it"
        )
    return state, bool(state.position)


async def _compare(source: Source, target: Target, clock: Clock, report: Report) -> Tallies:
    now = clock.now()
    ours = await count(source, now, lambda rows: report("read again in the source", rows))
    theirs = await count(target, now, lambda rows: report("read again in the target", rows))
    if mistakes := differing(ours.by_kind, theirs.by_kind):
        raise Unequal(
            f"{target.name} is not what {source.name} is (there: the source; here: the target). "
            "If a letterbox served the source while the copy was interrupted, empty the target "
            "and begin again",
            mistakes,
        )
    return ours
