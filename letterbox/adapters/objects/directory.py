"""Objects in a directory that every process sees, such as a network file system's."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from letterbox.adapters.files import DRAFT, LastingFiles
from letterbox.adapters.objects.names import name_of, path_of
from letterbox.ports.objects import Looked
from letterbox.ports.store import StoreUnavailable

#: Calls at once: the disk is the slow part, and one that hangs must not keep all others.
_AT_ONCE: Final = 32
#: Written to learn what time it is there.
_CLOCK: Final = "clock/now"

P = ParamSpec("P")
T = TypeVar("T")


class DirectoryObjects:
    """``patience``: seconds that a call may take. The directory itself is never made.

    One that is missing is a disk that is not there yet: what was written beneath its place would
    be lost to sight when it comes.
    """

    def __init__(self, root: Path, *, patience: float) -> None:
        self._root = root
        self._files = LastingFiles(root)
        self._patience = patience
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="bodies")

    async def write(self, name: str, content: bytes) -> None:
        """Keep an object; it is on disk at return, if the file system keeps its word."""
        await self._call(self._files.write, path_of(name), content)

    async def read(self, name: str) -> bytes | None:
        """The content; None where there is none of that name."""
        return await self._call(self._read, path_of(name))

    def _read(self, path: str) -> bytes | None:
        content = self._files.read(path)
        if content is None and not self._root.is_dir():
            raise FileNotFoundError(f"{self._root} is not there")
        return content

    async def remove(self, name: str) -> None:
        """Forget an object; nothing where there is none."""
        await self._call(self._files.remove, path_of(name))

    async def older(self, age: timedelta, *, after: str, limit: int) -> Looked:
        """Look at ``limit`` files and name those older than ``age``; old drafts are removed."""
        return await self._call(self._older, age.total_seconds(), after, limit)

    def _older(self, age: float, after: str, limit: int) -> Looked:
        self._files.write(_CLOCK, b"")
        now = (self._root / _CLOCK).stat().st_mtime
        found: list[str] = []
        for nth, path in enumerate(self._files.names(after)):
            if nth == limit:
                return Looked(tuple(found), after)
            after = path
            if self._files.age(path, now) <= age:
                continue
            name = name_of(path)
            if name is not None:
                found.append(name)
            elif path.endswith(DRAFT):
                self._files.remove(path)
        return Looked(tuple(found), "")

    async def close(self) -> None:
        """Begin nothing more. What hangs in the file system is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._patience):
                return await loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))
        except TimeoutError as error:
            raise StoreUnavailable("the directory of bodies does not answer") from error
        except OSError as error:
            raise StoreUnavailable(f"the directory of bodies: {error}") from error
        except RuntimeError as error:
            raise StoreUnavailable("the directory of bodies is closed") from error
