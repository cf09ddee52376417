"""Files that last: whole and on disk, or not there.

A file is written as a draft, synced and renamed, and its folder is synced. Whoever is told that it
is written finds it after a power cut.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

#: What a file that is being written ends in.
DRAFT: Final = ".draft"


class LastingFiles:
    """Files in the folders below one. Every method blocks: call it from a thread.

    A name is a path within ``root``: ``folder/file``.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        #: Folders that are known to last: another process may have made one and not synced it.
        self._lasting: set[Path] = set()

    def write(self, name: str, content: bytes) -> None:
        """Write a file; the folder is made, the root is not. Raises OSError."""
        place = self._root / name
        self._make(place.parent)
        draft = place.with_name(secrets.token_hex(16) + DRAFT)
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - Path opens no descriptor
                rest = memoryview(content)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(descriptor)
            draft.rename(place)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            # It may be gone with all that was in it: to be made anew.
            self._lasting.discard(place.parent)
            raise
        # The rename is on disk only when the folder is.
        sync_folder(place.parent)

    def _make(self, folder: Path) -> None:
        if folder in self._lasting:
            return
        if folder != self._root:
            folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)
        self._lasting.add(folder)

    def read(self, name: str) -> bytes | None:
        """The content; None where the file is gone. Raises OSError."""
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None

    def has(self, name: str) -> bool:
        """Whether the file is there."""
        return (self._root / name).is_file()

    def remove(self, name: str) -> None:
        """Remove a file; nothing where there is none. Raises OSError."""
        (self._root / name).unlink(missing_ok=True)

    def age(self, name: str, now: float) -> float:
        """Seconds since a file was written, by the clock of its disk; 0 where it is gone.

        ``now`` in seconds since 1970. Raises OSError.
        """
        try:
            return now - (self._root / name).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def names(self, after: str = "") -> Iterator[str]:
        """The files of the folders, drafts with them, in order, from after one. Raises OSError."""
        begin = after.rpartition("/")[0]
        with os.scandir(self._root) as there:
            folders = sorted(each.name for each in there if each.is_dir())
        for folder in folders:
            if folder >= begin:
                for file in sorted(os.listdir(self._root / folder)):  # noqa: PTH208 - names alone
                    name = f"{folder}/{file}"
                    if name > after:
                        yield name


def sync_folder(folder: Path) -> None:
    """Make what was created or renamed in the folder last. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
