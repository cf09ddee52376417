"""Objects: octets by name, kept beside the store by somebody else's server or disk."""

from datetime import timedelta
from typing import NamedTuple, Protocol


class Looked(NamedTuple):
    """One look at what is kept. ``names`` are those that are old enough, of those looked at.

    ``after`` is where the next look begins; empty at the end.
    """

    names: tuple[str, ...]
    after: str


class Objects(Protocol):
    """The port. Every method raises :class:`letterbox.ports.store.StoreUnavailable` in trouble.

    A name is any text of at most 200 octets, percent-encoded; ValueError for a longer one. One
    name always has the same content, so that writing it again changes nothing.
    """

    async def write(self, name: str, content: bytes) -> None:
        """Keep an object; it is durable at return."""
        ...

    async def read(self, name: str) -> bytes | None:
        """The content; None where there is none of that name."""
        ...

    async def remove(self, name: str) -> None:
        """Forget an object; nothing where there is none."""
        ...

    async def older(self, age: timedelta, *, after: str, limit: int) -> Looked:
        """Look at about ``limit`` objects, and name those older than ``age``.

        Their age is by the clock of whoever keeps them: ours may be another.
        """
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...
