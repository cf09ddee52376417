"""The other composition root: stores opened to be moved, backed up and restored."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from letterbox.adapters.clock import SystemClock
from letterbox.adapters.redis.copying import RedisRows, RedisTarget
from letterbox.adapters.sqlite.backup import SqliteBackup, SqliteDraft
from letterbox.adapters.sqlite.copying import SqliteRows, SqliteTarget
from letterbox.administration import Failed
from letterbox.misconfigured import store
from letterbox.model.configuration import StoreSection
from letterbox.moving import Copied, Report, back_up, check, copy
from letterbox.ports.copying import Seal, Source, Target
from letterbox.ports.store import StoreInUse
from letterbox.records import places

_SERVED = (
    "a letterbox serves {store}, and a Redis server cannot be read as of one moment: back it up by "
    "its own means (BGSAVE, or its append-only files; docs/operations.md, Backup), or stop the "
    "letterbox first"
)


async def migrate(section: StoreSection, source: str, target: str, report: Report) -> Copied:
    """Copy the store at one URL into the one at another, or go on with that.

    ``section`` says how a Redis server is spoken to. Raises :class:`Failed` and StoreUnavailable.
    """
    _check(source)
    _check(target)
    async with AsyncExitStack() as opened:
        there = await opened.enter_async_context(_reading(source, section))
        here = await opened.enter_async_context(_writing(target, section))
        return await copy(there, here, SystemClock(), report)


async def write_backup(section: StoreSection, file: Path, report: Report) -> Seal:
    """Back the store up into a file; one of SQLite may be served meanwhile.

    Raises :class:`Failed`, StoreUnavailable and OSError.
    """
    _check(section.url)
    async with AsyncExitStack() as opened:
        try:
            source = await opened.enter_async_context(_reading(section.url, section, served=True))
        except StoreInUse as in_use:
            raise Failed(_SERVED.format(store="this store")) from in_use
        draft = SqliteDraft.make(file)
        opened.push_async_callback(draft.close)
        return await back_up(source, draft, SystemClock(), version("letterbox"), report)


async def read_backup(section: StoreSection, file: Path, report: Report) -> Copied:
    """Restore a backup into the store, which must be empty.

    Raises :class:`Failed` and StoreUnavailable.
    """
    _check(section.url)
    async with AsyncExitStack() as opened:
        backup = SqliteBackup.open_file(file)
        opened.push_async_callback(backup.close)
        await check(backup, report)
        target = await opened.enter_async_context(_writing(section.url, section))
        return await copy(backup, target, SystemClock(), report)


def _check(url: str) -> None:
    if mistakes := [f"{each.mistake}; allowed: {each.allowed}" for each in store(url)]:
        raise Failed("the URL of a store cannot be read", mistakes)
    if url.startswith("memory:"):
        raise Failed("memory: keeps nothing that could be copied")


@asynccontextmanager
async def _reading(
    url: str, section: StoreSection, *, served: bool = False
) -> AsyncIterator[Source]:
    scheme, _, place = url.partition(":")
    source: Source
    if scheme == "sqlite":
        source = SqliteRows.open(Path(place), served=served)
    else:
        source = await RedisRows.open(url, home=places.message, patience=section.patience)
    try:
        yield source
    finally:
        await source.close()


@asynccontextmanager
async def _writing(url: str, section: StoreSection) -> AsyncIterator[Target]:
    scheme, _, place = url.partition(":")
    target: Target
    if scheme == "sqlite":
        target = SqliteTarget.make(Path(place))
    else:
        target = await RedisTarget.make(
            url,
            SystemClock(),
            home=places.message,
            replicas=section.replicas,
            patience=section.patience,
            unsafe=section.unsafe,
        )
    try:
        yield target
    finally:
        await target.close()
