"""Mailboxes that are files: an mbox, or a Maildir with its folders."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from letterbox.administration import Failed
from letterbox.collecting.origins import Letter, name_for
from letterbox.reading.mbox import Mbox, NotAnMbox
from letterbox.reading.sightings import MOST_OCTETS
from letterbox.records.imports import Sort
from letterbox.starting.upload import BEGINNING, name_of_mbox

_CHUNK: Final = 1 << 18


class MboxFile:
    """An mbox. A position is an offset."""

    sort: Sort = "mbox"

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            beginning = file.read(BEGINNING)
        if not beginning.lstrip().startswith(b"From "):
            raise Failed(f"{path} is no mbox: its first line does not begin with 'From '")
        self.name = name_of_mbox(beginning)
        self.total = path.stat().st_size

    def letters(self, after: str) -> Iterator[Letter]:
        """The mails from an offset on."""
        at = int(after or 0)
        mbox = Mbox(at=at, most=MOST_OCTETS)
        try:
            with self._path.open("rb") as file:
                file.seek(at)
                while True:
                    chunk = file.read(_CHUNK)
                    for cut in mbox.feed(chunk, last=not chunk):
                        yield Letter(cut.raw, str(cut.ends), cut.ends)
                    if not chunk:
                        return
        except NotAnMbox:
            raise Failed(
                f"{self._path} has changed since it was read last; letterbox import forget, and "
                "read it anew"
            ) from None


class Maildir:
    """A Maildir, or a folder of one. A position is the name of a file, without its flags."""

    sort: Sort = "maildir"

    def __init__(self, path: Path) -> None:
        self._folders = [path / each for each in ("cur", "new")]
        if not all(folder.is_dir() for folder in self._folders):
            raise Failed(f"{path} is no Maildir: it has no folders cur and new")
        self.name = name_for("maildir", str(path.resolve()))
        self._files = sorted(
            (_unique(file), file)
            for folder in self._folders
            for file in folder.iterdir()
            if not file.name.startswith(".")
        )
        self.total = len(self._files)

    def letters(self, after: str) -> Iterator[Letter]:
        """The mails that came later than one, as their names have it."""
        for nth, (unique, file) in enumerate(self._files, start=1):
            if unique <= after:
                continue
            try:
                with file.open("rb") as opened:
                    raw = opened.read(MOST_OCTETS)
            except FileNotFoundError:
                raw = b""  # moved or read meanwhile: as one that cannot be read
            yield Letter(raw, unique[:255], nth)


def _unique(file: Path) -> str:
    return file.name.partition(":")[0]
