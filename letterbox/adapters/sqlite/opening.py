"""Taking possession of the file."""

import os
from pathlib import Path

import apsw
import msgspec
import structlog

from letterbox.adapters.files import sync_folder
from letterbox.adapters.sqlite import queries
from letterbox.adapters.sqlite.bodies import BodyFiles
from letterbox.adapters.sqlite.lock import Lock
from letterbox.adapters.sqlite.schema import NotAStore, connect, prepare, unfinished_copy
from letterbox.ports.copying import Incomplete
from letterbox.ports.store import StoreUnavailable


class Readable(msgspec.Struct, frozen=True):
    """A file, with two connections that read.

    ``reader`` is the reader thread's, ``quick`` the event loop's.
    """

    path: Path
    reader: apsw.Connection
    quick: apsw.Connection
    files: BodyFiles


class Opened(Readable, frozen=True, kw_only=True):
    """A file that is ours: locked, and of the newest schema."""

    synchronous: str
    page_size: int
    lock: Lock

    def connect(self) -> apsw.Connection:
        """A connection more, one that may write."""
        return connect(self.path, self.synchronous, writes=True)

    def sweep(self, now: float) -> int:
        """Remove old files that no body names; ``now`` in seconds since 1970. Blocks."""
        db = connect(self.path)
        try:
            return self.files.sweep(lambda file: queries.has_file(db, file), now)
        finally:
            db.close()


def open_file(
    path: Path,
    synchronous: str,
    page_size: int,
    *,
    unfinished: bool = False,
    owner: int | None = None,
) -> Opened:
    """Lock the file, making it where it is missing, and bring it to the newest schema. Blocks.

    ``owner`` is the process that is to be stopped to have it; this one, unless told.

    Raises :class:`StoreUnavailable` and its kinds, :class:`Incomplete` among them unless
    ``unfinished``: where it is a copy that goes on.
    """
    path = path.absolute()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = Lock(path, owner)
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be opened: {error}") from error
    try:
        _create(path)
        db = connect(path, synchronous, writes=True)
        try:
            version = prepare(db, path, page_size=page_size)
            if not unfinished and (copy := unfinished_copy(db)) is not None:
                raise Incomplete(str(path), copy.source)
            page_size = db.pragma("page_size")
            # Opened before the other is closed: the last one's closing would remove the log.
            reader, quick = connect(path), connect(path)
        finally:
            db.close()
    except BaseException as error:
        lock.release()
        if isinstance(error, apsw.NotADBError):
            raise NotAStore(f"{path} is not a letterbox store: {error}") from error
        if isinstance(error, OSError | apsw.Error):
            raise StoreUnavailable(f"{path} cannot be opened: {error}") from error
        raise
    structlog.get_logger().info(
        "store.opened", path=str(path), sqlite=apsw.sqlite_lib_version(), version_before=version
    )
    return Opened(
        path=path,
        synchronous=synchronous,
        page_size=page_size,
        lock=lock,
        reader=reader,
        quick=quick,
        files=BodyFiles(path),
    )


def open_beside(path: Path) -> Readable:
    """Open for reading what another process has locked. Blocks. Raises StoreUnavailable."""
    path = path.absolute()
    try:
        return Readable(path, connect(path), connect(path), BodyFiles(path))
    except apsw.Error as error:
        raise StoreUnavailable(f"{path} cannot be opened: {error}") from error


def _create(path: Path) -> None:
    """Make the file, for nobody else to read (SQLite gives its log the same rights)."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    sync_folder(path.parent)
