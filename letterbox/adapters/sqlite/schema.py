"""The file's shape: its versions, and what is set on every connection to it."""

from collections.abc import Sequence
from pathlib import Path

import apsw
import msgspec

from letterbox.ports.copying import Unfinished
from letterbox.ports.store import StoreUnavailable

#: Marks the file as ours (PRAGMA application_id): "LtBx".
APPLICATION_ID = 0x4C744278

#: Measured by bench/store.py: 4 KiB is a little faster on average for small bodies, but writes
#: more pages and waits longer on checkpoints; from 16 KiB on, each changed row writes too much.
PAGE_SIZE = 8192

#: Milliseconds to wait for somebody else's lock.
LOCK_WAIT = 5000

# Times are whole microseconds since 1970 in UTC. Rows that carry values (documents, logs, bodies)
# are appended to their tables and found by an index, so that the commits of a moment share pages
# and few pages split; small rows are clustered by their key.
_FIRST = """
CREATE TABLE documents (
    row INTEGER PRIMARY KEY,
    partition TEXT NOT NULL,
    key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (partition, key)
);

CREATE TABLE logs (
    row INTEGER PRIMARY KEY,
    partition TEXT NOT NULL,
    log TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (partition, log, sequence)
);

CREATE TABLE counters (
    partition TEXT NOT NULL,
    name TEXT NOT NULL,
    count INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (partition, name)
) WITHOUT ROWID;
CREATE INDEX counters_by_expiry ON counters (expires);

CREATE TABLE claims (
    partition TEXT NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    expires INTEGER,
    PRIMARY KEY (partition, name)
) WITHOUT ROWID;
CREATE INDEX claims_by_expiry ON claims (expires) WHERE expires IS NOT NULL;

CREATE TABLE due (
    partition TEXT NOT NULL,
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (partition, key)
) WITHOUT ROWID;
CREATE INDEX due_by_time ON due (at, partition, key);

-- One sequence for all shards is an order within each; AUTOINCREMENT: never used again.
CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    shard INTEGER NOT NULL,
    partition TEXT NOT NULL,
    value BLOB NOT NULL
);

-- Either the content stands here, or the name of the file that has it.
CREATE TABLE bodies (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    content BLOB,
    file TEXT UNIQUE,
    CHECK ((content IS NULL) <> (file IS NULL))
);
"""

# Claims carry values, too: the answer that a resend gets, what a reference leads to. Clustered by
# names that are random each changed a page, and filled it soon; appended, and found by an index of
# a quarter of the size, the two of a message cost 20 us less, and a page less is written for them.
_CLAIMS_APPENDED = """
CREATE TABLE appended (
    row INTEGER PRIMARY KEY,
    partition TEXT NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    expires INTEGER,
    UNIQUE (partition, name)
);
INSERT INTO appended (partition, name, value, expires)
    SELECT partition, name, value, expires FROM claims ORDER BY partition, name;
DROP TABLE claims;
ALTER TABLE appended RENAME TO claims;
CREATE INDEX claims_by_expiry ON claims (expires) WHERE expires IS NOT NULL;
"""

#: The script at index n leads from version n to n + 1. None is ever changed once released.
MIGRATIONS: tuple[str, ...] = (_FIRST, _CLAIMS_APPENDED)


class SchemaTooNew(StoreUnavailable):
    """The file was written by a later letterbox than this one."""


class NotAStore(StoreUnavailable):
    """The file is something else's."""


def connect(path: Path, synchronous: str = "FULL", *, writes: bool = False) -> apsw.Connection:
    """Open one connection, set up the way all of them are. Raises :class:`apsw.Error`."""
    flags = apsw.SQLITE_OPEN_READWRITE if writes else apsw.SQLITE_OPEN_READONLY
    db = apsw.Connection(str(path), flags=flags)
    db.set_busy_timeout(LOCK_WAIT)
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute("PRAGMA cache_size = -16000")
    if writes:
        # Checkpoints have their own place and time, never inside somebody's commit.
        db.wal_autocheckpoint(0)
        db.execute(f"PRAGMA synchronous = {synchronous}")
    return db


def prepare(
    db: apsw.Connection,
    path: Path,
    *,
    page_size: int = PAGE_SIZE,
    migrations: Sequence[str] = MIGRATIONS,
) -> int:
    """Bring the file to the newest version, all or nothing; returns the version it had.

    Raises :class:`SchemaTooNew`, :class:`NotAStore` or :class:`apsw.Error`; the file is unchanged
    then.
    """
    version = version_of(db, path, newest=len(migrations))
    db.execute(f"PRAGMA page_size = {page_size}")  # says nothing once the file has pages
    if db.execute("PRAGMA journal_mode = WAL").fetchall() != [("wal",)]:
        raise NotAStore(f"{path} cannot use a write-ahead log; is its file system a local one?")
    if version < len(migrations):
        db.execute("BEGIN IMMEDIATE")
        try:
            for script in migrations[version:]:
                db.execute(script)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {len(migrations)}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
    return version


def version_of(db: apsw.Connection, path: Path, *, newest: int) -> int:
    """The version of a file; 0 where it is empty.

    Raises :class:`SchemaTooNew`, :class:`NotAStore` or :class:`apsw.Error`.
    """
    ((tables,),) = db.execute("SELECT count(*) FROM sqlite_schema")
    mark: int = db.pragma("application_id")
    version: int = db.pragma("user_version")
    if tables and mark != APPLICATION_ID:
        raise NotAStore(f"{path} is some other program's database; name another file")
    if version > newest:
        raise SchemaTooNew(
            f"{path} has schema version {version}, this letterbox knows {newest} at most: "
            "install the version that wrote it, or restore a backup made before"
        )
    return version


def unfinished_copy(db: apsw.Connection) -> Unfinished | None:
    """How far a copy into this store has come; None where it is a whole one.

    The table is no part of the schema: it is there only meanwhile.
    """
    if not db.table_exists("main", "copying"):
        return None
    ((state,),) = db.execute("SELECT state FROM copying")
    return msgspec.json.decode(state, type=Unfinished)
