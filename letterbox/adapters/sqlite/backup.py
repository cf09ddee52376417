"""A backup: one file, itself a store of SQLite with all bodies inside, and a seal.

The seal is one row of JSON in a table ``backup`` (see ``Seal``): what was counted when it was made.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp

import apsw
import msgspec

from letterbox.adapters.files import sync_folder
from letterbox.adapters.sqlite.bodies import BodyFiles
from letterbox.adapters.sqlite.copying import SqliteRows, SqliteTarget, begin_reading
from letterbox.adapters.sqlite.schema import connect, prepare
from letterbox.ports.copying import Seal
from letterbox.ports.store import StoreUnavailable


class SqliteDraft(SqliteTarget):
    """A backup in the making, beside where it is to be; ``close`` removes what is no backup."""

    def __init__(self, file: Path, draft: Path, db: apsw.Connection) -> None:
        super().__init__(str(file), db, BodyFiles(draft), lambda: None, inside=True)
        self._file = file
        self._draft = draft

    @classmethod
    def make(cls, file: Path) -> "SqliteDraft":
        """Begin a backup that nobody else may read. Blocks.

        Raises OSError, FileExistsError among it: a backup is never written over.
        """
        file = file.absolute()
        if file.exists():
            raise FileExistsError(f"{file} exists already; name another file")
        try:
            descriptor, name = mkstemp(prefix=f".{file.name}.", suffix=".draft", dir=file.parent)
        except OSError as error:
            raise OSError(f"{file} cannot be written: {error.strerror}") from error
        os.close(descriptor)
        draft = Path(name)
        try:
            with _failing(file, "cannot be written"):
                # Nothing of it lasts before it is published, which is where it is synced.
                db = connect(draft, "OFF", writes=True)
                prepare(db, draft)
                db.execute("PRAGMA journal_mode = OFF")
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        return cls(file, draft, db)

    async def publish(self, seal: Seal) -> None:
        """Seal it, and give it its name, whole and durable."""
        with _failing(self._file, "cannot be written"):
            self._db.execute("CREATE TABLE backup (seal TEXT NOT NULL)")
            words = msgspec.json.encode(seal).decode()
            self._db.execute("INSERT INTO backup VALUES (?)", (words,))
            self._db.close()
            descriptor = os.open(self._draft, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._draft.rename(self._file)
            sync_folder(self._file.parent)

    async def close(self) -> None:
        """Remove what was not published."""
        await super().close()
        with suppress(OSError):
            self._draft.unlink(missing_ok=True)


class SqliteBackup(SqliteRows):
    """A backup that is read. Made by :meth:`open_file`."""

    def __init__(self, name: str, db: apsw.Connection, files: BodyFiles, seal: Seal) -> None:
        super().__init__(name, db, files, lambda: None)
        self.seal = seal

    @classmethod
    def open_file(cls, file: Path) -> "SqliteBackup":
        """Open a backup, and see that the file is whole. Blocks. Raises StoreUnavailable."""
        file = file.absolute()
        if not file.is_file():
            raise StoreUnavailable(f"there is no backup at {file}")
        with _failing(file, "is no whole backup"):
            db = connect(file)
            try:
                seal = _seal(db, file)
            except BaseException:
                db.close()
                raise
        return cls(f"backup {seal.id}", db, BodyFiles(file), seal)


def _seal(db: apsw.Connection, file: Path) -> Seal:
    """What the backup says of itself, where the file is whole."""
    begin_reading(db, file)
    if not db.table_exists("main", "backup"):
        raise StoreUnavailable(
            f"{file} is no backup: letterbox migrate copies a store that is not served"
        )
    damage = db.execute("PRAGMA integrity_check(1)").fetchall()
    if damage != [("ok",)]:
        raise StoreUnavailable(f"{file} is no whole backup: {damage[0][0]}")
    ((words,),) = db.execute("SELECT seal FROM backup")
    return msgspec.json.decode(words, type=Seal)


@contextmanager
def _failing(file: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (apsw.Error, msgspec.MsgspecError, ValueError) as error:
        raise StoreUnavailable(f"{file} {what}: {error}") from error
