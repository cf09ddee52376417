"""Large bodies, each in a file of its own beside the store.

A file is written, synced and renamed before the commit that names it, so that whatever a commit
names is whole and on disk. A file that no commit names (its commit never came) is swept away
after a grace period.
"""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from letterbox.ports.store import KeepBody

#: Bodies above this many octets go to files; up to it they stand in the database.
LARGEST_INSIDE = 256 * 1024

#: How old, in seconds, an unnamed file must be to be swept: far longer than any commit waits.
GRACE = 3600.0


class KeepFile(KeepBody, frozen=True, kw_only=True):
    """Keep a body that is in a file already; ``content`` is empty."""

    file: str


class BodyFiles:
    """The folder of the files. Every method blocks: call it from a thread."""

    def __init__(self, store: Path) -> None:
        self._folder = store.with_name(store.name + "-bodies")

    def write(self, content: bytes) -> str:
        """Store the content durably; returns the file's name. Raises OSError."""
        if not self._folder.exists():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self._folder.parent)
        name = secrets.token_hex(16)
        draft = self._folder / (name + ".draft")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - Path opens no descriptor
                rest = memoryview(content)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(descriptor)
            draft.rename(self._folder / name)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        # The rename is on disk only when the folder is.
        sync_folder(self._folder)
        return name

    def read(self, name: str) -> bytes | None:
        """The content; None where the file is gone. Raises OSError."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def has(self, name: str) -> bool:
        """Whether the file is there."""
        return (self._folder / name).is_file()

    def remove(self, name: str) -> None:
        """Remove a file; what cannot be removed now is left for the sweep."""
        with suppress(OSError):
            (self._folder / name).unlink(missing_ok=True)

    def sweep(self, known: Callable[[str], bool], now: float) -> int:
        """Remove files older than the grace period that are not ``known``; returns how many.

        ``now`` in seconds since 1970. Raises OSError.
        """
        swept = 0
        if not self._folder.is_dir():
            return swept
        for file in self._folder.iterdir():
            with suppress(FileNotFoundError):  # dropped meanwhile
                if now - file.stat().st_mtime > GRACE and not known(file.name):
                    file.unlink()
                    swept += 1
        return swept


def sync_folder(folder: Path) -> None:
    """Make what was created or renamed in the folder last. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
