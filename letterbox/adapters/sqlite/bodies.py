"""Large bodies, each in a file of its own beside the store.

A file is written, synced and renamed before the commit that names it, so that whatever a commit
names is whole and on disk. A file that no commit names (its commit never came) is swept away
after a grace period.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from letterbox.adapters.files import LastingFiles, sync_folder
from letterbox.ports.store import KeepBody

#: Bodies above this many octets go to files; up to it they stand in the database.
LARGEST_INSIDE = 256 * 1024

#: How old, in seconds, an unnamed file must be to be swept: far longer than any commit waits.
GRACE = 3600.0


class KeepFile(KeepBody, frozen=True, kw_only=True, tag="keep-file"):
    """Keep a body that is in a file already; ``content`` is empty."""

    file: str


class BodyFiles:
    """The folder of the files. Every method blocks: call it from a thread."""

    def __init__(self, store: Path) -> None:
        self._folder = store.with_name(store.name + "-bodies")
        self._files = LastingFiles(self._folder)
        self.read, self.has = self._files.read, self._files.has

    def write(self, content: bytes) -> str:
        """Store the content durably; returns the file's name. Raises OSError."""
        if not self._folder.exists():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self._folder.parent)
        name = secrets.token_hex(16)
        name = f"{name[:3]}/{name}"
        self._files.write(name, content)
        return name

    def remove(self, name: str) -> None:
        """Remove a file; what cannot be removed now is left for the sweep."""
        with suppress(OSError):
            self._files.remove(name)

    def sweep(self, known: Callable[[str], bool], now: float) -> int:
        """Remove files older than the grace period that are not ``known``; returns how many.

        ``now`` in seconds since 1970. Raises OSError.
        """
        swept = 0
        for name in self._names():
            if self._files.age(name, now) > GRACE and not known(name):
                self._files.remove(name)
                swept += 1
        return swept

    def _names(self) -> Iterator[str]:
        if self._folder.is_dir():
            # An earlier version had them all in one folder.
            yield from [each.name for each in self._folder.iterdir() if each.is_file()]
            yield from self._files.names()
