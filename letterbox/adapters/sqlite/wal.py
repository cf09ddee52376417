"""Writing the log back into the file, off the way of those who commit.

SQLite would do it inside the commit that passes a limit, and that one would wait. Instead a
thread with a connection of its own copies most of the log while commits go on; then the writer
copies the little that came meanwhile, and its next transaction starts the log anew. Nothing here
can lose anything: what is not copied stays in the log.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import apsw
import structlog

#: The log's size, in octets, at which it is written back under load. Its pages go to the disk at
#: once, and whoever commits meanwhile waits behind them: at 32 MiB the slowest hundredth of all
#: replies took twice as long as at 8, for as many messages a second.
LARGEST_LOG = 8 * 1024 * 1024


class Checkpoints:
    """Belongs to whoever has the writing connection; ``_copy`` runs on a thread of its own."""

    def __init__(self, connect: Callable[[], apsw.Connection], page_size: int) -> None:
        self._connect = connect
        self._most_pages = LARGEST_LOG // page_size
        self._pages = 0
        self._copied = True
        self._copying = False
        self._finish = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-checkpoint")

    @property
    def idle(self) -> bool:
        """Whether the log holds nothing that is not in the file."""
        return self._copied

    def watch(self, db: apsw.Connection) -> None:
        """Hear from the writing connection how long the log is after each commit."""
        db.set_wal_hook(self._grown)

    def _grown(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._pages, self._copied = pages, False
        return apsw.SQLITE_OK

    @property
    def due(self) -> bool:
        """Whether ``after_commit`` has something to do."""
        return self._finish or (self._pages > self._most_pages and not self._copying)

    def after_commit(self, db: apsw.Connection) -> None:
        """Between two transactions: start or finish writing back, if it is time to."""
        if self._finish:
            self._finish = False
            self._passive(db)
        elif self._pages > self._most_pages and not self._copying:
            self._copying = True
            self._thread.submit(self._copy)

    def when_idle(self, db: apsw.Connection) -> None:
        """Nobody waits: write back what there is."""
        if not self._copying:
            self._passive(db)
            self._copied = True  # what a reader kept from being copied waits for the next commit

    def close(self) -> None:
        """Wait for the copying in progress, and stop."""
        self._thread.shutdown()

    def _copy(self) -> None:
        try:
            with suppress(apsw.Error):  # no descriptors, perhaps: the writer does it all then
                db = self._connect()
                try:
                    self._passive(db)
                finally:
                    db.close()
        finally:
            self._finish, self._copying = True, False

    @staticmethod
    def _passive(db: apsw.Connection) -> None:
        try:
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:
            pass  # somebody is at it
        except apsw.Error as error:
            structlog.get_logger().warning("store.checkpoint-failed", error=str(error))
