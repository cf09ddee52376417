"""The ready file: says where a server listens, for as long as it does."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from letterbox.administration import Failed


class ReadyFile:
    """A file of JSON for whoever starts the server. Raises :class:`Failed` for a wrong place.

    It is looked at before anything listens: a server that cannot say it is ready need not begin.
    """

    def __init__(self, file: Path) -> None:
        self._file = file.absolute()
        folder = self._file.parent
        if not folder.is_dir():
            raise Failed(f"--ready-file: there is no directory {folder}; make it first")
        if self._file.is_dir() or not os.access(folder, os.W_OK):
            raise Failed(f"--ready-file: {self._file} cannot be written; name another file")

    def write(self, addresses: Mapping[str, str]) -> None:
        """Write the bound addresses by name, so that nobody sees half of them."""
        part = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        part.write_bytes(msgspec.json.encode(addresses) + b"\n")
        part.replace(self._file)

    def remove(self) -> None:
        """Nothing listens any more, or not yet."""
        self._file.unlink(missing_ok=True)
