"""A backup made and checked; restored it is as any store is copied."""

from contextlib import aclosing
from secrets import token_hex

from letterbox.moving.copy import Report, Unequal
from letterbox.moving.tally import Tallies, count, differing, live
from letterbox.ports.clock import Clock
from letterbox.ports.copying import Backup, Draft, Seal, Source, Unfinished


async def back_up(source: Source, draft: Draft, clock: Clock, version: str, report: Report) -> Seal:
    """Copy all that has not expired into a draft, read it again, and publish it.

    Raises :class:`Unequal` where it is not what was read, and StoreUnavailable or OSError.
    """
    begun, rows = clock.now(), 0
    state = Unfinished(source.name, await source.newest())
    tallies = Tallies()
    await draft.write((), state)  # also where there is no row, it counts on from there
    async with aclosing(source.pieces()) as pieces:
        async for piece in pieces:
            lasting = live(piece, begun)
            await draft.write(lasting, state)
            tallies.add(lasting)
            tallies.gone += piece.gone
            rows += len(piece.rows)
            report("copied", rows)
    await draft.finish(state)
    written = await count(draft, begun, lambda rows: report("read again", rows))
    if mistakes := differing(tallies.by_kind, written.by_kind):
        raise Unequal("the backup is not what was read (there); is the disk in order?", mistakes)
    seal = Seal(
        id=token_hex(16),
        version=version,
        source=source.name,
        begun=begun,
        tallies=tallies.by_kind,
        newest=state.newest,
        gone=tallies.gone,
        outside=tallies.outside,
    )
    await draft.publish(seal)
    return seal


async def check(backup: Backup, report: Report) -> None:
    """See that a backup holds what it says of itself. Raises :class:`Unequal`."""
    seal = backup.seal
    found = await count(backup, seal.begun, lambda rows: report("checked", rows))
    if mistakes := differing(seal.tallies, found.by_kind):
        raise Unequal("the backup was changed since it was made (there)", mistakes)
