"""One process owns the file."""

import fcntl
import os
from pathlib import Path

from letterbox.ports.store import StoreInUse


class Lock:
    """A lock file beside the store, held until ``release`` or the end of the process.

    A file of its own, because closing any descriptor of the database would drop the locks SQLite
    holds on it (POSIX locks belong to the process).
    """

    def __init__(self, store: Path, owner: int | None = None) -> None:
        """Take the lock. Raises :class:`StoreInUse`, or OSError where the file cannot be made.

        ``owner`` is the process to be stopped by who wants the file; this one, unless told.
        """
        self._descriptor = os.open(
            store.with_name(store.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, b"%d\n" % (owner or os.getpid()), 0)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 20, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise StoreInUse(
                f"{store} is in use by process {holder or 'unknown'}; stop that one first"
            ) from error
        except OSError:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        """Let go. The file stays: removing it would race with the next owner."""
        os.close(self._descriptor)
