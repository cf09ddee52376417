"""Asking the DNS."""

from typing import Literal, Protocol

import msgspec

RecordType = Literal["TXT", "A", "AAAA", "MX", "PTR"]


class ResolverTrouble(Exception):
    """No trustworthy answer was had: a timeout, SERVFAIL, or no server to ask.

    The cause is passing: nothing may be concluded from it about the name.
    """


class Answer(msgspec.Struct, frozen=True):
    """An answer. ``exists`` is false for NXDOMAIN; a name without such records has no values.

    Values are bytes for TXT (its strings joined), else text: addresses, host names without the
    final dot (MX ordered by preference).
    """

    values: tuple[bytes, ...] | tuple[str, ...]
    exists: bool = True


class Resolver(Protocol):
    """An asynchronous, caching resolver, bounded in time."""

    async def ask(self, name: str, record: RecordType) -> Answer:
        """Ask for the records of ``name`` (A-labels, no final dot).

        Raises :class:`ResolverTrouble`. A name that cannot be a DNS name (an empty or over-long
        label) does not exist.
        """
        ...
