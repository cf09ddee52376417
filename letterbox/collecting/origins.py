"""Mailboxes that mail is read from, one after the other, from any position on."""

from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple, Protocol

from letterbox.records.imports import Sort


class Letter(NamedTuple):
    """The first octets of one mail, the position behind it, and how much is done with it."""

    raw: bytes
    position: str
    done: int


class Origin(Protocol):
    """A mailbox. ``name`` is the same for the same one, ``total`` how much there is of it."""

    name: str
    sort: Sort
    total: int

    def letters(self, after: str) -> Iterator[Letter]:
        """The mails behind a position; empty: all of them. Raises :class:`Failed`, OSError."""
        ...


def name_for(*parts: str | bytes) -> str:
    """A name that tells nothing of what it stands for."""
    digest = sha256()
    for part in parts:
        said = part.encode() if isinstance(part, str) else part
        digest.update(len(said).to_bytes(8) + said)
    return digest.hexdigest()
